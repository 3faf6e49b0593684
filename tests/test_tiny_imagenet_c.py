"""Tiny ImageNet-C's fifteen corruptions at 64 pixels, as a reader gets them: `corruptions.corrupt` against the
image-by-image reference with the benchmark's own numbers, written down here a second time.

`test_corruptions.py` compares the functions at both sizes with parameters that both sides take from one table;
a wrong number in that table, or a wrong row of it, would pass there and fails here.
"""

import numpy as np
import pytest
import torch
from test_corruptions import ONE_LEVEL, Recording, Replay, levels_apart, seeded, smooth, varied
from torch import Tensor

from benchmarks import image_by_image
from lib import corruptions
from lib.corruptions.severities import PARAMETERS, TINY_IMAGENET_C

# One line a corruption: its parameters, in the order of the reference's tables, at severities 1 to 5. Of
# zoom blur the ends of the ranges are written down; how many factors lie below, numpy says.
TABLE = """
gaussian_noise     0.04 | 0.08 | 0.12 | 0.15 | 0.18
shot_noise         250 | 100 | 50 | 30 | 15
impulse_noise      0.01 | 0.02 | 0.05 | 0.08 | 0.14
defocus_blur       0.5 0.6 | 1 0.1 | 1.5 0.1 | 2.5 0.01 | 3 0.1
glass_blur         0.1 1 1 | 0.5 1 1 | 0.6 1 2 | 0.7 2 1 | 0.9 2 2
motion_blur        10 1 | 10 1.5 | 10 2 | 10 2.5 | 12 3
zoom_blur          1.06 | 1.11 | 1.16 | 1.21 | 1.26
snow               0.1 0.2 1 0.6 8 3 0.8 | 0.1 0.2 1 0.5 10 4 0.8 | 0.15 0.3 1.75 0.55 10 4 0.7 | 0.25 0.3 2.25 0.6 12 6 0.65 | 0.3 0.3 1.25 0.65 14 12 0.6
frost              1 0.3 | 0.9 0.4 | 0.8 0.45 | 0.75 0.5 | 0.7 0.55
fog                0.4 3 | 0.7 3 | 1 2.5 | 1.5 2 | 2 1.75
brightness         0.1 | 0.2 | 0.3 | 0.4 | 0.5
contrast           0.4 | 0.3 | 0.2 | 0.1 | 0.05
elastic_transform  0 0 0.08 | 0.05 0.3 0.06 | 0.1 0.08 0.06 | 0.1 0.03 0.03 | 0.16 0.03 0.02
pixelate           0.9 | 0.8 | 0.7 | 0.6 | 0.5
jpeg_compression   65 | 58 | 50 | 40 | 25
"""  # noqa: E501


def row(name: str, text: str) -> dict[str, float]:
    """The keyword arguments of a corruption, from a cell of the table."""
    numbers = [float(word) if "." in word else int(word) for word in text.split()]
    if name == "zoom_blur":
        numbers = [len(np.arange(1, numbers[0], 0.01))]
    return dict(zip(PARAMETERS[name], numbers, strict=True))


ROWS = {
    line.split()[0]: [row(line.split()[0], cell) for cell in line.partition(" ")[2].split("|")]
    for line in TABLE.strip().splitlines()
}
FIFTEEN = list(ROWS)


def by_reference(
    image: Tensor, name: str, given: dict[str, float], draws: image_by_image.ImageDraws
) -> Tensor:
    """One image (3, 64, 64) uint8 as the reference corrupts it."""
    made = image_by_image.corrupt(image.permute(1, 2, 0).contiguous().numpy(), name, given, draws)
    return torch.from_numpy(made.copy()).permute(2, 0, 1)


def test_the_table_is_that_of_the_benchmark():
    assert tuple(FIFTEEN) == corruptions.NAMES[:15] and all(len(rows) == 5 for rows in ROWS.values())
    assert {name: tuple(tuple(given.values()) for given in rows) for name, rows in ROWS.items()} == {
        name: TINY_IMAGENET_C[name] for name in FIFTEEN
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", FIFTEEN)
def test_equals_the_reference_with_the_same_draws(name):
    """Pixel by pixel. A `Recording` of the generator's seed draws for a block as `corrupt` does.

    No value may differ, but by one level in at most 1 of 2,000 under snow and 1 of 10,000 under zoom blur:
    there sums of float32 and float64 products meet truncation, and their last bit is the machine's.
    """
    pixels = varied(64)
    for severity, given in zip(corruptions.SEVERITIES, ROWS[name], strict=True):
        ours = corruptions.corrupt(pixels, name, severity, generator=seeded(severity))
        recording = Recording(severity, len(pixels), corruptions.BLOCK)
        corruptions.FUNCTIONS[name](pixels, recording, **given)
        theirs = []
        for i, image in enumerate(pixels):
            replay = Replay(recording, i)
            theirs.append(by_reference(image, name, given, replay))
            assert not replay.left
        off, allowed = levels_apart(ours, torch.stack(theirs)), ONE_LEVEL.get(name, 0)
        assert off.max() <= (1 if allowed else 0) and (off > 0).double().mean() <= allowed, severity


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FIFTEEN if name not in corruptions.DETERMINISTIC])
def test_obeys_the_law_of_the_reference(name):
    """With draws of their own: numpy's generator there, torch's here.

    The mean change of an image, in grey levels, is compared image by image. The mean of the differences must
    lie within 4.5 of its standard errors: with 23 degrees of freedom one of 6,000 such comparisons does not,
    and 45 are made.
    """
    pixels = smooth(24, 64, seed=3)
    for severity, given in zip(corruptions.SEVERITIES, ROWS[name], strict=True):
        ours = corruptions.corrupt(pixels, name, severity, generator=seeded(10 + severity))
        draws = image_by_image.Random(np.random.default_rng(severity))
        theirs = torch.stack([by_reference(image, name, given, draws) for image in pixels])
        ours, theirs = (levels_apart(made, pixels).double().mean((1, 2, 3)) for made in (ours, theirs))
        difference = ours - theirs
        error = difference.std() / len(pixels) ** 0.5
        assert theirs.min() > 0 and difference.mean().abs() <= 4.5 * error, (
            severity,
            difference.mean(),
            error,
        )
