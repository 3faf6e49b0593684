"""Corrupting images: ours in batches against the same corruptions done image by image, type by type and all
together; and against a package.

All are timed on one thread, since the peers have one. Both sides get the same uint8 images in memory and
return uint8 images. No ratio counts unless the corruptions that draw nothing give equal images (to one grey
level in the mean) and the others change them equally much (mean absolute change within 10 %).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import Case, Target, Work
from lib import corruptions, data
from lib.corruptions.draws import Draws
from lib.corruptions.severities import parameters

IMAGES = 200
# Corruptions that the package does as the original script does, with its parameters at severity 3, which are
# ImageNet's. Its others differ in what they do.
PACKAGE = "imagecorruptions"
SHARED = {
    "gaussian_noise": {"sigma": 0.18},
    "shot_noise": {"rate": 12},
    "impulse_noise": {"amount": 0.09},
    "speckle_noise": {"sigma": 0.35},
    "gaussian_blur": {"sigma": 3},
    "defocus_blur": {"radius": 6, "alias_sigma": 0.5},
    "brightness": {"shift": 0.3},
    "contrast": {"factor": 0.2},
    "saturate": {"factor": 2, "shift": 0},
    "pixelate": {"factor": 0.4},
    "jpeg_compression": {"quality": 15},
}


@lru_cache
def pixels(device: str) -> Tensor:
    """The first test images of CIFAR-10."""
    return data.load("cifar10", "test").pixels[:IMAGES].to(device)


def cells(names: Iterable[str]) -> list[tuple[str, int]]:
    return [(name, severity) for name in names for severity in corruptions.SEVERITIES]


def ours(names: tuple[str, ...], device: str) -> Work:
    """All severities of some corruptions, in batches."""
    images = pixels(device)
    return lambda: [
        corruptions.corrupt(images, *cell, generator=torch.Generator().manual_seed(0))
        for cell in cells(names)
    ]


def one_by_one(names: tuple[str, ...], device: str) -> Work:
    """The same image by image, on the CPU: there is no other."""
    from benchmarks import image_by_image

    images = pixels("cpu").permute(0, 2, 3, 1).contiguous().numpy()
    draws = image_by_image.Random(np.random.default_rng(0))
    settings = {cell: parameters(*cell, images.shape[1]) for cell in cells(names)}
    return lambda: [
        np.stack([image_by_image.corrupt(image, cell[0], settings[cell], draws) for image in images])
        for cell in cells(names)
    ]


def ours_with(settings: dict[str, dict[str, float]], device: str) -> Work:
    """Corruptions in batches with given parameters."""
    images = pixels(device)

    def work() -> list[Tensor]:
        generator, made = torch.Generator().manual_seed(0), []
        for name, values in settings.items():
            blocks = images.split(corruptions.BLOCK)
            made.append(
                torch.cat([
                    corruptions.FUNCTIONS[name](
                        b, Draws(generator, len(b), corruptions.BLOCK, b.device), **values
                    )
                    for b in blocks
                ])
            )
        return made

    return work


def package(settings: dict[str, dict[str, float]], device: str) -> Work:
    """The same by imagecorruptions-imaug, at severity 3."""
    from imagecorruptions import corrupt

    images = pixels("cpu").permute(0, 2, 3, 1).contiguous().numpy()
    return lambda: [
        np.stack([corrupt(image, severity=3, corruption_name=name) for image in images]) for name in settings
    ]


def disagreement(names: Iterable[str], mine: list[Tensor], theirs: list[np.ndarray]) -> str | None:
    """By the rule of this module: one line on the first corruption that differs, None if none does."""
    clean = pixels("cpu").int()
    for name, some, arrays in zip(names, mine, theirs, strict=True):
        some, others = some.cpu().int(), torch.from_numpy(arrays).permute(0, 3, 1, 2).int()
        if name in corruptions.DETERMINISTIC:
            difference = float((some - others).abs().double().mean())
            if difference > 1:
                return f"{name}: images differ by {difference:.2f} grey levels in the mean"
        else:
            change, other = (float((images - clean).abs().double().mean()) for images in (some, others))
            if not abs(change - other) <= 0.1 * other:
                return f"{name}: images change by {change:.2f} grey levels in the mean, not {other:.2f}"
    return None


def parity(names: tuple[str, ...], device: str) -> str | None:
    """Ours against image by image."""
    return disagreement(
        [name for name, _ in cells(names)], ours(names, device)(), one_by_one(names, device)()
    )


def package_parity(device: str) -> str | None:
    """Ours against the package."""
    return disagreement(SHARED, ours_with(SHARED, device)(), package(SHARED, device)())


def _case(name: str, names: tuple[str, ...], targets: dict[str, Target]) -> Case:
    made: dict[str, Callable] = {
        what: partial(function, names)
        for what, function in (("ours", ours), ("peer", one_by_one), ("parity", parity))
    }
    return Case(
        name=name, **made, peer_name="image by image, as the original "
            "script", targets=targets, unit="µs an image and severity",
        per=IMAGES * len(cells(names)), repeats=3, threads=1,
    )  # fmt: skip


CASES = (
    _case("corruptions", corruptions.NAMES, {"cpu": Target(5.0), "cuda": Target(50.0)}),
    *(_case(f"corruption: {name}", (name,), {"cpu": Target(1.0)}) for name in corruptions.NAMES),
    Case(
        name="corruptions, package",
        ours=partial(ours_with, SHARED),
        peer=partial(package, SHARED),
        parity=package_parity,
        peer_name=f"imagecorruptions-imaug, the {len(SHARED)} types it does alike, ImageNet's severity 3",
        targets={"cpu": Target(3.0)},
        unit="µs an image and type",
        per=IMAGES * len(SHARED),
        package=PACKAGE,
        threads=1,
    ),
)
