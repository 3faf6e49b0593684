"""Runs in tar files: packed to the same bytes, unpacked only when every bit of every run is right, and never
over another run.
"""

import gzip
import io
import json
import os
import pickle
import shutil
import signal
import sys
import tarfile
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch

from lib import measurements, runs
from lib.__main__ import main
from lib.base import paths
from lib.base.errors import InputError
from lib.runs import archive, catalogue, simulations, store, validity
from lib.training.training import Training

TABLE = measurements.file_name("selectivity", {})


@pytest.fixture
def packed(store_dir, trainings, tmp_path) -> Path:
    """An archive of the two runs of the shared store."""
    return archive.pack(trainings, tmp_path / "two.tar").archives[0]


@pytest.fixture
def elsewhere(packed, tmp_path, monkeypatch) -> Path:
    """An empty store, after the packing."""
    root = tmp_path / "elsewhere"
    monkeypatch.setenv("RUNS_DIR", str(root))
    return root


def content(root: Path) -> dict[str, bytes]:
    """Every file of a store but its locks."""
    return {
        str(file.relative_to(root)): file.read_bytes()
        for file in sorted(root.rglob("*"))
        if file.is_file() and ".locks" not in file.parts
    }


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def write(file: Path, parts: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w") as tar:
        for name, data in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file


def unchanged(call, match: str, root: Path) -> None:
    """The call is an InputError of one line, and the store is as before."""
    before = content(root)
    with pytest.raises(InputError, match=match) as error:
        call()
    assert "\n" not in str(error.value)
    assert content(root) == before


def reseal(parts: dict[str, bytes], run: str, change) -> dict[str, bytes]:
    """The parts with one run's manifest changed and sealed again, as someone would who knows how."""
    files = json.loads(parts[f"{run}/{store.MANIFEST}"])["files"]
    change(files)
    return parts | {f"{run}/{store.MANIFEST}": store._manifest(files)}


# ---- there and back ----------------------------------------------------------------------------------------


def test_what_comes_home_is_what_was_sent(packed, made, elsewhere, trainings):
    found = archive.unpack(packed)
    assert found.added == tuple(sorted(training.name for training in trainings)) and not (
        found.there or found.refused
    )
    sent = {name: data for name, data in content(made).items() if not name.startswith(".")}
    assert content(elsewhere) == sent
    assert set(catalogue.catalogue().status) == {"ok"}
    assert runs.load(trainings[0]) is not None


def test_a_second_time_changes_nothing(packed, elsewhere):
    archive.unpack(packed)
    before = content(elsewhere)
    found = archive.unpack(packed)
    assert len(found.there) == 2 and not (found.added or found.tables or found.weights or found.refused)
    assert content(elsewhere) == before


def test_the_same_runs_make_the_same_bytes(packed, trainings, store_dir, tmp_path):
    os.utime(next(store_dir.glob("*/*/config.json")))
    again = archive.pack(trainings[::-1] * 2, tmp_path / "again.tar").archives[0]
    assert again.read_bytes() == packed.read_bytes()
    with tarfile.open(again) as tar:
        assert all(
            member.isreg() and member.mtime == member.uid == 0 and member.uname == "" for member in tar
        )


def test_unfinished_runs_are_left_and_named(store_dir, trainings, tmp_path):
    other = Training("digits", "resnet8", 0.5, 7, "fast")
    found = archive.pack([*trainings, other], tmp_path / "a.tar")
    assert found.left == (other,)
    assert {name.rsplit("/", 1)[0] for name in members(found.archives[0])} == {
        training.name for training in trainings
    }


def test_nothing_finished_is_an_error(store_dir, tmp_path):
    with pytest.raises(InputError, match="nothing to pack: of 1 runs asked for, none is finished"):
        archive.pack([Training("digits", "resnet8", 0.5, 7, "fast")], tmp_path / "a.tar")
    assert not (tmp_path / "a.tar").exists()


def test_parts_hold_whole_runs_and_old_parts_go(packed, trainings, store_dir, tmp_path, monkeypatch):
    stale = [tmp_path / "a.part3.tar", tmp_path / "a.part17.tar"]
    others = [tmp_path / name for name in ("a-2.tar", "a.partial.tar", "b.part3.tar", "a.part3.tar.gz")]
    for file in (*stale, *others):
        file.touch()
    found = archive.pack(trainings, tmp_path / "a.tar", limit_bytes=1)
    assert [file.name for file in found.archives] == ["a.tar", "a.part2.tar"]
    assert not any(file.exists() for file in stale) and all(file.exists() for file in others)
    parts = [members(file) for file in found.archives]
    assert parts[0] | parts[1] == members(packed) and not parts[0].keys() & parts[1].keys()
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "home"))
    for file in reversed(found.archives):
        archive.unpack(file)
    assert len(catalogue.catalogue()) == 2


def test_an_archive_stays_below_its_limit(store_dir, trainings, tmp_path):
    whole = archive.pack(trainings, tmp_path / "a.tar").archives[0].stat().st_size
    for limit, count in ((whole, 1), (whole - 1, 2)):
        found = archive.pack(trainings, tmp_path / "a.tar", limit_bytes=limit).archives
        assert len(found) == count and all(file.stat().st_size <= limit for file in found)


def test_optional_weights_may_be_absent_and_come_later(packed, own_store, trainings, tmp_path, monkeypatch):
    (own_store / trainings[0].name / runs.WEIGHTS).unlink()
    without = archive.pack(trainings, tmp_path / "without.tar").archives[0]
    assert f"{trainings[0].name}/{runs.WEIGHTS}" not in members(without)
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "home"))
    archive.unpack(without)
    with pytest.raises(InputError, match="weights of .* are not kept here"):
        runs.load(trainings[0])
    assert archive.unpack(packed).weights == (trainings[0].name,)
    runs.load(trainings[0])


def test_a_table_measured_there_joins_the_run_here(packed, own_store, trainings, tmp_path, monkeypatch):
    runs.table("class_means", [trainings[0]], progress=False)
    more = archive.pack(trainings, tmp_path / "more.tar").archives[0]
    expected = runs.table("class_means", [trainings[0]])
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "home"))
    archive.unpack(packed)
    found = archive.unpack(more)
    assert found.tables == (
        f"{trainings[0].name}/{measurements.file_name('class_means', {})}",
    ) and found.there == (trainings[1].name,)
    monkeypatch.setenv("RUNS_FROZEN", "1")
    assert runs.table("class_means", [trainings[0]]).equals(expected)


# ---- what is refused ---------------------------------------------------------------------------------------


def test_another_network_of_the_same_name_stays(packed, own_store, trainings):
    folder = own_store / trainings[0].name
    files = {name: (folder / name).read_bytes() for name in (runs.CONFIG, runs.HISTORY, runs.WEIGHTS)}
    files[runs.WEIGHTS] = files[runs.WEIGHTS][:-1] + bytes([files[runs.WEIGHTS][-1] ^ 1])
    shutil.rmtree(folder)
    store.create(folder, files, optional=(runs.WEIGHTS,))
    before = content(own_store)
    found = archive.unpack(packed)
    assert (
        len(found.refused) == 1
        and f"{trainings[0].name}: another network than the one here" in found.refused[0]
    )
    assert content(own_store) == before


def test_every_flipped_bit_is_found(packed, elsewhere):
    """One bit in each file's content and in each header: all of it is refused, or the bit was in padding and
    changes nothing.
    """
    whole = packed.read_bytes()
    with tarfile.open(packed) as tar:
        places = [
            place
            for member in tar
            for place in (
                member.offset + 3,
                member.offset + 150,
                member.offset_data,
                member.offset_data + member.size // 2,
            )
        ]
    for place in places:
        packed.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(InputError, match="damaged: .*two.tar"):
            archive.unpack(packed)
        assert content(elsewhere) == {}, place


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9])
def test_a_cut_archive_is_refused(share, packed, elsewhere):
    whole = packed.read_bytes()
    packed.write_bytes(whole[: int(share * len(whole))])
    unchanged(
        lambda: archive.unpack(packed),
        "damaged: .*two.tar .*nothing was changed; pack it again, or fetch it again",
        elsewhere,
    )


@pytest.mark.parametrize(
    "name",
    ["../x/y", "/etc/a/b", "a/../b", "a/b", "a/b/c/d", ".locks/a/b", "a/b/.hidden", "a//b", "a/b/c\nd"],
)
def test_names_that_lead_elsewhere_are_refused(name, packed, elsewhere):
    write(packed, members(packed) | {name: b"x"})
    unchanged(lambda: archive.unpack(packed), "damaged: .*members must be <group>/<run>/<file>", elsewhere)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_are_refused(kind, packed, elsewhere, trainings):
    with tarfile.open(packed, "a") as tar:
        info = tarfile.TarInfo(f"{trainings[0].name}/extra")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    unchanged(lambda: archive.unpack(packed), "which is no regular file", elsewhere)


def test_a_file_named_twice_is_refused(packed, elsewhere, trainings):
    with tarfile.open(packed, "a") as tar:
        tar.addfile(tarfile.TarInfo(f"{trainings[0].name}/{runs.CONFIG}"))
    unchanged(lambda: archive.unpack(packed), "twice", elsewhere)


def test_files_no_manifest_names_are_refused(packed, elsewhere, trainings):
    write(packed, members(packed) | {f"{trainings[0].name}/extra.pkl": b"x"})
    unchanged(lambda: archive.unpack(packed), "extra.pkl, which its manifest does not name", elsewhere)


def test_other_kinds_of_files_are_refused_even_when_sealed(packed, elsewhere, trainings):
    name = trainings[0].name
    parts = reseal(
        members(packed),
        name,
        lambda files: files.update({"extra.pkl": {"sha256": store._sha256(b"x"), "bytes": 1}}),
    )
    write(packed, parts | {f"{name}/extra.pkl": b"x"})
    unchanged(lambda: archive.unpack(packed), "whose manifest is not that of a run", elsewhere)


def test_a_missing_file_is_refused(packed, elsewhere, trainings):
    parts = members(packed)
    del parts[f"{trainings[1].name}/{runs.HISTORY}"]
    write(packed, parts)
    unchanged(
        lambda: archive.unpack(packed),
        f"holds a damaged run: {trainings[1].name}/history.parquet is missing",
        elsewhere,
    )


def test_a_run_under_another_name_is_refused(packed, elsewhere, trainings):
    parts = {name.replace("alpha0.0", "alpha0.5"): data for name, data in members(packed).items()}
    write(packed, parts)
    unchanged(lambda: archive.unpack(packed), "whose config.json describes", elsewhere)


def test_a_training_of_no_known_recipe_is_refused(packed, elsewhere, trainings):
    name = trainings[0].name
    parts = members(packed)
    config = parts[f"{name}/{runs.CONFIG}"].replace(b'"learning_rate": 0.1', b'"learning_rate": 0.7')
    assert config != parts[f"{name}/{runs.CONFIG}"]
    parts = reseal(
        parts, name, lambda files: files[runs.CONFIG].update(sha256=store._sha256(config), bytes=len(config))
    )
    write(packed, parts | {f"{name}/{runs.CONFIG}": config})
    unchanged(
        lambda: archive.unpack(packed),
        "this library has no training such as its config.json describes",
        elsewhere,
    )


@pytest.mark.parametrize(
    "junk", [b"", b"x", b"PK\x03\x04" + bytes(2000), bytes(20480), b"\x1f\x8b" + bytes(600)]
)
def test_what_is_no_tar_is_refused(junk, elsewhere, tmp_path):
    file = tmp_path / "junk.tar"
    file.write_bytes(junk)
    unchanged(lambda: archive.unpack(file), "damaged: .*junk.tar", elsewhere)


def test_an_absent_archive_is_one_line(elsewhere, tmp_path):
    unchanged(
        lambda: archive.unpack(tmp_path / "none.tar"), "cannot read .*none.tar: No such file", elsewhere
    )


def test_damage_here_is_found_before_anything_is_added(packed, own_store, trainings):
    shutil.rmtree(own_store / trainings[1].name)
    file = own_store / trainings[0].name / runs.HISTORY
    file.write_bytes(file.read_bytes()[:-1])
    unchanged(lambda: archive.unpack(packed), f"damaged: {file}", own_store)


def test_a_damaged_run_is_not_packed(own_store, trainings, tmp_path):
    file = own_store / trainings[0].name / TABLE
    file.write_bytes(b"x" + file.read_bytes()[1:])
    with pytest.raises(InputError, match=f"damaged: {file}"):
        archive.pack(trainings, tmp_path / "a.tar")
    assert not list(tmp_path.glob("*.tar*"))


@pytest.mark.parametrize(
    ("name", "limit", "match"),
    [
        ("a.tgz", 10, "must end in .tar, got .*a.tgz"),
        ("a.tar", 0, "limit_bytes must be above 0, got 0"),
        ("folder.tar", 10, "cannot write .*folder.tar: it is a folder, not a file; give another name"),
        ("file/a.tar", 10, "cannot write .*file/a.tar: .*; give another place"),
    ],
)
def test_bad_arguments(name, limit, match, store_dir, trainings, tmp_path):
    (tmp_path / "folder.tar").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=match):
        archive.pack(trainings, tmp_path / name, limit_bytes=limit)


# ---- hostile archives --------------------------------------------------------------------------------------
# Each is an archive of one run that is whole but for one thing, sealed again by somebody who knows how.

Parts = dict[str, bytes]  # the content of a run's files


def resealed(
    parts: Parts, changes: dict[str, bytes | None] = None, entries=lambda files: None, **top: object
) -> Parts:  # noqa: B006
    """The parts with some files changed or (None) left out, the manifest's entries changed, and all of it
    sealed again.
    """
    if changes is None:
        changes = {}
    files = json.loads(parts[store.MANIFEST])["files"]
    for name, data in changes.items():
        if data is None:
            files.pop(name, None)
        else:
            files[name] = files.get(name, {}) | {"sha256": store._sha256(data), "bytes": len(data)}
    files = entries(files) or files
    kept = {name: data for name, data in (parts | changes).items() if data is not None}
    facts = {"files": files, "format": 1, "seal": store._seal(files)} | top
    return kept | {store.MANIFEST: json.dumps(facts).encode()}


def entry(name: str, **facts: object):
    """A case: what the manifest says of one file, with some facts replaced, or (None) left out."""

    def change(files):
        files[name] = {fact: value for fact, value in (files[name] | facts).items() if value is not None}

    return lambda parts: resealed(parts, entries=change)


def added(name: str):
    """A case: the manifest names one more file."""
    return lambda parts: resealed(
        parts, entries=lambda files: files | {name: {"sha256": store._sha256(b""), "bytes": 0}}
    )


def renamed(name: str):
    """A case: a table under another name, in the manifest and in the tar."""

    def case(parts: Parts) -> Parts:
        found = resealed(
            parts,
            entries=lambda files: {name if one == TABLE else one: value for one, value in files.items()},
        )
        found[name] = found.pop(TABLE)
        return found

    return case


def config(*place: str, value: object = None):
    """A case: config.json with a value in it replaced, or (None) left out."""

    def case(parts: Parts) -> Parts:
        facts = json.loads(parts[runs.CONFIG])
        inner = facts
        for name in place[:-1]:
            inner = inner[name]
        inner[place[-1]] = value
        if value is None:
            del inner[place[-1]]
        return resealed(parts, {runs.CONFIG: json.dumps(facts).encode()})

    return case


def raw(name: str, change):
    """A case: the bytes of one file changed; `change` is given them, or is what they become."""
    return lambda parts: resealed(parts, {name: change(parts[name]) if callable(change) else change})


def parquet(rows: pd.DataFrame, **how: object) -> bytes:
    buffer = io.BytesIO()
    rows.to_parquet(buffer, **({"index": False} | how))
    return buffer.getvalue()


def rows(name: str, change):
    """A case: a table changed; `change` is given its rows."""
    return raw(name, lambda data: parquet(change(pd.read_parquet(io.BytesIO(data)))))


def tensors(change):
    """A case: the weights changed; `change` is given them by name, and changes them."""

    def case(data: bytes) -> bytes:
        state = safetensors.torch.load(data)
        return safetensors.torch.save(change(state) or state)

    return raw(runs.WEIGHTS, case)


def repeated(data: bytes, times: int, **other: object) -> bytes:
    """The first row of a table many times over, with other values in some columns: few bytes for many."""
    first, buffer = pa.table(pd.read_parquet(io.BytesIO(data))[:1].assign(**other)), io.BytesIO()
    long = {
        name: pa.DictionaryArray.from_arrays(
            pa.repeat(pa.scalar(0, pa.int32()), times), first[name].combine_chunks()
        )
        for name in first.column_names
    }
    pq.write_table(pa.table(long), buffer, compression="zstd")
    return buffer.getvalue()


def many_rows(data: bytes) -> bytes:
    return repeated(data, 20_000_000)


def long_texts(data: bytes) -> bytes:
    return repeated(data, 120, layer="x" * 60_000_000)


def noted(data: bytes, notes: bytes) -> bytes:
    """A table with other notes of pandas on how to read it."""
    found, buffer = pa.table(pd.read_parquet(io.BytesIO(data))), io.BytesIO()
    pq.write_table(found.replace_schema_metadata({"pandas": notes}), buffer)
    return buffer.getvalue()


def twice_named(data: bytes) -> bytes:
    found = pa.table(pd.read_parquet(io.BytesIO(data)))
    buffer = io.BytesIO()
    pq.write_table(pa.table([*found.columns, found["unit"]], names=[*found.column_names, "unit"]), buffer)
    return buffer.getvalue()


def pickled(data: bytes) -> bytes:
    buffer = io.BytesIO()
    torch.save(safetensors.torch.load(data), buffer)
    return buffer.getvalue()


SCRIPT = ["<script>alert(1)</script>"]
NAMES = {
    "up": f"../other/{runs.CONFIG}", "absolute": "/etc/passwd", "hidden": ".bashrc", "backslash": "..\\config.json",
    "drive": "C:config.json", "slash": "a/b", "full-width": "\uff43onfig.json", "zero width": "con\u200bfig.json",
    "right to left": "\u202enosj.gifnoc", "newline": "a\nb", "nothing": "", "dot": ".", "nul": "a\0b", "too long": "a" * 300,
    "itself": store.MANIFEST,
}  # fmt: skip
HOSTILE = {
    **{f"manifest names {kind}": added(name) for kind, name in NAMES.items()},
    **{f"table called {kind}": renamed(name) for kind, name in NAMES.items() if kind in ("full-width", "too long", "slash", "up")},
    "manifest with another key": lambda parts: resealed(parts, more=1),
    "manifest of a later format": lambda parts: resealed(parts, format=2),
    "manifest of format 0": lambda parts: resealed(parts, format=0),
    "manifest of format true": lambda parts: resealed(parts, format=True),
    "manifest of format in words": lambda parts: resealed(parts, format="1"),
    "manifest whose files are a list": lambda parts: resealed(parts, entries=lambda files: [files]),
    "manifest with an entry that is a "
        "list": lambda parts: resealed(parts, entries=lambda files: files | {runs.CONFIG: []}),
    "manifest that is deep": lambda parts: parts | {store.MANIFEST: b"[" * 200_000},
    "manifest that is empty": lambda parts: parts | {store.MANIFEST: b""},
    "manifest in UTF-16": lambda parts: parts | {store.MANIFEST: parts[store.MANIFEST].decode().encode("utf-16")},
    "manifest with a name twice": lambda parts: parts | {store.MANIFEST: parts[store.MANIFEST].replace(b'{\n "files"', b'{\n "files": 1, "files"', 1)},
    "manifest with NaN": entry(TABLE, extra=float("nan")),
    "manifest of 5 MB": lambda parts: parts | {store.MANIFEST: parts[store.MANIFEST] + b" " * 5_000_000},
    "no manifest": lambda parts: {name: data for name, data in parts.items() if name != store.MANIFEST},
    "size below 0": entry(runs.CONFIG, bytes=-1),
    "size true": entry(runs.CONFIG, bytes=True),
    "no checksum": entry(runs.CONFIG, sha256=None),
    "checksum of another kind": entry(runs.CONFIG, sha256="md5"),
    "configuration that may be absent": entry(runs.CONFIG, optional=True),
    "weights that may not be absent": entry(runs.WEIGHTS, optional=None),
    "weights optional in numbers": entry(runs.WEIGHTS, optional=1),
    "table that may be absent": entry(TABLE, optional=True),
    "weights as a table": entry(runs.WEIGHTS, measurement="selectivity"),
    "no weights in the manifest": lambda parts: resealed(parts, {runs.WEIGHTS: None}),
    "table of no measurement": entry(TABLE, measurement=None),
    "table of an unknown measurement": entry(TABLE, measurement="roughness"),
    "table of a measurement in a list": entry(TABLE, measurement=["selectivity"]),
    "table of another measurement": entry(TABLE, measurement="class_means"),
    "table with unknown settings": entry(TABLE, settings={"limit": 3}),
    "table with settings in a list": entry(TABLE, settings=[]),
    "table with a script for its code": entry(TABLE, code=SCRIPT),
    "table made by nobody": entry(TABLE, provenance=None),
    "table made by a script": entry(TABLE, provenance={"commit": SCRIPT, "device": "", "torch": "", "date": "", "seconds": 1}),
    "table with a fact that is a list": entry(TABLE, more=[1]),
    "configuration that is a list": raw(runs.CONFIG, b"[]"),
    "configuration in UTF-16": raw(runs.CONFIG, lambda data: data.decode().encode("utf-16")),
    "configuration that is deep": raw(runs.CONFIG, b'{"training":' * 100_000),
    "configuration with a name "
        "twice": raw(runs.CONFIG, lambda data: data.replace(b'"status"', b'"status": "ok", "status"')),
    "configuration without result": config("result"),
    "configuration without status": config("result", "status"),
    "configuration with another part": config("more", value={}),
    "status of its own": config("result", "status", value="perfect"),
    "accuracy above 1": config("result", "clean_accuracy", value=1.5),
    "accuracy in words": config("result", "clean_accuracy", value="0.9"),
    "accuracy true": config("result", "clean_accuracy", value=True),
    "accuracy NaN": config("result", "clean_accuracy", value=float("nan")),
    "accuracy of 400 digits": config("result", "clean_accuracy", value=10**400),
    "seconds of 400 digits": config("result", "seconds", value=10**400),
    "epochs that were not run": config("result", "epochs_run", value=1),
    "best epoch after the last": config("result", "best_epoch", value=99),
    "commit that is a script": config("provenance", "commit", value=SCRIPT),
    "commit of two lines": config("provenance", "commit", value="a\nb"),
    "commit with half a character": config("provenance", "commit", value="\ud800"),
    "device that is a script": config("provenance", "device", value=SCRIPT[0]),
    "device that is a path": config("provenance", "device", value="../other"),
    "torch that is a script": config("provenance", "torch", value=f"2.11.0{SCRIPT[0]}"),
    "engine that is a script": config("provenance", "engine", value=f"cpu {SCRIPT[0]}"),
    "provenance with a list": config("provenance", "more", value=[1]),
    "result with a field more": config("result", "more", value=1),
    "provenance with a field more": config("provenance", "more", value="x"),
    "provenance without code": config("provenance", "code"),
    "provenance with a parent": config("provenance", "parent", value="0" * 64),
    "table with a fact more": entry(TABLE, more=1),
    "table without code": entry(TABLE, code=None),
    "table about images in words": entry(TABLE, images="these"),
    "table made with a field more": lambda parts: resealed(
        parts, entries=lambda files: files[TABLE]["provenance"].update(more=1)
    ),
    "seed of 200 digits": config("training", "seed", value=10**200),
    "epochs as a fraction": config("training", "settings", "epochs", value=2.0),
    "alpha in words": config("training", "alpha", value="0"),
    "unknown model": config("training", "model", value="../resnet8"),
    "variant in a list": config("training", "variant", value=[]),
    "history that is garbage": raw(runs.HISTORY, b"PAR1" + bytes(100) + b"PAR1"),
    "history that is empty": raw(runs.HISTORY, b""),
    "history of one epoch more": rows(runs.HISTORY, lambda found: pd.concat([found, found.tail(1)])),
    "history without rows": rows(runs.HISTORY, lambda found: found[:0]),
    "history in words": rows(runs.HISTORY, lambda found: found.assign(loss="low")),
    "history with an alpha": rows(runs.HISTORY, lambda found: found.assign(alpha=0.0)),
    "history of 20 million rows": raw(runs.HISTORY, many_rows),
    "table that is garbage": raw(TABLE, b"garbage"),
    "table that is a CSV": raw(TABLE, b"layer,depth\n1,2\n"),
    "table with an alpha": rows(TABLE, lambda found: found.assign(alpha=0.0)),
    "table with alpha for a column": rows(TABLE, lambda found: found.rename(columns={"dead": "alpha"})),
    "table without a column": rows(TABLE, lambda found: found.drop(columns="dead")),
    "table without rows": rows(TABLE, lambda found: found[:0]),
    "table of half the units": rows(TABLE, lambda found: found[:60]),
    "table of one unit twice": rows(TABLE, lambda found: found.assign(unit=found.unit.replace(1, 0))),
    "table of another layer": rows(TABLE, lambda found: found.assign(layer=found.layer.replace("relu", "relu9"))),
    "table of depths in words": rows(TABLE, lambda found: found.assign(depth=found.depth.astype(str))),
    "table of depths in fractions": rows(TABLE, lambda found: found.assign(depth=found.depth.astype(float))),
    "table of an index above 1": rows(TABLE, lambda found: found.assign(selectivity=2.0)),
    "table with empty cells": rows(TABLE, lambda found: found.assign(layer=None)),
    "table with lists": rows(TABLE, lambda found: found.assign(dead=[[True]] * len(found))),
    "table with an index of its "
        "own": raw(TABLE, lambda data: parquet(pd.read_parquet(io.BytesIO(data)).set_index("best_class"), index=True)),
    "table with a column twice": raw(TABLE, twice_named),
    "table of 20 million rows": raw(TABLE, many_rows),
    "table with notes of pandas that are garbage": raw(TABLE, lambda data: noted(data, b"garbage")),
    "table with notes of pandas that are a list": raw(TABLE, lambda data: noted(data, b"[1]")),
    "table with an index in the notes of "
        "pandas": raw(TABLE, lambda data: noted(data, b'{"index_columns": ["unit"], "columns": [], '
            b'"column_indexes": []}')),
    "table with texts that are no "
        "text": rows(TABLE, lambda found: found.assign(layer=found.layer + "\x1b[31m")),
    "table of long texts": raw(TABLE, long_texts),
    "weights that are pickled": raw(runs.WEIGHTS, pickled),
    "weights that are garbage": raw(runs.WEIGHTS, b"\xff" * 100),
    "weights that are empty": raw(runs.WEIGHTS, b""),
    "weights with an endless header": raw(runs.WEIGHTS, (2**63 - 1).to_bytes(8, "little") + b"{}"),
    "weights with an overlap": raw(runs.WEIGHTS, b'\x42\0\0\0\0\0\0\0{"a":{"dtype":"F32","shape":[9999999999],"data_offsets":[0,4]}}  \0\0\0\0'),
    "weights of another shape": tensors(lambda state: state.update({"linear.weight": state["linear.weight"][:5].clone()})),
    "weights of another kind": tensors(lambda state: state.update({"linear.weight": state["linear.weight"].float()})),
    "weights with one more": tensors(lambda state: state.update({"more": torch.zeros(1)})),
    "weights without one": tensors(lambda state: {name: tensor for name, tensor in state.items() if name != "linear.bias"}),
    "weights that are no numbers": tensors(lambda state: state.update({"linear.bias": torch.full((10,), float("nan"))})),
    "weights with a variance below "
        "0": tensors(lambda state: state.update({"bn1.running_var": -torch.ones(8)})),
}  # fmt: skip


def header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, **facts: object) -> bytes:
    """The header of one member, with any size."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def extended(whole: bytes, run: str) -> bytes:
    """With a header that gives the next member another path."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo(f"{run}/extra")
        info.pax_headers = {"path": "../../escaped", "size": "999999999999"}
        tar.addfile(info)
    return out.getvalue().rstrip(b"\0").ljust(1536, b"\0") + whole


END = bytes(1024)
TARS = {  # given the bytes of a whole archive and the name of its run
    "empty file": lambda whole, run: b"",
    "one byte": lambda whole, run: b"x",
    "zeros": lambda whole, run: bytes(10**8),
    "a zip": lambda whole, run: b"PK\x03\x04" + whole,
    "gzip": lambda whole, run: gzip.compress(whole),
    "cut in a header": lambda whole, run: whole[:700],
    "cut before its end": lambda whole, run: whole.rstrip(b"\0"),
    "another after its end": lambda whole, run: whole + whole,
    "junk after its end": lambda whole, run: whole + b"x",
    "a path in an extension": extended,
    "a long name": lambda whole, run: header("././@LongLink", tarfile.GNUTYPE_LONGNAME, 10**9) + whole,
    "a sparse file": lambda whole, run: header(f"{run}/extra", tarfile.GNUTYPE_SPARSE, 10**12) + whole,
    "a size beyond the file": lambda whole, run: header(f"{run}/extra", size=10**12) + whole,
    "a size below 0": lambda whole, run: header(f"{run}/extra", size=-512) + whole,
    "a size of 80 bits": lambda whole, run: header(f"{run}/extra", size=2**80) + whole,
    "a link": lambda whole, run: header(f"{run}/extra", tarfile.SYMTYPE, linkname="/etc/passwd") + whole,
    "a hard link": lambda whole, run: header(f"{run}/extra", tarfile.LNKTYPE, linkname=f"{run}/config.json") + whole,
    "a folder": lambda whole, run: header(f"{run}/", tarfile.DIRTYPE) + whole,
    "a pipe": lambda whole, run: header(f"{run}/extra", tarfile.FIFOTYPE) + whole,
    "a device": lambda whole, run: header(f"{run}/extra", tarfile.BLKTYPE, devmajor=8) + whole,
    "a volume label": lambda whole, run: header("label", b"V") + whole,
    "a path up": lambda whole, run: header(f"../{run}") + whole,
    "an absolute path": lambda whole, run: header(f"/{run}/extra") + whole,
    "a path of four": lambda whole, run: header(f"{run}/a/b") + whole,
    "a path of two": lambda whole, run: header(run) + whole,
    "a hidden file": lambda whole, run: header(f"{run}/.config") + whole,
    "a backslash": lambda whole, run: header(f"{run}/..\\x") + whole,
    "a full-width letter": lambda whole, run: header(f"{run}/\uff43onfig.json") + whole,
    "a capital": lambda whole, run: header(f"{run}/Config.json") + whole,
    "a new line": lambda whole, run: header(f"{run}/a\nb") + whole,
    "an escape": lambda whole, run: header(f"{run}/\x1b[31mred") + whole,
    "the store's locks": lambda whole, run: header(".locks/a/b.lock") + whole,
    "a run of nothing": lambda whole, run: header("a/b/c") + whole,
    "a file twice": lambda whole, run: header(f"{run}/{runs.CONFIG}") + whole,
    "very many files": lambda whole, run: b"".join(header(f"a/b/{n}") for n in range(30_000)) + whole,
    "something between two "
        "files": lambda whole, run: header("a/b/c", size=1) + b"x" + bytes(510) + b"y" + whole,
}  # fmt: skip


def everything(root: Path) -> dict[str, object]:
    """Every file and folder of a store, locks and hidden ones too: what it holds, and when it was changed."""
    return {
        str(path.relative_to(root)): (path.read_bytes() if path.is_file() else None, path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
    }


HOMES = ("no store", "another run", "the same run")


@pytest.fixture
def home(request, made, trainings, tmp_path, monkeypatch) -> Path:
    """A store that an archive of the first run is brought into; the cases of a test have the three kinds by
    turns.
    """
    root, turn = tmp_path / "home", request.node.callspec.indices["case"] % 3
    kept = {"no store": [], "another run": trainings[1:], "the same run": trainings}[HOMES[turn]]
    for training in kept:
        shutil.copytree(made / training.name, root / training.name)
    monkeypatch.setenv("RUNS_DIR", str(root))
    return root


@pytest.fixture(scope="module")
def one_whole(made, trainings, tmp_path_factory) -> bytes:
    """An archive of the first run of the shared store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNS_DIR", str(made))
        return (
            archive.pack(trainings[:1], tmp_path_factory.mktemp("one") / "one.tar").archives[0].read_bytes()
        )


@pytest.fixture
def one(one_whole, tmp_path) -> Path:
    """That archive as a file of the test's own."""
    (tmp_path / "one.tar").write_bytes(one_whole)
    return tmp_path / "one.tar"


def refused(file: Path, root: Path, capsys, monkeypatch) -> str:
    """The line that an import by the command line ends in, with exit code 2; nothing is written, and soon."""
    before, there = everything(root), root.exists()
    monkeypatch.setattr(sys, "argv", ["lib", "runs", "import", str(file)])
    start = time.monotonic()
    with pytest.raises(SystemExit) as ended:
        main()
    took, said = time.monotonic() - start, capsys.readouterr()
    assert ended.value.code == 2 and said.out == "", said
    assert said.err.startswith("error: ") and said.err.count("\n") == 1 and len(said.err) < 1000, said.err
    assert said.err[:-1].isprintable(), said.err
    assert everything(root) == before and root.exists() == there and took < 10, took
    return said.err


@pytest.mark.parametrize("case", HOSTILE)
def test_what_a_hostile_archive_holds_is_refused(case, one, home, trainings, capsys, monkeypatch):
    run = trainings[0].name
    parts = {name.rpartition("/")[2]: data for name, data in members(one).items()}
    changed = HOSTILE[case](parts)
    assert changed != parts
    one.write_bytes(b"".join(block(f"{run}/{name}", data) for name, data in changed.items()) + END)
    line = refused(one, home, capsys, monkeypatch)
    assert "error: damaged: " in line and "; nothing was changed; pack it again, or fetch it again" in line


def block(name: str, data: bytes) -> bytes:
    """One member, whatever its name."""
    if len(name.encode()) > 100 or "\0" in name:  # the manifest's name for it is longer than a header holds
        name = f"{name[:60]}/x"
    return header(name, size=len(data)) + data + bytes(-len(data) % 512)


@pytest.mark.parametrize("case", TARS)
def test_a_hostile_tar_is_refused(case, one, home, trainings, capsys, monkeypatch):
    one.write_bytes(TARS[case](one.read_bytes(), trainings[0].name))
    assert "error: damaged: " in refused(one, home, capsys, monkeypatch)


def make_pipe(file: Path) -> None:
    os.mkfifo(file)


def make_link(to: str):
    return lambda file: file.symlink_to(to)


def make_large(file: Path) -> None:
    with file.open("wb") as out:
        out.truncate(2**41)


PLACES = {
    "zeros without end": make_link("/dev/zero"), "random bytes without end": make_link("/dev/urandom"),
    "nothing": make_link("/dev/null"), "a pipe": make_pipe, "a folder": Path.mkdir, "a link to itself": make_link("a.tar"),
    "a link to nowhere": make_link("nowhere"), "a terabyte": make_large, "memory": make_link("/proc/self/mem"),
}  # fmt: skip


@pytest.mark.parametrize("case", PLACES)
def test_what_is_no_file_is_refused(case, home, tmp_path, capsys, monkeypatch):
    file = tmp_path / "places" / "a.tar"
    file.parent.mkdir()
    PLACES[case](file)
    assert "a.tar" in refused(file, home, capsys, monkeypatch)


def test_the_whole_archive_is_taken_where_hostile_ones_are_not(one, elsewhere, trainings):
    """The control: what every case above starts from, also sealed again, and as older versions sealed it,
    without a format.
    """
    parts = {name.rpartition("/")[2]: data for name, data in members(one).items()}
    older = resealed(parts)
    facts = json.loads(older[store.MANIFEST])
    older[store.MANIFEST] = json.dumps({
        name: value for name, value in facts.items() if name != "format"
    }).encode()
    for found in (parts, resealed(parts), older):
        shutil.rmtree(elsewhere / trainings[0].name, ignore_errors=True)
        one.write_bytes(
            b"".join(block(f"{trainings[0].name}/{name}", data) for name, data in found.items()) + END
        )
        assert archive.unpack(one).added == (trainings[0].name,)
        assert runs.load(trainings[0]) is not None and set(catalogue.catalogue().status) == {"ok"}


@pytest.mark.slow
def test_every_run_of_the_project_would_be_taken_from_elsewhere():
    """What is checked of runs from elsewhere is true of all that this library has made, of every kind of
    table. Simulations do not travel in archives: whoever wants one runs it.
    """
    assert all(one.table for one in measurements.MEASUREMENTS.values())
    every = paths.ROOT.glob("runs/*/*/manifest.json")
    found = [file for file in every if file.parent.parent.name != simulations.GROUP]
    assert found
    for file in found:
        run = store.Folder(file.parent)
        contents = {name: run.read(name) for name in run.files if name in run} | {
            store.MANIFEST: file.read_bytes()
        }
        name = f"{file.parent.parent.name}/{file.parent.name}"
        assert validity.run(name, contents).name == name


@pytest.mark.slow
def test_no_bit_of_an_archive_can_be_flipped_unseen(one, elsewhere, trainings):
    """Bits all over a small archive: what is taken holds what was sent, to the letter, and there is no
    traceback.
    """
    whole, sent = one.read_bytes(), members(one)
    step = len(whole) // 3000
    for place in range(0, len(whole), step):
        one.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        try:
            archive.unpack(one)
        except InputError as error:
            assert "\n" not in str(error) and not elsewhere.exists(), place
            continue
        assert content(elsewhere) == sent, place  # a blank in a header, which means nothing
        shutil.rmtree(elsewhere)


def test_a_run_with_another_result_stays(one, own_store, trainings, capsys, monkeypatch):
    """The same weights, and an accuracy of somebody's own, with a table besides."""
    parts = {name.rpartition("/")[2]: data for name, data in members(one).items()}
    parts = config("result", "clean_accuracy", value=0.5)(parts)  # of 500 images: one that might be
    one.write_bytes(
        b"".join(block(f"{trainings[0].name}/{name}", data) for name, data in parts.items()) + END
    )
    before = everything(own_store)
    found = archive.unpack(one)
    assert len(found.refused) == 1 and "the same network with another result" in found.refused[0]
    assert everything(own_store) == before


# ---- killed ------------------------------------------------------------------------------------------------


def until_killed(step: int, work) -> int:
    """The exit status of a child that does the work and dies as by kill -9 before its n-th renaming."""
    child = os.fork()
    if child == 0:
        done = [0]

        def deadly(real):
            def call(*args, **kwargs):
                done[0] += 1
                if done[0] == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            return call

        os.replace, os.rename = deadly(os.replace), deadly(os.rename)
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


@pytest.mark.slow
def test_kill_9_at_every_step_of_an_import(packed, made, elsewhere):
    step = 1
    while until_killed(step, lambda: archive.unpack(packed)):
        rows = catalogue.catalogue()
        assert set(rows.status) <= {"ok"}  # what has its name is whole
        step += 1
    assert step > 5
    archive.unpack(packed)
    assert content(elsewhere) == {
        name: data for name, data in content(made).items() if not name.startswith(".")
    }


def test_nothing_is_pickled(packed, elsewhere, monkeypatch):
    """Neither way may unpickle: an archive comes from another machine."""

    def refuse(*args, **kwargs):
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    assert len(archive.unpack(packed).added) == 2
    assert {name.rsplit(".", 1)[1] for name in members(packed)} == {"json", "parquet", "safetensors"}


def test_kill_9_at_every_step_of_packing_leaves_whole_archives(store_dir, trainings, packed, tmp_path):
    place = tmp_path / "out" / "a.tar"
    step = 1
    while until_killed(step, lambda: archive.pack(trainings, place, limit_bytes=1)):
        for file in place.parent.glob("*.tar"):
            assert members(file)
        step += 1
    assert step > 3
    assert {file.name for file in place.parent.iterdir()} == {"a.tar", "a.part2.tar"}
