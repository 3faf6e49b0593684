"""Statistics over the images of one network: a paired test, and intervals of what is asked of its classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from lib.base.errors import InputError
from lib.papers.class_accuracies import Floats, members

REPEATS = 2000  # of the bootstrap


class Paired(NamedTuple):
    """McNemar's exact test of two answers to the same images."""

    first: int  # images that only the first has right
    second: int  # images that only the second has right
    p: float  # two-sided


def mcnemar(first: ArrayLike, second: ArrayLike) -> Paired:
    """Compare two sets of right answers to the same images, (n,) bool each, by those where they differ.

    Raises:
        InputError: For different numbers of images.

    Example:
        >>> mcnemar([True, True, False], [True, False, False])
        Paired(first=1, second=0, p=1.0)
    """
    one, other = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if one.shape != other.shape or one.ndim != 1:
        raise InputError(f"a paired test needs the same images twice, got {one.shape} and {other.shape}")
    alone = int((one & ~other).sum()), int((other & ~one).sum())
    return Paired(*alone, float(stats.binomtest(alone[0], sum(alone)).pvalue) if sum(alone) else 1.0)


def over_images(
    labels: ArrayLike,
    right: Mapping[str, ArrayLike],
    classes: int,
    statistic: Callable[[Mapping[str, Floats]], Floats],
    *,
    repeats: int = REPEATS,
    seed: int = 0,
    level: float = 0.05,
) -> tuple[float, float]:
    """Percentile interval of a statistic of class accuracies, over other images of the same classes.

    Each repeat draws as many images of every class as there are, with replacement, the same for all attacks.

    Args:
        labels: (n,) int.
        right: {attack: (n,) bool}.
        classes: Number of classes.
        statistic: From {attack: (repeats, classes) percent, NaN for a class without images} to (repeats,).
        repeats: Number of repeats.
        seed: Of the draws.
        level: 0.05 for a 95 % interval.

    Returns:
        Lower and upper end; NaN twice without an image.
    """
    given, random = np.asarray(labels, dtype=int), np.random.default_rng(seed)
    members(given, classes)  # refuses labels that are none
    hits = {name: np.full((repeats, classes), np.nan) for name in right}
    for one in np.unique(given):
        rows = np.flatnonzero(given == one)
        times = random.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=repeats)
        for name, answers in right.items():
            # a mean of zeros and ones may leave 0 to 100 by rounding
            hits[name][:, one] = 100 * (times @ np.asarray(answers, dtype=int)[rows]) / len(rows)
    if not given.size:
        return float("nan"), float("nan")
    found = np.asarray(statistic(hits), dtype=float)
    low, high = np.nanquantile(found, [level / 2, 1 - level / 2])
    return float(low), float(high)
