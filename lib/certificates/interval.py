"""Interval bound propagation: a box of images carried through the network as centre and half-width."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lib.certificates.layers import Affine, Combine
from lib.certificates.reading import Reading

# A bound is a sum computed in floating point; it is moved outwards by this many times the machine precision
# times the sum of the absolute values of its terms. Over 90 random networks and 10 of lib.models, six of them
# trained, rounding in float32 moved a bound by at most 27 and a logit by at most 24 of these units.
ROUNDING = 256


class Box(NamedTuple):
    """All points within a half-width of a centre, coordinate by coordinate; both (n, ...)."""

    centre: Tensor
    radius: Tensor

    @property
    def lower(self) -> Tensor:
        return self.centre - self.radius

    @property
    def upper(self) -> Tensor:
        return self.centre + self.radius


def between(lower: Tensor, upper: Tensor) -> Box:
    """The box between two corners."""
    return Box((upper + lower) / 2, (upper - lower) / 2)


def ball(pixels: Tensor, epsilon: float) -> Box:
    """The images within epsilon of an image in every pixel that are images, i.e. in [0, 1].

    The half-width is rounded upwards, so that no image of the ball is lost where epsilon is small beside a
    pixel; it is 0 for epsilon = 0.
    """
    # in float64, whose own rounding is added
    exact = pixels.double()
    box = between((exact - epsilon).clamp(min=0), (exact + epsilon).clamp(max=1))
    centre = box.centre.to(pixels.dtype)
    wanted = (
        box.radius + (box.centre - centre.double()).abs() + (torch.finfo(exact.dtype).eps if epsilon else 0)
    )
    radius = wanted.to(pixels.dtype)
    above = radius.nextafter(torch.full_like(radius, torch.inf))
    return Box(centre, torch.where(radius.double() < wanted, above, radius))


def _affine(layer: Affine, box: Box) -> Box:
    return Box(layer.apply(box.centre), layer.spread(box.radius))


def _combine(layer: Combine, a: Box, b: Box) -> Box:
    return Box(a.centre + layer.sign * b.centre, a.radius + b.radius)


def _relu(box: Box) -> Box:
    return between(box.lower.relu(), box.upper.relu())


def boxes(reading: Reading, box: Box) -> list[Box]:
    """The box itself, and the smallest boxes that hold what each step puts out, in order, each step taken for
    itself; three linear passes per layer, less one. Gradients flow.
    """
    return reading.walk(box, _affine, _combine, _relu)


def outwards(lower: Tensor, size: Tensor) -> Tensor:
    """A lower bound moved down by what rounding may have added to it, and minus infinity where it is not
    finite, since a number that has left the range bounds nothing.

    Args:
        size: Sum of the absolute values of the terms of the bound, of the same shape.
    """
    lower = lower - ROUNDING * torch.finfo(lower.dtype).eps * size
    return lower.masked_fill(~lower.isfinite(), -torch.inf)
