"""Whether images are such as a network takes. That is its own affair, and found out where something has
failed on them: nothing is computed before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from lib.base.errors import InputError
from lib.base.text import shortened


def check_in_memory(name: str, value: object) -> None:
    """Raise InputError for a tensor without numbers, or one that lists those that are not 0."""
    if isinstance(value, Tensor) and (value.is_meta or value.layout != torch.strided):
        raise InputError(f"{name} must lie in memory, got a tensor of {value.device} and {value.layout}")


@contextmanager
def taking(network: object, pixels: object) -> Iterator[None]:
    """While open, a failure that comes from images the network cannot take is one line.

    Args:
        network: From images to logits.
        pixels: (n, c, h, w) float.

    Raises:
        InputError: In place of an error of torch, where the network alone fails on the first image, too.
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if isinstance(error, InputError) or not isinstance(pixels, Tensor) or not callable(network):
            raise
        if said := _refusal(network, pixels):
            shape = tuple(pixels.shape[1:])
            raise InputError(
                f"the network cannot take images of {pixels.dtype} and shape {shape}: {said}"
            ) from error
        raise


# words of torch for what is wrong with a tensor, and not with the machine or the network's code
_OF_SIZES = re.compile("size|shape|scalar type|dtype|channel|dimension|broadcast", re.IGNORECASE)


def _refusal(network: Callable[[Tensor], object], pixels: Tensor) -> str:
    """What a network says against the sizes or the type of an image; "" if nothing."""
    try:
        with torch.no_grad():
            network(pixels[:1].clone())  # it may write over its images
    except (RuntimeError, ValueError) as error:
        said = (str(error).splitlines() or [""])[0]
        return shortened(said) if _OF_SIZES.search(said) else ""
    return ""
