"""The ledger of claims as a picture, for places that show no HTML of ours; `ledger` is the same as HTML."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from lib.base.text import number
from lib.book.figures.ledger import BAND, COLOURS, FIRST, NEUTRAL, SIGNS, Axis, axis, numbers
from lib.papers import ledger
from lib.papers.ledger import Entry, Row

INK = "#16191f"


@dataclass(frozen=True)
class Layout:
    """Where things are, in inches from the left, and how high lines are.

    Attributes:
        left: Left end of the axes.
        right: Right end of the axes.
        value: Left end of numbers; None where there is no room for them.
        chip: Right end of verdicts.
        letters: Letters of a claim's statement in a line.
        size: Of letters, in points.
        line: Height of a line of text.
        row: Height of a part's row.
        beside: Whether a part's name and verdict stand beside its axis, not above it.
    """

    width: float
    left: float
    right: float
    value: float | None
    chip: float
    letters: int
    size: float
    line: float
    row: float
    beside: bool


WIDE = Layout(9.6, 2.25, 6.0, 6.15, 9.5, 78, 8.5, 0.185, 0.2, True)
NARROW = Layout(4.1, 0.1, 4.0, None, 4.0, 44, 9.5, 0.2, 0.46, False)


class _Canvas:
    """A page in inches, written from the top."""

    def __init__(self, axes: Axes, layout: Layout) -> None:
        self.axes, self.layout, self.down = axes, layout, 0.1

    def text(self, x: float, words: str, *, right: bool = False, **how: Any) -> None:
        style: dict[str, Any] = {"fontsize": self.layout.size, "color": INK} | how
        self.axes.text(x, self.down, words, ha="right" if right else "left", va="center", **style)

    def chip(self, verdict: str, *, more: str = "", x: float | None = None) -> None:
        ground, ink = COLOURS[verdict]
        style = "--" if verdict == "not tested" else "-"
        box: dict[str, Any] = {
            "boxstyle": "round,pad=0.18,rounding_size=0.5",
            "facecolor": ground,
            "linestyle": style,
        }
        words = f"{SIGNS.get(verdict, '')} {verdict}{' yet' if verdict == 'not tested' else ''}{more}".strip()
        box |= {"edgecolor": NEUTRAL if ink != "#ffffff" else ground, "linewidth": 0.7}
        self.text(
            (self.layout.chip if x is None else x) - 0.05,
            words,
            right=True,
            color=ink,
            bbox=box,
            fontsize=self.layout.size - 1,
        )

    def place(self, across: Axis, value: float) -> float:
        return self.layout.left + (self.layout.right - self.layout.left) * across.place(value)

    def stroke(self, across: Axis, ends: tuple[float, float, float], height: float, **how: Any) -> None:
        middle, low, high = ends
        if not math.isnan(low):
            self.axes.plot(
                [self.place(across, low), self.place(across, high)],
                [height, height],
                color=how["color"],
                linewidth=1.6,
                solid_capstyle="butt",
            )
        if not math.isnan(middle):
            self.axes.plot([self.place(across, middle)], [height], marker="o", markersize=4.5, **how)

    def strip(self, row: Row, across: Axis, height: float) -> None:
        part, tall = row.part, 0.19
        if part.rule.delta:
            left, right = self.place(across, -part.rule.delta), self.place(across, part.rule.delta)
            self.axes.add_patch(Rectangle((left, height - tall / 2), right - left, tall, facecolor=BAND))
        middle = self.place(across, 0)
        self.axes.plot([middle, middle], [height - tall / 2, height + tall / 2], color=NEUTRAL, linewidth=0.7)
        if row.first:
            ends = row.first.estimate, row.first.low, row.first.high
            self.stroke(across, ends, height + 0.05, color=FIRST, markerfacecolor="white")
        ground, ink = COLOURS[part.verdict]
        colour = ground if ink == "#ffffff" else NEUTRAL
        self.stroke(across, (part.estimate, part.low, part.high), height - 0.03, color=colour)
        if row.published:
            self.axes.plot(
                [self.place(across, row.published[0])],
                [height - 0.03],
                marker="D",
                markersize=4,
                color=INK,
                markerfacecolor="white",
                markeredgewidth=0.9,
            )

    def unit(self, unit: str, across: Axis | None) -> None:
        layout = self.layout
        self.down += 0.5 * layout.line
        self.text(0.05, unit, weight="bold")
        if across:
            if not layout.beside:
                self.down += layout.line
            for place, tick in enumerate(across.ticks):
                if layout.beside or place % 2 == (len(across.ticks) // 2) % 2:
                    where: dict[str, Any] = {
                        "ha": "center",
                        "va": "center",
                        "fontsize": layout.size - 1,
                        "color": INK,
                    }
                    self.axes.text(self.place(across, tick), self.down, number(tick), **where)
        self.down += 0.6 * layout.line
        self.axes.plot([0.05, layout.chip], [self.down, self.down], color=NEUTRAL, linewidth=0.8)
        self.down += 0.75 * layout.line

    def entry(self, one: Entry, across: Axis | None) -> None:
        layout = self.layout
        if layout.beside:
            self.chip(one.verdict.verdict)
            if one.verdict.standing:
                where = layout.chip - 1.2
                self.text(where, one.verdict.standing, right=True, color=NEUTRAL, fontsize=layout.size - 1)
        for line in textwrap.wrap(f"{one.claim.id}  {one.statement}", layout.letters):
            self.text(0.05, line, weight="bold")
            self.down += layout.line
        if not layout.beside:
            self.chip(one.verdict.verdict)
            for words in (f"first round: {one.first_verdict}", one.verdict.standing):
                if words:
                    self.text(0.2, words, color=NEUTRAL, fontsize=layout.size - 1)
                    self.down += layout.line
        self.down += 0.1 * layout.line
        for row in one.rows if across else ():
            value, before = numbers(row)
            height = self.down if layout.beside else self.down + layout.line
            assert across
            self.strip(row, across, height)
            self.text(0.2, row.part.rule.name)
            if layout.value is not None:
                said = value or (f"○ {before}" if before else "")
                self.text(layout.value, said, color=INK if value else NEUTRAL)
            if row.part.verdict != one.verdict.verdict or len(one.rows) > 1:
                self.chip(row.part.verdict, more=", small" if row.part.small else "")
            self.down += layout.row
        self.down += 0.35 * layout.line


def forest(entries: Sequence[Entry], *, narrow: bool = False) -> Figure:
    """The ledger as a picture: one row per claim and part, one axis per unit.

    Args:
        entries: Claims, in any number.
        narrow: Whether it is drawn for a phone, with names above their axes.
    """
    layout = NARROW if narrow else WIDE
    figure = Figure(figsize=(layout.width, 1), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    canvas = _Canvas(axes, layout)
    marks = {
        "mean over seeds, 95 % interval": Line2D([], [], color=INK, marker="o", markersize=4.5),
        "±δ: no effect inside": Rectangle((0, 0), 1, 1, facecolor=BAND),
        "first round, between the same α": Line2D(
            [], [], color=FIRST, marker="o", markersize=4.5, markerfacecolor="white"
        ),
        "published": Line2D(
            [], [], color=INK, marker="D", markersize=4, markerfacecolor="white", linestyle=""
        ),
    }
    how = "; linear near 0, by factors beyond δ" if layout.beside else ""
    canvas.text(0.05, f"→ speaks for the paper, ← against it{how}")
    columns = 4 if layout.beside else 1
    lines = math.ceil(len(marks) / columns)
    below = canvas.down + 0.6 * layout.line
    axes.legend(
        marks.values(), marks.keys(), loc="upper left", ncols=columns, frameon=False,
        fontsize=layout.size - 0.5, borderpad=0, borderaxespad=0, handletextpad=0.5, columnspacing=1.2,
        labelspacing=0.3, bbox_to_anchor=(0.05, below), bbox_transform=axes.transData,
    )  # fmt: skip
    canvas.down += (lines + 0.9) * layout.line
    for unit in ledger.UNITS:
        some = [one for one in entries if one.unit == unit]
        if some:
            across = axis(some)
            canvas.unit(unit, across)
            for one in some:
                canvas.entry(one, across)
    axes.set(xlim=(0, layout.width), ylim=(canvas.down, 0))
    figure.set_size_inches(layout.width, canvas.down)
    return figure
