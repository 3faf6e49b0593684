"""Data sets as uint8 tensors in memory: digits (always there), CIFAR-10 and Tiny ImageNet (under DATA_DIR).

Every copy of CIFAR-10 and of Tiny ImageNet is compared with the published one and put into one order of rows,
so that "the first 1,000 test images" are the same images on every machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from lib.base import paths
from lib.base.errors import InputError, unknown
from lib.base.files import kept
from lib.base.fingerprint import exempt
from lib.data.cifar10 import _cifar10_sources
from lib.data.digits import digits_images
from lib.data.images import Images, Source, UnfitData
from lib.data.tiny_imagenet import tiny_imagenet_sources

SPLITS = ("train", "test")

# name: (side of its images in pixels, number of classes, how to get it)
DATASETS = {
    "digits": (32, 10, "comes with scikit-learn"),
    "cifar10": (32, 10, "python -m lib data cifar10 --download"),
    "tiny-imagenet": (64, 200, "unpack http://cs231n.stanford.edu/tiny-imagenet-200.zip there"),
}

# Fingerprints of the splits that `load` gives, as far as they are known: the cached runs were trained and
# measured on these. For CIFAR-10 this is the order of the Hugging Face parquet files, see CIFAR10_ORDER.
FINGERPRINTS = {
    "digits": {"train": "5f7f903e74e14b18", "test": "e73618857d1972bf"},
    "cifar10": {"train": "052221088df94349", "test": "126e432bc932f731"},
    "tiny-imagenet": {"train": "b1797f8d0ba5000a", "test": "3cbcb6924e95052b"},
}

# How many images those splits have.
SIZES = {
    "digits": {"train": 1297, "test": 500},
    "cifar10": {"train": 50_000, "test": 10_000},
    "tiny-imagenet": {"train": 100_000, "test": 10_000},
}

_SOURCES = {"cifar10": _cifar10_sources, "tiny-imagenet": tiny_imagenet_sources}


def image_side(name: str) -> int:
    """Side of a data set's images in pixels.

    Raises:
        InputError: For an unknown data set.
    """
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    return DATASETS[name][0]


@exempt
def load(name: str, split: str) -> Images:
    """Load a split of a data set, decoded once and then read from a local cache file.

    "digits" is always there; "cifar10" and "tiny-imagenet" are looked for under $DATA_DIR in the Hugging Face
    layout, then in the official one. Both layouts give the same rows in the same order.

    Args:
        name: "digits", "cifar10" or "tiny-imagenet".
        split: "train" or "test". For "tiny-imagenet" the test split is the published validation set.

    Raises:
        InputError: An unknown name or split, or a set that is missing (with what was looked for, and where),
            damaged, or other than the published one.
    """
    if not isinstance(name, str):  # a list cannot be looked up
        raise unknown("data set", name, DATASETS)
    image_side(name)
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    return digits_images(split) if name == "digits" else _load(name, split, paths.data())


def fingerprint(name: str, split: str) -> str:
    """Fingerprint of a split, 16 hex digits, the same for every copy of it; computed once in a process."""
    return load(name, split).fingerprint


@lru_cache(maxsize=8)
def _load(name: str, split: str, root: Path) -> Images:
    tried, where = [], root
    try:
        for source in _SOURCES[name](root, split):
            where = source.where
            if source.files:
                return _cached(name, split, source)
            tried.append(str(where))
    except UnfitData as error:
        raise InputError(f"{error}; get it again: {DATASETS[name][2]} (after deleting {where})") from error
    places = ", ".join(tried)
    packed = root / f"{name}-packed" / "unpack.py"
    how = f"python {packed} {root}, which needs imagecodecs" if packed.is_file() else DATASETS[name][2]
    raise InputError(
        f"data set {name!r} ({split}) not found: looked for {places}; if it lies elsewhere, set DATA_DIR to "
        f"the folder that holds it; to get it: {how}"
    )


def _form_fault(arrays: Mapping[str, np.ndarray], name: str) -> str | None:
    """What keeps arrays from being the pixels, labels and classes of a data set; None if nothing does."""
    if set(arrays) != {"pixels", "labels", "classes"}:
        return f"arrays {', '.join(sorted(arrays))}"
    side, number, _ = DATASETS[name]
    pixels, labels, classes = arrays["pixels"], arrays["labels"], arrays["classes"]
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (3, side, side):
        return f"pixels {pixels.dtype} {pixels.shape}, not uint8 (n, 3, {side}, {side})"
    if labels.dtype != np.int64 or labels.shape != pixels.shape[:1]:
        return f"labels {labels.dtype} {labels.shape}, not int64 ({len(pixels)},)"
    if classes.dtype.kind != "U" or classes.shape != (number,):
        return f"{classes.size} names of classes, not {number}"
    if not len(labels) or labels.min() < 0 or labels.max() >= number:
        return f"labels that are not 0 to {number - 1}, or none"
    return None


def _cached(name: str, split: str, source: Source) -> Images:
    """The decoded split from .cache/, remade when the data set's files changed or the cache is damaged."""
    try:
        stamp = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in source.files]
    except OSError as error:
        raise UnfitData(f"{error.filename or source.where} cannot be read: {error.strerror}") from error
    key = hashlib.sha256(json.dumps([str(source.where), stamp]).encode()).hexdigest()[:12]
    file = paths.cache() / "data" / f"{name}-{split}-{key}.npz"

    def decode() -> dict[str, np.ndarray]:
        images = source.read()
        arrays = {
            "pixels": images.pixels.numpy(),
            "labels": images.labels.numpy(),
            "classes": np.array(images.classes),
        }
        if fault := _form_fault(arrays, name):
            raise UnfitData(f"{source.where} does not hold {name} ({split}): {fault}")
        return arrays

    what = f"the decoded {name}"
    found = kept(file, decode, what=what, fits=lambda arrays: _form_fault(arrays, name) is None)
    return Images(
        torch.from_numpy(found["pixels"]), torch.from_numpy(found["labels"]), tuple(found["classes"].tolist())
    )
