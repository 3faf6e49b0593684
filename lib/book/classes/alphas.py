"""Class by class, the networks over α (ours)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lib.book.classes.rows import matched
from lib.book.grid import Parameters
from lib.measurements.attack import CLEAN
from lib.measurements.strengths import strengths_for
from lib.papers.class_accuracies import spread
from lib.papers.ranks import rank_correlation
from lib.runs.tables import cached
from lib.training.training import LABELS

COMPARED = "ball-cross-entropy"  # of the attacks of the table, that whose radii are matched
LEVEL = 25.0  # percent: the mean over classes at which networks over α are compared


def class_vectors(table: pd.DataFrame, wanted: Mapping[str, str], epsilon: float) -> pd.DataFrame:
    """Class accuracies, percent, of an `attack` table at a radius: one row per network and attack, one column
    per class.

    Args:
        wanted: {attack of the table: what to call it}.
    """
    rows = table[
        table.attack.isin([*wanted])
        & ((table.attack == CLEAN) | np.isclose(table.epsilon, epsilon, atol=1e-6))
    ]
    rows = rows.assign(
        accuracy=100 * rows.correct / rows["images"].where(rows["images"] > 0),
        attack=rows.attack.map(wanted),
    )
    return rows.pivot_table(index=["alpha", "seed", "attack"], columns="class", values="accuracy", sort=False)


def over_alpha(here: Parameters, summary: pd.DataFrame, level: float = LEVEL) -> pd.DataFrame:
    """Summary of the networks over α with what is asked of their classes.

    Args:
        here: Parameters of the chapter.
        summary: Their `runs.summary`.
        level: Percent, the mean over classes at which they are compared.

    Returns:
        The summary with the columns radius (at which PGD on the cross-entropy leaves the level, in 255ths),
        class_variance, class_disparity, worst (name) and worst_accuracy there, and the rank correlations over
        classes of accuracy there: with_corrupted (of the same network on corrupted images) and with_support
        (with the class support of its units). NaN for a network that does not reach the level, or where a
        table is not cached.
    """
    rows = matched(_one_attack(cached("attack", here.trainings)), dict.fromkeys(here.seeds, level))
    corrupted, units = cached("corruption", here.trainings), cached("selectivity", here.trainings)
    found = []
    for key, own in rows.groupby(LABELS, sort=False) if len(rows) else ():
        about = dict(zip(LABELS, key, strict=True))
        accuracy = own.set_index("class").accuracy
        spots = spread(accuracy.to_numpy())
        found.append(
            about
            | {
                "radius": 255 * own.radius.iloc[0],
                "class_variance": spots.variance,
                "class_disparity": spots.disparity,
                "worst": accuracy.index[spots.worst],
                "worst_accuracy": spots.lowest,
                "with_corrupted": _with(accuracy, _corrupted_classes(_own(corrupted, about))),
                "with_support": _with(accuracy, class_support(_own(units, about), list(accuracy.index))),
            }
        )
    columns = [
        "radius",
        "class_variance",
        "class_disparity",
        "worst_accuracy",
        "with_corrupted",
        "with_support",
    ]
    if not found:
        return summary.assign(**dict.fromkeys(columns, np.nan), worst="")
    return summary.merge(pd.DataFrame(found), on=LABELS, how="left")


def _one_attack(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of an `attack` table that radii are compared on: PGD on the cross-entropy in balls, and the
    clean images as radius 0.
    """
    return table[table.attack.isin([CLEAN, COMPARED])] if len(table) else table


def _own(table: pd.DataFrame, about: Mapping[str, object]) -> pd.DataFrame:
    if table.empty:
        return table
    return table[np.logical_and.reduce([table[name] == value for name, value in about.items()])]


def _with(accuracy: pd.Series, other: pd.Series) -> float:
    return rank_correlation(accuracy, other.reindex(accuracy.index)) if len(other) else float("nan")


def _corrupted_classes(table: pd.DataFrame) -> pd.Series:
    """Mean accuracy of every class over corruptions and severities."""
    if table.empty:
        return pd.Series(dtype=float)
    sums = table[table.severity > 0].groupby("class", sort=False)[["images", "correct"]].sum()
    return sums.correct / sums["images"]


def class_support(units: pd.DataFrame, classes: Sequence[str]) -> pd.Series:
    """How much selectivity speaks for every class: the sum of the selectivity of the units that prefer it,
    as a share of the layer's, mean over layers (ours).

    Args:
        units: Table `selectivity` of a network.
        classes: Names of the classes in the order of the data set.
    """
    if units.empty:
        return pd.Series(dtype=float)
    live = units[~units.dead]
    sums = live.pivot_table(index="depth", columns="best_class", values="selectivity", aggfunc="sum").fillna(
        0
    )
    shares = sums.div(sums.sum(axis=1), axis=0).mean()
    return pd.Series([float(shares.get(place, 0.0)) for place in range(len(classes))], index=list(classes))


def strength_words(here: Parameters) -> str:
    """The radius of attacks at which networks over α are shown, in words."""
    return f"{255 * strengths_for(here.dataset).ball:g}/255"
