"""What the chapter on certified training shows: networks with their proofs, and what is missing of them."""

from __future__ import annotations

import json
import math
import weakref
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from scipy import stats
from torch.overrides import TorchFunctionMode

from lib import models, runs
from lib.base import paths
from lib.base.errors import InputError
from lib.book.chapter import Parameters
from lib.certificates.losses import mixed
from lib.certificates.relaxation import RULES, half_width, lines
from lib.measurements import per_image
from lib.measurements.attack import CLEAN
from lib.measurements.certificate import COVERED, EPSILONS, ESTIMATED, INTERVAL, LARGER, PGD, shares
from lib.measurements.registry import EPOCH, Asked, file_name
from lib.papers.singleprop import FASTLIN, IBP, METHODS, method
from lib.papers.singleprop import PGD as ADVERSARIAL
from lib.runs import store
from lib.runs.tables import at_hand, cached
from lib.training.objective.worst import Worst
from lib.training.training import LABELS, Training
from lib.training.variants import Robust, robust_name, variant

# linear bounds take seconds per image without a GPU: a table of their own, at one radius
LINEAR = {"epsilons": [2 / 255], "limit": 50, "attacked": 50, "linear": 50}
BENCH = ("certified-small", "certified-large")  # cases of the benchmark: a step of IBP over one of SingleProp
TIMED = "benchmarks/results.json"
# steps that are counted, and the names of their ways of training
WAYS = {"plain": "", "singleprop": FASTLIN, "ibp": IBP, "pgd": ADVERSARIAL}


def radius(text: object) -> float:
    """A radius that was written as a fraction or a number, such as "2/255" or "0.01".

    Raises:
        InputError: For anything that is not a number from 0 to 1.
    """
    above, _, below = str(text).partition("/")
    try:
        value = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if isinstance(text, bool) or not 0 <= value <= 1:
        raise InputError(f"parameter 'epsilon' must be a radius in [0, 1], such as '2/255', got {text!r}")
    return value


def found(measurement: str, trainings: Sequence[Training], **settings: Any) -> pd.DataFrame:
    """A table over networks: of those that have it where nothing may be made (RUNS_FROZEN=1), else of all."""
    if runs.frozen():
        return cached(measurement, list(trainings), **settings)
    return runs.table(measurement, trainings, **settings)


def grid(epsilon: float) -> list[float]:
    """The radii of the usual table, and one more if it is not among them."""
    near = any(math.isclose(epsilon, one, rel_tol=1e-6) for one in EPSILONS)
    return sorted({*EPSILONS, *([] if near else [epsilon])})


def settings(epsilon: float) -> dict[str, Any]:
    """The settings of the table `certificate` that holds a radius; none where the usual one does."""
    return {} if grid(epsilon) == [*EPSILONS] else {"epsilons": tuple(grid(epsilon))}


def wanted(here: Parameters, epsilon: float) -> dict[Asked, list[Training]]:
    """The tables that the chapter shows at a radius, and of which networks."""
    certificate = Asked("certificate", tuple(settings(epsilon).items()))
    return dict.fromkeys((Asked("selectivity"), certificate, Asked("half_width")), here.trainings)


def _at(rows: pd.DataFrame, epsilon: float) -> pd.DataFrame:
    return rows[(rows.epsilon - epsilon).abs() <= 1e-6 * max(epsilon, 1e-9)] if len(rows) else rows


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
        return pd.DataFrame(columns=LABELS)
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
            cells[f"{255 * epsilon:.3g}/255"] = f"{100 * values.mean():.1f}{spread}"
        found.append(cells)
    return pd.DataFrame(found)


def summary(trainings: list[Training], *tables: pd.DataFrame) -> pd.DataFrame:
    """One row per training with the columns that the claims read: those of a summary, and those of tables
    with the columns LABELS; without numbers for a network that is not at hand.
    """
    rows = at_hand(trainings) if runs.frozen() else runs.summary(trainings)
    for table in tables:
        if len(table):
            rows = rows.merge(table, on=LABELS, how="left")
    return rows


def shown(summary: pd.DataFrame) -> pd.DataFrame:
    """The rows of a summary that figures of certified accuracy show: networks at α = 0 that have proofs."""
    return summary[(summary.alpha == 0) & summary.certified.notna()]


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


def watched(trainings: Sequence[Training]) -> list[Training]:
    """The networks that are followed through their training: one seed, α = 0, one of each kind of method."""
    first = min(one.seed for one in trainings)
    return [
        one
        for one in trainings
        if one.seed == first and one.alpha == 0 and method(one.variant) in ("plain", IBP, FASTLIN)
    ]


def missing(trainings: Sequence[Training]) -> str:
    """How many of some networks are there, and how to make the others, in words."""
    lacking = runs.missing(trainings)
    there = len(trainings) - len(lacking)
    if not lacking:
        return f"all {len(trainings)} networks are cached"
    return (
        f"{there} of {len(trainings)} networks are cached; the first that is missing is made by "
        f"`{runs.command(lacking[0])}`"
    )


def labels(trainings: Iterable[Training]) -> str:
    """The ways of training in words."""
    names = dict.fromkeys(variant(one.variant).label for one in trainings)
    return ", ".join(names)


def steps(file: str = TIMED) -> list[dict[str, object]]:
    """Rows of the published benchmark on steps of certified training; none if it was not run."""
    place = paths.ROOT / file
    rows = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else []
    return [one for one in rows if one["name"] in BENCH and one["ratio"] is not None]


class _Counted(TorchFunctionMode):
    """Counts convolutions and linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += function in (F.conv2d, F.linear)
        return function(*args, **(kwargs or {}))


def passes(model: str = "cnn-small") -> dict[str, int]:
    """Linear passes that the loss of a step takes, forward, by method: calls of layers with weights over
    their number.

    With PGD each is followed by one back.
    """
    network, x = models.build(model, 10), torch.full((2, 3, 32, 32), 0.5)
    layers = sum(isinstance(one, torch.nn.Conv2d | torch.nn.Linear) for one in network.modules())
    found = {}
    for name, how in WAYS.items():
        with _Counted() as counted:
            if not how:
                network(x)
            else:
                loss = _loss(network, how)
                counted.count = 0  # of what reading the network took
                loss.logits(x, torch.zeros(2, dtype=torch.int64))
        found[name] = round(counted.count / layers)
    return found


def difference(pairs: int = 100_000) -> float:
    """Largest difference between SingleProp's rules and half the distance of the two lines, on random
    (z, v).
    """
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(pairs, generator=generator, dtype=torch.float64)
    v = torch.rand(pairs, generator=generator, dtype=torch.float64) * 2
    worst = 0.0
    for rule in RULES:
        below, above, offset = lines(z - v, z + v, rule)
        half = (above * (z + v) + offset - below * (z - v)) / 2
        worst = max(worst, float((half_width(z, v, rule) - half).abs().max()))
    return worst


def kept(model: str) -> dict[str, float]:
    """Memory that the loss of a step keeps for its gradient, by method, in MiB an image: what autograd saves
    for one image more, so that weights, and their absolute values, do not count.
    """
    few, more = (_kept(model, images) for images in (2, 4))
    return {name: (more[name] - few[name]) / 2 / 2**20 for name in few}


class _Held:
    """A tensor that autograd saves, as long as it does."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor


class _Saved:
    """Bytes of the storages that autograd holds, each once: now, and at most."""

    def __init__(self) -> None:
        self.times: Counter[int] = Counter()  # tensors held, by the address of their storage
        self.now = self.most = 0

    def hold(self, tensor: torch.Tensor) -> _Held:
        held, storage = _Held(tensor), tensor.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        self.now += 0 if self.times[place] else size
        self.times[place] += 1
        self.most = max(self.most, self.now)
        weakref.finalize(held, self._release, place, size)
        return held

    def _release(self, place: int, size: int) -> None:
        self.times[place] -= 1
        self.now -= 0 if self.times[place] else size


def _kept(model: str, images: int) -> dict[str, int]:
    """The most bytes that autograd holds in a step, by method."""
    network = models.build(model, 10)
    x, y = torch.full((images, 3, 32, 32), 0.5), torch.zeros(images, dtype=torch.int64)
    found = {}
    for name, how in WAYS.items():
        saved, loss = _Saved(), _loss(network, how) if how else None
        with torch.autograd.graph.saved_tensors_hooks(saved.hold, lambda held: held.tensor):
            value = F.cross_entropy(network(x), y) if loss is None else mixed(*loss.logits(x, y)[:2], y, 0.5)
        found[name] = saved.most
        del value
    return found


def extra(trainings: list[Training], radius: float, **settings: Any) -> pd.DataFrame:
    """One row per network of these that is at hand, with its accuracies at a radius; nothing is made."""
    table = cached("certificate", trainings, **settings)
    if table.empty:
        return pd.DataFrame()
    return at_hand(trainings).merge(accuracies(table, pd.DataFrame(), radius), how="inner")


def _loss(network: torch.nn.Module, how: str) -> Worst:
    settings = variant(robust_name(how, 2 / 255)).settings
    assert isinstance(settings, Robust)
    return Worst(network, {}, settings)


def along(trainings: Sequence[Training], epochs: Sequence[int]) -> pd.DataFrame:
    """The table `half_width` after some epochs; where nothing may be made, of the trainings that have all
    of them.
    """
    if runs.frozen():
        names = [file_name("half_width", {EPOCH: epoch}) for epoch in epochs]
        trainings = [
            one
            for one in trainings
            if not runs.missing([one])
            and all(name in store.Folder(paths.runs() / one.name) for name in names)
        ]
    return runs.snapshots("half_width", trainings, epochs=epochs) if trainings else pd.DataFrame()


def order(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the columns method and place, in the order of METHODS."""
    places = {name: place for place, name in enumerate(METHODS)}
    named = rows.assign(method=rows.variant.map(method))
    return named.assign(place=named.method.map(places)).sort_values(["place", "alpha", "seed"], kind="stable")
