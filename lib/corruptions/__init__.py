"""The nineteen corruptions of CIFAR-10-C and Tiny ImageNet-C, in batches, on the device where the images are.

Source: Hendrycks & Dietterich 2019, arXiv 1903.12261, and the scripts that made the published sets. Those set no seed: what is random is drawn anew here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lib import seeds
from lib.corruptions import blur, digital, noise, weather
from lib.corruptions.draws import Draws
from lib.corruptions.layouts import keep_memory
from lib.corruptions.severities import TABLES, parameters
from lib.errors import InputError, unknown

# in the published order: 15 main, then 4 extra
FUNCTIONS = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": weather.brightness,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
    "speckle_noise": noise.speckle_noise,
    "gaussian_blur": blur.gaussian_blur,
    "spatter": weather.spatter,
    "saturate": digital.saturate,
}
NAMES = tuple(FUNCTIONS)
GROUPS = {
    "noise": NAMES[:3],
    "blur": NAMES[3:7],
    "weather": NAMES[7:11],
    "digital": NAMES[11:15],
    "extra": NAMES[15:],
}
DETERMINISTIC = frozenset({"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression", "gaussian_blur", "saturate"})
SEVERITIES = (1, 2, 3, 4, 5)
BLOCK = 100  # images corrupted at a time: their float64 copies stay in a processor's cache, and random numbers are drawn for so many at once


def corrupt(pixels: Tensor, name: str, severity: int, *, generator: torch.Generator | None = None) -> Tensor:
    """Images under one corruption: uint8 (n, 3, h, w) -> new uint8 of the same shape, on the same device.

    name       one of NAMES
    severity   1 .. 5; 32-pixel images get CIFAR-10-C's parameters, 64-pixel images Tiny ImageNet-C's
    generator  all random numbers come from it; not needed by those in DETERMINISTIC. One on the CPU gives the same numbers whatever the device
    raises     InputError for an unknown name, another severity, images of another dtype or shape, or a generator that is missing

    What an image becomes depends on the generator, on its place, and on itself, not on how many images follow.
    """
    check(pixels, name, severity)
    keep_memory()
    if name in DETERMINISTIC:
        generator = generator or torch.Generator()
    elif generator is None:
        raise InputError(f"{name} draws random numbers: pass a generator, such as torch.Generator().manual_seed(0)")
    return torch.cat([_corrupted(block, name, severity, generator) for block in pixels.split(BLOCK)])


def check(pixels: Tensor, name: str, severity: int) -> None:
    """Raise InputError for what `corrupt` cannot take."""
    if name not in FUNCTIONS:
        raise unknown("corruption", name, NAMES)
    if isinstance(severity, bool | float) or severity not in SEVERITIES:
        raise InputError(f"severity is 1, 2, 3, 4 or 5, got {severity!r}")
    if not isinstance(pixels, Tensor) or pixels.dtype != torch.uint8:
        got = pixels.dtype if isinstance(pixels, Tensor) else type(pixels).__name__
        raise InputError(f"corruptions take a tensor of uint8 images, got {got}; images in [0, 1] become (255 * images).round().to(torch.uint8)")
    sides = " or ".join(f"{side}, {side}" for side in TABLES)
    if pixels.ndim != 4 or pixels.shape[1] != 3 or pixels.shape[2] != pixels.shape[3] or pixels.shape[3] not in TABLES:
        raise InputError(f"corruptions take images (n, 3, {sides}), the sizes with published severities; got {tuple(pixels.shape)}")
    if not len(pixels):
        raise InputError("corruptions take at least one image, got none")


def _corrupted(block: Tensor, name: str, severity: int, generator: torch.Generator) -> Tensor:
    draws = Draws(generator, len(block), BLOCK, block.device)
    return FUNCTIONS[name](block, draws, **parameters(name, severity, block.shape[-1]))


def corrupted_block(pixels: Tensor, number: int, name: str, severity: int) -> Tensor:
    """Block `number` of a data set's images under one corruption: (n, 3, h, w) -> (at most BLOCK, 3, h, w).

    Seeded by the corruption, the severity and the block: every network sees the same pixels, in whatever order and company they are made.
    """
    generator = torch.Generator().manual_seed(seeds.derived_seed(0, "corruption", name, severity, number))
    return corrupt(pixels[number * BLOCK : (number + 1) * BLOCK], name, severity, generator=generator)
