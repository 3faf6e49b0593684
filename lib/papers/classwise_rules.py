"""What decides the claims about class-wise robustness: for each, one number per seed, positive if it speaks
for the claim.

Statistics take a table with one row per network, attack and class:

- `variant`, `alpha`, `seed`, ...: which network, as in every table; `variant` is its way of training.
- `attack`, `inverse_temperature`: of the measurement `logits`, "clean" for none. Further rows stand for what
  is made of it: MATCHED, the plain network at the radius at which the mean over classes is that of the
  adversarially trained one of the same seed under PGD; TUNED and UNTUNED, the network with and without a
  logit bias tuned on other images; MASKED and RETRAINED, of the images of a class that are taken for the
  class it is most confused with, the share that returns without its logit, and the share that withstands the
  attack once the network is trained without it; ANOTHER, the control: the share of the same images that
  withstands it on the networks of other seeds, which were trained with all classes.
- `class`, `images`, `accuracy`: name, number of images, percent of them; NaN without an image.
- `margin`: mean over the images of the strongest wrong logit minus the correct one.
- `norm`: length of the class's weights in the last layer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pandas as pd

from lib.base.errors import InputError
from lib.papers.class_accuracies import class_wise_variance, disparity, present
from lib.papers.gains import weak_over_strong
from lib.papers.ranks import rank_correlation

STRONG = 5.0  # 1/T of Temperature-PGD in the rules: where the pilot's curve was lowest
COLD = 50.0  # 1/T at which the margin must be reached
NEAR = {"one": 0.5, "cold": 1.0}  # points within which two attacks count as the same
CONSISTENT = 0.5  # rank correlation above which patterns count as consistent
MATCHED, UNTUNED, TUNED = "matched", "untuned", "tuned"
MASKED, RETRAINED, ANOTHER = "masked", "retrained", "another seed"
METHODS = (("fgsm", None), ("pgd", None), ("margin", None), ("t-pgd", STRONG))
IN_BALL = r"pgd-\d+-linf-[\d.]+"  # ways of training that the rules call adversarial
WEIGHTED = r"weighted-\d+-linf-[\d.]+"
WHOLE = rf"{IN_BALL}|trades-\d+-\d+-linf-[\d.]+"  # adversarial training without further measures


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

    Raises:
        InputError: For several networks of one way and seed.
    """
    rows = table[(table.alpha == 0) & table.variant.str.fullmatch(ways) & (table.attack == attack)]
    if inverse is not None:
        rows = rows[np.isclose(rows.inverse_temperature, inverse)]
    rows = rows[(rows["images"] > 0) & rows[column].notna()]
    if rows.empty:
        return pd.DataFrame()
    rows = rows[rows.variant == rows.variant.min()]
    if rows.duplicated(["seed", "class"]).any():
        raise InputError(
            f"claims compare networks of one recipe and length, got several of {rows.variant.iloc[0]} with "
            f"seed {rows.seed[rows.duplicated(['seed', 'class'])].iloc[0]}"
        )
    return rows.pivot(index="seed", columns="class", values=column)


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
    """CW-2: mean rank correlation of class vectors between attacks, between trainings and, with those of the
    other seeds, between seeds, minus CONSISTENT.
    """
    ways = sorted(set(table[table.variant.str.fullmatch(WHOLE)].variant))
    found = {
        (way, method): wide(table, way.replace(".", r"\."), *method) for way in ways for method in METHODS
    }
    control, rows = wide(table, "plain", MATCHED), {}
    seeds = sorted({seed for one in found.values() for seed in one.index})
    for seed in seeds:
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
        if len(seeds) > 1:
            alike = [
                _mean_correlation([own[key], one.loc[other].dropna()])
                for key, one in found.items()
                if key in own
                for other in one.index
                if other != seed
            ]
            rows[seed]["seeds"] = _mean(alike) - CONSISTENT
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
    """CW-9: how much nearer than NEAR the safe form is to PGD at T = 1, in the class that differs most, and
    to margin PGD at 1/T = COLD, in the mean over classes; in points.
    """
    pgd, one = _both(wide(table, IN_BALL, "pgd"), wide(table, IN_BALL, "t-pgd", 1.0))
    margin, cold = _both(wide(table, IN_BALL, "margin"), wide(table, IN_BALL, "t-pgd", COLD))
    return pd.DataFrame({
        "T = 1": NEAR["one"] - (one - pgd).abs().max(axis=1),
        f"1/T = {COLD:g}": NEAR["cold"] - (cold.mean(axis=1) - margin.mean(axis=1)).abs(),
    }).dropna()
