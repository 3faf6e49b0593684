"""The ledger of claims as a figure: a forest plot whose rows are HTML, so that it is read on a phone, by a
screen reader and on paper; what is behind a verdict folds out. `_static/ledger.css` is its style; `forest`
draws the same as a picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain

from lib.base.text import number
from lib.book import sources
from lib.papers import first_round, ledger, second_round
from lib.papers.claim import LEAST_SEEDS
from lib.papers.ledger import Entry, Row
from lib.papers.rules import rules
from lib.training.training import Training

# Colours of verdicts: the ends of the book's green and purple for better and worse, none of them an alpha's;
# ink on them has a contrast of 4.5 or more. {verdict: (ground, ink)}.
COLOURS = {
    "reproduced": ("#1b7837", "#ffffff"),
    "contradicted": ("#762a83", "#ffffff"),
    "split": ("#6b5500", "#ffffff"),
    "no effect": ("#4a5568", "#ffffff"),
    "undecided": ("#e3e6ea", "#16191f"),
    "not tested": ("#ffffff", "#3a414c"),
}
SIGNS = {"reproduced": "✓", "contradicted": "✗", "split": "◐", "no effect": "≈", "undecided": "?"}
# strokes of the first round, of what decides nothing, and the band of ±δ
FIRST, NEUTRAL, BAND = "#8a929e", "#55606e", "#e3e6ea"
_NAMES = {name: name.replace(" ", "-") for name in COLOURS}


@dataclass(frozen=True)
class Axis:
    """Axis of a unit: about linear near 0, by factors beyond δ, so that a tenth of a point and fifty points
    are both read; alike on both sides of 0.

    Attributes:
        delta: Half width of the part around 0 that is about linear.
        end: Number at the right end.
    """

    delta: float
    end: float

    def place(self, value: float) -> float:
        """Place of a number from 0 (left) to 1 (right); beyond the ends, the end."""
        along = math.asinh(value / self.delta) / math.asinh(self.end / self.delta)
        return min(max(0.5 + 0.5 * along, 0.0), 1.0)

    @property
    def ticks(self) -> list[float]:
        """Round numbers to label, ascending, 0 among them, not closer than an eighth of the axis."""
        exponent = math.floor(math.log10(self.end))
        rounds = [digit * 10.0**power for power in range(exponent, exponent - 5, -1) for digit in (5, 2, 1)]
        kept: list[float] = []
        for one in rounds:
            if one <= self.end and all(self.place(last) - self.place(one) >= 0.09 for last in kept[-1:]):
                if self.place(one) - 0.5 < 0.09:
                    break
                kept.append(round(one, 10))
        return [*(-one for one in kept), 0.0, *reversed(kept)]


def axis(some: Iterable[Entry]) -> Axis | None:
    """The axis that all numbers of these claims share; None if none has a part."""
    rows = [row for one in some for row in one.rows]
    if not rows:
        return None
    deltas = [row.part.rule.delta for row in rows if row.part.rule.delta]
    delta = min(deltas, default=0.05)
    numbers = [
        abs(value)
        for row in rows
        for value in chain(
            (row.part.estimate, row.part.low, row.part.high),
            (row.first.estimate, row.first.low, row.first.high) if row.first else (),
            (row.published[0],) if row.published else (),
        )
        if not math.isnan(value)
    ]
    return Axis(delta, 1.05 * max([2.5 * delta, *numbers]))


def _stroke(axes: Axis, middle: float, low: float, high: float, kind: str) -> str:
    marks = ""
    if not math.isnan(low):
        left, right = 100 * axes.place(low), 100 * axes.place(high)
        marks += f'<i class="{kind}line" style="left:{left:.1f}%;width:{right - left:.1f}%"></i>'
    if not math.isnan(middle):
        marks += f'<i class="{kind}dot" style="left:{100 * axes.place(middle):.1f}%"></i>'
    return marks


def chip(verdict: str, more: str = "") -> str:
    """A verdict of the second round as HTML: coloured and in words.

    Args:
        more: Words after it.
    """
    sign = SIGNS.get(verdict, "")
    words = f"{verdict}{' yet' if verdict == 'not tested' else ''}{more}"
    mark = f'<span aria-hidden="true">{sign}</span> ' if sign else ""
    return f'<span class="chip {_NAMES[verdict]}">{mark}{words}</span>'


def _strip(row: Row, axes: Axis) -> str:
    part, marks = row.part, ""
    if part.rule.delta:
        left, right = 100 * axes.place(-part.rule.delta), 100 * axes.place(part.rule.delta)
        marks += f'<i class="band" style="left:{left:.1f}%;width:{right - left:.1f}%"></i>'
    marks += '<i class="zero" style="left:50%"></i>'
    if row.first:
        marks += _stroke(axes, row.first.estimate, row.first.low, row.first.high, "first ")
    marks += _stroke(axes, part.estimate, part.low, part.high, "")
    if row.published:
        marks += f'<i class="published" style="left:{100 * axes.place(row.published[0]):.1f}%"></i>'
    ground, ink = COLOURS[part.verdict]
    colour = ground if ink == "#ffffff" else NEUTRAL
    return f'<span class="strip" style="--ink:{colour}" aria-hidden="true">{marks}</span>'


def numbers(row: Row) -> tuple[str, str]:
    """A row's mean and interval in words, and those of the first round; "" for what is not there."""
    part, first = row.part, row.first
    value = ledger.interval(part.estimate, part.low, part.high)
    if 0 < part.seeds < LEAST_SEEDS:
        value += f", {part.seeds} seed{'s' if part.seeds > 1 else ''}"
    return value, ledger.interval(first.estimate, first.low, first.high) if first else ""


def _row(row: Row, axes: Axis) -> str:
    part = row.part
    value, before = numbers(row)
    # where there is no number of the second round, that of the first stands in its place, grey
    named = '<span class="unseen">first round: </span><span aria-hidden="true">○</span>'
    said = f'<span class="before">{named} {escape(before)}</span>' if before and not value else escape(value)
    verdict = chip(part.verdict, ", small" if part.small else "")
    return (
        f'<div class="part-row"><span class="part">{escape(part.rule.name)}</span>{_strip(row, axes)}'
        f'<span class="value">{said}</span>{verdict}</div>'
    )


def _behind(one: Entry) -> str:
    """What folds out below a claim: statistic, values, trend, published numbers, the first round, cautions
    and dates.
    """
    said, verdict = [], one.verdict
    if verdict.reason:
        said.append(f"<p>Second round: {escape(verdict.reason)}.</p>")
    lines = []
    for row in one.rows:
        part = row.part
        words = f"<strong>{escape(part.rule.name)}</strong>: {escape(part.rule.statistic)}"
        if part.rule.delta:
            words += f"; no effect inside ±{number(part.rule.delta)}{escape(' ' + part.rule.unit).rstrip()}"
        if part.values:
            words += f". By seed: {', '.join(number(value, '+.3g') for value in part.values)}"
        if not math.isnan(part.p):
            words += f"; p = {part.p:.2g}"
        if not math.isnan(part.trend):
            words += f"; Page's trend over α (not deciding): p = {part.trend:.2g}"
        if not math.isnan(part.over_images[0]):
            ends = " to ".join(number(end, "+.2g") for end in part.over_images)
            words += f"; over other seeds and other images (bootstrap, not deciding): {ends}"
        if row.published:
            words += f". Published: {number(row.published[0], '+.3g')}, {escape(row.published[1])}"
        if row.first:
            before = ledger.interval(row.first.estimate, row.first.low, row.first.high)
            words += f". First round, between the same α: {escape(before)}"
        lines.append(f"<li>{words}.</li>")
    if lines:
        said.append(f"<ul>{''.join(lines)}</ul>")
    if verdict.rule.needs and verdict.rule.parts:
        said.append(f"<p>Also needed: {escape(verdict.rule.needs)}.</p>")
    certain = f" The claim is {escape(one.claim.certainty)}." if one.claim.certainty else ""
    if one.claim.published:
        said.append(f"<p>Published: {escape(one.claim.published)}.{certain}</p>")
    elif certain:
        said.append(f"<p>{certain.strip()}</p>")
    for first in one.first:
        named = f" ({escape(first.claim.statement)})" if len(one.first) > 1 else ""
        said.append(
            f"<p>First round{named}: <em>{escape(first.verdict)}</em>, "
            f"{escape(first_round.describe(first)).rstrip('.')}. Its statistic: "
            f"{escape(first.claim.rule) or 'none'}.</p>"
        )
    for which, care in (("second", one.caution), ("first", one.claim.caution)):
        if care:
            said.append(f"<p>To be read with care, {which} round: {escape(care)}.</p>")
    if verdict.rule.parts:
        dates = f"Rule of the second round: {rules().written}."
        dates += f" Of the first: {one.claim.written}." if one.claim.written else ""
        said.append(f"<p>{escape(dates)}</p>")
    chapter, figure = one.claim.shown
    if chapter:
        where = sources.chapter_link(chapter)
        said.append(f'<p><a href="{escape(where)}#{figure}">The figure that shows it</a></p>')
    return "".join(said)


def _entry(one: Entry, axes: Axis | None) -> str:
    # the key says that such verdicts are provisional: once, since the word would cost a line in many rows
    seeds = one.verdict.standing.removeprefix("provisional: ")
    standing = f'<span class="standing">{escape(seeds)}</span>' if seeds else ""
    stands = ", which stands" if one.first_stands else ""
    chips = (
        f'<span class="chips">{chip(one.verdict.verdict)}{standing}'
        f'<span class="chip first">first round: {escape(one.first_verdict)}{stands}</span></span>'
    )
    head = (
        f'<span class="head"><span class="id">{escape(one.claim.id)}</span>'
        f'<span class="statement">{escape(one.statement)}</span>{chips}</span>'
    )
    rows = "".join(_row(row, axes) for row in one.rows) if axes else ""
    behind = _behind(one)
    return (
        f'<div class="entry"><details><summary>{head}</summary><div class="more">{behind}</div></details>'
        f"{rows}</div>"
    )


def _group(unit: str, some: Sequence[Entry]) -> str:
    axes = axis(some)
    ticks = ""
    if axes:
        for place, tick in enumerate(axes.ticks):
            minor = " minor" if place % 2 != (len(axes.ticks) // 2) % 2 else ""
            left = 100 * axes.place(tick)
            ticks += f'<i class="tick{minor}" style="left:{left:.1f}%">{number(tick)}</i>'
    head = (
        f'<div class="unit"><span>{escape(unit)}</span><span class="strip" aria-hidden="true">{ticks}</span>'
        f"<span></span><span></span></div>"
    )
    return head + "".join(_entry(one, axes) for one in some)


def _mark(across: str, point: str) -> str:
    wide = f'<i class="{across}" style="left:0;width:100%"></i>' if across else ""
    return f'{wide}<i class="{point}" style="left:50%"></i>'


def _key(entries: Sequence[Entry]) -> str:
    chips = "".join(chip(verdict) for verdict in second_round.VERDICTS)
    marks = {
        _mark("line", "dot"): "mean over seeds, 95 % interval",
        _mark("band", "zero"): "0 and ±δ: no effect inside",
        _mark("first line", "first dot"): "first round, between the same α",
        _mark("", "published"): "published",
    }
    drawn = "".join(
        f'<span><span class="swatch" style="--ink:#16191f" aria-hidden="true">{mark}</span> {words}</span>'
        for mark, words in marks.items()
    )
    early = [one.verdict.rule.whole for one in entries if one.verdict.provisional]
    seeds = f"<span>fewer than {max(early)} seeds: provisional</span>" if early else ""
    return (
        f'<div class="key"><span class="chips">{chips}</span>{drawn}'
        f"<span>→ speaks for the paper, ← against it</span>{seeds}</div>"
    )


def drawn(entries: Sequence[Entry], *, caption: str = "") -> str:
    """The ledger as HTML.

    Args:
        entries: Claims, in any number; those of a unit share an axis.
        caption: Words below it, where the finding in words is not enough.
    """
    groups = "".join(
        _group(unit, some) for unit in ledger.UNITS if (some := [one for one in entries if one.unit == unit])
    )
    words = escape(" ".join(f"{ledger.in_words(entries)} {caption}".split()))
    return f'<figure class="ledger">{_key(entries)}{groups}<figcaption>{words}</figcaption></figure>'


def show_ledger(
    entries: Sequence[Entry], *, name: str, read: Mapping[Training, tuple[str, ...]], caption: str = ""
) -> None:
    """Display the ledger, and below it a fold-out that names the runs it was made from.

    Args:
        entries: Claims, in any number.
        name: Label, such as "fig-ledger".
        read: Runs that the verdicts are from, and what of each; from `rounds.read`.
        caption: Words below it, after the findings.
    """
    from IPython.display import display

    display({"text/html": drawn(entries, caption=caption), "text/plain": ledger.in_words(entries)}, raw=True)
    display(sources.bundle(name, read, linked=False), raw=True)
