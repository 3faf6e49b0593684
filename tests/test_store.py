"""Files are written whole or not at all, every damage is reported by the file's name, and two processes make
one run.
"""

import contextlib
import errno
import fcntl
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import safetensors.torch
import torch
from warm import NO_COMPILER

from lib import runs
from lib.base import locks, paths
from lib.base.errors import InputError
from lib.base.files import draft_of, there, write_atomically
from lib.base.locks import lock
from lib.runs import store
from lib.sweeps.work import _claim
from lib.training.checkpoint import read_checkpoint, write_checkpoint
from lib.training.training import Training


def files_below(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.rglob("*") if file.is_file())


def fail_with(number: int):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return fail


# ---- writing atomically ------------------------------------------------------------------------------------


def test_write_makes_folders_and_replaces(tmp_path):
    file = tmp_path / "a" / "b" / "file.json"
    write_atomically(file, b"one")
    write_atomically(file, b"two")
    assert file.read_bytes() == b"two" and files_below(tmp_path) == ["file.json"]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EACCES, "Permission denied"),
    ],
)
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(step, number, reason, tmp_path, monkeypatch):
    file = tmp_path / "file.json"
    file.write_bytes(b"old")
    monkeypatch.setattr(store.os, step, fail_with(number))
    with pytest.raises(InputError, match=f"cannot write .*file.json: {reason}; nothing was changed"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old" and files_below(tmp_path) == ["file.json"]


def test_a_file_in_the_place_of_a_folder_is_a_clear_error(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(InputError, match="cannot write"):
        write_atomically(tmp_path / "runs" / "file.json", b"new")


# ---- checkpoints -------------------------------------------------------------------------------------------


def test_checkpoint_keeps_tensors_and_facts_to_the_bit(tmp_path):
    tensors = {
        "a/b": torch.randn(3, 4).T,
        "count": torch.tensor(7),
        "half": torch.ones(2, dtype=torch.bfloat16),
    }
    facts = {"epoch": 3, "seconds": 0.1 + 0.2, "history": [{"loss": 1 / 3}]}
    write_checkpoint(tmp_path / "c", tensors, facts)
    again, same = read_checkpoint(tmp_path / "c")
    assert same == facts and set(again) == set(tensors)
    assert all(
        torch.equal(again[name], tensors[name]) and again[name].dtype == tensors[name].dtype
        for name in tensors
    )


@pytest.mark.parametrize("place", [0, 40, 64, 65, 80, 200, -1])
def test_a_flipped_bit_in_a_checkpoint(place, tmp_path):
    file = tmp_path / "checkpoint"
    write_checkpoint(file, {"a": torch.ones(50)}, {"epoch": 1})
    content = bytearray(file.read_bytes())
    content[place] ^= 4
    file.write_bytes(content)
    with pytest.raises(
        InputError,
        match="damaged: .*checkpoint does not match its checksum; delete it to start this run anew",
    ):
        read_checkpoint(file)


@pytest.mark.parametrize("size", [0, 10, 64, 65, 100, -1])
def test_a_cut_checkpoint(size, tmp_path):
    file = tmp_path / "checkpoint"
    write_checkpoint(file, {"a": torch.ones(50)}, {"epoch": 1})
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(InputError, match="damaged: .*checkpoint"):
        read_checkpoint(file)


# ---- run folders -------------------------------------------------------------------------------------------

NAMES = ("config.json", "table.parquet", "weights.safetensors")


@pytest.fixture
def folder(tmp_path) -> store.Folder:
    """A folder with one file of every kind; the weights are optional."""
    pd.DataFrame({"unit": range(5), "value": 0.5}).to_parquet(tmp_path / "draft.parquet")
    content = (
        b'{"alpha": 1.0}\n',
        (tmp_path / "draft.parquet").read_bytes(),
        safetensors.torch.save({"w": torch.ones(4)}),
    )
    (tmp_path / "draft.parquet").unlink()
    return store.create(
        tmp_path / "digits" / "run", dict(zip(NAMES, content, strict=True)), optional=("weights.safetensors",)
    )


def test_what_was_created_can_be_read_and_verified(folder, tmp_path):
    again = store.Folder(folder.path)
    again.verify()
    assert again.read("config.json") == b'{"alpha": 1.0}\n'
    assert all(name in again for name in NAMES) and "other" not in again
    assert files_below(tmp_path) == sorted([*NAMES, "manifest.json"])


def flip(place: float):
    def damage(content: bytes) -> bytes:
        at = int(place * (len(content) - 1))
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    return damage


DAMAGES = {
    "first bit": flip(0),
    "bit in the middle": flip(0.5),
    "bit near the end": flip(0.97),
    "cut": lambda content: content[: len(content) // 2],
    "last byte missing": lambda content: content[:-1],
    "emptied": lambda content: b"",
    "longer": lambda content: content + b"\0",
    "other text of the same length": lambda content: b"x" * len(content),
}


CASES = [(name, damage) for name in (*NAMES, "manifest.json") for damage in DAMAGES]
CASES.remove(("manifest.json", "last byte missing"))  # the end of its last line, which means nothing


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_damage_is_reported_by_name(name, damage, folder):
    file = folder.path / name
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    with pytest.raises(InputError, match=f"damaged: .*{name} ") as caught:
        store.Folder(folder.path).verify()
    assert str(folder.path) in str(caught.value) and "\n" not in str(caught.value)
    assert "restore it" in str(caught.value)


def test_any_flipped_bit_of_the_manifest_is_noticed(folder):
    file = folder.path / "manifest.json"
    content = file.read_bytes()
    for place in range(len(content) - 1):  # the last byte is the line's end, which means nothing
        file.write_bytes(content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :])
        with pytest.raises(InputError, match="manifest.json"):
            store.Folder(folder.path)


def edit_size(sealed):
    sealed["files"]["config.json"]["bytes"] += 1


def make_optional(sealed):
    sealed["files"]["config.json"]["optional"] = True


def drop_file(sealed):
    del sealed["files"]["table.parquet"]


def drop_seal(sealed):
    del sealed["seal"]


@pytest.mark.parametrize("edit", [edit_size, make_optional, drop_file, drop_seal])
def test_a_manifest_edited_by_hand(edit, folder):
    file = folder.path / "manifest.json"
    sealed = json.loads(file.read_text())
    edit(sealed)
    file.write_text(json.dumps(sealed))
    with pytest.raises(InputError, match="damaged: .*manifest.json (was changed by hand|is not a manifest)"):
        store.Folder(folder.path)


@pytest.mark.parametrize("content", ["[]", "null", '"text"', "{}", '{"files": 3}'])
def test_json_that_is_no_manifest(content, folder):
    (folder.path / "manifest.json").write_text(content)
    with pytest.raises(InputError, match="damaged: .*manifest.json is not a manifest"):
        store.Folder(folder.path)


def test_a_config_edited_by_hand_to_the_same_length(folder):
    (folder.path / "config.json").write_text('{"alpha": 2.0}\n')
    with pytest.raises(InputError, match="damaged: .*config.json does not match its checksum"):
        folder.read("config.json")


@pytest.mark.parametrize("name", ["config.json", "table.parquet", "manifest.json"])
def test_a_deleted_file(name, folder):
    (folder.path / name).unlink()
    with pytest.raises(InputError, match=f"damaged: .*{name} is missing"):
        store.Folder(folder.path).verify()


def test_an_optional_file_may_be_absent_but_not_different(folder):
    file = folder.path / "weights.safetensors"
    content = file.read_bytes()
    file.unlink()
    again = store.Folder(folder.path)
    again.verify()
    assert "weights.safetensors" not in again
    with pytest.raises(InputError, match="weights.safetensors is missing"):
        again.read("weights.safetensors")
    with pytest.raises(InputError, match="differs from the recorded one.*set RUNS_DIR"):
        again.restore("weights.safetensors", flip(0.9)(content))
    assert not file.exists()
    again.restore("weights.safetensors", content)
    again.verify()
    assert "weights.safetensors" in again and file.read_bytes() == content


def test_leftovers_do_not_count(folder):
    (folder.path / ".config.json.77.tmp").write_bytes(b"half")
    (folder.path / "table-of-a-crash.parquet").write_bytes(b"half")
    again = store.Folder(folder.path)
    again.verify()
    assert "table-of-a-crash.parquet" not in again
    with pytest.raises(
        InputError,
        match="holds no table-of-a-crash.parquet; it holds config.json, table.parquet, weights.safetensors",
    ):
        again.read("table-of-a-crash.parquet")


def test_add_keeps_what_is_there_and_sees_what_others_added(folder):
    one, other = store.Folder(folder.path), store.Folder(folder.path)
    one.add("selectivity-1.parquet", b"one", measurement="selectivity")
    other.add("attack-2.parquet", b"two", measurement="attack")
    assert "selectivity-1.parquet" in other
    final = store.Folder(folder.path)
    final.verify()
    assert set(final.files) == {*NAMES, "selectivity-1.parquet", "attack-2.parquet"}
    assert final.files["attack-2.parquet"]["measurement"] == "attack"
    assert final.files["weights.safetensors"]["optional"] is True


def test_a_full_disk_while_adding_leaves_the_folder_as_it_was(folder, monkeypatch):
    before = files_below(folder.path), (folder.path / "manifest.json").read_bytes()
    monkeypatch.setattr(store.os, "fsync", fail_with(errno.ENOSPC))
    with pytest.raises(InputError, match="the disk is full"):
        folder.add("attack-2.parquet", b"two")
    assert (files_below(folder.path), (folder.path / "manifest.json").read_bytes()) == before
    store.Folder(folder.path).verify()


def test_a_disk_that_fills_before_the_manifest_leaves_a_leftover_that_does_not_count(folder, monkeypatch):
    whole = write_atomically

    def full_for_the_manifest(file, content):
        if file.name == store.MANIFEST:
            monkeypatch.setattr(store.os, "fsync", fail_with(errno.ENOSPC))
        whole(file, content)

    monkeypatch.setattr("lib.runs.store.write_atomically", full_for_the_manifest)
    with pytest.raises(InputError, match="the disk is full"):
        folder.add("attack-2.parquet", b"two")
    again = store.Folder(folder.path)
    again.verify()
    assert "attack-2.parquet" not in again


@pytest.mark.parametrize("step", ["fsync", "replace", "rename"])
def test_a_full_disk_while_creating_leaves_no_file(step, tmp_path, monkeypatch):
    monkeypatch.setattr(store.os, step, fail_with(errno.ENOSPC))
    with pytest.raises(InputError, match="cannot write .*run"):
        store.create(tmp_path / "digits" / "run", {"a": b"1", "b": b"2"})
    assert files_below(tmp_path) == [] and not (tmp_path / "digits" / "run").exists()


def test_the_first_to_create_a_folder_wins(folder):
    second = store.create(folder.path, {"config.json": b"other"})
    assert second.read("config.json") == folder.read("config.json")
    assert files_below(folder.path.parent) == sorted([*NAMES, "manifest.json"])


# ---- several at once ---------------------------------------------------------------------------------------


class Call(logging.Handler):
    """Calls a function when something is logged."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def emit(self, record) -> None:
        self.function(record.getMessage())


def test_lock_waits_and_says_so(tmp_path):
    order, messages = [], []
    inside, release = threading.Event(), threading.Event()

    def first() -> None:
        with lock(tmp_path, "key"):
            inside.set()
            assert release.wait(60)
            order.append("first")

    def heard(message: str) -> None:
        messages.append(message)
        release.set()  # the second waits now, and nothing else lets the first go on

    handler, logger = Call(heard), logging.getLogger("lib.runs.store")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        holder = threading.Thread(target=first)
        holder.start()
        assert inside.wait(60)
        with lock(tmp_path, "other key"):  # is free: does not wait
            pass
        assert not messages
        with lock(tmp_path, "key"):
            order.append("second")
        holder.join()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert order == ["first", "second"]
    assert messages == ["another process is making key: waiting for it"]


@pytest.mark.parametrize("without", [False, True])
def test_a_refusal_under_a_lock_leaves_nothing(tmp_path, monkeypatch, without):
    if without:
        monkeypatch.setattr(fcntl, "flock", fail_with(errno.ENOSYS))
    root = tmp_path / "new" / "store"
    with pytest.raises(InputError, match="no"), lock(root, "key"), lock(root, "other"):
        raise InputError("no")
    assert not list(tmp_path.iterdir())
    with lock(root, "key"):
        pass
    before = files_below(tmp_path)
    with pytest.raises(InputError), lock(root, "key"):
        raise InputError("no")
    assert files_below(tmp_path) == before  # what was there before stays


def test_who_waits_for_a_lock_whose_holder_is_refused_gets_it_alone(tmp_path):
    """Threads that come and go: a file that is taken back locks nothing, and nobody holds one with another."""
    inside, most, taken = [], [], []

    def work(number: int) -> None:
        for turn in range(12):
            with contextlib.suppress(InputError), lock(tmp_path / "store", "key"):
                inside.append(number)
                most.append(len(inside))
                taken.append(number)
                time.sleep(0.002)
                inside.remove(number)
                if (number + turn) % 2:
                    raise InputError("no")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 48 and set(most) == {1}


def test_lock_is_released_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), lock(tmp_path, "key"):
        raise ZeroDivisionError
    with lock(tmp_path, "key"):
        pass


def test_a_store_that_cannot_be_written(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with (
        pytest.raises(InputError, match="cannot write in .*runs: .*set RUNS_DIR to another place"),
        lock(tmp_path / "runs", "key"),
    ):
        pass


# holds the lock until this process waits for it
TWIN = (
    NO_COMPILER
    + """
import sys, time
from pathlib import Path
from lib import runs
from lib.training import seeds

here = Path(sys.argv[1])
real = seeds.split

def split(*args):  # what every training does once, at its start, under the lock
    (here / "training").touch()
    while not (here / "go").exists():
        time.sleep(0.01)
    return real(*args)

seeds.split = split
print(runs.make(runs.Training("digits", "resnet8", 0.3, 0, "fast", 1), progress=False).path)
"""
)


@pytest.mark.slow
def test_two_processes_make_one_run_and_train_once(empty_store, tmp_path, monkeypatch):
    def train(*args):
        raise AssertionError("trained a second time")

    monkeypatch.setattr("lib.runs.run.train_run", train)
    handler, logger = Call(lambda message: (tmp_path / "go").touch()), logging.getLogger("lib.runs.store")
    level = logger.level
    log = tmp_path / "log"
    environment = os.environ | {"PYTHONPATH": str(paths.ROOT)}
    with log.open("w") as out:
        twin = subprocess.Popen(
            [sys.executable, "-c", TWIN, str(tmp_path)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
        )
    try:
        end = time.monotonic() + 400
        while not (tmp_path / "training").exists():
            assert twin.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.02)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        mine = runs.make(Training("digits", "resnet8", 0.3, 0, "fast", 1), progress=False)
        answer, _ = twin.communicate(timeout=400)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        twin.kill()
        twin.communicate()
    assert twin.returncode == 0, log.read_text()
    assert Path(answer.strip()) == mine.path and list(empty_store.glob("digits-*/*")) == [mine.path]
    mine.verify()
    assert not any((empty_store / ".partial").glob("*"))


# ---- without flock -----------------------------------------------------------------------------------------


@pytest.fixture(params=[errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP], ids=["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def no_flock(request, monkeypatch) -> None:
    """A file system without flock, as Lustre is by default; waiting is short."""
    monkeypatch.setattr(fcntl, "flock", fail_with(request.param))
    monkeypatch.setattr("lib.base.locks.PATIENCE_SECONDS", 0.6)
    monkeypatch.setattr("lib.base.locks.BEAT_SECONDS", 0.1)


def marker(root: Path, text: str) -> Path:
    """The lock file of "key", as another process has left it."""
    file = root / ".locks" / "key.lock"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_a_lock_without_flock_excludes_and_leaves_nothing(no_flock, tmp_path):
    with lock(tmp_path, "key"):
        with pytest.raises(locks.Timeout), lock(tmp_path, "key", wait=False):
            pass
        with lock(tmp_path, "other"):
            pass
    assert files_below(tmp_path) == []
    with lock(tmp_path, "key"):
        pass


LEFT = {
    "of another machine": ("4711\nnode17\n", "process 4711 on node17, silent for"),
    "of a machine, with the time of its start": ("4711\nnode17\n99\n", "process 4711 on node17, silent for"),
    "of nobody": ("", r"a process unknown \(the file does not name it\), silent for"),
}


@pytest.mark.parametrize("case", LEFT)
def test_a_lock_file_that_was_left_is_named_with_its_holder(case, no_flock, tmp_path):
    text, who = LEFT[case]
    file = marker(tmp_path, text)
    match = f"{file} is locked by {who} .*; if no process works on .* delete that file"
    with pytest.raises(InputError, match=match) as caught, lock(tmp_path, "key"):
        pass
    assert "\n" not in str(caught.value) and file.read_text(encoding="utf-8") == text
    file.unlink()
    with lock(tmp_path, "key"):  # the way out
        pass


def test_asking_again_and_again_for_a_lock_that_was_left_ends_too(no_flock, tmp_path):
    """As a sweep does, which never waits for a lock."""
    marker(tmp_path, "4711\nnode17\n")
    end = time.monotonic() + 60
    with pytest.raises(InputError, match="process 4711 on node17"):
        while time.monotonic() < end:
            with contextlib.suppress(locks.Timeout), lock(tmp_path, "key", wait=False):
                raise AssertionError("taken")
            time.sleep(0.05)


def test_a_sweep_names_a_lock_that_was_left(no_flock, empty_store):
    training = Training("digits", "resnet8", 0.3, 0, "fast", 1)
    marker(empty_store, "4711\nnode17\n").rename(empty_store / ".locks" / f"{training.key}.lock")
    end = time.monotonic() + 60
    with pytest.raises(InputError, match=f"{training.key}.lock is locked by process 4711 on node17"):
        while time.monotonic() < end:
            with _claim(training) as free:
                assert not free
            time.sleep(0.05)


def test_a_holder_on_another_machine_that_lives_is_waited_for(no_flock, tmp_path):
    file, done = marker(tmp_path, "4711\nnode17\n"), threading.Event()

    def holder() -> None:  # renews its file for longer than anybody's patience, as `lock` does
        for _ in range(20):
            os.utime(file)
            time.sleep(0.1)
        done.set()
        file.unlink()

    thread = threading.Thread(target=holder)
    thread.start()
    with lock(tmp_path, "key"):
        assert done.is_set()
    thread.join()


# takes the lock as on a file system without flock, and keeps it until told; or is killed with it
HOLDER = """
import errno, fcntl, sys, time
from pathlib import Path

def none(*args):
    raise OSError(errno.ENOSYS, "not implemented")

fcntl.flock = none
from lib.base import locks
here = Path(sys.argv[1])
with locks.lock(here, "key"):
    (here / "held").touch()
    while not (here / "go").exists():
        time.sleep(0.01)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process of this machine that holds the lock without flock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], env=os.environ | {"PYTHONPATH": str(paths.ROOT)}
    )
    end = time.monotonic() + 200
    while not (tmp_path / "held").exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    yield process
    process.kill()
    process.wait()


def test_a_process_of_this_machine_that_lives_is_waited_for(no_flock, holder, tmp_path):
    timer = threading.Timer(1.5, (tmp_path / "go").touch)  # more than twice the patience
    timer.start()
    with lock(tmp_path, "key"):
        assert (tmp_path / "go").exists()
    assert holder.wait(60) == 0


def test_a_killed_process_of_this_machine_does_not_keep_its_lock_for_ever(no_flock, holder, tmp_path):
    """Its lock is taken over where that is safe; otherwise it is named."""
    holder.kill()
    holder.wait()
    try:
        with lock(tmp_path, "key"):
            pass
    except InputError as error:
        assert f"process {holder.pid} on" in str(error) and "which runs no more" in str(error)


def test_where_flock_works_a_lock_held_without_it_is_seen(tmp_path, monkeypatch):
    """One store, seen by machines that mount it with flock and without."""
    monkeypatch.setattr("lib.base.locks.PATIENCE_SECONDS", 0.3)
    file = marker(tmp_path, "4711\nnode17\n")
    with (
        pytest.raises(InputError, match=f"{file} is locked by process 4711 on node17"),
        lock(tmp_path, "key"),
    ):
        pass


def test_lock_files_that_flock_leaves_behind_are_no_locks(tmp_path):
    for _ in range(2):
        with lock(tmp_path, "key"):
            pass
    assert files_below(tmp_path) == ["key.lock"]


# ---- what is no file, and what cannot be read --------------------------------------------------------------

ODD = {
    "a folder": (lambda file: file.mkdir(), "is a folder, not a file"),
    "a pipe": (os.mkfifo, "is a pipe or a device, not a file"),
    "zeros without end": (lambda file: file.symlink_to("/dev/zero"), "is a pipe or a device, not a file"),
    "a terabyte": (
        lambda file: file.touch() or os.truncate(file, 2**40),
        "has 1,099,511,627,776 bytes, more than it can need",
    ),
    "a link to itself": (lambda file: file.symlink_to(file.name), "cannot read .*Too many levels"),
}


@pytest.mark.parametrize("name", [*NAMES, "manifest.json"])
@pytest.mark.parametrize("case", ODD)
def test_what_is_no_file_is_one_line(case, name, folder):
    make, match = ODD[case]
    file = folder.path / name
    file.unlink()
    make(file)
    start = time.monotonic()
    with pytest.raises(InputError, match=match) as caught:
        store.Folder(folder.path).verify()
    assert str(file) in str(caught.value) and "\n" not in str(caught.value) and time.monotonic() - start < 5


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE])
@pytest.mark.parametrize("name", [*NAMES, "manifest.json"])
def test_what_the_system_does_not_let_us_read_is_one_line(name, number, folder, monkeypatch):
    real = os.open

    def refuse(path, *args, **kwargs):
        return fail_with(number)() if Path(path).name == name else real(path, *args, **kwargs)

    monkeypatch.setattr(store.os, "open", refuse)
    with pytest.raises(InputError, match=f"cannot read .*{name}: {os.strerror(number)}; "):
        store.Folder(folder.path).verify()


@pytest.mark.parametrize(
    "name",
    [
        "../config.json",
        "/etc/passwd",
        ".hidden",
        "a/b",
        "a\\b",
        "",
        "con\u200bfig.json",
        "a" * 250,
        "manifest.json",
    ],
)
def test_a_manifest_names_plain_files_alone(name, folder):
    files = folder.files | {name: {"sha256": "0" * 64, "bytes": 0}}
    (folder.path / "manifest.json").write_bytes(store._manifest(files))
    with pytest.raises(InputError, match="manifest.json names .*, which is no plain name of another file"):
        store.Folder(folder.path)


def test_a_later_format_is_told_from_damage(folder):
    file = folder.path / "manifest.json"
    sealed = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(sealed | {"format": 2}), encoding="utf-8")
    with pytest.raises(
        InputError, match="manifest.json is of format 2, and this library knows formats up to 1"
    ):
        store.Folder(folder.path)
    del sealed["format"]  # as the first runs were written
    file.write_text(json.dumps(sealed), encoding="utf-8")
    store.Folder(folder.path).verify()


# ---- what killed processes leave, and power cuts -----------------------------------------------------------


def test_every_name_that_is_written_outlasts_a_power_cut(tmp_path, monkeypatch):
    """The folder of each renamed or new name is on the disk afterwards, up to one that was there before."""
    synced, real = [], os.fsync

    def fsync(number):
        synced.append(Path(os.readlink(f"/proc/self/fd/{number}")))
        real(number)

    monkeypatch.setattr(store.os, "fsync", fsync)
    run = store.create(tmp_path / "digits" / "run", {"config.json": b"{}"})
    assert synced[-1] == tmp_path / "digits" and tmp_path in synced
    run.add("table.parquet", b"x")
    assert synced[-1] == run.path
    write_atomically(tmp_path / "a" / "b" / "file", b"x")
    assert {tmp_path, tmp_path / "a", tmp_path / "a" / "b"} <= set(synced)


def test_a_file_system_that_cannot_sync_folders_is_no_error(tmp_path, monkeypatch):
    real = os.fsync

    def fsync(number):
        return fail_with(errno.EINVAL)() if os.path.isdir(f"/proc/self/fd/{number}") else real(number)

    monkeypatch.setattr(store.os, "fsync", fsync)
    assert store.create(tmp_path / "digits" / "run", {"config.json": b"{}"}).read("config.json") == b"{}"


def killed_at(step: int, work) -> int:
    """The exit status of a child that does the work and dies as by kill -9 before its n-th step on the
    disk.
    """
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

        for name in ("fsync", "replace", "rename", "unlink", "mkdir"):
            setattr(os, name, deadly(getattr(os, name)))
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


def test_kill_9_at_every_step_and_the_same_again_leaves_no_draft(tmp_path):
    """A run and a table, killed anywhere and made again: whole, the table in its manifest, and nothing beside
    it.
    """
    path = tmp_path / "digits" / "run"

    def work() -> None:
        run = (
            store.Folder(path) if there(path) else store.create(path, {"config.json": b"{}", "history": b"h"})
        )
        if "table" not in run:
            run.add("table", b"rows", measurement="m")

    steps = 0
    while killed_at(steps + 1, work):
        steps += 1
        if there(path):
            store.Folder(path).verify()
        work()
        run = store.Folder(path)
        run.verify()
        assert run.files["table"]["measurement"] == "m"
        assert files_below(tmp_path) == ["config.json", "history", "manifest.json", "table"], steps
        assert [entry.name for entry in path.parent.iterdir()] == ["run"], steps
        shutil.rmtree(tmp_path / "digits")
    assert steps > 15


def test_drafts_of_others_stay(tmp_path):
    """Of a process that lives, and of another machine; not of one that wrote them days ago."""
    drafts = [
        draft_of(tmp_path / "other"),
        tmp_path / ".other.node17-f00d.4711.tmp",
        tmp_path / ".other.123.tmp",
    ]
    for draft in drafts:
        draft.touch()
    (tmp_path / ".own notes.tmp").touch()
    write_atomically(tmp_path / "file", b"x")
    assert all(draft.exists() for draft in drafts)
    for draft in [*drafts, tmp_path / ".own notes.tmp"]:
        os.utime(draft, (0, 0))
    write_atomically(tmp_path / "file", b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".own notes.tmp", "file"]


def test_a_write_that_fails_takes_its_folders_back(tmp_path, monkeypatch):
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr(store.os, "replace", fail_with(errno.ENOSPC))
    with pytest.raises(InputError, match="the disk is full"):
        write_atomically(tmp_path / "kept" / "a" / "b" / "file", b"x")
    with pytest.raises(InputError, match="the disk is full"):
        store.create(tmp_path / "kept" / "digits" / "run", {"config.json": b"{}"})
    assert list((tmp_path / "kept").iterdir()) == []
