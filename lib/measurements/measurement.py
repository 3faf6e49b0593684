"""What a measurement is: a function from network and images to a tidy table, its settings and what it
needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from lib.training.training import LABELS, Training

# The paper calls the first 9 of ResNet18's 17 layers early (recalled); other networks have the same share of
# early layers, which is our choice.
EARLY = 9 / 17


def is_early(rows: pd.DataFrame) -> pd.Series:
    """Mask of the rows of early layers, the first 9/17 of a network's layers, rounded down.

    Depths are counted from 1.
    """
    last = rows.groupby(LABELS, sort=False).depth.transform("max")
    return rows.depth <= np.floor(last * EARLY)


class Kind(StrEnum):
    """What a column of a table holds, as a message says it."""

    TEXT = "text"
    INT = "a whole number"
    FLOAT = "a number"
    BOOL = "true or false"
    BYTES = "bytes"


@dataclass(frozen=True)
class Column:
    """A column of a table: what it holds, in which range, and whether it may have empty cells.

    Attributes:
        least, most: The range of its numbers, both ends included; None for any number.
        empty: Whether it may have empty cells; a FLOAT may, since NaN is written so.
    """

    kind: Kind
    least: float | None = None
    most: float | None = None
    empty: bool = False

    @property
    def or_empty(self) -> Column:
        """The same column, in which cells may be empty."""
        return replace(self, empty=True)


TEXT = Column(Kind.TEXT)
INT = Column(Kind.INT)
COUNT = Column(Kind.INT, 0, 2**31)  # from 0
PLACE = Column(Kind.INT, 1, 2**31)  # from 1
FLOAT = Column(Kind.FLOAT, empty=True)
SHARE = Column(Kind.FLOAT, 0, 1, empty=True)
BOOL = Column(Kind.BOOL)
PICTURE = Column(Kind.BYTES)  # a PNG
PACKED = Column(Kind.BYTES)  # one bit or one byte for each image, or names separated by line ends
SEVERITY = Column(Kind.INT, 0, 5)  # 0 is the clean image

# Columns that several tables have. `lib.runs.validity` compares those of these names with the network.
UNIT = {"layer": TEXT, "depth": PLACE, "unit": COUNT}
CORRECT = {"class": TEXT, "images": COUNT, "correct": COUNT}

UNITS = ("layer", "unit")  # what a row is about in tables of units

# What the rows of a table are about: the values of its first columns that say it. Of a training and settings.
Cells = set[tuple[object, ...]]


@dataclass(frozen=True)
class Measurement:
    """A measurement: a function of a network, the test images and settings that gives a table; its settings;
    and what it is for.

    Attributes:
        function: What makes the table.
        summary: What is measured, in a line.
        table: The columns that the table has, in order; every table that is read or comes from elsewhere is
            held against them.
        settings: The function's settings with their defaults; they are part of the table's file name.
        sources: (training, settings) -> other trainings, whose networks are given to the function as
            `sources`, {training: network}.
        columns: (summary of networks, this table over them) -> the summary with the columns that the table
            adds.
        shown: Data set -> the settings of the table that chapters show and a summary is made of.
        datasets: Data sets of whose networks it can be made; empty if of all.
        about: The columns that say what a row is about, beside the class: a table from elsewhere must not
            measure one thing twice. None if nothing is known of its rows, and () if each is told by its place
            alone: these are not checked.
        cells: (training, settings) -> the values of the first columns of `about` that the table holds, each
            in some row. None if any will do.
    """

    function: Callable[..., pd.DataFrame]
    summary: str
    table: Mapping[str, Column]
    settings: dict[str, object] = field(default_factory=dict)
    sources: Callable[[Training, dict[str, object]], list[Training]] | None = None
    columns: Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame] | None = None
    shown: Callable[[str], dict[str, object]] = lambda dataset: {}
    datasets: tuple[str, ...] = ()
    about: tuple[str, ...] | None = None
    cells: Callable[[Training, Mapping[str, Any]], Cells] | None = None
