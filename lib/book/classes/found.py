"""What is cached about networks that are trained to be robust."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from lib import runs
from lib.book.classes.networks import control, logits_of, robust
from lib.book.classes.rows import biased, by_class, matched, returning
from lib.book.grid import Parameters
from lib.measurements import logits
from lib.papers import classwise
from lib.papers.first_round import SEEDS
from lib.runs.tables import cached
from lib.training.datasets import usual_model
from lib.training.training import LABELS, labels

RADIUS = 8 / 255


@dataclass(frozen=True)
class Found:
    """What is cached about networks that are trained to be robust.

    Attributes:
        images: Their table `logits`; empty if none is cached.
        classes: The rows that claims are decided on; empty likewise.
        missing: The commands that make what is not there, of the first seed of each kind.
    """

    images: pd.DataFrame
    classes: pd.DataFrame
    missing: tuple[str, ...]


def gathered(here: Parameters) -> Found:
    """Everything that the claims read, of what is cached."""
    trainings = robust(here)
    table = logits_of(trainings)
    rows = by_class(table)
    parts = [rows]
    if len(rows):
        pgd = rows[(rows.attack == logits.PGD) & rows.variant.str.fullmatch(classwise.IN_BALL)]
        means = pgd[pgd["images"] > 0].groupby("seed").accuracy.mean().to_dict()
        parts += [matched(cached("pgd_radii", control(here)), means), returning(table, trainings)]
    parts.append(biased(cached("logit_bias", trainings)))
    there = [one for one in parts if len(one)]
    made = set(map(tuple, table[LABELS].drop_duplicates().to_numpy())) if len(table) else set()
    lacking = [one for one in trainings if tuple(labels(one).values()) not in made]
    missing = list({one.way: one for one in reversed(lacking)}.values())[::-1]
    return Found(
        table,
        pd.concat(there, ignore_index=True) if there else pd.DataFrame(),
        tuple(map(runs.command, missing)),
    )


def on_digits() -> Found:
    """The same of the small networks of the digits, which anyone can make: what a page on other images says
    beside its own.
    """
    small = "digits"
    return gathered(Parameters(small, usual_model(small), (0.0,), SEEDS, "fast"))


def surviving(here: Parameters) -> pd.DataFrame:
    """Accuracy under all parts of AutoAttack by class, in percent, of the networks of which it is cached at
    the radius of the claims: one row per network and class.
    """
    table = cached("autoattack", robust(here), limit=500, epsilon=RADIUS)
    if table.empty:
        return table
    last = table[table.part == table.part.iloc[-1]]
    return last.assign(accuracy=100 * last.standing / last["images"].where(last["images"] > 0))
