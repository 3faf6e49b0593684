"""Both rounds of the networks: the second's as its rules name them, from what is cached, and the ledger of
both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lib import papers, runs
from lib.base import text
from lib.book import own
from lib.book.grid import Parameters
from lib.measurements import MEASUREMENTS, per_image_summary
from lib.measurements.gradient import with_gradients
from lib.measurements.jacobian import with_jacobian
from lib.measurements.layers import with_dimensions
from lib.papers import first_round, ledger, second_round
from lib.papers.rules import rules
from lib.papers.second_round import Right
from lib.papers.second_statistics import FGSM, STATISTICS
from lib.papers.statistics import LEAST_SEEDS
from lib.runs import provenance
from lib.runs.tables import at_hand, cached, full_summary
from lib.training.training import Training


@dataclass(frozen=True)
class Table:
    """Where columns of a summary come from.

    Attributes:
        measurement: Name of the measurement.
        add: Adds the columns to a summary, from the measurement's table.
        columns: Those that statistics of the second round read.
        right: From the table, {column: {(seed, α): (images,) which are right, or in which share of the
            rows}}, where that is kept image by image.
        first: Measurements that the first round read in its place; itself where there are none.
    """

    measurement: str
    add: Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]
    columns: tuple[str, ...]
    right: Callable[[pd.DataFrame], Right] = lambda table: {}
    first: tuple[str, ...] = ()

    @property
    def settings(self) -> Mapping[str, object]:
        """Those that the rules name and that are not the measurement's own."""
        return second_round.SETTINGS.get(self.measurement, {})

    @property
    def before(self) -> tuple[str, ...]:
        """Measurements that the first round read."""
        return self.first or (self.measurement,)


# accuracies of the figure that opens the book
OPENING = ("clean_accuracy", "corrupted_accuracy", FGSM, "pgd_accuracy")
ATTACKED = (FGSM, "pgd_accuracy", "ball_margin", "ball_temperature", "ball_worst")


def _attacked(table: pd.DataFrame) -> Right:
    rows = per_image_summary.attacked(table)
    # the lowest of three accuracies is no accuracy of images
    return {column: per_image_summary.shares(rows[column]) for column in ATTACKED if column in rows}


def _corrupted(table: pd.DataFrame) -> Right:
    return {"corrupted_accuracy": per_image_summary.shares(table[table.severity > 0])}


# Selectivity, clean accuracy and dead units come with every summary.
TABLES = (
    Table(
        "image_attack",
        per_image_summary.with_image_attack,
        ATTACKED,
        _attacked,
        ("attack", "transfer", "autoattack"),
    ),
    Table(
        "image_corruption",
        per_image_summary.with_image_corruption,
        ("corrupted_accuracy", "relative_accuracy"),
        _corrupted,
        ("corruption",),
    ),
    Table(
        "image_transfer",
        per_image_summary.with_image_transfer,
        ("transfer_accuracy",),
        first=("transfer",),
    ),
    Table("jacobian", with_jacobian, ("log_jacobian",)),
    Table("gradient", with_gradients, ("cv_samples", "cv_units")),
    Table(
        "dimensionality",
        with_dimensions,
        (
            "dimension_clean",
            "dimension_corruption",
            "dimension_attack",
            "twonn_clean",
            "twonn_corruption",
            "twonn_attack",
        ),
    ),
)


def _read_for(columns: Collection[str]) -> list[Table]:
    """The tables that some columns come from."""
    return [table for table in TABLES if set(table.columns) & set(columns)]


def sample() -> Parameters:
    """The second round's networks over α."""
    asked = rules()
    return Parameters(asked.dataset, asked.model, asked.alphas, asked.seeds, asked.recipe)


def first_sample() -> Parameters:
    """The first round's networks over α."""
    asked = rules()
    return Parameters(asked.dataset, asked.model, first_round.ALPHAS, first_round.SEEDS, asked.recipe)


def before(columns: Collection[str]) -> pd.DataFrame:
    """The first round's networks with what is cached of the tables that it had for some columns of the
    second's statistics, one row each. Nothing is made.
    """
    asked = first_sample()
    summary = at_hand(asked.trainings)
    for name in dict.fromkeys(name for table in _read_for(columns) for name in table.before):
        if add := MEASUREMENTS[name].columns:
            summary = add(summary, asked.cached_table(name))
    return summary


def networks(columns: Collection[str]) -> tuple[pd.DataFrame, Right]:
    """The second round's networks with what is cached of some columns. Nothing is made.

    Args:
        columns: Names of columns that statistics read.

    Returns:
        Their summary, one row each, without numbers for a network that is not there; and for accuracies that
        are kept image by image, {column: {(seed, α): (images,) which are right}}.
    """
    trainings = sample().trainings
    right: dict[str, Mapping[tuple[int, float], Any]] = {}
    summary = at_hand(trainings)
    for table in _read_for(columns):
        found = cached(table.measurement, trainings, **table.settings)
        if len(found):  # columns of a table that is not there are not added, and so not measured
            summary = table.add(summary, found)
            right |= table.right(found)
    return summary, right


def with_all(here: Parameters, summary: pd.DataFrame) -> pd.DataFrame:
    """A summary of a chapter's networks with the columns of every table of theirs that is cached, those of
    single images in place of counts where the networks are of the second round.
    """
    if not here.is_second_round:
        return full_summary(summary, here.trainings)
    for table in TABLES:
        found = cached(table.measurement, here.trainings, **table.settings)
        # tables of single images have no columns of none
        has_some = len(found) or MEASUREMENTS[table.measurement].columns
        lacking = dict.fromkeys(table.columns, float("nan"))
        summary = table.add(summary, found) if has_some else summary.assign(**lacking)
    return summary


def opening(here: Parameters, summary: pd.DataFrame) -> tuple[pd.DataFrame, Parameters]:
    """The networks of the figure that opens the book: those that its sentences are about.

    Args:
        here: Parameters of the landing page.
        summary: Its networks.

    Returns:
        The second round's seeds that have every network measured, and the parameters of these; the page's
        own where too few seeds for an interval have, where the page's are of another kind, and where a reader
        has added an α, which the second round's do not have.
    """
    asked = rules()
    if asked.are_about(here.dataset, here.model, here.recipe) and not any(map(own.is_own, here.alphas)):
        found, _ = networks(OPENING)
        found = found.dropna(subset=[name for name in OPENING if name in found])
        counts = found.groupby("seed").size()
        seeds = tuple(int(seed) for seed in counts.index[counts == len(asked.alphas)])
        if len(seeds) >= LEAST_SEEDS and set(OPENING) <= set(found):
            chosen = found[found.seed.isin(seeds)].reset_index(drop=True)
            return chosen, replace(sample(), seeds=seeds)
    return summary, here


def read_opening(of: Parameters) -> Mapping[Training, tuple[str, ...]]:
    """What that figure is made from.

    Args:
        of: Parameters of its networks.
    """
    shown = _read_for(OPENING)
    return of.read("selectivity", *(name for table in shown for name in (table.measurement, *table.first)))


def told_opening(of: Parameters, drawn: pd.DataFrame) -> str:
    """The networks of that figure in a sentence.

    Args:
        of: Their parameters.
        drawn: Their summary.
    """
    whose = "the second round" if set(of.seeds) <= set(rules().seeds) else "this page"
    machines = text.machines(drawn.device.dropna())
    return f"{len(drawn)} networks of {whose} ({of.setting}), trained on {machines}."


def varied() -> pd.DataFrame:
    """Such a summary of its networks that are trained in several ways, for LM-6 and LM-12."""
    asked = replace(sample(), seeds=rules().claim("LM-6").seeds)
    return at_hand(asked.with_variants.trainings)


def whose(here: Parameters) -> str:
    """The networks of a chapter, as its captions begin: "First round, seeds 0 to 2"; without a round where
    they are of another kind.
    """
    seeds = sorted(here.seeds)
    run = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
    listed = f"{seeds[0]} to {seeds[-1]}" if run else ", ".join(map(str, seeds))
    told = f"seed{'s' if len(seeds) > 1 else ''} {listed}"
    asked = rules()
    if not asked.are_about(here.dataset, here.model, here.recipe):
        return told.capitalize()
    kinds = {"Second" if seed in asked.seeds else "First" for seed in seeds}
    return f"{kinds.pop()} round, {told}" if len(kinds) == 1 else f"Both rounds, {told}"


def entries(
    here: Parameters,
    alphas: pd.DataFrame | None = None,
    variants: pd.DataFrame | None = None,
    *,
    only: Collection[str] = (),
) -> list[ledger.Entry]:
    """The ledger of both rounds.

    Args:
        here: Parameters of a chapter; where its networks are of another kind, the second round says nothing.
        alphas: The chapter's plain networks over α, on which the first round's rule decides; where they are
            of the second round, it decides on those of the first.
        variants: Its networks trained in other ways.
        only: Ids of the claims that are wanted; all if there are none.
    """
    asked = rules()
    wanted = [rule.id for rule in asked.claims if not only or rule.id in only]
    parts = [how for name in wanted for how in STATISTICS[name].values()]
    columns = {column for how in parts for column in how.reads}
    if here.is_second_round:
        alphas = before(columns)
    if asked.are_about(here.dataset, here.model, here.recipe):
        summary, right = networks(columns)
        others = varied() if any(how.varied for how in parts) else None
        second = [second_round.decide(name, summary, others, right) for name in wanted]
    else:
        reason = f"it is about {asked.model} on {asked.dataset}, {asked.recipe} recipe, and these are others"
        second = [replace(second_round.decide(name, None), reason=reason) for name in wanted]
    first = first_round.decided([*papers.CLAIMS, *papers.SURVIVES], alphas, variants)
    return ledger.entries(second, first)


def read(here: Parameters, shown: Iterable[ledger.Entry]) -> Mapping[Training, tuple[str, ...]]:
    """What a ledger is made from, for `figures.show_ledger`.

    Args:
        here: Parameters of the chapter.
        shown: Result of `entries`.
    """
    parts = [how for one in shown for how in STATISTICS.get(one.claim.id, {}).values()]
    columns = {column for how in parts for column in how.reads}
    tables = {"selectivity"}
    for table in _read_for(columns):
        tables |= {table.measurement, *table.first}
    asked = sample()
    grids = [here, asked, *([first_sample()] if here.is_second_round else [])]
    if any(how.varied for how in parts):
        grids += [here.with_variants, replace(asked, seeds=rules().claim("LM-6").seeds).with_variants]
    return provenance.of((one for grid in grids for one in grid.trainings), tables)


def seeds_at_hand() -> str:
    """How many of the second round's networks are cached, in words: "24 of 30", or "all 30"."""
    trainings = sample().trainings
    there = len(trainings) - len(runs.missing(trainings))
    return f"all {there}" if there == len(trainings) else f"{there} of {len(trainings)}"
