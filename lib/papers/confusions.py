"""Which class the images of another one are taken for, and whether they return once its logit is left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lib.base.errors import InputError
from lib.papers.class_accuracies import Floats, as_numbers, members


def confusion(labels: ArrayLike, predicted: ArrayLike, classes: int) -> Floats:
    """What the images of each class are taken for.

    Args:
        labels, predicted: (n,) int, below `classes`.

    Returns:
        (classes, classes), percent of the images of the row's class; rows without an image are NaN.

    Raises:
        InputError: For a label or prediction that is no class, or different numbers of them.

    Example:
        >>> confusion([0, 0, 1], [0, 1, 1], 2).tolist()
        [[50.0, 50.0], [0.0, 100.0]]
    """
    known, taken = members(labels, classes), members(predicted, classes)
    if len(known) != len(taken):
        raise InputError(f"need a prediction for each of {len(known)} labels, got {len(taken)}")
    counts = known.T @ taken
    sizes = counts.sum(axis=1, keepdims=True)
    return np.where(sizes > 0, 100 * counts / np.maximum(sizes, 1), np.nan)


def most_confused(table: ArrayLike) -> tuple[int, int]:
    """The class whose images are most often taken for one other class, and that one, from a `confusion`
    table; (-1, -1) where no image is taken for another class.

    Raises:
        InputError: For a table that is not square.
    """
    given = as_numbers(table, "confusions")
    if given.ndim != 2 or given.shape[0] != given.shape[1]:
        raise InputError(f"a confusion table has a row and a column per class, got the shape {given.shape}")
    others = np.nan_to_num(given)
    np.fill_diagonal(others, 0)
    if not others.any():
        return -1, -1
    place = np.unravel_index(others.argmax(), others.shape)
    return int(place[0]), int(place[1])


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
        InputError: If both are the same class, one is no class, or there are not as many labels as logits.
    """
    if source == confused:
        raise InputError(f"a class is confused with another one, got {source} twice")
    answers = as_numbers(logits, "logits").copy()
    if answers.ndim != 2:
        raise InputError(f"logits must be a row per image, got an array of shape {answers.shape}")
    for one in (source, confused):
        if not 0 <= one < answers.shape[1]:
            raise InputError(f"classes must lie in 0 to {answers.shape[1] - 1}, got {one}")
    given = members(labels, answers.shape[1])
    if len(given) != len(answers):
        raise InputError(f"need a label for each of {len(answers)} rows of logits, got {len(given)}")
    away = (given[:, source] == 1) & (answers.argmax(axis=1) == confused)
    answers[:, confused] = -np.inf
    return int(away.sum()), int((away & (answers.argmax(axis=1) == source)).sum())
