"""Runs in tar files: packed to the same bytes, unpacked only when every bit of every run is right, and never
over another run.
"""

import io
import json
import os
import pickle
import shutil
import signal
import tarfile
from pathlib import Path

import pytest

from lib import measurements, runs
from lib.base.errors import InputError
from lib.runs import archive, catalogue, store
from lib.training.recipe import Training

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
        ("folder.tar", 10, "cannot write .*folder.tar: it is a folder; give another name"),
        ("file/a.tar", 10, "cannot write .*file/a.tar: .*; give another place"),
    ],
)
def test_bad_arguments(name, limit, match, store_dir, trainings, tmp_path):
    (tmp_path / "folder.tar").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=match):
        archive.pack(trainings, tmp_path / name, limit_bytes=limit)


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
