"""Which class the images of another one are taken for, and whether they return once its logit is left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lib.base.errors import InputError
from lib.papers.class_accuracies import Floats, members


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
    counts = members(labels, classes).T @ members(predicted, classes)
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
