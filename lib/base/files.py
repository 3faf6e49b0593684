"""Files written whole or not at all, and arrays kept between calls."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import stat
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np

from lib.base.errors import InputError
from lib.base.fingerprint import exempt
from lib.base.locks import alive

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]{0,199}")  # a name of a file or a folder: no path, not hidden

DAY = 86_400.0  # seconds


class Unfit(ValueError):
    """What is wrong with a file, in words that follow its name; callers make an InputError of it."""


@exempt
def damaged(
    file: Path | str,
    what: str,
    way_out: str = "restore it (git checkout) or delete its folder to make it again",
) -> InputError:
    """Error for a damaged file: what is wrong with it, and what to do."""
    return InputError(f"damaged: {file} {what}; {way_out}")


def unreadable(path: Path, error: OSError) -> InputError:
    """The error for what the system does not let us read."""
    reason = error.strerror or type(error).__name__
    return InputError(f"cannot read {path}: {reason}; mend its permissions or its disk, or move it away")


@contextmanager
def no_room(what: str) -> Iterator[None]:
    """While open, a disk that is full or cannot be written to, or another error of the system, is one line.

    Args:
        what: What cannot be done then, as a verb: "build the book".

    Raises:
        InputError: In place of such an error.
    """
    try:
        yield
    except OSError as error:
        # shutil.copytree collects what the system said as text
        said = error.strerror or str(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in said
        where = f" ({error.filename})" if error.filename else ""
        reason = "the disk is full, free some room" if full else said.splitlines()[0][:300]
        raise InputError(f"cannot {what}{where}: {reason}") from error


def there(path: Path) -> bool:
    """Whether something is at a path.

    Raises:
        InputError: Where that cannot be seen.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable(path, error) from error
    return True


def read_file(file: Path, *, most: int) -> bytes:
    """The content of a regular file, looked at before it is opened: a pipe would wait, a device never end.

    Args:
        file: The file, or a link to it.
        most: How many bytes it may have.

    Returns:
        Its content.

    Raises:
        FileNotFoundError: There is none.
        Unfit: It is a folder, a pipe or a device, or is larger than that.
        InputError: It cannot be read.
    """
    try:
        return read_regular(file, most=most)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unreadable(file, error) from error


def read_regular(file: Path, *, most: int) -> bytes:
    """`read_file` for those who have words of their own for what the system says.

    Raises:
        OSError: There is no such file, or it cannot be read.
        Unfit: It is a folder, a pipe or a device, or is larger than that.
    """
    check_regular(os.stat(file), most)
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        check_regular(os.fstat(opened.fileno()), most)  # what was opened, should the name lead elsewhere now
        content = opened.read(most + 1)
    if content is None:  # some files of /proc say nothing now
        raise Unfit("has nothing to read now; it is no file that was written")
    if len(content) > most:
        raise _too_large(len(content), most)
    return content


def check_regular(status: os.stat_result, most: int | None = None) -> None:
    """Raise Unfit unless this is the status of a regular file, of at most so many bytes."""
    if not stat.S_ISREG(status.st_mode):
        raise Unfit(
            "is a folder, not a file" if stat.S_ISDIR(status.st_mode) else "is a pipe or a device, not a file"
        )
    if most is not None and status.st_size > most:
        raise _too_large(status.st_size, most)


def _too_large(size: int, most: int) -> Unfit:
    return Unfit(f"has {size:,} bytes, more than it can need ({most:,})")


def parsed(content: bytes) -> Any:
    """JSON as this library writes it; raises Unfit for anything else, a name given twice, NaN or infinity."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise Unfit("gives one name twice")
        return found

    def never(constant: str) -> object:
        raise Unfit(f"holds {constant}")

    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=once, parse_constant=never)
    except Unfit:
        raise
    except (ValueError, RecursionError):
        raise Unfit("is not JSON") from None


@exempt
def write_atomically(file: Path, content: bytes) -> None:
    """Write a file so that after a crash it is the old one or the new one, never half of it.

    Args:
        file: The file; folders that lack are made.
        content: All of it.

    Raises:
        InputError: The disk is full or the place cannot be written; nothing is left behind.
    """
    draft, made, done = draft_of(file), [], False
    try:
        made = _make_folders(file.parent)
        _tidy(file.parent)
        with draft.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(draft, file)
        done = True
        _sync(file.parent)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else error.strerror
        raise InputError(
            f"cannot write {file}: {reason}; nothing was changed, "
            "free some room or set RUNS_DIR to another place"
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        if not done:
            _remove_empty(made)


def _sync(folder: Path) -> None:
    """Have the names in a folder outlast a power cut: a rename lasts once its folder is on disk."""
    with suppress(OSError):  # some file systems refuse it for folders
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it that lack.

    Returns:
        The new ones, the uppermost first.
    """
    lacking = []
    while not folder.is_dir():
        lacking.append(folder)
        folder = folder.parent
    made = []
    for one in reversed(lacking):
        try:
            one.mkdir()
        except FileExistsError:
            if not one.is_dir():
                raise
            continue  # another process was first
        made.append(one)
        _sync(one.parent)
    return made


def _remove_empty(made: list[Path]) -> None:
    """Take back folders that `_make_folders` made, unless somebody has put something into them."""
    for folder in reversed(made):
        with suppress(OSError):
            folder.rmdir()


_DRAFT = re.compile(
    r"\..+?(?:\.([A-Za-z0-9_-]+))?\.([0-9]{1,10})\.tmp"
)  # the first ones did not name the machine


@lru_cache
def _here() -> str:
    """This machine, or this container of it: where a number stands for one process."""
    host = re.sub(r"[^A-Za-z0-9-]", "_", socket.gethostname())[:40]
    with suppress(OSError):
        host += f"-{os.stat('/proc/self/ns/pid').st_ino:x}"
    return host


def draft_of(path: Path) -> Path:
    """Name beside a file under which this process writes it before it is whole."""
    return path.with_name(f".{path.name[:150]}.{_here()}.{os.getpid()}.tmp")


def _tidy(folder: Path) -> None:
    """Remove what killed processes of this machine left half written here, and what is older than a day."""
    with suppress(OSError):
        for path in list(folder.iterdir()):
            found = _DRAFT.fullmatch(path.name)
            if not found:
                continue
            dead = found[1] == _here() and not alive(int(found[2]))
            if dead or time.time() - path.lstat().st_mtime > DAY:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


_SEAL = 64  # length of the checksum in hex digits that such a file begins with


def _scratch_digest(file: Path, opened: BufferedIOBase) -> bytes:
    """SHA-256 of the file's place and of what follows the checksum; a file in another's place does not
    match.
    """
    opened.seek(_SEAL)
    begun = hashlib.sha256(os.fsencode("/".join(file.parts[-2:])))
    return hashlib.file_digest(opened, lambda: begun).hexdigest().encode()


def _kept(file: Path) -> dict[str, np.ndarray] | None:
    """The arrays in a scratch file; None without a file, or if it is not bit for bit what was written."""
    try:
        if not file.is_file():  # opening a pipe would wait for ever
            return None
        with file.open("rb") as opened:
            if opened.read(_SEAL) != _scratch_digest(file, opened):
                return None
            opened.seek(_SEAL)
            with np.load(opened) as found:
                return dict(found)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # unreadable, or by another numpy
        return None


@exempt
def kept(
    file: Path,
    make: Callable[[], dict[str, np.ndarray]],
    *,
    what: str,
    fits: Callable[[dict[str, np.ndarray]], bool] = lambda arrays: True,
) -> dict[str, np.ndarray]:
    """Read arrays from the file where an earlier call left them, or make them and leave them there.

    The file may be deleted at any time. It is an npz with a SHA-256 in front: the CRC in an npz does not
    cover everything, and one random damage in 200 read as other numbers.

    Args:
        file: Where they are kept.
        make: Makes them.
        what: What they are, for the warning that they could not be kept.
        fits: Whether arrays that were found are of today's form.
    """
    found = _kept(file)
    if found is not None and fits(found):
        return found
    arrays = make()
    draft = draft_of(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _tidy(file.parent)
        with draft.open("w+b") as out:
            out.write(bytes(_SEAL))
            np.savez(out, **arrays)  # type: ignore[arg-type]  # none is called allow_pickle
            digest = _scratch_digest(file, out)
            out.seek(0)
            out.write(digest)
        os.replace(draft, file)
    except OSError as error:
        reason = f"{file} ({error.strerror}): made anew each time"
        warnings.warn(f"{what} could not be kept as {reason}", stacklevel=2)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return arrays
