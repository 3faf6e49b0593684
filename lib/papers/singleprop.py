"""Claims of SingleProp (Boopathy et al. 2021, arXiv 2102.01208), and our own questions about it: each with
the statistic that decides it by the first round's rule (`lib.papers.singleprop_rules`).

The paper's method is certain, since its code was read; its tables are not known, and no number of them is
quoted. Where a claim is about radii, its networks are those trained in one ball and asked about in the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from lib.papers import singleprop_rules as rules
from lib.papers.claim import Claim
from lib.papers.first_round import Part, Verdict, decide
from lib.papers.singleprop_rules import FASTLIN, IBP, METHODS, PGD, ZERO, by_method, difference, method

__all__ = [
    "CHANGED",
    "CLAIMS",
    "FASTLIN",
    "IBP",
    "METHODS",
    "OURS",
    "PGD",
    "ZERO",
    "by_method",
    "claim",
    "method",
    "verdicts",
]

WRITTEN = (
    "2026-11-30, when no network of the recipe `certified` was trained on CIFAR-10; known was a pilot of one "
    "seed, on 1,000 images"
)
_CERTIFIED = ("certified", "certified_by_any", "certified_larger")  # columns that are about one radius
NETWORKS = 2  # small and large, whose steps are timed
# what follows by our own algebra from formulas of the code; nothing that the authors say
COMPUTED = "computed: our algebra, from the code's formulas"
# the code makes the table of a claim; what the paper says about it was not read
OF_A_TABLE = "established: the code makes this table; what the paper says of it is not known"
MARGIN = 3.0  # points by which certified accuracies count as comparable: below, one seed says nothing (pilot)


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
        statistic=difference("certified", FASTLIN, IBP, plus=MARGIN),
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
        "The rules of a ReLU follow from linear bounds, “zero” being the half-width of interval bounds",
        COMPUTED,
        "largest difference between rule and half the distance of the lines, and between “zero” and half the "
        "interval behind the ReLU, on random (z, v): below 1e-6",
        "",
    ),
    _claim(
        "5",
        "SingleProp is no certificate",
        COMPUTED,
        "share of units behind the first ReLU whose interval does not hold that of interval bounds, by the "
        "rule that a network was trained with",
        "% of units",
        statistic=rules.uncovered,
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
        statistic=rules.fewer_unstable,
        compares=("plain", IBP),
        needs="unstable",
    ),
    _claim(
        "7",
        "An IBP and a SingleProp network together certify more images than either",
        OF_A_TABLE,
        "images that one of the two certifies minus those of the better one",
        "points",
        statistic=rules.gained_together,
        compares=(IBP, FASTLIN),
        needs="certified_by_any",
        caution="never below 0, by construction: the number is the question",
    ),
    _claim(
        "8",
        "Which verifier is used matters",
        OF_A_TABLE,
        "images certified by the larger of linear and interval bounds minus those by interval bounds alone",
        "points",
        statistic=rules.gained_by_linear,
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
        statistic=rules.gained_by_adapting,
        compares=(IBP, f"{IBP}-ada", FASTLIN, f"{FASTLIN}-ada"),
        needs="certified",
    ),
    _claim(
        "10",
        "The rule of a ReLU matters: fastlin for CIFAR-10",
        "established: the choice; its reason is not known",
        "certified accuracy with fastlin minus that with zero",
        "points",
        statistic=difference("certified", FASTLIN, ZERO),
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
        statistic=rules.more_selective,
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
        statistic=rules.certified_over_alpha,
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


# what was changed after networks of CIFAR-10 were there, by claim
CHANGED = {
    "SP-4": "2026-12-01: it asks of the rule zero, too, whether it is interval bounds'",
    "SP-X3": "2026-12-01: seeds count that have the α which all have; no network of it was there",
    "SP-1, 7, 8, 9, 10 and X3": "2026-12-01: not tested at another radius than that of training; at that "
    "radius nothing changes",
}


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
    elsewhere: bool = False,
) -> list[Verdict]:
    """Verdicts on all claims and questions.

    Args:
        summary: One row per network with the columns that the claims need; rows without numbers are networks
            that are not cached. None if there are none.
        steps: Rows of the benchmark, {"name": ..., "low": ..., "high": ...}, of the steps of IBP over those
            of SingleProp; claims about time are not tested without.
        passes: Linear passes of a step by method.
        difference: Largest difference of a ReLU's rule from what the lines give.
        elsewhere: Whether the networks are asked about at another radius than they were trained for; then
            claims on what is certified are not tested.
    """
    counted = {
        "SP-2": _timed(claim("SP-2"), steps),
        "SP-3": _counted(claim("SP-3"), passes),
        "SP-4": _equal(claim("SP-4"), difference),
    }
    return [counted.get(one.id) or _decided(one, summary, elsewhere) for one in (*CLAIMS, *OURS)]


def _decided(one: Claim, summary: pd.DataFrame | None, elsewhere: bool) -> Verdict:
    if elsewhere and one.needs in _CERTIFIED:
        return Verdict(one, "not tested", reason="its networks were trained for another radius")
    found = decide(one, summary)
    if found.verdict == "inconclusive" and not found.seeds:  # nothing is at hand, which decides nothing
        lacking = f"no seed has all of {', '.join(one.compares)}" if one.compares else "too few α"
        return Verdict(one, "not tested", reason=lacking)
    return found


def _timed(one: Claim, steps: Sequence[Mapping[str, object]]) -> Verdict:
    if not steps:
        return Verdict(one, "not tested", reason="its steps are not timed here; make bench")
    if len({row["name"] for row in steps}) < NETWORKS:  # the rule asks for both
        return Verdict(one, "not tested", reason=f"of both networks, {steps[0]['name']} alone is timed here")
    low, high = (
        [float(row[end]) for row in steps]  # type: ignore[arg-type]  # numbers, as the benchmark writes them
        for end in ("low", "high")
    )
    verdict = "inconclusive"
    if min(low) > 1:
        verdict = "reproduced"
    elif max(high) < 1:
        verdict = "not reproduced"
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
