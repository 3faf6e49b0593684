"""Files that are written as a whole and verified on reading: run folders named by a hash, and checkpoints."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from lib.base.errors import InputError
from lib.base.files import (
    PLAIN,
    Unfit,
    _make_folders,
    _remove_empty,
    _sync,
    _tidy,
    damaged,
    draft_of,
    parsed,
    read_file,
    there,
    write_atomically,
)

MANIFEST = "manifest.json"

FORMAT = 1  # of run folders; the first ones say none, and are the same

MANIFEST_BYTES = 4 * 2**20


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sealed(content: bytes) -> dict[str, dict[str, Any]]:
    """What a manifest says of each file by its name: "sha256", "bytes", and other facts.

    Raises:
        Unfit: It is no manifest, was edited, is of a newer format, or names a file outside its own folder.
    """
    try:
        found = parsed(content)
        files, seal, version = found["files"], found["seal"], found.get("format", FORMAT)
        known, same = found.keys() <= {"files", "seal", "format"}, seal == _seal(files)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Unfit("is not a manifest") from None
    if not known or type(version) is not int or version < 1:
        raise Unfit("is not a manifest")
    if version > FORMAT:
        raise Unfit(
            f"is of format {version}, and this library knows formats up to {FORMAT}: take a newer one"
        )
    if not same:
        raise Unfit("was changed by hand")
    if not isinstance(files, dict):
        raise Unfit("is not a manifest")
    for name, entry in files.items():
        if not PLAIN.fullmatch(name) or name == MANIFEST:
            raise Unfit(f"names {name[:80]!r}, which is no plain name of another file")
        digest, size = (entry.get("sha256"), entry.get("bytes")) if isinstance(entry, dict) else (None, None)
        if not (
            isinstance(digest, str)
            and re.fullmatch("[0-9a-f]{64}", digest)
            and type(size) is int
            and size >= 0
        ):
            raise Unfit(f"does not say what {name} holds")
    return files


def _seal(files: dict[str, dict[str, Any]]) -> str:
    return _sha256(json.dumps(files, sort_keys=True).encode())


def _manifest(files: dict[str, dict[str, Any]]) -> bytes:
    facts = {"files": files, "format": FORMAT, "seal": _seal(files)}
    return json.dumps(facts, indent=1, sort_keys=True).encode() + b"\n"


def _entry(content: bytes, facts: dict[str, Any]) -> dict[str, Any]:
    return {"sha256": _sha256(content), "bytes": len(content), **facts}


def check(entry: dict[str, Any], content: bytes) -> None:
    """Raise Unfit unless this is, to the bit, the content of which a manifest speaks."""
    if len(content) != entry["bytes"]:
        raise Unfit(f"has {len(content)} bytes, not {entry['bytes']}")
    if _sha256(content) != entry["sha256"]:
        raise Unfit("does not match its checksum")


_VERIFIED: dict[Path, tuple] = {}  # folder -> what its files looked like when all of them had been read


def _stamp(file: Path) -> tuple[int, int, int, int] | None:
    """What changes when a file is written; None where there is none."""
    try:
        facts = os.stat(file)
    except OSError:  # reading it says what is wrong
        return None
    return facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino


class Folder:
    """A folder whose manifest lists each of its files with size and SHA-256, and is sealed by a SHA-256
    itself.

    A file that the manifest does not name is the leftover of a crash and does not count. A file marked
    `optional` may be absent (weights that are not kept in the repository), never different.
    """

    def __init__(self, path: Path) -> None:
        """Open an existing folder.

        Raises:
            InputError: If its manifest is missing, damaged or unreadable.
        """
        self.path = path
        self.files: dict[str, dict[str, Any]] = {}
        self._reload()

    def _reload(self) -> None:
        file = self.path / MANIFEST
        try:
            self.files = sealed(read_file(file, most=MANIFEST_BYTES))
        except FileNotFoundError:
            raise damaged(file, "is missing") from None
        except Unfit as error:
            raise damaged(file, str(error)) from None

    def __contains__(self, name: str) -> bool:
        return name in self.files and not (self.files[name].get("optional") and not there(self.path / name))

    def read(self, name: str) -> bytes:
        """A file's content, verified.

        Raises:
            InputError: If it is missing or not what was written.
        """
        if name not in self.files:
            raise InputError(f"{self.path} holds no {name}; it holds {', '.join(sorted(self.files))}")
        file, entry = self.path / name, self.files[name]
        try:
            content = read_file(file, most=entry["bytes"])
            check(entry, content)
        except FileNotFoundError:
            raise damaged(file, "is missing") from None
        except Unfit as error:
            raise damaged(file, str(error)) from None
        return content

    def verify(self) -> None:
        """Read every file, once per process while none is touched.

        Raises:
            InputError: At the first that is damaged.
        """
        names = [name for name in self.files if name in self or not self.files[name].get("optional")]
        stamps = tuple((name, _stamp(self.path / name)) for name in [MANIFEST, *names])
        if _VERIFIED.get(self.path) == stamps:
            return
        for name in names:
            self.read(name)
        _VERIFIED[self.path] = stamps

    def add(self, name: str, content: bytes, **facts: object) -> None:
        """Write one more file, then the manifest that names it; the caller holds the lock.

        Args:
            name: The file's name.
            content: All of it.
            facts: What the manifest keeps beside the checksum.
        """
        self._reload()  # another process may have added a table since this one opened the folder
        write_atomically(self.path / name, content)
        files = self.files | {name: _entry(content, facts)}
        write_atomically(self.path / MANIFEST, _manifest(files))
        self.files = files

    def restore(self, name: str, content: bytes) -> None:
        """Put an optional file back.

        Raises:
            InputError: Unless it is the one the manifest names.
        """
        self.refuse_other(name, content)
        write_atomically(self.path / name, content)

    def refuse_other(self, name: str, content: bytes) -> None:
        """Stop if a file that was made again is not the one that the manifest names.

        Raises:
            InputError: That says what to do.
        """
        if _sha256(content) != self.files[name]["sha256"]:
            raise InputError(
                f"{self.path / name}: made again here, it differs from the recorded one "
                "(another device or version?); set RUNS_DIR to an empty folder, for a store of this machine"
            )


def create(path: Path, files: dict[str, bytes], *, optional: tuple[str, ...] = ()) -> Folder:
    """Write a whole folder with its manifest, as `put` does; files in `optional` may be absent later."""
    marks = {name: {"optional": True} if name in optional else {} for name in files}
    entries = {name: _entry(content, marks[name]) for name, content in files.items()}
    return put(path, files | {MANIFEST: _manifest(entries)})


def put(path: Path, files: dict[str, bytes]) -> Folder:
    """Write a whole folder, its manifest among the files, and give it its name in one step.

    Args:
        path: The folder.
        files: The content of each file by its name.

    Returns:
        The folder; the one of another process, if that was first.

    Raises:
        InputError: The disk is full or the place cannot be written; nothing is left behind.
    """
    draft, made, done = draft_of(path), [], False
    try:
        made = _make_folders(path.parent)
        _tidy(path.parent)
        for name, content in files.items():
            write_atomically(draft / name, content)
        try:
            os.rename(draft, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        _sync(path.parent)
        done = True
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; set RUNS_DIR to another place") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if not done:
            _remove_empty(made)
    return Folder(path)
