"""scikit-learn's bundled digits as 32-pixel RGB images: the data set that is always there."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from lib.data.images import Images


@cache
def digits_images(split: str) -> Images:
    """scikit-learn's 1,797 digits (1,297 train, 500 test), 8x8 grey in 17 levels, enlarged to 32x32 RGB."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    # float64, and weights that are multiples of 1/8: the same pixels on every machine
    grey = torch.from_numpy(digits.images)[:, None] * (255 / 16)
    large = torch.nn.functional.interpolate(grey, size=(32, 32), mode="bilinear", align_corners=False)
    pixels = large.round().to(torch.uint8).expand(-1, 3, -1, -1).contiguous()
    train, test = train_test_split(
        np.arange(len(pixels)), test_size=500, random_state=0, stratify=digits.target
    )
    rows = torch.from_numpy(train if split == "train" else test)
    return Images(pixels[rows], torch.from_numpy(digits.target)[rows].long(), tuple("0123456789"))
