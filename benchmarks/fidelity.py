"""Are these the corruptions?

Ours against the original script's pictures and against the same corruptions done image by image.

    DATA_DIR=... python -m benchmarks.fidelity     writes benchmarks/fidelity.json, which the book shows

What is compared, written down before it was: deterministic corruptions pixel by pixel with what the original
script made of 32 images (mean absolute difference at most 1 grey level); random ones with the law of the
original script over 20 seeds, in mean absolute change (within 4 of its standard deviations), and with
`image_by_image` on 2,000 images: the spread of the change, its power spectrum, and the accuracy of one
network (within 1.5 points per cell).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
import typer
from torch import Tensor
from tqdm import tqdm

from benchmarks import image_by_image
from lib import corruptions, data, runs
from lib.base import paths
from lib.base.errors import InputError
from lib.corruptions.severities import parameters
from lib.measurements.corruption import predictions
from lib.models.precision import exact
from lib.training.training import Training

NETWORK = Training("cifar10", "resnet20", 0.0, 0, "fast")
# file in $DATA_DIR: the original script's output on the first 32 test images
REFERENCE = "cifar10c-reference.npz"
IMAGES, BINS = 2000, 8  # BINS of spatial frequency, up to the highest

# Mean |corrupted - clean| over those 32 images in grey levels: mean and standard deviation over 20 seeds of
# the original script, one pair per severity.
LAW = {
    "gaussian_noise": ((8.00, 0.01), (11.90, 0.02), (15.75, 0.03), (17.65, 0.03), (19.53, 0.04)),
    "shot_noise": ((5.73, 0.01), (8.05, 0.02), (12.64, 0.03), (14.56, 0.03), (17.74, 0.04)),
    "impulse_noise": ((1.26, 0.05), (2.55, 0.06), (3.81, 0.08), (6.36, 0.09), (8.91, 0.10)),
    "speckle_noise": ((5.31, 0.01), (8.76, 0.02), (10.47, 0.03), (13.85, 0.04), (17.17, 0.05)),
    "glass_blur": ((10.67, 0.07), (10.81, 0.07), (10.60, 0.06), (17.43, 0.10), (16.72, 0.09)),
    "motion_blur": ((6.46, 0.20), (9.64, 0.24), (12.14, 0.27), (12.14, 0.27), (14.21, 0.29)),
    "snow": ((10.47, 0.14), (23.32, 0.25), (24.97, 0.50), (36.90, 0.77), (51.32, 1.02)),
    "frost": ((30.8, 1.3), (45.7, 1.9), (51.1, 2.5), (46.6, 2.5), (45.5, 2.7)),
    "fog": ((10.69, 0.35), (21.11, 0.70), (27.13, 0.92), (31.95, 1.15), (38.40, 1.35)),
    "elastic_transform": ((20.83, 0.85), (18.99, 0.77), (17.10, 0.69), (15.73, 0.59), (12.94, 0.35)),
    "spatter": ((1.07, 0.06), (2.83, 0.13), (6.88, 0.22), (2.88, 0.23), (4.79, 0.25)),
}


def reference() -> dict[str, Tensor]:
    """What the original script made, {name: (5, 32, 3, 32, 32) uint8}, and "clean" (32, 3, 32, 32)."""
    file = paths.data() / REFERENCE
    if not file.is_file():
        raise InputError(f"{file} is missing: the fidelity page is made where it lies in DATA_DIR")
    with np.load(file) as arrays:
        made = {
            name: torch.from_numpy(arrays[name]).movedim(-1, -3).contiguous()
            for name in ("clean", *corruptions.NAMES)
        }
    return made


def spectrum(change: Tensor) -> Tensor:
    """(BINS,) mean power of images (n, 3, h, w) by spatial frequency."""
    power = torch.fft.fft2(change.double()).abs().square().mean((0, 1))
    frequency = torch.fft.fftfreq(change.shape[-1]).abs()
    radius = (frequency[:, None].square() + frequency.square()).sqrt()
    place = (radius / radius.max() * BINS).long().clamp(max=BINS - 1)
    return torch.stack([power[place == number].mean() for number in range(BINS)])


def one_by_one(pixels: Tensor, name: str, severity: int) -> Tensor:
    """The corruption done image by image, with a generator of its own for each image."""
    settings = parameters(name, severity, pixels.shape[-1])
    seed = [corruptions.NAMES.index(name), severity]
    # numpy adds in the order of memory, and a last bit can decide a level
    images = pixels.permute(0, 2, 3, 1).contiguous().numpy()
    made = [
        image_by_image.corrupt(
            image, name, settings, image_by_image.Random(np.random.default_rng([*seed, i]))
        )
        for i, image in enumerate(images)
    ]
    return torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).contiguous()


def cell(name: str, severity: int, made: dict[str, Tensor], pixels: Tensor, right) -> dict[str, object]:
    """Everything that is compared for one corruption at one severity."""
    row: dict[str, object] = {
        "corruption": name,
        "severity": severity,
        "kind": "deterministic" if name in corruptions.DETERMINISTIC else "random",
    }
    clean, theirs = made["clean"], made[name][severity - 1]
    ours = corruptions.corrupt(clean, name, severity, generator=torch.Generator().manual_seed(severity))
    if name in corruptions.DETERMINISTIC:
        difference = (ours.int() - theirs.int()).abs()
        row |= {"differ": float((difference > 0).double().mean()), "largest": int(difference.max())}
    else:
        mean, deviation = LAW[name][severity - 1]
        change = float((ours.int() - clean.int()).abs().double().mean())
        row |= {"change": change, "reference_change": mean, "deviations": (change - mean) / deviation}
    blocks = range(-(-len(pixels) // corruptions.BLOCK))
    ours = torch.cat([corruptions.corrupted_block(pixels, number, name, severity) for number in blocks])
    theirs = one_by_one(pixels, name, severity)
    spread, others = ((some.double() - pixels.double()).std() for some in (ours, theirs))
    ratio = spectrum(ours.double() - pixels.double()) / spectrum(theirs.double() - pixels.double())
    mine, their = right(ours), right(theirs)
    both = (mine - their).double()
    return row | {
        "spread_ratio": float(spread / others),
        "spectrum_ratio": [float(ratio.min()), float(ratio.max())],
        "accuracy": float(mine.double().mean()),
        "reference_accuracy": float(their.double().mean()),
        "standard_error": float(both.std() / len(both) ** 0.5),
    }


def main() -> None:
    """Compare all cells and write benchmarks/fidelity.json."""
    try:
        made, test, network = reference(), data.load(NETWORK.dataset, "test")[:IMAGES], runs.load(NETWORK)
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None

    def right(pixels: Tensor) -> Tensor:
        return (predictions(network, pixels) == test.labels).int()

    with exact():
        pairs = [(name, severity) for name in corruptions.NAMES for severity in corruptions.SEVERITIES]
        rows = [
            cell(name, severity, made, test.pixels, right) for name, severity in tqdm(pairs, disable=None)
        ]
    versions = {
        name: __import__(name).__version__ for name in ("numpy", "scipy", "skimage", "cv2", "PIL", "torch")
    }
    facts = {
        "network": NETWORK.name,
        "images": IMAGES,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": versions,
        "cells": rows,
    }
    Path(__file__).with_name("fidelity.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
