"""Norm of the input-output Jacobian of every image."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import nn

from lib import models
from lib.attacks.losses import margin
from lib.data.images import Images
from lib.gradients import jacobian_norms
from lib.measurements.attack import batches
from lib.measurements.measurement import BOOL, COUNT, FLOAT, SHARE, TEXT
from lib.training.training import LABELS

JACOBIAN_TABLE = {
    "image": COUNT,
    "class": TEXT,
    "correct": BOOL,
    "norm": FLOAT,
    "spread": FLOAT,
    "margin": FLOAT,
    "confidence": SHARE,
}


def jacobian(network: nn.Module, images: Images, *, limit: int) -> pd.DataFrame:
    """Norm of the Jacobian of the logits with respect to the pixels, one row per image.

    Returns:
        A table with the columns image (its row in the split), class, correct, norm, spread (standard
        deviation of the logits), margin (logit of the correct class minus the largest other) and confidence
        (the largest softmax).
    """
    some, rows = images.first(limit), []
    for where, x, labels in batches(some, models.evaluated(network)):
        with torch.inference_mode():
            logits = network(x)
        facts = {
            "correct": logits.argmax(1) == labels,
            "norm": jacobian_norms(network, x).float(),
            "spread": logits.std(1, correction=0),
            "margin": -margin(logits, labels, 1.0),
            "confidence": logits.softmax(1).amax(1),
        }
        names = {
            "image": range(where.start, where.start + len(x)),
            "class": [some.classes[label] for label in labels.tolist()],
        }
        rows.append(pd.DataFrame(names | {name: values.cpu().numpy() for name, values in facts.items()}))
    return pd.concat(rows, ignore_index=True)


def with_jacobian(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add means over the images of a `jacobian` table to a summary.

    Returns:
        The summary with these columns added.

        - `jacobian, relative_jacobian`: Means of the Jacobian's norm, and of the norm divided by the spread
          of the image's logits.
        - `log_jacobian`: Mean of log10 of the norm, over images whose norm is above 0.
        - `unmoved`: Share of images whose norm is 0.
    """
    columns = ["jacobian", "relative_jacobian", "log_jacobian", "unmoved"]
    if table.empty:
        return summary.assign(**dict.fromkeys(columns, float("nan")))
    each = table.assign(
        jacobian=table.norm,
        relative_jacobian=table.norm / table.spread.where(table.spread > 0),
        log_jacobian=np.log10(table.norm.where(table.norm > 0)),
        unmoved=table.norm.eq(0).astype(float).where(table.norm.notna()),
    )
    means = each.groupby(LABELS, sort=False)[columns].mean()
    return summary.merge(means.reset_index(), on=LABELS, how="left")
