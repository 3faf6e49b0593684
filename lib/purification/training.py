"""Training of the theorem's classifiers on fresh samples, clean or perturbed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.base.errors import InputError, unknown
from lib.purification.networks import Symmetric, Trainable
from lib.purification.sparse_coding import World, samples

T = TypeVar("T", bound=Trainable)
Attack = Callable[[Trainable, Tensor, Tensor], Tensor]  # (classifier, x, y) -> perturbed x
Thresholds = Callable[[Tensor, float], Tensor]  # (weights, share of the clean training that is over) -> (m,)
EVERY = 100  # steps between two entries of a history


def norm_scaled(cut: float) -> Thresholds:
    """Thresholds b_i = cut ||w_i||, computed anew in each step: the pilot's. Which inputs a neuron answers
    does not change with its length.
    """
    return lambda weights, done: cut * torch.linalg.vector_norm(weights, dim=1)


def growing(end: float) -> Thresholds:
    """One threshold for all neurons that grows by the same amount in each step of clean training, from 0 to
    `end`, and is frozen from then on: the paper's.
    """
    return lambda weights, done: torch.full((len(weights),), end * done, dtype=weights.dtype)


RULES = {"norm": norm_scaled, "growing": growing}


def thresholds(rule: str, size: float) -> Thresholds:
    """The rule of that name: "norm" for `norm_scaled`, "growing" for `growing`.

    Raises:
        InputError: For another name, or a negative size.
    """
    if rule not in RULES:
        raise unknown("threshold", rule, RULES)
    if not size >= 0:
        raise InputError(f"a threshold is at least 0, got {size}")
    return RULES[rule](size)


def train(
    start: T,
    source: World,
    *,
    steps: int,
    rate: float,
    generator: torch.Generator,
    batch: int = 512,
    penalty: float = 0.0,
    attack: Attack | None = None,
    rule: Thresholds | None = None,
    done: tuple[float, float] = (1.0, 1.0),
    noise: float = 0.0,
) -> tuple[T, list[tuple[int, float, float]]]:
    """Train a classifier with Adam and the logistic loss, on samples that are drawn anew in each step.

    Args:
        start: What to start from; it stays as it is.
        steps: Number of steps, >= 0.
        rate: Learning rate.
        batch: Samples a step.
        penalty: What is added to the gradient for each unit of weight: half the squared norm, times this.
        attack: Perturbs the samples against the classifier of the step; None for clean training.
        rule: The network's thresholds; None for a classifier that has none.
        done: The share of clean training that is over at the start and at the end, which `rule` is asked
            with.
        noise: Standard deviation of the noise in each pre-activation of the network, drawn in each step.

    Returns:
        The trained classifier; and step, mean loss and accuracy of the batch, every 100 steps.

    Raises:
        InputError: For a number of steps below 0.
    """
    if steps < 0:
        raise InputError(f"steps must be at least 0, got {steps}")
    weights = start.weights.clone()
    adam = torch.optim.Adam([weights], lr=rate, weight_decay=penalty, fused=True)
    history = []
    for step in range(steps):
        now = _with(start, weights, rule, done[0] + (done[1] - done[0]) * step / steps)
        x, y = samples(source, batch, generator=generator)
        if noise and isinstance(now, Symmetric):
            rho = torch.randn(batch, len(weights), generator=generator, dtype=weights.dtype)
            now = replace(now, thresholds=now.thresholds - noise * rho)
        if attack:
            x = attack(now, x, y)
        margins, weights.grad = now.gradient(x, y)
        adam.step()
        if step % EVERY == 0 or step == steps - 1:
            history.append((
                step + 1,
                float(F.softplus(-margins).mean()),
                float((margins > 0).float().mean()),
            ))
    return _with(start, weights, rule, done[1]), history


def _with(classifier: T, weights: Tensor, rule: Thresholds | None, done: float) -> T:
    if rule is None:
        return replace(classifier, weights=weights)  # type: ignore[type-var]
    return replace(classifier, weights=weights, thresholds=rule(weights, done))  # type: ignore[type-var]
