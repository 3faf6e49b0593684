"""The page of one chapter that was run with other parameters, built by itself: what leads to other pages of
the book leads to the published ones.
"""

from __future__ import annotations

import html
import logging
import os
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from lib.base import paths, progress
from lib.base.files import no_room
from lib.base.locks import lock
from lib.book import builder, kernels, narrow, notebooks, page_source, site
from lib.book.sources import RUNS_PAGE, anchor

_log = logging.getLogger(__name__)
_RUNS = RUNS_PAGE.removesuffix(".ipynb")
# extensions and settings of the reference, which has pages of its own
_OF_THE_REFERENCE = ("sphinx.ext.auto", "sphinx.ext.napoleon", "lib.", "auto", "napoleon", "templates_path")

_ROLE = re.compile(r"\{(?:doc|term)\}`(?:([^`<]+?)\s*<([^`>]+)>|([^`<]+))`")
_ANCHOR = re.compile(
    r'<a (?:class="[^"]*" )?href="([\w./-]+?)\.(?:ipynb|html|md)(#[^"]*)?">(.*?)</a>', re.DOTALL
)
_LINK = re.compile(r"\[([^\]\n]+)\]\(([\w./-]+?)\.(?:ipynb|html|md)(#[^)\s]*)?\)")


def build(
    target: Path, name: str, given: Mapping[str, object], *, head: Callable[[], str] | None = None
) -> Path:
    """Run a chapter, which makes what is missing, and build its page and no other.

    Args:
        target: The folder of this page.
        name: Full name of the chapter.
        given: Parameters in place of the chapter's defaults.
        head: Function that gives, once the chapter has run, the Markdown below its title.

    Returns:
        The page, below `target`/html.

    Raises:
        InputError: For a cell that raises, and for a page that does not build. What would stop a build of
            the book, such as a warning, is logged.
    """
    file = notebooks.published(name).relative_to(paths.ROOT)
    # two builds of one page, such as two reruns of a chapter, come one after the other
    with no_room("build the page"), lock(target, "build"):
        for_pages = kernels.environment(**{kernels.FOR_PAGES: "1"})
        with progress.working(f"executing {name}"), for_pages:
            notebook = notebooks.execute(name, given)
        _say_warnings(name, notebook)
        if head:
            notebook.cells.insert(1, nbformat.v4.new_markdown_cell(head(), id="cell-head"))
        page_source.mark_stale(notebook)
        with site.drafted(target) as draft, progress.working("building the page"):
            links = Links(file, (target / "html" / file).parent, paths.BUILD / "html", listed(notebook))
            for cell in notebook.cells:
                links.lead_out(cell)
            _write_sources(name, notebook, draft)
            pages = builder.jupyter_book(draft, target, strict=False)
            if "explorer.js" in (draft / file).read_text(encoding="utf-8"):
                site.scripts(pages / "_static")
            narrow.lay({name: notebook}, pages)
            site.replace(target / "html", pages)
            site.replace(target / "book", draft)
    return target / "html" / file.with_suffix(".html")


def _say_warnings(name: str, notebook: NotebookNode) -> None:
    """Take warnings out of a chapter that was rerun, and log the first line of each.

    Of the published book, they would stop the build.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                first = next(iter(output.text.strip().splitlines()), "")
                _log.warning("warning in chapter %s: %s", name, first)
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]


def _write_sources(name: str, notebook: NotebookNode, source: Path) -> None:
    """Write into a folder what jupyter-book makes the page of: the chapter, and the list of references."""
    page_source.write(name, notebook, source)
    for other in ("references.bib", "_static", "chapters/references.md"):
        place = paths.ROOT / other
        if place.is_dir():
            shutil.copytree(place, source / other)
        elif place.exists():
            (source / other).parent.mkdir(exist_ok=True)
            shutil.copy(place, source / other)
    root = notebooks.published(name).relative_to(paths.ROOT).with_suffix("").as_posix()
    others = [{"file": "chapters/references"}] if (source / "chapters" / "references.md").exists() else []
    toc = {"format": "jb-book", "root": root} | ({"chapters": others} if others else {})
    (source / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    config = settings((paths.ROOT / "_config.yml").read_text(encoding="utf-8"))
    (source / "_config.yml").write_text(config, encoding="utf-8")


def settings(config: str) -> str:
    """The text of _config.yml without what makes the reference, whose modules take long to import."""
    facts = yaml.safe_load(config)
    sphinx = facts.get("sphinx", {})
    if "extra_extensions" in sphinx:
        sphinx["extra_extensions"] = [
            one for one in sphinx["extra_extensions"] if not one.startswith(_OF_THE_REFERENCE)
        ]
    sphinx["config"] = {
        key: value for key, value in sphinx.get("config", {}).items() if not key.startswith(_OF_THE_REFERENCE)
    }
    return yaml.safe_dump(facts | {"sphinx": sphinx}, allow_unicode=True, sort_keys=False)


# ---- links to other pages ----------------------------------------------------------------------------------


def listed(notebook: NotebookNode) -> frozenset[str]:
    """Anchors of runs that the page lists itself, in Markdown."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return frozenset(found for text in texts for found in re.findall(rf'id="({anchor("")}\w+)"', text))


@dataclass(frozen=True)
class Links:
    """Where links of a page lead that is built by itself."""

    file: Path  # the page, relative to the book's root: chapters/02-approach.ipynb
    place: Path  # the folder where the page will lie
    book: Path  # the folder of the published pages; what is not built there is named, without a link
    runs: Collection[str] = ()  # anchors of runs that the page lists itself

    def lead_out(self, cell: NotebookNode) -> None:
        """Have links in a cell's text and in its outputs lead to the published pages."""
        if cell.cell_type == "markdown":
            cell.source = self.outward(cell.source)
        for output in cell.get("outputs", []):
            for kind in {"text/html", "text/markdown"} & output.get("data", {}).keys():
                output.data[kind] = self.outward("".join(output.data[kind]))

    def outward(self, text: str) -> str:
        """The same for Markdown or HTML."""
        text = _ROLE.sub(self._role, text)
        text = _ANCHOR.sub(lambda found: self._link(found[1], found[2], found[3], found[0]), text)
        return _LINK.sub(lambda found: self._link(found[2], found[3], found[1], found[0]), text)

    def _role(self, found: re.Match[str]) -> str:
        words, aim = (found[1], found[2]) if found[2] else (found[3], found[3])
        if found[0].startswith("{term}"):  # explained in the glossary, which is another page
            return words
        return self._link(aim, "", words if found[2] else title(self._aim(aim)), found[0])

    def _aim(self, aim: str) -> str:
        """A page relative to the book's root, without a suffix: chapters/19-runs."""
        return os.path.normpath(self.file.parent / aim)

    def _link(self, aim: str, mark: str | None, words: str, whole: str) -> str:
        """What stands in the place of a link.

        Args:
            aim: The page that it leads to, relative to this one, without a suffix.
            mark: The place on it: "#fig-dead".
            words: What is read.
            whole: The link as it was, which stays where it leads to this project's own pages.
        """
        to, mark = self._aim(aim), mark or ""
        if to == self.file.with_suffix("").as_posix():
            return f'<a href="{mark}">{words}</a>' if mark else whole
        if to == "chapters/references" or to.startswith(".."):  # of this build, or out of the book
            return whole
        if to == f"chapters/{_RUNS}" and mark[1:] in self.runs:
            return f'<a href="{mark}">{words}</a>'
        page = self.book / f"{to}.html"
        if not page.is_file():
            return words
        address = Path(os.path.relpath(page, self.place)).as_posix()
        return f'<a href="{html.escape(address + mark, quote=True)}">{words}</a>'


def title(page: str) -> str:
    """Title of a page of the book: the first heading of its source; the last part of its name where it has
    none.

    Args:
        page: Relative to the book's root, without a suffix.
    """
    name = Path(page).name
    sources = {paths.CHAPTERS / f"{name}.py": r"^# # (.+)$", paths.ROOT / f"{page}.md": r"^# (.+)$"}
    for file, heading in sources.items():
        if file.is_file() and (found := re.search(heading, file.read_text(encoding="utf-8"), re.MULTILINE)):
            return found[1].strip()
    return name.lstrip("0123456789-").replace("-", " ").capitalize()
