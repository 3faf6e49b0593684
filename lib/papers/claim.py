"""What a claim is, and the verdicts there are."""

from __future__ import annotations

from dataclasses import dataclass

from lib.papers.first_statistics import Statistic
from lib.papers.statistics import LEAST_SEEDS

VERDICTS = ("reproduced", "not reproduced", "inconclusive", "not tested")


@dataclass(frozen=True)
class Claim:
    """One claim of the paper: what it says, how sure we are that it says so, and how it is decided.

    Attributes:
        statistic: Function from a `runs.summary` table of networks on one data set and model to one number
            per seed, positive if it speaks for the claim; or to a table of such numbers with one column per
            part of the claim.
        compares: The ways of training that the statistic compares at α = 0; empty if it compares plain
            networks over α.
        needs: The column that the statistic reads, where it is not one of `runs.summary`.
        written: When rule and statistic were written, and what was known of the results then.
        shown: Chapter and label of the figure that shows it.
        caution: What a verdict on the claim does not say, where that is easily missed.
        lacks: What would be needed to test the claim, where there is no statistic.
    """

    id: str
    statement: str
    # certainty of the statement: established (read in the authors' words), recalled (from memory,
    # unverified), computed (by us, from established formulas), unknown or ours; with why, where it is mixed
    certainty: str
    published: str = ""
    rule: str = ""  # the statistic in words
    unit: str = ""
    statistic: Statistic | None = None
    compares: tuple[str, ...] = ()
    needs: str = ""
    written: str = ""
    shown: tuple[str, str] = ("", "")
    caution: str = ""
    lacks: str = ""


# Written 2026-11-21, when of the CIFAR-10 networks only that of alpha = 0 had been trained; the sentence on
# parts later that day, for the claims about attacks, when α = −2 and 0, seed 0, had been attacked. No earlier
# claim has parts.
RULE = (
    "A claim's statistic is computed for each seed and is positive when it speaks for the claim. "
    f"With at least {LEAST_SEEDS} seeds: reproduced if the 95 % t interval of its mean lies above 0, "
    f"not reproduced if it lies below 0, "
    "inconclusive otherwise. With fewer seeds: inconclusive. "
    "Where a claim has several parts, it is reproduced if every part is, and not reproduced if one is not."
)
