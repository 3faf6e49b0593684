"""White-box access to a network: images and logits checked, evaluation mode while it lasts, and the gradient of a loss with respect to the pixels."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lib.errors import InputError, unknown
from lib.losses import LOSSES

Network = Callable[[Tensor], Tensor]


def finite(name: str, value: object, *, least: float) -> float:
    """The number that an argument is; InputError unless it is finite and at least `least`."""
    if isinstance(value, Tensor) and value.ndim == 0:
        value = value.item()
    # beyond 1e30, float32 arithmetic has no room
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value) or not least <= value <= 1e30:
        raise InputError(f"{name} must be a finite number >= {least:g}, got {value!r}")
    return float(value)


def check_pixels(pixels: Tensor) -> None:
    """InputError unless these are images (n, c, h, w), float32 or float64, in [0, 1]."""
    if not isinstance(pixels, Tensor) or pixels.dtype not in (torch.float32, torch.float64) or pixels.ndim != 4:
        got = f"{pixels.dtype} of shape {tuple(pixels.shape)}" if isinstance(pixels, Tensor) else type(pixels).__name__
        raise InputError(f"images must be float32 or float64, (n, c, h, w), in [0, 1], got {got}; uint8 pixels go through lib.models.to_unit first")
    if pixels.numel():
        low, high = pixels.detach().aminmax()
        if not (low >= 0 and high <= 1):  # so is NaN
            raise InputError(f"images must lie in [0, 1], got [{low:g}, {high:g}]; it is the network that normalises")


def check_images(pixels: Tensor, labels: Tensor) -> None:
    """InputError unless these are such images, with one int64 label >= 0 each."""
    check_pixels(pixels)
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != pixels.shape[:1]:
        got = f"{labels.dtype} of shape {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise InputError(f"labels must be int64, one an image, ({len(pixels)},), got {got}")
    if labels.numel() and labels.min() < 0:
        raise InputError(f"labels must be >= 0, got {int(labels.min())}")


def _logits(network: Network, x: Tensor, labels: Tensor) -> Tensor:
    """The network's logits, checked, in float32 at least."""
    logits = network(x)
    if not isinstance(logits, Tensor):
        raise InputError(f"a network must map images to a tensor of logits, got {type(logits).__name__}")
    if logits.ndim != 2 or len(logits) != len(x) or logits.shape[1] < 2:
        raise InputError(f"a network must map {len(x)} images to logits ({len(x)}, classes >= 2), got {tuple(logits.shape)}")
    if labels.numel() and labels.max() >= logits.shape[1]:
        raise InputError(f"labels must be below the network's {logits.shape[1]} classes, got {int(labels.max())}")
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


@contextmanager
def still(network: Network) -> Iterator[Network]:
    """The network in evaluation mode, its parameters asking for no gradients; both as before when it closes. Functions are taken as they are."""
    if not isinstance(network, nn.Module):
        yield network
        return
    modes = {module: module.training for module in network.modules()}
    asking = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        network.eval()
        for parameter in asking:
            parameter.requires_grad_(False)
        yield network
    finally:
        for module, training in modes.items():
            module.training = training
        for parameter in asking:
            parameter.requires_grad_(True)


def pixel_gradient(network: Network, labels: Tensor, *, loss: str = "cross-entropy", temperature: float = 1.0) -> Callable[[Tensor], Tensor]:
    """The function: pixels (n, c, h, w) -> gradient of each image's loss with respect to its own pixels. Entries that are not finite come as 0."""
    if loss not in LOSSES:
        raise unknown("loss", loss, LOSSES)
    if not finite("temperature", temperature, least=0):
        raise InputError("temperature must be above 0, got 0; its limit is the loss 'margin'")

    def gradient(x: Tensor) -> Tensor:
        # also where the caller has switched gradients off
        with torch.inference_mode(False), torch.enable_grad():
            right = labels.clone() if labels.is_inference() else labels
            x = (x.clone() if x.is_inference() else x.detach()).requires_grad_()
            # a sum: in evaluation mode no image's loss depends on the others, and no gradient shrinks with the batch
            total = LOSSES[loss](_logits(network, x, right), right, temperature).sum()
            return torch.autograd.grad(total, x)[0].nan_to_num_(0, 0, 0)

    return gradient
