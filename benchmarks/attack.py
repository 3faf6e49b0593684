"""Attacks against torchattacks, at equal settings, on the same trained network and images; images are made
and scored on both sides.

Ours scores in float32 as the other side does, with the copy of the network that `lib.models.fuse` makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from benchmarks.harness import Case, Target, Work
from lib import attacks, data, models, runs
from lib.models.fuse import folded
from lib.models.precision import exact
from lib.training.training import Training

PACKAGE = "torchattacks"
IMAGES, COMPARED = {"cpu": 64, "cuda": 1000}, {"cpu": 250, "cuda": 2000}
EPSILON, STEP = 8 / 255, 2 / 255
# radii where robust accuracy is neither 0 nor clean accuracy: for parity
SMALL = {"linf": 1 / 255, "l2": 0.15}
STRENGTHS = (1, 5, 10, 20, 40)
EPSILONS = (0.001, 0.002, 0.004, 0.006, 0.008, 4 / 255, 8 / 255, 16 / 255)
ALPHAS = (0.0, 2.0)  # α of the networks whose outputs are compared; times are those of the first
# difference of robust accuracy that is allowed: sums in another order, or of lower precision, decide on a few
# images
TOLERANCE = {"float32": 0.005, "bfloat16": 0.01}


@lru_cache(maxsize=4)
def setting(device: str, alpha: float = 0.0, count: int | None = None) -> tuple[nn.Module, Tensor, Tensor]:
    """A trained ResNet20, images and labels."""
    test = data.load("cifar10", "test")[: count or IMAGES[device]].to(device)
    return (
        runs.load(Training(alpha=alpha, recipe="fast")).to(device),
        models.to_unit(test.pixels),
        test.labels,
    )


@torch.inference_mode()
def accuracy(network: nn.Module, x: Tensor, labels: Tensor) -> float:
    return float((network(x).argmax(1) == labels).float().mean())


def score(network: nn.Module, found: Iterable[Tensor], labels: Tensor) -> list[float]:
    """Accuracy on each of several sets of images, which are made here, one after the other."""
    return [accuracy(network, x, labels) for x in found]


def ours(
    device: str,
    precision: str,
    strengths: tuple[int, ...],
    *,
    alpha: float = 0.0,
    count: int | None = None,
    epsilon: float = EPSILON,
    norm: str = "linf",
) -> Work:
    """PGD's accuracy after each number of steps, from one attack."""
    network, x, labels = setting(device, alpha, count)
    step = STEP * epsilon / EPSILON

    def work() -> list[float]:
        path = attacks.pgd_path(
            network,
            x,
            labels,
            epsilon=epsilon,
            step_size=step,
            steps=max(strengths),
            norm=norm,
            precision=precision,
        )
        with exact():
            return score(
                folded(network, x), (found for steps, found in enumerate(path) if steps in strengths), labels
            )

    return work


def theirs(
    device: str,
    strengths: tuple[int, ...],
    *,
    alpha: float = 0.0,
    count: int | None = None,
    epsilon: float = EPSILON,
    norm: str = "linf",
) -> Work:
    """The same with a torchattacks.PGD or PGDL2 for each number of steps."""
    import torchattacks

    network, x, labels = setting(device, alpha, count)
    step = STEP * epsilon / EPSILON

    def work() -> list[float]:
        kind = {"linf": torchattacks.PGD, "l2": torchattacks.PGDL2}[norm]
        found = (
            kind(network, eps=epsilon, alpha=step, steps=steps, random_start=False)(x, labels)
            for steps in strengths
        )
        return score(network, found, labels)

    return work


def fgsm_ours(device: str) -> Work:
    network, x, labels = setting(device)

    def work() -> list[float]:
        found = attacks.fgsm_grid(network, x, labels, EPSILONS)
        with exact():
            return score(folded(network, x), found, labels)

    return work


def fgsm_theirs(device: str) -> Work:
    import torchattacks

    network, x, labels = setting(device)
    return lambda: score(
        network, (torchattacks.FGSM(network, eps=epsilon)(x, labels) for epsilon in EPSILONS), labels
    )


def apart(
    one: Callable[..., Work], other: Callable[..., Work], device: str, tolerance: float, **how: object
) -> str | None:
    """One line on where robust accuracies differ by more than the tolerance, on networks of α = 0 and of a
    high α; None if they agree.
    """
    for alpha in ALPHAS:
        found = [make(device, alpha=alpha, count=COMPARED[device], **how)() for make in (one, other)]
        for a, b in zip(*found, strict=True):
            if abs(a - b) > tolerance:
                return f"α = {alpha:g}: accuracy {a:.4f} and {b:.4f} under the same attack"
    return None


def pgd_parity(precision: str, device: str) -> str | None:
    pair = partial(ours, precision=precision, strengths=(5, 10)), partial(theirs, strengths=(5, 10))
    reports = (
        apart(*pair, device, TOLERANCE[precision], epsilon=epsilon, norm=norm)
        for norm, epsilon in SMALL.items()
    )
    return next(filter(None, reports), None)


def fgsm_parity(device: str) -> str | None:
    """Whether any pixel differs, on networks of α = 0 and of a high α."""
    import torchattacks

    for alpha in ALPHAS:
        network, x, labels = setting(device, alpha, COMPARED[device])
        with exact():
            for epsilon, found in zip(EPSILONS, attacks.fgsm_grid(network, x, labels, EPSILONS), strict=True):
                if differing := (found != torchattacks.FGSM(network, eps=epsilon)(x, labels)).sum():
                    return (
                        f"α = {alpha:g}, ε = {epsilon:g}: {int(differing):,} of {found.numel():,} "
                        f"pixels differ"
                    )
    return None


def _pgd(name: str, precision: str, strengths: tuple[int, ...], targets: dict[str, Target]) -> Case:
    return Case(
        name=name,
        ours=partial(ours, precision=precision, strengths=strengths),
        peer=partial(theirs, strengths=strengths),
        peer_name="torchattacks" if len(strengths) == 1 else "torchattacks, one run per strength",
        parity=partial(pgd_parity, precision),
        targets=targets,
        unit="s",
        repeats=5,
        package=PACKAGE,
    )


CASES = (
    _pgd("PGD-40, bfloat16", "bfloat16", (40,), {"cpu": Target(3.0), "cuda": Target(3.0)}),
    _pgd("PGD-40, float32", "float32", (40,), {"cpu": Target(1.5)}),
    _pgd("PGD curve, bfloat16", "bfloat16", STRENGTHS, {"cpu": Target(5.0), "cuda": Target(6.0)}),
    Case(
        name="FGSM at 8 ε",
        ours=fgsm_ours,
        peer=fgsm_theirs,
        peer_name="torchattacks, one run per ε",
        parity=fgsm_parity,
        targets={"cpu": Target(3.0), "cuda": Target(3.0)},
        unit="s",
        repeats=7,
        package=PACKAGE,
    ),
)
