"""The ledger: every claim with the verdicts of both rounds, its parts, and what was published, to be
drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from lib.base.text import number
from lib.papers import first_round, second_round
from lib.papers.claim import VERDICTS, Claim
from lib.papers.rules import rules
from lib.papers.selectivity import CLAIMS, PUBLISHED, SURVIVES
from lib.papers.statistics import LEAST_SEEDS

OURS = Claim(
    "LM-X2",
    "LM-8's ordering survives attacks that do not depend on how sure a network is (our question)",
    "ours",
    written=SURVIVES[0].written,
    shown=SURVIVES[0].shown,
)
# The units in which effects are measured, in the order of the ledger: {unit: (claims, words)}.
UNITS = {
    "points of accuracy": ("LM-2", "LM-3", "LM-5", "LM-7", "LM-8", "LM-9", "LM-X2"),
    "share of corruptions − ½": ("LM-4",),
    "mean class selectivity": ("LM-1", "LM-6", "LM-12"),
    "log10 of the Jacobian's norm": ("LM-10",),
    "coefficient of variation": ("LM-13", "LM-14"),
    "% of units": ("LM-15", "LM-16", "LM-17", "LM-19"),
    "dimensions (TwoNN)": ("LM-18",),
    "not measured here": ("LM-11",),
}
# What the first round measured between the same α as a part of the second: {(claim, part): (claim, what its
# statement ends in, part, factor)}. Between other α, or otherwise, it is in words alone.
_LOW, _HIGH = "from −2 to 0", "from 0 to 0.4"
SAME = {
    ("LM-1", "smallest step"): ("LM-1", "", "", 1),
    ("LM-3", "lowering"): ("LM-3", "", "", 1),
    ("LM-4", "lowering"): ("LM-4", "", "", 1 / 19),
    ("LM-5", "corrupted accuracy, lowering"): ("LM-3", "", "", 1),
    ("LM-5", "over clean accuracy, lowering"): ("LM-5", "", "", 1),
    ("LM-6", "AugMix"): ("LM-6", "", "", 1),
    ("LM-8", "lowering"): ("LM-8", "", _LOW, 1),
    ("LM-8", "raising"): ("LM-8", "", _HIGH, 1),
    ("LM-10", "lowering"): ("LM-10", "", _LOW, 1),
    ("LM-13", "lowering"): ("LM-13", "", _LOW, 1),
    ("LM-14", "lowering"): ("LM-14", "", f"all layers, {_LOW}", 1),
    ("LM-15", "lowering"): ("LM-15", "", _LOW, 1),
    ("LM-16", "corruptions, lowering"): ("LM-16", "", f"corruptions, {_LOW}", 1),
    ("LM-16", "PGD, lowering"): ("LM-16", "", f"PGD, {_LOW}", 1),
    ("LM-18", "corruptions beyond clean"): ("LM-18", "", "corruptions beyond clean, at 0", 1),
    ("LM-18", "PGD beyond clean"): ("LM-18", "", "PGD beyond clean, at 0", 1),
    **{
        ("LM-X2", f"{name}, {side}"): ("LM-X2", words, part, 1)
        for name, words in (
            ("margin PGD", "PGD on the margin"),
            ("Temperature-PGD", "Temperature-PGD"),
            ("strongest of three", "the strongest of the three"),
        )
        for side, part in (("lowering", _LOW), ("raising", _HIGH))
    },
}
# Clauses, each the last of its claim's statement, that the second round shows and does not judge, as its
# rules say.
SHOWN_ONLY = {
    "LM-7": "the clean ordering reverses by ε ≤ 0.002",
    "LM-14": "less in late layers",
    "LM-16": "and more than that of LM-15",
}
# Claims on which the first round's verdict stands while the second has none, as its rules say
FIRST_STANDS = ("LM-6",)
# What is to be read with care in the second round, and was found after its rules were written: they are kept.
CAUTIONS = {
    "LM-1": "the smallest of five steps: where selectivity does not follow α at all, it is expected below 0",
    "LM-4": "counts corruptions, which rise and fall together: without an effect its interval leaves out 0 "
    "in 7 % of cases and not in 5",
    "LM-9": "the images are made against the networks of seeds 0 and 1 alone: the weights of seed 2 were "
    "not kept, and today's processors do not make the same network again; that was found before any of these "
    "tables was made",
}


@dataclass(frozen=True)
class Row:
    """A part of a claim as a row of the figure.

    Attributes:
        part: What the second round says on it.
        first: Estimate and interval of the first round between the same α, if it measured that.
        published: Published number and whose it is, if one is known.
    """

    part: second_round.Part
    first: first_round.Part | None = None
    published: tuple[float, str] | None = None


@dataclass(frozen=True)
class Entry:
    """A claim in the ledger.

    Attributes:
        claim: What the paper says.
        verdict: The second round's.
        first: The first round's verdicts: one, or several for the question that is ours.
        rows: One a part of the second round.
        unit: A name of UNITS.
    """

    claim: Claim
    verdict: second_round.Verdict
    first: tuple[first_round.Verdict, ...]
    rows: tuple[Row, ...]
    unit: str

    @property
    def first_verdict(self) -> str:
        """The first round's verdict; for our question, that under the strongest attack."""
        named = [one for one in self.first if one.claim.statement.endswith("the strongest of the three")]
        return (named or [*self.first])[0].verdict if self.first else "not tested"

    @property
    def statement(self) -> str:
        """What the paper says, with a word on the clause that the second round does not judge."""
        clause = SHOWN_ONLY.get(self.claim.id, "")
        if not clause or self.verdict.seeds < LEAST_SEEDS:
            return self.claim.statement
        assert self.claim.statement.endswith(clause)
        return f"{self.claim.statement} (this part not judged)"

    @property
    def first_stands(self) -> bool:
        """Whether the first round's verdict stands, since the second has none on a claim of which its rules
        say so.
        """
        return self.claim.id in FIRST_STANDS and self.verdict.seeds < LEAST_SEEDS

    @property
    def caution(self) -> str:
        """What is to be read with care in the second round."""
        return CAUTIONS.get(self.claim.id, "")


def _scaled(part: first_round.Part, factor: float) -> first_round.Part:
    return first_round.Part(
        part.name,
        factor * part.estimate,
        factor * part.low,
        factor * part.high,
        part.p,
        part.above,
        part.below,
    )


def entries(second: Sequence[second_round.Verdict], first: Iterable[first_round.Verdict]) -> list[Entry]:
    """The ledger: one entry per claim of the rule file, in its order.

    Args:
        second: Result of `second_round.ledger`.
        first: First-round verdicts on the claims and on our own question.
    """
    first, claims, found = list(first), {one.id: one for one in (*CLAIMS, OURS)}, []
    for verdict in second:
        name = verdict.rule.id
        rows = []
        parts = verdict.parts or tuple(second_round.Part(part, "not tested") for part in verdict.rule.parts)
        for part in parts:
            before = None
            if same := SAME.get((name, part.rule.name)):
                other, words, of, factor = same
                before = next(
                    (
                        _scaled(one, factor)
                        for whole in first
                        if whole.claim.id == other and whole.claim.statement.endswith(words)
                        for one in whole.parts
                        if one.name == of
                    ),
                    None,
                )
            rows.append(Row(part, before, PUBLISHED.get((name, part.rule.name))))
        unit = next(unit for unit, ids in UNITS.items() if name in ids)
        own = tuple(one for one in first if one.claim.id == name)
        found.append(Entry(claims[name], verdict, own, tuple(rows), unit))
    return found


def counts(made: Iterable[Entry]) -> dict[str, list[str]]:
    """{verdict of the second round: ids of the claims}, in the order of VERDICTS, ours left out."""
    found: dict[str, list[str]] = {name: [] for name in second_round.VERDICTS}
    for one in made:
        if one.claim.id != OURS.id:
            found[one.verdict.verdict].append(one.claim.id)
    return found


def first_counts(made: Iterable[Entry]) -> dict[str, list[str]]:
    """The same of the first round's verdicts."""
    found: dict[str, list[str]] = {name: [] for name in VERDICTS}
    for one in made:
        if one.claim.id != OURS.id:
            found[one.first_verdict].append(one.claim.id)
    return found


def tally(found: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """One row per verdict that occurs, with how many claims have it, and which.

    Args:
        found: {verdict: ids of claims}, from `counts` or `first_counts`.
    """
    return pd.DataFrame(
        [(verdict, str(len(ids)), ", ".join(ids)) for verdict, ids in found.items() if ids],
        columns=["verdict", "claims", "which"],
    )


def _listed(found: dict[str, list[str]]) -> str:
    said = [f"{len(ids)} {verdict} ({', '.join(ids)})" for verdict, ids in found.items() if ids]
    return ", ".join(said)


def in_words(made: Sequence[Entry]) -> str:
    """The findings of the ledger in a sentence or two, for those who do not see it."""
    said = counts(made)
    reasons = [one.verdict.reason for one in made if one.verdict.rule.parts and one.verdict.reason]
    most = max((one.verdict.seeds for one in made), default=0)
    if most < LEAST_SEEDS:
        seeds = f"{rules().seeds[0]} to {rules().seeds[-1]}"
        lacking = f"{most} of the {LEAST_SEEDS} seeds that an interval needs" if most else ""
        why = lacking or (reasons or ["no claim"])[0]
        start = f"The second round (seeds {seeds}) says nothing yet: {why}. "
    else:
        start = f"Of {sum(map(len, said.values()))} claims, by the second round's rules: {_listed(said)}. "
    return start + f"First round: {_listed(first_counts(made))}."


def interval(middle: float, low: float, high: float, unit: str = "") -> str:
    """A mean and its interval in words; "" for NaN."""
    if pd.isna(middle):
        return ""
    ends = "" if pd.isna(low) else f" ({number(low, '+.2g')} to {number(high, '+.2g')})"
    return f"{number(middle, '+.2g')}{ends}" + (f" {unit}" if unit else "")
