"""A data set under every corruption and severity, made once: all networks see the same pixels."""

from __future__ import annotations

import contextlib
import os
import warnings
import zipfile
from collections.abc import Iterator
from itertools import product

import numpy as np
import torch
from torch import Tensor

from lib import code, corruptions, paths
from lib.data import Images

CLEAN = "clean"  # the images themselves, as severity 0


def cells(images: Images, *, device: str | torch.device = "cpu") -> Iterator[tuple[str, int, Tensor]]:
    """(corruption, severity, pixels uint8 (n, 3, h, w) on the device), one at a time: the clean images first, then all severities of each corruption.

    Kept in .cache/corrupted by images and code, so that the next network reads them; safe to delete.
    raises  InputError for images of a size without published severities
    """
    source = images.pixels.to(device)
    yield CLEAN, 0, source
    for name, severity in product(corruptions.NAMES, corruptions.SEVERITIES):
        yield name, severity, _cell(images, source, name, severity)


def _cell(images: Images, source: Tensor, name: str, severity: int) -> Tensor:
    digest = code.digest([corruptions.corrupted_block, corruptions.FUNCTIONS[name]], skip=["lib.corruptions.FUNCTIONS"])
    file = paths.cache() / "corrupted" / images.fingerprint / f"{name}-{severity}-{digest}.npz"
    if file.is_file():
        try:
            with np.load(file) as kept:  # an npz checks the CRC of every array it reads
                pixels = torch.from_numpy(kept["pixels"])
            if pixels.shape == source.shape and pixels.dtype == torch.uint8:
                return pixels.to(source.device)
        except (zipfile.BadZipFile, ValueError, KeyError, OSError, EOFError, NotImplementedError, RuntimeError):
            pass  # made again below
    blocks = range(-(-len(source) // corruptions.BLOCK))
    pixels = torch.cat([corruptions.corrupted_block(source, number, name, severity) for number in blocks])
    draft = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as out:
            np.savez(out, pixels=pixels.cpu().numpy())
        os.replace(draft, file)
    except OSError as error:
        warnings.warn(f"corrupted images could not be kept in {file.parent} ({error.strerror}): they are made anew for each network", stacklevel=2)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return pixels
