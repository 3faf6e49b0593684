"""Columns of the tables of runs: read from Parquet, and held against what they should hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lib.base.files import Unfit
from lib.measurements.measurement import Column, Kind
from lib.runs.fields import TEXT_LENGTH, said_shortly
from lib.training.training import LABELS

TABLE_BYTES = 2**26  # of a table, packed and unpacked
TABLE_ROWS = 200_000  # of a table
CLASS_ROWS = (
    5_000_000  # of one with a row per unit and class: of the largest network, 200 classes, 4.5 million
)
EXPANDED_BYTES = 2**28  # of texts and bytes, each repeated where it stands

_IS: dict[Kind, Callable[[pa.DataType], bool]] = {
    Kind.TEXT: lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    Kind.INT: pa.types.is_signed_integer,
    Kind.FLOAT: pa.types.is_floating,
    Kind.BOOL: pa.types.is_boolean,
    Kind.BYTES: lambda kind: pa.types.is_binary(kind) or pa.types.is_large_binary(kind),
}
_ARROW = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError)


def frame(content: bytes) -> pd.DataFrame:
    """The rows of a table, whatever its columns, unless one has the name of a label such as alpha."""
    try:  # half the time of pandas.read_parquet, which gives the same
        rows = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False).to_pandas(use_threads=False)
    except (*_ARROW, AttributeError, RecursionError, NotImplementedError) as error:
        raise Unfit(f"cannot be read as a table ({first_line(error)})") from None
    if taken := set(LABELS) & set(map(str, rows.columns)):
        raise Unfit(f"has a column {min(taken)}, which says elsewhere what network a row is about")
    return rows


def first_line(error: BaseException) -> str:
    """The first line of what an error says, cut and printable."""
    return ascii((str(error).splitlines() or [type(error).__name__])[0][:100])[1:-1]


def checked_frame(content: bytes, columns: Mapping[str, Column]) -> pd.DataFrame:
    """The rows of a table with just these columns; its size is checked first: a small file may hold much."""
    try:
        texts = [name for name, one in columns.items() if one.kind in (Kind.TEXT, Kind.BYTES)]
        file = pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts)
        facts, schema = file.metadata, file.schema_arrow
        if schema.names != list(columns):
            raise Unfit(f"has the columns {said_shortly(', '.join(schema.names))}, not {', '.join(columns)}")
        chunks = [
            facts.row_group(i).column(j)
            for i in range(facts.num_row_groups)
            for j in range(facts.num_columns)
        ]
        unpacked = sum(chunk.total_uncompressed_size for chunk in chunks)
        most = CLASS_ROWS if {"unit", "class"} <= columns.keys() else TABLE_ROWS
        if not 0 < facts.num_rows <= most or unpacked > TABLE_BYTES or len(chunks) > 10_000:
            raise Unfit(
                f"has {facts.num_rows} rows and {unpacked} bytes unpacked: no table of a run is like that"
            )
        expanded = 0
        for name, wanted in columns.items():
            column = file.read(columns=[name])[0]
            _check_column(name, wanted, column)
            expanded += _expanded(column) if name in texts else 0
            if expanded > EXPANDED_BYTES:
                raise Unfit(f"has {expanded} bytes of texts: no table of a run is like that")
    except Unfit:
        raise
    except _ARROW as error:
        raise Unfit(f"cannot be read as a table ({first_line(error)})") from None
    rows = frame(content)
    if list(rows.columns) != list(columns) or not rows.index.equals(pd.RangeIndex(len(rows))):
        raise Unfit(f"does not give the columns {', '.join(columns)}")
    return rows


def _expanded(column: pa.ChunkedArray) -> int:
    """The bytes of the texts of a column, each as often as it stands there; a dictionary holds it once."""
    total = 0
    for chunk in column.chunks:
        lengths = pc.binary_length(chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk)
        if pa.types.is_dictionary(chunk.type):
            lengths = lengths.take(chunk.indices)
        total += pc.sum(pc.cast(lengths, pa.int64())).as_py() or 0
    return total


def _check_column(name: str, wanted: Column, column: pa.ChunkedArray) -> None:
    """Raise Unfit unless a column is of its kind, has no empty cells, and its values are in their range."""
    kind = wanted.kind
    values = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not _IS[kind](values):
        raise Unfit(f"has {said_shortly(str(values))} in column {name}, not {kind}")
    if column.null_count and not wanted.empty:
        raise Unfit(f"has empty cells in column {name}")
    for chunk in column.chunks:
        texts = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
        most = {Kind.TEXT: TEXT_LENGTH, Kind.BYTES: TABLE_BYTES}.get(kind)
        if most and (pc.max(pc.binary_length(texts)).as_py() or 0) > most:
            raise Unfit(f"has a text that is too long in column {name}")
        if kind == Kind.TEXT and not all(text is None or text.isprintable() for text in texts.to_pylist()):
            raise Unfit(f"has a text that cannot be printed in column {name}")
    if wanted.least is not None and wanted.most is not None:
        numbers = _numbers(column) if kind == Kind.FLOAT else column
        found = pc.min_max(pc.drop_null(numbers)).as_py()
        if found["min"] is not None and not (wanted.least <= found["min"] and found["max"] <= wanted.most):
            raise Unfit(
                f"has {found['min']} to {found['max']} in column {name}, not {wanted.least} to {wanted.most}"
            )


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column with empty cells in place of NaN, which a network that diverged may give."""
    return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
