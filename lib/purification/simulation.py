"""The theorem at a finite size, from a seed to tables: clean training, adversarial training from there, what
clean training of the same length would have done, and the classifiers that must fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.base.errors import InputError, unknown
from lib.base.seeds import derived_seed
from lib.purification import measures
from lib.purification.networks import Classifier, Linear, SmoothedKernel, Symmetric, TargetRule, Trainable
from lib.purification.perturbations import NORMS, fgm, pgd, universal, withstands
from lib.purification.sparse_coding import World, samples, world
from lib.purification.training import Attack, thresholds, train

RADII = (0.25, 0.5, 0.75, 1.0, 1.5)  # in units of tau
RANKS = (1, 5, 20)
SHOWN = 16  # neurons whose coefficients are kept
ATTACKS = ("fgm", "pgd")
# Choices: the protocol's pilot records these of the kernel's gates, and not its number of steps.
GATE_NOISE, GATE_SHARE, KERNEL_RATE, KERNEL_ATTACK_STEPS = 0.05, 0.5, 1e-2, 5


def theorem(
    *,
    seed: int,
    d: int,
    m: int,
    k: int,
    tau: float,
    norm: str,
    attack: str,
    attack_steps: int,
    threshold: str,
    cut: float,
    clean_steps: int,
    adversarial_steps: int,
    kernel_steps: int,
    batch: int,
    test_samples: int,
    test_steps: int,
    data_noise: float,
    neuron_noise: float,
) -> dict[str, pd.DataFrame]:
    """One seed of the theorem's world.

    Args:
        d: Coordinates, and atoms.
        m: Neurons.
        k: Atoms that are active in a sample on average.
        tau: Radius of adversarial training; tests go from a quarter to one and a half of it.
        norm: "l2" or "linf".
        attack: What adversarial training uses: "pgd" or "fgm".
        attack_steps: Steps of PGD in the network's training.
        threshold: "norm": cut / sqrt(k) times the norm of a neuron's weights, in each step. "growing": one
            for all, from 0 to cut / sqrt(k) over clean training, then frozen.
        cut: The threshold in units of 1 / sqrt(k), the size of a weakly active coordinate.
        clean_steps, adversarial_steps, kernel_steps: Steps of each training of the network, and of each
            training of the kernel's classifier and of the linear one.
        batch: Samples a step.
        test_samples: Samples of the test.
        test_steps: Steps of PGD in the test.
        data_noise: Standard deviation of the noise in each coordinate of a sample.
        neuron_noise: Standard deviation of the noise in each pre-activation, in training.

    Returns:
        The tables of `PURIFICATION` in `lib.runs.kinds`.

    Raises:
        InputError: For a setting outside its range.
    """
    if attack not in ATTACKS:
        raise unknown("attack", attack, ATTACKS)
    if norm not in NORMS:
        raise unknown("norm", norm, NORMS)
    whole = {"m": m, "batch": batch, "test_samples": test_samples, "test_steps": test_steps}
    for name, value in (whole | {"attack_steps": attack_steps, "kernel_steps": kernel_steps}).items():
        if value < 1:
            raise InputError(f"{name} must be at least 1, got {value}")
    sizes = {"tau": tau, "neuron_noise": neuron_noise}
    for name, size in (sizes | {"clean_steps": clean_steps, "adversarial_steps": adversarial_steps}).items():
        if not size >= 0:
            raise InputError(f"{name} must be at least 0, got {size}")

    def draws(*purpose: str) -> torch.Generator:
        return torch.Generator().manual_seed(derived_seed(seed, *purpose))

    source = world(d, k, generator=draws("world"), noise=data_noise)
    rule = thresholds(threshold, cut * source.weak)

    def against(name: str, steps: int) -> Attack:
        if attack == "fgm":
            return partial(fgm, tau=tau, norm=norm)
        return partial(pgd, tau=tau, norm=norm, steps=steps, generator=draws("attack", name))

    histories: dict[str, list[tuple[int, float, float]]] = {}

    def trained(name: str, before: Trainable, **how: Any) -> Any:
        found, histories[name] = train(before, source, generator=draws(name), batch=batch, **how)
        return found

    # what the networks have that classifiers with fixed gates have not
    neurons = {"penalty": 1e-5, "rule": rule, "noise": neuron_noise}
    further = {"steps": adversarial_steps, "rate": 1e-3, **neurons}
    fixed = {"steps": kernel_steps, "rate": KERNEL_RATE}

    first = 1e-3 * torch.randn(m, d, generator=draws("weights"), dtype=torch.float32)
    start = Symmetric(first, rule(first, 0.0))
    clean = trained("clean", start, steps=clean_steps, rate=2e-3, done=(0.0, 1.0), **neurons)
    control = trained("more clean", clean, **further)
    adversarial = trained("adversarial", clean, attack=against("network", attack_steps), **further)
    networks = {"start": start, "clean": clean, "more clean": control, "adversarial": adversarial}

    gates = F.normalize(torch.randn(m, d, generator=draws("gates"), dtype=torch.float32), dim=1)
    gate_threshold = GATE_SHARE * cut * source.weak
    blank = SmoothedKernel(torch.zeros_like(gates), gates, gate_threshold, GATE_NOISE)
    kernel = trained("kernel", blank, **fixed)
    linear = trained("linear", Linear(torch.zeros_like(gates[:1])), **fixed)
    one_step = partial(fgm, tau=tau, norm=norm)  # the worst there is, for a linear classifier
    others: dict[str, Classifier] = {
        "kernel": kernel,
        "kernel, adversarial": trained(
            "kernel, adversarial", kernel, attack=against("kernel", KERNEL_ATTACK_STEPS), **fixed
        ),
        "linear": linear,
        "linear, adversarial": trained("linear, adversarial", linear, attack=one_step, **fixed),
    }
    others["target rule"] = TargetRule(source.dictionary, source.target, source.weak / 2)
    for rank in RANKS:
        weights = measures.low_rank(clean.weights, adversarial.weights, rank)
        others[f"rank {rank}"] = Symmetric(weights, rule(weights, 1.0))
    asked = {name: one for name, one in networks.items() if name != "start"} | others
    test = samples(source, test_samples, generator=draws("test"))
    return {
        "accuracy": _accuracy(asked, source, test, tau, norm, test_steps, lambda: draws("test attack")),
        "stages": _stages(networks, source),
        "neurons": _neurons(networks, source),
        "change": _change(networks),
        "coefficients": _coefficients(networks, source),
        "history": pd.DataFrame(
            [(name, *row) for name, rows in histories.items() for row in rows],
            columns=["training", "step", "loss", "accuracy"],
        ),
    }


def _accuracy(
    asked: Mapping[str, Classifier],
    source: World,
    test: tuple[Tensor, Tensor],
    tau: float,
    norm: str,
    steps: int,
    draws: Callable[[], torch.Generator],
) -> pd.DataFrame:
    """Share of the test that each classifier gets right, at every radius; radius 0 is the test as it is.

    The networks of a low-rank change are asked at tau alone.
    """
    x, y = test
    rows = []
    for name, one in asked.items():
        rows.append((name, "none", 0.0, float((one.logits(x) * y > 0).double().mean())))
        kept = torch.arange(len(x))
        for share in RADII if not name.startswith("rank") else (1.0,):
            radius = share * tau
            common = universal(source, x, y, tau=radius, norm=norm)
            rows.append((name, "universal", radius, float((one.logits(common) * y > 0).double().mean())))
            # what is lost within a small radius is lost within a larger one
            some, votes = x[kept], y[kept]
            if isinstance(one, Linear):  # one step of FGM is the worst there is
                right = one.logits(fgm(one, some, votes, tau=radius, norm=norm)) * votes > 0
            else:
                right = withstands(one, some, votes, tau=radius, norm=norm, steps=steps, generator=draws())
            kept = kept[right]
            rows.append((name, "pgd", radius, len(kept) / len(x)))
    return pd.DataFrame(rows, columns=["classifier", "perturbation", "radius", "accuracy"])


def _stages(networks: Mapping[str, Symmetric], source: World) -> pd.DataFrame:
    """Means over the live neurons of each network; angles and changes are those to its first weights and to
    the clean network's.
    """
    start, clean = networks["start"].weights, networks["clean"].weights
    rows = []
    for name, network in networks.items():
        weights = network.weights
        alive = measures.live(weights)
        some = weights[alive]
        top = measures.coefficients(some, source.dictionary).abs().argmax(1)
        unit = F.normalize(some.double(), dim=1)
        pairs = (unit @ unit.T).abs()[torch.triu(torch.ones(len(some), len(some), dtype=torch.bool), 1)]
        change = (weights - clean).double()
        strongest = torch.linalg.svd(change, full_matrices=False)[2][:1]
        rows.append({
            "stage": name,
            "live": len(some),
            "atoms": len(top.unique()),
            "mixture": _mean(measures.dense_mixture(some, source.dictionary, source.target)),
            "top_atom": _mean(measures.top_atom_energy(some, source.dictionary)),
            "relative_threshold": _mean(network.thresholds[alive] / some.norm(dim=1)),
            "angle_start": _mean(measures.angle(start, weights)[alive]),
            "angle_clean": _mean(measures.angle(clean, weights)[alive]),
            "angle_pairs": _mean(pairs),
            "angle_chance": measures.chance_angle(source.d),
            "relative_change": measures.relative_change(clean, weights),
            # whether the change's first direction is the mixture's; NaN where nothing changed
            "change_along_mixture": float(measures.angle(strongest, source.common[None]))
            if change.any()
            else float("nan"),
        })
    return pd.DataFrame(rows)


def _mean(values: Tensor) -> float:
    """The mean; NaN of nothing."""
    return float(values.double().mean())


def _neurons(networks: Mapping[str, Symmetric], source: World) -> pd.DataFrame:
    """Every neuron of every trained network."""
    tables = []
    for name, network in networks.items():
        if name == "start":
            continue
        weights = network.weights
        values = {
            "length": torch.linalg.vector_norm(weights, dim=1),
            "mixture": measures.dense_mixture(weights, source.dictionary, source.target),
            "top_atom": measures.top_atom_energy(weights, source.dictionary),
            "angle_start": measures.angle(networks["start"].weights, weights),
            "angle_clean": measures.angle(networks["clean"].weights, weights),
        }
        columns = {one: _short(found) for one, found in values.items()}
        tables.append(pd.DataFrame({"stage": name, "neuron": range(len(weights)), **columns}))
    return pd.concat(tables, ignore_index=True)


def _change(networks: Mapping[str, Symmetric]) -> pd.DataFrame:
    """Energy of the change since clean training in its strongest directions."""
    tables = []
    for name in ("more clean", "adversarial"):
        energy = measures.change_energy(networks["clean"].weights, networks[name].weights)
        tables.append(
            pd.DataFrame({"stage": name, "directions": range(1, len(energy) + 1), "energy": _short(energy)})
        )
    return pd.concat(tables, ignore_index=True)


def _coefficients(networks: Mapping[str, Symmetric], source: World) -> pd.DataFrame:
    """The first neurons in the atoms, each coefficient times the atom's vote w*: a mixture is then a positive
    or negative floor under all of them.
    """
    tables = []
    for name in ("clean", "adversarial"):
        parts = measures.coefficients(networks[name].weights[:SHOWN], source.dictionary) * source.target
        count, d = parts.shape
        tables.append(
            pd.DataFrame({
                "stage": name,
                "neuron": torch.arange(count).repeat_interleave(d).numpy(),
                "atom": torch.arange(d).repeat(count).numpy(),
                "coefficient": _short(parts.flatten()),
            })
        )
    return pd.concat(tables, ignore_index=True)


def _short(values: Tensor) -> list[float]:
    """Four decimals, which is what a figure shows and packs well."""
    return [round(one, 4) for one in values.tolist()]
