"""Transfer attacks: images crafted on other networks, a control that needs no gradient of the network under
attack.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lib import models
from lib.attacks import ascent
from lib.base import fingerprint, paths
from lib.base.errors import InputError
from lib.base.files import kept
from lib.data.images import Images
from lib.measurements.attack import BALL_STEPS, IN_BALLS, RADII, STEPS_PER_RADIUS, Cell, batches, is_correct
from lib.measurements.attack_summary import at_epsilon
from lib.measurements.measurement import CORRECT, FLOAT, INT, TEXT, Cells
from lib.measurements.strengths import strengths_for
from lib.models.fuse import folded
from lib.training.training import LABELS, Training

TRANSFER_TABLE = {"source_seed": INT, "attack": TEXT, "epsilon": FLOAT, **CORRECT}

# attacks whose images are crafted on one network and shown to others
TRANSFERRED = {"fgsm": (0.004, 0.008, 4 / 255, 8 / 255, 16 / 255), "ball-cross-entropy": RADII[1:6]}


def sources(training: Training, settings: Mapping[str, Any]) -> list[Training]:
    """Source networks on which images are crafted: plain training at α = 0 for the recipe's own epochs, with
    other seeds than the network under attack.
    """
    return [
        replace(training, alpha=0.0, seed=seed, epochs=None, variant="plain")
        for seed in settings["sources"]
        if seed != training.seed
    ]


def _crafted(
    source: Training, network: nn.Module, images: Images, precision: str
) -> Iterator[tuple[Cell, Tensor]]:
    """Images crafted on a source, cached in .cache/attacked for the next network.

    Yields:
        (n, 3, h, w) float32 on its device.
    """
    folder = paths.cache() / "attacked" / f"{source.key}-{images.fingerprint}-{precision}"
    device, weights = models.evaluated(network), weights_digest(network)
    for name, strengths in TRANSFERRED.items():
        for epsilon in strengths:
            cell = Cell(
                name, epsilon, *((1, epsilon) if name == "fgsm" else (BALL_STEPS, epsilon / STEPS_PER_RADIUS))
            )

            def make(cell: Cell = cell) -> dict[str, np.ndarray]:
                return {"pixels": craft(network, images, cell, precision).cpu().numpy()}

            digest = fingerprint.digest([craft], cell, weights)
            found = kept(
                folder / f"{name}-{epsilon:.6f}-{digest.replace(':', '-')}.npz",
                make,
                what="adversarial images",
            )
            yield cell, torch.from_numpy(found["pixels"]).to(device)


def weights_digest(network: nn.Module) -> str:
    """Hash of a network's weights: the same training need not end in the same weights on another machine."""
    digest = hashlib.sha256()
    for name, values in sorted(network.state_dict().items()):
        digest.update(name.encode() + values.cpu().numpy().tobytes())
    return digest.hexdigest()


def craft(network: nn.Module, images: Images, cell: Cell, precision: str) -> Tensor:
    """Adversarial images of one strength, made against a network.

    Args:
        cell: The attack, FGSM or a PGD of `IN_BALLS`, and its strength.
        precision: "float32" or "bfloat16", for the gradients that PGD follows.

    Returns:
        (n, 3, h, w) float32 in [0, 1], on the network's device.
    """
    parts, copy = [], None
    for _, x, labels in batches(images, models.evaluated(network)):
        copy = copy or folded(network, x, precision=precision)
        if cell.attack == "fgsm":
            parts.append(ascent.fgsm(network, x, labels, cell.epsilon))
        else:
            how = {
                "epsilon": cell.epsilon,
                "step_size": cell.step_size,
                "steps": cell.steps,
                "precision": None,
            }  # type: dict[str, Any]
            parts.append(ascent.pgd(copy, x, labels, **how, **IN_BALLS[cell.attack]))
    return torch.cat(parts)


def transfer(
    network: nn.Module, images: Images, *, limit: int, precision: str, sources: Mapping[Training, nn.Module]
) -> pd.DataFrame:
    """Transfer accuracy: one row per source, attack, strength and class.

    Images are crafted on the source and shown to this network.

    Args:
        limit: Number of images, the first of the split; 0 means all of them.
        precision: "float32" or "bfloat16", for the gradients that PGD follows.
        sources: Networks on which images are crafted, as `sources` lists them.

    Returns:
        A table with the columns source_seed, attack, epsilon, class, images and correct.
    """
    if not sources:
        raise InputError(
            "transfer needs an α = 0 network of another seed; give more than one in its setting `sources`"
        )
    some, device, rows = images.first(limit), models.evaluated(network), []
    labels, classes = some.labels.to(device), len(some.classes)
    sizes = some.labels.bincount(minlength=classes)
    for source, other in sources.items():
        for cell, x in _crafted(source, other, some, precision):
            right = torch.cat([
                is_correct(network, x[part], labels[part]) for part, _, _ in batches(some, device)
            ])
            correct = labels[right].bincount(minlength=classes).cpu()
            facts = {
                "source_seed": source.seed,
                "attack": cell.attack,
                "epsilon": cell.epsilon,
                "class": list(some.classes),
            }
            rows.append(pd.DataFrame(facts | {"images": sizes, "correct": correct}))
    return pd.concat(rows, ignore_index=True)


def by_source(table: pd.DataFrame) -> pd.DataFrame:
    """Sum a `transfer` table over classes: one row per network, attack, epsilon and source_seed, with
    `accuracy`.
    """
    sums = table.groupby([*LABELS, "attack", "epsilon", "source_seed"], sort=False)[
        ["images", "correct"]
    ].sum()
    return (sums.correct / sums.images).rename("accuracy").reset_index()


def transferred(table: pd.DataFrame) -> pd.DataFrame:
    """Average a `transfer` table over sources: one row per network, attack and epsilon, with `accuracy` and
    `sources`, their number.
    """
    groups = by_source(table).groupby([*LABELS, "attack", "epsilon"], sort=False).accuracy
    return groups.mean().to_frame().assign(sources=groups.size()).reset_index()


def with_transferred(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add `transfer_accuracy` to a summary: accuracy on PGD images crafted on α = 0 networks, with the data
    set's reference radius.
    """
    if table.empty:
        return summary.assign(transfer_accuracy=float("nan"))
    rows = transferred(table)
    rows = at_epsilon(
        rows[rows.attack == "ball-cross-entropy"], strengths_for(table.dataset.iloc[0]).transfer
    )
    return summary.merge(
        rows.rename(columns={"accuracy": "transfer_accuracy"})[[*LABELS, "transfer_accuracy"]],
        on=LABELS,
        how="left",
    )


# the columns that say what a row is about
SENT = ("source_seed", "attack", "epsilon")


def transfer_cells(training: Training, settings: Mapping[str, Any]) -> Cells:
    """What the table holds of a network: each attack and strength, made against each of its sources."""
    return {
        (one.seed, name, epsilon)
        for one in sources(training, settings)
        for name, strengths in TRANSFERRED.items()
        for epsilon in strengths
    }
