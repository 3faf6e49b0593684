"""Which files of which runs this process has read: a figure says from them what it was made from."""

from __future__ import annotations

from collections.abc import Mapping

from lib.recipes import Training

_READ: dict[Training, set[str]] = {}


def start() -> None:
    """Forget what was read; a chapter calls it, through `chapters.parameters`, before it reads anything."""
    _READ.clear()


def note(training: Training, file: str) -> None:
    """A file of a run has been read."""
    _READ.setdefault(training, set()).add(file)


def so_far() -> Mapping[Training, tuple[str, ...]]:
    """{training: names of the files of its run that were read}, sorted by what decides a training; plain ones come before the other variants."""

    def place(one: Training) -> tuple:
        return one.dataset, one.model, one.recipe, one.settings.epochs, one.variant != "plain", len(one.variant), one.variant, one.alpha, one.seed

    return {training: tuple(sorted(_READ[training])) for training in sorted(_READ, key=place)}
