"""The figure that opens the book and the README: accuracy on clean and corrupted images and under attack
against alpha, beside what the paper has.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.book.figures.canvas import NARROW, is_narrow, redrawn
from lib.book.figures.colours import alpha_colour
from lib.book.figures.curves import alpha_axis
from lib.papers.resnet18 import CORRUPTED, FGSM, RESNET18_TINY_IMAGENET


class Line(NamedTuple):
    """An accuracy of the figure.

    Attributes:
        column: Of a summary, a share.
        words: What stands beside its line.
        marker: Of its points.
    """

    column: str
    words: str
    marker: str


# what the paper has of these, on another network and data set: {words: (marker, {α: per cent})}
EPSILON = 0.004
_MIDDLE = RESNET18_TINY_IMAGENET.set_index("alpha")[["lowest_accuracy", "highest_accuracy"]].mean(axis=1)
PUBLISHED = {
    "clean": ("_", _MIDDLE.to_dict()),
    "corrupted": ("o", CORRUPTED.set_index("alpha").accuracy.to_dict()),
    f"FGSM, ε = {EPSILON:g}": ("v", FGSM[FGSM.epsilon == EPSILON].set_index("alpha").accuracy.to_dict()),
}


def _named(axes: Axes, means: pd.Series, words: str, *, below: bool = False, right: bool = False) -> None:
    """Name a line at the end where lines are apart, by default the left one."""
    end = -1 if right else 0
    axes.annotate(
        words,
        (float(means.index[end]), float(means.iloc[end])),
        xytext=(6 if right else -4, -8 if below else 7),
        textcoords="offset points",
        ha="right" if right else "left",
        va="top" if below else "bottom",
        fontsize="small",
    )


@redrawn
def headline(summary: pd.DataFrame, lines: tuple[Line, ...], *, title: str, narrow: bool = False) -> Figure:
    """Accuracies against alpha: one point per network, the means over seeds as lines that carry their names;
    and the paper's, which are another network's on other images.

    Args:
        summary: Summary of networks; those marked in a column `..._doubtful` beside an accuracy are drawn
            hollow.
        lines: What is drawn.
        narrow: Whether the two panels stand one below the other, for a phone.
    """
    narrow = narrow or is_narrow()
    if narrow:
        figure = Figure(figsize=(NARROW, 5.8), facecolor="white", layout="constrained")
        ours, theirs = figure.subplots(2, 1, height_ratios=(1.5, 1))
    else:
        figure = Figure(figsize=(9, 4), facecolor="white", layout="constrained")
        ours, theirs = figure.subplots(1, 2, width_ratios=(1.7, 1))
    for line in lines:
        rows = summary[summary[line.column].notna()]
        if rows.empty:
            continue
        means = 100 * rows.groupby("alpha")[line.column].mean()
        ours.plot(means.index, means.values, color="0.55", linewidth=1.2, zorder=1)
        doubt = rows.get(f"{line.column}_doubtful", pd.Series(False, rows.index))
        for alpha, some in rows.groupby("alpha"):
            colour = alpha_colour(alpha)
            faces = ["white" if hollow else colour for hollow in doubt[some.index]]
            filled = {"color": colour} if line.marker == "_" else {"facecolors": faces, "edgecolors": colour}
            ours.scatter(
                [alpha] * len(some), 100 * some[line.column], marker=line.marker, s=34, zorder=2, **filled
            )
        _named(ours, means, line.words, below=line.marker == "^")
    alpha_axis(ours, summary.alpha)
    ours.set_title("\n".join(_wrapped(title, 38 if narrow else 54)), fontsize="medium", loc="left")
    for words, (marker, by_alpha) in PUBLISHED.items():
        values = pd.Series(by_alpha).sort_index()
        theirs.plot(values.index, values.values, color="0.55", linewidth=1.2, linestyle=":", zorder=1)
        for alpha, value in values.items():
            theirs.scatter([alpha], [value], color=alpha_colour(float(alpha)), marker=marker, s=34, zorder=2)
        _named(theirs, values, words, right=marker == "v")
    alpha_axis(theirs, pd.Series([-2.0, 0.0, 2.0]))
    theirs.set_title("the paper: ResNet18,\nTiny ImageNet", fontsize="medium", loc="left")
    for axes in (ours, theirs):
        axes.set_ylim(0, 100)
        axes.set_ylabel("accuracy (%)")
    return figure


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width)
