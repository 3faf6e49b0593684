"""What the paper on feature purification claims: each rule decides both ways, and its numbers are those of the tables
that they are read from.
"""

import doctest

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib import papers
from lib.base.errors import InputError
from lib.book import chapter, figures, prose
from lib.papers import first_round, purification, purification_images, statistics
from lib.purification.measures import LIVE
from lib.runs import simulated

# one world in which every claim of the theorem holds, and one in which none does
HOLDS = {
    "clean": 0.98, "clean_universal": 0.10, "clean_pgd": 0.09, "adversarial_pgd": 0.95, "kernel_adversarial_pgd": 0.4,
    "linear_adversarial_pgd": 0.2, "rank_20_pgd": 0.8, "mixture_start": 0.08, "mixture_clean": 0.5,
    "mixture_control": 0.5, "mixture_adversarial": 0.05, "top_atom_start": 0.08, "top_atom_clean": 0.6,
    "pairs_clean": 0.05, "pairs_adversarial": 0.05, "share_start_clean": 0.9, "share_start_adversarial": 0.9,
    "share_kept": 0.8, "share_kept_control": 1.0, "relative_change": 0.02, "along": 0.99, "energy_1": 0.9,
    "energy_1_control": 0.2,
}  # fmt: skip
FAILS = {
    "clean": 0.6, "clean_universal": 0.59, "clean_pgd": 0.1, "adversarial_pgd": 0.05, "kernel_adversarial_pgd": 0.7,
    "linear_adversarial_pgd": 0.8, "rank_20_pgd": 0.02, "mixture_start": 0.5, "mixture_clean": 0.02,
    "mixture_control": 0.02, "mixture_adversarial": 0.5, "top_atom_start": 0.6, "top_atom_clean": 0.02,
    "pairs_clean": 0.5, "pairs_adversarial": 0.5, "share_start_clean": 0.1, "share_start_adversarial": 0.1,
    "share_kept": 0.1, "share_kept_control": 1.0, "relative_change": 0.9, "along": 0.2, "energy_1": 0.1,
    "energy_1_control": 0.2,
}  # fmt: skip
DECIDED = [one for one in purification.CLAIMS if one.statistic]


def rows(planted: dict[str, float], seeds: int = 4) -> pd.DataFrame:
    noise = np.random.default_rng(0).normal(0, 0.003, (seeds, len(planted)))
    return pd.DataFrame(noise + list(planted.values()), columns=list(planted)).assign(seed=range(seeds))


@pytest.mark.parametrize("one", DECIDED, ids=lambda one: one.id)
def test_every_rule_decides_both_ways(one):
    assert first_round.decide(one, rows(HOLDS)).verdict == "reproduced"
    assert first_round.decide(one, rows(FAILS)).verdict == "not reproduced"
    assert first_round.decide(one, rows(HOLDS, seeds=2)).verdict == "inconclusive"
    middle = pd.concat([rows(HOLDS, 2), rows(FAILS, 2).assign(seed=[2, 3])])
    assert first_round.decide(one, middle).verdict == "inconclusive"


@pytest.mark.parametrize("one", DECIDED, ids=lambda one: one.id)
def test_one_part_that_fails_is_enough(one):
    for part in one.statistic(rows(HOLDS)):
        verdicts = [
            first_round.decide(one, rows(HOLDS).assign(**{name: rows(FAILS)[name]})) for name in FAILS
        ]
        against = [v for v in verdicts if any(found.name == part and found.high < 0 for found in v.parts)]
        assert against and {verdict.verdict for verdict in against} == {"not reproduced"}


def test_angles_to_clean_weights_are_not_judged_without_the_control():
    verdict = first_round.decide(papers.claim("FP-2"), rows(HOLDS).assign(share_kept_control=np.nan))
    assert verdict.verdict == "inconclusive" and not verdict.seeds
    half = rows(HOLDS).assign(share_kept_control=[1.0, np.nan, 1.0, 1.0])
    assert first_round.decide(papers.claim("FP-2"), half).seeds == 3


def test_every_claim_says_how_it_is_decided_and_when_that_was_written():
    for one in purification.CLAIMS:
        assert one.rule and one.written and (one.statistic or one.lacks)
    with_norm = purification.linf(papers.claim("FP-9"))
    assert first_round.decide(with_norm, rows(FAILS)).verdict == "not reproduced" and with_norm.id == "FP-9"
    assert first_round.decide(papers.claim("FP-9"), rows(HOLDS)).verdict == "not tested"


# ---- image networks: from tables with one row per filter, a rank, a dictionary, a network ------------------------


def image_tables(holds: bool, seeds: int = 4) -> list[pd.DataFrame]:
    """Tables of networks for which every claim holds, or none."""
    draws = np.random.default_rng(0)
    made: list[list[dict]] = [[], [], [], [], [], [], []]
    for seed in range(seeds):
        for name in purification_images.NETWORKS:
            adversarial, about = name in ("adversarial", "weaker"), {"seed": seed, "network": name}
            kept = {"parent": 1.0, "control": 0.99, "adversarial": 0.85, "weaker": 0.9, "selective": 0.9}[
                name
            ]
            if not holds:
                kept = {"adversarial": 0.5, "weaker": 0.4}.get(name, kept)
            for one in range(4):
                start, others = (0.1, 0.1) if holds else (0.5, 0.6)
                angles = {"angle_start": start, "angle_reference": kept, "angle_others": others}
                made[0].append(about | angles | {"filter": one})
            good = 1.0 if adversarial == holds else 0.0
            for rank, attacked in ((0, 20), (1, 30), (purification_images.RANK, 60 if holds else 5)):
                made[1].append(
                    about | {"rank": rank, "images": 100, "attacked": attacked, "energy": 0.2 + 0.5 * good}
                )
            sizes = {"nonzero": 0.2 - 0.1 * good, "components_95": 100 - 50 * good, "high": 0.5 - 0.2 * good}
            sizes |= {"unexplained": 0.2}
            made[2].append(about | {"dictionary": "cosines"} | sizes)
            made[2].append(about | {"dictionary": "purified"} | dict.fromkeys(sizes, 1e9))
            made[3].append(about | {"cosine": 0.5 if (name == "selective") == holds else 0.1})
            rebuilt = 0.03 if good else 0.06
            for dictionary, needed in (("own", rebuilt), ("patches", 0.5)):
                made[5].append(about | {"dictionary": dictionary, "nonzero": needed, "unexplained": 0.1})
            made[6].append(
                about | {"kind": "filter", "colour": 0.3 - 0.1 * good, "strongest": 0.4 + 0.2 * good}
            )
            made[6].append(about | {"kind": "unit", "colour": np.nan, "strongest": np.nan})
            selective = 0.05 if (name == "selective") == holds else 0.0
            values = {"mean_selectivity": 0.2 + 0.1 * good, "dimension_clean": 0.5 - 0.1 * good}
            made[4].append(about | values | {"corrupted_accuracy": 0.6 + selective, "dimension_attack": 0.5})
    noisy = [pd.DataFrame(rows) for rows in made]
    for table in noisy:
        for column in table.columns.difference([
            "seed",
            "network",
            "filter",
            "rank",
            "images",
            "dictionary",
            "kind",
        ]):
            table[column] = table[column] * (1 + draws.normal(0, 0.002, len(table)))
    return noisy


IMAGE_DECIDED = [one for one in purification_images.CLAIMS if one.statistic]


@pytest.mark.parametrize("one", IMAGE_DECIDED, ids=lambda one: one.id)
def test_every_rule_about_image_networks_decides_both_ways(one):
    for holds, verdict in ((True, "reproduced"), (False, "not reproduced")):
        summary = purification_images.summary(*image_tables(holds))
        found = first_round.decide(one, summary)
        assert found.verdict == verdict and found.seeds == 4
        assert holds or all(part.high < 0 for part in found.parts)
        assert (
            first_round.decide(one, purification_images.summary(*image_tables(holds, 2))).verdict
            == "inconclusive"
        )


def test_nothing_cached_decides_nothing():
    nothing = purification_images.summary(*[pd.DataFrame()] * 5)
    ledger = first_round.table(purification_images.CLAIMS, nothing)
    assert set(ledger.verdict) == {"not tested"}
    angles = image_tables(True)[0]
    alone = purification_images.summary(angles[angles.network != "control"], *[pd.DataFrame()] * 4)
    two = next(one for one in purification_images.CLAIMS if one.id == "FP-2")
    assert first_round.decide(two, alone).seeds == 0  # never without the control
    *rest, rebuilt, looks = image_tables(True)
    cannot = purification_images.summary(*rest, rebuilt.assign(unexplained=0.2), looks)
    sixteen = next(one for one in purification_images.CLAIMS if one.id == "FP-16")
    assert (cannot.rebuilt_adversarial == 1).all()  # filters that leave more unexplained rebuild nothing
    assert first_round.decide(sixteen, cannot).verdict == "not reproduced"
    words = prose.verdicts(
        first_round.table(purification_images.CLAIMS, purification_images.summary(*image_tables(True)))
    )
    # a code that leaves more than a fifth says nothing of sparsity
    angles, ranks, codes, *others = image_tables(True)
    left = purification_images.summary(angles, ranks, codes.assign(unexplained=0.43), *others)
    thirteen = next(one for one in purification_images.CLAIMS if one.id == "FP-13")
    assert left.nonzero_adversarial.isna().all() and first_round.decide(thirteen, left).seeds == 0
    assert words.startswith("- *reproduced*:\n  - ") and "(FP-X3)" in words and "not tested" not in words


# ---- from tables -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables():
    names = ("accuracy", "stages", "neurons", "change")
    return {name: simulated("purification", name, seeds=range(3)) for name in names}


def test_a_summary_is_read_off_the_tables(tables):
    found = purification.summary(*tables.values())
    assert len(found) == 3 and list(found.seed) == [0, 1, 2] and not found.isna().any(axis=None)
    accuracy, neurons = tables["accuracy"], tables["neurons"]
    own = accuracy[(accuracy.seed == 1) & (accuracy.classifier == "kernel, adversarial")]
    own = own[(own.perturbation == "pgd") & np.isclose(own.radius, 0.15)]
    assert found.kernel_adversarial_pgd[1] == own.accuracy.item()
    one = neurons[(neurons.seed == 2) & (neurons.stage == "adversarial")]
    alive = one[one.length > 0.2 * one.length.max()]
    assert found.share_kept[2] == (alive.angle_clean >= 0.8).mean() < 1 == found.share_kept_control[2]
    assert found.energy_20[0] > found.energy_20_control[0] and (found.along > 0.99).all()
    dead = neurons.assign(length=neurons.length.where(neurons.neuron != 7, 1e-6))
    assert purification.LIVE == LIVE
    assert len(purification.live_neurons(dead)) == len(purification.live_neurons(neurons)) - 9


def test_the_pilot_stands_beside_its_own_size(tables):
    found = purification.summary(*tables.values())
    beside = purification.beside_pilot(found)
    assert list(beside.quantity) == [name.replace("_", " ") for name in purification.PILOT[100]]
    assert set(purification.PILOT[256]) <= set(found) and set(beside.inside) <= {"yes", "no"}
    assert (purification.beside_pilot(found.head(2)).inside == "").all()
    for other in ({"d": 64}, {"tau": 0.2}, {"m": 400}, {"d": 256, "m": 512}):  # the last at tau = 0.15
        assert purification.beside_pilot(found.assign(**other)).empty
    assert len(purification.beside_pilot(found.assign(d=256, m=512, tau=0.12)))


def test_the_place_of_one_more_seed():
    assert doctest.testmod(statistics).failed == 0
    values = np.random.default_rng(0).normal(size=(4000, 6))
    inside = [low <= last <= high for *some, last in values for low, high in [statistics.one_more(some)]]
    assert abs(np.mean(inside) - 0.95) < 0.015
    assert np.isnan(statistics.one_more([1.0, 2.0])).all()


def test_a_chapter_takes_the_settings_of_a_simulation():
    cell = {"d": 64, "m": 0, "seeds": [0, 1]}
    names = {"__annotations__": dict.fromkeys(cell, int)}
    here = chapter.simulation(cell | names, "purification", m=128)
    assert here.words == "d=64, m=128" and here.missing() == 0 and here.missing(tau=0.7) == 2
    assert len(here.table("stages")) == 8 and set(here.cached()["d=64, m=128"].seeds) >= {0, 1}
    refused = {
        "d must be a value like 100": {"d": "many"},
        "'seeds'": {"seeds": []},
        "takes d, m, seeds": {"dd": 3},
    }
    for said, given in refused.items():
        with pytest.raises(InputError, match=said):
            chapter.simulation(cell | given | names, "purification", m=128)
    with pytest.raises(InputError, match="unknown setting of purification"):
        chapter.simulation({"seeds": [0], "dd": 3, "__annotations__": {"seeds": 0, "dd": 0}}, "purification")


def test_figures_show_their_nulls(tables):
    drawn = figures.change_in_directions(tables["change"], tables["accuracy"], (200, 100))
    adversarial, control, null = (line.get_ydata() for line in drawn.axes[0].lines)
    assert adversarial[0] > control[0] > null[0] and null[-1] == pytest.approx(100)
    shown = {"t": {"clean": pd.Series(stats.beta.rvs(0.5, 49.5, size=20000, random_state=0) ** 0.5)}}
    bars, null = (patch.get_data().values for patch in figures.angles(shown, 100).axes[0].patches)
    np.testing.assert_allclose(bars, null, atol=1.5)  # random directions fall on their own line
    assert figures.robust_and_radius(tables["accuracy"]).axes[0].get_ylim()[1] > 100
