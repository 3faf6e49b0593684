"""The tables that the chapter on purification in image networks reads, and what follows from them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import pandas as pd

from lib import runs
from lib.book import prose
from lib.book.grid import Parameters
from lib.book.purified.networks import ASKED, RADIUS, networks, wanted
from lib.measurements import Asked
from lib.papers import first_round, purification_images
from lib.papers.first_round import SEEDS, Verdict
from lib.papers.purification_images import SELECTIVE
from lib.runs.tables import at_hand, cached, full_summary
from lib.training.datasets import usual_model
from lib.training.training import Training, labels

SMALL = "digits"  # whose networks anyone can make
OF_COLOURS = "FP-14"


@dataclass(frozen=True)
class Gathered:
    """Tables of a chapter's networks, each with the column `network`, the name that the rules have for it.

    Attributes:
        networks: What each network is called.
        tables: {measurement: the table that is asked of it, and of which networks}.
        angles, low_rank, perturbation, alignment, rebuilt, pictures: The measurements' tables; empty where
            nothing is at hand.
        trained: One row per network, with the columns of a full summary; without numbers for one that is not
            at hand.
    """

    networks: dict[Training, str]
    tables: dict[str, tuple[Asked, list[Training]]]
    angles: pd.DataFrame
    low_rank: pd.DataFrame
    perturbation: pd.DataFrame
    alignment: pd.DataFrame
    rebuilt: pd.DataFrame
    pictures: pd.DataFrame
    trained: pd.DataFrame


def gathered(
    here: Parameters, radius: float = RADIUS, asked: Collection[str] = ASKED, *, make: bool | None = None
) -> Gathered:
    """What is known of a chapter's networks.

    Args:
        here: Parameters of the grid.
        radius: L2 length of the perturbations that are compared.
        asked: Which of `ASKED` beside those of `ALWAYS`.
        make: Whether what is missing is made. None makes it on the digits unless RUNS_FROZEN=1: networks of
            other images take hours, and are made before a chapter is executed or not at all.
    """
    make = here.dataset == SMALL and not runs.frozen() if make is None else make
    named = networks(here, asked)
    if make:
        runs.summary(list(named))
    tables = {table.name: (table, some) for table, some in wanted(here, radius, asked).items()}

    def read(measurement: str) -> pd.DataFrame:
        table, some = tables[measurement]
        found = (runs.table if make else cached)(measurement, some, **dict(table.settings))
        keys = pd.DataFrame([labels(one) | {"network": named[one]} for one in some])
        return found.merge(keys, how="left") if len(found) else found

    trained = full_summary(at_hand(list(named)), list(named)).assign(network=list(named.values()))
    return Gathered(
        named,
        tables,
        read("weight_angles"),
        read("low_rank"),
        read("perturbation"),
        read("alignment"),
        read("reconstruction"),
        read("pictures"),
        trained,
    )


def ledger(own: Gathered) -> pd.DataFrame:
    """Verdicts on the claims about image networks: one row each, in words."""
    rows = purification_images.summary(
        own.angles, own.low_rank, own.perturbation, own.alignment, own.trained, own.rebuilt, own.pictures
    )
    known = rows if len(rows.columns) > 1 else None
    grey = all(one.dataset == SMALL for one in own.networks)
    found = first_round.decided(purification_images.CLAIMS, known, known)
    return first_round.as_table([_said(one, grey) for one in found])


def _said(one: Verdict, grey: bool) -> Verdict:
    """A verdict, unless nothing was asked: where no seed has all that the statistic needs, and of colours
    where there are none.
    """
    if grey and one.claim.id == OF_COLOURS and one.seeds:
        reason = "the images are grey: what colour their filters have is left from the first weights"
        return Verdict(one.claim, "not tested", reason=reason)
    if one.verdict == "inconclusive" and not one.seeds:
        return replace(one, verdict="not tested", reason="no seed has all of its networks")
    return one


def elsewhere(dataset: str) -> Gathered:
    """What is cached of the other images: the small networks of the digits, or those of CIFAR-10 for a page
    about the digits.
    """
    name = "cifar10" if dataset == SMALL else SMALL
    other = Parameters(name, usual_model(name), (SELECTIVE,), SEEDS, "fast")
    return gathered(other, make=False)


def named(own: Gathered) -> str:
    """The data set of a chapter's networks, as text has it."""
    dataset = next(iter(own.networks)).dataset
    return {"cifar10": "CIFAR-10", SMALL: "the digits"}.get(dataset, dataset)


def told_elsewhere(own: Gathered, ledger: pd.DataFrame) -> str:
    """What there is of the other images, in words: which networks, and what their claims come to.

    Args:
        own: Of `elsewhere`.
        ledger: Its claims.
    """
    there = own.trained[own.trained.clean_accuracy.notna()]
    seeds = there[there.network == "adversarial"].seed.nunique()
    words = f"{seeds} seed{'' if seeds == 1 else 's'}"
    start = f"{len(there)} networks of {named(own)} are cached, those on perturbed images of {words}"
    if not ledger.verdict.isin(["reproduced", "not reproduced"]).any():
        return f"{start}: their numbers are shown, and decide nothing."
    return f"{start}: {prose.came_out(ledger)}."
