"""Steps of a training on images that stay on the device: crop, flip, loss, gradient and update, on a GPU as
one captured graph.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from lib import data, models
from lib.base.errors import InputError
from lib.base.seeds import derived_seed
from lib.training import augmentation, parts, resizing, seeds
from lib.training.engine import Engine
from lib.training.objective.base import Progress
from lib.training.optimisers import OPTIMISERS
from lib.training.training import Training

State = Mapping[str, Tensor]  # parameters and buffers of a network by their names

WARM_UP = 3  # steps before a capture, in which libraries choose algorithms and allocate


class Session:
    """A network under training with everything that its steps need.

    `start` reuses it for the next training of the same kind.
    """

    def __init__(
        self, training: Training, engine: Engine, *, parent: State | None = None, watched: bool = True
    ) -> None:
        """Build network, optimiser and loss; compiling and capturing wait for the first step.

        Args:
            training: What is trained.
            engine: How the arithmetic is done.
            parent: Parameters and buffers of the network that a training with a parent starts from.
            watched: Whether selectivity is recorded; False is possible for alpha = 0, and serves to measure
                the cost of recording it.
        """
        recipe = training.settings
        images = data.load(training.dataset, "train").without(training.without)
        self.engine, self.images, self.classes = engine, images, len(images.classes)
        self.network = models.build(training.model, self.classes).to(engine.device).train()
        if engine.low_precision:
            # torch's types list no memory_format
            self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # a tensor where a captured step reads it again in every replay
        self.rate = torch.zeros((), device=engine.device) if engine.captured else recipe.learning_rate
        self.alpha = torch.zeros((), device=engine.device) if engine.captured else training.alpha
        self.optimiser = OPTIMISERS[recipe.optimiser](self.network.parameters(), recipe, self.rate)
        self._graph: tuple[Callable[[], None], list[Tensor]] | None = None
        self._graph_of: Tensor | None = None
        self._hooks = ExitStack()
        means = self._hooks.enter_context(models.spatial_means(self.network)) if watched else {}
        self.objective = parts.objective(
            training, self.network, means, self.classes, engine, self.alpha, self._held
        )
        self.full, self.labels = images.pixels.to(engine.device), images.labels.to(engine.device)
        self.pixels = self.full
        self.start(training, parent)

    def _held(self) -> tuple[Tensor, Tensor]:
        return self.validation.pixels, self.validation.labels

    def start(self, training: Training, parent: State | None = None) -> None:
        """Begin a training: initial weights or those of its parent, no momentum, its own split.

        It may differ from the last one in alpha, seed and parent alone.
        """
        self.training = training
        # in place, since a captured step uses these addresses
        self.network.load_state_dict(_initial(training, self.classes, parent))
        for tensor in (*self.optimised().values(), *self.objective.tensors().values()):
            tensor.zero_()
        self.rows, held = seeds.split(self.images, training)
        self.validation = self.images[held].to(self.engine.device)
        self.batch = min(training.settings.batch, len(self.rows))
        # steps of an epoch; the last incomplete minibatch is left out
        self.steps = len(self.rows) // self.batch
        self.losses, self.sis = torch.zeros(2, self.steps, device=self.engine.device)
        if self.engine.captured:
            self.alpha.fill_(training.alpha)  # type: ignore[union-attr]  # a tensor where steps are captured

    def begin_epoch(self, epoch: int) -> None:
        """Draw the order of the images, their crops and flips, and what the objective draws, for epoch 0, 1,
        ...
        """
        recipe, how, device = self.training.settings, self.training.augmentation, self.engine.device
        whole = self.full.shape[-1]
        side = recipe.side(epoch, whole)
        if self.pixels.shape[-1] != side:
            self.pixels = resizing.resized(self.full, side)
        self.how = replace(how, pad=how.pad * side // whole)
        order = self.rows[
            torch.randperm(len(self.rows), generator=seeds.generator(self.training, "order", epoch))
        ]
        offsets, flips = augmentation.draw(
            len(order), self.how, seeds.generator(self.training, "augmentation", epoch)
        )
        self.drawn = tuple(tensor.to(device) for tensor in (order, offsets, flips))
        self.generator = seeds.generator(self.training, "objective", epoch)
        self.objective.begin_epoch(Progress(epoch, recipe.epochs, self.steps))

    def step(self, number: int, rate: float) -> None:
        """Take step `number` of the epoch at learning rate `rate`; its loss and mean selectivity are put into
        `losses` and `sis`.
        """
        self.objective.begin_step(number)
        some = [tensor[number * self.batch : (number + 1) * self.batch] for tensor in self.drawn]
        if self.engine.captured:
            replay, static = self._replay(some)
            for buffer, tensor in zip(static, some, strict=True):
                buffer.copy_(tensor)
            self.rate.fill_(rate)  # type: ignore[union-attr]  # a tensor here
            replay()
        else:
            self.optimiser.param_groups[0]["lr"] = rate
            self._update(*some)
        self.losses[number], self.sis[number] = self._last

    def _update(self, rows: Tensor, offsets: Tensor, flips: Tensor) -> None:
        pixels = augmentation.crop_and_flip(self.pixels[rows], offsets, flips, self.how.pad)
        loss, si = self.objective.loss(pixels, self.labels[rows], self.generator)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self._last = loss.detach(), si

    def _replay(self, example: list[Tensor]) -> tuple[Callable[[], None], list[Tensor]]:
        """The captured step and the buffers from which it reads its minibatch.

        It is captured at the first call, which leaves no trace in the training.
        """
        # a graph holds the address and the shape of the images it was captured with
        if self._graph is None or self._graph_of is not self.pixels:
            static = [tensor.clone() for tensor in example]
            before = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
            changed = self.optimised() | self.objective.tensors()
            kept = {name: tensor.clone() for name, tensor in changed.items()}
            self._graph = capture(lambda: self._update(*static)), static
            self._graph_of = self.pixels
            self.network.load_state_dict(before)
            for name, tensor in (self.optimised() | self.objective.tensors()).items():
                tensor.copy_(kept.get(name, torch.zeros_like(tensor)))
        return self._graph

    def optimised(self) -> dict[str, Tensor]:
        """What the optimiser keeps: {number of the parameter/name: tensor}; nothing before the first step."""
        return {
            f"{number}/{name}": tensor
            for number, parameter in enumerate(self.optimiser.param_groups[0]["params"])
            for name, tensor in self.optimiser.state.get(parameter, {}).items()
        }

    def load_optimised(self, tensors: Mapping[str, Tensor]) -> None:
        """Give the optimiser what `optimised` gave, in place where it keeps something already, since a
        captured step uses those addresses.
        """
        for number, parameter in enumerate(self.optimiser.param_groups[0]["params"]):
            state = self.optimiser.state[parameter]
            for name, tensor in tensors.items():
                place, _, what = name.partition("/")
                if place == str(number):
                    if what in state:
                        state[what].copy_(tensor)
                    else:
                        state[what] = tensor.to(parameter.device)


def _initial(training: Training, classes: int, parent: State | None) -> State:
    """Parameters and buffers at the start of a training: drawn by its seed, or its parent's."""
    if (training.start is None) != (parent is None):
        wanted = f"starts from {training.start.name}" if training.start else "starts from no other network"
        raise InputError(f"{training.name} {wanted}, and {'no' if parent is None else 'a'} network was given")
    if parent is not None:
        return parent
    return models.build(training.model, classes, seed=derived_seed(training.seed, "weights")).state_dict()


def capture(update: Callable[[], None]) -> Callable[[], None]:
    """Capture a CUDA graph of `update`, after a few calls of it on a side stream.

    The captured call itself computes nothing.

    If capturing fails, `update` itself is returned with a warning: it is slower and gives the same numbers.
    """
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            update()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            update()
    except RuntimeError as error:
        warnings.warn(
            f"training without a CUDA graph, several times slower: {str(error).splitlines()[0]}", stacklevel=2
        )
        return update
    return graph.replay


@lru_cache(maxsize=1)
def _reusable(like: Training, engine: Engine) -> Session:
    return Session(like, engine)


def begin(training: Training, engine: Engine, parent: State | None = None) -> Session:
    """Session at the start of a training.

    On a GPU this is the last one, compiled and captured, if the training differs from it in alpha, seed and
    parent alone.
    """
    if not engine.captured:
        return Session(training, engine, parent=parent)
    session = _reusable(replace(training, alpha=0.0, seed=0, start=None), engine)
    session.start(training, parent)
    return session
