"""Results that are shown although other code than today's has made them: found among what was read, and said
where they are shown.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path

from lib.base import paths
from lib.base.errors import InputError
from lib.runs import catalogue, provenance, simulations, store
from lib.runs.simulation import Simulation
from lib.training.training import Training

WORD = "stale: "  # how the lines on stderr begin
MOST_NAMES = 5  # runs that such a line names
_log = logging.getLogger(__name__)
_told: set[str] = set()  # kinds of results that this process has spoken of
UNKNOWN = "unknown"  # in _told: that it could not be told


def of(read: Mapping[Training, Collection[str]]) -> dict[str, list[Training]]:
    """The stale results among what was read of runs.

    Args:
        read: {training: names of files of its run}, such as `provenance.so_far` gives. Runs that are not
            cached are passed over.

    Returns:
        The trainings that each kind of result is stale for. A kind is the name of a measurement whose table
        was read, or "training", of which everything in a run is made.
    """
    found: dict[str, list[Training]] = {}
    for training, files in read.items():
        for kind, file in _stale(paths.runs() / training.name, training):
            if kind == "training" or file in files:
                found.setdefault(kind, []).append(training)
    return {kind: list(dict.fromkeys(trainings)) for kind, trainings in sorted(found.items())}


def _stale(folder: Path, training: Training) -> tuple[tuple[str, str], ...]:
    if not (folder / store.MANIFEST).is_file():
        return ()
    run = store.Folder(folder)
    codes = tuple((file, str(entry.get("code", ""))) for file, entry in sorted(run.files.items()))
    return _judged(folder, training, codes)


@cache
def _judged(
    folder: Path, training: Training, codes: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    """The kind and file of each stale result of a run, judged once for what its manifest says of code."""
    return tuple(
        (one.name, one.file)
        for one in catalogue.results(store.Folder(folder), training, training.model)
        if not catalogue.current(one)
    )


def named(stale: Mapping[str, Iterable[Training]]) -> dict[str, list[str]]:
    """What `of` gives with names of runs in place of trainings, to be handed from a kernel to a build."""
    return {kind: [training.name for training in trainings] for kind, trainings in stale.items()}


def so_far() -> dict[str, list[str]]:
    """Names of the stale runs among all that this process has read, by kind of result."""
    found = named(of(provenance.so_far()))
    read = provenance.simulations_so_far()
    old = simulations.stale(one for one in read if isinstance(one, Simulation))
    return found | ({"simulation": old} if old else {})


def merged(found: Iterable[Mapping[str, Iterable[str]]]) -> dict[str, list[str]]:
    """Several results of `named` as one, each run once."""
    together: dict[str, dict[str, None]] = {}
    for one in found:
        for kind, names in one.items():
            together.setdefault(kind, {}).update(dict.fromkeys(names))
    return {kind: list(names) for kind, names in sorted(together.items())}


def described(kind: str, names: Collection[str]) -> str:
    """One kind of stale results in words: "table attack of 2 runs"."""
    runs = "1 run" if len(names) == 1 else f"{len(names)} runs"
    if kind == "simulation":
        return runs.replace("run", "simulation")
    return f"{'the training' if kind == 'training' else f'table {kind}'} of {runs}"


def tell(kind: str, names: Collection[str]) -> None:
    """Say on stderr, once per process and kind, which results are stale.

    Args:
        kind: "training", "simulation", or a measurement.
        names: Names of runs.
    """
    if kind in _told or not names:
        return
    _told.add(kind)
    first = ", ".join(list(names)[:MOST_NAMES])
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    were = "were" if kind == "simulation" and len(names) > 1 else "was"
    _log.warning(
        "%s%s %s made by other code than today's, which may give other numbers: %s%s; "
        "`python -m lib runs` lists all, %s",
        WORD, described(kind, names), were, first, more, way_out([kind]),
    )  # fmt: skip


def way_out(kinds: Iterable[str]) -> str:
    """What to do about stale results of these kinds, in words that end a sentence."""
    ways = {
        False: "`python -m lib runs recheck` tells whether the numbers are the same",
        True: "a simulation whose folder is deleted is made again",
    }
    return ", ".join(ways[one] for one in sorted({kind == "simulation" for kind in kinds}))


def warn(read: Mapping[Training, Collection[str]]) -> None:
    """Say on stderr what of this is stale, as `tell` does, or once per process why that cannot be told.

    A table or a training is not held up by damaged evidence about code.
    """
    try:
        found = named(of(read))
    except InputError as error:
        if UNKNOWN not in _told:
            _told.add(UNKNOWN)
            _log.warning("it cannot be told what was made by other code than today's: %s", error)
        return
    for kind, names in found.items():
        tell(kind, names)
