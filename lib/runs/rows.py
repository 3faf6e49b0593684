"""Whether a table from elsewhere has the rows that its measurement makes: each thing measured once, all of
them, for every class alike, and in counts that images can have. Means over a table with a row too many, or
too few, would be other numbers without a word.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lib import corruptions, data
from lib.base.files import Unfit
from lib.corruptions import dataset
from lib.data.cifar10 import CIFAR10_CLASSES
from lib.data.tiny_imagenet import TINY_IMAGENET_CLASSES
from lib.measurements import attack, autoattack, dimensionality, per_image, transfer
from lib.measurements.attack import BUDGET, CLEAN, CURVES, FGSM_EPSILONS, IN_BALLS, RADII, STEPS_PER_RADIUS
from lib.runs.fields import said_shortly
from lib.training.training import Training

UNITS = ("layer", "unit")
CELLS = ("attack", "epsilon", "step_size", "steps")
SENT = ("source_seed", "attack", "epsilon")  # from other networks
# measurement -> columns that say what a row is about, beside the class
ABOUT: dict[str, tuple[str, ...]] = {
    "selectivity": UNITS,
    "class_means": UNITS,
    "gradient": UNITS,
    "half_width": UNITS,
    "corruption": ("corruption", "severity"),
    "image_corruption": ("corruption", "severity"),
    "corruption_examples": ("corruption",),
    "attack": CELLS,
    "image_attack": CELLS,
    "transfer": SENT,
    "image_transfer": SENT,
    "autoattack": ("part", "epsilon"),
    "logits": ("attack", "inverse_temperature"),
    "logit_bias": ("half", "tuned", "attack"),
    "imagenet_a": (),
    "jacobian": ("image",),
    # over the whole split, and over the first images
    "dimensionality": ("change", "corruption", "severity", "layer", "images"),
    "weight_angles": ("convolution", "filter"),
    "alignment": ("convolution",),
    "low_rank": ("rank",),
    "perturbation": ("dictionary",),
    "certificate": ("method", "epsilon"),
}
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

Cells = set[tuple[object, ...]]

# ---- what is measured --------------------------------------------------------------------------------------


def _fgsm() -> Cells:
    return {(CLEAN, 0.0, 0.0, 0)} | {("fgsm", epsilon, epsilon, 1) for epsilon in FGSM_EPSILONS}


def _balls(radii: Iterable[float]) -> Cells:
    ball = [(one, one / STEPS_PER_RADIUS, attack.BALL_STEPS) for one in radii]
    return {(name, *one) for name in IN_BALLS for one in ball}


def _attack(training: Training, settings: Mapping[str, Any]) -> Cells:
    curves = {(name, BUDGET, one.step_size, steps) for name, one in CURVES.items() for steps in one.scored}
    return _fgsm() | curves | _balls(RADII)


def _image_attack(training: Training, settings: Mapping[str, Any]) -> Cells:
    step = CURVES[per_image.CURVE].step_size
    curve = {(per_image.CURVE, BUDGET, step, steps) for steps in per_image.STEPS}
    return _fgsm() | curve | _balls(per_image.SMALL_RADII)


def _corruption(training: Training, settings: Mapping[str, Any]) -> Cells:
    return {(dataset.CLEAN, 0)} | {(name, one) for name in corruptions.NAMES for one in range(1, 6)}


def _examples(training: Training, settings: Mapping[str, Any]) -> Cells:
    return {(name,) for name in (dataset.CLEAN, *corruptions.NAMES)}


def _transfer(training: Training, settings: Mapping[str, Any]) -> Cells:
    return {
        (one.seed, name, epsilon)
        for one in transfer.sources(training, dict(settings))
        for name, strengths in transfer.TRANSFERRED.items()
        for epsilon in strengths
    }


def _autoattack(training: Training, settings: Mapping[str, Any]) -> Cells:
    return {(part, settings["epsilon"]) for part in (CLEAN, *autoattack.PARTS)}


def _dimensionality(training: Training, settings: Mapping[str, Any]) -> Cells:
    kinds = {(dimensionality.NONE, None, None), (dimensionality.ATTACK, None, None)}
    cells = _corruption(training, settings) - {(dataset.CLEAN, 0)}
    return kinds | {(dimensionality.CORRUPTION, *one) for one in cells}


def _low_rank(training: Training, settings: Mapping[str, Any]) -> Cells:
    return {(rank,) for rank in settings["ranks"]}


# measurement -> what stands in the columns of ABOUT, or of CHANGES, in some row
WHOLE: dict[str, Callable[[Training, Mapping[str, Any]], Cells]] = {
    "attack": _attack,
    "image_attack": _image_attack,
    "corruption": _corruption,
    "image_corruption": _corruption,
    "corruption_examples": _examples,
    "transfer": _transfer,
    "autoattack": _autoattack,
    "dimensionality": _dimensionality,
    "low_rank": _low_rank,
}
CHANGES = ("change", "corruption", "severity")

# ---- the checks --------------------------------------------------------------------------------------------


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
    if measurement not in ABOUT:  # one that was added, whose rows nothing is known of
        return
    about = [*ABOUT[measurement]]
    by_class = "class" in rows and measurement != "jacobian"
    if rows.duplicated(about + ["class"] * by_class).any():
        raise Unfit("measures one thing twice")
    if measurement in WHOLE:
        columns = CHANGES if measurement == "dimensionality" else about
        wanted = {_cell(one) for one in WHOLE[measurement](training, settings)}
        found = {_cell(one) for one in rows[list(columns)].drop_duplicates().itertuples(index=False)}
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
