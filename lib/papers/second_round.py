"""Verdicts of the second round: the rules written before its networks existed, applied to a summary of
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.papers import rules as written
from lib.papers.second_statistics import STATISTICS, Statistic, wide
from lib.papers.statistics import (
    LEAST_SEEDS,
    LEVEL,
    benjamini_hochberg,
    benjamini_yekutieli,
    bootstrap,
    outcomes,
    p_value,
    page_trend,
    seeds_there,
    t_interval,
    within,
)

VERDICTS = ("reproduced", "contradicted", "no effect", "split", "undecided", "not tested")
NAN = float("nan")
# settings of the tables that decide, where they are not the measurement's own; of LM-9's sources the two
# whose weights were kept, see lib.papers.ledger
SETTINGS: Mapping[str, Mapping[str, object]] = {
    "image_transfer": {"sources": [0, 1]},
    "jacobian": {"limit": 2000},
    "gradient": {"limit": 300},
}
# measurements of which the second round keeps every single image, in a table of another name
BY_IMAGE = {"attack": "image_attack", "corruption": "image_corruption", "transfer": "image_transfer"}
# {column: {(seed, alpha): (images,) which are right, bool; or in which share of several rows}}
Right = Mapping[str, Mapping[tuple[int, float], NDArray[Any]]]


@dataclass(frozen=True)
class Part:
    """What the networks say on one part of a claim.

    Attributes:
        verdict: "reproduced", "contradicted", "no effect", "undecided" or "not tested".
        values: One number per seed that has all it needs.
        estimate: Their mean, NaN without one.
        low: Lower end of the interval of the mean, NaN with too few seeds.
        high: Upper end.
        p: Two-sided p of Student's t test against 0.
        trend: One-sided p of Page's test in the paper's direction, which decides nothing; NaN where there is
            none.
        over_images: Interval of a bootstrap over seeds and images, which decides nothing either; NaN where
            images are not kept one by one.
        reason: Why there is no verdict, where there is none.
    """

    rule: written.Part
    verdict: str
    values: tuple[float, ...] = ()
    low: float = NAN
    high: float = NAN
    p: float = NAN
    trend: float = NAN
    over_images: tuple[float, float] = (NAN, NAN)
    reason: str = ""

    @property
    def seeds(self) -> int:
        return len(self.values)

    @property
    def estimate(self) -> float:
        return float(np.mean(self.values)) if self.values else NAN

    @property
    def small(self) -> bool:
        """Whether there is an effect, and its interval lies inside ±δ."""
        inside = bool(within(self.low, self.high, self.rule.delta))
        return self.verdict in ("reproduced", "contradicted") and inside


@dataclass(frozen=True)
class Verdict:
    """Verdict on a claim, from those on its parts."""

    rule: written.Rule
    verdict: str
    parts: tuple[Part, ...] = ()
    reason: str = ""

    @property
    def seeds(self) -> int:
        """Seeds of the tested part that has the fewest; 0 where none is tested."""
        return min((part.seeds for part in self.parts if part.seeds), default=0)

    @property
    def provisional(self) -> bool:
        """Whether seeds are still missing."""
        return 0 < self.seeds < self.rule.whole

    @property
    def standing(self) -> str:
        """The words "provisional: 3 of 5 seeds"; none for a verdict from all seeds."""
        return f"provisional: {self.seeds} of {self.rule.whole} seeds" if self.provisional else ""

    @property
    def p(self) -> float:
        """p of the verdict, as `combined_p` has it."""
        return combined_p([part.verdict for part in self.parts], [part.p for part in self.parts])


def combine(found: Sequence[str], p: Sequence[float]) -> str:
    """Verdict on a claim from the verdicts on all its parts and their p.

    In this order: *not tested* if no part is; *reproduced*, *contradicted* or *no effect* if every part is;
    also *contradicted* if one is with a p below the level over the number of parts; *split* if some are
    reproduced and some contradicted or without effect; *undecided* otherwise, also where a part is not
    tested.
    """
    kinds = set(found)
    if kinds <= {"not tested"}:
        return "not tested"
    if len(kinds) == 1:
        return found[0]
    if any(one == "contradicted" and value < LEVEL / len(found) for one, value in zip(found, p, strict=True)):
        return "contradicted"
    if "reproduced" in kinds and kinds & {"contradicted", "no effect"}:
        return "split"
    return "undecided"


def combined_p(found: Sequence[str], p: Sequence[float]) -> float:
    """p of a claim's verdict: the largest of its parts, every one of which must speak for it; where one part
    against it suffices, the smallest of such parts times their number, if that is smaller.

    Returns:
        NaN where a part without a p leaves the first undefined.
    """
    if not found:
        return NAN
    largest = float(np.max(p))  # NaN if one is
    against = [value for one, value in zip(found, p, strict=True) if one == "contradicted"]
    if combine(found, p) == "contradicted":
        return float(np.fmin(largest, min(1.0, len(found) * min(against))))
    return largest


def _over_images(how: Statistic, summary: pd.DataFrame, right: Right) -> tuple[float, float]:
    """The bootstrap's interval of a part that is the fit of an accuracy kept image by image."""
    if not how.side or how.trend is None or how.trend[0] not in right:
        return NAN, NAN
    column, rising = how.trend
    plain = summary[summary.variant == "plain"]
    places = zip(plain.seed, plain.alpha, plain.mean_selectivity, strict=True)
    selectivity = {(int(seed), float(alpha)): float(x) for seed, alpha, x in places if not np.isnan(x)}
    return bootstrap(
        {place: answers for place, answers in right[column].items() if place in selectivity},
        selectivity,
        written.rules().sides[how.side],
        falling=not rising,
    )


def _part(part: written.Part, how: Statistic, summary: pd.DataFrame | None, right: Right) -> Part:
    """What some networks, all of seeds that decide, say on a part."""
    if summary is None or summary.empty or summary.mean_selectivity.isna().all():
        return Part(part, "not tested", reason="its networks are not trained yet")
    if any(name not in summary or summary[name].isna().all() for name in how.reads):
        return Part(part, "not tested", reason="its networks are not measured yet")
    values = seeds_there(how.function(summary))
    if not len(values):
        return Part(part, "not tested", reason="no seed has all the networks that it needs yet")
    trend = NAN
    if how.trend is not None:
        column, rising = how.trend
        trend = page_trend(wide(summary, column, written.rules().trend_alphas), rising=rising)
    given = tuple(map(float, values))
    if len(values) < LEAST_SEEDS:
        reason = f"{len(values)} of the {LEAST_SEEDS} seeds that an interval needs"
        return Part(part, "undecided", given, trend=trend, reason=reason)
    low, high = t_interval(values)
    verdict = str(outcomes(low, high, part.delta))
    images = _over_images(how, summary, right)
    return Part(part, verdict, given, low, high, p_value(values), trend, images)


def parts_of(
    rule: written.Rule,
    summary: pd.DataFrame | None,
    variants: pd.DataFrame | None = None,
    right: Right | None = None,
) -> tuple[Part, ...]:
    """What the networks of the seeds that decide say on each part of a claim; arguments as in `decide`."""
    found = []
    for part in rule.parts:
        how = STATISTICS[rule.id][part.name]
        table = variants if how.varied else summary
        own = None if table is None or table.empty else table[table.seed.isin(rule.seeds)]
        found.append(_part(part, how, own, right or {}))
    return tuple(found)


def decide(
    identifier: str,
    summary: pd.DataFrame | None,
    variants: pd.DataFrame | None = None,
    right: Right | None = None,
) -> Verdict:
    """Apply the rule of a claim.

    Args:
        identifier: Id of the claim, such as "LM-3".
        summary: One row per network of the sample over α, with the columns of `second_statistics.COLUMNS`
            that are measured; rows of seeds that do not decide are left out. None if there is no network.
        variants: Such a table of networks trained in other ways, which LM-6 and LM-12 are about.
        right: For accuracies whose images are kept one by one, {column: {(seed, α): (images,) which are
            right}}: intervals over other images, too, stand beside the verdict.
    """
    rule = written.rules().claim(identifier)
    if not rule.parts:
        return Verdict(rule, "not tested", reason=f"needs {rule.needs}")
    parts = parts_of(rule, summary, variants, right)
    verdict = combine([part.verdict for part in parts], [part.p for part in parts])
    reason = next((part.reason for part in parts if part.reason), "")
    if identifier == "LM-4" and verdict == "reproduced":
        gain = parts_of(written.rules().claim("LM-3"), summary)[0]
        if gain.verdict in ("contradicted", "no effect"):
            words = "is contradicted" if gain.verdict == "contradicted" else "is without effect"
            return Verdict(
                rule, "undecided", parts, f"LM-3's lowering side {words}: there is no gain to count"
            )
    return Verdict(rule, verdict, parts, reason)


def ledger(
    summary: pd.DataFrame | None, variants: pd.DataFrame | None = None, right: Right | None = None
) -> list[Verdict]:
    """Verdicts on all claims, in the order of the rule file; arguments as in `decide`."""
    return [decide(rule.id, summary, variants, right) for rule in written.rules().claims]


def together(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """All claims asked together: one row per claim with id, verdict, p, and p corrected by Benjamini and
    Hochberg (bh) and by Benjamini and Yekutieli (by), which asks nothing of the dependence between claims;
    NaN for a claim without a p, which is no test.
    """
    rows = [{"id": one.rule.id, "verdict": one.verdict, "p": one.p} for one in verdicts]
    found = pd.DataFrame(rows, columns=["id", "verdict", "p"])
    return found.assign(bh=benjamini_hochberg(found.p), by=benjamini_yekutieli(found.p))


def standing(asked: pd.DataFrame, correction: str) -> int:
    """How many verdicts *reproduced* or *contradicted* are left when all claims are asked together.

    Args:
        asked: Result of `together`.
        correction: "bh" or "by".
    """
    return int((_decided(asked) & (asked[correction] < LEVEL)).sum())


def lost(asked: pd.DataFrame, correction: str) -> list[str]:
    """Ids of the claims whose verdict *reproduced* or *contradicted* is not left then.

    Args:
        asked: Result of `together`.
        correction: "bh" or "by".
    """
    return list(asked.id[_decided(asked) & ~(asked[correction] < LEVEL)])


def _decided(asked: pd.DataFrame) -> pd.Series:
    return asked.verdict.isin(["reproduced", "contradicted"])
