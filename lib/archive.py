"""Finished runs as tar files, to be brought home from a machine that returns nothing but files."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path

from lib import paths, recipes, runs, store
from lib.errors import InputError
from lib.recipes import Training

REQUIRED = {runs.CONFIG, runs.HISTORY, runs.WEIGHTS}  # what every manifest names; the weights themselves may be absent
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]*")  # a name of a group, a run or a file: no folder, not hidden
END = 2 * tarfile.BLOCKSIZE  # zeros that close a tar


# ---- packing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Packed:
    """The archives that were written, and the trainings that are not in them because they are not finished."""

    archives: tuple[Path, ...]
    left: tuple[Training, ...]


def checked(archive: Path) -> Path:
    """The archive's path, its folder made; raises InputError for another ending, a folder of that name, and where nothing can be written."""
    if archive.suffix != ".tar":
        raise InputError(f"an archive's name must end in .tar, got {archive}")
    if archive.is_dir():
        raise InputError(f"cannot write {archive}: it is a folder; give another name")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(archive.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise InputError(f"cannot write {archive}: {error.strerror}; give another place") from error
    return archive


def pack(trainings: Iterable[Training], archive: Path, *, limit_bytes: int = 15 * 2**20) -> Packed:
    """Write the finished ones of `trainings` into a tar, the same bytes for the same runs; archives of that name are replaced together.

    archive      name.tar; what does not fit goes on in name.part2.tar, name.part3.tar, ...
    limit_bytes  of one archive; a run is never split, so one that is bigger has an archive of its own
    raises       InputError for a damaged run, when nothing is finished, and when the archive cannot be written; older archives then stay
    """
    archive = checked(Path(archive))
    if limit_bytes <= 0:
        raise InputError(f"limit_bytes must be above 0, got {limit_bytes}")
    chosen = sorted(set(trainings), key=lambda training: training.name)
    left = runs.missing(chosen)
    finished = [training for training in chosen if training not in set(left)]
    if not finished:
        raise InputError(f"nothing to pack: of {len(chosen)} runs asked for, none is finished in {paths.runs()}")
    drafts = archive.with_name(f".{archive.name}.tmp")
    written: list[str] = []
    try:
        shutil.rmtree(drafts, ignore_errors=True)  # of a pack that was killed
        for content in _parts(finished, limit_bytes):
            written.append(archive.name if not written else f"{archive.stem}.part{len(written) + 1}.tar")
            store.write_atomically(drafts / written[-1], content)
        for name in written:
            os.replace(drafts / name, archive.with_name(name))
        for stale in archive.parent.iterdir():
            if re.fullmatch(re.escape(archive.stem) + r"\.part[0-9]+\.tar", stale.name) and stale.name not in written:
                stale.unlink()
    except OSError as error:
        raise InputError(f"cannot write {archive}: {error.strerror}; give another place") from error
    finally:
        shutil.rmtree(drafts, ignore_errors=True)
    return Packed(tuple(archive.with_name(name) for name in written), tuple(left))


def _parts(trainings: list[Training], limit: int) -> Iterator[bytes]:
    """The content of each archive; one archive is in memory at a time."""
    members: list[tuple[str, bytes]] = []
    size = 0
    for training in trainings:
        files = _files(training)
        more = sum(tarfile.BLOCKSIZE + _blocks(len(content)) for _, content in files)
        if members and _records(size + more) > limit:
            yield _tar(members)
            members, size = [], 0
        members += files
        size += more
    yield _tar(members)


def _files(training: Training) -> list[tuple[str, bytes]]:
    """(name in the archive, verified content) of every file of a run."""
    folder = paths.runs() / training.name
    manifest = (folder / store.MANIFEST).read_bytes()  # before all else: a table that is added meanwhile is then simply not packed
    run = store.Folder(folder)
    names = [name for name in json.loads(manifest)["files"] if name in run or not run.files[name].get("optional")]
    content = {store.MANIFEST: manifest} | {name: run.read(name) for name in names}
    return [(f"{training.name}/{name}", content[name]) for name in sorted(content)]


def _blocks(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _records(size: int) -> int:
    """Bytes of a tar whose members take `size`: with its end, in whole records."""
    return -(-(size + END) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


def _tar(members: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)  # time, owner and group 0, mode 644
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


# ---- unpacking -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Imported:
    """What became of the runs of an archive, by name; a run may be in several."""

    added: tuple[str, ...] = ()
    there: tuple[str, ...] = ()  # already, and nothing was to be added
    tables: tuple[str, ...] = ()  # run/file: measured there, not here
    weights: tuple[str, ...] = ()  # of runs whose weights were not kept here
    refused: tuple[str, ...] = ()  # one line each: what differs from the run of that name here, which stays


@dataclass
class _Found:
    """`Imported` while it grows."""

    added: list[str] = field(default_factory=list)
    there: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def unpack(archive: Path) -> Imported:
    """Bring the runs of one archive into the store; what is there already is completed, never changed.

    All of the archive is verified before the first run gets its name; then each run is moved in whole. Two makings of one training count
    as the same network when their weights are equal to the bit.
    raises  InputError when the archive, or a run of that name in the store, is damaged in any way, and then nothing has changed; or when the store cannot be
            written: what was moved in before stays, and unpacking again brings the rest
    """
    archive, root, found = Path(archive), paths.runs(), _Found()
    if not archive.exists():  # before the store gets its first lock
        raise InputError(f"cannot read {archive}: {os.strerror(errno.ENOENT)}; give a tar written by sweep --pack")
    with store.lock(root, "unpack"), _place(root / ".partial" / "unpack") as place:
        arrived = _verified(archive, place)
        for training in arrived:
            if (root / training.name).exists():
                store.Folder(root / training.name).verify()
        for training, run in arrived.items():
            with store.lock(root, training.key):
                _take(training, run, found)
    return Imported(**{each.name: tuple(getattr(found, each.name)) for each in fields(found)})


@contextmanager
def _place(place: Path) -> Iterator[Path]:
    """A folder of the store for runs that have not been verified, empty before and gone after; the caller holds its lock."""
    shutil.rmtree(place, ignore_errors=True)  # of an unpack that was killed
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _bad(archive: Path, what: str) -> InputError:
    return store.damaged(archive, what, "nothing was changed; pack it again, or fetch it again")


def _verified(archive: Path, place: Path) -> dict[Training, store.Folder]:
    """The runs of an archive, unpacked below `place` and each held against its manifest and its name."""
    try:
        with archive.open("rb") as opened, tarfile.open(fileobj=opened, mode="r:") as tar:
            members = _members(archive, tar)
            _check_end(archive, opened, members)
            for name, member in members.items():
                store.write_atomically(place / name, tar.extractfile(member).read())
    except OSError as error:
        raise InputError(f"cannot read {archive}: {error.strerror or error}; give a tar written by sweep --pack") from error
    except (tarfile.TarError, ValueError, RecursionError, MemoryError) as error:  # the tar reader meets bad headers with any of these
        raise _bad(archive, f"is not a whole tar ({str(error).splitlines()[0] if str(error) else type(error).__name__})") from None
    names: dict[str, set[str]] = {}
    for name in members:
        folder, _, file = name.rpartition("/")
        names.setdefault(folder, set()).add(file)
    return dict(_verified_run(archive, place, folder, names[folder]) for folder in sorted(names))


def _members(archive: Path, tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """The members by name; raises InputError unless each is a regular file at <group>/<run>/<file>, named once."""
    members: dict[str, tarfile.TarInfo] = {}
    for member in tar:  # checked as they come: a negative size would lead the reader back to where it was
        parts = member.name.split("/")
        if member.size < 0:
            raise _bad(archive, f"holds {member.name!r} with a size of {member.size}")
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
            raise _bad(archive, f"holds {member.name!r}, which is no regular file")
        if len(parts) != 3 or not all(map(PLAIN.fullmatch, parts)):
            raise _bad(archive, f"holds {member.name!r}; members must be <group>/<run>/<file>")
        if member.name in members:
            raise _bad(archive, f"holds {member.name!r} twice")
        members[member.name] = member
    if not members:
        raise _bad(archive, "holds nothing")
    return members


def _check_end(archive: Path, opened: io.BufferedReader, members: dict[str, tarfile.TarInfo]) -> None:
    """Raise InputError unless nothing but the closing zeros follows the last member: the tar reader stops silently at a bad header."""
    end = max(member.offset_data + _blocks(member.size) for member in members.values())
    left = os.fstat(opened.fileno()).st_size - end
    opened.seek(max(end, 0))
    if left < END or any(opened.read(END)):
        raise _bad(archive, "ends too early" if left < END else "has a damaged header")


def _verified_run(archive: Path, place: Path, name: str, present: set[str]) -> tuple[Training, store.Folder]:
    try:
        run = store.Folder(place / name)
        run.verify()
        facts = runs.config(run)["training"]
    except InputError as error:
        what = str(error).removeprefix("damaged: ").rpartition("; ")[0].replace(f"{place}/", "")
        raise _bad(archive, f"holds a damaged run: {what}") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _bad(archive, f"holds a damaged run: {name}/{runs.CONFIG} does not describe a training") from None
    tables = {file for file, entry in run.files.items() if "measurement" in entry}
    optional = {file for file, entry in run.files.items() if entry.get("optional")}
    if unexpected := present - {*run.files, store.MANIFEST}:
        raise _bad(archive, f"holds {name}/{min(unexpected)}, which its manifest does not name")
    if set(run.files) != REQUIRED | tables or REQUIRED & tables or optional != {runs.WEIGHTS}:
        raise _bad(archive, f"holds {name}, whose manifest is not that of a run")
    training = recipes.described(facts)
    if training is None:
        raise _bad(archive, f"holds {name}, and this library has no training such as its {runs.CONFIG} describes")
    if training.name != name:
        raise _bad(archive, f"holds {name}, whose {runs.CONFIG} describes {training.name}")
    return training, run


def _take(training: Training, arrived: store.Folder, found: _Found) -> None:
    """Move a verified run into the store, or complete the one that is there; the caller holds the lock."""
    root, name = paths.runs(), training.name
    try:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if not (root / name).exists():
            os.rename(arrived.path, root / name)
            found.added.append(name)
            return
    except OSError as error:
        raise InputError(f"cannot write {root / name}: {error.strerror}; what was moved in before stays, unpack again for the rest") from error
    with store.lock(root, f"{training.key}-manifest"):
        for litter in (root / name).glob(".*.tmp"):  # nobody else writes files of this run now
            litter.unlink()
        here = store.Folder(root / name)
        if here.files[runs.WEIGHTS]["sha256"] != arrived.files[runs.WEIGHTS]["sha256"]:
            found.refused.append(f"{name}: another network than the one here (another device or version made it); the one here stays")
            return
        before = len(found.tables) + len(found.weights) + len(found.refused)
        if runs.WEIGHTS in arrived and runs.WEIGHTS not in here:
            here.restore(runs.WEIGHTS, arrived.read(runs.WEIGHTS))
            found.weights.append(name)
        for file, entry in sorted(arrived.files.items()):
            if file not in here.files:
                here.add(file, arrived.read(file), **{fact: value for fact, value in entry.items() if fact not in ("sha256", "bytes")})
                found.tables.append(f"{name}/{file}")
            elif "measurement" in entry and entry["sha256"] != here.files[file]["sha256"]:
                found.refused.append(f"{name}: {file} differs from the one here, which stays")
        if before == len(found.tables) + len(found.weights) + len(found.refused):
            found.there.append(name)
