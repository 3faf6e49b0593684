"""A network as what its layers put out: its ReLUs by name, their spatial means, and the modes it must be
in.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lib.base.errors import InputError


def relu_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Every ReLU by name, in the order of the forward pass.

    These are the layers of the analysis; logits are not among them.
    """
    return {name: module for name, module in network.named_modules() if isinstance(module, nn.ReLU)}


@contextmanager
def spatial_means(network: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Context manager: each forward pass puts the output of every ReLU layer, averaged over space, into a
    dictionary.

    Yields:
        ``{layer name: (n, units) float32}``, overwritten by the next forward pass; gradients flow through it.

    Example:
        >>> network = build("resnet8", classes=10)
        >>> with spatial_means(network) as means:
        ...     _ = network(torch.zeros(2, 3, 32, 32))
        >>> means["layer3.0.relu2"].shape
        torch.Size([2, 32])
    """
    means: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple, Tensor], None]:
        def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            means[name] = output.float().mean((2, 3))

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in relu_layers(network).items()]
    try:
        yield means
    finally:
        for hook in hooks:
            hook.remove()


def evaluated(network: nn.Module) -> torch.device:
    """The device of a network in evaluation mode.

    Raises:
        InputError: If it is in training mode, in which a batch would change it.
    """
    if network.training:
        raise InputError("measurements need a network in evaluation mode; call network.eval() first")
    return next(network.parameters()).device


def to_unit(pixels: Tensor) -> Tensor:
    """Convert uint8 pixels (n, c, h, w) to float32 in [0, 1], the input of every network."""
    return pixels.float() / 255


Network = Callable[[Tensor], Tensor]


def finite(name: str, value: object, *, least: float) -> float:
    """Check a number that is given as an argument.

    Raises:
        InputError: Unless it is finite and at least `least`.
    """
    if isinstance(value, Tensor) and value.ndim == 0:
        value = value.item()
    # numbers beyond 1e30 would overflow in float32
    if (
        isinstance(value, bool)
        or not isinstance(value, numbers.Real)
        or not math.isfinite(value)
        or not least <= value <= 1e30  # type: ignore[operator]  # Real has no order in its types
    ):
        raise InputError(f"{name} must be a finite number >= {least:g}, got {value!r}")
    return float(value)


def check_pixels(pixels: Tensor) -> None:
    """Check images.

    Raises:
        InputError: Unless they are (n, c, h, w), float32 or float64, in [0, 1].
    """
    if (
        not isinstance(pixels, Tensor)
        or pixels.dtype not in (torch.float32, torch.float64)
        or pixels.ndim != 4
    ):
        got = (
            f"{pixels.dtype} of shape {tuple(pixels.shape)}"
            if isinstance(pixels, Tensor)
            else type(pixels).__name__
        )
        raise InputError(
            f"images must be float32 or float64, (n, c, h, w), in [0, 1], got {got}; uint8 pixels go "
            f"through lib.models.to_unit first"
        )
    if pixels.numel():
        low, high = pixels.detach().aminmax()
        if not (low >= 0 and high <= 1):  # NaN is refused here too
            raise InputError(
                f"images must lie in [0, 1], got [{low:g}, {high:g}]; it is the network that normalises"
            )


def check_images(pixels: Tensor, labels: Tensor) -> None:
    """Check images and their labels.

    Raises:
        InputError: Unless they are images as in `check_pixels`, with one int64 label >= 0 each.
    """
    check_pixels(pixels)
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != pixels.shape[:1]:
        got = (
            f"{labels.dtype} of shape {tuple(labels.shape)}"
            if isinstance(labels, Tensor)
            else type(labels).__name__
        )
        raise InputError(f"labels must be int64, one an image, ({len(pixels)},), got {got}")
    if labels.numel() and labels.min() < 0:
        raise InputError(f"labels must be >= 0, got {int(labels.min())}")


@contextmanager
def still(network: Network) -> Iterator[Network]:
    """Context manager: evaluation mode, parameter gradients off; both restored on exit.

    A network that is a plain function is used as it is.
    """
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
