"""The classifiers of the theorem, with gradients written by hand.

All of them answer the same questions: the number whose sign is the predicted label (`logits`), its gradient
with respect to the sample (`slopes`), and the gradient of the mean logistic loss with respect to the weights
(`gradient`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Classifier(Protocol):
    """What can be attacked."""

    def logits(self, x: Tensor) -> Tensor:
        """(n, d) samples -> (n,), whose sign is the predicted label."""
        ...

    def slopes(self, x: Tensor) -> Tensor:
        """(n, d) samples -> (n, d), the gradient of each sample's logit with respect to it."""
        ...


class Trainable(Classifier, Protocol):
    """What can be trained: `weights` are changed, everything else stays."""

    @property
    def weights(self) -> Tensor:
        """(m, d), or (1, d) of a linear classifier."""
        ...

    def gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """(n, d) samples and (n,) labels -> (n,) margins y f(x), and the gradient of the mean logistic loss
        with respect to the weights.
        """
        ...


def _pull(margins: Tensor, y: Tensor) -> Tensor:
    """(n, 1) derivative of the mean of log(1 + exp(-margin)) with respect to each logit."""
    return (torch.sigmoid(-margins) * y / -len(y))[:, None]


@dataclass(frozen=True)
class Symmetric:
    """Two-layer network f(x) = sum_i ReLU(<w_i, x> - b_i) - ReLU(-<w_i, x> - b_i).

    Attributes:
        weights: (m, d) float.
        thresholds: (m,) float; or (n, m), for a batch of n samples alone: noise in a neuron's pre-activation
            is a threshold of its own for each sample, b_i - rho_i.
    """

    weights: Tensor
    thresholds: Tensor

    def logits(self, x: Tensor) -> Tensor:
        """(n, d) samples -> (n,)."""
        return self._answers(x @ self.weights.T)

    def slopes(self, x: Tensor) -> Tensor:
        """(n, d) samples -> (n, d) gradients of the logits."""
        return self._gates(x @ self.weights.T) @ self.weights

    def gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """(n, d) samples and (n,) labels -> (n,) margins, (m, d) gradient of the mean loss."""
        inner = x @ self.weights.T
        margins = self._answers(inner) * y
        return margins, self._gates(inner).mul_(_pull(margins, y)).T @ x

    def _answers(self, inner: Tensor) -> Tensor:
        up, down = (inner - self.thresholds).relu_(), (inner + self.thresholds).neg_().relu_()
        return up.sub_(down).sum(1)

    def _gates(self, inner: Tensor) -> Tensor:
        """How many of a neuron's two halves are on; both can be where a threshold is negative."""
        # compared in place: turning truth values into numbers takes as long as a product of matrices
        return inner.clone().gt_(self.thresholds).add_(inner.clone().lt_(-self.thresholds))


@dataclass(frozen=True)
class SmoothedKernel:
    """The neural tangent kernel's classifier of the symmetric network, in the features of its gates:
    f(x) = sum_i <v_i, x> E[1[<g_i, x> + rho >= b] + 1[-<g_i, x> + rho >= b]], rho normal.

    It is the network's first-order change around weights g, in which the gates stay where they are.

    Attributes:
        weights: (m, d) float, the v_i: the only part that is trained.
        gates: (m, d) float, the g_i.
        threshold: b.
        noise: Standard deviation of rho, > 0.
    """

    weights: Tensor
    gates: Tensor
    threshold: float
    noise: float

    def logits(self, x: Tensor) -> Tensor:
        """(n, d) samples -> (n,)."""
        return (self.openness(x) * (x @ self.weights.T)).sum(1)

    def slopes(self, x: Tensor) -> Tensor:
        """(n, d) samples -> (n, d) gradients of the logits."""
        above, below = self._places(x)
        rise = _density(above).sub_(_density(below)).mul_(x @ self.weights.T).div_(self.noise)
        return torch.addmm(_open(above, below) @ self.weights, rise, self.gates)

    def gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """(n, d) samples and (n,) labels -> (n,) margins, (m, d) gradient of the mean loss."""
        opened = self.openness(x)
        margins = (opened * (x @ self.weights.T)).sum(1) * y
        return margins, opened.mul_(_pull(margins, y)).T @ x

    def openness(self, x: Tensor) -> Tensor:
        """(n, d) samples -> (n, m) in [0, 2]: how many of a neuron's two gates are open, on average over the
        noise.
        """
        return _open(*self._places(x))

    def kernel(self, x: Tensor, others: Tensor) -> Tensor:
        """(n, d) and (n', d) samples -> (n, n'), the neural tangent kernel: inner products of the gradients
        with respect to the weights.
        """
        return (x @ others.T) * (self.openness(x) @ self.openness(others).T)

    def _places(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Where <g_i, x> lies above b and below -b, in deviations of the noise."""
        inner = (x @ self.gates.T).div_(self.noise)
        return inner - self.threshold / self.noise, -inner - self.threshold / self.noise


def _open(above: Tensor, below: Tensor) -> Tensor:
    root = 2**-0.5
    return torch.erf(above * root).add_(torch.erf(below * root)).mul_(0.5).add_(1)


def _density(place: Tensor) -> Tensor:
    # beyond 9 deviations the density is nothing in float32, and its denormal numbers are slow
    return (place * place).clamp_(max=81).mul_(-0.5).exp_().mul_((2 * math.pi) ** -0.5)


@dataclass(frozen=True)
class Linear:
    """f(x) = <v, x>.

    Attributes:
        weights: (1, d) float.
    """

    weights: Tensor

    def logits(self, x: Tensor) -> Tensor:
        """(n, d) samples -> (n,)."""
        return x @ self.weights[0]

    def slopes(self, x: Tensor) -> Tensor:
        """(n, d) samples -> (n, d) gradients of the logits, all the same."""
        return self.weights.expand(x.shape)

    def gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """(n, d) samples and (n,) labels -> (n,) margins, (1, d) gradient of the mean loss."""
        margins = self.logits(x) * y
        return margins, _pull(margins, y).T @ x


@dataclass(frozen=True)
class TargetRule:
    """The rule that a network with pure features would find: each atom votes if it is seen clearly enough,
    ``f(x) = sum_i w*_i <M_i, x> 1[|<M_i, x>| >= threshold]``.

    Attributes:
        dictionary: (d, d) float; its columns are the atoms.
        target: (d,) float.
        threshold: 1 / (2 sqrt(k)) in the paper.
    """

    dictionary: Tensor
    target: Tensor
    threshold: float

    def logits(self, x: Tensor) -> Tensor:
        """(n, d) samples -> (n,)."""
        seen = x @ self.dictionary
        return (seen * (seen.abs() >= self.threshold)) @ self.target

    def slopes(self, x: Tensor) -> Tensor:
        """(n, d) samples -> (n, d) gradients of the logits, where there are any."""
        seen = (x @ self.dictionary).abs() >= self.threshold
        return (seen * self.target) @ self.dictionary.T
