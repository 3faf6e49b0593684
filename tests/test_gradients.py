"""Input-unit gradients: against plain autograd in float64, unit by unit; whatever the batch, the precision
and the caller's state; and what has no units.
"""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from lib import gradients, models
from lib.base.errors import InputError
from lib.gradients import input_unit_gradients

DEAD_LAYER, DEAD_UNIT = "layer1.0.relu1", 3
LATE = "layer3.0.relu2"


def lived_in(network: nn.Module, side: int) -> nn.Module:
    """In evaluation mode, with statistics and scales of batch norm that are not those it starts with."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.copy_(0.5 + torch.rand(module.weight.shape, generator=generator))
                module.bias.copy_(0.3 * torch.randn(module.bias.shape, generator=generator))
        network.train()(torch.rand(32, 3, side, side, generator=generator))
    return network.eval()


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Untrained, with a unit that can never fire."""
    network = lived_in(models.build("resnet8", 10, seed=4), 32)
    with torch.no_grad():
        network.layer1[0].bn1.weight[DEAD_UNIT] = 0
        network.layer1[0].bn1.bias[DEAD_UNIT] = -1
    return network


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return torch.rand(3, 3, 24, 24, generator=torch.Generator().manual_seed(2))


def plain(
    network: nn.Module, pixels: Tensor, *, units: int | None = None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Lengths of gradients, and the activations averaged over space, {layer: (n, units)}: in float64, image
    by image and unit by unit.
    """
    network = copy.deepcopy(network).double()
    lengths: dict[str, list] = {}
    activations: dict[str, list] = {}
    for image in pixels.double():
        found = {}
        hooks = [
            module.register_forward_hook(
                lambda m, i, output, name=name, found=found: found.update({name: output})
            )
            for name, module in network.named_modules()
            if isinstance(module, nn.ReLU)
        ]
        x = image[None].clone().requires_grad_()
        network(x)
        for layer, output in found.items():
            means = output[0].mean((1, 2))
            per_unit = [torch.autograd.grad(mean, x, retain_graph=True)[0].norm() for mean in means[:units]]
            lengths.setdefault(layer, []).append(torch.stack(per_unit))
            activations.setdefault(layer, []).append(means.detach())
        for hook in hooks:
            hook.remove()
    return {layer: torch.stack(rows) for layer, rows in lengths.items()}, {
        layer: torch.stack(rows) for layer, rows in activations.items()
    }


def close(found: dict[str, Tensor], expected: dict[str, Tensor], share: float) -> None:
    """Every length within a share of itself."""
    assert list(found) == list(expected)
    for layer, lengths in expected.items():
        assert found[layer].dtype == torch.float64 and not found[layer].requires_grad
        torch.testing.assert_close(
            found[layer], lengths, rtol=share, atol=0, msg=lambda text, layer=layer: f"{layer}: {text}"
        )


@pytest.fixture(scope="module")
def expected(network, pixels) -> dict[str, Tensor]:
    return plain(network, pixels)[0]


def test_every_length_is_that_of_plain_autograd(network, pixels):
    expected, activations = plain(network, pixels)
    assert sum(lengths.shape[1] for lengths in expected.values()) == 120 and list(expected)[-1] == LATE
    close(input_unit_gradients(copy.deepcopy(network).double(), pixels.double()), expected, 1e-9)
    found = input_unit_gradients(network, pixels)
    close(found, expected, 1e-6)
    silent = 0
    for layer, lengths in found.items():
        # exactly 0 where a unit does not fire on an image
        assert ((lengths > 0) == (activations[layer] > 0)).all()
        silent += int((lengths == 0).any(0).sum())
    assert silent > 1  # not the planted unit alone


def test_a_trained_networks_lengths(trained, digits):
    pixels = models.to_unit(digits["test"].pixels[:2])
    expected, _ = plain(trained, pixels)
    close(input_unit_gradients(copy.deepcopy(trained).double(), pixels.double()), expected, 1e-9)
    close(input_unit_gradients(trained, pixels), expected, 1e-6)
    close(input_unit_gradients(trained, pixels, precision="bfloat16"), expected, 0.02)


def test_bfloat16_is_within_two_percent_and_switches_no_unit(network, pixels, expected):
    found = input_unit_gradients(network, pixels, precision="bfloat16")
    close(found, expected, 0.02)
    # it is bfloat16
    assert any(((found[layer] - expected[layer]).abs() > 1e-4 * expected[layer]).any() for layer in expected)
    assert all(((found[layer] > 0) == (expected[layer] > 0)).all() for layer in expected)


def test_two_units_a_layer_of_resnet18(monkeypatch):
    """Strided shortcuts with a convolution of their own, and a stem as torchvision has it."""
    network = lived_in(models.build("resnet18", 10, seed=1), 16)
    pixels = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    lengths = gradients._lengths

    def few(gate, x):
        mask = gate.mask.clone()
        mask[:, 2:] = 0
        return lengths(SimpleNamespace(mask=mask, out=gate.out), x)[:, :2]

    monkeypatch.setattr("lib.gradients._lengths", few)
    expected, _ = plain(network, pixels, units=2)
    assert len(expected) == 17
    close(input_unit_gradients(network, pixels), expected, 2e-6)  # of twice as many layers
    close(input_unit_gradients(network, pixels, precision="bfloat16"), expected, 0.02)


def test_lengths_do_not_depend_on_what_else_is_in_the_batch(network):
    some = torch.rand(18, 3, 16, 16, generator=torch.Generator().manual_seed(4))
    whole = input_unit_gradients(network, some)
    for count in (1, 16, 17):
        close(
            input_unit_gradients(network, some[-count:]),
            {layer: lengths[-count:] for layer, lengths in whole.items()},
            1e-6,
        )


def state(network: nn.Module) -> list:
    modules = [
        (name, module.training, len(module._forward_hooks)) for name, module in network.named_modules()
    ]
    parameters = [(name, one.requires_grad, one.grad) for name, one in network.named_parameters()]
    return [*modules, *parameters]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_network_is_left_as_it_was(network, pixels, expected, precision):
    own = copy.deepcopy(network).train()
    own.layer2.eval()  # a part that is not trained
    own.layer1[0].conv1.weight.requires_grad_(False)
    own.requires_grad_(True).conv1.weight.requires_grad_(False)
    before, values = state(own), {name: value.clone() for name, value in own.state_dict().items()}
    given = pixels.clone().requires_grad_()
    found = input_unit_gradients(own, given, precision=precision)
    # in evaluation mode, though it is training
    close(found, expected, 1e-6 if precision == "float32" else 0.02)
    assert state(own) == before and all(
        torch.equal(value, values[name]) for name, value in own.state_dict().items()
    )
    assert given.grad is None and torch.equal(given.detach(), pixels)
    double = nn.Sequential(own, nn.Linear(10, 4), relu := nn.ReLU(), nn.Linear(4, 2))  # which fails half way
    with pytest.raises((InputError, RuntimeError)):
        input_unit_gradients(double, pixels, precision=precision)
    assert state(own) == before and not relu._forward_hooks


@pytest.mark.parametrize("switch", [torch.no_grad, torch.inference_mode])
def test_gradients_are_found_where_the_caller_has_switched_them_off(network, pixels, expected, switch):
    with switch():
        close(input_unit_gradients(network, pixels), expected, 1e-6)
        close(input_unit_gradients(network, pixels.clone()), expected, 1e-6)  # images that are made here, too


def test_a_unit_that_never_fires_has_no_gradient(network, pixels):
    for precision in ("float32", "bfloat16"):
        lengths = input_unit_gradients(network, pixels, precision=precision)[DEAD_LAYER]
        assert (lengths[:, DEAD_UNIT] == 0).all() and (lengths > 0).any(0).sum() == lengths.shape[1] - 1


def test_a_layer_that_never_fires(network, pixels):
    dead = copy.deepcopy(network)
    with torch.no_grad():
        dead.layer2[0].bn1.weight.zero_()
        dead.layer2[0].bn1.bias.fill_(-1)
    found = input_unit_gradients(dead, pixels)
    assert (
        (found["layer2.0.relu1"] == 0).all()
        and all(lengths.isfinite().all() for lengths in found.values())
        and (found[LATE] > 0).any()
    )
    close(found, plain(dead, pixels)[0], 1e-6)


def test_a_network_that_cannot_be_folded_has_the_same_lengths(network, pixels, expected):
    """A hook forbids the faster copy; neither it nor the caller's modules are changed."""
    own, seen = copy.deepcopy(network), []
    handle = own.layer2.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    close(input_unit_gradients(own, pixels), expected, 1e-6)
    assert seen and len(own.layer2._forward_hooks) == 1 and isinstance(own.relu, nn.ReLU)
    handle.remove()

    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = copy.deepcopy(network)

        def forward(self, x: Tensor) -> Tensor:
            return self.network(x) if x.sum() > 0 else self.network(-x)

    found = input_unit_gradients(Branching().eval(), pixels)
    close({layer.removeprefix("network."): lengths for layer, lengths in found.items()}, expected, 1e-6)


def test_a_length_by_hand():
    """One unit, ReLU of 2 r − g of each pixel: its mean over 16 pixels moves by √5 / 16 per firing pixel."""
    network = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.ReLU(inplace=True))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[2.0, -1.0, 0.0], [0.0, 0.0, 1.0]])[:, :, None, None])
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0, 0, :3] = 0.5  # three pixels fire
    (lengths,) = input_unit_gradients(network, image).values()
    assert lengths.tolist() == [[pytest.approx((3 * 5) ** 0.5 / 16), 0.0]]


class Twice(nn.Module):
    """One ReLU module after two convolutions, as torchvision's blocks have it."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.relu = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.other(self.relu(self.one(x))))


ERRORS = {
    "used twice": (
        lambda x: (Twice(), x),
        {},
        "relu is used twice in one pass; give each use an nn.ReLU of its own",
    ),
    "two names": (
        lambda x: (nn.Sequential(nn.Conv2d(3, 3, 1), relu := nn.ReLU(), nn.Conv2d(3, 3, 1), relu), x),
        {},
        "1 is used twice in one pass",
    ),
    "no ReLU": (
        lambda x: (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh()), x),
        {},
        "the network has no nn.ReLU in its forward pass, so there are no units",
    ),
    "a linear layer": (
        lambda x: (nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 5), nn.ReLU()), x),
        {},
        r"2 gives \(\d+, 5\); units are feature maps",
    ),
    "no images": (lambda x: (Twice(), x[:0]), {}, "got 0 images"),
    "float64": (
        lambda x: (Twice(), x.double()),
        {},
        "images of torch.float64 do not pass a network whose parameters are torch.float32",
    ),
    "a function": (
        lambda x: (torch.relu, x),
        {},
        "units are those of a module's nn.ReLU layers, got builtin_function_or_method",
    ),
    "uint8": (
        lambda x: (Twice(), (255 * x).byte()),
        {},
        r"images must be float32 or float64, \(n, c, h, w\), in \[0, 1\], got torch.uint8 of shape",
    ),
    "NaN": (lambda x: (Twice(), x * float("nan")), {}, r"images must lie in \[0, 1\], got \[nan, nan\]"),
    "normalised": (lambda x: (Twice(), 2 * x - 1), {}, r"images must lie in \[0, 1\], got \[-"),
    "one image": (
        lambda x: (Twice(), x[0]),
        {},
        r"images must be float32 or float64, \(n, c, h, w\), in \[0, 1\], got torch.float32 of shape "
        r"\(3, 24, 24\)",
    ),
    "precision": (
        lambda x: (Twice(), x),
        {"precision": "float16"},
        "unknown precision 'float16'; known: bfloat16, float32",
    ),
}


@pytest.mark.parametrize("what", ERRORS)
def test_what_has_no_input_unit_gradients(pixels, what):
    make, settings, message = ERRORS[what]
    network, given = make(pixels)
    with pytest.raises(InputError, match=message) as error:
        input_unit_gradients(network, given, **settings)
    assert "\n" not in str(error.value)
    if isinstance(network, nn.Module):
        assert network.training and all(one.requires_grad for one in network.parameters())
        assert not any(module._forward_hooks for module in network.modules())


# ---- the Jacobian ------------------------------------------------------------------------------------------


def test_jacobian_norm_by_hand_and_by_autograd(trained, some):
    weights = [[1.0, 2.0, 0.0, 0.0, 0.0, 2.0], [0.0, 0.0, 4.0, 0.0, 0.0, 0.0]]
    layer = nn.Linear(6, 2, bias=False)
    layer.weight = nn.Parameter(torch.tensor(weights))
    norms = gradients.jacobian_norms(nn.Sequential(nn.Flatten(), layer).eval(), torch.rand(3, 3, 1, 2))
    assert norms.tolist() == pytest.approx([5.0] * 3)
    x = some[0][:4].double()
    net = models.build("resnet8", 10, seed=3).double().eval()
    whole = torch.autograd.functional.jacobian(lambda pixels: net(pixels).sum(0), x)  # (classes, n, c, h, w)
    assert torch.allclose(
        gradients.jacobian_norms(net, x), whole.square().sum((0, 2, 3, 4)).sqrt(), rtol=1e-9
    )
    single = gradients.jacobian_norms(trained, some[0][:4])
    assert torch.allclose(
        single,
        torch.stack([gradients.jacobian_norms(trained, some[0][i : i + 1])[0] for i in range(4)]),
        rtol=1e-4,
    )
