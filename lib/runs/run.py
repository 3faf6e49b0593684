"""What a chapter asks for: this trained network, that table over a grid of trainings; from the store, or made now."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path

import pandas as pd
import safetensors.torch
import torch
from torch import nn

from lib import data, malloc, measurements, models, origin, paths, readlog, store, validity
from lib import train as training_code
from lib.engines import exact
from lib.errors import InputError
from lib.recipes import Training, labels
from lib.validity import CONFIG, HISTORY, WEIGHTS

__all__ = ["Training", "grid", "history", "load", "make", "missing", "summary", "table"]



def frozen() -> bool:
    """True under RUNS_FROZEN=1: only what is cached may be shown, nothing is trained or measured."""
    return os.environ.get("RUNS_FROZEN", "") not in ("", "0")


def grid(
    *, dataset: str, model: str, alphas: Iterable[float], seeds: Iterable[int], recipe: str, epochs: int | None = None, variants: Sequence[str] = ("plain",)
) -> list[Training]:
    """The trainings of every variant (in the order given), alpha and seed, each once."""
    trainings = {Training(dataset, model, alpha, seed, recipe, epochs, variant) for variant, alpha, seed in product(variants, alphas, seeds)}
    if not trainings:
        raise InputError("need at least one variant, one alpha and one seed")
    return sorted(trainings, key=lambda training: (variants.index(training.variant), training.alpha, training.seed))


def missing(trainings: Iterable[Training]) -> list[Training]:
    """Those that are not cached; every file of those that are is read, and damage is an InputError that names it."""
    found = {training: _find(training) for training in trainings}
    for run in filter(None, found.values()):
        run.verify()
    return [training for training, run in found.items() if run is None]


def command(training: Training) -> str:
    """The command line that makes a run."""
    epochs = f" --epochs {training.epochs}" if training.epochs else ""
    variant = "" if training.variant == "plain" else f" --variant {training.variant}"
    return (
        f"python -m lib train --dataset {training.dataset} --model {training.model} --alpha={training.alpha} "
        f"--seed {training.seed} --recipe {training.recipe}{epochs}{variant}"
    )


# ---- making and reading ----------------------------------------------------------------------------------------------


def _parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False, compression="zstd")
    return buffer.getvalue()


def _read(training: Training, run: store.Folder, file: str) -> bytes:
    """A file of a run, verified, and noted as read."""
    content = run.read(file)
    readlog.note(training, file)
    return content


def _frame(training: Training, run: store.Folder, file: str) -> pd.DataFrame:
    """The rows of a table of a run, verified, noted as read, and labelled with the training."""
    content = _read(training, run, file)
    try:
        return _label(validity.frame(content), training)
    except store.Unfit as error:
        raise store.damaged(run.path / file, str(error)) from None


def _find(training: Training) -> store.Folder | None:
    folder = paths.runs() / training.name
    if not store.there(folder):
        return None
    run = store.Folder(folder)
    if config(run)["training"] != json.loads(json.dumps(training.canonical())):
        raise store.damaged(folder / CONFIG, "describes another training than the folder's name: it was renamed")
    return run


def cached(training: Training) -> store.Folder:
    """The run's folder; raises InputError when it is not there, with the command that makes it."""
    run = _find(training)
    if run is None:
        raise InputError(f"run {training.name} is not cached; make it with: {command(training)}")
    return run


def make(
    training: Training,
    *,
    weights: bool = False,
    progress: bool | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    deadline: float | None = None,
) -> store.Folder:
    """The run's folder, trained now if it is not cached; goes on from a checkpoint where an interrupted training left one.

    weights             also insist on the weights, which the repository keeps for few runs only: train them again where they are missing
    on_epoch, deadline  as in `train.train`
    raises              InputError when it is missing and RUNS_FROZEN=1, or damaged, or cannot be written; train.OutOfTime at the deadline
    """
    run = _find(training)
    if run and (not weights or WEIGHTS in run):
        return run
    if frozen():
        what = "its weights are not kept" if run else "not cached"
        raise InputError(f"RUNS_FROZEN=1 and run {training.name} {what}; make it with: {command(training)}" + (" --weights" if run else ""))
    root = paths.runs()
    with store.lock(root, training.key):
        run = _find(training)
        if run and (not weights or WEIGHTS in run):
            return run
        files = _train(training, root / ".partial" / training.key, progress=progress, on_epoch=on_epoch, deadline=deadline)
        if run:
            run.restore(WEIGHTS, files[WEIGHTS])
        else:
            run = store.create(root / training.name, files, optional=(WEIGHTS,))
        shutil.rmtree(root / ".partial" / training.key, ignore_errors=True)
    return run


def _train(training: Training, partial: Path, **how: object) -> dict[str, bytes]:
    """The files of a run; `partial` is where its checkpoint lies, named by the code that made it: other code does not go on from it."""
    malloc.keep_memory()
    digest = origin.training_digest(training)  # of the code as imported, before hours of training in which it may be edited
    commit = origin.commit()
    trained = training_code.train(training, training_code.best_engine(training), checkpoint=partial / checkpoint_name(digest), **how)
    return as_files(trained, training, digest, commit)


def checkpoint_name(digest: str) -> str:
    """The file of a training's checkpoint, made by code of this digest."""
    return f"checkpoint-{digest.replace(':', '-')}"  # no colon: not every file system takes one


def as_files(trained: training_code.Trained, training: Training, digest: str, commit: str) -> dict[str, bytes]:
    """The files of a run, by name."""
    matrices = {name for name, parameter in trained.network.named_parameters() if parameter.ndim > 1}
    state = {
        name: (tensor.half() if name in matrices else tensor).cpu().contiguous()
        for name, tensor in trained.network.state_dict().items()
    }
    config = {
        "training": training.canonical(),
        "result": trained.result,
        "provenance": origin.provenance(trained.engine.device, trained.result["seconds"]) | {"commit": commit, "engine": str(trained.engine), "code": digest},
    }
    return {
        CONFIG: json.dumps(config, indent=1).encode() + b"\n",
        HISTORY: _parquet(trained.history),
        WEIGHTS: safetensors.torch.save(state),
    }


def config(run: store.Folder) -> dict[str, dict[str, object]]:
    """The verified config.json of a run: "training", "result" and "provenance"; raises InputError for any other file."""
    try:
        return validity.config(run.read(CONFIG))
    except store.Unfit as error:
        raise store.damaged(run.path / CONFIG, str(error)) from None


def _network(training: Training, run: store.Folder) -> nn.Module:
    network = models.build(training.model, data.DATASETS[training.dataset][1])
    content = run.read(WEIGHTS)
    try:
        validity.weights(content, training)
    except store.Unfit as error:
        raise store.damaged(run.path / WEIGHTS, str(error)) from None
    state = safetensors.torch.load(content)
    network.load_state_dict({name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()})
    return network.eval()


def load(training: Training) -> nn.Module:
    """The trained network, in evaluation mode on the CPU, verified against its checksum.

    raises  InputError when the run is not cached, with the command that makes it, or when its files are damaged
    """
    run = cached(training)
    if WEIGHTS not in run:
        raise InputError(f"the weights of {training.name} are not kept here; make them with: {command(training)} --weights")
    network = _network(training, run)
    readlog.note(training, WEIGHTS)
    return network


def table(measurement: str, trainings: Iterable[Training], *, progress: bool | None = None, **settings: object) -> pd.DataFrame:
    """A measurement's tidy table over several trainings: what is cached is read, what is missing is trained and measured now.

    The columns dataset, model, alpha, seed, recipe, variant and epochs say which network a row is about.
    raises  InputError for an unknown measurement or setting, for what is missing under RUNS_FROZEN=1, and for damaged files
    """
    settings = measurements.settled(measurement, settings)
    return _concat([_one_table(measurement, training, settings, progress) for training in trainings])


def _concat(tables: list[pd.DataFrame]) -> pd.DataFrame:
    if not tables:
        raise InputError("need at least one training, got none")
    return pd.concat(tables, ignore_index=True)


def tables_at_hand(measurement: str, trainings: Iterable[Training]) -> tuple[pd.DataFrame, list[Training]]:
    """Like `table`, without training anything again: also returns the trainings that are neither measured nor have their weights here."""
    file, here, left = measurements.file_name(measurement, {}), [], []
    for training in trainings:
        run = make(training)
        (here if file in run or WEIGHTS in run else left).append(training)
    return (table(measurement, here) if here else pd.DataFrame()), left


def _one_table(measurement: str, training: Training, settings: dict[str, object], progress: bool | None) -> pd.DataFrame:
    run, file = make(training, progress=progress), measurements.file_name(measurement, settings)
    if file not in run:
        if frozen():
            raise InputError(f"RUNS_FROZEN=1 and table {measurement} of run {training.name} not cached; make it with: python -m lib table {measurement}")
        run = make(training, weights=True, progress=progress)
        with store.lock(paths.runs(), f"{training.key}-{measurement}"):
            run = store.Folder(run.path)
            if file not in run:
                _measure(measurement, training, run, settings)
    return _frame(training, run, file)


def measured(measurement: str, training: Training, run: store.Folder, settings: dict[str, object], device: str) -> pd.DataFrame:
    """A measurement made now, whatever is cached; networks that it needs besides are trained where they are missing."""
    malloc.keep_memory()
    one = measurements.MEASUREMENTS[measurement]
    network, given = _network(training, run).to(device), dict(settings)
    if one.sources:
        given["sources"] = {other: _network(other, make(other, weights=True)).to(device) for other in one.sources(training, settings)}
    with exact():
        return one.function(network, data.load(training.dataset, "test"), **given)


def _measure(measurement: str, training: Training, run: store.Folder, settings: dict[str, object]) -> None:
    start = time.monotonic()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    made = measured(measurement, training, run, settings, device)
    facts = {
        "measurement": measurement,
        "settings": settings,
        "code": origin.table_digest(measurement, training.model),
        "provenance": origin.provenance(device, time.monotonic() - start),
    }
    with store.lock(paths.runs(), f"{training.key}-manifest"):
        run.add(measurements.file_name(measurement, settings), _parquet(made), **facts)


def _label(rows: pd.DataFrame, training: Training) -> pd.DataFrame:
    for place, (name, value) in enumerate(labels(training).items()):
        rows.insert(place, name, value)
    return rows


def history(trainings: Iterable[Training], *, progress: bool | None = None) -> pd.DataFrame:
    """One row an epoch, after the columns that say which network: epoch, loss, selectivity (mean over the minibatches), validation_accuracy."""
    return _concat([_frame(training, make(training, progress=progress), HISTORY) for training in trainings])


def network_selectivity(units: pd.DataFrame, by: list[str]) -> pd.Series:
    """The paper's mean selectivity from a `selectivity` table: over the units of a layer first, then over layers."""
    return units.groupby([*by, "depth"]).selectivity.mean().groupby(by).mean()


def summary(trainings: Iterable[Training], *, progress: bool | None = None) -> pd.DataFrame:
    """One row a network, after dataset, model, alpha, seed, recipe, variant and epochs: clean_accuracy (share of the test set), mean_selectivity,
    live_selectivity (dead units left out), dead (share of all units), status, device and the key of the run."""
    rows = []
    for training in trainings:
        units = table("selectivity", [training], progress=progress)
        facts = config(make(training))
        readlog.note(training, CONFIG)
        result = facts["result"]
        rows.append(
            {
                **labels(training),
                "clean_accuracy": result["clean_accuracy"],
                "mean_selectivity": network_selectivity(units, ["alpha"]).iloc[0],
                "live_selectivity": network_selectivity(units[~units.dead], ["alpha"]).iloc[0],
                "dead": units.dead.mean(),
                "status": result["status"],
                "device": facts["provenance"]["device"],
                "key": training.key,
            }
        )
    return pd.DataFrame(rows)
