"""Parquet shards in the Hugging Face layout, checked and read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lib.base.text import printable
from lib.data.files import check_regular
from lib.data.images import Images, Published, UnfitData, check_counts, other_than_published
from lib.data.pictures import decode, largest_picture

# older writers add a hash: train-00000-of-00004-1a2b3c4d5e6f7a8b.parquet
if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


_SHARD = re.compile(r"-(\d{5})-of-(\d{5})(?:-[0-9a-f]+)?\.parquet$")


def check_shards(files: list[Path]) -> None:
    """Check by their names that files are all the shards of one revision of a split.

    Raises:
        UnfitData: A shard is missing, or there are shards of two revisions.
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
            raise UnfitData(
                f"{file.parent} holds files of two revisions, {other.name} and {file.name}; keep those of one"
            )
        seen[number] = file
    if wrong := [number for number in seen if number >= total]:
        raise UnfitData(f"{seen[wrong[0]]} is no shard: they count from 0 to {total - 1}")
    if len(seen) < total:
        lacking = next(number for number in range(total) if number not in seen)
        name = first.name.split("-")[0]
        raise UnfitData(
            f"{first.parent} lacks {name}-{lacking:05d}-of-{total:05d}.parquet: "
            f"{len(seen)} of {total} shards are there"
        )


@contextmanager
def _parquet_errors(file: Path) -> Iterator[None]:
    """Turn whatever pyarrow raises into one line that names the file."""
    try:
        yield
    except UnfitData:
        raise
    except Exception as error:  # a damaged file makes pyarrow raise errors of many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnfitData(f"{file} cannot be read as parquet: {printable(reason[:200])}") from error


@contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    """Open a parquet file; what goes wrong with it until it is closed is raised as UnfitData."""
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
            raise UnfitData(f"{file} has no column {column!r}, or two of them; it has {names}")
    kind = schema.field(label).type
    if not pa.types.is_integer(kind):
        raise UnfitData(f"{file}: column {label!r} holds {str(kind)[:80]}, not integers")
    kind = schema.field(image).type
    index = kind.get_field_index("bytes") if pa.types.is_struct(kind) else -1
    if index < 0 or not (pa.types.is_binary(kind[index].type) or pa.types.is_large_binary(kind[index].type)):
        raise UnfitData(
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
        raise UnfitData(f"{file}: the pictures unpack to {size:,} bytes, more than they can need ({limit:,})")


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
        raise UnfitData(
            f"{file}: the description in its schema (metadata 'huggingface') is not as that library writes it"
        ) from error
    if len(set(names)) != len(names) or len(names) != len(classes):
        raise UnfitData(f"{file}: its schema names {len(set(names))} different classes, not {len(classes)}")
    return names if set(names) == set(classes) else classes


def _shard_labels(file: Path, label: str, classes: tuple[str, ...]) -> np.ndarray:
    """Labels of a file, int64 (n,), counted in the order of `classes`."""
    import pyarrow.compute as pc

    with _opened(file) as parquet:
        names = _class_names(file, parquet.schema_arrow, label, classes)
        column = parquet.read(columns=[label]).column(0)
        if column.null_count:
            row = pc.index(pc.is_null(column), True).as_py()
            raise UnfitData(f"{file}, row {row}: its label is null")
        values = column.to_numpy()
    wrong = np.flatnonzero((values < 0) | (values >= len(classes)))
    if len(wrong):
        raise UnfitData(
            f"{file}, row {wrong[0]}: label {values[wrong[0]]} is not one of 0 to {len(classes) - 1}"
        )
    return np.array([classes.index(name) for name in names])[values.astype(np.int64)]


def _shard_pictures(file: Path, image: str) -> Iterator[tuple[str, bytes]]:
    """Name and encoded form of each picture of a file."""
    with _opened(file) as parquet:
        row = 0
        for batch in parquet.iter_batches(batch_size=1024, columns=[f"{image}.bytes"]):
            for encoded in batch.column(0).flatten()[0]:  # null where the struct or its field is
                name = f"{file}, row {row}:"
                if not encoded.is_valid:
                    raise UnfitData(f"{name} it has no picture (null)")
                yield f"{name} its picture", encoded.as_py()
                row += 1


def read_parquet(files: list[Path], image: str, label: str, published: Published) -> Images:
    """Read the Hugging Face layout: a column of {bytes, path} structs and one of integer labels.

    What is cheap to check is checked first: names of the files, types, number of rows, labels. Then the
    pictures are decoded.

    Raises:
        UnfitData: A file that is missing, damaged or holds something else.
    """
    check_shards(files)
    where, count = files[0].parent, 0
    for file in files:
        with _opened(file) as parquet:
            _check_columns(file, parquet, image, label, published.side)
            count += parquet.metadata.num_rows
    if count > published.total:
        raise other_than_published(where, published, count, f"not {published.total:,}")
    labels = np.concatenate([_shard_labels(file, label, published.classes) for file in files])
    check_counts(labels, where, published)
    pixels = decode(
        (picture for file in files for picture in _shard_pictures(file, image)), len(labels), published.side
    )
    return Images(pixels, torch.from_numpy(labels), published.classes)
