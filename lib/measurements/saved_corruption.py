"""Accuracy under every corruption where pictures were saved as JPEG, as those of Tiny ImageNet-C."""

from __future__ import annotations

import pandas as pd
import torch
from torch import nn
from torch.nn import functional

from lib import models
from lib.corruptions import dataset
from lib.corruptions.dataset import CLEAN
from lib.corruptions.saving import saved
from lib.data.images import Images
from lib.measurements.corruption import by_corruption, counted, predictions
from lib.training.training import LABELS


def saved_corruption(network: nn.Module, images: Images, *, limit: int, quality: int) -> pd.DataFrame:
    """Accuracy under every corruption and severity, each corrupted picture saved as JPEG and read again.

    The clean images are as they are. Published pictures of Tiny ImageNet-C were saved so; those of CIFAR-10-C
    were not.

    Args:
        limit: Number of images, the first of the split; 0 means all of them.
        quality: Of the JPEG files, from 1 to 100.

    Returns:
        The columns of the table `corruption`.

    Raises:
        InputError: For another quality.
    """
    some, device = images.first(limit), models.evaluated(network)
    labels = some.labels.to(device)
    right = {}
    for name, severity, pixels in dataset.cells(some, device=device):
        seen = pixels if name == CLEAN else saved(pixels, quality)
        right[name, severity] = predictions(network, seen) == labels
    members = functional.one_hot(
        labels, len(some.classes)
    ).float()  # exact: a class has far below 2^24 images
    correct = (torch.stack([*right.values()]).float() @ members).long().cpu().numpy()
    index = pd.MultiIndex.from_tuples(right, names=["corruption", "severity"])
    rows = pd.DataFrame(correct, index=index, columns=list(some.classes)).reset_index()
    found = rows.melt(["corruption", "severity"], var_name="class", value_name="correct")
    sizes = dict(zip(some.classes, members.sum(0).long().tolist(), strict=True))
    found.insert(3, "images", found["class"].map(sizes))
    places = {cell: place for place, cell in enumerate(right)}
    order = [places[cell] for cell in zip(found.corruption, found.severity, strict=True)]
    return found.iloc[pd.Series(order).argsort(kind="stable")].reset_index(drop=True)


def with_saved(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add to a summary of networks the column `saved_accuracy`: mean accuracy over the corruptions that the
    paper counts, of a `saved_corruption` table; NaN for networks that are not in it.
    """
    if table.empty:
        return summary.assign(saved_accuracy=float("nan"))
    rows = by_corruption(table)
    rows = rows[rows.corruption.isin(counted(table.dataset.iloc[0]))]
    means = rows.groupby(LABELS).accuracy.mean().rename("saved_accuracy")
    return summary.merge(means.reset_index(), on=LABELS, how="left")
