"""Ways of training besides the plain one: their settings and names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from lib.base.errors import InputError
from lib.base.fingerprint import exempt


@exempt
@dataclass(frozen=True)
class AugMix:
    """Training on AugMix: cross-entropy on the image plus `jsd` times the Jensen-Shannon divergence between
    it and two mixtures of it.

    References:
        Hendrycks et al. 2020, arXiv 1912.02781; that the paper used severity 2 is recalled, the original
        has 3.
    """

    width: int = 3  # chains of operations in a mixture
    depth: int = -1  # operations in a chain; -1 is one to three, drawn
    severity: float = 2.0
    jsd: float = 12.0


@exempt
@dataclass(frozen=True)
class Adversarial:
    """Training on PGD's images alone (Madry et al. 2018): `steps` signed steps from the image itself, inside
    the L-infinity ball of `epsilon`.
    """

    steps: int
    step_size: float  # radius, in pixels of [0, 1]
    epsilon: float = 16 / 255


@exempt
@dataclass(frozen=True)
class AdversarialL2(Adversarial):
    """Training on PGD's images alone: `steps` steps along the gradient, each `step_size` long, from the image
    itself, inside the L2 ball of `epsilon`.
    """

    epsilon: float = 0.5
    # part of the key; the L-infinity norm is not named there, which keeps the keys of networks made before
    norm: str = "l2"


@exempt
@dataclass(frozen=True)
class Trades:
    """TRADES: cross-entropy on the image plus `beta` times the divergence KL(f(x) || f(x')) of the prediction
    for an image x' near it, which signed steps have made large.

    References:
        Zhang et al. 2019, arXiv 1901.08573; β = 6 and the start in small noise are recalled of its code.
    """

    steps: int
    step_size: float  # in pixels of [0, 1]
    epsilon: float  # radius of the L-infinity ball
    beta: float
    noise: float = 0.001  # deviation of the Gaussian noise that the steps start from


@exempt
@dataclass(frozen=True)
class Weighted:
    """Adversarial training in which class k counts 1 + `weight` times its error, from 0 to 1, on the
    adversarial images of the epoch before. The formula is ours.
    """

    steps: int
    step_size: float  # in pixels of [0, 1]
    epsilon: float  # radius of the L-infinity ball
    weight: float = 2.0


@exempt
@dataclass(frozen=True)
class Robust:
    """Training on kappa times the cross-entropy of the images, plus 1 - kappa times that of their worst
    logits in an L-infinity ball: bounded by intervals, estimated by SingleProp, or found by PGD.

    The radius rises from 0 and kappa falls from 1, linearly in the step, between two shares of all steps; so
    it is for every method (our choice).

    References:
        Gowal et al. 2019, arXiv 1810.12715; Boopathy et al. 2021, arXiv 2102.01208.
    """

    method: str  # "ibp", "singleprop" or "pgd"
    epsilon: float  # radius at the end, in pixels of [0, 1]
    rule: str = ""  # of a ReLU in SingleProp
    steps: int = 0  # of PGD, each a quarter of the radius of its step
    warm: float = 0.05  # share of the steps at radius 0 and kappa 1
    ramp: float = 0.5  # share of the steps after which both have their last values
    kappa: float = 0.5  # at the end
    # of the adaptive kappa in place of that: worst / (worst + gamma * fit) on the validation images, anew
    # after every epoch; 0 for none
    gamma: float = 0.0


ATTACK_STEPS = 7  # of PGD in certified training's comparison (our choice)
ADAPTIVE = 10.0  # gamma, as published


# The paper's attack, 1e-4 a step (recalled), needs tens of steps to matter; the fast recipe takes as few as
# possible (our choice).
PGD_STEP = {"paper": 1e-4, "fast": 1 / 255, "tune": 1 / 255}


Settings = AugMix | Adversarial | Robust | Trades | Weighted | None  # those of every way of training


@dataclass(frozen=True)
class Variant:
    """A way of training: what decides it, and what the book calls it.

    Attributes:
        name: What `--variant`, sweep files and the column `variant` say.
        label: What figures and tables say.
        strength: How strong the attack is that it trains on, in steps of PGD of the paper's own length and
            ball; 0 for plain training, NaN where there is no such order: AugMix, and PGD with a ball of its
            own.
        settings: What decides it, part of the key of a run; None for plain training.
        provenance: How sure it is that the paper did the same.
        draws: Whether its loss draws random numbers on the CPU, or keeps count in Python, which a captured
            step cannot hold.
    """

    name: str
    label: str
    strength: float
    settings: Settings
    provenance: str
    draws: bool = False


def _plain(name: str, recipe: str) -> Variant:
    return Variant(
        name, "plain", 0.0, None, "established: cross-entropy minus alpha times mean class selectivity"
    )


def _augmix(name: str, recipe: str) -> Variant:
    return Variant(name, "AugMix", float("nan"), AugMix(), "recalled: AugMix with severity 2", draws=True)


def _pgd(name: str, recipe: str) -> Variant:
    steps = int(name.removeprefix("pgd-"))
    if recipe not in PGD_STEP:
        raise InputError(
            f"variant {name!r} has no step size in the recipe {recipe!r}; its way to train on PGD's images "
            f"is adversarial-E with the radius E/255, such as adversarial-2"
        )
    label = f"PGD, {steps} step{'' if steps == 1 else 's'}"
    recalled = "recalled: PGD training, 0.0001 a step"
    how = recalled if recipe == "paper" else "choice: PGD training, 1/255 a step"
    return Variant(name, label, float(steps), Adversarial(steps, PGD_STEP[recipe]), how)


def _in_ball(name: str, steps: int, radius: float, ball: str, kind: type[Adversarial]) -> Variant:
    """Adversarial training in a ball of the name's own: steps of 2.5 radii over their number, with which the
    far side of the ball is reached (Madry et al. 2018), in every recipe.
    """
    label = f"PGD, {steps} step{'' if steps == 1 else 's'}, {ball}"
    how = "choice: PGD training, steps of 2.5 radii over their number"
    return Variant(name, label, float("nan"), kind(steps, 2.5 * radius / steps, radius), how)


def _pgd_linf(name: str, recipe: str) -> Variant:
    steps, radius = name.removeprefix("pgd-").split("-linf-")
    return _in_ball(name, int(steps), float(radius) / 255, f"L∞ {radius}/255", Adversarial)


def _pgd_l2(name: str, recipe: str) -> Variant:
    steps, radius = name.removeprefix("l2-pgd-").split("-")
    return _in_ball(name, int(steps), float(radius), f"L2 {radius}", AdversarialL2)


def _trades(name: str, recipe: str) -> Variant:
    beta, rest = name.removeprefix("trades-").split("-", 1)
    steps, radius = rest.split("-linf-")
    epsilon = float(radius) / 255
    return Variant(
        name,
        f"TRADES, β = {beta}, L∞ {radius}/255",
        float("nan"),
        Trades(int(steps), 2.5 * epsilon / int(steps), epsilon, beta=float(beta)),
        "recalled: TRADES; number and size of the steps are our choice",
        draws=True,
    )


def _weighted(name: str, recipe: str) -> Variant:
    steps, radius = name.removeprefix("weighted-").split("-linf-")
    epsilon = float(radius) / 255
    return Variant(
        name,
        f"class weights, PGD, {steps} step{'' if steps == '1' else 's'}, L∞ {radius}/255",
        float("nan"),
        Weighted(int(steps), 2.5 * epsilon / int(steps), epsilon),
        "choice: classes weighted by their error under attack",
        draws=True,  # it starts each epoch anew, which a captured step would not notice
    )


# A whole number of at most four digits, and a radius above 0 that is written in one way only: without zeros
# at its ends.
_STEPS = "[1-9][0-9]{0,3}"
_RADIUS = r"(?:[1-9][0-9]{0,2}(?:\.[0-9]{0,2}[1-9])?|0\.[0-9]{0,2}[1-9])"


def robust_name(method: str, epsilon: float) -> str:
    """The name of a way of robust training.

    Args:
        method: "ibp", "singleprop-zero", "singleprop-fastlin" or "adversarial".
        epsilon: Radius in pixels of [0, 1], such as 2/255; to a thousandth of 1/255.
    """
    return f"{method}-{round(255 * epsilon, 3):g}"


def _robust(name: str, recipe: str) -> Variant:
    method, *rest = name.removesuffix("-ada").split("-")
    epsilon, gamma = float(rest[-1]) / 255, ADAPTIVE if name.endswith("-ada") else 0.0
    if method == "adversarial":
        label, settings = f"PGD-{ATTACK_STEPS}", Robust("pgd", epsilon, steps=ATTACK_STEPS, gamma=gamma)
    elif method == "ibp":
        label, settings = "IBP", Robust("ibp", epsilon, gamma=gamma)
    else:
        label, settings = f"SingleProp-{rest[0]}", Robust("singleprop", epsilon, rule=rest[0], gamma=gamma)
    label += f", ε = {rest[-1]}/255" + (", adaptive" if gamma else "")
    how = "choice: one schedule, order, augmentation and optimiser for all ways of robust training"
    return Variant(name, label, float("nan"), settings, how)


# The names there are, as a pattern, how to write one, and what it means. A new way of training is one more
# line, and an entry of its own among lib.training.objective.OBJECTIVES.
VARIANTS: dict[str, tuple[str, Callable[[str, str], Variant]]] = {
    "plain": ("plain", _plain),
    "augmix": ("augmix", _augmix),
    f"pgd-{_STEPS}": ("pgd-K for PGD training with K steps, such as pgd-4", _pgd),
    f"pgd-{_STEPS}-linf-{_RADIUS}": ("pgd-K-linf-R in the ball R/255, such as pgd-3-linf-8", _pgd_linf),
    f"l2-pgd-{_STEPS}-{_RADIUS}": ("l2-pgd-K-R, such as l2-pgd-3-0.5", _pgd_l2),
    f"trades-[1-9][0-9]?-{_STEPS}-linf-{_RADIUS}": (
        "trades-B-K-linf-R with β = B, such as trades-6-3-linf-8",
        _trades,
    ),
    f"weighted-{_STEPS}-linf-{_RADIUS}": (
        "weighted-K-linf-R, such as weighted-3-linf-8",
        _weighted,
    ),
    f"(?:ibp|singleprop-(?:zero|fastlin)|adversarial)-{_RADIUS}(?:-ada)?": (
        "ibp-2, singleprop-zero-2, singleprop-fastlin-2, adversarial-2 (radius 2/255), also with -ada",
        _robust,
    ),
}


def variant(name: str, recipe: str = "fast") -> Variant:
    """The way of training of a name, in a recipe.

    Raises:
        InputError: For a name there is not.
    """
    for pattern, (_, make) in VARIANTS.items():
        if isinstance(name, str) and re.fullmatch(pattern, name):
            return make(name, recipe)
    known = [form for form, _ in VARIANTS.values()]
    raise InputError(f"unknown variant {name!r}; known: {', '.join(known[:-1])}, or {known[-1]}")
