"""Figures of certified training: accuracies with and without proof, and what SingleProp's half-width is
worth.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.book.figures.canvas import WIDEST, canvas, key, redrawn
from lib.book.figures.curves import LAYER_LABEL
from lib.certificates.relaxation import half_width

# one colour per method, none of which is an alpha's: told apart with the common colour blindnesses
METHOD_COLOURS = {
    "plain": "#222222",
    "adversarial": "#b0449b",
    "ibp": "#0b6e4f",
    "singleprop-zero": "#c98a00",
    "singleprop-fastlin": "#d0573b",
}
METHOD_NAMES = {
    "plain": "plain",
    "adversarial": "PGD-7",
    "ibp": "IBP",
    "singleprop-zero": "SingleProp, zero",
    "singleprop-fastlin": "SingleProp, fastlin",
}


@redrawn
def one_unit(z: float = 0.3, v: float = 1.0) -> Figure:
    """One unstable unit: the ReLU over the interval of its input, the interval of its output, and the
    intervals that SingleProp takes around the output of the image itself.

    Args:
        z: Pre-activation of the image, between -v and v.
        v: Its half-width.
    """
    figure, (left, right) = canvas(2, width=8.4, height=3.6, sharey=True)
    left.plot([-1.2 * v, 0, z + 1.3 * v], [0, 0, z + 1.3 * v], color="0.2")
    left.axvspan(z - v, z + v, color="0.93", zorder=0)
    left.plot([z], [max(z, 0)], "o", color="0.2")
    left.set(xlabel="pre-activation: z − v to z + v", ylabel="behind the ReLU")
    top = z + v
    centre = max(z, 0.0)
    ends = {"true": (0.0, top)}
    for rule in ("zero", "fastlin"):
        width = half_width(torch.tensor(z), torch.tensor(v), rule).item()
        ends[rule] = (centre - width, centre + width)
    colours = {
        "true": METHOD_COLOURS["ibp"],
        **{rule: METHOD_COLOURS[f"singleprop-{rule}"] for rule in ("zero", "fastlin")},
    }
    for place, (name, (low, high)) in enumerate(ends.items()):
        right.plot([place, place], [low, high], color=colours[name], linewidth=6, solid_capstyle="butt")
        right.plot([place], [(low + high) / 2], "_", color="black", markersize=18)
        if high < top:
            right.annotate(
                f"{top - high:.2f} short", (place, high), (place + 0.1, high), fontsize="small", va="top"
            )
    for axes in (left, right):
        axes.axhline(top, color="0.6", linestyle=":", zorder=0)
    right.set_xticks(range(3), ["interval\nbounds", "SingleProp,\nzero", "SingleProp,\nfastlin"])
    right.set_xlim(-0.5, 2.7)
    return figure


def _legend(figure: Figure, methods: pd.Series) -> None:
    handles = [
        Line2D([], [], color=colour, marker="o", label=METHOD_NAMES[name])
        for name, colour in METHOD_COLOURS.items()
        if name in set(methods)
    ]
    key(figure, handles, title="training", beside=True)


@redrawn
def accuracy_by_radius(rows: pd.DataFrame) -> Figure:
    """Certified accuracy (solid) and accuracy under PGD (dashed) against the radius, one colour per method,
    the gap between them shaded; means over seeds.

    Args:
        rows: Columns method, kind ("clean", "interval" or "pgd"), epsilon in [0, 1] and accuracy in [0, 1].
    """
    figure, (axes,) = canvas(width=WIDEST, height=4.2)
    for name, colour in METHOD_COLOURS.items():
        own = rows[rows.method == name]
        if own.empty:
            continue
        means = own.groupby(["kind", "epsilon"]).accuracy.mean().mul(100)
        curves = {
            kind: pd.concat([means["clean"], means[kind]]) for kind in ("interval", "pgd") if kind in means
        }
        for kind, curve in curves.items():
            style = "-" if kind == "interval" else "--"
            axes.plot(255 * curve.index, curve.values, style, color=colour, marker="o", markersize=3)
        if len(curves) == 2 and curves["interval"].index.equals(curves["pgd"].index):
            low, high = curves["interval"], curves["pgd"]
            axes.fill_between(255 * low.index, low.values, high.values, color=colour, alpha=0.12, linewidth=0)
    axes.set_xscale("symlog", linthresh=0.5, linscale=0.4)
    ticks = sorted(set(255 * rows.epsilon))
    axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
    axes.minorticks_off()
    axes.set(xlabel="radius ε (in 1/255)", ylabel="accuracy (%)", ylim=(0, None))
    _legend(figure, rows.method)
    return figure


@redrawn
def half_widths(rows: pd.DataFrame, panels: Mapping[str, str]) -> Figure:
    """One panel per column against the epochs trained, one line per layer; or, with a single epoch, against
    the layer with one line per method.

    Args:
        rows: Columns method, epoch, depth and those of the panels: means over units and seeds.
        panels: {column: title}.
    """
    figure, axes_of = canvas(len(panels), width=WIDEST, height=3.9, narrow=2)
    trained = rows.epoch.nunique() > 1
    for axes, (column, title) in zip(axes_of, panels.items(), strict=True):
        for (name, depth), own in rows.groupby(["method", "depth"]) if trained else ():
            style = ["-", "--", ":", "-."][(depth - 1) % 4]
            axes.plot(own.epoch, own[column], style, color=METHOD_COLOURS[name], marker="o", markersize=3)
        for name, own in () if trained else rows.groupby("method"):
            axes.plot(own.depth, own[column], color=METHOD_COLOURS[name], marker="o", markersize=3)
        axes.set_title(title, fontsize="small")
        axes.set_xlabel("epochs trained" if trained else LAYER_LABEL, fontsize="small")
        if column != "unstable" and (rows[column] > 0).any():
            axes.set_yscale("log")
    _legend(figure, rows.method)
    return figure


@redrawn
def four_accuracies(rows: pd.DataFrame, columns: Mapping[str, str]) -> Figure:
    """Accuracies of every method side by side, one panel per kind, one point per network.

    Args:
        rows: Columns method and those named, in [0, 1].
        columns: {column: title}.
    """
    figure, axes_of = canvas(len(columns), width=WIDEST, height=3.6, narrow=2, sharey=True)
    for axes, (column, title) in zip(axes_of, columns.items(), strict=True):
        for place, (name, colour) in enumerate(METHOD_COLOURS.items()):
            values = 100 * rows[rows.method == name][column].dropna()
            axes.plot([place] * len(values), values, "o", color=colour, alpha=0.8)
        axes.set_title(title, fontsize="small")
        axes.set_xticks([])
    figure.axes[0].set(ylabel="accuracy (%)", ylim=(0, None))
    _legend(figure, rows.method)
    return figure
