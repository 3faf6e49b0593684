"""Objectives on adversarial images, which are crafted on the current network in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import models
from lib.attacks import ascent
from lib.attacks.norms import L2
from lib.training.engine import Engine
from lib.training.objective.base import Around, Objective, Progress, compiled, logits_of, shadow
from lib.training.variants import Trades, Weighted


def slope_of_cross_entropy(twin: nn.Module, engine: Engine) -> Callable[[Tensor, Tensor], Tensor]:
    """Function of images (n, c, h, w) in [0, 1] and labels (n,) that gives the gradient of the twin's
    cross-entropy, summed: no image's gradient shrinks with the batch.
    """

    def loss(x: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits_of(twin, x, engine), labels, reduction="sum")

    attacked = compiled(loss, engine)

    def slope(x: Tensor, labels: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(attacked(x, labels), x)[0]

    return slope


def _on(around: Around) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The objective on float images that are given."""

    def loss(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = logits_of(around.network, x, around.engine)
        return around.regularised(F.cross_entropy(logits, labels), around.means, labels)

    return compiled(loss, around.engine)


def on_adversarial(around: Around, settings: Any) -> Objective:  # settings: Adversarial
    """Objective on adversarial images alone."""
    slope, step = slope_of_cross_entropy(shadow(around.network), around.engine), _on(around)

    def adversarial(pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = ascent.ascend(
            lambda x: slope(x, labels),
            models.to_unit(pixels),
            epsilon=settings.epsilon,
            step_size=settings.step_size,
            steps=settings.steps,
        )
        return step(x, labels)

    return Objective(around, adversarial)


def on_adversarial_l2(around: Around, settings: Any) -> Objective:  # settings: AdversarialL2
    """Objective on adversarial images alone, of the L2 ball."""
    slope, step, ball = slope_of_cross_entropy(shadow(around.network), around.engine), _on(around), L2

    def adversarial(pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = models.to_unit(pixels)
        inside = ball.projection(x, settings.epsilon)
        for _ in range(settings.steps):
            x = inside(x.detach() + settings.step_size * ball.direction(slope(x, labels)))
        return step(x, labels)

    return Objective(around, adversarial)


def climbed(
    gradient: Callable[[Tensor], Tensor], pixels: Tensor, start: Tensor, settings: Trades | Weighted
) -> Tensor:
    """Signed steps up a gradient from a start, inside the L-infinity ball around the images and inside
    [0, 1]; images and result are (n, c, h, w) float.
    """
    low, high = (pixels - settings.epsilon).clamp(min=0), (pixels + settings.epsilon).clamp(max=1)
    found = start.clamp(low, high)
    for _ in range(settings.steps):
        found = (found + settings.step_size * gradient(found).sign()).clamp(low, high)
    return found.detach()


def on_trades(around: Around, settings: Trades) -> Objective:
    """Objective of TRADES: cross-entropy and selectivity on each image, and the divergence of the prediction
    for an image near it.
    """
    engine, twin = around.engine, shadow(around.network)

    def divergence(x: Tensor, likely: Tensor) -> Tensor:
        return F.kl_div(logits_of(twin, x, engine).log_softmax(1), likely, reduction="sum")

    def loss(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        # both in one batch of batch norm, our choice
        logits, n = logits_of(around.network, x, engine), len(labels)
        clean, moved = logits[:n], logits[n:]
        apart = F.kl_div(moved.log_softmax(1), clean.softmax(1), reduction="batchmean")
        total = F.cross_entropy(clean, labels) + settings.beta * apart
        return around.regularised(total, {name: mean[:n] for name, mean in around.means.items()}, labels)

    attacked, step = compiled(divergence, engine), compiled(loss, engine)

    def trades(pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = models.to_unit(pixels)
        with torch.no_grad():
            likely = logits_of(twin, x, engine).softmax(1)

        def gradient(found: Tensor) -> Tensor:
            found = found.detach().requires_grad_()
            return torch.autograd.grad(attacked(found, likely), found)[0]

        # where both predictions agree the divergence has no slope, hence the noise
        noise = torch.randn(x.shape, generator=generator).to(x.device)
        near = climbed(gradient, x, x + settings.noise * noise, settings)
        return step(torch.cat([x, near]), labels)

    return Objective(around, trades)


class OnWeighted(Objective):
    """Objective on adversarial images alone, in which a class counts the more, the more of its adversarial
    images of the epoch before were misclassified. In the first epoch all count alike.
    """

    def __init__(self, around: Around, settings: Weighted) -> None:
        super().__init__(around, self._weighted)
        self.settings = settings
        self.weights = torch.ones(around.classes, device=around.engine.device)
        # images seen in this epoch, misclassified
        self.counts = torch.zeros(2, around.classes, device=around.engine.device)
        self.slope = slope_of_cross_entropy(shadow(around.network), around.engine)

        def loss(x: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            logits = logits_of(around.network, x, around.engine)
            total = F.cross_entropy(logits, labels, weight=weights)
            return *around.regularised(total, around.means, labels), logits.detach()

        self.step = compiled(loss, around.engine)

    def begin_epoch(self, progress: Progress) -> None:
        """Weigh the classes by what was counted in the epoch before, and count anew."""
        seen, wrong = self.counts
        self.weights = 1 + self.settings.weight * wrong / seen.clamp(min=1)
        self.counts.zero_()

    def tensors(self) -> dict[str, Tensor]:
        """The counts, of which the next epoch's weights are made."""
        return {**super().tensors(), "counts": self.counts}

    def _weighted(self, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = models.to_unit(pixels)
        found = climbed(lambda found: self.slope(found, labels), x, x, self.settings)
        total, si, logits = self.step(found, labels, self.weights)
        wrong = (logits.argmax(1) != labels).float()
        self.counts[0].index_add_(0, labels, torch.ones_like(wrong))
        self.counts[1].index_add_(0, labels, wrong)
        return total, si
