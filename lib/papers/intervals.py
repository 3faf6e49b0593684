"""The mean over seeds: Student's intervals and tests of plain numbers.

Nothing here knows a network or a claim.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEAST_SEEDS = 3  # fewer seeds give no useful interval, hence no verdict
LEVEL = 0.05  # two-sided: intervals hold 95 %

Floats = NDArray[np.float64]


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
        values: (n,) one number per seed.
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
        values: (n,) one number per seed.

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
