"""Images made against other networks than the one that sees them: the control that needs no gradient of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lib import attacks, code, models, paths, store
from lib.attacked import BALL_STEPS, IN_BALLS, RADII, STEPS_PER_RADIUS, Cell, batches, recognised
from lib.data import Images
from lib.errors import InputError
from lib.folded import folded
from lib.recipes import Training

# what is made against one network and shown to others
TRANSFERRED = {"fgsm": (0.004, 0.008, 4 / 255, 8 / 255, 16 / 255), "ball-cross-entropy": RADII[1:6]}


def sources(training: Training, settings: Mapping[str, object]) -> list[Training]:
    """The α = 0 networks, trained plainly and for the recipe's own epochs, that images are made against: of other seeds than the network that sees them."""
    return [replace(training, alpha=0.0, seed=seed, epochs=None, variant="plain") for seed in settings["sources"] if seed != training.seed]


def _crafted(source: Training, network: nn.Module, images: Images, precision: str) -> Iterator[tuple[Cell, Tensor]]:
    """The images made against a source, (n, 3, h, w) float32 on its device, kept in .cache/attacked: the next network reads them."""
    folder = paths.cache() / "attacked" / f"{source.key}-{images.fingerprint}-{precision}"
    device, weights = models.evaluated(network), _weights(network)
    for name, strengths in TRANSFERRED.items():
        for epsilon in strengths:
            cell = Cell(name, epsilon, *((1, epsilon) if name == "fgsm" else (BALL_STEPS, epsilon / STEPS_PER_RADIUS)))

            def make(cell: Cell = cell) -> dict[str, np.ndarray]:
                return {"pixels": _make(network, images, cell, precision).cpu().numpy()}

            digest = code.digest([_make], cell, weights)
            found = store.kept(folder / f"{name}-{epsilon:.6f}-{digest.replace(':', '-')}.npz", make, what="adversarial images")
            yield cell, torch.from_numpy(found["pixels"]).to(device)


def _weights(network: nn.Module) -> str:
    """Hash of what a network has learned: the same training need not end in the same weights on another machine."""
    digest = hashlib.sha256()
    for name, values in sorted(network.state_dict().items()):
        digest.update(name.encode() + values.cpu().numpy().tobytes())
    return digest.hexdigest()


def _make(network: nn.Module, images: Images, cell: Cell, precision: str) -> Tensor:
    parts, copy = [], None
    for _, x, labels in batches(images, models.evaluated(network)):
        copy = copy or folded(network, x, precision=precision)
        if cell.attack == "fgsm":
            parts.append(attacks.fgsm(network, x, labels, cell.epsilon))
        else:
            how = {"epsilon": cell.epsilon, "step_size": cell.step_size, "steps": cell.steps, "precision": None}
            parts.append(attacks.pgd(copy, x, labels, **how, **IN_BALLS[cell.attack]))
    return torch.cat(parts)


def transfer(network: nn.Module, images: Images, *, limit: int, precision: str, sources: Mapping[Training, nn.Module]) -> pd.DataFrame:
    """One row a source, attack, strength and class: source_seed, attack, epsilon, class, images, correct. Made against the source, shown to this network.

    sources  the networks that images are made against, as `sources` lists them
    """
    if not sources:
        raise InputError("transfer needs an α = 0 network of another seed; give more than one in its setting `sources`")
    some, device, rows = images.first(limit), models.evaluated(network), []
    labels, classes = some.labels.to(device), len(some.classes)
    sizes = some.labels.bincount(minlength=classes)
    for source, other in sources.items():
        for cell, x in _crafted(source, other, some, precision):
            right = torch.cat([recognised(network, x[part], labels[part]) for part, _, _ in batches(some, device)])
            correct = labels[right].bincount(minlength=classes).cpu()
            facts = {"source_seed": source.seed, "attack": cell.attack, "epsilon": cell.epsilon, "class": list(some.classes)}
            rows.append(pd.DataFrame(facts | {"images": sizes, "correct": correct}))
    return pd.concat(rows, ignore_index=True)
