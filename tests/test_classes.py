"""What the chapter on class-wise robustness reads: from answers to images to rows about classes."""

import numpy as np
import pandas as pd
import pytest
import torch

from lib import runs, sweeps
from lib.base import paths
from lib.base.errors import InputError
from lib.book import classes, figures
from lib.book.figures import canvas
from lib.book.grid import Parameters
from lib.data.images import Images
from lib.measurements import logits
from lib.papers import classwise, classwise_statistics
from lib.training.training import LABELS, Training, labels

HERE = Parameters("cifar10", "resnet20", (0.0,), (0, 1, 2), "fast")
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
HOW = {"epsilon": 8 / 255, "step_size": 2 / 255, "steps": 20}
CAT, DOG = NAMES.index("cat"), NAMES.index("dog")


def planted(training: Training, *, seed: int = 0) -> pd.DataFrame:
    """A `logits` table of a network to which a third of all attacked cats look like dogs, and then like
    cats.
    """
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(300) % 10
    own = label[~torch.isin(label, torch.tensor([NAMES.index(name) for name in training.without]))]
    some = Images(torch.zeros(len(own), 1, 1, 1, dtype=torch.uint8), own, NAMES)
    found = {}
    for one in logits._attacks():
        answers = torch.randn(len(own), 10, generator=generator) / 2
        answers[torch.arange(len(own)), own] += 3
        cats = (own == CAT).nonzero().flatten()
        if one.attack != "clean" and not training.without:
            answers[cats[::3], DOG] = 9
        found[one] = [(answers, 0.9 * len(own), len(own), 0)]
    norms = np.linspace(1, 2, 10).astype(np.float32).tobytes()
    rows = pd.DataFrame(logits._rows(found, some, HOW, 1, norms))
    for place, (name, value) in enumerate(labels(training).items()):
        rows.insert(place, name, value)
    return rows


@pytest.fixture(scope="module")
def trainings() -> list[Training]:
    return classes.robust(HERE)


@pytest.fixture(scope="module")
def table(trainings) -> pd.DataFrame:
    return pd.concat([planted(one, seed=place) for place, one in enumerate(trainings)], ignore_index=True)


def test_the_networks_are_those_of_the_sweep_and_one_without_the_confused_class(trainings):
    asked = set(sweeps.read(paths.ROOT / "sweeps" / "classwise.yml").trainings)
    assert {one for one in trainings if not one.without} == {one for one in asked if one.variant != "plain"}
    assert {one.without for one in trainings} == {(), ("dog",)}
    assert set(classes.control(HERE)) == {one for one in asked if one.variant == "plain"}


def test_rows_about_classes_are_the_images_counted(table, trainings):
    rows = classes.by_class(table)
    assert list(rows)[: len(LABELS)] == LABELS and len(rows) == 10 * len(table)
    own = rows[(rows.variant == trainings[0].way) & (rows.seed == 0) & (rows.attack == "pgd")]
    cat = own[own["class"] == "cat"].iloc[0]
    assert cat["images"] == 30 and cat.accuracy == pytest.approx(100 * 20 / 30, abs=7)
    assert cat.margin > own[own["class"] == "ship"].margin.iloc[0]
    assert cat.norm == pytest.approx(1 + 3 / 9)
    left = rows[rows.variant.str.endswith("without-dog") & (rows["class"] == "dog")]
    assert (left["images"] == 0).all() and left.accuracy.isna().all()


def test_what_returns_without_a_class_masked_and_retrained(table, trainings):
    rows = classes.returning(table, trainings)
    own = rows[rows.variant == trainings[0].way]
    assert set(own["class"]) == {"cat"} and set(own.confused) == {"dog"}
    shares = own.groupby("attack").accuracy.mean()
    assert shares[classwise.MASKED] > 80 and shares[classwise.RETRAINED] > 80
    # the networks of the other seeds take the same cats for dogs: nothing withstands by itself
    assert shares[classwise.ANOTHER] < 20
    count = own[own.attack == classwise.RETRAINED].images.sum()
    assert own[own.attack == classwise.ANOTHER].images.sum() == 2 * count  # two other seeds for each
    verdict = classwise.decide(classwise.claim("CW-7"), rows)
    assert verdict.verdict == "reproduced"
    less = [one for one in trainings if not one.without]
    alone = classes.returning(table[~table.variant.str.contains("without")], less)
    assert set(alone.attack) == {classwise.MASKED, classwise.ANOTHER}
    assert set(classes.returning(table, less[:1]).attack) == {classwise.MASKED, classwise.RETRAINED}


def test_ranks_of_all_ways_of_training(table):
    vectors = classes.trained_vectors(classes.by_class(table))
    ways = {name for name, _ in vectors.index}
    assert (
        len(ways) == 2 * 4 and "pgd-3-linf-8, Temperature-PGD" in ways
    )  # neither weighted nor without a class
    assert len(vectors) == 3 * len(ways) and list(vectors) == list(NAMES)
    index = pd.MultiIndex.from_tuples(
        [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("c", 1)], names=["network", "seed"]
    )
    planted = [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4], [5, 5, 5, 5], [4, 3, 2, 1]]
    found = classes.mean_ranks(pd.DataFrame(planted, index=index))
    # a network without ranks is left out, where it once counted as one without a relation
    assert found.loc["a", "b"] == 1 and found.loc["a", "c"] == -1 and np.isnan(found.loc["b", "c"])
    assert list(found.index) == list(found.columns) == ["a", "b", "c"]


def test_the_control_has_the_same_mean():
    rows = []
    for epsilon, correct in ((0.0, (9, 10)), (0.01, (4, 6)), (0.02, (0, 2))):
        for name, count in zip("ab", correct, strict=True):
            rows.append(
                labels(Training("digits", "resnet8", recipe="fast"))
                | {"epsilon": epsilon}
                | {"class": name, "images": 10, "correct": count}
            )
    found = classes.matched(pd.DataFrame(rows), {0: 30.0})
    assert found.accuracy.tolist() == [20, 40] and found.radius.iloc[0] == pytest.approx(0.015)
    assert classes.matched(pd.DataFrame(rows), {0: 99.0}).empty and classes.matched(pd.DataFrame(), {}).empty
    # the mean of two attacks at one radius is that of neither
    weaker = pd.DataFrame(rows).assign(correct=9)
    with pytest.raises(InputError, match="several at the radius 0"):
        classes.matched(pd.concat([pd.DataFrame(rows), weaker]), {0: 30.0})


def test_over_alpha_the_radius_is_that_of_one_attack():
    """By hand from the published table: margin PGD and FGSM, which are other attacks, were averaged in."""
    one = Training("cifar10", "resnet20", 0.4, 0, "fast")
    here = Parameters("cifar10", "resnet20", (0.4,), (0,), "fast")
    table = runs.table("attack", [one])
    own = table[table.attack.isin(["clean", "ball-cross-entropy"])]
    means = own.assign(share=100 * own.correct / own["images"]).groupby("epsilon").share.mean()
    assert len(means) == 8 and means.index[0] == 0 and means.is_monotonic_decreasing
    wanted = np.interp(-25.0, -means.to_numpy(), 255 * means.index.to_numpy())
    assert classes.over_alpha(here, runs.summary([one])).radius[0] == pytest.approx(wanted, abs=0.02)


def test_both_halves_of_the_bias_are_added():
    row = labels(Training("digits", "resnet8", recipe="fast"))
    table = pd.DataFrame([
        row | {"half": half, "tuned": tuned, "attack": attack, "class": "a", "images": 10, "correct": count}
        for half, count in ((0, 4), (1, 6))
        for tuned in (False, True)
        for attack in ("clean", "margin")
    ])
    found = classes.biased(table)
    assert set(found.attack) == {classwise.TUNED, classwise.UNTUNED}
    assert found.accuracy.tolist() == [50, 50] and found["images"].tolist() == [20, 20]


def test_everything_that_the_claims_read(table, monkeypatch):
    def cached(name, trainings, **settings):
        return table if name == "logits" else pd.DataFrame()

    def reads(function) -> None:
        for module in ("networks", "found"):
            monkeypatch.setattr(f"lib.book.classes.{module}.cached", function)

    reads(cached)
    found = classes.gathered(HERE)
    assert found.missing == () and len(found.images) == len(table)
    ledger = classwise.ledger(found.classes).set_index("id")
    assert ledger.verdict["CW-1"] == "not tested"  # no plain network to compare with
    assert set(ledger.verdict[["CW-2", "CW-3", "CW-5", "CW-7"]]) <= {
        "reproduced",
        "not reproduced",
        "inconclusive",
    }
    reads(lambda *given, **settings: pd.DataFrame())
    nothing = classes.gathered(HERE)
    assert nothing.classes.empty and len(nothing.missing) == 4 and "--without dog" in nothing.missing[-1]


def test_class_support_is_a_share_of_the_selectivity_of_live_units():
    units = pd.DataFrame({
        "depth": [1, 1, 1, 2],
        "selectivity": [0.3, 0.1, 0.9, 0.5],
        "dead": [False, False, True, False],
        "best_class": [0, 1, 2, 0],
    })
    found = classes.class_support(units, ["a", "b", "c"])
    assert found.tolist() == pytest.approx([(0.75 + 1) / 2, 0.25 / 2, 0])


def test_families_stand_beside_each_other():
    assert classes.ordered("cifar10", NAMES)[:4] == ["airplane", "automobile", "ship", "truck"]
    assert classes.ordered("digits", ["0", "1"]) == ["0", "1"]


def bias_rows() -> pd.DataFrame:
    """Accuracies of two classes without and with a logit bias, of one network."""
    one = labels(next(one for one in classes.robust(HERE) if one.variant == "trades-6-3-linf-8"))
    return pd.DataFrame([
        one
        | {"attack": attack, "inverse_temperature": np.nan, "class": name, "images": 10, "accuracy": value}
        for attack, values in ((classwise.UNTUNED, (60.0, 20.0)), (classwise.TUNED, (50.0, 26.0)))
        for name, value in zip("ab", values, strict=True)
    ])


def test_what_changes_do_for_the_worst_class(table):
    rows = pd.concat([classes.by_class(table), bias_rows()])
    found = classes.changed(rows).set_index(["change", "seed", "fixed"]).sort_index()
    bias = found.loc["logit bias"]
    assert bias["mean"].tolist() == [40, 38] and bias.worst.tolist() == [20, 26]
    assert set(bias.training) == {"TRADES, β = 6, L∞ 8/255"}
    weights = found.loc["class weights"]
    # of each seed the network without and the one with class weights, and none without a class
    assert len(weights) == 6 and set(weights.training) == {"PGD, 3 steps, L∞ 8/255"}
    strong = rows[(rows.attack == "t-pgd") & np.isclose(rows.inverse_temperature, logits.STRONG)]
    for seed in range(3):
        for fixed, way in ((False, "pgd-3-linf-8"), (True, "weighted-3-linf-8")):
            own = strong[(strong.variant == way) & (strong.seed == seed)]
            assert weights.loc[(seed, fixed)].worst == own.accuracy.min()
            assert weights.loc[(seed, fixed)]["mean"] == pytest.approx(own.accuracy.mean())
    assert classes.changed(pd.DataFrame()).empty


def test_every_figure_is_drawn(table, trainings):
    figures.setup()
    rows = classes.by_class(table[table.variant == trainings[0].way])
    assert figures.class_bars(rows.assign(panel="p")[rows.attack.isin(["clean", "pgd"])], NAMES)
    one = classes.one_row(table[table.variant == trainings[0].way], 0, "pgd")
    spots = classwise_statistics.confusion(logits.labels_of(one), logits.predicted(one), 10)
    drawn = figures.confusions(spots, NAMES, classes.ordered("cifar10", NAMES))
    assert [tick.get_text() for tick in drawn.axes[0].get_yticklabels()][:2] == ["airplane", "automobile"]
    curves = dict(classes.temperature_curve(rows))
    assert list(curves["safe"].columns) == sorted(logits.INVERSE_TEMPERATURES) and len(curves["safe"]) == 3
    cosines = dict.fromkeys(curves, pd.Series({1.0: 0.5, 50.0: 1.0}))
    assert figures.temperature_curves(curves, {"PGD": 40.0}, cosines)
    gained = classwise_statistics.gains(
        logits.labels_of(one), [True] * 300, [False] * 300, [0.0] * 300, [1.0] * 300, 10
    )
    assert figures.class_gains(gained.assign(variant="trades-6-3-linf-8", seed=0))
    matrix = pd.DataFrame(np.eye(2), index=["a", "b"], columns=["a", "b"])
    assert figures.class_ranks(matrix)
    points = classes.changed(pd.concat([rows, bias_rows()]))
    both = figures.worst_and_mean(points)
    assert [axes.get_title() for axes in both.axes] == ["class weights", "logit bias"]
    summary = pd.DataFrame({"alpha": [0.0, 1.0], "seed": 0, "y": [1.0, np.nan]})
    every = figures.classes_and_alpha(summary, {"y": "y"})
    for figure in (every, drawn, both):
        small = canvas.narrow(figure)
        assert small.get_figwidth() == canvas.NARROW < figure.get_figwidth() <= canvas.WIDEST


def test_rows_of_two_trainings_are_not_mixed_up(table):
    with pytest.raises(InputError, match="choose one way of training"):
        classes.one_row(table, 0, "pgd")
    assert classes.one_row(pd.DataFrame(), 0, "pgd") is None


@pytest.mark.parametrize(
    ("here", "file"),
    [(HERE, "classwise"), (Parameters("digits", "resnet8", (0.0,), (0, 1, 2), "fast"), "digits-classwise")],
)
def test_the_plain_control_is_of_the_sweeps(here, file):
    asked = set(sweeps.read(paths.ROOT / "sweeps" / f"{file}.yml").trainings)
    assert {one for one in classes.robust(here) if not one.without} | set(classes.control(here)) == asked
    if file == "classwise":
        control = sweeps.read(paths.ROOT / "sweeps" / "classwise-control.yml")
        assert set(control.trainings) == set(classes.control(here))
        assert [one.name for one in control.measurements] == ["pgd_radii"]


def test_the_digits_have_every_network_and_every_table_that_the_claims_read(monkeypatch):
    monkeypatch.delenv("RUNS_DIR", raising=False)
    found = classes.on_digits()
    assert found.missing == ()
    verdicts = [classwise.decide(one, found.classes) for one in classwise.CLAIMS]
    assert all(one.verdict != "not tested" and one.seeds == 3 for one in verdicts)


def test_tables_on_all_images_go_first(trainings, table, monkeypatch):
    """One network has a table on all images, as made on a GPU; the others on the first."""
    one, asked = trainings[0], []
    rows = {way: own for way, own in table.groupby([table.variant, table.seed])}

    def cached(measurement, some, **settings):
        asked.append((settings.get("limit"), len(some)))
        there = [t for t in some if t == one or settings.get("limit") != 0]
        found = [rows[t.way, t.seed].assign(images=10_000 if "limit" in settings else 300) for t in there]
        return pd.concat(found) if found else pd.DataFrame()

    monkeypatch.setattr("lib.book.classes.networks.cached", cached)
    found = classes.logits_of(trainings)
    assert asked == [(0, len(trainings)), (None, len(trainings) - 1)] and len(found) == len(table)
    sizes = found.groupby(["variant", "seed"]).images.first()
    assert sizes[one.way, one.seed] == 10_000 and (sizes == 10_000).sum() == 1
