"""The grid of networks that a chapter shows, and the tables of theirs that it reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from lib import measurements, runs
from lib.base.errors import InputError
from lib.base.text import number
from lib.measurements import Asked
from lib.papers import second_round
from lib.papers.rules import rules
from lib.runs import provenance
from lib.runs.tables import cached
from lib.training import variants
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
        alphas = ", ".join(map(number, self.alphas))
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

    def cached_table(self, measurement: str) -> pd.DataFrame:
        """The table that `asked` names, of those of the chapter's networks for which it is cached; empty if
        there are none. Nothing is made.
        """
        asked = self.asked(measurement)
        return cached(asked.name, self.trainings, **dict(asked.settings))

    def table(self, measurement: str) -> pd.DataFrame:
        """Tidy table over the chapter's networks, the one that `asked` names. What is missing is made, unless
        it is of `ONLY_CACHED`.

        Returns:
            The table; empty where it is only shown if it is cached, and is not.
        """
        if measurement in ONLY_CACHED.get(self.dataset, ()):
            return self.cached_table(measurement)
        asked = self.asked(measurement)
        return runs.table(asked.name, self.trainings, **dict(asked.settings))

    @property
    def with_variants(self) -> Parameters:
        """The same grid with α = 0 and the usual ways of training, the default of the chapter that compares
        them.
        """
        epochs = own_epochs(self.dataset, self.model, self.recipe, 0)
        return replace(self, alphas=(0.0,), variants=VARIANTS, epochs=epochs)


def _seeds(seeds: tuple[int, ...]) -> str:
    return "1 seed" if len(seeds) == 1 else f"{len(seeds)} seeds"


def own_epochs(dataset: str, model: str, recipe: str, chosen: object) -> int | None:
    """Number of epochs as a Training has it, None for the recipe's own. 0 means half of the recipe's epochs
    in the fast recipe, where PGD takes long, and all of them in the paper's.

    Raises:
        InputError: For what is no whole number from 0.
    """
    if isinstance(chosen, bool) or not isinstance(chosen, int) or chosen < 0:
        raise InputError(
            f"parameter 'epochs' must be a whole number, or 0 for the chapter's own choice, got {chosen!r}"
        )
    own = Training(dataset, model, recipe=recipe).settings.epochs
    chosen = chosen or (own // 2 if recipe == "fast" else own)
    return None if chosen == own else chosen
