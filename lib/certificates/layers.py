"""What bounds must know of each kind of layer: affine maps as the map itself and its absolute weights, and
where two branches meet or a ReLU stands.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.base.errors import InputError

Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Affine:
    """A map x -> W x + b of images one by one.

    Attributes:
        apply: x to W x + b.
        spread: A half-width r >= 0 to ``|W| r``, with the absolute value of each weight.
    """

    apply: Map
    spread: Map


@dataclass(frozen=True)
class Combine:
    """Sum or difference of two branches, a + sign * b."""

    sign: int


@dataclass(frozen=True)
class Relu:
    """A ReLU, the one kind of layer that is not affine."""


Layer = Affine | Combine | Relu


class Unsupported(Exception):
    """A layer without bounds; the message says why, where that is not plain."""


def _linear(apply: Map) -> Affine:
    """A map without bias whose weights are not negative: padding, pooling, another shape."""
    return Affine(apply, apply)


# ---- layers with weights: read at each call, so that they follow a training and carry its gradient ---------


def _normalised(norm: nn.modules.batchnorm._BatchNorm, x: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and shift (channels,) of a batch norm in evaluation mode, in the precision of x."""
    if norm.running_mean is None or norm.running_var is None:
        raise Unsupported(
            "it normalises with the statistics of the batch, so that images are not independent"
        )
    scale = (norm.running_var.to(x.dtype) + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.to(x.dtype)
    shift = -norm.running_mean.to(x.dtype) * scale
    return scale, shift if norm.bias is None else shift + norm.bias.to(x.dtype)


def convolution(layer: nn.Conv2d, norm: nn.BatchNorm2d | None = None) -> Affine:
    """A convolution, with the batch norm that follows it folded in."""
    if layer.padding_mode != "zeros":
        raise Unsupported(f"padding_mode={layer.padding_mode!r}; only zeros are padded")

    def weights(x: Tensor) -> tuple[Tensor, Tensor | None]:
        weight, bias = layer.weight.to(x.dtype), layer.bias
        bias = None if bias is None else bias.to(x.dtype)
        if norm is None:
            return weight, bias
        scale, shift = _normalised(norm, x)
        return weight * scale.view(-1, 1, 1, 1), shift if bias is None else bias * scale + shift

    def through(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)

    return Affine(lambda x: through(x, *weights(x)), lambda r: through(r, weights(r)[0].abs(), None))


def linear(layer: nn.Linear) -> Affine:
    def apply(x: Tensor) -> Tensor:
        return F.linear(x, layer.weight.to(x.dtype), None if layer.bias is None else layer.bias.to(x.dtype))

    return Affine(apply, lambda r: F.linear(r, layer.weight.to(r.dtype).abs()))


def batch_norm(norm: nn.modules.batchnorm._BatchNorm) -> Affine:
    """A batch norm that no convolution can take in."""

    def by_channel(x: Tensor, values: Tensor) -> Tensor:
        return values.view(1, -1, *[1] * (x.ndim - 2))

    def apply(x: Tensor) -> Tensor:
        scale, shift = _normalised(norm, x)
        return x * by_channel(x, scale) + by_channel(x, shift)

    _normalised(norm, norm.weight if norm.weight is not None else torch.zeros(1))  # refused now, not later
    return Affine(apply, lambda r: r * by_channel(r, _normalised(norm, r)[0].abs()))


def _average(layer: nn.AvgPool2d) -> Affine:
    def pooled(divisor: int | None) -> Map:
        return partial(
            F.avg_pool2d,
            kernel_size=layer.kernel_size,
            stride=layer.stride,
            padding=layer.padding,
            ceil_mode=layer.ceil_mode,
            count_include_pad=layer.count_include_pad,
            divisor_override=divisor,
        )

    divisor = layer.divisor_override
    return Affine(pooled(divisor), pooled(None if divisor is None else abs(divisor)))


def _zero_pad(layer: nn.ZeroPad2d) -> Affine:
    return _linear(partial(F.pad, pad=tuple(layer.padding)))


def _same(layer: nn.Module) -> Affine:
    return _linear(lambda x: x)


MODULES: Mapping[type[nn.Module], Callable[..., Layer]] = {
    nn.Conv2d: convolution,
    nn.Linear: linear,
    nn.BatchNorm1d: batch_norm,
    nn.BatchNorm2d: batch_norm,
    nn.ReLU: lambda layer: Relu(),
    nn.Identity: _same,
    nn.Dropout: _same,  # in evaluation mode
    nn.Dropout2d: _same,
    nn.Flatten: lambda layer: flatten(layer.start_dim, layer.end_dim),
    nn.AvgPool2d: _average,
    nn.AdaptiveAvgPool2d: lambda layer: _linear(
        partial(F.adaptive_avg_pool2d, output_size=layer.output_size)
    ),
    nn.ZeroPad2d: _zero_pad,
}


# ---- functions and methods of tensors: made of the arguments after the first, x ----------------------------


def flatten(start_dim: int = 0, end_dim: int = -1) -> Affine:
    if start_dim == 0:
        raise Unsupported("it joins the images of a batch; flatten(1) keeps them apart")
    return _linear(lambda x: x.flatten(start_dim, end_dim))


def _mean(dim: int | tuple[int, ...] | list[int] | None = None, keepdim: bool = False) -> Affine:
    dims = (dim,) if isinstance(dim, int) else tuple(dim or ())

    def apply(x: Tensor) -> Tensor:
        if not dims or any(one % x.ndim == 0 for one in dims):
            raise Unsupported("it takes the mean over the images of a batch")
        return x.mean(dims, keepdim=keepdim)

    return _linear(apply)


def _pad(pad: tuple[int, ...], mode: str = "constant", value: float | None = None) -> Affine:
    if mode != "constant":
        raise Unsupported(f"mode={mode!r}; only constants are padded")

    def apply(x: Tensor) -> Tensor:
        if len(pad) >= 2 * x.ndim:
            raise Unsupported("it pads the batch")
        return F.pad(x, tuple(pad), value=value or 0.0)

    return Affine(apply, lambda r: F.pad(r, tuple(pad)))


def _pick(index: object) -> Affine:
    first = index[0] if isinstance(index, tuple) and index else index
    if not isinstance(first, slice) or first != slice(None):
        raise Unsupported("it takes images out of a batch; an index begins with ':' here")
    return _linear(lambda x: x[index])  # type: ignore[index]  # whatever the network indexes with


def reshape(*shape: int) -> Affine:
    """Another shape of each image; the place of the batch is left out of `shape`."""
    return _linear(lambda x: x.reshape(len(x), *shape))


def _adaptive(output_size: int | tuple[int, int]) -> Affine:
    return _linear(partial(F.adaptive_avg_pool2d, output_size=output_size))


def _pooled(
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Affine:
    return _average(
        nn.AvgPool2d(kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    )


def _relu(inplace: bool = False) -> Relu:
    return Relu()


FUNCTIONS: Mapping[object, Callable[..., Layer]] = {
    F.relu: _relu,
    torch.relu: _relu,
    "relu": _relu,
    F.pad: _pad,
    F.avg_pool2d: _pooled,
    F.adaptive_avg_pool2d: _adaptive,
    torch.flatten: flatten,
    "flatten": flatten,
    torch.mean: _mean,
    "mean": _mean,
    operator.getitem: _pick,
    "contiguous": lambda: _linear(lambda x: x),
}


# ---- arithmetic with constants and between branches --------------------------------------------------------

_SIGNS: Mapping[object, str] = {
    operator.add: "+",
    operator.iadd: "+",
    torch.add: "+",
    "add": "+",
    "add_": "+",
    operator.sub: "-",
    operator.isub: "-",
    torch.sub: "-",
    "sub": "-",
    "sub_": "-",
    operator.mul: "*",
    torch.mul: "*",
    "mul": "*",
    operator.truediv: "/",
    torch.div: "/",
    "div": "/",
}


def sign(target: object) -> str | None:
    """Which of + - * / a function or method is, if any."""
    return _SIGNS.get(target)


def _beside(x: Tensor, constant: object) -> Tensor:
    """A constant as a tensor like x."""
    value = torch.as_tensor(constant, dtype=x.dtype, device=x.device)
    if value.ndim >= x.ndim and value.shape[0] != 1:
        raise Unsupported("a constant differs from image to image of a batch")
    return value


def combined(kind: str) -> Combine:
    """The layer of a + b or a - b for two branches.

    Raises:
        Unsupported: For their product or quotient.
    """
    if kind not in "+-":
        raise Unsupported("two branches are multiplied or divided; they may be added")
    return Combine(1 if kind == "+" else -1)


def with_constant(kind: str, constant: object, *, first: bool) -> Affine:
    """The layer of x + c, x * c and so on, or, where the constant comes first, of c + x, c * x.

    Raises:
        Unsupported: For c / x, which is not affine.
    """
    if kind == "/" and first:
        raise Unsupported("a constant is divided by a branch, which is not affine")
    if kind == "*":
        return Affine(lambda x: x * _beside(x, constant), lambda r: r * _beside(r, constant).abs())
    if kind == "/":
        return Affine(lambda x: x / _beside(x, constant), lambda r: r / _beside(r, constant).abs())

    def apply(x: Tensor) -> Tensor:
        value = _beside(x, constant)
        if kind == "+":
            return x + value
        return value - x if first else x - value

    return Affine(apply, lambda r: r + torch.zeros_like(_beside(r, constant)))  # the shape may grow


def names() -> str:
    """The kinds of layers that have bounds, for messages."""
    return ", ".join(kind.__name__ for kind in MODULES) + ", sums of branches, means over space"


def refused(name: str, kind: str, why: str = "") -> InputError:
    """Error for a layer without bounds."""
    reason = f" ({why})" if why else ""
    return InputError(
        f"the layer {name!r} of the network, {kind}, has no bounds{reason}; there are for {names()}"
    )
