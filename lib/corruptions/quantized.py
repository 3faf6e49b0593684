"""Grey levels: bytes to numbers and back as the reference casts them, which is without rounding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lib.corruptions.layouts import true_places

_UNIT = np.arange(256) / 255


def to_unit(pixels: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
    """uint8 levels to [0, 1]."""
    if pixels.device.type == "cpu" and dtype == torch.float64:
        import cv2  # half a second to import

        return torch.from_numpy(cv2.LUT(pixels.reshape(1, -1).numpy(), _UNIT)).view(pixels.shape)  # 256 divisions, not one a value
    # a GPU would turn the division by a plain number into a product with its reciprocal, and some levels would come back one lower
    return pixels.to(dtype).div_(torch.tensor(255, dtype=dtype, device=pixels.device))


def to_levels(values: Tensor) -> Tensor:
    """Values, clipped to [0, 1], as uint8 levels: truncated towards zero, as the reference's cast does. Overwrites its argument."""
    return cut(values.clamp_(0, 1).mul_(255))


def cut(values: Tensor) -> Tensor:
    """Floats in [0, 256) to uint8, truncated. Not by torch in one step, which goes by way of 64-bit integers, one by one."""
    return torch.from_numpy(values.numpy().astype(np.uint8)) if values.device.type == "cpu" else values.int().to(torch.uint8)


def cleared_below(values: Tensor, least: float) -> Tensor:
    """0 in place of what is less than `least`, in place. torch fills by a mask ten times as slowly as it applies a threshold, which has to be passed."""
    lower = torch.nextafter(torch.tensor(least, dtype=values.dtype), torch.tensor(-torch.inf, dtype=values.dtype))
    return functional.threshold_(values, lower.item(), 0)


MARGIN = 1e-3  # levels: float32 sums of up to 30 levels are off by less than 6e-4


def settled(values: Tensor, exact: Callable[[Tensor], Tensor], margin: float = MARGIN) -> Tensor:
    """Levels, in float32 and off by less than a margin, as uint8, truncated: a quick sum settles nearly all of them. Overwrites its argument.

    exact  of places along the flattened values, where the next level is too near to tell: their levels, uint8
    """
    out, above = cut(values.sub(margin).clamp_(min=0)), cut(values.add_(margin))
    places = true_places(out != above)
    if len(places):  # of one image, none may be: OpenCV takes no empty arrays
        out.view(-1)[places] = exact(places)
    return out
