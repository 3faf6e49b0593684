"""Loss of a training: cross-entropy minus alpha times mean class selectivity, on plain, AugMix or adversarial
images, on images and their worst logits in a ball, and that of TRADES.
"""

from __future__ import annotations

from collections.abc import Callable

from lib.training.objective.adversarial import OnWeighted, on_adversarial, on_adversarial_l2, on_trades
from lib.training.objective.base import Objective as Objective
from lib.training.objective.views import on_augmix, plain
from lib.training.objective.worst import OnWorst
from lib.training.training import Training

# One entry per kind of training, under the first word of its names: a function of what the objective is about
# and of the variant's settings. Only the entry of a run's own kind counts in the fingerprint of its code.
OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "plain": plain,
    "augmix": on_augmix,
    "pgd": on_adversarial,
    "l2": on_adversarial_l2,
    "trades": on_trades,
    "weighted": OnWeighted,
    "ibp": OnWorst,
    "singleprop": OnWorst,
    "adversarial": OnWorst,
}


def kind(training: Training) -> str:
    """Key of a training's objective in OBJECTIVES."""
    return training.variant.split("-")[0]
