"""Claims of SingleProp: planted tables turn each verdict, and nothing is decided without runs."""

import doctest
import math

import pandas as pd
import pytest

from lib.base.errors import InputError
from lib.papers import singleprop
from lib.papers.singleprop import FASTLIN, IBP, METHODS, PGD, ZERO, verdicts

BASE = {
    "certified": {"plain": 0.0, PGD: 0.05, IBP: 0.30, ZERO: 0.29, FASTLIN: 0.31},
    "certified_by_any": {FASTLIN: 0.35},
    "certified_larger": {IBP: 0.33, FASTLIN: 0.34},
    "certified_few": {IBP: 0.31, FASTLIN: 0.32},
    "uncovered_zero": {ZERO: 0.10},
    "uncovered_fastlin": {FASTLIN: 0.08},
    "unstable": {"plain": 0.4, IBP: 0.1},
    "relative_centre_error": {"plain": 0.3, IBP: 0.1},
    "live_selectivity": {"plain": 0.3, PGD: 0.4, IBP: 0.5, FASTLIN: 0.5},
    "width_and_selectivity": {FASTLIN: -0.4},
    "clean_accuracy": dict.fromkeys(METHODS, 0.5),
}


def planted(*, seeds=(0, 1, 2), change=None, alphas=(), adaptive=0.0) -> pd.DataFrame:
    """A summary in which every claim holds, except where a column of a method is changed."""
    rows, change = [], change or {}
    for seed in seeds:
        for how in (*METHODS, f"{IBP}-ada", f"{FASTLIN}-ada"):
            own = how.removesuffix("-ada")
            name = "plain" if how == "plain" else f"{own}-2" + how.removeprefix(own)
            row = {"variant": name, "alpha": 0.0, "seed": seed, "epochs": 28, "mean_selectivity": 0.4}
            for column, values in BASE.items():
                value = change.get((column, own), values.get(own, math.nan))
                row[column] = value + 0.001 * seed + (0.02 - adaptive if how != own else 0.0)
            rows.append(row)
        rows += [
            rows[-3] | {"variant": f"{FASTLIN}-2", "alpha": alpha, "certified": certified + 0.001 * seed}
            for alpha, certified in alphas
        ]
    return pd.DataFrame(rows)


def found(summary, **how) -> dict[str, str]:
    return {one.claim.id: one.verdict for one in verdicts(summary, **how)}


def test_doctests():
    assert doctest.testmod(singleprop).failed == 0


def test_nothing_is_decided_without_runs():
    empty = planted().assign(**dict.fromkeys([*BASE, "mean_selectivity"], math.nan))
    for summary in (None, empty, empty.drop(columns=[*BASE])):
        assert set(found(summary).values()) == {"not tested"}


def test_every_claim_that_holds_is_reproduced():
    summary = planted(alphas=[(-1.0, 0.25), (1.0, 0.40)])
    every = found(
        summary,
        steps=[{"name": "small", "low": 1.2, "high": 1.6}, {"name": "large", "low": 1.1, "high": 1.3}],
        passes={"plain": 1, "singleprop": 2, "ibp": 3},
        difference=1e-9,
    )
    assert every.pop("SP-X1") == "not tested"
    assert set(every.values()) == {"reproduced"} and len(every) == 13


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("SP-1", {("certified", FASTLIN): 0.25}),
        ("SP-6", {("unstable", IBP): 0.6}),
        ("SP-10", {("certified", ZERO): 0.35}),
        ("SP-X2", {("live_selectivity", FASTLIN): 0.2}),
        ("SP-X4", {("width_and_selectivity", FASTLIN): 0.3}),
    ],
)
def test_a_planted_table_turns_a_verdict(name, change):
    assert found(planted())[name] == "reproduced"
    assert found(planted(change=change))[name] == "not reproduced"


def test_what_else_turns_a_verdict():
    assert found(planted(adaptive=0.1))["SP-9"] == "not reproduced"
    assert found(planted(alphas=[(-1.0, 0.40), (1.0, 0.25)]))["SP-X3"] == "not reproduced"
    # nothing gained is no evidence either way
    assert found(planted(change={("certified_by_any", FASTLIN): 0.31}))["SP-7"] == "inconclusive"
    assert found(planted(change={("uncovered_zero", ZERO): -0.001}))["SP-5"] == "inconclusive"
    same = planted(change={("certified_larger", IBP): 0.31, ("certified_larger", FASTLIN): 0.32})
    assert found(same)["SP-8"] == "inconclusive"


@pytest.mark.parametrize(
    ("steps", "verdict"),
    [
        ([("small", 1.1, 1.4), ("large", 1.01, 1.2)], "reproduced"),
        ([("small", 1.1, 1.4), ("large", 0.9, 1.2)], "inconclusive"),
        ([("small", 0.7, 0.9), ("large", 0.8, 0.95)], "not reproduced"),
    ],
)
def test_time_is_decided_by_the_worst_pair(steps, verdict):
    rows = [dict(zip(("name", "low", "high"), one, strict=True)) for one in steps]
    one = next(one for one in verdicts(None, steps=rows) if one.claim.id == "SP-2")
    assert one.verdict == verdict and "large: " in one.reason


def test_time_of_one_network_decides_nothing():
    """The rule asks for both."""
    one = next(
        one
        for one in verdicts(None, steps=[{"name": "small", "low": 1.2, "high": 1.4}])
        if one.claim.id == "SP-2"
    )
    assert one.verdict == "not tested" and one.reason == "of both networks, small alone is timed here"


def test_how_sure_claims_are_is_the_protocols():
    """Of the paper were read its abstract, its method and its code; no sentence about a table."""
    words = {one.id: one.certainty.split(":")[0] for one in singleprop.CLAIMS}
    read = dict.fromkeys(("SP-1", "SP-2", "SP-3", "SP-7", "SP-8", "SP-10"), "established")
    assert words == read | {"SP-4": "computed", "SP-5": "computed", "SP-6": "ours", "SP-9": "unknown"}
    for one in ("SP-7", "SP-8", "SP-10"):
        assert "not known" in singleprop.claim(one).certainty


def test_passes_and_rules():
    wrong = found(None, passes={"plain": 1, "singleprop": 3}, difference=0.1)
    assert wrong["SP-3"] == wrong["SP-4"] == "not reproduced"


def test_two_seeds_are_too_few():
    every = {one.claim.id: one for one in verdicts(planted(seeds=(0, 1)))}
    assert every["SP-1"].verdict == "inconclusive"
    assert every["SP-1"].reason == "2 of the 3 seeds that an interval needs"


def test_networks_of_two_radii_are_not_compared():
    two = planted()
    two = pd.concat([two, two[two.variant == "ibp-2"].assign(variant="ibp-8")])
    with pytest.raises(InputError, match="networks of one radius, got .*ibp-2, ibp-8"):
        verdicts(two)
    mixed = planted()
    mixed.loc[mixed.variant == "ibp-2", "epochs"] = 8
    with pytest.raises(InputError, match="trained 28 and 8 epochs|trained 8 and 28 epochs"):
        verdicts(mixed)


def test_the_margin_is_all_that_forgives():
    """Three points below IBP are comparable, and four are not."""
    for loss, verdict in ((0.028, "reproduced"), (0.04, "not reproduced")):
        assert found(planted(change={("certified", FASTLIN): 0.30 - loss}))["SP-1"] == verdict


def test_every_claim_has_its_rule_before_its_result():
    for one in (*singleprop.CLAIMS, *singleprop.OURS[1:]):
        assert one.rule and one.written.startswith("2026-11-30")
        assert not one.published  # no table of the paper is known
