"""Numbers as means over seeds with their intervals, and changes from one α to another, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from lib.base.text import number
from lib.papers.claim import LEAST_SEEDS
from lib.papers.statistics import t_interval


def as_percent(log10: float) -> float:
    """A difference of logarithms as a change in percent.

    Example:
        >>> as_percent(1.0), as_percent(0.0)
        (900.0, 0.0)
    """
    return 100 * (10**log10 - 1)


def estimate(values: pd.Series, form: str, shown: Callable[[float], float] = float) -> str:
    """Mean over seeds, and its 95 % t interval in brackets where there are seeds enough for one.

    Args:
        shown: Rising function by which the mean and both ends are turned into what readers see.

    Example:
        >>> estimate(pd.Series([1.0, 2.0, 3.0]), ".1f")
        '2.0 (−0.5 to 4.5)'
    """
    values = values.dropna()
    if values.empty:
        return "not measured"
    words = number(shown(values.mean()), form)
    if len(values) >= LEAST_SEEDS:
        low, high = t_interval(values)
        words += f" ({number(shown(low), form)} to {number(shown(high), form)})"
    return words


def is_clear(values: pd.Series) -> bool:
    """Whether the 95 % t interval of a mean over seeds leaves out 0; False with too few seeds for one."""
    values = values.dropna()
    if len(values) < LEAST_SEEDS:
        return False
    low, high = t_interval(values)
    return not low <= 0 <= high


def moved(table: pd.DataFrame, start: float, to: float) -> pd.Series:
    """Change from one α to another, seed by seed; NaN where the table has not both.

    Args:
        table: One row per seed, one column per α.
    """
    nothing = pd.Series(float("nan"), table.index)
    return table.get(to, nothing) - table.get(start, nothing)


def of_scale(sides: Sequence[pd.Series]) -> str:
    """Whether the Jacobian's norm changes beyond the scale of the logits, as a sentence.

    Args:
        sides: What lowering and raising selectivity change in the norm over the logits' spread, by seed.
    """
    if all(one.notna().sum() < LEAST_SEEDS for one in sides):
        return "Whether LM-10 is one of the logits' scale takes more seeds, or an α on either side of 0."
    clear = [is_clear(one) for one in sides]
    if not any(clear):
        return (
            "Divided by the spread of the logits, neither change of the norm is clear: LM-10 may be one of "
            "scale."
        )
    where = "on both sides" if all(clear) else "on one side alone"
    return f"Divided by the spread of the logits, the norm changes clearly {where}."


def changes(
    rows: pd.DataFrame,
    by: str,
    column: str,
    pairs: Iterable[tuple[float, float]],
    *,
    scale: float = 1.0,
    form: str = "+.1f",
    shown: Callable[[float], float] = float,
) -> pd.DataFrame:
    """One row per value of `by`, in the order of the table: the change of a column from one α to another,
    paired by seed, as mean and interval.

    Args:
        rows: Table with alpha, seed, `by` and the column; where a network has several numbers for a value of
            `by`, their mean is taken.
        pairs: Pairs of α (from, to); a pair with an α that is not in the table, such as NaN, is skipped.
        scale: Factor by which the numbers are multiplied.
        shown: As in `estimate`.
    """
    found = rows.groupby([by, "seed", "alpha"], sort=False)[column].mean().mul(scale).unstack("alpha")
    there = [
        (one, other)
        for one, other in dict.fromkeys(pairs)
        if one in found and other in found and one != other
    ]
    moved = {f"from {number(one)} to {number(other)}": found[other] - found[one] for one, other in there}
    return pd.DataFrame([
        {by: value} | {name: estimate(change.xs(value), form, shown) for name, change in moved.items()}
        for value in rows[by].unique()
    ])


def by_counting(
    changes: pd.DataFrame, alphas: Iterable[float], ways: Mapping[str, str], over: Iterable[float]
) -> pd.DataFrame:
    """One row per way of counting dimensions, one column per α and one for the mean over several: dimensions
    of the change by an attack minus those of the change by corruptions, in percent of units.

    Args:
        changes: Rows of `layers.dimensions`, of the layers that are averaged over.
        alphas: Values of α; those that are not in the table are skipped.
        ways: {words: column with a share of the units}.
        over: Values of α of the mean, likewise.
    """
    rows = []
    for words, column in ways.items():
        wide = changes.groupby(["alpha", "seed", "change"])[column].mean().unstack("change")
        gap = 100 * (wide.attack - wide.corruption)
        there = [alpha for alpha in dict.fromkeys(alphas) if alpha in gap.index]
        some = [alpha for alpha in dict.fromkeys(over) if alpha in gap.index]
        mean = gap[gap.index.get_level_values("alpha").isin(some)].groupby("seed").mean()
        rows.append(
            {"": words}
            | {f"at {number(alpha)}": estimate(gap[alpha], "+.1f") for alpha in there}
            | ({f"mean of {len(some)} α": estimate(mean, "+.1f")} if some else {})
        )
    return pd.DataFrame(rows)
