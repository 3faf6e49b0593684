"""Which old code is known to give the same results as today's: what `python -m lib runs recheck` has found, in one sealed file."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import AbstractContextManager
from pathlib import Path

from lib.base import paths
from lib.base.files import damaged, write_atomically
from lib.base.locks import lock

NAME = "same-code.json"
Record = dict[str, object]  # kind, old, new; what it holds for: model, variant, engine, device, ...; evidence, commit, date
_read: dict[Path, tuple[tuple[int, int, int], list[Record]]] = {}  # file -> (its stamp, its records)


def file() -> Path:
    """Where the records are: beside the runs, and committed with them."""
    return paths.runs() / NAME


def _seal(found: list[Record]) -> str:
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def records() -> list[Record]:
    """All records, none where there is no file; raises InputError when it is cut or edited."""
    place = file()
    try:
        facts = os.stat(place)
        stamp = facts.st_mtime_ns, facts.st_size, facts.st_ino  # a new version is a new file
        if place in _read and _read[place][0] == stamp:
            return _read[place][1]
        sealed = json.loads(place.read_bytes())
        found, seal = sealed["same"], sealed["seal"]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError):
        raise _damaged(place, "is not a list of records") from None
    if seal != _seal(found):
        raise _damaged(place, "was changed by hand")
    _read[place] = stamp, found
    return found


def _damaged(place: Path, what: str) -> Exception:
    return damaged(place, what, "restore it (git checkout), or delete it and make it again: python -m lib runs recheck")


def same(kind: str, old: str, new: str, **facts: object) -> bool:
    """Whether code of digest `old` is known to give the same results as code of digest `new`.

    kind    "training" or "table"
    facts   of the run in question, such as device="..." or engine="...": a record that names another value says nothing about it
    raises  InputError when the file is damaged
    """
    return old == new or any(
        (record["kind"], record["old"], record["new"]) == (kind, old, new) and all(record.get(name, value) == value for name, value in facts.items())
        for record in records()
    )


def add(record: Record) -> None:
    """Put one more record down, at once: an interruption loses none that was added before."""
    with _lock():
        _write([*records(), record])


def keep(asked: set[tuple[str, str, str]]) -> None:
    """Drop every record whose (kind, old, new) is not among those that are still asked for."""
    with _lock():
        _write([record for record in records() if (record["kind"], record["old"], record["new"]) in asked])


def _lock() -> AbstractContextManager[None]:
    return lock(paths.runs(), "same-code")


def _write(found: list[Record]) -> None:
    ordered = sorted(found, key=lambda record: json.dumps(record, sort_keys=True))
    if ordered != records():
        content = json.dumps({"same": ordered, "seal": _seal(ordered)}, indent=1, sort_keys=True)
        write_atomically(file(), content.encode() + b"\n")
