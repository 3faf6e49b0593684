"""What the facts of a run from elsewhere say of each other: forms of dates, commits and digests, and numbers
that follow from others. Of runs that are here, checksums tell that they are as this library wrote them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd

from lib import data
from lib.base.files import Unfit
from lib.runs.fields import Check, check_fields, is_count, is_number, is_plain, is_text
from lib.training.recipe import AdamRecipe, Training

MOST_SECONDS = 1e9  # 30 years
# images of the splits whose fingerprints are known, `data.FINGERPRINTS`
SIZES = {"digits": {"train": 1297, "test": 500}, "cifar10": {"train": 50_000, "test": 10_000}}


def _spelled(pattern: str) -> Check:
    """The check that a value is a text of this form."""
    return lambda value: is_text(value) and re.fullmatch(pattern, str(value), re.ASCII) is not None


def _seconds(value: object) -> bool:
    """Whether a value is a duration of a training or a measurement."""
    return is_number(value, 0, MOST_SECONDS)


def is_date(value: object) -> bool:
    """Whether a value is a day as YYYY-MM-DD that has begun somewhere: clocks of two machines may differ by a
    day.
    """
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return False
    return day is not None and str(day) == value and day <= datetime.now(UTC).date() + timedelta(days=1)


_version = _spelled(r"\d+\.\d[\w.+-]*")
CODE = _spelled(r"(?:\d:)?[0-9a-f]{12}")  # a digest of the fingerprint's first form has no prefix
MADE: dict[str, Check] = {
    "commit": _spelled(r"(?:[0-9a-f]{7,40}\+?)?"),
    "torch": _spelled(r"\d+\.\d.*"),  # of a training that went on elsewhere, several
    "device": _spelled(r".*\S.*"),
    "seconds": _seconds,
    "date": is_date,
}
# what all versions of this library have written, and the first ones had not
LATER: dict[str, Check] = {"version": _version, "python": _version}
RESULT: dict[str, Check] = {
    "clean_n": lambda value: is_count(value) and value != 0,
    "train_n": lambda value: is_count(value) and value != 0,
    "epochs_run": lambda value: is_count(value) and value != 0,
    "seconds": _seconds,
    "data": _spelled("[0-9a-f]{16}"),
}


def check_made(made: Mapping[str, Any], fields: Mapping[str, Check] = MADE) -> None:
    """Raise Unfit unless a provenance has fields of these forms, and what else is known of it is fit."""
    known = {name: check for name, check in LATER.items() if name in made}
    check_fields("provenance", made, {**fields, **known})


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
    check_fields("result", result, RESULT, is_plain)
    fields = MADE | {"engine": _spelled(r"(?:cpu|cuda) .*"), "code": CODE}
    if training.start:
        fields["parent"] = _spelled("[0-9a-f]{64}")
    elif "parent" in made:
        raise Unfit("names a parent, and its training has none")
    check_made(made, fields)
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
    sizes, classes = SIZES[training.dataset], data.DATASETS[training.dataset][1]
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
    by_last = isinstance(training.settings, AdamRecipe)
    wanted = 0 if told.empty else len(told) if by_last else int(told.to_numpy().argmax()) + 1
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
