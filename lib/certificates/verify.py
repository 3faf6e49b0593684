"""What a network is asked: bounds of its logits, SingleProp's half-widths, and which images are certified."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lib.base.errors import InputError, unknown
from lib.certificates import halfwidth
from lib.certificates.interval import Box, ball, boxes, outwards
from lib.certificates.layers import Affine
from lib.certificates.linear import BUDGET, lower_bounds, relaxations
from lib.certificates.reading import Reading, agreeing, precision
from lib.certificates.relaxation import check_rule
from lib.models.activations import check_images, check_pixels, finite
from lib.models.precision import exact

# method: the bounds of which it takes the larger
METHODS = {
    "interval": ("interval",),
    "zero": ("zero",),
    "fastlin": ("fastlin",),
    "crown": ("crown",),
    "interval+zero": ("interval", "zero"),
    "interval+fastlin": ("interval", "fastlin"),
    "interval+crown": ("interval", "crown"),
}


@contextmanager
def _plain(pixels: Tensor) -> Iterator[None]:
    """Context manager: no gradients, and no lower precision than that of the tensors."""
    with torch.no_grad(), torch.autocast(pixels.device.type, enabled=False), exact():
        yield


def interval_bounds(network: nn.Module, pixels: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Bounds of the logits over all images within epsilon of an image in every pixel, and in [0, 1].

    They are interval bounds, layer by layer, of the network in evaluation mode. Without rounding they would
    be a proof. Against rounding, that of the bounds and that of the network in the same precision, they are
    moved outwards by 256 times the machine precision (3e-5 in float32, 6e-14 in float64) times the sum of
    the absolute values of a bound's terms, ten times what rounding was measured to do. So at epsilon = 0 they
    are the logits to within that margin.

    Args:
        network: Maps pixels (n, c, h, w) in [0, 1] to logits (n, classes), of layers that
            `lib.certificates.reading` can read.
        pixels: (n, c, h, w) float32 or float64 in [0, 1].
        epsilon: Radius of the box, in pixels of [0, 1], at least 0.

    Returns:
        Lower and upper bounds, (n, classes) each, in the wider of the dtypes of pixels and network, without
        gradient. Where numbers leave the range, the bounds are infinite.

    Raises:
        InputError: For images that are not float or leave [0, 1], a negative epsilon, a layer without bounds,
            or weights that are not finite.

    References:
        Gowal et al. 2019, arXiv 1810.12715.

    Example:
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(1, 1))
        >>> _ = nn.init.constant_(network[1].weight, 2), nn.init.constant_(network[1].bias, 0)
        >>> lower, upper = interval_bounds(network, torch.full((1, 1, 1, 1), 0.5), 0.25)
        >>> round(lower.item(), 4), round(upper.item(), 4)
        (0.5, 1.5)
    """
    check_pixels(pixels)
    epsilon = finite("epsilon", epsilon, least=0)
    with _plain(pixels):
        reading = agreeing(network, pixels)
        found = boxes(reading, ball(pixels.to(precision(network, pixels)), epsilon))
        return _ends(reading, found)


def _ends(reading: Reading, found: list[Box]) -> tuple[Tensor, Tensor]:
    """Bounds of the logits, moved outwards."""
    step, logits = reading.steps[-1], found[-1]
    size = logits.centre.abs() + logits.radius
    if isinstance(step.layer, Affine):
        before = found[step.inputs[0]]
        terms = step.layer.spread(before.centre.abs() + before.radius)
        size = terms + step.layer.apply(torch.zeros_like(before.centre)).abs()
    return outwards(logits.lower, size), -outwards(-logits.upper, size)


def singleprop(
    network: nn.Module, pixels: Tensor, epsilon: float, rule: str = "zero"
) -> tuple[Tensor, Tensor]:
    """SingleProp's estimate of how far the logits can move: one half-width, carried beside the image itself.

    This is no certificate: the half-width is always taken around the image's own activation, and falls short
    of the upper end of an unstable unit. The box of images is not clipped to [0, 1], as in the paper's code.

    Args:
        network: As in `interval_bounds`.
        pixels: (n, c, h, w) float32 or float64 in [0, 1].
        epsilon: Half-width of the pixels, at least 0.
        rule: Of a ReLU, "zero", "fastlin" or "crown"; see `lib.certificates.relaxation.half_width`.

    Returns:
        Logits and half-widths, (n, classes) each, in the wider of the dtypes of pixels and network, without
        gradient.

    Raises:
        InputError: As `interval_bounds`, and for an unknown rule.

    References:
        Boopathy et al. 2021, arXiv 2102.01208.
    """
    check_pixels(pixels)
    epsilon = finite("epsilon", epsilon, least=0)
    check_rule(rule)
    with _plain(pixels):
        reading = agreeing(network, pixels)
        x = pixels.to(precision(network, pixels))
        logits, width = halfwidth.propagate(reading, x, epsilon, rule)[-1]
        return logits, width.expand_as(logits).clone()


def margins(
    network: nn.Module, pixels: Tensor, labels: Tensor, epsilon: float, method: str = "interval"
) -> Tensor:
    """Lower bounds of the logit of the correct class minus that of each other class, over all images within
    epsilon of an image in every pixel, and in [0, 1].

    Args:
        network: As in `interval_bounds`.
        pixels: (n, c, h, w) float32 or float64 in [0, 1].
        labels: (n,) int64, the correct classes.
        epsilon: Radius of the box, in pixels of [0, 1], at least 0.
        method: "interval", the layers after the last ReLU folded into the difference of two logits; "zero"
            (CNN-Cert-Zero), "fastlin" or "crown", linear bounds carried back from every unit, for small
            networks; or the larger of two, "interval+zero", "interval+fastlin", "interval+crown".

    Returns:
        (n, classes), in the wider of the dtypes of pixels and network, moved outwards against rounding as in
        `interval_bounds`; infinity at the correct class, minus infinity where numbers leave the range.

    Raises:
        InputError: As `interval_bounds`; for labels out of range, an unknown method, or fewer than two
            classes.

    References:
        Gowal et al. 2019, arXiv 1810.12715; Weng et al. 2018, arXiv 1804.09699 (Fast-Lin); Zhang et al. 2018,
        arXiv 1811.00866 (CROWN).
    """
    check_images(pixels, labels)
    epsilon = finite("epsilon", epsilon, least=0)
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    with _plain(pixels):
        reading = agreeing(network, pixels)
        x = pixels.to(precision(network, pixels))
        sizes = [value[0].numel() for value in reading.values(torch.zeros_like(x[:1]))] if len(x) else [1]
        classes = reading.values(x[:0])[-1].shape[1]
        if classes < 2:
            raise InputError(
                f"a certificate compares classes, so a network needs at least 2 logits, got {classes}"
            )
        if labels.numel() and labels.max() >= classes:
            raise InputError(f"labels must be below the network's {classes} classes, got {int(labels.max())}")
        together = max(1, BUDGET // (max(sizes) * classes))
        parts = [
            _margins(reading, images, right, epsilon, classes, METHODS[method])
            for images, right in zip(x.split(together), labels.split(together), strict=True)
            if len(images)
        ]
        return torch.cat(parts) if parts else x.new_zeros((0, classes))


def _margins(
    reading: Reading, x: Tensor, labels: Tensor, epsilon: float, classes: int, kinds: tuple[str, ...]
) -> Tensor:
    found = boxes(reading, ball(x, epsilon))
    every = torch.eye(classes, dtype=x.dtype, device=x.device)
    differences = every[labels].unsqueeze(1) - every  # (n, classes, classes), 0 for the class itself
    best = x.new_full((len(x), classes), -torch.inf)
    for kind in kinds:
        relaxed = {} if kind == "interval" else relaxations(reading, found, kind)
        best = best.maximum(lower_bounds(reading, len(reading.steps), differences, found, relaxed))
    return best.masked_fill(every[labels].bool(), torch.inf)


def certified(
    network: nn.Module, pixels: Tensor, labels: Tensor, epsilon: float, method: str = "interval"
) -> Tensor:
    """Which images a network provably classifies correctly, whatever is done to each pixel within epsilon and
    inside [0, 1].

    A margin of exactly 0 does not certify, since which of two equal logits wins is left to chance. What proof
    means where numbers are rounded is said in `interval_bounds`.

    Args:
        network: As in `interval_bounds`.
        pixels: (n, c, h, w) float32 or float64 in [0, 1].
        labels: (n,) int64, the correct classes.
        epsilon: Radius of the box, in pixels of [0, 1], at least 0.
        method: As in `margins`.

    Returns:
        (n,) bool. False says that there is no proof, not that there is an attack.

    Raises:
        InputError: As `margins`.
    """
    return (margins(network, pixels, labels, epsilon, method) > 0).all(1)
