"""Verdicts follow the data and nothing else."""

import json

import numpy as np
import pandas as pd
import pytest

from lib import papers
from lib.base import paths
from lib.base.errors import InputError
from lib.book import readme, tables
from lib.papers import first_round, first_statistics, statistics
from lib.runs.tables import at_hand
from lib.training.variants import variant as way_of_training


def networks(selectivity, *, seeds=3, accuracy=None, dead=None, noise=0.001):
    """A summary table: alpha -> value for each measured column, a little noise by seed."""
    random = np.random.default_rng(0)
    rows = []
    for seed in range(seeds):
        for alpha, value in selectivity.items():
            rows.append({
                "alpha": alpha,
                "seed": seed,
                "variant": "plain",
                "strength": 0.0,
                "epochs": 16,
                "mean_selectivity": value + noise * random.standard_normal(),
                "clean_accuracy": (accuracy or {}).get(alpha, 0.9) + noise * random.standard_normal(),
                "dead": (dead or {}).get(alpha, 0.0) + noise * random.random(),
            })
    return pd.DataFrame(rows)


def varied(mean, *, live=None, seeds=3, noise=0.001):
    """A summary table of the other kind: way of training -> mean selectivity, and that of live units where it
    is another; NaN for not cached.
    """
    random = np.random.default_rng(0)
    rows = []
    for seed in range(seeds):
        for variant, value in mean.items():
            rest = {
                "mean_selectivity": value,
                "live_selectivity": (live or mean)[variant],
                "clean_accuracy": 0.9,
                "dead": 0.0,
            }
            row = {"alpha": 0.0, "seed": seed, "variant": variant, "epochs": 8, "status": "ok"}
            row["strength"] = way_of_training(variant).strength
            rows.append(
                row | {name: number + noise * random.standard_normal() for name, number in rest.items()}
            )
    return pd.DataFrame(rows)


def corrupted(lowest, *, clean=0.9, seeds=3):
    """Networks at α = −1, 0 and 1 with accuracies on three corruptions: those at α = 0 are 0.5, those at −1
    are given.
    """
    table = networks(RISING, seeds=seeds)
    low = table.alpha == -1
    for name, value in lowest.items():
        table[f"corrupted_{name}"] = 0.5 + 0.001 * table.seed + low * (value - 0.5)
    table["corrupted_accuracy"] = table[[column for column in table if column.startswith("corrupted_")]].mean(
        axis=1
    )
    table["relative_accuracy"] = (
        table.corrupted_accuracy / (0.9 + low * (clean - 0.9)) + 0.0001 * low * table.seed
    )
    return table


def attacked(column, values, *, clean=(0.92, 0.9, 0.88), seeds=3):
    """Networks at α = −1, 0 and 1 with one number per attack."""
    table = networks(RISING, accuracy=dict(zip((-1.0, 0.0, 1.0), clean, strict=True)), seeds=seeds)
    return table.assign(**{
        column: table.alpha.map(dict(zip((-1.0, 0.0, 1.0), values, strict=True)))
        + 0.001 * table.seed * table.alpha
    })


def inside(**columns):
    """Networks at α = −1, 0 and 1 with three values of each of several columns."""
    table = networks(RISING)
    for name, values in columns.items():
        table[name] = table.alpha.map(
            dict(zip((-1.0, 0.0, 1.0), values, strict=True))
        ) + 0.0001 * table.seed * (table.alpha + len(name))
    return table


def dimensions(prefix, clean, corruption, attack):
    """The same of the dimensions of clean activations and both changes."""
    same = {"dimension_same": clean} if prefix == "dimension" else {}
    return inside(
        **{f"{prefix}_clean": clean, f"{prefix}_corruption": corruption, f"{prefix}_attack": attack}, **same
    )


RISING = {-1.0: 0.2, 0.0: 0.35, 1.0: 0.8}
FALLING = {-1.0: 0.8, 0.0: 0.35, 1.0: 0.2}
NONE = float("nan")
# as text, pgd-10 comes before pgd-2
UP = {"plain": 0.3, "augmix": 0.28, "pgd-1": 0.32, "pgd-2": 0.34, "pgd-10": 0.4}
DOWN = {"plain": 0.3, "augmix": 0.32, "pgd-1": 0.28, "pgd-2": 0.27, "pgd-10": 0.2}
CASES = {
    "LM-6": (varied(UP), varied(DOWN)),
    "LM-12": (varied(DOWN, live=UP), varied(UP, live=DOWN)),
    "LM-1": (networks(RISING), networks(FALLING)),
    "LM-2": (
        networks(RISING, accuracy={-1.0: 0.9, 1.0: 0.7}),
        networks(RISING, accuracy={-1.0: 0.7, 1.0: 0.9}),
    ),
    "LM-3": (
        corrupted({"fog": 0.7, "snow": 0.51, "frost": 0.49}),
        corrupted({"fog": 0.2, "snow": 0.51, "frost": 0.51}),
    ),
    "LM-4": (
        corrupted({"fog": 0.2, "snow": 0.51, "frost": 0.51}),
        corrupted({"fog": 0.9, "snow": 0.49, "frost": 0.49}),
    ),
    "LM-5": (
        corrupted({"fog": 0.5, "snow": 0.49}, clean=0.8),
        corrupted({"fog": 0.52, "snow": 0.51}, clean=0.99),
    ),
    "LM-7": (
        attacked("fgsm_accuracy", (0.2, 0.3, 0.4)),
        attacked("fgsm_accuracy", (0.2, 0.3, 0.4), clean=(0.88, 0.9, 0.92)),
    ),
    "LM-8": (attacked("pgd_accuracy", (0.2, 0.3, 0.4)), attacked("pgd_accuracy", (0.4, 0.3, 0.35))),
    "LM-9": (attacked("transfer_accuracy", (0.2, 0.3, 0.4)), attacked("transfer_accuracy", (0.4, 0.3, 0.2))),
    "LM-10": (attacked("log_jacobian", (1.2, 1.0, 0.7)), attacked("log_jacobian", (1.2, 1.0, 1.1))),
    "LM-13": (inside(cv_samples=(0.4, 0.5, 0.9)), inside(cv_samples=(0.4, 0.5, 0.3))),
    "LM-14": (
        inside(cv_units=(0.4, 0.5, 0.6), cv_units_early=(0.4, 0.5, 0.8), cv_units_late=(0.4, 0.5, 0.5)),
        inside(cv_units=(0.4, 0.5, 0.6), cv_units_early=(0.4, 0.5, 0.5), cv_units_late=(0.4, 0.5, 0.8)),
    ),
    "LM-15": (inside(dimension_clean=(0.5, 0.4, 0.3)), inside(dimension_clean=(0.3, 0.4, 0.3))),
    "LM-16": (
        dimensions("dimension", (0.4, 0.38, 0.36), (0.6, 0.5, 0.4), (0.8, 0.6, 0.5)),
        dimensions("dimension", (0.4, 0.38, 0.10), (0.6, 0.5, 0.4), (0.8, 0.6, 0.5)),
    ),
    "LM-17": (
        dimensions("dimension", (0.4, 0.3, 0.2), (0.5, 0.4, 0.3), (0.6, 0.5, 0.4)),
        dimensions("dimension", (0.4, 0.3, 0.2), (0.5, 0.4, 0.3), (0.6, 0.5, 0.2)),
    ),
    "LM-18": (
        dimensions("twonn", (5, 4, 3), (7, 6, 5), (9, 8, 7)),
        dimensions("twonn", (5, 4, 3), (7, 6, 5), (9, 5, 7)),
    ),
    "LM-19": (networks(RISING, dead={0.0: 0.0, 1.0: 0.2}), networks(RISING, dead={0.0: 0.2, 1.0: 0.0})),
}


@pytest.mark.parametrize("identifier", CASES)
def test_flipping_the_data_flips_the_verdict(identifier):
    for summary, expected in zip(CASES[identifier], ("reproduced", "not reproduced"), strict=True):
        assert first_round.decide(papers.claim(identifier), summary).verdict == expected


def test_every_claim_that_can_be_decided_has_a_case():
    assert {one.id for one in papers.CLAIMS if one.statistic} == set(CASES)


def test_every_rule_says_when_it_was_written_and_where_its_figure_is():
    for one in (*papers.CLAIMS, *papers.SURVIVES):
        assert one.written.startswith("2026-") if one.statistic else one.lacks, one.id
        chapter, figure = one.shown
        assert not one.statistic or f'name="{figure}"' in (paths.CHAPTERS / f"{chapter}.py").read_text(), (
            one.id
        )


def test_p_is_below_five_percent_exactly_where_the_interval_leaves_out_zero():
    random = np.random.default_rng(1)
    for _ in range(200):
        values = pd.Series(random.normal(random.uniform(-1.5, 1.5), 1, int(random.integers(3, 8))))
        low, high = statistics.t_interval(values)
        assert (statistics.p_value(values) < 0.05) == (low > 0 or high < 0)
    assert (
        statistics.p_value(pd.Series([2.0, 2.0, 2.0])) == 0
        and statistics.p_value(pd.Series([0.0, 0.0, 0.0])) == 1
    )


def test_many_claims_asked_together_need_more_than_one_alone():
    strong = first_round.decide(papers.claim("LM-1"), networks(RISING))
    assert first_round.corrected([strong])[0] == (pytest.approx(strong.p), "reproduced")
    weak = first_round.Verdict(
        papers.claim("LM-2"), "reproduced", 3, (first_round.Part("", 1.0, 0.1, 1.9, 0.04),)
    )
    untested = first_round.decide(papers.claim("LM-11"), networks(RISING))
    (p, verdict), _, (none, left) = first_round.corrected([weak, strong, untested])
    assert p > weak.p and verdict == "inconclusive" and np.isnan(none) and left == "not tested"
    assert first_round.corrected([]) == []


def test_the_p_of_a_claim_with_parts_is_that_of_what_decided_it():
    parts = (
        first_round.Part("a", 1.0, 0.5, 1.5, 0.01),
        first_round.Part("b", -1.0, -1.9, -0.1, 0.03),
        first_round.Part("c", 1.0, 0.1, 1.9, 0.04),
    )
    assert first_round.Verdict(papers.claim("LM-16"), "not reproduced", 3, parts).p == pytest.approx(0.09)
    assert first_round.Verdict(papers.claim("LM-16"), "reproduced", 3, parts[::2]).p == 0.04


def test_what_can_be_detected_is_where_the_interval_begins_to_leave_out_zero():
    for seeds in (3, 5, 20):
        values = pd.Series(np.linspace(-1, 1, seeds))
        values /= values.std()
        for factor in (0.999, 1.001):
            assert (statistics.t_interval(values + factor * statistics.detectable(seeds))[0] > 0) == (
                factor > 1
            )
    assert np.isnan(statistics.detectable(1)) and statistics.detectable(3, 1) == statistics.detectable(3)


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_the_only_claim_left_of_many_must_be_as_strong_as_said(factor):
    values = pd.Series([-1.0, 0.0, 1.0]) + factor * statistics.detectable(3, 4)
    strong = first_round.Verdict(
        papers.claim("LM-1"),
        "reproduced",
        3,
        (first_round.Part("", 1.0, 0.5, 1.5, statistics.p_value(values)),),
    )
    weak = first_round.Verdict(
        papers.claim("LM-2"), "inconclusive", 3, (first_round.Part("", 1.0, -1.0, 3.0, 0.9),)
    )
    assert first_round.corrected([strong, weak, weak, weak])[0][1] == (
        "reproduced" if factor > 1 else "inconclusive"
    )


def test_parts_say_on_which_side_of_zero_seeds_lie():
    rows = first_round.parts([papers.claim("LM-1")], networks(RISING, seeds=2))
    assert rows[["seeds", "above", "below"]].values.tolist() == [[2, 2, 0]] and rows.low.isna().all()
    rows = first_round.parts([papers.claim("LM-2")], networks(RISING, noise=0.2, seeds=5))
    assert int(rows.above.iloc[0] + rows.below.iloc[0]) == 5 and 0 < rows.above.iloc[0] < 5


def test_an_estimate_that_is_the_same_for_every_seed_says_so():
    same = first_round.decide(
        papers.claim("LM-2"), networks(RISING, noise=0.0, accuracy={-1.0: 0.9, 1.0: 0.8})
    )
    assert same.verdict == "reproduced" and first_round.describe(same) == "+10 points for every seed, 3 seeds"


def test_noise_that_hides_the_sign_is_inconclusive():
    assert first_round.decide(papers.claim("LM-2"), networks(RISING, noise=0.2)).verdict == "inconclusive"


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_give_an_estimate_but_no_verdict(seeds):
    verdict = first_round.decide(papers.claim("LM-1"), networks(RISING, seeds=seeds))
    assert (verdict.verdict, verdict.seeds) == ("inconclusive", seeds)
    assert verdict.estimate == pytest.approx(0.15, abs=0.01) and np.isnan(verdict.low)
    assert "seeds that an interval needs" in first_round.describe(verdict)


def test_one_flat_step_is_enough_against_monotony():
    flat = networks({-1.0: 0.2, 0.0: 0.35, 0.5: 0.30, 1.0: 0.8})
    assert first_round.decide(papers.claim("LM-1"), flat).verdict == "not reproduced"


def test_seeds_that_lack_an_alpha_are_left_out():
    summary = networks(RISING, seeds=4)
    summary = summary[~((summary.seed == 3) & (summary.alpha == 0.0))]
    assert first_round.decide(papers.claim("LM-1"), summary).seeds == 3
    assert first_round.decide(papers.claim("LM-19"), summary[summary.alpha != 0.0]).reason


def test_one_strength_out_of_order_is_enough_against_a_rise():
    assert first_round.decide(papers.claim("LM-12"), varied(UP | {"pgd-2": 0.41})).verdict == "not reproduced"


@pytest.mark.parametrize("identifier", CASES)
def test_statistics_ignore_rows_of_the_other_kind(identifier):
    one, summary = papers.claim(identifier), CASES[identifier][0]
    plain, varying = (
        networks({-1.0: 0.9, 1.0: 0.1}).assign(live_selectivity=0.5),
        varied({"augmix": 0.9, "pgd-1": 0.1, "pgd-2": 0.0}),
    )
    others = plain if one.compares else varying
    assert first_round.decide(one, pd.concat([summary, others])) == first_round.decide(one, summary)


@pytest.mark.parametrize("identifier", CASES)
def test_networks_of_different_length_are_never_compared(identifier):
    summary = CASES[identifier][0]
    mixed = pd.concat([summary[summary.seed > 0], summary[summary.seed == 0].assign(epochs=4)])
    with pytest.raises(InputError, match="of equal length, these were trained 4 and (8|16) epochs"):
        first_round.decide(papers.claim(identifier), mixed)


MISSING = {
    "AugMix": ("LM-6", UP | {"augmix": NONE}, "inconclusive", "missing: augmix"),
    "plain": ("LM-6", UP | {"plain": NONE}, "inconclusive", "missing: plain"),
    "a strength": ("LM-12", UP | {"pgd-1": NONE, "pgd-10": NONE}, "inconclusive", "missing: pgd-1, pgd-10"),
    "all but AugMix": (
        "LM-12",
        dict.fromkeys(UP, NONE) | {"augmix": 0.3},
        "not tested",
        "missing: plain, pgd-1, pgd-2, pgd-10",
    ),
    "all": ("LM-6", dict.fromkeys(UP, NONE), "not tested", "missing: plain, augmix"),
    "AugMix, not asked for": ("LM-6", {"plain": 0.3, "pgd-1": 0.3}, "inconclusive", "missing: augmix"),
    "PGD, not asked for": ("LM-12", {"plain": 0.3, "augmix": 0.3}, "inconclusive", "missing: pgd"),
    "a second strength": (
        "LM-12",
        {"plain": 0.3, "pgd-1": 0.4},
        "inconclusive",
        "missing: PGD training of at least 2 strengths",
    ),
}


@pytest.mark.parametrize("case", MISSING)
def test_missing_networks_give_no_verdict_but_the_reason(case):
    identifier, mean, verdict, reason = MISSING[case]
    found = first_round.decide(papers.claim(identifier), varied(mean))
    assert (found.verdict, found.seeds) == (verdict, 0)
    assert found.reason.endswith(reason)


def test_a_seed_that_lacks_a_network_is_left_out_of_the_claims_that_need_it():
    summary = varied(UP, seeds=4)
    summary.loc[
        (summary.seed == 3) & (summary.variant == "pgd-2"), ["mean_selectivity", "live_selectivity"]
    ] = NONE
    assert (
        first_round.decide(papers.claim("LM-12"), summary).seeds,
        first_round.decide(papers.claim("LM-6"), summary).seeds,
    ) == (3, 4)
    scattered = varied(UP, seeds=2)
    scattered.loc[(scattered.seed == 0) & (scattered.variant == "augmix"), "mean_selectivity"] = NONE
    scattered.loc[(scattered.seed == 1) & (scattered.variant == "plain"), "mean_selectivity"] = NONE
    assert first_round.decide(papers.claim("LM-6"), scattered).reason.endswith(
        "missing: augmix (seed 0), plain (seed 1)"
    )


def test_claims_on_corrupted_images_are_not_tested_before_they_are_measured():
    measured = corrupted({"fog": 0.7})
    for summary in (networks(RISING), measured.assign(corrupted_accuracy=NONE, relative_accuracy=NONE)):
        for identifier in ("LM-3", "LM-4", "LM-5"):
            verdict = first_round.decide(papers.claim(identifier), summary)
            assert (verdict.verdict, verdict.reason) == ("not tested", "its networks are not measured yet")
    some = measured.copy()
    some.loc[some.seed == 2, ["corrupted_accuracy", "corrupted_fog"]] = NONE
    assert (
        first_round.decide(papers.claim("LM-3"), some).seeds
        == first_round.decide(papers.claim("LM-4"), some).seeds
        == 2
    )
    # no α below 0
    assert first_round.decide(papers.claim("LM-3"), measured[measured.alpha >= 0]).verdict == "inconclusive"


def test_statistics_on_corrupted_images_by_hand():
    summary = corrupted({"fog": 0.7, "snow": 0.51, "frost": 0.49}, clean=0.9)
    assert first_statistics.corrupted_gain(summary).tolist() == pytest.approx(
        [100 * (0.2 + 0.01 - 0.01) / 3] * 3
    )
    assert first_statistics.improved_corruptions(summary).tolist() == [0.5] * 3  # two of three
    assert first_statistics.relative_gain(summary).iloc[0] == pytest.approx(100 * 0.2 / 3 / 0.9)


def test_table_by_alpha():
    summary = corrupted({"fog": 0.7}).assign(subset_accuracy=0.9, status="ok")
    rows = tables.by_alpha(summary)
    assert (
        list(rows["α"]) == ["−1", "0", "1"]
        and (rows.n == "3").all()
        and (rows["clean, %"] == "90.0\n(90.0 to 90.0)").all()
    )
    assert rows["corrupted, %"][1].startswith("50.1\n(")


def test_interval_is_students():
    low, high = statistics.t_interval(pd.Series([1.0, 2.0, 3.0]))  # 2 -+ 4.3027 * 1 / sqrt(3)
    assert (low, high) == pytest.approx((-0.4841, 4.4841), abs=1e-4)
    assert statistics.t_interval(pd.Series([2.0, 2.0, 2.0])) == (2.0, 2.0)


def test_ledger_takes_both_kinds_of_networks_apart():
    both = first_round.ledger(networks(RISING), varied(DOWN)).set_index("id")
    assert (both.verdict["LM-1"], both.verdict["LM-6"], both.verdict["LM-12"]) == (
        "reproduced",
        "not reproduced",
        "not reproduced",
    )
    assert first_round.ledger(networks(RISING)).set_index("id").verdict["LM-6"] == "not tested"
    alone = first_round.ledger(variants=varied(UP)).set_index("id")
    assert (alone.verdict["LM-1"], alone.verdict["LM-12"]) == ("not tested", "reproduced")


def test_table_of_trainings_has_intervals_from_three_seeds_on():
    few, enough = (tables.by_training(varied(UP, seeds=seeds)) for seeds in (2, 3))
    assert list(enough.training) == ["plain", "AugMix", "PGD, 1 step", "PGD, 2 steps", "PGD, 10 steps"]
    assert (enough.n == "3").all() and enough["mean selectivity"].str.fullmatch(
        r"0\.\d{3}\n\(0\.\d{3} to 0\.\d{3}\)"
    ).all()
    assert few["mean selectivity"].str.fullmatch(r"0\.\d{3}").all() and "α" not in few
    two = tables.by_training(pd.concat([varied(UP), varied(UP).assign(alpha=-1.0, status="diverged")]))
    assert list(two["α"].unique()) == ["0", "−1"] and two.n.iloc[-1] == "3, 3 diverged"


def test_robustness_by_training_shows_what_is_measured():
    columns = ["corrupted_accuracy", "fgsm_accuracy", "pgd_accuracy", "ball_worst", "autoattack_accuracy"]
    tested = varied(UP, seeds=1).assign(**dict.fromkeys(columns, float("nan")))
    assert list(tables.robustness_by_training(tested)) == ["training", "n", "clean, %"]
    tested.loc[tested.variant == "augmix", "corrupted_accuracy"] = 0.7
    rows = tables.robustness_by_training(tested).set_index("training")
    assert (
        rows["corrupted, %"].to_dict() == dict.fromkeys(rows.index, "not measured") | {"AugMix": "70.0"}
        and "PGD, %" not in rows
    )


def test_changes_are_paired_by_seed():
    rows = pd.DataFrame(
        [
            (where, seed, alpha, base + gain * (alpha + 2))
            for where, gain in (("b", 1.0), ("a", 2.0))
            for seed, base in enumerate((0.0, 50.0, 7.0))
            for alpha in (-2.0, 0.0, 1.0)
        ],
        columns=["where", "seed", "alpha", "value"],
    )
    found = tables.changes(
        rows,
        "where",
        "value",
        [(-2.0, 0.0), (0.0, 1.0), (0.0, float("nan")), (0.0, 5.0), (0.0, 0.0), (-2.0, 0.0)],
        scale=10,
    )
    assert list(found.columns) == ["where", "from −2 to 0", "from 0 to 1"] and list(found["where"]) == [
        "b",
        "a",
    ]
    assert found["from −2 to 0"].tolist() == ["+20.0 (+20.0 to +20.0)", "+40.0 (+40.0 to +40.0)"]
    # a network's several numbers count as their mean
    twice = pd.concat([rows, rows.assign(value=rows.value + 2 * (rows.alpha == 0))])
    assert tables.changes(twice, "where", "value", [(-2.0, 0.0)])["from −2 to 0"].tolist() == [
        "+3.0 (+3.0 to +3.0)",
        "+5.0 (+5.0 to +5.0)",
    ]
    assert list(tables.changes(rows[rows.alpha == 0], "where", "value", [(-2.0, 0.0)]).columns) == ["where"]


def test_estimate_writes_a_true_minus():
    assert tables.estimate(pd.Series([1.0, 2.0, 3.0]), ".1f") == "2.0 (−0.5 to 4.5)"
    assert tables.estimate(pd.Series([-1.0, -2.0]), ".1f") == "−1.5"


def test_ledger_has_every_claim_of_the_protocol():
    ledger = first_round.ledger(networks(RISING))
    assert list(ledger.id) == [f"LM-{number}" for number in range(1, 20)]
    assert set(ledger.verdict) <= set(papers.VERDICTS)
    assert ledger.certainty.str.match("established|recalled").all()
    assert (ledger[ledger.verdict == "not tested"].ours != "").all()  # with the reason


@pytest.mark.slow
def test_the_first_round_is_as_it_was_published(monkeypatch):
    """Estimates, intervals and verdicts of the published ledger, from the cached runs, as they were before the
    second round's rules came beside its own.
    """
    monkeypatch.setenv("RUNS_FROZEN", "1")
    golden = json.loads((paths.ROOT / "tests" / "golden_first_round.json").read_text(encoding="utf-8"))
    summary, _ = readme.summary()
    others = at_hand(readme.landing_page().with_variants.trainings)
    found = first_round.parts([*papers.CLAIMS, *papers.SURVIVES], summary, others)
    assert len(found) == len(golden["parts"])
    for row, (claim, under, part, verdict, seeds, *numbers) in zip(
        found.itertuples(), golden["parts"], strict=True
    ):
        assert (row.claim, row.part, row.verdict, row.seeds) == (claim, part, verdict, seeds)
        assert row.statement.endswith(under)
        wanted = [NONE if one is None else one for one in numbers]
        assert [row.estimate, row.low, row.high] == pytest.approx(wanted, rel=1e-5, abs=1e-5, nan_ok=True)
    ledger = first_round.ledger(summary, others)
    assert dict(zip(ledger.id, ledger.verdict, strict=True)) == golden["verdicts"]
    assert dict(zip(ledger.id, ledger["asked together"], strict=True)) == golden["together"]
