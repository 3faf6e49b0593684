"""Curves over depth, and one number per network, from tables with one row per unit or layer: input-unit
gradients and dimensionality.
"""

from __future__ import annotations

import pandas as pd

from lib.measurements.dimensionality import ATTACK, CORRUPTION, NONE
from lib.measurements.measurement import is_early
from lib.training.training import LABELS

MEASURES = ("components_90", "components_95", "components_99", "participation_ratio", "twonn")

CHANGES = (NONE, CORRUPTION, ATTACK)


def dimensions(table: pd.DataFrame, *, whole: bool = False) -> pd.DataFrame:
    """Average a `dimensionality` table over corruptions and severities: one row per network, layer and
    change.

    The columns are units, images, cells (number of corruptions and severities, 1 for other changes), each of
    MEASURES, and `per_unit_90`, `per_unit_95` and `per_unit_99`, the number of components divided by that of
    units.

    Args:
        whole: Take clean activations of the whole split, which have no twonn, rather than of the images on
            which the changes are measured.
    """
    keys = [*LABELS, "change", "layer", "depth"]
    clean = table.change == NONE
    per_network = table[clean].groupby(LABELS, sort=False).images
    chosen = (per_network.transform("max") if whole else per_network.transform("min")).reindex(table.index)
    rows = table[~clean | (table.images == chosen)]
    groups = rows.groupby(keys, sort=False)
    found = (
        groups[["units", "images"]]
        .first()
        .join(groups[[*MEASURES]].mean())
        .assign(cells=groups.size())
        .reset_index()
    )
    return found.assign(**{
        f"per_unit_{share}": found[f"components_{share}"] / found.units for share in (90, 95, 99)
    })


def over_live_units(rows: pd.DataFrame, units: pd.DataFrame) -> pd.DataFrame:
    """Add `per_live_95` to rows of `dimensions`: components for 95 % of the variance divided by the number of
    live units of the layer; 0 where no unit fires.

    Args:
        units: `selectivity` table of the same networks, which says which units fire on some image of the test
            set.
    """
    live = units[~units.dead].groupby([*LABELS, "depth"]).size().rename("live").reset_index()
    found = rows.merge(live, on=[*LABELS, "depth"], how="left")
    return found.assign(per_live_95=(found.components_95 / found.live).fillna(0.0)).drop(columns="live")


def with_dimensions(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add means over the early layers to a summary of networks; NaN for networks that are not in the table.

    Returns:
        The summary with these columns added.

        - `dimension_clean`: Number of principal components for 95 % of the variance, divided by the number of
          units, for activations of the whole split.
        - `dimension_corruption, dimension_attack`: The same for the changes.
        - `dimension_same`: The same for clean activations of the images on which the changes are measured.
        - `twonn_clean, twonn_corruption, twonn_attack`: TwoNN on the same images; layers for which it is
          undefined are left out.
    """
    columns = [
        "dimension_clean",
        "dimension_same",
        "dimension_corruption",
        "dimension_attack",
        "twonn_clean",
        "twonn_corruption",
        "twonn_attack",
    ]
    if table.empty:
        return summary.assign(**dict.fromkeys(columns, float("nan")))
    same, whole = dimensions(table), dimensions(table, whole=True)

    def mean(rows: pd.DataFrame, change: str, column: str) -> pd.Series:
        return rows[(rows.change == change) & is_early(rows)].groupby(LABELS, sort=False)[column].mean()

    facts = {
        "dimension_clean": mean(whole, NONE, "per_unit_95"),
        "dimension_same": mean(same, NONE, "per_unit_95"),
    }
    facts |= {f"dimension_{change}": mean(same, change, "per_unit_95") for change in (CORRUPTION, ATTACK)}
    facts |= {
        f"twonn_{'clean' if change == NONE else change}": mean(same, change, "twonn") for change in CHANGES
    }
    return summary.merge(pd.DataFrame(facts).reset_index(), on=LABELS, how="left")
