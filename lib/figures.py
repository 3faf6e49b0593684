"""Figures: one style, one colour for an alpha on every page, SVG and PDF that are equal byte for byte when nothing changed."""

from __future__ import annotations

import io
import math
import os
import textwrap

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from lib import claims

matplotlib.use("agg", force=False)

ALPHA_LABEL = "selectivity scale α"
SI_LABEL = "mean class selectivity"
# blue for alpha < 0, nearly black for 0, orange for alpha > 0: told apart with any of the common colour blindnesses, and in grey by lightness
_PALETTE = sns.diverging_palette(250, 30, s=95, l=62, center="dark", as_cmap=True)
_FULL = 2.0  # |alpha| from which the colour is full; beyond it the paper calls the networks degenerate
# ways of training: plain as dark as alpha = 0, AugMix green, PGD from light pink to dark purple by its steps; neither is a colour of an alpha
_AUGMIX, _PGD = "#12a07a", sns.color_palette("RdPu", as_cmap=True)
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


def show(figure: Figure, *, name: str, alt: str, caption: str) -> None:
    """Display a figure with its alt text and caption, which may hold numbers; `chapters` puts them where the book looks for them.

    name  the label other pages refer to: "fig-..."
    alt   a sentence: what is seen, and in which direction
    """
    from IPython.display import display
    from matplotlib import pyplot

    display(figure, metadata={"figure": {"name": name, "alt": " ".join(alt.split()), "caption": " ".join(caption.split())}})
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
    steps = claims.strength(variant)
    if not steps:
        return alpha_colour(0.0)[:3]
    return _PGD(0.2 + 0.8 * steps / (steps + _HALF_STEPS))[:3]


def alpha_axis(axes: Axes, alphas: pd.Series) -> None:
    """A horizontal axis for alpha: linear near 0, logarithmic outside, a tick at every network's alpha."""
    axes.set_xscale("symlog", linthresh=0.4, linscale=0.6)
    ticks = sorted(set(alphas))
    axes.set_xticks(ticks, [f"{tick:g}".replace("-", "−") for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(ALPHA_LABEL)
    axes.axvline(0, color="0.85", zorder=0)


def alpha_legend(axes: Axes, alphas: pd.Series, **where: object) -> None:
    """The key to the colours of alpha."""
    handles = [Line2D([], [], marker="o", linestyle="", color=colour, label=f"{alpha:g}".replace("-", "−")) for alpha, colour in alpha_palette(alphas).items()]
    axes.legend(handles=handles, title="α", frameon=False, **where)


def _dashes(alphas: pd.Series) -> dict[float, object]:
    """The dashes of each alpha, for figures whose colours are ways of training."""
    return {alpha: _DASHES[place % len(_DASHES)] for place, alpha in enumerate(sorted(set(alphas)))}


def variant_legend(axes: Axes, rows: pd.DataFrame, **where: object) -> None:
    """The key to the colours of ways of training, in the order of the table, and to the dashes of its alphas where there are several."""
    handles = [
        Line2D([], [], marker="o", linestyle="", color=variant_colour(variant), label=claims.variant_name(variant)) for variant in rows.variant.unique()
    ]
    dashes = _dashes(rows.alpha)
    if len(dashes) > 1:
        named = {f"α = {alpha:g}".replace("-", "−"): (0, dash) if dash else "-" for alpha, dash in dashes.items()}
        handles += [Line2D([], [], color="0.4", linestyle=style, label=label) for label, style in named.items()]
    axes.legend(handles=handles, title="training", frameon=False, **where)


def against_alpha(axes: Axes, summary: pd.DataFrame, y: str, *, label: str) -> None:
    """A point a network, coloured by alpha, a line through the means over seeds, and their 95 % t interval from three seeds on."""
    middle = summary.groupby("alpha")[y].mean()
    axes.plot(middle.index, middle.values, color="0.6", linewidth=1, zorder=1)
    axes.scatter(summary.alpha, summary[y], color=[alpha_colour(alpha) for alpha in summary.alpha], s=42, zorder=2)
    for alpha, values in summary.groupby("alpha")[y]:
        if len(values) >= claims.LEAST_SEEDS:
            low, high = claims.t_interval(values)
            axes.vlines(alpha, low, high, color=alpha_colour(alpha), linewidth=2)
    alpha_axis(axes, summary.alpha)
    axes.set_ylabel(label)


def selectivity_and_alpha(summary: pd.DataFrame, published: pd.DataFrame | None = None) -> Figure:
    """Mean selectivity against alpha: all units, live units alone, and published values of another network beside them."""
    figure = Figure(figsize=(7, 4.2))
    axes = figure.subplots()
    if published is not None:
        axes.plot(published.alpha, published.selectivity, color="0.75", marker="s", markersize=4, linestyle=":", label="published: ResNet18, Tiny ImageNet")
    live = summary.groupby("alpha").live_selectivity.mean()
    axes.plot(live.index, live.values, color="0.35", marker="_", markersize=11, linestyle="", label="dead units left out")
    against_alpha(axes, summary, "mean_selectivity", label=SI_LABEL)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, loc="upper left")
    return figure


def selectivity_by_layer(units: pd.DataFrame, *, by: str = "alpha") -> Figure:
    """Mean selectivity of each ReLU layer, one line an alpha; all units left, live units right.

    by  "variant": colours are ways of training, and dashes tell several alphas apart
    """
    figure = Figure(figsize=(8.4, 4))
    panels = figure.subplots(1, 2, sharey=True)
    how = {"hue": "alpha", "palette": alpha_palette(units.alpha)}
    if by == "variant":
        how = {"hue": "variant", "palette": {variant: variant_colour(variant) for variant in units.variant.unique()}}
        how |= {"style": "alpha", "dashes": _dashes(units.alpha)}
    for axes, rows, title in zip(panels, (units, units[~units.dead]), ("all units", "dead units left out"), strict=True):
        means = rows.groupby(sorted({"alpha", by}) + ["seed", "depth"], as_index=False).selectivity.mean()
        sns.lineplot(means, x="depth", y="selectivity", **how, errorbar=None, marker="o", markersize=4, legend=False, ax=axes)
        axes.set(title=title, xlabel="ReLU layer, from the input", ylabel="mean class selectivity of the layer")
    place = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
    variant_legend(panels[1], units, **place) if by == "variant" else alpha_legend(panels[1], units.alpha, **place)
    figure.tight_layout()
    return figure


def selectivity_and_steps(summary: pd.DataFrame) -> Figure:
    """Strength of PGD training: mean selectivity with and without dead units left, share of dead units right; a point a network, a line an alpha."""
    rows = summary.assign(steps=summary.variant.map(claims.strength), percent=100 * summary.dead)
    rows = rows[rows.steps.notna()]
    colours = [variant_colour(variant) for variant in rows.variant]
    figure = Figure(figsize=(8.4, 4))
    left, right = figure.subplots(1, 2)
    for axes, y, line in ((left, "mean_selectivity", "-"), (left, "live_selectivity", "--"), (right, "percent", "-")):
        hollow = {"facecolors": "none", "edgecolors": colours, "s": 110} if line == "--" else {"color": colours, "s": 36}
        axes.scatter(rows.steps, rows[y], zorder=2, **hollow)
        for alpha, networks in rows.groupby("alpha"):
            middle = networks.groupby("steps")[y].mean()
            axes.plot(middle.index, middle.values, color="0.6", linewidth=1, linestyle=line, zorder=1)
            if rows.alpha.nunique() > 1 and line == "-":
                axes.annotate(f"α = {alpha:g}".replace("-", "−"), (middle.index[-1], middle.iloc[-1]), (6, -3), textcoords="offset points", fontsize=9)
            for steps, values in networks.groupby("steps")[y]:
                if len(values) >= claims.LEAST_SEEDS:
                    axes.vlines(steps, *claims.t_interval(values), color="0.6", linewidth=1.5, linestyle=line, zorder=1)
        axes.set_xticks(sorted(set(rows.steps)), [f"{steps:g}" for steps in sorted(set(rows.steps))])
        axes.set_xlabel("steps of PGD in training (0: plain)")
    kinds = (("-", "0.3", 6, "all units"), ("--", "none", 10, "dead units left out"))
    handles = [Line2D([], [], marker="o", linestyle=line, color="0.6", mec="0.3", mfc=fill, markersize=size, label=words) for line, fill, size, words in kinds]
    left.legend(handles=handles, frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(-0.05, 1))
    left.set_ylabel(SI_LABEL)
    right.set_ylabel("dead units (%)")
    right.set_ylim(bottom=min(-1, -0.03 * right.get_ylim()[1]))
    figure.tight_layout()
    return figure


def accuracy_and_selectivity(summary: pd.DataFrame) -> Figure:
    """Clean test accuracy against mean selectivity, one point a network."""
    figure = Figure()
    axes = figure.subplots()
    axes.scatter(summary.mean_selectivity, 100 * summary.clean_accuracy, color=[alpha_colour(alpha) for alpha in summary.alpha], s=48)
    axes.set(xlabel=SI_LABEL, ylabel="clean test accuracy (%)")
    alpha_legend(axes, summary.alpha, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def dead_units(summary: pd.DataFrame) -> Figure:
    """Share of units that no test image makes fire, against alpha."""
    figure = Figure(figsize=(7, 3.6))
    axes = figure.subplots()
    against_alpha(axes, summary.assign(percent=100 * summary.dead), "percent", label="dead units (%)")
    axes.set_ylim(bottom=min(-1, -0.03 * axes.get_ylim()[1]))
    return figure


def example_units(examples: list[pd.DataFrame]) -> Figure:
    """Class-conditional mean activations, a panel a unit, classes in falling order: tables with columns title, class, mean."""
    figure = Figure(figsize=(4.4 * len(examples), 3.8))
    for axes, unit in zip(figure.subplots(1, len(examples), squeeze=False)[0], examples, strict=True):
        rows = unit.sort_values("mean", ascending=False, kind="stable")
        colours = ["#d98032"] + ["0.7"] * (len(rows) - 1)
        axes.barh(rows["class"], rows["mean"], color=colours)
        axes.axvline(rows["mean"].iloc[1:].mean(), color="0.2", linestyle="--", linewidth=1)
        axes.invert_yaxis()
        axes.set(title="\n".join(textwrap.wrap(rows.title.iloc[0], 40)), xlabel="mean activation")
    figure.tight_layout()
    return figure


def scale_of_selectivity(summary: pd.DataFrame) -> Figure:
    """The question: our networks on the scale of selectivity, and what the paper says lies at either end."""
    figure = Figure(figsize=(8, 2.5))
    axes = figure.subplots()
    axes.axhline(0, color="0.8", zorder=0)
    axes.scatter(summary.mean_selectivity, np.zeros(len(summary)), color=[alpha_colour(alpha) for alpha in summary.alpha], s=90)
    means = summary.groupby("alpha").mean_selectivity.mean()
    for place, (alpha, x) in enumerate(means.items()):
        axes.annotate(f"{alpha:g}".replace("-", "−"), (x, 0), (0, 10 if place % 2 else -19), textcoords="offset points", ha="center", fontsize=9)
    room = 0.08 * (means.max() - means.min()) or 0.05
    for x, align, words in (
        (0.0, "left", "← low selectivity: more dimensions,\nrobust to corruptions, weak against attacks"),
        (1.0, "right", "high selectivity: fewer dimensions, →\nrobust to attacks, weak against corruptions"),
    ):
        axes.text(x, 0.82, words, ha=align, va="center", fontsize=9.5, transform=axes.transAxes)
    axes.set(xlim=(means.min() - room, means.max() + room), ylim=(-0.8, 1.4), yticks=[])
    axes.set_xlabel(f"{SI_LABEL} (the words are the paper's claim, not yet our result)")
    axes.spines["left"].set_visible(False)
    return figure


def corrupted_examples(examples: pd.DataFrame) -> Figure:
    """One image, clean and under every corruption, with what the network takes it for; a `corruption_examples` table."""
    figure = Figure(figsize=(8, 1.9 * math.ceil(len(examples) / 5)))
    panels = figure.subplots(math.ceil(len(examples) / 5), 5, squeeze=False).flatten()
    for axes in panels:
        axes.axis("off")
    for axes, one in zip(panels, examples.itertuples(), strict=False):
        axes.imshow(np.asarray(Image.open(io.BytesIO(one.png))), interpolation="nearest")
        axes.set_title(one.corruption.replace("_", " "), fontsize=9, pad=3)
        right = one.predicted == one.label
        axes.text(0.5, -0.05, f"{one.predicted}, {one.confidence:.0%}", transform=axes.transAxes, ha="center", va="top", fontsize=8,
                  color="0.2" if right else "#b3341f", fontweight="normal" if right else "bold")  # fmt: skip
    figure.tight_layout(h_pad=1.0)
    return figure


def accuracy_by_corruption(rows: pd.DataFrame) -> Figure:
    """Accuracy on each corruption, a column an alpha, a dot a severity, 1 on top as a rule; means over seeds of an `accuracy.by_severity` table."""
    means = rows[rows.severity > 0].groupby(["corruption", "alpha", "severity"], sort=False).accuracy.mean().mul(100).reset_index()
    names, alphas = list(means.corruption.unique()), sorted(means.alpha.unique())
    figure = Figure(figsize=(11, 5))
    axes = figure.subplots()
    for place in range(1, len(names), 2):
        axes.axvspan(place - 0.5, place + 0.5, color="0.96", zorder=0)
    for (name, alpha), column in means.groupby(["corruption", "alpha"]):
        x = names.index(name) + 0.8 * ((alphas.index(alpha) + 0.5) / len(alphas) - 0.5)
        axes.vlines(x, column.accuracy.min(), column.accuracy.max(), color=alpha_colour(alpha), linewidth=1, alpha=0.6)
        axes.scatter([x] * len(column), column.accuracy, color=[alpha_colour(alpha)], s=9)
    axes.set_xticks(range(len(names)), [name.replace("_", " ") for name in names], rotation=50, ha="right", fontsize=9)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylabel="accuracy (%)")
    alpha_legend(axes, pd.Series(alphas), loc="center left", bbox_to_anchor=(1, 0.5))
    figure.tight_layout()
    return figure


def corrupted_and_alpha(summary: pd.DataFrame) -> Figure:
    """Against alpha: mean accuracy on corrupted images, clean accuracy on the same images as short strokes; and the one over the other."""
    figure = Figure(figsize=(9, 3.9))
    left, right = figure.subplots(1, 2)
    percent = summary.assign(**{column: 100 * summary[column] for column in ("subset_accuracy", "corrupted_accuracy", "relative_accuracy")})
    clean = percent.groupby("alpha").subset_accuracy.mean()
    left.plot(clean.index, clean.values, color="0.35", marker="_", markersize=12, linestyle="", label="clean images")
    against_alpha(left, percent, "corrupted_accuracy", label="accuracy on corrupted images (%)")
    left.legend(frameon=False, loc="lower left")
    against_alpha(right, percent, "relative_accuracy", label="corrupted over clean accuracy (%)")
    figure.tight_layout()
    return figure


def corrupted_and_clean(summary: pd.DataFrame) -> Figure:
    """Accuracy on corrupted against that on clean images, a point a network."""
    figure = Figure()
    axes = figure.subplots()
    colours = [alpha_colour(alpha) for alpha in summary.alpha]
    axes.scatter(100 * summary.subset_accuracy, 100 * summary.corrupted_accuracy, color=colours, s=48)
    axes.set(xlabel="accuracy on clean images (%)", ylabel="accuracy on corrupted images (%)")
    alpha_legend(axes, summary.alpha, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def change_by_corruption(changes: pd.DataFrame) -> Figure:
    """Change of accuracy against alpha = 0 in points: a row a corruption, a column an alpha; colours end at 10 points, the numbers do not."""
    figure = Figure(figsize=(1.9 + 0.8 * changes.shape[1], 0.9 + 0.32 * len(changes)))
    axes = figure.subplots()
    colours = sns.diverging_palette(20, 200, s=85, l=55, as_cmap=True)
    labels = changes.map(lambda value: f"{value:+.1f}".replace("-", "−"))
    sns.heatmap(changes, ax=axes, cmap=colours, vmin=-10, vmax=10, annot=labels, fmt="", annot_kws={"fontsize": 8.5}, cbar=False, linewidths=0.5)
    axes.set_xticklabels([f"{alpha:g}".replace("-", "−") for alpha in changes.columns], rotation=0)
    axes.set_yticklabels([name.replace("_", " ") for name in changes.index], rotation=0, fontsize=9)
    axes.set(xlabel=ALPHA_LABEL, ylabel="")
    axes.tick_params(length=0)
    figure.tight_layout()
    return figure


def agreement(cells: pd.DataFrame) -> Figure:
    """Accuracy on our corruptions against the reference's, a point a cell; the band is 1.5 points wide on each side."""
    figure = Figure(figsize=(5.4, 5))
    axes = figure.subplots()
    low, high = 100 * cells[["accuracy", "reference_accuracy"]].min().min() - 3, 100 * cells[["accuracy", "reference_accuracy"]].max().max() + 3
    axes.fill_between([low, high], [low - 1.5, high - 1.5], [low + 1.5, high + 1.5], color="0.9", zorder=0)
    for kind, colour in (("random", "#d98032"), ("deterministic", "none")):
        some = cells[cells.kind == kind]
        axes.scatter(100 * some.reference_accuracy, 100 * some.accuracy, facecolors=colour, edgecolors="#8a4d17", s=26, label=kind)
    axes.set(xlim=(low, high), ylim=(low, high), xlabel="accuracy, image by image (%)", ylabel="accuracy, ours (%)", aspect="equal")
    axes.legend(frameon=False)
    return figure


def show_table(rows: pd.DataFrame) -> None:
    """Display a table without its index, as plain HTML that is the same on every run."""
    from IPython.display import HTML, display

    display(HTML(rows.to_html(index=False, border=0, justify="left", na_rep="", classes=["table"])))


def ratios(rows: pd.DataFrame) -> Figure:
    """Benchmarks, a row each: ratio, range of the pairs, and the target as a stroke, on a logarithmic axis."""
    figure = Figure(figsize=(7, 0.6 + 0.5 * len(rows)))
    axes = figure.subplots()
    for place, one in enumerate(rows.itertuples()):
        axes.plot([one.low, one.high], [place, place], color="0.6", linewidth=2, zorder=1)
        axes.scatter([one.ratio], [place], color="#d98032" if one.met else "0.3", s=60, zorder=2)
        axes.plot([float(one.target.split()[-1])] * 2, [place - 0.3, place + 0.3], color="0.1", linewidth=2, zorder=3)
    axes.axvline(1, color="0.85", zorder=0)
    axes.set_yticks(range(len(rows)), [f"{one.name} ({one.device})" for one in rows.itertuples()])
    axes.invert_yaxis()
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("time of the peer / time of ours")
    return figure
