"""Verdicts follow the data and nothing else."""

import numpy as np
import pandas as pd
import pytest

from lib import claims


def networks(selectivity, *, seeds=3, accuracy=None, dead=None, noise=0.001):
    """A summary table: alpha -> value for each measured column, a little noise by seed."""
    random = np.random.default_rng(0)
    rows = []
    for seed in range(seeds):
        for alpha, value in selectivity.items():
            rows.append(
                {
                    "alpha": alpha,
                    "seed": seed,
                    "mean_selectivity": value + noise * random.standard_normal(),
                    "clean_accuracy": (accuracy or {}).get(alpha, 0.9) + noise * random.standard_normal(),
                    "dead": (dead or {}).get(alpha, 0.0) + noise * random.random(),
                }
            )
    return pd.DataFrame(rows)


RISING = {-1.0: 0.2, 0.0: 0.35, 1.0: 0.8}
FALLING = {-1.0: 0.8, 0.0: 0.35, 1.0: 0.2}
CASES = {
    "LM-1": (networks(RISING), networks(FALLING)),
    "LM-2": (networks(RISING, accuracy={-1.0: 0.9, 1.0: 0.7}), networks(RISING, accuracy={-1.0: 0.7, 1.0: 0.9})),
    "LM-19": (networks(RISING, dead={0.0: 0.0, 1.0: 0.2}), networks(RISING, dead={0.0: 0.2, 1.0: 0.0})),
}


@pytest.mark.parametrize("identifier", CASES)
def test_flipping_the_data_flips_the_verdict(identifier):
    for summary, expected in zip(CASES[identifier], ("reproduced", "not reproduced"), strict=True):
        assert claims.decide(claims.claim(identifier), summary).verdict == expected


def test_every_claim_that_can_be_decided_has_a_case():
    assert {one.id for one in claims.CLAIMS if one.statistic} == set(CASES)


def test_noise_that_hides_the_sign_is_inconclusive():
    assert claims.decide(claims.claim("LM-2"), networks(RISING, noise=0.2)).verdict == "inconclusive"


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_give_an_estimate_but_no_verdict(seeds):
    verdict = claims.decide(claims.claim("LM-1"), networks(RISING, seeds=seeds))
    assert (verdict.verdict, verdict.seeds) == ("inconclusive", seeds)
    assert verdict.estimate == pytest.approx(0.15, abs=0.01) and np.isnan(verdict.low)
    assert "seeds that an interval needs" in claims.describe(verdict)


def test_one_flat_step_is_enough_against_monotony():
    flat = networks({-1.0: 0.2, 0.0: 0.35, 0.5: 0.30, 1.0: 0.8})
    assert claims.decide(claims.claim("LM-1"), flat).verdict == "not reproduced"


def test_seeds_that_lack_an_alpha_are_left_out():
    summary = networks(RISING, seeds=4)
    summary = summary[~((summary.seed == 3) & (summary.alpha == 0.0))]
    assert claims.decide(claims.claim("LM-1"), summary).seeds == 3
    assert claims.decide(claims.claim("LM-19"), summary[summary.alpha != 0.0]).reason


def test_interval_is_students():
    low, high = claims.t_interval(pd.Series([1.0, 2.0, 3.0]))  # 2 -+ 4.3027 * 1 / sqrt(3)
    assert (low, high) == pytest.approx((-0.4841, 4.4841), abs=1e-4)
    assert claims.t_interval(pd.Series([2.0, 2.0, 2.0])) == (2.0, 2.0)


def test_ledger_has_every_claim_of_the_protocol():
    ledger = claims.ledger(networks(RISING))
    assert list(ledger.id) == [f"LM-{number}" for number in range(1, 20)]
    assert set(ledger.verdict) <= set(claims.VERDICTS)
    assert ledger.certainty.str.match("established|recalled").all()
    assert (ledger[ledger.verdict == "not tested"].ours != "").all()  # with the reason
