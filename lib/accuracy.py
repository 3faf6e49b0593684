"""From counts of right answers to the accuracies that figures and claims are about: per corruption, over all of them, relative to clean images."""

from __future__ import annotations

import pandas as pd

from lib import corruptions
from lib.corrupted import CLEAN
from lib.errors import InputError
from lib.recipes import LABELS


def counted(dataset: str) -> tuple[str, ...]:
    """The corruptions that the paper averages over: the 15 main ones on Tiny ImageNet, all 19 elsewhere."""
    return corruptions.NAMES[:15] if dataset == "tiny-imagenet" else corruptions.NAMES


def by_severity(table: pd.DataFrame) -> pd.DataFrame:
    """A `corruption` table summed over classes: a row a network, corruption and severity, with `images` and `accuracy` in [0, 1]."""
    keys = [column for column in [*LABELS, "corruption", "severity"] if column in table]
    sums = table.groupby(keys, sort=False)[["images", "correct"]].sum()
    return sums.assign(accuracy=sums.correct / sums.images).reset_index()


def by_corruption(table: pd.DataFrame) -> pd.DataFrame:
    """A row a network and corruption (and one for the clean images): `accuracy`, the mean over severities."""
    rows = by_severity(table)
    keys = [column for column in [*LABELS, "corruption"] if column in rows]
    return rows.groupby(keys, sort=False).accuracy.mean().reset_index()


def with_corrupted(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """A summary of networks with what a `corruption` table says of them: NaN for those that are not in it.

    subset_accuracy     on the clean images of the same subset
    corrupted_accuracy  mean over the corruptions that the paper counts, each the mean over its severities
    relative_accuracy   corrupted over clean, on the same images
    corrupted_NAME      of each corruption
    """
    if table.empty:
        return summary.assign(subset_accuracy=float("nan"), corrupted_accuracy=float("nan"), relative_accuracy=float("nan"))
    wide = by_corruption(table).pivot(index=LABELS, columns="corruption", values="accuracy")
    kept = [name for name in counted(table.dataset.iloc[0]) if name in wide]
    if not kept:
        raise InputError("the table holds no corruption that is averaged over")
    facts = pd.DataFrame({"subset_accuracy": wide[CLEAN], "corrupted_accuracy": wide[kept].mean(axis=1)})
    facts["relative_accuracy"] = facts.corrupted_accuracy / facts.subset_accuracy
    facts = facts.join(wide[kept].add_prefix("corrupted_"))
    return summary.merge(facts.reset_index(), on=LABELS, how="left")
