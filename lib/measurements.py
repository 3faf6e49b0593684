"""What is measured on one trained network: a tidy table each, one row per thing measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor, nn

from lib import models
from lib import selectivity as index
from lib.data import Images
from lib.errors import InputError, unknown


@torch.no_grad()
def spatial_activations(network: nn.Module, images: Images, *, batch: int = 500) -> dict[str, Tensor]:
    """Every ReLU layer's output averaged over space: {layer: (n, units) float32} on the CPU, in evaluation mode.

    raises  InputError when the network is in training mode, where a batch would change it
    """
    if network.training:
        raise InputError("measurements need a network in evaluation mode; call network.eval() first")
    device = next(network.parameters()).device
    parts: dict[str, list[Tensor]] = {}
    with models.spatial_means(network) as means:
        for start in range(0, len(images), batch):
            network(models.to_unit(images.pixels[start : start + batch].to(device)))
            for layer, mean in means.items():
                parts.setdefault(layer, []).append(mean.cpu())
    return {layer: torch.cat(part) for layer, part in parts.items()}


def selectivity(network: nn.Module, images: Images) -> pd.DataFrame:
    """One row a unit: layer, depth (1 is the first ReLU), unit, selectivity, dead, best_class, over the whole split.

    The index of a dead unit is 0 by definition and means nothing: leave dead units out, or say that they are in.
    """
    tables = []
    for depth, (layer, activations) in enumerate(spatial_activations(network, images).items(), start=1):
        means, present = index.class_means(activations.double(), images.labels, len(images.classes))
        tables.append(
            pd.DataFrame(
                {
                    "layer": layer,
                    "depth": depth,
                    "unit": range(means.shape[1]),
                    "selectivity": index.selectivity_index(means, present).float().numpy(),
                    "dead": index.dead(means).numpy(),
                    "best_class": means.argmax(0).numpy(),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def class_means(network: nn.Module, images: Images) -> pd.DataFrame:
    """One row a unit and class: layer, depth, unit, class, mean: the class-conditional means that selectivity is made of."""
    tables = []
    for depth, (layer, activations) in enumerate(spatial_activations(network, images).items(), start=1):
        means, _ = index.class_means(activations.double(), images.labels, len(images.classes))
        wide = pd.DataFrame(means.float().numpy().T, columns=list(images.classes))
        long = wide.rename_axis("unit").reset_index().melt("unit", var_name="class", value_name="mean")
        tables.append(long.assign(layer=layer, depth=depth))
    return pd.concat(tables, ignore_index=True)[["layer", "depth", "unit", "class", "mean"]]


@dataclass(frozen=True)
class Measurement:
    """A function (network, test images, **settings) -> table, its settings, and what it is for."""

    function: Callable[..., pd.DataFrame]
    summary: str
    settings: dict[str, object] = field(default_factory=dict)


MEASUREMENTS = {
    "selectivity": Measurement(selectivity, "class selectivity index of every unit, and which units are dead"),
    "class_means": Measurement(class_means, "class-conditional mean activation of every unit"),
}


def settled(name: str, settings: dict[str, object]) -> dict[str, object]:
    """All settings of a measurement, defaults filled in; raises InputError for an unknown name or setting."""
    if name not in MEASUREMENTS:
        raise unknown("measurement", name, MEASUREMENTS)
    known = MEASUREMENTS[name].settings
    for setting in settings:
        if setting not in known:
            raise unknown(f"setting of {name}", setting, known)
    return known | settings


def file_name(name: str, settings: dict[str, object]) -> str:
    """The table's file in a run folder: the measurement, and a hash of its settings."""
    digest = hashlib.sha256(json.dumps(settled(name, settings), sort_keys=True).encode()).hexdigest()[:6]
    return f"{name}-{digest}.parquet"
