"""Train one network on CPU or GPU: cross-entropy minus alpha times mean class selectivity, resumable, to the same result."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import sysconfig
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from lib import data, models, selectivity, store
from lib.data import Images
from lib.recipes import Augmentation, Recipe, Training

CHECKPOINT_SECONDS = 2.0  # least time between two checkpoints: one takes about 10 ms, so they cost below 1 %
COMPILED_SHARE, COMPILE_SECONDS = 0.65, 45.0  # for estimates: 1,000 images/s compiled against 650 eager, ResNet20 in bfloat16 on two CPU cores
COMPILE_FROM = 200_000  # training images in all, from which half a minute of compilation pays


@dataclass(frozen=True)
class Engine:
    """How the arithmetic is done; recorded with a run, not part of its name."""

    device: str  # "cpu" or "cuda"
    low_precision: bool  # bfloat16 autocast with channels-last; batch norm's statistics, loss and optimiser stay float32
    compiled: bool  # torch.compile for the step

    def __str__(self) -> str:
        return " ".join([self.device, "bfloat16" if self.low_precision else "float32", "compiled" if self.compiled else "eager"])


@dataclass(frozen=True)
class Trained:
    """A trained network in evaluation mode, its history (a row an epoch), and what was found at the end."""

    network: nn.Module
    history: pd.DataFrame
    result: dict[str, object]
    engine: Engine


def best_engine(training: Training, *, device: str | None = None) -> Engine:
    """The fastest safe engine here: a GPU if there is one; bfloat16 and compilation where the run is long enough to pay for them."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if training.settings.epochs * len(data.load(training.dataset, "train")) < COMPILE_FROM:
        return Engine(device, low_precision=False, compiled=False)
    if device == "cuda":
        return Engine(device, low_precision=True, compiled=True)
    # what torch.compile needs on a CPU: a C++ compiler and Python's headers
    compiler = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
    headers = Path(sysconfig.get_path("include"), "Python.h").exists()
    if not (compiler and headers):
        lacking = "Python's headers (python3-dev)" if compiler else "a C++ compiler (g++ or clang++, or set CXX)"
        warnings.warn(f"training without torch.compile, about half as fast: {lacking} not found", stacklevel=2)
    low = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return Engine(device, low_precision=low, compiled=bool(compiler and headers))

def split(images: Images, training: Training) -> tuple[Tensor, Tensor]:
    """Row numbers (training, validation): a share of every class is held out, drawn by the seed."""
    order = torch.randperm(len(images), generator=_generator(training, "split"))
    held = []
    for label in range(len(images.classes)):
        rows = order[images.labels[order] == label]
        held.append(rows[: round(training.settings.validation * len(rows))])
    validation = torch.cat(held)
    kept = torch.ones(len(images), dtype=torch.bool)
    kept[validation] = False
    return kept.nonzero().flatten(), validation.sort().values


def draw_augmentation(n: int, how: Augmentation, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """For n images: offsets (n, 2) of the crop, uniform in 0 .. 2 * pad, and flips (n,) bool, each with probability 1/2 where flipping is on."""
    offsets = torch.randint(0, 2 * how.pad + 1, (n, 2), generator=generator)
    flips = torch.rand(n, generator=generator) < (0.5 if how.flip else 0.0)
    return offsets, flips


def augment(pixels: Tensor, offsets: Tensor, flips: Tensor, pad: int) -> Tensor:
    """Crop (n, c, h, w) out of itself padded with zeros, and mirror, in one gather on the tensor's own device.

    offsets (n, 2) row and column of the crop in the padded image, 0 .. 2 * pad; `pad` leaves the image where it was
    flips   (n,) bool, applied after the crop
    """
    n, c, h, w = pixels.shape
    device = pixels.device
    rows = offsets[:, :1] + torch.arange(h, device=device)  # (n, h)
    columns = offsets[:, 1:] + torch.arange(w, device=device)  # (n, w)
    columns = torch.where(flips[:, None], columns.flip(1), columns)
    padded = F.pad(pixels, (pad, pad, pad, pad))
    image = torch.arange(n, device=device)[:, None, None, None]
    channel = torch.arange(c, device=device)[:, None, None]
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The rate of SGD step `step` of `steps` an epoch: step-wise at the milestones, or one-cycle (linear up, linear down to 0)."""
    if recipe.milestones:
        passed = sum(step >= mark * steps for mark in recipe.milestones)
        return recipe.learning_rate * 0.1**passed
    done = (step + 1) / (recipe.epochs * steps + 1)
    return recipe.learning_rate * min(done / recipe.warm, (1 - done) / (1 - recipe.warm))


@torch.no_grad()
def accuracy(network: nn.Module, images: Images, *, batch: int = 500, low_precision: bool = False) -> float:
    """Share of images classified correctly, in evaluation mode; the network's mode is restored."""
    device = next(network.parameters()).device
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


def derived_seed(seed: int, *purpose: str | int) -> int:
    """A seed of its own for each purpose ("weights", "order", epoch 3, ...): 63 bits of a SHA-256."""
    text = json.dumps([seed, *purpose])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

def _generator(training: Training, *purpose: str | int) -> torch.Generator:
    return torch.Generator().manual_seed(derived_seed(training.seed, *purpose))


def _loss_function(network: nn.Module, means: dict[str, Tensor], classes: int, engine: Engine, alpha: float) -> Callable:
    """(uint8 pixels, labels) -> (loss, mean selectivity): one graph from pixels to loss, compiled where the engine says so."""

    def loss(pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        x = models.to_unit(pixels)
        if engine.low_precision:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(engine.device, torch.bfloat16, enabled=engine.low_precision):
            logits = network(x)
        cross_entropy = F.cross_entropy(logits.float(), labels)
        # alpha = 0 is plain cross-entropy: selectivity is then watched, not differentiated
        layers = means if alpha else {name: mean.detach() for name, mean in means.items()}
        si = selectivity.mean_selectivity(layers, labels, classes)
        return (cross_entropy - alpha * si if alpha else cross_entropy), si.detach()

    if not engine.compiled:
        return loss
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it reports a missing CUDA runtime on every CPU machine
    return torch.compile(loss)


class _State:
    """Everything a checkpoint must hold to go on as if nothing had happened; generators are derived anew for each epoch."""

    def __init__(self, network: nn.Module, optimiser: torch.optim.SGD) -> None:
        self.network, self.optimiser = network, optimiser
        self.epoch, self.seconds, self.history = 0, 0.0, []
        self.best_epoch, self.best_accuracy = 0, -1.0
        self.best = self._copy()

    def _copy(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}

    def finish_epoch(self, row: dict[str, float], seconds: float) -> None:
        self.epoch, self.seconds = self.epoch + 1, self.seconds + seconds
        self.history.append(row)
        if row["validation_accuracy"] > self.best_accuracy:
            self.best_epoch, self.best_accuracy, self.best = self.epoch, row["validation_accuracy"], self._copy()

    def save(self, file: Path, fingerprint: str) -> None:
        tensors = {f"network/{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"best/{name}": tensor for name, tensor in self.best.items()}
        for index, parameter in enumerate(self.optimiser.param_groups[0]["params"]):
            tensors[f"momentum/{index}"] = self.optimiser.state[parameter]["momentum_buffer"]
        facts = {name: getattr(self, name) for name in ("epoch", "seconds", "history", "best_epoch", "best_accuracy")}
        store.write_checkpoint(file, tensors, facts | {"data": fingerprint})

    def load(self, file: Path, fingerprint: str) -> None:
        tensors, facts = store.read_checkpoint(file)
        if facts.pop("data") != fingerprint:
            raise store.damaged(file, "was made with other data", "move it away to start this run anew")
        for name, value in facts.items():
            setattr(self, name, value)
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "momentum": {}}
        for name, tensor in tensors.items():
            part, rest = name.split("/", 1)
            parts[part][rest] = tensor
        self.network.load_state_dict(parts["network"])
        self.best = {name: tensor.to(self.best[name].device) for name, tensor in parts["best"].items()}
        for index, parameter in enumerate(self.optimiser.param_groups[0]["params"]):
            self.optimiser.state[parameter]["momentum_buffer"] = parts["momentum"][str(index)].to(parameter.device)


def to_half(network: nn.Module) -> None:
    """Round the weight matrices to float16 in place (vectors and batch-norm statistics keep float32).

    Done before anything is measured, so that the stored weights *are* the network that was measured.
    """
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.half())


def train(
    training: Training, engine: Engine, *, checkpoint: Path | None = None, progress: bool | None = None
) -> Trained:
    """Train one network; the same training on the same machine gives the same network, interrupted or not.

    engine      how the arithmetic is done, `best_engine(training)` if there is no reason for another
    checkpoint  a file written at the end of epochs and, where it exists, gone on from; removing it is the caller's
    progress    a bar on stderr; None shows it on a terminal only
    returns     the network of the best validation accuracy, weights rounded to half precision. A run whose loss stops being finite ends there and
                is marked "diverged", as is one no better than chance; its network is then the best one before.
    raises      InputError for missing data or a damaged checkpoint
    """
    recipe, images, test = training.settings, data.load(training.dataset, "train"), data.load(training.dataset, "test")
    fingerprint = images.fingerprint
    rows, held = split(images, training)
    validation, images = images[held].to(engine.device), images[rows].to(engine.device)
    classes, batch = len(images.classes), min(recipe.batch, len(images))
    steps = len(images) // batch

    network = models.build(training.model, classes, seed=derived_seed(training.seed, "weights")).to(engine.device).train()
    if engine.low_precision:
        network = network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(
        network.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True
    )
    state = _State(network, optimiser)
    if checkpoint and checkpoint.exists():
        state.load(checkpoint, fingerprint)
    saved, diverged = time.monotonic(), False

    bar = tqdm(
        total=recipe.epochs * steps * batch, initial=state.epoch * steps * batch, unit="img", unit_scale=True,
        desc=f"alpha {training.alpha:g} seed {training.seed}", disable=None if progress is None else not progress,
    )  # fmt: skip
    with bar, models.spatial_means(network) as means:
        loss_function = _loss_function(network, means, classes, engine, training.alpha)
        while state.epoch < recipe.epochs and not diverged:
            start = time.monotonic()
            order = torch.randperm(len(images), generator=_generator(training, "order", state.epoch))
            draws = draw_augmentation(len(images), training.augmentation, _generator(training, "augmentation", state.epoch))
            order, offsets, flips = (tensor.to(engine.device) for tensor in (order, *draws))
            losses, sis = [], []
            for step in range(steps):
                some = slice(step * batch, (step + 1) * batch)
                pixels = augment(images.pixels[order[some]], offsets[some], flips[some], training.augmentation.pad)
                optimiser.param_groups[0]["lr"] = learning_rate(recipe, state.epoch * steps + step, steps)
                loss, si = loss_function(pixels, images.labels[order[some]])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                losses.append(loss.detach())
                sis.append(si)
                bar.update(batch)
            mean_loss = float(torch.stack(losses).mean())
            diverged = not torch.isfinite(torch.tensor(mean_loss)).item()
            row = {
                "epoch": state.epoch + 1,
                "loss": mean_loss,
                "selectivity": float(torch.stack(sis).mean()),
                "validation_accuracy": accuracy(network, validation, low_precision=engine.low_precision) if not diverged else float("nan"),
            }
            state.finish_epoch(row, time.monotonic() - start)
            bar.set_postfix(accuracy=f"{row['validation_accuracy']:.3f}", SI=f"{row['selectivity']:.3f}")
            if checkpoint and not diverged and time.monotonic() - saved > CHECKPOINT_SECONDS:
                state.save(checkpoint, fingerprint)
                saved = time.monotonic()

    network.load_state_dict(state.best)
    network.to(memory_format=torch.contiguous_format).eval()
    to_half(network)
    clean = accuracy(network, test)
    chance = 1 / classes
    at_chance = clean < chance + 5 * (chance * (1 - chance) / len(test)) ** 0.5  # five binomial standard deviations
    result = {
        "status": "diverged" if diverged or at_chance else "ok",
        "clean_accuracy": clean,
        "clean_n": len(test),
        "validation_accuracy": state.best_accuracy,
        "best_epoch": state.best_epoch,
        "epochs_run": state.epoch,
        "train_n": len(images),
        "seconds": round(state.seconds, 1),
        "data": fingerprint,
    }
    return Trained(network, pd.DataFrame(state.history), result, engine)


def estimate_seconds(training: Training, engine: Engine) -> float:
    """About how long a training takes on this machine: two timed steps without compilation, times the steps, less what compilation saves.

    raises  InputError for missing data
    """
    recipe, images = training.settings, data.load(training.dataset, "train")
    batch = min(recipe.batch, len(images))
    eager = replace(engine, compiled=False)
    network = models.build(training.model, len(images.classes)).to(engine.device).train()
    with models.spatial_means(network) as means:
        loss_function = _loss_function(network, means, len(images.classes), eager, training.alpha or 1.0)
        pixels, labels = images.pixels[:batch].to(engine.device), images.labels[:batch].to(engine.device)
        for repeat in range(3):
            if repeat == 1:  # the first step warms up
                start = time.monotonic()
            loss_function(pixels, labels)[0].backward()
        step = float(time.monotonic() - start) / 2
    steps = recipe.epochs * (len(images) * (1 - recipe.validation)) / batch
    return steps * step * (COMPILED_SHARE if engine.compiled else 1.0) + (COMPILE_SECONDS if engine.compiled else 0.0)
