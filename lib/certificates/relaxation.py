"""A ReLU between two lines: the rules zero, fastlin and crown, as lines for linear bounds and as half-widths
for SingleProp.

A unit whose pre-activation lies in [l, u] is active if l >= 0, dead if u <= 0, otherwise unstable.
"""

from __future__ import annotations

from typing import NamedTuple

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
    chord = upper / (upper - lower).masked_fill(stable, 1)
    offset = (-lower * chord).masked_fill(stable, 0)
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
    upper = z + v
    active, dead = z - v >= 0, upper <= 0
    unstable = upper / 2
    if rule == "fastlin":
        unstable = unstable * (3 * v - z) / (2 * v).masked_fill(active | dead, 1)
    keeps = active | (z > 0) if rule == "crown" else active
    return torch.where(keeps, v, unstable).masked_fill(dead, 0)
