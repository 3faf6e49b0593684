"""The copy that attacks follow: the network itself in fewer passes, and never something else."""

import pytest
import torch
from torch import nn

from lib import attacks, gradients
from lib.models.fuse import folded


@torch.no_grad()
def accuracy(network, x, labels) -> float:
    return float((network(x).argmax(1) == labels).float().mean())


def test_the_stand_in_is_the_network(trained, some):
    x, _ = some
    twin = folded(trained, x)
    assert twin is not trained and not any(isinstance(module, nn.BatchNorm2d) for module in twin.modules())
    assert (twin(x) - trained(x)).abs().max() < 1e-4
    low = folded(trained, x, precision="bfloat16")(x)
    assert low.dtype == torch.float32 and (low - trained(x)).abs().max() < 0.3


class Rounded(torch.autograd.Function):
    """Levels cut off on the way there, nothing on the way back: what tracing loses."""

    @staticmethod
    def forward(ctx, x):
        return (x * 15).round() / 15

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Odd(nn.Module):
    """A trained network behind something that no copy can replace."""

    def __init__(self, network: nn.Module, kind: str) -> None:
        super().__init__()
        self.network, self.kind, self.generator = network, kind, torch.Generator().manual_seed(0)

    def forward(self, pixels):
        if self.kind == "its own backward":
            pixels = Rounded.apply(pixels)
        elif self.kind == "noise":
            pixels = pixels + 0.2 * torch.randn(pixels.shape[1:])
        elif self.kind == "noise of its own":
            pixels = pixels + 0.2 * torch.rand(pixels.shape[1:], generator=self.generator)
        elif self.kind == "a branch" and pixels.mean() > 0.5:
            pixels = 1 - pixels
        return self.network(pixels)


@pytest.mark.parametrize("kind", ["its own backward", "noise", "noise of its own", "a branch"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_no_copy_can_stand_in_for_is_attacked_itself(trained, some, kind, precision):
    odd = Odd(trained, kind).eval()
    assert folded(odd, some[0], precision=precision) is odd


def test_a_backward_of_its_own_is_followed(trained, some):
    x, labels = (part[:40] for part in some)
    odd = Odd(trained, "its own backward").eval()
    how = {"epsilon": 32 / 255, "step_size": 8 / 255, "steps": 8}
    found = [
        accuracy(odd, attacks.pgd(odd, x, labels, precision=precision, **how), labels)
        for precision in (None, "float32", "bfloat16")
    ]
    assert found[0] == found[1] == found[2] < accuracy(odd, x, labels) - 0.5


class Viewed(nn.Module):
    """Flattened with view, as LeNet and VGG do it: only one layout of memory will do."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.bn, self.linear = (
            nn.Conv2d(3, 4, 3, stride=4),
            nn.BatchNorm2d(4),
            nn.Linear(4 * 64, 10),
        )

    def forward(self, x):
        h = self.bn(self.conv(x)).relu()
        return self.linear(h.view(h.size(0), -1))


def shared() -> nn.Module:
    """One convolution before two batch norms."""
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 3, 3, padding=1)
    one, two = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    nn.init.uniform_(one.weight)
    return nn.Sequential(conv, one, conv, two, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 10))


def spectral() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.utils.spectral_norm(nn.Conv2d(3, 4, 3, stride=4)),
        nn.BatchNorm2d(4),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


@pytest.mark.parametrize("make", [Viewed, shared, spectral])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_any_network_is_attacked_alike_through_its_copy(make, precision, some):
    net = make().eval()
    x, labels = (part[:8] for part in some)
    how = {"epsilon": 0.03, "step_size": 0.01, "steps": 4}
    own, copied = (attacks.pgd(net, x, labels, precision=p, **how) for p in (None, precision))
    # bfloat16 decides the sign of small slopes otherwise
    assert (own - copied).abs().lt(1e-6).float().mean() > (0.999 if precision == "float32" else 0.8)
    assert gradients.jacobian_norms(net, x).isfinite().all()


def test_hooks_are_not_lost(trained, some):
    x, labels = (part[:4] for part in some)
    called = []
    hook = trained.register_forward_hook(lambda *args: called.append(1))
    try:
        attacks.pgd(trained, x, labels, steps=3)
    finally:
        hook.remove()
    assert len(called) >= 3
