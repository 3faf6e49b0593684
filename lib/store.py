"""Files that are written whole and verified on reading: run folders named by a hash, and checkpoints."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
import safetensors.torch
from filelock import FileLock, Timeout
from torch import Tensor

from lib.code import exempt
from lib.errors import InputError


@exempt
def damaged(file: Path, what: str, way_out: str = "restore it (git checkout) or delete its folder to make it again") -> InputError:
    """The error for a file that is not what it was written as: what is wrong with it, and what to do."""
    return InputError(f"damaged: {file} {what}; {way_out}")


@exempt
def write_atomically(file: Path, content: bytes) -> None:
    """Write a file so that after a crash it is the old one or the new one, never half of it.

    raises  InputError when the disk is full or the place cannot be written; nothing is left behind
    """
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(draft, file)
    except OSError as error:
        reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        raise InputError(f"cannot write {file}: {reason}; nothing was changed, free some room or set RUNS_DIR to another place") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


# ---- scratch files: what can be made again ---------------------------------------------------------------------------


_SEAL = 64  # length of the checksum in hex digits that such a file begins with


def _scratch_digest(file: Path, opened: IO[bytes]) -> bytes:
    """SHA-256 of the file's place and of what follows the checksum; a file in another's place does not match."""
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

    The file may be deleted at any time. It is an npz with a SHA-256 in front: the CRC in an npz does not cover
    everything, and one random damage in 200 read as other numbers.

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
    draft = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w+b") as out:
            out.write(bytes(_SEAL))
            np.savez(out, **arrays)
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


# ---- checkpoints -----------------------------------------------------------------------------------------------------


@exempt
def write_checkpoint(file: Path, tensors: dict[str, Tensor], facts: dict[str, object]) -> None:
    """Tensors and JSON facts in one file that opens with the SHA-256 of the rest."""
    body = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, {"facts": json.dumps(facts)})
    write_atomically(file, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


@exempt
def read_checkpoint(file: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """What `write_checkpoint` wrote; raises InputError for a file that is not bit for bit that."""
    digest, _, body = file.read_bytes().partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise damaged(file, "does not match its checksum", "delete it to start this run anew")
    size = int.from_bytes(body[:8], "little")  # a safetensors file: length of its JSON header, header, data
    facts = json.loads(json.loads(body[8 : 8 + size])["__metadata__"]["facts"])
    return safetensors.torch.load(body), facts


# ---- run folders -----------------------------------------------------------------------------------------------------

MANIFEST = "manifest.json"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Folder:
    """A folder whose manifest names each of its files with size and SHA-256, and is itself sealed by one.

    A file the manifest does not name is the leftover of a crash and does not count. A file marked `optional` may be absent (weights that
    are not kept in the repository), never different.
    """

    def __init__(self, path: Path) -> None:
        """Open an existing folder; raises InputError when its manifest is missing, cut or edited."""
        self.path = path
        self.files: dict[str, dict[str, object]] = {}
        self._reload()

    def _reload(self) -> None:
        file = self.path / MANIFEST
        try:
            sealed = json.loads(file.read_bytes())
            files, seal = sealed["files"], sealed["seal"]
        except FileNotFoundError:
            raise damaged(file, "is missing") from None
        except (ValueError, TypeError, KeyError):
            raise damaged(file, "is not a manifest") from None
        if seal != _seal(files):
            raise damaged(file, "was changed by hand")
        self.files = files

    def __contains__(self, name: str) -> bool:
        return name in self.files and not (self.files[name].get("optional") and not (self.path / name).exists())

    def read(self, name: str) -> bytes:
        """A file's content, verified; raises InputError when it is missing or differs from the manifest in any bit."""
        if name not in self.files:
            raise InputError(f"{self.path} holds no {name}; it holds {', '.join(sorted(self.files))}")
        try:
            content = (self.path / name).read_bytes()
        except FileNotFoundError:
            raise damaged(self.path / name, "is missing") from None
        if len(content) != self.files[name]["bytes"]:
            raise damaged(self.path / name, f"has {len(content)} bytes, not {self.files[name]['bytes']}")
        if _sha256(content) != self.files[name]["sha256"]:
            raise damaged(self.path / name, "does not match its checksum")
        return content

    def verify(self) -> None:
        """Read every file; raises InputError at the first that is damaged."""
        for name in self.files:
            if name in self or not self.files[name].get("optional"):
                self.read(name)

    def add(self, name: str, content: bytes, **facts: object) -> None:
        """Write one more file, then the manifest that names it; the caller holds the lock. `facts` are kept beside the checksum."""
        self._reload()  # another process may have added a table since this one opened the folder
        write_atomically(self.path / name, content)
        files = self.files | {name: _entry(content, facts)}
        write_atomically(self.path / MANIFEST, _manifest(files))
        self.files = files

    def restore(self, name: str, content: bytes) -> None:
        """Put an optional file back; raises InputError unless it is bit for bit the one the manifest names."""
        if _sha256(content) != self.files[name]["sha256"]:
            raise InputError(
                f"{self.path / name}: made again here, it differs from the recorded one (another device or version?); "
                "set RUNS_DIR to an empty folder for a store of this machine's own"
            )
        write_atomically(self.path / name, content)


def _seal(files: dict[str, dict[str, object]]) -> str:
    return _sha256(json.dumps(files, sort_keys=True).encode())


def _manifest(files: dict[str, dict[str, object]]) -> bytes:
    return json.dumps({"files": files, "seal": _seal(files)}, indent=1, sort_keys=True).encode() + b"\n"


def _entry(content: bytes, facts: dict[str, object]) -> dict[str, object]:
    return {"sha256": _sha256(content), "bytes": len(content), **facts}


def create(path: Path, files: dict[str, bytes], *, optional: tuple[str, ...] = ()) -> Folder:
    """Write a whole folder, then give it its name in one step; if another process was first, its folder stands.

    raises  InputError when the disk is full; nothing is left behind
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        for name, content in files.items():
            write_atomically(draft / name, content)
        entries = {name: _entry(content, {"optional": True} if name in optional else {}) for name, content in files.items()}
        write_atomically(draft / MANIFEST, _manifest(entries))
        try:
            os.rename(draft, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise InputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Folder(path)


@exempt
@contextmanager
def lock(root: Path, key: str) -> Iterator[None]:
    """Hold the store's lock for one key; the system releases it when the process ends, however it ends."""
    place = root / ".locks" / f"{key}.lock"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(place)
        try:
            held.acquire(timeout=0)
        except Timeout:
            logging.getLogger(__name__).info("another process is making %s: waiting for it", key)
            held.acquire()
    except OSError as error:
        raise InputError(f"cannot write in {root}: {error.strerror}; set RUNS_DIR to another place") from error
    try:
        yield
    finally:
        held.release()
