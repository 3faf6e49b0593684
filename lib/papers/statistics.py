"""Statistics of plain numbers: verdicts and many tests at once; intervals and trends from their modules.

Nothing here knows a network or a claim.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lib.base.errors import InputError
from lib.papers.class_accuracies import as_numbers, class_wise_variance, disparity
from lib.papers.intervals import (
    LEAST_SEEDS,
    LEVEL,
    Floats,
    intervals,
    one_more,
    p_value,
    p_values,
    t_interval,
)
from lib.papers.trends import REPEATS, alpha_of_change, bootstrap, fitted_change, page_trend

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
    "one_more",
    "outcomes",
    "p_value",
    "p_values",
    "page_trend",
    "seeds_there",
    "t_interval",
    "verdict",
    "within",
]

OUTCOMES = ("reproduced", "contradicted", "no effect", "undecided")


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
    if isinstance(delta, bool) or not isinstance(delta, Real) or not 0 < delta < np.inf:
        raise InputError(
            f"delta must be a positive number, or None for a statistic without one, got {delta!r}"
        )
    return (below > -delta) & (above < delta)


def verdict(values: Iterable[float], delta: float | None, *, level: float = LEVEL) -> str:
    """Verdict of one statistic, by the interval of its mean over seeds.

    Args:
        values: One number per seed, positive if it speaks for the claim; NaN for a seed without one.
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
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputError(f"need one number per seed, got {values!r}")
    given = as_numbers(values if isinstance(values, np.ndarray) else list(values), "values of seeds")
    if given.ndim != 1:
        raise InputError(f"need one number per seed, got a table of shape {given.shape}")
    if np.isinf(given).any():
        raise InputError(f"need one finite number per seed, got {given[np.isinf(given)][0]}")
    return given[~np.isnan(given)]


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
