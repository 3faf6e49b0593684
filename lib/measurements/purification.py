"""What a training has changed in a network's weights, and what perturbations made against it look like. Each
table needs other networks: the one that training started from, and the one that was trained on perturbed
images from there.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from lib import data, models
from lib.attacks import ascent
from lib.base.errors import InputError
from lib.base.seeds import derived_seed
from lib.data.images import Images
from lib.dimensionality import components
from lib.measurements.measurement import COUNT, FLOAT, PICTURE, PLACE, SHARE, TEXT, Cells
from lib.purification import convolutional_coding as coding
from lib.purification import measures, pictures, weights
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
RECONSTRUCTION_TABLE = {
    "dictionary": TEXT,
    "atoms": COUNT,
    "images": COUNT,
    "nonzero": FLOAT,
    "unexplained": SHARE,
}
# `relu` is the layer of a unit, "" for what is no unit; `colour` and `strongest` are of filters alone
PICTURES_TABLE = {
    "kind": TEXT,
    "relu": TEXT,
    "place": COUNT,
    "colour": SHARE,
    "strongest": SHARE,
    "png": PICTURE,
}
FILTER, EXCITES, SEEN, PERTURBED = "filter", "unit", "image", "perturbation"
BRIGHTER = 5  # times, as the paper shows perturbations
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
    """What the table of ranks holds: each that was asked for below that of the whole change, and that."""
    network = models.build(training.model, data.DATASETS[training.dataset][1])
    every = max(min(filters.shape) for _, filters, _ in weights.paired(network, network))
    return {(every,)} | {(rank,) for rank in settings["ranks"] if rank < every}


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
    perturbations = _perturbed(network, some, device, radius=radius, steps=steps)
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
        if not len(atoms):  # no filter is alive
            row |= {"nonzero": float("nan"), "nonzero_noise": float("nan"), "unexplained": 1.0}
        for ending, values in (("", perturbations), ("_noise", noise)) if len(atoms) else ():
            needed, left = coding.sparsity(values[:coded], atoms, steps=40)
            places = len(atoms) * (values.shape[-1] - atoms.shape[-1] + 1) ** 2
            row |= {f"nonzero{ending}": float(needed.mean()) / places}
            row |= {"unexplained": float(left.mean().clamp(0, 1))} if not ending else {}
        rows.append(row | facts | {"length": float(lengths.mean())})
    return pd.DataFrame(rows)[list(PERTURBATION_TABLE)]


def _perturbed(
    network: nn.Module, images: Images, device: torch.device, *, radius: float, steps: int
) -> Tensor:
    """Perturbations of PGD in the L2 ball, (n, 3, h, w), in steps of 2.5 radii over their number."""
    moved = []
    for part in torch.arange(len(images.labels)).split(_BATCH):
        x, labels = models.to_unit(images.pixels[part].to(device)), images.labels[part].to(device)
        found = ascent.pgd(
            network, x, labels, epsilon=radius, step_size=2.5 * radius / steps, steps=steps, norm="l2"
        )
        moved.append((found - x).cpu())
    return torch.cat(moved)


def reconstruction(
    network: nn.Module, images: Images, *, limit: int, residual: float, steps: int
) -> pd.DataFrame:
    """How few shifted filters of the first convolution images are rebuilt from, beside filters of no network.

    The mean of each channel is taken out of an image: a few flat filters would hold most of it.

    Args:
        limit: Number of test images.
        residual: Share of an image's squared length that is left unexplained.
        steps: Steps of FISTA at each penalty.

    Returns:
        One row per dictionary, with the columns dictionary ("own" for the network's first filters, "cosines",
        "patches" for principal components of image patches), atoms, images, nonzero (mean share of
        coefficients that are not zero; NaN for a network without a living filter) and unexplained (what is
        left on average, above `residual` where the filters cannot do better).
    """
    some = images.first(limit)
    x = models.to_unit(some.pixels)
    x = x - x.mean((2, 3), keepdim=True)
    rows = []
    for name, atoms in _dictionaries(network, some).items():
        row = {"dictionary": "own" if name == "purified" else name, "atoms": len(atoms), "images": len(x)}
        if not len(atoms):  # no filter is alive
            rows.append(row | {"nonzero": float("nan"), "unexplained": 1.0})
            continue
        needed, left = coding.sparsity(x, atoms, residual=residual, steps=steps)
        places = len(atoms) * (x.shape[-1] - atoms.shape[-1] + 1) ** 2
        there = ~needed.isnan()  # an image of one colour is nothing once its mean is gone
        nonzero, unexplained = float(needed[there].mean()) / places, float(left[there].mean().clamp(0, 1))
        rows.append(row | {"nonzero": nonzero, "unexplained": unexplained})
    return pd.DataFrame(rows)[list(RECONSTRUCTION_TABLE)]


def look(
    network: nn.Module,
    images: Images,
    *,
    units: Sequence[int],
    rounds: int,
    steps: int,
    limit: int,
    radius: float,
    attack_steps: int,
) -> pd.DataFrame:
    """What a network looks for, as pictures: the filters of its first convolution; images that excite units
    of a layer in the middle and of the last one, the same ones in every network; and PGD's perturbations of
    some images.

    Args:
        units: Which units.
        rounds, steps: Of the search for an image, as `lib.purification.maximised` has them.
        limit: Number of test images that are shown with their perturbations.
        radius, attack_steps: Of PGD in the L2 ball.

    Returns:
        One row per picture, with the columns kind ("filter", "unit", "image" or "perturbation"), relu (the
        unit's layer, else empty), place (of the filter, unit or image), colour and strongest (of a filter:
        the share of its squared length that is colour, and that in its strongest cosine) and png.
        Perturbations are five times as strong, around grey; a filter is stretched to the whole range.
    """
    device, some = models.evaluated(network), images.first(limit)
    weight = next(module for module in network.modules() if isinstance(module, nn.Conv2d)).weight
    own = weight.detach().float().cpu()
    facts = zip(coding.colour_share(own).tolist(), coding.strongest_cosine(own).tolist(), strict=True)
    rows = [
        _picture(FILTER, "", place, picture, colour, strongest)
        for place, (picture, (colour, strongest)) in enumerate(
            zip(pictures.first_filters(network), facts, strict=True)
        )
    ]
    names = list(models.relu_layers(network))
    for name in dict.fromkeys((names[len(names) // 2], names[-1])):
        found = pictures.maximised(
            network,
            name,
            list(units),
            side=images.pixels.shape[-1],
            generator=torch.Generator().manual_seed(0),
            rounds=rounds,
            steps=steps,
        )
        rows += [_picture(EXCITES, name, unit, one) for unit, one in zip(units, found, strict=True)]
    perturbations = _perturbed(network, some, device, radius=radius, steps=attack_steps)
    for kind, shown in ((SEEN, models.to_unit(some.pixels)), (PERTURBED, 0.5 + BRIGHTER * perturbations)):
        rows += [_picture(kind, "", place, one) for place, one in enumerate(shown)]
    return pd.DataFrame(rows, columns=list(PICTURES_TABLE))


def _picture(
    kind: str,
    relu: str,
    place: int,
    picture: Tensor,
    colour: float = float("nan"),
    strongest: float = float("nan"),
) -> tuple[object, ...]:
    file = io.BytesIO()
    values = (picture.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu()
    Image.fromarray(values.numpy()).save(file, "PNG")
    return kind, relu, place, colour, strongest, file.getvalue()


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
        models.to_unit(images.first(200).pixels), side, min(max(len(own), 1), 3 * side**2)
    )
    cosines = coding.dct_dictionary(side).unflatten(0, (3, -1)).transpose(0, 1).flatten(0, 1)
    return {"purified": own, "cosines": cosines[: max(len(own), 1)], "patches": patches}


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
