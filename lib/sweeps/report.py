"""What a sweep prints before and after, and the table of its networks that it shows meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from lib.base import paths
from lib.base.text import duration
from lib.sweeps.planning import Outcome, Plan
from lib.training.training import Training

WORTH_SAYING = 30.0  # seconds that measuring takes
# beginning of a network's cell, and its style
STYLES = {
    "cached": "dim",
    "waiting": "dim",
    "elsewhere": "yellow",
    "epoch": "cyan",
    "done": "green",
    "diverged": "red",
}


def _network(training: Training) -> str:
    return training.model if training.variant == "plain" else f"{training.model} {training.variant}"


def label(training: Training) -> str:
    """Short name that tells one network of a sweep from another."""
    return f"{_network(training)} alpha {training.alpha:g} seed {training.seed}"


def opening(plan: Plan, budget: float | None) -> Iterator[str]:
    """Lines that are printed before anything is made; the budget is in minutes."""
    cached, count = len(plan.trainings) - len(plan.missing), len(plan.trainings)
    part = (
        ""
        if plan.shard == (1, 1)
        else f", part {plan.shard[0]} of {plan.shard[1]} of {len(plan.sweep.trainings)}"
    )
    first = plan.sweep.trainings[0]
    names = " and ".join(dict.fromkeys(training.model for training in plan.sweep.trainings))
    yield (
        f"{plan.sweep.name}: {count} networks ({names} on {first.dataset}, {first.recipe} "
        f"recipe){part}: {cached} cached, {len(plan.missing)} to train"
        + (f", {len(plan.begun)} of them begun" if plan.begun else "")
        + (f"; {len(plan.tables)} tables to measure on cached ones" if plan.tables else "")
        + (
            f", for which {len(plan.again)} are trained again, as their weights are not kept here"
            if plan.again
            else ""
        )
    )
    if plan.training and plan.source:
        limit = f"; stops after {budget:g} minutes" if budget else ""
        yield (
            f"training takes about {duration(plan.seconds)} here ({plan.where}), judged by "
            f"{plan.source}{limit}"
        )
    if plan.measuring_seconds > WORTH_SAYING:
        unknown = sorted({table.name for one, table in plan.to_measure if not plan.table_seconds(one, table)})
        yield f"measuring takes about {duration(plan.measuring_seconds)} here, as it did before" + (
            f"; not counted: {', '.join(unknown)}" if unknown else ""
        )
    if plan.training or plan.tables:
        yield (
            "Ctrl-C is safe: what is finished is kept, the network at work keeps its last "
            "checkpoint, and the same command goes on from there"
        )
        yield f"results go to {paths.runs()}"


def closing(
    plan: Plan, outcome: Outcome, why: str, budget: float | None, *, engine: str = ""
) -> Iterator[str]:
    """The lines at the end.

    Args:
        plan: What was to be made.
        outcome: What became of it.
        why: The end came before everything was made, or nothing.
        budget: Of minutes, if there was one.
        engine: The one that was asked for on the command line, if any.

    Yields:
        One line after the other.
    """
    if why:
        yield why
    for training in outcome.diverged:
        yield f"diverged: {label(training)}; it is kept, and marked in the list of runs"
    yield (
        f"{plan.sweep.name}: {len(outcome.made)} made, {len(outcome.there)} were there, "
        f"{len(outcome.left)} left"
    )
    yield f"results are in {paths.runs()}; list them with: python -m lib runs"
    if outcome.left:
        yield (
            f"go on with: {plan.command}"
            + (f" --budget {budget:g}" if budget else "")
            + (f" --engine {engine}" if engine else "")
        )


def picture(title: str, cells: dict[Training, tuple[str, str]], below: str) -> Group:
    """A table with a row for each network and alpha and a column for each seed, and a line below.

    Args:
        cells: {training: (key of STYLES, further words)}.
    """
    seeds = sorted({training.seed for training in cells})
    table = Table("network", "alpha", *(f"seed {seed}" for seed in seeds), box=box.SIMPLE_HEAD, title=title)
    rows: dict[tuple[str, float], dict[int, tuple[str, str]]] = {}
    for training, cell in cells.items():
        rows.setdefault((_network(training), training.alpha), {})[training.seed] = cell
    for (network, alpha), row in rows.items():
        shown = [row.get(seed) for seed in seeds]  # None: in another shard
        table.add_row(
            network,
            f"{alpha:g}",
            *(Text(" ".join(cell).strip(), STYLES[cell[0]]) if cell else Text() for cell in shown),
        )
    return Group(table, Text(below))
