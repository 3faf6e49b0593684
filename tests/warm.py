"""Python code in processes of its own that need not import what takes seconds: each is forked from a server
that has imported it, and nothing of lib.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lib.base.forkserver import ForkServer

# what the library imports, and the first optimiser of a process
LIBRARY = (
    "pandas", "pyarrow.parquet", "safetensors.torch", "scipy.stats", "sklearn.datasets", "torch._dynamo", "yaml"
)  # fmt: skip
# what jupyter-book imports for any book
BOOK = (
    "jupyter_book.cli.main", "myst_nb.sphinx_", "sphinx.cmd.build", "sphinx_book_theme", "sphinx_design",
    "sphinx_external_toc", "sphinx_thebe", "sphinx_togglebutton", "sphinxcontrib.bibtex",
)  # fmt: skip
# Code that comes before any other in a process that trains: an optimiser imports torch._dynamo only to have its
# functions left as they are, which takes twice as long as two epochs of the digits. Here it finds that much of it,
# and the bits are the same.
NO_COMPILER = """
import sys, types
dynamo = sys.modules["torch._dynamo"] = types.ModuleType("torch._dynamo")
dynamo.disable = lambda function, *how, **more: function
dynamo.graph_break = lambda: None
"""

STRICT = "import warnings; warnings.simplefilter('error')\n"


@contextmanager
def server(folder: Path, modules: tuple[str, ...]) -> Iterator[ForkServer]:
    """A server of processes that find the library where their own PYTHONPATH says, or in their folder.

    Args:
        folder: Where it runs.
        modules: What they find imported.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PYTHONUTF8"] = "1"  # which an interpreter asks about as it starts
    with ForkServer(modules, env=environment, cwd=folder) as there:
        yield there


def run(
    there: ForkServer, code: str, *arguments: str, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run code as `python -c code *arguments` would.

    Args:
        code: Python, which finds lib where PYTHONPATH says or in `cwd`.
        env: Its environment; this process's if None.
    """
    return subprocess.run(
        there.command(code, *arguments),
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
