"""ImageNet-A: photographs that networks get wrong, of those classes that a data set shares with it."""

from __future__ import annotations

import io
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lib.base import paths
from lib.base.errors import InputError
from lib.data.files import listed, read_bytes
from lib.data.images import Images, UnfitData
from lib.data.pictures import FORMATS
from lib.data.tiny_imagenet import TINY_IMAGENET_CLASSES

SOURCE = "https://people.eecs.berkeley.edu/~hendrycks/imagenet-a.tar"
SHARED = 74  # of its 200 classes are classes of Tiny ImageNet
PHOTOGRAPHS = 2957  # are of these
LARGEST = 2**26  # bytes of a photograph's file
SUFFIXES = (".jpg", ".jpeg", ".png")


def imagenet_a(classes: tuple[str, ...], side: int) -> Images:
    """The photographs of ImageNet-A of a data set's classes, as small as that data set's images.

    They are looked for in ``$DATA_DIR/imagenet-a``, as its archive unpacks: a folder a class, named by
    WordNet's identifier. Each is made smaller by means over areas (Pillow's box filter) until its shorter
    edge has `side` pixels, and its middle is cut out; how the paper did it is not known. Grey ones become
    RGB.

    Args:
        classes: Names of the data set's classes: WordNet's identifiers, as Tiny ImageNet has them.
        side: Height and width of the result in pixels.

    Returns:
        Images with the labels of `classes`; sorted by class, and by name of the file.

    Raises:
        InputError: If the folder is missing, holds no class of these or not all that Tiny ImageNet shares
            with it, or holds something that is no photograph.
    """
    return _imagenet_a(paths.data() / "imagenet-a", tuple(classes), side)


@lru_cache(maxsize=1)  # several networks are measured one after the other
def _imagenet_a(folder: Path, classes: tuple[str, ...], side: int) -> Images:
    try:
        files = _files(folder, classes)
        with ThreadPoolExecutor() as pool:
            pixels = np.stack(list(pool.map(lambda file: _decoded(file, side), [file for file, _ in files])))
    except UnfitData as error:
        raise InputError(f"{error}; get it again: unpack {SOURCE} (after deleting {folder})") from error
    labels = torch.tensor([label for _, label in files])
    return Images(torch.from_numpy(np.ascontiguousarray(pixels)), labels, classes)


def _files(folder: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    """Files of the photographs and their labels."""
    if not folder.is_dir():
        raise InputError(
            f"ImageNet-A not found: looked for {folder}; unpack {SOURCE} in {folder.parent}, or set DATA_DIR "
            "to the folder that holds it"
        )
    held = {place.name for place in listed(folder, "*") if place.is_dir()}
    shared = [name for name in classes if name in held]
    if not shared:
        few = ", ".join(sorted(held)[:3]) or "none"
        raise InputError(
            f"{folder} has no folder of a class of the network, such as {classes[0]!r}; its folders: {few}; "
            "it shares classes with Tiny ImageNet alone, by their WordNet identifiers"
        )
    if classes == TINY_IMAGENET_CLASSES and len(shared) != SHARED:
        raise UnfitData(f"{folder} holds {len(shared)} of the {SHARED} classes shared with Tiny ImageNet")
    found = []
    for name in shared:
        # what a system leaves beside a photograph begins with a dot, and may end as one
        pictures = [
            file for file in listed(folder / name, "[!.]*") if os.path.splitext(file)[1].lower() in SUFFIXES
        ]
        if not pictures:
            raise UnfitData(f"{folder / name} holds no photograph")
        found += [(file, classes.index(name)) for file in pictures]
    if classes == TINY_IMAGENET_CLASSES and len(found) != PHOTOGRAPHS:
        raise UnfitData(
            f"{folder} holds {len(found):,} photographs of the classes shared with Tiny ImageNet, "
            f"not {PHOTOGRAPHS:,}"
        )
    return found


def _decoded(file: Path, side: int) -> np.ndarray:
    """A photograph, uint8 (3, side, side)."""
    encoded = read_bytes(file, LARGEST)
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(encoded), formats=FORMATS) as picture:
            warnings.simplefilter("ignore")  # of metadata, and of sizes: beyond twice of them is an error
            if picture.format == "PNG" and encoded[24] > 8:  # Pillow cuts them down to 8 without a word
                raise UnfitData(f"{file} has {encoded[24]} bits a channel; only 8 are read")
            return _small(picture.convert("RGB"), side)
    except UnfitData:
        raise
    except Exception as error:  # a damaged picture makes Pillow raise errors of a dozen kinds
        raise UnfitData(f"{file} is not a JPEG, PNG or WebP picture, or is damaged") from error


def _small(picture: Image.Image, side: int) -> np.ndarray:
    """The middle of an RGB picture, its shorter edge brought to `side` pixels: uint8 (3, side, side)."""
    least = min(picture.size)
    width, height = (max(side, round(edge * side / least)) for edge in picture.size)
    resized = picture.resize((width, height), Image.Resampling.BOX)
    left, top = (width - side) // 2, (height - side) // 2
    return np.asarray(resized.crop((left, top, left + side, top + side))).transpose(2, 0, 1)
