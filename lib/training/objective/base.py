"""What every objective is made of: what it is about, its logits, its compiled functions, and a twin of the
network for attacks.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.base.fingerprint import exempt
from lib.training.engine import Engine
from lib.training.regulariser import OfGroup, OfMinibatch

# what a step minimises: of uint8 pixels (n, c, h, w), labels (n,) and the epoch's generator on the CPU, the
# loss and mean selectivity without gradient
Loss = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


@exempt
@dataclass(frozen=True)
class Around:
    """What an objective is about.

    Attributes:
        network: The network under training.
        means: Dictionary that `models.spatial_means` yields for it; it stays empty if selectivity is not even
            recorded.
        regularised: Adds the selectivity term to a loss.
        classes: Number of logits.
        engine: How the arithmetic is done.
        validation: Images held out, on the device: a function without arguments, of pixels and labels.
    """

    network: nn.Module
    means: dict[str, Tensor]
    regularised: OfMinibatch | OfGroup
    classes: int
    engine: Engine
    validation: Callable[[], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Progress:
    """Where a training is: the number of the epoch, from 0, of how many, and the number of steps in each."""

    epoch: int
    epochs: int
    steps: int


class Objective:
    """Loss of a training, which may change from epoch to epoch and from step to step."""

    def __init__(self, around: Around, loss: Loss) -> None:
        self.around, self.loss = around, loss

    def begin_epoch(self, progress: Progress) -> None:
        """Prepare for an epoch; what is counted within one begins anew."""

    def begin_step(self, number: int) -> None:
        """Prepare for step `number` of the epoch."""

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint must keep of it, by name."""
        return self.around.regularised.tensors()


def logits_of(network: nn.Module, x: Tensor, engine: Engine) -> Tensor:
    """Float32 logits of float pixels, with the network in the precision of the engine."""
    if engine.low_precision:
        x = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast(engine.device, torch.bfloat16, enabled=engine.low_precision):
        logits = network(x)
    return logits.float()


def compiled(function: Callable, engine: Engine) -> Callable:
    """The function, compiled where the engine compiles: once for each shape of its arguments, since a shape
    that is left open costs speed in every step.
    """
    if not engine.compiled:
        return function
    # it reports a missing CUDA runtime on every CPU machine
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    return torch.compile(function, dynamic=False)


def shadow(network: nn.Module) -> nn.Module:
    """Twin of a network for attacks: in evaluation mode, without parameter gradients, sharing the memory of
    parameters and buffers.

    It follows every change in place (an optimiser's step, batch norm's statistics, load_state_dict), so it
    needs no copying. Hooks are not shared.
    """
    twin = copy.deepcopy(network)
    for module, original in zip(twin.modules(), network.modules(), strict=True):
        module._forward_hooks.clear()
        module._buffers = original._buffers
        for name, parameter in original._parameters.items():
            if parameter is not None:
                module._parameters[name] = nn.Parameter(parameter.data, requires_grad=False)
    return twin.eval()
