"""Photographs of frost, from an installed package or from a folder, since we may not distribute them."""

from __future__ import annotations

import hashlib
import importlib.util
import io
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lib.base import paths
from lib.base.errors import InputError

# SHA-256 of the originals, which the packages imagecorruptions and imagecorruptions-imaug carry
PICTURES = {
    "frost1.png": "ff9f907860bd7a835d459e32f9d588062b7f61ee267343cc7222b56753a14755",
    "frost2.png": "fe211a89b336999c207a852ce05818d4545d0b57c5beadd824b4cc9d9a9b6137",
    "frost3.png": "2d0d50b4a9bb213f38b024ef7768731bb83cc08d2f26b5766bbc167cdfa0e504",
    "frost4.jpg": "3f8b91ca1a9fa7167b09e773da53f5ae60d0a1fd88f02a783f6e328a72887f6e",
    "frost5.jpg": "5fc6a19df4a429ba68abdcc8f8a4278d4c9f81c9ccafd2c92ab0c8cf8992ebd2",
}
SCALES = {32: 0.2, 64: 0.3}  # scale of the photographs, by the side of the images


def folder() -> Path:
    """Folder of the photographs: in the package imagecorruptions (which is not imported, since that takes
    seconds), else $DATA_DIR/frost.

    Raises:
        InputError: If they are in neither place.
    """
    found = importlib.util.find_spec("imagecorruptions")
    places = [Path(place, "frost") for place in (found.submodule_search_locations or [])] if found else []
    places.append(paths.data() / "frost")
    for place in places:
        if (place / "frost1.png").is_file():
            return place
    raise InputError(
        f"the frost photographs are missing: the package imagecorruptions-imaug is not installed and "
        f"{places[-1]} does not hold them; "
        "install it with: pip install --no-deps imagecorruptions-imaug"
    )


def _weights(size: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """OpenCV's linear interpolation along one axis: the left source and the two weights, in 2048ths, of each
    new position.
    """
    position = ((np.arange(round(size * scale)) + 0.5) / scale - 0.5).astype(np.float32)
    left = np.floor(position).astype(int)
    part = position - left.astype(np.float32)
    weights = np.rint(np.stack([1 - part, part]) * 2048).astype(np.int64)
    return left, weights


def shrunk(picture: np.ndarray, scale: float) -> np.ndarray:
    """OpenCV's bilinear resize of a picture (h, w, 3) uint8, equal to the last bit; the old picture is not
    smoothed first.
    """
    (top, down), (left, across) = _weights(picture.shape[0], scale), _weights(picture.shape[1], scale)
    levels = picture.astype(np.int64)
    right = np.minimum(left + 1, picture.shape[1] - 1)
    rows = levels[:, left] * across[0][:, None] + levels[:, right] * across[1][:, None]
    below = np.minimum(top + 1, picture.shape[0] - 1)
    upper, lower = ((down[i][:, None, None] * (rows[at] >> 4)) >> 16 for i, at in enumerate((top, below)))
    return ((upper + lower + 2) >> 2).astype(np.uint8)


@lru_cache(maxsize=2)
def frost(side: int) -> tuple[Tensor, ...]:
    """The five photographs at the size for images of 32 or 64 pixels, each (3, h, w) uint8.

    Raises:
        InputError: If a file is missing or is not the original.
    """
    place, pictures = folder(), []
    for name, expected in PICTURES.items():
        try:
            raw = (place / name).read_bytes()
        except OSError as error:
            raise InputError(
                f"cannot read {place / name} ({error.strerror}); install again with: pip install "
                f"--no-deps imagecorruptions-imaug"
            ) from error
        if hashlib.sha256(raw).hexdigest() != expected:
            raise InputError(
                f"{place / name} is not the original photograph; install again with: pip install "
                f"--no-deps imagecorruptions-imaug"
            )
        small = shrunk(np.asarray(Image.open(io.BytesIO(raw)).convert("RGB")), SCALES[side])
        pictures.append(torch.from_numpy(small).permute(2, 0, 1).contiguous())
    return tuple(pictures)
