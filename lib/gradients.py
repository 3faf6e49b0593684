"""Gradients with respect to the pixels: of the logits, and of every unit inside a network."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lib import models
from lib.base.errors import InputError, unknown
from lib.models.activations import Network, check_pixels, still
from lib.models.fuse import PRECISIONS, folded


def jacobian_norms(network: Network, pixels: Tensor) -> Tensor:
    """Frobenius norm of the Jacobian of the logits with respect to the pixels, for each image: how far a
    change of the image can move its logits.

    Args:
        network: Maps float pixels (n, c, h, w) in [0, 1] to logits (n, classes).
        pixels: (n, c, h, w) float in [0, 1].

    Returns:
        (n,) float64, in units of logits per change of the pixels of length 1.

    Raises:
        InputError: For images that are not float or leave [0, 1].
    """
    check_pixels(pixels)
    with still(network):
        function = folded(network, pixels)
        # also where the caller has switched gradients off
        with torch.inference_mode(False), torch.enable_grad():
            x = pixels.detach().clone().requires_grad_()
            # in evaluation mode no image's logits depend on the others: the gradient of a sum over images
            # holds every image's own
            sums = function(x).sum(0)
            squares = [
                torch.autograd.grad(one, x, retain_graph=True)[0].double().square().sum((1, 2, 3))
                for one in sums
            ]
    return torch.stack(squares).sum(0).sqrt()


# ---- Input-unit gradients ----------------------------------------------------------------------------------
#
# There is one backward pass per unit for a whole batch of images; all units of all layers share the forward
# pass. The passes are cheap because batch norm is folded away, parameters need no gradients, the pass of a
# unit starts at its own layer, and which units fire is found once in full precision and then held fixed. The
# network is linear in between, so the passes themselves can run in bfloat16 at the price of a rounding error
# of some tenths of a percent, which switches no unit on or off.


class _Gated(torch.autograd.Function):
    """Product of x with a mask.

    The backward pass is in channels-last layout, in which a convolution is fastest, also after a shortcut
    that has changed the layout.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(mask)
        return x * mask

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return gradient.contiguous(memory_format=torch.channels_last) * mask, None


class _Gate(nn.Module):
    """Replacement of a ReLU that passes what the ReLU passes for the current images."""

    mask: Tensor  # (n, units, h, w): 1 where a unit fires, else 0
    out: Tensor

    def forward(self, x: Tensor) -> Tensor:
        self.out = _Gated.apply(x, self.mask)
        return self.out


class _Linear:
    """A network that is linear around each image: its ReLUs are replaced by gates."""

    def __init__(self, network: nn.Module, pixels: Tensor, precision: str) -> None:
        self.network = folded(network, pixels)
        self.dtype = PRECISIONS[precision][0] or pixels.dtype
        # folded gives a module for a module
        twin = copy.deepcopy(self.network).to(dtype=self.dtype, memory_format=torch.channels_last)  # type: ignore[attr-defined]
        self.gates: dict[str, _Gate] = {}
        for layer in models.relu_layers(twin):
            self.gates[layer] = _Gate()
            twin.set_submodule(layer, self.gates[layer])
        self.twin = twin.requires_grad_(False)

    def around(self, pixels: Tensor) -> tuple[Tensor, dict[str, _Gate]]:
        """Run the pixels through the network.

        Returns:
            The pixels as a leaf that gradients reach, and the gates ``{layer: gate}`` in the order of the
            forward pass.
        """
        fires: dict[str, Tensor] = {}

        def keep(layer: str) -> Callable[[nn.Module, tuple, Tensor], None]:
            def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
                if layer in fires:
                    raise InputError(
                        f"{layer} is used twice in one pass; give each use an nn.ReLU of its own"
                    )
                if output.ndim != 4:
                    raise InputError(
                        f"{layer} gives {tuple(output.shape)}; units are feature maps (n, units, h, "
                        f"w), such as follow a convolution"
                    )
                fires[layer] = (output > 0).to(self.dtype).contiguous(memory_format=torch.channels_last)

            return hook

        pixels = pixels.contiguous(memory_format=torch.channels_last)
        hooks = [
            module.register_forward_hook(keep(layer))
            for layer, module in models.relu_layers(self.network).items()  # type: ignore[arg-type]
        ]
        try:
            with torch.no_grad():
                self.network(pixels)
        finally:
            for hook in hooks:
                hook.remove()
        if not fires:
            raise InputError("the network has no nn.ReLU in its forward pass, so there are no units")
        for layer, mask in fires.items():
            self.gates[layer].mask = mask
        x = pixels.to(self.dtype).clone().requires_grad_()
        self.twin(x)
        return x, {layer: self.gates[layer] for layer in fires}


def input_unit_gradients(
    network: nn.Module, pixels: Tensor, *, precision: str = "float32"
) -> dict[str, Tensor]:
    """Input-unit gradients: length of the gradient of each unit's activation, averaged over space, with
    respect to the pixels of each image.

    Args:
        network: Module with nn.ReLU layers, each used once, that takes float pixels (n, c, h, w) in [0, 1].
            Its mode and gradients are left as they were.
        pixels: (n, c, h, w) float in [0, 1].
        precision: Precision of the backward passes: "float32" is that of the network; "bfloat16" takes half
            the time and gives each length within 2 %. Which units fire is decided in the network's own
            precision in either case.

    Returns:
        ``{layer: (n, units) float64}``, in units of activation per change of the pixels of length 1; 0 for a
        unit that does not fire on an image.

    Raises:
        InputError: For no images, images that are not float, not of the parameters' dtype or leave [0, 1], an
            unknown precision, no ReLU, one that is used twice, or one that follows no convolution.

    References:
        Leavitt & Morcos 2020, input-unit gradients; that units are averaged over space is our choice.

    Example:
        >>> network = models.build("resnet8", classes=10)
        >>> input_unit_gradients(network, torch.rand(2, 3, 32, 32))["layer3.0.relu2"].shape
        torch.Size([2, 32])
    """
    check_pixels(pixels)
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if not isinstance(network, nn.Module):
        raise InputError(f"units are those of a module's nn.ReLU layers, got {type(network).__name__}")
    if not len(pixels):
        raise InputError("units are found by passing images through the network, got 0 images")
    kinds = {parameter.dtype for parameter in network.parameters() if parameter.is_floating_point()} - {
        pixels.dtype
    }
    if kinds:
        raise InputError(
            f"images of {pixels.dtype} do not pass a network whose parameters are "
            f"{', '.join(map(str, kinds))}; convert one with .to(...)"
        )
    size = 250 if pixels.is_cuda else 16  # on a CPU, the activations of more images do not fit into the cache
    parts: dict[str, list[Tensor]] = {}
    with still(network), torch.inference_mode(False), torch.enable_grad():
        pixels = pixels.detach().clone()
        linear = _Linear(network, pixels, precision)
        for some in pixels.split(size):
            x, gates = linear.around(some)
            for layer, gate in gates.items():
                parts.setdefault(layer, []).append(_lengths(gate, x))
    return {layer: torch.cat(part) for layer, part in parts.items()}


def _lengths(gate: _Gate, x: Tensor) -> Tensor:
    """Lengths (n, units) of the gradients of a layer's spatial means with respect to x."""
    n, units, height, width = gate.mask.shape
    lengths = torch.zeros(n, units, dtype=torch.float64, device=x.device)
    for unit in gate.mask.amax((0, 2, 3)).nonzero().flatten().tolist():
        # gradient of the sum over space: in low precision, 1 is exact and 1 / (h w) need not be
        there = torch.zeros_like(gate.out, memory_format=torch.channels_last)
        there[:, unit] = 1
        (gradient,) = torch.autograd.grad(gate.out, x, there, retain_graph=True)
        lengths[:, unit] = gradient.double().square().sum((1, 2, 3)).sqrt()
    return lengths / (height * width)
