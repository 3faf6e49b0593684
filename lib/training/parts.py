"""The parts that a training chooses by name: they alone of their kind decide its network."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from lib.training.engine import Engine
from lib.training.objective import OBJECTIVES, kind
from lib.training.objective.base import Around, Objective
from lib.training.optimisers import OPTIMISERS
from lib.training.regulariser import REGULARISERS
from lib.training.training import Training

# of which only one entry matters to a training
TABLES = (OBJECTIVES, OPTIMISERS, REGULARISERS)


def parts(training: Training) -> list[Callable]:
    """The objective, the optimiser and the selectivity term of a training."""
    recipe = training.settings
    return [OBJECTIVES[kind(training)], OPTIMISERS[recipe.optimiser], REGULARISERS[recipe.regulariser]]


def objective(
    training: Training,
    network: nn.Module,
    means: dict[str, Tensor],
    classes: int,
    engine: Engine,
    alpha: float | Tensor,
    validation: Callable[[], tuple[Tensor, Tensor]],
) -> Objective:
    """The objective of a training, with its selectivity term.

    Args:
        training: What is trained.
        network: The network under training.
        means: Dictionary that `models.spatial_means` yields for it.
        classes: Number of logits.
        engine: How the arithmetic is done.
        alpha: The training's alpha; a () tensor where it is changed between networks.
        validation: Function without arguments that gives pixels and labels of the images held out.
    """
    recipe = training.settings
    term = REGULARISERS[recipe.regulariser](network, means, classes, alpha, recipe)
    around = Around(network, means, term, classes, engine, validation)
    return OBJECTIVES[kind(training)](around, training.variant_settings)
