"""Figures of the main text's network, ResNet18 on Tiny ImageNet: published numbers, and ours as far as there
are any.
"""

from __future__ import annotations

import textwrap
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.book.figures.canvas import canvas, from_zero, is_narrow, never_below_zero, redrawn
from lib.book.figures.colours import PALE, alpha_colour
from lib.book.figures.curves import SI_LABEL, against_alpha, alpha_axis

DOTTED: dict[str, Any] = {
    "color": PALE,
    "marker": "s",
    "markersize": 4,
    "linestyle": ":",
    "label": "published",
}
TICKS = (-2.0, -1.0, 0.0, 0.4, 1.0, 2.0)  # of the published α, which lie too near each other to be written


def _wrapped(title: str, width: int) -> str:
    """A title in lines of at most so many letters; of fewer for a phone."""
    return "\n".join(textwrap.wrap(title, 38 if is_narrow() else width))


def _ours(axes: Axes, ours: pd.DataFrame, column: str, label: str, alphas: pd.Series) -> None:
    """One point per network of ours against alpha; with none, the axis alone."""
    if len(ours):
        against_alpha(axes, ours, column, label=label)
    alpha_axis(axes, pd.concat([ours.alpha.astype(float), alphas[alphas.isin(TICKS)]]))
    axes.set_ylabel(label)


@redrawn
def main_text_selectivity(ours: pd.DataFrame, published: pd.DataFrame, *, title: str) -> Figure:
    """Mean selectivity against alpha, and clean accuracy against mean selectivity.

    Args:
        ours: Summary of networks; without rows, only the published numbers are drawn.
        published: Table with the columns alpha, selectivity, lowest_accuracy and highest_accuracy (percent).
        title: What stands above both panels.
    """
    figure, (left, right) = canvas(2, width=8.4, height=3.9)
    figure.suptitle(_wrapped(title, 80), fontsize="medium")
    left.plot(published.alpha, published.selectivity, **DOTTED)
    _ours(left, ours, "mean_selectivity", SI_LABEL, published.alpha)
    left.set_ylim(0, 1)
    right.vlines(
        published.selectivity,
        published.lowest_accuracy,
        published.highest_accuracy,
        colors=PALE,
        linewidth=3,
        label="published, lowest to highest seed",
    )
    right.scatter(
        ours.mean_selectivity.astype(float),
        100 * ours.clean_accuracy.astype(float),
        color=[alpha_colour(alpha) for alpha in ours.alpha],
        s=42,
        zorder=2,
    )
    right.set(xlabel=SI_LABEL, ylabel="clean test accuracy (%)")
    left.legend(frameon=False, loc="lower right", fontsize="small")
    right.legend(frameon=False, loc="lower left", fontsize="small")
    never_below_zero(right)
    return figure


@redrawn
def main_text_corrupted(ours: pd.DataFrame, published: pd.DataFrame, *, title: str) -> Figure:
    """Mean accuracy on corrupted images against alpha.

    Args:
        ours: Summary of networks with `corrupted_accuracy`; without rows, only published numbers are drawn.
        published: Table with the columns alpha and accuracy (percent).
        title: What stands above the panel.
    """
    figure, (axes,) = canvas(height=3.6)
    figure.suptitle(_wrapped(title, 70), fontsize="medium")
    axes.plot(published.alpha, published.accuracy, **DOTTED)
    rows = ours.assign(percent=100 * ours.corrupted_accuracy.astype(float))
    _ours(axes, rows, "percent", "accuracy on corrupted images (%)", published.alpha)
    axes.legend(frameon=False, loc="lower left", fontsize="small")
    from_zero(axes)
    return figure
