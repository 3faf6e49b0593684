"""Build the book from chapters that are executed now, with warnings as errors."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml
from nbformat import NotebookNode

from lib.base import paths, progress
from lib.base.files import no_room
from lib.base.locks import lock
from lib.book import builder, narrow, notebooks, page_source
from lib.runs import catalogue

STATIC = ("_config.yml", "_toc.yml", "references.bib", "_static", "reference")


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
            pages = builder.jupyter_book(draft, target, strict=True)
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


def _write_sources(executed: Mapping[str, NotebookNode], source: Path) -> None:
    """Write all that jupyter-book makes the pages of into a folder."""
    # these draw figures, whose packages take seconds to import; the page of a rerun needs none of them
    from lib.book import readme, reference

    (source / "chapters").mkdir(parents=True)
    for name, notebook in executed.items():
        page_source.mark_stale(notebook)
        page_source.write(name, notebook, source)
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
