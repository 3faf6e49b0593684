"""What attacks do to a network: right answers by attack, strength and class; on images made against other networks; and how stable its logits are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lib import attacks, code, models, paths, store
from lib.data import Images
from lib.errors import InputError, unknown
from lib.folded import PRECISIONS, folded
from lib.gradients import jacobian_norms
from lib.recipes import Training

CLEAN = "clean"  # the images themselves, as an attack of strength 0

# The grids serve every data set: CIFAR-10's networks give way at the small end, the digits' at the large one.
FGSM_EPSILONS = (0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 4 / 255, 8 / 255, 16 / 255, 32 / 255)
BALLS = (0.5 / 255, 1 / 255, 2 / 255, 4 / 255, 8 / 255, 16 / 255, 32 / 255)
BALL_STEPS, STEPS_PER_RADIUS = 20, 4
SCORED = (5, 10, 20)  # steps after which broken images are taken out of the attacks in balls
TEMPERATURE = 0.25  # spreads of an image's logits: the strongest, within 0.3 points of 0.2 and 0.3, on 400 training images of two networks, α = 0 and 1
BUDGET = 16 / 255


@dataclass(frozen=True)
class Steps:
    """PGD from the image itself, scored after so many steps, whatever happened before."""

    step_size: float
    scored: tuple[int, ...]


# The paper's step of 1e-4 (recalled) never feels its budget of 16/255. A step of 1/255 does; it is ours.
CURVES = {"pgd": Steps(1e-4, (1, 2, 5, 10, 20, 40, 60)), "pgd-coarse": Steps(1 / 255, (1, 2, 3, 5, 10))}
LOSSES = {"cross-entropy": {"loss": "cross-entropy"}, "margin": {"loss": "margin"}, "temperature": {"loss": "temperature", "temperature": TEMPERATURE}}
IN_BALLS = {f"ball-{name}": settings for name, settings in LOSSES.items()}  # each in every ball of BALLS
# what is made against one network and shown to others
TRANSFERRED = {"fgsm": (0.004, 0.008, 4 / 255, 8 / 255, 16 / 255), "ball-cross-entropy": BALLS[1:6]}


def first(images: Images, limit: int) -> Images:
    """The first `limit` images; 0: all. Raises InputError for what is no number of images."""
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise InputError(f"limit is a number of images, 0 for all of them, got {limit!r}")
    return images[: limit or len(images)]


def batches(images: Images, device: torch.device) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """(rows, float pixels in [0, 1], labels) on the device."""
    size = 1000 if device.type == "cuda" else 125
    for start in range(0, len(images), size):
        rows = slice(start, start + size)
        yield rows, models.to_unit(images.pixels[rows].to(device)), images.labels[rows].to(device)


@torch.inference_mode()
def _right(network: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """Which images are recognised, in float32, whatever precision they were made in: (n,) bool."""
    return network(x.contiguous(memory_format=torch.channels_last)).argmax(1) == labels


# ---- The table `attack` ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """One attack at one strength: a row of the table for each class."""

    attack: str
    epsilon: float = 0.0
    steps: int = 0
    step_size: float = 0.0


def _fgsm(network: nn.Module, x: Tensor, labels: Tensor) -> Iterator[tuple[Cell, Tensor]]:
    for epsilon, found in zip(FGSM_EPSILONS, attacks.fgsm_grid(network, x, labels, FGSM_EPSILONS), strict=True):
        yield Cell("fgsm", epsilon, 1, epsilon), _right(network, found, labels)


def _curve(network: nn.Module, copy: attacks.Network, x: Tensor, labels: Tensor, name: str) -> Iterator[tuple[Cell, Tensor]]:
    """All numbers of steps from one attack: images that are broken stay in, because one more step may undo it."""
    curve = CURVES[name]
    path = attacks.pgd_path(copy, x, labels, epsilon=BUDGET, step_size=curve.step_size, steps=max(curve.scored), precision=None)
    for steps, found in enumerate(path):
        if steps in curve.scored:
            yield Cell(name, BUDGET, steps, curve.step_size), _right(network, found, labels)


def standing(network: nn.Module, copy: attacks.Network, x: Tensor, labels: Tensor, *, epsilon: float, **loss: object) -> Tensor:
    """Which images (n,) PGD in a ball leaves standing: right after 5, 10 and 20 steps, each a quarter of the radius. A broken one is left alone."""
    there = torch.arange(len(x), device=x.device)
    current, done = x, 0
    for steps in SCORED:
        how = {"epsilon": epsilon, "step_size": epsilon / STEPS_PER_RADIUS, "steps": steps - done, "precision": None, **loss}
        *_, found = attacks.pgd_path(copy, x[there], labels[there], start=current, **how)
        kept = _right(network, found, labels[there])
        there, current, done = there[kept], found[kept], steps
        if not len(there):
            break
    return torch.zeros(len(x), dtype=torch.bool, device=x.device).index_fill_(0, there, True)


def _balls(network: nn.Module, copy: attacks.Network, x: Tensor, labels: Tensor, name: str) -> Iterator[tuple[Cell, Tensor]]:
    """From the smallest ball to the largest. What is broken in one is broken in all larger ones, and is not attacked there again."""
    right = _right(network, x, labels)
    for epsilon in BALLS:
        there = right.nonzero().flatten()
        if len(there):
            right = torch.zeros_like(right)
            right[there] = standing(network, copy, x[there], labels[there], epsilon=epsilon, **IN_BALLS[name])
        yield Cell(name, epsilon, BALL_STEPS, epsilon / STEPS_PER_RADIUS), right


def _cells(network: nn.Module, copy: attacks.Network, x: Tensor, labels: Tensor) -> Iterator[tuple[Cell, Tensor]]:
    """Every attack at every strength; PGD follows the copy, and all is scored by the network."""
    yield Cell(CLEAN), _right(network, x, labels)
    yield from _fgsm(network, x, labels)
    for name in CURVES:
        yield from _curve(network, copy, x, labels, name)
    for name in IN_BALLS:
        yield from _balls(network, copy, x, labels, name)


def _vanishing(network: nn.Module, x: Tensor, labels: Tensor, right: Tensor) -> dict[str, Tensor]:
    """{attack: which of the recognised images (n,) give its loss no gradient at all}: an attack along it goes nowhere, which is not robustness."""
    with attacks.still(network):
        found = {name: ~attacks.pixel_gradient(network, labels, **loss)(x).flatten(1).any(1) & right for name, loss in LOSSES.items()}
    return {f"ball-{name}": none for name, none in found.items()} | dict.fromkeys(["fgsm", *CURVES], found["cross-entropy"])


def attack(network: nn.Module, images: Images, *, limit: int, precision: str) -> pd.DataFrame:
    """One row an attack, strength and class. White box: every image is made against this very network, and scored by it in float32.

    columns    attack, epsilon, step_size, steps, class, images (of the class), correct (recognised under this attack; for balls, also in all smaller ones),
               unbroken (recognised clean and under all smaller strengths), zero_gradient (recognised images whose loss has no gradient), certain
               (those whose softmax is exactly 1 in float32), confidence (mean of the largest softmax)
    limit      the first so many images of the split; 0: all
    precision  of the gradients that PGD follows
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    some, device = first(images, limit), models.evaluated(network)
    classes = len(some.classes)
    copy = None  # made of the first batch
    counts: dict[Cell, Tensor] = {}  # (5, classes): correct, unbroken, zero_gradient, certain, sum of confidence
    for _, x, labels in batches(some, device):
        with torch.inference_mode():
            logits = network(x)
            likely, exactly = logits.double().softmax(1), logits.softmax(1).gather(1, labels[:, None])[:, 0] == 1
        unbroken: dict[str, Tensor] = {}
        vanishing: dict[str, Tensor] = {}
        copy = copy or folded(network, x, precision=precision)
        for cell, right in _cells(network, copy, x, labels):
            if cell.attack == CLEAN:
                clean, vanishing = right, _vanishing(network, x, labels, right)
            unbroken[cell.attack] = unbroken.get(cell.attack, clean) & right
            none = vanishing.get(cell.attack, torch.zeros_like(right))
            parts = [right, unbroken[cell.attack], none, exactly & clean, likely.amax(1)]
            sums = torch.stack([torch.zeros(classes, dtype=torch.float64, device=device).index_add_(0, labels, part.double()) for part in parts])
            counts[cell] = counts.get(cell, 0) + sums.cpu()
    sizes = some.labels.bincount(minlength=classes)
    rows = []
    for cell, (correct, whole, none, sure, confidence) in counts.items():
        facts = {"attack": cell.attack, "epsilon": cell.epsilon, "step_size": cell.step_size, "steps": cell.steps, "class": list(some.classes)}
        sums = {"correct": correct, "unbroken": whole, "zero_gradient": none, "certain": sure}
        rows.append(pd.DataFrame(facts | {"images": sizes} | {name: total.long() for name, total in sums.items()} | {"confidence": confidence / sizes}))
    return pd.concat(rows, ignore_index=True)


# ---- The table `transfer` --------------------------------------------------------------------------------------------


def sources(training: Training, settings: Mapping[str, object]) -> list[Training]:
    """The α = 0 networks, trained plainly and for the recipe's own epochs, that images are made against: of other seeds than the network that sees them."""
    return [replace(training, alpha=0.0, seed=seed, epochs=None, variant="plain") for seed in settings["sources"] if seed != training.seed]


def _crafted(source: Training, network: nn.Module, images: Images, precision: str) -> Iterator[tuple[Cell, Tensor]]:
    """The images made against a source, (n, 3, h, w) float32 on its device, kept in .cache/attacked: the next network reads them."""
    digest = code.digest([_make, attacks.fgsm_grid, attacks.pgd_path])
    folder = paths.cache() / "attacked" / f"{source.key}-{images.fingerprint}-{precision}-{digest}"
    device = models.evaluated(network)
    for name, strengths in TRANSFERRED.items():
        for epsilon in strengths:
            cell = Cell(name, epsilon, *((1, epsilon) if name == "fgsm" else (BALL_STEPS, epsilon / STEPS_PER_RADIUS)))

            def make(cell: Cell = cell) -> dict[str, np.ndarray]:
                return {"pixels": _make(network, images, cell, precision).cpu().numpy()}

            found = store.kept(folder / f"{name}-{epsilon:.6f}.npz", make, what="adversarial images")
            yield cell, torch.from_numpy(found["pixels"]).to(device)


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
    some, device, rows = first(images, limit), models.evaluated(network), []
    labels, classes = some.labels.to(device), len(some.classes)
    sizes = some.labels.bincount(minlength=classes)
    for source, other in sources.items():
        for cell, x in _crafted(source, other, some, precision):
            right = torch.cat([_right(network, x[part], labels[part]) for part, _, _ in batches(some, device)])
            correct = labels[right].bincount(minlength=classes).cpu()
            facts = {"source_seed": source.seed, "attack": cell.attack, "epsilon": cell.epsilon, "class": list(some.classes)}
            rows.append(pd.DataFrame(facts | {"images": sizes, "correct": correct}))
    return pd.concat(rows, ignore_index=True)


# ---- The table `jacobian` --------------------------------------------------------------------------------------------


def jacobian(network: nn.Module, images: Images, *, limit: int) -> pd.DataFrame:
    """One row an image: image (its row in the split), class, correct, norm (of the Jacobian of the logits), spread (standard deviation of the logits),
    margin (logit of the right class minus the largest other), confidence (the largest softmax)."""
    some, rows = first(images, limit), []
    for where, x, labels in batches(some, models.evaluated(network)):
        with torch.inference_mode():
            logits = network(x)
        facts = {
            "correct": logits.argmax(1) == labels,
            "norm": jacobian_norms(network, x).float(),
            "spread": logits.std(1, correction=0),
            "margin": -attacks.margin(logits, labels, 1.0),
            "confidence": logits.softmax(1).amax(1),
        }
        names = {"image": range(where.start, where.start + len(x)), "class": [some.classes[label] for label in labels.tolist()]}
        rows.append(pd.DataFrame(names | {name: values.cpu().numpy() for name, values in facts.items()}))
    return pd.concat(rows, ignore_index=True)


# ---- The table `autoattack` ------------------------------------------------------------------------------------------

PARTS = ("apgd-ce", "apgd-t", "fab-t", "square")  # standard AutoAttack, in its order


def autoattack(network: nn.Module, images: Images, *, limit: int, epsilon: float, seed: int) -> pd.DataFrame:
    """One row a part and class: part ("clean", then those of the standard version in order), epsilon, class, images, standing (after this part and all before).

    limit    the first so many images; 0: all
    epsilon  radius of the L-infinity ball, pixels in [0, 1]
    seed     of its random starts
    Croce & Hein 2020, arXiv 2003.01690, through pyautoattack: an optional extra. Fewer than ten classes have fewer targets.
    raises  InputError where pyautoattack is not installed, or for fewer than four classes, which its loss cannot do with
    """
    if len(images.classes) < 4:
        raise InputError(f"AutoAttack's targeted loss needs at least 4 classes, got {len(images.classes)}")
    try:
        from pyautoattack import AutoAttack
    except ImportError:
        raise InputError("AutoAttack needs pyautoattack: uv sync --extra autoattack") from None
    some, device = first(images, limit), models.evaluated(network)
    labels, classes = some.labels.to(device), len(some.classes)
    x = models.to_unit(some.pixels.to(device))
    sizes = some.labels.bincount(minlength=classes)
    there = _right(network, x, labels).nonzero().flatten()
    rows = []
    for part in (CLEAN, *PARTS):
        if part != CLEAN and len(there):
            runner = AutoAttack(network, norm="Linf", eps=epsilon, seed=seed, device=device)
            runner.verbose, runner.attacks_to_run = False, [part]
            for one in (runner.apgd_targeted, runner.fab):
                one.n_target_classes = min(9, classes - 1)
            # it seeds the global generator
            with attacks.still(network), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                found, _ = runner.run_standard_evaluation(x[there], labels[there], batch_size=250)
            there = there[_right(network, found, labels[there])]
        left = labels[there].bincount(minlength=classes).cpu()
        rows.append(pd.DataFrame({"part": part, "epsilon": epsilon, "class": list(some.classes), "images": sizes, "standing": left}))
    return pd.concat(rows, ignore_index=True)
