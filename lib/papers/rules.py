"""The second round's rules as they were written, read from `rules_second_round.toml` beside this file."""

from __future__ import annotations

import datetime
import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("rules_second_round.toml")


@dataclass(frozen=True)
class Part:
    """A side or another part of a claim.

    Attributes:
        statistic: What is computed for each seed, in words.
        unit: Of the statistic; "" where it has none.
        delta: Size below which an effect counts as none, in that unit; None if there is no such size.
    """

    name: str
    statistic: str
    unit: str = ""
    delta: float | None = None


@dataclass(frozen=True)
class Rule:
    """How a claim is decided.

    Attributes:
        seeds: Those that decide.
        whole: Number of seeds with which a verdict is more than provisional.
        needs: What else must hold, or what is missing, in words; "" for nothing.
    """

    id: str
    parts: tuple[Part, ...]
    seeds: tuple[int, ...]
    whole: int
    needs: str = ""


@dataclass(frozen=True)
class Rules:
    """The rules of all claims, and the sample that they are about.

    Attributes:
        sides: {side: the values of α, ascending, whose networks of one seed are fitted}.
        trend_alphas: Values of α of Page's trend test, ascending.
        level: Share of intervals that miss the mean, both sides together.
    """

    written: datetime.date
    dataset: str
    model: str
    recipe: str
    seeds: tuple[int, ...]
    alphas: tuple[float, ...]
    sides: Mapping[str, tuple[float, ...]]
    trend_alphas: tuple[float, ...]
    level: float
    images: Mapping[str, int]
    claims: tuple[Rule, ...]

    def are_about(self, dataset: str, model: str, recipe: str) -> bool:
        """Whether networks of that kind are what the rules are about."""
        return (dataset, model, recipe) == (self.dataset, self.model, self.recipe)

    def claim(self, identifier: str) -> Rule:
        """The rule of a claim by its id."""
        return next(one for one in self.claims if one.id == identifier)


@functools.cache
def rules() -> Rules:
    """The rules in the file."""
    found = tomllib.loads(FILE.read_text(encoding="utf-8"))
    seeds = tuple(found["seeds"])

    def rule(one: dict) -> Rule:
        own = tuple(one.get("seeds", seeds))
        return Rule(
            one["id"],
            tuple(Part(**part) for part in one["parts"]),
            own,
            one.get("seeds_at_least", len(own)),
            one.get("needs", ""),
        )

    return Rules(
        written=found["written"],
        dataset=found["dataset"],
        model=found["model"],
        recipe=found["recipe"],
        seeds=seeds,
        alphas=tuple(found["alphas"]),
        sides={name: tuple(alphas) for name, alphas in found["sides"].items()},
        trend_alphas=tuple(found["trend_alphas"]),
        level=found["level"],
        images=found["images"],
        claims=tuple(rule(one) for one in found["claims"]),
    )
