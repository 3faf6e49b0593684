"""Steps of certified training: SingleProp against interval bounds and against PGD, and ours against a plain
script that goes through the modules one by one.

A step is loss, gradient and Adam, at radius 2/255 and kappa 1/2, on pixels drawn at random: what is measured
here does not depend on them. PGD trains on its images alone here, which is what it costs at least.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness import Case, Target, Work
from lib import attacks, models
from lib.certificates import read
from lib.certificates.losses import interval_worst, mixed, singleprop_worst
from lib.models.cnn import Cnn
from lib.training.objective.base import shadow

EPSILON, KAPPA, ATTACK_STEPS = 2 / 255, 0.5, 7
# images of a step; the large network takes 50 times as long as the small one
BATCH = {"cpu": {"cnn-small": 128, "cnn-large": 8}, "cuda": {"cnn-small": 128, "cnn-large": 128}}

Loss = Callable[[Tensor, Tensor], Tensor]


def setting(model: str, device: str) -> tuple[Cnn, Tensor, Tensor]:
    """A network, images and labels, the same at every call."""
    network = models.build(model, 10).to(device)
    assert isinstance(network, Cnn)
    generator, images = torch.Generator().manual_seed(0), BATCH[device][model]
    x = torch.rand(images, 3, 32, 32, generator=generator)
    labels = torch.randint(10, (images,), generator=generator)
    return network, x.to(device), labels.to(device)


# ---- ours --------------------------------------------------------------------------------------------------


def singleprop(network: Cnn) -> Loss:
    reading = read(network)
    return lambda x, y: mixed(*singleprop_worst(reading, x, y, EPSILON, "fastlin"), y, KAPPA)


def ibp(network: Cnn) -> Loss:
    reading = read(network)
    return lambda x, y: mixed(network(x), interval_worst(reading, x, y, EPSILON), y, KAPPA)


def pgd(network: Cnn) -> Loss:
    twin = shadow(network)

    def loss(x: Tensor, labels: Tensor) -> Tensor:
        def gradient(x: Tensor) -> Tensor:
            x = x.detach().requires_grad_()
            return torch.autograd.grad(F.cross_entropy(twin(x), labels, reduction="sum"), x)[0]

        how = {"epsilon": EPSILON, "step_size": EPSILON / 4}
        return F.cross_entropy(network(attacks.ascend(gradient, x, **how, steps=ATTACK_STEPS)), labels)

    return loss


# ---- the plain script --------------------------------------------------------------------------------------


def _blocks(network: Cnn) -> list[nn.Module]:
    convolutions = [getattr(network, f"conv{number}") for number in range(1, len(network.pads) + 1)]
    return [*convolutions, network.linear1, network.linear]


def _through(network: Cnn, number: int, h: Tensor, *, absolute: bool) -> Tensor:
    """One layer with weights, or its absolute weights without bias."""
    layer = _blocks(network)[number]
    weight, bias = (layer.weight.abs(), None) if absolute else (layer.weight, layer.bias)
    if isinstance(layer, nn.Linear):
        return F.linear(h.flatten(1), weight, bias)
    zeros = network.pads[number]
    h = F.pad(h, zeros) if zeros else h
    return F.conv2d(h, weight, bias, layer.stride, layer.padding)


def plain_singleprop(network: Cnn) -> Loss:
    def loss(x: Tensor, labels: Tensor) -> Tensor:
        z, v = network.normalize(x), torch.full_like(x, EPSILON) / network.normalize.std
        for number in range(len(_blocks(network))):
            if number:
                dead, active = z + v <= 0, z - v >= 0
                unstable = 3 * v / 4 + z / 2 - z * z / (4 * v + 1e-12)
                v = torch.where(active, v, torch.where(dead, torch.zeros_like(v), unstable))
                z = F.relu(z)
            z, v = _through(network, number, z, absolute=False), _through(network, number, v, absolute=True)
        right = F.one_hot(labels, 10).bool()
        return mixed(z, torch.where(right, z - v, z + v), labels, KAPPA)

    return loss


def plain_ibp(network: Cnn) -> Loss:
    def loss(x: Tensor, labels: Tensor) -> Tensor:
        lower = network.normalize((x - EPSILON).clamp(min=0))
        upper = network.normalize((x + EPSILON).clamp(max=1))
        last = len(_blocks(network)) - 1
        for number in range(last):
            centre, radius = (upper + lower) / 2, (upper - lower) / 2
            centre = _through(network, number, centre, absolute=False)
            radius = _through(network, number, radius, absolute=True)
            lower, upper = F.relu(centre - radius), F.relu(centre + radius)
        centre, radius = (upper + lower) / 2, (upper - lower) / 2
        weight, bias = network.linear.weight, network.linear.bias
        differences = weight - weight[labels].unsqueeze(1)
        worst = torch.einsum("nkd,nd->nk", differences, centre) + bias - bias[labels].unsqueeze(1)
        worst = worst + torch.einsum("nkd,nd->nk", differences.abs(), radius)
        return mixed(network(x), worst, labels, KAPPA)

    return loss


# ---- cases -------------------------------------------------------------------------------------------------


def step(make: Callable[[Cnn], Loss], model: str, device: str) -> Work:
    """One step of training on a loss."""
    network, x, labels = setting(model, device)
    loss, optimiser = make(network), torch.optim.Adam(network.parameters(), 1e-4, fused=True)

    def work() -> None:
        optimiser.zero_grad()
        loss(x, labels).backward()
        optimiser.step()

    return work


def equal(one: Callable[[Cnn], Loss], other: Callable[[Cnn], Loss], model: str, device: str) -> str | None:
    """One line on where two losses, or their gradients, differ; None if they agree."""
    found = []
    for make in (one, other):
        network, x, labels = setting(model, device)
        value = make(network)(x, labels)
        found.append((value.item(), torch.autograd.grad(value, network.conv1.weight)[0]))
    (ours, mine), (theirs, their) = found
    if not abs(ours - theirs) <= 1e-4 * abs(theirs):
        return f"loss {ours:.6f}, not {theirs:.6f}"
    if not (mine - their).norm() <= 1e-3 * their.norm():
        return f"gradient of conv1 off by {float((mine - their).norm() / their.norm()):.2g}"
    return None


def sound(make: Callable[[Cnn], Loss], plain: Callable[[Cnn], Loss], model: str, device: str) -> str | None:
    """That both losses that are compared are what the plain script computes."""
    return equal(singleprop, plain_singleprop, model, device) or equal(make, plain, model, device)


CASES = [
    *(
        Case(
            name=f"certified-{size}",
            ours=partial(step, singleprop, f"cnn-{size}"),
            peer=partial(step, ibp, f"cnn-{size}"),
            peer_name=f"a step on interval bounds, cnn-{size}; ours: SingleProp, fastlin",
            parity=partial(sound, ibp, plain_ibp, f"cnn-{size}"),
            targets={"cpu": Target(1.0), "cuda": Target(1.0)},
            unit="ms a step",
            memory=True,
        )
        for size in ("small", "large")
    ),
    *(
        Case(
            name=f"certified-pgd-{size}",
            ours=partial(step, singleprop, f"cnn-{size}"),
            peer=partial(step, pgd, f"cnn-{size}"),
            peer_name=f"a step on images of PGD, {ATTACK_STEPS} steps, cnn-{size}; ours: SingleProp, fastlin",
            parity=partial(equal, singleprop, plain_singleprop, f"cnn-{size}"),
            targets={"cpu": Target(2.0), "cuda": Target(2.0)},
            unit="ms a step",
            memory=True,
        )
        for size in ("small", "large")
    ),
    *(
        Case(
            name=f"certified-plain-{name}",
            ours=partial(step, ours, "cnn-small"),
            peer=partial(step, plain, "cnn-small"),
            peer_name=f"the same loss ({name}), module by module",
            parity=partial(equal, ours, plain, "cnn-small"),
            targets={"cpu": Target(1.0), "cuda": Target(1.0)},
            unit="ms a step",
            memory=True,
        )
        for name, ours, plain in (("singleprop", singleprop, plain_singleprop), ("ibp", ibp, plain_ibp))
    ),
]
