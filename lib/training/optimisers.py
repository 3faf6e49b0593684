"""The optimisers that recipes name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from lib.training.recipe import Recipe


def sgd(parameters: Iterable[nn.Parameter], recipe: Recipe, rate: float | Tensor) -> torch.optim.Optimizer:
    """SGD with momentum."""
    return torch.optim.SGD(
        parameters, lr=rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True
    )


def adam(parameters: Iterable[nn.Parameter], recipe: Recipe, rate: float | Tensor) -> torch.optim.Optimizer:
    """Adam."""
    return torch.optim.Adam(
        parameters,
        lr=rate,
        betas=recipe.betas,  # type: ignore[attr-defined]  # of an AdamRecipe
        weight_decay=recipe.weight_decay,
        fused=True,
    )


# One entry per name that a recipe may ask for. Only the one in use counts in the fingerprint of a run's code.
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"sgd": sgd, "adam": adam}
