"""Accuracy on ImageNet-A: photographs that networks get wrong, of the classes shared with Tiny ImageNet."""

from __future__ import annotations

import pandas as pd
import torch
from torch import nn

from lib import models
from lib.data.imagenet_a import imagenet_a as photographs
from lib.data.images import Images
from lib.measurements.attack import batches
from lib.measurements.measurement import CORRECT, COUNT, TEXT
from lib.training.training import LABELS

IMAGENET_A_TABLE = {**CORRECT, "correct_shared": COUNT, "photographs": TEXT}


@torch.no_grad()
def imagenet_a(network: nn.Module, images: Images) -> pd.DataFrame:
    """Right answers on the photographs of ImageNet-A, class by class.

    The images of the network's data set are not looked at; their classes and their size are.

    Returns:
        One row per class that ImageNet-A shares, with the columns class, images, correct (the largest of all
        logits is the right one), correct_shared (the largest among those of the shared classes) and
        photographs (fingerprint of the photographs as the network saw them).

    Raises:
        InputError: If there is no ImageNet-A under DATA_DIR, or none of the network's classes is in it.
    """
    found, device = photographs(images.classes, images.pixels.shape[-1]), models.evaluated(network)
    shared = found.labels.unique()
    among = torch.full((len(found.classes),), -torch.inf, device=device).index_fill(0, shared.to(device), 0)
    right, right_shared = [], []
    for _, x, labels in batches(found, device):
        logits = network(x)
        right.append((logits.argmax(1) == labels).cpu())
        right_shared.append(((logits + among).argmax(1) == labels).cpu())
    counts = [
        found.labels[kept].bincount(minlength=len(found.classes))[shared].numpy()
        for kept in (torch.ones(len(found), dtype=torch.bool), torch.cat(right), torch.cat(right_shared))
    ]
    return pd.DataFrame({
        "class": [found.classes[label] for label in shared.tolist()],
        "images": counts[0],
        "correct": counts[1],
        "correct_shared": counts[2],
        "photographs": found.fingerprint,
    })


def with_imagenet_a(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add accuracies on ImageNet-A to a summary: `photograph_accuracy`, over all logits, and
    `photograph_shared_accuracy`, among the shared classes; NaN for networks that are not in the table.
    """
    names = {"correct": "photograph_accuracy", "correct_shared": "photograph_shared_accuracy"}
    if table.empty:
        return summary.assign(**dict.fromkeys(names.values(), float("nan")))
    sums = table.groupby(LABELS, sort=False)[["images", *names]].sum()
    shares = sums[[*names]].div(sums.images, axis=0).rename(columns=names)
    return summary.merge(shares.reset_index(), on=LABELS, how="left")
