"""Tables of attacks: counts that add up, images made against other networks, the checks, and the numbers that claims are about."""

import numpy as np
import pandas as pd
import pytest
import torch

from lib import attacked, attacks, chapters, claims, diagnosis, effects, measurements, models, origin, robustness, runs, verdicts
from lib.attacked import BALLS, CLEAN, FGSM_EPSILONS
from lib.data import Images
from lib.errors import InputError
from lib.recipes import LABELS, Training

LIMIT = 40


@pytest.fixture(scope="module")
def images(digits) -> Images:
    return digits["test"]


@pytest.fixture(scope="module")
def network():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUNS_DIR", raising=False)
        return runs.load(Training("digits", "resnet8", 0.0, 0, "fast"))


@pytest.fixture(scope="module")
def table(network, images) -> pd.DataFrame:
    return attacked.attack(network, images, limit=LIMIT, precision="float32")


def labelled(table: pd.DataFrame, training: Training) -> pd.DataFrame:
    return runs._label(table.copy(), training)


HERE = Training("digits", "resnet8", 0.0, 0, "fast")


def test_an_attack_table_adds_up(table, network, images):
    rows = robustness.by_strength(labelled(table, HERE))
    assert set(rows.attack) == {CLEAN, "fgsm", *attacked.CURVES, *attacked.IN_BALLS}
    assert (rows.images == LIMIT).all() and len(table) == 10 * len(rows)
    x, labels = models.to_unit(images.pixels[:LIMIT]), images.labels[:LIMIT]
    clean = rows[rows.attack == CLEAN].iloc[0]
    assert clean.accuracy == float((network(x).argmax(1) == labels).float().mean()) and clean.epsilon == clean.steps == 0
    for epsilon in (FGSM_EPSILONS[2], FGSM_EPSILONS[-2]):
        found = (network(attacks.fgsm(network, x, labels, epsilon)).argmax(1) == labels).float().mean()
        assert rows[(rows.attack == "fgsm") & (rows.epsilon == epsilon)].accuracy.item() == pytest.approx(float(found))
    curve = attacked.CURVES["pgd-coarse"]
    found = attacks.pgd(network, x, labels, attacked.BUDGET, curve.step_size, 5, precision=None)
    share = float((network(found).argmax(1) == labels).float().mean())
    assert rows[(rows.attack == "pgd-coarse") & (rows.steps == 5)].accuracy.item() == pytest.approx(share, abs=1.01 / LIMIT)
    for name, own in rows.groupby("attack", sort=False):
        unbroken = own.unbroken.tolist()
        assert unbroken == sorted(unbroken, reverse=True) and (own.unbroken <= own.accuracy).all(), name
    by_class = table[table.attack == CLEAN].set_index("class").images
    assert by_class.sum() == LIMIT and by_class.tolist() == labels.bincount(minlength=10).tolist()


def test_balls_agree_with_an_attack_that_goes_on_with_broken_images(table, network, images):
    x, labels = models.to_unit(images.pixels[:LIMIT]), images.labels[:LIMIT]
    right = torch.ones(LIMIT, dtype=torch.bool)
    for epsilon in BALLS[:5]:
        path = attacks.pgd_path(network, x, labels, epsilon=epsilon, step_size=epsilon / 4, steps=20, loss="margin")
        for steps, found in enumerate(path):
            if steps in (0, *attacked.SCORED):
                right &= network(found).argmax(1) == labels
        rows = table[(table.attack == "ball-margin") & (table.epsilon == epsilon)]
        assert rows.correct.sum() == right.sum() and (rows.correct == rows.unbroken).all()
    assert 0 < right.sum() < LIMIT


def test_any_batches_give_the_same_counts(table, network, images, monkeypatch):
    def small(some, device):
        for start in range(0, len(some), 16):
            rows = slice(start, start + 16)
            yield rows, models.to_unit(some.pixels[rows]), some.labels[rows]

    monkeypatch.setattr(attacked, "batches", small)
    again = attacked.attack(network, images, limit=LIMIT, precision="float32")
    assert again[["attack", "epsilon", "steps", "class"]].equals(table[["attack", "epsilon", "steps", "class"]])
    assert (again.correct - table.correct).abs().sum() <= 3  # sums in another order: a step in a thousand goes elsewhere
    assert np.allclose(again.confidence, table.confidence, equal_nan=True)


def test_a_network_too_sure_of_itself_is_found_out(network, images, table):
    class Sure(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x):
            return 1000 * self.network(x)

    sure = labelled(attacked.attack(Sure().eval(), images, limit=LIMIT, precision="float32"), HERE)
    plain = labelled(table, HERE)
    rows, other = robustness.by_strength(sure), robustness.by_strength(plain)
    at = {name: rows[(rows.attack == f"ball-{name}") & np.isclose(rows.epsilon, 16 / 255)].accuracy.item() for name in attacked.LOSSES}
    assert at["cross-entropy"] > 0.9 and at["margin"] < 0.1 and at["temperature"] < 0.1
    for name in ("margin", "temperature"):
        gap = rows[rows.attack == f"ball-{name}"].accuracy.to_numpy() - other[other.attack == f"ball-{name}"].accuracy.to_numpy()
        assert abs(gap).max() <= 1.01 / LIMIT
    checks = diagnosis.checked(sure)
    tripped = set(checks[checks.tripped & (checks.attack == "ball-cross-entropy")].check)
    assert {"zero gradient", "float32 underflow", "confidence", "loss"} <= tripped
    assert not checks[checks.tripped & checks.attack.isin(["ball-margin", "ball-temperature"])].check.isin(["zero gradient"]).any()
    assert diagnosis.doubtful(checks, pd.DataFrame([dict.fromkeys(LABELS)]).assign(**dict(zip(LABELS, sure[LABELS].iloc[0], strict=True))), "fgsm").all()
    unharmed = diagnosis.checked(plain)
    assert not unharmed[unharmed.check.isin(["zero gradient", "float32 underflow"])].tripped.any()


def test_transfer_counts_others_images(network, images, tmp_path, monkeypatch):
    monkeypatch.setenv("LIB_CACHE", str(tmp_path))
    source = Training("digits", "resnet8", 0.0, 1, "fast")
    other = models.build("resnet8", 10, seed=5).eval()
    monkeypatch.setattr(attacked, "TRANSFERRED", {"fgsm": (8 / 255,), "ball-cross-entropy": (4 / 255,)})
    table = attacked.transfer(network, images, limit=LIMIT, precision="float32", sources={source: other})
    assert len(table) == 2 * 10 and table.source_seed.eq(1).all() and len(list(tmp_path.rglob("*.npz"))) == 2
    x, labels = models.to_unit(images.pixels[:LIMIT]), images.labels[:LIMIT]
    with torch.no_grad():
        made = attacks.fgsm(other, x, labels, 8 / 255)
        assert table[table.attack == "fgsm"].correct.sum() == (network(made).argmax(1) == labels).sum()

    def again(*args):
        raise AssertionError("made a second time")

    monkeypatch.setattr(attacked, "_make", again)
    monkeypatch.setattr(attacked.code, "digest", lambda *args, **how: next(tmp_path.rglob("*.npz")).parent.name.rsplit("-", 1)[1])
    assert attacked.transfer(network, images, limit=LIMIT, precision="float32", sources={source: other}).equals(table)
    with pytest.raises(InputError, match="α = 0 network of another seed"):
        attacked.transfer(network, images, limit=LIMIT, precision="float32", sources={})


def test_sources_are_plain_networks_of_other_seeds():
    settings = {"sources": [0, 1]}
    found = attacked.sources(Training(alpha=2.0, seed=0, recipe="fast", epochs=8, variant="pgd-2"), settings)
    assert found == [Training(alpha=0.0, seed=1, recipe="fast")]
    assert [one.seed for one in attacked.sources(Training(alpha=0.0, seed=2, recipe="fast"), settings)] == [0, 1]


def test_runs_hand_the_sources_over(own_store, trainings, monkeypatch):
    seen = {}

    def toy(network, images, *, sources, **settings):
        seen.update(sources)
        return pd.DataFrame({"n": [len(sources)], **settings})

    def others(training, settings):
        return [trainings[0]] if training != trainings[0] else []

    monkeypatch.setitem(measurements.MEASUREMENTS, "toy", measurements.Measurement(toy, "for tests", {"limit": 3}, others))
    monkeypatch.setattr(origin, "table_digest", lambda *args: "0" * 12)
    assert runs.table("toy", trainings, progress=False).n.tolist() == [0, 1]
    assert list(seen) == [trainings[0]] and not seen[trainings[0]].training


def test_jacobian_table(network, images):
    table = attacked.jacobian(network, images, limit=30)
    with torch.no_grad():
        logits = network(models.to_unit(images.pixels[:30]))
    top = logits.softmax(1).amax(1)
    assert np.allclose(table.confidence, top, atol=1e-5) and table.image.tolist() == list(range(30))
    assert ((table.margin > 0) == table.correct).all() and (table.norm > 0).all()
    facts = robustness.with_jacobian(pd.DataFrame([dict(zip(LABELS, labelled(table, HERE)[LABELS].iloc[0], strict=True))]), labelled(table, HERE))
    assert facts.jacobian.item() == pytest.approx(table.norm.mean(), rel=1e-6)
    assert facts.log_jacobian.item() == pytest.approx(np.log10(table.norm.astype(float)).mean(), rel=1e-5)


def test_autoattack_leaves_no_more_standing_than_our_own(network, images):
    pytest.importorskip("pyautoattack")
    state = torch.random.get_rng_state()
    table = attacked.autoattack(network, images, limit=12, epsilon=8 / 255, seed=0)
    assert torch.equal(torch.random.get_rng_state(), state) and all(parameter.requires_grad for parameter in network.parameters())
    left = table.groupby("part", sort=False).standing.sum()
    assert list(left.index) == [CLEAN, *attacked.PARTS] and left.is_monotonic_decreasing
    x, labels = models.to_unit(images.pixels[:12]), images.labels[:12]
    own = attacked.standing(network, network, x, labels, epsilon=8 / 255, loss="margin").sum()
    assert left["square"] <= own + 1


@pytest.mark.parametrize("name", ["attack", "jacobian", "autoattack"])
def test_a_network_in_training_mode_is_refused_and_untouched(images, name):
    fresh = models.build("resnet8", 10)
    before = {key: value.clone() for key, value in fresh.state_dict().items()}
    one = measurements.MEASUREMENTS[name]
    with pytest.raises(InputError, match="evaluation mode"):
        one.function(fresh, images, **one.settings)
    assert all(torch.equal(value, before[key]) for key, value in fresh.state_dict().items())


@pytest.mark.parametrize("limit", [-1, 2.0, True, "10"])
@pytest.mark.parametrize("name", ["attack", "jacobian"])
def test_a_limit_is_a_number_of_images(network, images, name, limit):
    settings = measurements.MEASUREMENTS[name].settings | {"limit": limit}
    with pytest.raises(InputError, match="limit is a number of images, 0 for all of them, got"):
        measurements.MEASUREMENTS[name].function(network, images, **settings)


# ---- numbers by hand -------------------------------------------------------------------------------------------------


def counts(accuracies: dict[str, dict[float, float]], *, alpha: float = 0.0, seed: int = 0, dataset: str = "cifar10", **more) -> pd.DataFrame:
    """An attack table of 1,000 images in two classes: {attack: {strength: accuracy}}, strengths being steps for PGD curves."""
    rows = []
    for name, ladder in accuracies.items():
        for strength, accuracy in ladder.items():
            at = {"epsilon": attacked.BUDGET, "steps": strength} if name in attacked.CURVES else {"epsilon": strength, "steps": 1}
            for label in ("cat", "dog"):
                row = {"attack": name, **at, "step_size": 0.0, "class": label, "images": 500, "correct": round(500 * accuracy)}
                row |= {"unbroken": row["correct"], "zero_gradient": 0, "certain": 0, "confidence": 0.9} | more
                rows.append(row)
    network = {"dataset": dataset, "model": "resnet20", "alpha": alpha, "seed": seed, "recipe": "fast", "variant": "plain", "epochs": 16}
    return pd.DataFrame(rows).assign(**network)


def balls(cross_entropy: float, margin: float, temperature: float) -> dict[str, dict[float, float]]:
    return {"ball-cross-entropy": {1 / 255: cross_entropy}, "ball-margin": {1 / 255: margin}, "ball-temperature": {1 / 255: temperature}}


def test_a_summary_gets_the_strengths_that_stand_for_the_data_set():
    table = counts({CLEAN: {0.0: 0.8}, "fgsm": {0.001: 0.7, 0.002: 0.6}, "pgd": {20: 0.5, 40: 0.4}, **balls(0.3, 0.28, 0.29)})
    summary = table[LABELS].drop_duplicates().reset_index(drop=True)
    facts = robustness.with_attacked(summary, table).iloc[0]
    assert facts[["attacked_clean", "fgsm_accuracy", "pgd_accuracy"]].tolist() == [0.8, 0.6, 0.4]
    assert facts[["ball_cross_entropy", "ball_margin", "ball_temperature", "ball_worst"]].tolist() == [0.3, 0.28, 0.29, 0.28]
    other = robustness.with_attacked(summary.assign(seed=5), table).iloc[0]
    assert other[["fgsm_accuracy", "ball_worst"]].isna().all()
    assert robustness.with_attacked(summary, pd.DataFrame()).ball_worst.isna().all()


@pytest.mark.parametrize(
    ("accuracies", "more", "expected"),
    [
        ({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.7}, **balls(0.3, 0.3, 0.3)}, {}, set()),
        ({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.7}, **balls(0.3, 0.3, 0.3)}, {"zero_gradient": 5}, {"zero gradient"}),
        ({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.7}, **balls(0.3, 0.3, 0.3)}, {"certain": 5}, {"float32 underflow"}),
        ({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.7}, **balls(0.3, 0.3, 0.3)}, {"confidence": 0.995}, {"confidence"}),
        ({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.7}, **balls(0.3, 0.27, 0.3)}, {}, {"loss"}),
        ({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.6, 0.2: 0.62, 0.3: 0.59}, **balls(0.3, 0.3, 0.3)}, {}, {"rises with strength"}),
        ({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.95}, **balls(0.3, 0.3, 0.3)}, {}, {"rises with strength"}),
        ({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.4, 0.2: 0.9}, **balls(0.3, 0.3, 0.3)}, {}, {"rises with strength"}),
        # about chance, of two classes, anything may happen
        ({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.6, 0.2: 0.4, 0.3: 0.54}, **balls(0.3, 0.3, 0.3)}, {}, set()),
        ({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.7}, **balls(0.3, 0.3, 0.3)}, {"confidence": float("nan")}, {"confidence"}),
        ({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.7}}, {}, set()),  # no balls to compare
    ],
)
def test_each_check_trips_on_what_it_is_for(accuracies, more, expected):
    checks = diagnosis.checked(counts(accuracies, **more))
    assert set(checks[checks.tripped & (checks.attack == "fgsm")].check) == expected
    words = diagnosis.overview(checks).set_index("check")
    assert set(diagnosis.by_alpha(checks).check) == set(checks[checks.tripped].check)
    assert diagnosis.doubtful_alphas(checks, "fgsm") == (frozenset([0.0]) if expected else frozenset())
    assert all((words.loc[name, "networks flagged"] == "1 of 1") == (name in expected) for name in expected)
    assert words.loc["Square", "largest"] == "not measured"


def test_black_boxes_that_beat_white_boxes_are_flagged():
    table = counts({CLEAN: {0.0: 0.8}, **balls(0.3, 0.2, 0.2)})
    theirs = table[table.attack == "ball-cross-entropy"].assign(source_seed=1, correct=100)  # 0.2
    checks = diagnosis.checked(table, theirs)
    black = checks[checks.check == "black box"].set_index("attack")
    assert black.value["ball-cross-entropy"] == pytest.approx(0.1) and black.tripped["ball-cross-entropy"] and not black.tripped["ball-margin"]
    loss = checks[checks.check == "loss"].set_index("attack").tripped
    assert loss["ball-cross-entropy"] and not loss["ball-margin"]
    turned = diagnosis.checked(counts({CLEAN: {0.0: 0.8}, **balls(0.3, 0.5, 0.3)}))
    assert turned[turned.tripped].attack.tolist() == ["ball-margin"]
    # the strongest source counts
    two = diagnosis.checked(table, pd.concat([theirs.assign(correct=400), theirs.assign(source_seed=2)]))
    assert two[two.check == "black box"].value.tolist() == black.value.tolist()
    fgsm = counts({CLEAN: {0.0: 0.8}, "fgsm": {0.1: 0.7}})
    beaten = diagnosis.checked(fgsm, fgsm[fgsm.attack == "fgsm"].assign(source_seed=1, correct=100))
    assert beaten[beaten.tripped].check.tolist() == ["black box"]
    network = table[LABELS].iloc[0].to_dict()
    left = zip((CLEAN, *attacked.PARTS), (80, 40, 31, 30, 28), strict=True)
    parts = pd.DataFrame([network | {"part": part, "epsilon": 1 / 255, "class": "cat", "images": 100, "standing": standing} for part, standing in left])
    square = diagnosis.checked(table, None, parts)
    assert square[square.check == "Square"].value.item() == pytest.approx(0.02) and square[square.check == "Square"].tripped.item()
    facts = robustness.with_autoattack(table[LABELS].drop_duplicates(), parts)
    assert facts[["autoattack_accuracy", "autoattack_clean"]].iloc[0].tolist() == [0.28, 0.8]
    assert robustness.with_autoattack(table[LABELS].drop_duplicates(), parts.assign(epsilon=0.5)).autoattack_accuracy.isna().all()
    weak = diagnosis.checked(counts({CLEAN: {0.0: 0.8}, **balls(0.75, 0.75, 0.75)}), None, parts)
    assert weak[weak.check == "AutoAttack"].tripped.all() and not square[square.check == "AutoAttack"].tripped.any()


def test_transferred_averages_over_sources():
    table = counts({"ball-cross-entropy": {8 / 255: 0.4}})
    both = pd.concat([table.assign(source_seed=0), table.assign(source_seed=1, correct=100)])
    rows = robustness.transferred(both)
    assert rows.accuracy.tolist() == pytest.approx([0.3]) and rows.sources.tolist() == [2]
    assert robustness.with_transferred(table[LABELS].drop_duplicates(), both).transfer_accuracy.item() == pytest.approx(0.3)


def summary(rows: dict[float, tuple[float, float]], seeds: int = 3) -> pd.DataFrame:
    """{alpha: (clean accuracy, accuracy under attack)}, a little different for each seed."""
    return pd.DataFrame(
        [
            {"alpha": alpha, "seed": seed, "variant": "plain", "epochs": 16, "clean_accuracy": clean, "pgd_accuracy": value + 0.001 * seed * (1 + alpha)}
            for alpha, (clean, value) in rows.items()
            for seed in range(seeds)
        ]
    )


def test_an_ordering_needs_both_rises():
    rising = {-9.0: (0.6, 0.9), -2.0: (0.9, 0.1), 0.0: (0.9, 0.2), 0.4: (0.86, 0.25), 2.0: (0.5, 0.1)}
    assert effects.spared(summary(rising)) == (-2.0, 0.4)  # −9 and 2 cost too much clean accuracy
    found = effects.ordered("pgd_accuracy", scale=100)(summary(rising))
    assert found.to_dict("list") == {"from −2 to 0": pytest.approx([10.0, 10.2, 10.4]), "from 0 to 0.4": pytest.approx([5.0, 5.04, 5.08])}
    assert effects.ordered("pgd_accuracy", ends="all")(summary(rising)).iloc[0].tolist() == pytest.approx([-0.7, -0.1])
    assert effects.ordered("pgd_accuracy", ends="all", falling=True)(summary(rising)).iloc[0].tolist() == pytest.approx([0.7, 0.1])
    reversed_too = effects.ordered("pgd_accuracy", reverses=True, scale=100)(summary(rising))
    assert reversed_too["clean, from 0.4 to −2"].tolist() == pytest.approx([4.0] * 3)
    statistic = effects.ordered("pgd_accuracy")
    assert statistic(summary({alpha: rising[alpha] for alpha in (0.0, 0.4)})).empty
    assert statistic(summary({alpha: rising[alpha] for alpha in (-2.0, 0.0, 2.0)})).empty and np.isnan(effects.spared(summary({0.0: (1, 1)}))).all()
    # what the statistic does not use may be missing
    holes = summary(rising)
    holes.loc[holes.alpha.isin([-9.0, 2.0]), "pgd_accuracy"] = np.nan
    assert len(statistic(holes)) == 3 and effects.ordered("pgd_accuracy", ends="all")(holes).columns.tolist() == ["from −2 to 0", "from 0 to 0.4"]
    holes.loc[(holes.alpha == 0.4) & (holes.seed == 1), "pgd_accuracy"] = np.nan
    assert statistic(holes).index.tolist() == [0, 2]


def test_each_part_of_a_claim_has_its_interval():
    rising = {-2.0: (0.9, 0.1), 0.0: (0.9, 0.2), 0.4: (0.86, 0.25)}
    one = claims.claim("LM-8")
    good = verdicts.decide(one, summary(rising))
    assert good.verdict == "reproduced" and [part.name for part in good.parts] == ["from −2 to 0", "from 0 to 0.4"] and good.estimate == good.parts[1].estimate
    assert "from −2 to 0: +10.2 points, 95 % interval" in verdicts.describe(good) and verdicts.describe(good).endswith("3 seeds")
    assert verdicts.decide(one, summary(rising | {-2.0: (0.9, 0.3)})).verdict == "not reproduced"
    assert verdicts.decide(one, summary(rising | {0.4: (0.86, 0.1996)})).verdict == "inconclusive"
    assert verdicts.decide(one, summary(rising, seeds=2)).verdict == "inconclusive"
    assert verdicts.decide(one, summary(rising).drop(columns="pgd_accuracy")).verdict == "not tested"
    assert {claim.id for claim in claims.SURVIVES} == {"LM-X2"} and not {"LM-X2"} & {claim.id for claim in claims.CLAIMS}


def test_chapters_take_what_is_measured_and_make_nothing(store_dir, trainings, monkeypatch):
    monkeypatch.setattr(runs, "_measure", lambda *args: pytest.fail("measured"))
    found = chapters.measured(chapters.at_hand(trainings), trainings)
    assert found[["fgsm_accuracy", "transfer_accuracy", "jacobian", "autoattack_accuracy", "corrupted_accuracy"]].isna().all(axis=None)
    assert chapters.cached("attack", trainings).empty
