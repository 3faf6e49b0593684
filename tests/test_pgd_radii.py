"""The table `pgd_radii`: PGD as `logits` has it, at several radii."""

import numpy as np
import pandas as pd
import pytest

from lib.base.errors import InputError
from lib.measurements import logits as kept
from lib.measurements import per_image
from lib.measurements.pgd_radii import PGD_RADII_TABLE, pgd_radii
from lib.measurements.registry import MEASUREMENTS
from lib.runs import validity
from lib.runs.run import as_parquet
from lib.training.training import Training

RADII = [1 / 255, 8 / 255]


@pytest.fixture(scope="module")
def table(trained, digits) -> pd.DataFrame:
    return pgd_radii(trained, digits["test"], limit=60, epsilons=RADII, steps=3, seed=0)


def test_it_is_the_attack_of_the_logits(table, trained, digits):
    for epsilon in RADII:
        logits = kept.logits(
            trained, digits["test"], limit=60, epsilon=epsilon, steps=3, restarts=1, seed=0
        ).set_index("attack")
        for attack, at in (("clean", 0.0), ("pgd", epsilon)):
            one = logits.loc[attack].to_dict()
            right = np.bincount(kept.labels_of(one)[per_image.unpacked(one)], minlength=10)
            own = table[table.epsilon == at]
            assert own.correct.tolist() == right.tolist() and own["images"].sum() == 60
    sums = table.groupby("epsilon").correct.sum()
    assert sums.iloc[0] > sums.iloc[-1] and list(sums.index) == [0.0, *RADII]


def test_its_table_is_valid(table):
    assert list(table) == list(PGD_RADII_TABLE) == list(MEASUREMENTS["pgd_radii"].table)
    assert set(table.steps[table.epsilon > 0]) == {3} and set(table.steps[table.epsilon == 0]) == {0}
    validity.table("pgd_radii", as_parquet(table), Training("digits", "resnet8", 0.0, 0, "fast"))


def test_radii_are_taken_once_and_in_order(trained, digits):
    found = pgd_radii(trained, digits["test"], limit=10, epsilons=[0.02, 0.01, 0.02], steps=1, seed=0)
    assert list(dict.fromkeys(found.epsilon)) == [0.0, 0.01, 0.02] and len(found) == 30
    alone = pgd_radii(trained, digits["test"], limit=10, epsilons=[], steps=1, seed=0)
    assert set(alone.epsilon) == {0.0}


@pytest.mark.parametrize("epsilon", [0.0, -0.1, 1.5, float("nan")])
def test_a_radius_there_is_not_is_refused(epsilon, trained, digits):
    with pytest.raises(InputError, match="epsilons must lie above 0 and be at most 1"):
        pgd_radii(trained, digits["test"], limit=10, epsilons=[0.1, epsilon], steps=1, seed=0)
