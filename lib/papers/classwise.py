"""Class-wise robustness (Tian et al., KDD 2021): its claims, each with a rule that was written before any
network was trained for it, and the verdicts. Only the paper's abstract and introduction were read.

What decides each claim stands in `lib.papers.classwise_rules`.
"""

from __future__ import annotations

import pandas as pd

from lib.papers import classwise_rules as rules
from lib.papers import first_round
from lib.papers.claim import Claim
from lib.papers.classwise_rules import (
    ANOTHER,
    COLD,
    CONSISTENT,
    IN_BALL,
    MASKED,
    MATCHED,
    METHODS,
    NEAR,
    RETRAINED,
    STRONG,
    TUNED,
    UNTUNED,
    wide,
)
from lib.papers.first_round import Verdict

__all__ = [
    "ANOTHER",
    "CLAIMS",
    "COLD",
    "IN_BALL",
    "MASKED",
    "MATCHED",
    "METHODS",
    "RETRAINED",
    "STRONG",
    "TUNED",
    "UNTUNED",
    "claim",
    "decide",
    "ledger",
    "wide",
]

WRITTEN = (
    "2026-11-30, before any network was trained for it; a pilot of ours on one small network was known "
    "(Temperature-PGD 3.6 points below PGD at 1/T = 5); CW-2's part between seeds, and the equal steps and "
    "starts of CW-1's control, were added that day, before any table of such networks was looked at; that "
    "CW-9 asks every class at T = 1, after the digits, where no class differs"
)
_ADVERSARIAL = (
    "needs adversarially trained networks (pgd-K-linf-R) with the table of logits, which "
    "sweeps/classwise.yml makes"
)

CLAIMS = (
    Claim(
        "CW-1",
        "adversarially trained networks show remarkable differences of robustness among classes",
        "established",
        rule="class-wise variance under PGD minus that of clean images, and minus that of a plain network of "
        "the same seed attacked at the radius at which its mean over classes is the same",
        unit="points²",
        statistic=rules.beyond_control,
        written=WRITTEN,
        shown=("16-class-by-class", "fig-classes"),
        caution="differences that a plain network shows at the same mean are not counted: they may come "
        "from some classes being hard",
        lacks=_ADVERSARIAL,
    ),
    Claim(
        "CW-2",
        "the pattern of classes is consistent among attacks and defences",
        "established",
        rule="mean rank correlation of class accuracies, between attacks on a network, between trainings "
        f"under an attack, and between seeds of a training, minus {CONSISTENT}",
        statistic=rules.consistent,
        written=WRITTEN,
        shown=("16-class-by-class", "fig-class-ranks"),
        caution="attacks on one network see the same images, so they agree in part for that reason",
        lacks=_ADVERSARIAL,
    ),
    Claim(
        "CW-3",
        "stronger attacks gain mainly on the vulnerable classes",
        "established",
        rule=f"what Temperature-PGD (1/T = {STRONG:g}) gains over PGD in the weaker half of classes minus in "
        "the stronger half: in points, as a share of what survived PGD, and as rise of the logit margin",
        statistic=rules.from_the_weak,
        written=WRITTEN,
        shown=("16-class-by-class", "fig-class-gain"),
        caution="a class of 10 % can lose 10 points and no more, one of 60 % loses a smaller share for the "
        "same points: the claim counts as reproduced on all three scales or not at all",
        lacks=_ADVERSARIAL,
    ),
    Claim(
        "CW-4",
        "Temperature-PGD enlarges the differences among classes",
        "established",
        rule=f"class-wise variance and disparity under Temperature-PGD (1/T = {STRONG:g}, safe form) minus "
        "those under PGD",
        statistic=rules.enlarges,
        written=WRITTEN,
        shown=("16-class-by-class", "fig-temperature"),
        caution="the plain form fakes a large disparity where it underflows, and is never read",
        lacks=_ADVERSARIAL,
    ),
    Claim(
        "CW-5",
        "Temperature-PGD is a stronger attack than PGD",
        "established",
        rule=f"mean accuracy under PGD minus that under Temperature-PGD (1/T = {STRONG:g}), with equal "
        "steps, start and restarts",
        unit="points",
        statistic=rules.beats,
        written=WRITTEN,
        shown=("16-class-by-class", "fig-temperature"),
        caution="PGD on the margin beats PGD too: whether the temperature adds to that is shown, not judged",
        lacks=_ADVERSARIAL,
    ),
    Claim(
        "CW-6",
        "changes in training and at inference improve the most vulnerable class",
        "established",
        rule="accuracy of the worst class under attack with class weights in training minus without, and "
        "with a logit bias tuned on other images minus without",
        unit="points",
        statistic=rules.helps_the_worst,
        written=WRITTEN,
        shown=("16-class-by-class", "fig-worst-class"),
        caution="what the paper changes is recalled, weakly; the mean over classes stands beside it",
        lacks="needs networks with class weights (weighted-K-linf-R) beside adversarially trained ones, and "
        "the tables of logits and of their bias, which sweeps/classwise.yml makes",
    ),
    Claim(
        "CW-7",
        "many images can be attacked towards certain similar classes alone, and no more once the network is "
        "trained without those",
        "established",
        rule="of the images of a class that PGD turns into the class it is most confused with, the share "
        "that withstands PGD on a network trained without that class, minus one half",
        unit="points",
        statistic=rules.homes,
        written=WRITTEN,
        shown=("16-class-by-class", "fig-confusion"),
        caution="leaving out a logit is no training: its share is shown, not judged. Some of these images "
        "withstand the attack on any other network: those of other seeds stand beside it",
        lacks="needs an adversarially trained network without the confused class with the table of logits, "
        "which sweeps/classwise-without.yml makes",
    ),
    Claim(
        "CW-8",
        "classes with long classifier weights are more robust",
        "established",
        rule="rank correlation over classes of accuracy under PGD with the norm of the class's weights",
        statistic=rules.follows_norm,
        written=WRITTEN,
        shown=("16-class-by-class", "fig-classes"),
        caution="ten classes a seed say little: a rank correlation below 0.65 is within chance",
        lacks=_ADVERSARIAL,
    ),
    Claim(
        "CW-9",
        "Temperature-PGD is PGD at T = 1 and tends to PGD on the margin, without underflow (ours)",
        "ours",
        rule=f"{NEAR['one']} points minus the largest distance of a class's accuracies under PGD and "
        f"Temperature-PGD at T = 1, and {NEAR['cold']:g} point minus the distance of mean accuracies under "
        f"margin PGD and Temperature-PGD at 1/T = {COLD:g}",
        unit="points",
        statistic=rules.has_its_ends,
        written=WRITTEN,
        shown=("16-class-by-class", "fig-temperature"),
        caution="of the safe form; the plain one is shown to depart",
        lacks=_ADVERSARIAL,
    ),
)


# ---- verdicts ----------------------------------------------------------------------------------------------


def claim(identifier: str) -> Claim:
    """A claim by its id."""
    return next(one for one in CLAIMS if one.id == identifier)


def decide(one: Claim, table: pd.DataFrame | None) -> Verdict:
    """Verdict on a claim by the rule in ``lib.papers.RULE``.

    Args:
        one: The claim.
        table: One row per network, attack and class, as `lib.papers.classwise_rules` describes it; None or
            empty where nothing is cached.
    """
    if table is None or table.empty or one.statistic is None or one.statistic(table).empty:
        return Verdict(one, "not tested", reason=one.lacks)
    return first_round.decide(one, table)


def ledger(table: pd.DataFrame | None) -> pd.DataFrame:
    """One row per claim with the columns id, claim, certainty, statistic, ours, verdict and asked together
    (all claims corrected for each other).
    """
    verdicts = [decide(one, table) for one in CLAIMS]
    together = first_round.corrected(verdicts)
    rows = [
        {
            "id": verdict.claim.id,
            "claim": verdict.claim.statement,
            "certainty": verdict.claim.certainty,
            "statistic": verdict.claim.rule,
            "ours": first_round.describe(verdict),
            "verdict": verdict.verdict,
            "asked together": said,
        }
        for verdict, (_, said) in zip(verdicts, together, strict=True)
    ]
    return pd.DataFrame(rows)
