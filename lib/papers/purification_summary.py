"""One row per seed of the simulation `purification`: the numbers that its claims are decided by."""

from __future__ import annotations

import pandas as pd

SMALL_ANGLE, LARGE_ANGLE = 0.2, 0.8  # the paper's c and C, as our notes have them
LIVE = 0.2  # a neuron of less than this share of the largest norm is dead, as in lib.purification.measures

_NETWORKS = {
    "clean": "clean",
    "more clean": "control",
    "adversarial": "adversarial",
    "kernel": "kernel",
    "kernel, adversarial": "kernel_adversarial",
    "linear": "linear",
    "linear, adversarial": "linear_adversarial",
    "target rule": "target",
    "rank 1": "rank_1",
    "rank 5": "rank_5",
    "rank 20": "rank_20",
}
_STAGES = {"start": "start", "clean": "clean", "more clean": "control", "adversarial": "adversarial"}


def summary(
    accuracy: pd.DataFrame, stages: pd.DataFrame, neurons: pd.DataFrame, change: pd.DataFrame
) -> pd.DataFrame:
    """One row per seed of the simulation `purification`, from its tables of one setting.

    Args:
        accuracy, stages, neurons, change: Those tables, over seeds.

    Returns:
        A table with the columns `seed`, `tau`, `d` and `m`, and

        - for each classifier NAME (clean, control, adversarial, kernel, kernel_adversarial, linear,
          linear_adversarial, target, rank_1, rank_5, rank_20): `NAME`, `NAME_universal`, `NAME_pgd`, its
          accuracy as it is, and at radius tau;
        - for each network: `mixture_NAME`, `top_atom_NAME`, means over live neurons, and `start` among them;
        - `angle_start`, `angle_start_adversarial`: mean theta to the first weights; `angle_kept`,
          `angle_kept_control`: to those of clean training; `pairs_clean`, `pairs_adversarial`: between
          neurons; `chance`: of random directions;
        - `share_start_clean`, `share_start_adversarial`: share of live neurons with theta of at most 0.2 to
          the first weights; `share_kept`, `share_kept_control`: of at least 0.8 to those of clean training;
        - `relative_change`, `along`: the change of adversarial training, and theta between its first
          direction and M w*; `relative_change_control`, `along_control`: the control's;
        - `energy_R`, `energy_R_control` for R in 1, 5, 20: share of the change in its R strongest directions.
    """
    at_tau = accuracy[(accuracy.radius - accuracy.tau).abs() < 1e-9]
    found = {}
    for name, short in _NETWORKS.items():
        own = accuracy[accuracy.classifier == name]
        found[short] = own[own.perturbation == "none"].set_index("seed").accuracy
        for kind in ("universal", "pgd"):
            rows = at_tau[(at_tau.classifier == name) & (at_tau.perturbation == kind)]
            found[f"{short}_{kind}"] = rows.set_index("seed").accuracy
    by_stage = {short: stages[stages.stage == name].set_index("seed") for name, short in _STAGES.items()}
    for short, rows in by_stage.items():
        found |= {f"mixture_{short}": rows.mixture, f"top_atom_{short}": rows.top_atom}
    clean, control, adversarial = (by_stage[name] for name in ("clean", "control", "adversarial"))
    found |= {
        "angle_start": clean.angle_start,
        "angle_start_adversarial": adversarial.angle_start,
        "angle_kept": adversarial.angle_clean,
        "angle_kept_control": control.angle_clean,
        "pairs_clean": clean.angle_pairs,
        "pairs_adversarial": adversarial.angle_pairs,
        "chance": clean.angle_chance,
        "relative_change": adversarial.relative_change,
        "relative_change_control": control.relative_change,
        "along": adversarial.change_along_mixture,
        "along_control": control.change_along_mixture,
    }
    alive = live_neurons(neurons)
    shares = {
        "share_start_clean": ("clean", alive.angle_start <= SMALL_ANGLE),
        "share_start_adversarial": ("adversarial", alive.angle_start <= SMALL_ANGLE),
        "share_kept": ("adversarial", alive.angle_clean >= LARGE_ANGLE),
        "share_kept_control": ("more clean", alive.angle_clean >= LARGE_ANGLE),
    }
    for name, (stage, inside) in shares.items():
        found[name] = inside[alive.stage == stage].groupby(alive.seed).mean()
    for stage, ending in (("adversarial", ""), ("more clean", "_control")):
        for rank in (1, 5, 20):
            rows = change[(change.stage == stage) & (change.directions == rank)]
            found[f"energy_{rank}{ending}"] = rows.set_index("seed").energy
    sizes = accuracy.groupby("seed")[["d", "m", "tau"]].first()
    return pd.concat([sizes, pd.DataFrame(found)], axis=1).rename_axis("seed").reset_index()


def live_neurons(neurons: pd.DataFrame) -> pd.DataFrame:
    """The rows of neurons with more than 0.2 of the largest norm of their seed and stage."""
    return neurons[neurons.length > LIVE * neurons.groupby(["seed", "stage"]).length.transform("max")]
