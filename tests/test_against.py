"""Today's training code beside that of an earlier commit: both run here, and every bit is compared."""

import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from warm import run as run_warm

from lib.base import paths
from lib.base.errors import InputError
from lib.runs import against, catalogue, equivalence, store
from lib.runs.validity import CONFIG, WEIGHTS

OLD = "2:0123456789ab"  # the digest that the earlier code gives itself


@pytest.fixture
def stale(own_store):
    """The store's runs were made by other code."""
    for file in own_store.glob(f"*/*/{CONFIG}"):
        run = store.Folder(file.parent)
        files = {name: run.read(name) for name in run.files}
        facts = json.loads(files[CONFIG])
        facts["provenance"]["code"] = OLD
        files[CONFIG] = json.dumps(facts, indent=1).encode() + b"\n"
        # tables are not the question here
        files = {name: content for name, content in files.items() if "selectivity" not in name}
        shutil.rmtree(file.parent)
        store.create(file.parent, files, optional=(WEIGHTS,))
    rows = catalogue.catalogue()
    assert set(rows.status) == {"stale"}
    return own_store


@pytest.fixture
def earlier(tmp_path, monkeypatch, warm):
    """A function (module, old, new): the library of the earlier commit is today's with this edit."""

    def make(module: str = "", old: str = "", new: str = "") -> None:
        tree = tmp_path / "tree"
        shutil.copytree(paths.ROOT / "lib", tree / "lib", ignore=shutil.ignore_patterns("__pycache__"))
        said = tree / "lib/runs/provenance.py"
        text = said.read_text(encoding="utf-8")
        said.write_text(f"{text}\n\ndef training_digest(training):\n    return {OLD!r}\n", encoding="utf-8")
        if module:
            file = tree / "lib" / f"{module}.py"
            text = file.read_text(encoding="utf-8")
            assert text.count(old) == 1
            file.write_text(text.replace(old, new), encoding="utf-8")
        monkeypatch.setattr(against, "_tree", lambda revision, folder: tree)

    def run(command, *, env, cwd, **how):
        assert command[:2] == [sys.executable, "-c"]
        assert how == {"capture_output": True, "encoding": "utf-8", "check": False}
        return run_warm(warm, *command[2:], env=env, cwd=cwd)

    monkeypatch.setattr("lib.runs.against.subprocess", SimpleNamespace(run=run))
    monkeypatch.setattr(against, "IMAGES", 200)
    return make


@pytest.mark.slow
def test_code_that_gives_the_same_bits_makes_nothing_stale(stale, earlier):
    earlier("training/loop", "0.1**passed", "0.1 ** (passed + 0)")
    lines: list[str] = []
    assert against.against("v1", say=lines.append)
    assert set(catalogue.catalogue().status) <= {"ok", "diverged"}
    (record,) = equivalence.records()
    assert (record["kind"], record["old"], record["model"]) == ("training", OLD, "resnet8")
    assert record["evidence"][0]["images"] == 200 and "commit v1" in record["evidence"][0]["what"]
    assert lines[-1].startswith("the same: plain training (fast) of resnet8")
    assert (
        against.against("v1", say=lines.append) and len(equivalence.records()) == 1
    )  # nothing is left to do


@pytest.mark.slow
def test_code_that_gives_other_bits_is_named(stale, earlier):
    earlier("training/recipe", "momentum: float = 0.9", "momentum: float = 0.8")
    lines: list[str] = []
    assert not against.against("v1", say=lines.append)
    assert lines[-1].startswith("differs: plain training (fast) of resnet8") and "its history" in lines[-1]
    assert set(catalogue.catalogue().status) == {"stale"} and not equivalence.records()


@pytest.mark.slow
def test_code_that_fails_is_one_line(stale, earlier):
    earlier("training/recipe", "momentum: float = 0.9", "momentum: float = nothing")
    with pytest.raises(InputError, match="^the code of v1 fails: NameError: name 'nothing' is not defined$"):
        against.against("v1", say=lambda line: None)


def test_no_such_commit(stale):
    with pytest.raises(InputError, match="^no library at commit 'nowhere' of ") as caught:
        against.against("nowhere", say=lambda line: None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["--help", "--output=evil", "-", "a\0", "a\nb", "\udcff", "9" * 100_000])
def test_what_is_no_name_of_a_commit_is_one_line(name, stale, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="^no (commit is called|library at commit) ") as caught:
        against.against(name, say=lambda line: None)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 700
    assert sorted(tmp_path.rglob("*")) == before and not list(paths.ROOT.glob("evil*"))


def test_the_tree_of_a_commit(tmp_path):
    git = ["git", "-C", str(paths.ROOT)]
    if subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, check=False).returncode:
        pytest.skip("this copy of the project is no git repository")
    found = against._tree("HEAD", tmp_path)
    assert (found / "lib/training/loop.py").exists()


def test_frozen(stale, monkeypatch):
    monkeypatch.setenv("RUNS_FROZEN", "1")
    with pytest.raises(InputError, match="RUNS_FROZEN=1 and recheck trains"):
        against.against("HEAD")
