"""Accuracy under AutoAttack: four attacks without parameters, one of which uses no gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from torch import nn

from lib import models
from lib.base.errors import InputError
from lib.data.images import Images
from lib.measurements.attack import CLEAN, is_correct
from lib.measurements.attack_summary import at_epsilon
from lib.measurements.measurement import COUNT, FLOAT, TEXT, Cells
from lib.measurements.strengths import strengths_for
from lib.models.activations import still
from lib.training.training import LABELS, Training

AUTOATTACK_TABLE = {
    "part": TEXT,
    "epsilon": FLOAT,
    "class": TEXT,
    "images": COUNT,
    "standing": COUNT,
}

PARTS = ("apgd-ce", "apgd-t", "fab-t", "square")  # standard AutoAttack, in its order


def autoattack(network: nn.Module, images: Images, *, limit: int, epsilon: float, seed: int) -> pd.DataFrame:
    """Accuracy under AutoAttack: one row per part of it and class.

    Args:
        limit: Number of images, the first of the split; 0 means all of them.
        epsilon: Radius of the L∞ ball, in pixels of [0, 1].
        seed: Seed of the random starts.

    Returns:
        A table with the columns part ("clean", then the attacks of the standard version in order), epsilon,
        class, images and standing (images that are correct after this part and all before).

    Raises:
        InputError: If pyautoattack, an optional extra, is not installed, or for fewer than four classes,
            which its loss does not support.

    References:
        Croce & Hein 2020, arXiv 2003.01690; fewer than ten classes have fewer targets.
    """
    if len(images.classes) < 4:
        raise InputError(f"AutoAttack's targeted loss needs at least 4 classes, got {len(images.classes)}")
    try:
        from pyautoattack import AutoAttack
    except ImportError:
        raise InputError("AutoAttack needs pyautoattack: uv sync --extra autoattack") from None
    some, device = images.first(limit), models.evaluated(network)
    labels, classes = some.labels.to(device), len(some.classes)
    x = models.to_unit(some.pixels.to(device))
    sizes = some.labels.bincount(minlength=classes)
    there = is_correct(network, x, labels).nonzero().flatten()
    rows = []
    for part in (CLEAN, *PARTS):
        if part != CLEAN and len(there):
            runner = AutoAttack(network, norm="Linf", eps=epsilon, seed=seed, device=device)
            runner.verbose, runner.attacks_to_run = False, [part]
            for one in (runner.apgd_targeted, runner.fab):
                one.n_target_classes = min(9, classes - 1)
            # it seeds the global generator
            with still(network), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                found, _ = runner.run_standard_evaluation(x[there], labels[there], batch_size=250)
            there = there[is_correct(network, found, labels[there])]
        left = labels[there].bincount(minlength=classes).cpu()
        rows.append(
            pd.DataFrame({
                "part": part,
                "epsilon": epsilon,
                "class": list(some.classes),
                "images": sizes,
                "standing": left,
            })
        )
    return pd.concat(rows, ignore_index=True)


def with_autoattack(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add accuracy under AutoAttack with the data set's radius to a summary: autoattack_accuracy, and
    autoattack_clean on the same clean images.
    """
    own = at_epsilon(table, strengths_for(table.dataset.iloc[0]).ball) if len(table) else table
    if own.empty:
        return summary.assign(autoattack_accuracy=float("nan"), autoattack_clean=float("nan"))
    parts = standing_by_part(own).groupby(LABELS, sort=False).standing
    facts = pd.DataFrame({"autoattack_accuracy": parts.last(), "autoattack_clean": parts.first()})
    return summary.merge(facts.reset_index(), on=LABELS, how="left")


def standing_by_part(table: pd.DataFrame) -> pd.DataFrame:
    """Sum an `autoattack` table over classes: one row per network and part, in the order of the parts, with
    `standing`, the share of all images that survives.
    """
    sums = table.groupby([*LABELS, "part"], sort=False)[["images", "standing"]].sum()
    return (sums.standing / sums["images"]).rename("standing").reset_index()


def autoattack_cells(training: Training, settings: Mapping[str, Any]) -> Cells:
    """What the table holds: the clean images and each part, at its one epsilon."""
    return {(part, settings["epsilon"]) for part in (CLEAN, *PARTS)}
