"""What a bias on the logits does for the worst class: tuned on one half of the images, judged on the
other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from lib import models
from lib.attacks.temperature import margin_pgd, random_start
from lib.base.errors import InputError
from lib.data.images import Images
from lib.measurements.attack import CLEAN, STEPS_PER_RADIUS, batches
from lib.measurements.measurement import BOOL, CORRECT, COUNT, FLOAT, TEXT
from lib.models.activations import Network
from lib.models.fuse import folded

LOGIT_BIAS_TABLE = {
    "half": COUNT,
    "tuned": BOOL,
    "attack": TEXT,
    "epsilon": FLOAT,
    "bias": FLOAT,
    **CORRECT,
}

MARGIN = "margin"
ROUNDS = 2  # of tuning: the attack knows the bias, so it is made anew against each
STEP = 0.05  # of the bias, in standard deviations of the logits
STEPS = 60  # of the search in a round


class Biased(nn.Module):
    """A network with a number added to the logit of each class."""

    def __init__(self, network: Network, bias: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x) + self.get_buffer("bias")


def tuned(answers: Tensor, labels: Tensor, bias: Tensor) -> Tensor:
    """Raise the logit of the class of lowest accuracy step by step; of all biases on the way, the one under
    which that class is best, and of equal ones the first.

    Args:
        answers: (n, classes) logits without a bias.
        labels: (n,) int64.
        bias: (classes,) where the search begins.

    Returns:
        (classes,), of mean 0; classes without images keep their place.
    """
    step = STEP * float(answers.std())
    sizes = labels.bincount(minlength=answers.shape[1])
    best, lowest, found = bias, -1.0, bias.clone()
    for _ in range(STEPS):
        right = ((answers + found).argmax(1) == labels).double()
        hits = torch.zeros_like(sizes, dtype=torch.float64).index_add_(0, labels, right)
        shares = torch.where(sizes > 0, hits / sizes.clamp(min=1), torch.inf)
        if float(shares.min()) > lowest:
            best, lowest = found.clone(), float(shares.min())
        found[int(shares.argmin())] += step
    return best - best.mean()


def _attacked(
    network: Network, images: Images, device: torch.device, how: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    """Logits of a network for the clean images and for those of margin PGD from random starts, on the
    CPU.
    """
    generator = torch.Generator().manual_seed(how["seed"])
    clean, moved = [], []
    for _, x, labels in batches(images, device):
        start = random_start(x, how["epsilon"], generator)
        step = how["epsilon"] / STEPS_PER_RADIUS
        found = margin_pgd(network, x, labels, how["epsilon"], step, how["steps"], start=start)
        with torch.inference_mode():
            clean.append(network(x).float().cpu())
            moved.append(network(found).float().cpu())
    return torch.cat(clean), torch.cat(moved)


def logit_bias(
    network: nn.Module, images: Images, *, limit: int, epsilon: float, steps: int, seed: int
) -> pd.DataFrame:
    """Right answers by class, with and without a bias that was tuned on the other half of the images, under
    margin PGD that knows the bias.

    Args:
        limit: Number of images, the first of the split; 0 means all of them. Every second one is a half.
        epsilon: Radius of the L∞ ball, in pixels of [0, 1].
        steps: Number of steps, of a quarter of the radius.
        seed: Of the random starts.

    Returns:
        A table with the columns of LOGIT_BIAS_TABLE, one row per half that is judged, with and without the
        bias, clean and attacked, and class, with the bias of the class in logits.

    Raises:
        InputError: For fewer than 2 images.
    """
    some, device = images.first(limit), models.evaluated(network)
    if len(some) < 2:
        raise InputError(f"a bias is tuned on half of the images and judged on the other, got {len(some)}")
    copy = folded(network, models.to_unit(some.pixels[:8].to(device)), precision="float32")
    halves = some[slice(0, None, 2)], some[slice(1, None, 2)]
    how = {"epsilon": epsilon, "steps": steps, "seed": seed}  # type: dict[str, Any]
    rows = []  # type: list[pd.DataFrame]
    none = torch.zeros(len(some.classes))
    untuned = [_attacked(copy, half, device, how) for half in halves]
    for judged, other in ((0, 1), (1, 0)):
        bias, answers = none, untuned[other][1]
        for _ in range(ROUNDS):
            bias = tuned(answers, halves[other].labels, bias)
            # without the bias: the search adds its own
            answers = _attacked(Biased(copy, bias.to(device)), halves[other], device, how)[1] - bias
        biased = _attacked(Biased(copy, bias.to(device)), halves[judged], device, how)
        for is_tuned, own, found in ((False, none, untuned[judged]), (True, bias, biased)):
            rows += _counted(halves[judged], found, own, half=judged, tuned=is_tuned, epsilon=epsilon)
    return pd.concat(rows, ignore_index=True)[list(LOGIT_BIAS_TABLE)]


def _counted(
    images: Images, found: tuple[Tensor, Tensor], bias: Tensor, *, epsilon: float, **facts: object
) -> Iterator[pd.DataFrame]:
    classes = len(images.classes)
    for attack, answers in zip((CLEAN, MARGIN), found, strict=True):
        right = answers.argmax(1) == images.labels
        yield pd.DataFrame(
            facts
            | {
                "attack": attack,
                "epsilon": epsilon if attack == MARGIN else 0.0,
                "bias": bias.double().numpy(),
                "class": list(images.classes),
                "images": images.labels.bincount(minlength=classes).numpy(),
                "correct": images.labels[right].bincount(minlength=classes).numpy(),
            }
        )
