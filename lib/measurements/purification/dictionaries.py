"""What perturbations and images are made of: coefficients under the first filters of a network, and under
filters of no network.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from lib import models
from lib.attacks import ascent
from lib.base.errors import InputError
from lib.data.images import Images
from lib.dimensionality import components
from lib.measurements.measurement import COUNT, FLOAT, SHARE, TEXT
from lib.measurements.purification.networks import BATCH, Networks
from lib.purification import convolutional_coding as coding

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
RECONSTRUCTION_TABLE = {
    "dictionary": TEXT,
    "atoms": COUNT,
    "images": COUNT,
    "nonzero": FLOAT,
    "unexplained": SHARE,
}


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
    perturbations = perturbed(network, some, device, radius=radius, steps=steps)
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


def perturbed(
    network: nn.Module, images: Images, device: torch.device, *, radius: float, steps: int
) -> Tensor:
    """Perturbations of PGD in the L2 ball, (n, 3, h, w), in steps of 2.5 radii over their number."""
    moved = []
    for part in torch.arange(len(images.labels)).split(BATCH):
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
