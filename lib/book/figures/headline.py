"""The figure that opens the README: both kinds of robustness against alpha."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from lib.book.figures.style import against_alpha


def headline(summary: pd.DataFrame, panels: dict[str, tuple[str, str, str]]) -> Figure:
    """One panel per accuracy, against alpha: one point per network, the mean over seeds as a line, and
    accuracy on the unchanged images as short strokes.

    Args:
        summary: Summary of networks; those marked in a column `..._doubtful` beside an accuracy are drawn
            hollow.
        panels: {column: (column of the accuracy on unchanged images, title, label)}.
    """
    figure = Figure(figsize=(9, 3.8), facecolor="white")
    drawn = figure.subplots(1, len(panels), sharey=True)
    for axes, (column, (clean, title, label)) in zip(drawn, panels.items(), strict=True):
        rows = summary[summary[column].notna()]
        rows = rows.assign(**{column: 100 * rows[column], clean: 100 * rows[clean]})
        strokes = rows.groupby("alpha")[clean].mean()
        axes.plot(
            strokes.index,
            strokes.values,
            color="0.35",
            marker="_",
            markersize=12,
            linestyle="",
            label="unchanged images",
        )
        against_alpha(axes, rows, column, label=label, hollow=rows.get(f"{column}_doubtful"))
        axes.set_title(title)
        axes.set_ylim(0, 100)
    drawn[0].legend(frameon=False, loc="lower left")
    figure.tight_layout()
    return figure
