"""Train one network by Adam, on schedules of radius and weight where its loss is on worst logits.

`train` says again what `lib.training.loop.train` says: that one is part of the fingerprint of every cached
network, which a change of its code would make stale. All that the two can share they share.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from lib import data, models
from lib.base.files import damaged
from lib.certificates.losses import adaptive_kappa, scheduled
from lib.models.precision import exact
from lib.training import loop
from lib.training.checkpoint import _State, read_checkpoint, write_checkpoint
from lib.training.engine import Engine
from lib.training.loop import Trained
from lib.training.objective import OnWorst
from lib.training.recipe import AdamRecipe, Training
from lib.training.step import Session, State

HELD_AT_ONCE = 500  # validation images


class AdamSession(Session):
    """A network under training by Adam; radius and weight of a loss on worst logits follow their
    schedules.
    """

    def __init__(self, training: Training, engine: Engine, *, parent: State | None = None) -> None:
        super().__init__(training, engine, parent=parent)
        recipe = training.settings
        if not isinstance(recipe, AdamRecipe):
            raise ValueError(f"the recipe {training.recipe} is not one for Adam")
        self.optimiser = torch.optim.Adam(  # type: ignore[assignment]  # in place of the SGD of a Session
            self.network.parameters(),
            lr=recipe.learning_rate,
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
            fused=True,
        )

    def begin_epoch(self, epoch: int) -> None:
        """As `Session.begin_epoch`; the adaptive weight is computed anew, from what the network is now."""
        super().begin_epoch(epoch)
        self.before = epoch * self.steps
        self.adaptive = None
        if isinstance(self._loss, OnWorst) and self._loss.settings.gamma:
            self._scheduled(self._loss, 0)
            self.adaptive = self._adaptive(self._loss) if epoch else 1.0

    def step(self, number: int, rate: float) -> None:
        """As `Session.step`."""
        if isinstance(self._loss, OnWorst):
            self._scheduled(self._loss, number)
        super().step(number, rate)

    def _scheduled(self, loss: OnWorst, number: int) -> None:
        """Set radius and weight of the loss to those of a step of this epoch."""
        total, how = self.training.settings.epochs * self.steps, loss.settings
        loss.epsilon, loss.kappa = scheduled(
            self.before + number,
            epsilon=how.epsilon,
            warm=int(how.warm * total),
            end=int(how.ramp * total),
            last_kappa=how.kappa,
        )
        if self.adaptive is not None:
            loss.kappa = self.adaptive

    @torch.no_grad()
    def _adaptive(self, loss: OnWorst) -> float:
        """The adaptive weight, on the validation images at the radius of the next step."""
        sums = torch.zeros(2, dtype=torch.float64)
        self.network.eval()
        for start in range(0, len(self.validation), HELD_AT_ONCE):
            some = self.validation[slice(start, start + HELD_AT_ONCE)]
            own, worst, _ = loss.logits(models.to_unit(some.pixels), some.labels)
            for place, logits in enumerate((own, worst)):
                sums[place] += (
                    nn.functional.cross_entropy(logits, some.labels, reduction="sum").double().cpu()
                )
        self.network.train()
        fit, robust = (sums / len(self.validation)).tolist()
        # after a step that has left the range: the epoch then ends as diverged, and says so
        return (
            1.0
            if math.isnan(fit) or math.isnan(robust)
            else adaptive_kappa(fit, robust, gamma=loss.settings.gamma)
        )


class _AdamState(_State):
    """A checkpoint that holds Adam's moments and its number of steps, and the last network, not the best."""

    def finish_epoch(self, row: dict[str, float], seconds: float, *, diverged: bool) -> None:
        self.epoch, self.seconds = self.epoch + 1, self.seconds + seconds
        self.history.append(row)
        if not diverged:
            self.best_epoch, self.best_accuracy = self.epoch, row["validation_accuracy"]
            self.best = self._copy()

    def _parameters(self) -> list[Tensor]:
        return self.optimiser.param_groups[0]["params"]

    def save(self, file: Path) -> None:
        tensors = {f"network/{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"best/{name}": tensor for name, tensor in self.best.items()}
        for index, parameter in enumerate(self._parameters()):
            for name, tensor in self.optimiser.state[parameter].items():
                tensors[f"adam/{index}/{name}"] = tensor
        names = ("epoch", "seconds", "history", "best_epoch", "best_accuracy", "machines")
        write_checkpoint(file, tensors, {name: getattr(self, name) for name in names} | self.identity)

    def load(self, file: Path) -> None:
        tensors, facts = read_checkpoint(file)
        for what, ours in self.identity.items():
            if (theirs := facts.pop(what, None)) != ours:
                words = "other data" if what == "data" else f"another {what} ({theirs}, not {ours})"
                raise damaged(file, f"was made with {words}", "move it away to start this run anew")
        for name, value in facts.items():
            setattr(self, name, value)
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "adam": {}}
        for name, tensor in tensors.items():
            part, rest = name.split("/", 1)
            parts[part][rest] = tensor
        self.network.load_state_dict(parts["network"])
        self.best = {name: tensor.to(self.best[name].device) for name, tensor in parts["best"].items()}
        for index, parameter in enumerate(self._parameters()):
            self.optimiser.state[parameter] = {
                name.split("/")[1]: tensor.to(parameter.device)
                for name, tensor in parts["adam"].items()
                if name.split("/")[0] == str(index)
            }


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
    """Train one network of an `AdamRecipe`; arguments, result and errors as in `lib.training.loop.train`.

    Returns:
        The network after the last epoch, with weights rounded to half precision; where the training diverged,
        that after the last epoch before.
    """
    test = data.load(training.dataset, "test").without(training.without)
    with exact():
        session = AdamSession(training, engine, parent=parent)
        state = _AdamState(session)
        if checkpoint and checkpoint.exists():
            state.load(checkpoint)
        with state.threads():
            if state.epoch < training.settings.epochs:
                state.begin(engine.device)

            def snapshot() -> None:
                if on_snapshot and state.epoch in snapshots:
                    on_snapshot(state.epoch, loop._stored(session, session.network.state_dict()))

            diverged = loop._epochs(session, state, checkpoint, progress, on_epoch, deadline, snapshot)
            network = loop._stored(session, state.best)
            clean = loop.accuracy(network, test)
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


def trainer(training: Training) -> Callable[..., Trained]:
    """The function that trains by the optimiser of a training's recipe."""
    return train if isinstance(training.settings, AdamRecipe) else loop.train
