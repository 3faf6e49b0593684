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


def is_project(folder: Path) -> bool:
    """Whether a folder is a copy of this project, and not where an installer has put the library alone."""
    return (folder / "_toc.yml").is_file()


def _place(variable: str, usual: str) -> Path:
    given = os.environ.get(variable)
    if not given and not is_project(ROOT):
        raise InputError(
            f"lib is installed in {ROOT}, outside its project: set {variable} to a folder of yours, "
            "or work in a clone, where `make env` sets everything up"
        )
    return _resolved(given or usual)


def _resolved(place: str) -> Path:
    """A place that may be relative to the project, or begin with ~; one that leads in a circle stays as it
    is.
    """
    return Path(os.path.realpath(ROOT / os.path.expanduser(place)))


def hand_down() -> None:
    """Let processes and kernels that are started from here import this library, wherever the environment they
    run in would find another: a copied or moved clone has the environment of the first.
    """
    if is_project(ROOT):
        others = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
        kept = [part for part in others if Path(part) != ROOT]
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *kept])


def runs() -> Path:
    """Folder of cached runs: $RUNS_DIR, or runs/ in the project.

    Raises:
        InputError: This library stands outside a project, and RUNS_DIR does not say where runs are; or they
            cannot be in that place.
    """
    return _local_folder(_place("RUNS_DIR", "runs"))


def _local_folder(store: Path) -> Path:
    """A store of runs, unless something stands in its way; it may be absent.

    Raises:
        InputError: It is an address of a network, or it or a folder above it is something else than a folder.
    """
    given = os.environ.get("RUNS_DIR", "")
    if "://" in given:
        raise InputError(
            f"RUNS_DIR={given} is an address, not a folder; set RUNS_DIR to a folder, or unset it"
        )
    there = next(place for place in (store, *store.parents) if os.path.lexists(place))
    if not there.is_dir():
        what = (
            f"the store of runs, {store}," if there == store else f"{there}, in which RUNS_DIR={given} lies,"
        )
        raise InputError(
            f"{what} is not a folder; set RUNS_DIR to the folder that holds the runs, or unset it"
        )
    return store


@exempt
def cache() -> Path:
    """Folder of decoded data sets, corrupted and adversarial images, safe to delete: $LIB_CACHE, or .cache/
    in the project.
    """
    return _place("LIB_CACHE", ".cache")


@exempt
def data() -> Path:
    """Folder of data sets: $DATA_DIR, or data/ in the project.

    Raises:
        InputError: If DATA_DIR is set and is not a folder.
    """
    given = os.environ.get("DATA_DIR")
    folder = _resolved(given or "data")
    if given and not os.path.isdir(folder):  # also where a name is longer than any can be
        raise InputError(
            f"DATA_DIR={given} is not a folder ({folder}); set it to the folder that holds the data "
            f"sets, or unset it"
        )
    return folder
