"""Which library runs: that of the folder one works in, and never another copy's; and where its files go."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lib.base import paths

SHOWN = "import lib, subprocess, sys; print(lib.__file__, flush=True); "
CHILD = SHOWN + f"subprocess.run([sys.executable, '-c', {SHOWN!r}], cwd='/', check=True)"
KERNEL = """
import sys
from pathlib import Path
from jupyter_client.manager import start_new_kernel
import lib

print(lib.__file__)
manager, client = start_new_kernel(kernel_name="python3", cwd="/")
try:
    answer = client.execute_interactive("import lib; print(lib.__file__)", timeout=60)
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""


@pytest.fixture(params=["copied", "moved with a space"])
def other(request, tmp_path) -> Path:
    """Another copy of the project, used with the environment of this one."""
    folder = tmp_path / request.param
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(paths.ROOT / "lib", folder / "lib", ignore=ignored)
    for name in ("_toc.yml", "pyproject.toml"):
        shutil.copy(paths.ROOT / name, folder / name)
    return folder


def run(code: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "RUNS_DIR")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_a_process_that_is_started_imports_the_same_library(other):
    found = run(CHILD, other)
    assert found.stdout.split("\n")[:2] == [str(other / "lib" / "__init__.py")] * 2, found.stderr


@pytest.mark.slow
def test_a_kernel_imports_the_same_library(other):
    found = run(KERNEL, other)
    assert found.stdout.split("\n")[:2] == [str(other / "lib" / "__init__.py")] * 2, found.stderr


@pytest.mark.slow
def test_another_lib_on_the_path_is_not_handed_down(other, tmp_path):
    (tmp_path / "elsewhere" / "lib").mkdir(parents=True)
    (tmp_path / "elsewhere" / "lib" / "__init__.py").write_text("")
    found = run(CHILD, other, PYTHONPATH=str(tmp_path / "elsewhere"))
    assert found.stdout.split("\n")[:2] == [str(other / "lib" / "__init__.py")] * 2, found.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("name", "variable"), [("runs", "RUNS_DIR"), ("cache", "LIB_CACHE")])
def test_an_installed_library_writes_nowhere_unless_told(name, variable, tmp_path):
    site = tmp_path / "site-packages"
    shutil.copytree(paths.ROOT / "lib", site / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    code = f"from lib.base import paths\ntry:\n    print(paths.{name}())\nexcept paths.InputError as error:\n    print(error)"
    found = run(code, site, **{variable: ""})
    assert f"outside its project: set {variable}" in found.stdout and str(site) in found.stdout, found.stderr
    assert run(code, site, **{variable: str(tmp_path / "mine")}).stdout.strip() == str(tmp_path / "mine")
    assert sorted(one.name for one in site.iterdir()) == ["lib"]


def test_the_runs_that_travel_are_small():
    """At most 50 MB as they lie on a disk, whose files take whole blocks."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "runs"], cwd=paths.ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a clone: nothing says which runs travel")
    files = [paths.ROOT / name for name in listed.stdout.split("\0") if name]
    sizes = [file.stat().st_size for file in files if file.exists()]
    assert len(sizes) > 1000 and sum(-(-size // 4096) * 4096 for size in sizes) <= 50e6
