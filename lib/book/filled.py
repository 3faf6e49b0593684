"""Numbers in the text of an executed chapter: its script names them by key, `glue` holds their values, and
the executed notebook reads as it is, on GitHub and in Jupyter too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from nbformat import NotebookNode

from lib.base.errors import InputError

# what `lib.book.prose.glue(key, value)` leaves in a code cell
RECORDS = "application/papermill.record/"
_RECORD = f"{RECORDS}text/plain"
# {glue:text}`key` stands for plain words, {glue:md}`key` for Markdown
_ROLE = re.compile(r"\{glue:(text|md)\}`([^`\n]+)`")
# characters that Markdown reads as marks, and HTML as tags
_MARKS = re.compile(r"([\\`*_\[\]<>|$~])")

# set where the numbers are written into the text after the execution
BY_US = "CHAPTER_IS_FILLED"

# Signs of how sure a statement about the paper is, each with its words where a pointer rests on it.
SIGNS = {
    "established": ("e", "Established: read in the authors' own words, figures or replies to reviewers."),
    "recalled": ("r", "Recalled: from general knowledge of the paper, not vouched for."),
    "ours": ("o", "Our choice: the paper's own is not known, or it has none."),
}


def sign(name: str) -> str:
    """The small sign of how sure a statement is, as HTML: "established", "recalled" or "ours"."""
    letter, words = SIGNS[name]
    return f'<abbr class="sure {name}" title="{words}">{letter}</abbr>'


def glued(notebook: NotebookNode) -> dict[str, str]:
    """{key: value} of all that the cells of an executed notebook have glued.

    Raises:
        InputError: Where a key has two values.
    """
    found: dict[str, str] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            scrap = output.get("metadata", {}).get("scrapbook", {})
            key = scrap.get("name") if isinstance(scrap, dict) else None
            said = output.get("data", {}).get(_RECORD)
            if not isinstance(key, str) or not isinstance(said, str):
                continue
            try:
                value = str(ast.literal_eval(said))
            # no text, or none that Python reads; its repr is what is shown
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                value = said
            if found.setdefault(key, value) != value:
                raise InputError(f"two values are glued as {key!r}: {found[key]!r} and {value!r}")
    return found


def text(source: str, values: Mapping[str, str]) -> str:
    """A text with the values in the place of their keys.

    Args:
        source: Markdown.
        values: {key: value}; signs of how sure a statement is have keys of their own.

    Raises:
        InputError: For a key without a value.
    """

    def value(match: re.Match[str]) -> str:
        kind, key = match.groups()
        if kind == "md" and key in SIGNS:
            return sign(key)
        if key not in values:
            raise InputError(f"the text names {key!r}, which no cell glues: {match[0]}")
        return _MARKS.sub(r"\\\1", values[key]) if kind == "text" else values[key]

    return _ROLE.sub(value, source)


def filled(notebook: NotebookNode, source: NotebookNode | None = None) -> NotebookNode:
    """An executed notebook whose text holds its own numbers.

    Args:
        notebook: Executed notebook; changed in place.
        source: The chapter that it was made from, with the keys, if the text of the notebook has none: its
            cells are found by their ids.

    Returns:
        The same notebook.

    Raises:
        InputError: For a key without a value, or with two.
    """
    values = glued(notebook)
    keyed = {cell.id: cell.source for cell in source.cells} if source else {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = text(keyed.get(cell.id, cell.source), values)
    return notebook
