"""Every command on a store in which something is not as it should be: one line, or no hindrance."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import EPOCHS
from lib.__main__ import main
from lib.base import paths
from lib.runs import archive, equivalence, store
from lib.runs.validity import CONFIG, WEIGHTS
from lib.training.training import Training

CIFAR = Training("cifar10", "resnet20", 0.0, 0, "fast")  # beside the digits that the commands are about
ALL = {"runs", "table", "sweep", "pack", "train", "import"}
LISTS = {"runs", "table"}  # commands about all runs


def in_place_of(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Something else in the place of a file or folder of the store."""

    def change(root: Path) -> None:
        place = root / name
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
        make(place)

    return change


def link(to: str) -> Callable[[Path], None]:
    return lambda place: place.symlink_to(to)


def sealed(records: object) -> str:
    return json.dumps({"same": records, "seal": equivalence._seal(records)})


def copied(name: str, to: str) -> Callable[[Path], object]:
    return lambda root: shutil.copytree(root / name, root / to)


DIGITS = Training("digits", "resnet8", 0.0, 0, "fast", EPOCHS)
EVIDENCE = {
    "a pipe": os.mkfifo,
    "a folder": os.mkdir,
    "zeros without end": link("/dev/zero"),
    "a list": lambda file: file.write_text("[]"),
    "bytes": lambda file: file.write_bytes(b"\xff\xfe"),
    "deep": lambda file: file.write_bytes(b"[" * 300_000),
    "numbers": lambda file: file.write_text(sealed([1])),
    "records of nothing": lambda file: file.write_text(sealed([{}])),
    "a word": lambda file: file.write_text(sealed("same")),
}
# what is odd, and the commands that must refuse it; the others go on
STORES: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "nothing odd": (lambda root: None, set()),
    "a copy of a run": (copied(DIGITS.name, "backup"), {"runs"}),
    "a copy in its group": (copied(DIGITS.name, "digits-resnet8/backup"), {"runs"}),
    "a copy of a group": (copied("digits-resnet8", "backup"), {"runs"}),
    "an empty folder of a run": (
        lambda root: (root / "digits-resnet8/alpha9.0-seed0-fast-0123abcd").mkdir(),
        LISTS,
    ),
    "an empty folder in the place of a run": (in_place_of(DIGITS.name, os.mkdir), ALL - {"train"}),
    "an empty folder of another data set": (in_place_of(CIFAR.name, os.mkdir), LISTS),
    "a file in the place of another's run": (in_place_of(CIFAR.name, Path.touch), LISTS),
    "a pipe in the place of another's run": (in_place_of(CIFAR.name, os.mkfifo), LISTS),
    "another's cut configuration": (in_place_of(f"{CIFAR.name}/{CONFIG}", Path.touch), LISTS),
    "another's endless configuration": (in_place_of(f"{CIFAR.name}/{CONFIG}", link("/dev/zero")), LISTS),
    "a pipe for a manifest": (in_place_of(f"{DIGITS.name}/{store.MANIFEST}", os.mkfifo), ALL - {"train"}),
    "a folder for a configuration": (in_place_of(f"{DIGITS.name}/{CONFIG}", os.mkdir), ALL - {"train"}),
    "a folder for weights": (in_place_of(f"{DIGITS.name}/{WEIGHTS}", os.mkdir), ALL - {"train", "table"}),
    **{f"evidence that is {kind}": (in_place_of(equivalence.NAME, make), {"runs"}) for kind, make in EVIDENCE.items()},
    "a group that is a link to itself": (lambda root: (root / "loop").symlink_to("loop"), LISTS),
    "a group that is a link to all": (lambda root: (root / "root").symlink_to("/"), set()),
    "names that cannot be printed": (lambda root: (root / "a\nb/c\x1b-0123abcd").mkdir(parents=True), LISTS),
    "names that are no text": (lambda root: os.makedirs(os.fsencode(root) + b"/\xff/x-0123abcd"), LISTS),
    "a store that is a file": (in_place_of("", Path.touch), ALL),
    "a store that is a pipe": (in_place_of("", os.mkfifo), ALL),
    "a store that is a link to itself": (in_place_of("", link("runs")), ALL),
}  # fmt: skip


@pytest.fixture
def call(monkeypatch, capsys, tmp_path, own_store, trainings):
    """Run a command in this process: (exit code, stdout, stderr). All it needs is cached, so nothing is made."""
    monkeypatch.setenv("RUNS_FROZEN", "1")
    shutil.copytree(paths.ROOT / "runs" / CIFAR.name, own_store / CIFAR.name)
    packed = archive.pack(trainings, tmp_path / "packed.tar").archives[0]
    sweep = tmp_path / "two.yml"
    sweep.write_text(
        f"dataset: digits\nmodels: [resnet8]\nrecipe: fast\nepochs: {EPOCHS}\nalphas: [0, 1]\nseeds: [0]\n",
        encoding="utf-8",
    )
    commands = {
        "runs": ["runs"],
        "table": ["table", "selectivity"],
        "sweep": ["sweep", str(sweep)],
        "pack": ["sweep", str(sweep), "--pack", str(tmp_path / "again.tar")],
        "train": ["train", "--dataset", "digits", "--alpha", "1", "--epochs", str(EPOCHS)],
        "import": ["runs", "import", str(packed)],
        "data": ["data", "digits"],
    }

    def run(command: str) -> tuple[int, str, str]:
        equivalence._read.clear()
        monkeypatch.setattr(sys, "argv", ["lib", *commands[command]])
        with pytest.raises(SystemExit) as stop:
            main()
        out = capsys.readouterr()
        return stop.value.code or 0, out.out, out.err

    return run


@pytest.mark.parametrize("kind", STORES)
def test_every_command_on_an_odd_store(kind, call, own_store):
    change, refusing = STORES[kind]
    change(own_store)
    for command in ("runs", "table", "sweep", "pack", "train", "data", "import"):
        start = time.monotonic()
        code, _, err = call(command)
        assert time.monotonic() - start < 10
        assert code == (2 if command in refusing else 0), (command, err)
        if code:
            assert err.startswith("error: ") and err.count("\n") == 1 and err[:-1].isprintable(), err
            assert len(err) < 1000


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything; see test_runs for made-up refusals")
def test_a_run_of_another_user_is_named(call, own_store):
    (own_store / CIFAR.name).chmod(0)
    try:
        code, _, err = call("runs")
        assert code == 2 and "Permission denied" in err
        assert call("sweep")[0] == 0
    finally:
        (own_store / CIFAR.name).chmod(0o700)
