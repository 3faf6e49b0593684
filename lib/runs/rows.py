"""Whether a table from elsewhere has the rows that its measurement makes: each thing measured once, all of
them, for every class alike, and in counts that images can have. Means over a table with a row too many, or
too few, would be other numbers without a word.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lib import data
from lib.base.files import Unfit
from lib.data.cifar10 import CIFAR10_CLASSES
from lib.data.tiny_imagenet import TINY_IMAGENET_CLASSES
from lib.measurements.registry import MEASUREMENTS
from lib.runs.fields import said_shortly
from lib.training.training import Training

STRENGTHS = ("epsilon", "step_size", "radius")  # in pixels of [0, 1]
# numbers of images
COUNTED = {"correct", "correct_shared", "unbroken", "zero_gradient", "certain", "standing"}
COUNTED |= {"clean", "attacked", "active", "points"}
NEVER_BELOW_0 = (
    "norm",
    "spread",
    "deviation",
    "active_deviation",
    "variance",
    "participation_ratio",
    "length",
)

CLASSES = {
    "digits": tuple("0123456789"),
    "cifar10": CIFAR10_CLASSES,
    "tiny-imagenet": TINY_IMAGENET_CLASSES,
}


def check(
    measurement: str, rows: pd.DataFrame, training: Training, settings: Mapping[str, Any], known: bool
) -> None:
    """Check the rows of a table, whose columns have been checked one by one.

    Args:
        measurement: What made it.
        rows: All of it.
        training: Of the network it was measured on.
        settings: The measurement's settings, with defaults filled in.
        known: Whether it is about the images of the data set as published, whose number is known.

    Raises:
        Unfit: It has not the rows that the measurement makes.
    """
    _check_numbers(rows)
    known_of = MEASUREMENTS[measurement]
    if not known_of.about:  # nothing is known of its rows, or each is told by its place
        return
    about = [*known_of.about]
    by_class = "class" in rows and measurement != "jacobian"
    if rows.duplicated(about + ["class"] * by_class).any():
        raise Unfit("measures one thing twice")
    if known_of.cells is not None:
        wanted = {_cell(one) for one in known_of.cells(training, settings)}
        columns = about[: len(next(iter(wanted), about))]  # all where it is to hold nothing
        found = {_cell(one) for one in rows[columns].drop_duplicates().itertuples(index=False)}
        if odd := sorted(wanted ^ found, key=repr):
            raise Unfit(
                f"{'lacks' if odd[0] in wanted else 'has'} {said_shortly(' '.join(map(str, odd[0])))}, and "
                f"is to hold what the measurement {measurement} makes"
            )
    if measurement == "dimensionality" and rows.groupby("layer").size().nunique() > 1:
        raise Unfit("does not hold the same for every layer")
    if {"labels", "classes"} <= set(rows):
        _check_same_images(rows)
    if measurement == "jacobian" and sorted(rows.image) != list(range(len(rows))):
        raise Unfit("does not hold each of its images once")
    if by_class:
        _check_classes(measurement, rows, about, training)
    if known:
        _check_names(rows, CLASSES[training.dataset])
    if known and not training.without and measurement not in ("imagenet_a", "perturbation"):
        _check_images(rows, about, data.SIZES[training.dataset]["test"], settings.get("limit", 0))


def _cell(values: Iterable[Any]) -> tuple[object, ...]:
    """Values that are compared: numbers to 12 digits, and nothing for an empty cell."""
    return tuple(
        None if value is None or value is pd.NA or value != value
        else float(f"{value:.12g}") if isinstance(value, float | np.floating)
        else value if isinstance(value, str)
        else int(value)
        for value in values
    )  # fmt: skip


def _check_numbers(rows: pd.DataFrame) -> None:
    """Raise Unfit for a strength, a count or a size that none can be."""
    for name in STRENGTHS:
        if name in rows and not rows[name].map(lambda one: math.isfinite(one) and 0 <= one <= 1e6).all():
            raise Unfit(f"has no proper strength in column {name}")
    for name in rows.columns:
        if name in NEVER_BELOW_0 and (rows[name] < 0).any():
            raise Unfit(f"has numbers below 0 in column {name}")
        if name.startswith("components_") and "units" in rows and not rows[name].between(0, rows.units).all():
            raise Unfit(f"has other numbers in column {name} than 0 to the units of a layer")
        if name in COUNTED and "images" in rows:
            count = rows[name].dropna()
            if (count < 0).any() or (count > rows.images[count.index]).any():
                raise Unfit(f"counts in column {name} what its images cannot give")
    if {"correct", "unbroken"} <= set(rows) and (rows.unbroken > rows.correct).any():
        raise Unfit("counts more unbroken images than right ones")


def _check_classes(measurement: str, rows: pd.DataFrame, others: list[str], training: Training) -> None:
    """Raise Unfit unless all classes stand in every group of rows, with as many images in all of them."""
    classes = rows["class"].nunique()
    groups = rows.groupby(others, dropna=False).size() if others else pd.Series([len(rows)])
    if (groups != classes).any() or (
        measurement != "imagenet_a" and classes != data.DATASETS[training.dataset][1]
    ):
        raise Unfit("does not hold every class for each thing measured")
    if "images" in rows:
        same = ["class", "half"] if "half" in rows else ["class"]
        if (rows.groupby(same)["images"].nunique() > 1).any():
            raise Unfit("counts now more, now fewer images of one class")


def _check_names(rows: pd.DataFrame, classes: Collection[str]) -> None:
    """Raise Unfit for names of classes that are not those of the data set."""
    for name in ("class", "label", "predicted"):
        if name in rows and not rows[name].isin(classes).all():
            raise Unfit(f"has classes of another data set in column {name}")
    if "classes" in rows and (rows.classes != "\n".join(classes).encode()).any():
        raise Unfit("has classes of another data set in column classes")


def _check_same_images(rows: pd.DataFrame) -> None:
    """Raise Unfit unless all rows of a table of single images are about the same, or the first of them."""
    longest = max(rows.labels, key=len)
    if rows.classes.nunique() > 1 or not all(longest.startswith(one) for one in rows.labels):
        raise Unfit("is not about the same images in all of its rows")


def _check_images(rows: pd.DataFrame, about: list[str], most: int, limit: object) -> None:
    """Raise Unfit for other numbers of images than the test split has, or than were asked for."""
    images = rows["images"] if "images" in rows else pd.Series([len(rows)])
    if "class" in rows and "images" in rows:
        groups = [name for name in about if name != "half"]
        images = rows.groupby(groups, dropna=False)["images"].sum()
        if (images != (min(limit, most) if isinstance(limit, int) and limit else most)).any():
            raise Unfit(f"counts {images.iloc[0]} images, which is neither its limit nor all {most}")
    elif "image" in rows and len(rows) != (min(limit, most) if isinstance(limit, int) and limit else most):
        raise Unfit(f"counts {len(rows)} images, which is neither its limit nor all {most}")
    elif "images" in rows and (images > most).any():
        raise Unfit(f"counts more images than the {most} of the split")
