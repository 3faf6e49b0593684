"""Objectives on images as they are: plain, and each image with two AugMix views of it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lib import models
from lib.training import augmix
from lib.training.objective.base import Around, Objective, compiled, logits_of
from lib.training.variants import AugMix


def plain(around: Around, settings: None) -> Objective:
    """Objective on plain images: one graph from pixels to loss."""

    def loss(pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = logits_of(around.network, models.to_unit(pixels), around.engine)
        return around.regularised(F.cross_entropy(logits, labels), around.means, labels)

    step = compiled(loss, around.engine)
    return Objective(around, lambda pixels, labels, generator: step(pixels, labels))


def consistency(logits: Tensor) -> Tensor:
    """Jensen-Shannon divergence of three predictions per image, averaged over images.

    Logits are (3 * n, classes), view by view.
    """
    views = logits.softmax(1).chunk(3)
    middle = (sum(views) / 3).clamp(1e-7, 1).log()  # type: ignore[union-attr]  # a sum of tensors
    return sum(F.kl_div(middle, view, reduction="batchmean") for view in views) / 3  # type: ignore[return-value]


def on_augmix(around: Around, settings: AugMix) -> Objective:
    """Objective on each image and two AugMix views of it: cross-entropy and selectivity on the image, and the
    consistency of the three predictions.
    """

    def loss(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits, n = logits_of(around.network, x, around.engine), len(labels)
        total = F.cross_entropy(logits[:n], labels) + settings.jsd * consistency(logits)
        return around.regularised(total, {name: mean[:n] for name, mean in around.means.items()}, labels)

    step = compiled(loss, around.engine)

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

    return Objective(around, views)
