"""A chapter rerun with a new alpha on digits: the alpha is in the figures, what was cached stays, a second
call trains nothing.
"""

import os
import pty
import re
import shutil
import subprocess
import sys
import termios
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lib.base import paths
from lib.book import rerun
from lib.training.training import Training


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A copy of the digits runs that the repository keeps."""
    root = tmp_path_factory.mktemp("rerun store") / "runs"  # with a space in its path
    shutil.copytree(paths.ROOT / "runs" / "digits-resnet8", root / "digits-resnet8")
    return root


@pytest.mark.slow
def test_new_alpha_is_trained_once(store, tmp_path, monkeypatch):
    """That its page is built, and shows it beside the cached ones, is tested with the commands of the page
    about rerunning.
    """
    monkeypatch.setenv("RUNS_DIR", str(store))
    monkeypatch.setattr("lib.base.paths.BUILD", tmp_path / "_build")
    built, said = [], []

    def build(target, name, given, *, head):
        built.append((given["alphas"], name, head()))
        (target / "html" / "chapters").mkdir(parents=True, exist_ok=True)
        (target / "html" / "chapters" / f"{name}.html").touch()
        return target / "html" / "chapters" / f"{name}.html"

    monkeypatch.setattr("lib.book.single.build", build)
    page = rerun.rerun("approach", dataset="digits", alphas=[0.7], seeds=[0], say=said.append)
    place = page.parents[2]
    assert page.name == "02-approach.html" and place.parent == tmp_path / "_build" / "rerun"
    assert place.name.startswith("02-approach-alphas-0.7-dataset-digits-seeds-0-")
    assert re.search(r"(\d+) networks \(resnet8 on digits, fast recipe\), (\d+) cached, 1 to train$", said[0])
    assert said[1].startswith("to train: 1 network, about ")
    assert said[2].startswith("to measure: selectivity on 1 network, about ")
    assert said[3].startswith("together about ") and said[4].startswith("new: alpha0.7-seed0-fast-")
    ((alphas, name, head),) = built
    assert 0.7 in alphas and -2.0 in alphas and name == "02-approach"
    assert (
        "Parameters: dataset **`digits`**; model `resnet8`; alphas −2, −1, 0, 0.2, 0.4, **0.7**, 1; "
        "seeds **0**; recipe `fast`.\n" in head
    )
    assert "1 was made now" in head and re.search(
        r'\| <span id="run-\w+">`alpha0.7-seed0-fast-\w+`</span> \| \*\*0.7\*\* \| 0 \| made now \|', head
    )
    assert '<a href="../../../index.html">all reruns</a>' in head

    monkeypatch.setattr("lib.runs.run.train_run", lambda *a: pytest.fail("trained again"))
    said.clear()
    rerun.rerun("02-approach", dataset="digits", alphas=[0.7], seeds=[0], say=said.append)
    assert said[0].endswith("cached, 0 to train") and said[1:] == [
        f"all reruns: {place.parent / 'index.html'}",
        f"networks and tables are kept in {store}; to work with them: RUNS_DIR={store} python -m lib runs",
    ]
    assert "0 were made now" in built[-1][2]


QUIET_SECONDS = 5.0


@pytest.mark.slow
def test_nothing_is_silent_on_a_terminal(store, tmp_path):
    """The gaps between what a rerun that trains, measures, executes and builds writes to a terminal."""
    project = tmp_path / "project"
    project.mkdir()
    for part in ("lib", "chapters", "reference", "_static", "_scripts", "sweeps"):
        shutil.copytree(paths.ROOT / part, project / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in filter(Path.is_file, paths.ROOT.iterdir()):
        shutil.copy(file, project)
    environment = {
        name: value for name, value in os.environ.items() if name not in ("RUNS_FROZEN", "DATA_DIR")
    }
    environment |= {"RUNS_DIR": str(store), "PYTHONPATH": str(project), "LIB_CACHE": str(paths.cache())}
    command = [
        sys.executable,
        "-m",
        "lib",
        "rerun",
        "approach",
        "--dataset=digits",
        "--alpha=0.6",
        "--seed=0",
    ]
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 110))
    process = subprocess.Popen(command, cwd=project, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    gaps, shown, begun = [], b"", time.monotonic()
    last = begun
    while True:
        try:
            read = os.read(ours, 2**16)
        except OSError:  # how Linux says that the other side is closed
            break
        if not read:
            break
        now = time.monotonic()
        gaps.append((now - last, shown[-200:]))
        shown, last = shown + read, now
    os.close(ours)
    text = shown.decode()
    longest, before = max(gaps)
    print(f"{time.monotonic() - begun:.0f} s, longest silence {longest:.1f} s, after {before!r}")
    assert process.wait() == 0, text
    stages = [
        "loading the library",
        "comparing with the cached runs",
        "to train: 1 network, about ",
        "to measure: selectivity on 1 network, about a second",
        "together about ",
        "training 1 of 1: digits-resnet8/alpha0.6-seed0-fast-",
        ", epoch 16 of 16 … ",
        "new: alpha0.6-seed0-fast-",
        "measuring 1 of 1: selectivity on digits-resnet8/alpha0.6-seed0-fast-",
        "executing 02-approach",
        "building the page",
        "the page: ",
    ]
    found = [text.find(stage) for stage in stages]
    assert -1 not in found and found == sorted(found), (stages[found.index(min(found))], text)
    assert longest < QUIET_SECONDS, before


def test_head_marks_what_was_made_now_and_what_was_cached(own_store, trainings):
    before = {trainings[0]: frozenset(), trainings[1]: rerun.tables(trainings[1])}
    assert rerun.tables(replace(trainings[0], seed=9)) is None and before[trainings[1]] == {"selectivity"}
    head = rerun.marked(before)
    assert "Of its 2 networks, 0 were made now and 2 came from the cache." in head
    measured, cached = (Path(one.name).name for one in trainings)
    assert f"`{measured}`</span> | 0 | 0 | cached | selectivity |" in head.split("{dropdown}")[0]
    assert f"`{cached}`</span> | 1 | 0 | cached | cached |" in head.split("{dropdown}")[1]
    head = rerun.marked({trainings[0]: None})
    assert (
        "Of its 1 networks, 1 was made now and 0 came" in head
        and "| made now | selectivity |" in head
        and "dropdown" not in head
    )
    assert "Nothing was made or measured." in rerun.marked({trainings[1]: rerun.tables(trainings[1])})


def test_seeds_are_those_cached_for_every_alpha_of_the_chapter(store, monkeypatch):
    monkeypatch.setenv("RUNS_DIR", str(store))
    own = [-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0]
    asked = [Training("digits", "resnet8", alpha, 7, "fast") for alpha in own]
    assert rerun._cached_seeds(asked) == [0, 1, 2]
    assert rerun._cached_seeds([*asked, replace(asked[0], alpha=5.0)]) == []


def test_pgd_training_has_seeds_of_its_own(monkeypatch):
    plain, mixed, attacked = trainings = [
        Training("digits", "resnet8", 0.0, 0, "fast", variant=name) for name in ("plain", "augmix", "pgd-2")
    ]
    monkeypatch.setattr(
        rerun.catalogue,
        "trainings",
        lambda: [*trainings, replace(plain, seed=1), replace(mixed, seed=1), replace(attacked, seed=2)],
    )
    own = {"seeds": [5, 6], "pgd_seeds": [5]}
    assert rerun._seeds([], own, trainings) == {"seeds": [0, 1], "pgd_seeds": [0]}
    assert rerun._seeds([3, 1, 3], own, trainings) == {"seeds": [1, 3], "pgd_seeds": [1, 3]}
    assert rerun._seeds([], own, [replace(one, alpha=9.0) for one in trainings]) == own
    assert rerun._seeds([], {"seeds": [5]}, trainings[:2]) == {"seeds": [0, 1]}


def test_seeds_of_variants_do_not_count(monkeypatch):
    plain = [Training("digits", "resnet8", alpha, seed, "fast") for alpha in (0, 1) for seed in (0, 1)]
    variants = [
        replace(training, seed=seed, variant=variant)
        for training in plain
        for seed, variant in ((2, "augmix"), (1, "pgd-2"))
    ]
    monkeypatch.setattr(rerun.catalogue, "trainings", lambda: [*plain[:3], *variants])
    assert rerun._cached_seeds(plain[::2]) == [0]
    assert rerun._cached_seeds([replace(plain[0], variant="augmix")]) == [2]
