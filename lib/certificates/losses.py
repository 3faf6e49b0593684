"""Losses and schedules of certified training: pure functions of a reading of the network and of numbers.

Sources: Gowal et al. 2019, arXiv 1810.12715 (interval bounds); Boopathy et al. 2021, arXiv 2102.01208
(SingleProp).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.base.errors import InputError
from lib.certificates.halfwidth import Spread, propagate
from lib.certificates.interval import between, boxes
from lib.certificates.layers import Affine, refused
from lib.certificates.reading import Reading
from lib.models.activations import finite


def interval_worst(reading: Reading, pixels: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """The worst logits in a box by interval bounds, the last layer elided: for each class the largest value
    of its logit minus that of the correct class.

    With the images' own logits it takes three linear passes. Gradients flow; nothing is moved outwards
    against rounding.

    Args:
        reading: A network whose last layer is affine, on features (n, d).
        pixels: (n, c, h, w) float in [0, 1].
        labels: (n,) int64.
        epsilon: Radius of the box, which is clipped to [0, 1].

    Returns:
        (n, classes), 0 at the correct class.

    Raises:
        InputError: For a network that ends otherwise.
    """
    last = reading.steps[-1]
    # not `interval.ball`, whose rounding upwards serves proofs and takes four times as long
    box = between((pixels - epsilon).clamp(min=0), (pixels + epsilon).clamp(max=1))
    centre, radius = boxes(Reading(reading.steps[:-1]), box)[last.inputs[0]]
    if not isinstance(last.layer, Affine) or centre.ndim != 2:
        raise refused(last.name, last.kind, "the last layer of certified training is linear, on (n, d)")
    bias = last.layer.apply(torch.zeros_like(centre[:1]))[0]
    rows = (
        last.layer.apply(torch.eye(centre.shape[1], dtype=centre.dtype, device=centre.device)).T
        - bias[:, None]
    )
    differences = rows - rows[labels].unsqueeze(1)  # (n, classes, d)
    middle = (differences @ centre.unsqueeze(2)).squeeze(2) + bias - bias[labels].unsqueeze(1)
    return middle + (differences.abs() @ radius.unsqueeze(2)).squeeze(2)


def singleprop_worst(
    reading: Reading, pixels: Tensor, labels: Tensor, epsilon: float, rule: str
) -> tuple[Tensor, Tensor]:
    """The images' own logits z, and SingleProp's worst ones, z - v at the correct class and z + v elsewhere;
    both (n, classes), in two linear passes. Gradients flow.

    Args:
        reading: The network.
        pixels: (n, c, h, w) float; not clipped when epsilon is added, as published.
        labels: (n,) int64.
        epsilon: Half-width of the pixels.
        rule: "zero", "fastlin" or "crown".
    """
    found = propagate(reading, pixels, epsilon, rule)[-1]
    return found.value, worst_of(found, labels)


def worst_of(logits: Spread, labels: Tensor) -> Tensor:
    """Logits with their half-width taken off the correct class and added to every other one, (n, classes)."""
    right = F.one_hot(labels, logits.value.shape[1]).bool()
    return logits.value + torch.where(right, -logits.width, logits.width)


def mixed(logits: Tensor, worst: Tensor, labels: Tensor, kappa: float | Tensor) -> Tensor:
    """kappa times the cross-entropy of the logits plus 1 - kappa times that of the worst logits, both
    (n, classes).
    """
    return kappa * F.cross_entropy(logits, labels) + (1 - kappa) * F.cross_entropy(worst, labels)


def ramp(step: int, warm: int, end: int) -> float:
    """How far a schedule has come: 0 up to the step `warm`, 1 from the step `end` on, linear between them.

    Raises:
        InputError: Unless 0 <= warm <= end.

    Example:
        >>> [ramp(step, 10, 20) for step in (0, 10, 15, 20, 99)]
        [0.0, 0.0, 0.5, 1.0, 1.0]
    """
    if not 0 <= warm <= end:
        raise InputError(
            f"a warm-up must end before its ramp, at 0 <= warm <= end; got warm={warm}, end={end}"
        )
    if step >= end:
        return 1.0
    return max(0, step - warm) / (end - warm) if end > warm else 0.0


def scheduled(
    step: int, *, epsilon: float, warm: int, end: int, last_kappa: float = 0.5
) -> tuple[float, float]:
    """Epsilon and kappa of one step: epsilon rises from 0, kappa falls from 1 to `last_kappa`, both along
    `ramp`.

    Args:
        step: Number of steps taken before.
        epsilon: The radius at the end, at least 0.
        warm: Steps at epsilon = 0 and kappa = 1.
        end: The step at which the last values are reached.
        last_kappa: In [0, 1].

    Raises:
        InputError: For a value out of range.

    Example:
        >>> scheduled(15, epsilon=0.2, warm=10, end=20)
        (0.1, 0.75)
    """
    finite("epsilon", epsilon, least=0)
    if not finite("last_kappa", last_kappa, least=0) <= 1:
        raise InputError(f"last_kappa must lie in [0, 1], got {last_kappa!r}")
    share = ramp(step, warm, end)
    return epsilon * share, 1 - (1 - last_kappa) * share


def adaptive_kappa(fit: float, worst: float, *, gamma: float = 10.0) -> float:
    """SingleProp's adaptive kappa, worst / (worst + gamma * fit): the better the worst logits already do, the
    smaller the weight of the images' own.

    Args:
        fit: Mean cross-entropy of the logits on held-out images. The published code takes the test set's,
            which is a leak.
        worst: Mean cross-entropy of the worst logits on the same images.
        gamma: At least 0; 10 as published.

    Returns:
        A number in [0, 1]; 1 where both losses are 0, and where the worst one is infinite.

    Raises:
        InputError: For a loss that is negative or NaN.

    Example:
        >>> adaptive_kappa(0.1, 1.0)
        0.5
    """
    gamma = finite("gamma", gamma, least=0)
    for name, value in (("fit", fit), ("worst", worst)):
        if math.isnan(value) or value < 0:
            raise InputError(f"{name} must be a cross-entropy >= 0, got {value!r}")
    if math.isinf(worst) or worst + gamma * fit == 0:
        return 1.0
    return worst / (worst + gamma * fit)
