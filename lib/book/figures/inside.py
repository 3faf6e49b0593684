"""Figures of what happens inside a network, layer by layer: input-unit gradients and dimensionality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.book.figures.canvas import WIDEST, canvas, redrawn
from lib.book.figures.curves import LAYER_LABEL, curve_with_range, emphasised, label_ends, point
from lib.book.figures.keys import curve_key, point_key


def _by_layer(axes: Axes, rows: pd.DataFrame, column: str, scale: float) -> dict[float, float]:
    """One line per alpha, see `curve_with_range`; where the strong ones end, for `label_ends`."""
    strong, ends = emphasised(rows.alpha), {}
    for alpha, networks in rows.groupby("alpha"):
        wide = scale * networks.pivot(index="seed", columns="depth", values=column)
        curve_with_range(axes, wide, alpha, strong=alpha in strong)
        if alpha in strong:
            left = wide.mean().dropna()
            ends[alpha] = left.iloc[-1] if len(left) else float("nan")
    axes.set_xlabel(LAYER_LABEL, fontsize="small")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    return ends


@redrawn
def by_layer(
    rows: pd.DataFrame,
    columns: Mapping[str, str],
    *,
    labels: Sequence[str] | str = "",
    log: bool = False,
    scale: float = 1.0,
) -> Figure:
    """One panel per column, against depth, with one line per alpha; the lowest, the one closest to 0 and the
    highest stand out.

    Args:
        rows: One row per network and layer, as from `layers.variability`.
        columns: {column: title of its panel}.
        labels: Labels of the vertical axes.
    """
    figure, panels = canvas(len(columns), width=1.2 + 3.9 * len(columns), height=3.9)
    labels = [labels] * len(columns) if isinstance(labels, str) else labels
    for axes, (column, title), label in zip(panels, columns.items(), labels, strict=True):
        ends = _by_layer(axes, rows, column, scale)
        axes.set(title=title, ylabel=label)
        if log:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        label_ends(axes, ends)
    curve_key(figure, rows.alpha)
    return figure


TITLES = {"none": "clean activations", "corruption": "change by corruptions", "attack": "change by PGD"}


@redrawn
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
    figure, (first, second, third) = canvas(3, width=WIDEST, height=3.9)
    third.sharey(second)
    found = {}
    for axes, rows, change in (
        (first, clean, "none"),
        (second, changes, "corruption"),
        (third, changes, "attack"),
    ):
        found[axes] = _by_layer(axes, rows[rows.change == change], column, scale)
        axes.set_title(TITLES[change])
        if early:
            axes.axvline(early + 0.5, color="0.85", zorder=0)
    first.set_ylabel(label)
    for axes in (first, second):
        axes.set_ylim(bottom=0)
    for axes, ends in found.items():
        label_ends(axes, ends)
    curve_key(figure, clean.alpha)
    return figure


@redrawn
def change_and_change(rows: pd.DataFrame, column: str, *, label: str, scale: float = 1.0) -> Figure:
    """Dimensions of the change by PGD against those of the change by corruptions, one point per layer and
    alpha; the lowest alpha, the one closest to 0 and the highest stand out.

    Points are means over seeds, filled for early layers and hollow for late ones. Both changes are alike on
    the diagonal.
    """
    figure, (axes,) = canvas(width=5.6, height=4.4, narrow_height=4.4)
    means = (
        rows
        .groupby(["alpha", "depth", "early", "change"])[column]
        .mean()
        .unstack("change")
        .mul(scale)
        .reset_index()
    )
    strong = emphasised(rows.alpha)
    for (alpha, is_early), some in means.groupby(["alpha", "early"]):
        mark = point(alpha, strong=alpha in strong, hollow=not is_early)
        axes.plot(some.corruption, some.attack, **mark, zorder=3 if alpha in strong else 2)
    most = float(means[["corruption", "attack"]].max().max()) * 1.05
    axes.plot([0, most], [0, most], color="0.8", linewidth=1, zorder=0)
    axes.set(
        xlabel=f"change by corruptions: {label}",
        ylabel=f"change by PGD: {label}",
        xlim=(0, most),
        ylim=(0, most),
    )
    point_key(figure, rows.alpha)
    return figure
