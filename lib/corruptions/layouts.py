"""How images lie in memory, and how much of them is worked on at once: what makes corruptions quick, and changes no pixel."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

PART = 2**17  # points of an image, times images: with their float64 copies, more would leave a processor's cache; less is many small steps


@lru_cache(maxsize=1)
def keep_memory() -> None:
    """Let the C library keep what is freed, up to 64 MiB, instead of fetching every large tensor's pages anew from the system.

    glibc takes the largest block freed so far, up to 32 MiB, as the size from which on blocks are the system's, and twice that as what it keeps. None of
    the pages is touched here. Elsewhere this does nothing.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8)


def in_parts(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """function(*tensors), computed for a few images at a time on a CPU; a GPU takes all at once."""
    n, *_, height, width = tensors[0].shape
    part = PART // (height * width)
    if n <= part or tensors[0].device.type != "cpu":
        return function(*tensors)
    return torch.cat([function(*some) for some in zip(*(tensor.split(part) for tensor in tensors), strict=True)])


def transposed(matrix: Tensor) -> Tensor:
    """(a, b) -> (b, a), contiguous. OpenCV's is nine times as fast as torch's on bytes."""
    if matrix.device.type != "cpu":
        return matrix.T.contiguous()
    import cv2  # half a second to import

    return torch.from_numpy(cv2.transpose(matrix.contiguous().numpy()))


def images_last(x: Tensor) -> Tensor:
    """(n, c, h, w) -> (h, w, c, n): all that is done to rows and columns is then done to long stretches of memory."""
    n, c, h, w = x.shape
    return transposed(x.transpose(0, 1).reshape(c * n, h * w)).view(h, w, c, n)


def images_first(x: Tensor) -> Tensor:
    """The inverse: (h, w, c, n) -> (n, c, h, w)."""
    h, w, c, n = x.shape
    return transposed(x.reshape(h * w, c * n)).view(c, n, h, w).transpose(0, 1).contiguous()


def true_places(mask: Tensor) -> Tensor:
    """Where a mask is true, or numbers are not 0, counted along its flattened values. numpy's search is five times as fast as torch's."""
    if mask.device.type != "cpu":
        return mask.flatten().nonzero().flatten()
    return torch.from_numpy(np.flatnonzero(mask.numpy()))


def channel_by_channel(function: Callable[[np.ndarray], np.ndarray], levels: Tensor, dtype: torch.dtype) -> Tensor:
    """function((h, w, n) of one channel) for each channel of levels (h, w, c, n), on a CPU: for OpenCV, to which the images are the channels of one picture.

    It takes 128 of them, what PART comes to with the smallest images.
    """
    made = torch.empty(levels.shape, dtype=dtype)
    for channel in range(levels.shape[2]):
        some = levels[:, :, channel].contiguous()
        made[:, :, channel] = torch.from_numpy(function(some.numpy())).view(some.shape)  # OpenCV drops a last dimension of 1
    return made


def at_most(values: Tensor, most: float) -> Tensor:
    """Where values are at most a number, bool. numpy compares with one six times as fast as torch."""
    return torch.from_numpy(values.numpy() <= most) if values.device.type == "cpu" else values <= most
