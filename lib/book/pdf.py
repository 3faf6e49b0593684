"""The whole book as one PDF: all pages put into one, in the order of the contents, and printed by a
browser.
"""

from __future__ import annotations

import html
import posixpath
import re
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from lib.base import paths
from lib.base.errors import InputError
from lib.book import browser
from lib.book import site as book_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# width of the text on A4 in print.css, in pixels; anything wider makes the browser shrink the whole book
WIDTH = 642
# the page from which autosummary makes one for every package, beside it in api/
LIBRARY = "reference/library"
_ARTICLE = re.compile(r'<article class="bd-article">(.*)</article>', re.DOTALL)
_TITLE = re.compile(r'<article class="bd-article">.*?<h1>(.*?)<a class="headerlink"', re.DOTALL)
_TAG = re.compile(r"<[a-zA-Z][^>]*>")
# a fold: its words and its code, and what it shows, which is printed
_FOLD = re.compile(
    r'<details class="admonition hide[^"]*">\s*<summary.*?</summary>\s*<div class="cell_input.*?</pre></div>'
    r"\s*</div>\s*</div>(.*?)</details>",
    re.DOTALL,
)
_NOT_PRINTED = (
    r'<details class="admonition hide[^"]*">.*?</details>',  # collapsed input cells
    r'<details class="made-from">.*?</details>',  # a fold-out, whose links lead to cells that are not printed
    r"<script.*?</script>",  # interactive parts are printed as they look without scripts
    r"</?noscript[^>]*>",
    r'<a class="headerlink".*?</a>',
)


def contents(toc: object) -> list[str]:
    """The pages of a table of contents (`_toc.yml`, read), in order: "index", "chapters/01-introduction",
    ...
    """
    if isinstance(toc, list):
        return [page for part in toc for page in contents(part)]
    if not isinstance(toc, dict):
        return []
    own = [str(toc[key]) for key in ("root", "file") if key in toc]
    return own + [page for key, part in toc.items() if key not in ("root", "file") for page in contents(part)]


def whole(pages: list[str], site: Path) -> list[str]:
    """The pages of the contents, and after the one on the library those that Sphinx has made of its
    packages.
    """
    made = sorted(
        str(file.relative_to(site).with_suffix("")) for file in (site / LIBRARY).parent.glob("api/*.html")
    )
    return [one for page in pages for one in ([page, *made] if page == LIBRARY else [page])]


def _anchor(page: str, fragment: str = "") -> str:
    return page.replace("/", "-") + (f"--{fragment}" if fragment else "")


def article(page: str, text: str, pages: list[str]) -> str:
    """Part of a page that is printed: its text without hidden code, with ids and links changed to those of
    one document.

    Args:
        page: Name of the page in the contents.
        text: Built HTML of the page; pictures are found from a folder beside the pages' own.
        pages: All pages in the document; a link to any other file of the site becomes plain text.
    """
    found = _ARTICLE.search(text)
    if not found:
        raise InputError(f"{page}.html holds no article; build the book again: python -m lib book")
    folder = posixpath.dirname(page)

    def link(address: str) -> str:
        if re.match(r"[a-z]+:", address):
            return f' href="{address}"'
        file, _, fragment = address.partition("#")
        target = posixpath.normpath(posixpath.join(folder, file)).removesuffix(".html") if file else page
        return f' href="#{_anchor(target, fragment)}"' if target in pages else ""

    def one(tag: re.Match) -> str:
        new = re.sub(
            r'\s(id|for|name|aria-labelledby)="([^"]+)"',
            lambda it: f' {it[1]}="{_anchor(page, it[2])}"',
            tag[0],
        )
        new = re.sub(r'\shref="([^"]*)"', lambda it: link(it[1]), new)
        return re.sub(
            r'\ssrc="(?![a-z]+:)([^"]+)"',
            lambda it: f' src="../html/{posixpath.normpath(posixpath.join(folder, it[1]))}"',
            new,
        )

    body = found[1]
    body = _FOLD.sub(r"\1", body)
    for pattern in _NOT_PRINTED:
        body = re.sub(pattern, "", body, flags=re.DOTALL)
    return f'<article id="{_anchor(page)}">{_TAG.sub(one, body)}</article>'


def combined(folder: Path, pages: list[str], *, title: str, author: str) -> str:
    """One HTML document from the pages of a built book, with a title page and contents; its place is a folder
    beside `folder`.
    """
    texts = {page: (folder / f"{page}.html").read_text(encoding="utf-8") for page in pages}
    titles = {
        page: found[1].strip() if (found := _TITLE.search(text)) else page for page, text in texts.items()
    }
    lines = "\n".join(f'<li><a href="#{_anchor(page)}">{titles[page]}</a></li>' for page in pages)
    maths = next((text for text in texts.values() if "/mathjax/" in text), "")
    scripts = re.findall(r"<script>window\.MathJax.*?</script>", maths) + [
        f'<script defer src="../html/_static/mathjax/{file}"></script>'
        for file in re.findall(r'src="[^"]*_static/mathjax/([^"?]+)', maths)[:1]
    ]
    sheets = "\n".join(
        f'<link rel="stylesheet" href="../html/_static/{name}">'
        for name in ("pygments.css", "sphinx-design.min.css", "ledger.css")
    )
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light"><head><meta charset="utf-8"><title>{html.escape(title)}</title>
{sheets}
<style>{(Path(__file__).parent / "print.css").read_text(encoding="utf-8")}</style>
{"".join(scripts)}</head><body>
<header><p class="title">{html.escape(title)}</p><p>{html.escape(author)}</p></header>
<nav><p class="contents">Contents</p><ol>{lines}</ol></nav>
{"".join(article(page, text, pages) for page, text in texts.items())}
</body></html>
"""


def printed(target: Path, within: Browser | None = None) -> Path:
    """Print the book that is built in `target`/html.

    Args:
        within: Browser that runs already.

    Returns:
        The file `target`/book.pdf.

    Raises:
        InputError: If there is no browser, or a picture is missing.
    """
    pages = whole(
        contents(yaml.safe_load((target / "book" / "_toc.yml").read_text(encoding="utf-8"))), target / "html"
    )
    config = yaml.safe_load((target / "book" / "_config.yml").read_text(encoding="utf-8"))
    source = target / "pdf" / "book.html"
    source.parent.mkdir(exist_ok=True)
    source.write_text(
        combined(target / "html", pages, title=config["title"], author=config["author"]), encoding="utf-8"
    )
    with (
        nullcontext(within) if within else browser.chromium() as chromium,
        chromium.new_context(viewport={"width": WIDTH, "height": 1000}) as context,
    ):
        page = context.new_page()
        page.emulate_media(media="print", color_scheme="light")
        page.goto(source.absolute().as_uri())
        page.evaluate(
            "async () => { if (window.MathJax) await MathJax.startup.promise; await document.fonts.ready; }"
        )
        broken = page.evaluate(
            "[...document.images].filter(one => !one.complete || !one.naturalWidth).map(one => one.src)"
        )
        if broken:
            raise InputError(
                f"a picture of the book is missing: {broken[0]}; build it again: python -m lib book"
            )
        page.pdf(
            path=target / "book.part.pdf",
            prefer_css_page_size=True,
            print_background=True,
            outline=True,
            tagged=True,
        )
    return (target / "book.part.pdf").rename(target / "book.pdf")


def make() -> Path:
    """Print the book into `_build`/book.pdf, building it first if it is older than its sources."""
    if why := browser.missing():
        raise InputError(why)
    if not book_site.fresh(paths.BUILD):
        book_site.build(paths.BUILD)
    return printed(paths.BUILD)
