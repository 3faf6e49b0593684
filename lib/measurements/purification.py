"""What a training has changed in a network's weights, and what perturbations made against it look like. Each
table needs other networks: the one that training started from, and the one that was trained on perturbed
images from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import data, models
from lib.attacks import ascent
from lib.base.errors import InputError
from lib.base.seeds import derived_seed
from lib.data.images import Images
from lib.dimensionality import components
from lib.measurements.measurement import COUNT, FLOAT, PLACE, SHARE, TEXT, Cells
from lib.purification import convolutional_coding as coding
from lib.purification import measures, weights
from lib.training.training import Training

WEIGHT_ANGLES_TABLE = {
    "convolution": TEXT,
    "place": PLACE,
    "filter": COUNT,
    "inputs": PLACE,
    "angle_start": SHARE,
    "angle_reference": SHARE,
    "angle_others": SHARE,
}
LOW_RANK_TABLE = {"rank": COUNT, "images": COUNT, "clean": COUNT, "attacked": COUNT, "energy": SHARE}
PERTURBATION_TABLE = {
    "dictionary": TEXT,
    "atoms": COUNT,
    "images": COUNT,
    "nonzero": FLOAT,
    "nonzero_noise": FLOAT,
    "unexplained": SHARE,
    "components_95": COUNT,
    "components_95_noise": COUNT,
    "high": SHARE,
    "high_noise": SHARE,
    "length": FLOAT,
}
ALIGNMENT_TABLE = {
    "convolution": TEXT,
    "place": PLACE,
    "numbers": PLACE,
    "cosine": FLOAT,
    "first_direction": SHARE,
    "inputs": PLACE,
}
PURIFIED = "pgd-3-linf-8"  # the variant that stands for adversarial training
_STATISTICS = 2000  # training images from which batch norm's statistics are made anew: our choice
_BATCH = 250

Networks = Mapping[Training, nn.Module]


def reference(training: Training) -> Training:
    """The network that a training is compared with: its parent; without one, the plain network with α = 0 and
    the same first weights, which may be itself.
    """
    return training.start or replace(training, variant="plain", alpha=0.0)


def purified(training: Training, variant: str) -> Training:
    """The network that was trained on perturbed images from the same parent as a training; for one without a
    parent, from the plain network of its seed and recipe, by the recipe `tune`.
    """
    if training.start:
        return replace(training, variant=variant, alpha=0.0)
    parent = replace(training, variant="plain", alpha=0.0, epochs=None)
    return replace(parent, recipe="tune", variant=variant, start=parent)


def references(training: Training, settings: Mapping[str, Any]) -> list[Training]:
    """Sources of `weight_angles` and `low_rank`."""
    return [reference(training)]


def purified_and_reference(training: Training, settings: Mapping[str, Any]) -> list[Training]:
    """Sources of `perturbation` and `alignment`, the reference first."""
    return [*dict.fromkeys([reference(training), purified(training, settings["variant"])])]


def _only(sources: Networks) -> tuple[Training, nn.Module]:
    return next(iter(sources.items()))


def weight_angles(network: nn.Module, images: Images, *, sources: Networks) -> pd.DataFrame:
    """Angles of every filter of every convolution.

    Returns:
        A table with the columns convolution, place (from the input, from 1), filter, inputs (numbers of a
        filter, in whose dimension random directions give the null), angle_start (theta to the filter's first
        weights), angle_reference (to the reference's) and angle_others (mean theta to the layer's other
        filters).
    """
    training, other = _only(sources)
    first = models.build(
        training.model, len(images.classes), seed=derived_seed(_root(training).seed, "weights")
    )
    tables = []
    ways = zip(weights.paired(first, network), weights.paired(other, network), strict=True)
    for place, ((name, start, rows), (_, before, _)) in enumerate(ways, start=1):
        rows = rows.cpu()
        n = len(rows)
        unit = F.normalize(rows.double(), dim=1)
        pairs = (unit @ unit.T).abs().fill_diagonal_(0)
        facts = {
            "convolution": name,
            "place": place,
            "filter": range(n),
            "inputs": rows.shape[1],
            "angle_start": measures.angle(start, rows),
            "angle_reference": measures.angle(before.cpu(), rows),
            "angle_others": pairs.sum(1) / (n - 1) if n > 1 else torch.full((n,), float("nan")),
        }
        tables.append(pd.DataFrame(facts))
    return pd.concat(tables, ignore_index=True)


def _root(training: Training) -> Training:
    """The training whose seed drew the first weights."""
    return _root(training.start) if training.start else training


def low_rank(
    network: nn.Module,
    images: Images,
    *,
    sources: Networks,
    limit: int,
    ranks: Sequence[int],
    epsilon: float,
    steps: int,
) -> pd.DataFrame:
    """Accuracy of the reference's weights plus the strongest directions of the change to this network, batch
    norm's statistics made anew; clean and under PGD (L-infinity, steps of 2.5 epsilon / steps).

    Args:
        limit: Number of test images.
        ranks: How many directions; the network itself is added as one of all.

    Returns:
        A table with the columns rank (of the last row, the most directions that a matrix has), images, clean
        and attacked (images that are right), and energy (mean over convolutions of the change's share in so
        many directions; NaN where nothing changed).
    """
    training, before = _only(sources)
    device, some = models.evaluated(network), images.first(limit)
    seen = models.to_unit(data.load(training.dataset, "train").first(_STATISTICS).pixels)
    pairs = [(first.cpu(), rows.cpu()) for _, first, rows in weights.paired(before, network)]
    curves = [measures.change_energy(first, rows) for first, rows in pairs]
    every = max(len(curve) for curve in curves)
    rows = []
    for rank in [*sorted({one for one in ranks if one < every}), every]:
        made = weights.with_change_of_rank(before, network, rank).to(device)
        made = weights.renew_statistics(made, seen)
        clean = attacked = 0
        for part in torch.arange(len(some.labels)).split(_BATCH):
            x, labels = models.to_unit(some.pixels[part].to(device)), some.labels[part].to(device)
            found = ascent.pgd(made, x, labels, epsilon=epsilon, step_size=2.5 * epsilon / steps, steps=steps)
            with torch.inference_mode():
                clean += int((made(x).argmax(1) == labels).sum())
                attacked += int((made(found).argmax(1) == labels).sum())
        shares = [float(curve[min(rank, len(curve)) - 1]) if rank else 0.0 for curve in curves]
        energy = sum(shares) / len(shares)
        rows.append((rank, len(some.labels), clean, attacked, energy))
    return pd.DataFrame(rows, columns=list(LOW_RANK_TABLE))


def low_rank_cells(training: Training, settings: Mapping[str, Any]) -> Cells:
    """What the table of ranks holds: each rank that was asked for."""
    return {(rank,) for rank in settings["ranks"]}


def perturbation(
    network: nn.Module,
    images: Images,
    *,
    sources: Networks,
    limit: int,
    coded: int,
    radius: float,
    steps: int,
    variant: str,
) -> pd.DataFrame:
    """What perturbations of one length are made of: PGD's in the L2 ball, each then scaled to the radius.

    Beside them the same of Gaussian noise, the null.

    Args:
        limit: Number of test images.
        coded: How many of them are coded sparsely.
        radius: Length of every perturbation.
        steps: Steps of PGD, each of 2.5 radii over their number.
        variant: Whose first filters are the network's dictionary; it is one of the sources.

    Returns:
        One row per dictionary, with the columns dictionary ("purified" for the first filters of the network
        trained on perturbed images, "cosines", "patches" for principal components of image patches), atoms,
        images (coded ones), nonzero (mean share of coefficients that are not zero, at a fifth of the squared
        length unexplained) and nonzero_noise, unexplained (what is left on average), components_95 (principal
        components of the perturbations for 95 % of the variance), high (share of squared length above a
        quarter of a cycle a pixel), each with its `_noise`, and length (mean, before it was scaled).

    Raises:
        InputError: For fewer than two images that PGD moves.
    """
    device, some = models.evaluated(network), images.first(limit)
    moved = []
    for part in torch.arange(len(some.labels)).split(_BATCH):
        x, labels = models.to_unit(some.pixels[part].to(device)), some.labels[part].to(device)
        found = ascent.pgd(
            network, x, labels, epsilon=radius, step_size=2.5 * radius / steps, steps=steps, norm="l2"
        )
        moved.append((found - x).cpu())
    perturbations = torch.cat(moved)
    lengths = torch.linalg.vector_norm(perturbations.flatten(1), dim=1)
    perturbations = _of_length(perturbations[lengths > 0], radius)
    if len(perturbations) < 2:
        raise InputError(f"PGD moves {len(perturbations)} of {len(some.labels)} images, and two are needed")
    noise = torch.randn(perturbations.shape, generator=torch.Generator().manual_seed(0))
    noise = _of_length(noise, radius)
    facts: dict[str, Any] = {}
    for name, values in (("", perturbations), ("_noise", noise)):
        centred = values.flatten(1).double()
        centred -= centred.mean(
            0
        )  # fewer images than numbers: their singular values are quicker than a covariance
        facts[f"components_95{name}"] = components(torch.linalg.svdvals(centred).square(), 0.95)
        facts[f"high{name}"] = float(coding.high_frequency_share(values).mean())
    rows = []
    for name, atoms in _dictionaries(list(sources.values())[-1], some).items():
        row = {"dictionary": name, "atoms": len(atoms), "images": min(coded, len(perturbations))}
        for ending, values in (("", perturbations), ("_noise", noise)):
            needed, left = coding.sparsity(values[:coded], atoms, steps=40)
            places = len(atoms) * (values.shape[-1] - atoms.shape[-1] + 1) ** 2
            row |= {f"nonzero{ending}": float(needed.mean()) / places}
            row |= {"unexplained": float(left.mean().clamp(0, 1))} if not ending else {}
        rows.append(row | facts | {"length": float(lengths.mean())})
    return pd.DataFrame(rows)[list(PERTURBATION_TABLE)]


def _of_length(values: Tensor, radius: float) -> Tensor:
    lengths = torch.linalg.vector_norm(values.flatten(1), dim=1)
    return values * (radius / lengths)[:, None, None, None]


def _dictionaries(network: nn.Module, images: Images) -> dict[str, Tensor]:
    """Filters of length 1: of a network's first convolution, and as many that are of no network."""
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    own = first.weight.detach().float().cpu()
    own = own[own.flatten(1).any(1)]
    own = own / torch.linalg.vector_norm(own.flatten(1), dim=1)[:, None, None, None]
    side = own.shape[-1]
    patches = coding.patch_dictionary(
        models.to_unit(images.first(200).pixels), side, min(len(own), 3 * side**2)
    )
    cosines = coding.dct_dictionary(side).unflatten(0, (3, -1)).transpose(0, 1).flatten(0, 1)
    return {"purified": own, "cosines": cosines[: len(own)], "patches": patches}


def alignment(network: nn.Module, images: Images, *, sources: Networks, variant: str) -> pd.DataFrame:
    """Whether this network and the purified one have changed in the same direction since their parent.

    Returns:
        One row per convolution, with the columns convolution, place, numbers (of the whole layer; the null of
        the cosine has a deviation of one over its root), cosine (of the two changes), first_direction
        (absolute cosine of their first singular directions among inputs) and inputs (in whose dimension that
        has its null).
        NaN where nothing changed, as in the reference itself.
    """
    before, adversarial = list(sources.values())[0], list(sources.values())[-1]
    rows = []
    both = zip(weights.paired(before, network), weights.paired(before, adversarial), strict=True)
    for place, ((name, start, ours), (_, _, theirs)) in enumerate(both, start=1):
        first, second = (ours - start).double().cpu(), (theirs - start).double().cpu()
        found = [torch.linalg.svd(one, full_matrices=False)[2][:1] for one in (first, second)]
        there = bool(first.any() and second.any())
        cosine = (
            float(F.cosine_similarity(first.flatten(), second.flatten(), dim=0)) if there else float("nan")
        )
        shared = float(measures.angle(*found)) if there else float("nan")
        rows.append((name, place, first.numel(), cosine, shared, first.shape[1]))
    return pd.DataFrame(rows, columns=list(ALIGNMENT_TABLE))
