"""Changes of saturation and value, with the hue left as it is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lib.corruptions.quantized import to_levels, to_unit


def with_hsv(pixels: Tensor, change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    """Levels (n, 3, h, w) after a change of saturation and value in HSV, both (n, h, w) in [0, 1].

    The hue stays, and is 0 where there is no colour.

    Only the middle channel of a pixel depends on the hue: the largest becomes the value, the smallest becomes
    value * (1 - saturation).
    """
    red, green, blue = pixels.unbind(1)
    most, least = pixels.amax(1), pixels.amin(1)
    middle = red ^ green ^ blue ^ most ^ least
    blue_leads = blue == most  # on ties the last of the three counts
    green_leads = (green == most) & ~blue_leads
    # within a sixth of the circle the middle channel rises with the hue or falls; the order of the channels
    # tells which
    rises = ((red < green) ^ (green < blue) ^ (blue < red)) & (middle != most)
    # the circle's begin: these lie at its end
    begins_below = ~(blue_leads | green_leads | rises) & (middle != least)
    rises, below = (mask.to(torch.uint8).double() for mask in (rises, begins_below))
    value, half, low = (to_unit(each) for each in (most, middle, least))
    spread = value - low
    # the bound changes only what is 0
    part = half.sub_(low).div_(spread.clamp(min=1 / 512)).mul_((2 * rises).sub_(1))
    hue = (
        part
        .add_((4 * blue_leads.to(torch.uint8) + 2 * green_leads.to(torch.uint8)).double())
        .div_(6)
        .add_(below)
        .mul_(6)
    )
    distance = hue.sub_(hue.floor()).sub_(rises).abs_()  # distance of the middle channel from the largest
    saturation, value = change(spread.div_(value.clamp(min=1 / 512)), value)
    centre = to_levels(distance.mul_(saturation).neg_().add_(1).mul_(value))
    bottom, top = to_levels(saturation.neg_().add_(1).mul_(value)), to_levels(value)
    top, centre, bottom = (each[:, None] for each in (top, centre, bottom))
    is_most, is_least = pixels == most[:, None], pixels == least[:, None]
    # without colour, hue 0: red is the largest
    is_least[:, :1] &= ~is_most[:, :1]
    is_most[:, 1:] &= ~is_least[:, 1:]
    # bytes wrap around
    return (
        (is_most.to(torch.uint8) * (top - centre))
        .add_(is_least.to(torch.uint8).mul_(bottom - centre))
        .add_(centre)
    )
