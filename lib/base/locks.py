"""Locks between processes: by the system's `flock`, or by lock files alone where a file system has none.

The system releases a `flock` when its holder ends, however it ends. Without one (Lustre mounted without
`-o flock`, NFS without its lock service) a lock is held for as long as its file exists, and a killed process
leaves the file behind. Holders therefore touch their file every second, and those who wait for one that
nobody touches any more say so instead of waiting for ever.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, SoftFileLock, Timeout

from lib.base.errors import InputError

__all__ = ["Timeout", "alive", "lock"]

NO_FLOCK = {
    errno.ENOSYS,
    errno.ENOLCK,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
}  # what `flock` answers where there is none
BEAT_SECONDS = 1.0  # between two touches of a lock file by its holder
PATIENCE_SECONDS = 5.0  # a lock file that is not touched for so long has lost its holder
POLL_SECONDS = 0.05

_seen: dict[Path, tuple[object, float]] = {}  # lock files waited for: their state, and when it was first seen


def alive(pid: int) -> bool:
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True


@lru_cache
def _has_flock(folder: Path) -> bool:
    """Whether the file system of a folder, which is written to, has `flock`."""
    probe = folder / f".flock.{os.getpid()}-{threading.get_ident()}.tmp"
    try:
        with probe.open("w", encoding="utf-8") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_FLOCK:
            return False
        raise
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return True


@contextmanager
def lock(root: Path, key: str, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock for one key below a folder.

    Args:
        root: The folder, whose hidden `.locks` holds the lock files.
        key: What is locked: a name for a file.
        wait: Whether to wait for another holder, which is logged once.

    Raises:
        Timeout: Another process holds the lock, and `wait` is False.
        InputError: The folder cannot be written, or the lock's holder shows no sign of life. Where one is
            raised while the lock is held, the lock file and the folders that were made for it are taken back.
    """
    place = root / ".locks" / f"{key}.lock"
    try:
        made = _make_folder(place.parent)
        soft, new = not _has_flock(place.parent), not place.exists()
        held = (SoftFileLock if soft else FileLock)(place)
        told = False
        while not _taken(held, place, soft):
            _check_holder(place, soft)
            if not wait:
                raise Timeout(str(place))
            if not told:
                logging.getLogger("lib.runs.store").info("another process is making %s: waiting for it", key)
                told = True
            time.sleep(POLL_SECONDS)
    except Timeout:  # is an OSError too
        raise
    except OSError as error:
        reason = f"{error.strerror}; set RUNS_DIR to another place"
        raise InputError(f"cannot write in {root}: {reason}") from error
    _seen.pop(place, None)
    refused = False
    with _touched(place) if soft else nullcontext():
        try:
            yield
        except InputError:
            refused = True
            if new and not soft:
                with suppress(OSError):
                    place.unlink()  # while it is held: who waits for it finds it gone, and takes a new one
            raise
        finally:
            held.release()
            for folder in made if refused else ():
                with suppress(OSError):  # somebody else has put something into it
                    folder.rmdir()


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it that lack; returns these, the innermost first."""
    lacking = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return lacking


def _taken(held: FileLock | SoftFileLock, place: Path, soft: bool) -> bool:
    """Whether the lock is ours now."""
    try:
        held.acquire(timeout=0)
    except Timeout:
        return False
    except FileNotFoundError:  # another process was refused, and has taken the folder back
        place.parent.mkdir(parents=True, exist_ok=True)
        return False
    # a lock file is empty unless a machine without flock holds the lock by it
    with suppress(FileNotFoundError):  # taken back by another process, so it locks nothing
        if soft or not place.stat().st_size:
            return True
    held.release()
    return False


@contextmanager
def _touched(place: Path) -> Iterator[None]:
    """While open, the time of a lock file is renewed every second: its holder lives."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT_SECONDS):
            with suppress(OSError):
                os.utime(place)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class _Holder(NamedTuple):
    """Who a lock file says holds it; 0 and "" where it does not say."""

    pid: int
    host: str

    @property
    def here(self) -> bool:
        """Whether that is a process of this machine; after a question mark filelock adds a PID namespace."""
        return bool(self.pid) and self.host.partition("?")[0] == socket.gethostname()

    def __str__(self) -> str:
        if not self.pid:
            return "a process unknown (the file does not name it)"
        return f"process {self.pid} on {self.host.partition('?')[0]}"


def _holder(content: bytes) -> _Holder:
    """The holder that filelock has written into a lock file: process, host, and perhaps when it started."""
    lines = content.decode("utf-8", "replace").split("\n")
    if (
        len(lines) >= 2
        and lines[0].isascii()
        and lines[0].isdigit()
        and len(lines[0]) < 12
        and lines[1].isprintable()
    ):
        return _Holder(int(lines[0]), lines[1])
    return _Holder(0, "")


def _check_holder(place: Path, soft: bool) -> None:
    """Raise InputError when a lock that is held by its file alone has shown no sign of life for too long."""
    try:
        with place.open("rb") as opened:  # opening asks a network file system for the state as it is now
            content, changed = opened.read(1000), os.fstat(opened.fileno()).st_mtime_ns
    except FileNotFoundError:
        return
    if not soft and not content:
        return  # held by flock, which its holder cannot leave behind
    holder, state, now = _holder(content), (content, changed), time.monotonic()
    before, since = _seen.get(place, (None, now))
    if before != state or (holder.here and alive(holder.pid)):
        _seen[place] = (state, now)
    elif now - since >= PATIENCE_SECONDS:
        where = "which runs no more" if holder.here else f"silent for {PATIENCE_SECONDS:.0f} seconds"
        raise InputError(
            f"{place} is locked by {holder}, {where}; if no process works on {place.parent.parent} any more, "
            f"delete that file (a file system without flock keeps the locks of killed processes)"
        )
