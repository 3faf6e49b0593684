"""A store beside the published one: it reads what is published, and what is made lands in it alone.

The published chapters, their tests and git know nothing of it, so whatever is tried leaves them as they are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lib.base import paths
from lib.base.files import draft_of, no_room, there, write_atomically
from lib.base.locks import lock
from lib.runs import equivalence, store

NAME = "reruns"  # its folder in the project, which git ignores


@contextmanager
def kept_apart() -> Iterator[Path]:
    """While open, this process and those it starts work on the store beside the published one, which is
    filled first. With RUNS_DIR set they work on that, as everything does.

    Yields:
        The store that is written to.

    Raises:
        InputError: A published run is damaged, or the store cannot be written.
    """
    if os.environ.get("RUNS_DIR"):
        yield paths.runs()
        return
    own = fill(paths.runs(), paths.ROOT / NAME)
    os.environ["RUNS_DIR"] = str(own)
    try:
        yield own
    finally:
        del os.environ["RUNS_DIR"]


def fill(published: Path, own: Path) -> Path:
    """Link into a store all runs of another one. Files of runs are replaced and never changed, so nothing
    that is done in the one reaches the other.

    A run that is in both has the files of the published one, and the tables that were measured in this store
    alone; if it was trained anew, it is the published one. Runs that are in this store alone stay.

    Args:
        published: The store that is read.
        own: The store that is written.

    Returns:
        The folder of the latter.

    Raises:
        InputError: A published run's manifest is damaged, or the store cannot be written.
    """
    with no_room(f"keep reruns in {own}"):
        own.mkdir(parents=True, exist_ok=True)
        with lock(own, "beside"):
            for manifest in sorted(published.glob(f"[!.]*/[!.]*/{store.MANIFEST}")):
                _link_run(store.Folder(manifest.parent), own / manifest.parent.relative_to(published))
            if there(published / equivalence.NAME):
                _link(published / equivalence.NAME, own / equivalence.NAME)
    return own


def _link_run(run: store.Folder, place: Path) -> None:
    if not there(place):
        _link_new(run, place)
        return
    if _same(run.path / store.MANIFEST, place / store.MANIFEST):
        for name in run.files:
            if name in run:
                _link(run.path / name, place / name)
        return
    with lock(place.parents[1], f"{place.name.rpartition('-')[2]}-manifest"):  # as whoever adds a table
        mine = store.Folder(place)
        if _trained(mine.files) != _trained(run.files):
            shutil.rmtree(place)
            _link_new(run, place)
            return
        for name in run.files:
            if name in run:
                _link(run.path / name, place / name)
        both = mine.files | run.files
        if both == run.files:
            _link(run.path / store.MANIFEST, place / store.MANIFEST)
        elif both != mine.files:
            write_atomically(place / store.MANIFEST, store._manifest(both))


def _trained(files: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The checksums of what is no table of a measurement."""
    return {name: entry["sha256"] for name, entry in files.items() if "measurement" not in entry}


def _link_new(run: store.Folder, place: Path) -> None:
    """Link a whole run, which gets its name when it is complete."""
    draft = draft_of(place)
    draft.mkdir(parents=True)
    try:
        for name in [*(name for name in run.files if name in run), store.MANIFEST]:
            _link(run.path / name, draft / name)
        draft.rename(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _link(file: Path, place: Path) -> None:
    """Have a file at another place too: a hard link, or a copy where the file system has none."""
    if _same(file, place):
        return
    draft = draft_of(place)
    with suppress(FileNotFoundError):
        draft.unlink()
    try:
        os.link(file, draft)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copy2(file, draft)
    os.replace(draft, place)


def _same(file: Path, place: Path) -> bool:
    """Whether a link, or a copy, of a file is at a place."""
    try:
        one, other = file.stat(), place.stat()
    except FileNotFoundError:
        return False
    alike = (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
    return os.path.samestat(one, other) or (alike and other.st_nlink == 1)
