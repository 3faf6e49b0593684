"""Which networks the chapter on class-wise robustness is about, and their tables of logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from lib import runs
from lib.book.grid import Parameters
from lib.runs.tables import cached
from lib.training.training import LABELS, Training, labels

# ways of training that the claims are about, as sweeps/classwise.yml makes them
WAYS = ("pgd-3-linf-8", "trades-6-3-linf-8", "weighted-3-linf-8")
# a network without the class that the other is most confused with, by data set (CW-7)
LEFT_OUT = {
    "cifar10": ("dog",),  # which cats are taken for
    "digits": ("3",),  # which nines are taken for, by two of three networks
}
FAMILIES = {"cifar10": ("airplane", "automobile", "ship", "truck")}  # transport; the others are animals


def ordered(dataset: str, classes: Sequence[str]) -> list[str]:
    """Classes with those of a family beside each other, where a data set has families."""
    first = [name for name in FAMILIES.get(dataset, ()) if name in classes]
    return first + [name for name in classes if name not in first]


def robust(here: Parameters) -> list[Training]:
    """The networks of the chapter's seeds that are trained to be robust, and those without a class; α = 0,
    half the recipe's epochs where the recipe is the fast one.
    """
    usual = here.with_variants
    found = runs.grid(
        dataset=here.dataset,
        model=here.model,
        alphas=(0.0,),
        seeds=here.seeds,
        recipe=here.recipe,
        epochs=usual.epochs,
        variants=WAYS,
    )
    left = LEFT_OUT.get(here.dataset, ())
    return found + [replace(one, without=left) for one in found if left and one.variant == WAYS[0]]


def control(here: Parameters) -> list[Training]:
    """The plain networks of the same length, which stand beside those that are trained to be robust."""
    return [
        replace(one, variant="plain") for one in robust(here) if one.variant == WAYS[0] and not one.without
    ]


def logits_of(trainings: Sequence[Training], **settings: Any) -> pd.DataFrame:
    """The table `logits` over the trainings of which it is cached: on all images where that is there, as made
    on a GPU, else on the first ones. Nothing is made.

    Args:
        trainings: Networks; those that are not cached are left out.
        settings: As in `runs.table`.
    """
    whole = cached("logits", list(trainings), **settings, limit=0)
    known = set(map(tuple, whole[LABELS].drop_duplicates().to_numpy())) if len(whole) else set()
    others = [one for one in trainings if tuple(labels(one).values()) not in known]
    first = [cached("logits", others, **settings)] if others else []
    there = [one for one in (whole, *first) if len(one)]
    return pd.concat(there, ignore_index=True) if there else pd.DataFrame()


def networks_in(table: pd.DataFrame, here: Parameters) -> list[Training]:
    """Which of a chapter's networks, and of those that are trained to be robust, a table has rows of."""
    if table.empty:
        return []
    known = set(map(tuple, table[LABELS].drop_duplicates().to_numpy()))
    every = [*here.trainings, *robust(here), *control(here)]
    return [one for one in every if tuple(labels(one).values()) in known]
