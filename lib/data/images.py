"""Images in memory as uint8 tensors, and how files are decoded into them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lib.base.errors import InputError, unknown
from lib.base.fingerprint import exempt


@exempt
@dataclass(frozen=True)
class Images:
    """A split of a data set.

    Attributes:
        pixels: uint8 (n, c, h, w).
        labels: int64 (n,).
        classes: Names of the classes, in the order of their labels.
    """

    pixels: Tensor
    labels: Tensor
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: slice | Tensor) -> Images:
        return replace(self, pixels=self.pixels[index], labels=self.labels[index])

    def first(self, limit: int) -> Images:
        """Select the first images.

        Args:
            limit: Number of images; 0 selects all of them.

        Raises:
            InputError: `limit` is not a number of images.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            raise InputError(f"limit is a number of images, 0 for all of them, got {limit!r}")
        return self[: limit or len(self)]

    def without(self, names: Collection[str]) -> Images:
        """Leave out the images of some classes; labels and class names stay as they are.

        Args:
            names: Names of classes; none leaves the images as they are.

        Raises:
            InputError: There is no such class.
        """
        if not names:
            return self
        for name in names:
            if name not in self.classes:
                raise unknown("class", name, self.classes)
        labels = torch.tensor([self.classes.index(name) for name in names], device=self.labels.device)
        return self[~torch.isin(self.labels, labels)]

    def to(self, device: str | torch.device) -> Images:
        """Copy the images to another device; a whole data set fits on a GPU as uint8 (CIFAR-10: 184 MB)."""
        return replace(self, pixels=self.pixels.to(device), labels=self.labels.to(device))

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with any pixel, any label, any class name and the order of the rows.

        They are computed once per object. `load` gives rows in one order, so every copy of a data set has one
        fingerprint.
        """
        digest = hashlib.sha256(json.dumps([list(self.pixels.shape), self.classes]).encode())
        digest.update(self.pixels.cpu().contiguous().numpy().data)
        digest.update(self.labels.cpu().contiguous().numpy().data)
        return digest.hexdigest()[:16]


class UnfitData(InputError):
    """A file or folder of a data set is not what it should be; `load` adds how to get the data set again."""


class Published(NamedTuple):
    """What a split of a data set holds as it was published; every copy of it is compared with this.

    Attributes:
        title: Name of the split in messages.
        side: Height and width of its images in pixels.
        classes: Names of its classes in the order of their labels.
        per_class: Number of images of each class.
        content: What `content` says of it.
    """

    title: str
    side: int
    classes: tuple[str, ...]
    per_class: int
    content: str

    @property
    def total(self) -> int:
        """Number of images in the split."""
        return self.per_class * len(self.classes)


class Source(NamedTuple):
    """One place where a split may lie.

    Attributes:
        where: The place, for messages.
        files: Files and folders whose size and date tell that it has changed; none if the split is not there.
        read: Reads the split.
    """

    where: Path
    files: list[Path]
    read: Callable[[], Images]


def row_digests(images: Images) -> list[bytes]:
    """SHA-256 of each row's pixels and label."""
    pixels, labels = images.pixels.numpy(), images.labels.tolist()
    return [hashlib.sha256(p.tobytes() + y.to_bytes(2)).digest() for p, y in zip(pixels, labels, strict=True)]


def content(images: Images) -> str:
    """SHA-256 of what a split holds, whatever the order of its rows; recognises it in any file layout."""
    return hashlib.sha256(b"".join(sorted(row_digests(images)))).hexdigest()


def verified(images: Images, where: Path, published: Published, places: np.ndarray | None = None) -> Images:
    """Compare images with the published ones and put their rows into one order, whatever their files.

    The rows are sorted by the SHA-256 of their pixels and label. That order is as good as random, so that the
    first rows are a fair sample of all. Rows of equal pixels and equal labels stand beside each other, and it
    makes no difference which of them is which.

    Args:
        images: A split in any order.
        where: Where it was read, for the message.
        published: What it should hold.
        places: Another order: for each row of the result, its place among the sorted rows.

    Raises:
        UnfitData: The images or their labels differ from the published ones.
    """
    digests = row_digests(images)
    rows = sorted(range(len(digests)), key=digests.__getitem__)
    if hashlib.sha256(b"".join(digests[row] for row in rows)).hexdigest() != published.content:
        raise other_than_published(where, published, len(images), "with other pixels or labels")
    order = np.array(rows) if places is None else np.array(rows)[places]
    return images[torch.from_numpy(order)]


def other_than_published(where: Path, published: Published, count: int, difference: str) -> UnfitData:
    """The error for a copy of a data set that differs from the published one."""
    return UnfitData(f"{where} does not hold {published.title} ({count:,} images, {difference})")


def check_counts(labels: np.ndarray, where: Path, published: Published) -> None:
    """Check that every class has as many images as it was published with.

    Args:
        labels: Integers (n,), each of them the label of a class.

    Raises:
        UnfitData: Another number of images, of classes, or of images of a class.
    """
    n = len(labels)
    found = np.bincount(labels, minlength=len(published.classes))
    if (present := np.count_nonzero(found)) != len(found):
        raise other_than_published(where, published, n, f"of {present} classes, not {len(found)}")
    if n != published.total:
        raise other_than_published(where, published, n, f"not {published.total:,}")
    for name, number in zip(published.classes, found.tolist(), strict=True):
        if number != published.per_class:
            raise other_than_published(
                where, published, n, f"{number:,} of class {name}, not {published.per_class:,}"
            )
