"""Bits that flip in the files that this library reads: none passes as another value, and none is a traceback.

Each kind of file is read as the commands read it. What a reader gives after one bit of a file has flipped is
the same as before (the bit says nothing, or the file is scratch and made again), or one line of `InputError`.
Only in files without a checksum, which people write, may a flip give another valid value: sweep files. Logs and
lock files are words for people, in which a flip shows as it is.

`pytest tests/test_flips.py -m slow` tries 3,000 flips in about five minutes; without the mark, the first few of
each kind.
"""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
import torch
from test_data import Tiny, miniature, write_batches, write_shards

from lib import data, runs, sweeps
from lib.base import locks, paths
from lib.base.errors import InputError
from lib.corruptions import dataset as corrupted
from lib.corruptions import frost
from lib.data import cifar10
from lib.data.datasets import _load
from lib.runs import archive, catalogue, equivalence, store
from lib.sweeps import processes
from lib.training.checkpoint import read_checkpoint, write_checkpoint
from lib.training.recipe import Training

FEW = 5  # flips of each kind that the fast tests try
MANY = 3000  # of all kinds together


class Kind(NamedTuple):
    """A kind of file, some of it, and how the library reads them."""

    files: list[Path]
    read: Callable[[Path], object]  # reads what may depend on one of the files; gives what can be compared
    free: bool = False  # whether another valid value may come of a flip


# ---- the kinds ---------------------------------------------------------------------------------------------

PROJECT = Path(__file__).resolve().parents[1] / "runs"
DIGITS, CIFAR = (
    Training("digits", "resnet8", 0.0, 0, "fast"),
    Training("cifar10", "resnet20", 0.0, 0, "fast"),
)  # with a table of every kind, and weights


def _text(rows: pd.DataFrame) -> tuple[str, bytes]:
    """What a table says: its columns and their kinds, and a hash of every row."""
    return str(rows.dtypes), pd.util.hash_pandas_object(rows).to_numpy().tobytes()


def _listed(root: Path) -> object:
    rows = catalogue.catalogue()
    catalogue.refuse_damaged(rows)
    return _text(rows)


def _store(root: Path) -> Path:
    for training in (DIGITS, CIFAR):
        shutil.copytree(PROJECT / training.name, root / training.name)
    return root


def _of_run(named: Callable[[str], bool], read: Callable[[Training, str], object]) -> Callable:
    """A kind: some files of two runs, read by themselves and in the list of all runs."""

    def make(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
        root = _store(folder / "runs")
        patch.setenv("RUNS_DIR", str(root))
        files = {
            file: training
            for training in (DIGITS, CIFAR)
            for file in sorted((root / training.name).iterdir())
            if named(file.name)
        }

        def both(file: Path) -> list[object]:
            found, errors = [], []
            for part in (lambda: _listed(root), lambda: read(files[file], file.name)):
                try:
                    found.append(part())
                except InputError as error:
                    errors.append(error)
            # the list of runs never knows less than who reads one
            if errors:
                assert len(errors) == 2, errors
                raise errors[0]
            return found

        return Kind([*files], both)

    return make


def _table(training: Training, file: str) -> tuple[str, bytes]:
    entry = store.Folder(paths.runs() / training.name).files[file]
    return _text(runs.table(entry["measurement"], [training], **entry["settings"]))


def _summary(training: Training, file: str) -> tuple[str, bytes]:
    return _text(runs.summary([training]))


def _weights(training: Training, file: str) -> str:
    state = runs.load(training).state_dict()
    return json.dumps({name: tensor.double().sum().item() for name, tensor in state.items()})


def _checkpoint(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    file = folder / "checkpoint"
    tensors = {"network/a": torch.arange(300.0), "best/a": torch.zeros(7, dtype=torch.int64)}
    write_checkpoint(file, tensors, {"epoch": 3, "history": [{"loss": 0.5}], "best_accuracy": None})

    def read(file: Path) -> object:
        found, facts = read_checkpoint(file)
        return {name: tensor.tolist() for name, tensor in found.items()}, facts

    return Kind([file], read)


def _evidence(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    patch.setenv("RUNS_DIR", str(folder))
    shutil.copy(PROJECT / equivalence.NAME, folder)

    def read(_: Path) -> object:
        equivalence._read.clear()  # which trusts the clock of the file system, too coarse for a test
        return equivalence.records()

    return Kind([folder / equivalence.NAME], read)


def _sweep(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    files = [Path(shutil.copy(file, folder)) for file in sorted((paths.ROOT / "sweeps").glob("*.yml"))]

    return Kind(files, lambda file: sweeps.read(file).trainings, free=True)


def _archive(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    root, file = folder / "runs", folder / "runs.tar"
    patch.setenv("RUNS_DIR", str(PROJECT))
    archive.pack([DIGITS], file)
    patch.setenv("RUNS_DIR", str(root))

    def read(file: Path) -> object:
        shutil.rmtree(root, ignore_errors=True)
        try:
            found = archive.unpack(file)
        except InputError:
            assert not root.exists(), "something was written"
            raise
        return found, {path.name: path.read_bytes() for path in root.rglob("*") if path.is_file()}

    return Kind([file], read)


def _loaded(name: str, *, afresh: bool) -> str:
    _load.cache_clear()
    if afresh:
        shutil.rmtree(paths.cache(), ignore_errors=True)
    return "".join(data.load(name, split).fingerprint for split in data.SPLITS)


def _cifar(layout: str) -> Callable:
    def make(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
        patch.setenv("DATA_DIR", str(folder))
        patch.setenv("LIB_CACHE", str(folder / "cache"))
        files: list[Path] = []
        for split, images in miniature(folder, patch, per_class=2).items():
            if layout == "torchvision":
                files += write_batches(folder, images, patch, split)
            else:
                files += write_shards(folder, images, split)
        if layout == "order":
            files = [cifar10.CIFAR10_ORDER]
        return Kind(files, lambda _: _loaded("cifar10", afresh=True))

    return make


def _decoded(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    patch.setenv("DATA_DIR", str(folder))
    patch.setenv("LIB_CACHE", str(folder / "cache"))
    for split, images in miniature(folder, patch, per_class=2).items():
        write_shards(folder, images, split)
    _loaded("cifar10", afresh=True)
    return Kind(sorted((folder / "cache" / "data").iterdir()), lambda _: _loaded("cifar10", afresh=False))


def _corrupted(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    patch.setenv("LIB_CACHE", str(folder))
    images = data.load("digits", "test").first(3)

    def read(_: Path | None = None) -> object:
        cells = (corrupted._cell(images, images.pixels, name, 3) for name in ("contrast", "pixelate"))
        return [cell.tolist() for cell in cells]

    read()
    return Kind(sorted(folder.rglob("*.npz")), read)


def _tiny(layout: str) -> Callable:
    def make(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
        patch.setenv("DATA_DIR", str(folder))
        patch.setenv("LIB_CACHE", str(folder / "cache"))
        tiny = Tiny(folder)
        _published_tiny(tiny, patch)
        if layout == "tree":
            tree = tiny.write_tree()
            files = [
                tree / "wnids.txt",
                *sorted((tree / "val").rglob("*.*")),
                *sorted(tree.rglob("*_0.JPEG")),
            ]
        else:
            tiny.write_parquet()
            files = sorted((folder / "tiny-imagenet").iterdir())
        return Kind(files, lambda _: _loaded("tiny-imagenet", afresh=True))

    return make


def _published_tiny(tiny: Tiny, patch: pytest.MonkeyPatch) -> None:
    from test_data import WNIDS

    from lib.data import tiny_imagenet

    patch.setattr(tiny_imagenet, "TINY_IMAGENET_CLASSES", WNIDS)
    patch.setitem(data.DATASETS, "tiny-imagenet", (64, len(WNIDS), data.DATASETS["tiny-imagenet"][2]))
    for split, number in (("train", 4), ("test", 2)):
        patch.setitem(tiny_imagenet.TINY_IMAGENET_CONTENT, split, data.content(tiny.images(split)))
        patch.setitem(tiny_imagenet.TINY_IMAGENET_PER_CLASS, split, number)


def _frost(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    original = frost.folder()
    for name in frost.PICTURES:
        shutil.copy(original / name, folder)
    patch.setattr("lib.corruptions.frost.folder", lambda: folder)

    def read(_: Path) -> object:
        frost.frost.cache_clear()
        try:
            return [picture.sum().item() for picture in frost.frost(32)]
        finally:
            frost.frost.cache_clear()

    return Kind([folder / "frost1.png"], read)


def _lock(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    file = folder / "key.lock"
    file.write_bytes(b"4711\nnode17\n")
    return Kind([file], lambda file: str(locks._holder(file.read_bytes())), free=True)


def _log(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    file = folder / "job.log"
    file.write_text("epoch 1\nerror: cannot write /a: the disk is full\n", encoding="utf-8")
    return Kind([file], processes.failure, free=True)


KINDS: dict[str, Callable[[Path, pytest.MonkeyPatch], Kind]] = {
    "configuration": _of_run(lambda name: name == runs.CONFIG, _summary),
    "manifest": _of_run(lambda name: name == store.MANIFEST, _summary),
    "history": _of_run(
        lambda name: name == runs.HISTORY, lambda training, file: _text(runs.history([training]))
    ),
    "tables": _of_run(lambda name: name.endswith(".parquet") and name != runs.HISTORY, _table),
    "weights": _of_run(lambda name: name == runs.WEIGHTS, _weights),
    "checkpoint": _checkpoint,
    "evidence": _evidence,
    "archive": _archive,
    "sweep file": _sweep,
    "CIFAR-10 in parquet": _cifar("parquet"),
    "CIFAR-10 in batches": _cifar("torchvision"),
    "order of CIFAR-10": _cifar("order"),
    "Tiny ImageNet in parquet": _tiny("parquet"),
    "Tiny ImageNet in a tree": _tiny("tree"),
    "decoded images": _decoded,
    "corrupted images": _corrupted,
    "photographs of frost": _frost,
    "lock file": _lock,
    "log of a job": _log,
}


NEVER_REFUSED = {"decoded images", "corrupted images", "lock file", "log of a job"}  # made again, or words


# ---- the flips ---------------------------------------------------------------------------------------------


@pytest.fixture
def kind(request, tmp_path, monkeypatch) -> Iterator[Kind]:
    """The files of a kind, in a folder of the test's own."""
    monkeypatch.delenv("RUNS_FROZEN", raising=False)
    monkeypatch.setattr("lib.runs.run._train", _fail)
    monkeypatch.setattr("lib.runs.tables._measure", _fail)
    yield KINDS[request.getfixturevalue("name")](tmp_path, monkeypatch)
    _load.cache_clear()
    equivalence._read.clear()


def _fail(*args, **kwargs):
    raise AssertionError("trained or measured")


def hold(kind: Kind, seeds: range) -> int:
    """Flip a bit for each seed, and compare what is read with what was read before.

    Returns:
        How many of them were refused.
    """
    assert kind.files
    chosen = [kind.files[seed % len(kind.files)] for seed in seeds]
    before, refused = {file: kind.read(file) for file in dict.fromkeys(chosen)}, 0
    for seed, file in zip(seeds, chosen, strict=True):
        chance = random.Random(seed)
        whole = file.read_bytes()
        place, bit = chance.randrange(len(whole)), 1 << chance.randrange(8)
        file.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        try:
            same = kind.read(file) == before[file]
            assert same or kind.free, f"{file.name}: bit {bit} of byte {place} passes as another value"
        except InputError as error:
            refused += 1
            message = str(error)
            assert message and message.isprintable() and len(message) < 2000, (file.name, place, bit, message)
        except Exception as error:
            raise AssertionError(f"{file.name}: bit {bit} of byte {place} is a traceback") from error
        with suppress(FileNotFoundError):  # scratch may have been replaced by a new file
            file.unlink()
        file.write_bytes(whole)
    assert all(kind.read(file) == was for file, was in before.items())
    return refused


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_few_flipped_bits(name, kind):
    hold(kind, range(FEW))


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_three_thousand_flipped_bits(name, kind):
    refused = hold(kind, range(FEW, FEW + -(-MANY // len(KINDS))))
    assert (refused == 0) == (name in NEVER_REFUSED)
