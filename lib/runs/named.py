"""What every cached run has in common, whatever it is a run of: its names, and how it is found."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from lib.base import paths
from lib.base.files import damaged, there
from lib.runs import store
from lib.runs.validity import CONFIG


@runtime_checkable
class Named(Protocol):
    """Everything that determines a run, and the names that follow: a `Training`, or a `Simulation`."""

    @property
    def key(self) -> str:
        """8 hex digits of the SHA-256 of the canonical JSON."""
        ...

    @property
    def name(self) -> str:
        """Folder of the run below the store: group/name, which ends in the key."""
        ...

    def canonical(self) -> dict[str, object]:
        """Canonical form that is hashed; it can be written as JSON."""
        ...


def find(
    one: Named, described: Callable[[store.Folder], Mapping[str, object]], what: str
) -> store.Folder | None:
    """Folder of a run, if it is cached.

    Args:
        one: What is looked for.
        described: The canonical form that the files of a folder give.
        what: The kind of run in a word, for a message.

    Raises:
        InputError: It is damaged, or of another run than its name says.
    """
    folder = paths.runs() / one.name
    if not there(folder):
        return None
    run = store.Folder(folder)
    if described(run) != json.loads(json.dumps(one.canonical())):
        raise damaged(folder / CONFIG, f"describes another {what} than the folder's name: it was renamed")
    return run
