"""Lower bounds of linear functions of a layer, carried back through the network: to the ReLUs before it
(interval bounds with the last layer elided) or, with every ReLU between two lines, to the pixels (Fast-Lin,
CROWN).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lib.certificates.interval import Box, outwards
from lib.certificates.layers import Affine, Combine
from lib.certificates.reading import Reading
from lib.certificates.relaxation import Lines, check_rule, lines

# numbers in one tensor of coefficients, 64 MiB in float32: what is more is done in parts
BUDGET = 2**24


def _transposed(layer: Affine, coefficients: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor]:
    """Coefficients of a layer's output (n, k, ...) as those of its input (n, k, *shape), and of its bias
    (...).
    """
    n, k = coefficients.shape[:2]
    with torch.inference_mode(False), torch.enable_grad():
        start = coefficients.new_zeros((n * k, *shape)).requires_grad_()
        bias = layer.apply(start)
        back = torch.autograd.grad(bias, start, coefficients.flatten(0, 1).clone())[0]
    return back.view(n, k, *shape), bias[0].detach()


def _sum(values: Tensor) -> Tensor:
    """(n, k, ...) summed to (n, k)."""
    return values.flatten(2).sum(2)


def lower_bounds(
    reading: Reading,
    target: int,
    coefficients: Tensor,
    found: list[Box],
    relaxed: Mapping[int, Lines],
) -> Tensor:
    """Lower bounds of linear functions of one step's output over a box of images.

    Args:
        reading: The network.
        target: Number of the value that the functions are of.
        coefficients: (n, k, ...) of k functions, for each of n images, of a value (n, ...).
        found: Boxes of the pixels and of what each step puts out, as `interval.boxes` gives them.
        relaxed: Lines of ReLUs by the number of their output. At a ReLU that is not in it the functions stop,
            and are bounded over its box.

    Returns:
        (n, k), moved outwards against rounding; minus infinity where numbers have left the range.
    """
    waiting = {target: coefficients}
    lower = coefficients.new_zeros(coefficients.shape[:2])
    size = lower.clone()

    def give(number: int, part: Tensor) -> None:
        waiting[number] = waiting[number] + part if number in waiting else part

    for number in range(target, -1, -1):
        if number not in waiting:
            continue
        back = waiting.pop(number)
        step = reading.steps[number - 1] if number else None
        if step is not None and isinstance(step.layer, Affine):
            source = step.inputs[0]
            before, bias = _transposed(step.layer, back, found[source].centre.shape[1:])
            give(source, before)
            lower, size = lower + _sum(back * bias), size + _sum((back * bias).abs())
        elif step is not None and isinstance(step.layer, Combine):
            give(step.inputs[0], back)
            give(step.inputs[1], step.layer.sign * back)
        elif number in relaxed and step is not None:
            below, above, offset = (part.unsqueeze(1) for part in relaxed[number])
            over, under = back.clamp(min=0), back.clamp(max=0)
            give(step.inputs[0], over * below + under * above)
            lower, size = lower + _sum(under * offset), size + _sum((under * offset).abs())
        else:
            centre, radius = (part.unsqueeze(1) for part in found[number])
            lower = lower + _sum(back * centre - back.abs() * radius)
            size = size + _sum(back.abs() * (centre.abs() + radius))
    return outwards(lower, size)


def relaxations(reading: Reading, found: list[Box], rule: str) -> dict[int, Lines]:
    """Lines of every ReLU on the range that linear bounds give its pre-activation, first to last.

    Every unit takes its own pass back to the pixels: for small networks.

    Args:
        found: As `lower_bounds`.
        rule: As `lines`.
    """
    check_rule(rule)
    relaxed: dict[int, Lines] = {}
    for number in reading.relus:
        source = reading.steps[number - 1].inputs[0]
        shape = found[source].centre.shape
        units = shape[1:].numel()
        largest = max(box.centre[0].numel() for box in found)
        together = max(1, BUDGET // (largest * shape[0] * 2))
        ends = []
        for start in range(0, units, together):
            some = torch.arange(start, min(start + together, units), device=found[source].centre.device)
            one = torch.zeros(len(some), units, dtype=found[source].centre.dtype, device=some.device)
            one[torch.arange(len(some)), some] = 1
            both = torch.cat([one, -one]).view(-1, *shape[1:]).expand(shape[0], -1, *shape[1:])
            ends.append(lower_bounds(reading, source, both, found, relaxed).view(shape[0], 2, -1))
        lower, upper = torch.cat(ends, 2).view(shape[0], 2, *shape[1:]).unbind(1)
        relaxed[number] = lines(lower, -upper, rule)
    return relaxed
