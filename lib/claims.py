"""The paper's claims, the rule that decides on each, written down before the numbers, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lib import effects
from lib.effects import LEAST_STRENGTHS, t_interval, variant_name

VERDICTS = ("reproduced", "not reproduced", "inconclusive", "not tested")
CONFIDENCE = 0.95
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
    lacks      what it would take to test it, where there is no statistic
    """

    id: str
    statement: str
    certainty: str  # of the statement: established (read in the authors' words) or recalled (from memory, unverified)
    published: str = ""
    rule: str = ""  # what the statistic is, in words
    unit: str = ""
    statistic: Callable[[pd.DataFrame], pd.Series | pd.DataFrame] | None = None
    compares: tuple[str, ...] = ()
    needs: str = ""
    written: str = ""
    shown: tuple[str, str] = ("", "")
    lacks: str = ""


@dataclass(frozen=True)
class Part:
    """Mean over seeds of a statistic, or of one of its parts, with its 95 % t interval; NaN for the interval of too few seeds."""

    name: str  # "" where there is only one
    estimate: float
    low: float = float("nan")
    high: float = float("nan")
    p: float = float("nan")  # two-sided, of Student's t test against 0: below 0.05 exactly where the interval leaves out 0


@dataclass(frozen=True)
class Verdict:
    """What the cached networks say on a claim; `estimate`, `low` and `high` are those of the part that speaks for it least."""

    claim: Claim
    verdict: str
    seeds: int = 0
    parts: tuple[Part, ...] = ()
    reason: str = ""

    def _least(self) -> Part:
        return min(self.parts, key=lambda part: part.estimate, default=Part("", float("nan")))

    @property
    def estimate(self) -> float:
        return self._least().estimate

    @property
    def low(self) -> float:
        return self._least().low

    @property
    def high(self) -> float:
        return self._least().high

    @property
    def p(self) -> float:
        """Of the verdict: where every part must hold, the largest; where one against the claim suffices, the smallest of these, times the parts."""
        if self.verdict == "not reproduced":
            return min(1.0, len(self.parts) * min(part.p for part in self.parts if part.high < 0))
        return max((part.p for part in self.parts), default=float("nan"))


# Written 2026-11-21, when of the CIFAR-10 networks only that of alpha = 0 had been trained; the sentence on parts later that day, for the claims about
# attacks, when α = −2 and 0, seed 0, had been attacked. No earlier claim has parts.
RULE = (
    "A claim's statistic is computed for each seed and is positive when it speaks for the claim. "
    f"With at least {LEAST_SEEDS} seeds: reproduced if the 95 % t interval of its mean lies above 0, not reproduced if it lies below 0, "
    "inconclusive otherwise. With fewer seeds: inconclusive. "
    "Where a claim has several parts, it is reproduced if every part is, and not reproduced if one is not."
)


FIRST = "2026-11-21, when of the CIFAR-10 networks only that of α = 0 had been trained"
CORRUPTED = "2026-11-21, when one network had been measured on corrupted images: digits, α = 0, seed 0"
VARIANTS = "2026-11-21, before the first network trained with AugMix or PGD was finished"
ATTACKED = "2026-11-21, when five networks had been attacked on some images; revised that day, when α = −2 and 0 of CIFAR-10, seed 0, had been seen whole"
INSIDE = "2026-11-21, before any network, on any data set, had been measured in this way"

CLAIMS = (
    Claim(
        "LM-1", "α controls mean selectivity monotonically", "established",
        "ResNet18 on Tiny ImageNet: mean selectivity 0.154 at α = −2, 0.348 at 0, 0.879 at 2, rising throughout (digitised)",
        "smallest rise of mean selectivity between neighbouring α", "", effects.smallest_step,
        written=FIRST, shown=("02-approach", "fig-selectivity"),
    ),
    Claim(
        "LM-2", "clean accuracy survives low selectivity and suffers from high", "established",
        "ResNet20: selectivity can be cut 2.5 times at no loss, near 0 costs about 2 % (companion paper); suffers far more from high (recalled)",
        "clean accuracy at the lowest α minus that at the highest", "points", effects.low_over_high,
        written=FIRST, shown=("02-approach", "fig-accuracy"),
    ),
    Claim(
        "LM-3", "lower selectivity improves accuracy on corrupted images", "recalled",
        "ResNet18 on Tiny ImageNet-C: 13.8 % at α = 0, 17.3 % at α = −2",
        "mean accuracy on corrupted images at the lowest α minus that at α = 0", "points", effects.corrupted_gain, needs="corrupted_accuracy",
        written=CORRUPTED, shown=("04-average-case", "fig-corrupted"),
    ),
    Claim(
        "LM-4", "the gain on corrupted images holds corruption by corruption", "recalled", "ResNet20: 14 of 19; ResNet18: 15 of 15",
        "number of corruptions on which the lowest α beats α = 0, minus half of all", "", effects.improved_corruptions, needs="corrupted_accuracy",
        written=CORRUPTED, shown=("04-average-case", "fig-by-corruption"),
    ),
    Claim(
        "LM-5", "LM-3 is not explained by clean accuracy", "recalled", "the gain of ResNet20 is larger after normalising",
        "corrupted over clean accuracy at the lowest α minus that at α = 0", "points", effects.relative_gain, needs="relative_accuracy",
        written=CORRUPTED, shown=("04-average-case", "fig-corrupted-clean"),
    ),
    Claim(
        "LM-6", "AugMix lowers mean selectivity", "established", "like α between −0.1 and −0.2",
        "mean selectivity of the plain network minus that of the AugMix network", "", effects.augmix_lowers, ("plain", "augmix"),
        written=VARIANTS, shown=("09-other-way-round", "fig-augmix"),
    ),
    Claim(
        "LM-7", "higher selectivity resists FGSM better; the clean ordering reverses by ε ≤ 0.002", "established",
        "ResNet18 at ε = 0.002: 28.9 % (α = 2), 27.2 % (0), 22.9 % (−2)",
        "accuracy under FGSM at ε = 0.002: its rises, from low α to 0 and from 0 to high α; and the fall of clean accuracy from low to high α", "points",
        effects.ordered("fgsm_accuracy", reverses=True, scale=100), needs="fgsm_accuracy",
        written=ATTACKED, shown=("05-worst-case", "fig-strength"),
    ),
    Claim(
        "LM-8", "the same ordering under PGD and in other networks", "established for ResNet50, recalled for ResNet20",
        "ResNet20 agrees except at α = 0.7 and 1, whose clean accuracy is poor (recalled)",
        "accuracy under PGD, 40 steps of 0.0001: its rises, from low α to 0 and from 0 to high α", "points",
        effects.ordered("pgd_accuracy", scale=100), needs="pgd_accuracy",
        written=ATTACKED, shown=("05-worst-case", "fig-strength"),
    ),
    Claim(
        "LM-9", "the effect is not gradient masking: attacks made on α = 0 networks agree", "recalled",
        "networks of high selectivity are still less vulnerable at high intensity (recalled)",
        "accuracy on PGD images of radius 8/255 made against α = 0: its rises, from low α to 0 and from 0 to high α", "points",
        effects.ordered("transfer_accuracy", scale=100), needs="transfer_accuracy",
        written=ATTACKED, shown=("05-worst-case", "fig-transfer"),
    ),
    Claim(
        "LM-10", "networks of low selectivity are less stable: the input-output Jacobian norm falls as α rises",
        "established; that it is measured by this norm is recalled", "direction only",
        "mean log10 norm: its falls, from the lowest α to 0 and from 0 to the highest", "",
        effects.ordered("log_jacobian", ends="all", falling=True), needs="log_jacobian",
        written=ATTACKED, shown=("05-worst-case", "fig-jacobian"),
    ),
    Claim(
        "LM-11", "accuracy on ImageNet-A does not depend on α", "established", "flat, ResNet18 and ResNet50",
        lacks="needs networks trained on Tiny ImageNet and the photographs of ImageNet-A, neither of which is here",
    ),
    Claim(
        "LM-12", "PGD training raises mean selectivity in proportion to its strength", "established",
        "monotone once dead units are left out; in ResNet20 they reduce the raw effect",
        "smallest rise of mean selectivity over live units between neighbouring strengths, plain training first", "", effects.smallest_strength_step,
        ("plain", "pgd"),
        written=VARIANTS, shown=("09-other-way-round", "fig-pgd-steps"),
    ),
    Claim(
        "LM-13", "the variability of input-unit gradients over samples rises with selectivity", "recalled", "direction only, both networks (recalled)",
        "mean over layers of the coefficient of variation over images: its rises, from the lowest α to 0 and from 0 to the highest", "",
        effects.ordered("cv_samples", ends="all"), needs="cv_samples",
        written=INSIDE, shown=("06-gradients", "fig-gradients"),
    ),
    Claim(
        "LM-14", "the variability of input-unit gradients over units rises with selectivity, less in late layers",
        "recalled; that the curves converge with depth is established", "direction only; that late layers differ less is said of ResNet18",
        "mean over layers of the coefficient of variation over units: its rises, from the lowest α to 0 and from 0 to the highest; and the rise between "
        "these two in early layers minus that in late ones", "",
        effects.together(
            all_layers=effects.ordered("cv_units", ends="all"),
            early_beyond_late=effects.fall("cv_units_late", beyond="cv_units_early"),  # a fall of late minus one of early is a rise of early minus one of late
        ),
        needs="cv_units",
        written=INSIDE, shown=("06-gradients", "fig-gradients"),
    ),
    Claim(
        "LM-15", "the dimensionality of early layers falls as selectivity rises", "established; that ResNet20 shows it in all layers is recalled",
        "direction only; ResNet18: layers up to the 9th (recalled)",
        "principal components for 95 % of the variance over units, mean over early layers: its falls, from the lowest α to 0 and from 0 to the highest",
        "% of units", effects.ordered("dimension_clean", ends="all", falling=True, scale=100), needs="dimension_clean",
        written=INSIDE, shown=("07-dimensionality", "fig-dimensions"),
    ),
    Claim(
        "LM-16", "the dimensionality of the change a perturbation makes falls as selectivity rises, and more than that of LM-15", "established",
        "direction only",
        "the same of the changes, for corruptions (mean of all) and for PGD: their falls, from the lowest α to 0 and from 0 to the highest; and how much more "
        "they fall between these two than that of the clean activations of the same images", "% of units",
        effects.together(
            corruptions=effects.ordered("dimension_corruption", ends="all", falling=True, scale=100),
            PGD=effects.ordered("dimension_attack", ends="all", falling=True, scale=100),
            corruptions_beyond_clean=effects.fall("dimension_corruption", beyond="dimension_same", scale=100),
            PGD_beyond_clean=effects.fall("dimension_attack", beyond="dimension_same", scale=100),
        ),
        needs="dimension_attack",
        written=INSIDE, shown=("07-dimensionality", "fig-dimensions"),
    ),
    Claim(
        "LM-17", "that change has more dimensions for attacks than for corruptions, in early layers", "established", "direction only",
        "the same for PGD minus for corruptions, at the lowest α, at 0 and at the highest", "% of units",
        effects.excess("dimension_attack", "dimension_corruption", scale=100), needs="dimension_attack",
        written=INSIDE, shown=("07-dimensionality", "fig-changes-both"),
    ),
    Claim(
        "LM-18", "intrinsic dimension (TwoNN) agrees; both kinds of change have more dimensions than the clean representation", "established", "direction only",
        "TwoNN, mean over early layers: its fall from the lowest α to the highest, for clean activations and both changes; and at α = 0, PGD minus corruptions "
        "and each change minus clean", "dimensions",
        effects.together(
            clean=effects.fall("twonn_clean"), corruptions=effects.fall("twonn_corruption"), PGD=effects.fall("twonn_attack"),
            PGD_beyond_corruptions=effects.excess("twonn_attack", "twonn_corruption", everywhere=False),
            corruptions_beyond_clean=effects.excess("twonn_corruption", "twonn_clean", everywhere=False),
            PGD_beyond_clean=effects.excess("twonn_attack", "twonn_clean", everywhere=False),
        ),
        needs="twonn_attack",
        written=INSIDE, shown=("07-dimensionality", "fig-twonn"),
    ),
    Claim(
        "LM-19", "ResNet20 gains dead units as α grows", "established", "companion paper, direction only; ResNet18 has about none",
        "share of dead units at the highest α minus that at α = 0", "points", effects.dead_gain,
        written=FIRST, shown=("02-approach", "fig-dead"),
    ),
)  # fmt: skip

# What the paper did not ask, decided by the same rule: does LM-8 survive attacks that do not depend on how sure of itself a network is (LM-X2)?
SURVIVES = tuple(
    Claim(
        "LM-X2", f"the ordering of LM-8 under {name}", "ours", "",
        "accuracy under it, at the radius that stands for the data set: its rises, from low α to 0 and from 0 to high α", "points",
        effects.ordered(column, scale=100), needs=column,
        written=ATTACKED, shown=("05-worst-case", "fig-survival"),
    )
    for name, column in {
        "PGD on the cross-entropy": "ball_cross_entropy", "PGD on the margin": "ball_margin", "Temperature-PGD": "ball_temperature",
        "the strongest of the three": "ball_worst", "the strongest of the three, over clean accuracy": "relative_worst", "AutoAttack": "autoattack_accuracy",
    }.items()
)  # fmt: skip


def claim(identifier: str) -> Claim:
    """A claim by its id."""
    return next(one for one in CLAIMS if one.id == identifier)


def decide(one: Claim, summary: pd.DataFrame | None) -> Verdict:
    """Apply the rule to the networks of a summary table (one data set and model).

    summary  rows without numbers stand for networks that are not cached; rows that the claim is not about are ignored; None: no networks given
    """
    if one.statistic is None:
        return Verdict(one, "not tested", reason=one.lacks)
    if summary is None:
        return Verdict(one, "not tested", reason="its networks are not among those shown here")
    if one.needs and (one.needs not in summary or summary[one.needs].isna().all()):
        return Verdict(one, "not tested", reason="its networks are not measured yet")
    found = one.statistic(summary)
    values = found.to_frame("") if isinstance(found, pd.Series) else found
    n = len(values)
    if n == 0:
        return _without_a_seed(one, summary)
    means = values.mean()
    if n < LEAST_SEEDS:
        parts = tuple(Part(str(name), float(mean)) for name, mean in means.items())
        return Verdict(one, "inconclusive", n, parts, reason=f"{n} of the {LEAST_SEEDS} seeds that an interval needs")
    parts = tuple(Part(str(name), float(means[name]), *t_interval(values[name]), _p(values[name])) for name in values)
    verdict = "reproduced" if all(part.low > 0 for part in parts) else "not reproduced" if any(part.high < 0 for part in parts) else "inconclusive"
    return Verdict(one, verdict, n, parts)


def _p(values: pd.Series) -> float:
    """Two-sided p of Student's t test against a mean of 0; of values that are all equal, 1 where they are 0 and else 0."""
    error = stats.sem(values)
    if not error:
        return float(values.iloc[0] == 0)
    return float(2 * stats.t.sf(abs(values.mean()) / error, len(values) - 1))


def corrected(verdicts: Iterable[Verdict]) -> list[tuple[float, str]]:
    """Each verdict's p and itself when all of them are asked together: where the corrected p is 0.05 or more, it becomes inconclusive.

    Benjamini and Yekutieli's correction, which keeps the expected share of wrong verdicts among the decided ones below 5 % however the claims depend on each
    other: all are about the same networks. NaN for what has no interval, which is not counted among those asked.
    """
    verdicts = list(verdicts)
    asked = [place for place, one in enumerate(verdicts) if not np.isnan(one.p)]
    found = [(float("nan"), one.verdict) for one in verdicts]
    if asked:
        for place, p in zip(asked, stats.false_discovery_control([verdicts[place].p for place in asked], method="by"), strict=True):
            found[place] = (float(p), verdicts[place].verdict if p < 1 - CONFIDENCE else "inconclusive")
    return found


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
    """A row a claim: id, claim, certainty, published, statistic, ours, verdict, asked together. Numbers are formatted to be read.

    alphas    runs.summary table of the plain networks over α, for most claims
    variants  the same of networks trained in other ways, for the claims that compare those; they may have another number of epochs
    """
    return _table(_decided(CLAIMS, alphas, variants))


def table(some: Iterable[Claim], summary: pd.DataFrame | None) -> pd.DataFrame:
    """The same rows for some claims, all about the networks of one summary; asked together: of these alone."""
    return _table(_decided(some, summary, summary))


def _decided(some: Iterable[Claim], alphas: pd.DataFrame | None, variants: pd.DataFrame | None) -> list[Verdict]:
    return [decide(one, variants if one.compares else alphas) for one in some]


def _table(verdicts: list[Verdict]) -> pd.DataFrame:
    rows = []
    for verdict, (_, together) in zip(verdicts, corrected(verdicts), strict=True):
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
                "asked together": together,
            }
        )
    return pd.DataFrame(rows)


def parts(some: Iterable[Claim], alphas: pd.DataFrame | None, variants: pd.DataFrame | None = None) -> pd.DataFrame:
    """A row a part of a claim that has an estimate: claim (id), statement, part, verdict of the claim, estimate, low, high and p (NaN without an interval)."""
    rows = [
        {"claim": verdict.claim.id, "statement": verdict.claim.statement, "part": part.name, "verdict": verdict.verdict}
        | {"estimate": part.estimate, "low": part.low, "high": part.high, "p": part.p}
        for verdict in _decided(some, alphas, variants)
        for part in verdict.parts
    ]
    return pd.DataFrame(rows, columns=["claim", "statement", "part", "estimate", "low", "high", "p", "verdict"])


def written() -> pd.DataFrame:
    """A row a claim: id, statistic, and when its rule was written and what was known then; what is lacking where there is no statistic."""
    return pd.DataFrame([{"id": one.id, "statistic": one.rule or "none", "rule written": one.written or f"not: {one.lacks}"} for one in CLAIMS])


def detectable(seeds: int) -> float:
    """How many standard deviations between seeds a mean must be away from 0 for its interval to leave out 0; NaN for fewer than two seeds."""
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, seeds - 1) / np.sqrt(seeds)) if seeds > 1 else float("nan")


def describe(verdict: Verdict) -> str:
    """Our estimate in words: value, unit, interval, seeds, and the reason where there is no verdict; part by part."""
    if not verdict.seeds:
        return verdict.reason
    unit = f" {verdict.claim.unit}" if verdict.claim.unit else ""
    parts = []
    for part in verdict.parts:
        words = (f"{part.name}: " if part.name else "") + f"{part.estimate:+.3g}{unit}".replace("-", "−")
        parts.append(words if np.isnan(part.low) else words + f", 95 % interval {part.low:+.3g} to {part.high:+.3g}".replace("-", "−"))
    return "; ".join(parts) + (f"; {verdict.reason}" if verdict.reason else f", {verdict.seeds} seeds")


def estimate(values: pd.Series, form: str) -> str:
    """Mean over seeds, and its 95 % t interval in brackets where there are seeds enough for one.

    >>> estimate(pd.Series([1.0, 2.0, 3.0]), ".1f")
    '2.0 (−0.5 to 4.5)'
    """
    values = values.dropna()
    if values.empty:
        return "not measured"
    words = f"{values.mean():{form}}"
    if len(values) >= LEAST_SEEDS:
        low, high = t_interval(values)
        words += f" ({low:{form}} to {high:{form}})"
    return words.replace("-", "−")


def _means(summary: pd.DataFrame, by: list[str], names: Callable[..., dict[str, str]], columns: dict[str, tuple[str, float, str]]) -> pd.DataFrame:
    """A row a group, in the order of the table: what it is, n, and each column as mean over seeds and interval.

    names    of the values of `by`: the first columns
    columns  {label: (column of the summary, factor, format)}
    """
    rows = []
    for key, networks in summary.groupby(by, sort=False):
        diverged = (networks.status == "diverged").sum()
        row = names(*key) | {"n": f"{len(networks)}" + (f", {diverged} diverged" if diverged else "")}
        rows.append(row | {label: estimate(factor * networks[column], form) for label, (column, factor, form) in columns.items()})
    return pd.DataFrame(rows)


def _alpha(alpha: float) -> dict[str, str]:
    return {"α": f"{alpha:g}".replace("-", "−")}


def by_training(summary: pd.DataFrame) -> pd.DataFrame:
    """A row a way of training (and α, where there are several), in the order of the table: n, and each measured column as mean and interval."""
    columns = {
        "clean accuracy, %": ("clean_accuracy", 100, ".1f"),
        "mean selectivity": ("mean_selectivity", 1, ".3f"),
        "dead units left out": ("live_selectivity", 1, ".3f"),
        "dead units, %": ("dead", 100, ".1f"),
    }
    rows = _means(summary, ["variant", "alpha"], lambda variant, alpha: {"training": variant_name(variant)} | _alpha(alpha), columns)
    return rows if summary.alpha.nunique() > 1 else rows.drop(columns="α")


def by_alpha(summary: pd.DataFrame) -> pd.DataFrame:
    """A row an α: n, and accuracy on clean and corrupted images, and the one over the other, as mean and interval; see lib/accuracy.py."""
    columns = {"clean, %": "subset_accuracy", "corrupted, %": "corrupted_accuracy", "corrupted / clean, %": "relative_accuracy"}
    return _means(summary.sort_values("alpha"), ["alpha"], _alpha, {label: (column, 100, ".1f") for label, column in columns.items()})


def attacked_by_alpha(summary: pd.DataFrame) -> pd.DataFrame:
    """A row an α: n, accuracy under each attack at the strength that stands for the data set, and the Jacobian's norm; see lib/robustness.py."""
    columns = {
        "clean, %": "attacked_clean", "FGSM, %": "fgsm_accuracy", "PGD, %": "pgd_accuracy", "ball: cross-entropy, %": "ball_cross_entropy",
        "ball: margin, %": "ball_margin", "ball: temperature, %": "ball_temperature", "made for others, %": "transfer_accuracy",
        "AutoAttack, %": "autoattack_accuracy",
    }  # fmt: skip
    measured = {label: (column, 100, ".1f") for label, column in columns.items() if summary[column].notna().any()}
    return _means(summary.sort_values("alpha"), ["alpha"], _alpha, measured | {"Jacobian": ("jacobian", 1, ".3g")})
