"""The answer in words: the key points of a chapter, and the sentences that open the book."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd

from lib.base.text import number
from lib.book.figures.headline import Line
from lib.book.figures.ledger import chip
from lib.measurements import MEASUREMENTS
from lib.measurements.attack import CURVES
from lib.measurements.strengths import strengths_for
from lib.papers import findings, first_statistics, ledger
from lib.papers.claim import VERDICTS as FIRST_VERDICTS
from lib.papers.ledger import Entry
from lib.papers.second_round import VERDICTS

# the claims that the paper's title is about: what helps on average, and what helps at worst
AVERAGE, WORST = "LM-3", {"LM-7": "FGSM", "LM-8": "PGD"}
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
    """What was found on the claims of a chapter, as a Markdown list: one item per claim, with its verdict and
    a link to its figure.
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
    worst = [attack for name, attack in WORST.items() if verdicts[name] == "reproduced"]
    only = "" if len(worst) == len(WORST) else f", under {''.join(worst)} alone"
    if average and worst:
        return f"The paper's trade-off between average and worst case shows on our networks{only}."
    if average:
        half = "the average-case half shows on our networks; the other does not clearly"
        return f"Of the paper's trade-off, {half}."
    if worst:
        return (
            f"Of the paper's trade-off, the worst-case half shows on our networks{only}; "
            "the other does not clearly."
        )
    return "The paper's trade-off between average and worst case does not clearly show on our networks."


def counted(entries: Sequence[Entry]) -> str:
    """How the claims of the paper came out, in a sentence."""
    asked = [one for one in entries if one.claim.id != ledger.OURS.id]
    verdicts = [findings.decides(one)[1] for one in asked]
    names = dict.fromkeys((*VERDICTS, *FIRST_VERDICTS))
    order = sorted(names, key=lambda name: OPEN.index(name) + 1 if name in OPEN else 0)
    listed = ", ".join(f"{verdicts.count(name)} {name}" for name in order if name in verdicts)
    decided = [findings.decides(one) for one in asked]
    rounds = {which for which, verdict in decided if verdict != "not tested"}
    early = [one.verdict for one in asked if findings.decides(one)[0] == "second" and one.verdict.provisional]
    so_far = f", so far {min(one.seeds for one in early)} of {early[0].rule.whole} seeds" if early else ""
    words = {"first": "the first round", "second": f"the second round{so_far}"}
    by = " and ".join(said for name, said in words.items() if name in rounds)
    return f"The paper's {len(asked)} claims: {listed}" + (f" (by {by})." if by else ".")


def sentences(entries: Sequence[Entry]) -> str:
    """The sentences that open the book, as Markdown: what was found in the average and in the worst case."""
    by_id = {one.claim.id: one for one in entries}
    said = [findings.sentences(by_id[name]) for name in (AVERAGE, next(iter(WORST)))]
    return " ".join([f"**{lead(entries)}**", *filter(None, said), INTERVALS])


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


def opening(summary: pd.DataFrame) -> tuple[tuple[Line, ...], str, str]:
    """What the opening figure shows of the networks of a page: its lines, its alt text and its caption
    without the networks.
    """
    at = strengths_for(summary.dataset.iloc[0])
    lines = (
        Line("clean_accuracy", "clean", "_"),
        Line("corrupted_accuracy", "corrupted", "o"),
        Line("pgd_accuracy", f"PGD, {at.steps} steps", "v"),
    )
    said = []
    for line in lines:
        means = 100 * summary.groupby("alpha")[line.column].mean().dropna()
        ends = [alpha for alpha in means.index if alpha in (means.index.min(), 0.0, means.index.max())]
        if ends:
            told = ", ".join(f"{means[alpha]:.1f} % at α = {number(alpha)}" for alpha in ends)
            said.append(f"{line.words}: {told}")
    alt = (
        f"Accuracy against α. {'; '.join(said)}. Beside it the paper's numbers, of ResNet18 on Tiny ImageNet."
    )
    sizes = [f"{MEASUREMENTS[name].settings['limit']:,}" for name in ("corruption", "attack")]
    hollow = summary.get("pgd_accuracy_doubtful")
    caption = (
        f"Clean accuracy on all test images; with corruptions on the first {sizes[0]}; on the first "
        f"{sizes[1]} under PGD, in steps of {CURVES[at.curve].step_size:g}. One point per network, lines: "
        "means."
        + (
            " Hollow: a check says that PGD may have failed there."
            if hollow is not None and hollow.any()
            else ""
        )
        + " Right: what is known of the paper's, another network on other images; its corrupted accuracy is "
        "recalled and not vouched for."
    )
    return lines, alt, caption


def verdicts(entries: Sequence[Entry]) -> pd.DataFrame:
    """One row per claim: id, statement, both rounds' verdicts and how sure it is that the paper says so."""
    return pd.DataFrame([
        {
            "": one.claim.id,
            "the claim": one.claim.statement,
            "second round": one.verdict.verdict,
            "first round": one.first_verdict,
            "how sure we are that it is the paper's": one.claim.certainty,
        }
        for one in entries
    ])


# the claims that the conclusion names beside the trade-off, with its words where they are reproduced, where
# they are not, and where that is open
CONCLUDED = {
    "LM-1": (
        "α sets class selectivity, as the paper says.",
        "α does not set class selectivity as the paper says.",
        "Whether α sets class selectivity at every step is open.",
    ),
    "LM-15": (
        "Early layers use fewer dimensions as selectivity rises, as the paper says.",
        "The link through dimensionality is not found: early layers do not use fewer dimensions at every "
        "step as selectivity rises.",
        "Whether early layers use fewer dimensions as selectivity rises is open.",
    ),
    "LM-17": (
        "Attacks change more dimensions than corruptions do, as the paper says.",
        "Attacks do not change more dimensions than corruptions do, against what the paper says.",
        "Whether attacks change more dimensions than corruptions do is open.",
    ),
}


def conclusion(entries: Sequence[Entry]) -> str:
    """What a colleague could repeat, in some sentences."""
    verdicts = {one.claim.id: findings.decides(one)[1] for one in entries}
    told = {}
    for name, (yes, no, neither) in CONCLUDED.items():
        verdict = verdicts[name]
        if verdict == "reproduced":
            told[name] = yes
        elif verdict in ("contradicted", "not reproduced", "no effect", "split"):
            told[name] = no
        else:
            told[name] = neither
    return " ".join([told["LM-1"], lead(entries), told["LM-15"], told["LM-17"], counted(entries)])
