"""Paper that figures are drawn on: side by side on a wide page, one below the other on a phone; and tick
labels that do not lie on each other.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec
from weakref import WeakKeyDictionary

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator
from PIL import Image

WIDEST = 9.6  # inches; labels of wider figures are too small to read on a page
NARROW = 3.9  # inches: a phone's column, on which labels keep the size they are drawn in
_HEIGHT = 2.7  # inches of a row of panels there
_AIR = 0.1  # inches around panels, where there are several
_GAP = 2.0  # pixels between tick labels
_P = ParamSpec("_P")
_narrow: ContextVar[bool] = ContextVar("narrow", default=False)
_again: WeakKeyDictionary[Figure, Callable[[], Figure]] = WeakKeyDictionary()


def is_narrow() -> bool:
    """Whether what is drawn now is for a narrow page."""
    return _narrow.get()


@contextmanager
def _for_a_phone() -> Iterator[None]:
    token = _narrow.set(True)
    try:
        with matplotlib.rc_context({
            "axes.labelsize": 9.5,
            "axes.titlesize": 10,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
        }):
            yield
    finally:
        _narrow.reset(token)


def redrawn(draw: Callable[_P, Figure]) -> Callable[_P, Figure]:
    """Decorator of functions that draw a figure: `narrow` can draw it again for a narrow page."""

    @functools.wraps(draw)
    def drawn(*given: _P.args, **named: _P.kwargs) -> Figure:
        figure = draw(*given, **named)
        _again[figure] = lambda: draw(*given, **named)
        return figure

    return drawn


def narrow(figure: Figure) -> Figure | None:
    """The same figure drawn for a narrow page; None if what has drawn it is not `redrawn`."""
    if figure not in _again:
        return None
    with _for_a_phone():
        return _again[figure]()


def canvas(
    panels: int = 1,
    *,
    columns: int = 0,
    narrow: int = 1,
    width: float = 7.0,
    height: float = 4.0,
    narrow_height: float = _HEIGHT,
    **shared: Any,
) -> tuple[Figure, list[Axes]]:
    """An empty figure and its panels, row by row.

    Args:
        columns: Panels in a row of a wide page; 0 for all in one.
        narrow: Panels in a row of a narrow page.
        width: Of the figure on a wide page, in inches.
        height: Of a row there, in inches.
        narrow_height: Of a row on a narrow page.
        shared: `sharex` and `sharey` of matplotlib's `subplots`.
    """
    across = min(narrow if is_narrow() else columns or panels, panels)
    down = math.ceil(panels / across)
    size = (NARROW, down * narrow_height) if is_narrow() else (min(width, WIDEST), down * height)
    # a title needs some air to the label of the axis above it, and on a phone a label to the panel beside it
    air = ConstrainedLayoutEngine(
        h_pad=_AIR if down > 1 else None, w_pad=_AIR if is_narrow() and across > 1 else None
    )
    figure = Figure(figsize=size, layout=air)
    found = list(figure.subplots(down, across, squeeze=False, **shared).flatten())
    for spare in found[panels:]:
        spare.remove()
    if shared.get("sharex"):  # the lowest panel of each column has the ticks
        for place, axes in enumerate(found[:panels]):
            axes.tick_params(labelbottom=place + across >= panels)
    return figure, found[:panels]


def key(
    figure: Figure, handles: Sequence[Line2D], *, title: str = "", beside: bool = False, above: bool = False
) -> Legend:
    """Legend of a whole figure: below it, or beside it where a page is wide.

    Args:
        beside: Whether it stands to the right, one entry below the other, on a wide page.
        above: Whether it stands above the figure, as where below it an axis has its label for all panels.
    """
    if beside and not is_narrow():
        return figure.legend(handles=handles, title=title, frameon=False, loc="outside right center")
    longest = max((len(str(handle.get_label())) for handle in handles), default=1)
    most = max(1, int(figure.get_figwidth() * 10 / (longest + 5)))  # letters of this size to the inch
    rows = math.ceil(len(handles) / most)
    return figure.legend(
        handles=handles,
        title=title,
        frameon=False,
        loc="outside upper center" if above else "outside lower center",
        ncols=math.ceil(len(handles) / rows) if rows else 1,
        columnspacing=1,
        handletextpad=0.4,
        fontsize="small",
        title_fontsize="small",
    )


def never_below_zero(axes: Axes) -> None:
    """Let both axes of a panel of shares, whose values are all 0 or more, begin at 0 where they would begin
    below.
    """
    axes.set_ylim(bottom=max(axes.get_ylim()[0], 0))
    if axes.get_xscale() == "linear":
        axes.set_xlim(left=max(axes.get_xlim()[0], 0))


def from_zero(axes: Axes) -> None:
    """Begin the vertical axis of a panel at 0, with room above what is highest.

    Values that differ little among each other would else lie on the panel's upper edge, cut in half.
    """
    top = max(axes.get_ylim()[1], 1.06 * float(axes.dataLim.y1))
    axes.set_ylim(0, top)


def untangle(figure: Figure) -> None:
    """Move tick labels of horizontal axes that would lie on each other: named ones into a second row, and so
    on; of numbers there are fewer.
    """
    figure.draw_without_rendering()
    for axes in figure.axes:
        labels = [label for label in axes.get_xticklabels() if label.get_text() and label.get_visible()]
        if not axes.axison or any(label.get_rotation() or "\n" in label.get_text() for label in labels):
            continue
        rows = _rows([(box.x0, box.x1) for box in (label.get_window_extent() for label in labels)])
        if not any(rows):
            continue
        if isinstance(axes.xaxis.get_major_locator(), FixedLocator):
            lowered = {
                label.get_text(): "\n" * row + label.get_text()
                for label, row in zip(labels, rows, strict=True)
            }
            words = [label.get_text() for label in axes.get_xticklabels()]
            for one in axes.get_shared_x_axes().get_siblings(axes):  # which are as wide
                one.set_xticks(axes.get_xticks(), [lowered.get(word, word) for word in words])
        elif axes.get_xscale() == "linear":
            whole = all("." not in label.get_text() for label in labels)
            axes.xaxis.set_major_locator(MaxNLocator(max(2, len(labels) // 2), integer=whole))


def _rows(extents: Sequence[tuple[float, float]]) -> list[int]:
    """The row of each label, 0 the first, in which it lies on no other.

    Args:
        extents: Their left and right ends in pixels.
    """
    ends: list[float] = []
    rows = [0] * len(extents)
    for place, (left, right) in sorted(enumerate(extents), key=lambda one: sum(one[1])):
        row = next((row for row, end in enumerate(ends) if left > end + _GAP), len(ends))
        ends[row : row + 1] = [right]
        rows[place] = row
    return rows


def picture(png: bytes) -> np.ndarray:
    """Pixels of a picture that a table holds, uint8 (h, w, 3)."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
