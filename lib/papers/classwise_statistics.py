"""Statistics of robustness class by class: spread over classes, paired tests over images, gains of a stronger
attack on three scales, rank correlations, and the radius at which another network has the same mean.

Accuracies of classes are percent. Nothing here knows a network or a claim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lib.base.errors import InputError

Floats = NDArray[np.float64]

REPEATS = 2000  # of the bootstrap
LEAST_CLASSES = 3  # with fewer, ranks have nothing to say


# ---- spread over classes -----------------------------------------------------------------------------------


def _percent(accuracies: ArrayLike) -> Floats:
    given = np.asarray(accuracies, dtype=float)
    if given.ndim == 0 or given.shape[-1] == 0:
        raise InputError(f"need accuracies of classes in the last axis, got an array of shape {given.shape}")
    if (wrong := given[(given < 0) | (given > 100)]).size:
        raise InputError(f"accuracies of classes must be percent, 0 to 100, got {wrong.flat[0]:g}")
    return given


def class_wise_variance(accuracies: ArrayLike) -> Floats:
    """Mean squared deviation of the accuracies of classes from their mean (Tian et al., KDD 2021).

    Args:
        accuracies: (..., classes) in percent.

    Returns:
        (...) in points²; NaN where a class has no accuracy.

    Raises:
        InputError: For numbers outside of 0 to 100, or without a class.

    Example:
        >>> float(class_wise_variance([40.0, 60.0]))
        100.0
    """
    return _percent(accuracies).var(axis=-1)


def disparity(accuracies: ArrayLike) -> Floats:
    """Largest accuracy of a class minus the smallest (Tian et al., KDD 2021).

    Args:
        accuracies: (..., classes) in percent.

    Returns:
        (...) in points; NaN where a class has no accuracy.

    Raises:
        InputError: For numbers outside of 0 to 100, or without a class.
    """
    return np.ptp(_percent(accuracies), axis=-1)


def class_accuracies(labels: ArrayLike, right: ArrayLike, classes: int) -> Floats:
    """Accuracy of every class.

    Args:
        labels: (n,) int, the correct classes.
        right: (n,) bool, which images are classified correctly, or (repeats, n).
        classes: Number of classes.

    Returns:
        (classes,) or (repeats, classes) in percent; NaN for a class without an image.

    Example:
        >>> class_accuracies([0, 0, 1], [True, False, True], 3)
        array([ 50., 100.,  nan])
    """
    member = _members(labels, classes)
    hits, sizes = np.asarray(right, dtype=float) @ member, member.sum(axis=0)
    return np.where(sizes > 0, 100 * hits / np.maximum(sizes, 1), np.nan)


def _members(labels: ArrayLike, classes: int) -> Floats:
    """(n, classes), 1 where an image is of a class."""
    given = np.asarray(labels, dtype=int)
    if given.size and not 0 <= given.min() <= given.max() < classes:
        wrong = given[(given < 0) | (given >= classes)][0]
        raise InputError(f"labels must lie in 0 to {classes - 1}, got {wrong}")
    return np.eye(classes)[given]


def present(accuracies: ArrayLike) -> Floats:
    """The accuracies of the classes that have one: the others had no image, and are left out."""
    given = np.asarray(accuracies, dtype=float)
    return given[~np.isnan(given)]


class Spread(NamedTuple):
    """How unequal the classes that have images are; NaN where there is none."""

    mean: float  # of the classes, percent
    variance: float  # class-wise, points²
    disparity: float  # points
    worst: int  # class of the lowest accuracy, the first of several; -1 for none
    lowest: float  # its accuracy, percent
    classes: int  # classes with an image


def spread(accuracies: ArrayLike) -> Spread:
    """Summarise the accuracies of classes, (classes,) percent; a class with NaN had no image and is left
    out.
    """
    given = np.asarray(accuracies, dtype=float)
    there = present(given)
    if not there.size:
        return Spread(np.nan, np.nan, np.nan, -1, np.nan, 0)
    worst = int(np.nanargmin(given))
    variance, largest = float(class_wise_variance(there)), float(disparity(there))
    return Spread(float(there.mean()), variance, largest, worst, float(given[worst]), there.size)


def confusion(labels: ArrayLike, predicted: ArrayLike, classes: int) -> Floats:
    """What the images of each class are taken for.

    Args:
        labels, predicted: (n,) int, below `classes`.

    Returns:
        (classes, classes), percent of the images of the row's class; rows without an image are NaN.

    Example:
        >>> confusion([0, 0, 1], [0, 1, 1], 2).tolist()
        [[50.0, 50.0], [0.0, 100.0]]
    """
    counts = _members(labels, classes).T @ _members(predicted, classes)
    sizes = counts.sum(axis=1, keepdims=True)
    return np.where(sizes > 0, 100 * counts / np.maximum(sizes, 1), np.nan)


def most_confused(table: ArrayLike) -> tuple[int, int]:
    """The class whose images are most often taken for one other class, and that one, from a `confusion`
    table; (-1, -1) where no image is taken for another class.
    """
    others = np.nan_to_num(np.array(table, dtype=float))
    np.fill_diagonal(others, 0)
    if not others.any():
        return -1, -1
    place = np.unravel_index(others.argmax(), others.shape)
    return int(place[0]), int(place[1])


# ---- paired over images ------------------------------------------------------------------------------------


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
    _members(given, classes)  # refuses labels that are none
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


# ---- what a stronger attack gains --------------------------------------------------------------------------

SCALES = ("points", "share", "margin")


def gains(
    labels: ArrayLike,
    before: ArrayLike,
    after: ArrayLike,
    margins_before: ArrayLike,
    margins_after: ArrayLike,
    classes: int,
) -> pd.DataFrame:
    """What a stronger attack gains over a weaker one from the same starts, class by class.

    Args:
        labels: (n,) int.
        before, after: (n,) bool, which images are right under the weaker and the stronger attack.
        margins_before, margins_after: (n,) strongest wrong logit minus the correct one, under either.
        classes: Number of classes.

    Returns:
        One row per class with the columns images, accuracy (mean of both, percent; a class's place among
        the others, which does not favour either), points (fall of accuracy), share (that fall in percent of
        what had survived the weaker attack; NaN where nothing had) and margin (mean rise of the margin, in
        logits).
    """
    one, other = class_accuracies(labels, before, classes), class_accuracies(labels, after, classes)
    member = _members(labels, classes)
    sizes = member.sum(axis=0)
    rise = (np.asarray(margins_after, dtype=float) - np.asarray(margins_before, dtype=float)) @ member
    survived = np.where(one > 0, one, np.nan)
    return pd.DataFrame({
        "images": sizes.astype(int),
        "accuracy": (one + other) / 2,
        "points": one - other,
        "share": 100 * (one - other) / survived,
        "margin": np.where(sizes > 0, rise / np.maximum(sizes, 1), np.nan),
    })


def weak_over_strong(accuracy: ArrayLike, gained: ArrayLike) -> float:
    """Mean gain of the half of classes of low accuracy minus that of the half of high accuracy; the class in
    the middle of an odd number counts for neither.

    Args:
        accuracy, gained: (classes,); classes without both are left out.

    Returns:
        Above 0 where the gain comes from the weak; NaN for fewer than two classes.
    """
    x, y = np.asarray(accuracy, dtype=float), np.asarray(gained, dtype=float)
    there = ~np.isnan(x) & ~np.isnan(y)
    x, y = x[there], y[there]
    if len(x) < 2:
        return float("nan")
    order, half = np.argsort(x, kind="stable"), len(x) // 2
    return float(y[order[:half]].mean() - y[order[-half:]].mean())


# ---- ranks -------------------------------------------------------------------------------------------------


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's correlation of two vectors over classes, (classes,) each; classes without both are left
    out.

    NaN for fewer than three classes, or where one vector is constant, as at chance.
    """
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    there = ~np.isnan(x) & ~np.isnan(y)
    x, y = x[there], y[there]
    if len(x) < LEAST_CLASSES or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(stats.spearmanr(x, y).statistic)


def rank_matrix(vectors: pd.DataFrame) -> pd.DataFrame:
    """Spearman's correlation of every pair of rows, over the columns, which are classes."""
    rows = vectors.to_numpy(dtype=float)
    found = [[rank_correlation(one, other) for other in rows] for one in rows]
    return pd.DataFrame(found, index=vectors.index, columns=vectors.index)


# ---- the same mean at another radius -----------------------------------------------------------------------


class Matched(NamedTuple):
    """A network at the radius at which the mean of its classes is a given one."""

    radius: float
    accuracies: Floats  # (classes,) percent


def at_mean(radii: ArrayLike, accuracies: ArrayLike, mean: float) -> Matched | None:
    """Interpolate a network's class accuracies to the radius at which their mean is a given one, on straight
    lines between radii.

    Args:
        radii: (r,) ascending, 0 for clean images.
        accuracies: (r, classes) percent at each radius; classes of NaN are left out of the mean.
        mean: Percent.

    Returns:
        The first such radius with the accuracies there; None where the mean is reached at none.

    Example:
        >>> at_mean([0.0, 1.0], [[100.0, 80.0], [50.0, 10.0]], 60.0)
        Matched(radius=0.5, accuracies=array([75., 45.]))
    """
    x, y = np.asarray(radii, dtype=float), np.asarray(accuracies, dtype=float)
    if y.shape[:1] != x.shape or not (np.diff(x) > 0).all():
        raise InputError(f"need accuracies at ascending radii, got {y.shape[:1]} of them at {x.tolist()}")
    middle = np.nanmean(y, axis=1)
    for place in range(len(x) - 1):
        here, there = middle[place], middle[place + 1]
        if min(here, there) <= mean <= max(here, there):
            part = 0.0 if here == there else (mean - here) / (there - here)
            lines = y[place] + part * (y[place + 1] - y[place])
            return Matched(float(x[place] + part * (x[place + 1] - x[place])), lines)
    return None


# ---- what is done about the worst class --------------------------------------------------------------------


def homing(logits: ArrayLike, labels: ArrayLike, source: int, confused: int) -> tuple[int, int]:
    """How many adversarial images of a class that are taken for another one return to their class once that
    one's logit is left out.

    Args:
        logits: (n, classes) of the adversarial images.
        labels: (n,) int.
        source: The class whose images are looked at.
        confused: The class whose logit is left out.

    Returns:
        Images of `source` that are taken for `confused`, and how many of them return.

    Raises:
        InputError: If both are the same class.
    """
    if source == confused:
        raise InputError(f"a class is confused with another one, got {source} twice")
    answers = np.array(logits, dtype=float)
    away = (np.asarray(labels) == source) & (answers.argmax(axis=1) == confused)
    answers[:, confused] = -np.inf
    return int(away.sum()), int((away & (answers.argmax(axis=1) == source)).sum())
