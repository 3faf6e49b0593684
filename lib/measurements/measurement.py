"""What a measurement is: a function from network and images to a tidy table, its settings and what it
needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from lib.training.recipe import LABELS, Training

# The paper calls the first 9 of ResNet18's 17 layers early (recalled); other networks have the same share of
# early layers, which is our choice.
EARLY = 9 / 17


def is_early(rows: pd.DataFrame) -> pd.Series:
    """Mask of the rows of early layers, the first 9/17 of a network's layers, rounded down.

    Depths are counted from 1.
    """
    last = rows.groupby(LABELS, sort=False).depth.transform("max")
    return rows.depth <= np.floor(last * EARLY)


@dataclass(frozen=True)
class Measurement:
    """A measurement: a function of a network, the test images and settings that gives a table; its settings;
    and what it is for.

    Attributes:
        function: What makes the table.
        summary: What is measured, in a line.
        settings: The function's settings with their defaults; they are part of the table's file name.
        sources: (training, settings) -> other trainings, whose networks are given to the function as
            `sources`, {training: network}.
        columns: (summary of networks, this table over them) -> the summary with the columns that the table
            adds.
        shown: Data set -> the settings of the table that a summary is made of.
    """

    function: Callable[..., pd.DataFrame]
    summary: str
    settings: dict[str, object] = field(default_factory=dict)
    sources: Callable[[Training, dict[str, object]], list[Training]] | None = None
    columns: Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame] | None = None
    shown: Callable[[str], dict[str, object]] = lambda dataset: {}
