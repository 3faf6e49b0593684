"""Perturbations of samples: FGM and PGD in two norms, and the universal one, which asks no network."""

from __future__ import annotations

import torch
from torch import Tensor

from lib.base.errors import InputError, unknown
from lib.purification.networks import Classifier
from lib.purification.sparse_coding import World

NORMS = ("l2", "linf")
_START = 0.1  # length of PGD's random start, in radii: away from kinks, and small
_REACH = 2.5  # length of all steps together, in radii
_ASKED = 5  # steps of PGD between two looks at the labels
_TINY = 1e-12  # a gradient shorter than this has no direction


def _checked(tau: float, norm: str) -> None:
    if norm not in NORMS:
        raise unknown("norm", norm, NORMS)
    if not 0 <= tau < float("inf"):
        raise InputError(
            f"tau must be a number of at least 0, got {tau}: it is the radius of the perturbation"
        )


def _lengths(rows: Tensor, norm: str) -> Tensor:
    return torch.linalg.vector_norm(rows, 2 if norm == "l2" else float("inf"), dim=1, keepdim=True)


def _downhill(base: Tensor, slopes: Tensor, y: Tensor, length: float, norm: str) -> Tensor:
    """(n, d) points, moved by a length the way that lowers the margin, and so raises the loss, most.

    A point whose slope is tiny stays where it is.
    """
    if norm == "linf":
        return torch.addcmul(base, slopes.sign(), -length * y[:, None])
    steep = _lengths(slopes, norm)
    return torch.addcmul(base, slopes, torch.where(steep > _TINY, -length * y[:, None] / steep, 0.0))


def fgm(classifier: Classifier, x: Tensor, y: Tensor, *, tau: float, norm: str = "l2") -> Tensor:
    """Fast gradient method: one step of length tau.

    Args:
        x: (n, d) samples.
        y: (n,) labels, -1 or 1.
        tau: Radius, >= 0.
        norm: "l2" or "linf".

    Returns:
        (n, d) perturbed samples. A sample whose gradient is tiny stays as it is.

    Raises:
        InputError: For a negative tau or an unknown norm.
    """
    _checked(tau, norm)
    return _downhill(x, classifier.slopes(x), y, tau, norm)


def pgd(
    classifier: Classifier,
    x: Tensor,
    y: Tensor,
    *,
    tau: float,
    steps: int,
    generator: torch.Generator,
    norm: str = "l2",
) -> Tensor:
    """Projected gradient descent from a small random start, in steps of 2.5 tau / steps.

    Args:
        x: (n, d) samples.
        y: (n,) labels, -1 or 1.
        tau: Radius, >= 0.
        steps: Number of steps, >= 1.
        norm: "l2" or "linf".

    Returns:
        (n, d) perturbed samples, those of the last step.

    Raises:
        InputError: For a negative tau, an unknown norm or no step.
    """
    delta = _start(x, tau, steps, norm, generator)
    for _ in range(steps):
        delta = _moved(classifier, x, y, delta, tau, steps, norm)
    return x + delta


def withstands(
    classifier: Classifier,
    x: Tensor,
    y: Tensor,
    *,
    tau: float,
    steps: int,
    generator: torch.Generator,
    norm: str = "l2",
) -> Tensor:
    """Which samples are classified correctly as they are, after every fifth step of PGD and after its last.

    The arguments are those of `pgd`.

    Returns:
        (n,) bool.
    """
    delta, found = _start(x, tau, steps, norm, generator), torch.zeros(len(x), dtype=torch.bool)
    right, left = classifier.logits(x) * y > 0, torch.arange(len(x))
    for step in range(steps):
        if step % _ASKED == 0:
            left, x, y, delta = left[right], x[right], y[right], delta[right]  # the lost need no more steps
        delta = _moved(classifier, x, y, delta, tau, steps, norm)
        if (step + 1) % _ASKED == 0 or step == steps - 1:
            right = classifier.logits(x + delta) * y > 0
    found[left[right]] = True
    return found


def _start(x: Tensor, tau: float, steps: int, norm: str, generator: torch.Generator) -> Tensor:
    _checked(tau, norm)
    if steps < 1:
        raise InputError(f"PGD needs at least one step, got {steps}")
    cube = torch.rand(x.shape, generator=generator, dtype=x.dtype).mul_(2).sub_(1)
    typical = (x.shape[1] / 3) ** 0.5 if norm == "l2" else 1.0  # length of such a vector
    return cube.mul_(_START * tau / typical)


def _moved(
    classifier: Classifier, x: Tensor, y: Tensor, delta: Tensor, tau: float, steps: int, norm: str
) -> Tensor:
    delta = _downhill(delta, classifier.slopes(x + delta), y, _REACH * tau / steps, norm)
    if norm == "linf":
        return delta.clamp_(-tau, tau)
    return delta.mul_(tau / _lengths(delta, norm).clamp_(min=max(tau, _TINY)))


def universal(source: World, x: Tensor, y: Tensor, *, tau: float, norm: str = "l2") -> Tensor:
    """The perturbation that knows the world and no network: against the label, along M w*.

    Args:
        x: (n, d) samples.
        y: (n,) labels, -1 or 1.
        tau: Radius, >= 0.
        norm: "l2" or "linf", where it is the sign of M w*.

    Returns:
        (n, d) perturbed samples.

    Raises:
        InputError: For a negative tau or an unknown norm.
    """
    _checked(tau, norm)
    return _downhill(x, source.common.expand(x.shape), y, tau, norm)
