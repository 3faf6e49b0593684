"""Tar files in memory, written plainly and read strictly.

Of a tar from elsewhere nothing is unpacked by the names in it. It is read header by header, by the standard
library's own reader of headers and without the extensions that tar files may have (long names, sparse files,
links), so that no path, no link and no size in it is ever followed: a filter has nothing to catch.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

from lib.base.files import PLAIN, Unfit

BLOCK = tarfile.BLOCKSIZE
END = 2 * BLOCK  # zeros that close a tar
MOST_MEMBERS = 20_000


def _padded(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def taken(size: int) -> int:
    """The bytes that a file of this size takes in a tar."""
    return BLOCK + _padded(size, BLOCK)


def whole(size: int) -> int:
    """The bytes of a tar whose files, and its end, take so many: it is written in whole records."""
    return _padded(size, tarfile.RECORDSIZE)


def write(members: Mapping[str, bytes]) -> bytes:
    """A tar of these files, the same bytes for the same files: time, owner and group 0, mode 644."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def read(content: bytes) -> dict[str, bytes]:
    """The content of each member of a tar by its name.

    Raises:
        Unfit: Anything is in it but regular files at <group>/<run>/<file>, each once, and the zeros of a tar.
    """
    found: dict[str, bytes] = {}
    start = 0
    while content[start : start + BLOCK].strip(b"\0"):
        member = _header(content[start : start + BLOCK])
        start += BLOCK
        end = start + member.size
        if not start <= end <= len(content):
            raise Unfit(f"is cut, or holds {_said(member.name)} with a wrong size of {member.size} bytes")
        if member.name in found:
            raise Unfit(f"holds {_said(member.name)} twice")
        found[member.name] = content[start:end]
        start += _padded(member.size, BLOCK)
        if len(found) > MOST_MEMBERS or content[end:start].strip(b"\0"):
            raise Unfit(f"holds more than {MOST_MEMBERS} files, or something between them")
    if len(content) - start < END:
        raise Unfit("ends too early")
    if not found or content.count(b"\0", start) < len(content) - start:
        raise Unfit("holds something after its end" if found else "holds nothing that is a file")
    return found


def _header(block: bytes) -> tarfile.TarInfo:
    """What the header of a regular file says; raises Unfit for the header of anything else."""
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise Unfit(f"is not a whole tar ({error})") from None
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise Unfit(f"holds {_said(member.name)}, which is no regular file")
    parts = member.name.split("/")
    if len(parts) != 3 or not all(map(PLAIN.fullmatch, parts)):
        raise Unfit(f"holds {_said(member.name)}; members must be <group>/<run>/<file>")
    return member


def _said(name: str) -> str:
    return ascii(name) if len(name) <= 120 else f"{name[:120]!a}..."
