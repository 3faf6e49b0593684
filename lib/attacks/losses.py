"""Losses that attacks raise: from logits (n, classes), labels (n,) int64 and a temperature to (n,), larger
where the network is more wrong.

Sources: Carlini & Wagner 2017 (the margin), Tian et al. 2021 (Temperature-PGD, in a form that is ours).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Cross-entropy, as in training.

    Its gradient vanishes in float32 where a network is confident enough of the correct class.
    """
    return F.cross_entropy(logits, labels, reduction="none")


def _others(logits: Tensor, labels: Tensor) -> Tensor:
    """Logits of the wrong classes, with minus infinity at the correct one."""
    return logits.masked_fill(F.one_hot(labels, logits.shape[1]).bool(), -math.inf)


def margin(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Margin: largest logit of a wrong class minus the logit of the correct class; above 0 exactly where the
    image is misclassified.
    """
    return _others(logits, labels).amax(1) - logits.gather(1, labels[:, None])[:, 0]


def tempered(logits: Tensor, labels: Tensor, temperature: Tensor | float) -> Tensor:
    """T log sum exp(z_k / T) over the wrong classes k, minus the logit of the correct class.

    T is a number, or (n,).

    This is our reconstruction of Temperature-PGD's loss. Its gradient has the direction of the cross-entropy
    of z / T without the underflow of the latter: T = 1 has the direction of the cross-entropy, T -> 0 is the
    margin, and T -> infinity follows all wrong classes alike.
    """
    wrong = _others(logits, labels)
    top = wrong.amax(1)  # subtracted first: divided by a small T, a logit would leave the range of float32
    temperature = torch.as_tensor(temperature, dtype=logits.dtype, device=logits.device).clamp(
        min=torch.finfo(logits.dtype).tiny
    )
    rest = ((wrong - top[:, None]) / temperature.view(-1, 1)).logsumexp(1)
    return top + temperature * rest - logits.gather(1, labels[:, None])[:, 0]


def relative(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """`tempered` with T in units of the standard deviation of the image's own logits, so that a scale of all
    logits does not change the attack.
    """
    spread = logits.detach().std(1, correction=0)
    return tempered(logits, labels, temperature * spread.masked_fill(spread == 0, 1))


LOSSES = {
    "cross-entropy": cross_entropy,
    "margin": margin,
    "temperature": relative,
    "logit-temperature": tempered,
}
