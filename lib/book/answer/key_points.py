"""What was found on the claims of a chapter: its key points, and whose numbers they give."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lib.book.figures.ledger import chip
from lib.papers import findings
from lib.papers.ledger import Entry
from lib.papers.rules import rules

INTERVALS = "In brackets: 95 % intervals over seeds."
MOST_PARTS = 3  # that are told in one paragraph


def marked(entry: Entry) -> str:
    """A claim's id with the second round's verdict, as HTML; where that has none yet, also with the first
    round's, which says so, as in the ledger.
    """
    which, verdict = findings.decides(entry)
    name = f'<span class="id">{escape(entry.claim.id)}</span> {chip(entry.verdict.verdict)}'
    return (
        name
        if which == "second"
        else f'{name} <span class="chip first">first round: {escape(verdict)}</span>'
    )


def key_points(entries: Sequence[Entry]) -> str:
    """What was found on the claims of a chapter, as a Markdown list: one item per claim, with its verdict and
    a link to its figure. What has more parts than a reader takes in at once has an item for each below it.
    """
    items = []
    for one in entries:
        figure = f' <a href="#{escape(one.claim.shown[1])}">Figure</a>' if one.claim.shown[1] else ""
        mark = f"{marked(one)}{figure}"
        found = findings.findings(one)
        if len(found) > MOST_PARTS:
            each = [f"  - {findings.capital(part.sentence)}." for part in found]
            items += [f"- {_how_many(found)} The claim is that {one.statement}. {mark}", *each]
        elif found:
            items.append(f"- {findings.sentences(one)} {mark}")
        else:
            items.append(f"- {unmeasured(one)} {mark}")
    return "\n".join(items)


_COUNTS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _how_many(found: Sequence[findings.Finding]) -> str:
    """How many parts of a claim speak for it, and how many against it, as a sentence."""
    yes, no = (sum(one.speaks == sign for one in found) for sign in (1, -1))
    against = f", {_COUNTS[no]} against it" if no else ""
    verb = "speaks" if yes == 1 else "speak"
    return f"{_COUNTS[yes].capitalize()} of {_COUNTS[len(found)]} parts {verb} for the claim{against}."


def unmeasured(entry: Entry) -> str:
    """A claim without numbers of its own, which must not read like a finding, as a sentence."""
    open_ = "Not tested" if findings.decides(entry)[1] == "not tested" else "Not decided: too few networks"
    return f"*{open_}.* The claim is that {entry.claim.statement}."


def whence(entries: Sequence[Entry], figures: str = "") -> str:
    """Which round the numbers of `key_points` are from, and the brackets in them, in some sentences.

    Args:
        entries: The same.
        figures: Whose networks the figures of the page show, from `rounds.whose`, where that is to be said.
    """
    second = [
        one.verdict.seeds for one in entries if findings.decides(one)[0] == "second" and one.verdict.seeds
    ]
    asked = rules().seeds
    said = []
    if second:
        here = "" if min(second) == len(asked) else f", of which {min(second)} are here"
        seeds = f"seeds {asked[0]} to {asked[-1]}{here}"
        said.append(f"The numbers beside the verdicts are the second round's ({seeds}).")
        if len(second) < len(entries):
            said.append("Where the first round's verdict is given, they are the first round's.")
    else:
        said.append("The numbers beside the verdicts are the first round's.")
    said.append(INTERVALS)
    if figures:
        said.append(f"The figures below show the networks of the {figures[:1].lower()}{figures[1:]}.")
    return " ".join(said)
