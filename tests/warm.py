"""Python code in processes of its own that need not import what takes seconds: each is forked from a server that
has imported it, and nothing of lib.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

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
# code that runs the script in its first argument
SCRIPT = "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"

# One line of JSON asks for a process, a line with its exit code answers; what it writes is in files. Errors of
# the code leave the loop in the child, as they would leave `python -c`.
SERVER = """
import importlib, json, os, sys, warnings
for name in sys.argv[1:]:
    importlib.import_module(name)
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    for number, file in ((0, os.devnull), (1, asked["out"]), (2, asked["err"])):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), number)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.path[1:1] = filter(None, asked["environment"].get("PYTHONPATH", "").split(os.pathsep))
    sys.argv[1:] = asked["arguments"]
    if asked["strict"]:
        warnings.simplefilter("error")
    exec(compile(asked["code"], "<string>", "exec"), {"__name__": "__main__"})
    break
"""


class Server:
    """Runs code as `subprocess.run([sys.executable, "-c", code, *arguments])` would, one after the other."""

    def __init__(self, folder: Path, modules: tuple[str, ...]) -> None:
        self._folder, self._modules = folder, modules
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process:
            self._process.stdin.close()
            self._process.wait(60)
            self._process.stdout.close()

    def _there(self) -> subprocess.Popen[str]:
        """The server: started at first, and again where a test has killed all children of its process."""
        if self._process and self._process.poll() is not None:
            self.__exit__(None, None, None)
            self._process = None
        if not self._process:
            environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            environment["PYTHONUTF8"] = "1"  # which an interpreter asks about as it starts
            self._process = subprocess.Popen(
                [sys.executable, "-c", SERVER, *self._modules],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env=environment,
                cwd=self._folder,
            )
        return self._process

    def run(
        self,
        code: str,
        *arguments: str,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        strict: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run some code.

        Args:
            code: Python, which finds lib where PYTHONPATH says or in `cwd`.
            arguments: Those of the command line.
            cwd: The folder it runs in.
            env: Its environment; this process's if None.
            strict: Whether warnings are errors, those of the modules of the server aside.
        """
        out, err = self._folder / "out", self._folder / "err"
        for file in (out, err):
            file.write_text("")
        asked = {
            "code": code,
            "arguments": arguments,
            "cwd": str(cwd),
            "environment": dict(os.environ if env is None else env),
            "strict": strict,
            "out": str(out),
            "err": str(err),
        }
        server = self._there()
        print(json.dumps(asked), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        said = [file.read_text(encoding="utf-8", errors="replace") for file in (out, err)]
        return subprocess.CompletedProcess([sys.executable, "-c", code, *arguments], status, *said)
