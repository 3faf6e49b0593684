"""What every cached run has in common, whatever it is a run of."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


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
