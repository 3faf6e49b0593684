"""Tables of estimates: a row a group of networks, each measured number as mean over seeds and interval, formatted to be read."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from lib.claims import LEAST_SEEDS
from lib.effects import t_interval, variant_name


def estimate(values: pd.Series, form: str) -> str:
    """Mean over seeds, and its 95 % t interval in brackets where there are seeds enough for one.

    >>> estimate(pd.Series([1.0, 2.0, 3.0]), ".1f")
    '2.0 (−0.5 to 4.5)'
    """
    values = values.dropna()
    if values.empty:
        return "not measured"
    words = f"{values.mean():{form}}"
    if len(values) >= LEAST_SEEDS:
        low, high = t_interval(values)
        words += f" ({low:{form}} to {high:{form}})"
    return words.replace("-", "−")


def _means(summary: pd.DataFrame, by: list[str], names: Callable[..., dict[str, str]], columns: dict[str, tuple[str, float, str]]) -> pd.DataFrame:
    """A row a group, in the order of the table: what it is, n, and each column as mean over seeds and interval.

    names    of the values of `by`: the first columns
    columns  {label: (column of the summary, factor, format)}
    """
    rows = []
    for key, networks in summary.groupby(by, sort=False):
        diverged = (networks.status == "diverged").sum()
        row = names(*key) | {"n": f"{len(networks)}" + (f", {diverged} diverged" if diverged else "")}
        rows.append(row | {label: estimate(factor * networks[column], form) for label, (column, factor, form) in columns.items()})
    return pd.DataFrame(rows)


def _alpha(alpha: float) -> dict[str, str]:
    return {"α": f"{alpha:g}".replace("-", "−")}


def by_training(summary: pd.DataFrame) -> pd.DataFrame:
    """A row a way of training (and α, where there are several), in the order of the table: n, and each measured column as mean and interval."""
    columns = {
        "clean accuracy, %": ("clean_accuracy", 100, ".1f"),
        "mean selectivity": ("mean_selectivity", 1, ".3f"),
        "dead units left out": ("live_selectivity", 1, ".3f"),
        "dead units, %": ("dead", 100, ".1f"),
    }
    rows = _means(summary, ["variant", "alpha"], lambda variant, alpha: {"training": variant_name(variant)} | _alpha(alpha), columns)
    return rows if summary.alpha.nunique() > 1 else rows.drop(columns="α")


def by_alpha(summary: pd.DataFrame) -> pd.DataFrame:
    """A row an α: n, and accuracy on clean and corrupted images, and the one over the other, as mean and interval; see lib/accuracy.py."""
    columns = {"clean, %": "subset_accuracy", "corrupted, %": "corrupted_accuracy", "corrupted / clean, %": "relative_accuracy"}
    return _means(summary.sort_values("alpha"), ["alpha"], _alpha, {label: (column, 100, ".1f") for label, column in columns.items()})


def attacked_by_alpha(summary: pd.DataFrame) -> pd.DataFrame:
    """A row an α: n, accuracy under each attack at the strength that stands for the data set, and the Jacobian's norm; see lib/robustness.py."""
    columns = {
        "clean, %": "attacked_clean", "FGSM, %": "fgsm_accuracy", "PGD, %": "pgd_accuracy", "ball: cross-entropy, %": "ball_cross_entropy",
        "ball: margin, %": "ball_margin", "ball: temperature, %": "ball_temperature", "made for others, %": "transfer_accuracy",
        "AutoAttack, %": "autoattack_accuracy",
    }  # fmt: skip
    measured = {label: (column, 100, ".1f") for label, column in columns.items() if summary[column].notna().any()}
    return _means(summary.sort_values("alpha"), ["alpha"], _alpha, measured | {"Jacobian": ("jacobian", 1, ".3g")})
