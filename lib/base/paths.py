"""Every path of the project, absolute, so that no chapter depends on the folder it is run from.

Relative paths in environment variables start at the project's root, since the kernel of a notebook runs in
another folder than the shell.
"""

from __future__ import annotations

import os
from pathlib import Path

from lib.base.errors import InputError
from lib.base.fingerprint import exempt

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = ROOT / "chapters"
BUILD = ROOT / "_build"


def runs() -> Path:
    """Folder of cached runs: $RUNS_DIR, or runs/ in the project."""
    return (ROOT / (os.environ.get("RUNS_DIR") or "runs")).resolve()


@exempt
def cache() -> Path:
    """Folder of decoded data sets, corrupted and adversarial images, safe to delete: $LIB_CACHE, or .cache/
    in the project.
    """
    return (ROOT / (os.environ.get("LIB_CACHE") or ".cache")).resolve()


@exempt
def data() -> Path:
    """Folder of data sets: $DATA_DIR, or data/ in the project.

    Raises:
        InputError: If DATA_DIR is set and is not a folder.
    """
    given = os.environ.get("DATA_DIR")
    folder = (ROOT / (given or "data")).resolve()
    if given and not folder.is_dir():
        raise InputError(
            f"DATA_DIR={given} is not a folder ({folder}); set it to the folder that holds the data "
            f"sets, or unset it"
        )
    return folder
