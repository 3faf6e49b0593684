"""Claims of SingleProp (Boopathy et al. 2021, arXiv 2102.01208), and our own questions about it: each with
the statistic that decides it by the first round's rule.

The paper's method is certain, since its code was read; its tables are not known, and no number of them is
quoted. Where a claim is about radii, its networks are those trained in one ball and asked about in the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from lib.base.errors import InputError
from lib.papers.claim import Claim
from lib.papers.first_round import Part, Verdict, decide
from lib.papers.statistics import fitted_change

WRITTEN = (
    "2026-11-30, when no network of the recipe `certified` was trained on CIFAR-10; known was a pilot of one "
    "seed, on 1,000 images"
)
MARGIN = 3.0  # points by which certified accuracies count as comparable: below, one seed says nothing (pilot)
IBP, ZERO, FASTLIN, PGD = "ibp", "singleprop-zero", "singleprop-fastlin", "adversarial"
METHODS = ("plain", PGD, IBP, ZERO, FASTLIN)
_NAME = re.compile(rf"(plain|{PGD}|{IBP}|{ZERO}|{FASTLIN})(?:-([0-9.]+))?(-ada)?")


def method(variant: str) -> str:
    """The method of a way of training: its name without the radius, with -ada for the adaptive weight; "" for
    a way of training of another kind.

    Example:
        >>> method("singleprop-fastlin-2"), method("ibp-8-ada"), method("augmix")
        ('singleprop-fastlin', 'ibp-ada', '')
    """
    found = _NAME.fullmatch(variant)
    return found[1] + (found[3] or "") if found else ""


def by_method(summary: pd.DataFrame, column: str, *methods: str) -> pd.DataFrame:
    """One row per seed that has all of these methods at α = 0, one column per method.

    Raises:
        InputError: If a method was trained in several balls, or for different numbers of epochs.
    """
    rows = summary[summary.alpha == 0].assign(method=summary.variant.map(method))
    rows = rows[rows.method.isin(methods)]
    if rows.duplicated(["seed", "method"]).any():
        raise InputError(
            f"a claim compares networks of one radius, got {', '.join(sorted(set(rows.variant)))} together"
        )
    if rows.epochs.nunique() > 1:
        raise InputError(
            f"a claim compares networks of equal length, these were trained "
            f"{' and '.join(map(str, sorted(set(rows.epochs))))} epochs"
        )
    if column not in rows:
        return pd.DataFrame(columns=[*methods], dtype=float)
    wide = rows.pivot(index="seed", columns="method", values=column)
    return wide.reindex(columns=[*methods]).dropna()


def _difference(
    column: str, one: str, other: str, *, plus: float = 0.0
) -> Callable[[pd.DataFrame], pd.Series]:
    """Statistic: a column of one method minus that of another, in percent, plus a margin."""

    def statistic(summary: pd.DataFrame) -> pd.Series:
        wide = by_method(summary, column, one, other)
        return 100 * (wide[one] - wide[other]) + plus

    return statistic


def _of(method: str, *columns: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Statistic with a part a column, in percent, of one method."""

    def statistic(summary: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({one: 100 * by_method(summary, one, method)[method] for one in columns}).dropna()

    return statistic


def uncovered(summary: pd.DataFrame) -> pd.DataFrame:
    """For each seed and rule, share of the first layer's units that its interval does not cover, in percent,
    in the network trained by that rule.
    """
    parts = {"zero": ("uncovered_zero", ZERO), "fastlin": ("uncovered_fastlin", FASTLIN)}
    return pd.DataFrame({
        name: 100 * by_method(summary, column, how)[how] for name, (column, how) in parts.items()
    }).dropna()


def fewer_unstable(summary: pd.DataFrame) -> pd.DataFrame:
    """For each seed, unstable units (percent) and relative centre error (percent of the interval) of plain
    training minus those of training on interval bounds.
    """
    parts = {"unstable units": "unstable", "error of the centre": "relative_centre_error"}
    wide = {name: by_method(summary, column, "plain", IBP) for name, column in parts.items()}
    return pd.DataFrame({name: 100 * (one["plain"] - one[IBP]) for name, one in wide.items()}).dropna()


def gained_together(summary: pd.DataFrame) -> pd.Series:
    """For each seed, images that the network of IBP or that of SingleProp certifies, minus those that the
    better of the two does, in points.
    """
    alone = by_method(summary, "certified", IBP, FASTLIN).max(axis=1)
    return (100 * (by_method(summary, "certified_by_any", FASTLIN)[FASTLIN] - alone)).dropna()


def gained_by_linear(summary: pd.DataFrame) -> pd.DataFrame:
    """For each seed and method, images that the larger of linear and interval bounds certifies, minus those
    that interval bounds alone do, on the same images, in points.
    """
    parts = {}
    for how in (IBP, FASTLIN):
        larger, alone = (by_method(summary, one, how)[how] for one in ("certified_larger", "certified_few"))
        parts[how] = 100 * (larger - alone)
    return pd.DataFrame(parts).dropna()


def gained_by_adapting(summary: pd.DataFrame) -> pd.DataFrame:
    """For each seed and method, certified accuracy with the adaptive weight minus that with the fixed one, in
    points.
    """
    return pd.DataFrame({
        how: _difference("certified", f"{how}-ada", how)(summary) for how in (IBP, FASTLIN)
    }).dropna()


def more_selective(summary: pd.DataFrame) -> pd.DataFrame:
    """For each seed, mean selectivity of live units of each robust method minus that of plain training."""
    return pd.DataFrame({
        how: _difference("live_selectivity", how, "plain")(summary) / 100 for how in (PGD, IBP, FASTLIN)
    }).dropna()


def certified_over_alpha(summary: pd.DataFrame) -> pd.Series:
    """For each seed, change from the lowest α to the highest of the share of right images that are certified,
    along a straight line through SingleProp's networks, in points.
    """
    rows = summary[summary.variant.map(method) == FASTLIN]
    wide = rows.assign(share=rows.certified / rows.clean_accuracy).pivot(
        index="seed", columns="alpha", values="share"
    )
    wide = wide.sort_index(axis=1).dropna()
    if wide.shape[1] < 3:
        return pd.Series(dtype=float)
    alphas = [list(wide.columns)] * len(wide)
    return pd.Series(100 * fitted_change(alphas, wide.to_numpy()), index=wide.index)


def _claim(number: str, statement: str, certainty: str, rule: str, unit: str, **more: object) -> Claim:
    return Claim(f"SP-{number}", statement, certainty, rule=rule, unit=unit, written=WRITTEN, **more)  # type: ignore[arg-type]


CLAIMS: tuple[Claim, ...] = (
    _claim(
        "1",
        "Certified accuracy is comparable to that of other certified defences",
        "established",
        f"certified accuracy of SingleProp (fastlin) minus that of IBP, plus {MARGIN:g} points: above 0 if "
        "at most so much worse",
        "points",
        statistic=_difference("certified", FASTLIN, IBP, plus=MARGIN),
        compares=(IBP, FASTLIN),
        needs="certified",
        caution=f"not that they are equal: {MARGIN:g} points is our margin, from the noise of the pilot",
    ),
    _claim(
        "2",
        "Training is faster",
        "established",
        "time of a step of IBP over that of SingleProp, in turn, in one run: above 1 in every pair; both "
        "networks",
        "",
    ),
    _claim(
        "3",
        "One additional forward propagation suffices",
        "established",
        "linear passes of a step: SingleProp's are one more than plain training's",
        "",
    ),
    _claim(
        "4",
        "The rules of a ReLU follow from linear bounds, and `zero` is the half-width of interval bounds",
        "established",
        "largest difference between rule and half the distance of the lines, on random (z, v): below 1e-6",
        "",
    ),
    _claim(
        "5",
        "SingleProp is no certificate",
        "established",
        "share of units behind the first ReLU whose interval does not hold that of interval bounds, by the "
        "rule that a network was trained with",
        "% of units",
        statistic=uncovered,
        compares=(ZERO, FASTLIN),
        needs="uncovered_zero",
    ),
    _claim(
        "6",
        "The estimate becomes good because certified training leaves few unstable units (our hypothesis)",
        "ours",
        "unstable units, and the error of the interval's centre relative to its width, of plain training "
        "minus those of IBP",
        "%",
        statistic=fewer_unstable,
        compares=("plain", IBP),
        needs="unstable",
    ),
    _claim(
        "7",
        "An IBP and a SingleProp network together certify more images than either",
        "established",
        "images that one of the two certifies minus those of the better one",
        "points",
        statistic=gained_together,
        compares=(IBP, FASTLIN),
        needs="certified_by_any",
        caution="never below 0, by construction: the number is the question",
    ),
    _claim(
        "8",
        "Which verifier is used matters",
        "established",
        "images certified by the larger of linear and interval bounds minus those by interval bounds alone",
        "points",
        statistic=gained_by_linear,
        compares=(IBP, FASTLIN),
        needs="certified_larger",
        caution="never below 0, by construction: the number is the question",
    ),
    _claim(
        "9",
        "The adaptive weight helps",
        "unknown: the code has it; what the paper says of it is not known",
        "certified accuracy with the adaptive weight, from validation images, minus that with the fixed one",
        "points",
        statistic=gained_by_adapting,
        compares=(IBP, f"{IBP}-ada", FASTLIN, f"{FASTLIN}-ada"),
        needs="certified",
    ),
    _claim(
        "10",
        "The rule of a ReLU matters: fastlin for CIFAR-10",
        "established: the choice; its reason is not known",
        "certified accuracy with fastlin minus that with zero",
        "points",
        statistic=_difference("certified", FASTLIN, ZERO),
        compares=(ZERO, FASTLIN),
        needs="certified",
    ),
)
OURS: tuple[Claim, ...] = (
    Claim(
        "SP-X1",
        "Certified networks lose less under corruptions and attacks too",
        "ours",
        lacks="a figure, no rule",
    ),
    _claim(
        "X2",
        "Robust training raises the selectivity of live units",
        "ours",
        "mean selectivity of live units of each robust way of training minus that of plain training",
        "",
        statistic=more_selective,
        compares=("plain", PGD, IBP, FASTLIN),
        needs="live_selectivity",
        caution="certified training kills units: the living are a selection",
    ),
    _claim(
        "X3",
        "α > 0 raises certified accuracy, relative to clean accuracy",
        "ours",
        "fitted change over α of the share of right images that are certified, on top of SingleProp",
        "points",
        statistic=certified_over_alpha,
        needs="certified",
    ),
    _claim(
        "X4",
        "Units of low selectivity have the larger half-width",
        "ours",
        "minus Spearman's correlation of half-width and selectivity over the live units of a layer, mean "
        "over layers, in the network of SingleProp (fastlin)",
        "",
        statistic=lambda summary: -by_method(summary, "width_and_selectivity", FASTLIN)[FASTLIN],
        compares=(FASTLIN,),
        needs="width_and_selectivity",
    ),
)


def claim(identifier: str) -> Claim:
    """A claim, or a question of ours, by its id."""
    return next(one for one in (*CLAIMS, *OURS) if one.id == identifier)


def _whole(one: Claim, verdict: str, estimate: float, reason: str) -> Verdict:
    return Verdict(one, verdict, 1, (Part("", estimate),), reason)


def verdicts(
    summary: pd.DataFrame | None,
    *,
    steps: Sequence[Mapping[str, object]] = (),
    passes: Mapping[str, int] | None = None,
    difference: float | None = None,
) -> list[Verdict]:
    """Verdicts on all claims and questions.

    Args:
        summary: One row per network with the columns that the claims need; rows without numbers are networks
            that are not cached. None if there are none.
        steps: Rows of the benchmark, {"name": ..., "low": ..., "high": ...}, of the steps of IBP over those
            of SingleProp; claims about time are not tested without.
        passes: Linear passes of a step by method.
        difference: Largest difference of a ReLU's rule from what the lines give.
    """
    counted = {
        "SP-2": _timed(claim("SP-2"), steps),
        "SP-3": _counted(claim("SP-3"), passes),
        "SP-4": _equal(claim("SP-4"), difference),
    }
    return [counted.get(one.id) or _decided(one, summary) for one in (*CLAIMS, *OURS)]


def _decided(one: Claim, summary: pd.DataFrame | None) -> Verdict:
    found = decide(one, summary)
    if found.verdict == "inconclusive" and not found.seeds:  # nothing is at hand, which decides nothing
        lacking = f"no seed has all of {', '.join(one.compares)}" if one.compares else "too few α"
        return Verdict(one, "not tested", reason=lacking)
    return found


def _timed(one: Claim, steps: Sequence[Mapping[str, object]]) -> Verdict:
    if not steps:
        return Verdict(one, "not tested", reason="its steps are not timed here; make bench")
    low, high = (
        [float(row[end]) for row in steps]  # type: ignore[arg-type]  # numbers, as the benchmark writes them
        for end in ("low", "high")
    )
    verdict = "reproduced" if min(low) > 1 else "not reproduced" if max(high) < 1 else "inconclusive"
    words = "; ".join(f"{row['name']}: {row['low']:.3g} to {row['high']:.3g}" for row in steps)
    return _whole(one, verdict, min(low), f"smallest ratio of a pair; {words}")


def _counted(one: Claim, passes: Mapping[str, int] | None) -> Verdict:
    if passes is None:
        return Verdict(one, "not tested", reason="linear passes are not counted here")
    more = passes["singleprop"] - passes["plain"]
    words = ", ".join(f"{name} {count}" for name, count in passes.items())
    return _whole(
        one, "reproduced" if more == 1 else "not reproduced", more, f"more passes; counted: {words}"
    )


def _equal(one: Claim, difference: float | None) -> Verdict:
    if difference is None:
        return Verdict(one, "not tested", reason="the rules are not compared here")
    return _whole(
        one, "reproduced" if difference < 1e-6 else "not reproduced", difference, "largest difference"
    )
