"""What decides the claims of SingleProp: for each, one number per seed, positive if it speaks for the claim.

A column of a summary holds a share of images or of units; methods are told by the names of ways of training.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pandas as pd

from lib.base.errors import InputError
from lib.papers.trends import fitted_change

IBP, ZERO, FASTLIN, PGD = "ibp", "singleprop-zero", "singleprop-fastlin", "adversarial"
METHODS = ("plain", PGD, IBP, ZERO, FASTLIN)
_NAME = re.compile(rf"(plain|{PGD}|{IBP}|{ZERO}|{FASTLIN})(?:-([0-9.]+))?(-ada)?")


def method(variant: str) -> str:
    """The method of a way of training: its name without the radius, with -ada for the adaptive weight; "" for
    a way of training of another kind.

    Example:
        >>> method("singleprop-fastlin-2"), method("ibp-8-ada"), method("augmix")
        ('singleprop-fastlin', 'ibp-ada', '')
    """
    found = _NAME.fullmatch(variant)
    return found[1] + (found[3] or "") if found else ""


def by_method(summary: pd.DataFrame, column: str, *methods: str) -> pd.DataFrame:
    """One row per seed that has all of these methods at α = 0, one column per method.

    Raises:
        InputError: If a method was trained in several balls, or for different numbers of epochs.
    """
    rows = summary[summary.alpha == 0].assign(method=summary.variant.map(method))
    rows = rows[rows.method.isin(methods)]
    if rows.duplicated(["seed", "method"]).any():
        raise InputError(
            f"a claim compares networks of one radius, got {', '.join(sorted(set(rows.variant)))} together"
        )
    if rows.epochs.nunique() > 1:
        raise InputError(
            f"a claim compares networks of equal length, these were trained "
            f"{' and '.join(map(str, sorted(set(rows.epochs))))} epochs"
        )
    if column not in rows:
        return pd.DataFrame(columns=[*methods], dtype=float)
    wide = rows.pivot(index="seed", columns="method", values=column)
    return wide.reindex(columns=[*methods]).dropna()


def difference(
    column: str, one: str, other: str, *, plus: float = 0.0
) -> Callable[[pd.DataFrame], pd.Series]:
    """Statistic: a column of one method minus that of another, in percent, plus a margin."""

    def statistic(summary: pd.DataFrame) -> pd.Series:
        wide = by_method(summary, column, one, other)
        return 100 * (wide[one] - wide[other]) + plus

    return statistic


def uncovered(summary: pd.DataFrame) -> pd.DataFrame:
    """For each seed and rule, share of the first layer's units that its interval does not cover, in percent,
    in the network trained by that rule.
    """
    parts = {"zero": ("uncovered_zero", ZERO), "fastlin": ("uncovered_fastlin", FASTLIN)}
    return pd.DataFrame({
        name: 100 * by_method(summary, column, how)[how] for name, (column, how) in parts.items()
    }).dropna()


def fewer_unstable(summary: pd.DataFrame) -> pd.DataFrame:
    """For each seed, unstable units (percent) and relative centre error (percent of the interval) of plain
    training minus those of training on interval bounds.
    """
    parts = {"unstable units": "unstable", "error of the centre": "relative_centre_error"}
    wide = {name: by_method(summary, column, "plain", IBP) for name, column in parts.items()}
    return pd.DataFrame({name: 100 * (one["plain"] - one[IBP]) for name, one in wide.items()}).dropna()


def gained_together(summary: pd.DataFrame) -> pd.Series:
    """For each seed, images that the network of IBP or that of SingleProp certifies, minus those that the
    better of the two does, in points.
    """
    alone = by_method(summary, "certified", IBP, FASTLIN).max(axis=1)
    return (100 * (by_method(summary, "certified_by_any", FASTLIN)[FASTLIN] - alone)).dropna()


def gained_by_linear(summary: pd.DataFrame) -> pd.DataFrame:
    """For each seed and method, images that the larger of linear and interval bounds certifies, minus those
    that interval bounds alone do, on the same images, in points.
    """
    parts = {}
    for how in (IBP, FASTLIN):
        larger, alone = (by_method(summary, one, how)[how] for one in ("certified_larger", "certified_few"))
        parts[how] = 100 * (larger - alone)
    return pd.DataFrame(parts).dropna()


def gained_by_adapting(summary: pd.DataFrame) -> pd.DataFrame:
    """For each seed and method, certified accuracy with the adaptive weight minus that with the fixed one, in
    points.
    """
    return pd.DataFrame({
        how: difference("certified", f"{how}-ada", how)(summary) for how in (IBP, FASTLIN)
    }).dropna()


def more_selective(summary: pd.DataFrame) -> pd.DataFrame:
    """For each seed, mean selectivity of live units of each robust method minus that of plain training."""
    return pd.DataFrame({
        how: difference("live_selectivity", how, "plain")(summary) / 100 for how in (PGD, IBP, FASTLIN)
    }).dropna()


def certified_over_alpha(summary: pd.DataFrame) -> pd.Series:
    """For each seed, change from the lowest α to the highest of the share of right images that are certified,
    along a straight line through SingleProp's networks, in points.
    """
    rows = summary[summary.variant.map(method) == FASTLIN]
    wide = rows.assign(share=rows.certified / rows.clean_accuracy).pivot(
        index="seed", columns="alpha", values="share"
    )
    wide = wide.sort_index(axis=1)
    # the α that all seeds have, if these are enough: one seed with more of them leaves the others in
    shared = wide.dropna(axis=1)
    wide = shared if shared.shape[1] >= 3 else wide.dropna()
    if wide.shape[1] < 3:
        return pd.Series(dtype=float)
    alphas = [list(wide.columns)] * len(wide)
    return pd.Series(100 * fitted_change(alphas, wide.to_numpy()), index=wide.index)
