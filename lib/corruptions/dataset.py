"""A data set under every corruption and severity, made once, so that all networks see the same pixels."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from torch import Tensor

from lib import corruptions
from lib.base import fingerprint, paths
from lib.base.files import kept
from lib.data.images import Images

CLEAN = "clean"  # the images themselves, as severity 0


def cells(images: Images, *, device: str | torch.device = "cpu") -> Iterator[tuple[str, int, Tensor]]:
    """Images under every corruption and severity: the clean images first, then all severities of each
    corruption.

    They are cached in .cache/corrupted, by images and code, for the next network; the files are safe to
    delete.

    Yields:
        Corruption, severity and pixels uint8 (n, 3, h, w) on the device, one after the other.

    Raises:
        InputError: For images of a size without published severities.
    """
    source = images.pixels.to(device)
    yield CLEAN, 0, source
    for name, severity in product(corruptions.NAMES, corruptions.SEVERITIES):
        yield name, severity, _cell(images, source, name, severity)


def _cell(images: Images, source: Tensor, name: str, severity: int) -> Tensor:
    digest = fingerprint.digest(
        [corruptions.corrupted_block, corruptions.FUNCTIONS[name]], skip=[corruptions.FUNCTIONS]
    )
    file = (
        paths.cache() / "corrupted" / images.fingerprint / f"{name}-{severity}-{digest.replace(':', '-')}.npz"
    )

    def make() -> dict[str, np.ndarray]:
        blocks = range(-(-len(source) // corruptions.BLOCK))
        return {
            "pixels": torch
            .cat([corruptions.corrupted_block(source, number, name, severity) for number in blocks])
            .cpu()
            .numpy()
        }

    return torch.from_numpy(kept(file, make, what="corrupted images")["pixels"]).to(source.device)
