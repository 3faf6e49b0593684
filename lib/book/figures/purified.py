"""Figures of feature purification in image networks: their weights, and what they look for."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from lib.book.figures.canvas import WIDEST, canvas, is_narrow, key, picture, redrawn
from lib.book.figures.purification import GREEN, OLIVE, PURPLE, chance, cosines_below
from lib.papers.purification import LARGE_ANGLE, SMALL_ANGLE
from lib.purification import measures

# How image networks are drawn, by the name that the rules have for them: the parent, what went on from it as
# before, and what went on with an attack.
IMAGES: dict[str, tuple[str, LineStyleType, str]] = {
    "parent": ("0.15", "-", "clean"),
    "control": ("0.55", "--", "clean for longer (control)"),
    "adversarial": (PURPLE, "-", "adversarial, L∞ 8/255"),
    "weaker": (PURPLE, "--", "adversarial, L∞ 4/255"),
    "l2": (PURPLE, "-.", "adversarial, L2 0.5"),
    "selective": (GREEN, "-", "α above 0"),
    "scratch": (OLIVE, "-", "adversarial from the start"),
}


def _mean_below(dimensions: float, edges: np.ndarray) -> np.ndarray:
    """The same of a mean over many filters, which lies at the mean of one."""
    return (edges > measures.chance_angle(int(dimensions))).astype(float)


@redrawn
def image_angles(angles: pd.DataFrame) -> Figure:
    """Histograms of theta over the filters of image networks: to their first weights, to the parent's, and on
    average to the layer's other filters; dotted, random directions of as many numbers as each filter has.

    Args:
        angles: Tables `weight_angles` with a column `network`.
    """
    figure, every = canvas(3, width=WIDEST, height=3.6)
    edges = np.linspace(0, 1, 21)
    panels = {
        "angle_start": "to the first weights",
        "angle_reference": "to the clean network's: θ(w, w′)",
        "angle_others": "mean to other filters: θ(wᵢ, wⱼ)",
    }
    there = [name for name in IMAGES if name in set(angles.network)]
    for axes, (column, title) in zip(every, panels.items(), strict=True):
        for name in there:
            if (name, column) == ("parent", "angle_reference"):
                continue
            values = angles[angles.network == name][column].dropna().clip(0, 1)
            colour, dash, _ = IMAGES[name]
            shares = np.histogram(values, edges)[0] / max(len(values), 1)
            axes.stairs(100 * shares, edges, color=colour, linestyle=dash, linewidth=1.5)
        one = angles[angles.network == there[0]]
        sizes = one.inputs.value_counts().to_dict()
        chance(axes, edges, sizes, _mean_below if column == "angle_others" else cosines_below)
        for place in (SMALL_ANGLE, LARGE_ANGLE):
            axes.axvline(place, color="0.85", zorder=0)
        axes.set(xlabel="θ", xlim=(0, 1), ylim=(0, None))
        axes.set_title(title, fontsize="medium")
    figure.axes[0].set_ylabel("filters (%)")
    handles = [
        Line2D([], [], color=c, linestyle=s, label=label) for c, s, label in map(IMAGES.__getitem__, there)
    ]
    handles.append(Line2D([], [], color="0.4", linestyle=":", label="random directions"))
    key(figure, handles)
    return figure


@redrawn
def filters_of(pictures: pd.DataFrame) -> Figure:
    """The first filters of image networks, one panel per network, each filter at the same place in all.

    Args:
        pictures: Rows of the table `pictures` of one seed, of kind "filter", with a column `network`.
    """
    there = [name for name in IMAGES if name in set(pictures.network)]
    figure, panels = canvas(len(there), columns=min(len(there), 3), width=WIDEST, height=3.4)
    for axes, name in zip(panels, there, strict=True):
        own = pictures[pictures.network == name].sort_values("place")
        shown = [np.pad(picture(png), ((0, 1), (0, 1), (0, 0)), constant_values=255) for png in own.png]
        across = math.ceil(math.sqrt(len(shown)))
        shown += [np.full_like(shown[0], 255)] * (-len(shown) % across)
        rows = [np.concatenate(shown[at : at + across], axis=1) for at in range(0, len(shown), across)]
        axes.imshow(np.concatenate(rows), interpolation="nearest")
        axes.set_title(IMAGES[name][2], fontsize="medium")
        axes.axis("off")
    return figure


@redrawn
def pictures_of(pictures: pd.DataFrame) -> Figure:
    """Pictures in rows, one row per network or what else they are of, the same unit or image below the other.

    Args:
        pictures: Columns row (what a row is of), title (of a picture) and png; as many in each row.
    """
    rows = list(dict.fromkeys(pictures.row))
    across = max(len(own) for _, own in pictures.groupby("row"))
    figure, panels = canvas(
        len(rows) * across, columns=across, narrow=across, width=WIDEST, height=1.3, narrow_height=0.7
    )
    for axes in panels:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for down, row in enumerate(rows):
        own = pictures[pictures.row == row]
        for place, one in enumerate(own.itertuples()):
            axes = panels[down * across + place]
            axes.imshow(picture(one.png), interpolation="nearest")
            axes.set_title(one.title if not down else "", fontsize="x-small")
        label = row.replace(", ", ",\n")
        panels[down * across].set_ylabel(
            label, rotation=0, ha="right", va="center", fontsize="x-small" if is_narrow() else "small"
        )
    return figure


@redrawn
def image_ranks(low_rank: pd.DataFrame) -> Figure:
    """Accuracy of the parent's weights plus the strongest directions of a change, clean on the left and under
    PGD on the right; lines through means over seeds.

    Args:
        low_rank: Tables `low_rank` with a column `network`.
    """
    figure, both = canvas(2, width=WIDEST, height=3.9, sharey=True)
    titles = {"clean": "unperturbed", "attacked": "under PGD"}
    drawn = [one for one in IMAGES if one in set(low_rank.network) and one != "parent"]
    for axes, (column, title) in zip(both, titles.items(), strict=True):
        ranks = sorted(set(low_rank["rank"]))
        for name in drawn:
            rows = low_rank[low_rank.network == name]
            means = 100 * (rows[column] / rows.images).groupby(rows["rank"]).mean()
            colour, dash, _ = IMAGES[name]
            places = [ranks.index(one) for one in means.index]
            axes.plot(places, means, color=colour, linestyle=dash, marker="o")
        axes.set_xticks(range(len(ranks)), [*map(str, ranks[:-1]), "all"])
        axes.set(xlabel="directions of the change that are kept", title=title, ylim=(0, 101))
    figure.axes[0].set_ylabel("accuracy (%)")
    found = [IMAGES[name] for name in drawn]
    key(figure, [Line2D([], [], color=c, linestyle=dash, label=label) for c, dash, label in found])
    return figure
