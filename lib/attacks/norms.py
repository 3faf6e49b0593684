"""Lp balls around images: the direction of a step, the projection, and random points."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Linf:
    """L∞ ball: each pixel moves by at most ε."""

    @staticmethod
    def direction(gradient: Tensor) -> Tensor:
        """Step of length 1 that raises a linear function most; 0 where the gradient is 0."""
        return gradient.sign()

    @staticmethod
    def projection(pixels: Tensor, epsilon: float) -> Callable[[Tensor], Tensor]:
        """The nearest point within epsilon of the images and within [0, 1]."""
        low, high = (pixels - epsilon).clamp(min=0), (pixels + epsilon).clamp(max=1)
        return lambda x: x.clamp(low, high)

    @staticmethod
    def drawn(pixels: Tensor, generator: torch.Generator | None) -> Tensor:
        """Random points, uniform in the ball of radius 1, on the device of the generator; None stands for
        torch's global generator on the CPU.
        """
        return (
            torch.rand(
                pixels.shape,
                dtype=pixels.dtype,
                generator=generator,
                device=generator.device if generator else "cpu",
            )
            * 2
            - 1
        )


class L2:
    """L2 ball: the Euclidean length of an image's whole change is at most ε."""

    @staticmethod
    def _length(change: Tensor) -> Tensor:
        """Length of each change, (n, 1, 1, 1).

        Entries are divided by the largest one first, since squares of very small or large numbers leave the
        range of float32.
        """
        most = change.abs().amax((1, 2, 3), keepdim=True)
        return most * (change / most.masked_fill(most == 0, 1)).square().sum((1, 2, 3), keepdim=True).sqrt()

    @staticmethod
    def direction(gradient: Tensor) -> Tensor:
        """The gradient scaled to length 1; 0 where it is 0."""
        # divided by its largest entry first: the length of a very small gradient would be rounded to 0
        most = gradient.abs().amax((1, 2, 3), keepdim=True)
        scaled = gradient / most.masked_fill(most == 0, 1)
        length = L2._length(scaled)
        return scaled / length.masked_fill(length == 0, 1)

    @staticmethod
    def projection(pixels: Tensor, epsilon: float) -> Callable[[Tensor], Tensor]:
        """Move towards the image until within epsilon of it, then clip to [0, 1], which brings the point no
        farther away.
        """

        def inside(x: Tensor) -> Tensor:
            change = x - pixels
            length = L2._length(change)
            return (
                pixels + torch.where(length > epsilon, change * (epsilon / length.clamp(min=1e-30)), change)
            ).clamp(0, 1)

        return inside

    @staticmethod
    def drawn(pixels: Tensor, generator: torch.Generator | None) -> Tensor:
        """Random points, uniform in the ball of radius 1, on the device of the generator."""
        how = {
            "dtype": pixels.dtype,
            "generator": generator,
            "device": generator.device if generator else "cpu",
        }  # type: dict
        radius = torch.rand(len(pixels), 1, 1, 1, **how) ** (1 / max(pixels.shape[1:].numel(), 1))
        return L2.direction(torch.randn(pixels.shape, **how)) * radius


NORMS = {"linf": Linf, "l2": L2}
