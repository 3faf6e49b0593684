"""Kinds of simulation: computations without images and without a trained network, with their tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from lib.measurements.measurement import COUNT, FLOAT, PLACE, SHARE, TEXT, Column
from lib.purification.simulation import theorem

Setting = bool | int | float | str


@dataclass(frozen=True)
class Kind:
    """A kind of simulation.

    Attributes:
        function: (seed=..., every setting by name) -> its tables by name. It takes all its randomness from
            the seed.
        summary: What is simulated, in a line.
        tables: The columns of each table, in order.
        settings: Its settings with their defaults, each a truth value, a number or a word.
        ranges: The least and the largest value of settings that have them.
        fits: Of all settings, what does not fit together, in a line that names the way out; "" if all does.

    Raises:
        ValueError: For a column with the name of a setting, "simulation" or "seed": a table over several runs
            has columns of these names.
    """

    function: Callable[..., Mapping[str, pd.DataFrame]]
    summary: str
    tables: Mapping[str, Mapping[str, Column]]
    settings: Mapping[str, Setting]
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    fits: Callable[[Mapping[str, Any]], str] = lambda settings: ""

    def __post_init__(self) -> None:
        for table, columns in self.tables.items():
            if taken := sorted({"simulation", "seed", *self.settings} & set(columns)):
                raise ValueError(
                    f"column {taken[0]} of table {table} has the name of a setting: rename one of them"
                )


MOST_WEIGHTS = 2**26  # of a network of the theorem's world, which takes that many numbers some times over


def _world_fits(settings: Mapping[str, Any]) -> str:
    d, m, k = (settings[name] for name in "dmk")
    if d < k:
        return f"d must be at least k = {k}, the number of atoms that are active in a sample, got {d}"
    if d * m > MOST_WEIGHTS:
        return f"d times m must be at most {MOST_WEIGHTS:,}, for the memory of one machine, got {d} times {m}"
    return ""


# The theorem of feature purification; a `stage` is one of its networks, "more clean" the control. The
# settings are the arguments of `lib.purification.simulation.theorem`.
PURIFICATION = Kind(
    theorem,
    "feature purification in the theorem's own world, at a finite size",
    {
        "accuracy": {"classifier": TEXT, "perturbation": TEXT, "radius": FLOAT, "accuracy": SHARE},
        "stages": {
            "stage": TEXT,
            "live": COUNT,
            "atoms": COUNT,
            **dict.fromkeys(("mixture", "top_atom"), SHARE),
            "relative_threshold": FLOAT,
            **dict.fromkeys(("angle_start", "angle_clean", "angle_pairs"), SHARE),
            "angle_chance": SHARE,
            "relative_change": FLOAT,
            "change_along_mixture": SHARE,
        },
        "neurons": {
            "stage": TEXT,
            "neuron": COUNT,
            "length": FLOAT,
            **dict.fromkeys(("mixture", "top_atom", "angle_start", "angle_clean"), SHARE),
        },
        "change": {"stage": TEXT, "directions": PLACE, "energy": SHARE},
        "coefficients": {"stage": TEXT, "neuron": COUNT, "atom": COUNT, "coefficient": FLOAT},
        "history": {"training": TEXT, "step": PLACE, "loss": FLOAT, "accuracy": SHARE},
    },
    {
        "d": 100,
        "m": 200,
        "k": 10,
        "tau": 0.15,
        "norm": "l2",
        "attack": "pgd",
        "attack_steps": 7,
        "threshold": "norm",
        "cut": 0.5,
        "clean_steps": 3000,
        "adversarial_steps": 3000,
        "kernel_steps": 500,
        "batch": 512,
        "test_samples": 4000,
        "test_steps": 40,
        "data_noise": 0.0,
        "neuron_noise": 0.0,
    },
    # without a radius there is no adversarial training, and no test under attack to compare
    {"d": (1, 4096), "m": (1, 2**16), "tau": (1e-6, 1e3), "data_noise": (0, 1e3), "neuron_noise": (0, 1e3)},
    _world_fits,
)

# One line per kind of simulation.
SIMULATIONS: dict[str, Kind] = {"purification": PURIFICATION}
