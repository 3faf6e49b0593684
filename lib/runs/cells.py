"""What stands in the cells of a table from elsewhere: units that the network has, a bit or a row of logits
per image, and small pictures. Each function raises `Unfit` with words that follow the file's name.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from functools import lru_cache

import pandas as pd
import torch
from PIL import Image

from lib import data, models
from lib.base.files import Unfit
from lib.measurements.measurement import Column
from lib.training.training import Training

PICTURE_SIDE = 1024  # pixels


@lru_cache
def _layers(model: str, dataset: str) -> dict[str, int]:
    """The number of units of every ReLU layer, in order; nothing is computed for it."""
    with torch.device("meta"), torch.no_grad():
        network, side = models.build(model, data.DATASETS[dataset][1]).eval(), models.image_side(model)
        with models.spatial_means(network) as means:
            network(torch.zeros(1, 3, side, side))
    return {name: mean.shape[1] for name, mean in means.items()}


def check_units(rows: pd.DataFrame, columns: Mapping[str, Column], training: Training) -> None:
    """Raise Unfit unless the layers and units of a table are those of the network."""
    layers = _layers(training.model, training.dataset)
    depths = {name: depth for depth, name in enumerate(layers, start=1)}
    if (rows.layer.map(depths) != rows.depth).any():
        raise Unfit(f"has layers that {training.model} has not")
    if "units" in columns and (rows.layer.map(layers) != rows.units).any():
        raise Unfit(f"has layers of other sizes than {training.model}")
    if "unit" in columns:
        times = data.DATASETS[training.dataset][1] if "class" in columns else 1
        found = rows.groupby("layer").unit.agg(["nunique", "max", "size"])
        wanted = {name: (units, units - 1, units * times) for name, units in layers.items()}
        if {name: tuple(map(int, row)) for name, *row in found.itertuples()} != wanted:
            raise Unfit(f"has other units than {training.model}")


def check_bits(rows: pd.DataFrame, classes: int) -> None:
    """Raise Unfit unless every image of every row has its bit and its label."""
    for images, right, labels, names in zip(rows.images, rows.right, rows.labels, rows.classes, strict=True):
        if len(right) != -(-images // 8) or len(labels) != images:
            raise Unfit("does not hold one bit and one label for each of its images")
        if names.count(b"\n") != classes - 1 or max(labels, default=0) >= classes:
            raise Unfit(f"holds other classes than the {classes} of its data set")
        if right and right[-1] & (0xFF >> (images % 8 or 8)):
            raise Unfit("holds more bits than images")


def check_logits(rows: pd.DataFrame, classes: int) -> None:
    """Raise Unfit unless every row has the logits of all its images, or their strongest wrong class and its
    margin.
    """
    for one in rows.to_dict("records"):
        images, sizes = one["images"], tuple(len(one[name]) for name in ("logits", "rival", "margin"))
        if sizes not in ((2 * classes * images, 0, 0), (0, images, 2 * images)):
            raise Unfit("does not hold the logits of each of its images, or a wrong class and its margin")
        if max(one["rival"], default=0) >= classes:
            raise Unfit(f"holds other classes than the {classes} of its data set")
        if len(one["norms"]) not in (0, 4 * classes):
            raise Unfit(f"does not hold a norm for each of {classes} classes")
        if one["zero_gradient"] > images:
            raise Unfit("counts more images without a gradient than images")


def check_picture(content: bytes) -> None:
    """Raise Unfit unless this is a small PNG."""
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            small = max(picture.size) <= PICTURE_SIDE
            if small:
                picture.load()
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        Image.DecompressionBombError,
        struct.error,
        zlib.error,
    ):
        raise Unfit("holds what is no picture") from None
    if not small:
        raise Unfit(f"holds a picture of {picture.size[0]} x {picture.size[1]} pixels")
