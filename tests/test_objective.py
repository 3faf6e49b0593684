"""What is minimised: each variant's loss against its definition written out, and networks that follow it."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from lib import attacks, models, selectivity
from lib.training import augmix, objective, parts
from lib.training.engine import Engine
from lib.training.loop import train
from lib.training.objective.base import Progress, shadow
from lib.training.objective.views import consistency
from lib.training.step import Session
from lib.training.training import Training

EAGER = Engine("cpu", low_precision=False, compiled=False)


def tiny(variant: str, alpha: float = 0.0, epochs: int = 2, seed: int = 0) -> Training:
    return Training("digits", "resnet8", alpha, seed, "fast", epochs, variant)


@pytest.fixture
def network():
    return models.build("resnet8", 10, seed=1).train()


@pytest.fixture
def some(digits):
    return digits["train"][slice(0, 24)]


def loss_of(training, network, means, classes, engine, alpha):
    """The loss of a training as a function."""
    return parts.objective(training, network, means, classes, engine, alpha, lambda: None).loss


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


# ---- PGD ---------------------------------------------------------------------------------------------------


def plain_pgd(network, x, labels, epsilon, step_size, steps):
    """One image after the other, one pixel range after the other."""
    network = copy.deepcopy(network).eval()
    out = []
    for image, label in zip(x, labels, strict=True):
        start, found = image[None], image[None].clone()
        for _ in range(steps):
            found = found.detach().requires_grad_()
            F.cross_entropy(network(found), label[None]).backward()
            found = found.detach() + step_size * found.grad.sign()
            found = torch.maximum(torch.minimum(found, start + epsilon), start - epsilon).clamp(0, 1)
        out.append(found[0])
    return torch.stack(out)


@pytest.mark.parametrize(
    ("epsilon", "step_size", "steps"), [(16 / 255, 1 / 255, 3), (1 / 255, 0.7 / 255, 3), (0.0, 0.1, 2)]
)
def test_ascent_is_pgd(network, some, epsilon, step_size, steps):
    network.eval()
    x = models.to_unit(some.pixels)
    kept = x.clone()

    def gradient(found):
        found = found.detach().requires_grad_()
        return torch.autograd.grad(F.cross_entropy(network(found), some.labels, reduction="sum"), found)[0]

    ours = attacks.ascend(gradient, x, epsilon=epsilon, step_size=step_size, steps=steps)
    theirs = plain_pgd(network, x, some.labels, epsilon, step_size, steps)
    # a gradient of about 0 may have another sign in a batch: a few pixels of black borders
    assert ((ours - theirs).abs() < 1e-6).float().mean() > 0.99
    assert (ours - x).abs().max() <= epsilon + 1e-7 and ours.min() >= 0 and ours.max() <= 1
    assert torch.equal(x, kept) and not ours.requires_grad
    if not epsilon:
        assert torch.equal(ours, x)


@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_adversarial_loss_is_that_of_the_attacked_images(network, some, alpha):
    training = tiny("pgd-3", alpha)
    how = training.variant_settings
    x = plain_pgd(network, models.to_unit(some.pixels), some.labels, how.epsilon, how.step_size, how.steps)
    kept = copy.deepcopy(network)
    with models.spatial_means(network) as means:
        loss, si = loss_of(training, network, means, 10, EAGER, training.alpha)(
            some.pixels, some.labels, generator()
        )
    with models.spatial_means(kept) as means:
        expected = F.cross_entropy(kept(x), some.labels)
        expected_si = selectivity.mean_selectivity(means, some.labels, 10)
    torch.testing.assert_close(si, expected_si.detach(), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(loss, expected - alpha * expected_si, rtol=1e-3, atol=1e-3)
    assert all(parameter.grad is None for parameter in network.parameters())  # the attack leaves none behind
    # batch norm saw the adversarial batch once and nothing else
    for left, right in zip(network.buffers(), kept.buffers(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-4)
    assert network.training


@pytest.mark.parametrize("variant", ["pgd-3-linf-8", "l2-pgd-3-0.5"])
def test_training_in_a_ball_is_that_of_the_attack_of_the_library(network, some, variant):
    training = tiny(variant)
    norm = "l2" if variant.startswith("l2") else "linf"
    radius = 0.5 if norm == "l2" else 8 / 255
    x = models.to_unit(some.pixels)
    attacked = attacks.pgd(
        copy.deepcopy(network).eval(),
        x,
        some.labels,
        epsilon=radius,
        step_size=2.5 * radius / 3,
        steps=3,
        norm=norm,
        precision=None,
    )
    lengths = (
        (attacked - x).flatten(1).norm(dim=1) if norm == "l2" else (attacked - x).flatten(1).abs().amax(1)
    )
    torch.testing.assert_close(lengths, torch.full((24,), radius), rtol=0.1, atol=0)  # it fills the ball
    kept = copy.deepcopy(network)
    with models.spatial_means(network) as means:
        loss, _ = loss_of(training, network, means, 10, EAGER, 0.0)(some.pixels, some.labels, generator())
    torch.testing.assert_close(loss, F.cross_entropy(kept(attacked), some.labels), rtol=1e-3, atol=1e-3)
    assert all(parameter.grad is None for parameter in network.parameters()) and network.training


def test_the_attack_raises_the_loss(network, some):
    with models.spatial_means(network) as means:
        losses = [
            loss_of(tiny(variant), copy.deepcopy(network), means, 10, EAGER, 0.0)(
                some.pixels, some.labels, generator()
            )[0].item()
            for variant in ("plain", "pgd-1", "pgd-4", "pgd-10")
        ]
    assert losses == sorted(losses) and losses[-1] > losses[0] + 0.1


def test_the_shadow_follows_the_network(network, some):
    network = network.to(memory_format=torch.channels_last)
    with models.spatial_means(network) as means:
        twin = shadow(network)
        optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, fused=True)
        x = models.to_unit(some.pixels)
        for _ in range(2):
            F.cross_entropy(network(x), some.labels).backward()
            optimiser.step()
        seen = dict(means)
        ours = twin(x)
        assert means == seen  # no hooks of its own
    network.eval()
    torch.testing.assert_close(ours, network(x), rtol=0, atol=0)
    assert not twin.training and not any(parameter.requires_grad for parameter in twin.parameters())
    network.load_state_dict(models.build("resnet8", 10, seed=2).state_dict())
    torch.testing.assert_close(twin(x), network(x), rtol=0, atol=0)


# ---- AugMix ------------------------------------------------------------------------------------------------


def test_augmix_loss_written_out(network, some):
    training = tiny("augmix", 0.5)
    kept = copy.deepcopy(network)
    with models.spatial_means(network) as means:
        loss, si = loss_of(training, network, means, 10, EAGER, training.alpha)(
            some.pixels, some.labels, generator()
        )
    drawn = generator()
    views = [models.to_unit(some.pixels)] + [
        augmix.augmix(some.pixels, width=3, depth=-1, severity=2, generator=drawn) for _ in range(2)
    ]
    with models.spatial_means(kept) as means:
        logits = kept(torch.cat(views)).double()
        expected_si = selectivity.mean_selectivity(
            {name: mean[:24] for name, mean in means.items()}, some.labels, 10
        )
    total = 0.0
    for image in range(24):
        p = [logits[view * 24 + image].softmax(0).tolist() for view in range(3)]
        middle = [sum(one[k] for one in p) / 3 for k in range(10)]
        total += sum(one[k] * math.log(one[k] / middle[k]) for one in p for k in range(10)) / 3
    expected = F.cross_entropy(logits[:24], some.labels) + 12 * total / 24 - 0.5 * expected_si
    torch.testing.assert_close(loss.double(), expected.double(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(si, expected_si.detach())


def test_consistency_of_equal_predictions_is_zero():
    logits = torch.randn(4, 10)
    assert abs(float(consistency(logits.repeat(3, 1)))) < 1e-6
    one_hot = 50 * F.one_hot(torch.tensor([0, 1, 2]), 10).float()
    # its largest value
    torch.testing.assert_close(consistency(one_hot), torch.tensor(math.log(3.0)))


def test_augmix_draws_from_its_generator_alone(network, some):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with models.spatial_means(network) as means:
        loss = loss_of(tiny("augmix"), network.eval(), means, 10, EAGER, 0.0)
        same = [loss(some.pixels, some.labels, generator())[0].item() for _ in range(2)]
        drawn = generator()
        other = [loss(some.pixels, some.labels, drawn)[0].item() for _ in range(2)]
    assert same[0] == same[1] == other[0] != other[1]
    assert torch.equal(torch.get_rng_state(), before)


# ---- TRADES and class weights ------------------------------------------------------------------------------


def made(network, training, means):
    return loss_of(training, network, means, 10, EAGER, training.alpha)


def test_trades_loss_written_out(network, some):
    training, kept = tiny("trades-6-3-linf-8", 0.5), copy.deepcopy(network)
    with models.spatial_means(network) as means:
        loss, si = made(network, training, means)(some.pixels, some.labels, generator())
    x, still = models.to_unit(some.pixels), copy.deepcopy(kept).eval()
    likely = still(x).softmax(1).detach()
    low, high = (x - 8 / 255).clamp(0, 1), (x + 8 / 255).clamp(0, 1)
    near = (x + 0.001 * torch.randn(x.shape, generator=generator())).clamp(low, high)
    for _ in range(3):
        near = near.detach().requires_grad_()
        apart = (likely * (likely.log() - still(near).log_softmax(1))).sum()
        (slope,) = torch.autograd.grad(apart, near)
        near = (near.detach() + 20 / 3 / 255 * slope.sign()).clamp(low, high)
    with models.spatial_means(kept) as means:
        p, q = kept(torch.cat([x, near])).double().softmax(1).chunk(2)
        expected_si = selectivity.mean_selectivity(
            {name: mean[:24] for name, mean in means.items()}, some.labels, 10
        )
    cross_entropy = -p.gather(1, some.labels[:, None]).log().mean()
    apart = (p * (p / q).log()).sum(1).mean()
    expected = cross_entropy + 6 * apart - 0.5 * expected_si
    torch.testing.assert_close(loss.double(), expected.double(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(si, expected_si.detach())
    assert apart > 0.01


def test_the_first_step_of_an_epoch_counts_all_classes_alike(network, some):
    losses = []
    for variant in ("pgd-2-linf-8", "weighted-2-linf-8"):
        own = copy.deepcopy(network)
        with models.spatial_means(own) as means:
            losses.append(made(own, tiny(variant), means)(some.pixels, some.labels, generator())[0].item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_a_class_that_is_always_wrong_counts_most(some):
    """A network that says 0 to everything: class 0 counts once, all others three times."""
    network = models.build("resnet8", 10, seed=1).train()
    with torch.no_grad():
        network.linear.weight.zero_()
        network.linear.bias.copy_(3 * F.one_hot(torch.tensor(0), 10))
    drawn = generator()
    with models.spatial_means(network) as means:
        training = tiny("weighted-1-linf-8")
        weighted = parts.objective(training, network, means, 10, EAGER, 0.0, lambda: None)
        step = weighted.loss
        losses = []
        for epoch in range(2):
            weighted.begin_epoch(Progress(epoch, 3, 2))
            losses += [step(some.pixels, some.labels, drawn)[0].item() for _ in range(2)]
        weighted.counts.zero_()
        weighted.begin_epoch(Progress(2, 3, 2))
        anew = step(some.pixels, some.labels, drawn)[0].item()
    each = -network.linear.bias.detach().log_softmax(0)[some.labels]
    counts = torch.where(some.labels == 0, 1.0, 3.0)
    alike, counted = float(each.mean()), float((counts * each).sum() / counts.sum())
    # the first epoch counts for the second, and not within itself
    assert losses == pytest.approx([alike, alike, counted, counted], rel=1e-5)
    assert anew == pytest.approx(alike, rel=1e-5)


@pytest.mark.parametrize("variant", ["trades-6-1-linf-8", "weighted-1-linf-8"])
def test_a_class_without_images_and_two_that_are_left(variant, digits, monkeypatch):
    training = Training("digits", "resnet8", 0.0, 0, "fast", 1, variant, without=tuple("01234567"))
    session = Session(training, EAGER)
    session.begin_epoch(0)
    for number in range(2):
        session.step(number, 0.01)
    assert session.losses[:2].isfinite().all() and set(session.labels.tolist()) == {8, 9}


# ---- all of them -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["augmix", "pgd-1", "trades-6-1-linf-8", "weighted-1-linf-8"])
def test_variants_train_resume_and_repeat_to_the_bit(variant, digits, monkeypatch, tmp_path):
    pass

    some = {"train": digits["train"][slice(0, 220)], "test": digits["test"][slice(0, 100)]}
    monkeypatch.setattr("lib.data.load", lambda name, split: some[split])
    monkeypatch.setattr("lib.training.loop.CHECKPOINT_SECONDS", 0)
    whole = train(tiny(variant), EAGER, progress=False)

    class Stop(Exception):
        pass

    def stop(row):
        raise Stop

    with pytest.raises(Stop):
        train(tiny(variant), EAGER, progress=False, checkpoint=tmp_path / "c", on_epoch=stop)
    resumed = train(tiny(variant), EAGER, progress=False, checkpoint=tmp_path / "c")
    assert resumed.history.equals(whole.history) and len(whole.history) == 2
    assert all(
        torch.equal(a, b)
        for a, b in zip(
            whole.network.state_dict().values(), resumed.network.state_dict().values(), strict=True
        )
    )
    plain = train(tiny("plain"), EAGER, progress=False)
    assert not torch.equal(plain.network.conv1.weight, whole.network.conv1.weight)


def test_every_variant_has_an_objective():
    usual = ("plain", "augmix", "pgd-7", "l2-pgd-7-0.5", "trades-6-7-linf-8", "weighted-7-linf-8")
    proved = ("ibp-2", "singleprop-zero-2", "adversarial-2")
    certified = [Training("digits", "cnn-small", recipe="certified", variant=one) for one in proved]
    found = [objective.kind(training) for training in [*map(tiny, usual), *certified]]
    assert sorted(found) == sorted(objective.OBJECTIVES)


@pytest.mark.parametrize(
    "variant", ["plain", "augmix", "pgd-1", "l2-pgd-2-0.5", "trades-6-1-linf-8", "weighted-1-linf-8"]
)
def test_low_precision_stays_near(variant, some):
    losses = []
    for low in (False, True):
        network = models.build("resnet8", 10, seed=1).train()
        with models.spatial_means(network) as means:
            loss, si = loss_of(tiny(variant, 1.0), network, means, 10, Engine("cpu", low, False), 1.0)(
                some.pixels, some.labels, generator()
            )
        assert loss.dtype == si.dtype == torch.float32
        losses.append(torch.stack([loss.detach(), si]))
    torch.testing.assert_close(losses[0], losses[1], rtol=0.04, atol=0.04)


def test_a_session_takes_the_variant(digits):
    ours = Session(tiny("pgd-2"), EAGER)
    ours.begin_epoch(0)
    ours.step(0, 0.0)
    plain = Session(tiny("plain"), EAGER)
    plain.begin_epoch(0)
    plain.step(0, 0.0)
    assert ours.losses[0] > plain.losses[0]
