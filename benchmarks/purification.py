"""Adversarial training in the theorem's world of feature purification, against the loop that autograd makes
of the same formulas.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import Case, Target, Work
from lib.purification import Symmetric, pgd, samples, train, world
from lib.purification.sparse_coding import World
from lib.purification.training import norm_scaled

D, M, K, TAU, STEPS, BATCH = 100, 200, 10, 0.15, 20, 512
CUT, RATE = 0.5 * K**-0.5, 1e-3
TOLERANCE = 1e-3  # of the largest weight: a gate within rounding of its threshold opens on one side alone


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _prepared() -> tuple[World, Tensor]:
    return world(D, K, generator=_generator()), 0.1 * torch.randn(M, D, generator=_generator())


def ours(device: str) -> Work:
    """Some steps of adversarial training with PGD by the library."""
    source, weights = _prepared()
    rule = norm_scaled(CUT)
    start = Symmetric(weights, rule(weights, 1.0))

    def work() -> Tensor:
        attack = partial(pgd, tau=TAU, steps=7, generator=_generator())
        usual = {"steps": STEPS, "rate": RATE, "batch": BATCH, "rule": rule}
        return train(start, source, attack=attack, generator=_generator(), **usual)[0].weights

    return work


def peer(device: str) -> Work:
    """The same steps, with autograd for samples and for weights."""
    source, first = _prepared()

    def logits(x: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
        inner = x @ weights.T
        return (F.relu(inner - bias) - F.relu(-inner - bias)).sum(1)

    def work() -> Tensor:
        weights, drawn, starts = first.clone().requires_grad_(), _generator(), _generator()
        adam = torch.optim.Adam([weights], lr=RATE)
        for _ in range(STEPS):
            bias = CUT * weights.detach().norm(dim=1)
            x, y = samples(source, BATCH, generator=drawn)
            delta = (torch.rand(x.shape, generator=starts) * 2 - 1) * (0.1 * TAU / (D / 3) ** 0.5)
            for _ in range(7):
                delta.requires_grad_()
                loss = F.softplus(-y * logits(x + delta, weights, bias)).sum()
                (slope,) = torch.autograd.grad(loss, delta)
                with torch.no_grad():
                    delta = delta + 2.5 * TAU / 7 * slope / slope.norm(dim=1, keepdim=True).clamp(min=1e-30)
                    delta = delta * (TAU / delta.norm(dim=1, keepdim=True)).clamp(max=1)
            adam.zero_grad()
            F.softplus(-y * logits(x + delta.detach(), weights, bias)).mean().backward()
            adam.step()
        return weights.detach()

    return work


def parity(device: str) -> str | None:
    """Whether both end with the same weights."""
    found, expected = ours(device)(), peer(device)()
    apart = float((found - expected).abs().max() / expected.abs().max())
    return None if apart <= TOLERANCE else f"weights differ by {apart:.2g} of the largest"


CASES = (
    Case(
        name="purification, adversarial training",
        ours=ours,
        peer=peer,
        peer_name="a plain loop with autograd",
        parity=parity,
        targets={"cpu": Target(1.5)},
        unit="ms a step",
        per=STEPS,
        threads=1,
    ),
)
