"""Numbers as means over seeds with their intervals, and changes from one α to another, in words."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from lib.base.text import number
from lib.papers.claim import LEAST_SEEDS
from lib.papers.statistics import t_interval


def estimate(values: pd.Series, form: str) -> str:
    """Mean over seeds, and its 95 % t interval in brackets where there are seeds enough for one.

    Example:
        >>> estimate(pd.Series([1.0, 2.0, 3.0]), ".1f")
        '2.0 (−0.5 to 4.5)'
    """
    values = values.dropna()
    if values.empty:
        return "not measured"
    words = number(values.mean(), form)
    if len(values) >= LEAST_SEEDS:
        low, high = t_interval(values)
        words += f" ({number(low, form)} to {number(high, form)})"
    return words


def changes(
    rows: pd.DataFrame,
    by: str,
    column: str,
    pairs: Iterable[tuple[float, float]],
    *,
    scale: float = 1.0,
    form: str = "+.1f",
) -> pd.DataFrame:
    """One row per value of `by`, in the order of the table: the change of a column from one α to another,
    paired by seed, as mean and interval.

    Args:
        rows: Table with alpha, seed, `by` and the column; where a network has several numbers for a value of
            `by`, their mean is taken.
        pairs: Pairs of α (from, to); a pair with an α that is not in the table, such as NaN, is skipped.
        scale: Factor by which the numbers are multiplied.
    """
    found = rows.groupby([by, "seed", "alpha"], sort=False)[column].mean().mul(scale).unstack("alpha")
    there = [
        (one, other)
        for one, other in dict.fromkeys(pairs)
        if one in found and other in found and one != other
    ]
    moved = {f"from {number(one)} to {number(other)}": found[other] - found[one] for one, other in there}
    return pd.DataFrame([
        {by: value} | {name: estimate(change.xs(value), form) for name, change in moved.items()}
        for value in rows[by].unique()
    ])


def by_share(changes: pd.DataFrame, alphas: Iterable[float], *, shares: Iterable[int]) -> pd.DataFrame:
    """One row per share of the variance, one column per α: dimensions of the change by an attack minus those
    of the change by corruptions, in percent of units.

    Args:
        changes: Rows of `layers.dimensions`, of the layers that are averaged over.
        alphas: Values of α; those that are not in the table are skipped.
    """
    rows = []
    for share in shares:
        wide = changes.groupby(["alpha", "seed", "change"])[f"per_unit_{share}"].mean().unstack("change")
        gap = 100 * (wide.attack - wide.corruption)
        there = [alpha for alpha in dict.fromkeys(alphas) if alpha in gap.index]
        rows.append(
            {"variance, %": f"{share}"}
            | {f"at {number(alpha)}": estimate(gap[alpha], "+.1f") for alpha in there}
        )
    return pd.DataFrame(rows)
