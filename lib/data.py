"""Data sets as uint8 tensors in memory: digits (always there), CIFAR-10 and Tiny ImageNet (looked for under DATA_DIR)."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lib import paths, store
from lib.code import exempt
from lib.errors import InputError, unknown

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# SHA-256 over the sorted SHA-256 of every image and label: the same for any order of the rows (see `content`)
CIFAR10_CONTENT = {
    "train": "7e668c4885aa2438d2da735b8de2034b09b8557f54d8d215139e9726d556529a",
    "test": "9dcc191001a348609f3c13ffb1bc8c758051453904739bce30719f5674ecb7da",
}


@exempt
@dataclass(frozen=True)
class Images:
    """A split of a data set: `pixels` uint8 (n, c, h, w), `labels` int64 (n,), `classes` the class names in label order."""

    pixels: Tensor
    labels: Tensor
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: slice | Tensor) -> Images:
        return replace(self, pixels=self.pixels[index], labels=self.labels[index])

    def first(self, limit: int) -> Images:
        """The first `limit` images; 0: all. Raises InputError for what is no number of images."""
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise InputError(f"limit is a number of images, 0 for all of them, got {limit!r}")
        return self[: limit or len(self)]

    def to(self, device: str | torch.device) -> Images:
        """The same images on another device; a whole data set fits on a GPU as uint8 (CIFAR-10: 184 MB)."""
        return replace(self, pixels=self.pixels.to(device), labels=self.labels.to(device))

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with any pixel, any label and the order of the rows."""
        digest = hashlib.sha256(json.dumps([list(self.pixels.shape), self.classes]).encode())
        digest.update(self.pixels.cpu().contiguous().numpy().data)
        digest.update(self.labels.cpu().contiguous().numpy().data)
        return digest.hexdigest()[:16]


def content(images: Images) -> str:
    """SHA-256 of what a split holds, whatever the order of its rows: tells the same data in another file layout."""
    pixels, labels = images.pixels.numpy(), images.labels.numpy()
    rows = sorted(hashlib.sha256(p.tobytes() + int(y).to_bytes(2)).digest() for p, y in zip(pixels, labels, strict=True))
    return hashlib.sha256(b"".join(rows)).hexdigest()


# ---- digits ----------------------------------------------------------------------------------------------------------


def _digits(split: str) -> Images:
    """scikit-learn's 1,797 digits, 8x8 grey in 17 levels, bilinearly enlarged to 32x32 RGB; 1,297 train, 500 test."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    # float64, and weights that are multiples of 1/8: the same pixels on every machine
    grey = torch.from_numpy(digits.images)[:, None] * (255 / 16)
    large = torch.nn.functional.interpolate(grey, size=(32, 32), mode="bilinear", align_corners=False)
    pixels = large.round().to(torch.uint8).expand(-1, 3, -1, -1).contiguous()
    train, test = train_test_split(np.arange(len(pixels)), test_size=500, random_state=0, stratify=digits.target)
    rows = torch.from_numpy(train if split == "train" else test)
    return Images(pixels[rows], torch.from_numpy(digits.target)[rows].long(), tuple("0123456789"))


# ---- file layouts ----------------------------------------------------------------------------------------------------


def _decode(raw: list[bytes]) -> Tensor:
    """Encoded pictures of one size to uint8 (n, 3, h, w); raises ValueError or OSError for anything else."""

    def one(picture: bytes) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))

    if not raw:
        raise ValueError("no pictures")
    with ThreadPoolExecutor() as pool:
        rows = np.stack(list(pool.map(one, raw, chunksize=64)))  # ValueError when their sizes differ
    return torch.from_numpy(rows).permute(0, 3, 1, 2).contiguous()


def _parquet(files: list[Path], image: str, label: str, classes: tuple[str, ...] | None) -> Images:
    """The Hugging Face layout: a column of {bytes, path} structs and one of integer labels."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pa.concat_tables([pq.read_table(file) for file in files])
        raw = [row["bytes"] for row in table[image].to_pylist()]
        labels = torch.from_numpy(table[label].to_numpy().astype(np.int64))
        pixels = _decode(raw)
    except (pa.ArrowException, KeyError, TypeError, ValueError, OSError) as error:  # Pillow's errors are OSErrors
        raise InputError(f"cannot read {files[0].parent}: {str(error).splitlines()[0]}; put the data set there again") from error
    if classes is None:  # the names are in the file's own description, where the writer kept them
        described = json.loads((table.schema.metadata or {}).get(b"huggingface", b"{}"))
        names = described.get("info", {}).get("features", {}).get(label, {}).get("names")
        classes = tuple(names) if names else tuple(f"class {i}" for i in range(int(labels.max()) + 1))
    return Images(pixels, labels, classes)


def _torchvision_cifar10(root: Path, split: str) -> Images:
    """torchvision's own layout; torchvision checks the MD5 of each batch before it is opened."""
    from torchvision.datasets import CIFAR10

    try:
        found = CIFAR10(root, train=split == "train")
    except RuntimeError as error:
        raise InputError(f"{root / CIFAR10.base_folder} is damaged: {error}; delete it and run python -m lib data cifar10 --download") from error
    pixels = torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous()
    return Images(pixels, torch.tensor(found.targets), CIFAR10_CLASSES)


def _tiny_imagenet_tree(root: Path, split: str) -> Images:
    """The official folder tree: wnids.txt, train/<wnid>/images/*.JPEG, val/images with val_annotations.txt."""
    wnids = sorted((root / "wnids.txt").read_text().split())
    if split == "train":
        files = [(file, wnid) for wnid in wnids for file in sorted((root / "train" / wnid / "images").glob("*.JPEG"))]
        if lacking := set(wnids) - {wnid for _, wnid in files}:
            raise InputError(f"{root} holds no train pictures of {min(lacking)} ({len(lacking)} classes); unpack tiny-imagenet-200.zip there again")
    else:
        rows = [line.split("\t") for line in (root / "val" / "val_annotations.txt").read_text().splitlines()]
        files = [(root / "val" / "images" / row[0], row[1]) for row in rows]
    if not files:
        raise InputError(f"{root} holds no {split} pictures; unpack tiny-imagenet-200.zip there again")
    try:
        labels = torch.tensor([wnids.index(wnid) for _, wnid in files])
        pixels = _decode([file.read_bytes() for file, _ in files])
    except (ValueError, OSError) as error:
        raise InputError(f"cannot read {root}: {error}; unpack tiny-imagenet-200.zip there again") from error
    return Images(pixels, labels, tuple(wnids))


class Source(NamedTuple):
    """One place where a split may lie: the files it consists of, empty when it is not there, and how to read them."""

    where: Path
    files: list[Path]
    read: Callable[[], Images]


def _cifar10_sources(root: Path, split: str) -> Iterator[Source]:
    parquet = sorted((root / "cifar10").glob(f"{split}-*.parquet"))
    yield Source(root / "cifar10" / f"{split}-*.parquet", parquet, lambda: _parquet(parquet, "img", "label", CIFAR10_CLASSES))
    for base in (root, root / "cifar10"):
        folder = base / "cifar-10-batches-py"
        files = sorted(folder.glob("data_batch_*" if split == "train" else "test_batch"))
        yield Source(folder, files, lambda base=base: _torchvision_cifar10(base, split))


def _tiny_imagenet_sources(root: Path, split: str) -> Iterator[Source]:
    name = {"train": "train", "test": "valid"}[split]  # the test labels were never published: the validation set serves
    parquet = sorted((root / "tiny-imagenet").glob(f"{name}-*.parquet"))
    yield Source(root / "tiny-imagenet" / f"{name}-*.parquet", parquet, lambda: _parquet(parquet, "image", "label", None))
    for tree in (root / "tiny-imagenet-200", root / "tiny-imagenet" / "tiny-imagenet-200"):
        marks = [file for file in (tree / "wnids.txt", tree / "val" / "val_annotations.txt") if file.is_file()]
        yield Source(tree, marks if len(marks) == 2 else [], lambda tree=tree: _tiny_imagenet_tree(tree, split))


# ---- loading ---------------------------------------------------------------------------------------------------------

SPLITS = ("train", "test")
# name: (side of its images in pixels, number of classes, how to get it)
DATASETS = {
    "digits": (32, 10, "comes with scikit-learn"),
    "cifar10": (32, 10, "python -m lib data cifar10 --download"),
    "tiny-imagenet": (64, 200, "unpack http://cs231n.stanford.edu/tiny-imagenet-200.zip there"),
}
_SOURCES = {"cifar10": _cifar10_sources, "tiny-imagenet": _tiny_imagenet_sources}


def image_side(name: str) -> int:
    """Side in pixels of a data set's images; raises InputError for an unknown one."""
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    return DATASETS[name][0]


@lru_cache(maxsize=8)
def _load(name: str, split: str, root: Path) -> Images:
    tried = []
    for source in _SOURCES[name](root, split):
        if source.files:
            return _cached(name, split, source)
        tried.append(str(source.where))
    raise InputError(f"data set {name!r} ({split}) not found: looked for {', '.join(tried)}; to get it: {DATASETS[name][2]}")


@exempt
def load(name: str, split: str) -> Images:
    """A split ("train" or "test") of a data set, decoded once and then read from a local cache file.

    "digits" is always there; "cifar10" and "tiny-imagenet" are looked for under $DATA_DIR in the Hugging Face layout, then in the official one.
    For "tiny-imagenet" the test split is the published validation set.
    raises  InputError for an unknown name or split, a set that is missing (with what was looked for, and where), or one that is damaged
    """
    image_side(name)
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    return _digits(split) if name == "digits" else _load(name, split, paths.data())


def _cached(name: str, split: str, source: Source) -> Images:
    """The decoded split from .cache/, remade when its files changed or the cache fails its own CRC."""
    stamp = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in source.files]
    key = hashlib.sha256(json.dumps([str(source.where), stamp]).encode()).hexdigest()[:12]
    file = paths.cache() / "data" / f"{name}-{split}-{key}.npz"

    def decode() -> dict[str, np.ndarray]:
        images = source.read()
        if name == "cifar10" and content(images) != CIFAR10_CONTENT[split]:
            raise InputError(f"{source.where} does not hold CIFAR-10's {split} split ({len(images)} images, other content); get it again: {DATASETS[name][2]}")
        return {"pixels": images.pixels.numpy(), "labels": images.labels.numpy(), "classes": np.array(images.classes)}

    found = store.kept(file, decode, what=f"the decoded {name}")
    return Images(torch.from_numpy(found["pixels"]), torch.from_numpy(found["labels"]), tuple(found["classes"].tolist()))


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
