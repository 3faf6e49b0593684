"""Tables along a training: a measurement of the network as it was after some of its epochs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from lib import measurements
from lib.base import paths
from lib.base.errors import InputError
from lib.base.files import there
from lib.base.locks import lock
from lib.measurements.asked import EPOCH
from lib.runs import provenance, store
from lib.runs.run import WEIGHTS, as_parquet, cached_run, check_images, frozen, train_run
from lib.runs.tables import concatenated, frame_of, keep, measured, warn_of_stale
from lib.training.training import Training


def snapshots(
    measurement: str,
    trainings: Iterable[Training],
    *,
    epochs: Collection[int],
    progress: bool | None = None,
    **settings: object,
) -> pd.DataFrame:
    """Tidy table of a measurement after some epochs of several trainings.

    What is cached is read. For what is not, a network is trained, or trained again, and measured on the way;
    one trained again must come out as it was recorded, to the bit, before any of its tables is kept.

    Args:
        measurement: Name of the measurement, such as "selectivity".
        trainings: Networks, one after the other.
        epochs: Numbers of epochs, from 0, the initial network, to that of the training.
        progress: Whether to show a bar; None shows one on a terminal only.
        settings: Settings in place of the measurement's own.

    Returns:
        The table. After the columns that name the network comes epoch, the number of epochs trained.

    Raises:
        InputError: For an unknown measurement or setting, an epoch that a training has not, what is missing
            under RUNS_FROZEN=1, a network that comes out other than recorded, damaged files, and networks or
            tables that are not about the same images.
    """
    settings, trainings = measurements.settled(measurement, settings), list(trainings)
    for training in trainings:
        _check(epochs, training.settings.epochs)
    wanted = sorted(set(epochs))
    names = [measurements.file_name(measurement, settings | {EPOCH: epoch}) for epoch in wanted]
    check_images(trainings, files=names, to_make=not frozen())  # before hours of training
    rows = concatenated([_along(measurement, training, wanted, settings, progress) for training in trainings])
    warn_of_stale(trainings, *names)
    return rows


def _check(epochs: Iterable[object], most: int) -> None:
    for epoch in epochs:
        if isinstance(epoch, bool) or not isinstance(epoch, int) or not 0 <= epoch <= most:
            raise InputError(f"epochs of snapshots are whole numbers from 0 to {most} here, got {epoch!r}")


def _along(
    measurement: str, training: Training, epochs: list[int], settings: dict[str, Any], progress: bool | None
) -> pd.DataFrame:
    files = {epoch: measurements.file_name(measurement, settings | {EPOCH: epoch}) for epoch in epochs}
    run = cached_run(training)
    if run is None or any(file not in run for file in files.values()):
        if frozen():
            raise InputError(
                f"RUNS_FROZEN=1 and snapshots of {measurement} along run {training.name} are not cached; "
                "unset it to make them, which trains that network"
            )
        run = _made(measurement, training, files, settings, progress)
    tables = []
    for epoch, file in files.items():
        if file in run:  # a training that diverged has no later ones
            rows = frame_of(training, run, file)
            rows.insert(list(rows).index("epochs") + 1, EPOCH, epoch)
            tables.append(rows)
    return concatenated(tables)


def _made(
    measurement: str,
    training: Training,
    files: dict[int, str],
    settings: dict[str, Any],
    progress: bool | None,
) -> store.Folder:
    """The run with tables of these epochs, for which the network is trained from its beginning."""
    root, code = paths.runs(), provenance.table_digest(measurement, training.model)
    # tables that were made before an interruption are named by the code that made them
    partial = root / ".partial" / f"{training.key}-{measurement}-{code.replace(':', '-')}"
    with lock(root, training.key):
        run = cached_run(training)
        wanted = {epoch: file for epoch, file in files.items() if run is None or file not in run}
        kept = _begun(partial)

        def note(epoch: int, network: nn.Module) -> None:
            start = time.monotonic()
            content = as_parquet(measured(measurement, training, network, settings))
            kept.add(wanted[epoch], content, seconds=time.monotonic() - start)

        try:
            made = train_run(
                training,
                partial,
                # a checkpoint made on the way to other tables lacks those before it
                suffix="-" + "-".join(map(str, wanted)),
                progress=progress,
                repeated=run,
                snapshots=wanted,
                on_snapshot=note,
            )
        except InputError:
            _leave_nothing(partial)
            raise
        if run is None:
            run = store.create(root / training.name, made, optional=(WEIGHTS,))
        else:
            run.refuse_other(WEIGHTS, made[WEIGHTS])
        kind = "cuda" if torch.cuda.is_available() else "cpu"
        for epoch, file in wanted.items():
            if file in kept:  # a training that diverged has no later ones
                content, took = kept.read(file), kept.files[file]["seconds"]
                keep(measurement, training, run, settings | {EPOCH: epoch}, content, kind, took)
        shutil.rmtree(partial, ignore_errors=True)
    return run


def _begun(partial: Path) -> store.Folder:
    """The tables that were made before an interruption, sealed like those of a run; all of them are verified.

    Without its manifest a folder tells nothing of its tables, so what an earlier version of this library left
    is begun again, its checkpoint too: that would go on beyond epochs whose tables are missing.
    """
    if not there(partial / store.MANIFEST):
        shutil.rmtree(partial, ignore_errors=True)
        store.create(partial, {})
    kept = store.Folder(partial)
    kept.verify()
    return kept


def _leave_nothing(partial: Path) -> None:
    """Take back the folder of an unfinished training in which nothing was begun."""
    with suppress(OSError):
        if {file.name for file in partial.iterdir()} == {store.MANIFEST} and not store.Folder(partial).files:
            shutil.rmtree(partial)
            partial.parent.rmdir()
