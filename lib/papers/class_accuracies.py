"""Accuracies of classes, in percent, and how unequal they are."""

from __future__ import annotations

from numbers import Integral
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lib.base.errors import InputError

Floats = NDArray[np.float64]


def as_numbers(values: ArrayLike, what: str) -> Floats:
    """Numbers as an array.

    Args:
        values: Numbers, or lists of as many numbers each.
        what: What they are, for the message.

    Raises:
        InputError: They are anything else, such as text or lists of different lengths.
    """
    try:
        given = np.asarray(values)
        if given.dtype.kind not in "biufO":
            raise TypeError(f"an array of {given.dtype}")
        return given.astype(float)
    except (TypeError, ValueError, OverflowError) as error:
        reason = str(error).splitlines()[0][:100]
        raise InputError(f"{what} must be numbers, in lists of one length, got {reason}") from None


def _percent(accuracies: ArrayLike) -> Floats:
    given = as_numbers(accuracies, "accuracies of classes")
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

    Raises:
        InputError: For a label that is no class, or answers to another number of images.

    Example:
        >>> class_accuracies([0, 0, 1], [True, False, True], 3)
        array([ 50., 100.,  nan])
    """
    member = members(labels, classes)
    hits, sizes = right_answers(right, len(member)) @ member, member.sum(axis=0)
    return np.where(sizes > 0, 100 * hits / np.maximum(sizes, 1), np.nan)


def members(labels: ArrayLike, classes: int) -> Floats:
    """Which class each image is of.

    Args:
        labels: (n,) int.
        classes: Number of classes.

    Returns:
        (n, classes), 1 where an image is of a class, else 0.

    Raises:
        InputError: For a label that is no class, or a number of classes that is none.
    """
    if isinstance(classes, bool) or not isinstance(classes, Integral) or classes < 1:
        raise InputError(f"classes must be a whole number >= 1, got {classes!r}")
    given = as_numbers(labels, "labels")
    if given.ndim != 1:
        raise InputError(f"need one label per image, got an array of shape {given.shape}")
    wrong = given[~((given >= 0) & (given < classes) & (given == np.floor(given)))]
    if wrong.size:
        raise InputError(f"labels must lie in 0 to {classes - 1}, got {wrong[0]:g}")
    return np.eye(classes)[given.astype(int)]


def right_answers(values: ArrayLike, images: int) -> Floats:
    """Which images are right, as zeros and ones.

    Args:
        values: (..., n) bool.
        images: n, of which there are labels or other answers.

    Raises:
        InputError: For another number of images, or a value that is neither true nor false.
    """
    given = as_numbers(values, "right answers")
    if given.ndim == 0 or given.shape[-1] != images:
        raise InputError(f"need an answer to each of {images} images, got an array of shape {given.shape}")
    if (wrong := given[(given != 0) & (given != 1)]).size:
        raise InputError(f"right answers must be true or false, got {wrong[0]:g}")
    return given


def paired_numbers(first: ArrayLike, second: ArrayLike, what: str) -> tuple[Floats, Floats]:
    """Two vectors of numbers of the same things, (n,) each.

    Raises:
        InputError: For anything else, such as vectors of two lengths.
    """
    one, other = as_numbers(first, what), as_numbers(second, what)
    if one.ndim != 1 or one.shape != other.shape:
        raise InputError(f"{what} must be two vectors of one length, got {one.shape} and {other.shape}")
    return one, other


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
