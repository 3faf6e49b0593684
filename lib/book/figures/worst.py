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
from lib.book.figures.canvas import WIDEST, canvas, is_narrow, key, never_below_zero, redrawn
from lib.book.figures.colours import alpha_colour
from lib.book.figures.curves import ALPHA_LABEL, against_alpha, curve_with_range, emphasised, label_ends
from lib.book.figures.keys import alpha_key, curve_key
from lib.papers import statistics


def _curves(axes: Axes, rows: pd.DataFrame, x: str, y: str, hollow: frozenset[float]) -> None:
    """One line per alpha, in percent, see `curve_with_range`; doubtful alphas are hollow."""
    strong, ends = emphasised(rows.alpha), {}
    for alpha, networks in rows.groupby("alpha"):
        wide = 100 * networks.pivot(index="seed", columns=x, values=y)
        curve_with_range(axes, wide, alpha, strong=alpha in strong, face="white" if alpha in hollow else None)
        if alpha in strong:
            ends[alpha] = wide.mean().iloc[-1]
    axes.set_ylim(bottom=0)
    label_ends(axes, ends)


def _seed_by_seed(axes: Axes, rows: pd.DataFrame) -> None:
    """A line of accuracy against epsilon for each network, in percent."""
    for (alpha, _), one in rows.groupby(["alpha", "seed"]):
        line = one.sort_values("epsilon")
        axes.plot(line.epsilon, 100 * line.accuracy, color=alpha_colour(alpha), marker="o", markersize=3.5)


@redrawn
def accuracy_by_strength(
    fgsm: pd.DataFrame,
    pgd: pd.DataFrame,
    published: pd.DataFrame | None = None,
    *,
    doubtful: tuple[frozenset[float], ...] = (frozenset(), frozenset()),
    alike: pd.DataFrame | None = None,
) -> Figure:
    """Accuracy under FGSM against epsilon and under PGD against steps, one line per alpha; the lowest, the
    one closest to 0 and the highest stand out.

    The paper's FGSM numbers have a panel of their own, since they are of another network and data set. Our
    networks of that kind stand in it, where there are any.

    Args:
        fgsm, pgd: Rows of one attack in a `robustness.by_strength` table, with clean images as strength 0.
        published: Table with the columns alpha, epsilon and accuracy (in percent).
        doubtful: Alphas that are drawn hollow, for FGSM and for PGD.
        alike: Networks of the published kind: a table with the columns alpha, seed, epsilon and accuracy (a
            share), one row per network and strength.
    """
    figure, panels = canvas(
        2 if published is None else 3, width=8.4 if published is None else WIDEST, height=4
    )
    panels[0].set(xlabel="FGSM: ε, in pixels of [0, 1]", ylabel="accuracy (%)", title="FGSM")
    _curves(panels[0], fgsm, "epsilon", "accuracy", doubtful[0])
    panels[1].set(xlabel="PGD: steps", title=f"PGD, steps of {pgd.step_size.max():.2g}")
    _curves(panels[1], pgd, "steps", "accuracy", doubtful[1])
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
        has_ours = alike is not None and len(alike) > 0
        if alike is not None and has_ours:
            _seed_by_seed(panels[2], alike[alike.epsilon <= 1.2 * published.epsilon.max()])
        words = "dotted: published" if has_ours else "published; no network of ours yet"
        panels[2].set(xlabel="FGSM: ε")
        panels[2].set_title(f"ResNet18, Tiny ImageNet\n({words})", fontsize="medium")
        panels[2].set_ylim(bottom=0)
        last = published.sort_values("epsilon").groupby("alpha").accuracy.last()
        label_ends(panels[2], {alpha: last[alpha] for alpha in emphasised(published.alpha)})
    curve_key(figure, fgsm.alpha)
    return figure


@redrawn
def jacobian_and_alpha(summary: pd.DataFrame) -> Figure:
    """Mean norm of the Jacobian against alpha, and the same in units of each image's spread of logits, on
    logarithmic axes.
    """
    figure, panels = canvas(2, width=9, height=3.9)
    labels = {"jacobian": "norm of the Jacobian (logits)", "relative_jacobian": "norm / spread of the logits"}
    for axes, (column, label) in zip(panels, labels.items(), strict=True):
        against_alpha(axes, summary, column, label=label)
        axes.set_yscale("log")
        # limits from the points: an interval may reach 0
        axes.set_ylim(summary[column].min() / 1.3, summary[column].max() * 1.3)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    return figure


def _above(shares: pd.Series) -> float:
    """Upper end of an axis in percent that leaves some room above the highest of some shares."""
    return min(100.0, 120 * max(shares.max(), 0.05))


@redrawn
def transferred_and_alpha(rows: pd.DataFrame) -> Figure:
    """Transfer accuracy against alpha, on images crafted on alpha = 0 networks, one panel per radius.

    The rows are those of one attack in `robustness.transferred`.
    """
    radii = list(rows.groupby("epsilon"))
    alone = len(radii) == 1
    figure, panels = canvas(
        len(radii),
        columns=3,
        width=6.4 if alone else WIDEST,
        height=3.6 if alone else 2.4,
        narrow_height=2.6 if alone else 1.9,
        sharex=True,
        sharey=True,
    )
    for axes, (epsilon, networks) in zip(panels, radii, strict=True):
        against_alpha(axes, networks.assign(percent=100 * networks.accuracy), "percent", label="")
        axes.set(title=f"radius {255 * epsilon:.3g}/255", xlabel="")
    panels[0].set_ylim(0, _above(rows.accuracy) if alone else 100)
    figure.supxlabel(ALPHA_LABEL, fontsize="medium")
    figure.supylabel("accuracy on others' images (%)", fontsize="medium")
    return figure


@redrawn
def survival(summary: pd.DataFrame, attacks: dict[str, str], doubtful: dict[str, pd.Series]) -> Figure:
    """Accuracy under several attacks of one radius against alpha, one panel per attack, with accuracy on the
    same images unattacked as short strokes; and below it, the one divided by the other, on an axis of its
    own.

    Args:
        attacks: {column: name of the attack}.
        doubtful: {column: (networks,) bool, in the order of the summary}, the networks that are drawn hollow.
    """
    figure, panels = canvas(
        2 * len(attacks),
        columns=len(attacks),
        narrow=2,
        width=max(2.4 * len(attacks), 5),
        height=2.7,
        narrow_height=2.1,
        sharex=True,
    )
    # on a wide page what belongs together is a column, on a narrow one a row
    pairs = zip(panels[::2], panels[1::2], strict=True)
    if not is_narrow():
        pairs = zip(panels[: len(attacks)], panels[len(attacks) :], strict=True)
    bases = {
        column: "autoattack_clean" if column == "autoattack_accuracy" else "attacked_clean"
        for column in attacks
    }
    highest = _above(pd.concat([summary[column] / summary[base] for column, base in bases.items()]))
    for (column, name), (above, below) in zip(attacks.items(), pairs, strict=True):
        rows = summary.assign(
            clean=100 * summary[bases[column]],
            accuracy=100 * summary[column],
            share=100 * summary[column] / summary[bases[column]],
            hollow=doubtful[column].to_numpy(),
        )
        rows = rows[rows.accuracy.notna()]
        strokes = rows.groupby("alpha").clean.mean()
        above.plot(
            strokes.index,
            strokes.values,
            color="0.35",
            marker="_",
            markersize=9,
            linestyle="",
        )
        for axes, y, top in ((above, "accuracy", 100.0), (below, "share", highest)):
            against_alpha(axes, rows, y, label="", hollow=rows.hollow)
            axes.set(xlabel="", ylim=(0, top))
            axes.set_title(name, fontsize="medium")
        above.set_ylabel("accuracy (%)", fontsize="medium")
        below.set_ylabel("of unattacked (%)", fontsize="medium")
    for axes in panels:
        if not is_narrow() and axes not in (panels[0], panels[len(attacks)]):
            axes.set_ylabel("")
    words = "the same images unattacked"
    stroke = Line2D([], [], color="0.35", marker="_", markersize=9, linestyle="", label=words)
    key(figure, [stroke], above=True)
    figure.supxlabel(ALPHA_LABEL, fontsize="medium")
    return figure


@redrawn
def average_and_worst(summary: pd.DataFrame, column: str, doubtful: frozenset[float] = frozenset()) -> Figure:
    """Mean accuracy on corrupted images against accuracy under attack, one point per alpha, with 95 % t
    intervals if there are at least three seeds; doubtful points are hollow.
    """
    figure, (axes,) = canvas(narrow_height=3.6)
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
    never_below_zero(axes)
    alpha_key(figure, summary.alpha)
    return figure
