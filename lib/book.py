"""The book: pages made of chapters executed now, with warnings as errors."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lib import catalogue, chapters, paths, provenance
from lib.errors import InputError

RUNS = Path(provenance.LEDGER).stem  # the chapter that lists all runs
STATIC = ("_config.yml", "_toc.yml", "references.bib", "_static")


def stored_errors(notebook: NotebookNode) -> list[str]:
    """Tracebacks among the outputs: jupyter-book shows them without a word."""
    return [
        f"cell {number}: {output.ename}: {output.evalue}"
        for number, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]


def build(target: Path, given: Mapping[str, object] | None = None, *, only: str | None = None) -> Path:
    """Build the book from chapters executed now, with warnings as errors; returns the folder of its pages, `target`/html.

    given, only  run chapter `only` with these parameters (it may then train what is missing) and show the others as published, but for the list of runs;
                 without `only`, every chapter is run with its defaults or `given`, from cached runs alone
    raises       InputError with the first thing that is wrong: a cell that raises, a missing glue key, a broken reference,
                 a damaged run
    """
    catalogue.refuse_damaged(catalogue.catalogue())
    source = target / "book"
    for old in (source, target / "html"):
        shutil.rmtree(old, ignore_errors=True)
    (source / "chapters").mkdir(parents=True)
    if only:
        notebooks = {name: nbformat.read(chapters.published(name), as_version=4) for name in chapters.sources() if name != only}
        notebooks |= chapters.execute_all([only], given, frozen=False)
        if only != RUNS and RUNS in notebooks:  # figures lead to the rows of runs that may be new
            notebooks |= chapters.execute_all([RUNS], frozen=True)
    else:
        notebooks = chapters.execute_all(list(chapters.sources()), given, frozen=True)
    for name, notebook in notebooks.items():
        file = chapters.published(name).relative_to(paths.ROOT)
        if wrong := stored_errors(notebook):
            raise InputError(f"{file} holds an error: {wrong[0]}")
        (source / file).write_text(page(notebook))
    for name in STATIC:
        place = paths.ROOT / name
        if place.is_dir():
            shutil.copytree(place, source / name)
        elif place.exists():
            shutil.copy(place, source / name)
    for text in paths.CHAPTERS.glob("*.md"):
        shutil.copy(text, source / "chapters")
    return _jupyter_book(source, target)


def page(notebook: NotebookNode) -> str:
    """The text of a notebook as jupyter-book is given it; the notebook itself stays as it is.

    Links of outputs to other notebooks lead to their pages. What stands below a figure moves to a cell of its own: MyST-NB would make every output of
    a cell with a figure into that figure.
    """
    cells = []
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        below = [output for output in outputs if provenance.MARK in "".join(output.get("data", {}).get("text/html", ""))]
        if not below:
            cells.append(cell)
            continue
        cells.append(NotebookNode(cell | {"outputs": [output for output in outputs if output not in below]}))
        facts = {"id": f"{cell.id}-from", "metadata": {"tags": ["remove-input"]}, "execution_count": cell.execution_count, "outputs": below}
        cells.append(nbformat.v4.new_code_cell("# what the figure above was made from", **facts))
    text = chapters.text(NotebookNode(notebook | {"cells": cells}))
    return re.sub(r'(href=\\"[^"\\:]*)\.ipynb(?=[#\\])', r"\1.html", text)


_PROBLEM = re.compile(r"WARNING|ERROR|Exception|Traceback|Error:")


def _jupyter_book(source: Path, target: Path) -> Path:
    # --all: a second build over an old one does not repeat the warnings of the pages that it does not read again
    command = [sys.executable, str(Path(sysconfig.get_path("scripts"), "jupyter-book")), "build", str(source), "-W", "-n", "--keep-going", "--all"]
    search = os.pathsep.join(filter(None, [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH")]))  # for lib.pages, a Sphinx extension
    environment = os.environ | {"PYTHONPATH": search}
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, env=environment)
    log = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    (target / "build.log").write_text(log)
    if done.returncode:
        problems = [line for line in log.splitlines() if _PROBLEM.search(line)] or log.splitlines()[-1:]
        first = problems[0].replace(f"{source}/", "")
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputError(f"the book does not build: {first}{more}; see {target / 'build.log'}")
    pages = (source / "_build" / "html").rename(target / "html")
    scripts(pages / "_static")
    return pages


def scripts(static: Path) -> None:
    """Lay scripts that single pages load among the built ones: jupyter-book would load all that lies in _static before the build on every page."""
    own = sorted((paths.ROOT / "_scripts").glob("*.js"))
    for file in own:
        shutil.copy(file, static)
    if own:
        from plotly.offline import get_plotlyjs

        (static / "plotly.min.js").write_text(get_plotlyjs())
