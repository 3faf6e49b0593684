"""Statistics of plain numbers: intervals, verdicts, trends, resampling, many tests at once.

Nothing here knows a network or a claim.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lib.base.errors import InputError
from lib.papers.classwise_statistics import class_wise_variance, disparity

__all__ = [
    "LEAST_SEEDS",
    "LEVEL",
    "OUTCOMES",
    "REPEATS",
    "alpha_of_change",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "bootstrap",
    "class_wise_variance",
    "detectable",
    "disparity",
    "fitted_change",
    "intervals",
    "outcomes",
    "p_value",
    "p_values",
    "page_trend",
    "seeds_there",
    "t_interval",
    "verdict",
    "within",
]

LEAST_SEEDS = 3  # fewer seeds give no useful interval, hence no verdict
LEVEL = 0.05  # two-sided: intervals hold 95 %
REPEATS = 2000  # of the bootstrap
OUTCOMES = ("reproduced", "contradicted", "no effect", "undecided")
_AT_ONCE = 100  # repeats of the bootstrap that are held in memory together

Floats = NDArray[np.float64]

# ---- the mean over seeds -----------------------------------------------------------------------------------


def intervals(values: ArrayLike, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Student's intervals of means.

    Args:
        values: (..., n) numbers, one a seed.
        level: Share of intervals that miss the mean, both sides together: 0.05 for 95 % intervals.

    Returns:
        Lower and upper ends, (...) each; the value itself where all n are equal, NaN where n is below 2.
    """
    numbers = np.asarray(values, dtype=float)
    if numbers.shape[-1] < 2:
        return np.full(numbers.shape[:-1], np.nan), np.full(numbers.shape[:-1], np.nan)
    middle, error = numbers.mean(axis=-1), stats.sem(numbers, axis=-1)
    equal = np.ptp(numbers, axis=-1) == 0
    scale = np.where(equal, 1.0, error)
    low, high = stats.t.interval(1 - level, numbers.shape[-1] - 1, loc=middle, scale=scale)
    return np.where(equal, numbers[..., 0], low), np.where(equal, numbers[..., 0], high)


def t_interval(values: ArrayLike, level: float = LEVEL) -> tuple[float, float]:
    """Student's interval of the mean over seeds; for equal values, that value twice.

    Args:
        values: (n,) one number a seed.
        level: 0.05 for a 95 % interval.

    Returns:
        Lower and upper end; NaN twice for fewer than two values.

    Example:
        >>> [round(end, 2) for end in t_interval([1.0, 2.0, 3.0])]
        [-0.48, 4.48]
    """
    low, high = intervals(values, level)
    return float(low), float(high)


def one_more(values: ArrayLike) -> tuple[float, float]:
    """Student's 95 % interval for the number of one more seed, wider than that of the mean.

    Args:
        values: (n,) one number a seed.

    Returns:
        Lower and upper end; NaN twice for fewer than three values.

    Example:
        >>> [round(end, 2) for end in one_more([1.0, 2.0, 3.0])]
        [-2.97, 6.97]
    """
    numbers = np.asarray(values, dtype=float)
    n = len(numbers)
    if n < LEAST_SEEDS:
        return float("nan"), float("nan")
    reach = stats.t.isf(LEVEL / 2, n - 1) * numbers.std(ddof=1) * np.sqrt(1 + 1 / n)
    return float(numbers.mean() - reach), float(numbers.mean() + reach)


def p_values(values: ArrayLike) -> Floats:
    """Two-sided p of Student's t test against a mean of 0: below a level exactly where the interval of that
    level leaves out 0.

    Args:
        values: (..., n) numbers, one a seed.

    Returns:
        (...); for equal values 1 if they are 0, and else 0; NaN where n is below 2.
    """
    numbers = np.asarray(values, dtype=float)
    seeds = numbers.shape[-1]
    if seeds < 2:
        return np.full(numbers.shape[:-1], np.nan)
    middle, error = numbers.mean(axis=-1), stats.sem(numbers, axis=-1)
    equal = np.ptp(numbers, axis=-1) == 0
    p = 2 * stats.t.sf(np.abs(middle) / np.where(equal, 1.0, error), seeds - 1)
    return np.where(equal, (numbers[..., 0] == 0).astype(float), p)


def p_value(values: ArrayLike) -> float:
    """`p_values` of the numbers of one statistic, (n,)."""
    return float(p_values(values))


# ---- verdicts ----------------------------------------------------------------------------------------------


def outcomes(low: ArrayLike, high: ArrayLike, delta: float | None) -> NDArray[np.str_]:
    """Verdicts that intervals give: (...) ends, positive numbers speaking for the claim.

    *Reproduced* above 0, *contradicted* below 0, *no effect* inside ±`delta` otherwise, else *undecided*,
    also where an end is NaN.

    Raises:
        InputError: For a `delta` that is not a positive number.
    """
    ends = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    inside = within(*ends, delta)
    return np.select([ends[0] > 0, ends[1] < 0, inside], OUTCOMES[:3], OUTCOMES[3])


def within(low: ArrayLike, high: ArrayLike, delta: float | None) -> NDArray[np.bool_]:
    """Whether intervals lie inside ±`delta`: an effect there, if any, is small; False for None.

    Raises:
        InputError: For a `delta` that is not a positive number.
    """
    below, above = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    if delta is None:
        return np.zeros(below.shape, dtype=bool)
    if not 0 < delta < np.inf:
        raise InputError(
            f"delta must be a positive number, or None for a statistic without one, got {delta!r}"
        )
    return (below > -delta) & (above < delta)


def verdict(values: Iterable[float], delta: float | None, *, level: float = LEVEL) -> str:
    """Verdict of one statistic, by the interval of its mean over seeds.

    Args:
        values: One number a seed, positive if it speaks for the claim; NaN for a seed without one.
        delta: Size below which an effect counts as none, in the unit of the values; None if there is no such
            size.
        level: 0.05 for 95 % intervals; smaller where a claim has several parts.

    Returns:
        "reproduced", "contradicted", "no effect" or "undecided"; always the last with fewer than three seeds.

    Raises:
        InputError: For a value that is infinite, a table in place of a list, a `delta` that is not positive,
            or a level outside of 0 to 1.

    Example:
        >>> verdict([1.2, 0.9, 1.1, 1.4, 1.0], 0.5), verdict([0.1, -0.1, 0.0, 0.1, -0.1], 0.5)
        ('reproduced', 'no effect')
    """
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level!r}")
    there = seeds_there(values)
    if len(there) < LEAST_SEEDS:
        there = np.array([np.nan])
    return str(outcomes(*intervals(there, level), delta))


def seeds_there(values: Iterable[float]) -> Floats:
    """The numbers of the seeds that have one, (n,) float.

    Raises:
        InputError: For an infinite number, or anything but a list of numbers.
    """
    given = np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype=float)
    if given.ndim != 1:
        raise InputError(f"need one number a seed, got a table of shape {given.shape}")
    if np.isinf(given).any():
        raise InputError(f"need a finite number a seed, got {given[np.isinf(given)][0]}")
    return given[~np.isnan(given)]


# ---- a curve of one seed, and of several -------------------------------------------------------------------


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
    generator, found = np.random.default_rng(seed), []
    for start in range(0, repeats, _AT_ONCE):
        some = min(_AT_ONCE, repeats - start)
        drawn = generator.integers(images, size=(some, images))
        drawn += images * np.arange(some)[:, None]
        times = np.bincount(drawn.ravel(), minlength=some * images).reshape(some, images)
        accuracy = (times.astype(np.float32) @ hits).astype(float) * (100 / images)
        changes = fitted_change(x, accuracy.reshape(some, len(seeds), len(alphas)))  # (repeats, seeds)
        chosen = generator.integers(len(seeds), size=changes.shape)
        found.append(np.take_along_axis(changes, chosen, axis=1).mean(axis=1))
    low, high = np.quantile(np.concatenate(found), [level / 2, 1 - level / 2])
    return (-float(high), -float(low)) if falling else (float(low), float(high))


# ---- many tests at once ------------------------------------------------------------------------------------


def _controlled(p: ArrayLike, method: str) -> Floats:
    given = np.asarray(p, dtype=float)
    found, there = np.full(given.shape, np.nan), ~np.isnan(given)
    if there.any():
        found[there] = stats.false_discovery_control(given[there], method=method)
    return found


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """p of several tests, (n,), so corrected that taking those below a level keeps the expected share of
    wrong ones among them below it, if the tests do not depend on each other or do so positively. NaN is no
    test.
    """
    return _controlled(p, "bh")


def benjamini_yekutieli(p: ArrayLike) -> Floats:
    """The same whatever the dependence between the tests, at the price of larger p."""
    return _controlled(p, "by")


def detectable(seeds: int, claims: int = 1) -> float:
    """Smallest distance of a mean from 0, in standard deviations between seeds, for its interval to leave out
    0; NaN for fewer than two seeds.

    Args:
        seeds: Number of seeds.
        claims: Number of claims that are tested together; the result is then what it takes to be the only one
            left after Benjamini and Yekutieli's correction.
    """
    p = LEVEL / (claims * (1 / np.arange(1, claims + 1)).sum())
    return float(stats.t.isf(p / 2, seeds - 1) / np.sqrt(seeds)) if seeds > 1 else float("nan")
