"""Certified accuracy of a network beside its accuracy under PGD, image by image, and what SingleProp's
half-width is worth, unit by unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from lib import models
from lib.attacks import ascent
from lib.attacks.norms import Linf
from lib.base.errors import InputError, unknown
from lib.certificates import certified
from lib.certificates.halfwidth import propagate
from lib.certificates.interval import Box, ball, boxes
from lib.certificates.reading import Reading, agreeing
from lib.certificates.relaxation import RULES
from lib.data.images import Images
from lib.measurements import per_image
from lib.measurements.attack import CLEAN, batches, is_correct
from lib.measurements.measurement import FLOAT, SHARE, TEXT, UNIT
from lib.models.activations import finite
from lib.models.precision import exact
from lib.training.training import LABELS

CERTIFICATE_TABLE = {"method": TEXT, "epsilon": FLOAT, **per_image.IMAGES}
HALF_WIDTH_TABLE = {
    **UNIT,
    "radius": FLOAT,
    "zero": FLOAT,
    "fastlin": FLOAT,
    "centre_error": FLOAT,
    "unstable": SHARE,
    "covered_zero": SHARE,
    "covered_fastlin": SHARE,
}

INTERVAL, PGD, LARGER, COVERED = "interval", "pgd", "larger", "covered-"
EPSILONS = tuple(step / 255 for step in (0.5, 1, 2, 4, 8, 16))
STEPS, RESTARTS, STEPS_PER_RADIUS = 20, 5, 4  # of PGD: the first start is the image, the others are drawn
ESTIMATED = ("zero", "fastlin")  # the rules by which networks are trained
SLACK = 1e-5  # of an interval's size: rounding of the two sides of an equality


def certificate(
    network: nn.Module,
    images: Images,
    *,
    epsilons: Sequence[float],
    limit: int,
    attacked: int,
    linear: int,
    rule: str,
    seed: int,
) -> pd.DataFrame:
    """Which images are right, which stay right under PGD, and for which there is a proof that nothing in the
    ball changes that.

    Args:
        epsilons: Radii of the balls, in pixels of [0, 1]; PGD takes them from the smallest to the largest.
        limit: Number of images, the first of the split, for the clean images and interval bounds; 0 means all
            of them.
        attacked: The same for PGD, 20 steps of a quarter of the radius from five starts, and for SingleProp.
        linear: The same for linear bounds, which take seconds per image: at most `attacked`, and none for 0.
            Images that PGD breaks have no proof and are not bounded.
        rule: Of the linear bounds: "zero", "fastlin" or "crown".
        seed: Seed of PGD's starts.

    Returns:
        A table with the columns of CERTIFICATE_TABLE, in which `right` says of each image, by method,

        - `clean`: that it is classified correctly, with radius 0;
        - `pgd`: that PGD finds no misclassified image in this or a smaller ball;
        - `interval`, and the name of the rule: that these bounds prove it;
        - `larger`: that the larger of the two bounds does;
        - `covered-zero`, `covered-fastlin`: that SingleProp's interval of every logit, which is no
          certificate, holds that of interval bounds.

    Raises:
        InputError: For a layer without bounds, weights or logits that are not finite, a negative radius, no
            radius, or more images for linear bounds than for PGD.
    """
    radii = sorted({finite("epsilons", one, least=0) for one in epsilons})
    if not radii:
        raise InputError("epsilons is empty; give one radius at least, such as 2/255")
    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    device = models.evaluated(network)
    every, some, few = images.first(limit), images.first(attacked), images.first(linear)
    if linear and len(few) > len(some):
        raise InputError(
            f"linear bounds are asked of {len(few)} images and PGD of {len(some)}; give linear <= attacked"
        )
    found: dict[tuple[str, float], list[Tensor]] = {}

    def keep(method: str, epsilon: float, right: Tensor) -> None:
        found.setdefault((method, epsilon), []).append(right.cpu())

    for _, x, labels in batches(every, device):
        keep(CLEAN, 0.0, is_correct(network, x, labels))
        for epsilon in radii:
            keep(INTERVAL, epsilon, certified(network, x, labels, epsilon))
    generator = torch.Generator().manual_seed(seed)
    for _, x, labels in batches(some, device):
        for epsilon, right in _survivors(network, x, labels, radii, generator):
            keep(PGD, epsilon, right)
        for name in ESTIMATED:
            for epsilon in radii:
                keep(COVERED + name, epsilon, _covered(network, x, epsilon, name))
    if linear:
        standing = {epsilon: torch.cat(found[PGD, epsilon]) for epsilon in radii}
        for rows, x, labels in batches(few, device):
            for epsilon in radii:
                there = standing[epsilon][rows].to(device)
                for method, bounds in ((rule, rule), (LARGER, f"{INTERVAL}+{rule}")):
                    right = torch.zeros_like(there)
                    if there.any():
                        right[there] = certified(network, x[there], labels[there], epsilon, bounds)
                    keep(method, epsilon, right)
    asked = dict.fromkeys((CLEAN, INTERVAL), every) | dict.fromkeys((rule, LARGER), few)
    return pd.DataFrame([
        per_image.row(torch.cat(parts), asked.get(method, some), method=method, epsilon=epsilon)
        for (method, epsilon), parts in found.items()
    ])


def _survivors(
    network: nn.Module, x: Tensor, labels: Tensor, radii: Sequence[float], generator: torch.Generator
) -> Iterator[tuple[float, Tensor]]:
    """For each radius, ascending, which images PGD leaves right; a broken one is not attacked again."""
    right = is_correct(network, x, labels)
    for epsilon in radii:
        for restart in range(RESTARTS):
            # drawn for all images, so that a start does not depend on which are left
            drawn = (x + epsilon * Linf.drawn(x, generator).to(x.device)).clamp(0, 1) if restart else x
            there = right.nonzero().flatten()
            if not len(there) or not epsilon:
                continue
            *_, last = ascent.pgd_path(
                network,
                x[there],
                labels[there],
                epsilon=epsilon,
                step_size=epsilon / STEPS_PER_RADIUS,
                steps=STEPS,
                start=drawn[there],
            )
            right = right.clone()
            right[there] = is_correct(network, last, labels[there])
        yield epsilon, right


@torch.no_grad()
def _estimates(
    network: nn.Module, x: Tensor, epsilon: float, rules: Sequence[str]
) -> tuple[Reading, list[Box], dict[str, list[Tensor]], list[Tensor]]:
    """Interval bounds, SingleProp's half-widths by rule, and the images' own activations, after each step."""
    with exact():
        reading = agreeing(network, x)
        found = boxes(reading, ball(x, epsilon))
        spreads = {rule: propagate(reading, x, epsilon, rule) for rule in rules}
        values = [one.value for one in spreads[rules[0]]]
    return reading, found, {rule: [one.width for one in spread] for rule, spread in spreads.items()}, values


def _holds(value: Tensor, width: Tensor, box: Box) -> Tensor:
    """Where the interval around a value holds a box, up to rounding."""
    slack = SLACK * (box.centre.abs() + box.radius)
    return (value - width <= box.lower + slack) & (value + width >= box.upper - slack)


def _covered(network: nn.Module, x: Tensor, epsilon: float, rule: str) -> Tensor:
    """Images of which SingleProp's interval of every logit holds that of interval bounds, (n,) bool."""
    _, found, widths, values = _estimates(network, x, epsilon, [rule])
    return _holds(values[-1], widths[rule][-1], found[-1]).all(1)


def half_width(network: nn.Module, images: Images, *, epsilon: float, limit: int) -> pd.DataFrame:
    """Interval bounds and SingleProp's half-widths behind every ReLU.

    Args:
        epsilon: Radius of the ball, in pixels of [0, 1].
        limit: Number of images, the first of the split; 0 means all of them.

    Returns:
        One row per unit with the columns layer, depth (1 is the first ReLU) and unit, and means over images
        and places:

        - `radius`: Half the width of the interval that interval bounds give the unit;
        - `zero, fastlin`: SingleProp's half-width by either rule;
        - `centre_error`: Distance of the image's own activation from the middle of that interval;
        - `unstable`: Share whose pre-activation may have either sign, by interval bounds;
        - `covered_zero, covered_fastlin`: Share where SingleProp's interval, around the image's own
          activation, holds that of interval bounds.

    Raises:
        InputError: As `certificate`.
    """
    epsilon = finite("epsilon", epsilon, least=0)
    some, device = images.first(limit), models.evaluated(network)
    sums: dict[tuple[int, str], dict[str, Tensor]] = {}  # a module that is used twice is two layers
    for _, x, _ in batches(some, device):
        reading, found, widths, values = _estimates(network, x, epsilon, ESTIMATED)
        for number in reading.relus:
            step, box, value = reading.steps[number - 1], found[number], values[number]
            before = found[step.inputs[0]]
            parts = {"radius": box.radius, "centre_error": (value - box.centre).abs()}
            parts |= {rule: widths[rule][number] for rule in ESTIMATED}
            parts["unstable"] = (before.lower < 0) & (before.upper > 0)
            for rule in ESTIMATED:
                parts[f"covered_{rule}"] = _holds(value, widths[rule][number], box)
            layer = sums.setdefault((number, step.name), {})
            for name, part in parts.items():
                total = part.expand_as(value).flatten(2).double().mean(2).sum(0).cpu()
                layer[name] = layer.get(name, 0) + total
    tables = [
        pd.DataFrame(
            {"layer": name, "depth": depth, "unit": range(len(parts["radius"]))}
            | {
                column: (parts[column] / len(some)).numpy()
                for column in HALF_WIDTH_TABLE
                if column not in UNIT
            }
        )
        for depth, ((_, name), parts) in enumerate(sums.items(), start=1)
    ]
    return pd.concat(tables, ignore_index=True)


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """A `certificate` table over networks as accuracies: one row per network, method and radius.

    Returns:
        A table with the columns LABELS, method, epsilon, images and accuracy, in [0, 1].
    """
    names = [*LABELS, "method", "epsilon", "images"]
    return table[names].assign(accuracy=per_image.accuracy(table))
