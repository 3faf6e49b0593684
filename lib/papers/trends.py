"""A curve over α of one seed and of several: fitted changes, Page's test, resampling of seeds and images.

Nothing here knows a network or a claim.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lib.base.errors import InputError
from lib.papers.intervals import LEVEL, Floats

REPEATS = 2000  # of the bootstrap
_AT_ONCE = 100  # repeats of the bootstrap that are held in memory together


def alpha_of_change(selectivity: pd.Series, change: float) -> float:
    """The α at which mean selectivity differs from that of α = 0 by a change, on straight lines between α.

    Args:
        selectivity: Mean selectivity by α, ascending or not; NaN where it is not known.
        change: The difference looked for; below 0 for a fall.

    Returns:
        The α nearest to 0 with that change; NaN where no pair of neighbours encloses it, or 0 is not there.
    """
    known = selectivity.dropna().sort_index()
    if 0.0 not in known.index:
        return float("nan")
    differences = known - known[0.0] - change
    crossings = [
        low + (high - low) * left / (left - right) if left != right else low
        for (low, left), (high, right) in itertools.pairwise(differences.items())
        if min(left, right) <= 0 <= max(left, right)
    ]
    return min(crossings, key=abs, default=float("nan"))


def fitted_change(x: ArrayLike, y: ArrayLike) -> Floats:
    """Change of y along the least-squares line y = a + b·x, over the distance in x between the first point
    and the last: from the lower x to the higher.

    Args:
        x: (..., points), points in the order of α.
        y: (..., points).

    Returns:
        (...) in the unit of y; NaN where a number is missing, or where the ends have the same x.

    Example:
        >>> float(fitted_change([0.0, 1.0, 2.0], [5.0, 7.0, 9.0]))
        4.0
    """
    across, up = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    moved = across - across.mean(axis=-1, keepdims=True)
    distance = np.abs(across[..., -1] - across[..., 0])
    spread = np.where(distance > 0, (moved**2).sum(axis=-1), np.nan)
    return (moved * (up - up.mean(axis=-1, keepdims=True))).sum(axis=-1) / spread * distance


def page_trend(table: ArrayLike, *, rising: bool = True) -> float:
    """Exact p of Page's test that columns rise from left to right within rows, against no order at all.

    Args:
        table: (seeds, columns) numbers; rows with NaN are left out.
        rising: False to test for a fall.

    Returns:
        One-sided p; NaN for fewer than two whole rows or three columns.
    """
    rows = np.asarray(table, dtype=float)
    rows = rows[~np.isnan(rows).any(axis=1)]
    if rows.shape[0] < 2 or rows.shape[1] < 3:
        return float("nan")
    return float(stats.page_trend_test(rows if rising else -rows, method="exact").pvalue)


def bootstrap(
    right: Mapping[tuple[int, float], NDArray[Any]],
    selectivity: Mapping[tuple[int, float], float],
    alphas: Sequence[float],
    *,
    falling: bool = False,
    repeats: int = REPEATS,
    seed: int = 0,
    level: float = LEVEL,
) -> tuple[float, float]:
    """Percentile interval of the mean fitted change of an accuracy, over other seeds *and* other images.

    Each repeat draws as many seeds and as many images as there are, with replacement; all networks are seen
    on the same drawn images, as they were measured.

    Args:
        right: {(seed, α): (images,) bool, which images are right}, or float from 0 to 1 for the share of
            several answers that is; the images are the same for all.
        selectivity: {(seed, α): mean class selectivity}.
        alphas: Values of α of a side, ascending; seeds that lack one are left out.
        falling: Whether the fall of accuracy with selectivity is wanted, not its rise.
        repeats: Number of repeats.
        seed: Seed of the draws.
        level: 0.05 for a 95 % interval.

    Returns:
        Lower and upper end in points of accuracy; NaN twice for fewer than two seeds.

    Raises:
        InputError: If networks were seen on different numbers of images.
    """
    seeds = sorted({one for one, _ in right})
    seeds = [one for one in seeds if all((one, a) in right and (one, a) in selectivity for a in alphas)]
    if len(seeds) < 2:
        return float("nan"), float("nan")
    pixels = {len(right[one, alpha]) for one in seeds for alpha in alphas}
    if len(pixels) > 1:
        raise InputError(f"networks must be seen on the same images, got {sorted(pixels)} of them")
    images = pixels.pop()
    # (images, seeds · alphas): of bool, whole numbers below 2**24, so that sums are exact in any order
    hits = np.stack([right[one, alpha] for one in seeds for alpha in alphas], axis=1).astype(np.float32)
    x = np.array([[selectivity[one, alpha] for alpha in alphas] for one in seeds])
    found = []
    for times, chosen in _draws(images, len(seeds), repeats, seed):
        accuracy = (times.astype(np.float32) @ hits).astype(float) * (100 / images)
        changes = fitted_change(x, accuracy.reshape(len(times), len(seeds), len(alphas)))  # (repeats, seeds)
        found.append(np.take_along_axis(changes, chosen, axis=1).mean(axis=1))
    low, high = np.quantile(np.concatenate(found), [level / 2, 1 - level / 2])
    return (-float(high), -float(low)) if falling else (float(low), float(high))


@lru_cache(maxsize=2)
def _draws(
    images: int, seeds: int, repeats: int, seed: int
) -> list[tuple[NDArray[np.unsignedinteger[Any]], NDArray[np.int64]]]:
    """What the repeats of a bootstrap draw, `_AT_ONCE` at a time: (repeats, images) how often each image is
    drawn, and (repeats, seeds) the places of the drawn seeds.

    A ledger has several claims on the same images and as many seeds: all of them have the same draws, which
    take longer than what is made of them. Counts are kept in as few bytes as they need, one for each image.
    """
    generator, found = np.random.default_rng(seed), []
    for start in range(0, repeats, _AT_ONCE):
        some = min(_AT_ONCE, repeats - start)
        drawn = generator.integers(images, size=(some, images))
        drawn += images * np.arange(some)[:, None]
        times = np.bincount(drawn.ravel(), minlength=some * images).reshape(some, images)
        chosen = generator.integers(seeds, size=(some, seeds))
        found.append((times.astype(np.min_scalar_type(int(times.max(initial=0)))), chosen))
    return found
