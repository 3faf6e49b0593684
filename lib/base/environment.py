"""What to say where packages are missing that this library is built on.

It is imported before any of them.
"""

from __future__ import annotations

import shlex
import sys


def incomplete(error: ModuleNotFoundError) -> str:
    """What is missing in this Python, and how to get into the environment that has it.

    Args:
        error: Of the import that failed.

    Returns:
        One line.
    """
    given = " ".join(map(shlex.quote, sys.argv[1:]))
    return (
        f"{sys.executable} has no package {error.name!r}; the packages of this project are in .venv: "
        f"make env, then .venv/bin/python -m lib {given}".rstrip()
    )


def refused(error: ModuleNotFoundError) -> int:
    """Say so on stderr, as the command line says what is wrong.

    Returns:
        The exit code.
    """
    print(f"error: {incomplete(error)}", file=sys.stderr)
    return 2
