"""Have jupyter-book make the pages, and tell what it warns of."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from lib.base import garbage, paths
from lib.base.errors import InputError
from lib.book import kernels, mending

_log = logging.getLogger(__name__)
# what Sphinx and the interpreter take from a user's environment, and the book must not
_NOT_SPHINX = {
    "SOURCE_DATE_EPOCH",
    "PYTHONWARNINGS",
    "PYTHONOPTIMIZE",
    "PYTHONSTARTUP",
    "LANGUAGE",
    "SPHINXOPTS",
}
# runs the script that is named next
_PATIENT = f"""
import gc, runpy, sys
{garbage.SELDOM}
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
_PROBLEM = re.compile(r"WARNING|ERROR|Exception|Traceback|Error:")


def jupyter_book(source: Path, target: Path, *, strict: bool) -> Path:
    """Have jupyter-book make the pages.

    Args:
        source: The notebooks, texts and settings.
        target: Where the log goes.
        strict: Whether a warning is an error; else it is logged.

    Returns:
        The folder of the pages.
    """
    # --all: a second build over an old one does not repeat the warnings of the pages that it does not read
    # again
    command = [
        sys.executable,
        "-P",
        "-c",
        _PATIENT,
        str(Path(sysconfig.get_path("scripts"), "jupyter-book")),
        "build",
        str(source),
        *(["-W"] if strict else []),
        "-n",
        "--keep-going",
        "--all",
    ]
    # the reference is about this library, even where another one is installed
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_SPHINX}
    environment |= kernels.text_is_utf8() | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(paths.ROOT), os.environ.get("PYTHONPATH")])),
        "LC_ALL": "C",  # so that what it warns of is in English, and can be told from the rest
    }
    with tempfile.TemporaryDirectory(prefix="sphinx-", ignore_cleanup_errors=True) as settings:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            check=False,
            env=environment
            | {"IPYTHONDIR": settings, "JUPYTER_CONFIG_DIR": settings, "MATPLOTLIBRC": os.devnull},
        )
    log = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    (target / "build.log").write_text(log, encoding="utf-8")
    problems = [line.replace(f"{source}/", "") for line in log.splitlines() if _PROBLEM.search(line)]
    if done.returncode:
        raise InputError(
            f"the book does not build: {_first(problems or log.splitlines()[-1:])}{_see(target)}"
        )
    if problems:
        _log.warning(
            "the page is built, and a build of the book would stop at: %s%s", _first(problems), _see(target)
        )
    built = source / "_build" / "html"
    mending.mend(built)
    return built


def _first(problems: list[str]) -> str:
    return (problems or ["it says nothing"])[0] + (
        f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    )


def _see(target: Path) -> str:
    return f"; see {target / 'build.log'}"
