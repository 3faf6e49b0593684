"""One row per group of networks: n, and each measured number as mean over seeds and interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from lib.base.text import number
from lib.book.tables.estimates import estimate
from lib.training import variants


def _means(
    summary: pd.DataFrame,
    by: list[str],
    names: Callable[..., dict[str, str]],
    columns: Mapping[str, tuple[str, float, str]],
) -> pd.DataFrame:
    """One row per group, in the order of the table: its name, n, and each column as mean over seeds and, in a
    line below it, interval.

    Args:
        names: Function from the values of `by` to the first columns.
        columns: {label: (column of the summary, factor, format)}.
    """
    rows = []
    for key, networks in summary.groupby(by, sort=False):
        diverged = (networks.status == "diverged").sum()
        row = names(*key) | {"n": f"{len(networks)}" + (f", {diverged} diverged" if diverged else "")}
        rows.append(
            row
            | {
                label: estimate(factor * networks[column], form).replace(" (", "\n(")
                for label, (column, factor, form) in columns.items()
            }
        )
    return pd.DataFrame(rows)


def _alpha(alpha: float) -> dict[str, str]:
    return {"α": number(alpha)}


def _by_training(summary: pd.DataFrame, columns: Mapping[str, tuple[str, float, str]]) -> pd.DataFrame:
    rows = _means(
        summary,
        ["variant", "alpha"],
        lambda variant, alpha: {"training": variants.variant(variant).label} | _alpha(alpha),
        columns,
    )
    return rows if summary.alpha.nunique() > 1 else rows.drop(columns="α")


def by_training(summary: pd.DataFrame) -> pd.DataFrame:
    """One row per way of training (and α, if there are several), in the order of the table: n, and each
    measured column as mean and interval.
    """
    columns = {
        "clean accuracy, %": ("clean_accuracy", 100, ".1f"),
        "mean selectivity": ("mean_selectivity", 1, ".3f"),
        "dead units left out": ("live_selectivity", 1, ".3f"),
        "dead units, %": ("dead", 100, ".1f"),
    }
    return _by_training(summary, columns)


def robustness_by_training(summary: pd.DataFrame) -> pd.DataFrame:
    """One row per way of training (and α, if there are several), in the order of the table: n, and accuracy
    on clean, corrupted and attacked images.

    Columns that no network has are left out; the summary is one of `runs.tables.full_summary`.
    """
    columns = {
        "clean, %": "clean_accuracy",
        "corrupted, %": "corrupted_accuracy",
        "FGSM, %": "fgsm_accuracy",
        "PGD, %": "pgd_accuracy",
        "strongest PGD in a ball, %": "ball_worst",
        "AutoAttack, %": "autoattack_accuracy",
    }
    measured = {
        label: (column, 100, ".1f") for label, column in columns.items() if summary[column].notna().any()
    }
    return _by_training(summary, measured)


def gains(summary: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """One row per other way of training that has been measured: what it gains over plain training, in
    percentage points, as means over the seeds that both have.

    Args:
        summary: Summary of networks of one alpha.
        columns: {heading: column}, shares.
    """
    changes = {}
    for heading, column in columns.items():
        wide = summary.pivot(index="seed", columns="variant", values=column)
        changes[heading] = wide.sub(wide["plain"], axis=0).mean().mul(100)
    found = pd.DataFrame(changes).reindex(summary.variant.unique()).drop("plain").dropna(how="all")
    said = found.map(lambda points: "" if pd.isna(points) else number(points, "+.1f"))
    said.insert(0, "training", [variants.variant(str(name)).label for name in found.index])
    return said.reset_index(drop=True)


def by_alpha(summary: pd.DataFrame) -> pd.DataFrame:
    """One row per α: n, and accuracy on clean and corrupted images, and the one over the other, as mean and
    interval; see lib/measurements/corruption.py.
    """
    columns = {
        "clean, %": "subset_accuracy",
        "corrupted, %": "corrupted_accuracy",
        "corrupted / clean, %": "relative_accuracy",
    }
    return _means(
        summary.sort_values("alpha"),
        ["alpha"],
        _alpha,
        {label: (column, 100, ".1f") for label, column in columns.items()},
    )


def attacked_by_alpha(summary: pd.DataFrame) -> pd.DataFrame:
    """One column per α: n, accuracy under each attack at the strength that stands for the data set,
    confidence on the images unattacked, and the Jacobian's norm; see lib/measurements/attack_summary.py.
    """
    columns = {
        "clean, %": "attacked_clean",
        "FGSM, %": "fgsm_accuracy",
        "PGD, %": "pgd_accuracy",
        "ball: cross-entropy, %": "ball_cross_entropy",
        "ball: margin, %": "ball_margin",
        "ball: temperature, %": "ball_temperature",
        "made for others, %": "transfer_accuracy",
        "AutoAttack, %": "autoattack_accuracy",
    }
    measured = {
        label: (column, 100, ".1f") for label, column in columns.items() if summary[column].notna().any()
    }
    others = {"confidence": ("confidence", 1, ".3f"), "Jacobian": ("jacobian", 1, ".3g")}
    rows = _means(summary.sort_values("alpha"), ["alpha"], _alpha, measured | others)
    return rows.set_index("α").T.rename_axis(columns=None).reset_index(names="at α")
