"""Attacks: inside their ball, right to the bit where that can be said, as strong as a reference, and not
fooled by the scale of the logits.
"""

import math

import numpy as np
import pytest
import torch
from torch import nn

from lib import attacks, data, gradients, models, runs
from lib.attacks.gradient import pixel_gradient
from lib.attacks.losses import LOSSES, relative
from lib.attacks.losses import margin as losses_margin
from lib.attacks.losses import tempered as losses_tempered
from lib.attacks.norms import L2, NORMS, Linf
from lib.base.errors import InputError
from lib.models.activations import still
from lib.training.training import Training


class Times(nn.Module):
    """A network with all logits multiplied."""

    def __init__(self, network: nn.Module, factor: float) -> None:
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, x):
        return self.network(x) * self.factor


def linear(weights: list[list[float]]) -> nn.Module:
    """Logits that are linear in the six values of a (3, 1, 2) image."""
    layer = nn.Linear(6, len(weights), bias=False).requires_grad_(False)
    layer.weight.copy_(torch.tensor(weights))
    return nn.Sequential(nn.Flatten(), layer).eval()


@torch.no_grad()
def accuracy(network, x, labels) -> float:
    return float((network(x).argmax(1) == labels).float().mean())


def length(change: torch.Tensor, norm: str) -> torch.Tensor:
    flat = change.double().flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


# ---- by hand -----------------------------------------------------------------------------------------------


def test_fgsm_by_hand():
    network = linear([[1.0, -1.0, 0.0, 0.5, 2.0, 0.0], [0.0] * 6])
    x = torch.tensor([0.5, 0.5, 0.5, 0.95, 0.02, 0.5]).view(1, 3, 1, 2)
    # the cross-entropy of class 0 falls along its weights: against them, clipped to [0, 1]; where the weight
    # is 0 nothing moves
    expected = torch.tensor([0.4, 0.6, 0.5, 0.85, 0.0, 0.5]).view(1, 3, 1, 2)
    assert torch.allclose(attacks.fgsm(network, x, torch.tensor([0]), 0.1), expected, atol=1e-7)
    other = torch.tensor([0.6, 0.4, 0.5, 1.0, 0.12, 0.5]).view(1, 3, 1, 2)
    assert torch.allclose(attacks.fgsm(network, x, torch.tensor([1]), 0.1), other, atol=1e-7)


def test_l2_steps_along_the_gradient_by_hand():
    network = linear([[3.0, 0.0, 0.0, 0.0, 4.0, 0.0], [0.0] * 6])
    x = torch.full((1, 3, 1, 2), 0.5)
    once = attacks.pgd(network, x, torch.tensor([0]), epsilon=1.0, step_size=0.1, steps=1, norm="l2")
    assert torch.allclose((once - x).flatten(), torch.tensor([-0.06, 0, 0, 0, -0.08, 0]), atol=1e-6)
    held = attacks.pgd(network, x, torch.tensor([0]), epsilon=0.25, step_size=0.1, steps=10, norm="l2")
    assert torch.allclose((held - x).flatten(), torch.tensor([-0.15, 0, 0, 0, -0.2, 0]), atol=1e-6)


def test_losses_by_hand():
    logits, labels = torch.tensor([[2.0, 0.0, 1.0], [0.0, 0.0, 5.0]]).double(), torch.tensor([0, 1])
    assert losses_margin(logits, labels, 1.0).tolist() == [-1.0, 5.0]
    log = math.log
    expected = [log(1 + math.e) - 2, log(1 + math.exp(5))]
    assert losses_tempered(logits, labels, 1.0).tolist() == pytest.approx(expected)
    tempered = [0.5 * log(1 + math.exp(2)) - 2, 0.5 * log(1 + math.exp(10))]
    assert losses_tempered(logits, labels, 0.5).tolist() == pytest.approx(tempered)
    spread = logits.std(1, correction=0)
    by_image = [
        float(losses_tempered(logits[i : i + 1], labels[i : i + 1], float(0.5 * spread[i]))) for i in range(2)
    ]
    assert relative(logits, labels, 0.5).tolist() == pytest.approx(by_image)
    assert relative(torch.zeros(1, 3), labels[:1], 1.0).isfinite().all()  # no spread to count in


def test_temperature_joins_cross_entropy_and_margin(trained, some):
    x, labels = (part[:20] for part in some)
    trained.double()
    try:
        slope = {}
        for loss, temperature in (
            ("cross-entropy", 1.0),
            ("margin", 1.0),
            ("logit-temperature", 1.0),
            ("logit-temperature", 1e-3),
            ("temperature", 1e-4),
        ):
            with still(trained):
                slope[loss, temperature] = pixel_gradient(
                    trained, labels, loss=loss, temperature=temperature
                )(x.double())
    finally:
        trained.float()

    def cosine(one, two):
        return torch.cosine_similarity(slope[one].flatten(1), slope[two].flatten(1))

    assert cosine(("cross-entropy", 1.0), ("logit-temperature", 1.0)).min() > 1 - 1e-9
    assert cosine(("margin", 1.0), ("logit-temperature", 1e-3)).median() > 1 - 1e-9
    assert cosine(("margin", 1.0), ("temperature", 1e-4)).median() > 1 - 1e-9


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_finite_differences(loss, some):
    x, labels = some[0][:3].double(), some[1][:3]
    torch.manual_seed(0)
    net = models.build("resnet8", 10, seed=1).double().eval()

    def total(pixels):
        logits = net(pixels)
        if loss == "temperature":  # the spread that T is counted in does not take part in the gradient
            return losses_tempered(logits, labels, 0.7 * net(x).std(1, correction=0)).sum()
        return LOSSES[loss](logits, labels, 0.7).sum()

    with torch.no_grad(), still(net):
        slope = pixel_gradient(net, labels, loss=loss, temperature=0.7)(x)
        for _ in range(5):
            direction = torch.randn_like(x)
            step = 1e-7
            measured = (total(x + step * direction) - total(x - step * direction)) / (2 * step)
            assert float((slope * direction).sum()) == pytest.approx(float(measured), rel=1e-4)


# ---- the ball ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("random_start", [False, True])
def test_every_iterate_is_in_the_ball_and_in_the_box(trained, some, norm, loss, random_start):
    x, labels = (part[:16] for part in some)
    epsilon = 0.03 if norm == "linf" else 0.5
    how = {
        "epsilon": epsilon,
        "step_size": epsilon / 3,
        "steps": 5,
        "norm": norm,
        "loss": loss,
        "random_start": random_start,
    }
    before = x.clone()
    path = list(attacks.pgd_path(trained, x, labels, **how))
    assert len(path) == 6 and torch.equal(x, before)
    for found in path:
        assert found.dtype == x.dtype and found.shape == x.shape and not found.requires_grad
        assert found.min() >= 0 and found.max() <= 1
        assert length(found - x, norm).max() <= epsilon * (1 + 1e-5) + 1e-7
    assert torch.equal(path[0], x) != random_start
    assert length(path[-1] - x, norm).max() > 0.9 * epsilon


def test_epsilon_zero_changes_nothing(trained, some):
    x, labels = some
    assert torch.equal(attacks.fgsm(trained, x, labels, 0.0), x)
    for norm in NORMS:
        found = attacks.pgd(trained, x[:10], labels[:10], epsilon=0.0, steps=3, norm=norm, random_start=True)
        assert torch.equal(found, x[:10])
    assert torch.equal(attacks.pgd(trained, x[:10], labels[:10], steps=0), x[:10])


def test_the_random_start_is_uniform_in_the_ball():
    x = torch.full((4000, 3, 1, 1), 0.5, dtype=torch.float64)
    flat = Linf.drawn(x, torch.Generator().manual_seed(0)).flatten(1)
    assert flat.abs().max() <= 1 and flat.mean().abs() < 0.02 and flat.var() == pytest.approx(1 / 3, rel=0.03)
    radius = L2.drawn(x, torch.Generator().manual_seed(0)).flatten(1).norm(dim=1)
    # in three dimensions, the cube of the radius of a uniform point is uniform
    assert radius.max() <= 1 and radius.pow(3).mean() == pytest.approx(0.5, abs=0.02)


def test_the_same_generator_gives_the_same_attack(trained, some):
    x, labels = (part[:8] for part in some)
    one, two, three = (
        attacks.pgd(
            trained, x, labels, steps=2, random_start=True, generator=torch.Generator().manual_seed(seed)
        )
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, two) and not torch.equal(one, three)
    torch.manual_seed(0)
    again = [attacks.pgd(trained, x, labels, steps=0, random_start=True) for _ in range(2)]
    assert not torch.equal(*again)  # restarts differ
    torch.manual_seed(0)
    assert torch.equal(attacks.pgd(trained, x, labels, steps=0, random_start=True), again[0])


@pytest.mark.slow
def test_accuracy_falls_with_epsilon_and_with_nested_iterations(trained, some):
    x, labels = some
    ladder = [
        accuracy(trained, found, labels)
        for found in attacks.fgsm_grid(trained, x, labels, [0, 4 / 255, 8 / 255, 16 / 255])
    ]
    assert ladder == sorted(ladder, reverse=True) and ladder[-1] < 0.3 < ladder[0]
    radii = (0, 2 / 255, 4 / 255, 8 / 255, 16 / 255)
    by_radius = [
        accuracy(trained, attacks.pgd(trained, x, labels, epsilon=e, step_size=e / 4, steps=15), labels)
        for e in radii
    ]
    assert by_radius == sorted(by_radius, reverse=True) and by_radius[-1] < 0.05
    path = [
        accuracy(trained, found, labels)
        for found in attacks.pgd_path(trained, x, labels, epsilon=16 / 255, step_size=2 / 255, steps=8)
    ]
    assert path == sorted(path, reverse=True) and path[-1] < path[0] - 0.5


def test_an_attack_goes_on_from_where_it_was(trained, some):
    x, labels = (part[:16] for part in some)
    how = {"epsilon": 8 / 255, "step_size": 2 / 255}
    whole = list(attacks.pgd_path(trained, x, labels, steps=6, **how))
    rest = list(attacks.pgd_path(trained, x, labels, steps=3, start=whole[3], **how))
    assert torch.equal(rest[-1], whole[-1])


# ---- networks are left alone -------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", [None, "float32", "bfloat16"])
def test_a_network_in_training_mode_is_attacked_in_evaluation_mode_and_left_as_it_was(
    trained, some, precision
):
    x, labels = (part[:16] for part in some)
    expected = attacks.pgd(trained, x, labels, steps=3, precision=precision)
    state = {name: value.clone() for name, value in trained.state_dict().items()}
    trained.train()
    trained.bn1.eval()
    trained.conv1.weight.requires_grad_(False)
    asking = {name: parameter.requires_grad for name, parameter in trained.named_parameters()}
    try:
        found = attacks.pgd(trained, x, labels, steps=3, precision=precision)
        direct = attacks.fgsm(trained, x, labels)
        assert torch.equal(found, expected)
        assert trained.training and not trained.bn1.training and trained.layer1.training
        assert {name: parameter.requires_grad for name, parameter in trained.named_parameters()} == asking
        assert all(parameter.grad is None for parameter in trained.parameters())
        assert all(torch.equal(value, state[name]) for name, value in trained.state_dict().items())
    finally:
        trained.eval().requires_grad_(True)
    assert torch.equal(direct, attacks.fgsm(trained, x, labels))


def test_modes_are_restored_when_an_attack_fails(some):
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, x):
            raise RuntimeError("out of memory")

    broken = Broken()
    with pytest.raises(RuntimeError, match="out of memory"):
        attacks.pgd(broken, *(part[:2] for part in some), steps=1)
    assert broken.training and broken.weight.requires_grad


def test_attacks_work_inside_no_grad_and_on_plain_functions(trained, some):
    x, labels = (part[:6] for part in some)
    with torch.no_grad():
        inside = attacks.pgd(trained, x, labels, steps=2, precision=None)
    with torch.inference_mode():
        assert attacks.fgsm(trained, x.clone(), labels).shape == x.shape
        for precision in (None, "float32", "bfloat16"):
            assert (
                attacks.pgd(trained, x.clone(), labels.clone(), steps=2, precision=precision).shape == x.shape
            )
        assert gradients.jacobian_norms(trained, x.clone()).shape == (6,)
    assert torch.equal(inside, attacks.pgd(lambda pixels: trained(pixels), x, labels, steps=2))


# ---- against references ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_fgsm_is_foolboxs_pixel_by_pixel(trained, some):
    foolbox = pytest.importorskip("foolbox")
    x, labels = some
    model = foolbox.PyTorchModel(trained, bounds=(0, 1), device="cpu")
    for epsilon in (0.5 / 255, 8 / 255, 0.2):
        _, theirs, _ = foolbox.attacks.FGSM(random_start=False)(model, x, labels, epsilons=epsilon)
        assert torch.equal(attacks.fgsm(trained, x, labels, epsilon), theirs)


@pytest.mark.slow
@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 4 / 255), ("l2", 0.8)])
@pytest.mark.parametrize("precision", [None, "float32"])
def test_pgd_is_as_strong_as_foolboxs(trained, norm, epsilon, precision):
    foolbox = pytest.importorskip("foolbox")
    test = data.load("digits", "test")[:200]
    x, labels = models.to_unit(test.pixels), test.labels
    kind = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}[norm]
    attack = kind(abs_stepsize=epsilon / 4, steps=10, random_start=False)
    _, theirs, _ = attack(
        foolbox.PyTorchModel(trained, bounds=(0, 1), device="cpu"), x, labels, epsilons=epsilon
    )
    ours = attacks.pgd(
        trained, x, labels, epsilon=epsilon, step_size=epsilon / 4, steps=10, norm=norm, precision=precision
    )
    assert 0.02 < accuracy(trained, ours, labels) < 0.98  # the comparison says something
    assert abs(accuracy(trained, ours, labels) - accuracy(trained, theirs, labels)) <= 0.005
    if precision is None:
        # the same steps; where a ReLU's input is 0 but for rounding, two ways of rounding part
        assert (ours - theirs).abs().gt(1e-5).double().mean() < 0.02


def test_torchattacks_agrees(trained):
    torchattacks = pytest.importorskip("torchattacks")
    test = data.load("digits", "test")[:200]
    x, labels = models.to_unit(test.pixels), test.labels
    assert torch.equal(
        attacks.fgsm(trained, x, labels, 8 / 255), torchattacks.FGSM(trained, eps=8 / 255)(x, labels)
    )
    theirs = torchattacks.PGD(trained, eps=4 / 255, alpha=1 / 255, steps=8, random_start=False)(x, labels)
    ours = attacks.pgd(trained, x, labels, 4 / 255, 1 / 255, 8)
    assert abs(accuracy(trained, ours, labels) - accuracy(trained, theirs, labels)) <= 0.005
    theirs = torchattacks.PGDL2(trained, eps=0.8, alpha=0.2, steps=8, random_start=False)(x, labels)
    ours = attacks.pgd(trained, x, labels, 0.8, 0.2, 8, norm="l2")
    assert abs(accuracy(trained, ours, labels) - accuracy(trained, theirs, labels)) <= 0.005


@pytest.mark.slow
def test_lower_precision_breaks_as_many(some):
    test = data.load("digits", "test")
    x, labels = models.to_unit(test.pixels), test.labels
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUNS_DIR", raising=False)
        networks = [runs.load(Training("digits", "resnet8", alpha, 0, "fast")) for alpha in (-2.0, 2.0)]
    for net in networks:
        found = [
            accuracy(
                net,
                attacks.pgd(net, x, labels, epsilon=4 / 255, step_size=1 / 255, steps=6, precision=p),
                labels,
            )
            for p in ("float32", "bfloat16")
        ]
        assert abs(found[0] - found[1]) <= 0.015  # of 500 images
        assert 0.05 < found[0] < 0.95


# ---- the scale of the logits -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [4 / 255, 8 / 255])
def test_multiplied_logits_fool_the_cross_entropy_and_nothing_else(trained, epsilon):
    test = data.load("digits", "test")[:200]
    x, labels = models.to_unit(test.pixels), test.labels
    sure = Times(trained, 1000.0).eval()
    how = {"epsilon": epsilon, "step_size": epsilon / 4, "steps": 8}

    def robust(net, **loss) -> float:
        return accuracy(trained, attacks.pgd(net, x, labels, **how, **loss), labels)

    for temperature in (0.01, 0.25, 10.0):
        loss = {"loss": "temperature", "temperature": temperature}
        assert abs(robust(sure, **loss) - robust(trained, **loss)) <= 0.002
    assert abs(robust(sure, loss="margin") - robust(trained, loss="margin")) <= 0.002
    fooled = robust(sure)
    assert fooled > robust(trained) + 0.05  # false robustness
    # T in logits: the scale changes what T means, but nothing underflows
    assert robust(sure, loss="logit-temperature", temperature=1.0) < fooled - 0.05


def test_a_certain_network_has_no_slope_to_follow(some):
    """Float32: a softmax of exactly 1 leaves the cross-entropy flat; the margin is not."""
    x, labels = torch.full((2, 3, 1, 2), 0.5), torch.tensor([0, 0])
    network = linear([[1000.0] * 6, [-1000.0] * 6])
    assert torch.equal(attacks.pgd(network, x, labels, steps=3), x)
    assert (attacks.pgd(network, x, labels, steps=3, loss="margin") < x).all()


def test_no_temperature_leaves_the_range_of_float32(trained, some):
    x, labels = (part[:8] for part in some)
    how = {"epsilon": 4 / 255, "step_size": 1 / 255, "steps": 3, "precision": None}
    margin = attacks.pgd(trained, x, labels, loss="margin", **how)
    for loss in ("temperature", "logit-temperature"):
        assert torch.equal(attacks.pgd(trained, x, labels, loss=loss, temperature=1e-42, **how), margin)
        assert (attacks.pgd(trained, x, labels, loss=loss, temperature=1e30, **how) != x).any()
    assert (attacks.pgd(trained, x, labels, norm="l2", epsilon=1e25, step_size=1e25, steps=1) != x).any()


# ---- bad input ---------------------------------------------------------------------------------------------

X, Y = torch.full((2, 3, 4, 4), 0.5), torch.tensor([0, 1])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"epsilon": -0.1}, "epsilon must be a finite number >= 0, got -0.1"),
        ({"epsilon": float("nan")}, "epsilon must be a finite number"),
        ({"epsilon": "8/255"}, "epsilon must be a finite number >= 0, got '8/255'"),
        ({"step_size": -1.0}, "step_size must be a finite number >= 0, got -1.0"),
        ({"steps": -1}, "steps must be a whole number >= 0, got -1"),
        ({"steps": 2.0}, "steps must be a whole number >= 0, got 2.0"),
        ({"norm": "l1"}, "unknown norm 'l1'; known: l2, linf"),
        ({"loss": "ce"}, "unknown loss 'ce'; known: cross-entropy, logit-temperature, margin, temperature"),
        ({"temperature": 0.0}, "temperature must be above 0, got 0"),
        ({"temperature": -1.0}, "temperature must be a finite number >= 0, got -1.0"),
        ({"precision": "float16"}, "unknown precision 'float16'; known: bfloat16, float32"),
        ({"generator": torch.Generator()}, "pass random_start=True"),
        (
            {"pixels": (X * 255).to(torch.uint8)},
            "images must be float32 or float64, .* got torch.uint8 of shape .*to_unit",
        ),
        ({"pixels": X.long()}, "images must be float32 or float64, .* got torch.int64"),
        ({"pixels": X.half()}, "images must be float32 or float64, .* got torch.float16"),
        ({"pixels": X[0]}, "got torch.float32 of shape \\(3, 4, 4\\)"),
        ({"pixels": X * 255}, "images must lie in \\[0, 1\\], got \\[127.5, 127.5\\]"),
        ({"pixels": X - 0.6}, "images must lie in \\[0, 1\\], got \\[-0.1"),
        (
            {"pixels": X.masked_fill(torch.eye(4).bool(), float("nan"))},
            "images must lie in \\[0, 1\\], got \\[nan",
        ),
        (
            {"labels": torch.tensor([0])},
            "labels must be int64, one an image, \\(2,\\), got torch.int64 of shape \\(1,\\)",
        ),
        ({"labels": torch.tensor([0.0, 1.0])}, "labels must be int64, one an image"),
        ({"labels": [0, 1]}, "labels must be int64, one an image, \\(2,\\), got list"),
        ({"labels": torch.tensor([0, -1])}, "labels must be >= 0, got -1"),
        ({"labels": torch.tensor([0, 10])}, "labels must be below the network's 10 classes, got 10"),
    ],
)
def test_bad_input_is_one_clear_line(wrong, says):
    network = models.build("resnet8", 10)
    given = {"pixels": X, "labels": Y} | wrong
    with pytest.raises(InputError, match=says):
        attacks.pgd(network, given.pop("pixels"), given.pop("labels"), **{"steps": 1, **given})
    if not set(wrong) - {"epsilon", "pixels", "labels"}:
        given = {"pixels": X, "labels": Y} | wrong
        with pytest.raises(InputError, match=says):
            attacks.fgsm(network, **given)
    assert network.training


def test_numbers_of_other_kinds_are_numbers(trained, some):
    x, labels = (part[:3] for part in some)
    plain = attacks.pgd(trained, x, labels, epsilon=0.5, step_size=0.25, steps=2)
    for kind in (np.float32, np.float64, torch.tensor):
        assert torch.equal(
            attacks.pgd(trained, x, labels, epsilon=kind(0.5), step_size=kind(0.25), steps=np.int64(2)), plain
        )
    assert len(list(attacks.fgsm_grid(trained, x, labels, torch.linspace(0, 0.1, 3)))) == 3


def test_pixels_that_ask_for_gradients_give_images_that_do_not(trained, some):
    x, labels = (part[:3] for part in some)
    asking = x.clone().requires_grad_()
    assert (
        not attacks.fgsm(trained, asking, labels).requires_grad
        and not attacks.pgd(trained, asking, labels, steps=1).requires_grad
    )
    assert asking.grad is None


def test_a_start_must_be_images(trained, some):
    x, labels = (part[:3] for part in some)
    assert {found.dtype for found in attacks.pgd_path(trained, x, labels, start=x.double(), steps=1)} == {
        torch.float32
    }
    for start in (x[:1], x.masked_fill(x == x.max(), float("nan"))):
        with pytest.raises(InputError, match="start must be images of the shape of pixels"):
            next(attacks.pgd_path(trained, x, labels, start=start))
    with pytest.raises(InputError, match="epsilon"):
        attacks.fgsm_grid(trained, x, labels, [-1.0])  # at once, not when it is first read


def test_what_is_no_classifier_is_named():
    with pytest.raises(InputError, match="a network must map images to a tensor of logits, got tuple"):
        attacks.pgd(lambda x: (x, x), X, Y, steps=1)
    for pixels in (X * 255, (X * 255).to(torch.uint8)):
        with pytest.raises(InputError, match="images"):
            gradients.jacobian_norms(models.build("resnet8", 10), pixels)
    with pytest.raises(
        InputError, match=r"a network must map 2 images to logits \(2, classes >= 2\), got \(2, 3, 4, 4\)"
    ):
        attacks.fgsm(nn.Identity(), X, Y)


def test_no_images_are_no_adversarial_images(trained):
    empty = torch.zeros(0, 3, 32, 32)
    assert attacks.fgsm(trained, empty, torch.zeros(0, dtype=torch.int64)).shape == empty.shape
    for norm in NORMS:
        assert (
            attacks.pgd(
                trained, empty, torch.zeros(0, dtype=torch.int64), steps=2, norm=norm, random_start=True
            ).shape
            == empty.shape
        )


def test_a_broken_network_breaks_nothing_else(some):
    """Weights that diverged to NaN: images come back in their ball."""
    network = models.build("resnet8", 10).eval()
    with torch.no_grad():
        network.linear.weight.fill_(float("nan"))
    x, labels = (part[:4] for part in some)
    assert torch.equal(attacks.pgd(network, x, labels, steps=2), x)
