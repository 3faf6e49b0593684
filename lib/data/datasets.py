"""Data sets as uint8 tensors in memory: digits (always there), CIFAR-10 and Tiny ImageNet (under DATA_DIR).

Every copy of CIFAR-10 and of Tiny ImageNet is compared with the published one and put into one order of rows,
so that "the first 1,000 test images" are the same images on every machine.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import cache, cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lib import paths, store
from lib.code import exempt
from lib.errors import InputError, unknown

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


# ---- images ------------------------------------------------------------------------------------------------


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

    def to(self, device: str | torch.device) -> Images:
        """Copy the images to another device; a whole data set fits on a GPU as uint8 (CIFAR-10: 184 MB)."""
        return replace(self, pixels=self.pixels.to(device), labels=self.labels.to(device))

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with any pixel, any label, any class name and the order of the rows.

        They are computed once per object. `load` gives rows in one order, so the fingerprint of what it
        returns is the same for every copy of a data set.
        """
        digest = hashlib.sha256(json.dumps([list(self.pixels.shape), self.classes]).encode())
        digest.update(self.pixels.cpu().contiguous().numpy().data)
        digest.update(self.labels.cpu().contiguous().numpy().data)
        return digest.hexdigest()[:16]


class Unfit(InputError):
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
    def count(self) -> int:
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


def _row_digests(images: Images) -> list[bytes]:
    """SHA-256 of each row's pixels and label."""
    pixels, labels = images.pixels.numpy(), images.labels.tolist()
    return [hashlib.sha256(p.tobytes() + y.to_bytes(2)).digest() for p, y in zip(pixels, labels, strict=True)]


def content(images: Images) -> str:
    """SHA-256 of what a split holds, whatever the order of its rows; recognises it in any file layout."""
    return hashlib.sha256(b"".join(sorted(_row_digests(images)))).hexdigest()


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
        Unfit: The images or their labels differ from the published ones.
    """
    digests = _row_digests(images)
    rows = sorted(range(len(digests)), key=digests.__getitem__)
    if hashlib.sha256(b"".join(digests[row] for row in rows)).hexdigest() != published.content:
        raise other_than_published(where, published, len(images), "with other pixels or labels")
    order = np.array(rows) if places is None else np.array(rows)[places]
    return images[torch.from_numpy(order)]


def other_than_published(where: Path, published: Published, count: int, difference: str) -> Unfit:
    """The error for a copy of a data set that differs from the published one."""
    return Unfit(f"{where} does not hold {published.title} ({count:,} images, {difference})")


def check_counts(labels: np.ndarray, where: Path, published: Published) -> None:
    """Check that every class has as many images as it was published with.

    Args:
        labels: Integers (n,), each of them the label of a class.

    Raises:
        Unfit: Another number of images, of classes, or of images of a class.
    """
    n = len(labels)
    found = np.bincount(labels, minlength=len(published.classes))
    if (present := np.count_nonzero(found)) != len(found):
        raise other_than_published(where, published, n, f"of {present} classes, not {len(found)}")
    if n != published.count:
        raise other_than_published(where, published, n, f"not {published.count:,}")
    for name, number in zip(published.classes, found.tolist(), strict=True):
        if number != published.per_class:
            raise other_than_published(
                where, published, n, f"{number:,} of class {name}, not {published.per_class:,}"
            )


# ---- files -------------------------------------------------------------------------------------------------


def listed(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder whose name matches a pattern, sorted; none if there is no such folder.

    Raises:
        Unfit: There is something of that name that cannot be listed. (`Path.glob` would call it empty.)
    """
    try:
        return sorted(folder / name for name in os.listdir(folder) if fnmatch(name, pattern))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise Unfit(f"{folder} cannot be read: {error.strerror}") from error


def check_regular(file: Path, limit: int | None = None) -> None:
    """Check that a file can be opened without waiting for a writer, and is not larger than it can need to be.

    Raises:
        Unfit: It is missing, a folder, a pipe or a device, or has more than `limit` bytes.
    """
    try:
        found = file.stat()
    except OSError as error:
        raise Unfit(f"{file} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise Unfit(
            f"{file} is {'a folder' if stat.S_ISDIR(found.st_mode) else 'a pipe or a device'}, not a file"
        )
    if limit is not None and found.st_size > limit:
        raise Unfit(f"{file} has {found.st_size:,} bytes, more than it can need ({limit:,})")


def read_bytes(file: Path, limit: int) -> bytes:
    """Content of a file of at most `limit` bytes; raises Unfit where it cannot be read."""
    check_regular(file, limit)
    try:
        return file.read_bytes()
    except OSError as error:
        raise Unfit(f"{file} cannot be read: {error.strerror}") from error


def read_lines(file: Path, limit: int) -> list[str]:
    """Lines of a text file of at most `limit` bytes; raises Unfit where it cannot be read or is not UTF-8."""
    raw = read_bytes(file, limit)
    try:
        return raw.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise Unfit(
            f"{file}, line {line}, holds the byte {raw[error.start]:#04x}, which is not UTF-8"
        ) from error


# ---- pictures ----------------------------------------------------------------------------------------------

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
    if getattr(picture, "n_frames", 1) != 1:
        return f"is animated ({picture.n_frames} frames); only single pictures are read"
    if picture.mode not in MODES:
        return f"is of mode {picture.mode}; only RGB and grey (L) are read"
    if "transparency" in picture.info:
        return "has transparent pixels; only opaque pictures are read"
    if picture.format == "PNG" and encoded[24] != 8:  # Pillow cuts 16 bits down to 8 without a word
        return f"has {encoded[24]} bits a channel; only 8 are read"
    return None


def decode_picture(encoded: bytes, side: int) -> np.ndarray:
    """Decode a PNG, JPEG or WebP picture of a known size, grey or RGB, 8 bits a channel.

    Returns:
        uint8 (3, side, side).

    Raises:
        Unfit: It is something else; the message is to follow the picture's name.
    """
    if len(encoded) > largest_picture(side):
        raise Unfit(f"has {len(encoded):,} bytes, too many for {side}×{side} pixels")
    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as picture:
            # only the header has been read: a picture of another size is refused before it takes memory
            if fault := _fault(picture, encoded, side):
                raise Unfit(fault)
            return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    except Unfit:
        raise
    except Image.DecompressionBombError as error:
        raise Unfit(f"has hundreds of millions of pixels, not {side}×{side}") from error
    except Exception as error:
        # a damaged picture makes Pillow raise errors of a dozen kinds, SyntaxError among them
        raise Unfit("is not a PNG, JPEG or WebP picture, or is damaged") from error


def _decode(pictures: Iterable[tuple[str, bytes]], count: int, side: int) -> Tensor:
    """Decode pictures, 1,024 at a time, so that only these lie in memory in both forms.

    Args:
        pictures: Name of each picture, for messages, and its encoded form.
        count: Number of pictures.

    Returns:
        uint8 (count, 3, side, side).

    Raises:
        Unfit: A picture that is not as `decode_picture` needs it, or another number of pictures.
    """
    pixels = np.empty((count, 3, side, side), np.uint8)
    done, waiting = 0, iter(pictures)

    def one(row: int, name: str, encoded: bytes) -> None:
        try:
            pixels[row] = decode_picture(encoded, side)
        except Unfit as error:
            raise Unfit(f"{name} {error}") from error

    with ThreadPoolExecutor() as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes, which are checked, and of metadata, which is not used
        while batch := list(islice(waiting, 1024)):
            if done + len(batch) > count:
                raise Unfit(f"{batch[-1][0]} is more than the {count:,} pictures that were announced")
            list(pool.map(one, range(done, done + len(batch)), *zip(*batch, strict=True)))
            done += len(batch)
    if done != count:
        raise Unfit(f"only {done:,} of {count:,} pictures were found")
    return torch.from_numpy(pixels)


# ---- parquet: the Hugging Face layout ----------------------------------------------------------------------

# older writers add a hash: train-00000-of-00004-1a2b3c4d5e6f7a8b.parquet
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})(?:-[0-9a-f]+)?\.parquet$")


def check_shards(files: list[Path]) -> None:
    """Check by their names that files are all the shards of one revision of a split.

    Raises:
        Unfit: A shard is missing, or there are shards of two revisions.
    """
    matches = [_SHARD.search(file.name) for file in files]
    numbered = {
        file: (int(found[1]), int(found[2])) for file, found in zip(files, matches, strict=True) if found
    }
    if not numbered:
        return  # names of another kind say nothing; the number of rows decides
    first, (_, total) = next(iter(numbered.items()))
    seen: dict[int, Path] = {}
    for file in files:
        number, of = numbered.get(file, (-1, total))
        if number < 0 or of != total or number in seen:
            other = seen.get(number, first if file != first else files[-1])
            raise Unfit(
                f"{file.parent} holds files of two revisions, {other.name} and {file.name}; keep those of one"
            )
        seen[number] = file
    if wrong := [number for number in seen if number >= total]:
        raise Unfit(f"{seen[wrong[0]]} is no shard: they count from 0 to {total - 1}")
    if len(seen) < total:
        lacking = next(number for number in range(total) if number not in seen)
        name = first.name.split("-")[0]
        raise Unfit(
            f"{first.parent} lacks {name}-{lacking:05d}-of-{total:05d}.parquet: "
            f"{len(seen)} of {total} shards are there"
        )


@contextmanager
def _parquet_errors(file: Path) -> Iterator[None]:
    """Turn whatever pyarrow raises into one line that names the file."""
    try:
        yield
    except Unfit:
        raise
    except Exception as error:  # a damaged file makes pyarrow raise errors of many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise Unfit(f"{file} cannot be read as parquet: {reason[:200]}") from error


@contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    """Open a parquet file; what goes wrong with it until it is closed is raised as Unfit."""
    import pyarrow.parquet as pq

    check_regular(file)
    # checksums of pages, where the writer wrote them
    with _parquet_errors(file), pq.ParquetFile(file, page_checksum_verification=True) as opened:
        yield opened


def _check_columns(file: Path, parquet: pq.ParquetFile, image: str, label: str, side: int) -> None:
    """Check the types of both columns, and that the pictures do not unpack to more than they can need."""
    import pyarrow as pa

    schema = parquet.schema_arrow
    for column in (image, label):
        if schema.names.count(column) != 1:
            names = ", ".join(map(repr, schema.names[:8])) or "none"
            raise Unfit(f"{file} has no column {column!r}, or two of them; it has {names}")
    kind = schema.field(label).type
    if not pa.types.is_integer(kind):
        raise Unfit(f"{file}: column {label!r} holds {str(kind)[:80]}, not integers")
    kind = schema.field(image).type
    index = kind.get_field_index("bytes") if pa.types.is_struct(kind) else -1
    if index < 0 or not (pa.types.is_binary(kind[index].type) or pa.types.is_large_binary(kind[index].type)):
        raise Unfit(
            f"{file}: column {image!r} holds {str(kind)[:80]}, "
            "not structs with a field 'bytes' of encoded pictures"
        )
    meta, size = parquet.metadata, 0
    for group in map(meta.row_group, range(meta.num_row_groups)):
        chunks = map(group.column, range(group.num_columns))
        size += sum(
            chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema == f"{image}.bytes"
        )
    if size > (limit := meta.num_rows * largest_picture(side) + 2**20):  # a page's header and statistics
        raise Unfit(f"{file}: the pictures unpack to {size:,} bytes, more than they can need ({limit:,})")


def _class_names(file: Path, schema: pa.Schema, label: str, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the classes in the order that the labels of a file count them.

    The Hugging Face library keeps them in the schema's metadata. Without them, or with names of another kind
    (words for WordNet's identifiers), the order is taken to be the usual one; the comparison with the
    published labels decides.
    """
    found: Any = (schema.metadata or {}).get(b"huggingface", b"{}")
    try:
        found = json.loads(found)
        for key in ("info", "features", label, "names"):
            found = found.get(key, {})
        if found == {}:
            return classes
        names = tuple(found)
        if not isinstance(found, list) or not all(isinstance(name, str) for name in names):
            raise TypeError
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Unfit(
            f"{file}: the description in its schema (metadata 'huggingface') is not as that library writes it"
        ) from error
    if len(set(names)) != len(names) or len(names) != len(classes):
        raise Unfit(f"{file}: its schema names {len(set(names))} different classes, not {len(classes)}")
    return names if set(names) == set(classes) else classes


def _shard_labels(file: Path, label: str, classes: tuple[str, ...]) -> np.ndarray:
    """Labels of a file, int64 (n,), counted in the order of `classes`."""
    import pyarrow.compute as pc

    with _opened(file) as parquet:
        names = _class_names(file, parquet.schema_arrow, label, classes)
        column = parquet.read(columns=[label]).column(0)
        if column.null_count:
            row = pc.index(pc.is_null(column), True).as_py()
            raise Unfit(f"{file}, row {row}: its label is null")
        values = column.to_numpy()
    wrong = np.flatnonzero((values < 0) | (values >= len(classes)))
    if len(wrong):
        raise Unfit(f"{file}, row {wrong[0]}: label {values[wrong[0]]} is not one of 0 to {len(classes) - 1}")
    return np.array([classes.index(name) for name in names])[values.astype(np.int64)]


def _shard_pictures(file: Path, image: str) -> Iterator[tuple[str, bytes]]:
    """Name and encoded form of each picture of a file."""
    with _opened(file) as parquet:
        row = 0
        for batch in parquet.iter_batches(batch_size=1024, columns=[f"{image}.bytes"]):
            for encoded in batch.column(0).flatten()[0]:  # null where the struct or its field is
                name = f"{file}, row {row}:"
                if not encoded.is_valid:
                    raise Unfit(f"{name} it has no picture (null)")
                yield f"{name} its picture", encoded.as_py()
                row += 1


def read_parquet(files: list[Path], image: str, label: str, published: Published) -> Images:
    """Read the Hugging Face layout: a column of {bytes, path} structs and one of integer labels.

    What is cheap to check is checked first: names of the files, types, number of rows, labels. Then the
    pictures are decoded.

    Raises:
        Unfit: A file that is missing, damaged or holds something else.
    """
    check_shards(files)
    where, count = files[0].parent, 0
    for file in files:
        with _opened(file) as parquet:
            _check_columns(file, parquet, image, label, published.side)
            count += parquet.metadata.num_rows
    if count > published.count:
        raise other_than_published(where, published, count, f"not {published.count:,}")
    labels = np.concatenate([_shard_labels(file, label, published.classes) for file in files])
    check_counts(labels, where, published)
    pixels = _decode(
        (picture for file in files for picture in _shard_pictures(file, image)), len(labels), published.side
    )
    return Images(pixels, torch.from_numpy(labels), published.classes)


# ---- digits ------------------------------------------------------------------------------------------------


@cache
def _digits(split: str) -> Images:
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


# ---- CIFAR-10 ----------------------------------------------------------------------------------------------

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
    digests = _row_digests(images)
    places = np.empty(len(digests), np.uint16)
    places[sorted(range(len(digests)), key=digests.__getitem__)] = np.arange(len(digests))
    return places


def _cifar10_places(split: str) -> np.ndarray:
    """The shipped order of a split; raises InputError when its file is missing or damaged."""
    try:
        raw = read_bytes(CIFAR10_ORDER, 2**20)
    except Unfit:
        raw = b""
    if hashlib.sha256(raw).hexdigest() != CIFAR10_ORDER_SHA256:
        way_out = "restore it (git checkout) or install the package again"
        raise store.damaged(CIFAR10_ORDER, "is missing or does not match its checksum", way_out)
    with np.load(io.BytesIO(raw)) as found:
        return found[split]


class _BatchUnpickler(pickle.Unpickler):
    """Unpickles what CIFAR-10's batches consist of (lists, strings and arrays) and calls nothing else."""

    def find_class(self, module: str, name: str) -> object:
        if (module.replace("._core", ".core"), name) == ("numpy.core.multiarray", "_reconstruct"):
            return np._core.multiarray._reconstruct
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
        raise Unfit(f"{file.parent} is damaged: {file.name} does not match its MD5")
    try:
        found = _BatchUnpickler(io.BytesIO(raw), encoding="latin1").load()
        pixels, labels = found["data"], np.array(found["labels"])
        if pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3072) or labels.dtype != np.int64:
            raise TypeError(f"arrays of {pixels.dtype} {pixels.shape} and {labels.dtype} {labels.shape}")
    except Exception as error:  # unpickling raises errors of any kind
        reason = f"{file.name} is no batch of images ({type(error).__name__})"
        raise Unfit(f"{file.parent} is damaged: {reason}") from error
    return pixels, labels


def _torchvision_cifar10(folder: Path, split: str) -> Images:
    """Read torchvision's own layout, the folder that the published archive unpacks to."""
    from torchvision.datasets import CIFAR10

    published = _published_cifar10(split)
    names = CIFAR10.train_list if split == "train" else CIFAR10.test_list
    batches = [_cifar10_batch(folder / name, md5) for name, md5 in names]
    pixels, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    if wrong := [label for label in labels.tolist() if not 0 <= label < len(CIFAR10_CLASSES)]:
        raise Unfit(f"{folder} is damaged: label {wrong[0]} is not one of 0 to {len(CIFAR10_CLASSES) - 1}")
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
            folder, files, lambda folder=folder: canonical(_torchvision_cifar10(folder, split), folder)
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


# ---- Tiny ImageNet -----------------------------------------------------------------------------------------

# the classes, WordNet's identifiers, sorted: a class's label is its place here
_WNIDS = """
n01443537 n01629819 n01641577 n01644900 n01698640 n01742172 n01768244 n01770393 n01774384 n01774750
n01784675 n01855672 n01882714 n01910747 n01917289 n01944390 n01945685 n01950731 n01983481 n01984695
n02002724 n02056570 n02058221 n02074367 n02085620 n02094433 n02099601 n02099712 n02106662 n02113799
n02123045 n02123394 n02124075 n02125311 n02129165 n02132136 n02165456 n02190166 n02206856 n02226429
n02231487 n02233338 n02236044 n02268443 n02279972 n02281406 n02321529 n02364673 n02395406 n02403003
n02410509 n02415577 n02423022 n02437312 n02480495 n02481823 n02486410 n02504458 n02509815 n02666196
n02669723 n02699494 n02730930 n02769748 n02788148 n02791270 n02793495 n02795169 n02802426 n02808440
n02814533 n02814860 n02815834 n02823428 n02837789 n02841315 n02843684 n02883205 n02892201 n02906734
n02909870 n02917067 n02927161 n02948072 n02950826 n02963159 n02977058 n02988304 n02999410 n03014705
n03026506 n03042490 n03085013 n03089624 n03100240 n03126707 n03160309 n03179701 n03201208 n03250847
n03255030 n03355925 n03388043 n03393912 n03400231 n03404251 n03424325 n03444034 n03447447 n03544143
n03584254 n03599486 n03617480 n03637318 n03649909 n03662601 n03670208 n03706229 n03733131 n03763968
n03770439 n03796401 n03804744 n03814639 n03837869 n03838899 n03854065 n03891332 n03902125 n03930313
n03937543 n03970156 n03976657 n03977966 n03980874 n03983396 n03992509 n04008634 n04023962 n04067472
n04070727 n04074963 n04099969 n04118538 n04133789 n04146614 n04149813 n04179913 n04251144 n04254777
n04259630 n04265275 n04275548 n04285008 n04311004 n04328186 n04356056 n04366367 n04371430 n04376876
n04398044 n04399382 n04417672 n04456115 n04465501 n04486054 n04487081 n04501370 n04507155 n04532106
n04532670 n04540053 n04560804 n04562935 n04596742 n04597913 n06596364 n07579787 n07583066 n07614500
n07615774 n07695742 n07711569 n07715103 n07720875 n07734744 n07747607 n07749582 n07753592 n07768694
n07871810 n07873807 n07875152 n07920052 n09193705 n09246464 n09256479 n09332890 n09428293 n12267677
"""
TINY_IMAGENET_CLASSES = tuple(_WNIDS.split())
TINY_IMAGENET_PER_CLASS = {"train": 500, "test": 50}
# as Pillow decodes the published JPEGs with libjpeg-turbo, which its wheels contain
TINY_IMAGENET_CONTENT = {
    "train": "085e2caa586b39447eaf04216007d13f205803e85b573f59fcc102591375c4c9",
    "test": "604f1f1c5b643a9fa0ca67e5bdd5c8c2f9f9c43fc27759fb3f11036189cd5984",
}


def _published_tiny_imagenet(split: str) -> Published:
    title = f"Tiny ImageNet's {'train' if split == 'train' else 'validation'} split"
    return Published(
        title, 64, TINY_IMAGENET_CLASSES, TINY_IMAGENET_PER_CLASS[split], TINY_IMAGENET_CONTENT[split]
    )


def _annotations(file: Path) -> dict[str, str]:
    """{name of a validation picture: its class}, from one line per picture: name, class, corners of a box."""
    found: dict[str, str] = {}
    for number, line in enumerate(read_lines(file, 2**24), 1):
        parts = line.split()  # tabs, as published; no name holds a blank, so blanks for tabs mean the same
        if not parts:
            continue
        if len(parts) < 2:
            raise Unfit(f"{file}, line {number}, has no class beside {parts[0][:80]!r}")
        name, wnid = parts[:2]
        if wnid not in TINY_IMAGENET_CLASSES:
            raise Unfit(f"{file}, line {number}: {wnid[:80]!r} is not a class of Tiny ImageNet")
        if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
            raise Unfit(f"{file}, line {number}: {name[:80]!r} is no name of a picture")
        if name in found:
            raise Unfit(f"{file}, line {number}, names {name} again")
        found[name] = wnid
    return found


def _tiny_imagenet_tree(tree: Path, split: str) -> Images:
    """Read the official tree: wnids.txt, train/<wnid>/images/*.JPEG, val/val_annotations.txt, val/images/."""
    published = _published_tiny_imagenet(split)
    wnids = set(" ".join(read_lines(tree / "wnids.txt", 2**20)).split())
    if wnids != set(published.classes):
        odd = min(wnids ^ set(published.classes))
        fault = f"{odd[:80]!r} is {'not one of them' if odd in wnids else 'missing'}"
        raise Unfit(
            f"{tree / 'wnids.txt'} does not name Tiny ImageNet's {len(published.classes)} classes: {fault}"
        )
    if split == "train":
        folders = [(tree / "train" / wnid / "images", wnid) for wnid in published.classes]
        files = [(file, wnid) for folder, wnid in folders for file in listed(folder, "*.JPEG")]
    else:
        named = _annotations(tree / "val" / "val_annotations.txt")
        files = [(tree / "val" / "images" / name, wnid) for name, wnid in named.items()]
    labels = np.array([published.classes.index(wnid) for _, wnid in files], np.int64)
    check_counts(labels, tree, published)
    limit = largest_picture(published.side)
    pixels = _decode(((str(file), read_bytes(file, limit)) for file, _ in files), len(files), published.side)
    return Images(pixels, torch.from_numpy(labels), published.classes)


def _tiny_imagenet_sources(root: Path, split: str) -> Iterator[Source]:
    published = _published_tiny_imagenet(split)
    name = {"train": "train", "test": "valid"}[
        split
    ]  # the test labels were never published: the validation set serves
    where = root / "tiny-imagenet" / f"{name}-*.parquet"
    parquet = listed(where.parent, where.name)
    yield Source(
        where, parquet, lambda: verified(read_parquet(parquet, "image", "label", published), where, published)
    )
    for tree in (root / "tiny-imagenet-200", root / "tiny-imagenet" / "tiny-imagenet-200"):
        files = [tree / "wnids.txt", tree / "val" / "val_annotations.txt"]
        if all(os.path.lexists(file) for file in files):
            # a picture added, removed or replaced changes its folder's date; 110,000 dates would take long
            pictures = [
                tree / "val" / "images",
                *(folder / "images" for folder in listed(tree / "train", "*")),
            ]
            files += [folder for folder in pictures if folder.is_dir()]
        else:
            files = []
        yield Source(
            tree, files, lambda tree=tree: verified(_tiny_imagenet_tree(tree, split), tree, published)
        )


# ---- loading -----------------------------------------------------------------------------------------------

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
    image_side(name)
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    return _digits(split) if name == "digits" else _load(name, split, paths.data())


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
    except Unfit as error:
        raise InputError(f"{error}; get it again: {DATASETS[name][2]} (after deleting {where})") from error
    places = ", ".join(tried)
    raise InputError(
        f"data set {name!r} ({split}) not found: looked for {places}; to get it: {DATASETS[name][2]}"
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
        raise Unfit(f"{error.filename or source.where} cannot be read: {error.strerror}") from error
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
            raise Unfit(f"{source.where} does not hold {name} ({split}): {fault}")
        return arrays

    what = f"the decoded {name}"
    found = store.kept(file, decode, what=what, fits=lambda arrays: _form_fault(arrays, name) is None)
    return Images(
        torch.from_numpy(found["pixels"]), torch.from_numpy(found["labels"]), tuple(found["classes"].tolist())
    )
