"""Training a network: our engine against the plain script, and what the regulariser costs.

No ratio of training counts unless both sides train to the same result. The rule, written down before the fast
engine was compared: ResNet8 on the digits, alphas -1, 0 and 1, seeds 0, 1 and 2, 10 epochs, our engine in the
arithmetic that is then timed against `plain.train`. Three quantities are compared on the test images:
accuracy, mean selectivity, and the 90th percentile of the confidence (the largest probability). At each
alpha, the means over seeds of each agree when the Welch interval of their difference at 99 % holds 0, or when
they differ by less than the tolerance. A wrong regulariser moves the selectivity. Label smoothing moves
neither accuracy nor selectivity much, but no image is then as sure. Small differences of accuracy escape
three seeds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import pandas as pd
import scipy.stats
import torch
from torch import Tensor, nn

from benchmarks import plain
from benchmarks.harness import Case, Target, Work
from lib import data, models
from lib import selectivity as selectivity_selectivity
from lib.measurements.selectivity import selectivity
from lib.training.engine import Engine, best_engine
from lib.training.loop import train
from lib.training.step import Session
from lib.training.training import Training

NETWORK = Training("cifar10", "resnet20", alpha=-1.0, recipe="fast")  # batch 128
SCRIPT = Training("cifar10", "resnet20", alpha=-1.0, recipe="paper")  # batch 256
LARGE = Training("tiny-imagenet", "resnet18", alpha=-1.0, recipe="paper")  # batch 4096
STEPS = 4  # steps in one measurement

# ---- Parity ------------------------------------------------------------------------------------------------

ALPHAS, SEEDS, EPOCHS = (-1.0, 0.0, 1.0), (0, 1, 2), 10
CONFIDENCE = 0.99
TOLERANCES = {"accuracy": 0.01, "mean selectivity": 0.01, "confidence": 0.01}


def outcome(network: nn.Module, accuracy: float, mean_selectivity: float) -> dict[str, float]:
    """What is compared of a network trained on the digits."""
    test, device = data.load("digits", "test"), next(network.parameters()).device
    with torch.no_grad():
        sure = network(models.to_unit(test.pixels.to(device))).softmax(1).amax(1)
    return {
        "accuracy": accuracy,
        "mean selectivity": mean_selectivity,
        "confidence": float(sure.quantile(0.9)),
    }


def trained_by_ours(training: Training, engine: Engine) -> dict[str, float]:
    """The outcome of our engine."""
    done = train(training, engine, progress=False)
    units = selectivity(done.network, data.load(training.dataset, "test"))
    return outcome(
        done.network, done.result["clean_accuracy"], float(units.groupby("layer").selectivity.mean().mean())
    )


def trained_by_plain(training: Training, device: str) -> dict[str, float]:
    """The outcome of the plain script."""
    return outcome(*plain.train(training, device=device))


def welch_half_width(some: pd.Series, others: pd.Series) -> float:
    """Half the width of the Welch interval of the difference of two means, 0 where nothing varies."""
    parts = some.var() / len(some), others.var() / len(others)
    squared = sum(parts)
    if squared == 0:
        return 0.0
    freedom = squared**2 / (parts[0] ** 2 / (len(some) - 1) + parts[1] ** 2 / (len(others) - 1))
    return float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * squared**0.5)


def disagreement(ours: pd.DataFrame, theirs: pd.DataFrame) -> str | None:
    """By the rule of this module: one line on the first quantity that differs, None if none does.

    There is one row of outcomes per seed.
    """
    for name, tolerance in TOLERANCES.items():
        mine, other = ours[name], theirs[name]
        difference = float(mine.mean() - other.mean())
        half = welch_half_width(mine, other)
        if not (abs(difference) < tolerance or abs(difference) <= half):  # a NaN fails
            return (
                f"{name} {mine.mean():.3f}, not {other.mean():.3f}: {difference:+.3f} +- "
                f"{half:.3f} over {len(mine)} seeds"
            )
    return None


@lru_cache
def training_parity(device: str) -> str | None:
    """Our engine, in the arithmetic it uses for CIFAR-10, against the plain script, trained on the digits."""
    engine = best_engine(NETWORK, device=device)
    for alpha in ALPHAS:
        trainings = [Training("digits", "resnet8", alpha, seed, "fast", EPOCHS) for seed in SEEDS]
        ours = pd.DataFrame([trained_by_ours(training, engine) for training in trainings])
        theirs = pd.DataFrame([trained_by_plain(training, device) for training in trainings])
        if found := disagreement(ours, theirs):
            return f"at alpha {alpha:g} {found}"
    return None


# ---- Steps and epochs --------------------------------------------------------------------------------------


RATE = 0.01  # learning rate in timed steps


def _our_steps(training: Training, device: str, *, watched: bool = True) -> Work:
    session = Session(training, best_engine(training, device=device), watched=watched)
    session.begin_epoch(0)
    numbers = itertools.cycle(range(2 * STEPS))  # fewer than an epoch has

    def work() -> None:
        for _ in range(STEPS):
            session.step(next(numbers), RATE)

    return work


def our_steps(device: str) -> Work:
    """Steps on minibatches that our engine crops and flips itself, from pixels in memory."""
    return _our_steps(NETWORK, device)


def our_steps_without(device: str) -> Work:
    """The same at alpha = 0, with selectivity not even recorded."""
    return _our_steps(replace(NETWORK, alpha=0.0), device, watched=False)


def our_large_steps(device: str) -> Work:
    """Steps of ResNet18 with the paper's minibatch of 4096 images of 64 pixels."""
    return _our_steps(LARGE, device)


def _plain_steps(training: Training, device: str) -> Work:
    images = data.load(training.dataset, "train")
    batch = training.settings.batch
    some = [images[slice(start, start + batch)].to(device) for start in range(0, 2 * STEPS * batch, batch)]
    step = plain.stepper(
        training, device=device, batches=[(models.to_unit(one.pixels), one.labels) for one in some]
    )

    def work() -> None:
        for _ in range(STEPS):
            step()

    return work


def plain_steps(device: str) -> Work:
    """The plain script's steps on float minibatches that are ready on the device: arithmetic alone, so that
    the ratio leaves out what its loader costs.
    """
    return _plain_steps(NETWORK, device)


def plain_large_steps(device: str) -> Work:
    """The same for ResNet18."""
    return _plain_steps(LARGE, device)


def _epoch_length() -> int:
    return (
        round(len(data.load(SCRIPT.dataset, "train")) * (1 - SCRIPT.settings.validation))
        // SCRIPT.settings.batch
    )


def our_epochs(device: str) -> Work:
    """Whole epochs of training, order and augmentation included, evaluation not."""
    session = Session(SCRIPT, best_engine(SCRIPT, device=device))
    epochs = itertools.count()

    def work() -> None:
        session.begin_epoch(next(epochs))
        for number in range(_epoch_length()):
            session.step(number, RATE)

    return work


def plain_epochs(device: str) -> Work:
    """As many steps of the plain script with its DataLoader."""
    step = plain.stepper(SCRIPT, device=device)

    def work() -> None:
        for _ in range(_epoch_length()):
            step()

    return work


# ---- The regulariser's term alone --------------------------------------------------------------------------

CLASSES, BATCH = 200, 256
WIDTHS = (64,) * 5 + (128,) * 4 + (256,) * 4 + (512,) * 4  # ResNet18's 17 ReLU layers


def _activations(device: str) -> tuple[dict[str, Tensor], Tensor]:
    generator = torch.Generator().manual_seed(0)
    layers = {
        f"layer {i}": torch.rand(BATCH, width, generator=generator).to(device).requires_grad_()
        for i, width in enumerate(WIDTHS)
    }
    return layers, torch.randint(CLASSES, (BATCH,), generator=generator).to(device)


def _with_gradient(
    term: Callable[[dict[str, Tensor], Tensor], Tensor], device: str
) -> Callable[[], tuple[Tensor, tuple[Tensor, ...]]]:
    layers, labels = _activations(device)

    def work() -> tuple[Tensor, tuple[Tensor, ...]]:
        value = term(layers, labels)
        return value.detach(), torch.autograd.grad(value, list(layers.values()))

    return work


def our_term(device: str) -> Work:
    """All layers and classes in one matrix product, and its gradient."""
    return _with_gradient(
        lambda layers, labels: selectivity_selectivity.mean_selectivity(layers, labels, CLASSES), device
    )


def looped_term(device: str) -> Work:
    """Layer by layer and class by class, and its gradient."""
    return _with_gradient(lambda layers, labels: plain.mean_selectivity(layers.values(), labels), device)


def term_parity(device: str) -> str | None:
    """Value within 1e-5, and gradients within 1e-3 of the largest."""
    (ours, our_gradients), (theirs, their_gradients) = our_term(device)(), looped_term(device)()
    if not abs(ours - theirs) <= 1e-5:
        return f"mean selectivity {ours:.6f}, not {theirs:.6f}"
    for number, (mine, other) in enumerate(zip(our_gradients, their_gradients, strict=True)):
        if not (mine - other).abs().max() <= 1e-3 * other.abs().max():
            return f"the gradient of layer {number} is off by up to {float((mine - other).abs().max()):.2g}"
    return None


CASES = [
    Case(
        name="train-step",
        ours=our_steps,
        peer=plain_steps,
        peer_name="plain eager float32 script, minibatches ready",
        parity=training_parity,
        targets={"cpu": Target(2.0), "cuda": Target(4.0)},
        unit="ms a step",
        per=STEPS,
    ),
    Case(
        name="regulariser",
        ours=our_steps_without,
        peer=our_steps,
        peer_name="the same step with the regulariser, alpha = -1; ours: alpha = 0, no selectivity computed",
        parity=training_parity,
        targets={"cpu": Target(1.10, at_most=True), "cuda": Target(1.05, at_most=True)},
        unit="share of the step",
    ),
    Case(
        name="class-means",
        ours=our_term,
        peer=looped_term,
        peer_name="loop over layers and classes",
        parity=term_parity,
        targets={"cpu": Target(10.0), "cuda": Target(10.0)},
        unit="ms",
        repeats=21,
    ),
    Case(
        name="plain-script",
        ours=our_epochs,
        peer=plain_epochs,
        peer_name="plain script with a DataLoader",
        parity=training_parity,
        targets={"cuda": Target(10.0)},
        unit="s an epoch",
        repeats=3,
    ),
    Case(
        name="train-step-large",
        ours=our_large_steps,
        peer=plain_large_steps,
        peer_name="plain eager float32 script, ResNet18 at 64 px, batch 4096",
        parity=training_parity,
        targets={"cuda": Target(2.5)},
        unit="ms a step",
        per=STEPS,
    ),
]
