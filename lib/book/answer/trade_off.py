"""Whether the trade-off that the paper is about was found, and how sure that is, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from lib.base.text import number
from lib.book.answer.key_points import INTERVALS
from lib.papers import findings, ledger, second_round
from lib.papers.claim import LEAST_SEEDS
from lib.papers.ledger import Entry
from lib.papers.rules import rules

# the claims that the paper's title is about: what helps on average, and what helps at worst
AVERAGE, WORST = "LM-3", {"LM-7": "FGSM", "LM-8": "PGD"}
SURVIVES = "LM-X2"  # whether that is so under attacks that do not depend on how sure a network is


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
            told = f"the effect is the opposite where selectivity is {listed([_DONE[one] for one in turned])}"
        elif len(clear) == len(strongest):
            told = "the effects are clear too"
        elif clear:
            where = listed([_DONE[one] for one in clear])
            told = f"the effect is clear only where selectivity is {where}"
        else:
            told = "neither effect is clear"
        said.append(f"Under the strongest of three attacks, {told}.")
    asked = second_round.together([one.verdict for one in entries])
    lost = second_round.lost(asked, "by")
    which = [f"under {attack}" for name, attack in WORST.items() if name in lost]
    which += ["on corrupted images"] * (AVERAGE in lost)
    if which:
        said.append(
            f"Corrected for asking {asked.p.notna().sum()} questions together, by the stricter of two ways, "
            f"the effect {listed(which)} is no longer clear."
        )
    return " ".join(said)


def listed(words: Sequence[str]) -> str:
    """Words with commas between them, and "and" before the last."""
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


def sentences(entries: Sequence[Entry]) -> str:
    """The sentences that open the book, as Markdown: what was found in the worst and in the average case, and
    in a paragraph of its own how sure that is.
    """
    by_id = {one.claim.id: one for one in entries}
    # what is not clear is in the first sentences, and with its sizes in the ledger below
    said = [findings.sentences(by_id[name], unclear=False) for name in (next(iter(WORST)), AVERAGE)]
    found = " ".join([f"**{lead(entries)}**", *filter(None, said)])
    return f"{found}\n\n{' '.join(filter(None, (how_sure(entries), INTERVALS, so_far(entries))))}"
