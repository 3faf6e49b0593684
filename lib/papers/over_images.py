"""Statistics over the images of one network: a paired test, and intervals of what is asked of its classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from lib.base.errors import InputError
from lib.papers.class_accuracies import Floats, members, right_answers

REPEATS = 2000  # of the bootstrap


class Paired(NamedTuple):
    """McNemar's exact test of two answers to the same images."""

    first: int  # images that only the first has right
    second: int  # images that only the second has right
    p: float  # two-sided


def mcnemar(first: ArrayLike, second: ArrayLike) -> Paired:
    """Compare two sets of right answers to the same images, (n,) bool each, by those where they differ.

    Raises:
        InputError: For different numbers of images, or an answer that is neither right nor wrong.

    Example:
        >>> mcnemar([True, True, False], [True, False, False])
        Paired(first=1, second=0, p=1.0)
    """
    shapes = np.shape(first), np.shape(second)
    if shapes[0] != shapes[1] or len(shapes[0]) != 1:
        raise InputError(f"a paired test needs the same images twice, got {shapes[0]} and {shapes[1]}")
    one, other = (right_answers(answers, shapes[0][0]).astype(bool) for answers in (first, second))
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
        Lower and upper end; NaN twice without an image, or where the statistic is NaN throughout.

    Raises:
        InputError: For labels that are no classes, answers to other images, no repeat or no level.
    """
    if repeats < 1 or not 0 < level < 1:
        raise InputError(f"need repeats of 1 or more and a level of 0 to 1, got {repeats} and {level}")
    given, random = members(labels, classes).argmax(axis=1), np.random.default_rng(seed)
    answered = {name: right_answers(answers, len(given)).astype(int) for name, answers in right.items()}
    hits = {name: np.full((repeats, classes), np.nan) for name in right}
    for one in np.unique(given):
        rows = np.flatnonzero(given == one)
        times = random.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=repeats)
        for name, answers in answered.items():
            # a mean of zeros and ones may leave 0 to 100 by rounding
            hits[name][:, one] = 100 * (times @ answers[rows]) / len(rows)
    if not given.size:
        return float("nan"), float("nan")
    found = np.asarray(statistic(hits), dtype=float)
    if np.isnan(found).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(found, [level / 2, 1 - level / 2])
    return float(low), float(high)
