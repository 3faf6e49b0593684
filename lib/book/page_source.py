"""A chapter as jupyter-book is given it: code behind links, the notice that numbers are stale, and links to
pages in place of notebooks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from lib.base import paths
from lib.base.errors import InputError
from lib.book import filled, notebooks
from lib.book import sources as book_sources
from lib.book.markdown import markdown_code
from lib.runs import staleness


def stored_errors(notebook: NotebookNode) -> list[str]:
    """Tracebacks among the outputs of a notebook, which jupyter-book would show without a warning."""
    return [
        f"cell {number}: {output.ename}: {output.evalue}"
        for number, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]


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


def write(name: str, notebook: NotebookNode, source: Path) -> None:
    """Write a chapter into the folder that jupyter-book reads.

    Raises:
        InputError: It holds an error, which jupyter-book would show without a warning.
    """
    file = notebooks.published(name).relative_to(paths.ROOT)
    if wrong := stored_errors(notebook):
        raise InputError(f"{file} holds an error: {wrong[0]}")
    (source / file).parent.mkdir(parents=True, exist_ok=True)
    (source / file).write_text(text(notebook), encoding="utf-8")


_OPENING = "Parameters and code"  # what the link to the first code of a page says


def _folded(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Cells of a page whose code is behind a link: the parameters and the code that follows them behind one,
    any other cell's behind its own, and cells that show nothing behind that of the cell next to them. A cell
    with `fold` in its metadata is behind a link of these words, with all that it shows. What shows nothing
    and stands alone has no link: below it a reader would find nothing.
    """
    found: list[NotebookNode] = []
    opening = False  # whether the cell before belongs to the parameters
    open_to_more = False  # whether the cell before is code behind a link
    for cell in cells:
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type != "code" or tags & {"remove-input", "remove-cell"}:
            opening = open_to_more = False
            found.append(cell)
            continue
        if opening or (open_to_more and not (_shows(found[-1]) and _shows(cell))):
            cell = _joined(found.pop(), cell)
        tags = set(cell.metadata.get("tags", []))
        fold = cell.metadata.get("fold", "")
        hidden = tags - {"hide-input"} | {"hide-cell" if fold else "hide-input"}
        metadata = cell.metadata | {"tags": sorted(hidden)}
        opening, open_to_more = opening or "parameters" in tags, True
        if prompt := _OPENING if opening else fold:
            prompts = dict.fromkeys(("code_prompt_show", "code_prompt_hide"), prompt)
            metadata["mystnb"] = cell.metadata.get("mystnb", {}) | prompts
        found.append(NotebookNode(cell | {"metadata": metadata}))
    for cell in found:
        tags = set(cell.metadata.get("tags", []))
        behind = tags & {"hide-input", "hide-cell"}
        if cell.cell_type == "code" and behind and "parameters" not in tags and not _shows(cell):
            cell.metadata["tags"] = sorted(tags - behind | {"remove-input"})
    return found


def _shows(cell: NotebookNode) -> bool:
    """Whether anything of a cell's outputs is seen; what is glued is not."""
    return any(
        not all(kind.startswith(filled.RECORDS) for kind in output.get("data", {"text": ""}))
        for output in cell.get("outputs", [])
    )


def _joined(before: NotebookNode, cell: NotebookNode) -> NotebookNode:
    """Two cells as one, which takes its id from the one that shows something."""
    first, last = (before, cell) if _shows(cell) or not _shows(before) else (cell, before)
    tags = sorted({*before.metadata.get("tags", []), *cell.metadata.get("tags", [])})
    return NotebookNode(
        last
        | {
            "metadata": first.metadata | last.metadata | {"tags": tags},
            "source": f"{before.source}\n\n{cell.source}",
            "outputs": before.get("outputs", []) + cell.get("outputs", []),
        }
    )


def text(notebook: NotebookNode) -> str:
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
    whole = notebooks.text(NotebookNode(notebook | {"cells": cells}))
    return re.sub(r'(href=\\"[^"\\:]*)\.ipynb(?=[#\\])', r"\1.html", whole)
