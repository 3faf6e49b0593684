"""Objective on images and on their worst logits in a ball that grows from step to step."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import models
from lib.attacks import ascent
from lib.certificates.halfwidth import propagate
from lib.certificates.losses import adaptive_kappa, interval_worst, mixed, scheduled, worst_of
from lib.certificates.reading import read
from lib.training.objective.base import Around, Objective, Progress, shadow
from lib.training.variants import Robust

HELD_AT_ONCE = 500  # validation images


class Worst:
    """The logits of images and the worst ones in the ball around each, by bounds, an estimate or an attack.

    Attributes:
        epsilon: Radius, in pixels of [0, 1].
    """

    def __init__(self, network: nn.Module, means: dict[str, Tensor], settings: Robust) -> None:
        self.network, self.means, self.settings = network, means, settings
        self.reading, self.twin, self.epsilon = read(network), shadow(network), settings.epsilon

    def logits(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The images' own logits and the worst ones, (n, classes) each, and the means of the ReLU layers.

        Args:
            x: (n, c, h, w) float in [0, 1].
        """
        if self.settings.method == "singleprop":
            found = propagate(self.reading, x, self.epsilon, self.settings.rule)
            means = {
                self.reading.steps[number - 1].name: found[number].value.flatten(2).mean(2)
                for number in self.reading.relus
            }
            return found[-1].value, worst_of(found[-1], labels), means
        logits = self.network(x)
        means = dict(self.means)  # of the images; the attacked ones, which come next, overwrite them
        if self.epsilon == 0:
            return logits, logits, means
        if self.settings.method == "ibp":
            return logits, interval_worst(self.reading, x, labels, self.epsilon), means
        return logits, self.network(self._attacked(x, labels)), means

    def _attacked(self, x: Tensor, labels: Tensor) -> Tensor:
        def gradient(x: Tensor) -> Tensor:
            x = x.detach().requires_grad_()
            loss = F.cross_entropy(self.twin(x), labels, reduction="sum")
            return torch.autograd.grad(loss, x)[0]

        how = {"epsilon": self.epsilon, "step_size": self.epsilon / 4, "steps": self.settings.steps}
        with torch.enable_grad():
            return ascent.ascend(gradient, x, **how)  # type: ignore[arg-type]  # steps is a whole number


class OnWorst(Objective):
    """kappa times the cross-entropy of the images plus 1 - kappa times that of their worst logits; radius and
    kappa follow their schedules over the steps of the training.

    Attributes:
        worst: The logits, with the radius of the step.
        kappa: Weight of the images' own cross-entropy, in [0, 1].
    """

    def __init__(self, around: Around, settings: Robust) -> None:
        super().__init__(around, self._mixed)
        self.settings = settings
        self.worst, self.kappa = Worst(around.network, around.means, settings), settings.kappa
        self.progress, self.adaptive = Progress(0, 1, 1), None  # type: Progress, float | None

    def begin_epoch(self, progress: Progress) -> None:
        """Note where the training is; the adaptive weight is computed anew, from what the network is now."""
        self.progress, self.adaptive = progress, None
        if self.settings.gamma:
            self.begin_step(0)
            self.adaptive = self._adaptive() if progress.epoch else 1.0

    def begin_step(self, number: int) -> None:
        """Set radius and kappa to those of a step of this epoch."""
        before, total = self.progress.epoch * self.progress.steps, self.progress.epochs * self.progress.steps
        self.worst.epsilon, self.kappa = scheduled(
            before + number,
            epsilon=self.settings.epsilon,
            warm=int(self.settings.warm * total),
            end=int(self.settings.ramp * total),
            last_kappa=self.settings.kappa,
        )
        if self.adaptive is not None:
            self.kappa = self.adaptive

    @torch.no_grad()
    def _adaptive(self) -> float:
        """The adaptive weight, on the validation images at the radius of the next step."""
        sums, (pixels, labels) = torch.zeros(2, dtype=torch.float64), self.around.validation()
        self.around.network.eval()
        for start in range(0, len(labels), HELD_AT_ONCE):
            some = slice(start, start + HELD_AT_ONCE)
            own, worst, _ = self.worst.logits(models.to_unit(pixels[some]), labels[some])
            for place, logits in enumerate((own, worst)):
                sums[place] += F.cross_entropy(logits, labels[some], reduction="sum").double().cpu()
        self.around.network.train()
        fit, robust = (sums / len(labels)).tolist()
        # after a step that has left the range: the epoch then ends as diverged, and says so
        if math.isnan(fit) or math.isnan(robust):
            return 1.0
        return adaptive_kappa(fit, robust, gamma=self.settings.gamma)

    def _mixed(self, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        own, worst, means = self.worst.logits(models.to_unit(pixels), labels)
        return self.around.regularised(mixed(own, worst, labels, self.kappa), means, labels)
