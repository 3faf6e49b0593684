"""What is measured on one trained network: a tidy table each, one row per thing measured."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn

from lib import attacked, autoattack, corrupted, models, represented, transferred
from lib import selectivity as index
from lib.corruptions import BLOCK, NAMES, check, corrupted_block
from lib.data import Images
from lib.errors import InputError, unknown
from lib.gradients import input_unit_gradients, jacobian_norms
from lib.losses import margin
from lib.recipes import Training


@torch.no_grad()
def spatial_activations(network: nn.Module, images: Images, *, batch: int = 500) -> dict[str, Tensor]:
    """Every ReLU layer's output averaged over space: {layer: (n, units) float32} on the CPU, in evaluation mode.

    raises  InputError when the network is in training mode, where a batch would change it
    """
    device = models.evaluated(network)
    parts: dict[str, list[Tensor]] = {}
    with models.spatial_means(network) as means:
        for start in range(0, len(images), batch):
            network(models.to_unit(images.pixels[start : start + batch].to(device)))
            for layer, mean in means.items():
                parts.setdefault(layer, []).append(mean.cpu())
    return {layer: torch.cat(part) for layer, part in parts.items()}


def selectivity(network: nn.Module, images: Images) -> pd.DataFrame:
    """One row a unit: layer, depth (1 is the first ReLU), unit, selectivity, dead, best_class, over the whole split.

    The index of a dead unit is 0 by definition and means nothing: leave dead units out, or say that they are in.
    """
    tables = []
    for depth, (layer, activations) in enumerate(spatial_activations(network, images).items(), start=1):
        means, present = index.class_means(activations.double(), images.labels, len(images.classes))
        tables.append(
            pd.DataFrame(
                {
                    "layer": layer,
                    "depth": depth,
                    "unit": range(means.shape[1]),
                    "selectivity": index.selectivity_index(means, present).float().numpy(),
                    "dead": index.dead(means).numpy(),
                    "best_class": means.argmax(0).numpy(),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def class_means(network: nn.Module, images: Images) -> pd.DataFrame:
    """One row a unit and class: layer, depth, unit, class, mean: the class-conditional means that selectivity is made of."""
    tables = []
    for depth, (layer, activations) in enumerate(spatial_activations(network, images).items(), start=1):
        means, _ = index.class_means(activations.double(), images.labels, len(images.classes))
        wide = pd.DataFrame(means.float().numpy().T, columns=list(images.classes))
        long = wide.rename_axis("unit").reset_index().melt("unit", var_name="class", value_name="mean")
        tables.append(long.assign(layer=layer, depth=depth))
    return pd.concat(tables, ignore_index=True)[["layer", "depth", "unit", "class", "mean"]]


@torch.inference_mode()
def predictions(network: nn.Module, pixels: Tensor) -> Tensor:
    """The likeliest class of each of the uint8 images (n, 3, h, w): (n,) int64 on their device."""
    # on a CPU, channels-last is 1.7 times as fast, and activations of more images leave its cache
    batch = 2000 if pixels.is_cuda else 125
    return torch.cat([network(models.to_unit(some).contiguous(memory_format=torch.channels_last)).argmax(1) for some in pixels.split(batch)])


def corruption(network: nn.Module, images: Images, *, limit: int) -> pd.DataFrame:
    """One row a corruption, severity and class: corruption, severity, class, images (of the class), correct (how many of them are recognised).

    The clean images are in it as corruption "clean", severity 0. All networks see the same pixels, made one severity at a time.
    limit   the first so many images of the split; 0: all
    """
    some, device = images.first(limit), models.evaluated(network)
    labels, classes = some.labels.to(device), len(some.classes)
    sizes = labels.bincount(minlength=classes).cpu()
    rows = []
    for name, severity, pixels in corrupted.cells(some, device=device):
        right = labels[predictions(network, pixels) == labels].bincount(minlength=classes).cpu()
        rows.append(pd.DataFrame({"corruption": name, "severity": severity, "class": list(some.classes), "images": sizes, "correct": right}))
    return pd.concat(rows, ignore_index=True)


def corruption_examples(network: nn.Module, images: Images, *, image: int, severity: int) -> pd.DataFrame:
    """One image of the split, clean and under every corruption at one severity: corruption, label, predicted, confidence (in [0, 1]), png (bytes)."""
    if isinstance(image, bool) or not isinstance(image, int) or not 0 <= image < len(images):
        raise InputError(f"image is a row of the split, 0 .. {len(images) - 1}, got {image!r}")
    check(images.pixels[:1], NAMES[0], severity)
    device = models.evaluated(network)
    block, place = divmod(image, BLOCK)
    pixels = [images.pixels[image], *(corrupted_block(images.pixels, block, name, severity)[place] for name in NAMES)]
    with torch.inference_mode():
        likely = network(models.to_unit(torch.stack(pixels).to(device))).softmax(1).cpu().max(1)
    rows = []
    for name, picture, confidence, predicted in zip((corrupted.CLEAN, *NAMES), pixels, *likely, strict=True):
        file = io.BytesIO()
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file, "PNG")
        label = images.classes[images.labels[image]]
        rows.append({"corruption": name, "label": label, "predicted": images.classes[predicted], "confidence": float(confidence), "png": file.getvalue()})
    return pd.DataFrame(rows)


def gradient(network: nn.Module, images: Images, *, limit: int, precision: str) -> pd.DataFrame:
    """One row a unit: how the length of its input-unit gradient varies over images.

    columns    layer, depth (1 is the first ReLU), unit, images, active (those on which it fires: on others the gradient is 0), mean, deviation (over all
               images, n − 1 in the denominator), active_mean, active_deviation (over those on which it fires; NaN where there are too few), dead (it fires
               on none)
    limit      the first so many images of the split; 0: all
    precision  of the passes back, as in lib.gradients.input_unit_gradients
    """
    some, device = images.first(limit), models.evaluated(network)
    if len(some) < 2:
        raise InputError(f"a deviation needs at least 2 images, got limit {limit!r}")
    lengths = input_unit_gradients(network, models.to_unit(some.pixels.to(device)), precision=precision)
    tables = []
    for depth, (layer, norms) in enumerate(lengths.items(), start=1):
        units = pd.DataFrame(norms.cpu().numpy())
        firing = units.where(units > 0)
        facts = {"layer": layer, "depth": depth, "unit": units.columns, "images": len(units), "active": firing.count(), "mean": units.mean()}
        facts |= {"deviation": units.std(), "active_mean": firing.mean(), "active_deviation": firing.std(), "dead": firing.count() == 0}
        tables.append(pd.DataFrame(facts))
    return pd.concat(tables, ignore_index=True)


def jacobian(network: nn.Module, images: Images, *, limit: int) -> pd.DataFrame:
    """One row an image: image (its row in the split), class, correct, norm (of the Jacobian of the logits), spread (standard deviation of the logits),
    margin (logit of the right class minus the largest other), confidence (the largest softmax)."""
    some, rows = images.first(limit), []
    for where, x, labels in attacked.batches(some, models.evaluated(network)):
        with torch.inference_mode():
            logits = network(x)
        facts = {
            "correct": logits.argmax(1) == labels,
            "norm": jacobian_norms(network, x).float(),
            "spread": logits.std(1, correction=0),
            "margin": -margin(logits, labels, 1.0),
            "confidence": logits.softmax(1).amax(1),
        }
        names = {"image": range(where.start, where.start + len(x)), "class": [some.classes[label] for label in labels.tolist()]}
        rows.append(pd.DataFrame(names | {name: values.cpu().numpy() for name, values in facts.items()}))
    return pd.concat(rows, ignore_index=True)


@dataclass(frozen=True)
class Measurement:
    """A function (network, test images, **settings) -> table, its settings, and what it is for.

    sources  (training, settings) -> other trainings, whose networks are given to the function as `sources`, {training: network}; overrides no setting
    """

    function: Callable[..., pd.DataFrame]
    summary: str
    settings: dict[str, object] = field(default_factory=dict)
    sources: Callable[[Training, dict[str, object]], list[Training]] | None = None


MEASUREMENTS = {
    "selectivity": Measurement(selectivity, "class selectivity index of every unit, and which units are dead"),
    "class_means": Measurement(class_means, "class-conditional mean activation of every unit"),
    "corruption": Measurement(corruption, "right answers under every corruption and severity, by class; on the first `limit` images", {"limit": 2000}),
    "corruption_examples": Measurement(corruption_examples, "one image under every corruption, and what the network takes it for", {"image": 1, "severity": 3}),
    "attack": Measurement(
        attacked.attack, "right answers under FGSM and PGD, white box, by strength and class; on the first `limit` images",
        {"limit": 1000, "precision": "bfloat16"},
    ),
    "transfer": Measurement(
        transferred.transfer, "right answers on images made against α = 0 networks of other seeds",
        {"limit": 1000, "precision": "bfloat16", "sources": [0, 1]}, transferred.sources,
    ),
    "jacobian": Measurement(jacobian, "norm of the input-output Jacobian of every image, its margin and confidence", {"limit": 1000}),
    "gradient": Measurement(
        gradient, "mean and deviation over images of every unit's input-unit gradient", {"limit": 200, "precision": "bfloat16"}
    ),
    "dimensionality": Measurement(
        represented.dimensionality, "dimensions of every layer's activations, and of the change that corruptions and PGD make in them",
        {"limit": 500, "precision": "bfloat16"},
    ),
    "autoattack": Measurement(autoattack.autoattack, "images that AutoAttack leaves standing, part by part", {"limit": 200, "epsilon": 1 / 255, "seed": 0}),
}  # fmt: skip


def settled(name: str, settings: dict[str, object]) -> dict[str, object]:
    """All settings of a measurement, defaults filled in; raises InputError for an unknown name or setting."""
    if name not in MEASUREMENTS:
        raise unknown("measurement", name, MEASUREMENTS)
    known = MEASUREMENTS[name].settings
    for setting in settings:
        if setting not in known:
            raise unknown(f"setting of {name}", setting, known)
    return known | settings


def file_name(name: str, settings: dict[str, object]) -> str:
    """The table's file in a run folder: the measurement, and a hash of its settings."""
    digest = hashlib.sha256(json.dumps(settled(name, settings), sort_keys=True).encode()).hexdigest()[:6]
    return f"{name}-{digest}.parquet"
