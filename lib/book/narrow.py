"""Figures that are drawn twice, for wide and for narrow pages; a page shows the one that fits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from nbformat import NotebookNode

from lib.base import paths
from lib.book import notebooks

# widest page that gets the narrow drawing, in pixels; _static/book.css has it too
MOST = 600
_WIDTH = re.compile(r'<svg[^>]*\swidth="([\d.]+)pt"')


def drawings(notebook: NotebookNode) -> dict[str, str]:
    """{label of a figure: it as it is drawn for a narrow page, as SVG}, of an executed chapter."""
    return {
        cell.metadata["mystnb"]["figure"]["name"]: output.metadata[notebooks.NARROW]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if notebooks.NARROW in output.get("metadata", {})
    }


def drawn_width(svg: str) -> float:
    """Pixels for which an SVG of matplotlib's was drawn; 0 if it does not say."""
    found = _WIDTH.search(svg[:2000])
    return float(found[1]) / 0.75 if found else 0.0


def lay(executed: Mapping[str, NotebookNode], pages: Path) -> None:
    """Put the narrow drawings beside the wide ones of built pages, and have each page choose.

    Args:
        executed: The chapters that the pages were built from, by name.
        pages: Folder of the built pages.
    """
    for name, notebook in executed.items():
        page = pages / notebooks.published(name).relative_to(paths.ROOT).with_suffix(".html")
        found = drawings(notebook)
        if not found or not page.is_file():
            continue
        for label, svg in found.items():
            (pages / "_images" / f"{label}-narrow.svg").write_text(svg, encoding="utf-8")
        page.write_text(chosen(page.read_text(encoding="utf-8"), found), encoding="utf-8")


def chosen(page: str, found: Mapping[str, str]) -> str:
    """HTML of a page whose figures are the narrow drawings on a narrow screen.

    Args:
        found: Result of `drawings`.
    """

    def one(match: re.Match) -> str:
        label, image = match["label"], match["image"]
        if label not in found:
            return match[0]
        folder = re.search(r'src="([^"]*)_images/', image)
        where = f"{folder[1] if folder else ''}_images/{label}-narrow.svg"
        width = f"--drawn-narrow: {drawn_width(found[label]):.0f}px"
        image = (
            image.replace('style="', f'style="{width}; ', 1)
            if 'style="' in image
            else image.replace("<img ", f'<img style="{width}" ', 1)
        )
        return (
            f'{match["start"]}<picture><source media="(max-width: {MOST}px)" srcset="{where}" />'
            f"{image}</picture>"
        )

    return re.sub(
        r'(?P<start><figure[^>]*\sid="(?P<label>[\w-]+)"[^>]*>\s*)(?P<image><img [^>]*>)', one, page
    )
