"""The answer in words: the key points of a chapter, and the sentences that open the book."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd

from lib.base.text import number
from lib.book.figures.ledger import chip
from lib.papers import findings, first_statistics, ledger
from lib.papers.claim import VERDICTS as FIRST_VERDICTS
from lib.papers.ledger import Entry
from lib.papers.second_round import VERDICTS

# the claims that the paper's title is about: what helps on average, and what helps at worst
AVERAGE, WORST = "LM-3", ("LM-7", "LM-8")
OPEN = ("undecided", "inconclusive", "not tested")  # told last
INTERVALS = "In brackets: 95 % intervals over seeds."


def marked(entry: Entry) -> str:
    """A claim's id with the verdict that the book gives first, as HTML; a verdict of the first round says
    so.
    """
    which, verdict = findings.decides(entry)
    name = f'<span class="id">{escape(entry.claim.id)}</span>'
    if which == "second":
        return f"{name} {chip(verdict)}"
    return f'{name} <span class="chip first">first round: {escape(verdict)}</span>'


def key_points(entries: Sequence[Entry]) -> str:
    """What was found on the claims of a chapter, as a Markdown list: a claim an item, with its verdict and a
    link to its figure.
    """
    items = []
    for one in entries:
        # without numbers of its own, a claim must not read like a finding
        said = findings.sentences(one) or f"*Claimed:* {one.claim.statement}."
        figure = f' <a href="#{escape(one.claim.shown[1])}">Figure</a>' if one.claim.shown[1] else ""
        items.append(f"- {said} {marked(one)}{figure}")
    return "\n".join(items)


def lead(entries: Sequence[Entry]) -> str:
    """One sentence on whether the trade-off that the paper's title is about was found."""
    verdicts = {one.claim.id: findings.decides(one)[1] for one in entries}
    average = verdicts[AVERAGE] == "reproduced"
    worst = any(verdicts[name] == "reproduced" for name in WORST)
    if average and worst:
        return "The paper's trade-off between average and worst case shows on our networks."
    if average:
        return "The average-case half of the paper's trade-off shows on our networks, the worst-case half does not."
    if worst:
        return "The worst-case half of the paper's trade-off shows on our networks, the average-case half does not."
    return "The paper's trade-off between average and worst case does not clearly show on our networks."


def counted(entries: Sequence[Entry]) -> str:
    """How the claims of the paper came out, in a sentence."""
    asked = [one for one in entries if one.claim.id != ledger.OURS.id]
    verdicts = [findings.decides(one)[1] for one in asked]
    names = dict.fromkeys((*VERDICTS, *FIRST_VERDICTS))
    order = sorted(names, key=lambda name: OPEN.index(name) + 1 if name in OPEN else 0)
    listed = ", ".join(f"{verdicts.count(name)} {name}" for name in order if name in verdicts)
    rounds = {findings.decides(one)[0] for one in asked}
    by = " and ".join(f"the {name} round" for name in ("first", "second") if name in rounds)
    return f"The paper's {len(asked)} claims: {listed} (by {by})."


def sentences(entries: Sequence[Entry]) -> str:
    """The sentences that open the book, as Markdown: what was found in the average and in the worst case, and
    how all claims came out.
    """
    by_id = {one.claim.id: one for one in entries}
    said = [findings.sentences(by_id[name]) for name in (AVERAGE, WORST[0])]
    return " ".join([f"**{lead(entries)}**", *filter(None, said), counted(entries), INTERVALS])


def spread(summary: pd.DataFrame) -> str:
    """What the opening figure shows, as its title: how far accuracies differ between the α that spare clean
    accuracy, means over seeds.
    """
    low, high = first_statistics.spared(summary)
    means = summary[summary.alpha.between(low, high)].groupby("alpha").mean(numeric_only=True)
    most = {
        words: 100 * (means[column].max() - means[column].min())
        for words, column in (("on corrupted images", "corrupted_accuracy"), ("under PGD", "pgd_accuracy"))
    }
    told = [f"{number(points, '.1f')} points {words}" for words, points in most.items() if points == points]
    if not told or low == high:
        return "Accuracy against the selectivity scale α"
    return f"From α = {number(low)} to {number(high)}, accuracy differs by at most {' and '.join(told)}"
