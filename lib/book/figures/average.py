"""Figures of the average case: accuracy on corrupted images."""

from __future__ import annotations

import io
import math

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from PIL import Image

from lib.base.text import number
from lib.book import own
from lib.book.figures.style import (
    ALPHA_LABEL,
    CHANGE,
    POINTED,
    WRONG,
    against_alpha,
    alpha_colour,
    alpha_legend,
)


def corrupted_examples(examples: pd.DataFrame) -> Figure:
    """One image, clean and under every corruption, with the network's prediction; from a
    `corruption_examples` table.
    """
    figure = Figure(figsize=(8, 1.9 * math.ceil(len(examples) / 5)))
    panels = figure.subplots(math.ceil(len(examples) / 5), 5, squeeze=False).flatten()
    for axes in panels:
        axes.axis("off")
    for axes, one in zip(panels, examples.itertuples(), strict=False):
        axes.imshow(np.asarray(Image.open(io.BytesIO(one.png))), interpolation="nearest")
        axes.set_title(one.corruption.replace("_", " "), fontsize=9, pad=3)
        right = one.predicted == one.label
        axes.text(
            0.5,
            -0.05,
            f"{one.predicted}, {one.confidence:.0%}",
            transform=axes.transAxes,
            ha="center",
            va="top",
            fontsize=8,
            color="0.2" if right else WRONG,
            fontweight="normal" if right else "bold",
        )
    figure.tight_layout(h_pad=1.0)
    return figure


def accuracy_by_corruption(rows: pd.DataFrame) -> Figure:
    """Accuracy on each corruption, one column per alpha, one dot per severity, 1 usually on top; means over
    seeds of an `accuracy.by_severity` table.
    """
    means = (
        rows[rows.severity > 0]
        .groupby(["corruption", "alpha", "severity"], sort=False)
        .accuracy.mean()
        .mul(100)
        .reset_index()
    )
    names, alphas = list(means.corruption.unique()), sorted(means.alpha.unique())
    figure = Figure(figsize=(11, 5))
    axes = figure.subplots()
    for place in range(1, len(names), 2):
        axes.axvspan(place - 0.5, place + 0.5, color="0.96", zorder=0)
    for (name, alpha), column in means.groupby(["corruption", "alpha"]):
        x = names.index(name) + 0.8 * ((alphas.index(alpha) + 0.5) / len(alphas) - 0.5)
        axes.vlines(
            x, column.accuracy.min(), column.accuracy.max(), color=alpha_colour(alpha), linewidth=1, alpha=0.6
        )
        axes.scatter([x] * len(column), column.accuracy, color=[alpha_colour(alpha)], s=9)
    axes.set_xticks(
        range(len(names)), [name.replace("_", " ") for name in names], rotation=50, ha="right", fontsize=9
    )
    axes.set(xlim=(-0.5, len(names) - 0.5), ylabel="accuracy (%)")
    alpha_legend(axes, pd.Series(alphas), loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    return figure


def corrupted_and_alpha(summary: pd.DataFrame) -> Figure:
    """Mean accuracy on corrupted images against alpha, with clean accuracy on the same images as short
    strokes; beside it their ratio.
    """
    figure = Figure(figsize=(9, 3.9))
    left, right = figure.subplots(1, 2)
    percent = summary.assign(**{
        column: 100 * summary[column]
        for column in ("subset_accuracy", "corrupted_accuracy", "relative_accuracy")
    })
    clean = percent.groupby("alpha").subset_accuracy.mean()
    left.plot(
        clean.index, clean.values, color="0.35", marker="_", markersize=12, linestyle="", label="clean images"
    )
    against_alpha(left, percent, "corrupted_accuracy", label="accuracy on corrupted images (%)")
    left.legend(frameon=False, loc="lower left")
    against_alpha(right, percent, "relative_accuracy", label="corrupted over clean accuracy (%)")
    figure.tight_layout()
    return figure


def corrupted_and_clean(summary: pd.DataFrame) -> Figure:
    """Accuracy on corrupted against accuracy on clean images, one point per network."""
    figure = Figure()
    axes = figure.subplots()
    colours = [alpha_colour(alpha) for alpha in summary.alpha]
    axes.scatter(100 * summary.subset_accuracy, 100 * summary.corrupted_accuracy, color=colours, s=48)
    axes.set(xlabel="accuracy on clean images (%)", ylabel="accuracy on corrupted images (%)")
    alpha_legend(axes, summary.alpha, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def change_by_corruption(changes: pd.DataFrame) -> Figure:
    """Change of accuracy against alpha = 0 in percentage points, one row per corruption, one column per
    alpha.

    Colours end at 10 points, the numbers do not.
    """
    figure = Figure(figsize=(1.9 + 0.8 * changes.shape[1], 0.9 + 0.32 * len(changes)))
    axes = figure.subplots()
    labels = changes.map(lambda value: number(value, "+.1f"))
    sns.heatmap(
        changes,
        ax=axes,
        cmap=CHANGE,
        vmin=-10,
        vmax=10,
        annot=labels,
        fmt="",
        annot_kws={"fontsize": 8.5},
        cbar=False,
        linewidths=0.5,
    )
    own.emphasise(
        axes.set_xticklabels([number(alpha) for alpha in changes.columns], rotation=0), changes.columns
    )
    axes.set_yticklabels([name.replace("_", " ") for name in changes.index], rotation=0, fontsize=9)
    axes.set(xlabel=ALPHA_LABEL, ylabel="")
    axes.tick_params(length=0)
    figure.tight_layout()
    return figure


def agreement(cells: pd.DataFrame) -> Figure:
    """Accuracy on our corruptions against the reference's, one point per corruption and severity; the band is
    1.5 points wide on each side.
    """
    figure = Figure(figsize=(5.4, 5))
    axes = figure.subplots()
    low, high = (
        100 * cells[["accuracy", "reference_accuracy"]].min().min() - 3,
        100 * cells[["accuracy", "reference_accuracy"]].max().max() + 3,
    )
    axes.fill_between([low, high], [low - 1.5, high - 1.5], [low + 1.5, high + 1.5], color="0.9", zorder=0)
    for kind, colour in (("random", POINTED), ("deterministic", "none")):
        some = cells[cells.kind == kind]
        axes.scatter(
            100 * some.reference_accuracy,
            100 * some.accuracy,
            facecolors=colour,
            edgecolors=POINTED,
            s=26,
            label=kind,
        )
    axes.set(
        xlim=(low, high),
        ylim=(low, high),
        xlabel="accuracy, image by image (%)",
        ylabel="accuracy, ours (%)",
        aspect="equal",
    )
    axes.legend(frameon=False)
    return figure
