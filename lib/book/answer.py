"""The answer in words: the key points of a chapter, and the sentences that open the book."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd

from lib.base.text import number
from lib.book.figures.headline import EPSILON, Line
from lib.book.figures.ledger import chip
from lib.measurements import MEASUREMENTS
from lib.measurements.attack import CURVES
from lib.measurements.strengths import strengths_for
from lib.papers import findings, first_statistics, ledger, second_round
from lib.papers.claim import LEAST_SEEDS
from lib.papers.ledger import Entry
from lib.papers.rules import rules
from lib.papers.second_statistics import FGSM

# the claims that the paper's title is about: what helps on average, and what helps at worst
AVERAGE, WORST = "LM-3", {"LM-7": "FGSM", "LM-8": "PGD"}
SURVIVES = "LM-X2"  # whether that is so under attacks that do not depend on how sure a network is
OPEN = ("undecided", "inconclusive", "not tested")  # told last
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


def lead(entries: Sequence[Entry]) -> str:
    """Whether the trade-off that the paper's title is about was found, in one sentence or two."""
    verdicts = {one.claim.id: findings.decides(one)[1] for one in entries}
    average = verdicts[AVERAGE] == "reproduced"
    one_side = _one_side(next(one for one in entries if one.claim.id == AVERAGE))
    worst = [attack for name, attack in WORST.items() if verdicts[name] == "reproduced"]
    others = [attack for attack in WORST.values() if attack not in worst]
    sides = rules().sides
    between = f"from α = {number(min(sides['lowering']))} to {number(max(sides['raising']))}"
    corrupted = "accuracy on corrupted images falls as selectivity rises"
    attacked = f"accuracy under {' and '.join(worst)} rises with selectivity"
    if worst and others:
        attacked += f", though not clearly under {' and '.join(others)}"
    if average and worst:
        return f"The paper's trade-off shows on our networks: {between}, {corrupted}; and {attacked}."
    if average:
        half = f"Half of the paper's trade-off shows on our networks: {between}, {corrupted}."
        return f"{half} The other half, higher accuracy under attack, does not clearly show."
    if worst and one_side:
        shows, does_not = one_side
        return (
            f"Part of the paper's trade-off shows on our networks: {between}, {attacked}, and {shows}. "
            f"That {does_not} does not clearly show."
        )
    if worst:
        half = f"Half of the paper's trade-off shows on our networks: {between}, {attacked}."
        return f"{half} The other half, lower accuracy on corrupted images, does not clearly show."
    return "The paper's trade-off between average and worst case does not clearly show on our networks."


def _one_side(average: Entry) -> tuple[str, str] | None:
    """What the one side of two that is reproduced says of accuracy on corrupted images, and what the other
    would say; None where both or none is.
    """
    says = {
        "lowering": "lowering selectivity raises accuracy on corrupted images",
        "raising": "raising selectivity lowers accuracy on corrupted images",
    }
    if findings.decides(average)[0] != "second":
        return None
    clear = {row.part.rule.name: row.part.verdict == "reproduced" for row in average.rows}
    if sorted(clear.values()) != [False, True]:
        return None
    yes, no = sorted(clear, key=lambda name: not clear[name])
    return says[yes], says[no].replace("accuracy on corrupted images", "it")


_DONE = {"lowering": "lowered", "raising": "raised"}


def how_sure(entries: Sequence[Entry]) -> str:
    """What is left of the answer under stronger attacks, and when all claims are asked together, in some
    sentences; "" where the second round says nothing on either.
    """
    by_id, said = {one.claim.id: one for one in entries}, []
    strongest = {
        row.part.rule.name.removeprefix("strongest of three, "): row.part
        for row in (by_id[SURVIVES].rows if SURVIVES in by_id else ())
        if row.part.rule.name.startswith("strongest of three, ") and row.part.seeds >= LEAST_SEEDS
    }
    if strongest:
        clear = [side for side, part in strongest.items() if part.verdict == "reproduced"]
        turned = [side for side, part in strongest.items() if part.verdict == "contradicted"]
        if turned:
            told = f"the effect is the opposite where selectivity is {_and([_DONE[one] for one in turned])}"
        elif len(clear) == len(strongest):
            told = "the effects are clear too"
        else:
            told = "neither effect is clear"
            if clear:
                told = f"the effect is clear only where selectivity is {_and([_DONE[one] for one in clear])}"
        said.append(f"Under the strongest of three attacks, {told}.")
    asked = second_round.together([one.verdict for one in entries])
    lost = second_round.lost(asked, "by")
    which = [f"under {attack}" for name, attack in WORST.items() if name in lost]
    which += ["on corrupted images"] * (AVERAGE in lost)
    if which:
        said.append(
            f"Corrected for asking {asked.p.notna().sum()} questions together, by the stricter of two ways, "
            f"the effect {_and(which)} is no longer clear."
        )
    return " ".join(said)


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def so_far(entries: Sequence[Entry]) -> str:
    """That verdicts of the second round are provisional, as a sentence; "" where none is."""
    early = [
        one.verdict
        for one in entries
        if findings.decides(one)[0] == "second" and one.verdict.provisional and one.claim.id != ledger.OURS.id
    ]
    if not early:
        return ""
    return f"Verdicts are provisional: {min(one.seeds for one in early)} of {early[0].rule.whole} seeds."


def counted(entries: Sequence[Entry]) -> str:
    """How the claims of the paper came out, in a sentence: by the second round where that has verdicts, as in
    the ledger, else by the first.
    """
    asked = [one for one in entries if one.claim.id != ledger.OURS.id]
    is_second = any(one.verdict.seeds >= LEAST_SEEDS for one in asked)
    which = "second" if is_second else "first"
    verdicts = [one.verdict.verdict if is_second else one.first_verdict for one in asked]
    yes = verdicts.count("reproduced")
    against = [one for one, verdict in zip(asked, verdicts, strict=True) if verdict not in _SILENT]
    said = (
        f"By the {which} round's rules, of the paper's {len(asked)} claims {yes or 'none'} "
        f"{'is' if yes < 2 else 'are'} reproduced and {len(against) or 'none'} "
        f"{'is' if len(against) < 2 else 'are'} not{_in_part(against) if is_second else ''}."
    )
    stand = [f"{one.claim.id}, {one.first_verdict}" for one in asked if is_second and one.first_stands]
    if stand:
        said += f" The first round's verdict on {_and(stand)}, stands."
    return f"{said} The others are open or not tested."


_SILENT = ("reproduced", *OPEN)


def _in_part(against: Sequence[Entry]) -> str:
    """Which claims of the second round speak against the paper, and whether some of their parts do not."""
    if not against:
        return ""
    names = _and([one.claim.id for one in against])
    partly = all(any(row.part.verdict in _SILENT for row in one.rows) for one in against)
    return (
        f" ({names}{', each in a part' if partly and len(against) > 1 else ', in a part' if partly else ''})"
    )


def sentences(entries: Sequence[Entry]) -> str:
    """The sentences that open the book, as Markdown: what was found in the worst and in the average case, and
    in a paragraph of its own how sure that is.
    """
    by_id = {one.claim.id: one for one in entries}
    # what is not clear is in the first sentences, and with its sizes in the ledger below
    said = [findings.sentences(by_id[name], unclear=False) for name in (next(iter(WORST)), AVERAGE)]
    found = " ".join([f"**{lead(entries)}**", *filter(None, said)])
    return f"{found}\n\n{' '.join(filter(None, (how_sure(entries), INTERVALS, so_far(entries))))}"


def spread(summary: pd.DataFrame) -> str:
    """What the opening figure shows, as its title: how accuracies change between the outermost α that spare
    clean accuracy, means over seeds.
    """
    low, high = first_statistics.spared(summary)
    means = summary.groupby("alpha").mean(numeric_only=True)
    columns = {"under FGSM": FGSM} if _measured(summary, FGSM) else {"under PGD": "pgd_accuracy"}
    changes = {
        words: 100 * (means[column][high] - means[column][low])
        for words, column in (columns | {"on corrupted images": "corrupted_accuracy"}).items()
    }
    told = [
        f"{number(points, '+.1f')} points {words}" for words, points in changes.items() if points == points
    ]
    if not told or low == high:
        return "Accuracy against the selectivity scale α"
    return f"From α = {number(low)} to {number(high)}: {', '.join(told)}"


def _measured(summary: pd.DataFrame, column: str) -> bool:
    return column in summary and bool(summary[column].notna().any())


def opening(summary: pd.DataFrame) -> tuple[tuple[Line, ...], str, str]:
    """What the opening figure shows of networks: its lines, its alt text and its caption without the
    networks.

    Args:
        summary: Summary of a page's networks, or of the second round's, which have FGSM too.
    """
    at = strengths_for(summary.dataset.iloc[0])
    second = _measured(summary, FGSM)
    lines = (
        Line("clean_accuracy", "clean", "_"),
        Line("corrupted_accuracy", "corrupted", "o"),
        *([Line(FGSM, f"FGSM, ε = {EPSILON:g}", "v")] if second else []),
        Line("pgd_accuracy", f"PGD, {at.steps} steps", "^" if second else "v"),
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
    names = ("image_corruption", "image_attack") if second else ("corruption", "attack")
    sizes = [f"{MEASUREMENTS[name].settings['limit']:,}" for name in names]
    hollow = summary.get("pgd_accuracy_doubtful")
    wide = "Clean accuracy and that under FGSM are" if second else "Clean accuracy is"
    caption = (
        f"{wide} of all test images; with corruptions of the first {sizes[0]}; under PGD, in steps of "
        f"{CURVES[at.curve].step_size:g}, of the first {sizes[1]}. One point per network, lines: means."
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
        "The link through dimensionality does not show: as selectivity rises from its lowest to its highest, "
        "early layers do not use fewer and fewer dimensions.",
        "Whether early layers use fewer dimensions as selectivity rises is open.",
    ),
    "LM-17": (
        "Attacks change more dimensions than corruptions do, as the paper says.",
        "Attacks do not change more dimensions than corruptions do, against what the paper says.",
        "Whether attacks change more dimensions than corruptions do is open.",
    ),
}


def conclusion(entries: Sequence[Entry]) -> str:
    """What a colleague could repeat, in two paragraphs: what was found, and how the claims came out."""
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
    said = [told["LM-1"], lead(entries), _against_it(entries), told["LM-15"], told["LM-17"]]
    found = " ".join(filter(None, [*said, so_far(entries)]))
    return f"{found}\n\n{counted(entries)}"


def _against_it(entries: Sequence[Entry]) -> str:
    """What speaks against the claims that the second round contradicts, in a sentence; "" for none."""
    by_cause: dict[str, list[str]] = {}
    for one in entries:
        for row in one.rows if one.verdict.verdict == "contradicted" else ():
            words = findings.WORDS.get(one.claim.id, {}).get(row.part.rule.name)
            if words and row.part.verdict == "contradicted":
                told = words.down.replace(" by {size}", "").removeprefix(words.cause).strip()
                by_cause.setdefault(words.cause, []).append(told)
    said = [f"{cause} {_and(found)}".strip() for cause, found in by_cause.items()]
    return f"Against the paper, {'; '.join(said)}." if said else ""
