"""Figures of feature purification in the theorem's world, and what those of image networks share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType
from scipy import stats

from lib.book.figures.canvas import WIDEST, canvas, from_zero, is_narrow, key, redrawn
from lib.book.figures.colours import CHANGE
from lib.papers.purification import LARGE_ANGLE, SMALL_ANGLE

# Greys for clean training, purple for adversarial training of the same network, green for classifiers that
# are no network; none of these is an alpha's colour.
PURPLE, GREEN, OLIVE = "#762a83", "#1b7837", "#6b5500"
_LINES: dict[str, tuple[str, LineStyleType, str]] = {
    "clean": ("0.15", "-", "network, clean"),
    "more clean": ("0.55", "--", "network, clean for longer (control)"),
    "adversarial": (PURPLE, "-", "network, adversarial"),
    "kernel": (GREEN, "--", "kernel, clean"),
    "kernel, adversarial": (GREEN, "-", "kernel, adversarial"),
    "linear": ("#8a929e", ":", "linear, clean"),
    "linear, adversarial": ("#8a929e", "-.", "linear, adversarial"),
    "target rule": (OLIVE, ":", "the rule of pure features"),
}
_STAGES = {"start": "at the start", "clean": "clean", "more clean": "control", "adversarial": "adversarial"}
_MEASURES = {
    "mixture": "dense mixture",
    "top_atom": "energy of the strongest atom",
    "angle_pairs": "mean θ between neurons",
}


@redrawn
def robust_and_radius(accuracy: pd.DataFrame) -> Figure:
    """Accuracy against the radius of a perturbation, in units of tau: the universal perturbation on the left,
    PGD on the right; lines through means over seeds, bands from the lowest seed to the highest.

    Args:
        accuracy: The table `accuracy` of the simulation, of one setting.
    """
    figure, panels = canvas(2, width=WIDEST, height=4.8, sharey=True)
    titles = {"universal": "universal perturbation: asks no network", "pgd": "PGD"}
    for axes, (kind, title) in zip(panels, titles.items(), strict=True):
        for name, (colour, dash, _) in _LINES.items():
            own = accuracy[(accuracy.classifier == name) & accuracy.perturbation.isin(["none", kind])]
            places = (own.radius / own.tau.replace(0, np.nan)).fillna(0).round(4)
            wide = 100 * own.assign(place=places).pivot_table(
                index="seed", columns="place", values="accuracy"
            )
            axes.plot(wide.columns, wide.mean(), color=colour, linestyle=dash, marker="o", markersize=3)
            axes.fill_between(wide.columns, wide.min(), wide.max(), color=colour, alpha=0.15, linewidth=0)
        axes.axhline(50, color="0.8", linewidth=1, zorder=0)
        axes.axvline(1, color="0.8", linewidth=1, zorder=0)
        axes.set(xlabel="radius / τ", title=title, ylim=(0, 101))
    panels[0].set_ylabel("accuracy (%)")
    handles = [Line2D([], [], color=c, linestyle=dash, label=label) for c, dash, label in _LINES.values()]
    key(figure, handles)
    return figure


@redrawn
def weights_in_atoms(coefficients: pd.DataFrame) -> Figure:
    """Heat map of the first neurons of one seed in the atoms, each coefficient times the atom's vote and over
    the neuron's largest: after clean training on the left, after adversarial training on the right.

    Args:
        coefficients: The table `coefficients` of one seed.
    """
    figure, panels = canvas(2, width=WIDEST, height=3.6, sharey=True)
    for axes, stage in zip(panels, ("clean", "adversarial"), strict=True):
        wide = coefficients[coefficients.stage == stage].pivot(
            index="neuron", columns="atom", values="coefficient"
        )
        largest = wide.abs().max(axis=1).replace(0, 1)
        drawn = axes.imshow(wide.div(largest, axis=0), cmap=CHANGE, vmin=-1, vmax=1, aspect="auto")
        axes.set(xlabel="atom", title=f"after {stage} training")
    panels[0].set_ylabel("neuron")
    figure.colorbar(drawn, ax=panels, label="coefficient × vote / largest")
    return figure


@redrawn
def features_by_stage(stages: pd.DataFrame) -> Figure:
    """Dense mixture, energy of the strongest atom and mean theta between neurons at the four stages, one
    point per seed; the first stage, random weights, is the null. Dotted where the paper's c is.

    Args:
        stages: The table `stages` of the simulation, of one setting.
    """
    figure, panels = canvas(len(_MEASURES), width=WIDEST, height=3.7)
    for axes, (column, title) in zip(panels, _MEASURES.items(), strict=True):
        wide = stages.pivot(index="seed", columns="stage", values=column)[list(_STAGES)]
        for values in wide.to_numpy():
            axes.plot(range(len(_STAGES)), values, color="0.75", linewidth=1, zorder=1)
        for place, stage in enumerate(_STAGES):
            colour = _LINES.get(stage, ("0.75",))[0]
            axes.scatter([place] * len(wide), wide[stage], color=colour, s=28, zorder=2)
        if column == "angle_pairs":
            axes.axhline(SMALL_ANGLE, color="0.8", linestyle=":", linewidth=1, zorder=0)
        axes.set(ylim=(0, None))
        axes.set_title(title, fontsize="medium")
        axes.set_xticks(range(len(_STAGES)), list(_STAGES.values()), rotation=20)
    return figure


def cosines_below(dimensions: float, edges: np.ndarray) -> np.ndarray:
    """Shares of absolute cosines of random directions that lie below some values in [0, 1]."""
    # the square of such a cosine has a beta distribution
    if dimensions <= 1:
        return (edges >= 1).astype(float)
    return stats.beta.cdf(edges**2, 0.5, (dimensions - 1) / 2)


def chance(
    axes: Axes,
    edges: np.ndarray,
    sizes: Mapping[float, int],
    below: Callable[[float, np.ndarray], np.ndarray] = cosines_below,
) -> None:
    """Draw what random directions have, as a dotted line over the edges of bars.

    Args:
        axes: A panel of shares in percent.
        edges: Of the bars.
        sizes: {numbers of a direction: how many directions have so many}.
        below: (numbers, edges) -> shares of random values below the edges.
    """
    shares = sum(n * below(d, edges) for d, n in sizes.items()) / sum(sizes.values())
    axes.stairs(100 * np.diff(shares), edges, color="0.4", linestyle=":", linewidth=1.5)


@redrawn
def angles(shown: Mapping[str, Mapping[str, pd.Series]], dimensions: float) -> Figure:
    """Histograms of theta, one panel per kind of pair and one line per network; dotted, random directions;
    upright lines where the paper's c and C are.

    Args:
        shown: {title of a panel: {stage: values of theta in [0, 1]}}.
        dimensions: In how many dimensions a neuron's weights lie.
    """
    figure, panels = canvas(len(shown), width=WIDEST, height=3.6)
    edges = np.linspace(0, 1, 21)
    for axes, (title, lines) in zip(panels, shown.items(), strict=True):
        for stage, values in lines.items():
            colour, dash, label = _LINES[stage]
            there = np.clip(values.dropna().to_numpy(), 0, 1)
            bars = np.histogram(there, edges)[0] / max(len(there), 1)
            axes.stairs(100 * bars, edges, color=colour, linestyle=dash, linewidth=1.6, label=label)
        chance(axes, edges, {dimensions: 1})
        for place in (SMALL_ANGLE, LARGE_ANGLE):
            axes.axvline(place, color="0.85", zorder=0)
        axes.set(title=title, xlabel="θ", xlim=(0, 1), ylim=(0, None))
    figure.axes[0].set_ylabel("neurons (%)")
    found = [_LINES[stage] for stage in dict.fromkeys(stage for lines in shown.values() for stage in lines)]
    handles = [Line2D([], [], color=c, linestyle=dash, label=label) for c, dash, label in found]
    handles.append(Line2D([], [], color="0.4", linestyle=":", label="random directions"))
    key(figure, handles)
    return figure


@redrawn
def change_in_directions(change: pd.DataFrame, accuracy: pd.DataFrame, shape: tuple[int, int]) -> Figure:
    """Left, energy of the change in its strongest directions, adversarial training and the control, and of a
    random matrix of that shape; right, accuracy of clean weights plus the strongest directions alone.

    Args:
        change, accuracy: Tables of the simulation, of one setting.
        shape: Neurons and coordinates.
    """
    figure, (left, right) = canvas(2, width=WIDEST, height=3.9)
    for stage in ("adversarial", "more clean"):
        colour, dash, label = _LINES[stage]
        wide = 100 * change[change.stage == stage].pivot(index="seed", columns="directions", values="energy")
        left.plot(wide.columns, wide.mean(), color=colour, linestyle=dash, label=label.split(", ")[-1])
        left.fill_between(wide.columns, wide.min(), wide.max(), color=colour, alpha=0.15, linewidth=0)
    sizes = np.linalg.svd(np.random.default_rng(0).normal(size=shape), compute_uv=False) ** 2
    shares = 100 * np.cumsum(sizes) / sizes.sum()
    left.plot(range(1, len(sizes) + 1), shares, color="0.4", linestyle=":", label="random matrix")
    left.set(xlabel="strongest directions", ylabel="energy of the change (%)", ylim=(0, 101))
    left.set_xscale("log")
    at_tau = accuracy[(accuracy.radius == 0) | ((accuracy.radius - accuracy.tau).abs() < 1e-9)]
    names = {"clean": "0", "rank 1": "1", "rank 5": "5", "rank 20": "20", "adversarial": "all"}
    styles: dict[str, tuple[str, LineStyleType]] = {
        "none": ("unperturbed", ":"),
        "universal": ("universal", "--"),
    }
    styles["pgd"] = ("PGD", "-")
    for kind, (label, style) in styles.items():
        rows = at_tau[(at_tau.perturbation == kind) & at_tau.classifier.isin(names)]
        means = 100 * rows.groupby("classifier").accuracy.mean().reindex(list(names))
        right.plot(range(len(names)), means, color=PURPLE, linestyle=style, marker="o", label=label)
    right.set_xticks(range(len(names)), list(names.values()))
    right.set(xlabel="directions of the change that are kept", ylabel="accuracy (%)", ylim=(0, 101))
    for axes in (left, right):  # below the panel: in it, lines leave no room on a phone
        place = (0.5, -0.36 if is_narrow() else -0.22)
        axes.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=place)
    return figure


@redrawn
def by_size(
    rows: pd.DataFrame, columns: Mapping[str, str], beside: Mapping[str, Mapping[str, str]] | None = None
) -> Figure:
    """Numbers of `lib.papers.purification_summary.summary` against d, one panel per column: one point per
    seed, and a line through the means.

    Args:
        rows: Such a summary of several sizes.
        columns: {column: title of its panel}.
        beside: {column: {another column: what it is}}, drawn in the same panel: a control, or what chance
            gives.
    """
    figure, panels = canvas(len(columns), width=WIDEST, height=3.4)
    for axes, (column, title) in zip(panels, columns.items(), strict=True):
        means = rows.groupby("d")[column].mean()
        axes.plot(means.index, means.values, color="0.6", linewidth=1, zorder=1)
        axes.scatter(rows.d, rows[column], color=PURPLE, s=24, zorder=2)
        for place, (other, label) in enumerate((beside or {}).get(column, {}).items()):
            line = rows.groupby("d")[other].mean()
            axes.plot(line.index, line.values, color="0.4", linestyle=(":", "--")[place % 2], label=label)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.2))
        axes.set_xscale("log")
        axes.set_xticks(means.index, [f"{size:g}" for size in means.index])
        axes.minorticks_off()
        axes.set(xlabel="d")
        from_zero(axes)
        axes.set_title(title, fontsize="medium")
    return figure
