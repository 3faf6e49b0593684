"""Figures of class-wise robustness: a bar, a point or a cell for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lib.book.figures.canvas import WIDEST, canvas, is_narrow, key, redrawn
from lib.book.figures.colours import POINTED, SHADES, WRONG, variant_colour
from lib.book.figures.curves import against_alpha
from lib.papers.gains import SCALES
from lib.training import variants

_GREYS = ("0.78", "0.5", "0.2", "0.35", "0.65")
_MARKERS = ("o", "s", "^", "D", "v")


def _grey(place: int) -> str:
    return _GREYS[place % len(_GREYS)]


@redrawn
def class_bars(rows: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """Accuracy of every class, one group of bars per class and one bar per attack: means over seeds, seeds as
    dots.

    Args:
        rows: Columns panel, attack, seed, class and accuracy (percent); attacks in their order.
        classes: In the order from left to right.
    """
    names = list(dict.fromkeys(rows.panel))
    figure, panels = canvas(len(names), columns=1, width=WIDEST, height=2.9)
    every = list(dict.fromkeys(rows.attack))
    for axes, name in zip(panels, names, strict=True):
        own = rows[rows.panel == name]
        attacks = [attack for attack in every if (own.attack == attack).any()]
        width = 0.8 / len(attacks)
        for place, attack in enumerate(attacks):
            wide = own[own.attack == attack].pivot(index="seed", columns="class", values="accuracy")
            wide = wide.reindex(columns=list(classes))
            x = np.arange(len(classes)) + (place - (len(attacks) - 1) / 2) * width
            axes.bar(x, wide.mean(), width, color=_grey(every.index(attack)))
            for values in wide.to_numpy():
                axes.scatter(x, values, s=6, color="white", edgecolors="0.1", linewidths=0.5, zorder=2)
        axes.set(ylabel="accuracy (%)", ylim=(0, 103))
        axes.set_title(name, fontsize="medium")
        axes.set_xticks(range(len(classes)), list(classes), rotation=60 if is_narrow() else 30, ha="right")
    figure.legend(
        handles=[Patch(color=_grey(place), label=attack) for place, attack in enumerate(every)],
        frameon=False,
        loc="outside lower center",
        ncols=1 if is_narrow() else len(every),
        fontsize="small",
    )
    return figure


@redrawn
def confusions(table: np.ndarray, classes: Sequence[str], order: Sequence[str]) -> Figure:
    """Heat map of what images of a class (rows) are taken for (columns), in percent.

    Args:
        table: (classes, classes) percent, rows without an image NaN.
        classes: The names of its rows and columns.
        order: The names in the order to draw them.
    """
    places = [list(classes).index(name) for name in order]
    shown = np.asarray(table)[np.ix_(places, places)]
    figure, (axes,) = canvas(width=6.4, height=5.6, narrow_height=3.9)
    axes.imshow(shown, cmap=SHADES, vmin=0, vmax=100)
    for row, column in np.ndindex(shown.shape):
        if shown[row, column] >= 0.5:
            axes.text(
                column,
                row,
                f"{shown[row, column]:.0f}",
                ha="center",
                va="center",
                color="white" if shown[row, column] > 55 else "black",
                fontsize=7 if is_narrow() else 8,
            )
    axes.set_xticks(range(len(order)), list(order), rotation=60, ha="right")
    axes.set_yticks(range(len(order)), list(order))
    axes.set(xlabel="taken for", ylabel="class of the image")
    return figure


@redrawn
def temperature_curves(
    curves: Mapping[str, pd.DataFrame], lines: Mapping[str, float], cosines: Mapping[str, pd.Series]
) -> Figure:
    """Accuracy against 1/T for the safe form and the plain one, with horizontal lines of other attacks; and
    the cosine between the gradient of either form and that of the margin.

    Args:
        curves: {form: one row per seed, one column per 1/T, percent}.
        lines: {attack: percent}.
        cosines: {form: cosine by 1/T}.
    """
    figure, (left, right) = canvas(2, width=WIDEST, height=3.8)
    colours, handles = {"safe": POINTED, "plain": WRONG}, []
    for form, wide in curves.items():
        style = {"linestyle": "-" if form == "safe" else "--", "color": colours[form]}  # type: dict
        left.plot(wide.columns, wide.mean(), marker="o", markersize=4, **style)
        left.fill_between(wide.columns, wide.min(), wide.max(), color=colours[form], alpha=0.15, linewidth=0)
        right.plot(cosines[form].index, cosines[form], marker="o", markersize=4, **style)
        handles.append(Line2D([], [], label=f"{form} form", **style))
    for place, (name, value) in enumerate(lines.items()):
        left.axhline(value, color=_grey(place), linestyle=":")
        handles.append(Line2D([], [], color=_grey(place), linestyle=":", label=name))
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlabel("1/T")
    left.set(ylabel="mean accuracy over classes (%)", ylim=(0, None))
    right.set(ylabel="cosine with the margin's gradient", ylim=(0, 1.05))
    key(figure, handles)
    return figure


@redrawn
def class_gains(gained: pd.DataFrame) -> Figure:
    """What a stronger attack gains against the accuracy of a class, one panel per scale, one point per class
    and seed.

    Args:
        gained: Rows of `lib.papers.gains.gains` with the columns variant, seed and class.
    """
    figure, panels = canvas(3, width=WIDEST, height=3.4)
    labels = ("gain (points)", "gain (% points of those left)", "rise of the margin (logits)")
    handles = []
    for axes, scale, label in zip(panels, SCALES, labels, strict=True):
        for way, own in gained.groupby("variant", sort=False):
            colour = variant_colour(str(way))
            axes.scatter(own.accuracy, own[scale], s=18, color=[colour])
            if scale == SCALES[0]:
                name = variants.variant(str(way)).label
                handles.append(Line2D([], [], marker="o", linestyle="", color=colour, label=name))
        axes.axhline(0, color="0.85", zorder=0)
        axes.set(xlabel="accuracy of the class (%)", ylabel=label, xlim=(0, 100))
    key(figure, handles, title="training")
    return figure


@redrawn
def class_ranks(matrix: pd.DataFrame) -> Figure:
    """Heat map of rank correlations of class vectors; correlations below 0 are white."""
    side = min(3.2 + 0.32 * len(matrix), WIDEST)
    figure, (axes,) = canvas(width=side, height=0.9 * side, narrow_height=4.2)
    size = 5 if is_narrow() else 7
    shown = axes.imshow(matrix.to_numpy(dtype=float), cmap=SHADES, vmin=0, vmax=1)
    axes.set_xticks(range(len(matrix)), list(matrix.index), rotation=90, fontsize=size)
    axes.set_yticks(range(len(matrix)), list(matrix.index), fontsize=size)
    figure.colorbar(
        shown,
        ax=axes,
        label="rank correlation",
        shrink=0.8,
        orientation="horizontal" if is_narrow() else "vertical",
    )
    return figure


@redrawn
def worst_and_mean(points: pd.DataFrame) -> Figure:
    """Accuracy of the worst class against the mean over classes, one panel per change: networks without it
    hollow, with it filled, joined where the seed and the training are the same.

    Args:
        points: Columns change, training, seed, fixed (with the change), mean and worst, both in percent.
    """
    names = list(dict.fromkeys(points.change))
    figure, panels = canvas(len(names), width=WIDEST, height=3.4)
    every = list(dict.fromkeys(points.training))
    for axes, name in zip(panels, names, strict=True):
        for (training, _), own in points[points.change == name].groupby(["training", "seed"], sort=False):
            marker, colour = _MARKERS[every.index(training)], _grey(every.index(training) + 1)
            own = own.sort_values("fixed")
            axes.plot(own["mean"], own.worst, color=colour, linewidth=0.8, zorder=1)
            for fixed, mean, worst in zip(own.fixed, own["mean"], own.worst, strict=True):
                axes.scatter(
                    mean, worst, s=36, marker=marker, color=colour if fixed else "white", edgecolors=colour
                )
        axes.set(xlabel="mean over classes (%)", ylabel="worst class (%)")
        axes.set_ylim(bottom=max(axes.get_ylim()[0], 0))
        axes.set_title(name, fontsize="medium")
    style = {"linestyle": "", "color": "0.2"}  # type: dict
    handles = [
        Line2D([], [], marker="o", markerfacecolor="white", label="without", **style),
        Line2D([], [], marker="o", label="with", **style),
        *(
            Line2D([], [], marker=_MARKERS[place], label=name, linestyle="", color=_grey(place + 1))
            for place, name in enumerate(every)
        ),
    ]
    figure.legend(
        handles=handles,
        frameon=False,
        loc="outside lower center",
        ncols=1 if is_narrow() else 3,
        fontsize="small",
    )
    return figure


@redrawn
def classes_and_alpha(summary: pd.DataFrame, columns: Mapping[str, str]) -> Figure:
    """Numbers about the classes of networks against α, one panel per column; networks without a number are
    left out.

    Args:
        columns: {column of the summary: label of its axis}.
    """
    figure, panels = canvas(len(columns), width=WIDEST, height=3.4)
    for axes, (column, label) in zip(panels, columns.items(), strict=True):
        there = summary[summary[column].notna()]
        if len(there):
            against_alpha(axes, there, column, label=label)
        else:
            axes.set_ylabel(label)
    return figure
