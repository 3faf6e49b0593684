"""Write golden_certificates.json: bounds of small networks by auto_LiRPA.

It is made by hand, with auto-lirpa 0.3 (the newest on the package index) beside torch 2.11, which it was not
written for: what it asks of older versions is put in its way here. Into a folder of its own, not the project's
environment:

    pip install --no-deps --target FOLDER auto-lirpa==0.3 appdirs ninja
    PYTHONPATH=FOLDER:. python tests/lirpa.py
"""

import json
import sys
import types
from functools import lru_cache
from pathlib import Path

import numpy
import torch
import torch.onnx.symbolic_helper
from torch.onnx._internal.torchscript_exporter._globals import GLOBALS

former = types.ModuleType("numpy.lib.arraysetops")
former.isin = numpy.isin
sys.modules["numpy.lib.arraysetops"] = former
torch.onnx.symbolic_helper._set_opset_version = lambda version: setattr(
    GLOBALS, "export_onnx_opset_version", version
)
torch._C.Node.__getitem__ = lambda node, name: getattr(node, node.kindOf(name))(name)

import auto_LiRPA.bound_general  # noqa: E402
from auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm  # noqa: E402
from test_certificates import KINDS, Residual, drawn, images  # noqa: E402


@lru_cache
def kernel(channels: int, pad: tuple[int, ...]) -> tuple[torch.Tensor, tuple[int, int]]:
    """Weights and padding of the convolution that pads, made before the network is traced."""
    left, right, top, bottom, before, behind = (*pad, 0, 0, 0, 0)[:6]
    tall, wide = max(top, bottom), max(left, right)
    shape = (1 + 2 * tall - top - bottom, 1 + 2 * wide - left - right)
    weight = torch.zeros(before + channels + behind, channels, *shape)
    for channel in range(channels):
        weight[before + channel, channel, tall - top, wide - left] = 1
    return weight, (tall, wide)


def padded(
    x: torch.Tensor, pad: tuple[int, ...], mode: str = "constant", value: float | None = None
) -> torch.Tensor:
    """Zeros around images, or channels of zeros, by a convolution, since auto_LiRPA does not take today's pad."""
    weight, padding = kernel(int(x.shape[1]), tuple(pad))
    return torch.conv2d(x, weight, None, (1, 1), padding)


@lru_cache
def averages(channels: int, side: int) -> torch.Tensor:
    """Weights of the convolution that takes means."""
    return torch.eye(channels).view(channels, channels, 1, 1).expand(-1, -1, side, side) / side**2


def averaged(x: torch.Tensor, kernel_size: int, *others: object, **options: object) -> torch.Tensor:
    """Average pooling by a convolution, likewise."""
    return torch.conv2d(x, averages(int(x.shape[1]), kernel_size), None, kernel_size)


# strides of a slice it does not take either
Residual.shortcut = lambda self, h: torch.conv2d(h, kernel(4, (0, 0, 0, 0, 1, 1))[0], None, 2)
torch.nn.functional.pad, torch.nn.functional.avg_pool2d = padded, averaged
torch.nn.functional.adaptive_avg_pool2d = lambda x, size: averaged(x, int(x.shape[2]))
members = auto_LiRPA.bound_general.BoundedModule._named_members
auto_LiRPA.bound_general.BoundedModule._named_members = lambda self, get, prefix="", recurse=True, **_: (
    members(self, get, prefix, recurse)
)
RULES = {"fastlin": "same-slope", "crown": "adaptive", "zero": "zero-lb"}  # as auto_LiRPA calls them


def bounds(kind: str, seed: int, epsilon: float, method: str) -> list:
    """Lower and upper bounds of the logits of two images, to 8 digits."""
    network, some = drawn(kind, seed).double(), images(2, seed).double()
    network(some)
    ball = PerturbationLpNorm(
        norm=float("inf"), x_L=(some - epsilon).clamp(min=0), x_U=(some + epsilon).clamp(max=1)
    )
    options = {"relu": RULES.get(method, "adaptive"), "conv_mode": "matrix"}
    # every unit's range by linear bounds, none by intervals
    options |= {"sparse_intermediate_bounds": False, "sparse_features_alpha": False}
    bounded = BoundedModule(network, torch.zeros_like(some), bound_opts=options)
    found = bounded.compute_bounds(
        x=(BoundedTensor(some, ball),), method="IBP" if method == "interval" else "backward"
    )
    return [[[round(value, 8) for value in row] for row in one.tolist()] for one in found]


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    cases = [
        {"kind": kind, "seed": seed, "epsilon": epsilon, "method": method}
        for seed, kind in enumerate(KINDS)
        for epsilon in (0.01, 0.05)
        for method in ("interval", *RULES)
    ]
    lines = ",\n ".join(json.dumps(case | {"bounds": bounds(**case)}) for case in cases)
    Path(__file__).with_name("golden_certificates.json").write_text(f"[{lines}]\n", encoding="utf-8")
