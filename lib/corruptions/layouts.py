"""Layout of images in memory and how much is worked on at once, which makes corruptions fast and changes no
pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

# pixels of an image times images: with their float64 copies, more would not fit into a processor's cache;
# less means many small steps
PART = 2**17


@lru_cache(maxsize=1)
def keep_memory() -> None:
    """Let the C library keep freed memory, up to 64 MiB, instead of fetching the pages of every large tensor
    from the system again.

    glibc takes the largest block freed so far, up to 32 MiB, as the size from which on blocks are the
    system's, and twice that as what it keeps. None of the pages is touched here. Elsewhere this does nothing.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8)


def in_parts(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Compute function(``*tensors``) for a few images at a time on a CPU; a GPU takes all at once."""
    n, *_, height, width = tensors[0].shape
    part = PART // (height * width)
    if n <= part or tensors[0].device.type != "cpu":
        return function(*tensors)
    return torch.cat([
        function(*some) for some in zip(*(tensor.split(part) for tensor in tensors), strict=True)
    ])


def transposed(matrix: Tensor) -> Tensor:
    """Contiguous transpose of a matrix. OpenCV's is nine times as fast as torch's on bytes."""
    if matrix.device.type != "cpu":
        return matrix.T.contiguous()
    import cv2  # half a second to import

    return torch.from_numpy(cv2.transpose(matrix.contiguous().numpy()))


def images_last(x: Tensor) -> Tensor:
    """Move images from (n, c, h, w) to (h, w, c, n), so that operations on rows and columns work on long
    stretches of memory.
    """
    n, c, h, w = x.shape
    return transposed(x.transpose(0, 1).reshape(c * n, h * w)).view(h, w, c, n)


def images_first(x: Tensor) -> Tensor:
    """Move images from (h, w, c, n) back to (n, c, h, w)."""
    h, w, c, n = x.shape
    return transposed(x.reshape(h * w, c * n)).view(c, n, h, w).transpose(0, 1).contiguous()


def true_places(mask: Tensor) -> Tensor:
    """Places along the flattened values where a mask is true or numbers are not 0. numpy's search is five
    times as fast as torch's.
    """
    if mask.device.type != "cpu":
        return mask.flatten().nonzero().flatten()
    return torch.from_numpy(np.flatnonzero(mask.numpy()))


def channel_by_channel(
    function: Callable[[np.ndarray], np.ndarray], levels: Tensor, dtype: torch.dtype
) -> Tensor:
    """Apply a function of (h, w, n) to each channel of levels (h, w, c, n), on a CPU.

    It serves OpenCV, to which the images are the channels of one picture.

    OpenCV takes 128 channels, which is what PART comes to with the smallest images.
    """
    made = torch.empty(levels.shape, dtype=dtype)
    for channel in range(levels.shape[2]):
        some = levels[:, :, channel].contiguous()
        # OpenCV drops a last dimension of 1
        made[:, :, channel] = torch.from_numpy(function(some.numpy())).view(some.shape)
    return made


def at_most(values: Tensor, most: float) -> Tensor:
    """Mask of values that are at most a number. numpy compares with a number six times as fast as torch."""
    return torch.from_numpy(values.numpy() <= most) if values.device.type == "cpu" else values <= most
