"""Style of the figures: one colour per alpha on every page, and SVG and PDF that are equal byte for byte if
nothing has changed.
"""

from __future__ import annotations

import math
import numbers
import os
import re
import warnings
from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from lib import papers
from lib.base.text import number
from lib.book import kernels, markdown, own, sources
from lib.papers import statistics
from lib.runs import provenance
from lib.training import variants
from lib.training.recipe import Training

matplotlib.use("agg", force=False)

ALPHA_LABEL = "selectivity scale α"
SI_LABEL = "mean class selectivity"
LAYER_LABEL = "ReLU layer, from the input"
WIDEST = 9.6  # inches; labels of wider figures are too small to read on a page
# blue for alpha < 0, nearly black for 0, orange for alpha > 0: told apart with any of the common colour
# blindnesses, and in grey by lightness
_PALETTE = sns.diverging_palette(250, 30, s=95, l=62, center="dark", as_cmap=True)
_FULL = 2.0  # |alpha| from which the colour is full; beyond it the paper calls the networks degenerate
# colours of ways of training: plain as dark as alpha = 0, AugMix green, PGD from light pink to dark purple by
# its steps; none of the latter is a colour of an alpha
_AUGMIX, _PGD = "#12a07a", sns.color_palette("RdPu", as_cmap=True)
# further colours that are not an alpha's: for what a figure points at, and for changes of accuracy from worse
# to better
POINTED, PALE, WRONG = "0.25", "0.75", "#b3341f"
CHANGE = sns.color_palette("PRGn", as_cmap=True)
# steps of PGD at the middle of its colour ramp: 1, 2 and 4 steps can be told apart, and so can 10, 20 and 40
_HALF_STEPS = 3
# dashes for each alpha, in order, where colours are ways of training
_DASHES = ["", (4, 1.5), (1, 1), (3, 1, 1, 1)]


def setup() -> None:
    """Set the style of all figures of a chapter and make them reproducible; call it once, before drawing."""
    os.environ["SOURCE_DATE_EPOCH"] = kernels.EPOCH  # read when a figure is saved
    # from matplotlib's own defaults, whatever a matplotlibrc says; but figures may be open in the backend
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", matplotlib.MatplotlibDeprecationWarning)
        for name, usual in matplotlib.rcParamsDefault.items():
            if name not in ("backend", "interactive"):
                matplotlib.rcParams[name] = usual
    sns.set_theme(context="notebook", style="ticks", font="DejaVu Sans", font_scale=0.95)
    matplotlib.rcParams |= {
        "svg.hashsalt": "selectivity-book",
        "figure.figsize": (7, 4),
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", "pdf")  # HTML takes the one, LaTeX the other
    except (ImportError, AttributeError):
        pass  # outside a notebook


def show(
    figure: Figure,
    *,
    name: str,
    alt: str,
    caption: str,
    read: Mapping[Training, tuple[str, ...]] | None = None,
    source: str = "",
) -> None:
    """Display a figure with its alt text and caption, which may contain numbers, and below it a fold-out that
    names the runs it was made from.

    `notebooks` moves alt text and caption to where the book looks for them.

    Args:
        name: Label that other pages refer to, such as "fig-selectivity".
        alt: One sentence on what is seen, and in which direction.
        read: Runs that the figure is made from, and what of each; from `chapter.Parameters.read`.
        source: File of the project that the numbers are from, if they are from no run.

    Raises:
        InputError: For a figure without runs and without a source.
    """
    from IPython.display import display
    from matplotlib import pyplot

    simulated = provenance.simulations_so_far()
    made = sources.bundle(name, read or {}, simulated=simulated, source=source)
    # captions are Markdown, which lets HTML through
    words = {"alt": " ".join(alt.split()), "caption": markdown.without_html(" ".join(caption.split()))}
    display(figure, metadata={"figure": {"name": name} | words})
    display(made, raw=True)
    pyplot.close(figure)


def alpha_colour(alpha: float) -> tuple[float, float, float, float]:
    """Colour of an alpha, the same on every page; logarithmic in ``|alpha|`` like the paper's grid. An alpha
    that a reader has added has one that no other has.
    """
    if added := own.colour(alpha):
        return added
    strength = min(math.log1p(abs(alpha) / 0.1) / math.log1p(_FULL / 0.1), 1.0)
    return _PALETTE(0.5 + math.copysign(0.5 * strength, alpha) if alpha else 0.5)


def alpha_palette(alphas: pd.Series) -> dict[float, tuple]:
    """Colours for seaborn's `palette`, in ascending order of alpha."""
    return {alpha: alpha_colour(alpha) for alpha in sorted(set(alphas))}


def variant_colour(variant: str) -> tuple[float, float, float]:
    """Colour of a way of training, the same on every page; the more steps PGD has, the darker it is."""
    if variant == "augmix":
        return to_rgb(_AUGMIX)
    settings = variants.variant(variant).settings
    if not isinstance(settings, variants.Adversarial):
        return alpha_colour(0.0)[:3]
    steps = settings.steps
    return _PGD(0.2 + 0.8 * steps / (steps + _HALF_STEPS))[:3]


def alpha_axis(axes: Axes, alphas: pd.Series) -> None:
    """Make the horizontal axis one of alpha: linear near 0, logarithmic outside, with a tick at every
    network's alpha.
    """
    axes.set_xscale("symlog", linthresh=0.4, linscale=0.6)
    ticks = sorted(set(alphas))
    axes.set_xticks(ticks, [number(tick) for tick in ticks])
    own.emphasise(axes.get_xticklabels(), ticks)
    axes.minorticks_off()
    axes.set_xlabel(ALPHA_LABEL)
    axes.axvline(0, color="0.85", zorder=0)


def alpha_legend(beside: Axes | Figure, alphas: pd.Series, **where: Any) -> None:
    """Legend of the colours of alpha, for a panel or a whole figure."""
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, label=number(alpha))
        for alpha, colour in alpha_palette(alphas).items()
    ]
    legend = beside.legend(handles=handles, title="α", frameon=False, **where)
    own.emphasise(legend.get_texts(), sorted(set(alphas)))


def alpha_key(figure: Figure, alphas: pd.Series) -> None:
    """Legend of the colours of alpha for a figure of several panels in constrained layout: beside two panels,
    above three.
    """
    if len(figure.axes) < 3:
        alpha_legend(figure, alphas, loc="outside right center")
    else:
        alpha_legend(
            figure,
            alphas,
            loc="outside upper center",
            ncols=len(set(alphas)),
            columnspacing=1,
            handletextpad=0.1,
        )


def dashes(alphas: pd.Series) -> dict[float, Any]:
    """Dashes of each alpha, for figures whose colours are ways of training."""
    return {alpha: _DASHES[place % len(_DASHES)] for place, alpha in enumerate(sorted(set(alphas)))}


def variant_legend(axes: Axes, rows: pd.DataFrame, **where: Any) -> None:
    """Legend of the colours of ways of training, in the order of the table, and of the dashes of alphas if
    there are several.
    """
    handles = [
        Line2D(
            [],
            [],
            marker="o",
            linestyle="",
            color=variant_colour(variant),
            label=variants.variant(variant).label,
        )
        for variant in rows.variant.unique()
    ]
    found = dashes(rows.alpha)
    if len(found) > 1:
        named: dict[str, LineStyleType] = {
            f"α = {number(alpha)}": (0, dash) if dash else "-" for alpha, dash in found.items()
        }
        handles += [
            Line2D([], [], color="0.4", linestyle=style, label=label) for label, style in named.items()
        ]
    axes.legend(handles=handles, title="training", frameon=False, **where)


def curve_with_range(
    axes: Axes, wide: pd.DataFrame, alpha: float, *, face: object = None, size: float = 3
) -> None:
    """Draw a line in the colour of alpha through the means over seeds, and a band from the lowest seed to the
    highest; gaps where no seed has a number.

    The band is the range, not an interval: with few seeds, intervals of seven alphas would cover each other
    and show nothing.

    Args:
        wide: One row per seed, one column per place on the horizontal axis.
    """
    colour = alpha_colour(alpha)
    axes.plot(
        wide.columns,
        wide.mean(),
        color=colour,
        marker="o",
        markersize=size,
        markerfacecolor=colour if face is None else face,
        linewidth=1.3,
    )
    axes.fill_between(wide.columns, wide.min(), wide.max(), color=colour, alpha=0.18, linewidth=0)


def against_alpha(
    axes: Axes, summary: pd.DataFrame, y: str, *, label: str, hollow: pd.Series | None = None
) -> None:
    """Draw one point per network, coloured by alpha, a line through the means over seeds, and their 95 % t
    interval if there are at least three seeds.

    Args:
        hollow: (networks,) bool, the networks that are drawn hollow.
    """
    middle = summary.groupby("alpha")[y].mean()
    axes.plot(middle.index, middle.values, color="0.6", linewidth=1, zorder=1)
    colours = [alpha_colour(alpha) for alpha in summary.alpha]
    faces = (
        colours
        if hollow is None
        else ["white" if empty else colour for empty, colour in zip(hollow, colours, strict=True)]
    )
    axes.scatter(summary.alpha, summary[y], facecolors=faces, edgecolors=colours, s=42, zorder=2)
    for alpha, values in summary.groupby("alpha")[y]:
        if len(values) >= papers.LEAST_SEEDS:
            low, high = statistics.t_interval(values)
            axes.vlines(alpha, low, high, color=alpha_colour(alpha), linewidth=2, zorder=1)
    alpha_axis(axes, summary.alpha)
    axes.set_ylabel(label)


class Link(NamedTuple):
    """Cell of a table that links to another place of the book."""

    text: str
    # relative to the page: "05-gradients.ipynb#fig-gradients", which the build turns into the page
    target: str

    def html(self) -> str:
        return (
            f'<a href="{escape(self.target)}">{escape(self.text)}</a>' if self.target else escape(self.text)
        )


def show_table(rows: pd.DataFrame, *, anchors: bool = False) -> None:
    """Display a table without its index, as plain HTML that is the same on every run; a cell may be a `Link`,
    and a string may have several lines.

    Args:
        anchors: Whether the first column has keys of runs, to which the links below figures lead.
    """
    from IPython.display import HTML, display

    def markup(cell: object) -> object:
        if isinstance(cell, Link):
            return cell.html()
        if isinstance(cell, numbers.Number | np.bool_ | None):
            return cell
        if cell is pd.NA or cell is pd.NaT:
            return None
        return escape(str(cell)).replace("\n", "<br>")  # lists and dicts of files that were read, too

    # a name of the index or of all columns would be a corner of the table
    named = rows.rename_axis(index=None, columns=None).rename(columns=lambda name: escape(str(name)))
    rows = named.map(markup)
    markup_of_all = rows.to_html(
        index=False, border=0, justify="left", na_rep="", classes=["table"], escape=False
    )
    if anchors:
        markup_of_all = re.sub(
            r"(<tr>\s*)<td>(\w+)</td>",
            lambda found: f'{found[1]}<td id="{sources.anchor(found[2])}">{found[2]}</td>',
            markup_of_all,
        )
    display(HTML(markup_of_all))
