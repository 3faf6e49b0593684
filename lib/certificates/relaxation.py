"""A ReLU between two lines: the rules zero, fastlin and crown, as lines for linear bounds and as half-widths
for SingleProp.

A unit whose pre-activation lies in [l, u] is active if l >= 0, dead if u <= 0, otherwise unstable.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lib.base.errors import unknown

# what lies below an unstable unit: the line 0, the slope of the chord, or the better one of the lines 0 and x
RULES = ("zero", "fastlin", "crown")


def check_rule(rule: str) -> None:
    """Check a rule.

    Raises:
        InputError: For an unknown one.
    """
    if rule not in RULES:
        raise unknown("rule", rule, RULES)


class Lines(NamedTuple):
    """``below * x <= relu(x) <= above * x + offset`` on [l, u], each of the shape of l."""

    below: Tensor
    above: Tensor
    offset: Tensor


def lines(lower: Tensor, upper: Tensor, rule: str) -> Lines:
    """The two lines of every unit.

    Args:
        lower: Lower ends l of the pre-activations, of any shape.
        upper: Upper ends u, of the same shape, u >= l.
        rule: "zero", with the line 0 below an unstable unit; "fastlin", with a line parallel to the chord;
            "crown", with the line x where u > -l, else 0. The line above is the chord in each of them.
    """
    check_rule(rule)
    dead = upper <= 0
    active = (lower >= 0) & ~dead
    stable = active | dead
    width = (upper - lower).masked_fill(stable, 1)
    chord = upper / width
    # where the distance of the ends leaves the range, a chord of 0 would be no line above
    offset = (-lower * chord).masked_fill(width.isinf(), torch.inf).masked_fill(stable, 0)
    above = chord.masked_fill(active, 1).masked_fill(dead, 0)
    if rule == "zero":
        below = active.to(lower.dtype)
    elif rule == "fastlin":
        below = above
    else:
        below = (active | (~dead & (upper > -lower))).to(lower.dtype)
    return Lines(below, above, offset)


def half_width(z: Tensor, v: Tensor, rule: str) -> Tensor:
    """SingleProp's half-width behind a ReLU: half the distance from the lower line at z - v to the upper line
    at z + v.

    Args:
        z: Pre-activations of the image itself, of any shape.
        v: Half-widths >= 0 of the same shape.
        rule: "zero" gives (z + v) / 2 for an unstable unit, "fastlin" (z + v) (3 v - z) / (4 v), "crown" v
            for z > 0 and (z + v) / 2 below. Active units keep v, dead ones get 0.

    References:
        Boopathy et al. 2021, arXiv 2102.01208. Its code adds 1e-4 to the denominator of fastlin, which is
        left out here; its rule crown tests z > 0 in both branches, which is mended here.
    """
    check_rule(rule)
    if rule == "fastlin":
        return _FastLin.apply(z, v)
    halved = _Zero.apply(z, v)
    return halved if rule == "zero" else torch.where(z > 0, v, halved)


class _Zero(torch.autograd.Function):
    """The rule zero as (z + v) / 2 cut to [0, v]: it is below 0 where a unit is dead, above v where active.

    Its gradient, like that of fastlin, is written by hand: autograd's takes about twice the time.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, v: Tensor) -> Tensor:
        halved = (z + v).div_(2)
        ctx.save_for_backward(halved >= v, halved <= 0)
        ctx.shape = v.shape
        return torch.minimum(halved.clamp_(min=0), v)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        active, dead = ctx.saved_tensors
        halved = (gradient / 2).masked_fill_(active | dead, 0)
        return halved, torch.where(active & ~dead, gradient, halved).sum_to_size(ctx.shape)


class _FastLin(torch.autograd.Function):
    """The rule fastlin as v (1 - s^2), where s = (v - z) / 2v is cut to [0, 1]: 0 is active, 1 is dead."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, v: Tensor) -> Tensor:
        # v = 0, at epsilon = 0, is active or dead too: -z / 0 would leave z = 0 undecided
        s = ((v - z) / (2 * v).clamp(min=torch.finfo(v.dtype).tiny)).clamp_(0, 1)
        ctx.save_for_backward(s)
        ctx.shape = v.shape
        return torch.addcmul(v.expand_as(s), v * s, s, value=-1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        (s,) = ctx.saved_tensors
        lives = gradient * (s < 1)
        by_z = lives * s
        return by_z, torch.addcmul(lives - by_z, by_z, s).sum_to_size(ctx.shape)
