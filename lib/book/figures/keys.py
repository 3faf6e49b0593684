"""Legends of the colours of α and of ways of training, and the dashes that tell values of α apart where
colours are ways of training.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType

from lib.base.text import number
from lib.book import own
from lib.book.figures import canvas
from lib.book.figures.colours import alpha_palette, variant_colour
from lib.book.figures.curves import emphasised, point, stroke
from lib.training import variants

# dashes for each alpha, in order, where colours are ways of training
_DASHES = ["", (4, 1.5), (1, 1), (3, 1, 1, 1)]


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
        Line2D([], [], **stroke(alpha, strong=alpha in strong), label=f"α = {number(alpha)}")
        for alpha in shown
    ]
    if handles:
        own.emphasise(canvas.key(figure, handles, above=not labelled).get_texts(), shown)


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


def point_key(figure: Figure, alphas: Iterable[float]) -> None:
    """Legend of the points of alpha for a whole figure, drawn as `point` draws them."""
    shown = sorted(set(alphas))
    strong = emphasised(shown)
    handles = [Line2D([], [], **point(alpha, strong=alpha in strong), label=number(alpha)) for alpha in shown]
    own.emphasise(canvas.key(figure, handles, title="α", beside=True).get_texts(), shown)
