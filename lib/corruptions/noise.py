"""Noise: Gaussian, shot, impulse and speckle.

Each takes uint8 (n, 3, h, w) and returns new uint8; sources and severities in the package.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from lib.corruptions.draws import Draws
from lib.corruptions.layouts import at_most, in_parts, true_places
from lib.corruptions.quantized import to_levels, to_unit


def gaussian_noise(pixels: Tensor, draws: Draws, *, sigma: float) -> Tensor:
    """Gaussian noise: normal noise of the same size at every level."""
    noise = draws.normal(*pixels.shape[1:], dtype=torch.float32)
    return in_parts(lambda some, noise: to_levels(to_unit(some).add_(noise, alpha=sigma)), pixels, noise)


def speckle_noise(pixels: Tensor, draws: Draws, *, sigma: float) -> Tensor:
    """Speckle noise: normal noise in proportion to the level."""
    noise = draws.normal(*pixels.shape[1:], dtype=torch.float32)

    def noisy(some: Tensor, noise: Tensor) -> Tensor:
        x = to_unit(some)
        return to_levels(torch.addcmul(x, x, noise.double(), value=sigma))

    return in_parts(noisy, pixels, noise)


GUIDE = 2048  # parts of [0, 1) for which a table knows already what becomes of a number


@lru_cache(maxsize=16)
def poisson_tables(rate: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Tables for Poisson counts of all 256 levels, where level k has the mean rate * k / 255.

    Returns:
        Steps, the distribution functions one after the other, with k added to that of level k so that all are
        sorted, and infinity at the end; starts, (256,) int64, the place where each begins; guide, (256 *
        GUIDE,) int16, the level that the count comes to in each part of [0, 1), or -1 if it changes within
        the part; and below, (256 * GUIDE,) int32, the number of steps below the part.
    """
    from scipy.stats import poisson

    parts, starts, guide, below, length = [], [], [], [], 0
    borders = torch.arange(GUIDE + 1, dtype=torch.float64) / GUIDE
    for level in range(256):
        mean = rate * level / 255
        steps = torch.from_numpy(poisson.cdf(range(int(mean + 12 * mean**0.5) + 30), mean))
        steps = steps[steps < 1]  # no uniform number is as large as 1
        made = _photons(torch.arange(len(steps) + 1), rate)
        first, last = (
            torch.searchsorted(steps, borders[:-1], right=True),
            torch.searchsorted(steps, borders[1:]),
        )
        guide.append(torch.where(made[first] == made[last], made[first].short(), -1))
        below.append(first + length)
        parts.append(steps + level)
        starts.append(length)
        length += len(steps)
    return (
        torch.cat([*parts, torch.tensor([torch.inf], dtype=torch.float64)]),
        torch.tensor(starts),
        torch.cat(guide),
        torch.cat(below).int(),
    )


def _photons(counts: Tensor, rate: float) -> Tensor:
    return to_levels(counts.double().div_(torch.tensor(rate, dtype=torch.float64, device=counts.device)))


def shot_noise(pixels: Tensor, draws: Draws, *, rate: float) -> Tensor:
    """Shot noise: Poisson counts of photons, with a mean of `rate` times the level.

    They are drawn by inversion, so that an image takes the same numbers whatever it shows.
    """
    steps, starts, guide, below = (table.to(pixels.device) for table in poisson_tables(rate))

    def counted(some: Tensor, uniform: Tensor) -> Tensor:
        uniform, levels = uniform.flatten(), some.reshape(-1).int()
        part = (uniform * GUIDE).int().add_(levels, alpha=GUIDE)
        made = guide.index_select(0, part)
        unsure = true_places(at_most(made, -1))
        level = levels.index_select(0, unsure)
        value = uniform.index_select(0, unsure).add_(level)
        passed = below.index_select(0, part.index_select(0, unsure)).long()
        # most parts hold one step; the first and last hold many
        passed += steps.index_select(0, passed) <= value
        more = (steps.index_select(0, passed) <= value).nonzero().flatten()
        passed[more] = torch.searchsorted(steps, value[more], right=True)
        made[unsure] = _photons(passed - starts.index_select(0, level), rate).short()
        return made.to(torch.uint8).view(some.shape)

    return in_parts(counted, pixels, draws.uniform(0, 1, *pixels.shape[1:]))


def impulse_noise(pixels: Tensor, draws: Draws, *, amount: float) -> Tensor:
    """Impulse noise, or salt and pepper: a share of the values, each channel separately, becomes 0 or 255."""
    hit, salt = (
        at_most(draws.uniform(0, 1, *pixels.shape[1:], dtype=torch.float32), share) for share in (amount, 0.5)
    )
    hit, salt = (mask.view(torch.uint8).neg_() for mask in (hit, salt))  # all bits set, or none
    # a choice by bits: torch's `where` takes bytes one by one
    return salt.bitwise_xor_(pixels).bitwise_and_(hit).bitwise_xor_(pixels)
