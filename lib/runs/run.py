"""Trained networks, and tables of measurements over a grid of trainings: read from the store, or made now."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors.torch
from torch import nn

from lib import data, models
from lib.base import malloc, paths
from lib.base.errors import InputError
from lib.base.files import Unfit, damaged
from lib.base.locks import lock
from lib.models.precision import single_precision_by_default
from lib.runs import fields, images, provenance, store, threads, validity
from lib.runs.named import find
from lib.runs.validity import CONFIG, HISTORY, WEIGHTS
from lib.training.engine import Engine, best_engine, compiled_if_possible
from lib.training.loop import Trained, train
from lib.training.step import State
from lib.training.training import Training


def frozen() -> bool:
    """Whether RUNS_FROZEN=1 is set: only cached results may be shown, nothing is trained or measured."""
    return os.environ.get("RUNS_FROZEN", "") not in ("", "0")


def grid(
    *,
    dataset: str,
    model: str,
    alphas: Iterable[float],
    seeds: Iterable[int],
    recipe: str,
    epochs: int | None = None,
    variants: Sequence[str] = ("plain",),
    start: str | None = None,
) -> list[Training]:
    """The trainings of every variant (in the order given), alpha and seed, each once.

    Args:
        start: Recipe of the plain network with α = 0 and the same seed from which each goes on; None for
            fresh weights.
    """
    trainings = {
        Training(
            dataset,
            model,
            alpha,
            seed,
            recipe,
            epochs,
            variant,
            start=None if start is None else Training(dataset, model, 0.0, seed, start),
        )
        for variant, alpha, seed in product(variants, alphas, seeds)
    }
    if not trainings:
        raise InputError("need at least one variant, one alpha and one seed")
    return sorted(
        trainings, key=lambda training: (variants.index(training.variant), training.alpha, training.seed)
    )


def missing(trainings: Iterable[Training]) -> list[Training]:
    """Trainings that are not cached. Every file of the cached ones is verified.

    Raises:
        InputError: That names a damaged file, or two runs that were not trained on the same images.
    """
    found = {training: cached_run(training) for training in trainings}
    for run in filter(None, found.values()):
        run.verify()
    check_images(training for training, run in found.items() if run)
    return [training for training, run in found.items() if run is None]


def check_images(trainings: Iterable[Training], *, files: Sequence[str] = (), to_make: bool = False) -> None:
    """Check that cached runs, and tables of them, are about the same images.

    Args:
        trainings: Networks that are to be shown together; those that are not cached say nothing.
        files: Files of tables that are to be shown with them.
        to_make: Whether what is missing would be made now: then it must be about the same images, too, which
            reads the data set.

    Raises:
        InputError: Two of them are not, or a run is damaged.
    """
    known: list[images.Basis] = []
    lacking: set[images.Part] = set()
    for training in trainings:
        run = cached_run(training)
        if run:
            facts = config(run)
            known += images.of_run(training.name, facts)
            tables = {file: run.files[file] for file in files if file in run.files}
            known += [images.of_table(training.name, facts, file, entry) for file, entry in tables.items()]
        if not to_make or (run and all(file in run.files for file in files)):
            continue
        splits = ("test",) if run else data.SPLITS
        lacking.update(images.Part(training.dataset, split, training.without) for split in splits)
    images.check(known, to_make=sorted(lacking))


def command(training: Training) -> str:
    """Command line that makes a run."""
    epochs = f" --epochs {training.epochs}" if training.epochs else ""
    variant = "" if training.variant == "plain" else f" --variant {training.variant}"
    start = f" --start {training.start.name}" if training.start else ""
    without = "".join(f" --without {shlex.quote(name)}" for name in training.without)
    return (
        f"python -m lib train --dataset {training.dataset} --model {training.model} --alpha={training.alpha} "
        f"--seed {training.seed} --recipe {training.recipe}{epochs}{variant}{start}{without}"
    )


def as_parquet(table: pd.DataFrame) -> bytes:
    """A table as the content of a file of the store."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False, compression="zstd")
    return buffer.getvalue()


def cached_run(training: Training) -> store.Folder | None:
    """Folder of a training's run, if it is cached.

    Raises:
        InputError: It is damaged, or of another training than its name says.
    """
    return find(training, lambda run: config(run)["training"], "training")


def folder(training: Training) -> store.Folder:
    """Folder of a cached run.

    Raises:
        InputError: If the run is not cached, with the command that makes it.
    """
    run = cached_run(training)
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
    """Folder of a run, which is trained now if it is not cached.

    An interrupted training goes on from its checkpoint.

    Args:
        weights: Whether the weights are needed too; the repository keeps them for few runs only, and missing
            ones are trained again.
        on_epoch, deadline: As in `train.train`.

    Raises:
        InputError: If the run is missing under RUNS_FROZEN=1, is damaged, or cannot be written.
        train.OutOfTime: At the deadline.
    """
    run = cached_run(training)
    if run and (not weights or WEIGHTS in run):
        return run
    if frozen():
        what = "its weights are not kept" if run else "not cached"
        raise InputError(
            f"RUNS_FROZEN=1 and run {training.name} {what}; make it with: {command(training)}"
            + (" --weights" if run else "")
        )
    root = paths.runs()
    if training.without:  # a class that there is not is refused before a lock is left in the store
        data.load(training.dataset, "test").without(training.without)
    with lock(root, training.key):
        run = cached_run(training)
        if run and (not weights or WEIGHTS in run):
            return run
        files = train_run(
            training,
            root / ".partial" / training.key,
            repeated=run,
            progress=progress,
            on_epoch=on_epoch,
            deadline=deadline,
        )
        if run:
            run.restore(WEIGHTS, files[WEIGHTS])
        else:
            run = store.create(root / training.name, files, optional=(WEIGHTS,))
        shutil.rmtree(root / ".partial" / training.key, ignore_errors=True)
    return run


def parent_weights(training: Training) -> State | None:
    """Parameters and buffers of a training's parent, which is trained first if it is not cached.

    Raises:
        InputError: If it is missing under RUNS_FROZEN=1, or damaged.
    """
    if training.start is None:
        return None
    check_images([training.start, training], to_make=not frozen())
    return network_of(training.start, make(training.start, weights=True)).state_dict()


def train_run(
    training: Training, partial: Path, *, suffix: str = "", repeated: store.Folder | None = None, **how: Any
) -> dict[str, bytes]:
    """Train and return the files of a run.

    Its checkpoint in `partial` is named by the code that made it, since other code must not go on from it,
    and by a suffix. A run that is repeated has the threads that it was made with.
    """
    parent = parent_weights(training)
    malloc.keep_memory()
    # digest of the imported code, taken before hours of training in which the files may be edited
    digest = provenance.training_digest(training)
    commit = provenance.commit()
    made_with = str(config(repeated)["provenance"]["device"]) if repeated else ""

    def work(engine: Engine) -> Trained:
        if engine.compiled:
            threads.into_compiled_code()
        checkpoint = partial / (checkpoint_name(digest) + suffix)
        return train(training, engine, parent=parent, checkpoint=checkpoint, **how)

    with single_precision_by_default(), threads.for_training(training, made_with):
        trained = compiled_if_possible(work, best_engine(training))
        return as_files(trained, training, digest, commit)


def checkpoint_name(digest: str) -> str:
    """The file of a training's checkpoint, made by code of this digest."""
    return f"checkpoint-{digest.replace(':', '-')}"  # no colon: not every file system takes one


def as_files(trained: Trained, training: Training, digest: str, commit: str) -> dict[str, bytes]:
    """Files of a run, {name: content}."""
    matrices = {name for name, parameter in trained.network.named_parameters() if parameter.ndim > 1}
    state = {
        name: (tensor.half() if name in matrices else tensor).cpu().contiguous()
        for name, tensor in trained.network.state_dict().items()
    }
    seconds: Any = trained.result["seconds"]
    made = provenance.provenance(trained.engine.device, seconds)
    made |= {name: _in_turn(trained.machines, name) for name in ("device", "torch") if trained.machines}
    made |= {"commit": commit, "engine": str(trained.engine), "code": digest}
    if training.start:
        # which of the networks of that name, since other machines train other bits
        made["parent"] = store.Folder(paths.runs() / training.start.name).files[WEIGHTS]["sha256"]
    config = {"training": training.canonical(), "result": trained.result, "provenance": made}
    return {
        CONFIG: json.dumps(config, indent=1).encode() + b"\n",
        HISTORY: as_parquet(trained.history),
        WEIGHTS: safetensors.torch.save(state),
    }


def _in_turn(machines: Sequence[dict[str, Any]], name: str) -> str:
    """What a training was made on; where it went on elsewhere, from which epoch."""
    first, *others = [
        one for place, one in enumerate(machines) if not place or one[name] != machines[place - 1][name]
    ]
    words = [first[name], *(f"from epoch {one['from_epoch']} {one[name]}" for one in others)]
    said = ", then ".join(words)
    return said if len(said) <= fields.TEXT_LENGTH else f"{first[name]}, then {len(others)} others"


def config(run: store.Folder) -> dict[str, dict[str, Any]]:
    """The verified config.json of a run: "training", "result" and "provenance".

    Raises:
        InputError: For any other file.
    """
    try:
        return validity.config(run.read(CONFIG))
    except Unfit as error:
        raise damaged(run.path / CONFIG, str(error)) from None


def network_of(training: Training, run: store.Folder) -> nn.Module:
    """The network of a run whose weights are there, in evaluation mode.

    Raises:
        InputError: The weights are damaged, or of another network.
    """
    with single_precision_by_default():
        network = models.build(training.model, data.DATASETS[training.dataset][1])
    content = run.read(WEIGHTS)
    try:
        validity.weights(content, training)
    except Unfit as error:
        raise damaged(run.path / WEIGHTS, str(error)) from None
    state = safetensors.torch.load(content)
    network.load_state_dict({
        name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()
    })
    return network.eval()


def listed(trainings: Iterable[Training]) -> list[Training]:
    """Trainings as a list.

    Raises:
        InputError: They are no list of trainings.
    """
    if isinstance(trainings, str | Training) or not isinstance(trainings, Iterable):
        raise InputError(f"trainings must be a list of Training, got {type(trainings).__name__}")
    found = list(trainings)
    if others := [one for one in found if not isinstance(one, Training)]:
        raise InputError(f"a network is named by a Training, got {type(others[0]).__name__}")
    return found


def load(training: Training) -> nn.Module:
    """Load a trained network, in evaluation mode on the CPU, verified against its checksum.

    Raises:
        InputError: If the run is not cached, with the command that makes it, if its files are damaged, or for
            what is no training.
    """
    (training,) = listed([training])
    run = folder(training)
    if WEIGHTS not in run:
        raise InputError(
            f"the weights of {training.name} are not kept here; make them with: {command(training)} --weights"
        )
    network = network_of(training, run)
    provenance.note(training, WEIGHTS)
    return network
