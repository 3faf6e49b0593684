"""Rank correlations over classes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from lib.papers.class_accuracies import paired_numbers

LEAST_CLASSES = 3  # with fewer, ranks have nothing to say


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's correlation of two vectors over classes, (classes,) each; classes without both are left
    out.

    NaN for fewer than three classes, or where one vector is constant, as at chance.

    Raises:
        InputError: For vectors of two lengths.
    """
    x, y = paired_numbers(first, second, "vectors over classes")
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
