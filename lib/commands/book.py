"""`book` and `pdf`: the book for the screen and for paper."""

from __future__ import annotations

from lib.base import progress


def build() -> None:
    """Build the book from cached runs, warnings as errors: _build/html/index.html."""
    with progress.working("loading the library", log=False):
        from lib.base import paths
        from lib.book import site

    print(f"the book: {site.build(paths.BUILD) / 'index.html'}")


def pdf() -> None:
    """Print the whole book through a browser: _build/book.pdf; builds it first where it is older than its
    sources.
    """
    from lib.book import pdf as book_pdf

    print(f"the book: {book_pdf.make()}")
