"""Figures of class-wise robustness: a bar, a point or a cell for each class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.book.figures.style import (
    POINTED,
    SHADES,
    WIDEST,
    WRONG,
    against_alpha,
    variant_colour,
)
from lib.papers.classwise_statistics import SCALES
from lib.training import variants

_GREYS = ("0.78", "0.5", "0.2", "0.35", "0.65")
_MARKERS = ("o", "s", "^", "D", "v")


def class_bars(rows: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """Accuracy of every class, a group of bars a class, a bar an attack: means over seeds, seeds as dots.

    Args:
        rows: Columns panel, attack, seed, class and accuracy (percent); attacks in their order.
        classes: In the order from left to right.
    """
    names = list(dict.fromkeys(rows.panel))
    figure = Figure(figsize=(WIDEST, 3.1 * len(names)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(len(names), 1, sharex=True))
    for axes, name in zip(panels, names, strict=True):
        own = rows[rows.panel == name]
        attacks = list(dict.fromkeys(own.attack))
        width = 0.8 / len(attacks)
        for place, attack in enumerate(attacks):
            wide = own[own.attack == attack].pivot(index="seed", columns="class", values="accuracy")
            wide = wide.reindex(columns=list(classes))
            x = np.arange(len(classes)) + (place - (len(attacks) - 1) / 2) * width
            axes.bar(x, wide.mean(), width, color=_GREYS[place % len(_GREYS)], label=attack)
            for values in wide.to_numpy():
                axes.scatter(x, values, s=6, color="white", edgecolors="0.1", linewidths=0.5, zorder=2)
        axes.set(ylabel="accuracy (%)", title=name, ylim=(0, 103))
        axes.set_xticks(range(len(classes)), list(classes), rotation=30, ha="right")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def confusions(table: np.ndarray, classes: Sequence[str], order: Sequence[str]) -> Figure:
    """Heat map of what images of a class (rows) are taken for (columns), in percent.

    Args:
        table: (classes, classes) percent, rows without an image NaN.
        classes: The names of its rows and columns.
        order: The names in the order to draw them.
    """
    places = [list(classes).index(name) for name in order]
    shown = np.asarray(table)[np.ix_(places, places)]
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.subplots()
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
                fontsize=8,
            )
    axes.set_xticks(range(len(order)), list(order), rotation=40, ha="right")
    axes.set_yticks(range(len(order)), list(order))
    axes.set(xlabel="taken for", ylabel="class of the image")
    return figure


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
    figure = Figure(figsize=(WIDEST, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = {"safe": POINTED, "plain": WRONG}
    for form, wide in curves.items():
        dash = "-" if form == "safe" else "--"
        left.plot(wide.columns, wide.mean(), dash, marker="o", markersize=4, color=colours[form], label=form)
        left.fill_between(wide.columns, wide.min(), wide.max(), color=colours[form], alpha=0.15, linewidth=0)
        own = cosines[form]
        right.plot(own.index, own, dash, marker="o", markersize=4, color=colours[form], label=form)
    for place, (name, value) in enumerate(lines.items()):
        left.axhline(value, color=_GREYS[place % len(_GREYS)], linestyle=":", label=name)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlabel("1/T")
    left.set(ylabel="mean accuracy over classes (%)")
    right.set(ylabel="cosine with the margin's gradient", ylim=(0, 1.05))
    left.legend(frameon=False, fontsize=8)
    right.legend(frameon=False, fontsize=8, title="form")
    return figure


def class_gains(gained: pd.DataFrame) -> Figure:
    """What a stronger attack gains against the accuracy of a class, a panel a scale, a point a class and
    seed.

    Args:
        gained: Rows of `lib.papers.classwise_statistics.gains` with the columns variant, seed and class.
    """
    figure = Figure(figsize=(WIDEST, 3.6), layout="constrained")
    labels = ("points", "% of what survived PGD", "rise of the margin (logits)")
    for axes, scale, label in zip(figure.subplots(1, 3), SCALES, labels, strict=True):
        for way, own in gained.groupby("variant", sort=False):
            axes.scatter(
                own.accuracy,
                own[scale],
                s=18,
                color=variant_colour(str(way)),
                label=variants.variant(str(way)).label,
            )
        axes.axhline(0, color="0.85", zorder=0)
        axes.set(xlabel="accuracy of the class (%)", title=label)
    figure.axes[0].set_ylabel("gain of Temperature-PGD over PGD")
    figure.axes[0].legend(frameon=False, fontsize=8)
    return figure


def class_ranks(matrix: pd.DataFrame) -> Figure:
    """Heat map of rank correlations of class vectors, from −1 to 1; the names stand at the rows alone where
    there are many.
    """
    side = min(3.2 + 0.32 * len(matrix), WIDEST)
    figure = Figure(figsize=(side, 0.9 * side), layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(matrix.to_numpy(dtype=float), cmap=SHADES, vmin=0, vmax=1)
    axes.set_xticks(range(len(matrix)), list(matrix.index), rotation=90, fontsize=7)
    axes.set_yticks(range(len(matrix)), list(matrix.index), fontsize=7)
    figure.colorbar(shown, ax=axes, label="rank correlation (below 0: white)", shrink=0.8)
    return figure


def worst_and_mean(points: pd.DataFrame) -> Figure:
    """Accuracy of the worst class against the mean over classes, a point a network and fix.

    Args:
        points: Columns fix, seed, mean and worst, in percent.
    """
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for place, (name, own) in enumerate(points.groupby("fix", sort=False)):
        axes.scatter(
            own["mean"],
            own.worst,
            marker=_MARKERS[place % len(_MARKERS)],
            color=_GREYS[-1 - place % len(_GREYS)],
            s=40,
            label=name,
        )
    axes.set(xlabel="mean over classes (%)", ylabel="worst class (%)")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def classes_and_alpha(summary: pd.DataFrame, columns: Mapping[str, str]) -> Figure:
    """Numbers about the classes of networks against α, a panel a column; networks without a number are left
    out.

    Args:
        columns: {column of the summary: label of its axis}.
    """
    figure = Figure(figsize=(WIDEST, 3.6), layout="constrained")
    panels: Iterable[Axes] = np.atleast_1d(figure.subplots(1, len(columns)))
    for axes, (column, label) in zip(panels, columns.items(), strict=True):
        there = summary[summary[column].notna()]
        against_alpha(axes, there, column, label=label)
        axes.tick_params(axis="x", labelsize=8)
    return figure
