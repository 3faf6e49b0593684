"""Provenance of results: the commit, the machine, and the digest of the code that decides them."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime

import torch

from lib import __version__, measurements, models
from lib.base import fingerprint, paths
from lib.runs.named import Named
from lib.training.engine import device
from lib.training.loop import train
from lib.training.parts import TABLES, parts
from lib.training.training import Training


def commit() -> str:
    """Commit of the library, with a + if tracked files of lib/ differ from it; "" outside a checkout.

    A repository counts if this project's folder is its top: not one that an archive of the project was
    unpacked in, nor one that the environment names.
    """
    try:
        if not os.path.samefile(_git("rev-parse", "--show-toplevel"), paths.ROOT):
            return ""
        head = _git("rev-parse", "--short=10", "HEAD")
        changed = _git("status", "--porcelain", "--", "lib")
    except (OSError, ValueError, subprocess.CalledProcessError):  # no git, no repository, no commit yet
        return ""
    return head + ("+" if changed else "")


def _git(*words: str) -> str:
    """What git prints about the repository that this project's folder lies in, whatever the environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    ran = subprocess.run(
        ["git", "-C", str(paths.ROOT), *words],
        capture_output=True,
        check=True,
        env=environment,
        encoding="utf-8",
        errors="surrogateescape",
    )
    return ran.stdout.removesuffix("\n")


def provenance(kind: str, seconds: float) -> dict[str, object]:
    """Provenance of a result that this process has made on "cuda" or "cpu" in so many seconds; the date is in
    UTC.
    """
    return {
        "version": __version__,
        "commit": commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": device(kind),
        "seconds": round(seconds, 1),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def _digest(entries: list[Callable], model: str) -> str:
    constructor, arguments, side = models.MODELS[model]
    blocks = [value for value in arguments.values() if isinstance(value, type)]
    # only the entries that are used of these tables
    return fingerprint.digest(
        [*entries, constructor, *blocks], arguments, side, skip=[models.MODELS, *TABLES]
    )


def training_digest(training: Training) -> str:
    """Digest of the code that decides a trained network: of this architecture, with these parts."""
    return _digest([train, *parts(training)], training.model)


def table_digest(name: str, model: str) -> str:
    """Digest of the code that decides a measurement's table."""
    one = measurements.MEASUREMENTS[name]
    return _digest([one.function, *([one.sources] if one.sources else [])], model)


_READ: dict[Named, set[str]] = {}


def start() -> None:
    """Empty the record; a chapter calls this, through `chapters.parameters`, before it reads anything."""
    _READ.clear()


def note(run: Named, file: str) -> None:
    """Record that a file of a run, of a network or a simulation, was read."""
    _READ.setdefault(run, set()).add(file)


def so_far() -> Mapping[Training, tuple[str, ...]]:
    """The record of networks so far.

    Returns:
        ``{training: names of the files of its run that were read}``, sorted by the fields of a training;
        plain training comes before other variants.
    """

    def place(one: Training) -> tuple:
        return (
            one.dataset,
            one.model,
            one.recipe,
            one.settings.epochs,
            one.way != "plain",
            len(one.way),
            one.way,
            one.alpha,
            one.seed,
        )

    read = [one for one in _READ if isinstance(one, Training)]
    return {training: tuple(sorted(_READ[training])) for training in sorted(read, key=place)}


def simulations_so_far() -> Mapping[Named, tuple[str, ...]]:
    """The record of simulations so far: ``{simulation: names of the files of its run that were read}``,
    sorted by name.
    """
    read = [one for one in _READ if not isinstance(one, Training)]
    return {one: tuple(sorted(_READ[one])) for one in sorted(read, key=lambda one: one.name)}


def of(trainings: Iterable[Training], tables: Collection[str]) -> Mapping[Training, tuple[str, ...]]:
    """The part of the record that one result is from, of all that has been read so far.

    Args:
        trainings: The networks that the result is about.
        tables: Names of the measurements whose tables it is made from. How a network was trained, its history
            and its weights belong to every result about it.

    Returns:
        As `so_far`, without other networks and without tables of other measurements.

    Raises:
        InputError: For an unknown measurement.
    """
    for name in tables:
        measurements.settled(name, {})
    wanted, known = set(trainings), set(measurements.MEASUREMENTS)
    left = {
        training: tuple(
            file for file in files if (kind := file.rpartition("-")[0]) in tables or kind not in known
        )
        for training, files in so_far().items()
        if training in wanted
    }
    return {training: files for training, files in left.items() if files}
