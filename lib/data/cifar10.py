"""CIFAR-10, in the layouts it is found in."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from lib.base import paths
from lib.base.errors import InputError
from lib.base.files import damaged
from lib.data.files import listed, read_bytes
from lib.data.images import Images, Published, Source, UnfitData, check_counts, row_digests, verified
from lib.data.parquet import read_parquet

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

CIFAR10_PER_CLASS = {"train": 5000, "test": 1000}

# SHA-256 over the sorted SHA-256 of every image and label: the same for any order of the rows (see `content`)
CIFAR10_CONTENT = {
    "train": "7e668c4885aa2438d2da735b8de2034b09b8557f54d8d215139e9726d556529a",
    "test": "9dcc191001a348609f3c13ffb1bc8c758051453904739bce30719f5674ecb7da",
}

# The order of the copy that the book's first networks were trained on. No rule gives it: see `sorted_places`.
CIFAR10_ORDER = Path(__file__).with_name("cifar10_order.npz")

CIFAR10_ORDER_SHA256 = "8ad37719c933a091895e839e57263ae50cb37bbbd557f538d84574baef75ede4"


def _published_cifar10(split: str) -> Published:
    title = f"CIFAR-10's {split} split"
    return Published(title, 32, CIFAR10_CLASSES, CIFAR10_PER_CLASS[split], CIFAR10_CONTENT[split])


def sorted_places(images: Images) -> np.ndarray:
    """Place of each row among the sorted rows: what `verified` needs to put any copy into this order.

    `cifar10_order.npz` was made with it once, from the copy whose order all copies now get:
    `np.savez(CIFAR10_ORDER, train=sorted_places(train), test=sorted_places(test))`.

    Returns:
        uint16 (n,), a permutation of 0 to n - 1.
    """
    digests = row_digests(images)
    places = np.empty(len(digests), np.uint16)
    places[sorted(range(len(digests)), key=digests.__getitem__)] = np.arange(len(digests))
    return places


def _cifar10_places(split: str) -> np.ndarray:
    """The shipped order of a split.

    Raises:
        InputError: If its file is missing or damaged.
    """
    try:
        raw = read_bytes(CIFAR10_ORDER, 2**20)
    except UnfitData:
        raw = b""
    if hashlib.sha256(raw).hexdigest() != CIFAR10_ORDER_SHA256:
        way_out = "restore it (git checkout) or install the package again"
        raise damaged(CIFAR10_ORDER, "is missing or does not match its checksum", way_out)
    with np.load(io.BytesIO(raw)) as found:
        return found[split]


class _BatchUnpickler(pickle.Unpickler):
    """Unpickles what CIFAR-10's batches consist of (lists, strings and arrays) and calls nothing else."""

    def find_class(self, module: str, name: str) -> object:
        if (module.replace("._core", ".core"), name) == ("numpy.core.multiarray", "_reconstruct"):
            return np._core.multiarray._reconstruct  # type: ignore[attr-defined]  # private
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return lambda code, *_: np.dtype(
                code
            )  # Python 2 wrote two flags as numbers, of which numpy now warns
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _cifar10_batch(file: Path, md5: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 (n, 3072) and labels int64 (n,) of one of torchvision's files.

    They are pickles, which may do anything when they are opened. So the very bytes that are unpickled are
    compared with the MD5 that torchvision ships, and the unpickler makes nothing but arrays.
    """
    raw = read_bytes(file, 2**26)
    if hashlib.md5(raw, usedforsecurity=False).hexdigest() != md5:
        raise UnfitData(f"{file.parent} is damaged: {file.name} does not match its MD5")
    try:
        found = _BatchUnpickler(io.BytesIO(raw), encoding="latin1").load()
        pixels, labels = found["data"], np.array(found["labels"])
        if pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3072) or labels.dtype != np.int64:
            raise TypeError(f"arrays of {pixels.dtype} {pixels.shape} and {labels.dtype} {labels.shape}")
    except Exception as error:  # unpickling raises errors of any kind
        reason = f"{file.name} is no batch of images ({type(error).__name__})"
        raise UnfitData(f"{file.parent} is damaged: {reason}") from error
    return pixels, labels


def _torchvision_cifar10(folder: Path, split: str) -> Images:
    """Read torchvision's own layout, the folder that the published archive unpacks to."""
    from torchvision.datasets import CIFAR10

    published = _published_cifar10(split)
    names = CIFAR10.train_list if split == "train" else CIFAR10.test_list
    batches = [_cifar10_batch(folder / name, md5) for name, md5 in names]
    pixels, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    if wrong := [label for label in labels.tolist() if not 0 <= label < len(CIFAR10_CLASSES)]:
        raise UnfitData(
            f"{folder} is damaged: label {wrong[0]} is not one of 0 to {len(CIFAR10_CLASSES) - 1}"
        )
    check_counts(labels, folder, published)
    return Images(torch.from_numpy(pixels).view(-1, 3, 32, 32), torch.from_numpy(labels), CIFAR10_CLASSES)


def _cifar10_sources(root: Path, split: str) -> Iterator[Source]:
    published = _published_cifar10(split)

    def canonical(images: Images, where: Path) -> Images:
        return verified(images, where, published, _cifar10_places(split))

    where = root / "cifar10" / f"{split}-*.parquet"
    parquet = listed(where.parent, where.name)
    yield Source(where, parquet, lambda: canonical(read_parquet(parquet, "img", "label", published), where))
    for base in (root, root / "cifar10"):
        folder = base / "cifar-10-batches-py"
        files = listed(folder, "data_batch_*" if split == "train" else "test_batch")
        yield Source(
            folder, files, partial(lambda at: canonical(_torchvision_cifar10(at, split), at), folder)
        )


def download_cifar10() -> Path:
    """Fetch CIFAR-10 with torchvision into $DATA_DIR; its archive's MD5 is checked before unpacking."""
    from torchvision.datasets import CIFAR10

    root = paths.data()
    try:
        root.mkdir(parents=True, exist_ok=True)
        CIFAR10(root, download=True)
    except (OSError, RuntimeError) as error:  # no network, a full disk, a wrong checksum
        raise InputError(f"CIFAR-10 could not be downloaded into {root}: {error}") from error
    return root / CIFAR10.base_folder
