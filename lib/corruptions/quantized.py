"""Grey levels as bytes and as numbers, cast as in the reference, which does not round."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lib.corruptions.layouts import true_places

_UNIT = np.arange(256) / 255


def to_unit(pixels: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
    """Convert uint8 levels to numbers in [0, 1]."""
    if pixels.device.type == "cpu" and dtype == torch.float64:
        import cv2  # half a second to import

        # 256 divisions, not one a value
        return torch.from_numpy(cv2.LUT(pixels.reshape(1, -1).numpy(), _UNIT)).view(pixels.shape)
    # a GPU would turn the division by a plain number into a product with its reciprocal, and some levels
    # would come back one lower
    return pixels.to(dtype).div_(torch.tensor(255, dtype=dtype, device=pixels.device))


def to_levels(values: Tensor) -> Tensor:
    """Clip values to [0, 1] and convert them to uint8 levels, truncated towards zero as in the reference.

    The argument is overwritten.
    """
    return cut(values.clamp_(0, 1).mul_(255))


def cut(values: Tensor) -> Tensor:
    """Truncate floats in [0, 256) to uint8. torch's own cast would go through 64-bit integers, one by one."""
    return (
        torch.from_numpy(values.numpy().astype(np.uint8))
        if values.device.type == "cpu"
        else values.int().to(torch.uint8)
    )


def cleared_below(values: Tensor, least: float) -> Tensor:
    """Set what is less than `least` to 0, in place. torch's fill by a mask is ten times as slow as its
    threshold, whose test is strict.
    """
    lower = torch.nextafter(
        torch.tensor(least, dtype=values.dtype), torch.tensor(-torch.inf, dtype=values.dtype)
    )
    # torch's types do not list it
    return functional.threshold_(values, lower.item(), 0)  # type: ignore[attr-defined]


MARGIN = 1e-3  # levels: float32 sums of up to 30 levels are off by less than 6e-4


def settled(values: Tensor, exact: Callable[[Tensor], Tensor], margin: float = MARGIN) -> Tensor:
    """Truncate float32 levels, whose error is below a margin, to uint8: the fast sum is enough for nearly all
    of them.

    The argument is overwritten.

    Args:
        exact: Function from places along the flattened values, where the next level is too near to tell, to
            their uint8 levels.
    """
    out, above = cut(values.sub(margin).clamp_(min=0)), cut(values.add_(margin))
    places = true_places(out != above)
    if len(places):  # of one image, none may be: OpenCV takes no empty arrays
        out.view(-1)[places] = exact(places)
    return out
