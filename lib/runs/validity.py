"""What the files of a run must hold: asked of runs that are read or listed, and of all from elsewhere.

A checksum says that a file is what somebody wrote, not that this library wrote it. Each function raises
`store.Unfit` with words that follow the file's name.
"""

from __future__ import annotations

import io
import json
import math
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import safetensors
import safetensors.torch
import torch
from PIL import Image

from lib import corruptions, data, measurements, models
from lib.base.errors import InputError
from lib.base.files import Unfit, parsed
from lib.corruptions import dataset as corruptions_dataset
from lib.measurements.measurement import FLOAT, PLACE, SHARE, Column, Kind
from lib.models.precision import single_precision_by_default
from lib.runs import images as basis
from lib.runs import store
from lib.training.recipe import LABELS, Training
from lib.training.recipe import described as recipe_described

CONFIG, HISTORY, WEIGHTS = "config.json", "history.parquet", "weights.safetensors"
REQUIRED = {CONFIG, HISTORY, WEIGHTS}  # files that every manifest lists; the weights themselves may be absent
MOST_BYTES = {CONFIG: 2**20, WEIGHTS: 2**29, store.MANIFEST: store.MANIFEST_BYTES}
TABLE_BYTES = 2**26  # of a table, packed and unpacked
TABLE_ROWS = 5_000_000  # the class means of the largest network on the most classes are 4.5 million
TEXT_LENGTH = 500
PICTURE_SIDE = 1024  # pixels

# ---- config.json -------------------------------------------------------------------------------------------


def _number(value: object, least: float = -math.inf, most: float = math.inf) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e300 and least <= value <= most  # so is neither NaN nor a whole number of 400 digits


def _count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= TEXT_LENGTH and (value == "" or value.isprintable())


def _plain(value: object) -> bool:
    return value is None or isinstance(value, bool) or _number(value) or _text(value)


Check = Callable[[object], bool]
RESULT: dict[str, Check] = {
    "status": lambda value: value in ("ok", "diverged"),
    "clean_accuracy": lambda value: _number(value, 0, 1),
    "clean_n": _count,
    "validation_accuracy": lambda value: value is None or _number(value, 0, 1),
    "best_epoch": _count,
    "epochs_run": _count,
    "train_n": _count,
    "seconds": lambda value: _number(value, 0),
    "data": _text,
}
MADE: dict[str, Check] = {  # provenance, of trainings and of tables
    "commit": _text,
    "torch": _text,
    "device": _text,
    "seconds": lambda value: _number(value, 0),
    "date": _text,
}
NAMED: dict[str, Check] = {
    "dataset": _text,
    "model": _text,
    "recipe": _text,
    "alpha": _number,
    "seed": lambda value: type(value) is int and value >= 0,
    "settings": lambda value: isinstance(value, dict) and _count(value.get("epochs")),
}


def _check_fields(what: str, found: object, fields: Mapping[str, Check], others: Check = _plain) -> None:
    """Raise Unfit unless every field is there and fit, and any others are plain values."""
    odd = "is not what this library writes:"
    if not isinstance(found, dict):
        raise Unfit(f"{odd} {what} is {_said(found)}")
    for name in fields.keys() - found.keys():
        raise Unfit(f"{odd} {what} has no {name}")
    for name, value in found.items():
        if not _text(name) or not fields.get(name, others)(value):
            raise Unfit(f"{odd} {what}.{_said(name)} is {_said(value)}")


def _said(value: object) -> str:
    said = value if isinstance(value, str) and value.isidentifier() else ascii(value)
    return said if len(said) <= 60 else f"{said[:60]}..."


def config(content: bytes) -> dict[str, dict[str, Any]]:
    """The facts of a config.json: "training", "result" and "provenance", each with the fields in use."""
    facts = parsed(content)
    parts = dict.fromkeys(("training", "result", "provenance"), lambda value: isinstance(value, dict))
    _check_fields("the file", facts, parts)
    _check_fields(
        "training", facts["training"], NAMED, lambda value: _plain(value) or isinstance(value, dict | list)
    )
    variant = facts["training"].get("variant", {"name": "plain"})
    if not isinstance(variant, dict) or not _text(variant.get("name")):
        raise Unfit(f"is not what this library writes: training.variant is {_said(variant)}")
    _check_fields("result", facts["result"], RESULT)
    _check_fields("provenance", facts["provenance"], MADE | {"engine": _text})
    return facts


def described(facts: Mapping[str, Mapping[str, Any]]) -> Training | None:
    """The training of a config.json, spelled as this library spells it; None when its recipes have none."""
    named = facts["training"]
    training = recipe_described(named)
    # 16 and 16.0, 1 and True are equal, and not the same
    same = training and json.dumps(named, sort_keys=True) == json.dumps(training.canonical(), sort_keys=True)
    return training if same else None


# ---- tables ------------------------------------------------------------------------------------------------

_IS: dict[Kind, Callable[[pa.DataType], bool]] = {
    Kind.TEXT: lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    Kind.INT: pa.types.is_signed_integer,
    Kind.FLOAT: pa.types.is_floating,
    Kind.BOOL: pa.types.is_boolean,
    Kind.BYTES: lambda kind: pa.types.is_binary(kind) or pa.types.is_large_binary(kind),
}
EPOCHS = {"epoch": PLACE, "loss": FLOAT, "selectivity": SHARE, "validation_accuracy": SHARE}
_ARROW = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError)


def frame(content: bytes) -> pd.DataFrame:
    """The rows of a table, whatever its columns, unless one has the name of a label such as alpha."""
    try:
        rows = pd.read_parquet(io.BytesIO(content))
    except (*_ARROW, AttributeError, RecursionError, NotImplementedError) as error:
        raise Unfit(f"cannot be read as a table ({_first_line(error)})") from None
    if taken := set(LABELS) & set(map(str, rows.columns)):
        raise Unfit(f"has a column {min(taken)}, which says elsewhere what network a row is about")
    return rows


def _first_line(error: BaseException) -> str:
    return ascii((str(error).splitlines() or [type(error).__name__])[0][:100])[1:-1]


def _checked_frame(content: bytes, columns: Mapping[str, Column]) -> pd.DataFrame:
    """The rows of a table with just these columns; its size is checked first: a small file may hold much."""
    try:
        texts = [name for name, one in columns.items() if one.kind == Kind.TEXT]
        file = pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts)
        facts, schema = file.metadata, file.schema_arrow
        if schema.names != list(columns):
            raise Unfit(f"has the columns {_said(', '.join(schema.names))}, not {', '.join(columns)}")
        chunks = [
            facts.row_group(i).column(j)
            for i in range(facts.num_row_groups)
            for j in range(facts.num_columns)
        ]
        unpacked = sum(chunk.total_uncompressed_size for chunk in chunks)
        if not 0 < facts.num_rows <= TABLE_ROWS or unpacked > TABLE_BYTES or len(chunks) > 10_000:
            raise Unfit(
                f"has {facts.num_rows} rows and {unpacked} bytes unpacked: no table of a run is like that"
            )
        for name, wanted in columns.items():
            _check_column(name, wanted, file.read(columns=[name])[0])
    except Unfit:
        raise
    except _ARROW as error:
        raise Unfit(f"cannot be read as a table ({_first_line(error)})") from None
    rows = frame(content)
    if list(rows.columns) != list(columns) or not rows.index.equals(pd.RangeIndex(len(rows))):
        raise Unfit(f"does not give the columns {', '.join(columns)}")
    return rows


def _check_column(name: str, wanted: Column, column: pa.ChunkedArray) -> None:
    """Raise Unfit unless a column is of its kind, has no empty cells, and its values are in their range."""
    kind = wanted.kind
    values = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not _IS[kind](values):
        raise Unfit(f"has {_said(str(values))} in column {name}, not {kind}")
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


def history(content: bytes, facts: Mapping[str, Mapping[str, Any]]) -> None:
    """Check the history of a training against its configuration: one row per epoch."""
    rows, ran = _checked_frame(content, EPOCHS), facts["result"]["epochs_run"]
    if rows.epoch.tolist() != list(range(1, ran + 1)):
        raise Unfit(f"has {len(rows)} rows, not one for each of {ran} epochs")


def table(measurement: str, content: bytes, training: Training) -> None:
    """Check a table that was measured on a network: its columns, and that its units are the network's."""
    if measurement not in measurements.MEASUREMENTS:
        frame(content)
        return
    columns = measurements.MEASUREMENTS[measurement].table
    rows = _checked_frame(content, columns)
    if {"images", "correct"} <= columns.keys() and (rows.correct > rows.images).any():
        raise Unfit("counts more right answers than images")
    if "class" in columns and rows["class"].nunique() > data.DATASETS[training.dataset][1]:
        raise Unfit(f"has more classes than {training.dataset}")
    if "corruption" in columns and not set(rows.corruption.dropna()) <= {
        corruptions_dataset.CLEAN,
        *corruptions.NAMES,
    }:
        raise Unfit("has corruptions that this library has not")
    if "right" in columns:
        _check_bits(rows, data.DATASETS[training.dataset][1])
    for picture in rows.png if "png" in columns else ():
        _check_picture(picture)
    if "layer" not in columns:
        return
    layers = _layers(training.model, training.dataset)
    depths = {name: depth for depth, name in enumerate(layers, start=1)}
    if (rows.layer.map(depths) != rows.depth).any():
        raise Unfit(f"has layers that {training.model} has not")
    if "unit" in columns:
        times = data.DATASETS[training.dataset][1] if "class" in columns else 1
        found = rows.groupby("layer").unit.agg(["nunique", "max", "size"])
        wanted = {name: (units, units - 1, units * times) for name, units in layers.items()}
        if {name: tuple(map(int, row)) for name, *row in found.itertuples()} != wanted:
            raise Unfit(f"has other units than {training.model}")


def _check_bits(rows: pd.DataFrame, classes: int) -> None:
    """Raise Unfit unless every image of every row has its bit and its label."""
    for images, right, labels, names in zip(rows.images, rows.right, rows.labels, rows.classes, strict=True):
        if len(right) != -(-images // 8) or len(labels) != images:
            raise Unfit("does not hold one bit and one label for each of its images")
        if names.count(b"\n") != classes - 1 or max(labels, default=0) >= classes:
            raise Unfit(f"holds other classes than the {classes} of its data set")
        if right and right[-1] & (0xFF >> (images % 8 or 8)):
            raise Unfit("holds more bits than images")


def _check_picture(content: bytes) -> None:
    """Raise Unfit unless this is a small PNG."""
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            small = max(picture.size) <= PICTURE_SIDE
            if small:
                picture.load()
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        Image.DecompressionBombError,
        struct.error,
        zlib.error,
    ):
        raise Unfit("holds what is no picture") from None
    if not small:
        raise Unfit(f"holds a picture of {picture.size[0]} x {picture.size[1]} pixels")


# ---- weights -----------------------------------------------------------------------------------------------


@lru_cache
def _layers(model: str, dataset: str) -> dict[str, int]:
    """The number of units of every ReLU layer, in order; nothing is computed for it."""
    with torch.device("meta"), torch.no_grad():
        network, side = models.build(model, data.DATASETS[dataset][1]).eval(), models.image_side(model)
        with models.spatial_means(network) as means:
            network(torch.zeros(1, 3, side, side))
    return {name: mean.shape[1] for name, mean in means.items()}


def weights(content: bytes, training: Training) -> None:
    """Check that weights fit the network that a training describes: names, shapes, dtypes, finite numbers."""
    with torch.device("meta"), single_precision_by_default():
        network = models.build(training.model, data.DATASETS[training.dataset][1])
    halved = {name for name, parameter in network.named_parameters() if parameter.ndim > 1}
    wanted = {
        name: (tuple(tensor.shape), torch.float16 if name in halved else tensor.dtype)
        for name, tensor in network.state_dict().items()
    }
    try:
        state = safetensors.torch.load(content)
    except (
        safetensors.SafetensorError,
        ValueError,
        TypeError,
        KeyError,
        RuntimeError,
        OverflowError,
        MemoryError,
    ) as error:
        raise Unfit(f"cannot be loaded ({_first_line(error)})") from None
    found = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in state.items()}
    if odd := sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)):
        raise Unfit(f"is not a network {training.model}: {_said(odd[0])} is {found.get(odd[0], 'absent')}")
    for name, tensor in state.items():
        if not tensor.isfinite().all() or (
            name.endswith(("running_var", "num_batches_tracked")) and (tensor < 0).any()
        ):
            raise Unfit(f"holds no proper numbers in {name}")


# ---- a whole run -------------------------------------------------------------------------------------------


def run(name: str, contents: Mapping[str, bytes]) -> Training:
    """Check a whole run that comes from elsewhere.

    Args:
        name: What it is called, <group>/<run>.
        contents: The content of each file; the weights may be absent.

    Returns:
        Its training.

    Raises:
        Unfit: Anything about it is not as this library would have written it; the words follow "holds".
    """
    for file, content in contents.items():
        if len(content) > MOST_BYTES.get(file, TABLE_BYTES):
            raise Unfit(f"{name}/{file} with {len(content)} bytes: no file of a run is that large")
    if store.MANIFEST not in contents:
        raise Unfit(f"a damaged run: {name}/{store.MANIFEST} is missing")
    files = _fit(f"{name}/{store.MANIFEST}", store.sealed, contents[store.MANIFEST])
    if unexpected := contents.keys() - {*files, store.MANIFEST}:
        raise Unfit(f"{name}/{min(unexpected)}, which its manifest does not name")
    if (
        any(file in REQUIRED for file, entry in files.items() if "measurement" in entry)
        or not files.keys() >= REQUIRED
    ):
        raise Unfit(f"{name}, whose manifest is not that of a run")
    for file, entry in files.items():
        _check_entry(name, file, entry)
        if file in contents:
            _fit(f"{name}/{file}", store.check, entry, contents[file])
        elif file != WEIGHTS:
            raise Unfit(f"a damaged run: {name}/{file} is missing")
    facts = _fit(f"{name}/{CONFIG}", config, contents[CONFIG])
    training = described(facts)
    if training is None:
        raise Unfit(f"{name}, and this library has no training such as its {CONFIG} describes")
    if training.name != name:
        raise Unfit(f"{name}, whose {CONFIG} describes {training.name[:200]}")
    result, epochs = facts["result"], training.settings.epochs
    ran = result["epochs_run"] == epochs or (
        result["status"] == "diverged" and 1 <= result["epochs_run"] < epochs
    )
    if not ran or result["best_epoch"] > result["epochs_run"]:
        raise Unfit(
            f"{name}, whose {CONFIG} tells of {result['epochs_run']} epochs where {epochs} were to be trained"
        )
    _fit(f"{name}/{HISTORY}", history, contents[HISTORY], facts)
    for file, entry in files.items():
        if "measurement" in entry:
            _fit(f"{name}/{file}", table, entry["measurement"], contents[file], training)
    about = basis.of_run(name, facts)
    about += [basis.of_table(name, facts, *one) for one in files.items() if "measurement" in one[1]]
    if len({one.fingerprint for one in about if one.part.split == "test"} - {""}) > 1:
        raise Unfit(f"{name}, whose accuracy and tables are not all about the same images")
    if WEIGHTS in contents:
        _fit(f"{name}/{WEIGHTS}", weights, contents[WEIGHTS], training)
    return training


def _fit(place: str, check: Callable, *arguments: object) -> Any:
    """What a check returns; its complaint follows the name of the file."""
    try:
        return check(*arguments)
    except Unfit as error:
        raise Unfit(f"a damaged run: {place} {error}") from None


def _check_entry(run: str, file: str, entry: Mapping[str, Any]) -> None:
    """Raise Unfit unless a manifest says of a file what this library says of such a one."""
    facts = {fact: value for fact, value in entry.items() if fact not in ("sha256", "bytes")}
    wrong = Unfit(f"{run}, whose manifest is not that of a run: of {file} it says {_said(facts)}")
    if file in REQUIRED:
        if (
            facts != ({"optional": True} if file == WEIGHTS else {})
            or facts.get("optional", True) is not True
        ):
            raise wrong
        return
    if facts.pop("optional", None) is not None or not _text(facts.get("measurement")):
        raise wrong
    settings, made = facts.pop("settings", None), facts.pop("provenance", None)
    if not re.fullmatch("[0-9a-f]{16}", str(facts.get(basis.FACT, "0" * 16))):
        raise wrong
    if not isinstance(settings, dict) or not _text(facts.get("code")) or not all(map(_plain, facts.values())):
        raise wrong
    try:
        if file != measurements.file_name(facts["measurement"], settings):
            raise wrong
        _check_fields("provenance", made, MADE)
    except Unfit:
        raise wrong from None
    except (InputError, TypeError, ValueError) as error:
        raise Unfit(f"{run}/{file}, which this library does not know: {_said(str(error))}") from None
