"""Right or wrong for every single image, as one bit, under attack, corruption and transferred attack.

Class counts, any subset of the images, and the bootstrap over images all follow from these bits, so nothing
is measured twice.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lib import models
from lib.attacks import ascent
from lib.base import fingerprint, paths
from lib.base.errors import InputError, unknown
from lib.base.files import kept
from lib.corruptions import dataset
from lib.data.images import Images
from lib.measurements.attack import (
    BALL_STEPS,
    BUDGET,
    CLEAN,
    CURVES,
    FGSM_EPSILONS,
    IN_BALLS,
    RADII,
    STEPS_PER_RADIUS,
    Cell,
    ball_cells,
    batches,
    fgsm_cells,
    is_correct,
    surviving,
)
from lib.measurements.corruption import predictions
from lib.measurements.measurement import COUNT, FLOAT, INT, PACKED, SEVERITY, TEXT, Cells
from lib.measurements.transfer import craft, weights_digest
from lib.models.activations import Network
from lib.models.fuse import PRECISIONS, folded
from lib.training.training import Training

# The columns of every table: how many images, one bit for each (1 is right), one byte for each with its
# label, and the names of the classes, separated by line ends. The last two repeat in every row, and take
# their room once in a file.
IMAGES = {"images": COUNT, "right": PACKED, "labels": PACKED, "classes": PACKED}
ATTACK_TABLE = {"attack": TEXT, "epsilon": FLOAT, "step_size": FLOAT, "steps": COUNT, **IMAGES}
CORRUPTION_TABLE = {"corruption": TEXT, "severity": SEVERITY, **IMAGES}
TRANSFER_TABLE = {"source_seed": INT, "attack": TEXT, "epsilon": FLOAT, **IMAGES}

CURVE = "pgd"  # PGD of the paper's kind, from the image itself
STEPS = (1, 2, 5, 10, 20, 40)  # of CURVE, after which images are scored; the last is recalled
SMALL_RADII = RADII[:4]  # 0.5 to 4 of 255: beyond, nothing is left


def row(right: Tensor, images: Images, **facts: object) -> dict[str, object]:
    """One row of a table.

    Args:
        right: (n,) bool, which images are classified correctly.
        images: These n images.
        facts: The other columns.
    """
    if len(images.classes) > 256:
        raise InputError(f"labels are kept as one byte each, and there are {len(images.classes)} classes")
    return facts | {
        "images": len(images),
        "right": np.packbits(right.cpu().numpy()).tobytes(),
        "labels": images.labels.cpu().numpy().astype(np.uint8).tobytes(),
        "classes": "\n".join(images.classes).encode(),
    }


def unpacked(one: Mapping[Hashable, Any]) -> np.ndarray:
    """Which images are right in a row of a table.

    Returns:
        (n,) bool, in the order of the split.
    """
    packed = np.frombuffer(one["right"], dtype=np.uint8)
    return np.unpackbits(packed, count=one["images"]).astype(bool)


def accuracy(table: pd.DataFrame) -> pd.Series:
    """Share of right images of each row of a table, in [0, 1]; NaN without an image."""
    return pd.Series(
        [unpacked(one).mean() if one["images"] else float("nan") for one in table.to_dict("records")],
        index=table.index,
        dtype=float,
    )


def first(table: pd.DataFrame, images: int) -> pd.DataFrame:
    """The same rows about the first images of the split alone.

    Args:
        images: How many; a row of fewer images is left out.
    """
    some = table[table.images >= images]
    cut = [
        {
            "images": images,
            "right": np.packbits(unpacked(one)[:images]).tobytes(),
            "labels": one["labels"][:images],
        }
        for one in some.to_dict("records")
    ]
    return some.assign(**pd.DataFrame(cut, index=some.index)) if cut else some


def by_class(table: pd.DataFrame) -> pd.DataFrame:
    """Count right images by class.

    Returns:
        One row per row of the table and class, in which class, images and correct replace the columns of
        single images. These are the columns of the tables of the first round.
    """
    rows, lean = [], table.drop(columns=[*IMAGES])
    for place, one in enumerate(table.to_dict("records")):
        labels = np.frombuffer(one["labels"], dtype=np.uint8)
        names = one["classes"].decode().split("\n")
        rows.append(
            pd.DataFrame({
                "place": place,
                "class": names,
                "images": np.bincount(labels, minlength=len(names)),
                "correct": np.bincount(labels[unpacked(one)], minlength=len(names)),
            })
        )
    counts = pd.concat(rows, ignore_index=True)
    return lean.iloc[counts.place].reset_index(drop=True).join(counts.drop(columns="place"))


# ---- white box ---------------------------------------------------------------------------------------------


def image_attack(
    network: nn.Module, images: Images, *, wide: int, limit: int, precision: str
) -> pd.DataFrame:
    """White-box attacks: which images each attack leaves right, scored in float32.

    FGSM, and PGD of the paper's kind, follow float32 gradients: a pixel in bfloat16 is rounded by as much as
    the whole of the paper's attack.

    Args:
        wide: Number of images for the clean images and FGSM, the first of the split; 0 means all of them.
        limit: The same for PGD.
        precision: "float32" or "bfloat16", for the gradients that PGD in balls follows.

    Returns:
        A table with the columns of ATTACK_TABLE. A right image of a ball is right in all smaller ones too.
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    device = models.evaluated(network)
    return pd.DataFrame([
        *_counted(images.first(wide), device, lambda x, labels: _single(network, x, labels)),
        *_counted(images.first(limit), device, _Iterated(network, precision)),
    ])


def image_attack_cells(training: Training, settings: Mapping[str, Any]) -> Cells:
    """What the table of attacks holds of any network: the values of `attack.ATTACKED`."""
    step = CURVES[CURVE].step_size
    curve: Cells = {(CURVE, BUDGET, step, steps) for steps in STEPS}
    return fgsm_cells() | curve | ball_cells(SMALL_RADII)


def _counted(
    images: Images,
    device: torch.device,
    attack: Callable[[Tensor, Tensor], Iterator[tuple[Cell, Tensor]]],
) -> Iterator[dict[str, object]]:
    """One row per attack and strength."""
    found: dict[Cell, list[Tensor]] = {}
    for _, x, labels in batches(images, device):
        for cell, right in attack(x, labels):
            found.setdefault(cell, []).append(right.cpu())
    for cell, parts in found.items():
        facts = {name: getattr(cell, name) for name in ("attack", "epsilon", "step_size", "steps")}
        yield row(torch.cat(parts), images, **facts)


def _single(network: nn.Module, x: Tensor, labels: Tensor) -> Iterator[tuple[Cell, Tensor]]:
    """The clean images, and FGSM at every strength."""
    yield Cell(CLEAN), is_correct(network, x, labels)
    found = ascent.fgsm_grid(network, x, labels, FGSM_EPSILONS)
    for epsilon, pixels in zip(FGSM_EPSILONS, found, strict=True):
        yield Cell("fgsm", epsilon, 1, epsilon), is_correct(network, pixels, labels)


class _Iterated:
    """PGD of the paper's kind at every number of steps, and PGD in balls with each loss."""

    def __init__(self, network: nn.Module, precision: str) -> None:
        self.network, self.precision = network, precision
        self.copies: tuple[Network, Network] | None = (
            None  # in float32, and in the precision; of the first batch
        )

    def __call__(self, x: Tensor, labels: Tensor) -> Iterator[tuple[Cell, Tensor]]:
        network = self.network
        if self.copies is None:
            exact = folded(network, x, precision="float32")
            low = exact if self.precision == "float32" else folded(network, x, precision=self.precision)
            self.copies = exact, low
        exact, low = self.copies
        step = CURVES[CURVE].step_size
        path = ascent.pgd_path(
            exact, x, labels, epsilon=BUDGET, step_size=step, steps=max(STEPS), precision=None
        )
        for steps, pixels in enumerate(path):
            if steps in STEPS:
                yield Cell(CURVE, BUDGET, steps, step), is_correct(network, pixels, labels)
        for name, loss in IN_BALLS.items():
            right = is_correct(network, x, labels)
            for epsilon in SMALL_RADII:
                there = right.nonzero().flatten()
                if len(there):  # what a smaller ball has broken is not attacked again
                    right = torch.zeros_like(right)
                    right[there] = surviving(network, low, x[there], labels[there], epsilon=epsilon, **loss)
                yield Cell(name, epsilon, BALL_STEPS, epsilon / STEPS_PER_RADIUS), right


# ---- corruptions and transfer ------------------------------------------------------------------------------


def image_corruption(network: nn.Module, images: Images, *, limit: int) -> pd.DataFrame:
    """Corruptions: which images are right under each and at each severity.

    Args:
        limit: Number of images, the first of the split; 0 means all of them.

    Returns:
        A table with the columns of CORRUPTION_TABLE; clean images have severity 0.
    """
    some, device = images.first(limit), models.evaluated(network)
    labels = some.labels.to(device)
    return pd.DataFrame([
        row(predictions(network, pixels) == labels, some, corruption=name, severity=severity)
        for name, severity, pixels in dataset.cells(some, device=device)
    ])


def sources(training: Training, settings: Mapping[str, Any]) -> list[Training]:
    """Source networks on which images are crafted: plain training at α = 0 by the same recipe, of other seeds
    than the network under attack.
    """
    return [
        Training(training.dataset, training.model, 0.0, seed, training.recipe)
        for seed in settings["sources"]
        if seed != training.seed
    ]


def image_transfer(
    network: nn.Module,
    images: Images,
    *,
    limit: int,
    precision: str,
    epsilon: float,
    sources: Mapping[Training, nn.Module],
) -> pd.DataFrame:
    """Transferred attacks: which images crafted on other networks are right on this one.

    Args:
        limit: Number of images, the first of the split; 0 means all of them.
        precision: "float32" or "bfloat16", for the gradients that PGD follows.
        epsilon: Radius of PGD, in pixels of [0, 1].
        sources: Networks on which images are crafted.

    Returns:
        A table with the columns of TRANSFER_TABLE, in which each source has FGSM and PGD of that radius.
    """
    if not sources:
        raise InputError("image_transfer needs a network of another seed; give one in its setting `sources`")
    some, device, rows = images.first(limit), models.evaluated(network), []
    cells = (
        Cell("fgsm", epsilon, 1, epsilon),
        Cell("ball-cross-entropy", epsilon, BALL_STEPS, epsilon / STEPS_PER_RADIUS),
    )
    labels = some.labels.to(device)
    for source, other in sources.items():
        for cell in cells:
            x = _crafted(source, other, some, cell, precision)
            right = torch.cat([
                is_correct(network, x[part], labels[part]) for part, _, _ in batches(some, device)
            ])
            facts = {"source_seed": source.seed, "attack": cell.attack, "epsilon": cell.epsilon}
            rows.append(row(right, some, **facts))
    return pd.DataFrame(rows)


def image_transfer_cells(training: Training, settings: Mapping[str, Any]) -> Cells:
    """What the table of transferred attacks holds of a network: both attacks, made against each source."""
    seeds = [one.seed for one in sources(training, settings)]
    return {(seed, name, settings["epsilon"]) for seed in seeds for name in ("fgsm", "ball-cross-entropy")}


def _crafted(source: Training, network: nn.Module, images: Images, cell: Cell, precision: str) -> Tensor:
    """Images crafted on a source, cached in .cache/attacked for the next network; safe to delete.

    Returns:
        (n, 3, h, w) float32 on the device of the source.
    """
    digest = fingerprint.digest([craft], cell, weights_digest(network)).replace(":", "-")
    folder = paths.cache() / "attacked" / f"{source.key}-{images.fingerprint}-{precision}"
    found = kept(
        folder / f"{cell.attack}-{cell.epsilon:.6f}-{digest}.npz",
        lambda: {"pixels": craft(network, images, cell, precision).cpu().numpy()},
        what="adversarial images",
    )
    return torch.from_numpy(found["pixels"]).to(models.evaluated(network))
