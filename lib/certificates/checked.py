"""Certificates as they are called from outside: their arguments are checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from lib.base.arguments import checking
from lib.base.errors import InputError
from lib.certificates import verify
from lib.models.taken import check_in_memory, taking

_LOOKING = "lib.models.activations"  # whose hooks look at activations and change nothing
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_PRECISIONS = (torch.float32, torch.float64)


def _check_network(network: nn.Module) -> None:
    """Refuse a network that may do something else than its layers say, on some images alone, or whose own
    numbers are coarser than those of the bounds.

    Networks in training have neither, and are not asked.
    """
    for name, value in [*network.named_parameters(), *network.named_buffers()]:
        if nn.parameter.is_lazy(value) or value.is_meta:
            raise InputError(f"{name!r} of the network has no numbers yet; it has no bounds")
        if value.is_floating_point() and value.dtype not in _PRECISIONS:
            raise InputError(
                f"{name!r} of the network is {value.dtype}, in which logits are rounded more coarsely than "
                "bounds; these are of networks in float32 or float64: network.float()"
            )
    for name, module in network.named_modules():
        which = f"the layer {name!r} of the network, {type(module).__name__}," if name else "the network"
        hooks = [hook for kind in _HOOKS for hook in getattr(module, kind).values()]
        if any(getattr(hook, "__module__", "") != _LOOKING for hook in hooks):
            raise InputError(
                f"{which} has forward hooks, which may change what it puts out; it has no bounds"
            )
        if "forward" in vars(module):
            raise InputError(f"the forward of {which.rstrip(',')} was replaced by another; it has no bounds")


def _check(given: Mapping[str, Any]) -> None:
    """Raise InputError for an argument that no certificate can take."""
    for name, value in given.items():
        if name in ("pixels", "labels"):
            check_in_memory(name, value)
        elif name == "network" and isinstance(value, nn.Module):
            _check_network(value)
        elif name in ("method", "rule") and not isinstance(value, str):
            raise InputError(f"{name} must be a name, got {type(value).__name__}")
        elif isinstance(value, int) and abs(value) >= 2**64:
            raise InputError(f"{name} must be a finite number, got a whole number of many digits")


checked = checking(_check, lambda given: taking(given["network"], given["pixels"]))
certified = checked(verify.certified)
interval_bounds = checked(verify.interval_bounds)
margins = checked(verify.margins)
singleprop = checked(verify.singleprop)
