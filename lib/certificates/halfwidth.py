"""SingleProp: one half-width beside the ordinary forward pass."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lib.certificates.layers import Affine, Combine
from lib.certificates.reading import Reading
from lib.certificates.relaxation import half_width


class Spread(NamedTuple):
    """An activation of the image itself (n, ...), and its half-width (n, ...); before the first ReLU the
    half-width is the same for all images, (1, ...).
    """

    value: Tensor
    width: Tensor


def _affine(layer: Affine, one: Spread) -> Spread:
    return Spread(layer.apply(one.value), layer.spread(one.width))


def _combine(layer: Combine, a: Spread, b: Spread) -> Spread:
    return Spread(a.value + layer.sign * b.value, a.width + b.width)


def propagate(reading: Reading, pixels: Tensor, epsilon: float | Tensor, rule: str) -> list[Spread]:
    """Activations and half-widths of the pixels and after each step. Gradients flow.

    It takes two linear passes per layer, the second of which is that of one image before the first ReLU,
    since the half-width of the pixels is that of all.

    Args:
        pixels: (n, c, h, w), not clipped when epsilon is added.
        epsilon: Half-width of the pixels, a number or a () tensor.
        rule: As `lib.certificates.relaxation.half_width`.
    """
    return reading.walk(
        Spread(pixels, torch.zeros_like(pixels[:1]) + epsilon),
        _affine,
        _combine,
        lambda one: Spread(one.value.relu(), half_width(one.value, one.width, rule)),
    )
