"""Class selectivity of every unit, and the class-conditional means it is made of."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor, nn

from lib import models
from lib import selectivity as index
from lib.data.images import Images
from lib.measurements.measurement import BOOL, COUNT, FLOAT, SHARE, TEXT, UNIT

SELECTIVITY_TABLE = {**UNIT, "selectivity": SHARE, "dead": BOOL, "best_class": COUNT}
CLASS_MEANS_TABLE = {**UNIT, "class": TEXT, "mean": FLOAT}


@torch.no_grad()
def spatial_activations(network: nn.Module, images: Images, *, batch: int = 500) -> dict[str, Tensor]:
    """Output of every ReLU layer, averaged over space.

    Returns:
        ``{layer: (n, units) float32}`` on the CPU.

    Raises:
        InputError: If the network is in training mode, in which a batch would change it.
    """
    device = models.evaluated(network)
    parts: dict[str, list[Tensor]] = {}
    with models.spatial_means(network) as means:
        for start in range(0, len(images), batch):
            network(models.to_unit(images.pixels[start : start + batch].to(device)))
            for layer, mean in means.items():
                parts.setdefault(layer, []).append(mean.cpu())
    return {layer: torch.cat(part) for layer, part in parts.items()}


def selectivity(network: nn.Module, images: Images) -> pd.DataFrame:
    """Class selectivity of every unit, over the whole split.

    The index of a dead unit is 0 by definition and has no meaning: leave dead units out, or say that they are
    included.

    Returns:
        One row per unit with the columns layer, depth (1 is the first ReLU), unit, selectivity, dead and
        best_class.
    """
    tables = []
    for depth, (layer, activations) in enumerate(spatial_activations(network, images).items(), start=1):
        means, present = index.class_means(activations.double(), images.labels, len(images.classes))
        tables.append(
            pd.DataFrame({
                "layer": layer,
                "depth": depth,
                "unit": range(means.shape[1]),
                "selectivity": index.selectivity_index(means, present).float().numpy(),
                "dead": index.dead(means).numpy(),
                "best_class": means.argmax(0).numpy(),
            })
        )
    return pd.concat(tables, ignore_index=True)


def class_means(network: nn.Module, images: Images) -> pd.DataFrame:
    """Class-conditional mean activations, from which selectivity is computed.

    Returns:
        One row per unit and class with the columns layer, depth, unit, class and mean.
    """
    tables = []
    for depth, (layer, activations) in enumerate(spatial_activations(network, images).items(), start=1):
        means, _ = index.class_means(activations.double(), images.labels, len(images.classes))
        wide = pd.DataFrame(means.float().numpy().T, columns=list(images.classes))
        long = wide.rename_axis("unit").reset_index().melt("unit", var_name="class", value_name="mean")
        tables.append(long.assign(layer=layer, depth=depth))
    return pd.concat(tables, ignore_index=True)[["layer", "depth", "unit", "class", "mean"]]
