"""What a claim is, and the verdicts there are."""

from __future__ import annotations

from dataclasses import dataclass

from lib.papers import statistics

VERDICTS = ("reproduced", "not reproduced", "inconclusive", "not tested")

LEAST_SEEDS = 3  # fewer give no interval worth the name, hence no verdict

@dataclass(frozen=True)
class Claim:
    """One claim of the protocol: what is said, how sure we are that it is said, and how it is decided.

    statistic  runs.summary table of networks on one data set and model -> one number a seed, positive when it speaks for the claim; or a table of them,
               a column a part of the claim
    compares   the kinds of training that the statistic compares, at α = 0; empty: it compares plain networks over α
    needs      the column of the table that the statistic reads, where runs.summary has it not by itself
    written    when rule and statistic were written, and what of the results was known then
    shown      the figure that shows it: chapter and label
    caution    what a verdict on it does not say, where that is easily missed
    lacks      what it would take to test it, where there is no statistic
    """

    id: str
    statement: str
    certainty: str  # of the statement: established (read in the authors' words) or recalled (from memory, unverified)
    published: str = ""
    rule: str = ""  # what the statistic is, in words
    unit: str = ""
    statistic: statistics.Statistic | None = None
    compares: tuple[str, ...] = ()
    needs: str = ""
    written: str = ""
    shown: tuple[str, str] = ("", "")
    caution: str = ""
    lacks: str = ""

# Written 2026-11-21, when of the CIFAR-10 networks only that of alpha = 0 had been trained; the sentence on parts later that day, for the claims about
# attacks, when α = −2 and 0, seed 0, had been attacked. No earlier claim has parts.
RULE = (
    "A claim's statistic is computed for each seed and is positive when it speaks for the claim. "
    f"With at least {LEAST_SEEDS} seeds: reproduced if the 95 % t interval of its mean lies above 0, not reproduced if it lies below 0, "
    "inconclusive otherwise. With fewer seeds: inconclusive. "
    "Where a claim has several parts, it is reproduced if every part is, and not reproduced if one is not."
)
