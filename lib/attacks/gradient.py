"""White-box access to a network: checks of logits, evaluation mode, and the gradient of a loss with respect
to the pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lib.attacks.losses import LOSSES
from lib.base.errors import InputError, unknown
from lib.models.activations import Network, finite


def logits_of(network: Network, x: Tensor, labels: Tensor) -> Tensor:
    """Checked logits of a network, in float32 at least."""
    logits = network(x)
    if not isinstance(logits, Tensor):
        raise InputError(f"a network must map images to a tensor of logits, got {type(logits).__name__}")
    if logits.ndim != 2 or len(logits) != len(x) or logits.shape[1] < 2:
        raise InputError(
            f"a network must map {len(x)} images to logits ({len(x)}, classes >= 2), got "
            f"{tuple(logits.shape)}"
        )
    if labels.numel() and labels.max() >= logits.shape[1]:
        raise InputError(
            f"labels must be below the network's {logits.shape[1]} classes, got {int(labels.max())}"
        )
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def pixel_gradient(
    network: Network, labels: Tensor, *, loss: str = "cross-entropy", temperature: float = 1.0
) -> Callable[[Tensor], Tensor]:
    """Make the function from pixels (n, c, h, w) to the gradient of each image's loss with respect to its own
    pixels.

    Entries that are not finite become 0.
    """
    if loss not in LOSSES:
        raise unknown("loss", loss, LOSSES)
    if not finite("temperature", temperature, least=0):
        raise InputError("temperature must be above 0, got 0; its limit is the loss 'margin'")

    def gradient(x: Tensor) -> Tensor:
        # also where the caller has switched gradients off
        with torch.inference_mode(False), torch.enable_grad():
            right = labels.clone() if labels.is_inference() else labels
            x = (x.clone() if x.is_inference() else x.detach()).requires_grad_()
            # a sum, since in evaluation mode no image's loss depends on the others, and no gradient shrinks
            # with the batch
            total = LOSSES[loss](logits_of(network, x, right), right, temperature).sum()
            return torch.autograd.grad(total, x)[0].nan_to_num_(0, 0, 0)

    return gradient
