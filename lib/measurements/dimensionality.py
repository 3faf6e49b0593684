"""Dimensionality of each layer's activations, and of the change that corruptions and attacks make in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from lib import models
from lib.attacks import ascent
from lib.base.errors import InputError, unknown
from lib.corruptions import dataset
from lib.data.images import Images
from lib.dimensionality import Covariance, components, participation_ratio, twonn
from lib.measurements.attack import BUDGET, CURVES
from lib.measurements.attack import batches as attack_batches
from lib.measurements.corruption import corruption_cells
from lib.measurements.measurement import COUNT, FLOAT, INT, PLACE, SEVERITY, TEXT, Cells
from lib.models.activations import still
from lib.models.fuse import PRECISIONS, folded
from lib.training.training import Training

DIMENSIONALITY_TABLE = {
    "change": TEXT,
    "corruption": TEXT.or_empty,  # empty where the change is another
    "severity": SEVERITY.or_empty,
    "layer": TEXT,
    "depth": PLACE,
    "units": PLACE,
    "images": COUNT,
    "components_90": INT,
    "components_95": INT,
    "components_99": INT,
    "participation_ratio": FLOAT,
    "variance": FLOAT,
    "twonn": FLOAT,
    "points": INT.or_empty,  # empty where activations were not kept
}

NONE, CORRUPTION, ATTACK = "none", "corruption", "attack"  # kinds of change
SHARES = (0.90, 0.95, 0.99)
ATTACK_STEPS = 40  # steps of the PGD curve with the paper's step size (recalled)


@torch.inference_mode()
def _activations(network: nn.Module, batches: Iterable[Tensor]) -> Iterator[dict[str, Tensor]]:
    """Activations of each batch of float pixels, every ReLU averaged over space, with one forward pass for
    all layers.

    Yields:
        ``{layer: (n, units) float32}``, one batch after the other.
    """
    with models.spatial_means(network) as means:
        for x in batches:
            network(x.contiguous(memory_format=torch.channels_last))
            yield dict(means)


def _unit(pixels: Tensor, device: torch.device) -> Iterator[Tensor]:
    for some in pixels.split(1000 if device.type == "cuda" else 125):
        yield models.to_unit(some.to(device))


def _whole(parts: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    parts = list(parts)
    return {layer: torch.cat([part[layer] for part in parts]) for layer in parts[0]}


def _facts(spectrum: Tensor) -> dict[str, object]:
    shares = {f"components_{100 * share:.0f}": components(spectrum, share) for share in SHARES}
    return shares | {"participation_ratio": participation_ratio(spectrum), "variance": float(spectrum.sum())}


def _intrinsic(points: Tensor) -> float:
    """Intrinsic dimension by TwoNN; NaN where it is undefined because hardly any sample differs from the
    others.
    """
    try:
        return twonn(points)
    except InputError:
        return float("nan")


def _rows(layers: dict[str, Tensor], **facts: object) -> Iterator[dict[str, object]]:
    """One row per layer, from points (n, units) that are all in memory."""
    for depth, (layer, points) in enumerate(layers.items(), start=1):
        found = Covariance()
        found.add(points)
        sizes = {"layer": layer, "depth": depth, "units": points.shape[1], "images": len(points)}
        yield (
            facts
            | sizes
            | _facts(found.spectrum())
            | {"twonn": _intrinsic(points), "points": len(points.unique(dim=0))}
        )


def _streamed(network: nn.Module, images: Images, device: torch.device) -> Iterator[dict[str, object]]:
    """One row per layer over a whole split, without keeping activations, and so without what needs all points
    at once.
    """
    found: dict[str, Covariance] = {}
    for means in _activations(network, _unit(images.pixels, device)):
        for layer, some in means.items():
            found.setdefault(layer, Covariance()).add(some)
    for depth, (layer, covariance) in enumerate(found.items(), start=1):
        spectrum = covariance.spectrum()
        yield {
            "change": NONE,
            "layer": layer,
            "depth": depth,
            "units": len(spectrum),
            "images": covariance.count,
        } | _facts(spectrum)


def dimensionality(network: nn.Module, images: Images, *, limit: int, precision: str) -> pd.DataFrame:
    """Dimensionality of clean activations, and of the differences clean − changed for each image, one row per
    layer and change.

    Args:
        limit: Number of images, the first of the split, for all rows but the former; 0 means all of them.
        precision: "float32" or "bfloat16", for the gradients that PGD follows.

    Returns:
        A table with the columns change ("none" for clean activations, "corruption", or "attack" for PGD with
        40 steps), corruption, severity, layer, depth (1 is the first ReLU), units, images, components_90,
        components_95 and components_99 (number of principal components with that share of the variance),
        participation_ratio, variance (total), twonn (NaN where it is undefined) and points (number of
        different samples). There are two kinds of rows for "none", over the whole split, without twonn, and
        over the first `limit` images.
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    some, device = images.first(limit), models.evaluated(network)
    if len(some) < 2:
        raise InputError(f"dimensions need at least 2 images, got limit {limit!r}")
    with still(network):
        faster = folded(network, models.to_unit(some.pixels[:3].to(device)))
    # folded gives a module for a module
    rows = [*_streamed(faster, images, device)] if len(some) < len(images) else []  # type: ignore[arg-type]
    clean = _whole(_activations(faster, _unit(some.pixels, device)))  # type: ignore[arg-type]
    rows += _rows(clean, change=NONE)

    def change(batches: Iterable[Tensor]) -> dict[str, Tensor]:
        return {
            layer: clean[layer] - means
            for layer, means in _whole(_activations(faster, batches)).items()  # type: ignore[arg-type]
        }

    cells = (
        (name, severity, pixels)
        for name, severity, pixels in dataset.cells(some, device=device)
        if name != dataset.CLEAN
    )
    for name, severity, pixels in cells:
        rows += _rows(change(_unit(pixels, device)), change=CORRUPTION, corruption=name, severity=severity)
    rows += _rows(change(_attacked(network, some, device, precision)), change=ATTACK)
    columns = [
        "change",
        "corruption",
        "severity",
        "layer",
        "depth",
        "units",
        "images",
        *(f"components_{100 * share:.0f}" for share in SHARES),
    ]
    table = pd.DataFrame(rows)[[*columns, "participation_ratio", "variance", "twonn", "points"]]
    return table.astype({"severity": "Int64", "points": "Int64"})


def _attacked(network: nn.Module, images: Images, device: torch.device, precision: str) -> Iterator[Tensor]:
    curve, twin = CURVES["pgd"], None
    for _, x, labels in attack_batches(images, device):
        twin = twin or folded(network, x, precision=precision)
        yield ascent.pgd(
            twin, x, labels, epsilon=BUDGET, step_size=curve.step_size, steps=ATTACK_STEPS, precision=None
        )


def dimensionality_cells(training: Training, settings: Mapping[str, Any]) -> Cells:
    """What the table holds of every layer: the activations themselves, PGD's change, and that of each
    corruption at each severity.
    """
    corrupted = corruption_cells(training, settings) - {(dataset.CLEAN, 0)}
    kinds: Cells = {(NONE, None, None), (ATTACK, None, None)}
    return kinds | {(CORRUPTION, *one) for one in corrupted}
