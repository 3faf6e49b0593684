"""Old code that is known to give the same results as today's, as found by `python -m lib runs recheck`, in
one sealed file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from lib.base import paths
from lib.base.files import Unfit, damaged, parsed, read_file, there, write_atomically
from lib.base.locks import lock

NAME = "same-code.json"
MOST_BYTES = 2**26  # of its file; each record takes about a kilobyte
# kind, old, new; what it is valid for: model, variant, engine, device, ...; evidence, commit, date
Record = dict[str, object]


class _Known(NamedTuple):
    stamp: tuple[int, int, int]  # of the file
    records: list[Record]
    answers: dict[str, bool]  # to what `same` was asked


_read: dict[Path, _Known] = {}


def file() -> Path:
    """File of the records, which is beside the runs and committed with them."""
    return paths.runs() / NAME


def _seal(found: list[Record]) -> str:
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def records() -> list[Record]:
    """All records; none if there is no file.

    Raises:
        InputError: If the file is cut or edited, or cannot be read.
    """
    return _known().records


def _known() -> _Known:
    place = file()
    if not there(place):
        return _Known((0, 0, 0), [], {})
    facts = os.stat(place)
    stamp = facts.st_mtime_ns, facts.st_size, facts.st_ino  # a new version is a new file
    if place not in _read or _read[place].stamp != stamp:
        try:
            found = _unsealed(read_file(place, most=MOST_BYTES))
        except Unfit as error:
            raise _damaged(place, str(error)) from None
        _read[place] = _Known(stamp, found, {})
    return _read[place]


def _unsealed(content: bytes) -> list[Record]:
    """The records in a file; raises Unfit for anything else."""
    sealed = parsed(content)
    if not isinstance(sealed, dict) or sealed.keys() != {"same", "seal"}:
        raise Unfit("is not a list of records")
    found = sealed["same"]
    if sealed["seal"] != _seal(found):
        raise Unfit("was changed by hand")
    texts = isinstance(found, list) and all(
        isinstance(record, dict) and all(isinstance(record.get(name), str) for name in ("kind", "old", "new"))
        for record in found
    )
    if not texts:
        raise Unfit("is not a list of records")
    return found


def _damaged(place: Path, what: str) -> Exception:
    return damaged(
        place, what, "restore it (git checkout), or delete it and make it again: python -m lib runs recheck"
    )


def same(kind: str, old: str, new: str, **facts: object) -> bool:
    """Tell whether code of one digest is known to give the same results as code of another.

    Equal to the bit is an equivalence: what a and b, and b and c, give alike, a and c give alike too,
    whichever of them is older.

    Args:
        kind: "training" or "table".
        old: Digest of the code that made a result.
        new: Digest of today's code.
        facts: What the run in question is, such as device="..." or engine="...". A record that names another
            value says nothing about it.

    Raises:
        InputError: The file of records is damaged.
    """
    known = _known()
    question = repr((kind, old, new, sorted(facts.items())))
    if question not in known.answers:  # few questions, asked of many runs
        pairs = [
            (record["old"], record["new"])
            for record in known.records
            if record["kind"] == kind
            and all(record.get(name, value) == value for name, value in facts.items())
        ]
        known.answers[question] = new in _connected(old, pairs)
    return known.answers[question]


def _connected(start: object, pairs: Iterable[tuple[object, object]]) -> set[object]:
    """All that is equal to a digest by way of these pairs, itself included."""
    neighbours: dict[object, set[object]] = {}
    for one, other in pairs:
        neighbours.setdefault(one, set()).add(other)
        neighbours.setdefault(other, set()).add(one)
    found, waiting = {start}, [start]
    while waiting:
        further = neighbours.get(waiting.pop(), set()) - found
        found |= further
        waiting += further
    return found


def add(record: Record) -> None:
    """Write one more record to the file at once, so that an interruption loses none that was added before."""
    with _lock():
        _write([*records(), record])


def settle(
    kind: str,
    old: str,
    new: str,
    about: Mapping[str, object],
    evidence: list[dict[str, object]],
    commit: str,
) -> None:
    """Record that code of two digests gives the same results.

    Args:
        kind: "training" or "table".
        old: Digest of the older code.
        new: Digest of the newer code.
        about: What it holds for: model, device, engine and so on.
        evidence: What was found equal.
        commit: Commit of the newer code.
    """
    facts = {"evidence": evidence, "commit": commit, "date": datetime.now(UTC).strftime("%Y-%m-%d")}
    add({"kind": kind, "old": old, "new": new, **about, **facts})


def keep(asked: set[tuple[str, str, str]]) -> None:
    """Drop every record about digests linked to none of those still asked for, as (kind, old, new)."""
    with _lock():
        found = records()
        linked = set()
        for kind in {kind for kind, _, _ in asked}:
            pairs = [(record["old"], record["new"]) for record in found if record["kind"] == kind]
            for _, old, new in (one for one in asked if one[0] == kind):
                linked |= {(kind, digest) for digest in _connected(old, pairs) | _connected(new, pairs)}
        _write([record for record in found if (record["kind"], record["old"]) in linked])


def _lock() -> AbstractContextManager[None]:
    return lock(paths.runs(), "same-code")


def _write(found: list[Record]) -> None:
    ordered = sorted(found, key=lambda record: json.dumps(record, sort_keys=True))
    if ordered != records():
        content = json.dumps({"same": ordered, "seal": _seal(ordered)}, indent=1, sort_keys=True)
        write_atomically(file(), content.encode() + b"\n")
