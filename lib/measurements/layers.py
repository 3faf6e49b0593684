"""From tables with a row a unit or a layer to curves over depth, and to one number a network: input-unit gradients and dimensionality."""

from __future__ import annotations

import pandas as pd

from lib.measurements.dimensionality import ATTACK, CORRUPTION, NONE
from lib.measurements.measurement import is_early
from lib.training.recipe import LABELS

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
