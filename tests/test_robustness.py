"""Numbers that claims are about, computed from tables of attacks made by hand; and the checks of whether an
attack failed for another reason.
"""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from lib import papers
from lib.measurements import masking
from lib.measurements.attack import BUDGET, CLEAN, CURVES
from lib.measurements.attack_summary import with_attacked
from lib.measurements.autoattack import PARTS, with_autoattack
from lib.measurements.transfer import transferred, with_transferred
from lib.papers import first_round, first_statistics
from lib.runs.tables import at_hand, cached, full_summary
from lib.training.training import LABELS


def counts(
    accuracies: dict[str, dict[float, float]],
    *,
    alpha: float = 0.0,
    seed: int = 0,
    dataset: str = "cifar10",
    **more,
) -> pd.DataFrame:
    """An attack table of 1,000 images in two classes: {attack: {strength: accuracy}}, strengths being steps
    for PGD curves.
    """
    rows = []
    for name, ladder in accuracies.items():
        for strength, accuracy in ladder.items():
            at = (
                {"epsilon": BUDGET, "steps": strength}
                if name in CURVES
                else {"epsilon": strength, "steps": 1}
            )
            for label in ("cat", "dog"):
                row = {
                    "attack": name,
                    **at,
                    "step_size": 0.0,
                    "class": label,
                    "images": 500,
                    "correct": round(500 * accuracy),
                }
                row |= {
                    "unbroken": row["correct"],
                    "zero_gradient": 0,
                    "certain": 0,
                    "confidence": 0.9,
                } | more
                rows.append(row)
    network = {
        "dataset": dataset,
        "model": "resnet20",
        "alpha": alpha,
        "seed": seed,
        "recipe": "fast",
        "variant": "plain",
        "epochs": 16,
    }
    return pd.DataFrame(rows).assign(**network)


def balls(cross_entropy: float, margin: float, temperature: float) -> dict[str, dict[float, float]]:
    return {
        "ball-cross-entropy": {1 / 255: cross_entropy},
        "ball-margin": {1 / 255: margin},
        "ball-temperature": {1 / 255: temperature},
    }


def test_a_summary_gets_the_strengths_that_stand_for_the_data_set():
    table = counts({
        CLEAN: {0.0: 0.8},
        "fgsm": {0.001: 0.7, 0.002: 0.6},
        "pgd": {20: 0.5, 40: 0.4},
        **balls(0.3, 0.28, 0.29),
    })
    summary = table[LABELS].drop_duplicates().reset_index(drop=True)
    facts = with_attacked(summary, table).iloc[0]
    assert facts[["attacked_clean", "fgsm_accuracy", "pgd_accuracy"]].tolist() == [0.8, 0.6, 0.4]
    assert facts[["ball_cross_entropy", "ball_margin", "ball_temperature", "ball_worst"]].tolist() == [
        0.3,
        0.28,
        0.29,
        0.28,
    ]
    other = with_attacked(summary.assign(seed=5), table).iloc[0]
    assert other[["fgsm_accuracy", "ball_worst"]].isna().all()
    assert with_attacked(summary, pd.DataFrame()).ball_worst.isna().all()


@pytest.mark.parametrize(
    ("accuracies", "more", "expected"),
    [
        ({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.7}, **balls(0.3, 0.3, 0.3)}, {}, set()),
        (
            {CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.7}, **balls(0.3, 0.3, 0.3)},
            {"zero_gradient": 5},
            {"zero gradient"},
        ),
        (
            {CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.7}, **balls(0.3, 0.3, 0.3)},
            {"certain": 5},
            {"float32 underflow"},
        ),
        (
            {CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.7}, **balls(0.3, 0.3, 0.3)},
            {"confidence": 0.995},
            {"confidence"},
        ),
        ({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.7}, **balls(0.3, 0.27, 0.3)}, {}, {"loss"}),
        (
            {CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.6, 0.2: 0.62, 0.3: 0.59}, **balls(0.3, 0.3, 0.3)},
            {},
            {"rises with strength"},
        ),
        ({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.95}, **balls(0.3, 0.3, 0.3)}, {}, {"rises with strength"}),
        (
            {CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.4, 0.2: 0.9}, **balls(0.3, 0.3, 0.3)},
            {},
            {"rises with strength"},
        ),
        # about chance, of two classes, anything may happen
        ({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.6, 0.2: 0.4, 0.3: 0.54}, **balls(0.3, 0.3, 0.3)}, {}, set()),
        (
            {CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.7}, **balls(0.3, 0.3, 0.3)},
            {"confidence": float("nan")},
            {"confidence"},
        ),
        ({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.7}}, {}, set()),  # no balls to compare
    ],
)
def test_each_check_trips_on_what_it_is_for(accuracies, more, expected):
    checks = masking.checked(counts(accuracies, **more))
    assert set(checks[checks.tripped & (checks.attack == "fgsm")].check) == expected
    words = masking.overview(checks).set_index("check")
    flagged = masking.by_alpha(checks)
    assert set(flagged.check) == set(checks[checks.tripped].check) and set(flagged.seeds) <= {"0"}
    assert masking.doubtful_alphas(checks, "fgsm") == (frozenset([0.0]) if expected else frozenset())
    tripped = set(checks[checks.tripped].check)
    assert (
        expected <= tripped
        and {name for name, flagged in words["networks flagged"].items() if flagged == "1 of 1"} == tripped
    )
    assert words.loc["Square", "largest"] == "not measured"


def test_doubt_is_carried_into_the_summary():
    table = counts({CLEAN: {0.0: 0.8}, "pgd": {40: 0.5}, **balls(0.3, 0.3, 0.3)})
    summary = pd.concat([table[LABELS].head(1), table[LABELS].head(1).assign(seed=1)], ignore_index=True)
    nothing = pd.DataFrame()
    columns = ["pgd_accuracy_doubtful", "ball_worst_doubtful"]
    for facts, expected in (
        ({}, [False, False]),
        ({"certain": 5}, [True, False]),
        ({"zero_gradient": 5}, [True, True]),
    ):
        found = masking.with_doubt(summary, table.assign(**facts), nothing, nothing)
        assert found[columns].to_numpy().tolist() == [expected, [False, False]]
    assert not masking.with_doubt(summary, nothing, nothing, nothing)[columns].any(axis=None)


def test_black_boxes_that_beat_white_boxes_are_flagged():
    table = counts({CLEAN: {0.0: 0.8}, **balls(0.3, 0.2, 0.2)})
    theirs = table[table.attack == "ball-cross-entropy"].assign(source_seed=1, correct=100)  # 0.2
    checks = masking.checked(table, theirs)
    black = checks[checks.check == "black box"].set_index("attack")
    assert (
        black.value["ball-cross-entropy"] == pytest.approx(0.1)
        and black.tripped["ball-cross-entropy"]
        and not black.tripped["ball-margin"]
    )
    loss = checks[checks.check == "loss"].set_index("attack").tripped
    assert loss["ball-cross-entropy"] and not loss["ball-margin"]
    turned = masking.checked(counts({CLEAN: {0.0: 0.8}, **balls(0.3, 0.5, 0.3)}))
    assert turned[turned.tripped].attack.tolist() == ["ball-margin"]
    # the strongest source counts
    two = masking.checked(table, pd.concat([theirs.assign(correct=400), theirs.assign(source_seed=2)]))
    assert two[two.check == "black box"].value.tolist() == black.value.tolist()
    fgsm = counts({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.7}})
    beaten = masking.checked(fgsm, fgsm[fgsm.attack == "fgsm"].assign(source_seed=1, correct=100))
    assert beaten[beaten.tripped].check.tolist() == ["black box"]
    network = table[LABELS].iloc[0].to_dict()
    left = zip((CLEAN, *PARTS), (80, 40, 31, 30, 28), strict=True)
    parts = pd.DataFrame([
        network | {"part": part, "epsilon": 1 / 255, "class": "cat", "images": 100, "standing": standing}
        for part, standing in left
    ])
    square = masking.checked(table, None, parts)
    assert (
        square[square.check == "Square"].value.item() == pytest.approx(0.02)
        and square[square.check == "Square"].tripped.item()
    )
    facts = with_autoattack(table[LABELS].drop_duplicates(), parts)
    assert facts[["autoattack_accuracy", "autoattack_clean"]].iloc[0].tolist() == [0.28, 0.8]
    assert (
        with_autoattack(table[LABELS].drop_duplicates(), parts.assign(epsilon=0.5))
        .autoattack_accuracy.isna()
        .all()
    )
    weak = masking.checked(counts({CLEAN: {0.0: 0.8}, **balls(0.75, 0.75, 0.75)}), None, parts)
    assert (
        weak[weak.check == "AutoAttack"].tripped.all()
        and not square[square.check == "AutoAttack"].tripped.any()
    )


def test_transferred_averages_over_sources():
    table = counts({"ball-cross-entropy": {8 / 255: 0.4}})
    both = pd.concat([table.assign(source_seed=0), table.assign(source_seed=1, correct=100)])
    rows = transferred(both)
    assert rows.accuracy.tolist() == pytest.approx([0.3]) and rows.sources.tolist() == [2]
    assert with_transferred(table[LABELS].drop_duplicates(), both).transfer_accuracy.item() == pytest.approx(
        0.3
    )


def summary(rows: dict[float, tuple[float, float]], seeds: int = 3) -> pd.DataFrame:
    """{alpha: (clean accuracy, accuracy under attack)}, a little different for each seed."""
    return pd.DataFrame([
        {
            "alpha": alpha,
            "seed": seed,
            "variant": "plain",
            "epochs": 16,
            "clean_accuracy": clean,
            "pgd_accuracy": value + 0.001 * seed * (1 + alpha),
        }
        for alpha, (clean, value) in rows.items()
        for seed in range(seeds)
    ])


def test_an_ordering_needs_both_rises():
    rising = {-9.0: (0.6, 0.9), -2.0: (0.9, 0.1), 0.0: (0.9, 0.2), 0.4: (0.86, 0.25), 2.0: (0.5, 0.1)}
    assert first_statistics.spared(summary(rising)) == (-2.0, 0.4)  # −9 and 2 cost too much clean accuracy
    found = first_statistics.resists(summary(rising), "pgd_accuracy")
    assert found.to_dict("list") == {
        "from −2 to 0": pytest.approx([10.0, 10.2, 10.4]),
        "from 0 to 0.4": pytest.approx([5.0, 5.04, 5.08]),
    }
    assert first_statistics.rises(summary(rising), "pgd_accuracy").iloc[0].tolist() == pytest.approx([
        -0.7,
        -0.1,
    ])
    assert first_statistics.falls(summary(rising), "pgd_accuracy").iloc[0].tolist() == pytest.approx([
        0.7,
        0.1,
    ])
    reversed_too = first_statistics.resists_fgsm(
        summary(rising).rename(columns={"pgd_accuracy": "fgsm_accuracy"})
    )
    assert reversed_too["clean, from 0.4 to −2"].tolist() == pytest.approx([4.0] * 3)
    statistic = partial(first_statistics.resists, column="pgd_accuracy")
    assert statistic(summary({alpha: rising[alpha] for alpha in (0.0, 0.4)})).empty
    assert (
        statistic(summary({alpha: rising[alpha] for alpha in (-2.0, 0.0, 2.0)})).empty
        and np.isnan(first_statistics.spared(summary({0.0: (1, 1)}))).all()
    )
    # what the statistic does not use may be missing
    holes = summary(rising)
    holes.loc[holes.alpha.isin([-9.0, 2.0]), "pgd_accuracy"] = np.nan
    assert len(statistic(holes)) == 3 and first_statistics.rises(holes, "pgd_accuracy").columns.tolist() == [
        "from −2 to 0",
        "from 0 to 0.4",
    ]
    holes.loc[(holes.alpha == 0.4) & (holes.seed == 1), "pgd_accuracy"] = np.nan
    assert statistic(holes).index.tolist() == [0, 2]


def test_rank_correlation_is_within_each_seed():
    rows = [(0, -1, 1, 9), (0, 0, 2, 5), (0, 1, 4, 1), (1, -1, 5, 2), (1, 0, 6, 1), (1, 1, 7, 3)]
    # two α, and two with both: too few
    rows += [(2, 0, 1, 1), (2, 1, 2, 2), (3, -1, 1, None), (3, 0, 2, 1), (3, 1, 3, 2)]
    found = first_statistics.rank_correlation(
        pd.DataFrame(rows, columns=["seed", "alpha", "one", "other"]), "one", "other"
    )
    assert found[[0, 1]].tolist() == pytest.approx([-1.0, 0.5]) and found[[2, 3]].isna().all()
    assert first_statistics.rank_correlation(
        pd.DataFrame(columns=["seed", "one", "other"]), "one", "other"
    ).empty


def test_each_part_of_a_claim_has_its_interval():
    rising = {-2.0: (0.9, 0.1), 0.0: (0.9, 0.2), 0.4: (0.86, 0.25)}
    one = papers.claim("LM-8")
    good = first_round.decide(one, summary(rising))
    assert (
        good.verdict == "reproduced"
        and [part.name for part in good.parts] == ["from −2 to 0", "from 0 to 0.4"]
        and good.estimate == good.parts[1].estimate
    )
    assert "from −2 to 0: +10.2 points, 95 % interval" in first_round.describe(good) and first_round.describe(
        good
    ).endswith("3 seeds")
    assert first_round.decide(one, summary(rising | {-2.0: (0.9, 0.3)})).verdict == "not reproduced"
    assert first_round.decide(one, summary(rising | {0.4: (0.86, 0.1996)})).verdict == "inconclusive"
    assert first_round.decide(one, summary(rising, seeds=2)).verdict == "inconclusive"
    assert first_round.decide(one, summary(rising).drop(columns="pgd_accuracy")).verdict == "not tested"
    assert {claim.id for claim in papers.SURVIVES} == {"LM-X2"} and not {"LM-X2"} & {
        claim.id for claim in papers.CLAIMS
    }


def test_chapters_take_what_is_measured_and_make_nothing(store_dir, trainings, monkeypatch):
    monkeypatch.setattr("lib.runs.tables._measure", lambda *args: pytest.fail("measured"))
    found = full_summary(at_hand(trainings), trainings)
    assert (
        found[["fgsm_accuracy", "transfer_accuracy", "jacobian", "autoattack_accuracy", "corrupted_accuracy"]]
        .isna()
        .all(axis=None)
    )
    assert cached("attack", trainings).empty
