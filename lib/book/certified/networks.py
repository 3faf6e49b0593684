"""Which networks and tables the chapter on certified training shows, and what is missing of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from lib import runs
from lib.base.errors import InputError
from lib.base.text import duration
from lib.book.grid import Parameters
from lib.measurements.asked import EPOCH, Asked, file_name
from lib.measurements.certificate import EPSILONS
from lib.measurements.registry import MEASUREMENTS
from lib.papers.singleprop import FASTLIN, IBP, METHODS, method
from lib.runs.run import config, folder
from lib.runs.tables import cached
from lib.training.training import Training
from lib.training.variants import variant

# linear bounds take seconds per image without a GPU: a table of their own, at one radius
LINEAR = {"epsilons": [2 / 255], "limit": 50, "attacked": 50, "linear": 50}


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


def found(measurement: str, trainings: Sequence[Training], *, make: bool, **settings: Any) -> pd.DataFrame:
    """A table over networks: of all, or of those that have it where nothing is made."""
    if make:
        return runs.table(measurement, trainings, **settings)
    return cached(measurement, list(trainings), **settings)


def on_grid(epsilon: float) -> bool:
    """Whether the table `certificate` has a radius; of others `certified_radius` says what is certified."""
    return any(math.isclose(epsilon, one, rel_tol=1e-6) for one in EPSILONS)


def one_radius(here: Parameters) -> Parameters:
    """The parameters, once they name ways of training that the chapter compares, in one ball.

    Raises:
        InputError: For another way of training, and for several balls, which no claim compares; before
            anything is trained.
    """
    first = ""
    for name in here.variants:
        if method(name) not in METHODS:
            known = "plain, " + ", ".join(f"{one}-2" for one in METHODS[1:])
            raise InputError(
                f"parameter 'variants' has {name!r}, which this chapter does not compare; it takes {known}, "
                "with 2 or another radius in 255ths"
            )
        if not _ball(name):
            continue
        first = first or name
        if _ball(name) != _ball(first):
            raise InputError(
                f"parameter 'variants' has {first} and {name}, and claims compare networks of one radius: "
                "rerun the chapter once for each"
            )
    return here


def _ball(name: str) -> float:
    """The radius in which a way of training is robust, in pixels of [0, 1]; 0 for plain training."""
    return float(getattr(variant(name).settings, "epsilon", 0.0) or 0.0)


def trained_radius(here: Parameters) -> float:
    """The radius in which a chapter's networks are trained, in pixels of [0, 1]; 0 if all are plain."""
    return max(map(_ball, here.variants), default=0.0)


def inside_settings(here: Parameters) -> dict[str, Any]:
    """The settings of the table `half_width` at the radius of training; none where its own is that."""
    ball, usual = trained_radius(here), float(str(MEASUREMENTS["half_width"].settings["epsilon"]))
    return {"epsilon": ball} if ball and not math.isclose(ball, usual, rel_tol=1e-6) else {}


def wanted(here: Parameters, epsilon: float) -> dict[Asked, list[Training]]:
    """The tables that the chapter shows at a radius, and of which networks."""
    one_radius(here)
    tables = [Asked(name) for name in ("selectivity", "certificate")]
    tables += [Asked("half_width", tuple(inside_settings(here).items()))]
    tables += [] if on_grid(epsilon) else [Asked("certified_radius")]
    return dict.fromkeys(tables, here.trainings)


def watched(
    trainings: Sequence[Training], epochs: Sequence[int], settings: Mapping[str, Any] | None = None
) -> list[Training]:
    """The networks that are followed through their training: one seed, α = 0, one of each kind of method. The
    seed is the first of which all were looked at after these epochs; without any, the first.
    """
    asked = [one for one in trainings if one.alpha == 0 and method(one.variant) in ("plain", IBP, FASTLIN)]
    by_seed = {
        seed: [one for one in asked if one.seed == seed] for seed in sorted({one.seed for one in asked})
    }
    whole = [
        some for some in by_seed.values() if all(_was_followed(one, epochs, settings or {}) for one in some)
    ]
    return next(iter([*whole, *by_seed.values()]), [])


def _was_followed(training: Training, epochs: Sequence[int], settings: Mapping[str, Any]) -> bool:
    """Whether the table `half_width` of all these epochs is cached."""
    if runs.missing([training]):
        return False
    run = folder(training)
    return all(file_name("half_width", {**settings, EPOCH: epoch}) in run for epoch in epochs)


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


def took(trainings: Sequence[Training]) -> str:
    """How long the cached ones of some networks were trained, added up, in words."""
    lacking = set(runs.missing(trainings))
    there = [one for one in trainings if one not in lacking]
    seconds = sum(config(folder(one))["result"]["seconds"] for one in there)
    return f"{duration(seconds)} for {len(there)} networks, one core each" if there else "no time yet"


def labels(trainings: Iterable[Training]) -> str:
    """The ways of training in words."""
    names = dict.fromkeys(variant(one.variant).label for one in trainings)
    return ", ".join(names)


def along(
    trainings: Sequence[Training], epochs: Sequence[int], *, make: bool, **settings: Any
) -> pd.DataFrame:
    """The table `half_width` after some epochs, of the trainings that have all of them. Others are made where
    that may be, but for those of a network that is cached: a figure is not worth its training once more.
    """
    lacking = set(runs.missing(trainings)) if make else set()
    some = [one for one in trainings if one in lacking or _was_followed(one, epochs, settings)]
    return runs.snapshots("half_width", some, epochs=epochs, **settings) if some else pd.DataFrame()


def order(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the columns method and place, in the order of METHODS."""
    places = {name: place for place, name in enumerate(METHODS)}
    named = rows.assign(method=rows.variant.map(method))
    return named.assign(place=named.method.map(places)).sort_values(["place", "alpha", "seed"], kind="stable")
