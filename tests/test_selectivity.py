"""The index against hand computation and plain loops; the regulariser against finite differences."""

import doctest

import numpy as np
import pytest
import torch
from torch import nn

from lib import models, selectivity
from lib.base.errors import InputError
from lib.selectivity import class_means, class_selectivity, dead, mean_selectivity, selectivity_index

EPSILON = 1e-6


def reference(activations: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The index by plain loops over units, classes and images, in float64."""
    index = []
    for unit in range(activations.shape[1]):
        means = []
        for label in sorted(set(labels.tolist())):
            members = [
                float(activations[row, unit]) for row in range(len(labels)) if int(labels[row]) == label
            ]
            means.append(sum(members) / len(members))
        best = means.index(max(means))
        others = means[:best] + means[best + 1 :]
        rest = sum(others) / len(others)
        index.append((means[best] - rest) / (means[best] + rest + EPSILON))
    return torch.tensor(index, dtype=torch.float64)


def random_case(
    seed: int, n: int = 60, units: int = 9, classes: int = 5
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sparse activations of changing scale, as after a ReLU, with every class present."""
    g = torch.Generator().manual_seed(seed)
    activations = torch.randn(n, units, generator=g, dtype=torch.float64).relu() * 10 ** torch.linspace(
        -2, 2, units, dtype=torch.float64
    )
    labels = torch.arange(n)[torch.randperm(n, generator=g)] % classes
    return activations, labels


# one unit's activations, labels, its index by hand
HAND = {
    "two classes, 3 against 1": ([3.0, 3.0, 1.0, 1.0], [0, 0, 1, 1], (3 - 1) / (3 + 1)),
    "three classes, 4 against the mean of 1 and 3": ([4.0, 1.0, 3.0], [0, 1, 2], (4 - 2) / (4 + 2)),
    "unequal counts: class means weigh alike": ([6.0, 1.0, 1.0, 1.0], [1, 0, 0, 0], (6 - 1) / (6 + 1)),
    "mean within a class": ([0.0, 4.0, 1.0, 1.0], [0, 0, 1, 1], (2 - 1) / (2 + 1)),
    "fires for one class alone": ([0.0, 0.0, 5.0], [0, 1, 2], 1.0),
    "fires alike for all": ([2.0, 2.0, 2.0], [0, 1, 2], 0.0),
    "never fires": ([0.0, 0.0, 0.0], [0, 1, 2], 0.0),
    "two best classes": ([1.0, 1.0, 0.0], [0, 1, 2], (1 - 0.5) / (1 + 0.5)),
    "labels with gaps": ([3.0, 1.0], [4, 9], 0.5),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", HAND)
def test_hand_computed(case, dtype):
    activations, labels, expected = HAND[case]
    index = class_selectivity(torch.tensor(activations, dtype=dtype)[:, None], torch.tensor(labels))
    assert index.shape == (1,) and index.dtype == dtype
    assert index.item() == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_plain_loops(seed):
    activations, labels = random_case(seed)
    expected = reference(activations, labels)
    assert expected.min() > 0.05 and expected.max() < 0.95  # a case in which something can go wrong
    torch.testing.assert_close(class_selectivity(activations, labels), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        class_selectivity(activations.float(), labels).double(), expected, rtol=1e-4, atol=1e-5
    )


def test_class_means_by_hand():
    activations = torch.tensor([[1.0, 0.0], [3.0, 2.0], [5.0, 7.0]])
    means, present = class_means(activations, torch.tensor([2, 2, 0]), 4)
    assert means.tolist() == [[5.0, 7.0], [0.0, 0.0], [2.0, 1.0], [0.0, 0.0]]
    assert present.tolist() == [True, False, True, False]


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e30])
def test_range_is_kept_at_every_scale(scale):
    g = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % 10
    same = torch.full((300, 50), 1 / 3)
    some = torch.rand(300, 50, generator=g) * (torch.rand(300, 50, generator=g) < 0.2)
    alone = (labels == 3).float()[:, None].expand(-1, 5)
    index = class_selectivity(torch.cat([same, some, alone], 1) * scale, labels)
    assert index.min() >= 0 and index.max() <= 1
    assert index[:50].max() < 1e-5


@pytest.mark.parametrize("classes", [3, 10, 200])
def test_rounding_does_not_push_a_uniform_unit_below_zero(classes):
    level = torch.rand(1000, generator=torch.Generator().manual_seed(0))
    index = selectivity_index(level.expand(classes, -1), torch.ones(classes, dtype=torch.bool))
    assert index.min() >= 0 and index.max() < 1e-5


def test_dead_units_are_zero_and_reported():
    activations, labels = torch.zeros(6, 3), torch.tensor([0, 0, 1, 1, 2, 2])
    activations[4, 1] = 1e-20  # fires, if hardly: not dead
    activations[:, 2] = 1
    means, _ = class_means(activations, labels, 3)
    assert dead(means).tolist() == [True, False, False]
    assert class_selectivity(activations, labels)[0] == 0


# a change of the input that must leave the index as it is
INVARIANCES = {
    "order of rows": lambda a, y: (a.flip(0), y.flip(0)),
    "order of classes": lambda a, y: (a, torch.tensor([3, 0, 4, 1, 2])[y]),
    "classes renumbered with gaps": lambda a, y: (a, 7 * y + 2),
    "all rows twice": lambda a, y: (a.repeat(2, 1), y.repeat(2)),
    "rows of one class three times": lambda a, y: (
        torch.cat([a, a[y == 1], a[y == 1]]),
        torch.cat([y, y[y == 1], y[y == 1]]),
    ),
    "scale": lambda a, y: (a * 1000, y),
    "other units beside": lambda a, y: (torch.cat([a, a.flip(1)], 1), y),
}


@pytest.mark.parametrize("change", INVARIANCES)
def test_invariant_to(change):
    activations, labels = random_case(seed=7)
    activations = activations + 1  # far from epsilon, which alone breaks the invariance to scale
    expected = class_selectivity(activations, labels)
    changed = class_selectivity(*INVARIANCES[change](activations, labels))[: len(expected)]
    torch.testing.assert_close(changed, expected, rtol=2e-6 if change == "scale" else 1e-12, atol=0)


def test_arguments_are_not_modified():
    activations, labels = random_case(seed=1)
    kept = activations.clone(), labels.clone()
    class_selectivity(activations, labels)
    mean_selectivity({"a": activations}, labels, 5)
    assert torch.equal(activations, kept[0]) and torch.equal(labels, kept[1])


NAN, INF = float("nan"), float("inf")
# activations, labels, what the message says
ERRORS = {
    "activations of a convolution": (
        torch.ones(4, 3, 2, 2),
        [0, 0, 1, 1],
        r"must be \(n, units\) .* got \(4, 3, 2, 2\) and \(4,\)",
    ),
    "too few labels": (torch.ones(4, 3), [0, 1, 1], r"got \(4, 3\) and \(3,\)"),
    "one class": (torch.ones(4, 3), [4, 4, 4, 4], r"need at least 2, labels hold \[4\]"),
    "no rows": (torch.ones(0, 3), [], r"need at least 2, labels hold \[\]"),
    "negative label": (torch.ones(2, 3), [-1, 1], "labels must be >= 0, got -1"),
    "negative activation": (
        torch.tensor([[1.0], [-0.5]]),
        [0, 1],
        r"finite and >= 0, got values from -0\.500 to 1\.000",
    ),
    "nan": (torch.tensor([[1.0], [NAN]]), [0, 1], "finite and >= 0, got values from nan"),
    "infinite": (torch.tensor([[1.0], [INF]]), [0, 1], "finite and >= 0, got values from 1.000 to inf"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    activations, labels, message = ERRORS[case]
    with pytest.raises(InputError, match=message):
        class_selectivity(activations, torch.tensor(labels, dtype=torch.long))


@pytest.mark.parametrize("odd", [None, [[1.0]], np.ones((4, 1)), torch.ones(4, 1, device="meta"), "ones"])
def test_what_is_no_tensor_is_named(odd):
    ones, labels = torch.ones(4, 1), torch.tensor([0, 1, 0, 1])
    with pytest.raises(InputError, match=r"^activations must be a tensor in memory, got "):
        class_selectivity(odd, labels)
    with pytest.raises(InputError, match=r"^labels must be a tensor in memory, got "):
        class_selectivity(ones, odd)


@pytest.mark.parametrize("labels", [[0.0, 1.0, 0.0, 1.0], [float("nan"), 1.0, 0.0, 1.0]])
def test_labels_are_whole_numbers(labels):
    with pytest.raises(InputError, match=r"labels must be whole numbers, got torch\.float32"):
        class_selectivity(torch.ones(4, 1), torch.tensor(labels))


def test_the_error_for_an_infinite_activation_names_it():
    with pytest.raises(InputError, match="inf"):
        class_selectivity(torch.tensor([[1.0], [INF]]), torch.tensor([0, 1]))


def test_integer_activations_are_taken_or_refused_clearly():
    try:
        assert class_selectivity(torch.tensor([[3], [1]]), torch.tensor([0, 1])).item() == pytest.approx(0.5)
    except InputError as error:
        assert "float" in str(error)


def test_large_label_numbers():
    assert class_selectivity(torch.tensor([[3.0], [1.0]]), torch.tensor([0, 10**14])).item() == pytest.approx(
        0.5
    )


def test_no_units_give_no_indices():
    assert class_selectivity(torch.zeros(4, 0), torch.tensor([0, 0, 1, 1])).shape == (0,)


# ---- the regulariser ---------------------------------------------------------------------------------------


def random_layers(
    seed: int = 0, n: int = 24, classes: int = 4
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Two layers of positive float64 activations: no ties, no unit at 0."""
    g = torch.Generator().manual_seed(seed)
    layers = {
        name: torch.rand(n, units, generator=g, dtype=torch.float64) + 0.1
        for name, units in (("first", 3), ("second", 5))
    }
    return layers, torch.arange(n) % classes


def test_mean_over_units_then_over_layers():
    layers, labels = random_layers()
    expected = torch.stack([reference(layer, labels).mean() for layer in layers.values()]).mean()
    value = mean_selectivity(layers, labels, 4)
    assert value.shape == ()
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)


def test_wide_layers_do_not_dominate():
    labels = torch.tensor([0, 1])
    selective, indifferent = torch.tensor([[1.0], [0.0]]), torch.ones(2, 999)
    assert mean_selectivity({"narrow": selective, "wide": indifferent}, labels, 2).item() == pytest.approx(
        0.5, abs=1e-5
    )


@pytest.mark.parametrize(
    "labels", [[2, 5, 7] * 8, [0] * 23 + [9], list(range(10)) * 2 + [1, 1, 1, 1]], ids=["three", "two", "all"]
)
def test_absent_classes_are_left_out_exactly(labels):
    layers, _ = random_layers()
    layers = {name: layer.requires_grad_() for name, layer in layers.items()}
    labels = torch.tensor(labels)
    present, renumbered = labels.unique(return_inverse=True)
    among_ten = mean_selectivity(layers, labels, 10)
    alone = mean_selectivity(layers, renumbered, len(present))
    torch.testing.assert_close(among_ten, alone, rtol=1e-13, atol=0)
    inputs = list(layers.values())
    for left, right in zip(
        torch.autograd.grad(among_ten, inputs), torch.autograd.grad(alone, inputs), strict=True
    ):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("fill", [None, 0.0], ids=["firing", "dead"])
def test_a_minibatch_of_one_class_counts_as_zero(fill):
    layers, _ = random_layers()
    if fill is not None:
        layers = {name: torch.full_like(layer, fill) for name, layer in layers.items()}
    inputs = [layer.requires_grad_() for layer in layers.values()]
    value = mean_selectivity(layers, torch.full((24,), 3), 10)
    assert value == 0
    assert all(
        torch.equal(gradient, torch.zeros_like(gradient)) for gradient in torch.autograd.grad(value, inputs)
    )


def test_dead_units_have_a_finite_gradient():
    activations = torch.zeros(6, 4, requires_grad=True)
    mean_selectivity({"a": activations}, torch.tensor([0, 0, 1, 1, 2, 2]), 3).backward()
    assert activations.grad.isfinite().all()


@pytest.mark.parametrize(
    "labels", [[0, 1, 2, 3] * 3, [0, 2] * 6, [1] * 11 + [3]], ids=["all", "two", "single image"]
)
def test_gradcheck(labels):
    layers, _ = random_layers(n=12)
    labels = torch.tensor(labels)
    inputs = tuple(layer.requires_grad_() for layer in layers.values())
    assert torch.autograd.gradcheck(
        lambda a, b: mean_selectivity({"a": a, "b": b}, labels, 4), inputs, eps=1e-6, atol=1e-8
    )


class Small(nn.Module):
    """Two convolutions with batch norm and ReLU: what the regulariser sees in a ResNet, in few parameters."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.conv1, self.conv2 = nn.Conv2d(2, 3, 3), nn.Conv2d(3, 4, 3)
            self.bn1, self.bn2 = nn.BatchNorm2d(3), nn.BatchNorm2d(4)
            self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.double()

    def forward(self, x):
        self.first = self.relu1(self.bn1(self.conv1(x)))
        self.second = self.relu2(self.bn2(self.conv2(self.first)))
        return self.second


def small_batch():
    g = torch.Generator().manual_seed(5)
    return torch.randn(12, 2, 7, 7, generator=g, dtype=torch.float64), torch.arange(12) % 3


def test_gradient_through_a_network_against_finite_differences():
    network, (x, labels) = Small(), small_batch()

    def value() -> torch.Tensor:
        network(x)
        return mean_selectivity(
            {"1": network.first.mean((2, 3)), "2": network.second.mean((2, 3))}, labels, 3
        )

    step = 1e-6
    gradients = torch.autograd.grad(value(), list(network.parameters()), allow_unused=True)
    checked = 0
    with torch.no_grad():
        for (name, parameter), gradient in zip(network.named_parameters(), gradients, strict=True):
            for place in range(0, parameter.numel(), 7 if parameter.ndim > 1 else 1):
                entry, kept = parameter.view(-1)[place], parameter.view(-1)[place].item()
                entry.fill_(kept + step)
                above = value()
                entry.fill_(kept - step)
                below = value()
                entry.fill_(kept)
                expected = ((above - below) / (2 * step)).item()
                assert gradient.view(-1)[place].item() == pytest.approx(expected, rel=1e-3, abs=1e-7), (
                    f"{name}[{place}]"
                )
                checked += 1
    assert checked > 30 and max(g.abs().max() for g in gradients) > 1e-2


def test_gradient_through_the_hooks_is_the_same():
    network, (x, labels) = Small(), small_batch()
    network(x)
    by_hand = mean_selectivity({"1": network.first.mean((2, 3)), "2": network.second.mean((2, 3))}, labels, 3)
    with models.spatial_means(network) as means:
        network(x)
        hooked = mean_selectivity(means, labels, 3)
    parameters = list(network.parameters())
    for left, right in zip(
        torch.autograd.grad(hooked, parameters), torch.autograd.grad(by_hand, parameters), strict=True
    ):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)  # the hooks round to float32


def test_the_sign_of_alpha_moves_selectivity():
    def after_training(alpha: float) -> float:
        network, (x, labels) = Small(), small_batch()
        optimiser = torch.optim.SGD(network.parameters(), lr=0.3)
        with models.spatial_means(network) as means:
            for _ in range(8):
                network(x)
                optimiser.zero_grad()
                (-alpha * mean_selectivity(means, labels, 3)).backward()
                optimiser.step()
            network(x)
            return mean_selectivity(means, labels, 3).item()

    low, zero, high = (after_training(alpha) for alpha in (-1.0, 0.0, 1.0))
    assert low < zero - 0.02 and zero + 0.02 < high


def test_index_leaves_out_absent_classes_whatever_their_means_hold():
    means = torch.tensor([[3.0], [99.0], [1.0]])
    assert selectivity_index(means, torch.tensor([True, False, True])).item() == pytest.approx(0.5, abs=1e-6)


def test_doctests():
    assert doctest.testmod(selectivity).failed == 0
