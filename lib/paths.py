"""Every path of the project, absolute, so that no chapter depends on the folder it is run from."""

from __future__ import annotations

import os
from pathlib import Path

from lib.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = ROOT / "chapters"
BUILD = ROOT / "_build"


def runs() -> Path:
    """The store of cached runs: $RUNS_DIR, or runs/ in the project."""
    return Path(os.environ.get("RUNS_DIR") or ROOT / "runs").resolve()


def cache() -> Path:
    """Decoded data sets and compiled kernels, safe to delete: $LIB_CACHE, or .cache/ in the project."""
    return Path(os.environ.get("LIB_CACHE") or ROOT / ".cache").resolve()


def data() -> Path:
    """Where data sets are looked for: $DATA_DIR, or data/ in the project.

    raises  InputError when DATA_DIR is set and is not a folder
    """
    given = os.environ.get("DATA_DIR")
    if given and not Path(given).is_dir():
        raise InputError(f"DATA_DIR={given} is not a folder; set it to the folder that holds the data sets, or unset it")
    return Path(given or ROOT / "data").resolve()
