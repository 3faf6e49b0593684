"""Every command on the page about rerunning: run, in a copy of the project, or checked as far as a machine
without GPU, cluster or network can.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import typer

from lib.__main__ import app
from lib.base import paths
from lib.book import notebooks
from lib.commands.options import numbers
from lib.runs import durations

TEXT = "\n".join(cell.source for cell in notebooks.read("18-rerun").cells if cell.cell_type == "markdown")
FENCES = re.findall(r"^```(.+?)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
RUN = [body for kind, body in FENCES if kind == "bash"]
PYTHON = [body for kind, body in FENCES if kind == "python"]
MARKED = [body.split("\n", 1) for kind, body in FENCES if kind == "{code-block} bash"]
NEEDS = {"needs-network", "needs-time", "needs-cifar10", "needs-gpu", "needs-cluster"}
CHECKED = [(mark.removeprefix(":class: "), line) for mark, lines in MARKED for line in lines.splitlines()]


def test_every_fence_is_one_or_the_other():
    assert len(RUN) + len(PYTHON) + len(MARKED) == len(FENCES) and len(RUN) >= 5 and len(PYTHON) == 1
    assert {mark for mark, _ in CHECKED} == NEEDS
    style = (paths.ROOT / "_static" / "book.css").read_text()
    assert all(f"div.{mark} pre::before" in style for mark in NEEDS)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project, with a store and a build folder of its own, and the environment of a shell in
    it.
    """
    root = tmp_path_factory.mktemp("page") / "project"
    usual = shutil.ignore_patterns(
        ".git", ".venv", "_build", ".cache", "__pycache__", ".pytest_cache", ".locks", ".partial", "reruns"
    )

    def left_out(folder: str, names: list[str]) -> set[str]:
        """What is made, and data sets in data/; lib/data is code."""
        return usual(folder, names) | ({"data"} & set(names) if Path(folder) == paths.ROOT else set())

    shutil.copytree(paths.ROOT, root, ignore=left_out, symlinks=True)
    (root / ".venv").symlink_to(sys.prefix)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("RUNS_DIR", "RUNS_FROZEN", "DATA_DIR", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    }
    return root, environment | {"PYTHONPATH": str(root), "LIB_CACHE": str(paths.cache())}


def shell(project, script: str, **more: str) -> subprocess.CompletedProcess:
    root, environment = project
    # the environment that runs this test stands for the one that make would install
    script = f'set -euo pipefail\nmake() {{ command make -o .venv/synced "$@"; }}\n{script}'
    return subprocess.run(
        ["bash", "-c", script], cwd=root, env=environment | more, capture_output=True, text=True, check=False
    )


def ran(project, script: str) -> str:
    done = shell(project, script)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_commands_do_what_the_page_says(project):
    """In the order of the page: a later one may lean on an earlier one."""
    root, said = (
        project[0],
        {
            script.splitlines()[0].removeprefix("source .venv/bin/activate"): ran(project, script)
            for script in RUN
        },
    )
    first = next(iter(said.values()))
    assert re.search(r"\d+ cached, 3 to train\n", first) and first.count("\nnew: alpha0.7-seed") == 3
    page = Path(first.splitlines()[-1].removeprefix("the page: "))
    head = page.read_text(encoding="utf-8").split("This page is a rerun")[1][:2500]
    assert (
        page.is_relative_to(root)
        and "3 were made now" in head
        and "alpha0.7-seed0-fast-" in head
        and "<p>made now</p>" in head
    )
    images = [
        (page.parent / source).resolve()
        for source in re.findall(r'<img[^>]+src="([^"]+\.svg)"', page.read_text(encoding="utf-8"))
    ]
    assert any("<!-- 0.7 -->" in image.read_text() and "<!-- −2 -->" in image.read_text() for image in images)
    # what was published stays, to the last file
    for place in (paths.ROOT / "runs", paths.CHAPTERS):
        was, now = (
            {
                file.relative_to(folder): file.read_bytes()
                for folder in [top / place.relative_to(paths.ROOT)]
                for file in folder.rglob("*")
                if file.is_file() and not {".locks", ".partial", "__pycache__"} & set(file.parts)
            }
            for top in (paths.ROOT, root)
        )
        assert now == was
    # it is built by itself: what leads to other pages leads to the published ones, or nowhere
    assert (
        not (page.parent.parent / "reference").exists()
        and not (page.parent / "01-introduction.html").exists()
    )
    table = pd.read_csv(root / "selectivity.csv")
    assert 0.7 in set(table.alpha[table.dataset == "digits"])
    notebook = (root / "mine.ipynb").read_text()
    assert "alphas = [-1.0, 0.0, 0.7]" in notebook and '"output_type": "error"' not in notebook
    assert any("0 made, 24 were there, 0 left" in text for text in said.values())
    assert any(
        "runs added to" in text and (root / "_build" / "another-store").is_dir() for text in said.values()
    )
    ran(project, f".venv/bin/python -W error -c {shlex.quote(PYTHON[0])}")


def expanded(project, line: str) -> list[str]:
    """The commands of `python -m lib` that a line comes to, make's being asked with -n."""
    if line.startswith("make "):
        done = shell(project, f"{line} -n")
        assert done.returncode == 0, done.stderr
        line = done.stdout
    return re.findall(r"(?:python|\$PY) -m lib (.+)$", line, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize(("mark", "line"), CHECKED, ids=[line for _, line in CHECKED])
def test_what_cannot_be_run_here_is_at_least_well_formed(mark, line, project):
    if line.startswith(("git clone ", "cd ")) or line == "make env":
        assert mark == "needs-network"
        assert line != "make env" or shell(project, "make -n env").returncode == 0
        return
    if line == "make test":
        assert shell(project, "make -n test").returncode == 0
        return
    commands = expanded(project, line)
    assert len(commands) == 1
    name, *arguments = shlex.split(commands[0])
    command = typer.main.get_command(app).commands[name]
    # raises for an unknown option, a missing or a superfluous argument
    given = command.make_context(name, arguments).params
    if name == "rerun":
        assert (
            notebooks.find(given["chapter"])
            and numbers(given["alpha"], float, "alpha")
            and given["recipe"] in ("", "fast", "paper")
        )
    # a dry run: the file, the engine and the part are read before the missing runs are refused
    if mark == "needs-cluster":
        done = shell(project, line, RUNS_FROZEN="1", RUNS_DIR="_build/empty-store")
        assert done.returncode == 2 and done.stderr.startswith(
            "error: RUNS_FROZEN=1 and run cifar10-resnet20/"
        ), done.stderr


def test_times_are_those_of_the_cached_runs(store_dir, trainings):
    rows = durations.training()
    assert (
        rows.networks.tolist() == [len(trainings)]
        and (rows.least <= rows.seconds).all()
        and (rows.seconds <= rows.most).all()
    )
    assert rows.dataset.tolist() == ["digits"] and rows.engine.str.startswith("c").all()
    tables = durations.measuring()
    assert tables.measurement.tolist() == ["selectivity"] and tables.tables.tolist() == [len(trainings)]
    made = rows.assign(seconds=[0.4, *rows.seconds[1:]], least=0.2, most=120.0)
    said = durations.said(made)
    assert said["each takes"][0] == "about a second" and said["range"][0] == "about a second to 2 minutes"
    assert durations.said(rows.assign(least=20.0, most=20.0))["range"].tolist() == [""] and not {
        "seconds",
        "least",
        "most",
    } & set(said)
