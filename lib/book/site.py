"""Build the book from chapters that are executed now, with warnings as errors."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from lib.base import paths, progress
from lib.base.errors import InputError
from lib.base.files import no_room
from lib.base.locks import lock
from lib.book import kernels, mending, narrow, notebooks
from lib.book import sources as book_sources
from lib.book.markdown import markdown_code
from lib.runs import catalogue, staleness

_log = logging.getLogger(__name__)
STATIC = ("_config.yml", "_toc.yml", "references.bib", "_static", "reference")


def stored_errors(notebook: NotebookNode) -> list[str]:
    """Tracebacks among the outputs of a notebook, which jupyter-book would show without a warning."""
    return [
        f"cell {number}: {output.ename}: {output.evalue}"
        for number, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]


def build(target: Path) -> Path:
    """Build the book from chapters executed now, from cached runs alone, with warnings as errors.

    Returns:
        The folder of its pages, `target`/html.

    Raises:
        InputError: For the first thing that is wrong, such as a cell that raises, a missing glue key, a
            broken reference or a damaged run.
    """
    with progress.working("checking every file of the cached runs"):
        catalogue.refuse_damaged(catalogue.catalogue())
    # two builds into one folder come one after the other
    with no_room("build the book"), lock(target, "build"):
        with progress.working("executing all chapters, from cached runs alone"):
            executed = notebooks.execute_all(list(notebooks.sources()), frozen=True)
        with drafted(target) as draft, progress.working("building the pages"):
            _write_sources(executed, draft)
            pages = jupyter_book(draft, target, strict=True)
            scripts(pages / "_static")
            narrow.lay(executed, pages)
            replace(target / "html", pages)
            replace(target / "book", draft)
    return target / "html"


@contextlib.contextmanager
def drafted(target: Path) -> Iterator[Path]:
    """A folder of `target` in which a build is made, gone afterwards if nobody has moved it away."""
    draft = target / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def replace(folder: Path, new: Path) -> None:
    """Put a folder in the place of another, which stays until then."""
    old = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def mark_stale(notebook: NotebookNode) -> None:
    """Say at the head of an executed chapter which results on it are stale, if any."""
    if stale := notebook.metadata.get(notebooks.STALE):
        notebook.cells.insert(1, nbformat.v4.new_markdown_cell(stale_head(stale), id="cell-stale"))


def stale_head(stale: Mapping[str, list[str]]) -> str:
    """What a page says at its head where numbers on it come from stale results, as Markdown.

    Args:
        stale: {kind of result: names of runs}, from `staleness.named`.
    """
    lines = [
        f"- {staleness.described(kind, names)}: {', '.join(map(markdown_code, names))}"
        for kind, names in stale.items()
    ]
    return "\n".join([
        "````{admonition} Numbers on this page are stale",
        ":class: warning",
        "They were made by other code than today's, which may give other numbers; "
        f"{staleness.way_out(stale)}.",
        "",
        *lines,
        "````",
    ])


def _write_sources(executed: Mapping[str, NotebookNode], source: Path) -> None:
    """Write all that jupyter-book makes the pages of into a folder."""
    # these draw figures, whose packages take seconds to import; the page of a rerun needs none of them
    from lib.book import readme, reference

    (source / "chapters").mkdir(parents=True)
    for name, notebook in executed.items():
        mark_stale(notebook)
        write_page(name, notebook, source)
    for name in STATIC:
        place = paths.ROOT / name
        if place.is_dir():
            shutil.copytree(place, source / name)
        elif place.exists():
            shutil.copy(place, source / name)
    if address := os.environ.get("BOOK_REPOSITORY") or readme.repository():
        config = source / "_config.yml"
        config.write_text(addressed(config.read_text(encoding="utf-8"), address), encoding="utf-8")
    for text in paths.CHAPTERS.glob("*.md"):
        shutil.copy(text, source / "chapters")
    if (source / "reference").is_dir():
        for name, content in reference.pages().items():
            (source / name).write_text(content, encoding="utf-8")


def write_page(name: str, notebook: NotebookNode, source: Path) -> None:
    """Write a chapter into the folder that jupyter-book reads.

    Raises:
        InputError: It holds an error, which jupyter-book would show without a warning.
    """
    file = notebooks.published(name).relative_to(paths.ROOT)
    if wrong := stored_errors(notebook):
        raise InputError(f"{file} holds an error: {wrong[0]}")
    (source / file).parent.mkdir(parents=True, exist_ok=True)
    (source / file).write_text(page(notebook), encoding="utf-8")


_OPENING = "Parameters and code"  # what the link to the first code of a page says


def _folded(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Cells of a page whose code is behind a link: the parameters and the code that follows them behind one,
    any other cell's behind its own. A cell with `fold` in its metadata is behind a link of these words, with
    all that it shows.
    """
    found: list[NotebookNode] = []
    opening = False  # whether the cell before belongs to the parameters
    for cell in cells:
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type != "code" or tags & {"remove-input", "remove-cell"}:
            opening = False
            found.append(cell)
            continue
        fold = cell.metadata.get("fold", "")
        hidden = tags - {"hide-input"} | {"hide-cell" if fold else "hide-input"}
        joined = {"metadata": cell.metadata | {"tags": sorted(hidden)}}
        if opening:
            before = found.pop()
            joined |= {
                "source": f"{before.source}\n\n{cell.source}",
                "outputs": before.outputs + cell.outputs,
            }
        opening = opening or "parameters" in tags
        if prompt := _OPENING if opening else fold:
            prompts = dict.fromkeys(("code_prompt_show", "code_prompt_hide"), prompt)
            joined["metadata"]["mystnb"] = cell.metadata.get("mystnb", {}) | prompts
        found.append(NotebookNode(cell | joined))
    return found


def page(notebook: NotebookNode) -> str:
    """Text of a notebook as it is given to jupyter-book; the notebook itself stays as it is.

    Links in outputs to other notebooks lead to their pages. The output below a figure moves to a cell of its
    own, since MyST-NB would make every output of a cell with a figure into that figure.
    """
    cells = []
    for cell in _folded(notebook.cells):
        outputs = cell.get("outputs", [])
        below = [
            output
            for output in outputs
            if book_sources.MARK in "".join(output.get("data", {}).get("text/html", ""))
        ]
        if not below:
            cells.append(cell)
            continue
        cells.append(NotebookNode(cell | {"outputs": [output for output in outputs if output not in below]}))
        facts = {
            "id": f"{cell.id}-from",
            "metadata": {"tags": ["remove-input"]},
            "execution_count": cell.execution_count,
            "outputs": below,
        }
        cells.append(nbformat.v4.new_code_cell("# what the figure above was made from", **facts))
    text = notebooks.text(NotebookNode(notebook | {"cells": cells}))
    return re.sub(r'(href=\\"[^"\\:]*)\.ipynb(?=[#\\])', r"\1.html", text)


def addressed(config: str, address: str) -> str:
    """Put the project's public address into the text of _config.yml: each chapter gets a button that opens it
    on Binder, and one to the repository.
    """
    from lib.book import readme

    facts = yaml.safe_load(config)
    facts["repository"] = {"url": address, "branch": "main", "path_to_book": ""}
    facts["launch_buttons"] = facts.get("launch_buttons", {}) | {"binderhub_url": readme.BINDER}
    facts["html"] = facts.get("html", {}) | {"use_repository_button": True}
    return yaml.safe_dump(facts, allow_unicode=True, sort_keys=False)


# what Sphinx and the interpreter take from a user's environment, and the book must not
_NOT_SPHINX = {
    "SOURCE_DATE_EPOCH",
    "PYTHONWARNINGS",
    "PYTHONOPTIMIZE",
    "PYTHONSTARTUP",
    "LANGUAGE",
    "SPHINXOPTS",
}
_PROBLEM = re.compile(r"WARNING|ERROR|Exception|Traceback|Error:")


def jupyter_book(source: Path, target: Path, *, strict: bool) -> Path:
    """Have jupyter-book make the pages.

    Args:
        source: The notebooks, texts and settings.
        target: Where the log goes.
        strict: Whether a warning is an error; else it is logged.

    Returns:
        The folder of the pages.
    """
    # --all: a second build over an old one does not repeat the warnings of the pages that it does not read
    # again
    command = [
        sys.executable,
        str(Path(sysconfig.get_path("scripts"), "jupyter-book")),
        "build",
        str(source),
        *(["-W"] if strict else []),
        "-n",
        "--keep-going",
        "--all",
    ]
    # the reference is about this library, even where another one is installed
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_SPHINX}
    environment |= kernels.text_is_utf8() | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(paths.ROOT), os.environ.get("PYTHONPATH")])),
        "LC_ALL": "C",  # so that what it warns of is in English, and can be told from the rest
    }
    with tempfile.TemporaryDirectory(prefix="sphinx-", ignore_cleanup_errors=True) as settings:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            check=False,
            env=environment
            | {"IPYTHONDIR": settings, "JUPYTER_CONFIG_DIR": settings, "MATPLOTLIBRC": os.devnull},
        )
    log = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    (target / "build.log").write_text(log, encoding="utf-8")
    problems = [line.replace(f"{source}/", "") for line in log.splitlines() if _PROBLEM.search(line)]
    if done.returncode:
        raise InputError(
            f"the book does not build: {_first(problems or log.splitlines()[-1:])}{_see(target)}"
        )
    if problems:
        _log.warning(
            "the page is built, and a build of the book would stop at: %s%s", _first(problems), _see(target)
        )
    built = source / "_build" / "html"
    mending.mend(built)
    return built


def _first(problems: list[str]) -> str:
    return (problems or ["it says nothing"])[0] + (
        f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    )


def _see(target: Path) -> str:
    return f"; see {target / 'build.log'}"


def scripts(static: Path) -> None:
    """Copy scripts that single pages load to the built pages.

    In _static before the build, jupyter-book would load them on every page.
    """
    own = sorted((paths.ROOT / "_scripts").glob("*.js"))
    for file in own:
        shutil.copy(file, static)
    if own:
        from plotly.offline import get_plotlyjs

        (static / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")


def fresh(target: Path) -> bool:
    """Whether `target`/html holds a book that is newer than all it is made from."""
    index = target / "html" / "index.html"
    if not index.exists() or not (target / "book").is_dir():
        return False
    parts = [paths.runs(), *(paths.ROOT / name for name in STATIC), paths.ROOT / "lib", paths.CHAPTERS]
    sources = [file for part in parts for file in ([part, *part.rglob("*")] if part.is_dir() else [part])]
    # written by a build or by Python itself, not read by the book
    made = (".ipynb", ".pyc", "__pycache__", ".locks", ".partial")
    newest = max(
        file.stat().st_mtime
        for file in sources
        if file.is_file() and not any(part.endswith(made) for part in file.parts)
    )
    return index.stat().st_mtime > newest
