"""Variability of every unit's input-unit gradient."""

from __future__ import annotations

import pandas as pd
from torch import nn

from lib import models
from lib.base.errors import InputError
from lib.data.images import Images
from lib.gradients import input_unit_gradients
from lib.measurements.measurement import is_early
from lib.training.recipe import LABELS


def variability(table: pd.DataFrame) -> pd.DataFrame:
    """A `gradient` table summed up layer by layer: a row a network and layer. Dead units are counted and left out of all the rest.

    units, dead        their numbers
    cv_samples         mean over units of CV_u = σ_u / μ_u, the variability over images of the length of a unit's gradient
    sigma, mu          means over units of σ_u and of μ_u
    cv_firing          like cv_samples, but over the images on which the unit fires, two at least: without the zeros of the others
    cv_units           CV_l = σ_l / μ_l, of the units' μ_u; NaN where fewer than two units live
    sigma_units        σ_l (n − 1 in the denominator); μ_l is mu
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
    """A summary of networks with means over layers of what `variability` says: NaN for those that are not in the table.

    cv_samples, cv_firing, cv_units   over all layers
    cv_units_early, cv_units_late     over the early layers, and over the others
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
    """One row a unit: how the length of its input-unit gradient varies over images.

    columns    layer, depth (1 is the first ReLU), unit, images, active (those on which it fires: on others the gradient is 0), mean, deviation (over all
               images, n − 1 in the denominator), active_mean, active_deviation (over those on which it fires; NaN where there are too few), dead (it fires
               on none)
    limit      the first so many images of the split; 0: all
    precision  of the passes back, as in lib.gradients.input_unit_gradients
    """
    some, device = images.first(limit), models.evaluated(network)
    if len(some) < 2:
        raise InputError(f"a deviation needs at least 2 images, got limit {limit!r}")
    lengths = input_unit_gradients(network, models.to_unit(some.pixels.to(device)), precision=precision)
    tables = []
    for depth, (layer, norms) in enumerate(lengths.items(), start=1):
        units = pd.DataFrame(norms.cpu().numpy())
        firing = units.where(units > 0)
        facts = {"layer": layer, "depth": depth, "unit": units.columns, "images": len(units), "active": firing.count(), "mean": units.mean()}
        facts |= {"deviation": units.std(), "active_mean": firing.mean(), "active_deviation": firing.std(), "dead": firing.count() == 0}
        tables.append(pd.DataFrame(facts))
    return pd.concat(tables, ignore_index=True)
