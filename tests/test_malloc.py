"""Memory is kept where glibc gives it back: fewer page faults, the same bits, and the user's own settings
stay.
"""

import json
import os
import platform
import subprocess
import sys

import pytest
from warm import NO_COMPILER

from lib.base import malloc, paths

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")


class Library:
    """A C library that notes what it is told, and refuses some values."""

    def __init__(self, refused=()):
        self.told, self.refused = [], refused
        self.gnu_get_libc_version = lambda: b"2.36"

    def mallopt(self, parameter, value):
        self.told.append((parameter, value))
        return int(value not in self.refused)


@pytest.fixture
def told(monkeypatch):
    """A function that calls keep_memory with a C library and environment variables, and returns what the
    library was told.
    """
    for name in [name for name in os.environ if name.startswith("MALLOC_") or name == "GLIBC_TUNABLES"]:
        monkeypatch.delenv(name)

    def call(library=None, **variables):
        library = library or Library()
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(malloc.ctypes, "CDLL", lambda name: library)
        malloc.keep_memory.__wrapped__()
        return getattr(library, "told", None)

    return call


def test_the_three_thresholds_are_set(told):
    assert told() == [(-3, 2**30), (-1, 2**31 - 1), (-2, 2**28)]


@pytest.mark.parametrize(
    ("variables", "left"),
    [
        ({"MALLOC_TRIM_THRESHOLD_": "1000000"}, [-3, -2]),
        ({"MALLOC_MMAP_THRESHOLD_": "65536"}, [-1, -2]),
        ({"MALLOC_TOP_PAD_": "0"}, [-3, -1]),
        ({"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.trim_threshold=131072"}, [-3, -2]),
        ({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}, [-3, -1, -2]),
    ],
)
def test_what_the_user_set_stays(told, variables, left):
    assert [parameter for parameter, _ in told(**variables)] == left


def test_an_older_glibc_takes_a_smaller_threshold(told):
    assert told(Library(refused=[2**30])) == [(-3, 2**30), (-3, 2**25), (-1, 2**31 - 1), (-2, 2**28)]


def test_nothing_else_is_changed_where_the_threshold_is_refused(told):
    assert told(Library(refused=[2**30, 2**25])) == [(-3, 2**30), (-3, 2**25)]


class Musl:
    """A C library without mallopt."""


class Other:
    """A C library whose mallopt is not glibc's."""

    def mallopt(self, parameter, value):
        raise AssertionError("was called")


@pytest.mark.parametrize("library", [Musl(), Other()])
def test_other_c_libraries_are_left_alone(told, library, capfd):
    assert told(library) is None
    assert capfd.readouterr() == ("", "")


def test_a_system_without_a_c_library_is_left_alone(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(malloc.ctypes, "CDLL", missing)
    malloc.keep_memory.__wrapped__()


# ---- In processes ------------------------------------------------------------------------------------------

TRAINING = (
    NO_COMPILER
    + """
import hashlib, json, sys
from lib.base import malloc
if sys.argv[1] == "without":
    malloc.keep_memory = lambda: None
from lib import runs
from lib.training.training import Training
run = runs.make(Training("digits", "resnet8", 1.0, 3, "fast", 1), progress=False)
files = {name: hashlib.sha256(run.read(name)).hexdigest() for name in (runs.WEIGHTS, runs.HISTORY)}
units = runs.table("selectivity", [Training("digits", "resnet8", 1.0, 3, "fast", 1)])
if sys.argv[1] == "with":
    assert malloc.keep_memory.cache_info().currsize, "making a run did not call it"
print(json.dumps(files | {"selectivity": units.selectivity.tolist()}))
"""
)

BLOCKS = """
import resource, sys
import numpy as np
from lib.base import malloc
if sys.argv[1] == "with":
    malloc.keep_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    blocks = [np.ones(2**23, dtype=np.uint8) for _ in range(8)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def said(script: str, how: str, **variables: str) -> str:
    """What a new process prints."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")
    } | variables
    done = subprocess.run(
        [sys.executable, "-c", script, how],
        cwd=paths.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_results_are_the_same_to_the_bit(tmp_path):
    made = {}
    for how in ("with", "without"):
        made[how] = json.loads(
            said(
                TRAINING, how, RUNS_DIR=str(tmp_path / how), LIB_CACHE=str(tmp_path / "cache"), RUNS_FROZEN=""
            )
        )
    assert made["with"] == made["without"] and len(made["with"]) == 3


@pytest.mark.slow
@needs_glibc
def test_memory_that_is_freed_is_not_fetched_anew():
    """Eight blocks of 8 MB, twenty times: with the thresholds of a fresh process each is the system's, at
    least at first.
    """
    # glibc's own value, which then stays
    giving_back = int(said(BLOCKS, "without", MALLOC_TRIM_THRESHOLD_="131072"))
    keeping = int(said(BLOCKS, "with"))
    assert keeping < giving_back / 5
