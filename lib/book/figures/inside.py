"""Figures of what happens inside a network, layer by layer: input-unit gradients and dimensionality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.book.figures.style import (
    LAYER_LABEL,
    WIDEST,
    alpha_colour,
    alpha_key,
    alpha_legend,
    curve_with_range,
)


def _by_layer(axes: Axes, rows: pd.DataFrame, column: str, scale: float) -> None:
    """One line per alpha, see `curve_with_range`."""
    for alpha, networks in rows.groupby("alpha"):
        curve_with_range(axes, scale * networks.pivot(index="seed", columns="depth", values=column), alpha)
    axes.set_xlabel(LAYER_LABEL, fontsize="small")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def by_layer(
    rows: pd.DataFrame,
    columns: Mapping[str, str],
    *,
    labels: Sequence[str] | str = "",
    log: bool = False,
    scale: float = 1.0,
) -> Figure:
    """One panel per column, against depth, with one line per alpha.

    Args:
        rows: One row per network and layer, as from `layers.variability`.
        columns: {column: title of its panel}.
        labels: Labels of the vertical axes.
    """
    figure = Figure(figsize=(min(1.2 + 3.9 * len(columns), WIDEST), 3.9), layout="constrained")
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    labels = [labels] * len(columns) if isinstance(labels, str) else labels
    for axes, (column, title), label in zip(panels, columns.items(), labels, strict=True):
        _by_layer(axes, rows, column, scale)
        axes.set(title=title, ylabel=label)
        if log:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
    alpha_key(figure, rows.alpha)
    return figure


TITLES = {"none": "clean activations", "corruption": "change by corruptions", "attack": "change by PGD"}


def dimensions_by_layer(
    clean: pd.DataFrame,
    changes: pd.DataFrame,
    column: str,
    *,
    label: str,
    scale: float = 1.0,
    early: float | None = None,
) -> Figure:
    """Three panels against depth, one line per alpha: dimensionality of clean activations, and of the changes
    by corruptions and by PGD, which share an axis.

    Args:
        clean: Rows of `layers.dimensions` for clean activations.
        changes: Rows of it for both changes.
        early: Layer after which a vertical line is drawn.
    """
    figure = Figure(figsize=(WIDEST, 3.9), layout="constrained")
    first, second, third = figure.subplots(1, 3)
    third.sharey(second)
    for axes, rows, change in (
        (first, clean, "none"),
        (second, changes, "corruption"),
        (third, changes, "attack"),
    ):
        _by_layer(axes, rows[rows.change == change], column, scale)
        axes.set_title(TITLES[change])
        if early:
            axes.axvline(early + 0.5, color="0.85", zorder=0)
    first.set_ylabel(label)
    for axes in (first, second):
        axes.set_ylim(bottom=0)
    alpha_key(figure, clean.alpha)
    return figure


def change_and_change(rows: pd.DataFrame, column: str, *, label: str, scale: float = 1.0) -> Figure:
    """Dimensions of the change by PGD against those of the change by corruptions, one point per layer and
    alpha.

    Points are means over seeds, filled for early layers and hollow for late ones. Both changes are alike on
    the diagonal.
    """
    figure = Figure(figsize=(5.6, 4.4))
    axes = figure.subplots()
    means = (
        rows
        .groupby(["alpha", "depth", "early", "change"])[column]
        .mean()
        .unstack("change")
        .mul(scale)
        .reset_index()
    )
    for (alpha, is_early), some in means.groupby(["alpha", "early"]):
        face = alpha_colour(alpha) if is_early else "none"
        axes.scatter(some.corruption, some.attack, facecolors=face, edgecolors=[alpha_colour(alpha)], s=30)
    most = float(means[["corruption", "attack"]].max().max()) * 1.05
    axes.plot([0, most], [0, most], color="0.8", linewidth=1, zorder=0)
    axes.set(
        xlabel=f"change by corruptions: {label}",
        ylabel=f"change by PGD: {label}",
        xlim=(0, most),
        ylim=(0, most),
    )
    alpha_legend(axes, rows.alpha, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    return figure
