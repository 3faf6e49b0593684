"""The other networks that tables of purification need: the one that a training started from, the one that was
trained on perturbed images from there, and one of another seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from lib.training.training import Training

PURIFIED = "pgd-3-linf-8"  # the variant that stands for adversarial training
BATCH = 250
Networks = Mapping[Training, nn.Module]


def reference(training: Training) -> Training:
    """The network that a training is compared with: its parent; without one, the plain network with α = 0 and
    the same first weights, which may be itself.
    """
    return training.start or replace(training, variant="plain", alpha=0.0)


def purified(training: Training, variant: str) -> Training:
    """The network that was trained on perturbed images from the same parent as a training; for one without a
    parent, from the plain network of its seed and recipe, by the recipe `tune`.
    """
    if training.start:
        return replace(training, variant=variant, alpha=0.0)
    parent = replace(training, variant="plain", alpha=0.0, epochs=None)
    return replace(parent, recipe="tune", variant=variant, start=parent)


def root(training: Training) -> Training:
    """The training whose seed drew the first weights."""
    return root(training.start) if training.start else training


def independent(training: Training) -> Training:
    """A plain network with α = 0 that has nothing in common with a training but its kind: that of another
    seed, 1 for a network of seed 0 and 0 for all others.
    """
    first = root(training)
    plain = replace(first, variant="plain", alpha=0.0, epochs=None, without=())
    return replace(plain, seed=0 if first.seed else 1)


def references(training: Training, settings: Mapping[str, Any]) -> list[Training]:
    """Sources of `low_rank`."""
    return [reference(training)]


def reference_and_independent(training: Training, settings: Mapping[str, Any]) -> list[Training]:
    """Sources of `weight_angles`, the reference first."""
    return [reference(training), independent(training)]


def purified_and_reference(training: Training, settings: Mapping[str, Any]) -> list[Training]:
    """Sources of `perturbation` and `alignment`, the reference first."""
    return [*dict.fromkeys([reference(training), purified(training, settings["variant"])])]
