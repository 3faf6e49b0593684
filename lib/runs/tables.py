"""Tidy tables over a grid of trainings: what is cached is read, what is missing is made."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import pandas as pd
import torch
from torch import nn

from lib import data, measurements, models
from lib.base import malloc, paths
from lib.base.errors import InputError
from lib.base.files import Unfit, damaged
from lib.base.locks import lock
from lib.measurements import masking
from lib.models.precision import exact, single_precision_by_default
from lib.runs import columns, images, provenance, store
from lib.runs.run import as_parquet, check_images, config, frozen, listed, make, network_of
from lib.runs.run import missing as run_missing
from lib.runs.validity import CONFIG, HISTORY, WEIGHTS
from lib.training.training import Training, labels
from lib.training.variants import variant


def cached(measurement: str, trainings: list[Training], **settings: Any) -> pd.DataFrame:
    """Like `runs.table`, for those trainings alone for which the table is cached; an empty table if there are
    none.

    Nothing is made.

    Raises:
        InputError: For a damaged file.
    """
    file, missing = measurements.file_name(measurement, settings), set(run_missing(trainings))
    there = [
        training
        for training in trainings
        if training not in missing and file in store.Folder(paths.runs() / training.name)
    ]
    return table(measurement, there, **settings) if there else pd.DataFrame()


def at_hand(trainings: list[Training]) -> pd.DataFrame:
    """`runs.summary` of what is cached and measured; a training that is not is one row without numbers.

    Nothing is made.

    Raises:
        InputError: For a damaged file.
    """
    missing, units = set(run_missing(trainings)), measurements.file_name("selectivity", {})
    there = [
        training
        for training in trainings
        if training not in missing and units in store.Folder(paths.runs() / training.name)
    ]
    wanted = pd.DataFrame([
        labels(training) | {"strength": variant(training.variant).strength} for training in trainings
    ])
    if there:
        return wanted.merge(summary(there), how="left", on=list(wanted))
    return wanted.assign(
        **dict.fromkeys(["clean_accuracy", "mean_selectivity", "live_selectivity", "dead"], float("nan"))
    )


def full_summary(summary: pd.DataFrame, trainings: list[Training]) -> pd.DataFrame:
    """A summary with the columns of every measurement that adds some, from what is cached; NaN where a
    network has no such table.
    """
    tables = {}
    shown = {
        name: one.shown(trainings[0].dataset)
        for name, one in measurements.MEASUREMENTS.items()
        if one.columns
    }
    check_images(trainings, files=[measurements.file_name(name, shown[name]) for name in shown])
    for name, one in measurements.MEASUREMENTS.items():
        if one.columns:
            tables[name] = cached(name, trainings, **shown[name])
            summary = one.columns(summary, tables[name])
    return masking.with_doubt(summary, *(tables[name] for name in ("attack", "transfer", "autoattack")))


def _read(training: Training, run: store.Folder, file: str) -> bytes:
    """Verified content of a run's file, which is recorded as read."""
    content = run.read(file)
    provenance.note(training, file)
    return content


def frame_of(training: Training, run: store.Folder, file: str) -> pd.DataFrame:
    """The rows of a table of a run, verified, noted as read, and labelled with the training."""
    content = _read(training, run, file)
    try:
        return _label(columns.frame(content), training)
    except Unfit as error:
        raise damaged(run.path / file, str(error)) from None


def table(
    measurement: str, trainings: Iterable[Training], *, progress: bool | None = None, **settings: object
) -> pd.DataFrame:
    """Tidy table of a measurement over several trainings.

    Cached tables are read; missing ones are trained and measured now. Tables, and networks, that other code
    than today's has made are named on stderr, once per process and measurement.

    Args:
        measurement: Name of the measurement, such as "attack".
        trainings: Networks, one after the other.
        progress: Whether to show a bar; None shows one on a terminal only.
        settings: Settings in place of the measurement's own.

    Returns:
        The table; its columns dataset, model, alpha, seed, recipe, variant and epochs say which network a row
        is about.

    Raises:
        InputError: For an unknown measurement or setting, for what is missing under RUNS_FROZEN=1, for
            damaged files, and for networks or tables that are not about the same images.
    """
    settings, trainings = measurements.settled(measurement, settings), listed(trainings)
    file = measurements.file_name(measurement, settings)
    check_images(trainings, files=[file], to_make=not frozen())  # before hours of training
    rows = concatenated([_one_table(measurement, training, settings, progress) for training in trainings])
    warn_of_stale(trainings, file)
    return rows


def warn_of_stale(trainings: list[Training], *files: str) -> None:
    """Say on stderr which of these files, and which of the trainings, other code than today's has made."""
    from lib.runs import staleness  # which judges by the catalogue, and that reads tables

    staleness.warn(dict.fromkeys(trainings, files))


def concatenated(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The rows of tables below each other.

    Raises:
        InputError: There is none.
    """
    if not tables:
        raise InputError("need at least one training, got none")
    return pd.concat(tables, ignore_index=True)


def tables_at_hand(measurement: str, trainings: Iterable[Training]) -> tuple[pd.DataFrame, list[Training]]:
    """Like `table`, without training anything again, for the networks of which the measurement can be made.

    Returns:
        The table, and the trainings that are neither measured nor have their weights here.
    """
    file = measurements.file_name(measurement, {})
    about = measurements.MEASUREMENTS[measurement].datasets
    trainings = [one for one in trainings if not about or one.dataset in about]
    here: list[Training] = []
    left: list[Training] = []
    for training in trainings:
        run = make(training)
        (here if file in run or WEIGHTS in run else left).append(training)
    return (table(measurement, here) if here else pd.DataFrame()), left


def _one_table(
    measurement: str, training: Training, settings: dict[str, object], progress: bool | None
) -> pd.DataFrame:
    run, file = make(training, progress=progress), measurements.file_name(measurement, settings)
    if file not in run:
        if frozen():
            raise InputError(
                f"RUNS_FROZEN=1 and table {measurement} of run {training.name} not cached; make it "
                f"with: python -m lib table {measurement}"
            )
        run = make(training, weights=True, progress=progress)
        with lock(paths.runs(), f"{training.key}-{measurement}"):
            run = store.Folder(run.path)
            if file not in run:
                _measure(measurement, training, run, settings)
    return frame_of(training, run, file)


def measure(
    measurement: str, training: Training, run: store.Folder, settings: dict[str, object], device: str
) -> pd.DataFrame:
    """Make a measurement now, whatever is cached.

    Other networks that it needs are trained if they are missing.
    """
    return measured(measurement, training, network_of(training, run).to(device), settings)


def measured(
    measurement: str, training: Training, network: nn.Module, settings: dict[str, object]
) -> pd.DataFrame:
    """Measure a network of a training, where it lies, on the test images of its classes."""
    malloc.keep_memory()
    one, device = measurements.MEASUREMENTS[measurement], models.evaluated(network)
    given = dict(settings)
    if one.sources:
        sources = list(one.sources(training, settings))
        check_images([training, *sources], to_make=not frozen())
        given["sources"] = {
            other: network_of(other, make(other, weights=True)).to(device) for other in sources
        }
    with exact(), single_precision_by_default():
        test = data.load(training.dataset, "test").without(training.without)
        return one.function(network, test, **given)


def _measure(measurement: str, training: Training, run: store.Folder, settings: dict[str, object]) -> None:
    start = time.monotonic()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    made = measure(measurement, training, run, settings, device)
    keep(measurement, training, run, settings, as_parquet(made), device, time.monotonic() - start)


def keep(
    measurement: str,
    training: Training,
    run: store.Folder,
    settings: dict[str, object],
    content: bytes,
    device: str,
    seconds: float,
) -> None:
    """Put a table that was made now into its run, with what its manifest says of every table."""
    facts = {
        "measurement": measurement,
        "settings": settings,
        "code": provenance.table_digest(measurement, training.model),
        images.FACT: images.here(images.Part(training.dataset, "test", training.without)),
        "provenance": provenance.provenance(device, seconds),
    }
    with lock(paths.runs(), f"{training.key}-manifest"):
        run.add(measurements.file_name(measurement, settings), content, **facts)


def _label(rows: pd.DataFrame, training: Training) -> pd.DataFrame:
    for place, (name, value) in enumerate(labels(training).items()):
        rows.insert(place, name, value)
    return rows


def history(trainings: Iterable[Training], *, progress: bool | None = None) -> pd.DataFrame:
    """Histories of trainings, one row per epoch.

    Returns:
        A table whose columns, after those that name the network, are epoch, loss, selectivity (mean over the
        minibatches) and validation_accuracy.

    Raises:
        InputError: For what is missing under RUNS_FROZEN=1, for damaged files, and for networks that were not
            trained on the same images.
    """
    trainings = listed(trainings)
    check_images(trainings, to_make=not frozen())
    rows = concatenated([
        frame_of(training, make(training, progress=progress), HISTORY) for training in trainings
    ])
    warn_of_stale(trainings, HISTORY)
    return rows


def network_selectivity(units: pd.DataFrame, by: list[str]) -> pd.Series:
    """Mean selectivity as in the paper, from a `selectivity` table: over the units of a layer first, then
    over layers.
    """
    return units.groupby([*by, "depth"]).selectivity.mean().groupby(by).mean()


def summary(trainings: Iterable[Training], *, progress: bool | None = None) -> pd.DataFrame:
    """One row per network, after dataset, model, alpha, seed, recipe, variant and epochs: strength (of the
    attack it was trained on), clean_accuracy (share of the test set), mean_selectivity, live_selectivity
    (dead units left out), dead (share of all units), status, device and the key of the run.

    Raises:
        InputError: As `table`.
    """
    rows, trainings, settings = [], listed(trainings), measurements.settled("selectivity", {})
    units = measurements.file_name("selectivity", settings)
    check_images(trainings, files=[units], to_make=not frozen())
    for training in trainings:
        units = _one_table("selectivity", training, settings, progress)
        facts = config(make(training))
        provenance.note(training, CONFIG)
        result = facts["result"]
        rows.append({
            **labels(training),
            "strength": variant(training.variant).strength,
            "clean_accuracy": result["clean_accuracy"],
            "mean_selectivity": network_selectivity(units, ["alpha"]).iloc[0],
            "live_selectivity": network_selectivity(units[~units.dead], ["alpha"]).iloc[0],
            "dead": units.dead.mean(),
            "status": result["status"],
            "device": facts["provenance"]["device"],
            "key": training.key,
        })
    warn_of_stale(trainings, measurements.file_name("selectivity", settings))
    return pd.DataFrame(rows)
