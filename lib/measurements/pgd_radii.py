"""PGD as the table `logits` has it, at several radii: where a network that was not trained against it has the
same mean over classes as one that was.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from lib import models
from lib.attacks import ascent
from lib.attacks.temperature import random_start
from lib.base.errors import InputError
from lib.data.images import Images
from lib.measurements.attack import STEPS_PER_RADIUS, batches
from lib.measurements.measurement import CORRECT, COUNT, FLOAT
from lib.models.fuse import folded

PGD_RADII_TABLE = {"epsilon": FLOAT, "steps": COUNT, **CORRECT}

# from where a plain network of CIFAR-10 keeps most of its accuracy to where it has lost all, and beyond
RADII = tuple(radius / 255 for radius in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0))


def pgd_radii(
    network: nn.Module, images: Images, *, limit: int, epsilons: Sequence[float], steps: int, seed: int
) -> pd.DataFrame:
    """Right answers by class under PGD on the cross-entropy, at several radii.

    Steps, their length as a share of the radius, the random start and the precision are those of PGD in the
    table `logits`, so that its networks can be compared with these at equal cost.

    Args:
        limit: Number of images, the first of the split; 0 means all of them.
        epsilons: Radii of the L∞ ball above 0, in pixels of [0, 1].
        steps: Number of steps, each a quarter of the radius.
        seed: Of the random starts.

    Returns:
        A table with the columns of PGD_RADII_TABLE, one row per radius and class; radius 0 are the clean
        images.

    Raises:
        InputError: For a radius that is not above 0, and at most 1.
    """
    for epsilon in epsilons:
        if not 0 < epsilon <= 1:
            raise InputError(f"epsilons must lie above 0 and be at most 1, got {epsilon!r}")
    some, device = images.first(limit), models.evaluated(network)
    classes = len(some.classes)
    sizes = some.labels.bincount(minlength=classes)
    copy, rows = None, []
    for epsilon in (0.0, *sorted(set(epsilons))):
        generator = torch.Generator().manual_seed(seed)
        right: list[Tensor] = []
        for _, x, labels in batches(some, device):
            copy = copy or folded(network, x, precision="float32")
            if epsilon:
                *_, x = ascent.pgd_path(
                    copy,
                    x,
                    labels,
                    epsilon=epsilon,
                    step_size=epsilon / STEPS_PER_RADIUS,
                    steps=steps,
                    start=random_start(x, epsilon, generator),
                    precision=None,
                )
            with torch.inference_mode():
                answers = network(x.contiguous(memory_format=torch.channels_last))
            right.append((answers.argmax(1) == labels).cpu())
        hits = some.labels[torch.cat(right)].bincount(minlength=classes)
        rows.append(
            pd.DataFrame({
                "epsilon": epsilon,
                "steps": steps if epsilon else 0,
                "class": list(some.classes),
                "images": sizes.numpy(),
                "correct": hits.numpy(),
            })
        )
    return pd.concat(rows, ignore_index=True)
