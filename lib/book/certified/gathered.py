"""The tables that the chapter on certified training reads, and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pandas as pd

from lib import runs
from lib.book.certified.accuracies import accuracies, at_radius, extra, inside, summary, together
from lib.book.certified.cost import difference, passes, steps
from lib.book.certified.networks import (
    LINEAR,
    along,
    found,
    inside_settings,
    on_grid,
    trained_radius,
    watched,
)
from lib.book.grid import Parameters
from lib.papers import first_round, singleprop
from lib.papers.first_round import SEEDS
from lib.papers.singleprop import FASTLIN, IBP, method
from lib.runs.tables import cached
from lib.training.training import Training

ALPHAS = (-2.0, -1.0, 0.0, 1.0, 2.0)  # of the networks that SP-X3 is about
SMALL = "digits"  # whose networks anyone can make


@dataclass(frozen=True)
class Gathered:
    """Tables of a chapter's networks, those at hand or all.

    Attributes:
        proofs: Table `certificate` over the usual radii.
        there: The same with the radius asked about, where it is another: what is certified at it, and what
            PGD leaves at the next smaller one.
        units: Table `half_width` after training.
        followed: The networks that were looked at along their training.
        seen: Table `half_width` of those, with the column epoch; empty where there are none.
        crossed: One row per network with α on top of plain training or of SingleProp, with its accuracies.
        summary: One row per network of the chapter, with the columns that claims read.
        asked: The same, and the further networks that some claims are about.
    """

    proofs: pd.DataFrame
    there: pd.DataFrame
    units: pd.DataFrame
    followed: list[Training]
    seen: pd.DataFrame
    crossed: pd.DataFrame
    summary: pd.DataFrame
    asked: pd.DataFrame


def gathered(here: Parameters, radius: float, *, make: bool | None = None) -> Gathered:
    """What is known of a chapter's networks at one radius.

    Args:
        here: Parameters of the grid.
        radius: In pixels of [0, 1].
        make: Whether what is missing is made; None makes it unless RUNS_FROZEN=1.
    """
    make = not runs.frozen() if make is None else make
    # first: a network that the chapter itself trains is looked at on the way, which later it could not be
    epochs, looked = epochs_seen(here.trainings[0]), inside_settings(here)
    followed = watched(here.trainings, epochs, looked)
    seen = along(followed, epochs, make=make, **looked)
    proofs = found("certificate", here.trainings, make=make)
    radii = pd.DataFrame() if on_grid(radius) else found("certified_radius", here.trainings, make=make)
    there = at_radius(proofs, radii, radius)
    units = found("half_width", here.trainings, make=make, **looked)
    selective = found("selectivity", here.trainings, make=make)
    bounded = cached("certificate", here.trainings, **LINEAR)
    rows = summary(here.trainings, accuracies(there, bounded, radius), inside(units, selective), make=make)
    crossed, weighted = (
        extra(some.trainings, radius) for some in (with_alphas(here), with_adaptive_weight(here))
    )
    further = crossed[crossed.alpha != 0] if len(crossed) else crossed
    return Gathered(proofs, there, units, followed, seen, crossed, rows, together(rows, weighted, further))


def epochs_seen(training: Training) -> list[int]:
    """The epochs after which networks are looked at: early ones more often, and the last."""
    last = training.settings.epochs
    return [one for one in (0, 1, 2, 4, 8, 16) if one < last] + [last]


def with_alphas(here: Parameters) -> Parameters:
    """The networks of the first seed with α on top of plain training and of SingleProp (SP-X3)."""
    some = tuple(one for one in here.variants if method(one) in ("plain", FASTLIN))
    return replace(here, alphas=ALPHAS, seeds=here.seeds[:1], variants=some)


def with_adaptive_weight(here: Parameters) -> Parameters:
    """The networks whose loss has the adaptive weight (SP-9)."""
    some = tuple(f"{one}-ada" for one in here.variants if method(one) in (IBP, FASTLIN))
    return replace(here, alphas=(0.0,), variants=some)


def ledger(asked: pd.DataFrame, here: Parameters, radius: float) -> pd.DataFrame:
    """Verdicts on all claims and questions: one row each, in words.

    Args:
        asked: Rows of `Gathered.asked`.
        here: Parameters of the grid.
        radius: That which is asked about; what is certified decides nothing if it is not that of training.
    """
    found = singleprop.verdicts(
        asked,
        steps=steps(),
        passes=passes(),
        difference=difference(),
        elsewhere=not math.isclose(radius, trained_radius(here), rel_tol=1e-6),
    )
    return pd.DataFrame([
        {
            "id": one.claim.id,
            "claim": one.claim.statement,
            "certainty": one.claim.certainty,
            "statistic": one.claim.rule,
            "ours": first_round.describe(one),
            "verdict": one.verdict,
        }
        for one in found
    ])


def on_digits(here: Parameters, radius: float) -> pd.DataFrame:
    """The verdicts on the small networks of the digits, of what is cached: what a page on other images says
    beside its own.

    Args:
        here: Parameters of that page; its ways of training are asked about.
        radius: In pixels of [0, 1].
    """
    small = replace(
        here, dataset=SMALL, model="cnn-small", alphas=(0.0,), seeds=SEEDS, recipe="certified", epochs=None
    )
    return ledger(gathered(small, radius, make=False).asked, small, radius)
