"""What a stronger attack gains over a weaker one, class by class, on three scales."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lib.base.errors import InputError
from lib.papers.class_accuracies import class_accuracies, members, paired_numbers

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

    Raises:
        InputError: For a label that is no class, or answers or margins of another number of images.
    """
    one, other = class_accuracies(labels, before, classes), class_accuracies(labels, after, classes)
    member = members(labels, classes)
    sizes = member.sum(axis=0)
    lower, upper = paired_numbers(margins_before, margins_after, "margins")
    if len(lower) != len(member):
        raise InputError(f"need a margin for each of {len(member)} images, got {len(lower)}")
    rise = (upper - lower) @ member
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
    the middle of an odd number counts for neither, and classes of one accuracy share what they gain, so that
    their order does not matter.

    Args:
        accuracy, gained: (classes,); classes without both are left out.

    Returns:
        Above 0 where the gain comes from the weak; NaN for fewer than two classes.

    Raises:
        InputError: For vectors of two lengths.
    """
    x, y = paired_numbers(accuracy, gained, "accuracies and gains")
    there = ~np.isnan(x) & ~np.isnan(y)
    x, y = x[there], y[there]
    if len(x) < 2:
        return float("nan")
    groups = np.unique(x, return_inverse=True)[1]
    y = (np.bincount(groups, weights=y) / np.bincount(groups))[groups]
    order, half = np.argsort(x, kind="stable"), len(x) // 2
    return float(y[order[:half]].mean() - y[order[-half:]].mean())
