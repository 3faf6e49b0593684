"""Both rounds of the networks: the second's as its rules name them, from what is cached, and the ledger of
both.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import pandas as pd

from lib import measurements, papers, runs
from lib.book.chapter import Parameters
from lib.papers import first_round, ledger, second_round
from lib.papers.rules import Rules, rules
from lib.papers.second_statistics import STATISTICS
from lib.runs.tables import at_hand, cached


@dataclass(frozen=True)
class Table:
    """Where columns of a summary come from: a measurement with the settings that the rules name."""

    measurement: str
    settings: dict[str, object]
    columns: tuple[str, ...]


# Selectivity, clean accuracy and dead units come with every summary. A column that no table here gives is not
# measured: tables of attacks, per image, are none yet.
TABLES = (
    Table("corruption", {"limit": 2000}, ("corrupted_accuracy", "relative_accuracy")),
    Table("jacobian", {"limit": 2000}, ("log_jacobian",)),
    Table("gradient", {"limit": 300}, ("cv_samples", "cv_units")),
    Table(
        "dimensionality",
        {"limit": 500},
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


def sample() -> Parameters:
    """The second round's networks over α."""
    asked = rules()
    return Parameters(asked.dataset, asked.model, asked.alphas, asked.seeds, asked.recipe)


def networks(columns: Collection[str]) -> pd.DataFrame:
    """Summary of the second round's networks, one row each, with what is cached of these columns; without
    numbers for a network that is not there. Nothing is made.
    """
    trainings = sample().trainings
    summary = at_hand(trainings)
    for table in TABLES:
        if set(table.columns) & set(columns):
            add = measurements.MEASUREMENTS[table.measurement].columns
            assert add is not None, table.measurement
            found = cached(table.measurement, trainings, **table.settings)
            # columns of a table that is not there are not added, and so not measured
            summary = add(summary, found) if len(found) else summary
    return summary


def varied() -> pd.DataFrame:
    """Such a summary of its networks that are trained in several ways, for LM-6 and LM-12."""
    asked = replace(sample(), seeds=rules().claim("LM-6").seeds)
    return at_hand(asked.with_variants.trainings)


def is_about(here: Parameters, asked: Rules) -> bool:
    """Whether the networks of a chapter are of the kind that the second round is about."""
    return (here.dataset, here.model, here.recipe) == (asked.dataset, asked.model, asked.recipe)


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
        alphas: The chapter's plain networks over α, on which the first round's rule decides.
        variants: Its networks trained in other ways.
        only: Ids of the claims that are wanted; all if there are none.
    """
    asked = rules()
    wanted = [rule.id for rule in asked.claims if not only or rule.id in only]
    if is_about(here, asked):
        parts = [how for name in wanted for how in STATISTICS[name].values()]
        summary = networks({column for how in parts for column in how.reads}) if parts else None
        others = varied() if any(how.varied for how in parts) else None
        second = [second_round.decide(name, summary, others) for name in wanted]
    else:
        reason = f"it is about {asked.model} on {asked.dataset}, {asked.recipe} recipe, and these are others"
        second = [replace(second_round.decide(name, None), reason=reason) for name in wanted]
    first = first_round.decided([*papers.CLAIMS, *papers.SURVIVES], alphas, variants)
    return ledger.entries(second, first)


def seeds_at_hand() -> str:
    """How many of the second round's networks are cached, in words."""
    trainings = sample().trainings
    there = len(trainings) - len(runs.missing(trainings))
    return f"{there} of {len(trainings)}"
