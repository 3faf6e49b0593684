"""Chapters as files: percent scripts that are executed with parameters into notebooks, equal byte for byte
each time.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode
from nbformat.v4.rwbase import rejoin_lines

from lib.base import interrupt, paths
from lib.base.errors import InputError
from lib.base.files import Unfit, no_room, read_file, write_atomically
from lib.base.text import printable
from lib.book import filled, kernels
from lib.book.names import find, published, sources
from lib.runs import staleness

KERNEL = {"name": kernels.NAME, "language": "python", "display_name": "Python 3"}
# execution limit of one cell; jupyter-book's own default of 30 s is for notebooks that compute nothing
CELL_SECONDS = 600
MOST_BYTES = 2**28  # of an executed notebook, with its figures

# ---- chapters as files -------------------------------------------------------------------------------------


def read(name: str) -> NotebookNode:
    """A chapter's script as a notebook without outputs, its cell ids made from their position."""
    notebook = jupytext.read(sources()[name])
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    return notebook


def imports(names: Sequence[str]) -> list[str]:
    """The modules that chapters import, in their order; those of one whose code does not parse are left to
    it.
    """
    found: dict[str, None] = {}
    for name in names:
        for cell in read(name).cells:
            with contextlib.suppress(SyntaxError):
                statements = ast.parse(cell.source if cell.cell_type == "code" else "").body
                found |= dict.fromkeys(one for statement in statements for one in _imported(statement))
    return list(found)


def _imported(statement: ast.stmt) -> list[str]:
    """Modules that a statement imports, and what may be one: `from lib import runs` is lib and lib.runs."""
    if isinstance(statement, ast.Import):
        return [one.name for one in statement.names]
    if isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
        return [statement.module, *(f"{statement.module}.{one.name}" for one in statement.names)]
    return []


def declared(name: str) -> dict[str, str]:
    """{parameter: its default, as written} of a chapter."""
    import papermill

    with tempfile.TemporaryDirectory() as folder:  # papermill inspects files alone
        file = Path(folder, f"{name}.ipynb")
        nbformat.write(read(name), file)
        return {parameter: facts["default"] for parameter, facts in papermill.inspect_notebook(file).items()}


def chapter_of(notebook: NotebookNode) -> str | None:
    """The chapter that a notebook is an execution of, by its code; None for another notebook."""
    code = [
        cell.source
        for cell in notebook.cells
        if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])
    ]
    for name in sources():
        if [cell.source for cell in read(name).cells if cell.cell_type == "code"] == code:
            return name
    return None


def write_numbers(file: Path) -> str:
    """Write the numbers of an executed notebook, which papermill or Jupyter made of a chapter, into its text.

    Returns:
        The chapter that it was made of.

    Raises:
        InputError: For a file that is no notebook, one that is no chapter with today's code, and one in which
            a number of the text is missing, because a cell was not executed.
    """
    notebook = _executed(file)
    name = chapter_of(notebook)
    if name is None:
        raise InputError(
            f"{file} is no execution of a chapter as they are today; known are {', '.join(sources())}"
        )
    try:
        filled.filled(notebook, read(name))
    except InputError as error:
        raise InputError(f"{file}: {error}; run all its cells first") from None
    write_atomically(file, text(notebook).encode())
    return name


def _executed(file: Path) -> NotebookNode:
    """A notebook from a file of somebody else's.

    Raises:
        InputError: It is none.
    """
    try:
        facts = json.loads(read_file(file, most=MOST_BYTES).decode("utf-8"))
        if not (isinstance(facts, dict) and facts.get("nbformat") == 4):
            raise Unfit("is no notebook of format 4")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cells without an id, or with one id, are given new ones
            nbformat.validate(facts)  # reading would print what is wrong, in many lines, and go on
        return rejoin_lines(nbformat.from_dict(facts))  # files have lists of lines
    except Unfit as error:
        raise InputError(f"{file} {error}; give a chapter that papermill or Jupyter has executed") from None
    # nbformat's own checks take apart what they have not checked yet
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
        nbformat.ValidationError,
    ) as error:
        said = getattr(error, "message", None) or getattr(error, "strerror", None) or str(error)
        reason = printable(" ".join(said.split()))[:200]
        raise InputError(f"cannot read a notebook from {file}: {reason}") from None


# ---- execution ---------------------------------------------------------------------------------------------

NARROW = "narrow"  # where the metadata of a figure's output have it as it is drawn for a narrow page, as SVG
STALE = "stale"  # where the metadata of an executed notebook have its stale results, by kind
# a last cell, which is taken away again: it says which stale results the chapter has read
_REPORTED = "cell-report"
_REPORT = f"""import sys
if "lib.runs.provenance" in sys.modules:
    from IPython.display import display
    from lib.runs import staleness
    display({{"text/plain": ""}}, raw=True, metadata={{"{STALE}": staleness.so_far()}})
"""


def execute(name: str, given: Mapping[str, object] | None = None, *, frozen: bool = False) -> NotebookNode:
    """Run a chapter with parameters in place of its defaults; two runs from the same cache are equal byte for
    byte.

    Args:
        frozen: Whether to run under RUNS_FROZEN=1, where a missing run is an error.

    Raises:
        InputError: For an unknown chapter or parameter, and for a cell that raises, with the message of the
            cell.
    """
    return execute_all([name], given, frozen=frozen)[find(name)]


def execute_all(
    names: list[str], given: Mapping[str, object] | None = None, *, frozen: bool
) -> dict[str, NotebookNode]:
    """Run chapters in parallel: each kernel is a process, the threads only wait."""
    names, given = [find(name) for name in names], dict(given or {})
    for name in names:
        known = declared(name)
        for parameter in given:
            if parameter not in known:
                raise InputError(
                    f"unknown parameter {parameter!r}; chapter {name!r} takes {', '.join(sorted(known))}"
                )
    done: dict[str, NotebookNode] = {}
    with (
        no_room("run chapters"),
        kernels.settled(imports(names) if len(names) > 1 else ()),
        kernels.environment(
            RUNS_FROZEN="1" if frozen else os.environ.get("RUNS_FROZEN", ""),
            **{
                filled.BY_US: "1",
                kernels.FOR_PAGES: "" if frozen else os.environ.get(kernels.FOR_PAGES, ""),
            },
        ),
        _kernels_to(paths.BUILD / "kernels.log"),
    ):
        # as in Jupyter, a kernel starts in the folder of its notebook, which is the working folder of this
        # process; threads share it, so folders are done one after the other
        for folder in dict.fromkeys(published(name).parent for name in names):
            there = [name for name in names if published(name).parent == folder]
            with (
                contextlib.chdir(folder),
                ThreadPoolExecutor(kernels.most()) as pool,
                interrupt.children_end(),
            ):
                done |= zip(
                    there,
                    pool.map(lambda name: _run(name, given, seconds=CELL_SECONDS if frozen else None), there),
                    strict=True,
                )
    for kind, stale in staleness.merged(
        notebook.metadata.get(STALE, {}) for notebook in done.values()
    ).items():
        staleness.tell(kind, stale)
    return {name: done[name] for name in names}


def _run(name: str, given: Mapping[str, object], *, seconds: int | None) -> NotebookNode:
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    source, place = read(name), os.path.relpath(sources()[name], paths.ROOT)
    source.cells.append(nbformat.v4.new_code_cell(_REPORT, id=_REPORTED))
    try:
        notebook = papermill.execute_notebook(
            source, None, given, kernel_name=KERNEL["name"], language=KERNEL["language"],
            progress_bar=False, execution_timeout=seconds,
        )  # fmt: skip
    except PapermillExecutionError as error:
        raise InputError(f"{place}, cell {error.exec_count}: {error.ename}: {error.evalue}") from None
    except CellTimeoutError:
        raise InputError(f"{place}: a cell took longer than {seconds} seconds") from None
    # nbclient says RuntimeError of a kernel that ends before it has begun
    except (DeadKernelError, RuntimeError) as error:
        if not re.search(r"[Kk]ernel (died|didn't respond)", str(error)):
            raise
        raise InputError(
            f"{place}: its kernel has died; most often the system kills one when memory runs out: free some, "
            f"and run the same command again ({paths.BUILD / 'kernels.log'} has its last words)"
        ) from None
    try:
        return filled.filled(_clean(notebook))
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


@contextlib.contextmanager
def _kernels_to(log: Path) -> Iterator[None]:
    """Send the stderr of kernels to a file: each warns about its TCP port, which would hide the one line that
    matters.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    with log.open("a", encoding="utf-8") as out:
        kept = os.dup(2)
        os.dup2(out.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def _clean(notebook: NotebookNode) -> NotebookNode:
    """Drop times and random ids, hide the injected cell, and move what `figures.show` recorded of a figure to
    where MyST-NB reads it.
    """
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    report = notebook.cells.pop() if notebook.cells[-1].id == _REPORTED else NotebookNode(outputs=[])
    for output in report.outputs:
        if stale := output.get("metadata", {}).get(STALE):
            notebook.metadata[STALE] = stale
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = list(filter(None, map(_without_warnings, cell.outputs)))
        tags = [tag for tag in cell.metadata.get("tags", []) if tag != "papermill-error-cell-tag"]
        if "injected-parameters" in tags:
            cell["id"], tags = "cell-injected", [*tags, "hide-input"]
        cell.metadata = nbformat.from_dict({
            k: v for k, v in cell.metadata.items() if k not in ("papermill", "execution", "tags")
        })
        if tags:
            cell.metadata["tags"] = tags
        for output in cell.get("outputs", []):
            if figure := output.get("metadata", {}).pop("figure", None):
                cell.metadata["mystnb"] = cell.metadata.get("mystnb", {}) | {
                    "image": {"alt": figure["alt"]},
                    "figure": {"caption": figure["caption"], "name": figure["name"]},
                }
                if "narrow" in figure:  # for `narrow`; where it is not built into a page, it is not seen
                    output.metadata[NARROW] = figure["narrow"]
    nbformat.validate(notebook)
    return notebook


def _without_warnings(output: NotebookNode) -> NotebookNode | None:
    """An output without the lines on stderr that say what is stale: the page says it at its head."""
    if output.get("name") != "stderr":
        return output
    kept = [line for line in output.text.splitlines(keepends=True) if not line.startswith(staleness.WORD)]
    return NotebookNode(output | {"text": "".join(kept)}) if kept else None


def text(notebook: NotebookNode) -> str:
    """The notebook as it is written to a file."""
    return nbformat.writes(notebook) + "\n"


def publish(names: list[str] | None = None) -> list[Path]:
    """Execute chapters with their defaults from the cache alone and write their committed notebooks.

    Returns:
        The notebooks that changed.
    """
    changed = []
    for name, notebook in execute_all(names or list(sources()), frozen=True).items():
        file = published(name)
        content = text(notebook).encode()
        if not file.exists() or file.read_bytes() != content:
            write_atomically(file, content)
            changed.append(file)
    return changed
