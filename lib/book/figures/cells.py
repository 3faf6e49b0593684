"""Tables on pages: plain HTML that is the same on every run, with links in their cells."""

from __future__ import annotations

import numbers
import re
from html import escape
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.book import sources


class Link(NamedTuple):
    """Cell of a table that links to another place of the book."""

    text: str
    # relative to the page: "05-gradients.ipynb#fig-gradients", which the build turns into the page
    target: str

    def html(self) -> str:
        return (
            f'<a href="{escape(self.target)}">{escape(self.text)}</a>' if self.target else escape(self.text)
        )


def show_table(rows: pd.DataFrame, *, anchors: bool = False) -> None:
    """Display a table without its index, as plain HTML that is the same on every run; a cell may be a `Link`,
    and a string may have several lines.

    Args:
        anchors: Whether the first column has keys of runs, to which the links below figures lead.
    """
    from IPython.display import HTML, display

    def markup(cell: object) -> object:
        if isinstance(cell, Link):
            return cell.html()
        if isinstance(cell, numbers.Number | np.bool_ | None):
            return cell
        if cell is pd.NA or cell is pd.NaT:
            return None
        return escape(str(cell)).replace("\n", "<br>")  # lists and dicts of files that were read, too

    # a name of the index or of all columns would be a corner of the table
    named = rows.rename_axis(index=None, columns=None).rename(columns=lambda name: escape(str(name)))
    rows = named.map(markup)
    markup_of_all = rows.to_html(
        index=False, border=0, justify="left", na_rep="", classes=["table"], escape=False
    )
    if anchors:
        markup_of_all = re.sub(
            r"(<tr>\s*)<td>(\w+)</td>",
            lambda found: f'{found[1]}<td id="{sources.anchor(found[2])}">{found[2]}</td>',
            markup_of_all,
        )
    display(HTML(markup_of_all))
