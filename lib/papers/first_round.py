"""Verdicts of the first round (seeds 0 to 2): its rule applied to the numbers of networks, for one claim
alone and for all claims together, and its ledger.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.base.text import number
from lib.papers.claim import LEAST_SEEDS, Claim
from lib.papers.first_statistics import LEAST_STRENGTHS
from lib.papers.selectivity import CLAIMS
from lib.papers.statistics import LEVEL, benjamini_yekutieli, p_value, t_interval

# the networks on which its rule decides; of the same kind as the second round's
ALPHAS = (-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0)
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Part:
    """Mean over seeds of a statistic, or of one of its parts, with its 95 % t interval; the interval is NaN
    with too few seeds.
    """

    name: str  # "" if there is only one
    estimate: float
    low: float = float("nan")
    high: float = float("nan")
    # two-sided p of Student's t test against 0: below 0.05 exactly if the interval excludes 0
    p: float = float("nan")
    above: int = 0  # seeds whose value is above 0
    below: int = 0


@dataclass(frozen=True)
class Verdict:
    """Verdict of the cached networks on a claim.

    `estimate`, `low` and `high` are those of the part that speaks for the claim least.
    """

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
        """p of the verdict: the largest p of the parts if every part must hold; if one part against the claim
        suffices, the smallest p of such parts, times the number of parts.
        """
        if self.verdict == "not reproduced":
            return min(1.0, len(self.parts) * min(part.p for part in self.parts if part.high < 0))
        return max((part.p for part in self.parts), default=float("nan"))


def decide(one: Claim, summary: pd.DataFrame | None) -> Verdict:
    """Apply the rule to the networks of a summary table (one data set and model).

    Args:
        summary: Table of networks, in which rows without numbers are networks that are not cached, and rows
            that do not concern the claim are ignored; None if there are no networks.
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
        parts = tuple(Part(str(name), float(mean), **_sides(values[name])) for name, mean in means.items())
        return Verdict(
            one, "inconclusive", n, parts, reason=f"{n} of the {LEAST_SEEDS} seeds that an interval needs"
        )
    parts = tuple(
        Part(
            str(name),
            float(means[name]),
            *t_interval(values[name]),
            **_sides(values[name]),
            p=p_value(values[name]),
        )
        for name in values
    )
    verdict = "inconclusive"
    if all(part.low > 0 for part in parts):
        verdict = "reproduced"
    elif any(part.high < 0 for part in parts):
        verdict = "not reproduced"
    return Verdict(one, verdict, n, parts)


def _sides(values: pd.Series) -> dict[str, int]:
    return {"above": int((values > 0).sum()), "below": int((values < 0).sum())}


def corrected(verdicts: Iterable[Verdict]) -> list[tuple[float, str]]:
    """Correct verdicts for multiple testing: a verdict whose corrected p is 0.05 or more becomes
    inconclusive.

    The correction is Benjamini and Yekutieli's, which keeps the expected share of wrong verdicts among the
    decided ones below 5 % whatever the dependence between claims, which are all about the same networks.

    Returns:
        The corrected p and the verdict for each; NaN for a verdict without an interval, which does not count
        as a test.
    """
    verdicts = list(verdicts)
    asked = [place for place, one in enumerate(verdicts) if not np.isnan(one.p)]
    found = [(float("nan"), one.verdict) for one in verdicts]
    for place, p in zip(asked, benjamini_yekutieli([verdicts[place].p for place in asked]), strict=True):
        found[place] = (float(p), verdicts[place].verdict if p < LEVEL else "inconclusive")
    return found


def _without_a_seed(one: Claim, summary: pd.DataFrame) -> Verdict:
    """Verdict with its reason if no seed has all that the statistic needs."""
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
    return Verdict(
        one, verdict, reason=f"no seed has all the networks that the statistic needs; missing: {missing}"
    )


# ---- The ledger --------------------------------------------------------------------------------------------


def ledger(alphas: pd.DataFrame | None = None, variants: pd.DataFrame | None = None) -> pd.DataFrame:
    """Ledger with one row per claim: id, claim, certainty, published, statistic, ours, verdict, asked
    together.

    Numbers are formatted for reading.

    Args:
        alphas: `runs.summary` table of the plain networks over α, for most claims.
        variants: Such a table of networks trained in other ways, for claims that compare those; they may have
            another number of epochs.
    """
    return as_table(decided(CLAIMS, alphas, variants))


def table(some: Iterable[Claim], summary: pd.DataFrame | None) -> pd.DataFrame:
    """Rows of the ledger for some claims, all about the networks of one summary; only these are tested
    together.
    """
    return as_table(decided(some, summary, summary))


def decided(
    some: Iterable[Claim], alphas: pd.DataFrame | None, variants: pd.DataFrame | None
) -> list[Verdict]:
    """Verdicts on some claims; arguments as in `ledger`."""
    return [decide(one, variants if one.compares else alphas) for one in some]


def as_table(verdicts: list[Verdict]) -> pd.DataFrame:
    """Rows of the ledger for verdicts that are tested together."""
    rows = []
    for verdict, (_, together) in zip(verdicts, corrected(verdicts), strict=True):
        one = verdict.claim
        rows.append({
            "id": one.id,
            "claim": one.statement,
            "certainty": one.certainty,
            "published": one.published,
            "statistic": one.rule,
            "ours": describe(verdict),
            "verdict": verdict.verdict,
            "asked together": together,
        })
    return pd.DataFrame(rows)


def parts(
    some: Iterable[Claim], alphas: pd.DataFrame | None, variants: pd.DataFrame | None = None
) -> pd.DataFrame:
    """One row per part of a claim that has an estimate, with the columns claim (id), statement, part,
    estimate, low, high, p (NaN without an interval) and verdict, that of the claim.

    The columns seeds, above and below are the number of seeds, and of those on either side of 0.
    """
    rows = [
        {
            "claim": verdict.claim.id,
            "statement": verdict.claim.statement,
            "part": part.name,
            "verdict": verdict.verdict,
        }
        | {"estimate": part.estimate, "low": part.low, "high": part.high, "p": part.p}
        | {"seeds": verdict.seeds, "above": part.above, "below": part.below}
        for verdict in decided(some, alphas, variants)
        for part in verdict.parts
    ]
    return pd.DataFrame(
        rows,
        columns=[
            "claim",
            "statement",
            "part",
            "estimate",
            "low",
            "high",
            "p",
            "verdict",
            "seeds",
            "above",
            "below",
        ],
    )


def describe(verdict: Verdict) -> str:
    """Our estimate in words, one line per part: value, unit, interval, seeds, and the reason if there is no
    verdict.
    """
    if not verdict.seeds:
        return verdict.reason
    unit = f" {verdict.claim.unit}" if verdict.claim.unit else ""

    def words(part: Part) -> str:
        estimate = (f"{part.name}: " if part.name else "") + f"{number(part.estimate, '+.3g')}{unit}"
        if np.isnan(part.low):
            return estimate
        if part.low == part.high:
            return f"{estimate} for every seed"
        return f"{estimate}, 95 % interval {number(part.low, '+.3g')} to {number(part.high, '+.3g')}"

    return ";\n".join(map(words, verdict.parts)) + (
        f"; {verdict.reason}" if verdict.reason else f", {verdict.seeds} seeds"
    )
