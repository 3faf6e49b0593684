"""How the claims came out: counted, as a table, and what a colleague could repeat."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lib.book.answer.trade_off import lead, listed, so_far
from lib.papers import findings, ledger
from lib.papers.claim import LEAST_SEEDS
from lib.papers.ledger import Entry

OPEN = ("undecided", "inconclusive", "not tested")  # told last
_SILENT = ("reproduced", *OPEN)  # verdicts that do not speak against the paper


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
        said += f" The first round's verdict on {listed(stand)}, stands."
    return f"{said} The others are open or not tested."


def _in_part(against: Sequence[Entry]) -> str:
    """Which claims of the second round speak against the paper, and whether some of their parts do not."""
    if not against:
        return ""
    names = listed([one.claim.id for one in against])
    partly = all(any(row.part.verdict in _SILENT for row in one.rows) for one in against)
    return (
        f" ({names}{', each in a part' if partly and len(against) > 1 else ', in a part' if partly else ''})"
    )


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
    said = [f"{cause} {listed(found)}".strip() for cause, found in by_cause.items()]
    return f"Against the paper, {'; '.join(said)}." if said else ""
