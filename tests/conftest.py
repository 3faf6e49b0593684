"""Fixtures shared by all tests: the digits, a trained network, a browser, the built book, and a store with
two tiny trainings. What takes long is made once for all of pytest's workers.
"""

import os

# networks this small gain nothing from threads, and two processes with threads slow each other; children
# inherit it
os.environ["OMP_NUM_THREADS"] = "1"

import shutil
import signal
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from filelock import FileLock
from torch import nn
from warm import LIBRARY, server

from lib import data, models, runs
from lib.base import fingerprint, interrupt, paths
from lib.book import browser
from lib.book import site as book_site
from lib.training.step import WARM_UP, _reusable
from lib.training.training import Training

# a shell's background jobs and nohup ignore signals, and children inherit that: a test that waits for Ctrl-C
# would wait for ever
for _number, _usual in interrupt.USUAL.items():
    signal.signal(_number, _usual)

torch.set_num_threads(1)  # for the case that something imported torch before this file

EPOCHS = 2  # enough to be better than chance, and to be interrupted in between

# The files that take longest: they begin first, so that no worker is left alone with one at the end. Of the two that
# need the built book the second comes later, so that no worker waits while another builds it.
LONGEST = (
    "test_site", "test_cluster", "test_rerun_page", "test_chapters", "test_sweep_killed", "test_robust",
    "test_flips", "test_rerun",
)  # fmt: skip
SLOW_FIXTURES = frozenset({"built", "chromium"})  # a test that asks for one of them is slow


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what -m does not choose
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, and mark tests that ask for a slow fixture.

    Within a file the order stays.
    """
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONGEST)))
    for item in items:
        if not SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> Callable[[str, Callable[[Path], None]], Path]:
    """A function (name, make) that returns a folder which `make` has filled, once for all workers."""
    common = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has a folder of its own inside the session's
        common = common.parent

    def folder(name: str, make: Callable[[Path], None]) -> Path:
        place, finished = common / name, common / f"{name}.finished"
        with FileLock(common / f"{name}.lock"):
            if not finished.exists():
                shutil.rmtree(place, ignore_errors=True)  # of a worker that failed
                place.mkdir()
                make(place)
                finished.touch()
        return place

    return folder


@pytest.fixture(scope="session")
def warm(tmp_path_factory):
    """A server of Python processes that start at once; for tests to which a process's start is not the point."""
    with server(tmp_path_factory.mktemp("warm"), LIBRARY) as there:
        yield there


@pytest.fixture(scope="session")
def digits() -> dict[str, data.Images]:
    """Both splits of the digits: {"train": Images, "test": Images}."""
    return {split: data.load("digits", split) for split in data.SPLITS}


@pytest.fixture(scope="session")
def trained() -> nn.Module:
    """A trained network on the digits, from the repository's own cache. Tests leave it as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUNS_DIR", raising=False)
        return runs.load(Training("digits", "resnet8", 0.0, 0, "fast"))


@pytest.fixture(scope="session")
def some() -> tuple[torch.Tensor, torch.Tensor]:
    """The first 120 test images of the digits, as pixels in [0, 1], and their labels."""
    test = data.load("digits", "test").first(120)
    return models.to_unit(test.pixels), test.labels


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests; where there is none, those that need it skip and say so."""
    if why := browser.missing():
        warnings.filterwarnings("default", message="pages are not tried in a browser")
        warnings.warn(f"pages are not tried in a browser: {why}", stacklevel=1)
        pytest.skip(f"pages are NOT tried in a browser: {why}")
    with browser.chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def trainings() -> list[Training]:
    """The two trainings of the shared store: alpha 0 and alpha 1."""
    return [Training("digits", "resnet8", alpha, 0, "fast", EPOCHS) for alpha in (0.0, 1.0)]


@pytest.fixture(scope="session")
def made(once, trainings) -> Path:
    """A store that holds `trainings` with their selectivity tables.

    Tests never write here: see `store_dir` and `own_store`.
    """

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RUNS_DIR", str(folder / "runs"))
            patch.setenv("LIB_CACHE", str(folder / "cache"))
            patch.delenv("RUNS_FROZEN", raising=False)
            runs.table("selectivity", trainings, progress=False)

    return once("store", make) / "runs"


@pytest.fixture(scope="session")
def built(once) -> Path:
    """The folder of the built book: html/, and book/, what it was built from, with the chapters as executed.

    It is _build where that is newer than its sources (`make book`), else one that is built for these tests.
    """
    if book_site.fresh(paths.BUILD):
        return paths.BUILD
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNS_FROZEN", "1")
        return once("site", book_site.build)


def _point(monkeypatch, root: Path) -> Path:
    monkeypatch.setenv("RUNS_DIR", str(root))
    monkeypatch.setenv("LIB_CACHE", str(root.parent / "cache"))
    monkeypatch.delenv("RUNS_FROZEN", raising=False)
    return root


@pytest.fixture
def store_dir(made, monkeypatch) -> Path:
    """The shared store as RUNS_DIR, for tests that only read."""
    return _point(monkeypatch, made)


@pytest.fixture
def own_store(made, tmp_path, monkeypatch) -> Path:
    """A copy of the shared store as RUNS_DIR, for tests that damage it."""
    shutil.copytree(made, tmp_path / "runs")
    return _point(monkeypatch, tmp_path / "runs")


@pytest.fixture
def empty_store(tmp_path, monkeypatch) -> Path:
    """An empty store as RUNS_DIR."""
    (tmp_path / "runs").mkdir()
    return _point(monkeypatch, tmp_path / "runs")


@pytest.fixture
def edit(tmp_path, monkeypatch):
    """A function (module, old, new): edits a copy of the library, which fingerprints are then taken from."""
    shutil.copytree(paths.ROOT / "lib", tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))

    def copy_of(module) -> Path:
        file = tmp_path.joinpath(*module.__name__.split("."))
        return file / "__init__.py" if file.is_dir() else file.with_suffix(".py")

    monkeypatch.setattr("lib.base.fingerprint.inspect", SimpleNamespace(getsourcefile=copy_of))

    def change(module: str, old: str, new: str) -> None:
        file = tmp_path / "lib" / f"{module}.py"
        source = file.read_text()
        assert source.count(old) >= 1
        file.write_text(source.replace(old, new))
        monkeypatch.setattr("lib.base.fingerprint._module", lru_cache(fingerprint._Module))

    monkeypatch.setattr("lib.base.fingerprint._module", lru_cache(fingerprint._Module))
    return change


@pytest.fixture
def captures(monkeypatch):
    """`capture` as on a GPU, with calls in place of a graph: the warm-up changes the network, the captured
    call is run.

    Yields the list of captures.
    """
    made = []

    def capture(update):
        for _ in range(WARM_UP):
            update()
        made.append(update)
        return update

    monkeypatch.setattr("lib.training.step.capture", capture)
    _reusable.cache_clear()
    yield made
    _reusable.cache_clear()
