"""The radius at which the classes of another network have the same mean."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lib.base.errors import InputError
from lib.papers.class_accuracies import Floats, as_numbers


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

    Raises:
        InputError: For radii that do not ascend, or not a row of accuracies for each.

    Example:
        >>> at_mean([0.0, 1.0], [[100.0, 80.0], [50.0, 10.0]], 60.0)
        Matched(radius=0.5, accuracies=array([75., 45.]))
    """
    x, y = as_numbers(radii, "radii"), as_numbers(accuracies, "accuracies of classes")
    if y.ndim != 2 or y.shape[:1] != x.shape or not (np.diff(x) > 0).all():
        raise InputError(
            f"need a row of accuracies at each of ascending radii, got the shape {y.shape} at {x.tolist()}"
        )
    there = ~np.isnan(y)
    sums, counts = np.where(there, y, 0).sum(axis=1), there.sum(axis=1)
    middle = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    for place in range(len(x) - 1):
        here, there = middle[place], middle[place + 1]
        if min(here, there) <= mean <= max(here, there):
            part = 0.0 if here == there else (mean - here) / (there - here)
            lines = y[place] + part * (y[place + 1] - y[place])
            return Matched(float(x[place] + part * (x[place + 1] - x[place])), lines)
    return None
