"""The networks: their layers and counts, torchvision's own as reference, and what the hooks read."""

import doctest
import subprocess
import sys
from functools import lru_cache

import pytest
import torch
import torchvision
from torch import nn

from lib import models
from lib.base import paths
from lib.base.errors import InputError
from lib.models import registry
from lib.models.resnet import CifarBlock

# model: (side, classes of its usual data set, ReLU layers, units, parameters counted by hand or by
# torchvision)
KNOWN = {
    "resnet8": (32, 10, 7, 120, 19_218),
    "resnet20": (32, 10, 19, 688, 269_722),
    # torchvision's with 1,000 classes less 800 rows of the last layer
    "resnet18": (64, 200, 17, 3904, 11_689_512 - 800 * 513),
    "resnet50": (64, 200, 49, 22720, 25_557_032 - 800 * 2049),
    "alexnet": (32, 10, 5, 544, 577_034),
    "cnn-small": (32, 10, 3, 148, 829_318),
    "cnn-large": (32, 10, 6, 1024, 17_190_602),
}


@lru_cache
def built(name: str) -> nn.Module:
    """One network of each kind for the tests that do not change it."""
    return models.build(name, KNOWN[name][1]).eval()


@lru_cache
def pixels(side: int, n: int = 2) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def test_the_table_is_complete():
    assert set(KNOWN) == set(models.MODELS)
    assert {name: models.image_side(name) for name in KNOWN} == {name: row[0] for name, row in KNOWN.items()}


@pytest.mark.parametrize("name", KNOWN)
def test_layers_units_parameters_and_shape(name):
    side, classes, layers, units, parameters = KNOWN[name]
    network = built(name)
    with torch.no_grad(), models.spatial_means(network) as means:
        logits = network(pixels(side))
    assert logits.shape == (2, classes) and logits.isfinite().all()
    assert len(means) == layers
    assert sum(mean.shape[1] for mean in means.values()) == units
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize("name", KNOWN)
def test_every_relu_serves_once_out_of_place_and_in_order(name):
    network = built(name)
    relus = models.relu_layers(network)
    called, outputs, copies = [], [], []

    def see(layer):
        def hook(module, inputs, output):
            called.append(layer)
            outputs.append(output)
            copies.append(output.clone())

        return hook

    hooks = [module.register_forward_hook(see(layer)) for layer, module in relus.items()]
    with torch.no_grad():
        network(pixels(KNOWN[name][0]))
    for hook in hooks:
        hook.remove()
    assert called == list(relus)
    assert not any(module.inplace for module in relus.values())
    # nothing after the ReLU wrote into its output
    assert all(torch.equal(*pair) for pair in zip(outputs, copies, strict=True))
    assert not any(isinstance(module, nn.MaxPool2d) for module in network.modules())


@pytest.mark.parametrize("name", KNOWN)
def test_normalisation_is_inside(name):
    side = KNOWN[name][0]
    seen = []
    hook = built(name).conv1.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        built(name)(pixels(side))
    hook.remove()
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    torch.testing.assert_close(seen[0], (pixels(side) - mean) / std)
    assert not any("normalize" in key for key in built(name).state_dict())


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_seed_gives_torchvisions_weights_by_torchvisions_names(name):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        theirs = getattr(torchvision.models, name)(num_classes=200).state_dict()
    ours = models.build(name, 200, seed=3).state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.slow
def test_the_library_does_without_torchvisions_models():
    """Importing them takes as long as importing torch twice, for every command, kernel and job."""
    code = (
        "import sys; from lib import data, measurements, models, runs; "
        "print([name for name in sys.modules if name.startswith(('torchvision', 'torch._dynamo'))][:3])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=paths.ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_is_torchvisions_without_its_max_pool(name, mode):
    ours, theirs = models.build(name, 200, seed=1), getattr(torchvision.models, name)(num_classes=200)
    theirs.maxpool = nn.Identity()
    generator = torch.Generator().manual_seed(2)
    for module in ours.modules():
        if isinstance(module, nn.BatchNorm2d):  # as initialised they would hide a swapped pair
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.5 + 0.5)
    theirs.load_state_dict(ours.state_dict())
    x = pixels(64)
    normalised = torchvision.transforms.functional.normalize(x, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with torch.no_grad():
        mine, reference = getattr(ours, mode)()(x), getattr(theirs, mode)()(normalised)
    torch.testing.assert_close(mine, reference, rtol=1e-5, atol=1e-5)


def test_option_a_shortcut():
    block = CifarBlock(4, 8, stride=2)
    x = torch.rand(2, 4, 6, 6)
    out = block.shortcut(x)
    assert out.shape == (2, 8, 3, 3)
    assert torch.equal(out[:, 2:6], x[:, :, ::2, ::2])
    assert not out[:, :2].any() and not out[:, 6:].any()
    assert [name.split(".")[0] for name, _ in block.named_parameters()] == [
        "conv1",
        "bn1",
        "bn1",
        "conv2",
        "bn2",
        "bn2",
    ]
    assert CifarBlock(4, 4, stride=1).shortcut(x) is x


def test_block_adds_its_shortcut_before_the_last_relu():
    block = CifarBlock(4, 4, stride=1).eval()
    nn.init.zeros_(block.conv2.weight)  # what remains is relu(x)
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(block(x), x.relu())


def test_stages_halve_the_image():
    sizes = {}
    hooks = [
        module.register_forward_hook(
            lambda module, inputs, output, name=name: sizes.update({name: tuple(output.shape[1:])})
        )
        for name, module in built("resnet20").named_children()
        if name.startswith("layer")
    ]
    built("resnet20")(pixels(32))
    for hook in hooks:
        hook.remove()
    assert sizes == {"layer1": (16, 32, 32), "layer2": (32, 16, 16), "layer3": (64, 8, 8)}


# ---- seeds -------------------------------------------------------------------------------------------------


def test_the_seed_decides_the_weights_and_the_global_generator_is_left_alone():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first = models.build("resnet8", 10, seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(12)  # of no influence
    second, other = (
        models.build("resnet8", 10, seed=5).state_dict(),
        models.build("resnet8", 10, seed=6).state_dict(),
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first if "conv" in key)


def test_kaiming_normal_weights():
    weights = built("resnet20").layer3[2].conv2.weight  # 64 x 64 x 3 x 3: many enough to see the spread
    assert weights.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


@pytest.mark.parametrize("name", ["cnn-small", "cnn-large"])
def test_plain_networks_are_drawn_as_published(name):
    network = built(name)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            inputs = layer.weight[0].numel()  # k * k * channels for a convolution
            close = 5 / layer.weight.numel() ** 0.5  # five standard errors and more
            assert layer.weight.std().item() == pytest.approx(inputs**-0.5, rel=close)
            assert not layer.bias.any()
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


def test_uneven_padding_of_plain_networks_is_that_of_same():
    """A kernel of 4 at stride 1 takes 3 zeros, 1 before the image and 2 behind it; a kernel of 3 at stride 2
    takes one, behind it."""
    seen = []
    with torch.no_grad():
        for layer, name in ((built("cnn-small").conv2, "cnn-small"), (built("cnn-large").conv3, "cnn-large")):
            hook = layer.register_forward_hook(
                lambda module, inputs, output: seen.append((inputs[0], output))
            )
            built(name)(pixels(32))
            hook.remove()
    for (given, made), side, before, behind in zip(seen, (16, 32), (1, 0), (2, 1), strict=True):
        assert given.shape[2:] == (side + before + behind,) * 2 and made.shape[2:] == (16, 16)
        for one in (given, given.transpose(2, 3)):
            filled = one.abs().sum((0, 1, 3)) > 0
            assert filled.tolist() == [False] * before + [True] * side + [False] * behind


# ---- spatial means -----------------------------------------------------------------------------------------


def hooks_left(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in network.modules())


@pytest.mark.parametrize("name", ["resnet8", "resnet18"])
def test_spatial_means_are_the_means_of_the_outputs(name):
    network, x = built(name), pixels(KNOWN[name][0])
    outputs = {}
    relus = [(layer, module) for layer, module in network.named_modules() if isinstance(module, nn.ReLU)]
    manual = [
        module.register_forward_hook(lambda m, i, o, layer=layer: outputs.update({layer: o}))
        for layer, module in relus
    ]
    with torch.no_grad(), models.spatial_means(network) as means:
        network(x)
    for hook in manual:
        hook.remove()
    assert list(means) == list(outputs)
    for layer, output in outputs.items():
        expected = torch.stack([
            torch.stack([channel.sum() / channel.numel() for channel in image]) for image in output
        ])
        torch.testing.assert_close(means[layer], expected, rtol=1e-5, atol=1e-6)
    assert hooks_left(network) == 0


def test_spatial_means_removes_its_hooks_after_an_error():
    network = models.build("resnet8", 10)
    with pytest.raises(ZeroDivisionError), models.spatial_means(network):
        assert hooks_left(network) == 7
        raise ZeroDivisionError
    assert hooks_left(network) == 0


def test_spatial_means_are_overwritten_and_carry_the_gradient():
    network = models.build("resnet8", 10)
    with models.spatial_means(network) as means:
        network(pixels(32, 5))
        network(pixels(32, 3))
        assert {mean.shape[0] for mean in means.values()} == {3}
        means["layer1.0.relu1"].sum().backward()
    assert network.layer1[0].conv1.weight.grad.abs().sum() > 0
    assert network.layer1[0].conv2.weight.grad is None  # comes after that ReLU


def test_spatial_means_are_float32_under_autocast():
    network = models.build("resnet8", 10)
    with models.spatial_means(network) as means, torch.autocast("cpu", torch.bfloat16):
        logits = network(pixels(32))
    assert logits.dtype == torch.bfloat16
    assert {mean.dtype for mean in means.values()} == {torch.float32}


# ---- the rest ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: models.build("resnet19", 10),
            "unknown model 'resnet19'; known: alexnet, cnn-large, cnn-small, resnet18, resnet20, resnet50, resnet8",
        ),
        (lambda: models.image_side("resnet19"), "unknown model 'resnet19'"),
        (lambda: models.build("resnet8", 1), "needs at least 2 classes, got 1"),
    ],
)
def test_errors(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_to_unit():
    unit = models.to_unit(torch.tensor([0, 51, 255], dtype=torch.uint8))
    assert unit.dtype == torch.float32
    torch.testing.assert_close(unit, torch.tensor([0.0, 0.2, 1.0]))


def test_doctests():
    assert doctest.testmod(registry).failed == 0
