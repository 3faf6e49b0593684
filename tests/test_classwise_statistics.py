"""Statistics over classes against tables worked out by hand, and against SciPy."""

import math

import numpy as np
import pytest
from scipy import stats

from lib.base.errors import InputError
from lib.papers import classwise_statistics as classwise
from lib.papers import statistics

NAN = float("nan")


def test_spread_against_hand_computed_tables():
    # of the pilot under PGD, rounded there to 155 points² and 35 points
    pgd = [40, 45, 14, 10, 10, 29, 37, 35, 39, 34]
    assert classwise.spread(pgd).disparity == 35 and classwise.spread(pgd).worst == 3
    mean = sum(pgd) / 10
    by_hand = sum((one - mean) ** 2 for one in pgd) / 10
    assert classwise.spread(pgd).variance == pytest.approx(by_hand) == pytest.approx(154.81)
    assert statistics.class_wise_variance is classwise.class_wise_variance
    assert statistics.disparity is classwise.disparity
    assert classwise.class_wise_variance([[40, 60], [10, 10]]).tolist() == [100, 0]


def test_a_class_without_images_is_left_out_and_none_at_all_is_defined():
    found = classwise.spread([50.0, NAN, 70.0])
    assert found[:3] == (60, 100, 20) and found.worst == 0 and found.classes == 2
    empty = classwise.spread([NAN, NAN])
    assert empty.classes == 0 and empty.worst == -1 and math.isnan(empty.mean)
    at_chance = classwise.spread([100.0, 0.0, 0.0, 0.0])
    assert at_chance.disparity == 100 and at_chance.worst == 1


def test_class_accuracies_of_one_answer_and_of_many():
    labels, right = [0, 0, 1, 1, 1], [True, False, True, True, False]
    np.testing.assert_allclose(classwise.class_accuracies(labels, right, 3), [50, 200 / 3, NAN])
    both = classwise.class_accuracies(labels, [right, [True] * 5], 2)
    np.testing.assert_allclose(both, [[50, 200 / 3], [100, 100]])
    with pytest.raises(InputError, match="labels must lie in 0 to 2, got 3"):
        classwise.class_accuracies([0, 3], [True, True], 3)
    assert np.isnan(classwise.class_accuracies([], [], 2)).all()


def test_confusion_and_the_most_confused_pair():
    labels, predicted = [0, 0, 0, 0, 1, 1], [0, 1, 1, 2, 1, 0]
    table = classwise.confusion(labels, predicted, 4)
    assert table[:2].tolist() == [[25, 50, 25, 0], [50, 50, 0, 0]] and np.isnan(table[2:]).all()
    assert classwise.most_confused(table) == (0, 1)
    assert classwise.most_confused(np.diag([100.0, 100.0])) == (-1, -1)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (9, 2), (40, 61), (30, 30)])
def test_mcnemar_is_the_exact_test(b, c):
    first, second = [True] * b + [False] * c + [True, False], [False] * b + [True] * c + [True, False]
    found = classwise.mcnemar(first, second)
    tail = sum(math.comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
    assert found[:2] == (b, c) and found.p == pytest.approx(min(1.0, 2 * tail))


def test_mcnemar_against_statsmodels_where_it_is():
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    random = np.random.default_rng(0)
    first, second = random.random(200) < 0.5, random.random(200) < 0.6
    table = [[(first & second).sum(), (first & ~second).sum()], [(~first & second).sum(), 0]]
    assert classwise.mcnemar(first, second).p == pytest.approx(tables.mcnemar(table, exact=True).pvalue)


def test_mcnemar_wants_the_same_images():
    with pytest.raises(InputError, match="the same images twice, got"):
        classwise.mcnemar([True], [True, False])


def test_interval_over_images_is_that_of_a_share():
    labels = np.repeat([0, 1], 400)
    right = np.concatenate([np.arange(400) < 300, np.arange(400) < 100])
    low, high = classwise.over_images(labels, {"pgd": right}, 2, lambda a: a["pgd"][:, 0], repeats=1500)
    wanted = stats.binom.ppf([0.025, 0.975], 400, 0.75) / 4
    assert (low, high) == pytest.approx(wanted, abs=0.6)
    gap = classwise.over_images(labels, {"pgd": right}, 2, lambda a: statistics.disparity(a["pgd"]))
    assert gap[0] < 50 < gap[1]
    again = classwise.over_images(labels, {"pgd": right}, 2, lambda a: statistics.disparity(a["pgd"]))
    assert gap == again


def test_interval_of_two_attacks_is_paired():
    """The same images are drawn for both: a gain that all draws share has no spread."""
    labels, right = np.zeros(100, dtype=int), np.arange(100) < 40
    same = {"one": right, "other": right}
    found = classwise.over_images(labels, same, 3, lambda a: (a["one"] - a["other"])[:, 0])
    assert found == (0, 0)
    assert np.isnan(classwise.over_images([], {"one": []}, 2, lambda a: a["one"][:, 0])).all()


def test_gains_on_three_scales():
    labels = [0] * 4 + [1] * 4
    before = [True, True, True, True, True, True, False, False]
    after = [True, True, False, True, False, True, False, False]
    table = classwise.gains(labels, before, after, [0.0] * 8, [1.0] * 4 + [3.0] * 4, 3)
    assert table.points[:2].tolist() == [25, 25] and table.share[:2].tolist() == [25, 50]
    assert table.margin[:2].tolist() == [1, 3] and table.accuracy[:2].tolist() == [87.5, 37.5]
    assert table.loc[2].drop("images").isna().all() and table["images"].tolist() == [4, 4, 0]
    nothing = classwise.gains([0], [False], [False], [0.0], [0.0], 1)
    assert np.isnan(nothing.share[0]) and nothing.points[0] == 0


def test_gain_of_the_weak_half():
    accuracy = [10, 20, 30, 40, 50]
    assert classwise.weak_over_strong(accuracy, [5, 3, 9, 2, 0]) == 3
    assert classwise.weak_over_strong(accuracy, [0, 2, 9, 3, 5]) == -3
    assert classwise.weak_over_strong([10, 90], [4, 1]) == 3  # two classes only
    assert math.isnan(classwise.weak_over_strong([10, NAN], [4, 1]))


def test_rank_correlation_is_scipys_and_leaves_out_what_is_not_there():
    random = np.random.default_rng(1)
    x, y = random.normal(size=10), random.normal(size=10)
    assert classwise.rank_correlation(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    gap = np.where(np.arange(10) == 4, NAN, x)
    kept = np.arange(10) != 4
    assert classwise.rank_correlation(gap, y) == pytest.approx(stats.spearmanr(x[kept], y[kept]).statistic)
    assert math.isnan(classwise.rank_correlation([1, 2], [1, 2]))
    assert math.isnan(classwise.rank_correlation([0, 0, 0], [1, 2, 3]))  # at chance


def test_the_same_mean_at_another_radius():
    radii, accuracies = [0.0, 1.0, 2.0], [[90.0, 70.0, NAN], [50.0, 10.0, NAN], [10.0, 0.0, NAN]]
    found = classwise.at_mean(radii, accuracies, 55.0)
    assert found.radius == pytest.approx(0.5) and found.accuracies[:2].tolist() == [70, 40]
    assert classwise.at_mean(radii, accuracies, 80.0).radius == 0
    assert classwise.at_mean(radii, accuracies, 90.0) is None
    with pytest.raises(InputError, match="ascending radii"):
        classwise.at_mean([0.0, 0.0, 1.0], accuracies, 50.0)


def test_homing():
    logits = [[5.0, 9.0, 1.0], [1.0, 9.0, 5.0], [9.0, 1.0, 1.0], [1.0, 2.0, 9.0], [0.0, 5.0, 1.0]]
    labels = [0, 0, 0, 0, 1]
    assert classwise.homing(logits, labels, 0, 1) == (2, 1)
    assert classwise.homing(logits, labels, 2, 0) == (0, 0)
    with pytest.raises(InputError, match="confused with another one, got 1 twice"):
        classwise.homing(logits, labels, 1, 1)


SHORT, LONG = [0.0, 1.0], [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: classwise.class_accuracies([0, 1.5], SHORT, 2), "labels must lie in 0 to 1, got 1.5"),
        (lambda: classwise.class_accuracies([0, NAN], SHORT, 2), "labels must lie in 0 to 1, got nan"),
        (lambda: classwise.class_accuracies(["a", "b"], SHORT, 2), "labels must be numbers"),
        (lambda: classwise.class_accuracies([0, 1], SHORT, 2.5), "classes must be a whole number >= 1, got 2.5"),
        (lambda: classwise.class_accuracies([0, 1], LONG, 2), "an answer to each of 2 images, got an array of shape (3,)"),
        (lambda: classwise.class_accuracies([0, 1], [0, 5], 2), "right answers must be true or false, got 5"),
        (lambda: classwise.class_accuracies([0, 1], [0, NAN], 2), "right answers must be true or false, got nan"),
        (lambda: classwise.confusion([0, 1], [0], 2), "a prediction for each of 2 labels, got 1"),
        (lambda: classwise.most_confused([[1, 2, 3]]), "a row and a column per class, got the shape (1, 3)"),
        (lambda: classwise.homing([[1, 2.0]], [0], 0, 5), "classes must lie in 0 to 1, got 5"),
        (lambda: classwise.homing([[1, 2.0]], [0], 0, -1), "classes must lie in 0 to 1, got -1"),
        (lambda: classwise.homing([[1, 2.0]], [0, 1], 0, 1), "a label for each of 1 rows of logits, got 2"),
        (lambda: classwise.gains([0, 1], SHORT, LONG, SHORT, SHORT, 2), "each of 2 images"),
        (lambda: classwise.gains([0, 1], SHORT, SHORT, LONG, LONG, 2), "a margin for each of 2 images, got 3"),
        (lambda: classwise.weak_over_strong(SHORT, LONG), "two vectors of one length, got (2,) and (3,)"),
        (lambda: classwise.rank_correlation(SHORT, LONG), "two vectors of one length, got (2,) and (3,)"),
        (lambda: classwise.at_mean(SHORT, SHORT, 50), "a row of accuracies at each of ascending radii"),
        (lambda: classwise.at_mean(["a"], [[1]], 50), "radii must be numbers"),
        (lambda: classwise.mcnemar([0, 2], [0, 1]), "right answers must be true or false, got 2"),
        (lambda: classwise.mcnemar(["", "b"], ["", "b"]), "right answers must be numbers"),
        (lambda: classwise.over_images([0, 1], {"a": [1]}, 2, lambda hits: hits["a"]), "each of 2 images"),
        (lambda: classwise.over_images([0], {"a": [1]}, 1, lambda hits: hits["a"], repeats=0), "repeats of 1 or more"),
        (lambda: classwise.over_images([0], {"a": [1]}, 1, lambda hits: hits["a"], level=2), "a level of 0 to 1"),
    ],
)  # fmt: skip
def test_what_is_no_table_of_images_is_one_line(call, said):
    with pytest.raises(InputError) as caught:
        call()
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.filterwarnings("error")
def test_classes_of_one_accuracy_and_classes_that_are_missing():
    # four classes alike: none is weak, in whatever order they stand
    assert classwise.weak_over_strong([50, 50, 50, 50], [1, 2, 3, 4]) == 0
    tied, gained = [10, 30, 30, 60], [4, 1, 3, 0]
    turned = classwise.weak_over_strong(tied[::-1], gained[::-1])
    assert classwise.weak_over_strong(tied, gained) == turned == (4 + 2) / 2 - (2 + 0) / 2
    assert classwise.at_mean([0, 1, 2], [[NAN, NAN], [NAN, 60], [NAN, 20]], 40).radius == 1.5
    missing = classwise.over_images([0, 0], {"a": [1, 0]}, 2, lambda hits: hits["a"].mean(axis=1), repeats=9)
    assert np.isnan(missing).all()
