"""Accuracy under every corruption and severity."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn

from lib import corruptions, models
from lib.base.errors import InputError
from lib.corruptions import BLOCK, NAMES, check, corrupted_block, dataset
from lib.corruptions.dataset import CLEAN
from lib.data.images import Images
from lib.measurements.measurement import CORRECT, PICTURE, SEVERITY, SHARE, TEXT, Cells
from lib.training.training import LABELS, Training

CORRUPTION_TABLE = {"corruption": TEXT, "severity": SEVERITY, **CORRECT}
EXAMPLES_TABLE = {
    "corruption": TEXT,
    "label": TEXT,
    "predicted": TEXT,
    "confidence": SHARE,
    "png": PICTURE,
}


def counted(dataset: str) -> tuple[str, ...]:
    """The corruptions that the paper averages over: the 15 main ones on Tiny ImageNet, all 19 elsewhere."""
    return corruptions.NAMES[:15] if dataset == "tiny-imagenet" else corruptions.NAMES


def by_severity(table: pd.DataFrame) -> pd.DataFrame:
    """A `corruption` table summed over classes: one row per network, corruption and severity, with `images`
    and `accuracy` in [0, 1].
    """
    keys = [column for column in [*LABELS, "corruption", "severity"] if column in table]
    sums = table.groupby(keys, sort=False)[["images", "correct"]].sum()
    return sums.assign(accuracy=sums.correct / sums.images).reset_index()


def by_corruption(table: pd.DataFrame) -> pd.DataFrame:
    """One row per network and corruption (and one for the clean images): `accuracy`, the mean over
    severities.
    """
    rows = by_severity(table)
    keys = [column for column in [*LABELS, "corruption"] if column in rows]
    return rows.groupby(keys, sort=False).accuracy.mean().reset_index()


def with_corrupted(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add the accuracies of a `corruption` table to a summary of networks; NaN for networks that are not in
    the table.

    Returns:
        The summary with these columns added.

        - `subset_accuracy`: Accuracy on the clean images of the same subset.
        - `corrupted_accuracy`: Mean accuracy over the corruptions that the paper counts, each the mean over
          its severities.
        - `relative_accuracy`: Corrupted accuracy over clean accuracy, on the same images.
        - `corrupted_NAME`: Accuracy on each corruption.
    """
    if table.empty:
        return summary.assign(
            subset_accuracy=float("nan"), corrupted_accuracy=float("nan"), relative_accuracy=float("nan")
        )
    wide = by_corruption(table).pivot(index=LABELS, columns="corruption", values="accuracy")
    kept = [name for name in counted(table.dataset.iloc[0]) if name in wide]
    if not kept:
        raise InputError("the table holds no corruption that is averaged over")
    facts = pd.DataFrame({"subset_accuracy": wide[CLEAN], "corrupted_accuracy": wide[kept].mean(axis=1)})
    facts["relative_accuracy"] = facts.corrupted_accuracy / facts.subset_accuracy
    facts = facts.join(wide[kept].add_prefix("corrupted_"))
    return summary.merge(facts.reset_index(), on=LABELS, how="left")


@torch.inference_mode()
def predictions(network: nn.Module, pixels: Tensor) -> Tensor:
    """Predicted class of each of the uint8 images (n, 3, h, w).

    Returns:
        (n,) int64 on the device of the images.
    """
    # on a CPU, channels-last is 1.7 times as fast, and the activations of more images do not fit into its
    # cache
    batch = 2000 if pixels.is_cuda else 125
    return torch.cat([
        network(models.to_unit(some).contiguous(memory_format=torch.channels_last)).argmax(1)
        for some in pixels.split(batch)
    ])


def corruption(network: nn.Module, images: Images, *, limit: int) -> pd.DataFrame:
    """Accuracy under every corruption and severity.

    All networks see the same pixels, made one severity at a time.

    Args:
        limit: Number of images, the first of the split; 0 means all of them.

    Returns:
        One row per corruption, severity and class with the columns corruption, severity, class, images
        (number of images of the class) and correct (how many of them are classified correctly). Clean images
        have the corruption "clean" and severity 0.
    """
    some, device = images.first(limit), models.evaluated(network)
    labels, classes = some.labels.to(device), len(some.classes)
    sizes = labels.bincount(minlength=classes).cpu()
    rows = []
    for name, severity, pixels in dataset.cells(some, device=device):
        right = labels[predictions(network, pixels) == labels].bincount(minlength=classes).cpu()
        rows.append(
            pd.DataFrame({
                "corruption": name,
                "severity": severity,
                "class": list(some.classes),
                "images": sizes,
                "correct": right,
            })
        )
    return pd.concat(rows, ignore_index=True)


def corruption_examples(network: nn.Module, images: Images, *, image: int, severity: int) -> pd.DataFrame:
    """One image of the split, clean and under every corruption at one severity.

    Returns:
        One row per corruption with the columns corruption, label, predicted, confidence (in [0, 1]) and png
        (bytes).
    """
    if isinstance(image, bool) or not isinstance(image, int) or not 0 <= image < len(images):
        raise InputError(f"image is a row of the split, 0 .. {len(images) - 1}, got {image!r}")
    check(images.pixels[:1], NAMES[0], severity)
    device = models.evaluated(network)
    block, place = divmod(image, BLOCK)
    pixels = [
        images.pixels[image],
        *(corrupted_block(images.pixels, block, name, severity)[place] for name in NAMES),
    ]
    with torch.inference_mode():
        likely = network(models.to_unit(torch.stack(pixels).to(device))).softmax(1).cpu().max(1)
    rows = []
    for name, picture, confidence, predicted in zip((dataset.CLEAN, *NAMES), pixels, *likely, strict=True):
        file = io.BytesIO()
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file, "PNG")
        label = images.classes[images.labels[image]]
        rows.append({
            "corruption": name,
            "label": label,
            "predicted": images.classes[predicted],
            "confidence": float(confidence),
            "png": file.getvalue(),
        })
    return pd.DataFrame(rows)


def corruption_cells(training: Training, settings: Mapping[str, Any]) -> Cells:
    """What a table of corruptions holds: each of them at each severity, and the clean images at 0."""
    return {(CLEAN, 0)} | {(name, severity) for name in NAMES for severity in range(1, 6)}


def example_cells(training: Training, settings: Mapping[str, Any]) -> Cells:
    """What a table of examples holds: each corruption, and the clean image."""
    return {(name,) for name in (CLEAN, *NAMES)}
