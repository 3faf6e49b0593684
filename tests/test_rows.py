"""Tables of a run from elsewhere hold what their measurements make: nothing twice, nothing missing, every class,
and counts that images can have.
"""

import io
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib import measurements
from lib.base import paths
from lib.base.files import Unfit
from lib.runs import columns, rows, store, validity
from lib.runs.run import as_parquet
from lib.training.training import Training

MADE = {  # a published table of each kind, and where it is
    "attack": "digits-resnet8/alpha0.0-seed0-fast-a5576163",
    "corruption": "digits-resnet8/alpha0.0-seed0-fast-a5576163",
    "saved_corruption": "digits-resnet8/alpha0.0-seed0-fast-a5576163",
    "transfer": "digits-resnet8/alpha0.0-seed0-fast-a5576163",
    "dimensionality": "digits-resnet8/alpha0.0-seed0-fast-a5576163",
    "gradient": "digits-resnet8/alpha0.0-seed0-fast-a5576163",
    "jacobian": "digits-resnet8/alpha0.0-seed0-fast-a5576163",
    "autoattack": "cifar10-resnet20/alpha-0.4-seed0-fast-921e25b0",
    "image_attack": "cifar10-resnet20/alpha-1.0-seed3-fast-366f1035",
    "image_corruption": "cifar10-resnet20/alpha-1.0-seed3-fast-366f1035",
    "image_transfer": "cifar10-resnet20/alpha-1.0-seed3-fast-366f1035",
    "class_means": "cifar10-resnet20/alpha0.0-seed0-fast-e3867dab",
    "corruption_examples": "cifar10-resnet20/alpha0.0-seed0-fast-e3867dab",
    "low_rank": "digits-resnet8/alpha0.0-seed0-tune-plain-from-a5576163-c5c25be6",
    "half_width": "digits-cnn-small/alpha0.0-seed0-certified-2236d6a4",
}


def published(measurement: str) -> tuple[Path, str, pd.DataFrame]:
    """The folder of a run, the name of its table, and the rows."""
    folder = paths.ROOT / "runs" / MADE[measurement]
    files = json.loads((folder / store.MANIFEST).read_text())["files"]
    file = next(name for name, entry in files.items() if entry.get("measurement") == measurement)
    return folder, file, pd.read_parquet(folder / file)


def check(measurement: str, changed: pd.DataFrame) -> None:
    """Check a table in the place of the published one, in a run that is whole beside it."""
    folder, file, _ = published(measurement)
    facts = validity.config((folder / validity.CONFIG).read_bytes())
    settings = json.loads((folder / store.MANIFEST).read_text())["files"][file]["settings"]
    entry = {"measurement": measurement, "settings": settings}
    validity._table_of(entry, as_parquet(changed), validity.described(facts), facts)


def changes(found: pd.DataFrame):
    """(what is done, the table with it) for what can be done to any table."""
    yield "a row twice", pd.concat([found, found[:1]], ignore_index=True)
    yield "all twice", pd.concat([found, found], ignore_index=True)
    yield "the last row missing", found[:-1]
    yield "half of it missing", found[: len(found) // 2]
    for name in ("attack", "part", "change", "corruption", "class", "predicted"):
        if name in found:
            for word in ("<script>", ""):
                yield f"{name} {word!r}", found.assign(**{name: found[name].mask(found.index == 3, word)})
    for name in ("epsilon", "step_size"):
        if name in found:
            for value in (float("nan"), float("inf"), -1.0, 1e308, 0.123):
                yield f"{name} {value}", found.assign(**{name: found[name].mask(found.index == 3, value)})
    for name in ("images", *rows.COUNTED, "components_90", "units", "source_seed", "image"):
        if name in found and not pd.api.types.is_bool_dtype(found[name]):
            yield f"{name} of a million", found.assign(**{name: 1_000_000})
            yield (
                f"{name} of a million in one row",
                found.assign(**{name: found[name].mask(found.index == 3, 1_000_000)}),
            )
    if "classes" in found:
        yield "another class", found.assign(classes=found.classes.map(lambda names: names + b"x"))
    if "labels" in found:
        other = found.labels.map(lambda labels: labels[::-1]).where(found.index == 3, found.labels)
        yield "other images in one row", found.assign(labels=other)


@pytest.mark.parametrize("measurement", MADE)
def test_what_a_measurement_does_not_make_is_refused(measurement):
    _, _, found = published(measurement)
    check(measurement, found)
    check(measurement, found[::-1].reset_index(drop=True))  # the order of rows says nothing
    tried = 0
    for what, changed in changes(found):
        with pytest.raises(Unfit) as refused:
            check(measurement, changed)
        assert "\n" not in str(refused.value), what
        tried += 1
    assert tried >= 4


def test_every_measurement_says_what_its_rows_are_about():
    for one in measurements.MEASUREMENTS.values():
        assert one.about is not None and set(one.about) <= one.table.keys()
        assert one.cells is None or one.about


@pytest.mark.parametrize(
    ("measurement", "settings"), [("low_rank", {"ranks": []}), ("image_transfer", {"sources": []})]
)
def test_a_table_that_was_to_hold_nothing_is_refused(measurement, settings):
    columns = measurements.MEASUREMENTS[measurement].about
    found = pd.DataFrame({name: [1] for name in columns})
    training = Training("digits", "resnet8", 0.0, 0, "fast")
    with pytest.raises(Unfit, match="has .*, and is to hold what"):
        rows.check(measurement, found, training, settings, known=False)


@pytest.mark.parametrize(("times", "size"), [(100_000, 1_000_000), (4_900_000, 100)])
def test_a_small_file_of_many_pictures_is_refused_before_they_are_made(times, size):
    """A dictionary holds one picture, and 100 GB of rows that repeat it."""
    _, _, found = published("corruption_examples")
    one = pa.table(found[:1].assign(png=b"\x89PNG" + bytes(size)))
    long = {
        name: pa.DictionaryArray.from_arrays(
            pa.repeat(pa.scalar(0, pa.int32()), times), one[name].combine_chunks()
        )
        for name in one.column_names
    }
    buffer = io.BytesIO()
    pq.write_table(pa.table(long), buffer, compression="zstd")
    with pytest.raises(Unfit, match="no table of a run is like that"):
        columns.checked_frame(buffer.getvalue(), measurements.MEASUREMENTS["corruption_examples"].table)
