"""pyproject.toml is the one list of dependencies; everything that repeats it must agree."""

import tomllib

import pytest
import yaml

from lib import __version__
from lib.base import paths

PROJECT = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())["project"]


def test_conda_and_binder_get_the_same_packages():
    environment = yaml.safe_load((paths.ROOT / "environment.yml").read_text())
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert sorted(pip) == sorted([*PROJECT["dependencies"], "-e ."])
    assert f"python{PROJECT['requires-python']}" in conda


def test_lock_holds_the_pinned_pair():
    lock = tomllib.loads((paths.ROOT / "uv.lock").read_text())
    locked = {package["name"]: package["version"] for package in lock["package"]}
    assert (locked["torch"], locked["torchvision"]) == ("2.11.0", "0.26.0")
    assert locked["jupyter-book"].startswith("1.")
    own = next(package for package in lock["package"] if package["name"] == PROJECT["name"])
    assert {need["name"] for need in own["dependencies"]} == {
        need.split(">")[0].split("=")[0].split("[")[0] for need in PROJECT["dependencies"]
    }


def test_what_few_need_is_optional_and_locked():
    lock = tomllib.loads((paths.ROOT / "uv.lock").read_text())
    own = next(package for package in lock["package"] if package["name"] == PROJECT["name"])
    extras = {"autoattack": "pyautoattack", "bench": "torchattacks"}
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
    citation = yaml.safe_load((paths.ROOT / "CITATION.cff").read_text())
    assert PROJECT["version"] == __version__ == citation["version"]


@pytest.mark.parametrize(
    "file", ["README.md", "CHANGELOG.md", "LICENSE", "CITATION.cff", "CONTRIBUTING.md", "Makefile", ".ci/run"]
)
def test_what_a_newcomer_looks_for_is_there(file):
    assert (paths.ROOT / file).stat().st_size > 0


def test_tracked_runs_stay_small():
    kept = ("-seed0-", "alpha0.0-seed1-fast-")
    weights_of_other_seeds = [
        f
        for f in paths.ROOT.glob("runs/*/*/weights.safetensors")
        if not any(name in f.parent.name for name in kept)
    ]
    size = sum(
        f.stat().st_size
        for f in paths.ROOT.glob("runs/*/*/*")
        if f.is_file() and f not in weights_of_other_seeds
    )
    assert size < 25e6
