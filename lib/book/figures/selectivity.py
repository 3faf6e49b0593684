"""Figures of selectivity: against α, by layer, by way of training, and for single units."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from lib import papers
from lib.base.text import number
from lib.book.figures.canvas import canvas, is_narrow, key, never_below_zero, redrawn
from lib.book.figures.colours import PALE, POINTED, alpha_colour, variant_colour
from lib.book.figures.curves import (
    LAYER_LABEL,
    SI_LABEL,
    against_alpha,
    curve_with_range,
    emphasised,
    label_ends,
)
from lib.book.figures.keys import alpha_key, curve_key, dashes, variant_key
from lib.papers import statistics


@redrawn
def selectivity_and_alpha(summary: pd.DataFrame, published: pd.DataFrame | None = None) -> Figure:
    """Mean selectivity against alpha: all units, live units alone, and published values of another network
    beside them.
    """
    figure, (axes,) = canvas(height=4.2, narrow_height=3.2)
    if published is not None:
        axes.plot(
            published.alpha,
            published.selectivity,
            color="0.75",
            marker="s",
            markersize=4,
            linestyle=":",
            label="published: ResNet18, Tiny ImageNet",
        )
    live = summary.groupby("alpha").live_selectivity.mean()
    axes.plot(
        live.index,
        live.values,
        color="0.35",
        marker="_",
        markersize=11,
        linestyle="",
        label="dead units left out",
    )
    against_alpha(axes, summary, "mean_selectivity", label=SI_LABEL)
    axes.set_ylim(bottom=0)
    named = [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]
    key(figure, named, above=True)
    return figure


@redrawn
def selectivity_by_layer(units: pd.DataFrame, *, by: str = "alpha") -> Figure:
    """Mean selectivity of each ReLU layer, one line per alpha; all units on the left, live units on the
    right.

    Args:
        by: "alpha", or "variant", where colours are ways of training and dashes are alphas.
    """
    figure, panels = canvas(2, width=8.4, height=4, sharey=True)
    strong = emphasised(units.alpha)
    found: dict[Axes, dict[float, float]] = {}
    for axes, rows, title in zip(
        panels, (units, units[~units.dead]), ("all units", "dead units left out"), strict=True
    ):
        means = rows.groupby(sorted({"alpha", by}) + ["seed", "depth"], as_index=False).selectivity.mean()
        if by == "variant":
            sns.lineplot(
                means,
                x="depth",
                y="selectivity",
                hue="variant",
                palette={variant: variant_colour(variant) for variant in means.variant.unique()},
                style="alpha",
                dashes=dashes(units.alpha),
                errorbar=None,
                marker="o",
                markersize=4,
                legend=False,
                ax=axes,
            )
        else:
            for alpha, some in means.groupby("alpha"):
                wide = some.pivot(index="seed", columns="depth", values="selectivity")
                curve_with_range(axes, wide, alpha, strong=alpha in strong)
                found.setdefault(axes, {})[alpha] = wide.mean().iloc[-1]
        axes.set(title=title, xlabel=LAYER_LABEL)
    panels[0].set(ylabel="mean class selectivity of the layer", ylim=(0, None))
    for axes, ends in found.items():
        label_ends(axes, {alpha: end for alpha, end in ends.items() if alpha in strong})
    if by == "variant":
        variant_key(figure, units)
    else:
        curve_key(figure, units.alpha)
    return figure


@redrawn
def selectivity_and_steps(summary: pd.DataFrame) -> Figure:
    """Strength of PGD training: mean selectivity with and without dead units on the left, share of dead units
    on the right; one point per network, one line per alpha.
    """
    rows = summary.assign(steps=summary.strength, percent=100 * summary.dead)
    rows = rows[rows.steps.notna()]
    colours = [variant_colour(variant) for variant in rows.variant]
    figure, (left, right) = canvas(2, width=8.4, height=4)
    for axes, y, line in (
        (left, "mean_selectivity", "-"),
        (left, "live_selectivity", "--"),
        (right, "percent", "-"),
    ):
        hollow: dict[str, Any] = (
            {"facecolors": "none", "edgecolors": colours, "s": 110}
            if line == "--"
            else {"color": colours, "s": 36}
        )
        axes.scatter(rows.steps, rows[y], zorder=2, clip_on=False, **hollow)
        for alpha, networks in rows.groupby("alpha"):
            middle = networks.groupby("steps")[y].mean()
            axes.plot(middle.index, middle.values, color="0.6", linewidth=1, linestyle=line, zorder=1)
            if rows.alpha.nunique() > 1 and line == "-":
                axes.annotate(
                    f"α = {number(alpha)}",
                    (middle.index[-1], middle.iloc[-1]),
                    (6, -3),
                    textcoords="offset points",
                    fontsize=9,
                )
            for steps, values in networks.groupby("steps")[y]:
                if len(values) >= papers.LEAST_SEEDS:
                    axes.vlines(
                        steps,
                        *statistics.t_interval(values),
                        color="0.6",
                        linewidth=1.5,
                        linestyle=line,
                        zorder=1,
                    )
        axes.set_xticks(sorted(set(rows.steps)), [f"{steps:g}" for steps in sorted(set(rows.steps))])
        axes.set_xlabel("steps of PGD in training (0: plain)")
    kinds: tuple[tuple[LineStyleType, str, float, str], ...] = (
        ("-", "0.3", 6, "all units"),
        ("--", "none", 10, "dead units left out"),
    )
    handles = [
        Line2D(
            [], [], marker="o", linestyle=line, color="0.6", mec="0.3", mfc=fill, markersize=size, label=words
        )
        for line, fill, size, words in kinds
    ]
    key(figure, handles)
    left.set_ylabel(SI_LABEL)
    right.set_ylabel("dead units (%)")
    right.set_ylim(0, max(right.get_ylim()[1], 1))
    return figure


@redrawn
def accuracy_and_selectivity(summary: pd.DataFrame) -> Figure:
    """Clean test accuracy against mean selectivity, one point per network."""
    figure, (axes,) = canvas(narrow_height=3.6)
    axes.scatter(
        summary.mean_selectivity,
        100 * summary.clean_accuracy,
        color=[alpha_colour(alpha) for alpha in summary.alpha],
        s=48,
    )
    axes.set(xlabel=SI_LABEL, ylabel="clean test accuracy (%)")
    never_below_zero(axes)
    alpha_key(figure, summary.alpha)
    return figure


@redrawn
def dead_units(summary: pd.DataFrame) -> Figure:
    """Share of dead units, which fire for no test image, against alpha."""
    figure, (axes,) = canvas(height=3.6)
    against_alpha(axes, summary.assign(percent=100 * summary.dead), "percent", label="dead units (%)")
    axes.set_ylim(0, max(axes.get_ylim()[1], 1))
    return figure


@redrawn
def example_units(examples: list[pd.DataFrame]) -> Figure:
    """Class-conditional mean activations, one panel per unit, classes in descending order; from tables with
    the columns title, class and mean.
    """
    figure, panels = canvas(len(examples), width=4.4 * len(examples), height=3.8)
    for axes, unit in zip(panels, examples, strict=True):
        rows = unit.sort_values("mean", ascending=False, kind="stable")
        colours = [POINTED] + [PALE] * (len(rows) - 1)
        axes.barh(rows["class"], rows["mean"], color=colours)
        axes.axvline(rows["mean"].iloc[1:].mean(), color="0.2", linestyle="--", linewidth=1)
        axes.invert_yaxis()
        axes.set_title("\n".join(textwrap.wrap(rows.title.iloc[0], 40)), fontsize="medium")
        axes.set_xlabel("mean activation")
    return figure


@redrawn
def scale_of_selectivity(summary: pd.DataFrame) -> Figure:
    """Our networks on the scale of selectivity, and what the paper expects at either end."""
    figure, (axes,) = canvas(width=8, height=2.5, narrow_height=2.9)
    small = 8 if is_narrow() else 9.5
    axes.axhline(0, color="0.8", zorder=0)
    axes.scatter(
        summary.mean_selectivity,
        np.zeros(len(summary)),
        color=[alpha_colour(alpha) for alpha in summary.alpha],
        s=90,
    )
    means = summary.groupby("alpha").mean_selectivity.mean()
    for place, (alpha, x) in enumerate(means.items()):
        axes.annotate(
            number(alpha),
            (x, 0),
            (0, 10 if place % 2 else -19),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    lowest, highest = summary.mean_selectivity.min(), summary.mean_selectivity.max()
    room = 0.06 * (highest - lowest) or 0.05
    # on a phone the words of the two ends stand in lines of their own, where they do not meet
    comma = ",\n" if is_narrow() else ", "
    for x, align, words in (
        (
            0.0,
            "left",
            f"← low selectivity:\nmore dimensions,\nrobust to corruptions{comma}weak against attacks",
        ),
        (
            1.0,
            "right",
            f"high selectivity: →\nfewer dimensions,\nrobust to attacks{comma}weak against corruptions",
        ),
    ):
        axes.text(x, 0.82, words, ha=align, va="center", fontsize=small, transform=axes.transAxes)
    axes.set(xlim=(lowest - room, highest + room), ylim=(-0.8, 1.4), yticks=[])
    axes.set_xlabel(f"{SI_LABEL}\n(the words are the paper's claim, not yet our result)")
    axes.spines["left"].set_visible(False)
    return figure
