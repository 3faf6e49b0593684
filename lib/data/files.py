"""Folders and files of data sets, looked at before they are opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from lib.base import files
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


@contextmanager
def _unfit_data(file: Path) -> Iterator[None]:
    """Turn what is wrong with a file into UnfitData."""
    try:
        yield
    except files.Unfit as error:
        raise UnfitData(f"{file} {error}") from error
    except OSError as error:
        raise UnfitData(f"{file} cannot be read: {error.strerror}") from error


def check_regular(file: Path) -> None:
    """Check that a file can be opened without waiting for a writer.

    Raises:
        UnfitData: It is missing, a folder, a pipe or a device.
    """
    with _unfit_data(file):
        files.check_regular(os.stat(file))


def read_bytes(file: Path, limit: int) -> bytes:
    """Content of a file of at most `limit` bytes; raises UnfitData where it cannot be read."""
    with _unfit_data(file):
        return files.read_regular(file, most=limit)


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
