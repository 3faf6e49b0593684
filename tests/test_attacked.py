"""Tables of attacks: counts that add up, images crafted on other networks, and AutoAttack."""

import numpy as np
import pandas as pd
import pytest
import torch

from lib import attacks, measurements, models, runs
from lib.base.errors import InputError
from lib.data.images import Images
from lib.measurements import masking
from lib.measurements.attack import (
    BUDGET,
    CLEAN,
    CURVES,
    FGSM_EPSILONS,
    IN_BALLS,
    RADII,
    SCORED,
    attack,
    surviving,
)
from lib.measurements.attack_summary import by_strength
from lib.measurements.autoattack import PARTS, autoattack
from lib.measurements.jacobian import jacobian, with_jacobian
from lib.measurements.transfer import sources as transfer_sources
from lib.measurements.transfer import transfer
from lib.runs.tables import _label
from lib.training.training import LABELS, Training

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
    return attack(network, images, limit=LIMIT, precision="float32")


def labelled(table: pd.DataFrame, training: Training) -> pd.DataFrame:
    return _label(table.copy(), training)


HERE = Training("digits", "resnet8", 0.0, 0, "fast")


@pytest.mark.slow
def test_an_attack_table_adds_up(table, network, images):
    rows = by_strength(labelled(table, HERE))
    assert set(rows.attack) == {CLEAN, "fgsm", *CURVES, *IN_BALLS}
    assert (rows.images == LIMIT).all() and len(table) == 10 * len(rows)
    x, labels = models.to_unit(images.pixels[:LIMIT]), images.labels[:LIMIT]
    clean = rows[rows.attack == CLEAN].iloc[0]
    assert (
        clean.accuracy == float((network(x).argmax(1) == labels).float().mean())
        and clean.epsilon == clean.steps == 0
    )
    for epsilon in (FGSM_EPSILONS[2], FGSM_EPSILONS[-2]):
        found = (network(attacks.fgsm(network, x, labels, epsilon)).argmax(1) == labels).float().mean()
        assert rows[(rows.attack == "fgsm") & (rows.epsilon == epsilon)].accuracy.item() == pytest.approx(
            float(found)
        )
    curve = CURVES["pgd-coarse"]
    found = attacks.pgd(network, x, labels, BUDGET, curve.step_size, 5, precision=None)
    share = float((network(found).argmax(1) == labels).float().mean())
    assert rows[(rows.attack == "pgd-coarse") & (rows.steps == 5)].accuracy.item() == pytest.approx(
        share, abs=1.01 / LIMIT
    )
    for name, own in rows.groupby("attack", sort=False):
        unbroken = own.unbroken.tolist()
        assert unbroken == sorted(unbroken, reverse=True) and (own.unbroken <= own.accuracy).all(), name
    by_class = table[table.attack == CLEAN].set_index("class").images
    assert by_class.sum() == LIMIT and by_class.tolist() == labels.bincount(minlength=10).tolist()


@pytest.mark.slow
def test_balls_agree_with_an_attack_that_goes_on_with_broken_images(table, network, images):
    x, labels = models.to_unit(images.pixels[:LIMIT]), images.labels[:LIMIT]
    right = torch.ones(LIMIT, dtype=torch.bool)
    for epsilon in RADII[:5]:
        path = attacks.pgd_path(
            network, x, labels, epsilon=epsilon, step_size=epsilon / 4, steps=20, loss="margin"
        )
        for steps, found in enumerate(path):
            if steps in (0, *SCORED):
                right &= network(found).argmax(1) == labels
        rows = table[(table.attack == "ball-margin") & (table.epsilon == epsilon)]
        assert rows.correct.sum() == right.sum() and (rows.correct == rows.unbroken).all()
    assert 0 < right.sum() < LIMIT


@pytest.mark.slow
def test_any_batches_give_the_same_counts(table, network, images, monkeypatch):
    def small(some, device):
        for start in range(0, len(some), 16):
            rows = slice(start, start + 16)
            yield rows, models.to_unit(some.pixels[rows]), some.labels[rows]

    monkeypatch.setattr("lib.measurements.attack.batches", small)
    again = attack(network, images, limit=LIMIT, precision="float32")
    assert again[["attack", "epsilon", "steps", "class"]].equals(
        table[["attack", "epsilon", "steps", "class"]]
    )
    # sums in another order: a step in a thousand goes elsewhere
    assert (again.correct - table.correct).abs().sum() <= 3
    assert np.allclose(again.confidence, table.confidence, equal_nan=True)


@pytest.mark.slow
def test_a_network_too_sure_of_itself_is_found_out(network, images, table):
    class Sure(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x):
            return 1000 * self.network(x)

    sure = labelled(attack(Sure().eval(), images, limit=LIMIT, precision="float32"), HERE)
    plain = labelled(table, HERE)
    rows, other = by_strength(sure), by_strength(plain)
    at = {
        name.removeprefix("ball-"): rows[
            (rows.attack == name) & np.isclose(rows.epsilon, 16 / 255)
        ].accuracy.item()
        for name in IN_BALLS
    }
    assert at["cross-entropy"] > 0.9 and at["margin"] < 0.1 and at["temperature"] < 0.1
    for name in ("margin", "temperature"):
        gap = (
            rows[rows.attack == f"ball-{name}"].accuracy.to_numpy()
            - other[other.attack == f"ball-{name}"].accuracy.to_numpy()
        )
        assert abs(gap).max() <= 1.01 / LIMIT
    checks = masking.checked(sure)
    tripped = set(checks[checks.tripped & (checks.attack == "ball-cross-entropy")].check)
    assert {"zero gradient", "float32 underflow", "confidence", "loss"} <= tripped
    assert (
        not checks[checks.tripped & checks.attack.isin(["ball-margin", "ball-temperature"])]
        .check.isin(["zero gradient"])
        .any()
    )
    assert masking.doubtful(checks, sure[LABELS].head(1), "fgsm").all()
    unharmed = masking.checked(plain)
    assert not unharmed[unharmed.check.isin(["zero gradient", "float32 underflow"])].tripped.any()


def test_transfer_counts_others_images(network, images, tmp_path, monkeypatch):
    monkeypatch.setenv("LIB_CACHE", str(tmp_path))
    source = Training("digits", "resnet8", 0.0, 1, "fast")
    other = models.build("resnet8", 10, seed=5).eval()
    monkeypatch.setattr(
        "lib.measurements.transfer.TRANSFERRED",
        {"fgsm": (8 / 255,), "ball-cross-entropy": (4 / 255,)},
    )
    table = transfer(network, images, limit=LIMIT, precision="float32", sources={source: other})
    assert len(table) == 2 * 10 and table.source_seed.eq(1).all() and len(list(tmp_path.rglob("*.npz"))) == 2
    x, labels = models.to_unit(images.pixels[:LIMIT]), images.labels[:LIMIT]
    with torch.no_grad():
        made = attacks.fgsm(other, x, labels, 8 / 255)
        assert table[table.attack == "fgsm"].correct.sum() == (network(made).argmax(1) == labels).sum()

    def again(*args, **how):
        raise AssertionError("made a second time")

    for name in ("fgsm", "pgd"):
        monkeypatch.setattr(attacks.ascent, name, again)
    assert transfer(network, images, limit=LIMIT, precision="float32", sources={source: other}).equals(table)
    # other weights of the same training, other steps
    with pytest.raises(AssertionError, match="made a second time"):
        transfer(
            network,
            images,
            limit=LIMIT,
            precision="float32",
            sources={source: models.build("resnet8", 10, seed=6).eval()},
        )
    monkeypatch.setattr("lib.measurements.transfer.BALL_STEPS", 3)
    with pytest.raises(AssertionError, match="made a second time"):
        transfer(network, images, limit=LIMIT, precision="float32", sources={source: other})
    with pytest.raises(InputError, match="α = 0 network of another seed"):
        transfer(network, images, limit=LIMIT, precision="float32", sources={})


def test_sources_are_plain_networks_of_other_seeds():
    settings = {"sources": [0, 1]}
    found = transfer_sources(Training(alpha=2.0, seed=0, recipe="fast", epochs=8, variant="pgd-2"), settings)
    assert found == [Training(alpha=0.0, seed=1, recipe="fast")]
    assert [one.seed for one in transfer_sources(Training(alpha=0.0, seed=2, recipe="fast"), settings)] == [
        0,
        1,
    ]


def test_runs_hand_the_sources_over(own_store, trainings, monkeypatch):
    seen = {}

    def toy(network, images, *, sources, **settings):
        seen.update(sources)
        return pd.DataFrame({"n": [len(sources)], **settings})

    def others(training, settings):
        return [trainings[0]] if training != trainings[0] else []

    monkeypatch.setitem(
        measurements.MEASUREMENTS, "toy", measurements.Measurement(toy, "for tests", {}, {"limit": 3}, others)
    )
    monkeypatch.setattr("lib.runs.provenance.table_digest", lambda *args: "0" * 12)
    assert runs.table("toy", trainings, progress=False).n.tolist() == [0, 1]
    assert list(seen) == [trainings[0]] and not seen[trainings[0]].training


def test_jacobian_table(network, images):
    table = labelled(jacobian(network, images, limit=30), HERE)
    with torch.no_grad():
        logits = network(models.to_unit(images.pixels[:30]))
    top = logits.softmax(1).amax(1)
    assert np.allclose(table.confidence, top, atol=1e-5) and table.image.tolist() == list(range(30))
    assert ((table.margin > 0) == table.correct).all() and (table.norm > 0).all()
    facts = with_jacobian(table[LABELS].head(1), table)
    assert facts.jacobian.item() == pytest.approx(table.norm.mean(), rel=1e-6) and facts.unmoved.item() == 0
    assert facts.log_jacobian.item() == pytest.approx(np.log10(table.norm.astype(float)).mean(), rel=1e-5)
    flat = with_jacobian(table[LABELS].head(1), table.assign(norm=[0.0] * 3 + [10.0] * 27))
    assert facts.columns.equals(flat.columns) and flat[["jacobian", "log_jacobian", "unmoved"]].iloc[
        0
    ].tolist() == pytest.approx([9.0, 1.0, 0.1])


@pytest.mark.slow
def test_autoattack_leaves_no_more_standing_than_our_own(network, images):
    pytest.importorskip("pyautoattack")
    state = torch.random.get_rng_state()
    table = autoattack(network, images, limit=12, epsilon=8 / 255, seed=0)
    assert torch.equal(torch.random.get_rng_state(), state) and all(
        parameter.requires_grad for parameter in network.parameters()
    )
    left = table.groupby("part", sort=False).standing.sum()
    assert list(left.index) == [CLEAN, *PARTS] and left.is_monotonic_decreasing
    x, labels = models.to_unit(images.pixels[:12]), images.labels[:12]
    own = surviving(network, network, x, labels, epsilon=8 / 255, loss="margin").sum()
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
