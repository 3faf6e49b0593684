"""Results that other code than today's has made are named wherever they are shown, and fresh ones never are."""

from __future__ import annotations

import hashlib
import html
import json
import logging
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from lib import runs
from lib.base import paths
from lib.book import builder, notebooks, readme, single, sources
from lib.runs import equivalence, provenance, staleness, store
from lib.training.training import Training

UNITS = "selectivity"


@pytest.fixture(autouse=True)
def new_process(monkeypatch):
    """As in a process that has said nothing and judged nothing yet."""
    monkeypatch.setattr(staleness, "_told", set())
    staleness._judged.cache_clear()
    provenance.start()
    yield
    staleness._judged.cache_clear()


def made_by_other_code(folder: Path, *kinds: str) -> None:
    """Write into a run that other code has made its training or some of its tables."""
    manifest = json.loads((folder / store.MANIFEST).read_text(encoding="utf-8"))
    files = manifest["files"]
    for entry in files.values():
        if entry.get("measurement") in kinds:
            entry["code"] = "2:0123456789abcdef"
    if "training" in kinds:
        config = json.loads((folder / runs.CONFIG).read_text(encoding="utf-8"))
        config["provenance"]["code"] = "2:0123456789abcdef"
        content = json.dumps(config).encode()
        (folder / runs.CONFIG).write_bytes(content)
        files[runs.CONFIG] |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    manifest["seal"] = store._seal(files)
    (folder / store.MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def lines(caplog) -> list[str]:
    return [message for message in caplog.messages if message.startswith(staleness.WORD)]


READERS = {
    "table": lambda trainings: runs.table(UNITS, trainings),
    "summary": runs.summary,
    "history": runs.history,
}


@pytest.mark.parametrize("reader", READERS)
def test_nothing_is_said_of_fresh_results(own_store, trainings, caplog, reader):
    READERS[reader](trainings)
    assert lines(caplog) == [] and staleness.of(provenance.so_far()) == {}


@pytest.mark.parametrize("reader", ["table", "summary"])
def test_a_stale_table_is_said_once_with_its_runs(own_store, trainings, caplog, reader):
    made_by_other_code(own_store / trainings[1].name, UNITS)
    for _ in range(2):
        READERS[reader](trainings)
    (line,) = lines(caplog)
    assert trainings[1].name in line and trainings[0].name not in line
    assert "table selectivity of 1 run was made by other code than today's" in line and "\n" not in line
    assert staleness.of(provenance.so_far()) == {UNITS: [trainings[1]]}


@pytest.mark.parametrize("reader", READERS)
def test_what_was_made_of_a_stale_network_is_stale(own_store, trainings, caplog, reader):
    for training in trainings:
        made_by_other_code(own_store / training.name, "training")
    READERS[reader](trainings)
    (line,) = lines(caplog)
    assert "the training of 2 runs was made" in line and all(one.name in line for one in trainings)


def test_each_kind_is_said_once(own_store, trainings, caplog):
    made_by_other_code(own_store / trainings[0].name, UNITS, "training")
    made_by_other_code(own_store / trainings[1].name, UNITS)
    runs.summary(trainings)
    runs.history(trainings)
    assert len(lines(caplog)) == 2 and staleness.of(dict.fromkeys(trainings, ())) == {
        "training": [trainings[0]]
    }


def test_an_edit_of_the_code_is_what_makes_it_so(own_store, trainings, caplog, edit):
    edit("selectivity", "1e-6", "1e-5")
    runs.summary(trainings)
    assert any("table selectivity of 2 runs" in line for line in lines(caplog))


def test_evidence_of_equal_code_makes_it_fresh(own_store, trainings, monkeypatch):
    made_by_other_code(own_store / trainings[0].name, UNITS)
    monkeypatch.setattr("lib.runs.equivalence.same", lambda kind, old, new, **facts: True)
    runs.table(UNITS, trainings)
    assert staleness.of(provenance.so_far()) == {}


def test_many_runs_are_counted(caplog):
    staleness.tell("attack", [f"run {n}" for n in range(8)])
    (line,) = lines(caplog)
    assert "table attack of 8 runs" in line and "run 4 and 3 more;" in line and "run 5" not in line


def test_results_of_several_chapters_are_joined():
    found = [{"attack": ["b", "a"]}, {}, {"attack": ["a", "c"], "training": ["a"]}]
    assert staleness.merged(found) == {"attack": ["b", "a", "c"], "training": ["a"]}


@pytest.mark.parametrize("stale", [True, False])
def test_below_a_figure(own_store, trainings, stale):
    if stale:
        made_by_other_code(own_store / trainings[0].name, UNITS)
    runs.table(UNITS, trainings)
    made = sources.bundle("fig-x", provenance.so_far())
    says = "Stale: table selectivity of 1 run made by other code than today's"
    assert (says in html.unescape(made["text/html"])) is stale and made["text/plain"].startswith(
        says
    ) is stale
    assert (re.match(r'<p class="stale">Stale: [^<]+</p>\n<details', made["text/html"]) is not None) is stale


@pytest.mark.slow
def test_the_command_says_it_on_stderr(own_store, trainings):
    made_by_other_code(own_store / trainings[0].name, UNITS)
    command = [sys.executable, "-m", "lib", "table", UNITS, "--csv"]
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, encoding="utf-8", check=True)
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("stale: table selectivity of 1 run")
    assert done.stdout.startswith("dataset,")


# ---- pages -------------------------------------------------------------------------------------------------


def test_no_published_page_has_stale_numbers():
    for name in notebooks.sources():
        notebook = nbformat.read(notebooks.published(name), as_version=4)
        assert notebooks.STALE not in notebook.metadata and 'class="stale"' not in notebooks.text(notebook)


@pytest.mark.slow
def test_a_reruns_page_is_marked_where_its_numbers_are_stale(tmp_path, monkeypatch, caplog):
    """At its head, also where no figure shows it, and below its figures; and a line on stderr."""
    (tmp_path / "runs").mkdir()
    shutil.copytree(paths.ROOT / "runs" / "digits-resnet8", tmp_path / "runs" / "digits-resnet8")
    shutil.copy(paths.ROOT / "runs" / "same-code.json", tmp_path / "runs")
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "runs"))
    stale = [Training("digits", "resnet8", 0.0, seed, "fast") for seed in (0, 1)]
    for training in stale:
        made_by_other_code(tmp_path / "runs" / training.name, UNITS)

    def pages(source, target, *, strict):
        assert not strict
        shutil.copytree(source, tmp_path / "source")
        (source / "html").mkdir()
        return source / "html"

    monkeypatch.setattr(builder, "jupyter_book", pages)
    caplog.set_level(logging.WARNING)
    given = {"dataset": "digits", "alphas": [-1.0, 0.0, 1.0], "seeds": [0, 1]}
    single.build(tmp_path / "book", "02-approach", given, head=lambda: "this is a rerun")
    assert len(lines(caplog)) == 1 and all(training.name in lines(caplog)[0] for training in stale)
    page = nbformat.read(tmp_path / "source" / "chapters" / "02-approach.ipynb", as_version=4)
    by_id = {cell.id: cell for cell in page.cells}
    assert list(by_id)[1:3] == ["cell-stale", "cell-head"] and "cell-report" not in by_id
    head = by_id["cell-stale"].source
    assert "table selectivity of 2 runs" in head and all(training.name in head for training in stale)
    outputs = [output for cell in page.cells for output in cell.get("outputs", [])]
    made = [
        output.data["text/html"]
        for output in outputs
        if sources.MARK in output.get("data", {}).get("text/html", "")
    ]
    # published numbers alone, without a network
    made = [one for one in made if "fig-main-text" not in one]
    # a figure names the stale ones of its own networks: one of them shows a single network
    assert len(made) >= 4 and all("Stale: table selectivity of " in one for one in made)
    assert sum("Stale: table selectivity of 2 runs" in one for one in made) >= 4
    assert not any(output.get("name") == "stderr" for output in outputs)


def test_the_readmes_figure_says_it_too(own_store, trainings, caplog, monkeypatch):
    """`python -m lib chapters` reads its numbers like a chapter."""
    made_by_other_code(own_store / trainings[0].name, UNITS)
    here = type("Here", (), {"trainings": trainings, "setting": "two networks"})()
    monkeypatch.setattr("lib.book.chapter.parameters", lambda namespace: here)
    readme.summary()
    assert len(lines(caplog)) == 1


def test_only_lines_about_stale_results_are_taken_from_stderr():
    output = nbformat.v4.new_output("stream", name="stderr", text=f"{staleness.WORD}a table\nanother\n")
    assert notebooks._without_warnings(output).text == "another\n"
    assert (
        notebooks._without_warnings(
            nbformat.v4.new_output("stream", name="stderr", text=f"{staleness.WORD}x")
        )
        is None
    )
    printed = nbformat.v4.new_output("stream", name="stdout", text=f"{staleness.WORD}x")
    assert notebooks._without_warnings(printed) is printed


def test_damaged_evidence_holds_nobody_up(own_store, trainings, caplog, monkeypatch):
    monkeypatch.setattr(staleness, "_told", set())
    (own_store / equivalence.NAME).write_text("[]", encoding="utf-8")
    staleness._judged.cache_clear()
    monkeypatch.setattr("lib.runs.provenance.table_digest", lambda *given: "2:" + "0" * 12)
    for _ in range(2):
        assert len(runs.table("selectivity", trainings))
    said = [one.getMessage() for one in caplog.records if "cannot be told" in one.getMessage()]
    assert len(said) == 1 and "same-code.json" in said[0] and "\n" not in said[0]
    staleness._judged.cache_clear()
