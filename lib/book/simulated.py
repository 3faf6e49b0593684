"""A simulation that a chapter shows, over its seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from lib import runs
from lib.papers.purification_pilot import SETTINGS
from lib.runs import simulations


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


def by_size(here: Simulated, cached: Mapping[str, Simulated]) -> list[str]:
    """Of cached settings of feature purification, those that differ from a chapter's in size alone, with two
    neurons per coordinate: their names, one for each d, ascending. The radius is the chapter's, or where no
    simulation of that size has it, the pilot's of that size.

    Args:
        here: The chapter's simulation.
        cached: {name: simulation}.
    """
    whole = dict(runs.Simulation(here.kind, 0, tuple(here.settings.items())).settings)
    found: dict[int, str] = {}
    for name, one in cached.items():
        d, tau = int(one.settings["d"]), one.settings["tau"]
        if dict(one.settings) != whole | {"d": d, "m": 2 * d, "tau": tau}:
            continue
        if tau == whole["tau"] or (tau == SETTINGS.get(d, {}).get("tau") and d not in found):
            found[d] = name
    return [found[d] for d in sorted(found)]
