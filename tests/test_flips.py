"""Bits that flip in the files that this library reads: none passes as another value, and none is a traceback.

Each kind of file is read as the commands read it. What a reader gives after one bit of a file has flipped is
the same as before (the bit says nothing, or the file is scratch and made again), or one line of `InputError`.
Only in files without a checksum, which people write, may a flip give another valid value: sweep files and
executed notebooks; and in a table that somebody else has sealed. Logs and lock files are words for people, in
which a flip shows as it is. Files that are cut, and bytes that have changed places, are tried beside the flips.

`pytest tests/test_flips.py -m slow` tries 3,000 flips in about five minutes; without the mark, the first few of
each kind.
"""

import ast
import io
import json
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from test_data import Tiny, miniature, write_batches, write_shards

from lib import data, measurements, runs, sweeps
from lib.base import locks, paths
from lib.base.errors import InputError
from lib.base.files import Unfit
from lib.book import notebooks, reruns
from lib.corruptions import dataset as corrupted
from lib.corruptions import frost
from lib.data import cifar10, imagenet_a
from lib.data.datasets import _load
from lib.measurements import logits, per_image
from lib.measurements.measurement import Kind as ColumnKind
from lib.runs import (
    archive,
    beside,
    catalogue,
    columns,
    epochs,
    equivalence,
    kinds,
    run,
    simulations,
    store,
    tables,
    validity,
)
from lib.sweeps import processes
from lib.training.checkpoint import read_checkpoint, write_checkpoint
from lib.training.training import Training

LIB = paths.ROOT / "lib"
FEW = 5  # flips of each kind that the fast tests try
MANY = 3200  # of all kinds together, of which some have fewer
EACH_OTHER = 5  # flips to one cut, and to one exchange of two bytes


class Kind(NamedTuple):
    """A kind of file, some of it, and how the library reads them."""

    files: list[Path]
    read: Callable[[Path], object]  # reads what may depend on one of the files; gives what can be compared
    free: bool = False  # whether another valid value may come of a flip
    most: int = MANY  # flips, where reading takes long


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


def _tables(training: Training) -> list[tuple[str, bytes]]:
    """Every table of a run."""
    found = store.Folder(paths.runs() / training.name).files
    return [_table(training, file) for file, entry in found.items() if "measurement" in entry]


def _summary(training: Training, file: str) -> tuple[str, bytes]:
    return _text(runs.summary([training]))


def _weights(training: Training, file: str) -> str:
    state = runs.load(training).state_dict()
    return json.dumps({name: tensor.double().sum().item() for name, tensor in state.items()})


# Measurements whose tables hold bytes that have a meaning of their own, with settings that take a moment.
# Tables of the others are columns of numbers and texts, like those that the two runs have.
SINGLE: dict[str, dict[str, object]] = {
    "image_attack": {"wide": 5, "limit": 3},
    "image_corruption": {"limit": 2},
    "image_transfer": {"limit": 3, "sources": [0, 1]},
    "logits": {"limit": 3, "steps": 2},
    "corruption_examples": {},
}


@cache
def _measured(name: str) -> bytes:
    """A table of the network `DIGITS`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUNS_DIR", raising=False)
        settings = measurements.settled(name, SINGLE.get(name, {}))
        return run.as_parquet(tables.measured(name, DIGITS, runs.load(DIGITS), settings))


def _meaning(name: str, table: pd.DataFrame) -> object:
    """What chapters read from the bytes of a table."""
    if name == "logits":
        return [logits.margins(one).tolist() for one in table.to_dict("records")]
    if "png" in table:
        return [np.asarray(Image.open(io.BytesIO(one))).tolist() for one in table.png]
    return _text(per_image.by_class(table)), per_image.accuracy(table).tolist()


def _single(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    root = _store(folder / "runs")
    patch.setenv("RUNS_DIR", str(root))
    for name, settings in SINGLE.items():
        kept, found = measurements.settled(name, settings), store.Folder(root / DIGITS.name)
        tables.keep(name, DIGITS, found, kept, _measured(name), "cpu", 1.0)
    files = [root / DIGITS.name / measurements.file_name(*one) for one in SINGLE.items()]

    def read(_: Path) -> object:
        _listed(root)
        return [_meaning(name, runs.table(name, [DIGITS], **how)) for name, how in SINGLE.items()]

    return Kind(files, read)


def _sealed_by_others(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    """Tables in an archive of somebody who knows how to seal one: what is in them is all there is to judge by."""
    files = [folder / name for name in SINGLE]
    for file in files:
        file.write_bytes(_measured(file.name))

    def read(_: Path) -> object:
        found = []
        for file in files:
            content = file.read_bytes()
            try:
                validity.table(file.name, content, DIGITS, measurements.settled(file.name, SINGLE[file.name]))
            except Unfit as error:
                raise InputError(str(error)) from None
            found.append(_meaning(file.name, columns.frame(content)))
        return found

    return Kind(files, read, free=True)


def _snapshots(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    root = _store(folder / "runs")
    patch.setenv("RUNS_DIR", str(root))
    for epoch in (0, 2):
        settings = measurements.settled("selectivity", {"epoch": epoch})
        found = store.Folder(root / DIGITS.name)
        tables.keep("selectivity", DIGITS, found, settings, _measured("selectivity"), "cpu", 1.0)
    file = root / DIGITS.name / measurements.file_name("selectivity", {"epoch": 2})

    def read(_: Path) -> object:
        _listed(root)
        return _text(runs.snapshots("selectivity", [DIGITS], epochs=[0, 2]))

    return Kind([file, root / DIGITS.name / store.MANIFEST], read)


def _unfinished(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    """Tables of a training that was interrupted, as it finds them when it goes on."""
    patch.setenv("RUNS_DIR", str(folder))
    partial = folder / ".partial" / "key-selectivity"
    for name in ("one.parquet", "two.parquet"):
        epochs._begun(partial).add(name, _measured("selectivity"), seconds=1.5)

    def read(_: Path) -> object:
        found = epochs._begun(partial)
        return found.files, [found.read(name) for name in sorted(found.files)]

    return Kind(sorted(partial.iterdir()), read)


def _simulation(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    root, how = folder / "runs", {"d": 64, "m": 128}
    one = runs.Simulation("purification", 0, tuple(how.items()))
    shutil.copytree(PROJECT / one.name, root / one.name)
    patch.setenv("RUNS_DIR", str(root))
    named = kinds.SIMULATIONS[one.kind].tables

    def read(_: Path) -> object:
        found = [_listed(root)]
        return found + [_text(runs.simulated(one.kind, name, seeds=[0], **how)) for name in named]

    return Kind(sorted((root / one.name).iterdir()), read)


def _beside(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    """The store that reruns are kept in, which is filled again before each, and what is read from it then."""
    published, own = folder / "runs", folder / "reruns"
    shutil.copytree(PROJECT / DIGITS.name, published / DIGITS.name)
    beside.fill(published, own)
    patch.setenv("RUNS_DIR", str(own))
    settings = measurements.settled("selectivity", {"epoch": 0})
    mine = store.Folder(own / DIGITS.name)
    tables.keep("selectivity", DIGITS, mine, settings, _measured("selectivity"), "cpu", 1.0)
    for file in (own / DIGITS.name).iterdir():  # copies, as where a file system has no links
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content)

    def read(_: Path) -> object:
        beside.fill(published, own)
        _listed(own)
        return _text(runs.snapshots("selectivity", [DIGITS], epochs=[0])), _tables(DIGITS)

    manifests = [root / DIGITS.name / store.MANIFEST for root in (own, published)]
    return Kind([*manifests, own / DIGITS.name / measurements.file_name("selectivity", settings)], read)


def _listed_reruns(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    """What a rerun shows, for the page that lists all: one that is damaged is not listed."""
    patch.setattr(paths, "BUILD", folder)
    facts = {"chapter": "02-approach", "alphas": [0.7], "shown": {"alphas": [0.7], "seeds": [0, 1]}}
    place = folder / "rerun" / "one"
    (place / "html").mkdir(parents=True)
    (place / "html" / "page.html").touch()
    reruns.note(place, place / "html" / "page.html", facts | {"changed": ["alphas", "seeds"]})
    whole, nothing = reruns._listed(), None
    with pytest.MonkeyPatch.context() as inner:
        inner.setattr(reruns, "_rows", list)
        nothing = reruns._listed()
    assert whole != nothing
    return Kind([place / reruns.FACTS], lambda _: reruns._listed() in (whole, nothing))


def _notebook(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    file = Path(shutil.copy(notebooks.published("02-approach"), folder / "out.ipynb"))

    def read(_: Path) -> object:
        return notebooks._executed(file)

    return Kind([file], read, free=True)


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


def _photographs(folder: Path, patch: pytest.MonkeyPatch) -> Kind:
    """ImageNet-A's photographs, which carry no checksum: pixels may differ, and what is no picture is refused."""
    patch.setenv("DATA_DIR", str(folder))
    place = folder / "imagenet-a" / "n01641577"
    place.mkdir(parents=True)
    levels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    Image.fromarray(levels).save(place / "one.jpg")
    Image.fromarray(levels).save(place / "two.png")

    def read(_: Path) -> object:
        imagenet_a._imagenet_a.cache_clear()
        return imagenet_a.imagenet_a(("n01641577", "n01698640"), 64).pixels.sum().item()

    return Kind(sorted(place.iterdir()), read, free=True)


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
    "tables of single images": _single,
    "tables that others have sealed": _sealed_by_others,
    "tables along a training": _snapshots,
    "tables along an unfinished training": _unfinished,
    "simulation": _simulation,
    "store of reruns": _beside,
    "list of reruns": _listed_reruns,
    "executed notebook": _notebook,
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
    "photographs of ImageNet-A": _photographs,
    "photographs of frost": _frost,
    "lock file": _lock,
    "log of a job": _log,
}


# made again, left out, or words
NEVER_REFUSED = {"decoded images", "corrupted images", "lock file", "log of a job", "list of reruns"}

# ---- no kind is forgotten ----------------------------------------------------------------------------------

# Modules that read files, and the kinds that they read. Some are no data: sources, a part of the project like
# its code, which git keeps; a page that was built a moment ago; and what the system says of itself.
SOURCE, PAGE, SYSTEM = "source", "page", "system"
READING = {
    "base/fingerprint.py": {SOURCE},
    "base/files.py": {"configuration", "decoded images"},  # for the others
    "base/locks.py": {"lock file"},
    "base/names.py": {SOURCE},
    "book/certified/cost.py": {SOURCE},
    "book/figures/canvas.py": {"tables of single images"},
    "book/kernels.py": {SYSTEM},
    "book/mending.py": {PAGE},
    "book/narrow.py": {PAGE},
    "book/needs.py": {SOURCE},
    "book/notebooks.py": {"executed notebook", SOURCE},
    "book/parameters.py": {SOURCE},
    "book/pdf.py": {PAGE, SOURCE},
    "book/readme.py": {SOURCE},
    "book/reference.py": {SOURCE, "tables"},
    "book/reruns.py": {"list of reruns"},
    "book/single.py": {PAGE, SOURCE},
    "book/site.py": {PAGE, SOURCE},
    "book/sources.py": {SOURCE},
    "corruptions/dataset.py": {"corrupted images"},
    "corruptions/frost.py": {"photographs of frost"},
    "data/cifar10.py": {"CIFAR-10 in batches", "order of CIFAR-10"},
    "data/datasets.py": {"decoded images"},
    "data/files.py": {"CIFAR-10 in batches", "Tiny ImageNet in a tree"},
    "data/imagenet_a.py": {"photographs of ImageNet-A"},
    "data/parquet.py": {"CIFAR-10 in parquet", "Tiny ImageNet in parquet"},
    "data/pictures.py": {"CIFAR-10 in parquet", "Tiny ImageNet in a tree"},
    "data/tiny_imagenet.py": {"Tiny ImageNet in a tree"},
    "measurements/per_image.py": {"corrupted images"},  # pictures that are made again, kept in the same way
    "measurements/transfer.py": {"corrupted images"},
    "papers/rules.py": {SOURCE},
    "runs/archive.py": {"archive", "manifest"},
    "runs/beside.py": {"store of reruns"},
    "runs/columns.py": {"tables", "history", "simulation", "tables that others have sealed"},
    "runs/equivalence.py": {"evidence"},
    "runs/repeat.py": {"tables"},
    "runs/run.py": {"weights"},
    "runs/store.py": {"manifest", "tables along an unfinished training"},
    "runs/cells.py": {"tables that others have sealed"},
    "runs/validity.py": {"weights"},
    "sweeps/file.py": {"sweep file"},
    "sweeps/processes.py": {"log of a job"},
    "training/checkpoint.py": {"checkpoint"},
    "training/engine.py": {SYSTEM},
}
READERS = {
    "read_file", "read_regular", "read_bytes", "read_text", "read_parquet", "ParquetFile", "open", "load", "safe_open",
    "kept", "copy", "copy2", "copyfile", "copytree", "inspect_notebook", "imread", "fromfile", "memmap", "loadtxt",
}  # fmt: skip
# calls of such a name that read no file: they write one, or load a network or a data set by its name
NO_FILES = {
    "data.load",
    "data_.load",
    "runs.load",
    "run.copy",
    "loop.load",
    "state.load",
    "self.load",
    "os.open",
}


def _reads(module: Path) -> bool:
    """Whether a module of the library opens a file to read it."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        of, _, what = name.rpartition(".")
        modes = [
            one.value
            for one in (*node.args, *(keyword.value for keyword in node.keywords))
            if isinstance(one, ast.Constant)
        ]
        writes = any(mode in ("w", "wb", "a") for mode in modes)
        copies = what == "copy" and of != "shutil"
        if what in READERS and name not in NO_FILES and not writes and not copies:
            return True
        if name in ("jupytext.read", "nbformat.read"):
            return True
    return False


def test_every_module_that_reads_files_names_their_kinds():
    found = {str(file.relative_to(LIB)) for file in LIB.rglob("*.py") if _reads(file)}
    assert not found - READING.keys(), "say in READING which kinds of files these read, and try them in KINDS"
    assert not READING.keys() - found, "these read no file any more"
    assert set().union(*READING.values()) - {SOURCE, PAGE, SYSTEM} <= KINDS.keys()
    # what is read through another module alone
    through = KINDS.keys() - set().union(*READING.values())
    assert through == {"tables along a training"}


def test_every_file_in_the_store_is_of_a_kind_that_is_tried():
    # columns of numbers and texts are alike in all tables; those of bytes are looked at below
    tables = measurements.MEASUREMENTS.keys()
    files = {runs.CONFIG, runs.HISTORY, runs.WEIGHTS, store.MANIFEST}
    for file in PROJECT.rglob("*"):
        if file.is_dir() or file.relative_to(PROJECT).parts[0] in (".locks", ".partial"):
            continue
        group, name = file.relative_to(PROJECT).parts[0], file.name
        if group == simulations.GROUP:
            kind = next(kind for kind in kinds.SIMULATIONS if file.parent.name.startswith(f"{kind}-"))
            known = kind == "purification" and (
                name in (runs.CONFIG, store.MANIFEST) or file.stem in kinds.SIMULATIONS[kind].tables
            )
        else:
            known = name in files or name.rpartition("-")[0] in tables or name == equivalence.NAME
        assert known, f"{file} is of a kind that no test damages: add it to KINDS, or a run that has it"


def test_all_bytes_that_a_table_holds_are_tried():
    def of_bytes(names: Iterable[str]) -> set[tuple[str, ...]]:
        """The columns of bytes that tables have."""
        columns = (measurements.MEASUREMENTS[name].table.items() for name in names)
        return {tuple(name for name, one in some if one.kind == ColumnKind.BYTES) for some in columns}

    assert of_bytes(measurements.MEASUREMENTS) - {()} == of_bytes(SINGLE)


# ---- the flips ---------------------------------------------------------------------------------------------


@pytest.fixture
def kind(request, tmp_path, monkeypatch) -> Iterator[Kind]:
    """The files of a kind, in a folder of the test's own."""
    monkeypatch.delenv("RUNS_FROZEN", raising=False)
    monkeypatch.setattr("lib.runs.run.train_run", _fail)
    monkeypatch.setattr("lib.runs.tables._measure", _fail)
    yield KINDS[request.getfixturevalue("name")](tmp_path, monkeypatch)
    _load.cache_clear()
    equivalence._read.clear()


def _fail(*args, **kwargs):
    raise AssertionError("trained or measured")


Damage = Callable[[bytes, random.Random], bytes]


def flipped(whole: bytes, chance: random.Random) -> bytes:
    """One bit is another."""
    place, bit = chance.randrange(len(whole)), 1 << chance.randrange(8)
    return whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]


def cut(whole: bytes, chance: random.Random) -> bytes:
    """The end is missing."""
    return whole[: chance.randrange(len(whole))]


def swapped(whole: bytes, chance: random.Random) -> bytes:
    """Two bytes have changed places."""
    one, other = sorted(chance.randrange(len(whole)) for _ in range(2))
    damaged = bytearray(whole)
    damaged[one], damaged[other] = damaged[other], damaged[one]
    return bytes(damaged)


def hold(kind: Kind, seeds: range) -> int:
    """Flip a bit for each seed, now and then cut the file or exchange two bytes too, and compare what is read
    with what was read before.

    Returns:
        How many of them were refused.
    """
    assert kind.files
    chosen = [kind.files[seed % len(kind.files)] for seed in seeds]
    before, refused = {file: kind.read(file) for file in dict.fromkeys(chosen)}, 0
    for seed, file in zip(seeds, chosen, strict=True):
        others: list[Damage] = [cut, swapped] if seed % EACH_OTHER == 0 else []
        for damage in [flipped, *others]:
            refused += _refused(kind, file, before[file], damage, seed)
    assert all(kind.read(file) == was for file, was in before.items())
    return refused


def _refused(kind: Kind, file: Path, before: object, damage: Damage, seed: int) -> bool:
    """Damage a file of a kind, read it, and put it back."""
    whole, refused = file.read_bytes(), False
    what = f"{file.name}, {damage.__name__} with seed {seed},"
    file.write_bytes(damage(whole, random.Random(seed)))
    try:
        assert kind.read(file) == before or kind.free, f"{what} passes as another value"
    except InputError as error:
        refused, message = True, str(error)
        assert message and message.isprintable() and len(message) < 2000, (what, message)
    except Exception as error:
        raise AssertionError(f"{what} is a traceback") from error
    with suppress(FileNotFoundError):  # scratch may have been replaced by a new file
        file.unlink()
    file.write_bytes(whole)
    return refused


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_few_flipped_bits(name, kind):
    hold(kind, range(FEW))


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_three_thousand_flipped_bits(name, kind):
    refused = hold(kind, range(FEW, FEW + min(kind.most, -(-MANY // len(KINDS)))))
    assert (refused == 0) == (name in NEVER_REFUSED)
