"""Random crops and flips, drawn per image for a whole epoch and applied to a batch at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.training.datasets import Augmentation


def draw(n: int, how: Augmentation, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw crops and flips for n images.

    Returns:
        Offsets (n, 2) of the crops, uniform in 0 .. 2 * pad, and flips (n,) bool, each with probability 1/2
        where flipping is on.
    """
    offsets = torch.randint(0, 2 * how.pad + 1, (n, 2), generator=generator)
    # said, since another default dtype would draw other numbers
    flips = torch.rand(n, generator=generator, dtype=torch.float32) < (0.5 if how.flip else 0.0)
    return offsets, flips


def crop_and_flip(pixels: Tensor, offsets: Tensor, flips: Tensor, pad: int) -> Tensor:
    """Crop images (n, c, h, w) out of themselves padded with zeros, and mirror them, in one gather on their
    own device.

    Args:
        offsets: (n, 2) row and column of the crop in the padded image, 0 .. 2 * pad; `pad` leaves the image
            where it was.
        flips: (n,) bool, applied after the crop.
    """
    n, c, h, w = pixels.shape
    device = pixels.device
    rows = offsets[:, :1] + torch.arange(h, device=device)  # (n, h)
    columns = offsets[:, 1:] + torch.arange(w, device=device)  # (n, w)
    columns = torch.where(flips[:, None], columns.flip(1), columns)
    padded = F.pad(pixels, (pad, pad, pad, pad))
    image = torch.arange(n, device=device)[:, None, None, None]
    channel = torch.arange(c, device=device)[:, None, None]
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
