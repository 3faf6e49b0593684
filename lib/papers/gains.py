"""What a stronger attack gains over a weaker one, class by class, on three scales."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lib.papers.class_accuracies import class_accuracies, members

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
    member = members(labels, classes)
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
