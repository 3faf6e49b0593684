"""What figures over α and over layers are drawn with: the axis of α, points and curves in its colours, and
labels at the ends of curves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from lib import papers
from lib.base.text import number
from lib.book import own
from lib.book.figures import canvas
from lib.book.figures.colours import alpha_colour
from lib.papers import statistics

ALPHA_LABEL = "selectivity scale α (spacing not linear)"
SI_LABEL = "mean class selectivity"
LAYER_LABEL = "ReLU layer, from the input"


def alpha_axis(axes: Axes, alphas: pd.Series) -> None:
    """Make the horizontal axis one of alpha: linear near 0, logarithmic outside, with a tick at every
    network's alpha.
    """
    axes.set_xscale("symlog", linthresh=0.4, linscale=0.6)
    ticks = sorted(set(alphas))
    axes.set_xticks(ticks, [number(tick) for tick in ticks])
    if labels := axes.get_xticklabels():  # a panel above others has none
        own.emphasise(labels, ticks)
    axes.minorticks_off()
    axes.set_xlabel(ALPHA_LABEL)
    axes.axvline(0, color="0.85", zorder=0)


def emphasised(alphas: Iterable[float]) -> set[float]:
    """The alphas whose curves stand out where there are many: the lowest, the one closest to 0, the highest,
    and those that a reader has added.
    """
    found = set(alphas)
    if not found:
        return found
    ends = {min(found), min(found, key=lambda alpha: (abs(alpha), alpha)), max(found)}
    return ends | {alpha for alpha in found if own.is_own(alpha)}


def stroke(alpha: float, *, strong: bool) -> dict[str, Any]:
    """How a curve of an alpha is drawn: with all its colour, or faint."""
    return {"color": alpha_colour(alpha)} | (
        {"linewidth": 1.8, "marker": "o", "markersize": 3.5}
        if strong
        else {"linewidth": 1.0, "marker": "o", "markersize": 1.8, "alpha": 0.45}
    )


def point(alpha: float, *, strong: bool, hollow: bool = False) -> dict[str, Any]:
    """How a point of an alpha is drawn where there are many: with all its colour, or small and faint."""
    colour = alpha_colour(alpha)
    return {
        "linestyle": "",
        "marker": "o",
        "color": colour,
        "markerfacecolor": "none" if hollow else colour,
        "markersize": 6.0 if strong else 3.0,
        "alpha": 1.0 if strong else 0.45,
    }


def label_ends(axes: Axes, ends: Mapping[float, float]) -> None:
    """Write to the right of a panel which curve is which, no label on another.

    Args:
        ends: {alpha: where its curve ends on the vertical axis}, whose limits are final.
    """
    line = 10.5 / 72  # inches from label to label
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top)
    grid, whole = axes.get_gridspec(), axes.get_figure(root=True)
    assert grid and whole  # it is a panel of a canvas
    height = 0.75 * whole.get_figheight() / grid.nrows
    across = axes.transData + axes.transAxes.inverted()
    places = {
        alpha: min(max(float(across.transform((axes.get_xlim()[0], y))[1]), 0.0), 1.0)
        for alpha, y in ends.items()
        if not math.isnan(y)
    }
    order = sorted(places, key=lambda alpha: (places[alpha], alpha))
    for before, after in pairwise(order):
        places[after] = max(places[after], places[before] + line / height)
    over = max([0.0, *(place - 1 for place in places.values())])
    for alpha in order:
        axes.annotate(
            f"α = {number(alpha)}",
            (1, places[alpha] - over),
            (3, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            fontweight="bold" if own.is_own(alpha) else "normal",
            color=alpha_colour(alpha),
        )


def curve_with_range(
    axes: Axes, wide: pd.DataFrame, alpha: float, *, strong: bool = True, face: object = None
) -> None:
    """Draw a line in the colour of alpha through the means over seeds, and a band from the lowest seed to the
    highest; gaps where no seed has a number.

    The band is the range, not an interval: with few seeds, intervals of seven alphas would cover each other
    and show nothing.

    Args:
        wide: One row per seed, one column per place on the horizontal axis.
        strong: Whether the curve stands out; others are faint and have no band.
        face: Colour inside the points, if not that of the line.
    """
    drawn = stroke(alpha, strong=strong)
    axes.plot(
        wide.columns,
        wide.mean(),
        **drawn | {"markerfacecolor": drawn["color"] if face is None else face, "zorder": 3 if strong else 2},
    )
    if strong:
        axes.fill_between(wide.columns, wide.min(), wide.max(), color=drawn["color"], alpha=0.18, linewidth=0)


def against_alpha(
    axes: Axes, summary: pd.DataFrame, y: str, *, label: str, hollow: pd.Series | None = None
) -> None:
    """Draw one point per network, coloured by alpha, a line through the means over seeds, and their 95 % t
    interval if there are at least three seeds.

    Args:
        hollow: (networks,) bool, the networks that are drawn hollow.
    """
    middle = summary.groupby("alpha")[y].mean()
    axes.plot(middle.index, middle.values, color="0.6", linewidth=1, zorder=1)
    colours = [alpha_colour(alpha) for alpha in summary.alpha]
    faces = (
        colours
        if hollow is None
        else ["white" if empty else colour for empty, colour in zip(hollow, colours, strict=True)]
    )
    size = 24 if canvas.is_narrow() else 42
    axes.scatter(
        summary.alpha, summary[y], facecolors=faces, edgecolors=colours, s=size, zorder=2, clip_on=False
    )
    for alpha, values in summary.groupby("alpha")[y]:
        if len(values) >= papers.LEAST_SEEDS:
            low, high = statistics.t_interval(values)
            axes.vlines(alpha, low, high, color=alpha_colour(alpha), linewidth=2, zorder=1)
    alpha_axis(axes, summary.alpha)
    axes.set_ylabel(label)
