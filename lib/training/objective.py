"""Loss of a training: cross-entropy minus alpha times mean class selectivity, on plain, AugMix or adversarial
images, on images and their worst logits in a ball, and that of TRADES.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import models, selectivity
from lib.attacks import ascent
from lib.attacks.norms import L2
from lib.certificates.halfwidth import propagate
from lib.certificates.losses import interval_worst, mixed, worst_of
from lib.certificates.reading import read
from lib.training import augmix
from lib.training.engine import Engine
from lib.training.recipe import Training
from lib.training.variants import AugMix, Robust, Trades, Weighted


def regularised(
    cross_entropy: Tensor, means: dict[str, Tensor], labels: Tensor, classes: int, alpha: float | Tensor
) -> tuple[Tensor, Tensor]:
    """Add the selectivity term to a cross-entropy.

    Args:
        means: {layer: (n, units)}; empty if selectivity is not even recorded.
        alpha: A number, or a () tensor if one captured step serves every alpha.

    Returns:
        The loss, cross_entropy - alpha * mean selectivity, and mean selectivity without gradient.
    """
    if not means:
        return cross_entropy, cross_entropy.detach().new_zeros(())
    if isinstance(alpha, Tensor):
        si = selectivity.mean_selectivity(means, labels, classes)
        return cross_entropy - alpha * si, si.detach()
    # alpha = 0 is plain cross-entropy: selectivity is then recorded, not differentiated
    layers = means if alpha else {name: mean.detach() for name, mean in means.items()}
    si = selectivity.mean_selectivity(layers, labels, classes)
    return (cross_entropy - alpha * si if alpha else cross_entropy), si.detach()


def _logits(network: nn.Module, x: Tensor, engine: Engine) -> Tensor:
    """Float32 logits of float pixels, with the network in the precision of the engine."""
    if engine.low_precision:
        x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast(engine.device, torch.bfloat16, enabled=engine.low_precision):
        logits = network(x)
    return logits.float()


def _compiled(function: Callable, engine: Engine) -> Callable:
    if not engine.compiled:
        return function
    # it reports a missing CUDA runtime on every CPU machine
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    return torch.compile(function)


def plain(
    network: nn.Module,
    means: dict[str, Tensor],
    classes: int,
    alpha: float | Tensor,
    engine: Engine,
    settings: None,
) -> Callable:
    """Objective on plain images: one graph from pixels to loss."""

    def loss(pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        cross_entropy = F.cross_entropy(_logits(network, models.to_unit(pixels), engine), labels)
        return regularised(cross_entropy, means, labels, classes, alpha)

    step = _compiled(loss, engine)
    return lambda pixels, labels, generator: step(pixels, labels)


def consistency(logits: Tensor) -> Tensor:
    """Jensen-Shannon divergence of three predictions per image, averaged over images.

    Logits are (3 * n, classes), view by view.
    """
    views = logits.softmax(1).chunk(3)
    middle = (sum(views) / 3).clamp(1e-7, 1).log()  # type: ignore[union-attr]  # a sum of tensors
    return sum(F.kl_div(middle, view, reduction="batchmean") for view in views) / 3  # type: ignore[return-value]


def on_augmix(
    network: nn.Module,
    means: dict[str, Tensor],
    classes: int,
    alpha: float | Tensor,
    engine: Engine,
    settings: AugMix,
) -> Callable:
    """Objective on each image and two AugMix views of it: cross-entropy and selectivity on the image, and the
    consistency of the three predictions.
    """

    def loss(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits, n = _logits(network, x, engine), len(labels)
        cross_entropy = F.cross_entropy(logits[:n], labels) + settings.jsd * consistency(logits)
        return regularised(
            cross_entropy, {name: mean[:n] for name, mean in means.items()}, labels, classes, alpha
        )

    step = _compiled(loss, engine)

    def views(pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        how = {
            "width": settings.width,
            "depth": settings.depth,
            "severity": settings.severity,
            "generator": generator,
        }  # type: dict
        return step(
            torch.cat([models.to_unit(pixels), augmix.augmix(pixels, **how), augmix.augmix(pixels, **how)]),
            labels,
        )

    return views


def shadow(network: nn.Module) -> nn.Module:
    """Twin of a network for attacks: in evaluation mode, without parameter gradients, sharing the memory of
    parameters and buffers.

    It follows every change in place (an optimiser's step, batch norm's statistics, load_state_dict), so it
    needs no copying. Hooks are not shared.
    """
    twin = copy.deepcopy(network)
    for module, original in zip(twin.modules(), network.modules(), strict=True):
        module._forward_hooks.clear()
        module._buffers = original._buffers
        for name, parameter in original._parameters.items():
            if parameter is not None:
                module._parameters[name] = nn.Parameter(parameter.data, requires_grad=False)
    return twin.eval()


def on_adversarial(
    network: nn.Module,
    means: dict[str, Tensor],
    classes: int,
    alpha: float | Tensor,
    engine: Engine,
    settings: Any,  # Adversarial
) -> Callable:
    """Objective on adversarial images alone, crafted on the current network in evaluation mode."""
    twin = shadow(network)

    def attack_loss(x: Tensor, labels: Tensor) -> Tensor:
        # a sum: no image's gradient shrinks with the batch
        return F.cross_entropy(_logits(twin, x, engine), labels, reduction="sum")

    def loss(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return regularised(
            F.cross_entropy(_logits(network, x, engine), labels), means, labels, classes, alpha
        )

    attacked, step = _compiled(attack_loss, engine), _compiled(loss, engine)

    def adversarial(pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        def gradient(x: Tensor) -> Tensor:
            x = x.detach().requires_grad_()
            return torch.autograd.grad(attacked(x, labels), x)[0]

        x = ascent.ascend(
            gradient,
            models.to_unit(pixels),
            epsilon=settings.epsilon,
            step_size=settings.step_size,
            steps=settings.steps,
        )
        return step(x, labels)

    return adversarial


def on_adversarial_l2(
    network: nn.Module,
    means: dict[str, Tensor],
    classes: int,
    alpha: float | Tensor,
    engine: Engine,
    settings: Any,  # AdversarialL2
) -> Callable:
    """Objective on adversarial images alone, of the L2 ball, crafted on the current network in evaluation
    mode.
    """
    twin = shadow(network)

    def attack_loss(x: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(_logits(twin, x, engine), labels, reduction="sum")

    def loss(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return regularised(
            F.cross_entropy(_logits(network, x, engine), labels), means, labels, classes, alpha
        )

    attacked, step, ball = _compiled(attack_loss, engine), _compiled(loss, engine), L2

    def adversarial(pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = models.to_unit(pixels)
        inside = ball.projection(x, settings.epsilon)
        for _ in range(settings.steps):
            x = x.detach().requires_grad_()
            slope = torch.autograd.grad(attacked(x, labels), x)[0]
            x = inside(x.detach() + settings.step_size * ball.direction(slope))
        return step(x, labels)

    return adversarial


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


def on_trades(
    network: nn.Module,
    means: dict[str, Tensor],
    classes: int,
    alpha: float | Tensor,
    engine: Engine,
    settings: Trades,
) -> Callable:
    """Objective of TRADES: cross-entropy and selectivity on each image, and the divergence of the prediction
    for an image near it, crafted on the current network in evaluation mode.
    """
    twin = shadow(network)

    def divergence(x: Tensor, likely: Tensor) -> Tensor:
        return F.kl_div(_logits(twin, x, engine).log_softmax(1), likely, reduction="sum")

    def loss(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits, n = _logits(network, x, engine), len(labels)  # both in one batch of batch norm, our choice
        clean, moved = logits[:n], logits[n:]
        apart = F.kl_div(moved.log_softmax(1), clean.softmax(1), reduction="batchmean")
        total = F.cross_entropy(clean, labels) + settings.beta * apart
        return regularised(total, {name: mean[:n] for name, mean in means.items()}, labels, classes, alpha)

    attacked, step = _compiled(divergence, engine), _compiled(loss, engine)

    def trades(pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        x = models.to_unit(pixels)
        with torch.no_grad():
            likely = _logits(twin, x, engine).softmax(1)

        def gradient(found: Tensor) -> Tensor:
            found = found.detach().requires_grad_()
            return torch.autograd.grad(attacked(found, likely), found)[0]

        # where both predictions agree the divergence has no slope, hence the noise
        noise = torch.randn(x.shape, generator=generator).to(x.device)
        near = climbed(gradient, x, x + settings.noise * noise, settings)
        return step(torch.cat([x, near]), labels)

    return trades


def on_weighted(
    network: nn.Module,
    means: dict[str, Tensor],
    classes: int,
    alpha: float | Tensor,
    engine: Engine,
    settings: Weighted,
) -> Callable:
    """Objective on adversarial images alone, in which a class counts the more, the more of its adversarial
    images of the epoch so far were misclassified.

    Counts begin anew with each epoch, so that a training that resumes after an epoch has lost none.
    """
    twin = shadow(network)

    def attack_loss(x: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(_logits(twin, x, engine), labels, reduction="sum")

    def loss(x: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = _logits(network, x, engine)
        total = F.cross_entropy(logits, labels, weight=weights)
        return *regularised(total, means, labels, classes, alpha), logits.detach()

    attacked, step = _compiled(attack_loss, engine), _compiled(loss, engine)
    counts = torch.zeros(2, classes, device=engine.device)  # images seen, and misclassified
    epoch = {"generator": None}  # type: dict[str, torch.Generator | None]

    def weighted(pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if epoch["generator"] is not generator:  # every epoch has its own
            epoch["generator"] = generator
            counts.zero_()

        def gradient(found: Tensor) -> Tensor:
            found = found.detach().requires_grad_()
            return torch.autograd.grad(attacked(found, labels), found)[0]

        x = models.to_unit(pixels)
        weights = 1 + settings.weight * counts[1] / counts[0].clamp(min=1)
        total, si, logits = step(climbed(gradient, x, x, settings), labels, weights)
        wrong = (logits.argmax(1) != labels).float()
        counts[0].index_add_(0, labels, torch.ones_like(wrong))
        counts[1].index_add_(0, labels, wrong)
        return total, si

    return weighted


class OnWorst:
    """Objective on the images and on their worst logits in a ball, which the session that owns it makes wider
    from step to step.

    Attributes:
        epsilon: Radius, in pixels of [0, 1].
        kappa: Weight of the images' own cross-entropy, in [0, 1].
    """

    def __init__(
        self,
        network: nn.Module,
        means: dict[str, Tensor],
        classes: int,
        alpha: float | Tensor,
        engine: Engine,
        settings: Robust,
    ) -> None:
        self.network, self.means, self.classes, self.alpha = network, means, classes, alpha
        self.settings, self.reading, self.twin = settings, read(network), shadow(network)
        self.epsilon, self.kappa = settings.epsilon, settings.kappa

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

    def __call__(self, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        own, worst, means = self.logits(models.to_unit(pixels), labels)
        return regularised(mixed(own, worst, labels, self.kappa), means, labels, self.classes, self.alpha)


# One entry per kind of training, under the first word of its names. Only the entry of a run's own kind counts
# in the fingerprint of its code.
OBJECTIVES = {
    "plain": plain,
    "augmix": on_augmix,
    "pgd": on_adversarial,
    "l2": on_adversarial_l2,
    "trades": on_trades,
    "weighted": on_weighted,
    "ibp": OnWorst,
    "singleprop": OnWorst,
    "adversarial": OnWorst,
}  # type: dict[str, Callable]


def kind(training: Training) -> str:
    """Key of a training's objective in OBJECTIVES."""
    return training.variant.split("-")[0]


def make(
    training: Training,
    network: nn.Module,
    means: dict[str, Tensor],
    classes: int,
    engine: Engine,
    alpha: float | Tensor,
) -> Callable:
    """Make the loss function of a training.

    Args:
        means: Dictionary that `models.spatial_means` yields for the network.
        alpha: The training's alpha; a () tensor where it is changed between networks.

    Returns:
        A function of uint8 pixels (n, c, h, w), labels (n,) and a generator on the CPU, of its own for each
        epoch, from which AugMix and TRADES draw, that gives the loss and mean selectivity without gradient.
    """
    return OBJECTIVES[kind(training)](network, means, classes, alpha, engine, training.variant_settings)
