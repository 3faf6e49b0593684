"""Figures of the average case: accuracy on corrupted images."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure

from lib.base.text import number
from lib.book import own
from lib.book.figures.canvas import WIDEST, canvas, is_narrow, never_below_zero, picture, redrawn
from lib.book.figures.colours import CHANGE, POINTED, WRONG, alpha_colour
from lib.book.figures.curves import ALPHA_LABEL, against_alpha, curve_with_range, emphasised
from lib.book.figures.keys import alpha_key, curve_key


@redrawn
def corrupted_examples(examples: pd.DataFrame) -> Figure:
    """One image, clean and under every corruption, with the network's prediction; from a
    `corruption_examples` table.
    """
    figure, panels = canvas(len(examples), columns=5, narrow=3, width=8, height=1.9, narrow_height=1.5)
    small = 7 if is_narrow() else 8
    for axes, one in zip(panels, examples.itertuples(), strict=True):
        axes.axis("off")
        axes.imshow(picture(one.png), interpolation="nearest")
        axes.set_title(one.corruption.replace("_", " "), fontsize=small + 1, pad=3)
        right = one.predicted == one.label
        axes.text(
            0.5,
            -0.05,
            f"{one.predicted}, {one.confidence:.0%}",
            transform=axes.transAxes,
            ha="center",
            va="top",
            fontsize=small,
            color="0.2" if right else WRONG,
            fontweight="normal" if right else "bold",
        )
    return figure


@redrawn
def accuracy_by_corruption(rows: pd.DataFrame) -> Figure:
    """Accuracy against severity, one panel per corruption, one line per alpha; means over seeds of an
    `accuracy.by_severity` table, whose clean images are severity 0.
    """
    means = rows.groupby(["corruption", "alpha", "severity"], sort=False).accuracy.mean().mul(100)
    wide = means.unstack("severity").sort_index(axis=1)
    names = [name for name in rows.corruption.unique() if (rows.severity[rows.corruption == name] > 0).any()]
    clean = wide[0].dropna().groupby("alpha").mean() if 0 in wide else pd.Series(dtype=float)
    strong = emphasised(rows.alpha)
    figure, panels = canvas(
        len(names),
        columns=5,
        narrow=2,
        width=WIDEST,
        height=1.75,
        narrow_height=1.5,
        sharex=True,
        sharey=True,
    )
    for axes, name in zip(panels, names, strict=True):
        for alpha, line in wide.loc[name].iterrows():
            line[0] = clean.get(alpha, float("nan"))
            curve_with_range(axes, line.sort_index().to_frame().T, alpha, strong=alpha in strong)
        axes.set_title(name.replace("_", " "), fontsize=9, pad=3)
        axes.tick_params(labelsize=8)
    panels[0].set_xticks(range(6))
    panels[0].set_ylim(0, 100)
    figure.supxlabel("severity (0: clean images)", fontsize="small")
    figure.supylabel("accuracy (%)", fontsize="small")
    curve_key(figure, rows.alpha, labelled=False)
    return figure


@redrawn
def corrupted_and_alpha(summary: pd.DataFrame) -> Figure:
    """Mean accuracy on corrupted images against alpha, with clean accuracy on the same images as short
    strokes; beside it their ratio.
    """
    figure, (left, right) = canvas(2, width=9, height=3.9)
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
    for axes in (left, right):
        never_below_zero(axes)
    return figure


@redrawn
def corrupted_and_clean(summary: pd.DataFrame) -> Figure:
    """Accuracy on corrupted against accuracy on clean images, one point per network."""
    figure, (axes,) = canvas(narrow_height=3.4)
    colours = [alpha_colour(alpha) for alpha in summary.alpha]
    axes.scatter(100 * summary.subset_accuracy, 100 * summary.corrupted_accuracy, color=colours, s=48)
    axes.set(xlabel="accuracy on clean images (%)", ylabel="accuracy on corrupted images (%)")
    never_below_zero(axes)
    alpha_key(figure, summary.alpha)
    return figure


# relative luminance on which black and white stand out equally
_MIDDLE = 0.179


def _luminance(red: float, green: float, blue: float) -> float:
    """Relative luminance of a colour, each part in [0, 1]."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@redrawn
def change_by_corruption(changes: pd.DataFrame) -> Figure:
    """Change of accuracy against alpha = 0 in percentage points, one row per corruption, one column per
    alpha.

    Colours are about linear within 1 point and go by factors beyond, so that small changes at low alpha can
    be told apart beside large ones at high alpha.
    """
    most = max(10.0, float(np.nan_to_num(changes.abs().to_numpy(dtype=float)).max()))
    figure, (axes,) = canvas(
        width=2.9 + 0.8 * changes.shape[1],
        height=1.0 + 0.32 * len(changes),
        narrow_height=1.5 + 0.27 * len(changes),
    )
    small = 6.5 if is_narrow() else 8.5
    sns.heatmap(
        changes,
        ax=axes,
        cmap=CHANGE,
        norm=SymLogNorm(linthresh=1, linscale=1, base=10, vmin=-most, vmax=most),
        annot=changes.map(lambda value: number(value, "+.1f")),
        fmt="",
        annot_kws={"fontsize": small},
        cbar=False,
        linewidths=0.5,
    )
    cells = axes.collections[0]
    figure.draw_without_rendering()  # colours are worked out when they are drawn
    colours = np.asarray(cells.get_facecolor(), dtype=float)[:, :3]
    for text, colour in zip(axes.texts, colours, strict=True):
        text.set_color("black" if _luminance(*map(float, colour)) > _MIDDLE else "white")
    ends = [value for value in (1, 3, 10, 30) if value <= most]
    ticks = [*(-value for value in reversed(ends)), 0, *ends]
    bar = figure.colorbar(
        axes.collections[0],
        ax=axes,
        ticks=ticks,
        shrink=0.8 if is_narrow() else 0.5,
        aspect=30,
        location="bottom" if is_narrow() else "right",
    )
    bar.set_ticklabels([number(tick, "+g") if tick else "0" for tick in ticks], fontsize=8)
    bar.minorticks_off()
    bar.set_label("points of accuracy (not linear)", fontsize=8)
    own.emphasise(
        axes.set_xticklabels([number(alpha) for alpha in changes.columns], rotation=0), changes.columns
    )
    axes.set_yticklabels([name.replace("_", " ") for name in changes.index], rotation=0, fontsize=small + 0.5)
    axes.set(xlabel=ALPHA_LABEL, ylabel="")
    axes.tick_params(length=0)
    return figure


@redrawn
def agreement(cells: pd.DataFrame) -> Figure:
    """Accuracy on our corruptions against the reference's, one point per corruption and severity; the band is
    1.5 points wide on each side.
    """
    figure, (axes,) = canvas(width=5.4, height=5, narrow_height=3.8)
    both = 100 * cells[["accuracy", "reference_accuracy"]]
    low, high = max(both.min().min() - 3, 0), min(both.max().max() + 3, 100)
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
