"""How far around each image a network is certified by interval bounds: one answer for every radius."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor, nn

from lib import models
from lib.certificates import certified
from lib.data.images import Images
from lib.measurements.attack import batches, is_correct
from lib.measurements.measurement import BOOL, SHARE, TEXT

CERTIFIED_RADIUS_TABLE = {"class": TEXT, "correct": BOOL, "radius": SHARE}
TOGETHER = 5_000  # images: the more, the more have the same question
FIRST, LAST = 0.5 / 255, 1.0  # radii from which they are doubled, and beyond which there are no pixels


def certified_radius(network: nn.Module, images: Images, *, limit: int, parts: int) -> pd.DataFrame:
    """The radius up to which interval bounds prove that an image is classified correctly, image by image.

    Boxes of smaller radius lie in those of larger ones, so one number answers for all radii. It is found by
    doubling and then by halving: it is certified, and one part further it is not.

    Args:
        limit: Number of images, the first of the split; 0 means all of them.
        parts: Into how many parts each doubling is divided, at least 1.

    Returns:
        One row per image, in the order of the split, with the columns of CERTIFIED_RADIUS_TABLE. Column
        `correct` says whether the image itself is classified correctly; `radius` is in pixels of [0, 1], and
        0 where nothing is certified, whether the image is correct or not.

    Raises:
        InputError: For a layer without bounds, and weights or logits that are not finite.
    """
    device = models.evaluated(network)
    some = images.first(limit)
    right = torch.cat([is_correct(network, x, labels).cpu() for _, x, labels in batches(some, device)])
    places = torch.arange(len(some)).split(TOGETHER)
    radius = torch.cat([
        _radii(network, some.pixels[own].to(device), some.labels[own].to(device), right[own], parts)
        for own in places
    ])
    return pd.DataFrame({
        "class": [some.classes[label] for label in some.labels.tolist()],
        "correct": right.numpy(),
        "radius": radius.numpy(),
    })


def marks(parts: int) -> list[float]:
    """The radii that are told apart, ascending from 0: each doubling from `FIRST` in so many parts."""
    found, low = [0.0], 0.0
    high = FIRST
    while low < LAST:
        found += [low + (high - low) * part / parts for part in range(1, parts + 1)]
        low, high = high, 2 * high
    return [one for one in found if one <= LAST]


def _radii(network: nn.Module, pixels: Tensor, labels: Tensor, right: Tensor, parts: int) -> Tensor:
    """The largest mark at which each image is certified, (n,) float64; 0 where there is none.

    Every image is asked about marks halfway between one that holds and one that does not. Those with the same
    question are asked together.

    Args:
        pixels: uint8 (n, 3, h, w).
        right: (n,) bool on the CPU, which images are classified correctly.
    """
    every = marks(parts)
    holds = torch.zeros(len(pixels), dtype=torch.int64)  # place of the largest mark known to hold
    fails = torch.full((len(pixels),), len(every))  # of the smallest known not to
    fails[~right] = 1
    while ((fails - holds) > 1).any():
        open_ = (fails - holds) > 1
        # upwards by doublings until one fails, then halfway
        asked = torch.where(fails == len(every), holds + parts, (holds + fails) // 2).clamp(
            max=len(every) - 1
        )
        for mark in asked[open_].unique().tolist():
            there = (open_ & (asked == mark)).nonzero().flatten()
            own = there.to(pixels.device)
            proven = certified(network, models.to_unit(pixels[own]), labels[own], every[mark]).cpu()
            holds[there[proven]] = mark
            fails[there[~proven]] = mark
    return torch.tensor(every, dtype=torch.float64)[holds]
