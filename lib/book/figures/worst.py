"""Figures of the worst case: accuracy under attacks.

Hollow points are networks for which a check says that the attack may have failed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from lib import papers
from lib.book.figures.style import (
    WIDEST,
    against_alpha,
    alpha_axis,
    alpha_colour,
    alpha_key,
    alpha_legend,
    curve_with_range,
)
from lib.papers import statistics

# attacks are told apart by marker and by a grey, so that colour stays alpha's
_MARKERS = ("o", "s", "^", "D", "v")


def _curves(axes: Axes, rows: pd.DataFrame, x: str, y: str, hollow: frozenset[float]) -> None:
    """One line per alpha, in percent, see `curve_with_range`; doubtful alphas are hollow."""
    for alpha, networks in rows.groupby("alpha"):
        wide = 100 * networks.pivot(index="seed", columns=x, values=y)
        curve_with_range(axes, wide, alpha, face="white" if alpha in hollow else None, size=4)
    axes.set_ylim(bottom=0)


def accuracy_by_strength(
    fgsm: pd.DataFrame,
    pgd: pd.DataFrame,
    published: pd.DataFrame | None = None,
    *,
    doubtful: tuple[frozenset[float], ...] = (frozenset(), frozenset()),
) -> Figure:
    """Accuracy under FGSM against epsilon and under PGD against steps, one line per alpha.

    The paper's FGSM numbers have a panel of their own, since they are of another network and data set.

    Args:
        fgsm, pgd: Rows of one attack in a `robustness.by_strength` table, with clean images as strength 0.
        published: Table with the columns alpha, epsilon and accuracy (in percent).
        doubtful: Alphas that are drawn hollow, for FGSM and for PGD.
    """
    figure = Figure(figsize=(WIDEST if published is not None else 8.4, 4), layout="constrained")
    panels = figure.subplots(1, 3 if published is not None else 2)
    _curves(panels[0], fgsm, "epsilon", "accuracy", doubtful[0])
    panels[0].set(xlabel="FGSM: ε, in pixels of [0, 1]", ylabel="accuracy (%)", title="FGSM")
    _curves(panels[1], pgd, "steps", "accuracy", doubtful[1])
    panels[1].set(xlabel="PGD: steps", title=f"PGD, steps of {pgd.step_size.max():.2g}")
    if published is not None:
        for alpha, rows in published.groupby("alpha"):
            panels[2].plot(
                rows.epsilon,
                rows.accuracy,
                color=alpha_colour(alpha),
                marker="s",
                markersize=4,
                linestyle=":",
            )
        panels[2].set(xlabel="FGSM: ε", title="published: ResNet18,\nTiny ImageNet")
        panels[2].set_ylim(bottom=0)
    alpha_key(figure, fgsm.alpha)
    return figure


def jacobian_and_alpha(summary: pd.DataFrame) -> Figure:
    """Mean norm of the Jacobian against alpha, and the same in units of each image's spread of logits, on
    logarithmic axes.
    """
    figure = Figure(figsize=(9, 3.9))
    panels = figure.subplots(1, 2)
    labels = {"jacobian": "norm of the Jacobian (logits)", "relative_jacobian": "norm / spread of the logits"}
    for axes, (column, label) in zip(panels, labels.items(), strict=True):
        against_alpha(axes, summary, column, label=label)
        axes.set_yscale("log")
        # limits from the points: an interval may reach 0
        axes.set_ylim(summary[column].min() / 1.3, summary[column].max() * 1.3)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    figure.tight_layout()
    return figure


def transferred_and_alpha(rows: pd.DataFrame) -> Figure:
    """Transfer accuracy against alpha, on images crafted on alpha = 0 networks, one line per radius.

    The rows are those of one attack in `robustness.transferred`.
    """
    figure = Figure()
    axes, handles = figure.subplots(), []
    for place, (epsilon, networks) in enumerate(rows.groupby("epsilon")):
        marker = _MARKERS[place % len(_MARKERS)]
        handles.append(
            Line2D([], [], marker=marker, color="0.6", mfc="0.4", mec="0.4", label=f"{255 * epsilon:.3g}/255")
        )
        means = 100 * networks.groupby("alpha").accuracy.mean()
        axes.plot(means.index, means.values, color="0.6", linewidth=1, zorder=1)
        colours = [alpha_colour(alpha) for alpha in networks.alpha]
        axes.scatter(networks.alpha, 100 * networks.accuracy, color=colours, s=30, marker=marker, zorder=2)
    alpha_axis(axes, rows.alpha)
    axes.legend(handles=handles, title="radius", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set(ylabel="accuracy on others' adversarial images (%)", ylim=(0, None))
    return figure


def survival(summary: pd.DataFrame, attacks: dict[str, str], doubtful: dict[str, pd.Series]) -> Figure:
    """Accuracy under several attacks of one radius against alpha: as it is on the left, divided by accuracy
    on the same clean images on the right; means over seeds.

    Args:
        attacks: {column: name of the attack}.
        doubtful: {column: (networks,) bool, in the order of the summary}, the networks that are drawn hollow.
    """
    figure = Figure(figsize=(9.2, 4.6), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, relative, label in (
        (panels[0], False, "accuracy (%)"),
        (panels[1], True, "accuracy / clean accuracy (%)"),
    ):
        for place, (column, name) in enumerate(attacks.items()):
            clean = summary["autoattack_clean" if column == "autoattack_accuracy" else "attacked_clean"]
            values = 100 * (summary[column] / clean if relative else summary[column])
            there = values.notna()
            means = values[there].groupby(summary.alpha[there]).mean()
            marker, grey = (
                _MARKERS[place % len(_MARKERS)],
                f"{0.15 + 0.55 * place / max(len(attacks) - 1, 1):.2f}",
            )
            axes.plot(
                means.index,
                means.values,
                color=grey,
                linewidth=1.2,
                marker=marker,
                markersize=4,
                label=name,
                zorder=1,
            )
            for hollow in (False, True):
                some = there & (doubtful[column] == hollow)
                colours = [alpha_colour(alpha) for alpha in summary.alpha[some]]
                faces = "white" if hollow else colours
                axes.scatter(
                    summary.alpha[some],
                    values[some],
                    facecolors=faces,
                    edgecolors=colours,
                    marker=marker,
                    s=34,
                    zorder=2,
                )
        alpha_axis(axes, summary.alpha)
        axes.set(ylabel=label)
        axes.set_ylim(bottom=0)
    figure.legend(
        *panels[0].get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=len(attacks)
    )
    return figure


def average_and_worst(summary: pd.DataFrame, column: str, doubtful: frozenset[float] = frozenset()) -> Figure:
    """Mean accuracy on corrupted images against accuracy under attack, one point per alpha, with 95 % t
    intervals if there are at least three seeds; doubtful points are hollow.
    """
    figure = Figure()
    axes = figure.subplots()
    for alpha, networks in summary.groupby("alpha"):
        x, y = 100 * networks.corrupted_accuracy, 100 * networks[column]
        face = "white" if alpha in doubtful else alpha_colour(alpha)
        axes.scatter(
            [x.mean()], [y.mean()], facecolors=[face], edgecolors=[alpha_colour(alpha)], s=70, zorder=2
        )
        if len(networks) >= papers.LEAST_SEEDS:
            axes.hlines(
                y.mean(), *np.clip(statistics.t_interval(x), 0, 100), color=alpha_colour(alpha), zorder=1
            )
            axes.vlines(
                x.mean(), *np.clip(statistics.t_interval(y), 0, 100), color=alpha_colour(alpha), zorder=1
            )
    axes.set(
        xlabel="average case: accuracy on corrupted images (%)",
        ylabel="worst case: accuracy under attack (%)",
    )
    alpha_legend(axes, summary.alpha, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
