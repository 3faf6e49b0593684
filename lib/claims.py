"""The paper's claims, the rule that decides on each, written down before the numbers, and the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lib.errors import InputError

VERDICTS = ("reproduced", "not reproduced", "inconclusive", "not tested")
LEAST_SEEDS = 3  # fewer give no interval worth the name, hence no verdict
LEAST_STRENGTHS = 2  # of PGD training: one says nothing of how selectivity follows strength


@dataclass(frozen=True)
class Claim:
    """One claim of the protocol: what is said, how sure we are that it is said, and how it is decided.

    statistic  runs.summary table of networks on one data set and model -> one number a seed, positive when it speaks for the claim
    compares   the kinds of training that the statistic compares, at α = 0; empty: it compares plain networks over α
    needs      the column of the table that the statistic reads, where runs.summary has it not by itself
    """

    id: str
    statement: str
    certainty: str  # of the statement: established (read in the authors' words) or recalled (from memory, unverified)
    published: str = ""
    rule: str = ""  # what the statistic is, in words
    unit: str = ""
    statistic: Callable[[pd.DataFrame], pd.Series] | None = None
    compares: tuple[str, ...] = ()
    needs: str = ""


@dataclass(frozen=True)
class Verdict:
    """What the cached networks say on a claim: mean of the statistic over n seeds with its 95 % t interval."""

    claim: Claim
    verdict: str
    seeds: int = 0
    estimate: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    reason: str = ""


# Written 2026-11-21, when of the CIFAR-10 networks only that of alpha = 0 had been trained.
RULE = (
    "A claim's statistic is computed for each seed and is positive when it speaks for the claim. "
    f"With at least {LEAST_SEEDS} seeds: reproduced if the 95 % t interval of its mean lies above 0, not reproduced if it lies below 0, "
    "inconclusive otherwise. With fewer seeds: inconclusive."
)


def _wide(summary: pd.DataFrame, column: str, across: str = "alpha") -> pd.DataFrame:
    """A row a seed, a column an alpha in ascending order; seeds that lack an alpha, or its number, are left out.

    across  "alpha": of the plain networks; "variant" or "steps", which is their strength: of those with α = 0
    raises  InputError where numbers of epochs are mixed
    """
    rows = summary[summary.variant == "plain"] if across == "alpha" else summary[summary.alpha == 0]
    if rows.epochs.nunique() > 1:
        raise InputError(f"a claim compares networks of equal length, these were trained {' and '.join(map(str, sorted(set(rows.epochs))))} epochs")
    return rows.pivot(index="seed", columns=across, values=column).sort_index(axis=1).dropna()


def variant_name(variant: str) -> str:
    """A way of training as figures and tables call it: plain, AugMix, or PGD, 4 steps."""
    if variant.startswith("pgd-"):
        return f"PGD, {variant[4:]} step{'' if variant == 'pgd-1' else 's'}"
    return {"augmix": "AugMix"}.get(variant, variant)


def strength(variant: str) -> float:
    """Steps of PGD training: K for "pgd-K", 0 for "plain", NaN for what is no PGD training."""
    return 0.0 if variant == "plain" else float(variant.removeprefix("pgd-")) if variant.startswith("pgd-") else float("nan")


def smallest_step(summary: pd.DataFrame) -> pd.Series:
    """For each seed, the smallest rise of mean selectivity from one alpha to the next; above 0 means strictly monotone."""
    return _wide(summary, "mean_selectivity").diff(axis=1).iloc[:, 1:].min(axis=1)


def low_over_high(summary: pd.DataFrame) -> pd.Series:
    """For each seed, clean accuracy at the lowest alpha minus that at the highest, in points."""
    wide = _wide(summary, "clean_accuracy")
    return 100 * (wide.iloc[:, 0] - wide.iloc[:, -1])


def dead_gain(summary: pd.DataFrame) -> pd.Series:
    """For each seed, the share of dead units at the highest alpha minus that at alpha = 0, in points."""
    wide = _wide(summary, "dead")
    return 100 * (wide.iloc[:, -1] - wide[0.0]) if 0.0 in wide else pd.Series(dtype=float)


# The two below and their rules: written 2026-11-21, before the first of these AugMix and PGD networks was finished, on either data set. Of the plain
# ones that they are compared with, one was finished: CIFAR-10, seed 0.


def augmix_lowers(summary: pd.DataFrame) -> pd.Series:
    """For each seed, mean selectivity of the plain network minus that of the AugMix network, both with α = 0."""
    wide = _wide(summary[summary.variant.isin(["plain", "augmix"])], "mean_selectivity", "variant")
    return wide.plain - wide.augmix if {"plain", "augmix"} <= set(wide) else pd.Series(dtype=float)


def smallest_strength_step(summary: pd.DataFrame) -> pd.Series:
    """For each seed, the smallest rise of live selectivity from one strength of PGD training to the next, plain (no step) first, with α = 0."""
    rows = summary.assign(steps=summary.variant.map(strength))
    wide = _wide(rows[rows.steps.notna()], "live_selectivity", "steps")
    if 0.0 not in wide or wide.shape[1] < 1 + LEAST_STRENGTHS:
        return pd.Series(dtype=float)
    return wide.diff(axis=1).iloc[:, 1:].min(axis=1)


# The three below and their rules: written 2026-11-21, when of all networks one had been measured on corrupted images: digits, α = 0, seed 0. On the
# columns see lib/accuracy.py.


def _lowest_over_zero(summary: pd.DataFrame, column: str) -> pd.Series:
    """For each seed, a column at the lowest α minus the same at α = 0; empty where there is no α below 0, or not 0 itself."""
    wide = _wide(summary, column)
    return wide.iloc[:, 0] - wide[0.0] if 0.0 in wide and wide.columns[0] < 0 else pd.Series(dtype=float)


def corrupted_gain(summary: pd.DataFrame) -> pd.Series:
    """For each seed, mean accuracy on corrupted images at the lowest alpha minus that at alpha = 0, in points."""
    return 100 * _lowest_over_zero(summary, "corrupted_accuracy")


def improved_corruptions(summary: pd.DataFrame) -> pd.Series:
    """For each seed, of how many corruptions the lowest alpha is more accurate than alpha = 0, minus half of their number."""
    gains = [_lowest_over_zero(summary, column) for column in summary if column.startswith("corrupted_") and column != "corrupted_accuracy"]
    return sum((gain > 0) - 0.5 for gain in gains)


def relative_gain(summary: pd.DataFrame) -> pd.Series:
    """For each seed, corrupted over clean accuracy at the lowest alpha minus that at alpha = 0, in points."""
    return 100 * _lowest_over_zero(summary, "relative_accuracy")


CLAIMS = (
    Claim(
        "LM-1", "α controls mean selectivity monotonically", "established",
        "ResNet18 on Tiny ImageNet: mean selectivity 0.154 at α = −2, 0.348 at 0, 0.879 at 2, rising throughout (digitised)",
        "smallest rise of mean selectivity between neighbouring α", "", smallest_step,
    ),
    Claim(
        "LM-2", "clean accuracy survives low selectivity and suffers from high", "established",
        "ResNet20: selectivity can be cut 2.5 times at no loss, near 0 costs about 2 % (companion paper); suffers far more from high (recalled)",
        "clean accuracy at the lowest α minus that at the highest", "points", low_over_high,
    ),
    Claim(
        "LM-3", "lower selectivity improves accuracy on corrupted images", "recalled",
        "ResNet18 on Tiny ImageNet-C: 13.8 % at α = 0, 17.3 % at α = −2",
        "mean accuracy on corrupted images at the lowest α minus that at α = 0", "points", corrupted_gain, needs="corrupted_accuracy",
    ),
    Claim(
        "LM-4", "the gain on corrupted images holds corruption by corruption", "recalled", "ResNet20: 14 of 19; ResNet18: 15 of 15",
        "number of corruptions on which the lowest α beats α = 0, minus half of all", "", improved_corruptions, needs="corrupted_accuracy",
    ),
    Claim(
        "LM-5", "LM-3 is not explained by clean accuracy", "recalled", "the gain of ResNet20 is larger after normalising",
        "corrupted over clean accuracy at the lowest α minus that at α = 0", "points", relative_gain, needs="relative_accuracy",
    ),
    Claim(
        "LM-6", "AugMix lowers mean selectivity", "established", "like α between −0.1 and −0.2",
        "mean selectivity of the plain network minus that of the AugMix network", "", augmix_lowers, ("plain", "augmix"),
    ),
    Claim(
        "LM-7", "higher selectivity resists FGSM better; the clean ordering reverses by ε ≤ 0.002", "established",
        "ResNet18 at ε = 0.002: 28.9 % (α = 2), 27.2 % (0), 22.9 % (−2)",
    ),
    Claim("LM-8", "the same ordering under PGD and in other networks", "established for ResNet50, recalled for ResNet20"),
    Claim("LM-9", "the effect is not gradient masking: attacks made on α = 0 networks agree", "recalled"),
    Claim(
        "LM-10", "networks of low selectivity are less stable: the input-output Jacobian norm falls as α rises",
        "established; that it is measured by this norm is recalled",
    ),
    Claim("LM-11", "accuracy on ImageNet-A does not depend on α", "established"),
    Claim(
        "LM-12", "PGD training raises mean selectivity in proportion to its strength", "established",
        "monotone once dead units are left out; in ResNet20 they reduce the raw effect",
        "smallest rise of mean selectivity over live units between neighbouring strengths, plain training first", "", smallest_strength_step,
        ("plain", "pgd"),
    ),
    Claim("LM-13", "the variability of input-unit gradients over samples rises with selectivity", "recalled"),
    Claim(
        "LM-14", "the variability of input-unit gradients over units rises with selectivity, less in late layers",
        "recalled; that the curves converge with depth is established",
    ),
    Claim("LM-15", "the dimensionality of early layers falls as selectivity rises", "established"),
    Claim("LM-16", "the dimensionality of the change a perturbation makes falls as selectivity rises", "established"),
    Claim("LM-17", "that change has more dimensions for attacks than for corruptions, in early layers", "established"),
    Claim("LM-18", "intrinsic dimension (TwoNN) agrees with LM-15 to LM-17", "established"),
    Claim(
        "LM-19", "ResNet20 gains dead units as α grows", "established", "companion paper, direction only; ResNet18 has about none",
        "share of dead units at the highest α minus that at α = 0", "points", dead_gain,
    ),
)  # fmt: skip


def t_interval(values: pd.Series) -> tuple[float, float]:
    """Student's 95 % interval of the mean over seeds; of equal values, that value twice. Needs two values at least."""
    error = stats.sem(values)
    if error == 0:
        return float(values.iloc[0]), float(values.iloc[0])
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=error)
    return float(low), float(high)


def claim(identifier: str) -> Claim:
    """A claim by its id."""
    return next(one for one in CLAIMS if one.id == identifier)


def decide(one: Claim, summary: pd.DataFrame | None) -> Verdict:
    """Apply the rule to the networks of a summary table (one data set and model).

    summary  rows without numbers stand for networks that are not cached; rows that the claim is not about are ignored; None: no networks given
    """
    if one.statistic is None:
        return Verdict(one, "not tested", reason="its chapter is not written yet")
    if summary is None:
        return Verdict(one, "not tested", reason="its networks are not among those shown here")
    if one.needs and (one.needs not in summary or summary[one.needs].isna().all()):
        return Verdict(one, "not tested", reason="its networks are not measured yet")
    values = one.statistic(summary)
    n = len(values)
    if n == 0:
        return _without_a_seed(one, summary)
    estimate = float(np.mean(values))
    if n < LEAST_SEEDS:
        return Verdict(one, "inconclusive", n, estimate, reason=f"{n} of the {LEAST_SEEDS} seeds that an interval needs")
    low, high = t_interval(values)
    verdict = "reproduced" if low > 0 else "not reproduced" if high < 0 else "inconclusive"
    return Verdict(one, verdict, n, estimate, low, high)


def _without_a_seed(one: Claim, summary: pd.DataFrame) -> Verdict:
    """The verdict where no seed has all that the statistic needs, and the reason."""
    if not one.compares:
        return Verdict(one, "inconclusive", reason="no seed has all the α that the statistic needs")
    rows = summary[(summary.alpha == 0) & summary.variant.str.split("-").str[0].isin(one.compares)]
    there = rows.mean_selectivity.notna()
    lacking = [kind for kind in one.compares if not rows.variant.str.startswith(kind).any()]
    for variant, seeds in rows[~there].groupby("variant", sort=False).seed:
        some = f" (seed {', '.join(map(str, seeds))})" if rows[there].variant.eq(variant).any() else ""
        lacking.append(variant + some)
    missing = ", ".join(lacking) or f"PGD training of at least {LEAST_STRENGTHS} strengths"
    verdict = "inconclusive" if there.any() else "not tested"
    return Verdict(one, verdict, reason=f"no seed has all the networks that the statistic needs; missing: {missing}")


def ledger(alphas: pd.DataFrame | None = None, variants: pd.DataFrame | None = None) -> pd.DataFrame:
    """A row a claim: id, claim, certainty, published, statistic, ours, verdict. Numbers are formatted to be read.

    alphas    runs.summary table of the plain networks over α, for most claims
    variants  the same of networks trained in other ways, for the claims that compare those; they may have another number of epochs
    """
    rows = []
    for verdict in (decide(one, variants if one.compares else alphas) for one in CLAIMS):
        one = verdict.claim
        rows.append(
            {
                "id": one.id,
                "claim": one.statement,
                "certainty": one.certainty,
                "published": one.published,
                "statistic": one.rule,
                "ours": describe(verdict),
                "verdict": verdict.verdict,
            }
        )
    return pd.DataFrame(rows)


def describe(verdict: Verdict) -> str:
    """Our estimate in words: value, unit, interval, seeds, and the reason where there is no verdict."""
    if not verdict.seeds:
        return verdict.reason
    unit = f" {verdict.claim.unit}" if verdict.claim.unit else ""
    number = f"{verdict.estimate:+.3g}{unit}".replace("-", "−")
    if np.isnan(verdict.low):
        return f"{number}; {verdict.reason}"
    return f"{number}, 95 % interval {verdict.low:+.3g} to {verdict.high:+.3g}, {verdict.seeds} seeds".replace("-", "−")


def estimate(values: pd.Series, form: str) -> str:
    """Mean over seeds, and its 95 % t interval in brackets where there are seeds enough for one.

    >>> estimate(pd.Series([1.0, 2.0, 3.0]), ".1f")
    '2.0 (−0.5 to 4.5)'
    """
    words = f"{values.mean():{form}}"
    if len(values) >= LEAST_SEEDS:
        low, high = t_interval(values)
        words += f" ({low:{form}} to {high:{form}})"
    return words.replace("-", "−")


def by_training(summary: pd.DataFrame) -> pd.DataFrame:
    """A row a way of training (and α, where there are several), in the order of the table: n, and each measured column as mean and interval."""
    rows = []
    for (variant, alpha), networks in summary.groupby(["variant", "alpha"], sort=False):
        diverged = (networks.status == "diverged").sum()
        rows.append(
            {
                "training": variant_name(variant),
                "α": f"{alpha:g}".replace("-", "−"),
                "n": f"{len(networks)}" + (f", {diverged} diverged" if diverged else ""),
                "clean accuracy, %": estimate(100 * networks.clean_accuracy, ".1f"),
                "mean selectivity": estimate(networks.mean_selectivity, ".3f"),
                "dead units left out": estimate(networks.live_selectivity, ".3f"),
                "dead units, %": estimate(100 * networks.dead, ".1f"),
            }
        )
    return pd.DataFrame(rows) if summary.alpha.nunique() > 1 else pd.DataFrame(rows).drop(columns="α")


def by_alpha(summary: pd.DataFrame) -> pd.DataFrame:
    """A row an α: n, and accuracy on clean and corrupted images, and the one over the other, as mean and interval; see lib/accuracy.py."""
    columns = {"clean, %": "subset_accuracy", "corrupted, %": "corrupted_accuracy", "corrupted / clean, %": "relative_accuracy"}
    rows = []
    for alpha, networks in summary.groupby("alpha"):
        diverged = (networks.status == "diverged").sum()
        row = {"α": f"{alpha:g}".replace("-", "−"), "n": f"{len(networks)}" + (f", {diverged} diverged" if diverged else "")}
        rows.append(row | {label: estimate(100 * networks[column], ".1f") for label, column in columns.items()})
    return pd.DataFrame(rows)
