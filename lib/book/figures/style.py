"""One style, one colour for an alpha on every page, SVG and PDF that are equal byte for byte when nothing changed."""

from __future__ import annotations

import math
import os
import re
from html import escape
from typing import NamedTuple

import matplotlib
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib import papers
from lib.base.text import number
from lib.book import sources
from lib.papers import statistics
from lib.runs import provenance
from lib.training import variants

matplotlib.use("agg", force=False)

ALPHA_LABEL = "selectivity scale α"
SI_LABEL = "mean class selectivity"
LAYER_LABEL = "ReLU layer, from the input"
WIDEST = 9.6  # inches: on a page, the labels of what is wider are too small to read
# blue for alpha < 0, nearly black for 0, orange for alpha > 0: told apart with any of the common colour blindnesses, and in grey by lightness
_PALETTE = sns.diverging_palette(250, 30, s=95, l=62, center="dark", as_cmap=True)
_FULL = 2.0  # |alpha| from which the colour is full; beyond it the paper calls the networks degenerate
# ways of training: plain as dark as alpha = 0, AugMix green, PGD from light pink to dark purple by its steps; neither is a colour of an alpha
_AUGMIX, _PGD = "#12a07a", sns.color_palette("RdPu", as_cmap=True)
# neither are these: what a figure points at, and changes of accuracy from worse to better
POINTED, PALE, WRONG = "0.25", "0.75", "#b3341f"
CHANGE = sns.color_palette("PRGn", as_cmap=True)
_HALF_STEPS = 3  # of PGD, at which its ramp is half through: 1, 2 and 4 steps are told apart, and so are 10, 20 and 40
_DASHES = ["", (4, 1.5), (1, 1), (3, 1, 1, 1)]  # one for each alpha, in order, where colour tells ways of training apart


def setup() -> None:
    """Style for all figures of a chapter, and what makes them reproducible; call once, before drawing."""
    os.environ.setdefault("SOURCE_DATE_EPOCH", "1602633600")  # 2020-10-14, the day of the paper's first version; read when a figure is saved
    sns.set_theme(context="notebook", style="ticks", font="DejaVu Sans", font_scale=0.95)
    matplotlib.rcParams |= {"svg.hashsalt": "selectivity-book", "figure.figsize": (7, 4), "axes.spines.top": False, "axes.spines.right": False}
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", "pdf")  # HTML takes the one, LaTeX the other
    except (ImportError, AttributeError):
        pass  # outside a notebook


def show(figure: Figure, *, name: str, alt: str, caption: str, source: str = "") -> None:
    """Display a figure with its alt text and caption, which may hold numbers, and a fold-out below it that says which runs it was made from.

    `notebooks` puts the former where the book looks for them.

    name    the label other pages refer to: "fig-..."
    alt     a sentence: what is seen, and in which direction
    source  the file of the project that its numbers are from, where they are from no run
    raises  InputError for a figure without either
    """
    from IPython.display import display
    from matplotlib import pyplot

    made = sources.bundle(name, provenance.so_far(), source=source)
    display(figure, metadata={"figure": {"name": name, "alt": " ".join(alt.split()), "caption": " ".join(caption.split())}})
    display(made, raw=True)
    pyplot.close(figure)


def alpha_colour(alpha: float) -> tuple[float, float, float, float]:
    """The colour of an alpha, the same on every page; logarithmic in |alpha|, as the paper's grid is."""
    strength = min(math.log1p(abs(alpha) / 0.1) / math.log1p(_FULL / 0.1), 1.0)
    return _PALETTE(0.5 + math.copysign(0.5 * strength, alpha) if alpha else 0.5)


def alpha_palette(alphas: pd.Series) -> dict[float, tuple]:
    """Colours for seaborn's `palette`, in ascending order of alpha."""
    return {alpha: alpha_colour(alpha) for alpha in sorted(set(alphas))}


def variant_colour(variant: str) -> tuple[float, float, float]:
    """The colour of a way of training, the same on every page; PGD is the darker the more steps it has."""
    if variant == "augmix":
        return to_rgb(_AUGMIX)
    steps = variants.variant(variant).strength
    if not steps:
        return alpha_colour(0.0)[:3]
    return _PGD(0.2 + 0.8 * steps / (steps + _HALF_STEPS))[:3]


def alpha_axis(axes: Axes, alphas: pd.Series) -> None:
    """A horizontal axis for alpha: linear near 0, logarithmic outside, a tick at every network's alpha."""
    axes.set_xscale("symlog", linthresh=0.4, linscale=0.6)
    ticks = sorted(set(alphas))
    axes.set_xticks(ticks, [number(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(ALPHA_LABEL)
    axes.axvline(0, color="0.85", zorder=0)


def alpha_legend(beside: Axes | Figure, alphas: pd.Series, **where: object) -> None:
    """The key to the colours of alpha, of a panel or of a whole figure."""
    handles = [Line2D([], [], marker="o", linestyle="", color=colour, label=number(alpha)) for alpha, colour in alpha_palette(alphas).items()]
    beside.legend(handles=handles, title="α", frameon=False, **where)


def alpha_key(figure: Figure, alphas: pd.Series) -> None:
    """The same for a figure of several panels in constrained layout: beside two, above three."""
    if len(figure.axes) < 3:
        alpha_legend(figure, alphas, loc="outside right center")
    else:
        alpha_legend(figure, alphas, loc="outside upper center", ncols=len(set(alphas)), columnspacing=1, handletextpad=0.1)


def dashes(alphas: pd.Series) -> dict[float, object]:
    """The dashes of each alpha, for figures whose colours are ways of training."""
    return {alpha: _DASHES[place % len(_DASHES)] for place, alpha in enumerate(sorted(set(alphas)))}


def variant_legend(axes: Axes, rows: pd.DataFrame, **where: object) -> None:
    """The key to the colours of ways of training, in the order of the table, and to the dashes of its alphas where there are several."""
    handles = [
        Line2D([], [], marker="o", linestyle="", color=variant_colour(variant), label=variants.variant(variant).label) for variant in rows.variant.unique()
    ]
    found = dashes(rows.alpha)
    if len(found) > 1:
        named = {f"α = {number(alpha)}": (0, dash) if dash else "-" for alpha, dash in found.items()}
        handles += [Line2D([], [], color="0.4", linestyle=style, label=label) for label, style in named.items()]
    axes.legend(handles=handles, title="training", frameon=False, **where)


def curve_with_range(axes: Axes, wide: pd.DataFrame, alpha: float, *, face: object = None, size: float = 3) -> None:
    """A line in the colour of alpha through the means over seeds, and a band from the lowest seed to the highest; gaps where no seed has a number.

    The band is the range and no interval: with few seeds, intervals of seven alphas would cover each other and say nothing.
    wide  a row a seed, a column a place on the horizontal axis
    """
    colour = alpha_colour(alpha)
    axes.plot(wide.columns, wide.mean(), color=colour, marker="o", markersize=size, markerfacecolor=colour if face is None else face, linewidth=1.3)
    axes.fill_between(wide.columns, wide.min(), wide.max(), color=colour, alpha=0.18, linewidth=0)


def against_alpha(axes: Axes, summary: pd.DataFrame, y: str, *, label: str, hollow: pd.Series | None = None) -> None:
    """A point a network, coloured by alpha, a line through the means over seeds, and their 95 % t interval from three seeds on.

    hollow  (networks,) bool: those drawn hollow
    """
    middle = summary.groupby("alpha")[y].mean()
    axes.plot(middle.index, middle.values, color="0.6", linewidth=1, zorder=1)
    colours = [alpha_colour(alpha) for alpha in summary.alpha]
    faces = colours if hollow is None else ["white" if empty else colour for empty, colour in zip(hollow, colours, strict=True)]
    axes.scatter(summary.alpha, summary[y], facecolors=faces, edgecolors=colours, s=42, zorder=2)
    for alpha, values in summary.groupby("alpha")[y]:
        if len(values) >= papers.LEAST_SEEDS:
            low, high = statistics.t_interval(values)
            axes.vlines(alpha, low, high, color=alpha_colour(alpha), linewidth=2, zorder=1)
    alpha_axis(axes, summary.alpha)
    axes.set_ylabel(label)


class Link(NamedTuple):
    """A cell of a table that leads to another place of the book."""

    text: str
    target: str  # relative to the page: "06-gradients.ipynb#fig-gradients", which the build turns into the page

    def html(self) -> str:
        return f'<a href="{escape(self.target)}">{escape(self.text)}</a>' if self.target else escape(self.text)


def show_table(rows: pd.DataFrame, *, anchors: bool = False) -> None:
    """Display a table without its index, as plain HTML that is the same on every run; a cell may be a `Link`, and a string may have several lines.

    anchors  the first column holds keys of runs: links below figures lead to them
    """
    from IPython.display import HTML, display

    def markup(cell: object) -> object:
        return cell.html() if isinstance(cell, Link) else escape(cell).replace("\n", "<br>") if isinstance(cell, str) else cell

    rows = rows.rename(columns=lambda name: escape(str(name))).map(markup)
    text = rows.to_html(index=False, border=0, justify="left", na_rep="", classes=["table"], escape=False)
    if anchors:
        text = re.sub(r"(<tr>\s*)<td>(\w+)</td>", lambda found: f'{found[1]}<td id="{sources.anchor(found[2])}">{found[2]}</td>', text)
    display(HTML(text))
