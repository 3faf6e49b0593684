"""Randomness of a training, all from its seed: a separate generator for each purpose, and the split into
training and validation images.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lib.base.seeds import derived_seed
from lib.data.images import Images
from lib.training.training import Training


def generator(training: Training, *purpose: str | int) -> torch.Generator:
    """Generator on the CPU for one purpose of one training."""
    return torch.Generator().manual_seed(derived_seed(training.seed, *purpose))


def split(images: Images, training: Training) -> tuple[Tensor, Tensor]:
    """Split images into training and validation: a share of every class is held out, drawn by the seed.

    Returns:
        Row numbers of the training images and of the validation images.
    """
    order = torch.randperm(len(images), generator=generator(training, "split"))
    held = []
    for label in range(len(images.classes)):
        rows = order[images.labels[order] == label]
        held.append(rows[: round(training.settings.validation * len(rows))])
    validation = torch.cat(held)
    kept = torch.ones(len(images), dtype=torch.bool)
    kept[validation] = False
    return kept.nonzero().flatten(), validation.sort().values
