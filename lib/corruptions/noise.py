"""Noise: Gaussian, shot, impulse and speckle. Each takes uint8 (n, 3, h, w) and returns new uint8; sources and severities in the package."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from lib.corruptions.draws import Draws
from lib.corruptions.filters import to_levels, to_unit


def gaussian_noise(pixels: Tensor, draws: Draws, *, sigma: float) -> Tensor:
    """The same normal noise at every level."""
    noise = draws.normal(*pixels.shape[1:], dtype=torch.float32)
    return to_levels(to_unit(pixels).add_(noise, alpha=sigma))


def speckle_noise(pixels: Tensor, draws: Draws, *, sigma: float) -> Tensor:
    """Normal noise in proportion to the level."""
    noise = draws.normal(*pixels.shape[1:], dtype=torch.float32)
    x = to_unit(pixels)
    return to_levels(torch.addcmul(x, x, noise.double(), value=sigma))


GUIDE = 2048  # parts of [0, 1) for which a table knows the count already


@lru_cache(maxsize=16)
def poisson_tables(rate: float) -> tuple[Tensor, Tensor, Tensor]:
    """For the counts of all 256 levels, level k having the mean rate * k / 255: distribution functions, where each begins, and a guide.

    steps   the functions one after the other, k added to that of level k, so that the whole is sorted
    starts  (256,) int64
    guide   (256 * GUIDE,) int16: the count at each part of [0, 1), -1 where it changes within the part
    """
    from scipy.stats import poisson

    parts, starts, guide, length = [], [], [], 0
    borders = torch.arange(GUIDE + 1, dtype=torch.float64) / GUIDE
    for level in range(256):
        mean = rate * level / 255
        steps = torch.from_numpy(poisson.cdf(range(int(mean + 12 * mean**0.5) + 30), mean))
        steps = steps[steps < 1]  # no uniform number is as large as 1
        below = torch.searchsorted(steps, borders, right=True)
        guide.append(torch.where(below[:-1] == torch.searchsorted(steps, borders[1:]), below[:-1], -1))
        parts.append(steps + level)
        starts.append(length)
        length += len(steps)
    return torch.cat(parts), torch.tensor(starts), torch.cat(guide).to(torch.int16)


def shot_noise(pixels: Tensor, draws: Draws, *, rate: float) -> Tensor:
    """Counts of photons: Poisson with the mean `rate` times the level. By inversion, so that an image takes the same numbers whatever it shows."""
    steps, starts, guide = (table.to(pixels.device) for table in poisson_tables(rate))
    uniform, levels = draws.uniform(0, 1, *pixels.shape[1:]).flatten(), pixels.flatten().int()
    counts = guide.take((uniform * GUIDE).int().add_(levels, alpha=GUIDE).long()).double()
    unsure = (counts < 0).nonzero().flatten()
    hard = levels[unsure].long()
    counts[unsure] = (torch.searchsorted(steps, uniform[unsure] + hard, right=True) - starts[hard]).double()
    return to_levels(counts.div_(torch.tensor(rate, dtype=torch.float64, device=pixels.device))).view(pixels.shape)


def impulse_noise(pixels: Tensor, draws: Draws, *, amount: float) -> Tensor:
    """Salt and pepper: a share of the values, each channel by itself, becomes 0 or 255."""
    hit = draws.uniform(0, 1, *pixels.shape[1:], dtype=torch.float32) <= amount
    salt = draws.uniform(0, 1, *pixels.shape[1:], dtype=torch.float32) <= 0.5
    return torch.where(hit, salt.to(torch.uint8).mul_(255), pixels)
