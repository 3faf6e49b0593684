"""Copy of a network with batch norm folded into the convolutions, for cheaper gradients with respect to the
input, in full or lower precision.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# dtype of each precision, and how far its logits and gradients may be from the network's, as a share of their
# length
PRECISIONS = {"float32": (None, 1e-3), "bfloat16": (torch.bfloat16, 0.3)}
PROBES = 3  # images on which the copy must agree with the network


def _fused(network: nn.Module) -> fx.GraphModule:
    """Trace the network and fold each batch norm into the convolution before it, if nothing else uses that
    convolution.
    """
    traced = fx.symbolic_trace(network)
    for node in list(traced.graph.nodes):
        before = node.args[0] if node.args else None
        if (
            node.op != "call_module"
            or not isinstance(before, fx.Node)
            or before.op != "call_module"
            or len(before.users) > 1
        ):
            continue
        # targets of call_module are names
        convolution, norm = traced.get_submodule(before.target), traced.get_submodule(node.target)  # type: ignore[arg-type]
        once = sum(other.target == before.target for other in traced.graph.nodes) == 1
        if (
            once
            and type(convolution) is nn.Conv2d
            and type(norm) is nn.BatchNorm2d
            and norm.track_running_stats
        ):
            traced.set_submodule(before.target, fuse_conv_bn_eval(convolution, norm))  # type: ignore[arg-type]
            node.replace_all_uses_with(before)
            traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def _probe(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits, and the gradient of their spread with respect to the pixels, since tracing may lose parts of
    the backward pass.
    """
    x = x.detach().clone().requires_grad_()
    logits = function(x)
    return logits.detach().double(), torch.autograd.grad(logits.double().std(1).sum(), x)[0].double()


def _agree(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor], tolerance: float) -> bool:
    return all(
        a.shape == b.shape and bool((a - b).norm() <= tolerance * a.norm())
        for a, b in zip(one, other, strict=True)
    )


def folded(
    network: Callable[[Tensor], Tensor], pixels: Tensor, *, precision: str = "float32"
) -> Callable[[Tensor], Tensor]:
    """Copy of a network in evaluation mode with batch norm folded into the convolutions before it, channels
    last, without gradients of its parameters.

    Args:
        pixels: Images (n, c, h, w) of the kind that it will see. On the first few, logits and gradients must
            agree with the network's, and the network must give the same twice.
        precision: "float32" for the precision of the network, or "bfloat16" for weights and activations in
            bfloat16.

    Returns:
        The copy, which does not follow later changes of the network; or the network itself if it is no
        module, has hooks, cannot be traced, or if the copy does not agree with it. Then no time is saved, and
        nothing is lost.
    """
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    if (
        not isinstance(network, nn.Module)
        or not len(pixels)
        or any(getattr(module, kind) for module in network.modules() for kind in hooks)
    ):
        return network
    dtype, tolerance = PRECISIONS[precision]
    with torch.inference_mode(False), torch.enable_grad():
        try:
            state = torch.random.get_rng_state()
            some = pixels[:PROBES].clone()
            own = _probe(network, some)
            steady = _agree(own, _probe(network, some), 1e-6) and torch.equal(
                state, torch.random.get_rng_state()
            )
            # torch's types list no memory_format
            twin = (
                _fused(copy.deepcopy(network).eval())  # type: ignore[call-overload]
                .requires_grad_(False)
                .to(dtype=dtype, memory_format=torch.channels_last)
            )
            function = twin if dtype is None else lambda x: twin(x.to(dtype)).float()
            if steady and _agree(own, _probe(function, some), tolerance):
                return function
        # tracing and probing run the network's own code; whatever that raises, the network itself can be used
        except Exception:  # noqa: BLE001
            return network
    return network
