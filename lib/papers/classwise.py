"""Class-wise robustness (Tian et al., KDD 2021): its claims, each with a rule that was written before any
network was trained for it, and the verdicts. Only the paper's abstract and introduction were read.

Statistics take a table with one row per network, attack and class:

- `variant`, `alpha`, `seed`, ...: which network, as in every table; `variant` is its way of training.
- `attack`, `inverse_temperature`: of the measurement `logits`, "clean" for none. Further rows stand for what
  is made of it: MATCHED, the plain network at the radius at which the mean over classes is that of the
  adversarially trained one of the same seed under PGD; TUNED and UNTUNED, the network with and without a
  logit bias tuned on other images; MASKED and RETRAINED, of the images of a class that are taken for the
  class it is most confused with, the share that returns without its logit, and the share that withstands the
  attack once the network is trained without it.
- `class`, `images`, `accuracy`: name, number of images, percent of them; NaN without an image.
- `margin`: mean over the images of the strongest wrong logit minus the correct one.
- `norm`: length of the class's weights in the last layer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pandas as pd

from lib.papers import first_round
from lib.papers.claim import Claim
from lib.papers.classwise_statistics import (
    class_wise_variance,
    disparity,
    present,
    rank_correlation,
    weak_over_strong,
)
from lib.papers.first_round import Verdict

STRONG = 5.0  # 1/T of Temperature-PGD in the rules: where the pilot's curve was lowest
COLD = 50.0  # 1/T at which the margin must be reached
NEAR = {"one": 0.5, "cold": 1.0}  # points within which two attacks count as the same
CONSISTENT = 0.5  # rank correlation above which patterns count as consistent
MATCHED, UNTUNED, TUNED = "matched", "untuned", "tuned"
MASKED, RETRAINED = "masked", "retrained"
METHODS = (("fgsm", None), ("pgd", None), ("margin", None), ("t-pgd", STRONG))
IN_BALL = r"pgd-\d+-linf-[\d.]+"  # ways of training that the rules call adversarial
WEIGHTED = r"weighted-\d+-linf-[\d.]+"
WHOLE = rf"{IN_BALL}|trades-\d+-\d+-linf-[\d.]+"  # adversarial training without further measures

WRITTEN = (
    "2026-11-30, before any network was trained for it; a pilot of ours on one small network was known "
    "(Temperature-PGD 3.6 points below PGD at 1/T = 5)"
)


# ---- reading the table -------------------------------------------------------------------------------------


def wide(
    table: pd.DataFrame,
    ways: str,
    attack: str,
    inverse: float | None = None,
    column: str = "accuracy",
) -> pd.DataFrame:
    """One row per seed and one column per class with an image, of networks of α = 0.

    Args:
        table: As described above.
        ways: Pattern of the ways of training that are meant; of several that there are, the first by name.
        attack: Its name.
        inverse: Its 1/T; None for attacks without a temperature.
        column: What is wanted.
    """
    rows = table[(table.alpha == 0) & table.variant.str.fullmatch(ways) & (table.attack == attack)]
    if inverse is not None:
        rows = rows[np.isclose(rows.inverse_temperature, inverse)]
    rows = rows[(rows["images"] > 0) & rows[column].notna()]
    if rows.empty:
        return pd.DataFrame()
    return rows[rows.variant == rows.variant.min()].pivot(index="seed", columns="class", values=column)


def _both(*tables: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of the seeds that all tables have, and the columns of the classes that all have."""
    if any(one.empty for one in tables):
        return [pd.DataFrame() for _ in tables]
    seeds = [seed for seed in tables[0].index if all(seed in one.index for one in tables)]
    classes = [name for name in tables[0] if all(name in one for one in tables)]
    return [one.loc[seeds, classes] for one in tables]


def _variance(one: pd.DataFrame) -> pd.Series:
    return pd.Series([float(class_wise_variance(present(row))) for row in one.to_numpy()], index=one.index)


def _disparity(one: pd.DataFrame) -> pd.Series:
    return pd.Series([float(disparity(present(row))) for row in one.to_numpy()], index=one.index)


# ---- statistics: one number per seed, positive if it speaks for the claim ----------------------------------


def beyond_control(table: pd.DataFrame) -> pd.DataFrame:
    """CW-1: class-wise variance under PGD minus that of the clean images, and minus that of the plain network
    at the radius of the same mean.
    """
    robust, clean, control = _both(
        wide(table, IN_BALL, "pgd"), wide(table, IN_BALL, "clean"), wide(table, "plain", MATCHED)
    )
    if robust.empty:
        return pd.DataFrame()
    spread = _variance(robust)
    return pd.DataFrame({
        "beyond clean": spread - _variance(clean),
        "beyond the control": spread - _variance(control),
    })


def _mean_correlation(vectors: Iterable[pd.Series]) -> float:
    """Mean rank correlation of all pairs of class vectors; NaN without a pair."""
    found = [
        rank_correlation(one.reindex(other.index), other) for one, other in itertools.combinations(vectors, 2)
    ]
    there = [value for value in found if not np.isnan(value)]
    return float(np.mean(there)) if there else float("nan")


def consistent(table: pd.DataFrame) -> pd.DataFrame:
    """CW-2: mean rank correlation of class vectors between attacks and between trainings, minus
    CONSISTENT.
    """
    ways = sorted(set(table[table.variant.str.fullmatch(WHOLE)].variant))
    found = {
        (way, method): wide(table, way.replace(".", r"\."), *method) for way in ways for method in METHODS
    }
    control, rows = wide(table, "plain", MATCHED), {}
    for seed in sorted({seed for one in found.values() for seed in one.index}):
        own = {key: one.loc[seed].dropna() for key, one in found.items() if seed in one.index}
        between = [
            _mean_correlation([own[way, method] for method in METHODS if (way, method) in own])
            for way in ways
        ]
        across = []
        for method in METHODS:
            vectors = [own[way, method] for way in ways if (way, method) in own]
            vectors += [control.loc[seed].dropna()] if method[0] == "pgd" and seed in control.index else []
            across.append(_mean_correlation(vectors))
        rows[seed] = {
            "attacks": _mean(between) - CONSISTENT,
            "trainings": _mean(across) - CONSISTENT,
        }
    return pd.DataFrame.from_dict(rows, orient="index").dropna()


def _mean(values: list[float]) -> float:
    there = [value for value in values if not np.isnan(value)]
    return float(np.mean(there)) if there else float("nan")


def from_the_weak(table: pd.DataFrame) -> pd.DataFrame:
    """CW-3: what Temperature-PGD gains over PGD in the weaker half of classes minus in the stronger half, on
    three scales. Classes are ordered by the mean of both accuracies, which favours neither.
    """
    before, after, low, high = _both(
        wide(table, IN_BALL, "pgd"),
        wide(table, IN_BALL, "t-pgd", STRONG),
        wide(table, IN_BALL, "pgd", column="margin"),
        wide(table, IN_BALL, "t-pgd", STRONG, column="margin"),
    )
    rows = {}
    for seed in before.index:
        place, fall = (before.loc[seed] + after.loc[seed]) / 2, before.loc[seed] - after.loc[seed]
        survived = before.loc[seed].where(before.loc[seed] > 0)
        rows[seed] = {
            "points": weak_over_strong(place, fall),
            "share of what survived": weak_over_strong(place, 100 * fall / survived),
            "margin": weak_over_strong(place, high.loc[seed] - low.loc[seed]),
        }
    return pd.DataFrame.from_dict(rows, orient="index").dropna()


def enlarges(table: pd.DataFrame) -> pd.DataFrame:
    """CW-4: class-wise variance and disparity under Temperature-PGD in the safe form minus those under
    PGD.
    """
    before, after = _both(wide(table, IN_BALL, "pgd"), wide(table, IN_BALL, "t-pgd", STRONG))
    if before.empty:
        return pd.DataFrame()
    return pd.DataFrame({
        "variance": _variance(after) - _variance(before),
        "disparity": _disparity(after) - _disparity(before),
    })


def beats(table: pd.DataFrame) -> pd.Series:
    """CW-5: mean over classes of accuracy under PGD minus that under Temperature-PGD, in points."""
    before, after = _both(wide(table, IN_BALL, "pgd"), wide(table, IN_BALL, "t-pgd", STRONG))
    return (before - after).mean(axis=1) if len(before) else pd.Series(dtype=float)


def helps_the_worst(table: pd.DataFrame) -> pd.DataFrame:
    """CW-6: accuracy of the worst class under attack with a change minus without: class weights in training
    (under Temperature-PGD), and a logit bias at inference (under margin PGD, anew against the biased
    network).
    """
    usual, weighted, before, after = (
        wide(table, IN_BALL, "t-pgd", STRONG),
        wide(table, WEIGHTED, "t-pgd", STRONG),
        wide(table, IN_BALL, UNTUNED),
        wide(table, IN_BALL, TUNED),
    )
    usual, weighted, before, after = _both(usual, weighted, before, after)
    if usual.empty:
        return pd.DataFrame()
    return pd.DataFrame({
        "class weights": weighted.min(axis=1) - usual.min(axis=1),
        "logit bias": after.min(axis=1) - before.min(axis=1),
    })


def homes(table: pd.DataFrame) -> pd.Series:
    """CW-7: of the images of a class that are taken for the class it is most confused with, the share that
    withstands the attack once the network is trained without that class, minus one half, in points.
    """
    found = wide(table, IN_BALL, RETRAINED)
    return found.mean(axis=1) - 50 if len(found) else pd.Series(dtype=float)


def follows_norm(table: pd.DataFrame) -> pd.Series:
    """CW-8: rank correlation over classes of accuracy under PGD with the norm of the class's weights."""
    robust, norms = _both(wide(table, IN_BALL, "pgd"), wide(table, IN_BALL, "pgd", column="norm"))
    found = {seed: rank_correlation(robust.loc[seed], norms.loc[seed]) for seed in robust.index}
    return pd.Series(found, dtype=float).dropna()


def has_its_ends(table: pd.DataFrame) -> pd.DataFrame:
    """CW-9: how much nearer than NEAR the safe form is to PGD at T = 1 and to margin PGD at 1/T = COLD, in
    points of mean accuracy.
    """
    pgd, one, margin, cold = (
        _mean_accuracy(wide(table, IN_BALL, *method))
        for method in (("pgd", None), ("t-pgd", 1.0), ("margin", None), ("t-pgd", COLD))
    )
    return pd.DataFrame({
        "T = 1": NEAR["one"] - (one - pgd).abs(),
        f"1/T = {COLD:g}": NEAR["cold"] - (cold - margin).abs(),
    }).dropna()


def _mean_accuracy(one: pd.DataFrame) -> pd.Series:
    return one.mean(axis=1) if len(one) else pd.Series(dtype=float)


# ---- claims ------------------------------------------------------------------------------------------------

_ADVERSARIAL = (
    "needs adversarially trained networks (pgd-K-linf-R) with the table `logits`, which "
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
        statistic=beyond_control,
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
        rule="mean rank correlation of class accuracies, between attacks on a network and between trainings "
        f"under an attack, minus {CONSISTENT}",
        statistic=consistent,
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
        statistic=from_the_weak,
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
        statistic=enlarges,
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
        statistic=beats,
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
        statistic=helps_the_worst,
        written=WRITTEN,
        shown=("16-class-by-class", "fig-worst-class"),
        caution="what the paper changes is recalled, weakly; the mean over classes stands beside it",
        lacks="needs networks with class weights (weighted-K-linf-R) beside adversarially trained ones, and "
        "the tables `logits` and `logit_bias`; sweeps/classwise.yml makes them",
    ),
    Claim(
        "CW-7",
        "many images can be attacked towards certain similar classes alone, and no more once the network is "
        "trained without those",
        "established",
        rule="of the images of a class that PGD turns into the class it is most confused with, the share "
        "that withstands PGD on a network trained without that class, minus one half",
        unit="points",
        statistic=homes,
        written=WRITTEN,
        shown=("16-class-by-class", "fig-confusion"),
        caution="leaving out a logit is no training: its share is shown, not judged",
        lacks="needs an adversarially trained network without the confused class (`--without`) with the "
        "table `logits`",
    ),
    Claim(
        "CW-8",
        "classes with long classifier weights are more robust",
        "established",
        rule="rank correlation over classes of accuracy under PGD with the norm of the class's weights",
        statistic=follows_norm,
        written=WRITTEN,
        shown=("16-class-by-class", "fig-classes"),
        caution="ten classes a seed say little: a correlation below 0.63 is within chance",
        lacks=_ADVERSARIAL,
    ),
    Claim(
        "CW-9",
        "Temperature-PGD is PGD at T = 1 and tends to PGD on the margin, without underflow (ours)",
        "ours",
        rule=f"{NEAR['one']} points minus the distance of mean accuracies of PGD and Temperature-PGD at "
        f"T = 1, and {NEAR['cold']:g} point minus that of margin PGD and Temperature-PGD at 1/T = {COLD:g}",
        unit="points",
        statistic=has_its_ends,
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
        table: One row per network, attack and class, as described above; None or empty where nothing is
            cached.
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
