"""Statistics of plain numbers, against cases by hand, other routes to the same number, and simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib.base.errors import InputError
from lib.papers import statistics
from lib.papers.statistics import bootstrap, fitted_change, outcomes, page_trend, t_interval, verdict

NAN = float("nan")


@pytest.mark.parametrize("level", [0.05, 0.05 / 2, 0.05 / 6])
def test_intervals_of_any_level_are_students(level):
    values = np.array([0.3, -1.2, 2.0, 0.9, 0.4])
    half = stats.t.isf(level / 2, 4) * values.std(ddof=1) / np.sqrt(5)
    assert t_interval(values, level) == pytest.approx((values.mean() - half, values.mean() + half))
    many = np.stack([values, 2 * values, np.ones(5)])
    low, high = statistics.intervals(many, level)
    assert low[1] == pytest.approx(2 * low[0]) and (low[2], high[2]) == (1.0, 1.0)
    assert statistics.p_values(many)[0] == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_p_is_below_a_level_where_its_interval_leaves_out_zero():
    values = np.random.default_rng(1).normal(0.8, 1, (300, 5))
    for level in (0.05, 0.0125):
        low, high = statistics.intervals(values, level)
        assert (((low > 0) | (high < 0)) == (statistics.p_values(values) < level)).all()


@pytest.mark.parametrize("few", [[], [1.0]])
def test_fewer_than_two_values_have_no_interval(few):
    assert np.isnan(t_interval(few)).all() and np.isnan(statistics.p_value(few))


# ---- verdicts ----------------------------------------------------------------------------------------------

CASES = {
    "above": ([1.2, 0.9, 1.1, 1.4, 1.0], 0.5, "reproduced"),
    "below": ([-1.2, -0.9, -1.1, -1.4, -1.0], 0.5, "contradicted"),
    "inside": ([0.1, -0.1, 0.0, 0.1, -0.1], 0.5, "no effect"),
    "inside, but no size is named": ([0.1, -0.1, 0.0, 0.1, -0.1], None, "undecided"),
    "wide": ([3.0, -2.0, 1.0, 0.0, -1.0], 0.5, "undecided"),
    "small, above": ([0.11, 0.1, 0.12, 0.1, 0.11], 0.5, "reproduced"),
    "small, below": ([-0.11, -0.1, -0.12, -0.1, -0.11], 0.5, "contradicted"),
    "equal, above": ([0.2] * 5, None, "reproduced"),
    "equal, below": ([-0.2] * 5, 0.5, "contradicted"),
    "equal, 0": ([0.0] * 5, 0.5, "no effect"),
    "equal, 0, no size": ([0.0] * 5, None, "undecided"),
    "equal, a third": ([0.1, 0.1, 0.1], 0.5, "reproduced"),
    "NaN is a seed that is missing": ([1.2, NAN, 1.1, NAN, 1.0], 0.5, "reproduced"),
    "two seeds": ([1.2, 1.1, NAN], 0.5, "undecided"),
    "one seed": ([1.2], 0.5, "undecided"),
    "no seed": ([], 0.5, "undecided"),
    "all NaN": ([NAN] * 5, 0.5, "undecided"),
}


@pytest.mark.parametrize("case", CASES)
def test_verdict(case):
    values, delta, expected = CASES[case]
    assert verdict(values, delta) == verdict(np.array(values), delta) == expected
    turned = {"reproduced": "contradicted", "contradicted": "reproduced"}.get(expected, expected)
    assert verdict([-value for value in values], delta) == turned
    assert (
        verdict([100 * value for value in values], delta and 100 * delta) == expected
    )  # units do not matter


def test_a_stricter_level_decides_less():
    values = [1.0, 0.2, 1.4, 0.6, 0.4]
    assert verdict(values, 0.5) == "reproduced" and verdict(values, 0.5, level=0.05 / 6) == "undecided"


@pytest.mark.parametrize(
    ("values", "delta", "level", "message"),
    [
        ([1.0, float("inf"), 2.0], 0.5, 0.05, "need one finite number per seed, got inf"),
        ([[1.0, 2.0]], 0.5, 0.05, r"need one number per seed, got a table of shape \(1, 2\)"),
        ([1.0, 2.0, 3.0], 0.0, 0.05, "delta must be a positive number, or None .* got 0.0"),
        ([1.0, 2.0, 3.0], -0.5, 0.05, "got -0.5"),
        ([1.0, 2.0, 3.0], NAN, 0.05, "got nan"),
        ([1.0], -0.5, 0.05, "got -0.5"),
        ([1.0, 2.0, 3.0], 0.5, 1.0, "level must lie between 0 and 1, got 1.0"),
    ],
)
def test_verdict_refuses(values, delta, level, message):
    with pytest.raises(InputError, match=message):
        verdict(values, delta, level=level)


@pytest.mark.parametrize("seeds", [3, 5])
def test_without_an_effect_each_side_errs_in_two_and_a_half_percent(seeds):
    values = np.random.default_rng(2).standard_normal((100_000, seeds))
    said = outcomes(*statistics.intervals(values), 0.5)
    for side in ("reproduced", "contradicted"):
        assert (said == side).mean() == pytest.approx(0.025, abs=0.002)


# ---- curves ------------------------------------------------------------------------------------------------


def test_fitted_change_is_the_line_over_the_distance():
    assert fitted_change([0.0, 1.0, 2.0], [5.0, 7.0, 9.0]) == pytest.approx(4.0)
    assert fitted_change([0.0, 0.1, 2.0], [0.0, 3.0, 0.0]) == pytest.approx(
        2 * np.polyfit([0.0, 0.1, 2.0], [0.0, 3.0, 0.0], 1)[0]
    )
    x, y = np.random.default_rng(3).standard_normal((2, 50, 3))
    slopes = [np.polyfit(one, other, 1)[0] for one, other in zip(x, y, strict=True)]
    assert fitted_change(x, y) == pytest.approx(np.array(slopes) * np.abs(x[:, 2] - x[:, 0]))
    # from the lower x to the higher, in whichever order the points come
    assert fitted_change([2.0, 1.0, 0.0], [9.0, 7.0, 5.0]) == pytest.approx(4.0)


def test_fitted_change_is_undefined_without_all_points_or_a_distance():
    assert np.isnan(fitted_change([0.0, 1.0, 2.0], [5.0, NAN, 9.0]))
    assert np.isnan(fitted_change([0.0, NAN, 2.0], [5.0, 6.0, 9.0]))
    assert np.isnan(fitted_change([1.0, 1.0, 1.0], [5.0, 6.0, 9.0]))


def test_page_trend_is_the_exact_one():
    rising = np.arange(5) + 10.0 * np.arange(5)[:, None]
    assert page_trend(rising) == pytest.approx((1 / 120) ** 5)  # of five rows of five, all in order
    assert page_trend(rising, rising=False) == pytest.approx(1.0)
    assert page_trend(-rising, rising=False) == page_trend(rising)
    holes = np.vstack([rising, [NAN, 0, 0, 0, 0]])
    assert page_trend(holes) == page_trend(rising)
    assert np.isnan(page_trend(rising[:1])) and np.isnan(page_trend(rising[:, :2]))


ALPHAS = (-2.0, -1.0, 0.0)


def answers(changes, *, images=400, start=0.5, random=None):
    """{(seed, α): right or wrong} whose accuracy rises by each seed's change along ALPHAS; the images are as hard
    for all, so that a network of higher accuracy is right on more of the same.
    """
    hard = (np.arange(images) + 0.5) / images
    if random is not None:
        hard = random.permutation(hard)
    return {
        (seed, alpha): hard < start + change * place / 2
        for seed, change in enumerate(changes)
        for place, alpha in enumerate(ALPHAS)
    }


SELECTIVITY = {(seed, alpha): 0.3 + 0.1 * alpha for seed in range(5) for alpha in ALPHAS}


def test_bootstrap_holds_the_change_and_turns_with_its_sign():
    right = answers([0.1] * 5)
    low, high = bootstrap(right, SELECTIVITY, ALPHAS, repeats=500)
    assert 4 < low < 10 < high < 16  # seeds agree; images alone make it vary
    assert bootstrap(right, SELECTIVITY, ALPHAS, repeats=500, falling=True) == (-high, -low)
    assert bootstrap(right, SELECTIVITY, ALPHAS, repeats=500) == (low, high)
    assert bootstrap(right, SELECTIVITY, ALPHAS, repeats=500, seed=1) != (low, high)


def test_bootstrap_is_of_seeds_and_of_images():
    def width(changes, images):
        low, high = bootstrap(answers(changes, images=images), SELECTIVITY, ALPHAS, repeats=500)
        return high - low

    same, apart = [0.1] * 5, [0.0, 0.05, 0.1, 0.15, 0.2]
    assert width(same, 400) / width(same, 6400) == pytest.approx(4, rel=0.2)
    # with all images one would ever need, what is left is that of seeds: the mean of five of them
    assert width(apart, 40_000) == pytest.approx(2 * 1.96 * 5 * np.sqrt(2) / np.sqrt(5), rel=0.1)


def test_bootstrap_leaves_out_seeds_without_a_network():
    right = answers([0.1, 0.1, 0.5])
    del right[2, -1.0]
    assert bootstrap(right, SELECTIVITY, ALPHAS, repeats=200) == bootstrap(
        answers([0.1, 0.1]), SELECTIVITY, ALPHAS, repeats=200
    )
    assert np.isnan(bootstrap(answers([0.1]), SELECTIVITY, ALPHAS)).all()
    assert np.isnan(bootstrap({}, {}, ALPHAS)).all()
    with pytest.raises(InputError, match=r"the same images, got \[10, 20\] of them"):
        bootstrap(
            answers([0.1], images=10) | {(1, a): np.ones(20, bool) for a in ALPHAS}, SELECTIVITY, ALPHAS
        )


# ---- many tests, and classes -------------------------------------------------------------------------------


def test_corrections_by_hand():
    p = [0.01, NAN, 0.02, 0.03, 0.5]
    hochberg = statistics.benjamini_hochberg(p)
    assert hochberg == pytest.approx([0.04, NAN, 0.04, 0.04, 0.5], nan_ok=True)
    harmonic = 1 + 1 / 2 + 1 / 3 + 1 / 4
    assert statistics.benjamini_yekutieli(p) == pytest.approx(np.minimum(1, hochberg * harmonic), nan_ok=True)
    assert statistics.benjamini_hochberg([]).size == 0
    assert np.isnan(statistics.benjamini_yekutieli([NAN])).all()


def test_spread_over_classes():
    accuracies = np.array([[40.0, 60.0, 50.0], [70.0, 70.0, 70.0]])
    assert statistics.class_wise_variance(accuracies) == pytest.approx([200 / 3, 0])
    assert statistics.disparity(accuracies) == pytest.approx([20, 0])
    assert statistics.class_wise_variance([10.0, NAN]) != statistics.class_wise_variance([10.0, NAN])
    for function in (statistics.class_wise_variance, statistics.disparity):
        with pytest.raises(InputError, match="must be percent, 0 to 100, got 101"):
            function([50.0, 101.0])
        with pytest.raises(InputError, match=r"array of shape \(2, 0\)"):
            function(np.empty((2, 0)))


# ---- the α of a change -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selectivity", "change", "alpha"),
    [
        ({-0.4: 0.1, 0.0: 0.2}, -0.025, -0.1),
        ({0.0: 0.2, -0.4: 0.1, -1.0: 0.05, 1.0: 0.6}, -0.125, -0.7),
        ({-0.4: 0.1, 0.0: 0.2, 0.4: 0.4}, 0.1, 0.2),
        ({-0.4: 0.1, 0.0: 0.2}, 0.0, 0.0),
        ({-0.4: 0.1, 0.0: 0.2}, -0.2, float("nan")),
        ({-0.4: 0.1, 0.4: 0.2}, -0.05, float("nan")),
        ({-0.4: float("nan"), 0.0: 0.2}, -0.05, float("nan")),
        ({-1.0: 0.1, -0.4: 0.1, 0.0: 0.2}, -0.1, -0.4),
        ({}, -0.1, float("nan")),
    ],
)
def test_the_alpha_of_a_change(selectivity, change, alpha):
    found = statistics.alpha_of_change(pd.Series(selectivity, dtype=float), change)
    assert found == pytest.approx(alpha, nan_ok=True)
