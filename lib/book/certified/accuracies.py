"""What networks certify, beside what they classify correctly: one row per network, and tables for reading."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats

from lib import runs
from lib.base.errors import InputError
from lib.measurements import per_image
from lib.measurements.attack import CLEAN
from lib.measurements.certificate import COVERED, ESTIMATED, INTERVAL, LARGER, PGD, shares
from lib.papers.singleprop import FASTLIN, IBP, by_method, method
from lib.runs.tables import at_hand, cached
from lib.training.training import LABELS, Training
from lib.training.variants import variant


def _at(rows: pd.DataFrame, epsilon: float) -> pd.DataFrame:
    return rows[(rows.epsilon - epsilon).abs() <= 1e-6 * max(epsilon, 1e-9)] if len(rows) else rows


def at_radius(table: pd.DataFrame, radii: pd.DataFrame, epsilon: float) -> pd.DataFrame:
    """A `certificate` table with rows at a radius that is not among its own.

    What interval bounds certify there comes from the radius of each image, which is short by less than one
    part in 256 of it, or of 0.5/255 where it is smaller. PGD was not made there: what is left at the largest
    radius below is more than what would be left here, so it bounds it from above. Nothing is said of linear
    bounds and SingleProp's intervals.

    Args:
        table: `certificate` table; may be empty.
        radii: `certified_radius` table of the same networks; those that are not in it get no rows.
        epsilon: The radius.

    Raises:
        InputError: If both tables of a network are not about the same images.
    """
    if table.empty or radii.empty or len(_at(table[table.method == INTERVAL], epsilon)):
        return table
    by_network = {key: own for key, own in radii.groupby(LABELS, dropna=False)}
    found = []
    for key, rows in table.groupby(LABELS, dropna=False, sort=False):
        if key not in by_network:
            continue
        own, (clean,) = by_network[key], rows[rows.method == CLEAN].to_dict("records")
        right = per_image.unpacked(clean)
        if len(own) != len(right) or (own.correct.to_numpy() != right).any():
            raise InputError(
                f"tables certificate and certified_radius of {key} are not about the same images"
            )
        # a radius of 0 says that nothing is certified, of an image that is wrong too
        bits = right & (own.radius.to_numpy() >= epsilon)
        found.append(clean | {"method": INTERVAL, "epsilon": epsilon, "right": np.packbits(bits).tobytes()})
        # below all radii of PGD the clean images bound what is left
        bounds = rows[(rows.method == PGD) & (rows.epsilon < epsilon)]
        bounds = bounds if len(bounds) else rows[rows.method == CLEAN]
        last = bounds.sort_values("epsilon").to_dict("records")[-1]
        found.append(last | {"method": PGD, "epsilon": epsilon})
    return pd.concat([table, pd.DataFrame(found)], ignore_index=True) if found else table


def accuracies(table: pd.DataFrame, bounded: pd.DataFrame, epsilon: float) -> pd.DataFrame:
    """One row per network: certified accuracies and accuracy under PGD at one radius.

    Args:
        table: `certificate` table over the grid of radii; may be empty.
        bounded: Such a table with linear bounds, of fewer images; may be empty.

    Returns:
        A table with the columns LABELS and `certified`, `attacked` (shares of the images of `table`),
        `certified_larger`, `certified_few` (by the larger of linear and interval bounds, and by interval
        bounds alone, on the images of `bounded`) and `certified_by_any`: by this network or by that of IBP of
        the same seed.
    """
    if table.empty:
        return pd.DataFrame(columns=[*LABELS, "certified", "attacked"])
    rows = shares(_at(table, epsilon))
    parts = {
        name: rows[rows.method == kind].set_index(LABELS).accuracy
        for name, kind in (("certified", INTERVAL), ("attacked", PGD))
    }
    if len(bounded):
        few = shares(_at(bounded, epsilon))
        for name, kind in (("certified_larger", LARGER), ("certified_few", INTERVAL)):
            parts[name] = few[few.method == kind].set_index(LABELS).accuracy
    parts["certified_by_any"] = _together(_at(table[table.method == INTERVAL], epsilon))
    return pd.DataFrame(parts).reset_index()


def _together(rows: pd.DataFrame) -> pd.Series:
    """Share of images that a network of SingleProp, or that of IBP of the same seed and α, certifies."""
    ibp = {
        (one["seed"], one["alpha"]): per_image.unpacked(one)
        for one in rows.to_dict("records")
        if method(one["variant"]) == IBP
    }
    shared = {
        tuple(one[name] for name in LABELS): (per_image.unpacked(one) | ibp[one["seed"], one["alpha"]]).mean()
        for one in rows.to_dict("records")
        if method(one["variant"]) == FASTLIN and (one["seed"], one["alpha"]) in ibp
    }
    if not shared:
        return pd.Series(dtype=float, index=pd.MultiIndex.from_arrays([[]] * len(LABELS), names=LABELS))
    return pd.Series(list(shared.values()), index=pd.MultiIndex.from_tuples(shared, names=LABELS))


def inside(units: pd.DataFrame, selective: pd.DataFrame) -> pd.DataFrame:
    """One row per network, of a `half_width` table and a `selectivity` table; both may be empty.

    Returns:
        A table with the columns LABELS, `unstable` (share, mean over layers), `relative_centre_error` (error
        of the centre over the width of the interval), `uncovered_zero` and `uncovered_fastlin` (share of the
        first layer's units) and `width_and_selectivity` (Spearman's correlation over live units, mean over
        layers).
    """
    if units.empty:
        return pd.DataFrame(columns=LABELS)
    wide = (2 * units.radius).where(units.radius > 0)
    rows = units.assign(relative_centre_error=units.centre_error / wide)
    columns = ["unstable", "relative_centre_error"]
    means = rows.groupby([*LABELS, "depth"])[columns].mean().groupby(LABELS).mean()
    first = rows[rows.depth == 1].groupby(LABELS)[["covered_zero", "covered_fastlin"]].mean()
    facts = means.join((1 - first).rename(columns=lambda name: name.replace("covered", "uncovered")))
    if len(selective):
        live = units.merge(selective[~selective.dead], on=[*LABELS, "layer", "depth", "unit"])
        ranks = {key: _correlation(own) for key, own in live.groupby([*LABELS, "depth"]) if len(own) > 2}
        if ranks:
            index = pd.MultiIndex.from_tuples(ranks, names=[*LABELS, "depth"])
            facts["width_and_selectivity"] = pd.Series([*ranks.values()], index).groupby(LABELS).mean()
    return facts.reset_index()


def _correlation(units: pd.DataFrame) -> float:
    if units.fastlin.nunique() < 2 or units.selectivity.nunique() < 2:
        return math.nan
    return float(stats.spearmanr(units.fastlin, units.selectivity).statistic)


def alike(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The rows of a `certificate` table that are compared with PGD, of the images that PGD attacked, and how
    many these are.

    Args:
        table: May be empty.
    """
    attacked = int(table[table.method == PGD]["images"].min()) if len(table) else 0
    return per_image.first(table[table.method.isin([CLEAN, INTERVAL, PGD])], attacked), attacked


def by_radius(table: pd.DataFrame) -> pd.DataFrame:
    """Certified accuracy by interval bounds in percent, as text: one row per way of training, one column per
    radius; mean, and standard deviation over seeds where there are several.
    """
    rows = shares(table[(table.method == INTERVAL) & (table.alpha == 0)])
    found = []
    for way, own in rows.groupby("variant", sort=False):
        cells = {"training": variant(str(way)).label}
        for epsilon, values in own.groupby("epsilon").accuracy:
            spread = f" ± {100 * values.std():.1f}" if len(values) > 1 else ""
            cells[f"{255 * epsilon:.6g}/255"] = f"{100 * values.mean():.1f}{spread}"
        found.append(cells)
    return pd.DataFrame(found)


def summary(trainings: list[Training], *tables: pd.DataFrame, make: bool) -> pd.DataFrame:
    """One row per training with the columns that the claims read: those of a summary, and those of tables
    with the columns LABELS; where nothing is made, without numbers for a network that is not at hand.
    """
    rows = runs.summary(trainings) if make else at_hand(trainings)
    for table in tables:
        if len(table):
            rows = rows.merge(table, on=LABELS, how="left")
    return rows.reindex(columns=[*dict.fromkeys([*rows, "certified", "attacked"])])


def shown(summary: pd.DataFrame) -> pd.DataFrame:
    """The rows of a summary that figures of certified accuracy show: networks at α = 0 that have proofs."""
    return summary[(summary.alpha == 0) & summary.certified.notna()]


def headline(summary: pd.DataFrame, dataset: str, epsilon: float) -> str:
    """What is certified with SingleProp, IBP and neither, in a sentence; "" where one of them is not at hand.

    Args:
        summary: Rows of `summary`; only seeds that have all three count.
        dataset: Of the networks.
        epsilon: The radius that it is about.
    """
    three = by_method(summary, "certified", FASTLIN, IBP, "plain")
    if three.empty:
        return ""
    cells = [f"{100 * three[name].mean():.1f} %" for name in (FASTLIN, IBP, "plain")]
    seeds = "mean over seeds" if len(three) > 1 else "one seed"
    return (
        f"Within {255 * epsilon:.6g}/255, interval bounds prove {cells[0]} of the test images of {dataset} "
        f"for networks trained by SingleProp (fastlin), {cells[1]} for IBP, and {cells[2]} for plain ones "
        f"({seeds})."
    )


def together(*summaries: pd.DataFrame) -> pd.DataFrame:
    """Summaries below each other, each network once: the first row about it."""
    rows = pd.concat([one for one in summaries if len(one)], ignore_index=True)
    return rows.drop_duplicates(LABELS, ignore_index=True)


def covered(table: pd.DataFrame, epsilon: float) -> pd.DataFrame:
    """How often SingleProp's intervals hold interval bounds at every logit, in percent of images, as text: a
    row per way of training at α = 0, a column per rule; means over seeds.

    Args:
        table: `certificate` table; may be empty.
        epsilon: The radius.
    """
    rows = shares(_at(table[table.alpha == 0], epsilon)) if len(table) else table
    found = []
    for way, own in rows.groupby("variant", sort=False) if len(rows) else ():
        means = own.groupby("method").accuracy.mean()
        cells = {rule: means.get(COVERED + rule) for rule in ESTIMATED}
        found.append(
            {"training": variant(str(way)).label}
            | {rule: "–" if value is None else f"{100 * value:.1f}" for rule, value in cells.items()}
        )
    return pd.DataFrame(found)


def jointly(table: pd.DataFrame, epsilon: float) -> pd.DataFrame:
    """What networks of IBP and SingleProp (fastlin) of one seed certify by interval bounds at α = 0,
    each alone and either of them, in percent, as text: one row per seed.

    The last column has the filter of the paper's code: both networks classify the image correctly.

    Args:
        table: `certificate` table; may be empty.
        epsilon: The radius.
    """
    if table.empty:
        return table
    rows = table[(table.alpha == 0) & table.variant.map(method).isin([IBP, FASTLIN])]
    clean, proven = (
        {(one["seed"], method(one["variant"])): per_image.unpacked(one) for one in some.to_dict("records")}
        for some in (rows[rows.method == CLEAN], _at(rows[rows.method == INTERVAL], epsilon))
    )
    found = []
    for seed in sorted(seed for seed, how in proven if how == IBP and (seed, FASTLIN) in proven):
        either = proven[seed, IBP] | proven[seed, FASTLIN]
        shares_of = {
            "IBP": proven[seed, IBP],
            "SingleProp": proven[seed, FASTLIN],
            "either": either,
            "either, both right": either & clean[seed, IBP] & clean[seed, FASTLIN],
        }
        found.append(
            {"seed": str(seed)} | {name: f"{100 * bits.mean():.1f}" for name, bits in shares_of.items()}
        )
    return pd.DataFrame(found)


def extra(trainings: list[Training], radius: float) -> pd.DataFrame:
    """One row per network of these that is at hand, with its accuracies at a radius; nothing is made."""
    table = at_radius(cached("certificate", trainings), cached("certified_radius", trainings), radius)
    if table.empty:
        return pd.DataFrame()
    return at_hand(trainings).merge(accuracies(table, pd.DataFrame(), radius), how="inner")
