"""Style of the figures: one colour per alpha on every page, and SVG and PDF that are equal byte for byte if
nothing has changed.
"""

from __future__ import annotations

import io
import math
import numbers
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from html import escape
from itertools import pairwise
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
from lib.book.figures import canvas
from lib.papers import statistics
from lib.runs import provenance
from lib.training import variants
from lib.training.recipe import Training

matplotlib.use("agg", force=False)

ALPHA_LABEL = "selectivity scale α (spacing not linear)"
SI_LABEL = "mean class selectivity"
LAYER_LABEL = "ReLU layer, from the input"
# blue for alpha < 0, nearly black for 0, orange for alpha > 0: told apart with any of the common colour
# blindnesses, and in grey by lightness
_PALETTE = sns.diverging_palette(250, 30, s=95, l=62, center="dark", as_cmap=True)
_FULL = 2.0  # |alpha| from which the colour is full; beyond it the paper calls the networks degenerate
# colours of ways of training: plain as dark as alpha = 0, AugMix green, PGD from light pink to dark purple by
# its steps; none of the latter is a colour of an alpha
_AUGMIX, _PGD = "#12a07a", sns.color_palette("RdPu", as_cmap=True)
_TRADES, _WEIGHTED = "#6b8e23", "#7a3fb0"
# further colours that are not an alpha's: for what a figure points at, and for changes of accuracy from worse
# to better
POINTED, PALE, WRONG = "0.25", "0.75", "#b3341f"
CHANGE = sns.color_palette("PRGn", as_cmap=True)
SHADES = sns.color_palette("Greys", as_cmap=True)  # for shares and correlations
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

    `notebooks` moves alt text and caption to where the book looks for them, and so the figure as it is
    drawn for a narrow page.

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
    canvas.untangle(figure)
    small = canvas.narrow(figure)
    # captions are Markdown, which lets HTML through
    words = {"alt": " ".join(alt.split()), "caption": markdown.without_html(" ".join(caption.split()))}
    if small is not None:
        words["narrow"] = _svg(small)
    display(figure, metadata={"figure": {"name": name} | words})
    display(made, raw=True)
    pyplot.close(figure)


def _svg(figure: Figure) -> str:
    """A figure as SVG, equal byte for byte if nothing has changed."""
    canvas.untangle(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    return buffer.getvalue().decode()


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
    if isinstance(settings, variants.Trades | variants.Weighted):
        return to_rgb(_TRADES if isinstance(settings, variants.Trades) else _WEIGHTED)
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
    if labels := axes.get_xticklabels():  # a panel above others has none
        own.emphasise(labels, ticks)
    axes.minorticks_off()
    axes.set_xlabel(ALPHA_LABEL)
    axes.axvline(0, color="0.85", zorder=0)


def emphasised(alphas: Iterable[float]) -> set[float]:
    """The alphas whose curves stand out where there are many: the lowest, the one closest to 0, the highest,
    and those that a reader has added.
    """
    found = set(alphas)
    if not found:
        return found
    ends = {min(found), min(found, key=lambda alpha: (abs(alpha), alpha)), max(found)}
    return ends | {alpha for alpha in found if own.is_own(alpha)}


def alpha_key(figure: Figure, alphas: pd.Series) -> None:
    """Legend of the colours of alpha for a whole figure."""
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, label=number(alpha))
        for alpha, colour in alpha_palette(alphas).items()
    ]
    legend = canvas.key(figure, handles, title="α", beside=len(figure.axes) < 3)
    own.emphasise(legend.get_texts(), sorted(set(alphas)))


def curve_key(figure: Figure, alphas: Iterable[float], *, labelled: bool = True) -> None:
    """Legend of curves over alpha: below the figure of the faint ones alone, if those that stand out are
    labelled at their ends; else of all above it.
    """
    strong = emphasised(alphas)
    shown = [alpha for alpha in sorted(set(alphas)) if not (labelled and alpha in strong)]
    handles = [
        Line2D([], [], **_stroke(alpha, strong=alpha in strong), label=f"α = {number(alpha)}")
        for alpha in shown
    ]
    if handles:
        own.emphasise(canvas.key(figure, handles, above=not labelled).get_texts(), shown)


def _stroke(alpha: float, *, strong: bool) -> dict[str, Any]:
    """How a curve of an alpha is drawn: with all its colour, or faint."""
    return {"color": alpha_colour(alpha)} | (
        {"linewidth": 1.8, "marker": "o", "markersize": 3.5}
        if strong
        else {"linewidth": 1.0, "marker": "o", "markersize": 1.8, "alpha": 0.45}
    )


def label_ends(axes: Axes, ends: Mapping[float, float]) -> None:
    """Write to the right of a panel which curve is which, no label on another.

    Args:
        ends: {alpha: where its curve ends on the vertical axis}, whose limits are final.
    """
    line = 10.5 / 72  # inches from label to label
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top)
    grid, whole = axes.get_gridspec(), axes.get_figure(root=True)
    assert grid and whole  # it is a panel of a canvas
    height = 0.75 * whole.get_figheight() / grid.nrows
    across = axes.transData + axes.transAxes.inverted()
    places = {
        alpha: min(max(float(across.transform((axes.get_xlim()[0], y))[1]), 0.0), 1.0)
        for alpha, y in ends.items()
        if not math.isnan(y)
    }
    order = sorted(places, key=lambda alpha: (places[alpha], alpha))
    for before, after in pairwise(order):
        places[after] = max(places[after], places[before] + line / height)
    over = max([0.0, *(place - 1 for place in places.values())])
    for alpha in order:
        axes.annotate(
            f"α = {number(alpha)}",
            (1, places[alpha] - over),
            (3, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            fontweight="bold" if own.is_own(alpha) else "normal",
            color=alpha_colour(alpha),
        )


def dashes(alphas: pd.Series) -> dict[float, Any]:
    """Dashes of each alpha, for figures whose colours are ways of training."""
    return {alpha: _DASHES[place % len(_DASHES)] for place, alpha in enumerate(sorted(set(alphas)))}


def variant_key(figure: Figure, rows: pd.DataFrame) -> None:
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
    canvas.key(figure, handles, title="training", beside=True)


def curve_with_range(
    axes: Axes, wide: pd.DataFrame, alpha: float, *, strong: bool = True, face: object = None
) -> None:
    """Draw a line in the colour of alpha through the means over seeds, and a band from the lowest seed to the
    highest; gaps where no seed has a number.

    The band is the range, not an interval: with few seeds, intervals of seven alphas would cover each other
    and show nothing.

    Args:
        wide: One row per seed, one column per place on the horizontal axis.
        strong: Whether the curve stands out; others are faint and have no band.
        face: Colour inside the points, if not that of the line.
    """
    stroke = _stroke(alpha, strong=strong)
    axes.plot(
        wide.columns,
        wide.mean(),
        **stroke
        | {"markerfacecolor": stroke["color"] if face is None else face, "zorder": 3 if strong else 2},
    )
    if strong:
        axes.fill_between(
            wide.columns, wide.min(), wide.max(), color=stroke["color"], alpha=0.18, linewidth=0
        )


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
    size = 24 if canvas.is_narrow() else 42
    axes.scatter(
        summary.alpha, summary[y], facecolors=faces, edgecolors=colours, s=size, zorder=2, clip_on=False
    )
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
