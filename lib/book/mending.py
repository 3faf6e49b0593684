"""Faults of built pages that no setting of Jupyter Book, Sphinx or the theme changes, and their repair."""

from __future__ import annotations

import re
from pathlib import Path

from lib.book.narrow import drawn_width

# (reason, pattern of what is written, replacement), for what no setting of Jupyter Book, Sphinx or the theme
# changes
MENDS = (
    (
        "live code is off, yet its constants are declared twice (a script error), with the address of "
        "a server",
        r"<script>const THEBE_JS_URL.*?</script>",
        "",
    ),
    ("its script", r"<script[^>]*sphinx-thebe\.js[^>]*></script>", ""),
    (
        "its settings",
        r'<script type="text/x-thebe-config">.*?</script>\s*<script>kernelName[^<]*</script>',
        "",
    ),
    (
        "1.5 MB for fifteen icons; book.css takes them from the theme's own font",
        r"<script[^>]*scripts/fontawesome\.js[^>]*></script>",
        "",
    ),
    (
        "no colour mode is a warning on the console",
        r'(localStorage\.getItem\("mode"\) \|\| |data-default-mode=)""',
        r'\1"auto"',
    ),
    (
        "what folds pages below others away has no name",
        r'<summary>(?=<span class="toctree-toggle")',
        '<summary aria-label="Pages below this one">',
    ),
    (
        "an empty place for advertisements",
        r'<div class="sidebar-primary-item">\s*<div id="ethical-ad-placement"[^>]*>\s*</div>\s*</div>',
        "",
    ),
    (
        "title and search lie in no landmark",
        r'<div id="pst-primary-sidebar"',
        '<div id="pst-primary-sidebar" role="navigation" aria-label="Book"',
    ),
    ("the corner of a table heads nothing", r"<th[^>]*>(?:<p></p>)?</th>", "<td></td>"),
    (
        "a list whose children are no items",
        r'<div role="list" class="citation-list">',
        '<div class="citation-list">',
    ),
    ("a deprecated role", r' role="doc-biblioentry"', ""),
    (
        "cells of text stay wide enough to be read, in a table that scrolls",
        r"<td>([^<]{30,})</td>",
        r'<td class="prose">\1</td>',
    ),
)

# 1.2 MB
_MATHS = re.compile(r"<script>window\.MathJax.*?</script>|<script[^>]*/mathjax/[^>]*></script>", re.DOTALL)

_FIGURE = re.compile(r'(<img alt="[^"]*" )(src="([^"]+\.svg)")')


def _sized(page: Path, text: str) -> str:
    """Write into each figure how wide it was drawn, so that labels stay readable on a phone (see
    book.css).
    """

    def one(found: re.Match) -> str:
        file = page.parent / found[3]
        width = drawn_width(file.read_text(encoding="utf-8")) if file.is_file() else 0
        return f'{found[1]}style="--drawn: {width:.0f}px" {found[2]}' if width else found[0]

    return _FIGURE.sub(one, text)


_ARTICLE = re.compile(r"(?s)<article\b.*</article>")
# a script, what is set as it is written, a formula, or a tag: nothing in them is a sentence
_NO_TEXT = re.compile(
    r"(?s)(<(?:script|style|pre|svg|title)\b.*?</(?:script|style|pre|svg|title)>|\\[(\[].*?\\[)\]]|<[^>]*>)"
)
# LM-10, CIFAR-10, --dataset, 6 %
_WHOLE = re.compile(r"(?<![\w.,−+-])(?:[A-Z]{2,5}-[A-Z]?\d+|--[a-z][a-z-]*[a-z]|[−+]?\d[\d.,]* %)(?![\w-])")


def unbroken(text: str) -> str:
    """HTML of a page in which ids, options and percentages are not broken at their hyphen or blank, which a
    browser does in narrow cells and lists; what is copied is the plain text.
    """

    def article(found: re.Match[str]) -> str:
        parts = _NO_TEXT.split(found[0])
        # every second part is no text
        parts[::2] = [_WHOLE.sub(r'<span class="whole">\g<0></span>', part) for part in parts[::2]]
        return "".join(parts)

    return _ARTICLE.sub(article, text)


def mended(text: str) -> str:
    """HTML of one page without the faults listed in `MENDS`, with ids that stay whole, and without MathJax if
    the page has no formula.
    """
    if 'class="math' not in text:
        text = _MATHS.sub("", text)
    for _, pattern, replacement in MENDS:
        text = re.sub(pattern, replacement, text, flags=re.DOTALL)
    return unbroken(text)


def mend(folder: Path) -> None:
    """Repair every page of a built book, in place."""
    for page in sorted(folder.rglob("*.html")):
        if "_static" not in page.parts:
            page.write_text(_sized(page, mended(page.read_text(encoding="utf-8"))), encoding="utf-8")
