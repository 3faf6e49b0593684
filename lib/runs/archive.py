"""Pack finished runs into tar files, and unpack them on another machine.

An archive from elsewhere is read into memory and checked there. What is written afterwards, under names of
our own, are runs that have passed every check.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from lib.base import paths
from lib.base.errors import InputError
from lib.base.files import Unfit, check_regular, damaged, read_file, write_atomically
from lib.base.files import there as files_there
from lib.base.locks import lock
from lib.runs import store, tars, validity
from lib.runs.run import config, missing
from lib.runs.simulation import GROUP
from lib.training.training import Training

MOST_BYTES = 2**30  # of one archive that is read: a pack is cut at 15 MiB

# ---- packing -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Packed:
    """The archives that were written, and the trainings that are not finished and so not in them."""

    archives: tuple[Path, ...]
    left: tuple[Training, ...]


def checked(archive: Path) -> Path:
    """The archive's path, where one can be written. Nothing is made.

    Raises:
        InputError: The name has another ending or is that of something else than a file, or nothing can be
            written there.
    """
    if archive.suffix != ".tar":
        raise InputError(f"an archive's name must end in .tar, got {archive}")
    try:
        if files_there(archive):
            check_regular(os.stat(archive))
        above = next(folder for folder in archive.absolute().parents if files_there(folder))
        if not above.is_dir():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        with tempfile.TemporaryFile(dir=above):  # /proc says that anything may be written there
            pass
    except Unfit as error:
        raise InputError(f"cannot write {archive}: it {error}; give another name") from None
    except (OSError, ValueError) as error:  # a zero byte is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot write {archive}: {reason}; give another place") from error
    return archive


def pack(trainings: Iterable[Training], archive: Path, *, limit_bytes: int = 15 * 2**20) -> Packed:
    """Write the finished ones of `trainings` into a tar, the same bytes for the same runs.

    Args:
        trainings: What to pack.
        archive: name.tar; what does not fit goes on in name.part2.tar, name.part3.tar, and so on. Older ones
            of that name are replaced together.
        limit_bytes: Of one archive; a run is never split, so one that is larger has an archive of its own.

    Raises:
        InputError: A run is damaged, nothing is finished, or the archive cannot be written; older ones stay.
    """
    archive = checked(Path(archive))
    if limit_bytes <= 0:
        raise InputError(f"limit_bytes must be above 0, got {limit_bytes}")
    chosen = sorted(set(trainings), key=lambda training: training.name)
    if others := [one for one in chosen if not isinstance(one, Training)]:
        raise InputError(
            f"archives take trained networks alone, got {others[0].name}; copy its folder instead"
        )
    left = missing(chosen)
    absent = set(left)
    finished = [training for training in chosen if training not in absent]
    if not finished:
        raise InputError(
            f"nothing to pack: of {len(chosen)} runs asked for, none is finished in {paths.runs()}"
        )
    drafts = archive.with_name(f".{archive.name}.tmp")
    written: list[str] = []
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(drafts, ignore_errors=True)  # left by a pack that was killed
        for content in _parts(finished, limit_bytes):
            written.append(archive.name if not written else f"{archive.stem}.part{len(written) + 1}.tar")
            write_atomically(drafts / written[-1], content)
        for name in written:
            os.replace(drafts / name, archive.with_name(name))
        for stale in archive.parent.iterdir():
            part = re.fullmatch(re.escape(archive.stem) + r"\.part[0-9]+\.tar", stale.name)
            if part and stale.name not in written:
                stale.unlink()
    except OSError as error:
        raise InputError(f"cannot write {archive}: {error.strerror}; give another place") from error
    finally:
        shutil.rmtree(drafts, ignore_errors=True)
    return Packed(tuple(archive.with_name(name) for name in written), tuple(left))


def _parts(trainings: list[Training], limit: int) -> Iterator[bytes]:
    """The content of each archive; one archive is in memory at a time."""
    members: dict[str, bytes] = {}
    size = tars.END
    for training in trainings:
        files = _files(training)
        more = sum(tars.taken(len(content)) for content in files.values())
        if members and tars.whole(size + more) > limit:
            yield tars.write(members)
            members, size = {}, tars.END
        members |= files
        size += more
    yield tars.write(members)


def _files(training: Training) -> dict[str, bytes]:
    """The verified content of every file of a run by its name in the archive."""
    folder = paths.runs() / training.name
    # read before all else: a table that is added meanwhile is then simply not packed
    content = {store.MANIFEST: read_file(folder / store.MANIFEST, most=store.MANIFEST_BYTES)}
    run = store.Folder(folder)
    for name, entry in store.sealed(content[store.MANIFEST]).items():
        if name in run or not entry.get("optional"):
            content[name] = run.read(name)
    return {f"{training.name}/{name}": content[name] for name in sorted(content)}


# ---- unpacking ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Imported:
    """What became of the runs of an archive, by name. A run may be in several of the lists."""

    added: tuple[str, ...] = ()
    there: tuple[str, ...] = ()  # already there, and nothing was to be added
    tables: tuple[str, ...] = ()  # run/file: measured there, not here
    weights: tuple[str, ...] = ()  # weights of runs that were here without them
    refused: tuple[str, ...] = ()  # one line each: what differs from the run of that name here, which stays


def unpack(archive: Path) -> Imported:
    """Bring the runs of one archive into the store. A run that is already there is completed, never changed.

    All of it is checked before the first run is written. Two makings of one training count as the same
    network when their weights are equal to the bit.

    Raises:
        InputError: The archive, or a run of that name in the store, is damaged, and then nothing was written;
            or the store cannot be written: what was brought in before stays, and another call brings the
            rest.
    """
    arrived = _read(Path(archive))
    root = paths.runs()
    for training in arrived:
        if files_there(root / training.name):
            config(store.Folder(root / training.name))
            store.Folder(root / training.name).verify()
    found: dict[str, list[str]] = {each.name: [] for each in fields(Imported)}
    for training, run in arrived.items():
        for kind, lines in _take(training, run).items():
            found[kind] += lines
    return Imported(**{kind: tuple(lines) for kind, lines in found.items()})


def _read(archive: Path) -> dict[Training, dict[str, bytes]]:
    """The runs of an archive, each with the content of its files, all of them checked."""
    shown = str(archive) if str(archive).isprintable() else ascii(str(archive))
    try:
        members = tars.read(read_file(archive, most=MOST_BYTES))
        contents: dict[str, dict[str, bytes]] = {}
        for name, content in members.items():
            folder, _, file = name.rpartition("/")
            contents.setdefault(folder, {})[file] = content
        _refuse_simulations(shown, contents)
        return {_checked_run(name, run): run for name, run in sorted(contents.items())}
    except FileNotFoundError as error:
        raise InputError(
            f"cannot read {shown}: {error.strerror}; give a tar written by sweep --pack"
        ) from None
    except Unfit as error:
        raise damaged(shown, str(error), "nothing was changed; pack it again, or fetch it again") from None


def _refuse_simulations(archive: str, names: Iterable[str]) -> None:
    """Raise InputError for runs without images: no sweep makes them, so no archive brings them."""
    if found := sorted(name for name in names if name.partition("/")[0] == GROUP):
        raise InputError(
            f"{archive} holds the simulation {found[0]}, and archives bring trained networks alone; nothing "
            f"was changed: make it again here, or copy its folder into {paths.runs()}"
        )


def _checked_run(name: str, run: Mapping[str, bytes]) -> Training:
    try:
        return validity.run(name, run)
    except Unfit as error:
        raise Unfit(f"holds {error}") from None


def _take(training: Training, run: dict[str, bytes]) -> dict[str, list[str]]:
    """Bring a checked run into the store, or complete the one there.

    Returns:
        The fields of `Imported`.
    """
    root, name = paths.runs(), training.name
    if not files_there(root / name):
        with lock(root, training.key):
            if not files_there(root / name):
                store.put(root / name, run)
                return {"added": [name]}
    found = _compared(name, store.Folder(root / name), run)
    if not (found.get("tables") or found.get("weights")):
        return found
    with lock(root, training.key), lock(root, f"{training.key}-manifest"):
        here = store.Folder(root / name)
        found, files = _compared(name, here, run), store.sealed(run[store.MANIFEST])
        if found.get("weights"):
            here.restore(validity.WEIGHTS, run[validity.WEIGHTS])
        for file in (line.rpartition("/")[2] for line in found.get("tables", ())):
            facts = {fact: value for fact, value in files[file].items() if fact not in ("sha256", "bytes")}
            here.add(file, run[file], **facts)
    return found


def _compared(name: str, here: store.Folder, run: Mapping[str, bytes]) -> dict[str, list[str]]:
    """What a run that is here lacks of the same one in an archive, and what it has otherwise."""
    files = store.sealed(run[store.MANIFEST])

    def differs(file: str) -> bool:
        return file in here.files and here.files[file]["sha256"] != files[file]["sha256"]

    if differs(validity.WEIGHTS):
        why = "another network than the one here (another device or version made it)"
        return {"refused": [f"{name}: {why}; the one here stays"]}
    ours, theirs = (
        validity.config(content)["result"] for content in (here.read(validity.CONFIG), run[validity.CONFIG])
    )
    if any(ours[fact] != theirs[fact] for fact in ("status", "clean_accuracy", "epochs_run")):
        return {"refused": [f"{name}: the same network with another result than the one here, which stays"]}
    tables = [file for file, entry in sorted(files.items()) if "measurement" in entry]
    found = {
        "tables": [f"{name}/{file}" for file in tables if file not in here.files],
        "weights": [name] if validity.WEIGHTS in run and validity.WEIGHTS not in here else [],
        "refused": [
            f"{name}: {file} differs from the one here, which stays" for file in tables if differs(file)
        ],
    }
    return found if any(found.values()) else {"there": [name]}
