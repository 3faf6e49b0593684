"""Variability of every unit's input-unit gradient."""

from __future__ import annotations

import pandas as pd
from torch import nn

from lib import models
from lib.base.errors import InputError
from lib.data.images import Images
from lib.gradients import input_unit_gradients
from lib.measurements.measurement import BOOL, COUNT, FLOAT, UNIT, is_early
from lib.training.training import LABELS

GRADIENT_TABLE = {
    **UNIT,
    "images": COUNT,
    "active": COUNT,
    "mean": FLOAT,
    "deviation": FLOAT,
    "active_mean": FLOAT,
    "active_deviation": FLOAT,
    "dead": BOOL,
}


def variability(table: pd.DataFrame) -> pd.DataFrame:
    """Summarise a `gradient` table by layer, one row per network and layer.

    Dead units are counted and left out of everything else.

    Returns:
        A table with these columns.

        - `units, dead`: Number of units, and of dead ones.
        - `cv_samples`: Mean over units of CV_u = σ_u / μ_u, the variability over images of the length of a
          unit's gradient.
        - `sigma, mu`: Means over units of σ_u and μ_u.
        - `cv_firing`: Like cv_samples, but over the images on which the unit fires, at least two, without the
          zeros of the others.
        - `cv_units`: CV_l = σ_l / μ_l over the units' μ_u; NaN with fewer than two live units.
        - `sigma_units`: σ_l, with n − 1 in the denominator; μ_l is mu.
    """
    keys = [*LABELS, "layer", "depth"]
    counts = table.groupby(keys, sort=False).dead.agg(units="size", dead="sum")
    live = table[~table.dead]
    live = live.assign(
        cv_samples=live.deviation / live["mean"],
        cv_firing=live.active_deviation / live.active_mean,
        sigma=live.deviation,
        mu=live["mean"],
    )
    groups = live.groupby(keys, sort=False)
    means = groups[["cv_samples", "cv_firing", "sigma", "mu"]].mean()
    means["sigma_units"] = groups["mean"].std()
    means["cv_units"] = means.sigma_units / means.mu
    return counts.join(means).reset_index()


def with_gradients(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add means over layers of the columns of `variability` to a summary of networks; NaN for networks that
    are not in the table.

    Returns:
        The summary with these columns added.

        - `cv_samples, cv_firing, cv_units`: Means over all layers.
        - `cv_units_early, cv_units_late`: Means over the early layers, and over the others.
    """
    columns = ["cv_samples", "cv_firing", "cv_units"]
    if table.empty:
        return summary.assign(**dict.fromkeys([*columns, "cv_units_early", "cv_units_late"], float("nan")))
    rows = variability(table)
    first = is_early(rows)
    facts = rows.groupby(LABELS, sort=False)[columns].mean()
    facts["cv_units_early"] = rows[first].groupby(LABELS, sort=False).cv_units.mean()
    facts["cv_units_late"] = rows[~first].groupby(LABELS, sort=False).cv_units.mean()
    return summary.merge(facts.reset_index(), on=LABELS, how="left")


def gradient(network: nn.Module, images: Images, *, limit: int, precision: str) -> pd.DataFrame:
    """How the length of each unit's input-unit gradient varies over images, one row per unit.

    Args:
        limit: Number of images, the first of the split; 0 means all of them.
        precision: Precision of the backward passes, as in `gradients.input_unit_gradients`.

    Returns:
        A table with the columns layer, depth (1 is the first ReLU), unit, images, active (number of images on
        which the unit fires; on others the gradient is 0), mean and deviation (over all images, with n − 1 in
        the denominator), active_mean and active_deviation (over images on which it fires; NaN if there are
        too few) and dead (whether it fires on no image).
    """
    some, device = images.first(limit), models.evaluated(network)
    if len(some) < 2:
        raise InputError(f"a deviation needs at least 2 images, got limit {limit!r}")
    lengths = input_unit_gradients(network, models.to_unit(some.pixels.to(device)), precision=precision)
    tables = []
    for depth, (layer, norms) in enumerate(lengths.items(), start=1):
        units = pd.DataFrame(norms.cpu().numpy())
        firing = units.where(units > 0)
        facts = {
            "layer": layer,
            "depth": depth,
            "unit": units.columns,
            "images": len(units),
            "active": firing.count(),
            "mean": units.mean(),
        }
        facts |= {
            "deviation": units.std(),
            "active_mean": firing.mean(),
            "active_deviation": firing.std(),
            "dead": firing.count() == 0,
        }
        tables.append(pd.DataFrame(facts))
    return pd.concat(tables, ignore_index=True)
