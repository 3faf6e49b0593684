"""Certificates: sound, equal to independent computations, and refused where there is nothing to certify."""

import copy
import doctest
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import attacks, certificates, models, runs
from lib.base.errors import InputError
from lib.certificates import losses, reading, verify
from lib.certificates.halfwidth import propagate
from lib.certificates.interval import Box, ball, boxes
from lib.certificates.linear import lower_bounds, relaxations
from lib.certificates.reading import read
from lib.certificates.relaxation import RULES, half_width, lines
from lib.training.training import Training

CLASSES = 4
METHODS = tuple(certificates.METHODS)

# ---- small networks ----------------------------------------------------------------------------------------


class Residual(nn.Module):
    """Normalisation, batch norm behind convolutions, two residual blocks (one that pads its channels), average
    pooling: everything that our residual networks are made of, on 6 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.45, dtype=torch.float32))
        self.register_buffer("std", torch.tensor([0.2, 0.25, 0.3], dtype=torch.float32).view(1, 3, 1, 1))
        self.conv1, self.bn1, self.relu1 = (
            nn.Conv2d(3, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
        )
        self.conv2, self.bn2, self.relu2 = (
            nn.Conv2d(4, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
        )
        self.conv3, self.relu3 = nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()
        self.conv4, self.bn4, self.relu4 = nn.Conv2d(4, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU()
        self.linear = nn.Linear(6, CLASSES)

    def shortcut(self, h: Tensor) -> Tensor:
        return F.pad(h[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        h = self.relu1(self.bn1(self.conv1((pixels - self.mean) / self.std)))
        h = self.relu3(self.conv3(self.relu2(self.bn2(self.conv2(h)))) + h)
        skipped = self.shortcut(h)
        return self.linear(F.adaptive_avg_pool2d(self.relu4(self.bn4(self.conv4(h)) + skipped), 1).flatten(1))


def dense() -> nn.Module:
    """Three layers of 16 units."""
    sizes = [nn.Linear(108, 16), nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, CLASSES)]
    return nn.Sequential(nn.Flatten(), *[one for layer in sizes for one in (layer, nn.ReLU())][:-1])


def convolutional() -> nn.Module:
    """Two convolutions, average pooling, two linear layers."""
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, 2, 1),
        nn.ReLU(),
        nn.ZeroPad2d((1, 0, 1, 0)),
        nn.Conv2d(5, 6, 2),
        nn.ReLU(),
        nn.AvgPool2d(3),
        nn.Flatten(),
        nn.Linear(6, 8),
        nn.ReLU(),
        nn.Linear(8, CLASSES),
    )


KINDS: dict[str, Callable[[], nn.Module]] = {
    "dense": dense,
    "convolutional": convolutional,
    "residual": Residual,
}


def drawn(kind: str, seed: int) -> nn.Module:
    """A network of a kind with random weights, biases and statistics, in evaluation mode."""
    network, generator = KINDS[kind](), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                width = (2 / layer.weight[0].numel()) ** 0.5
                layer.weight.copy_(
                    torch.randn(layer.weight.shape, generator=generator, dtype=torch.float32) * width
                )
                if layer.bias is not None:
                    layer.bias.copy_(
                        torch.randn(layer.bias.shape, generator=generator, dtype=torch.float32) * 0.3
                    )
            elif isinstance(layer, nn.BatchNorm2d):
                for one in (layer.weight, layer.running_var):
                    one.copy_(torch.rand(one.shape, generator=generator, dtype=torch.float32) + 0.5)
                for one in (layer.bias, layer.running_mean):
                    one.copy_(torch.randn(one.shape, generator=generator, dtype=torch.float32) * 0.3)
    return network.eval()


def images(n: int, seed: int = 0, side: int = 6) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def linear_bounds(network: nn.Module, pixels: Tensor, epsilon: float, rule: str) -> tuple[Tensor, Tensor]:
    """Lower and upper bounds of the logits by linear bounds."""
    with torch.no_grad():
        steps, found = read(network), boxes(read(network), ball(pixels, epsilon))
        relaxed = relaxations(steps, found, rule)
        every = torch.eye(found[-1].centre.shape[1], dtype=pixels.dtype).expand(len(pixels), -1, -1)
        return (
            lower_bounds(steps, len(steps.steps), every, found, relaxed),
            -lower_bounds(steps, len(steps.steps), -every, found, relaxed),
        )


# ---- soundness ---------------------------------------------------------------------------------------------


def points(network: nn.Module, image: Tensor, epsilon: float, seed: int) -> Tensor:
    """10,000 images within epsilon of one image: drawn from the box and from its corners, the two extreme
    corners, those to which the gradient of each logit points, and PGD's, which pulls every class down."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.rand(5000, *image.shape[1:], generator=generator) * 2 - 1
    corners = torch.randint(2, (2990, *image.shape[1:]), generator=generator) * 2 - 1
    ends = torch.ones(2, *image.shape[1:]) * torch.tensor([-1, 1]).view(2, 1, 1, 1)
    x = image.expand(CLASSES, -1, -1, -1).clone().requires_grad_()
    with torch.enable_grad():
        slopes = torch.autograd.grad(network(x).trace(), x)[0].sign()
    random = (image + epsilon * torch.cat([spread, corners, ends, slopes, -slopes])).clamp(0, 1)
    labels = torch.arange(200) % CLASSES
    path = attacks.pgd_path(
        network,
        image.expand(200, -1, -1, -1),
        labels,
        epsilon=epsilon,
        step_size=epsilon / 2,
        steps=9,
        loss="margin",
        random_start=True,
        generator=generator,
    )
    return torch.cat([random, *path])


def escapes(bounds: tuple[Tensor, Tensor], values: Tensor) -> bool:
    """Whether any of many values (m, k) leaves the bounds (1, k)."""
    lower, upper = bounds
    return bool(((values < lower) | (values > upper)).any())


def cut(bounds: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Bounds that are narrower by one hundredth."""
    lower, upper = bounds
    return lower + (upper - lower) / 200, upper - (upper - lower) / 200


PARTS = [
    range(8),
    *(pytest.param(range(start, start + 24), marks=pytest.mark.slow) for start in range(8, 200, 24)),
]


@pytest.mark.parametrize("seeds", PARTS, ids=lambda seeds: f"from-{seeds.start}")
def test_no_image_of_a_box_leaves_its_bounds(seeds):
    """200 networks in all, with 10,000 points each, in float32; margins of every method and rule."""
    for seed in seeds:
        kind = tuple(KINDS)[seed % 3]
        network, image = drawn(kind, seed), images(1, seed)
        epsilon = (0.001, 0.01, 0.03, 0.1, 0.3)[seed % 5]
        some = points(network, image, epsilon, seed)
        assert len(some) == 10_000
        with torch.no_grad():
            logits = network(some)
        assert not escapes(certificates.interval_bounds(network, image, epsilon), logits), (kind, seed)
        label = torch.tensor([seed % CLASSES])
        least = (logits[:, label] - logits).amin(0, keepdim=True)
        least[0, label] = math.inf
        # the residual network's many units are taken by one rule each
        rules = (RULES[seed % 9 // 3],) if kind == "residual" else RULES
        for method in ("interval", *rules):
            bound = certificates.margins(network, image, label, epsilon, method)
            assert (bound <= least).all(), (kind, seed, method)
            assert (bound < math.inf).sum() == CLASSES - 1


def monotone(kind: str, seed: int) -> nn.Module:
    """A network that no weight of which is negative, so that its logits are largest in one corner."""
    network = drawn(kind, seed)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
                layer.weight.abs_()
    return network


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_that_are_cut_by_a_hundredth_are_caught(kind):
    """Interval bounds of monotone networks are exact, so one percent less must be noticed; likewise linear
    bounds of networks none of whose units changes sign in so small a box."""
    for seed in range(8):
        network, image = monotone(kind, seed), images(1, seed)
        with torch.no_grad():
            logits = network(points(network, image, 0.05, seed))
        bounds = certificates.interval_bounds(network, image, 0.05)
        assert not escapes(bounds, logits) and escapes(cut(bounds), logits)
    for seed, rule in enumerate(RULES):
        network, image = drawn(kind, seed).double(), images(1, seed).double()
        with torch.no_grad():
            logits = network(points(network, image, 1e-6, seed))
        bounds = linear_bounds(network, image, 1e-6, rule)
        assert not escapes(bounds, logits) and escapes(cut(bounds), logits)


@pytest.mark.slow
def test_no_rounding_leaves_the_bounds():
    """At small epsilon rounding is all there is: float32 logits stay inside bounds computed in float32."""
    for seed in range(60):
        network, some = drawn(tuple(KINDS)[seed % 3], seed), images(50, seed)
        for epsilon in (0.0, 1e-8, 1e-6):
            lower, upper = certificates.interval_bounds(network, some, epsilon)
            with torch.no_grad():
                for one in (some, (some - epsilon).clamp(min=0), (some + epsilon).clamp(max=1)):
                    logits = network(one)
                    assert ((lower <= logits) & (logits <= upper)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_change_the_bounds_are_the_logits(kind):
    network, some = drawn(kind, 1).double(), images(3).double()
    labels = torch.tensor([0, 1, 2])
    with torch.no_grad():
        logits = network(some)
    right = logits.gather(1, labels[:, None])
    others = F.one_hot(labels, CLASSES) == 0
    for bound in certificates.interval_bounds(network, some, 0):
        torch.testing.assert_close(bound, logits, rtol=0, atol=1e-11)
    for method in METHODS:
        margins = certificates.margins(network, some, labels, 0, method)
        torch.testing.assert_close(margins[others], (right - logits)[others], rtol=0, atol=1e-11)
    for rule in RULES:
        value, width = certificates.singleprop(network, some, 0, rule)
        torch.testing.assert_close(value, logits)
        assert not width.any()


def test_bounds_grow_with_epsilon():
    network, some = drawn("residual", 0), images(2)
    widths = []
    for epsilon in (0, 0.01, 0.1, 0.5, 1):
        lower, upper = certificates.interval_bounds(network, some, epsilon)
        widths.append(float((upper - lower).mean()))
    assert widths == sorted(widths) and widths[0] < 1e-2 < widths[1]
    # the box is all of [0, 1] already
    for one, other in zip(
        certificates.interval_bounds(network, some, 1),
        certificates.interval_bounds(network, some, 9),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


# ---- by hand -----------------------------------------------------------------------------------------------


def unit(weights: list, bias: list) -> nn.Linear:
    layer = nn.Linear(len(weights[0]), len(weights))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights, dtype=torch.float))
        layer.bias.copy_(torch.tensor(bias, dtype=torch.float))
    return layer


def test_by_hand():
    """Two pixels x and y in [0.4, 0.6]: units relu(x - y) in [0, 0.2] and relu(x + y) in [0.8, 1.2]."""
    network = nn.Sequential(
        nn.Flatten(), unit([[1, -1], [1, 1]], [0, 0]), nn.ReLU(), unit([[1, 0], [1, 1]], [0, -0.5])
    )
    pixels = torch.full((1, 1, 1, 2), 0.5)
    lower, upper = certificates.interval_bounds(network, pixels, 0.1)
    torch.testing.assert_close(lower, torch.tensor([[0, 0.3]]), atol=1e-3, rtol=0)
    torch.testing.assert_close(upper, torch.tensor([[0.2, 0.9]]), atol=1e-3, rtol=0)
    # logit 1 minus logit 0 is relu(x + y) - 0.5: with the last layer elided 0.3, without it 0.3 - 0.2
    margins = certificates.margins(network, pixels, torch.tensor([1]), 0.1)
    torch.testing.assert_close(margins, torch.tensor([[0.3, math.inf]]), atol=1e-3, rtol=0)
    assert certificates.certified(network, pixels, torch.tensor([1]), 0.1).tolist() == [True]
    assert certificates.certified(network, pixels, torch.tensor([0]), 0.1).tolist() == [False]
    # SingleProp: z = (0, 1) and v = (0.2, 0.2); unstable (z + v) / 2 = 0.1, active 0.2
    value, width = certificates.singleprop(network, pixels, 0.1)
    torch.testing.assert_close(value, torch.tensor([[0, 0.5]]))
    torch.testing.assert_close(width, torch.tensor([[0.1, 0.3]]))
    # fastlin: (z + v) (3 v - z) / (4 v) = 0.15
    assert certificates.singleprop(network, pixels, 0.1, "fastlin")[1].tolist() == [
        [pytest.approx(0.15), pytest.approx(0.35)]
    ]


def test_linear_bounds_by_hand():
    """With one line for relu(x - y) on [-0.2, 0.2], the chord t / 2 + 0.1 above and t / 2, t or 0 below,
    relu(x - y) - (x - y) is bounded as it is by that line."""
    network = nn.Sequential(
        nn.Flatten(), unit([[1, -1], [1, -1]], [0, 5]), nn.ReLU(), unit([[1, -1], [0, 0]], [5, 0])
    )
    pixels = torch.full((1, 1, 1, 2), 0.5)
    wanted = {"fastlin": (-0.1, 0.2), "zero": (-0.2, 0.2), "crown": (-0.2, 0.2)}  # crown takes 0 for u = -l
    for rule, (lowest, highest) in wanted.items():
        lower, upper = linear_bounds(network, pixels, 0.1, rule)
        assert lower[0, 0].item() == pytest.approx(lowest, abs=2e-3)
        assert upper[0, 0].item() == pytest.approx(highest, abs=2e-3)


def test_a_tie_is_no_certificate():
    network = nn.Sequential(nn.Flatten(), unit([[0, 0], [0, 0]], [0, 0]))
    pixels = torch.full((2, 1, 1, 2), 0.5)
    assert not certificates.certified(network, pixels, torch.tensor([0, 1]), 0.0).any()


# ---- ReLU rules --------------------------------------------------------------------------------------------


def pairs() -> tuple[Tensor, Tensor]:
    """Pre-activations and half-widths of units of every kind, with their edges."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2000, generator=generator, dtype=torch.double)
    v = torch.rand(2000, generator=generator, dtype=torch.double) * 2
    edges = torch.tensor([[0, 0], [1, 1], [-1, 1], [0, 1], [1, 0], [-1, 0]], dtype=torch.double)
    return torch.cat([z, edges[:, 0]]), torch.cat([v, edges[:, 1]])


@pytest.mark.parametrize("rule", RULES)
def test_lines_hold_the_relu_between_them(rule):
    z, v = pairs()
    lower, upper = z - v, z + v
    below, above, offset = lines(lower, upper, rule)
    x = lower[:, None] + (upper - lower)[:, None] * torch.linspace(0, 1, 501, dtype=torch.double)
    assert (below[:, None] * x <= x.relu() + 1e-12).all()
    assert (x.relu() <= above[:, None] * x + offset[:, None] + 1e-12).all()
    # the line above is the lowest there is: it meets the ReLU at both ends
    unstable = (lower < 0) & (upper > 0)
    for end in (lower, upper):
        torch.testing.assert_close((above * end + offset)[unstable], end.relu()[unstable])
    assert torch.equal(below[~unstable], ((lower >= 0) & (upper > 0))[~unstable].double())
    slope = {"zero": torch.zeros_like(above), "fastlin": above, "crown": (z > 0).double()}[rule]
    assert torch.equal(below[unstable], slope[unstable])


@pytest.mark.parametrize("rule", RULES)
def test_half_widths_follow_from_the_lines(rule):
    z, v = pairs()
    width = half_width(z, v, rule)
    below, above, offset = lines(z - v, z + v, rule)
    torch.testing.assert_close(width, ((above * (z + v) + offset) - below * (z - v)) / 2)
    assert (width >= 0).all() and (width <= v).all()
    assert not width[z + v <= 0].any() and torch.equal(
        width[z - v >= 0], v[z - v >= 0].where(z[z - v >= 0] + v[z - v >= 0] > 0, 0)
    )


def test_half_width_of_zero_is_that_of_interval_bounds():
    z, v = pairs()
    torch.testing.assert_close(half_width(z, v, "zero"), ((z + v).relu() - (z - v).relu()) / 2)


def test_singleprop_falls_short_of_the_upper_end():
    """By (v - |z|) / 2 under zero, by (v - |z|)^2 / (4 v) under fastlin, and not at all under crown for z > 0:
    why it is no certificate."""
    z, v = pairs()
    unstable = z.abs() < v
    z, v = z[unstable], v[unstable]
    short = {rule: (z + v) - z.relu() - half_width(z, v, rule) for rule in RULES}
    torch.testing.assert_close(short["zero"], (v - z.abs()) / 2)
    torch.testing.assert_close(short["fastlin"], (v - z.abs()) ** 2 / (4 * v))
    assert short["crown"][z > 0].abs().max() < 1e-12 and (short["crown"][z < 0] > 0).all()


def test_half_widths_have_gradients_for_every_unit():
    z, v = (one.clone().requires_grad_() for one in pairs())
    for rule in RULES:
        for gradient in torch.autograd.grad(half_width(z, v, rule).sum(), (z, v)):
            assert gradient.isfinite().all()


def test_singleprop_is_no_certificate():
    """The protocol's pilot: in an untrained small network, no interval of rule zero holds the interval bounds,
    and those of fastlin, three times as wide, all do."""
    network, some = models.build("cnn-small", 10).eval(), images(8, side=32)
    with torch.no_grad():
        steps = read(network)
        found = boxes(steps, Box(some, torch.full_like(some, 0.05)))[-1]
        holds, wide = {}, {}
        for rule in RULES:
            value, width = propagate(steps, some, 0.05, rule)[-1]
            holds[rule] = (
                ((value - width <= found.lower) & (found.upper <= value + width)).double().mean().item()
            )
            wide[rule] = (width.mean() / found.radius.mean()).item()
    assert holds["zero"] == 0 and holds["fastlin"] == 1
    assert 2.3 < wide["fastlin"] < 3.5


# ---- independent computations ------------------------------------------------------------------------------


def matrix(function: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Matrix and bias of an affine function of one image, from what it makes of every unit vector."""
    size = math.prod(shape)
    with torch.no_grad():
        bias = function(torch.zeros(1, *shape, dtype=torch.double)).flatten()
        columns = function(torch.eye(size, dtype=torch.double).view(size, *shape)).flatten(1) - bias
    return columns.T.numpy(), bias.numpy()


def chain(kind: str, seed: int) -> tuple[nn.Module, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """A network, and the same as matrices (W, b, which outputs go through a ReLU); a shortcut is carried along
    by units that go through none."""
    network = drawn(kind, seed).double()
    found, shape = [], (3, 6, 6)

    def add(function: Callable[[Tensor], Tensor], relu: bool) -> None:
        nonlocal shape
        shape_now = tuple(function(torch.zeros(1, *shape, dtype=torch.double)).shape[1:])
        weight, bias = matrix(function, shape)
        found.append((weight, bias, np.full(len(bias), relu)))
        shape = shape_now

    if kind != "residual":
        layers, together = list(network), []
        for layer in [*layers, None]:
            if isinstance(layer, nn.ReLU) or layer is None:
                add(nn.Sequential(*together), layer is not None)
                together = []
            else:
                together.append(layer)
        return network, found

    n = network
    add(lambda x: n.bn1(n.conv1((x - n.mean) / n.std)), True)
    size, shape = math.prod(shape), shape
    main, bias = matrix(lambda x: n.bn2(n.conv2(x)), shape)
    same = np.eye(size)
    found.append((
        np.vstack([main, same]),
        np.concatenate([bias, np.zeros(size)]),
        np.arange(2 * size) < size,
    ))
    main, bias = matrix(n.conv3, shape)
    found.append((np.hstack([main, same]), bias, np.full(size, True)))
    main, bias = matrix(lambda x: n.bn4(n.conv4(x)), shape)
    skip, none = matrix(lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1)), shape)
    size, shape = len(main), (6, 3, 3)
    found.append((np.vstack([main, skip]), np.concatenate([bias, none]), np.full(2 * size, False)))
    found.append((np.hstack([np.eye(size), np.eye(size)]), np.zeros(size), np.full(size, True)))
    add(lambda x: n.linear(x.mean((2, 3))), False)
    return network, found


def plain_interval(layers: list, lower: np.ndarray, upper: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Interval bounds of every layer's pre-activations, by positive and negative weights."""
    found = []
    for weight, bias, relu in layers:
        positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
        lower, upper = positive @ lower + negative @ upper + bias, positive @ upper + negative @ lower + bias
        found.append((lower, upper))
        lower, upper = (np.where(relu, np.maximum(one, 0), one) for one in (lower, upper))
    return found


def plain_linear(
    layers: list, lower: np.ndarray, upper: np.ndarray, rule: str
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the logits, each layer's pre-activations bounded by carrying its rows back to the pixels."""
    known = []
    for depth, (weight, bias, relu) in enumerate(layers):
        ends = []
        for sign in (1, -1):
            rows, constant = sign * weight, sign * bias
            for (before, shift, _), (below, above, offset) in zip(
                reversed(layers[:depth]), reversed(known), strict=True
            ):
                over, under = np.maximum(rows, 0), np.minimum(rows, 0)
                constant = constant + under @ offset
                rows = over * below + under * above
                constant, rows = constant + rows @ shift, rows @ before
            ends.append(sign * (np.maximum(rows, 0) @ lower + np.minimum(rows, 0) @ upper + constant))
        low, high = ends
        unstable = relu & (low < 0) & (high > 0)
        chord = np.where(unstable, high / np.where(unstable, high - low, 1), 1.0 * (~relu | (low >= 0)))
        slope = {"zero": 0 * chord, "fastlin": chord, "crown": 1.0 * (high > -low)}[rule]
        known.append((np.where(unstable, slope, chord), chord, np.where(unstable, -low * chord, 0)))
    return low, high


@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_matrices(kind):
    """Batch norm, shortcuts, padding and pooling, read off the network, against dense matrices in numpy."""
    for seed, epsilon in enumerate((0.003, 0.03, 0.1)):
        network, layers = chain(kind, seed)
        image = images(1, seed).double()
        low, high = (
            (image - epsilon).clamp(0).flatten().numpy(),
            (image + epsilon).clamp(max=1).flatten().numpy(),
        )
        close = {"rtol": 0, "atol": 1e-9}
        plain = plain_interval(layers, low, high)
        bounds = certificates.interval_bounds(network, image, epsilon)
        for mine, theirs in zip(bounds, plain[-1], strict=True):
            np.testing.assert_allclose(mine[0], theirs, **close)
        # the last layer elided: the difference of two rows, on what the layer before puts out
        weight, bias, _ = layers[-1]
        before = [np.maximum(one, 0) for one in plain[-2]]
        rows, shift = weight[2] - weight, bias[2] - bias
        elided = np.maximum(rows, 0) @ before[0] + np.minimum(rows, 0) @ before[1] + shift
        margins = certificates.margins(network, image, torch.tensor([2]), epsilon)[0]
        np.testing.assert_allclose(margins[[0, 1, 3]], elided[[0, 1, 3]], **close)
        for rule in RULES:
            for mine, theirs in zip(
                linear_bounds(network, image, epsilon, rule),
                plain_linear(layers, low, high, rule),
                strict=True,
            ):
                np.testing.assert_allclose(mine[0], theirs, **close)


@pytest.mark.parametrize("kind", KINDS)
def test_singleprop_equal_to_matrices(kind):
    network, layers = chain(kind, 3)
    image = images(1, 3).double()
    for rule in RULES:
        z, v = image.flatten().numpy(), np.full(108, 0.05)
        for weight, bias, relu in layers:
            z, v = weight @ z + bias, np.abs(weight) @ v
            behind = half_width(torch.from_numpy(z), torch.from_numpy(v), rule).numpy()
            last, (z, v) = (z, v), (np.where(relu, np.maximum(z, 0), z), np.where(relu, behind, v))
        value, width = certificates.singleprop(network, image, 0.05, rule)
        np.testing.assert_allclose(value[0], last[0], rtol=0, atol=1e-12)
        np.testing.assert_allclose(width[0], last[1], rtol=0, atol=1e-12)


GOLDEN = json.loads((Path(__file__).parent / "golden_certificates.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "case", GOLDEN, ids=lambda case: f"{case['kind']}-{case['epsilon']}-{case['method']}"
)
def test_equal_to_auto_lirpa(case):
    """What auto_LiRPA gave for these networks; `tests/lirpa.py` says how."""
    network, some = drawn(case["kind"], case["seed"]).double(), images(2, case["seed"]).double()
    bounds = (
        certificates.interval_bounds(network, some, case["epsilon"])
        if case["method"] == "interval"
        else linear_bounds(network, some, case["epsilon"], case["method"])
    )
    for mine, theirs in zip(bounds, case["bounds"], strict=True):
        torch.testing.assert_close(mine, torch.tensor(theirs, dtype=torch.double), rtol=0, atol=1e-7)


# ---- the larger of two -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_larger_of_two():
    """Either can be the larger one, and both together are never below."""
    first = {"interval": 0, "linear": 0}
    for seed in range(12):
        network, some = drawn("dense", seed), images(4, seed)
        labels = torch.arange(4)
        for epsilon in (0.01, 0.3):
            of = {method: certificates.margins(network, some, labels, epsilon, method) for method in METHODS}
            for rule in RULES:
                assert torch.equal(of[f"interval+{rule}"], of["interval"].maximum(of[rule]))
            first["interval"] += int((of["interval"] > of["fastlin"]).sum())
            first["linear"] += int((of["interval"] < of["fastlin"]).sum())
    assert min(first.values()) > 0


@pytest.mark.slow
def test_batches_are_cut_where_they_are_large(monkeypatch):
    network, some, labels = drawn("residual", 0), images(5), torch.arange(5) % CLASSES
    whole = {method: certificates.margins(network, some, labels, 0.02, method) for method in METHODS}
    monkeypatch.setattr("lib.certificates.verify.BUDGET", 700)
    monkeypatch.setattr("lib.certificates.linear.BUDGET", 700)
    for method in ("interval", "crown"):
        parts = certificates.margins(network, some, labels, 0.02, method)
        torch.testing.assert_close(parts, whole[method], rtol=1e-5, atol=1e-5)


# ---- the networks of this project --------------------------------------------------------------------------


def plain_residual(network: nn.Module, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """Interval bounds of a CifarResNet, module by module, batch norm apart, by positive and negative weights."""

    def conv(layer: nn.Conv2d, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        def through(x: Tensor, weight: Tensor) -> Tensor:
            return F.conv2d(x, weight, None, layer.stride, layer.padding)

        positive, negative = layer.weight.clamp(min=0), layer.weight.clamp(max=0)
        return through(low, positive) + through(high, negative), through(high, positive) + through(
            low, negative
        )

    def norm(layer: nn.BatchNorm2d, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        low, high = layer(low), layer(high)
        return torch.minimum(low, high), torch.maximum(low, high)

    both = network.normalize(lower), network.normalize(upper)
    both = tuple(one.relu() for one in norm(network.bn1, *conv(network.conv1, *both)))
    for stage in (network.layer1, network.layer2, network.layer3):
        for block in stage:
            h = tuple(one.relu() for one in norm(block.bn1, *conv(block.conv1, *both)))
            h = norm(block.bn2, *conv(block.conv2, *h))
            both = tuple((one + block.shortcut(skip)).relu() for one, skip in zip(h, both, strict=True))
    low, high = (one.mean((2, 3)) for one in both)
    weight, bias = network.linear.weight, network.linear.bias
    positive, negative = weight.clamp(min=0), weight.clamp(max=0)
    return low @ positive.T + high @ negative.T + bias, high @ positive.T + low @ negative.T + bias


@pytest.fixture(scope="module")
def resnet20() -> nn.Module:
    """A ResNet20 of the α family, trained, from the repository's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUNS_DIR", raising=False)
        return runs.load(Training("cifar10", "resnet20", 0.0, 0, "fast"))


@pytest.mark.slow
def test_a_resnet20_of_the_book(resnet20):
    network, some = copy.deepcopy(resnet20).double(), images(2, side=32).double()
    with torch.no_grad():
        logits = network(some)
        for bound in certificates.interval_bounds(network, some, 0):
            torch.testing.assert_close(bound, logits, rtol=1e-9, atol=1e-9)
        for epsilon in (1e-9, 1e-4):
            box = ball(some, epsilon)
            for mine, theirs in zip(
                certificates.interval_bounds(network, some, epsilon),
                plain_residual(network, box.lower, box.upper),
                strict=True,
            ):
                torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)
    assert len(read(network).relus) == 19
    value, width = certificates.singleprop(network, some, 1 / 255)
    torch.testing.assert_close(value, logits)
    assert (width > 0).all()


@pytest.mark.parametrize("name", ["resnet8", "resnet18", "cnn-small", "cnn-large"])
def test_every_kind_of_network_of_the_book_can_be_read(name):
    network, some = models.build(name, 10).eval(), images(1, side=models.image_side(name))
    lower, upper = certificates.interval_bounds(network, some, 0)
    with torch.no_grad():
        logits = network(some)
    assert (lower <= logits).all() and (logits <= upper).all()
    torch.testing.assert_close(lower, upper, rtol=1e-2, atol=1e-2)
    names = [step.name for step in read(network).steps]
    assert [names[number - 1] for number in read(network).relus] == list(models.relu_layers(network))


@pytest.mark.slow
def test_certified_images_survive_attacks_and_are_classified_correctly(trained, some):
    """Certified implies correct under PGD, which implies correct, image by image on 64 digits."""
    pixels, labels = (one[:64] for one in some)
    sure = {}
    for epsilon in (0, 1e-6, 1e-5, 1e-4, 0.01):
        proof = certificates.certified(trained, pixels, labels, epsilon)
        attacked = attacks.pgd(trained, pixels, labels, epsilon=epsilon, step_size=epsilon / 4, steps=10)
        with torch.no_grad():
            survives = (trained(attacked).argmax(1) == labels) & (trained(pixels).argmax(1) == labels)
            clean = trained(pixels).argmax(1) == labels
        assert (proof <= survives).all() and (survives <= clean).all()
        sure[epsilon] = int(proof.sum())
        if not epsilon:
            assert torch.equal(proof, clean)
    assert sure[0] >= sure[1e-6] >= sure[1e-5] >= sure[1e-4] >= sure[0.01] and sure[1e-6] > sure[0.01] == 0


# ---- what is read ------------------------------------------------------------------------------------------


class Forward(nn.Module):
    """A network whose forward pass is given, with a layer of each kind to call."""

    def __init__(self, forward: Callable) -> None:
        super().__init__()
        self.conv, self.norm, self.linear = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, CLASSES)
        self.wide, self.relu, self.writes = nn.Linear(64, CLASSES), nn.ReLU(), nn.ReLU(inplace=True)
        self.scale = nn.Parameter(torch.tensor([0.5, -2.0, 1.0, 3.0]).view(1, 4, 1, 1))
        self.pool, self.tanh, self.drop = nn.MaxPool2d(2), nn.Tanh(), nn.Dropout(0.5)
        self.circular, self.group = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), nn.GroupNorm(2, 4)
        self.own = nn.BatchNorm2d(4, track_running_stats=False)
        self.drop_in_place = nn.Dropout(0.5, inplace=True)
        self.run = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


READ = {
    "functions": lambda n, x: n.linear(F.relu(n.conv(x)).mean((2, 3))),
    "methods": lambda n, x: n.wide(torch.flatten(n.conv(x).relu(), start_dim=1)),
    "view": lambda n, x: n.wide(n.conv(x).relu().view(x.size(0), -1)),
    "reshape": lambda n, x: n.wide(n.relu(n.conv(x)).reshape((x.shape[0], 64))),
    "norm after the ReLU": lambda n, x: n.linear(n.norm(n.relu(n.conv(x))).mean(dim=(-2, -1))),
    "a convolution used twice": lambda n, x: n.linear((n.norm(n.conv(x)) + n.conv(x)).relu().mean(3).mean(2)),
    "a value used twice": lambda n, x: n.linear((lambda h: n.norm(h) + h)(n.conv(x)).relu().mean((2, 3))),
    "in place": lambda n, x: n.linear(n.writes(n.norm(n.conv(x))).mean((2, 3))),
    "difference of branches": lambda n, x: n.linear(
        (n.conv(x) - n.relu(n.norm(n.conv(x)))).relu().mean((2, 3))
    ),
    "arithmetic": lambda n, x: n.linear(
        F.relu(1 - n.conv(2 * x - 0.5) / n.scale * -0.7 + n.scale).mean((2, 3))
    ),
    "own constants": lambda n, x: n.linear(n.relu(n.conv(x) * n.scale.view(4, 1, 1).abs()).mean((2, 3))),
    "dropout": lambda n, x: n.linear(n.drop(n.relu(n.conv(x))).mean((2, 3))),
    "pools": lambda n, x: n.linear(
        F.adaptive_avg_pool2d(
            F.avg_pool2d(F.pad(n.conv(x), (1, 1, 0, 0), value=0.3).relu(), 2), (1, 1)
        ).flatten(1)
    ),
    "a ReLU of the pixels": lambda n, x: n.linear(n.conv((x - 0.5).relu()).mean((2, 3))),
    "a mean pool that changes the sign": lambda n, x: n.linear(
        F.avg_pool2d(n.conv(x).relu(), 4, divisor_override=-5).flatten(1)
    ),
    "written over and not read again": lambda n, x: n.wide(
        (lambda h: n.writes(h).reshape(h.size(0), 64))(n.conv(x).add_(0.1).sub_(n.scale))
    ),
    "a dropout in place": lambda n, x: n.linear(
        (lambda h: n.drop_in_place(h) + h)(n.conv(x)).relu().mean((2, 3))
    ),
}


def built(name: str, forwards: dict) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Forward(forwards[name])
        nn.init.normal_(network.norm.weight)
        network.norm.running_mean.normal_()
    return network.eval()


@pytest.mark.parametrize("name", READ)
def test_what_can_be_read(name):
    network, image = built(name, READ), images(1)
    some = points(network, image, 0.05, 0)
    with torch.no_grad():
        logits = network(some)
    assert not escapes(certificates.interval_bounds(network, image, 0.05), logits)
    for rule in RULES:
        assert not escapes(linear_bounds(network, image, 0.05, rule), logits)
    torch.testing.assert_close(certificates.singleprop(network, image, 0.05)[0], network(image).detach())


def test_batch_norm_is_folded_where_nothing_else_needs_the_convolution():
    def names(name: str) -> list[str]:
        return [step.name for step in read(built(name, READ)).steps]

    assert names("in place") == ["conv", "writes", "mean", "linear"]
    assert names("a convolution used twice") == ["conv", "conv", "add", "relu", "mean", "mean_1", "linear"]
    assert names("a value used twice") == ["conv", "norm", "add", "relu", "mean", "linear"]


def test_a_reading_follows_the_weights_and_carries_their_gradient():
    network, some = drawn("residual", 0), images(2)
    steps = read(network)
    box = ball(some, 0.02)
    boxes(steps, box)[-1].upper.sum().backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in network.parameters())
    assert network.conv2.weight.grad.abs().sum() > 0
    before = boxes(steps, box)[-1].upper
    with torch.no_grad():
        network.linear.bias += 1
    torch.testing.assert_close(boxes(steps, box)[-1].upper, before + 1)


REFUSED = {
    "max-pool": (
        lambda n, x: n.linear(n.pool(n.conv(x)).mean((2, 3))),
        "the layer 'pool' of the network, MaxPool2d, has no bounds; there are for Conv2d, Linear",
    ),
    "tanh": (
        lambda n, x: n.linear(n.tanh(n.conv(x)).mean((2, 3))),
        "the layer 'tanh' of the network, Tanh, has no bounds",
    ),
    "group norm": (
        lambda n, x: n.linear(n.group(n.conv(x)).mean((2, 3))),
        "the layer 'group' of the network, GroupNorm",
    ),
    "a function": (
        lambda n, x: n.linear(n.conv(x).sigmoid().mean((2, 3))),
        "the layer 'sigmoid' of the network, sigmoid, has no bounds",
    ),
    "softmax": (
        lambda n, x: torch.softmax(n.linear(n.conv(x).mean((2, 3))), 1),
        "the layer 'softmax' of the network, softmax",
    ),
    "circular": (
        lambda n, x: n.linear(n.circular(x).mean((2, 3))),
        r"'circular' of the network, Conv2d, has no bounds \(padding_mode='circular'; only zeros",
    ),
    "reflected": (
        lambda n, x: n.linear(n.conv(F.pad(x, (1, 1), mode="reflect")).mean((2, 3))),
        r"'pad' of the network, pad, has no bounds \(mode='reflect'",
    ),
    "batch statistics": (
        lambda n, x: n.linear(n.own(n.conv(x)).mean((2, 3))),
        r"'own' of the network, BatchNorm2d, has no bounds \(it normalises with the statistics",
    ),
    "product": (
        lambda n, x: n.linear((n.conv(x) * n.conv(x)).mean((2, 3))),
        r"'mul' of the network, mul, has no bounds \(two branches are multiplied",
    ),
    "inverse": (
        lambda n, x: n.linear((1 / n.conv(x)).mean((2, 3))),
        r"'truediv' .*\(a constant is divided by a branch",
    ),
    "mean of a batch": (
        lambda n, x: n.linear(n.conv(x).mean((0, 2, 3), keepdim=True).flatten(1)),
        r"'mean' .*\(it takes the mean over the images of a batch\)",
    ),
    "mean of all": (
        lambda n, x: n.linear(n.conv(x - x.mean()).mean((2, 3))),
        r"'mean' .*\(it takes the mean over the images of a batch\)",
    ),
    "half a batch": (
        lambda n, x: n.linear(n.conv(x)[::2].mean((2, 3))),
        r"'getitem' .*\(it takes images out of a batch",
    ),
    "joined batch": (
        lambda n, x: n.linear(n.conv(x).mean((2, 3)).flatten().view(x.size(0), -1)),
        r"'flatten' .*\(it joins the images of a batch",
    ),
    "reshaped batch": (
        lambda n, x: n.linear(n.conv(x).mean((2, 3)).view(-1, 4)),
        r"'view' .*\(its first length must be that of the batch",
    ),
    "images beside each other": (
        lambda n, x: n.linear(n.conv(x - torch.arange(3.0).view(3, 1, 1, 1)).mean((2, 3))),
        r"\(a constant differs from image to image",
    ),
    "condition": (
        lambda n, x: n.linear(n.conv(x).mean((2, 3))) if x.sum() > 0 else n.linear(n.conv(-x).mean((2, 3))),
        "cannot be read, since what it does depends on the images",
    ),
    "two results": (lambda n, x: (n.conv(x), x), "must put out one tensor of logits"),
    "no images": (
        lambda n, x: n.linear(torch.zeros(3, 4)),
        "the layer 'linear' .*it does not take the images",
    ),
    "no logits": (lambda n, x: n.conv(x), r"must map 3 images to logits \(3, classes\), got \(3, 4, 4, 4\)"),
    "written over": (
        lambda n, x: n.linear((lambda h: n.writes(h) + h)(n.conv(x)).mean((2, 3))),
        r"the layer 'writes' of the network, ReLU, has no bounds \(it writes over a value that is read again",
    ),
    "written over, the result dropped": (
        lambda n, x: n.linear((lambda h: (n.writes(h), h)[1])(n.conv(x)).mean((2, 3))),
        r"the layer 'writes' .*\(it writes over",
    ),
    "written over by a function": (
        lambda n, x: n.linear((lambda h: F.relu(h, True) + h)(n.conv(x)).mean((2, 3))),
        r"the layer 'relu' .*\(it writes over",
    ),
    "written over in a view": (
        lambda n, x: n.linear((lambda h: (h[:, :2].sub_(1), h)[1])(n.conv(x)).mean((2, 3))),
        r"the layer 'sub_' .*\(it writes over",
    ),
    "written into": (
        lambda n, x: n.linear(
            (lambda h, g: (torch.add(h, h, out=g), g)[1])(n.conv(x), n.conv(x)).mean((2, 3))
        ),
        r"the layer 'add' .*\(it writes over",
    ),
    "pixels written over": (
        lambda n, x: n.linear((lambda h: n.conv(h) + n.conv(x))(x.mul_(2)).mean((2, 3))),
        r"the layer 'mul_' .*\(it writes over",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_named_in_one_line(name):
    network = built(name, {name: REFUSED[name][0]})
    for call in (
        lambda: certificates.interval_bounds(network, images(3), 0.1),
        lambda: certificates.singleprop(network, images(3), 0.1),
        lambda: certificates.certified(network, images(3), torch.tensor([0, 1, 2]), 0.1),
    ):
        with pytest.raises(InputError, match=REFUSED[name][1]) as error:
            call()
        assert "\n" not in str(error.value)


def test_a_unit_that_is_cut_off_in_place_is_no_unit_less():
    """Both units are above 0 at the image, so that a reading without the ReLU, whose result nobody takes, gives
    the same logits: 0.05 and 0, certified, where x = 0.9 and x = 0.1 are wrong by 0.25."""

    class Dropped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.relu = unit([[1], [-1]], [-0.4, 0.6]), nn.ReLU(inplace=True)
            self.two = unit([[-1, -1], [0, 0]], [0.25, 0])

        def forward(self, x: Tensor) -> Tensor:
            h = self.one(x.flatten(1))
            self.relu(h)
            return self.two(h)

    network, image, label = Dropped(), torch.full((1, 1, 1, 1), 0.5), torch.tensor([0])
    with torch.no_grad():
        assert network(image).argmax() == 0 and network(image + 0.4).argmax() == 1
    for method in METHODS:
        with pytest.raises(
            InputError, match="the layer 'relu' of the network, ReLU, has no bounds .it writes"
        ):
            certificates.certified(network, image, label, 0.4, method)


def test_a_network_that_writes_over_its_images_changes_none_of_the_callers():
    network = built("writes", {"writes": lambda n, x: n.linear(n.conv(x.sub_(0.5).div_(0.25)).mean((2, 3)))})
    plain = built("plain", {"plain": lambda n, x: n.linear(n.conv((x - 0.5) / 0.25).mean((2, 3)))})
    some, labels = images(5), torch.arange(5) % CLASSES
    with pytest.raises(InputError, match="'div_' of the network"):
        certificates.margins(network, some, labels, 0.01)
    network.run = lambda n, x: n.linear(n.conv(x.sub_(0.5) / 0.25).mean((2, 3)))
    copied = some.clone()
    margins = certificates.margins(network, some, labels, 0.01)
    assert torch.equal(some, copied)
    torch.testing.assert_close(margins, certificates.margins(plain, some, labels, 0.01))


def test_hooks_that_change_the_logits_are_noticed():
    network = drawn("residual", 0)
    certificates.interval_bounds(network, images(2), 0.1)
    hook = network.relu1.register_forward_hook(lambda module, inputs, output: output + 0.1)
    with pytest.raises(InputError, match="has forward hooks, which may change what it puts out"):
        certificates.interval_bounds(network, images(2), 0.1)
    hook.remove()
    with models.spatial_means(network):  # these change nothing
        certificates.interval_bounds(network, images(2), 0.1)


# ---- bad input ---------------------------------------------------------------------------------------------

BAD = {
    "negative": ({"epsilon": -0.1}, r"epsilon must be a finite number >= 0, got -0\.1"),
    "nan": ({"epsilon": math.nan}, "epsilon must be a finite number >= 0, got nan"),
    "infinite": ({"epsilon": math.inf}, "epsilon must be a finite number >= 0, got inf"),
    "no number": ({"epsilon": "8/255"}, "epsilon must be a finite number >= 0, got '8/255'"),
    "above": ({"pixels": images(3) + 0.5}, r"images must lie in \[0, 1\]"),
    "below": ({"pixels": -images(3)}, r"images must lie in \[0, 1\]"),
    "nan pixels": ({"pixels": images(3) * math.nan}, r"images must lie in \[0, 1\]"),
    "bytes": ({"pixels": torch.zeros(3, 3, 6, 6, dtype=torch.uint8)}, "images must be float32 or float64"),
    "one image": ({"pixels": images(1)[0]}, "images must be float32 or float64"),
    "a function": (
        {"network": lambda x: x.flatten(1)},
        "bounds are read off a torch.nn.Module, got function",
    ),
}
OF_LABELS = {
    "too few": ({"labels": torch.tensor([0])}, "labels must be int64, one an image"),
    "floats": ({"labels": torch.zeros(3)}, "labels must be int64, one an image"),
    "negative label": ({"labels": torch.tensor([0, -1, 1])}, "labels must be >= 0, got -1"),
    "no such class": (
        {"labels": torch.tensor([0, 4, 1])},
        "labels must be below the network's 4 classes, got 4",
    ),
    "method": ({"method": "ibp"}, "unknown method 'ibp'; known: crown, fastlin, interval, interval.crown"),
    "one class": (
        {"network": nn.Sequential(nn.Flatten(), nn.Linear(108, 1)), "labels": torch.tensor([0, 0, 0])},
        "a certificate compares classes, so a network needs at least 2 logits, got 1",
    ),
}


@pytest.mark.parametrize("name", [*BAD, *OF_LABELS])
def test_bad_input(name):
    given, message = (BAD | OF_LABELS)[name]
    usual = {"network": drawn("dense", 0), "pixels": images(3), "epsilon": 0.1} | given
    labels = {"labels": torch.tensor([0, 1, 2])} | {
        key: given[key] for key in given if key in ("labels", "method")
    }
    some = {key: usual[key] for key in ("network", "pixels", "epsilon")}
    calls = [lambda: certificates.certified(**some, **labels)]
    if name in BAD:
        calls += [lambda: certificates.interval_bounds(**some), lambda: certificates.singleprop(**some)]
    for call in calls:
        with pytest.raises(InputError, match=message):
            call()


def test_an_unknown_rule():
    with pytest.raises(InputError, match="unknown rule 'crwon'; known: crown, fastlin, zero"):
        certificates.singleprop(drawn("dense", 0), images(1), 0.1, "crwon")
    with pytest.raises(InputError, match="unknown rule"):
        linear_bounds(drawn("dense", 0), images(1), 0.1, "lin")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_network_is_never_certified(value):
    for name, layer in (("conv1.weight", "conv1"), ("bn2.running_var", "bn2"), ("linear.weight", "linear")):
        network = drawn("residual", 0)
        getattr(getattr(network, layer), name.split(".")[1]).data.flatten()[0] = value
        with pytest.raises(InputError, match=f"'{name}' of the network is not finite"):
            certificates.certified(network, images(1), torch.tensor([0]), 0.1)


def test_logits_that_are_not_finite():
    network = nn.Sequential(nn.Flatten(), unit([[3e38, 3e38], [0, 0]], [0, 0]))
    with pytest.raises(InputError, match="logits are not finite"):
        certificates.certified(network, torch.ones(1, 1, 1, 2), torch.tensor([0]), 0.1)


def test_numbers_that_leave_the_range_certify_nothing():
    """Weights of 1e15 in three layers: the logits cancel to 0 and 1, the bounds overflow."""
    great = 1e15
    network = nn.Sequential(
        nn.Flatten(),
        unit([[great, -great], [0, 0]], [0, 1]),
        nn.ReLU(),
        unit([[great, 0], [0, 1]], [0, 0]),
        nn.ReLU(),
        unit([[great, 0], [0, 1]], [0, 0]),
    )
    pixels, label = torch.full((1, 1, 1, 2), 0.5), torch.tensor([1])
    for method in METHODS:
        assert not certificates.certified(network, pixels, label, 0.2, method).any()
        assert not certificates.margins(network, pixels, label, 0.2, method).isnan().any()
    lower, upper = certificates.interval_bounds(network, pixels, 0.2)
    assert lower[0, 0] == -math.inf and upper[0, 0] == math.inf
    assert certificates.certified(network, pixels, label, 0).all()


# ---- dtypes, modes, empty batches --------------------------------------------------------------------------


def test_an_empty_batch():
    for kind in KINDS:
        network, none = drawn(kind, 0), images(2)[:0]
        for bound in certificates.interval_bounds(network, none, 0.1):
            assert bound.shape == (0, CLASSES)
        assert certificates.singleprop(network, none, 0.1)[1].shape == (0, CLASSES)
        for method in METHODS:
            proof = certificates.certified(network, none, torch.zeros(0, dtype=torch.int64), 0.1, method)
            assert proof.shape == (0,) and proof.dtype == torch.bool


def test_one_logit_has_bounds():
    network = nn.Sequential(nn.Flatten(), unit([[2, -2]], [0]))
    lower, upper = certificates.interval_bounds(network, torch.full((1, 1, 1, 2), 0.5), 0.1)
    assert lower.item() == pytest.approx(-0.4, abs=1e-3) and upper.item() == pytest.approx(0.4, abs=1e-3)


def test_dtypes():
    """The wider of the dtypes of images and weights, whatever torch's default is."""
    labels = torch.tensor([0, 1])
    wanted = certificates.margins(drawn("residual", 0).double(), images(2).double(), labels, 0.01, "crown")
    before = torch.get_default_dtype()
    for default in (torch.float32, torch.float64):
        torch.set_default_dtype(default)
        try:
            for weights in (torch.float32, torch.float64):
                for of_pixels in (torch.float32, torch.float64):
                    network, some = drawn("residual", 0).to(weights), images(2).to(of_pixels)
                    lower, _ = certificates.interval_bounds(network, some, 0.01)
                    margins = certificates.margins(network, some, labels, 0.01, "crown")
                    wider = torch.promote_types(weights, of_pixels)
                    assert (
                        lower.dtype
                        == margins.dtype
                        == certificates.singleprop(network, some, 0.01)[1].dtype
                        == wider
                    )
                    torch.testing.assert_close(margins.double(), wanted, rtol=1e-2, atol=1e-2)
        finally:
            torch.set_default_dtype(before)


def test_the_network_and_the_images_are_left_as_they_were():
    network, some = drawn("residual", 0).train(), images(2)
    network.conv2.weight.requires_grad_(False)
    network.bn1.eval()
    before, modes = copy.deepcopy(network.state_dict()), [one.training for one in network.modules()]
    asks, copied = [one.requires_grad for one in network.parameters()], some.clone()
    proof = certificates.certified(network, some, torch.tensor([0, 1]), 0.01, "interval+crown")
    lower, _ = certificates.interval_bounds(network, some, 0.01)
    assert not lower.requires_grad and torch.equal(some, copied)
    assert [one.training for one in network.modules()] == modes
    assert [one.requires_grad for one in network.parameters()] == asks
    assert all(one.grad is None for one in network.parameters())
    assert all(torch.equal(one, before[name]) for name, one in network.state_dict().items())
    # bounds are of evaluation mode
    assert torch.equal(lower, certificates.interval_bounds(network.eval(), some, 0.01)[0])
    assert torch.equal(
        proof, certificates.certified(network, some, torch.tensor([0, 1]), 0.01, "interval+crown")
    )


@pytest.mark.parametrize(
    "mode", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)]
)
def test_the_callers_mode_does_not_matter(mode):
    network, labels = drawn("residual", 0), torch.tensor([0, 1])
    wanted = certificates.margins(network, images(2), labels, 0.01, "interval+crown")
    with mode():
        found = certificates.margins(network, images(2), labels, 0.01, "interval+crown")
        bounds = certificates.interval_bounds(network, images(2), 0.01)
    assert torch.equal(found, wanted)
    assert torch.equal(bounds[0], certificates.interval_bounds(network, images(2), 0.01)[0])


# ---- certified training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_worst_logits_of_interval_bounds_are_the_margins(kind):
    network, some, labels = drawn(kind, 0).double(), images(3).double(), torch.tensor([3, 0, 1])
    worst = losses.interval_worst(read(network), some, labels, 0.02)
    margins = certificates.margins(network, some, labels, 0.02)
    right = F.one_hot(labels, CLASSES).bool()
    torch.testing.assert_close(-worst[~right], margins[~right], rtol=0, atol=1e-9)
    assert not worst[right].any()


def test_the_worst_logits_by_hand():
    """As in `test_by_hand`: logit 0 minus logit 1 is at most -0.3; SingleProp has z = (0, 0.5), v = (0.1, 0.3)."""
    network = nn.Sequential(
        nn.Flatten(), unit([[1, -1], [1, 1]], [0, 0]), nn.ReLU(), unit([[1, 0], [1, 1]], [0, -0.5])
    )
    pixels, label = torch.full((1, 1, 1, 2), 0.5), torch.tensor([1])
    torch.testing.assert_close(
        losses.interval_worst(read(network), pixels, label, 0.1), torch.tensor([[-0.3, 0]]), rtol=0, atol=1e-5
    )
    logits, worst = losses.singleprop_worst(read(network), pixels, label, 0.1, "zero")
    torch.testing.assert_close(logits, torch.tensor([[0, 0.5]]))
    torch.testing.assert_close(worst, torch.tensor([[0.1, 0.2]]))
    # log(1 + exp(-0.5)) = 0.4741 and log(1 + exp(-0.1)) = 0.6444
    assert losses.mixed(logits, worst, label, 0.75).item() == pytest.approx(
        0.75 * 0.4741 + 0.25 * 0.6444, abs=1e-4
    )


@pytest.mark.parametrize("kind", KINDS)
def test_losses_have_the_right_gradient(kind):
    """Of every weight, against the slope between two networks a small step apart."""
    network, some, labels = drawn(kind, 4).double(), images(3, 4).double(), torch.tensor([0, 1, 2])
    steps, weights = read(network), list(network.parameters())
    generator = torch.Generator().manual_seed(0)
    way = [torch.randn(one.shape, generator=generator, dtype=torch.double) for one in weights]

    def value(name: str) -> Tensor:
        if name == "interval":
            return losses.mixed(network(some), losses.interval_worst(steps, some, labels, 0.03), labels, 0.5)
        return losses.mixed(*losses.singleprop_worst(steps, some, labels, 0.03, name), labels, 0.5)

    def moved(name: str, far: float) -> Tensor:
        with torch.no_grad():
            for one, towards in zip(weights, way, strict=True):
                one += far * towards
            found = value(name)
            for one, towards in zip(weights, way, strict=True):
                one -= far * towards
        return found

    for name in ("interval", *RULES):
        slopes = torch.autograd.grad(value(name), weights)
        slope = sum((one * towards).sum() for one, towards in zip(slopes, way, strict=True))
        measured = (moved(name, 1e-7) - moved(name, -1e-7)) / 2e-7
        torch.testing.assert_close(slope, measured, rtol=1e-4, atol=1e-6)


def test_losses_without_a_change_are_the_cross_entropy():
    network, some, labels = drawn("residual", 0), images(3), torch.tensor([0, 1, 2])
    wanted = F.cross_entropy(network(some), labels)
    worst = losses.interval_worst(read(network), some, labels, 0)
    torch.testing.assert_close(losses.mixed(network(some), worst, labels, 0.3), wanted)
    for rule in RULES:
        torch.testing.assert_close(
            losses.mixed(*losses.singleprop_worst(read(network), some, labels, 0, rule), labels, 0.3), wanted
        )


def test_schedules():
    found = [losses.scheduled(step, epsilon=0.2, warm=10, end=30) for step in (0, 10, 20, 30, 1000)]
    assert found == [(0, 1), (0, 1), (0.1, 0.75), (0.2, 0.5), (0.2, 0.5)]
    assert losses.scheduled(5, epsilon=0.2, warm=5, end=5, last_kappa=0) == (0.2, 0)
    assert losses.scheduled(4, epsilon=0.2, warm=5, end=5, last_kappa=0) == (0, 1)


def test_adaptive_kappa():
    assert losses.adaptive_kappa(0.2, 1.0) == pytest.approx(1 / 3)
    assert losses.adaptive_kappa(0.2, 1.0, gamma=0) == 1
    assert losses.adaptive_kappa(0.5, 0.0) == 0
    assert losses.adaptive_kappa(0.0, 0.0) == losses.adaptive_kappa(1.0, math.inf) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.ramp(0, 5, 3), "at 0 <= warm <= end; got warm=5, end=3"),
        (lambda: losses.ramp(0, -1, 3), "got warm=-1, end=3"),
        (
            lambda: losses.scheduled(0, epsilon=-1, warm=0, end=1),
            "epsilon must be a finite number >= 0, got -1",
        ),
        (
            lambda: losses.scheduled(0, epsilon=1, warm=0, end=1, last_kappa=2),
            r"last_kappa must lie in \[0, 1\], got 2",
        ),
        (lambda: losses.adaptive_kappa(math.nan, 1), "fit must be a cross-entropy >= 0, got nan"),
        (lambda: losses.adaptive_kappa(1, -1), "worst must be a cross-entropy >= 0, got -1"),
        (lambda: losses.adaptive_kappa(1, 1, gamma=-1), "gamma must be a finite number >= 0, got -1"),
        (
            lambda: losses.interval_worst(
                read(nn.Sequential(nn.Flatten(), nn.ReLU())), images(1), torch.tensor([0]), 0.1
            ),
            "the layer '1' of the network, ReLU, has no bounds .the last layer of certified training is linear",
        ),
    ],
)
def test_bad_settings_of_losses(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["interval", "zero", "fastlin"])
def test_training_certifies_digits(name, digits):
    """A few hundred steps on such a loss certify digits that the plain loss leaves without a proof, and every
    certified one survives PGD."""
    train, test = digits["train"], digits["test"].first(64)
    pixels, labels = models.to_unit(train.pixels)[:, :, ::4, ::4], train.labels
    held, right = models.to_unit(test.pixels)[:, :, ::4, ::4], test.labels
    share = {}
    for loss in ("plain", name):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = nn.Sequential(
                nn.Flatten(), nn.Linear(192, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 10)
            )
        optimiser, generator = torch.optim.Adam(network.parameters(), 5e-3), torch.Generator().manual_seed(0)
        steps = read(network)
        for step in range(300):
            some = torch.randint(len(pixels), (64,), generator=generator)
            x, y = pixels[some], labels[some]
            epsilon, kappa = losses.scheduled(step, epsilon=0.05, warm=20, end=150)
            if loss == "plain":
                total = F.cross_entropy(network(x), y)
            elif loss == "interval":
                total = losses.mixed(network(x), losses.interval_worst(steps, x, y, epsilon), y, kappa)
            else:
                total = losses.mixed(*losses.singleprop_worst(steps, x, y, epsilon, loss), y, kappa)
            optimiser.zero_grad()
            total.backward()
            optimiser.step()
        proofs = [
            certificates.certified(network, held, right, 0.05, method)
            for method in ("interval", "interval+crown")
        ]
        attacked = attacks.pgd(network, held, right, epsilon=0.05, step_size=0.01, steps=20)
        with torch.no_grad():
            survives = network(attacked).argmax(1) == right
            clean = network(held).argmax(1) == right
        assert (proofs[0] <= proofs[1]).all() and (proofs[1] <= survives).all() and (survives <= clean).all()
        share[loss] = proofs[0].double().mean().item()
    assert share[name] > share["plain"] + 0.3


def test_doctests():
    assert doctest.testmod(reading).failed == 0 and doctest.testmod(verify).failed == 0
    assert doctest.testmod(losses).failed == 0


# ---- what no bound is of -----------------------------------------------------------------------------------


def two_layers() -> nn.Sequential:
    network = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[2.0], [1.2]]))
        network[3].weight.copy_(torch.eye(2))
    return network.eval()


def capped(module, taken, out):
    """Changes what a ReLU puts out on bright images alone: the first ones of a call may not show it."""
    return out.minimum(torch.tensor([0.9, 9.0]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda n: n[2].register_forward_hook(capped), "layer '2' of the network, ReLU, has forward hooks"),
        (lambda n: n.register_forward_pre_hook(lambda module, taken: taken), "the network has forward hooks"),
        (lambda n: setattr(n[2], "forward", lambda x: x), "forward of the layer '2' .* was replaced"),
        (lambda n: n.half(), "'1.weight' of the network is torch.float16"),
        (lambda n: n[3].bfloat16(), "'3.weight' of the network is torch.bfloat16"),
        (lambda n: n.to("meta"), "'1.weight' of the network has no numbers yet"),
        (lambda n: n.append(nn.LazyLinear(2)), "'4.weight' of the network has no numbers yet"),
    ],
)
def test_a_network_that_may_do_something_else_is_refused(change, words):
    network, x, label = two_layers(), torch.full((1, 1, 1, 1), 0.4), torch.tensor([0])
    assert certificates.certified(network, x, label, 0.39, "fastlin").all()  # capped, 0.785 is of class 1
    change(network)
    for call in (
        lambda: certificates.certified(network, x, label, 0.39, "fastlin"),
        lambda: certificates.interval_bounds(network, x, 0.1),
        lambda: certificates.singleprop(network, x, 0.1, "zero"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_certified_where_the_distance_of_the_ends_leaves_the_range(method):
    """Both ends are numbers and their distance is none: a chord of 0 would lie below the ReLU."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 2)).eval()
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[1.70139e38, -1.70139e38]]))
        network[1].bias.zero_()
        network[3].weight.copy_(torch.tensor([[0.0], [1e-38]]))
        network[3].bias.copy_(torch.tensor([1.0, 0.0]))
    x = torch.full((1, 1, 1, 2), 0.5)
    assert network(torch.tensor([[[[1.0, 0.0]]]])).argmax() == 1  # inside the box
    assert not certificates.certified(network, x, torch.tensor([0]), 0.5, method).any()


@pytest.mark.parametrize("rule", RULES)
def test_the_line_above_is_above_where_the_chord_cannot_be_computed(rule):
    low, high = torch.tensor([-3e38, -1.0]), torch.tensor([3e38, 1.0])
    found = lines(low, high, rule)
    for x in (low, high, torch.zeros(2), 0.5 * high):
        assert (found.above * x + found.offset >= x.relu()).all()
        assert (found.below * x <= x.relu()).all()
