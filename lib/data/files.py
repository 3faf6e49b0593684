"""Folders and files of data sets, looked at before they are opened."""

from __future__ import annotations

import os
import stat
from fnmatch import fnmatch
from pathlib import Path

from lib.data.images import UnfitData


def listed(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder whose name matches a pattern, sorted; none if there is no such folder.

    Raises:
        UnfitData: There is something of that name that cannot be listed. (`Path.glob` would call it empty.)
    """
    try:
        return sorted(folder / name for name in os.listdir(folder) if fnmatch(name, pattern))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UnfitData(f"{folder} cannot be read: {error.strerror}") from error


def check_regular(file: Path, limit: int | None = None) -> None:
    """Check that a file can be opened without waiting for a writer, and is not larger than it can need to be.

    Raises:
        UnfitData: It is missing, a folder, a pipe or a device, or has more than `limit` bytes.
    """
    try:
        found = file.stat()
    except OSError as error:
        raise UnfitData(f"{file} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise UnfitData(
            f"{file} is {'a folder' if stat.S_ISDIR(found.st_mode) else 'a pipe or a device'}, not a file"
        )
    if limit is not None and found.st_size > limit:
        raise UnfitData(f"{file} has {found.st_size:,} bytes, more than it can need ({limit:,})")


def read_bytes(file: Path, limit: int) -> bytes:
    """Content of a file of at most `limit` bytes; raises UnfitData where it cannot be read."""
    check_regular(file, limit)
    try:
        return file.read_bytes()
    except OSError as error:
        raise UnfitData(f"{file} cannot be read: {error.strerror}") from error


def read_lines(file: Path, limit: int) -> list[str]:
    """Lines of a text file of at most `limit` bytes; raises UnfitData if it is unreadable or not UTF-8."""
    raw = read_bytes(file, limit)
    try:
        return raw.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UnfitData(
            f"{file}, line {line}, holds the byte {raw[error.start]:#04x}, which is not UTF-8"
        ) from error
