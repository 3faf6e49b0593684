"""Temperature-PGD: its ends, its safe form, and the false robustness of the plain one."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import attacks
from lib.attacks.gradient import pixel_gradient
from lib.attacks.temperature import plain, plain_gradient, safe_gradient
from lib.base.errors import InputError

RADIUS, STEP = 4 / 255, 1 / 255
HOW = {"epsilon": RADIUS, "step_size": STEP, "steps": 10}
TEMPERATURES = (10.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02)


class Scaled(nn.Module):
    """A network with its logits times a factor."""

    def __init__(self, network: nn.Module, factor: float) -> None:
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.network(x)


@pytest.fixture(scope="module")
def start(some) -> Tensor:
    return attacks.random_start(some[0], RADIUS, torch.Generator().manual_seed(1))


def right(network: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        return network(x).argmax(1) == labels


@pytest.mark.parametrize("form", ["safe", "plain"])
def test_temperature_one_is_pgd_on_the_cross_entropy_image_by_image(form, trained, some, start):
    network, labels = copy.deepcopy(trained).double(), some[1]
    x, begun = some[0].double(), start.double()
    *_, pgd = attacks.pgd_path(network, x, labels, **HOW, start=begun, precision=None)
    found = attacks.temperature_pgd(network, x, labels, 1.0, **HOW, form=form, start=begun)
    # a pixel whose gradient is as good as 0 may go either way
    assert ((found - pgd).abs() < 1e-9).double().mean() > 0.999
    answers = right(network, pgd, labels)
    assert torch.equal(right(network, found, labels), answers) and 0 < answers.sum() < len(labels)


def test_a_small_temperature_is_the_margin(trained, some, start):
    x, labels = some
    margin = attacks.margin_pgd(trained, x, labels, **HOW, start=start)
    *_, same = attacks.pgd_path(trained, x, labels, **HOW, loss="margin", start=start)
    assert torch.equal(right(trained, margin, labels), right(trained, same, labels))
    cold = attacks.temperature_pgd(trained, x, labels, 1e-4, **HOW, start=start)
    assert torch.equal(right(trained, cold, labels), right(trained, margin, labels))
    slopes = [safe_gradient(trained, labels, temperature=t)(x).flatten(1) for t in TEMPERATURES]
    limit = pixel_gradient(trained, labels, loss="margin")(x).flatten(1)
    cosines = [float(F.cosine_similarity(slope, limit).mean()) for slope in slopes]
    assert cosines == sorted(cosines) and cosines[0] < 0.9 and cosines[-1] > 0.999


@pytest.mark.slow
def test_logits_times_a_thousand_stop_the_plain_form_alone(trained, some, start):
    x, labels, start = some[0][:60], some[1][:60], start[:60]
    loud = Scaled(trained, 1000.0)
    margin = right(trained, attacks.margin_pgd(trained, x, labels, **HOW, start=start), labels)
    for temperature in TEMPERATURES:
        usual = attacks.temperature_pgd(trained, x, labels, temperature, **HOW, start=start)
        warmed = attacks.temperature_pgd(loud, x, labels, 1000 * temperature, **HOW, start=start)
        same = right(trained, usual, labels) == right(trained, warmed, labels)
        assert same.float().mean() > 0.98  # the same attack, up to rounding
        # at the same T it is T / 1,000 along the path: the margin's attack, at full strength
        cold = attacks.temperature_pgd(loud, x, labels, temperature, **HOW, start=start)
        if temperature <= 1:
            assert (right(trained, cold, labels) == margin).float().mean() > 0.98
        stopped = attacks.temperature_pgd(loud, x, labels, temperature, **HOW, form="plain", start=start)
        assert right(trained, stopped, labels).sum() > right(trained, cold, labels).sum() + 10
    assert (plain_gradient(loud, labels)(x).flatten(1) == 0).all(1).float().mean() > 0.9
    assert not (safe_gradient(loud, labels)(x).flatten(1) == 0).all(1).any()


def test_in_doubles_the_plain_form_goes_where_the_safe_one_goes():
    logits = torch.randn(50, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(50) % 7
    for temperature in TEMPERATURES:
        z = logits.clone().requires_grad_()
        (direction,) = torch.autograd.grad(plain(z, labels, temperature).sum(), z)
        wrong = logits.masked_fill(F.one_hot(labels, 7).bool(), -torch.inf)
        mix = (wrong / temperature).softmax(1) - F.one_hot(labels, 7)
        # beyond a lead of 37 T the correct class's own part of the gradient is 0 in doubles, too
        lead = logits.gather(1, labels[:, None])[:, 0] - wrong.amax(1)
        seen = lead < 20 * temperature
        found = F.normalize(direction[seen], dim=1, eps=0)
        assert seen.sum() > 20 and (found * F.normalize(mix[seen], dim=1)).sum(1).min() > 1 - 1e-6


@pytest.mark.parametrize("form", ["safe", "plain"])
def test_it_stays_in_the_ball_and_without_a_radius_changes_nothing(form, trained, some, start):
    x, labels = some[0][:20], some[1][:20]
    before = x.clone()
    found = attacks.temperature_pgd(trained, x, labels, 0.2, **HOW, form=form, start=start[:20])
    assert ((found - x).abs() <= RADIUS + 1e-6).all() and found.min() >= 0 and found.max() <= 1
    assert torch.equal(x, before) and not torch.equal(found, x)
    kept = attacks.temperature_pgd(trained, x, labels, epsilon=0.0, step_size=STEP, steps=3, form=form)
    assert torch.equal(kept, x)


def test_starts_are_one_point_for_a_seed(some):
    draws = [attacks.random_start(some[0], RADIUS, torch.Generator().manual_seed(n)) for n in (3, 3, 4)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert ((draws[0] - some[0]).abs() <= RADIUS + 1e-6).all() and draws[0].min() >= 0 and draws[0].max() <= 1


def test_two_classes_have_one_wrong_one_at_every_temperature():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2, bias=False))
    x, labels = torch.rand(6, 3, 2, 2), torch.arange(6) % 2
    margin = attacks.margin_pgd(network, x, labels, steps=3)
    for temperature in (10.0, 1.0, 0.02):
        found = attacks.temperature_pgd(network, x, labels, temperature, steps=3)
        torch.testing.assert_close(found, margin)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"form": "fast"}, "unknown form 'fast'; known: plain, safe"),
        ({"temperature": 0.0}, "temperature must be above 0, got 0; its limit is margin_pgd"),
        ({"temperature": float("nan")}, "temperature"),
        ({"epsilon": -1.0, "form": "plain"}, "epsilon"),
        ({"steps": 1.5, "form": "plain"}, "steps must be a whole number"),
    ],
)
def test_what_cannot_be_meant_is_one_line(given, said, trained, some):
    with pytest.raises(InputError, match=said):
        attacks.temperature_pgd(trained, some[0][:2], some[1][:2], **given)
