"""Corrupted pictures as the published Tiny ImageNet-C has them: saved in JPEG files of one quality."""

from __future__ import annotations

from numbers import Integral

import torch
from torch import Tensor

from lib.base.errors import InputError
from lib.corruptions import check, digital
from lib.corruptions.draws import Draws

QUALITY = 85  # of the files of Tiny ImageNet-C; CIFAR-10-C was saved without loss


def saved(pixels: Tensor, quality: int = QUALITY) -> Tensor:
    """Images as they come back from JPEG files, on the device where they are.

    The published Tiny ImageNet-C was saved so after each corruption, JPEG compression included. That takes
    some of what a corruption did away, and leaves marks of its own.

    Args:
        pixels: uint8 (n, 3, h, w), n >= 0, of 32 or 64 pixels a side.
        quality: From 1 to 100, as libjpeg counts it.

    Returns:
        uint8 (n, 3, h, w).

    Raises:
        InputError: For images of another type or shape, and another quality.

    References:
        The scripts of Hendrycks & Dietterich 2019, arXiv 1903.12261, that made the set.
    """
    check(pixels, "jpeg_compression", 1)
    if isinstance(quality, bool) or not isinstance(quality, Integral) or not 1 <= quality <= 100:
        raise InputError(f"quality of a JPEG file is a whole number from 1 to 100, got {quality!r}")
    if not len(pixels):
        return pixels.clone()
    nothing = Draws(torch.Generator(), 0, 0, pixels.device)  # saving is not random
    return digital.jpeg_compression(pixels, nothing, quality=int(quality))
