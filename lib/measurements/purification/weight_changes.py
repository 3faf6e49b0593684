"""What a training has changed in a network's weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from lib import data, models
from lib.attacks import ascent
from lib.base.seeds import derived_seed
from lib.data.images import Images
from lib.measurements.measurement import COUNT, FLOAT, PLACE, SHARE, TEXT, Cells
from lib.measurements.purification.networks import BATCH, Networks, root
from lib.purification import measures, weights
from lib.training.training import Training

WEIGHT_ANGLES_TABLE = {
    "convolution": TEXT,
    "place": PLACE,
    "filter": COUNT,
    "inputs": PLACE,
    "angle_start": SHARE,
    "angle_reference": SHARE,
    "angle_independent": SHARE,
    "nearest_independent": SHARE,
    "angle_others": SHARE,
}
LOW_RANK_TABLE = {"rank": COUNT, "images": COUNT, "clean": COUNT, "attacked": COUNT, "energy": SHARE}
ALIGNMENT_TABLE = {
    "convolution": TEXT,
    "place": PLACE,
    "numbers": PLACE,
    "cosine": FLOAT,
    "first_direction": SHARE,
    "inputs": PLACE,
}
_STATISTICS = 2000  # training images from which batch norm's statistics are made anew: our choice


def _only(sources: Networks) -> tuple[Training, nn.Module]:
    return next(iter(sources.items()))


def weight_angles(network: nn.Module, images: Images, *, sources: Networks) -> pd.DataFrame:
    """Angles of every filter of every convolution.

    Returns:
        A table with the columns convolution, place (from the input, from 1), filter, inputs (numbers of a
        filter, in whose dimension random directions give the null), angle_start (theta to the filter's first
        weights), angle_reference (to the reference's), angle_independent (to those at the same place in the
        network of another seed), nearest_independent (to the nearest of that layer) and angle_others (mean
        theta to the layer's other filters).
    """
    (training, other), (_, stranger) = sources.items()
    first = models.build(
        training.model, len(images.classes), seed=derived_seed(root(training).seed, "weights")
    )
    tables = []
    ways = zip(*(weights.paired(one, network) for one in (first, other, stranger)), strict=True)
    for place, ((name, start, rows), (_, before, _), (_, foreign, _)) in enumerate(ways, start=1):
        rows, foreign = rows.cpu(), foreign.cpu()
        n = len(rows)
        unit = F.normalize(rows.double(), dim=1)
        pairs = (unit @ unit.T).abs().fill_diagonal_(0)
        strange = (unit @ F.normalize(foreign.double(), dim=1).T).abs().clamp(max=1)
        facts = {
            "convolution": name,
            "place": place,
            "filter": range(n),
            "inputs": rows.shape[1],
            "angle_start": measures.angle(start, rows),
            "angle_reference": measures.angle(before.cpu(), rows),
            "angle_independent": measures.angle(foreign, rows),
            "nearest_independent": strange.amax(1).where(rows.any(1), float("nan")),
            "angle_others": pairs.sum(1) / (n - 1) if n > 1 else torch.full((n,), float("nan")),
        }
        tables.append(pd.DataFrame(facts))
    return pd.concat(tables, ignore_index=True)


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
        for part in torch.arange(len(some.labels)).split(BATCH):
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
