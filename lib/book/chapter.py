"""What chapters call: their checked parameters, numbers of the cached networks, and words and tables of their
text.
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lib import measurements, runs
from lib.base.errors import InputError
from lib.base.text import MOST, in_words, parsed
from lib.base.text import number as text_number
from lib.book import filled
from lib.book.own import added, ask
from lib.measurements import Asked
from lib.papers import second_round
from lib.papers.rules import rules
from lib.runs import provenance, simulations
from lib.runs.tables import cached
from lib.training import variants
from lib.training.datasets import usual_model
from lib.training.recipe import RECIPES
from lib.training.training import Training

# ways of training in the chapter that compares them, and in the ledger
VARIANTS = ("plain", "augmix", "pgd-1", "pgd-2", "pgd-4")

# tables that chapters show where they are cached and do not ask for: this one needs networks of further
# seeds, and one seed of Tiny ImageNet takes hours
ONLY_CACHED = {"tiny-imagenet": ("transfer",)}


@dataclass(frozen=True)
class Parameters:
    """Checked parameters of a chapter: the grid of networks that it shows.

    Only chapters that compare ways of training have `epochs`, `variants` and `pgd_seeds`.
    """

    dataset: str
    model: str
    alphas: tuple[float, ...]
    seeds: tuple[int, ...]
    recipe: str
    epochs: int | None = None  # None: the recipe's own
    variants: tuple[str, ...] = ()
    pgd_seeds: tuple[int, ...] | None = None  # seeds of PGD training, some of `seeds`; None for all of them

    @property
    def setting(self) -> str:
        """Description of the setting that is printed with a result: network, data set, recipe, epochs where
        they are not the recipe's, and number of seeds.
        """
        seeds = _seeds(self.seeds)
        own = RECIPES[self.recipe][self.model].epochs
        start = f"{self.model} on {self.dataset}, {self.recipe} recipe" + (
            f" with {self.epochs} instead of {own} epochs" if self.epochs else ""
        )
        if not self.variants:
            return f"{start}, {seeds} for each α"
        alphas = ", ".join(map(text_number, self.alphas))
        each = f"{seeds} for each way of training" + (" and α" if len(self.alphas) > 1 else "")
        fewer = (
            f", {_seeds(self.pgd_seeds)} of PGD training"
            if self.pgd_seeds is not None and set(self.pgd_seeds) != set(self.seeds)
            else ""
        )
        return f"{start}, α = {alphas}, {each}{fewer}"

    @property
    def trainings(self) -> list[Training]:
        found = runs.grid(
            dataset=self.dataset,
            model=self.model,
            alphas=self.alphas,
            seeds=self.seeds,
            recipe=self.recipe,
            epochs=self.epochs,
            variants=self.variants or ("plain",),
        )
        return [
            one
            for one in found
            if self.pgd_seeds is None
            or one.seed in self.pgd_seeds
            or not variants.variant(one.variant).strength > 0
        ]

    def read(self, *tables: str, of: Iterable[Training] | None = None) -> Mapping[Training, tuple[str, ...]]:
        """What a figure of the chapter is made from, for `figures.show`.

        Args:
            tables: Names of the measurements whose tables it shows, as `table` takes them.
            of: Networks it shows, if not all of the chapter's.

        Raises:
            InputError: For an unknown measurement.
        """
        found = self.trainings if of is None else of
        return provenance.of(found, [*map(self._name, tables)])

    @property
    def is_second_round(self) -> bool:
        """Whether these are networks of the second round, whose tables are of as many images as its rules
        say.
        """
        asked = rules()
        is_kind = asked.are_about(self.dataset, self.model, self.recipe) and not self.variants
        return is_kind and set(self.seeds) <= set(asked.seeds)

    def _name(self, measurement: str) -> str:
        return second_round.BY_IMAGE.get(measurement, measurement) if self.is_second_round else measurement

    def asked(self, measurement: str) -> Asked:
        """The table of a measurement that the chapter shows: of as many images as the data set's networks are
        shown on, or as the second round's rules say. Of attacks, corruptions and transferred attacks the
        second round has the table that keeps every image, which stands in for the one that counts them.
        """
        name = self._name(measurement)
        settings = dict(measurements.MEASUREMENTS[name].shown(self.dataset))
        if self.is_second_round:
            settings |= second_round.SETTINGS.get(name, {})
        hashable = {
            key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()
        }
        return Asked(name, tuple(hashable.items()))

    def table(self, measurement: str) -> pd.DataFrame:
        """Tidy table over the chapter's networks, the one that `asked` names. What is missing is made, unless
        it is of `ONLY_CACHED`.

        Returns:
            The table; empty where it is only shown if it is cached, and is not.
        """
        asked = self.asked(measurement)
        read = cached if measurement in ONLY_CACHED.get(self.dataset, ()) else runs.table
        return read(asked.name, self.trainings, **dict(asked.settings))

    @property
    def with_variants(self) -> Parameters:
        """The same grid with α = 0 and the usual ways of training, the default of the chapter that compares
        them.
        """
        return replace(
            self, alphas=(0.0,), variants=VARIANTS, epochs=_epochs(self.dataset, self.model, self.recipe, 0)
        )


def _seeds(seeds: tuple[int, ...]) -> str:
    return "1 seed" if len(seeds) == 1 else f"{len(seeds)} seeds"


def _epochs(dataset: str, model: str, recipe: str, chosen: object) -> int | None:
    """Number of epochs as a Training has it, None for the recipe's own. 0 means half of the recipe's epochs
    in the fast recipe, where PGD takes long, and all of them in the paper's.
    """
    if isinstance(chosen, bool) or not isinstance(chosen, int) or chosen < 0:
        raise InputError(
            f"parameter 'epochs' must be a whole number, or 0 for the chapter's own choice, got {chosen!r}"
        )
    own = Training(dataset, model, recipe=recipe).settings.epochs
    chosen = chosen or (own // 2 if recipe == "fast" else own)
    return None if chosen == own else chosen


def _variants(names: object) -> tuple[str, ...]:
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"parameter 'variants' must be a list such as ['plain', 'pgd-4'], got {names!r}; with "
            f"papermill: -y 'variants: [plain, pgd-4]'"
        )
    if "plain" not in names:
        raise InputError(
            f"parameter 'variants' must hold 'plain', which the others are compared with, got {names!r}"
        )
    return tuple(dict.fromkeys(names))


def _items(name: str, value: object, kind: type) -> tuple:
    """Items of a list parameter as numbers.

    Text in place of a list comes from papermill's -p, which cannot pass lists.
    """
    if not isinstance(value, list | tuple) or not value:
        raise InputError(
            f"parameter {name!r} must be a list such as [-1.0, 0.0], got {value!r}; papermill passes "
            f"lists with -y '{name}: [...]', not with -p"
        )
    items = []
    for item in value:
        try:
            if isinstance(item, bool):
                raise ValueError
            number = parsed(item, kind) if isinstance(item, str) else kind(item)
            if number != float(item):
                raise ValueError
            if kind is int and number >= MOST:
                raise OverflowError
        except (TypeError, ValueError, OverflowError) as error:
            small = f" below {MOST}" if isinstance(error, OverflowError) and kind is int else ""
            raise InputError(
                f"parameter {name!r} must hold {'whole ' if kind is int else ''}numbers{small}, "
                f"got {in_words(item)}"
            ) from None
        items.append(number)
    return tuple(dict.fromkeys(items))


def _startup() -> Mapping[str, object]:
    """What IPython's startup files, which a user may have, have put into the namespace of a notebook."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return shell.user_ns_hidden if shell else {}


_INJECTED = "# Parameters"  # papermill's first line of a cell with parameters


def _warn_of_text(namespace: Mapping[str, Any]) -> None:
    """Where papermill by hand has put parameters in, say that it cannot change the numbers in the sentences
    of a published notebook.
    """
    injected = any(cell.startswith(_INJECTED) for cell in namespace.get("In", ()))
    if os.environ.get(filled.BY_US) or not injected:
        return
    from IPython.display import Markdown, display

    display(
        Markdown(
            "**Figures and tables below are of the parameters given; the numbers in the sentences are still "
            "those of the published chapter.** `python -m lib numbers NOTEBOOK` writes them anew, "
            "`make rerun` does so by itself."
        )
    )


def _known(namespace: Mapping[str, Any]) -> Mapping[str, object]:
    """The annotated names of a chapter's parameters cell, if the namespace has no other parameters.

    Raises:
        InputError: For an unknown parameter.
    """
    known: Mapping[str, object] = namespace.get("__annotations__", {})
    own = {"In", "Out", "exit", "quit", "open", "get_ipython"}  # IPython's
    started = _startup()
    for name, value in namespace.items():
        if (
            not name.startswith("_")
            and name not in own
            and not (name in started and value is started[name])
            and name not in known
            and not isinstance(value, types.ModuleType)
        ):
            raise InputError(f"unknown parameter {name!r}; this chapter takes {', '.join(sorted(known))}")
    return known


@dataclass(frozen=True)
class Simulated:
    """Checked parameters of a chapter about a simulation: its seeds and its settings."""

    kind: str
    seeds: tuple[int, ...]
    settings: Mapping[str, simulations.Setting]

    def table(self, name: str, **others: simulations.Setting) -> pd.DataFrame:
        """Tidy table over the seeds; what is missing is made now.

        Args:
            name: Name of a table of the simulation.
            others: Settings in place of the chapter's.
        """
        return runs.simulated(self.kind, name, seeds=self.seeds, **{**self.settings, **others})

    @property
    def words(self) -> str:
        """The settings that differ from the simulation's own, such as "d=64, tau=0.2"; "" if none does."""
        return runs.Simulation(self.kind, self.seeds[0], tuple(self.settings.items())).words

    def cached(self) -> dict[str, Simulated]:
        """Every setting of which a seed is cached, with its cached seeds, by its `words`, in their order."""
        found: dict[str, list[runs.Simulation]] = {}
        for one in simulations.cached(self.kind):
            found.setdefault(one.words, []).append(one)
        return {
            words: Simulated(self.kind, tuple(sorted(one.seed for one in some)), dict(some[0].settings))
            for words, some in found.items()
        }

    def missing(self, **others: simulations.Setting) -> int:
        """How many of the seeds are not cached."""
        settings = tuple({**self.settings, **others}.items())
        return sum(
            simulations.find(runs.Simulation(self.kind, seed, settings)) is None for seed in self.seeds
        )


def simulation(namespace: Mapping[str, Any], kind: str, **own: simulations.Setting) -> Simulated:
    """Check the parameters of a chapter about a simulation; called as `parameters` is. Every parameter beside
    `seeds` is a setting of the simulation.

    Args:
        own: Settings in place of parameters, whose values stand for something else, such as 0 for a usual
            number.

    Raises:
        InputError: For an unknown parameter, or a value of another type than the setting's.
    """
    settings = {name: namespace[name] for name in _known(namespace) if name != "seeds"} | own
    seeds = _items("seeds", namespace["seeds"], int)
    for seed in seeds:
        runs.Simulation(kind, seed, tuple(settings.items()))  # raises for what does not fit
    _warn_of_text(namespace)
    provenance.start()
    return Simulated(kind, seeds, settings)


def parameters(namespace: Mapping[str, Any]) -> Parameters:
    """Check a chapter's parameters; called with globals() in the cell after the tagged one.

    From then on, the runs that the chapter reads are recorded, and figures show the alphas that the chapter
    was given beyond its default in colours of their own.

    Papermill only warns about an unknown parameter. Here it is an error: every name in the namespace beyond
    the annotated names of the parameters cell was injected.

    Raises:
        InputError: For an unknown parameter, a wrong type, a value out of range, or a model that does not fit
            the data set.
    """
    known = _known(namespace)
    dataset, model = namespace["dataset"], namespace["model"]
    if not isinstance(dataset, str):
        raise InputError(f"parameter 'dataset' must be a name, got {dataset!r}")
    model = usual_model(dataset) if model == "usual" else model
    given = Parameters(
        dataset=dataset,
        model=model,
        alphas=_items("alphas", namespace["alphas"], float),
        seeds=_items("seeds", namespace["seeds"], int),
        recipe=namespace["recipe"],
        epochs=_epochs(dataset, model, namespace["recipe"], namespace["epochs"])
        if "epochs" in known
        else None,
        variants=_variants(namespace["variants"]) if "variants" in known else (),
        pgd_seeds=_items("pgd_seeds", namespace["pgd_seeds"], int) if "pgd_seeds" in known else None,
    )
    if given.pgd_seeds and (alone := [seed for seed in given.pgd_seeds if seed not in given.seeds]):
        raise InputError(
            f"parameter 'pgd_seeds' must hold some of 'seeds', whose plain networks PGD training is "
            f"compared with, got {alone[0]}; give both"
        )
    _ = given.trainings  # raises for what does not fit together
    _warn_of_text(namespace)
    ask(added(namespace.get("In", ()), given.alphas))
    provenance.start()
    return given
