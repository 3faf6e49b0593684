"""Training on worst logits: its names and keys, its schedules, what it resumes from, and what it gives."""

import dataclasses
import json
import math
from collections.abc import Callable
from functools import cache

import pytest
import torch

from lib import attacks, data, models
from lib.base.errors import InputError
from lib.certificates import certified
from lib.certificates.losses import adaptive_kappa
from lib.runs import provenance
from lib.training import objective
from lib.training.engine import Engine, best_engine
from lib.training.loop import OutOfTime, Trained, train
from lib.training.recipe import RECIPES, AdamRecipe
from lib.training.step import Session
from lib.training.training import Training, described
from lib.training.variants import Robust, robust_name, variant

ENGINE = Engine("cpu", low_precision=False, compiled=False)
ROWS = 320  # training images: two steps per epoch
METHODS = ("ibp", "singleprop-zero", "singleprop-fastlin", "adversarial")


@pytest.fixture(autouse=True)
def few(monkeypatch, request):
    """Few images, except where a test is about what training gives."""
    load = data.load
    if "share" not in request.fixturenames:
        monkeypatch.setattr(data, "load", lambda name, split: load(name, split).first(ROWS))


def digits(way: str = "plain", **other) -> Training:
    return Training("digits", "cnn-small", recipe="certified", variant=way, **({"epochs": 2} | other))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ibp-2", Robust("ibp", 2 / 255)),
        ("ibp-0.5-ada", Robust("ibp", 0.5 / 255, gamma=10.0)),
        ("singleprop-zero-8", Robust("singleprop", 8 / 255, rule="zero")),
        ("singleprop-fastlin-2.25", Robust("singleprop", 2.25 / 255, rule="fastlin")),
        ("adversarial-16", Robust("pgd", 16 / 255, steps=7)),
    ],
)
def test_names(name, settings):
    training = digits(name)
    assert training.variant_settings == settings
    assert described(json.loads(json.dumps(training.canonical()))) == training
    assert f"certified2-{name}-" in training.name
    assert variant(name).label and variant(name, "certified").provenance.startswith("choice")
    if not settings.gamma:
        assert robust_name(name.rpartition("-")[0], settings.epsilon) == name


@pytest.mark.parametrize(
    "name", ["ibp-0", "ibp-2.0", "ibp-02", "ibp-1000", "ibp", "singleprop-2", "ibp--2", "ibp-2-"]
)
def test_one_spelling_a_radius(name):
    with pytest.raises(InputError, match=f"unknown variant '{name}'; known: .*ibp-2"):
        digits(name)


def test_ways_and_recipes_that_do_not_go_together():
    with pytest.raises(InputError, match="'ibp-2' belongs to the recipe 'certified'.* got recipe 'fast'"):
        Training("digits", "resnet8", recipe="fast", variant="ibp-2")
    with pytest.raises(InputError, match="'pgd-4' has no step size in the recipe 'certified'.*adversarial-2"):
        digits("pgd-4")
    with pytest.raises(InputError, match="'certified' is not written for 'resnet8'"):
        Training("digits", "resnet8", recipe="certified")


def test_keys_of_networks_trained_before_are_what_they_were():
    """A field more in a recipe, or another default, would name every cached run anew."""
    assert [
        Training(recipe=recipe, variant=way).key
        for recipe, way in (("paper", "plain"), ("fast", "plain"), ("fast", "augmix"), ("paper", "pgd-4"))
    ] == ["eb55ff16", "e3867dab", "68d94b56", "c5546205"]


def test_code_of_one_way_is_not_in_the_fingerprint_of_another():
    one = Training("digits", "resnet8", recipe="fast")
    assert provenance.training_digest(one) != provenance.training_digest(digits())
    assert provenance.training_digest(digits("ibp-2")) == provenance.training_digest(digits("adversarial-2"))


def session(way: str, **other) -> Session:
    return Session(digits(way, **other), ENGINE)


def test_radius_and_weight_follow_their_schedule():
    one = session("ibp-8", epochs=100)
    total, found = 100 * one.steps, {}
    for epoch in (0, 4, 30, 60):
        one.begin_epoch(epoch)
        one.step(0, 0.0)
        found[epoch] = one.objective.worst.epsilon, one.objective.kappa
    warm, end = int(0.05 * total), int(0.5 * total)
    share = (30 * one.steps - warm) / (end - warm)
    assert found[0] == found[4] == (0.0, 1.0) and found[60] == (8 / 255, 0.5)
    assert found[30] == pytest.approx((share * 8 / 255, 1 - share / 2))


def test_the_adaptive_weight_is_that_of_the_validation_images():
    one = session("ibp-8-ada", epochs=4)
    one.begin_epoch(0)
    one.step(0, 1e-3)
    assert one.objective.kappa == 1.0  # in the first epoch
    one.begin_epoch(3)
    x, y = models.to_unit(one.validation.pixels), one.validation.labels
    with torch.no_grad():
        own, worst, _ = one.objective.worst.logits(x, y)
    wanted = adaptive_kappa(*(torch.nn.functional.cross_entropy(part, y).item() for part in (own, worst)))
    one.step(0, 0.0)
    assert one.objective.kappa == pytest.approx(wanted, rel=1e-5) and 0 < wanted < 1
    assert one.objective.worst.epsilon == 8 / 255  # the radius keeps its schedule
    held = set(range(len(one.images))) - set(one.rows.tolist())
    assert len(held) == len(one.validation) and one.network.training


def test_every_way_sees_the_same_images_in_the_same_order():
    seen = []
    for way in ("plain", *(f"{method}-2" for method in METHODS)):
        one = session(way)
        one.begin_epoch(1)
        seen.append([tensor.clone() for tensor in one.drawn])
        assert type(one.optimiser) is torch.optim.Adam and one.batch == 128
        assert one.training.settings == digits().settings
    for drawn in seen[1:]:
        assert all(torch.equal(a, b) for a, b in zip(drawn, seen[0], strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_at_radius_0_the_loss_is_the_cross_entropy(method):
    one, plain = session(f"{method}-4"), session("plain")
    images = one.images.first(16)
    one.objective.worst.epsilon = 0.0
    found, wanted = (
        made.objective.loss(images.pixels, images.labels, torch.Generator()) for made in (one, plain)
    )
    torch.testing.assert_close(found[0], wanted[0])
    torch.testing.assert_close(found[1], wanted[1])  # mean selectivity of the images themselves


@pytest.mark.parametrize("method", METHODS)
def test_alpha_acts_on_the_layers_of_the_images(method):
    """The loss with α is that without, minus α times mean selectivity, and its gradient moves selectivity."""
    with_alpha, without = session(f"{method}-4", alpha=2.0), session(f"{method}-4")
    images = with_alpha.images.first(64)
    found, plain = (
        made.objective.loss(images.pixels, images.labels, torch.Generator()) for made in (with_alpha, without)
    )
    torch.testing.assert_close(found[1], plain[1])
    torch.testing.assert_close(found[0], plain[0] - 2 * plain[1])
    gradients = [
        torch.autograd.grad(loss, made.network.conv1.weight)[0]
        for (loss, _), made in ((found, with_alpha), (plain, without))
    ]
    assert (gradients[0] - gradients[1]).norm() > 1e-4


def test_worst_logits_are_worse_than_an_attack_finds():
    """Interval bounds bound what PGD finds, image by image."""
    ibp, pgd = session("ibp-8"), session("adversarial-8")
    images = ibp.images.first(32)
    x, y = models.to_unit(images.pixels), images.labels
    with torch.no_grad():
        bounded, attacked = (made.objective.worst.logits(x, y)[1] for made in (ibp, pgd))
        own = ibp.objective.worst.logits(x, y)[0]
    right = torch.nn.functional.one_hot(y, 10).bool()
    margin = [logits - logits.gather(1, y[:, None]) for logits in (bounded, attacked, own)]
    assert (margin[0][~right] >= margin[1][~right] - 1e-5).all()
    losses = [torch.nn.functional.cross_entropy(logits, y) for logits in (bounded, attacked, own)]
    assert losses[0] > losses[1] > losses[2]


def same(one: Trained, other: Trained) -> None:
    for name, tensor in one.network.state_dict().items():
        assert torch.equal(tensor, other.network.state_dict()[name]), name
    assert one.history.equals(other.history)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["plain", "ibp-4", "singleprop-fastlin-4-ada", "adversarial-4"])
def test_an_interrupted_training_ends_in_the_same_network(way, tmp_path, monkeypatch):
    monkeypatch.setattr("lib.training.loop.CHECKPOINT_SECONDS", 0.0)
    training = digits(way, epochs=3)
    whole = train(training, ENGINE, progress=False)
    assert whole.result["best_epoch"] == 3  # the last, not the best on clean images

    def stop(row):
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(training, ENGINE, progress=False, checkpoint=tmp_path / "point", on_epoch=stop)
    again = train(training, ENGINE, progress=False, checkpoint=tmp_path / "point")
    same(whole, again)
    with pytest.raises(InputError, match="was made with another training .* move it away"):
        train(digits(way, epochs=3, seed=1), ENGINE, checkpoint=tmp_path / "point")


def test_deadline_and_snapshots(tmp_path):
    seen = []
    with pytest.raises(OutOfTime):
        train(digits(), ENGINE, progress=False, deadline=-math.inf)
    trained = train(
        digits(),
        ENGINE,
        progress=False,
        snapshots=(0, 2),
        on_snapshot=lambda epoch, network: seen.append((epoch, network)),
    )
    assert [epoch for epoch, _ in seen] == [0, 2] and not any(network.training for _, network in seen)
    last = seen[1][1].state_dict()
    assert all(torch.equal(tensor, last[name]) for name, tensor in trained.network.state_dict().items())


def test_a_training_that_diverges_keeps_the_last_network_before(monkeypatch):
    recipe = dataclasses.replace(RECIPES["certified"]["cnn-small"], learning_rate=1e30)
    monkeypatch.setitem(RECIPES["certified"], "cnn-small", recipe)
    trained = train(digits("ibp-8-ada"), ENGINE, progress=False)
    assert trained.result["status"] == "diverged"
    assert all(tensor.isfinite().all() for tensor in trained.network.state_dict().values())


def test_the_engine_is_exact():
    long = digits(epochs=10_000)
    assert isinstance(long.settings, AdamRecipe)
    for device in ("cpu", "cuda"):
        engine = best_engine(long, device=device)
        assert not (engine.low_precision or engine.compiled or engine.captured)


@pytest.fixture(scope="module")
def share() -> Callable[[str], float]:
    """Share of test digits that a network trained in a way is proven right about; each of them survives PGD."""
    test = data.load("digits", "test").first(100)
    x, y = models.to_unit(test.pixels), test.labels

    def proven(way: str) -> float:
        network = train(digits(way, epochs=25), ENGINE, progress=False).network
        found = certified(network, x, y, 8 / 255)
        attacked = attacks.pgd(network, x, y, epsilon=8 / 255, step_size=2 / 255, steps=20)
        assert (found <= (network(attacked).argmax(1) == y)).all()
        return found.double().mean().item()

    return cache(proven)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ibp", "singleprop-fastlin"])
def test_it_certifies_what_plain_training_does_not(method, share):
    assert share(f"{method}-8") > share("plain") + 0.3


def test_every_kind_has_its_objective():
    for method in METHODS:
        assert objective.OBJECTIVES[objective.kind(digits(f"{method}-2"))] is objective.OnWorst
