"""Encoded pictures, checked and decoded."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lib.data.images import UnfitData

FORMATS = ("PNG", "JPEG", "WEBP")  # Pillow has some 40 more, each a way in for a hostile file

# of other modes the conversion to RGB would have to guess: transparency, palettes, inks, 16 bits
MODES = ("RGB", "L")


def largest_picture(side: int) -> int:
    """The most bytes that an encoded picture may have: twice its pixels, and 8 KiB for headers."""
    return 2 * 3 * side**2 + 8192


def _fault(picture: Image.Image, encoded: bytes, side: int) -> str | None:
    """Why a picture whose header was read is not decoded; None if it is."""
    if picture.size != (side, side):
        return f"is {picture.width}×{picture.height} pixels, not {side}×{side}"
    if (frames := getattr(picture, "n_frames", 1)) != 1:
        return f"is animated ({frames} frames); only single pictures are read"
    if picture.mode not in MODES:
        return f"is of mode {picture.mode}; only RGB and grey (L) are read"
    if "transparency" in picture.info:
        return "has transparent pixels; only opaque pictures are read"
    if picture.format == "PNG" and encoded[24] != 8:  # Pillow cuts 16 bits down to 8 without a word
        return f"has {encoded[24]} bits a channel; only 8 are read"
    return None


def decode_picture(encoded: bytes, side: int) -> np.ndarray:
    """Decode a PNG, JPEG or WebP picture of a known size, grey or RGB, 8 bits per channel.

    Returns:
        uint8 (3, side, side).

    Raises:
        UnfitData: It is something else; the message is to follow the picture's name.
    """
    if len(encoded) > largest_picture(side):
        raise UnfitData(f"has {len(encoded):,} bytes, too many for {side}×{side} pixels")
    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as picture:
            # only the header has been read: a picture of another size is refused before it takes memory
            if fault := _fault(picture, encoded, side):
                raise UnfitData(fault)
            return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    except UnfitData:
        raise
    except Image.DecompressionBombError as error:
        raise UnfitData(f"has hundreds of millions of pixels, not {side}×{side}") from error
    except Exception as error:
        # a damaged picture makes Pillow raise errors of a dozen kinds, SyntaxError among them
        raise UnfitData("is not a PNG, JPEG or WebP picture, or is damaged") from error


def decode(pictures: Iterable[tuple[str, bytes]], count: int, side: int) -> Tensor:
    """Decode pictures, 1,024 at a time, so that only these lie in memory in both forms.

    Args:
        pictures: Name of each picture, for messages, and its encoded form.
        count: Number of pictures.

    Returns:
        uint8 (count, 3, side, side).

    Raises:
        UnfitData: A picture that is not as `decode_picture` needs it, or another number of pictures.
    """
    pixels = np.empty((count, 3, side, side), np.uint8)
    done, waiting = 0, iter(pictures)

    def one(row: int, name: str, encoded: bytes) -> None:
        try:
            pixels[row] = decode_picture(encoded, side)
        except UnfitData as error:
            raise UnfitData(f"{name} {error}") from error

    with ThreadPoolExecutor() as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes, which are checked, and of metadata, which is not used
        while batch := list(islice(waiting, 1024)):
            if done + len(batch) > count:
                raise UnfitData(f"{batch[-1][0]} is more than the {count:,} pictures that were announced")
            list(pool.map(one, range(done, done + len(batch)), *zip(*batch, strict=True)))
            done += len(batch)
    if done != count:
        raise UnfitData(f"only {done:,} of {count:,} pictures were found")
    return torch.from_numpy(pixels)
