"""Feature purification: the world of Allen-Zhu and Li's theorem, at a finite size, and what adversarial
training removes from weights.
"""

from lib.purification.checked import (
    angle,
    chance_angle,
    change_energy,
    dense_mixture,
    fgm,
    live,
    low_rank,
    maximised,
    pgd,
    relative_change,
    samples,
    top_atom_energy,
    train,
    universal,
    world,
)
from lib.purification.networks import Linear, SmoothedKernel, Symmetric, TargetRule
from lib.purification.simulation import theorem
from lib.purification.sparse_coding import World

__all__ = [
    "Linear",
    "SmoothedKernel",
    "Symmetric",
    "TargetRule",
    "World",
    "angle",
    "chance_angle",
    "change_energy",
    "dense_mixture",
    "fgm",
    "live",
    "low_rank",
    "maximised",
    "pgd",
    "relative_change",
    "samples",
    "theorem",
    "top_atom_energy",
    "train",
    "universal",
    "world",
]
