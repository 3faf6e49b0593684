"""The nineteen corruptions of CIFAR-10-C and Tiny ImageNet-C, in batches, on the device where the images are.

Source: Hendrycks & Dietterich 2019, arXiv 1903.12261, and the scripts that made the published sets. Those set
no seed: what is random is drawn anew here.
"""

from __future__ import annotations

import textwrap
from numbers import Integral

import torch
from torch import Tensor

from lib.base.errors import InputError
from lib.base.seeds import derived_seed
from lib.corruptions import blur, digital, noise, weather
from lib.corruptions.draws import Draws
from lib.corruptions.layouts import keep_memory
from lib.corruptions.severities import TABLES, parameters

# The nineteen in the published order: 15 main ones, then 4 extra ones.
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
#: The names of the nineteen corruptions in the published order: 15 main ones, then 4 extra ones.
NAMES = tuple(FUNCTIONS)
GROUPS = {
    "noise": NAMES[:3],
    "blur": NAMES[3:7],
    "weather": NAMES[7:11],
    "digital": NAMES[11:15],
    "extra": NAMES[15:],
}
DETERMINISTIC = frozenset({
    "defocus_blur",
    "zoom_blur",
    "brightness",
    "contrast",
    "pixelate",
    "jpeg_compression",
    "gaussian_blur",
    "saturate",
})
SEVERITIES = (1, 2, 3, 4, 5)
# images corrupted at a time: their float64 copies fit into a processor's cache, and random numbers are drawn
# for this many at once
BLOCK = 100


def corrupt(pixels: Tensor, name: str, severity: int, *, generator: torch.Generator | None = None) -> Tensor:
    """Images under one corruption, as new images on the same device.

    What an image becomes depends on the image, on the generator's state, and on the image's place among those
    given; not on how many images follow it, nor on what they show. So the first images of a batch, given
    alone with a generator of the same seed, become what they become in the batch. Under the corruptions in
    `DETERMINISTIC` an image becomes the same at every place, whatever the generator. Numbers are drawn for
    `BLOCK` images at a time, however few are given; where no image is given, none are drawn.

    Args:
        pixels: uint8 (n, 3, h, w), n >= 0. Images of 32 pixels get CIFAR-10-C's parameters, those of 64
            pixels Tiny ImageNet-C's. They lie in memory in any way and stay as they are.
        name: One of `NAMES`.
        severity: 1 .. 5.
        generator: The source of all random numbers; those in `DETERMINISTIC` do without. One on the CPU gives
            the same numbers whatever the images' device.

    Returns:
        uint8 (n, 3, h, w).

    Raises:
        InputError: For an unknown name, another severity, images of another type or shape, and a generator
            that is missing or is none.
    """
    check(pixels, name, severity)
    if generator is not None and not isinstance(generator, torch.Generator):
        seed = generator if isinstance(generator, Integral) else 0
        raise InputError(
            f"the generator of a corruption is a torch.Generator, got {_shown(generator)}; "
            f"pass torch.Generator().manual_seed({int(seed)})"
        )
    keep_memory()
    if name in DETERMINISTIC:
        generator = generator or torch.Generator()
    elif generator is None:
        raise InputError(
            f"{name} draws random numbers: pass a generator, such as torch.Generator().manual_seed(0)"
        )
    if not len(pixels):
        return pixels.clone()
    return torch.cat([_corrupted(block, name, severity, generator) for block in pixels.split(BLOCK)])


def _shown(value: object) -> str:
    """A wrong argument in one short line."""
    return textwrap.shorten(repr(value), 80)


def check(pixels: Tensor, name: str, severity: int) -> None:
    """Check the arguments of `corrupt`.

    Raises:
        InputError: For what it does not accept.
    """
    if not isinstance(name, str) or name not in FUNCTIONS:
        raise InputError(f"unknown corruption {_shown(name)}; known: {', '.join(sorted(NAMES))}")
    if isinstance(severity, bool) or not isinstance(severity, Integral) or severity not in SEVERITIES:
        raise InputError(f"severity is 1, 2, 3, 4 or 5, got {_shown(severity)}")
    if not isinstance(pixels, Tensor) or pixels.dtype != torch.uint8:
        got = pixels.dtype if isinstance(pixels, Tensor) else type(pixels).__name__
        raise InputError(
            f"corruptions take a tensor of uint8 images, got {got}; images in [0, 1] become (255 * "
            f"images).round().to(torch.uint8)"
        )
    sides = " or ".join(f"{side}, {side}" for side in TABLES)
    if (
        pixels.ndim != 4
        or pixels.shape[1] != 3
        or pixels.shape[2] != pixels.shape[3]
        or pixels.shape[3] not in TABLES
    ):
        raise InputError(
            f"corruptions take images (n, 3, {sides}), the sizes with published severities; got "
            f"{tuple(pixels.shape)}"
        )
    if pixels.layout != torch.strided or pixels.is_meta:
        raise InputError(
            f"corruptions take images that lie in memory, got a tensor of "
            f"{'no data' if pixels.is_meta else pixels.layout}"
        )


def _corrupted(block: Tensor, name: str, severity: int, generator: torch.Generator) -> Tensor:
    draws = Draws(generator, len(block), BLOCK, block.device)
    # functions of different parameters
    return FUNCTIONS[name](block, draws, **parameters(name, severity, block.shape[-1]))  # type: ignore[operator]


def corrupted_block(pixels: Tensor, number: int, name: str, severity: int) -> Tensor:
    """Block `number` of a data set's images (n, 3, h, w) under one corruption.

    The seed comes from the corruption, the severity and the block, so that every network sees the same
    pixels, in whatever order they are made.

    Returns:
        (m, 3, h, w) uint8 with m at most BLOCK.
    """
    generator = torch.Generator().manual_seed(derived_seed(0, "corruption", name, severity, number))
    return corrupt(pixels[number * BLOCK : (number + 1) * BLOCK], name, severity, generator=generator)
