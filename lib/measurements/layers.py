"""From tables with a row a unit or a layer to curves over depth, and to one number a network: input-unit gradients and dimensionality."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lib.recipes import LABELS
from lib.represented import ATTACK, CORRUPTION, NONE

# Of ResNet18's 17 layers, the paper speaks of those up to the 9th (recalled); other networks have the same share of early layers, which is our choice.
EARLY = 9 / 17


def is_early(rows: pd.DataFrame) -> pd.Series:
    """Which rows are of early layers: of the first 9/17 of a network's, rounded down. Depths are counted from 1."""
    last = rows.groupby(LABELS, sort=False).depth.transform("max")
    return rows.depth <= np.floor(last * EARLY)


# ---- Input-unit gradients --------------------------------------------------------------------------------------------


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


# ---- Dimensionality --------------------------------------------------------------------------------------------------

MEASURES = ("components_90", "components_95", "components_99", "participation_ratio", "twonn")
CHANGES = (NONE, CORRUPTION, ATTACK)


def dimensions(table: pd.DataFrame, *, whole: bool = False) -> pd.DataFrame:
    """A `dimensionality` table with a row a network, layer and change; corruptions and severities are averaged.

    whole  clean activations of the whole split, not of the images that the changes are measured on; these have no twonn

    units, images, cells (corruptions and severities, 1 for the others), each of MEASURES, and `per_unit_90`, `_95`, `_99`: components over units
    """
    keys = [*LABELS, "change", "layer", "depth"]
    clean = table.change == NONE
    per_network = table[clean].groupby(LABELS, sort=False).images
    chosen = (per_network.transform("max") if whole else per_network.transform("min")).reindex(table.index)
    rows = table[~clean | (table.images == chosen)]
    groups = rows.groupby(keys, sort=False)
    found = groups[["units", "images"]].first().join(groups[[*MEASURES]].mean()).assign(cells=groups.size()).reset_index()
    return found.assign(**{f"per_unit_{share}": found[f"components_{share}"] / found.units for share in (90, 95, 99)})


def over_live_units(rows: pd.DataFrame, units: pd.DataFrame) -> pd.DataFrame:
    """Rows of `dimensions` with `per_live_95`: components for 95 % of the variance over those units of the layer that fire; 0 where none does.

    units  the `selectivity` table of the same networks, which says what fires on some image of the test set
    """
    live = units[~units.dead].groupby([*LABELS, "depth"]).size().rename("live").reset_index()
    found = rows.merge(live, on=[*LABELS, "depth"], how="left")
    return found.assign(per_live_95=(found.components_95 / found.live).fillna(0.0)).drop(columns="live")


def with_dimensions(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """A summary of networks with means over their early layers: NaN for those that are not in the table.

    dimension_clean                            principal components for 95 % of the variance over units, of the whole split's activations
    dimension_corruption, dimension_attack     the same of the changes
    dimension_same                             of the clean activations of those images that the changes are measured on
    twonn_clean, twonn_corruption, twonn_attack   TwoNN on those images; layers where it has no answer are left out
    """
    columns = ["dimension_clean", "dimension_same", "dimension_corruption", "dimension_attack", "twonn_clean", "twonn_corruption", "twonn_attack"]
    if table.empty:
        return summary.assign(**dict.fromkeys(columns, float("nan")))
    same, whole = dimensions(table), dimensions(table, whole=True)

    def mean(rows: pd.DataFrame, change: str, column: str) -> pd.Series:
        return rows[(rows.change == change) & is_early(rows)].groupby(LABELS, sort=False)[column].mean()

    facts = {"dimension_clean": mean(whole, NONE, "per_unit_95"), "dimension_same": mean(same, NONE, "per_unit_95")}
    facts |= {f"dimension_{change}": mean(same, change, "per_unit_95") for change in (CORRUPTION, ATTACK)}
    facts |= {f"twonn_{'clean' if change == NONE else change}": mean(same, change, "twonn") for change in CHANGES}
    return summary.merge(pd.DataFrame(facts).reset_index(), on=LABELS, how="left")
