"""Train one network on CPU or GPU on cross-entropy minus alpha times mean class selectivity, resumable with
the same result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from lib import data, models
from lib.data.images import Images
from lib.models.precision import exact
from lib.training.checkpoint import Checkpoint
from lib.training.engine import Engine
from lib.training.recipe import Recipe
from lib.training.step import Session, State, begin
from lib.training.training import Training

# least seconds between two checkpoints: one takes about 10 ms, so they cost below 1 %
CHECKPOINT_SECONDS = 2.0

# for estimates: 1,000 images/s compiled against 650 eager, for ResNet20 in bfloat16 on two CPU cores; the
# number for a captured step is a guess until a GPU has been timed
COMPILED_SHARE, COMPILE_SECONDS, CAPTURED_SHARE = 0.65, 45.0, 0.15

LARGEST_HALF = 65504.0


class OutOfTime(Exception):
    """The next epoch would end after the deadline; the checkpoint holds all epochs before it."""


@dataclass(frozen=True)
class Trained:
    """A trained network in evaluation mode, its history (one row per epoch), and the result at the end."""

    network: nn.Module
    history: pd.DataFrame
    result: dict[str, object]
    engine: Engine
    # machines that trained it in turn: from_epoch (from 1), device, torch
    machines: tuple[dict[str, Any], ...] = ()


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of SGD step `step`, with `steps` steps per epoch: step-wise at the milestones, or
    one-cycle (linear up, linear down to 0).
    """
    if recipe.milestones:
        passed = sum(step >= mark * steps for mark in recipe.milestones)
        return recipe.learning_rate * 0.1**passed
    done = (step + 1) / (recipe.epochs * steps + 1)
    return recipe.learning_rate * min(done / recipe.warm, (1 - done) / (1 - recipe.warm))


@torch.no_grad()
def accuracy(
    network: nn.Module, images: Images, *, batch: int | None = None, low_precision: bool = False
) -> float:
    """Share of images classified correctly, in evaluation mode; the network's mode is restored.

    Args:
        batch: Number of images at a time, by default 500 on a CPU and 5,000 on a GPU.
    """
    device = next(network.parameters()).device
    batch = batch or (500 if device.type == "cpu" else 5000)
    was_training = network.training
    network.eval()
    correct = 0
    for start in range(0, len(images), batch):
        some = images[slice(start, start + batch)].to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=low_precision):
            logits = network(models.to_unit(some.pixels))
        correct += int((logits.argmax(1) == some.labels).sum())
    network.train(was_training)
    return correct / len(images)


def finite(network: nn.Module) -> bool:
    """Whether every parameter and buffer is finite."""
    return all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values())


def to_half(network: nn.Module) -> None:
    """Round the weight matrices to float16 in place; vectors and batch-norm statistics keep float32, and
    numbers beyond the range of float16 become its largest.

    This is done before anything is measured, so that the stored weights *are* the measured network.
    """
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.clamp(-LARGEST_HALF, LARGEST_HALF).half())


def train(
    training: Training,
    engine: Engine,
    *,
    parent: State | None = None,
    checkpoint: Path | None = None,
    progress: bool | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    deadline: float | None = None,
    snapshots: Collection[int] = (),
    on_snapshot: Callable[[int, nn.Module], None] | None = None,
) -> Trained:
    """Train one network. The same training on the same machine gives the same network, interrupted or not
    (bit for bit on a CPU).

    A training that was interrupted goes on with as many threads as it began with, where there are as many
    cores. Where another machine or version of torch goes on, the result says so.

    Args:
        engine: How the arithmetic is done; `engines.best_engine` is the usual choice.
        parent: Parameters and buffers of the network of `training.start`, where it has one.
        checkpoint: File that is written at the end of epochs, and from which the training goes on if it
            exists; the caller removes it.
        progress: Whether to show a bar on stderr; None shows it on a terminal only.
        on_epoch: Function that is called after each epoch with its row of the history: epoch, loss,
            selectivity, validation_accuracy.
        deadline: Time, as by time.monotonic(), after which no epoch may end.
        snapshots: Numbers of epochs after which `on_snapshot` is called; 0 is before the first one.
        on_snapshot: Function of the number of epochs and of the network as it would be stored then, in
            evaluation mode. It is called before a checkpoint of that epoch is written.

    Returns:
        The network of the best validation accuracy, or the last one where the recipe keeps that, with weights
        rounded to half precision. A run whose loss or weights stop being finite ends there and is marked
        "diverged", like a run no better than chance; its network is then the best, or last, one before.

    Raises:
        InputError: For missing data, a class to leave out that there is not, a parent where none is wanted or
            none where one is, or a checkpoint that is damaged or of another training.
        OutOfTime: At the deadline.
    """
    test = data.load(training.dataset, "test").without(training.without)
    with exact(fastest=engine.captured):
        session = begin(training, engine, parent)
        state = Checkpoint(session)
        if checkpoint and checkpoint.exists():
            state.load(checkpoint)
        with state.threads():
            if state.epoch < training.settings.epochs:
                state.begin(engine.device)

            def snapshot() -> None:
                if on_snapshot and state.epoch in snapshots:
                    on_snapshot(state.epoch, _stored(session, session.network.state_dict()))

            diverged = _epochs(session, state, checkpoint, progress, on_epoch, deadline, snapshot)
            network = _stored(session, state.best)
            clean = accuracy(network, test)
    chance = 1 / (session.classes - len(training.without))
    # five binomial standard deviations
    at_chance = clean < chance + 5 * (chance * (1 - chance) / len(test)) ** 0.5
    result = {
        "status": "diverged" if diverged or at_chance else "ok",
        "clean_accuracy": clean,
        "clean_n": len(test),
        "validation_accuracy": state.best_accuracy,
        "best_epoch": state.best_epoch,
        "epochs_run": state.epoch,
        "train_n": len(session.rows),
        "seconds": round(state.seconds, 1),
        "data": session.images.fingerprint,
    }  # type: dict[str, object]
    return Trained(network, pd.DataFrame(state.history), result, engine, tuple(state.machines))


def _stored(session: Session, weights: State) -> nn.Module:
    """A network as a run keeps it: a copy with matrices rounded to half precision, in evaluation mode."""
    network = models.build(session.training.model, session.classes).to(session.engine.device).eval()
    network.load_state_dict(weights)
    to_half(network)
    return network


def _epochs(
    session: Session,
    state: Checkpoint,
    checkpoint: Path | None,
    progress: bool | None,
    on_epoch: Callable | None,
    deadline: float | None,
    snapshot: Callable[[], None],
) -> bool:
    """Train the epochs that are left; True if the network diverged."""
    training, recipe, steps = session.training, session.training.settings, session.steps
    saved, longest, diverged = time.monotonic(), 0.0, False
    bar = tqdm(
        total=recipe.epochs * steps * session.batch,
        initial=state.epoch * steps * session.batch,
        unit="img",
        unit_scale=True,
        desc=f"alpha {training.alpha:g} seed {training.seed}",
        disable=None if progress is None else not progress,
    )
    if state.epoch == 0:
        snapshot()
    with bar:
        while state.epoch < recipe.epochs and not diverged:
            start = time.monotonic()
            if deadline is not None and start + longest > deadline:
                if checkpoint and longest:
                    state.save(checkpoint)
                raise OutOfTime
            session.begin_epoch(state.epoch)
            for step in range(steps):
                session.step(step, learning_rate(recipe, state.epoch * steps + step, steps))
                bar.update(session.batch)
            loss, si = float(session.losses.mean()), float(session.sis.mean())
            # the weights too, since those after the last step are in no loss
            diverged = not (torch.tensor(loss).isfinite().item() and finite(session.network))
            row = {
                "epoch": state.epoch + 1,
                "loss": loss,
                "selectivity": si,
                "validation_accuracy": float("nan")
                if diverged
                else accuracy(
                    session.network, session.validation, low_precision=session.engine.low_precision
                ),
            }
            longest = max(longest, time.monotonic() - start)
            state.finish_epoch(row, time.monotonic() - start, diverged=diverged)
            bar.set_postfix(accuracy=f"{row['validation_accuracy']:.3f}", SI=f"{row['selectivity']:.3f}")
            if not diverged:
                snapshot()
            if checkpoint and not diverged and time.monotonic() - saved > CHECKPOINT_SECONDS:
                state.save(checkpoint)
                saved = time.monotonic()
            if on_epoch:
                on_epoch(row)
    return diverged


def estimate_seconds(training: Training, engine: Engine) -> float:
    """Estimate the seconds of a training on this machine: two timed steps without compilation, times the
    number of steps, less what compilation saves.

    Raises:
        InputError: For missing data.
    """
    # selectivity differentiated, as in most networks of a sweep
    session = Session(
        replace(training, alpha=training.alpha or 1.0, start=None),
        replace(engine, compiled=False, captured=False),
    )
    session.begin_epoch(0)
    for repeat in range(3):
        if repeat == 1:  # the first step warms up
            _wait(engine)
            start = time.monotonic()
        session.step(repeat % session.steps, 0.0)
    _wait(engine)
    step = (time.monotonic() - start) / 2
    recipe, share = training.settings, 1.0
    if engine.compiled:
        share = CAPTURED_SHARE if engine.captured else COMPILED_SHARE
    # a step's cost is as the number of pixels
    full = session.full.shape[-1]
    areas = [(recipe.side(epoch, full) / recipe.side(0, full)) ** 2 for epoch in range(recipe.epochs)]
    compiling = len({recipe.side(epoch, full) for epoch in range(recipe.epochs)}) * COMPILE_SECONDS
    return sum(areas) * session.steps * step * share + (compiling if engine.compiled else 0.0)


def _wait(engine: Engine) -> None:
    if engine.device == "cuda":
        torch.cuda.synchronize()
