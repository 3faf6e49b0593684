"""What the facts of a run from elsewhere say of each other: forms of dates, commits and digests, and numbers
that follow from others. Of runs that are here, checksums tell that they are as this library wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lib import data
from lib.base.files import Unfit
from lib.runs.fields import MADE, RESULT, TRAINED, Field, check_fields
from lib.training.training import Training


def check_made(made: Mapping[str, Any], fields: Mapping[str, Field] = MADE) -> None:
    """Raise Unfit unless the fields of a provenance have the forms that this library gives them."""
    check_fields("provenance", made, fields, forms=True)


def check(facts: Mapping[str, Mapping[str, Any]], training: Training, history: pd.DataFrame) -> None:
    """Check the facts of a run against its training and its history.

    Args:
        facts: Its config.json, whose fields have been checked one by one.
        training: What it describes.
        history: One row per epoch, with the column validation_accuracy.

    Raises:
        Unfit: Two of them cannot be true together.
    """
    result, made = facts["result"], facts["provenance"]
    check_fields("result", result, RESULT, forms=True)
    check_made(made, TRAINED)
    for name in ("code", *(["parent"] if training.start else [])):
        if name not in made:
            raise Unfit(f"has no {name} in its provenance")
    if "parent" in made and not training.start:
        raise Unfit("names a parent, and its training has none")
    if made["seconds"] != result["seconds"]:
        raise Unfit(f"was trained for {result['seconds']} and for {made['seconds']} seconds")
    _check_counts(result, training)
    _check_best(result, training, history)


def _check_counts(result: Mapping[str, Any], training: Training) -> None:
    """Raise Unfit unless the numbers of images are those of the data set, and the accuracy is one of so many
    images.
    """
    right = result["clean_accuracy"] * result["clean_n"]
    if abs(right - round(right)) > 1e-6:
        raise Unfit(
            f"has an accuracy of {result['clean_accuracy']}, which {result['clean_n']} images cannot give"
        )
    known = data.FINGERPRINTS.get(training.dataset, {})
    if training.without or not known or known["train"] != result["data"]:
        return
    sizes, classes = data.SIZES[training.dataset], data.DATASETS[training.dataset][1]
    left = sizes["train"] * (1 - training.settings.validation)
    if result["clean_n"] != sizes["test"] or abs(result["train_n"] - left) > classes:
        raise Unfit(
            f"was trained on {result['train_n']} and tested on {result['clean_n']} images of "
            f"{training.dataset}, which has {sizes['train']} and {sizes['test']}"
        )


def _check_best(result: Mapping[str, Any], training: Training, history: pd.DataFrame) -> None:
    """Raise Unfit unless the status, and the epoch whose network was kept, follow from the history."""
    accuracies, best = history.validation_accuracy, result["best_epoch"]
    if accuracies[:-1].isna().any():
        raise Unfit("goes on after an epoch without an accuracy")
    stopped = bool(accuracies.isna().iloc[-1])
    told = accuracies[:-1] if stopped else accuracies
    if told.empty:
        wanted = 0
    elif training.settings.keeps == "last":
        wanted = len(told)
    else:
        wanted = int(told.to_numpy().argmax()) + 1
    if best != wanted:
        raise Unfit(f"has best_epoch {best}, and its history says {wanted}")
    of_best = float(told.iloc[best - 1]) if best else None
    if result["validation_accuracy"] != of_best:
        raise Unfit(
            f"has a validation accuracy of {result['validation_accuracy']}, and its history "
            f"{of_best} in epoch {best}"
        )
    chance = 1 / (data.DATASETS[training.dataset][1] - len(training.without))
    # five binomial standard deviations, as the training judges it
    at_chance = result["clean_accuracy"] < chance + 5 * (chance * (1 - chance) / result["clean_n"]) ** 0.5
    status = "diverged" if stopped or at_chance else "ok"
    if result["status"] != status:
        raise Unfit(f"has status {result['status']}, and its accuracies say {status}")
