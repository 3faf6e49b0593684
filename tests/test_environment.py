"""pyproject.toml is the one list of dependencies; everything that repeats it must agree. And the hooks."""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from lib import __version__
from lib.base import paths

PROJECT = tomllib.loads((paths.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

STAND_IN = "./_scripts/opencv-python"


def test_conda_and_binder_get_the_same_packages():
    environment = yaml.safe_load((paths.ROOT / "environment.yml").read_text(encoding="utf-8"))
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert sorted(pip) == sorted([*PROJECT["dependencies"], "-e .", STAND_IN])
    assert f"python{PROJECT['requires-python']}" in conda


def test_only_the_opencv_without_windows_is_installed():
    """uv leaves the other out by an override; for pip, an empty package of its name satisfies who asks for it."""
    stand_in = tomllib.loads((paths.ROOT / STAND_IN / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [
        need for need in importlib.metadata.requires("imagecorruptions-imaug") if need.startswith("opencv")
    ]
    (need,) = map(Requirement, asked)
    assert need.name == stand_in["project"]["name"] and stand_in["project"]["version"] in need.specifier
    (brought,) = stand_in["project"]["dependencies"]
    assert brought in PROJECT["dependencies"] and Requirement(brought).name == "opencv-python-headless"
    assert stand_in["tool"]["hatch"]["build"]["targets"]["wheel"] == {
        "bypass-selection": True
    }  # holds no file
    installed = {one.metadata["Name"] for one in importlib.metadata.distributions()}
    assert {name for name in installed if "opencv" in name.lower()} == {"opencv-python-headless"}


def test_lock_holds_the_pinned_pair():
    lock = tomllib.loads((paths.ROOT / "uv.lock").read_text(encoding="utf-8"))
    locked = {package["name"]: package["version"] for package in lock["package"]}
    assert (locked["torch"], locked["torchvision"]) == ("2.11.0", "0.26.0")
    assert locked["jupyter-book"].startswith("1.")
    own = next(package for package in lock["package"] if package["name"] == PROJECT["name"])
    assert {need["name"] for need in own["dependencies"]} == {
        need.split(">")[0].split("=")[0].split("[")[0] for need in PROJECT["dependencies"]
    }


def test_what_few_need_is_optional_and_locked():
    lock = tomllib.loads((paths.ROOT / "uv.lock").read_text(encoding="utf-8"))
    own = next(package for package in lock["package"] if package["name"] == PROJECT["name"])
    extras = {"autoattack": "pyautoattack", "bench": "torchattacks", "lab": "jupyterlab"}
    assert {
        name: [need.split(">")[0] for need in needs]
        for name, needs in PROJECT["optional-dependencies"].items()
    } == {n: [p] for n, p in extras.items()}
    assert own["optional-dependencies"] == {name: [{"name": package}] for name, package in extras.items()}
    tools = sorted(
        ["axe-playwright-python", "foolbox", "playwright", "scikit-dimension", "import-linter", "mypy"]
        + ["pre-commit", "ruff", "types-pyyaml"]
    )
    assert sorted(need["name"] for need in own["dev-dependencies"]["dev"]) == tools
    assert not any(need.startswith((*extras.values(), *tools)) for need in PROJECT["dependencies"])


def test_version_is_said_once():
    citation = yaml.safe_load((paths.ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert PROJECT["version"] == __version__ == citation["version"]


@pytest.mark.parametrize(
    "file",
    [
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "CITATION.cff",
        "CONTRIBUTING.md",
        "Makefile",
        ".ci/run",
        ".pre-commit-config.yaml",
    ],
)
def test_what_a_newcomer_looks_for_is_there(file):
    assert (paths.ROOT / file).stat().st_size > 0


def test_tracked_runs_stay_small():
    kept = re.compile(
        r"-seed0-|/alpha0\.0-seed1-fast-|cifar10-resnet20/.*-seed[3-7]-fast-"
    )  # as .gitignore has it
    weights_of_other_seeds = [
        f for f in paths.ROOT.glob("runs/*/*/weights.safetensors") if not kept.search(f.parent.as_posix())
    ]
    size = sum(
        f.stat().st_size
        for f in paths.ROOT.glob("runs/*/*/*")
        if f.is_file() and f not in weights_of_other_seeds
    )
    assert size < 50e6


# ---- before a commit ---------------------------------------------------------------------------------------


def test_hooks_run_what_make_lint_runs_and_need_no_network():
    (repo,) = yaml.safe_load((paths.ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert repo["repo"] == "local" and all(hook["language"] == "system" for hook in repo["hooks"])
    assert all(hook["pass_filenames"] is False for hook in repo["hooks"])  # the whole, as in CI
    lint = re.search(
        r"^lint: env\n((?:\t.+\n)+)", (paths.ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [hook["entry"] for hook in repo["hooks"]] == [line.strip() for line in lint[1].splitlines()]
    assert "\nmake lint\n" in (paths.ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for hook in repo["hooks"]:
        program = paths.ROOT / hook["entry"].split()[0]
        assert program.exists() or not (paths.ROOT / ".venv").exists(), program


def test_the_configuration_of_the_hooks_is_taken_by_their_program():
    clientlib = pytest.importorskip("pre_commit.clientlib")
    assert clientlib.load_config(str(paths.ROOT / ".pre-commit-config.yaml"))["repos"][0]["hooks"]


@pytest.mark.skipif(Path(sys.prefix) != paths.ROOT / ".venv", reason="not in the environment of make env")
def test_make_env_compiles_what_it_installs():
    """Where nothing may be compiled later, as in many containers, each start would take seconds more."""
    for name in ("torch._dynamo.symbolic_convert", "sphinx.application", "scipy.stats._stats_py"):
        parent, _, module = name.rpartition(".")
        (folder,) = importlib.util.find_spec(parent).submodule_search_locations
        assert Path(importlib.util.cache_from_source(str(Path(folder) / f"{module}.py"))).exists(), name


@pytest.mark.slow
@pytest.mark.parametrize("has_ensurepip", [True, False])
def test_an_environment_without_pip_is_mended(tmp_path, has_ensurepip):
    """`python3 -m venv` leaves one where ensurepip is not installed; once it is, make must get over it."""
    shutil.copy(paths.ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "uv.lock"):
        (tmp_path / name).touch()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / ".venv"], check=True)
    if not has_ensurepip:  # make has this folder on PYTHONPATH; venv itself works without PYTHONPATH
        (tmp_path / "ensurepip.py").write_text("raise ImportError", encoding="utf-8")
    offline = os.environ | {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    make = ["make", f"PYTHON={sys.executable}", ".venv/synced"]
    done = subprocess.run(make, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False, env=offline)
    assert done.returncode and "No matching distribution found for uv" in done.stderr, done.stderr
    pip = [tmp_path / ".venv" / "bin" / "python", "-m", "pip", "--version"]
    assert subprocess.run(pip, capture_output=True, check=False).returncode == 0
