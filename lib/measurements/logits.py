"""What a network answers to images of comparable attacks, kept so that figures of class-wise robustness are
made without attacking again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import models
from lib.attacks import ascent
from lib.attacks.gradient import pixel_gradient
from lib.attacks.temperature import GRADIENTS, margin_pgd, random_start, temperature_pgd
from lib.base.errors import InputError
from lib.data.images import Images
from lib.measurements import per_image
from lib.measurements.attack import CLEAN, STEPS_PER_RADIUS, batches
from lib.measurements.measurement import COUNT, FLOAT, PACKED, PLACE, TEXT
from lib.models.activations import Network, still
from lib.models.fuse import folded

# Besides what tables of single images have: for the attacks of WHOLE, all logits as float16, image by image;
# for the others the strongest wrong class, one byte per image, and how far its logit lies above the correct
# one, as float16. What a row does not keep is empty. Norms are those of the rows of the last layer's weights,
# one float32 per class.
LOGITS_TABLE = {
    "attack": TEXT,
    "inverse_temperature": FLOAT,
    "epsilon": FLOAT,
    "step_size": FLOAT,
    "steps": COUNT,
    "restarts": PLACE,
    "cosine": FLOAT,
    "zero_gradient": COUNT,
    **per_image.IMAGES,
    "logits": PACKED,
    "rival": PACKED,
    "margin": PACKED,
    "norms": PACKED,
}

FGSM, PGD, MARGIN, SAFE, PLAIN = "fgsm", "pgd", "margin", "t-pgd", "t-pgd-plain"
INVERSE_TEMPERATURES = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
STRONG = 5.0  # 1/T that stands for Temperature-PGD, where the pilot's curve was lowest; chosen before any run
LARGEST_HALF = 65504.0


@dataclass(frozen=True)
class Kept:
    """An attack of the table; 1/T is NaN for those without a temperature."""

    attack: str
    inverse_temperature: float = float("nan")

    @property
    def whole(self) -> bool:
        """Whether all logits are kept: for all attacks they would take three times the room."""
        return self.attack not in (SAFE, PLAIN) or (self.attack, self.inverse_temperature) == (SAFE, STRONG)


def _attacks() -> Iterator[Kept]:
    yield from map(Kept, (CLEAN, FGSM, PGD, MARGIN))
    for attack in (SAFE, PLAIN):
        yield from (Kept(attack, one) for one in INVERSE_TEMPERATURES)


def _made(one: Kept, copy: Network, x: Tensor, labels: Tensor, start: Tensor, how: dict[str, Any]) -> Tensor:
    """The adversarial images of an attack from a start."""
    if one.attack == CLEAN:
        return x
    if one.attack == FGSM:
        return ascent.fgsm(copy, x, labels, epsilon=how["epsilon"])
    if one.attack == MARGIN:
        return margin_pgd(copy, x, labels, **how, start=start)
    if one.attack == PGD:
        *_, found = ascent.pgd_path(copy, x, labels, **how, start=start, precision=None)
        return found
    form = "safe" if one.attack == SAFE else "plain"
    return temperature_pgd(copy, x, labels, 1 / one.inverse_temperature, **how, form=form, start=start)


def _slope(one: Kept, copy: Network, labels: Tensor) -> Callable[[Tensor], Tensor] | None:
    """The gradient that an attack follows; None for those that follow none."""
    if one.attack in (CLEAN, FGSM):
        return None
    if one.attack in (PGD, MARGIN):
        loss = "cross-entropy" if one.attack == PGD else "margin"
        return pixel_gradient(copy, labels, loss=loss)
    make = GRADIENTS["safe" if one.attack == SAFE else "plain"]
    return make(copy, labels, temperature=1 / one.inverse_temperature)


def _excess(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """How far the strongest wrong logit lies above the correct one, and whose it is: (n,) float and (n,)."""
    wrong = logits.masked_fill(F.one_hot(labels, logits.shape[1]).bool(), float("-inf"))
    most, rival = wrong.max(1)
    return most - logits.gather(1, labels[:, None])[:, 0], rival


@torch.inference_mode()
def _answers(network: nn.Module, x: Tensor) -> Tensor:
    return network(x.contiguous(memory_format=torch.channels_last)).float()


def logits(
    network: nn.Module, images: Images, *, limit: int, epsilon: float, steps: int, restarts: int, seed: int
) -> pd.DataFrame:
    """Answers to the clean images, FGSM, PGD, margin PGD and Temperature-PGD in both forms.

    All but FGSM take as many steps of a quarter of the radius, from the same random starts; of several
    restarts the one with the largest margin counts, for every attack alike. Images are made and scored in
    float32.

    Args:
        limit: Number of images, the first of the split; 0 means all of them.
        epsilon: Radius of the L∞ ball, in pixels of [0, 1].
        steps: Number of steps.
        restarts: Number of random starts, 1 or more.
        seed: Of the random starts.

    Returns:
        A table with the columns of LOGITS_TABLE, one row per attack and 1/T. `cosine` is the mean over images
        of the cosine between the gradient that the attack follows and that of the margin, at the clean
        images; NaN where an attack follows none, or all are 0. `zero_gradient` counts the images, of those
        right when clean, whose gradient there is exactly 0.

    Raises:
        InputError: For fewer than 1 restart.
    """
    if restarts < 1:
        raise InputError(f"restarts must be a whole number >= 1, got {restarts!r}")
    some, device = images.first(limit), models.evaluated(network)
    how = {"epsilon": epsilon, "step_size": epsilon / STEPS_PER_RADIUS, "steps": steps}  # type: dict[str, Any]
    generator, copy = torch.Generator().manual_seed(seed), None
    found: dict[Kept, list[tuple[Tensor, float, int, int]]] = {one: [] for one in _attacks()}
    for _, x, labels in batches(some, device):
        copy = copy or folded(network, x, precision="float32")
        starts = [random_start(x, epsilon, generator) for _ in range(restarts)]
        clean = _answers(network, x)
        limit_slope = pixel_gradient(copy, labels, loss="margin")(x).flatten(1)
        for one, parts in found.items():
            again = starts if one.attack not in (CLEAN, FGSM) else starts[:1]
            best = None  # type: Tensor | None
            for start in again:
                answer = _answers(network, _made(one, copy, x, labels, start, how))
                better = best is not None and _excess(answer, labels)[0] > _excess(best, labels)[0]
                best = answer if best is None else torch.where(better[:, None], answer, best)  # type: ignore[index]
            parts.append((best, *_direction(one, copy, x, labels, clean, limit_slope)))  # type: ignore[arg-type]
    norms = _norms(network, len(some.classes))
    return pd.DataFrame(_rows(found, some, how, restarts, norms))


def _direction(
    one: Kept, copy: Network, x: Tensor, labels: Tensor, clean: Tensor, limit: Tensor
) -> tuple[float, int, int]:
    """Sum of the cosines between an attack's gradients and those of the margin, over how many images, and how
    many right ones have none.
    """
    with still(copy):
        slope = _slope(one, copy, labels)
        if slope is None:
            return 0.0, 0, 0
        own = slope(x).flatten(1)
    some = own.any(1) & limit.any(1)
    # scaled first: the squares of small gradients leave the range of float32
    cosine = F.cosine_similarity(_scaled(own[some]), _scaled(limit[some]))
    stuck = ~own.any(1) & (clean.argmax(1) == labels)
    return float(cosine.double().sum()), int(some.sum()), int(stuck.sum())


def _scaled(gradient: Tensor) -> Tensor:
    return gradient / gradient.abs().amax(1, keepdim=True)


def _norms(network: nn.Module, classes: int) -> bytes:
    """Length of each class's weights in the last linear layer, float32; empty without such a layer."""
    layers = [one for one in network.modules() if isinstance(one, nn.Linear) and one.out_features == classes]
    return layers[-1].weight.detach().float().norm(dim=1).cpu().numpy().tobytes() if layers else b""


def _rows(
    found: Mapping[Kept, list[tuple[Tensor, float, int, int]]],
    images: Images,
    how: Mapping[str, Any],
    restarts: int,
    norms: bytes,
) -> Iterator[dict[str, object]]:
    for one, parts in found.items():
        answers = torch.cat([part[0] for part in parts]).cpu()
        cosine, over, stuck = (sum(values) for values in list(zip(*parts, strict=True))[1:])
        margin, rival = _excess(answers, images.labels)
        moved = one.attack != CLEAN
        yield per_image.row(
            answers.argmax(1) == images.labels,
            images,
            attack=one.attack,
            inverse_temperature=one.inverse_temperature,
            epsilon=how["epsilon"] if moved else 0.0,
            step_size=(how["epsilon"] if one.attack == FGSM else how["step_size"]) if moved else 0.0,
            steps=(1 if one.attack == FGSM else how["steps"]) if moved else 0,
            restarts=restarts,
            cosine=cosine / over if over else float("nan"),
            zero_gradient=stuck,
        ) | {
            "logits": _packed(answers) if one.whole else b"",
            "rival": b"" if one.whole else rival.numpy().astype(np.uint8).tobytes(),
            "margin": b"" if one.whole else _signed(margin).tobytes(),
            "norms": norms,
        }


LEAST_HALF = np.float16(6e-8)  # the smallest float16 above 0


def _signed(margin: Tensor) -> np.ndarray:
    """Margins as float16 that keep their sign: what is smaller than float16's least number is that number."""
    size = margin.abs().clamp(max=LARGEST_HALF).half().numpy()
    kept = np.copysign(np.maximum(size, LEAST_HALF), margin.numpy()).astype(np.float16)
    return np.where(margin.numpy() == 0, np.float16(0), kept)


def _packed(answers: Tensor) -> bytes:
    return answers.clamp(-LARGEST_HALF, LARGEST_HALF).half().numpy().tobytes()


# ---- reading -----------------------------------------------------------------------------------------------


def labels_of(one: Mapping[Any, Any]) -> np.ndarray:
    """The labels of a row's images, (n,) int."""
    return np.frombuffer(one["labels"], np.uint8).astype(int)


def classes_of(one: Mapping[Any, Any]) -> list[str]:
    """The names of the classes of a row's data set, those left out included."""
    return one["classes"].decode().split("\n")


def all_logits(one: Mapping[Any, Any]) -> np.ndarray:
    """The logits of a row's images, (n, classes) float.

    Raises:
        InputError: If the row does not keep them.
    """
    if not len(one["logits"]) and one["images"]:
        raise InputError(
            f"the logits of {one['attack']} at 1/T = {one['inverse_temperature']:g} are not kept, only the "
            f"strongest wrong class and its margin"
        )
    return np.frombuffer(one["logits"], np.float16).astype(float).reshape(one["images"], -1)


def _wrong(one: Mapping[Any, Any]) -> np.ndarray:
    answers = all_logits(one)
    answers[np.arange(len(answers)), labels_of(one)] = -np.inf
    return answers


def margins(one: Mapping[Any, Any]) -> np.ndarray:
    """How far the strongest wrong logit of a row's images lies above the correct one, (n,) float; above 0
    where an image is misclassified.
    """
    if not len(one["logits"]):
        return np.frombuffer(one["margin"], np.float16).astype(float)
    rows = np.arange(one["images"])
    return _wrong(one).max(axis=1, initial=-np.inf) - all_logits(one)[rows, labels_of(one)]


def predicted(one: Mapping[Any, Any]) -> np.ndarray:
    """The class that the network takes each of a row's images for, (n,) int."""
    rival = (
        _wrong(one).argmax(axis=1)
        if len(one["logits"])
        else np.frombuffer(one["rival"], np.uint8).astype(int)
    )
    return np.where(per_image.unpacked(one), labels_of(one), rival)


def norms_of(one: Mapping[Any, Any]) -> np.ndarray:
    """Length of each class's weights in the last layer, (classes,) float; empty where there is no such
    layer.
    """
    return np.frombuffer(one["norms"], np.float32).astype(float)
