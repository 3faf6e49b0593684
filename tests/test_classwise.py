"""Claims of class-wise robustness: planted tables turn each verdict, both ways."""

import numpy as np
import pandas as pd
import pytest

from lib.base.errors import InputError
from lib.measurements import logits
from lib.papers import classwise
from lib.papers.claim import RULE

CLASSES = list("abcdefghij")
LEVELS = np.array([60, 55, 50, 45, 40, 35, 30, 25, 20, 15.0])
BY_ID = {one.id: one for one in classwise.CLAIMS}


def rows(
    attack, accuracies, *, variant="pgd-3-linf-8", inverse=np.nan, margin=0.0, norm=1.0, seeds=(0, 1, 2)
):
    return pd.concat([
        pd.DataFrame({
            "variant": variant,
            "alpha": 0.0,
            "seed": seed,
            "attack": attack,
            "inverse_temperature": inverse,
            "class": CLASSES[: len(accuracies)],
            "images": 200,
            # seeds differ a little, so that an interval has a width
            "accuracy": np.asarray(accuracies) * (1 + 0.01 * seed),
            "margin": np.broadcast_to(margin, len(accuracies)) * (1 + 0.01 * seed),
            "norm": np.broadcast_to(norm, len(accuracies)),
        })
        for seed in seeds
    ])


def strong(accuracies, **more):
    return rows("t-pgd", accuracies, inverse=5.0, **more)


WEAK_LOSE = LEVELS - np.array([1, 1, 1, 1, 1, 5, 5, 5, 5, 5.0])
STRONG_LOSE = LEVELS - np.array([5, 5, 5, 5, 5, 1, 1, 1, 1, 1.0])
FLAT = np.full(10, 37.5) + np.arange(10) / 10
RISING = np.linspace(1, 2, 10)

PLANTED = {
    "CW-1, spread beyond clean and control": (
        "CW-1",
        [rows("pgd", LEVELS), rows("clean", 60 + FLAT / 10), rows("matched", FLAT, variant="plain")],
        "reproduced",
    ),
    "CW-1, as much in the control": (
        "CW-1",
        [rows("pgd", LEVELS), rows("clean", 60 + FLAT / 10), rows("matched", 1.3 * LEVELS, variant="plain")],
        "not reproduced",
    ),
    "CW-2, the same order": (
        "CW-2",
        [
            rows("pgd", LEVELS), rows("fgsm", LEVELS + 2), strong(WEAK_LOSE),
            rows("pgd", LEVELS + 1, variant="trades-6-3-linf-8"), rows("fgsm", LEVELS, variant="trades-6-3-linf-8"),
        ],
        "reproduced",
    ),
    "CW-2, opposite orders": (
        "CW-2",
        [
            rows("pgd", LEVELS), rows("fgsm", LEVELS[::-1]),
            rows("pgd", LEVELS[::-1], variant="trades-6-3-linf-8"),
        ],
        "not reproduced",
    ),
    "CW-3, from the weak": (
        "CW-3",
        [rows("pgd", LEVELS, margin=0.0), strong(WEAK_LOSE, margin=RISING)],
        "reproduced",
    ),
    "CW-3, from the strong": (
        "CW-3",
        [rows("pgd", LEVELS, margin=0.0), strong(STRONG_LOSE, margin=RISING)],
        "not reproduced",
    ),
    "CW-3, equal points are a larger share of the weak": (
        "CW-3",
        [rows("pgd", LEVELS), strong(LEVELS - 3, margin=RISING[::-1])],
        "not reproduced",
    ),
    "CW-4, larger": ("CW-4", [rows("pgd", LEVELS), strong(WEAK_LOSE)], "reproduced"),
    "CW-4, smaller": ("CW-4", [rows("pgd", LEVELS), strong(STRONG_LOSE)], "not reproduced"),
    "CW-4, the plain form is not read": (
        "CW-4",
        [rows("pgd", LEVELS), strong(STRONG_LOSE), rows("t-pgd-plain", WEAK_LOSE, inverse=5.0)],
        "not reproduced",
    ),
    "CW-5, stronger": ("CW-5", [rows("pgd", LEVELS), strong(LEVELS - 3)], "reproduced"),
    "CW-5, weaker": ("CW-5", [rows("pgd", LEVELS), strong(LEVELS + 3)], "not reproduced"),
    "CW-6, both help": (
        "CW-6",
        [
            strong(LEVELS), strong(FLAT, variant="weighted-3-linf-8"),
            rows("untuned", LEVELS), rows("tuned", FLAT),
        ],
        "reproduced",
    ),
    "CW-6, the bias does not": (
        "CW-6",
        [
            strong(LEVELS), strong(FLAT, variant="weighted-3-linf-8"),
            rows("untuned", FLAT), rows("tuned", LEVELS),
        ],
        "not reproduced",
    ),
    "CW-7, they come home": ("CW-7", [rows("retrained", [80.0])], "reproduced"),
    "CW-7, they do not": ("CW-7", [rows("retrained", [20.0])], "not reproduced"),
    "CW-7, a mask is no training": ("CW-7", [rows("masked", [80.0])], "not tested"),
    "CW-8, longer is better": ("CW-8", [rows("pgd", LEVELS, norm=RISING[::-1])], "reproduced"),
    "CW-8, longer is worse": ("CW-8", [rows("pgd", LEVELS, norm=RISING)], "not reproduced"),
    "CW-9, it has its ends": (
        "CW-9",
        [
            rows("pgd", LEVELS), rows("margin", LEVELS - 3),
            rows("t-pgd", LEVELS, inverse=1.0), rows("t-pgd", LEVELS - 3.1, inverse=50.0),
        ],
        "reproduced",
    ),
    "CW-9, classes differ where the mean does not": (
        "CW-9",
        [
            rows("pgd", LEVELS), rows("margin", LEVELS - 3),
            rows("t-pgd", LEVELS + np.tile([10, -10], 5), inverse=1.0), rows("t-pgd", LEVELS - 3, inverse=50.0),
        ],
        "not reproduced",
    ),
    "CW-9, it underflows": (
        "CW-9",
        [
            rows("pgd", LEVELS), rows("margin", LEVELS - 3),
            rows("t-pgd", LEVELS, inverse=1.0), rows("t-pgd", LEVELS + 4, inverse=50.0),
        ],
        "not reproduced",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PLANTED)
def test_planted_tables_turn_the_verdict(case):
    identifier, parts, wanted = PLANTED[case]
    table = pd.concat(parts, ignore_index=True)
    verdict = classwise.decide(BY_ID[identifier], table)
    assert verdict.verdict == wanted, verdict


def test_every_claim_is_planted_both_ways_and_its_rule_is_dated():
    for one in classwise.CLAIMS:
        said = {wanted for identifier, _, wanted in PLANTED.values() if identifier == one.id}
        assert {"reproduced", "not reproduced"} <= said, one.id
        assert one.rule and one.written.startswith("2026-11-30, before") and one.lacks and one.caution
    assert list(BY_ID) == [f"CW-{n}" for n in range(1, 10)]


def test_nothing_cached_is_not_tested_and_says_what_is_missing():
    for table in (None, pd.DataFrame(), rows("pgd", LEVELS, variant="plain")):
        ledger = classwise.ledger(table)
        assert (ledger.verdict == "not tested").all() and ledger.ours.str.contains("needs").all()


def test_fewer_seeds_than_an_interval_needs():
    table = pd.concat([rows("pgd", LEVELS, seeds=(0,)), strong(LEVELS - 3, seeds=(0,))])
    verdict = classwise.decide(BY_ID["CW-5"], table)
    assert verdict.verdict == "inconclusive" and "1 of the 3 seeds" in verdict.reason
    assert RULE.endswith("not reproduced if one is not.")


def test_classes_that_are_left_out_two_classes_and_chance():
    table = pd.concat([rows("pgd", LEVELS), strong(WEAK_LOSE)], ignore_index=True)
    empty = table.assign(**{
        "images": table["images"].where(table["class"] != "j", 0),
        "accuracy": table.accuracy.where(table["class"] != "j"),
    })
    assert list(classwise.wide(empty, classwise.IN_BALL, "pgd")) == CLASSES[:-1]
    assert classwise.decide(BY_ID["CW-4"], empty).seeds == 3
    two = pd.concat([rows("pgd", [60, 20], margin=0.0), strong([59, 15], margin=[1.0, 2.0])])
    assert classwise.decide(BY_ID["CW-3"], two).verdict == "reproduced"
    assert classwise.decide(BY_ID["CW-8"], two).verdict == "not tested"  # ranks need three classes
    chance = pd.concat([rows("pgd", np.zeros(10)), strong(np.zeros(10))], ignore_index=True)
    assert classwise.decide(BY_ID["CW-3"], chance).verdict == "not tested"  # nothing survived
    assert classwise.decide(BY_ID["CW-5"], chance).verdict == "inconclusive"


def test_the_measurement_has_what_the_rules_ask_for():
    assert classwise.STRONG == logits.STRONG
    assert {classwise.STRONG, classwise.COLD, 1.0} <= set(logits.INVERSE_TEMPERATURES)
    names = {one.attack for one in logits._attacks()}
    assert {name for name, _ in classwise.METHODS} <= names


def test_a_pattern_that_every_seed_has_anew_is_not_consistent():
    """Alike under every attack and training of a seed, and another one in the next."""
    orders = [LEVELS, LEVELS[::-1], np.roll(LEVELS, 5)]
    trades = {"variant": "trades-6-3-linf-8"}
    per_seed = [
        part
        for seed, order in enumerate(orders)
        for part in (
            rows("pgd", order, seeds=(seed,)),
            rows("fgsm", order + 2, seeds=(seed,)),
            rows("pgd", order + 1, seeds=(seed,), **trades),
            rows("fgsm", order, seeds=(seed,), **trades),
        )
    ]
    verdict = classwise.decide(BY_ID["CW-2"], pd.concat(per_seed))
    assert verdict.verdict != "reproduced"
    parts = {part.name: part.estimate for part in verdict.parts}
    assert parts["attacks"] == parts["trainings"] == pytest.approx(0.5) and parts["seeds"] < 0
    alone = classwise.decide(BY_ID["CW-2"], pd.concat(per_seed[:4]))
    assert "seeds" not in {part.name for part in alone.parts}


def test_networks_of_two_lengths_are_no_table():
    twice = pd.concat([rows("pgd", LEVELS), rows("pgd", LEVELS), strong(LEVELS - 3)])
    with pytest.raises(InputError, match="one recipe and length, got several of pgd-3-linf-8 with seed 0"):
        classwise.decide(BY_ID["CW-5"], twice)
