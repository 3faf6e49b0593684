"""Figure of the page on speed."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from lib.book.figures.canvas import canvas, is_narrow, redrawn
from lib.book.figures.colours import POINTED


@redrawn
def ratios(rows: pd.DataFrame) -> Figure:
    """One row per benchmark on a logarithmic axis: ratio (hollow if it misses the target), range of the
    pairs, and the target as a stroke.
    """
    height = 0.7 + 0.5 * len(rows)
    figure, (axes,) = canvas(height=height, narrow_height=height)
    for place, one in enumerate(rows.itertuples()):
        axes.plot([one.low, one.high], [place, place], color="0.6", linewidth=2, zorder=1)
        axes.scatter(
            [one.ratio],
            [place],
            facecolors=POINTED if one.met else "white",
            edgecolors=POINTED,
            s=60,
            zorder=2,
        )
        axes.plot(
            [float(one.target.split()[-1])] * 2,
            [place - 0.3, place + 0.3],
            color="0.1",
            linewidth=2,
            zorder=3,
        )
    axes.axvline(1, color="0.85", zorder=0)
    names = [f"{one.name} ({one.device})" for one in rows.itertuples()]
    axes.set_yticks(range(len(rows)), [] if is_narrow() else names)
    if is_narrow():  # above its row, where there is no room beside it
        for place, name in enumerate(names):
            axes.text(
                0.01,
                place - 0.3,
                name,
                transform=axes.get_yaxis_transform(),
                fontsize=8,
                zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )
        axes.set_ylim(-0.9, len(rows) - 0.5)
    axes.invert_yaxis()
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("time of the peer / time of ours")
    return figure
