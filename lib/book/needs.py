"""What a rerun of a chapter will make: which tables it reads, which are missing, and how long they take."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from lib import measurements, runs
from lib.base import paths
from lib.base.text import duration
from lib.book import certified, making, names, purified
from lib.book.grid import ONLY_CACHED, Parameters
from lib.measurements import Asked
from lib.runs import durations, provenance, store, threads
from lib.training.engine import best_engine
from lib.training.loop import estimate_seconds
from lib.training.training import Training

# Chapters whose source does not say which tables they show, or of other networks than their grid:
# (parameters, those that a chapter has beside these) -> {table: networks}.
OWN: dict[str, Callable[[Parameters, Mapping[str, Any]], Mapping[Asked, Sequence[Training]]]] = {
    "15-purification-images": lambda here, more: purified.wanted(here, more["radius"], more["networks"]),
    "17-certified": lambda here, more: certified.wanted(here, certified.radius(more["epsilon"])),
}
CALLS: tuple[str, ...] = ("here.table", "runs.table", "runs.summary")


def tables(chapter: str, here: Parameters | None = None) -> tuple[list[Asked], list[Asked]]:
    """The tables that a chapter makes where they are missing, from its source: its calls of `here.table`,
    `runs.table` and `runs.summary`. What it shows only where it is cached is not among them.

    Args:
        chapter: Full name of the chapter.
        here: Parameters of its grid, by which `here.table` chooses; None for the measurements' own settings.

    Returns:
        Those of all its networks, and those of one network that it picks as an example.

    Raises:
        LookupError: A call does not say which table it reads in a way that is understood.
    """
    text = names.sources()[chapter].read_text(encoding="utf-8")
    source, calls = ast.parse(text), CALLS
    if "chapter.simulation(" in text:  # whose `here` is another
        calls = tuple(call for call in CALLS if call != "here.table")
    every: dict[Asked, None] = {}
    one: dict[Asked, None] = {}
    looped, of_summary = dict(_looped(source)), ["selectivity"]
    for node in ast.walk(source):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) in calls):
            continue
        if ast.unparse(node.func) == "here.table":
            every |= dict.fromkeys(
                here.asked(name) if here else Asked(name)
                for name in _named(node.args[0], looped)
                if not here or name not in ONLY_CACHED.get(here.dataset, ())
            )
            continue
        if ast.unparse(node.func) == "runs.summary":
            called, networks = of_summary, node.args[0]
        else:
            called, networks = _named(node.args[0], looped), node.args[1]
        settings = tuple((str(word.arg), ast.literal_eval(word.value)) for word in node.keywords)
        found = one if isinstance(networks, ast.List) else every
        found |= dict.fromkeys(Asked(name, settings) for name in called)
    return list(every), [asked for asked in one if asked not in every]


def own(chapter: str, here: Parameters, more: Mapping[str, Any]) -> Mapping[Asked, Sequence[Training]] | None:
    """{table: the networks of which a chapter shows it}; None where its source says that.

    Args:
        chapter: Full name of the chapter.
        here: Parameters of its grid.
        more: All of its parameters, by name.
    """
    return OWN[chapter](here, more) if chapter in OWN else None


def networks(
    chapter: str, here: Parameters, shown: Mapping[Asked, Sequence[Training]] | None
) -> list[Training]:
    """The networks that a chapter shows; some have the usual parameters and show none.

    Args:
        chapter: Full name of the chapter.
        here: Parameters of its grid.
        shown: Result of `own`.
    """
    if shown is not None:
        return list(dict.fromkeys(one for some in shown.values() for one in some))
    return here.trainings if ".trainings" in names.sources()[chapter].read_text(encoding="utf-8") else []


def _named(node: ast.expr, looped: Mapping[str, list[str]]) -> list[str]:
    """The measurements that an argument stands for: a name, or a variable of a loop over names."""
    if isinstance(node, ast.Constant) and node.value in measurements.MEASUREMENTS:
        return [str(node.value)]
    if isinstance(node, ast.Name) and node.id in looped:
        return looped[node.id]
    raise LookupError(f"which table is {ast.unparse(node)}?")


def _looped(source: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """The variables of loops and comprehensions over tuples of measurements' names, and the arguments of a
    chapter's functions that get them, with these names.
    """
    for node in ast.walk(source):
        if (
            isinstance(node, ast.comprehension | ast.For)
            and isinstance(node.target, ast.Name)
            and isinstance(node.iter, ast.Tuple | ast.List)
        ):
            values = [part.value for part in node.iter.elts if isinstance(part, ast.Constant)]
            if values and set(values) <= set(measurements.MEASUREMENTS):
                yield node.target.id, [str(value) for value in values]
        elif isinstance(node, ast.FunctionDef):
            for place, argument in enumerate(node.args.args):
                if given := _passed(source, node.name, place):
                    yield argument.arg, given


def _passed(source: ast.Module, function: str, place: int) -> list[str]:
    """The measurements that a chapter's own function gets at a place, by name."""
    calls = [
        node
        for node in ast.walk(source)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function and len(node.args) > place
    ]
    given = [call.args[place] for call in calls]
    values = [one.value for one in given if isinstance(one, ast.Constant)]
    return [str(value) for value in dict.fromkeys(values) if value in measurements.MEASUREMENTS]


@dataclass(frozen=True)
class Plan:
    """What a rerun will make."""

    networks: tuple[Training, ...]  # all that the chapter shows
    missing: tuple[Training, ...]  # those that are trained
    again: tuple[
        Training, ...
    ]  # cached ones that are trained again for their weights, which are not kept here
    tables: tuple[tuple[Training, Asked], ...]  # those that are measured
    examples: tuple[Asked, ...]  # measured on one network that the chapter picks
    training: dict[Training, float] = field(default_factory=dict)  # expected seconds of each
    measuring: dict[str, float] = field(
        default_factory=dict
    )  # expected seconds of a table of each measurement
    where: str = ""  # device and engine

    @property
    def seconds(self) -> float:
        """Expected time of all of it."""
        made = making.seconds((*self.missing, *self.again), self.training) if self.training else 0.0
        return made + sum(self.measuring.get(asked.name, 0.0) for _, asked in self.tables)

    def lines(self) -> Iterator[str]:
        """The plan in words; nothing is made under RUNS_FROZEN=1."""
        if runs.frozen():
            return
        if self.missing:
            took = _about(making.seconds(self.missing, self.training))
            yield f"to train: {_count(len(self.missing), 'network')}, {took} ({self.where})"
        if self.again:
            took = _about(making.seconds(self.again, self.training))
            yield (
                "to train again, since their weights are not kept here: "
                f"{_count(len(self.again), 'network')}, {took}"
            )
        for asked in dict.fromkeys(asked for _, asked in self.tables):
            count = sum(other == asked for _, other in self.tables)
            each = self.measuring.get(asked.name)
            took = "nobody has timed it yet" if each is None else _about(count * each)
            yield f"to measure: {asked} on {_count(count, 'network')}, {took}"
        for asked in self.examples:
            yield f"to measure, as an example: {asked} on the network that the chapter picks"
        if self.missing or self.again or self.tables:
            unknown = {
                *self.examples,
                *(asked for _, asked in self.tables if asked.name not in self.measuring),
            }
            yield (
                f"together {'at least ' if unknown else ''}{_about(self.seconds)}; it can be "
                "interrupted and goes on where it was"
            )


def _about(seconds: float) -> str:
    return f"about {duration(seconds)}" if seconds >= 1.5 else "about a second"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def plan(
    chapter: str,
    networks: Sequence[Training],
    shown: Mapping[Asked, Sequence[Training]] | None = None,
    here: Parameters | None = None,
) -> Plan:
    """Compare what a chapter needs with the store. Every file of cached runs is verified, nothing is made.

    Args:
        chapter: Full name of the chapter.
        networks: All that it shows.
        shown: Result of `own`.
        here: Parameters of its grid, as of `tables`.

    Raises:
        InputError: For a damaged run, and for data that are needed and missing.
    """
    missing = tuple(runs.missing(networks))
    cached = [one for one in networks if one not in missing]
    every, examples = tables(chapter, here) if shown is None else ([], [])
    shown = dict.fromkeys(every, networks) if shown is None else shown
    wanted = [(one, asked) for one in networks for asked, some in shown.items() if one in some]
    examples = [asked for asked in examples if not any(_has(one, asked) for one in cached)]
    lacking = [(one, asked) for one, asked in wanted if one in missing or not _has(one, asked)]
    again = dict.fromkeys(one for one in _measured(lacking) if one not in missing and not _has_weights(one))
    extra = tuple(one for one in again if not _cached(one))
    found = Plan(
        tuple(networks),
        (*missing, *extra),
        tuple(one for one in again if _cached(one)),
        tuple(lacking),
        tuple(examples),
    )
    if runs.frozen() or not (found.missing or found.tables):
        return found
    took, where = _training_seconds((*found.missing, *found.again))
    return Plan(
        found.networks,
        found.missing,
        found.again,
        found.tables,
        found.examples,
        took,
        _measuring_seconds(lacking),
        where,
    )


def _cached(training: Training) -> bool:
    return (paths.runs() / training.name / store.MANIFEST).exists()


def _has(training: Training, asked: Asked) -> bool:
    return asked.file in store.Folder(paths.runs() / training.name)


def _has_weights(training: Training) -> bool:
    return _cached(training) and runs.WEIGHTS in store.Folder(paths.runs() / training.name)


def _measured(lacking: Iterable[tuple[Training, Asked]]) -> Iterator[Training]:
    """The networks whose weights such tables need: their own, and those that images are made against."""
    for training, asked in lacking:
        yield training
        one = measurements.MEASUREMENTS[asked.name]
        if one.sources:
            yield from one.sources(training, measurements.settled(asked.name, dict(asked.settings)))


def _training_seconds(trainings: Sequence[Training]) -> tuple[dict[Training, float], str]:
    """Expected seconds of each training here, and where that is: what cached ones of the same kind took, else
    from a few timed steps.
    """
    took, each, where = {}, {}, ""  # type: dict[Training, float], dict[str, float], str
    for training in trainings:
        kind = durations.kind(training)
        if kind not in each:
            engine = best_engine(training)
            known = durations.alike(training, engine)
            with threads.for_training(training):
                each[kind] = statistics.median(known) if known else estimate_seconds(training, engine)
                where = f"{provenance.device(engine.device)}, {engine}"
        took[training] = each[kind]
    return took, where


def _measuring_seconds(lacking: Iterable[tuple[Training, Asked]]) -> dict[str, float]:
    """Expected seconds of a table of each measurement: what cached ones took here, or else elsewhere."""
    rows, here = durations.measuring(), provenance.device("cuda" if torch.cuda.is_available() else "cpu")
    found = {}
    for training, asked in lacking:
        same = rows[
            (rows.dataset == training.dataset)
            & (rows.model == training.model)
            & (rows.measurement == asked.name)
        ]
        mine = same[same.device == here]
        if len(same):
            found[asked.name] = float((mine if len(mine) else same).seconds.median())
    return found
