"""Images of fewer pixels for the first epochs, in which a step then costs a fraction."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

AT_ONCE = 2000  # images


def resized(pixels: Tensor, side: int) -> Tensor:
    """Images at another size: bilinear, with antialiasing, rounded.

    Args:
        pixels: (n, c, h, w) uint8.
        side: Of the result, in pixels.

    Returns:
        (n, c, side, side) uint8; the images themselves where they have that size.
    """
    if pixels.shape[2:] == (side, side):
        return pixels
    small = torch.empty(*pixels.shape[:2], side, side, dtype=torch.uint8, device=pixels.device)
    for start in range(0, len(pixels), AT_ONCE):
        some = pixels[start : start + AT_ONCE].float()
        found = F.interpolate(some, (side, side), mode="bilinear", antialias=True)
        small[start : start + AT_ONCE] = found.round().clamp(0, 255).to(torch.uint8)
    return small
