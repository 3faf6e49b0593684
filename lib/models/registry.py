"""Networks that take pixels in [0, 1] and expose every ReLU by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from lib.base.errors import InputError, unknown
from lib.models.alexnet import AlexNet
from lib.models.cnn import Cnn
from lib.models.precision import single_precision_by_default
from lib.models.resnet import BasicBlock, Bottleneck, CifarResNet, TinyImageNetResNet

# name: (constructor, its arguments, side of the images in pixels)
MODELS: dict[str, tuple[Callable[..., nn.Module], dict[str, Any], int]] = {
    "resnet8": (CifarResNet, {"blocks": 1, "widths": (8, 16, 32)}, 32),
    "resnet20": (CifarResNet, {"blocks": 3, "widths": (16, 32, 64)}, 32),
    "resnet18": (TinyImageNetResNet, {"block": BasicBlock, "layers": (2, 2, 2, 2)}, 64),
    "resnet50": (TinyImageNetResNet, {"block": Bottleneck, "layers": (3, 4, 6, 3)}, 64),
    # filters, side of the kernel and stride of each convolution
    "alexnet": (
        AlexNet,
        {"convolutions": ((64, 9, 2), (96, 5, 2), (128, 3, 1), (128, 3, 1), (128, 3, 1))},
        32,
    ),
    "cnn-small": (Cnn, {"convolutions": ((16, 4, 2), (32, 4, 1)), "hidden": 100, "side": 32}, 32),
    "cnn-large": (
        Cnn,
        {
            "convolutions": ((64, 3, 1), (64, 3, 1), (128, 3, 2), (128, 3, 1), (128, 3, 1)),
            "hidden": 512,
            "side": 32,
        },
        32,
    ),
}


def image_side(name: str) -> int:
    """Side in pixels of the images that a model takes.

    Raises:
        InputError: For an unknown model.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    return MODELS[name][2]


def build(name: str, classes: int, *, seed: int = 0) -> nn.Module:
    """Build a freshly initialised network.

    The models resnet20 and resnet8 take images of 32 pixels; they have a 3x3 stem, option-A shortcuts,
    Kaiming-normal weights, and 19 and 7 ReLU layers. The models resnet18 and resnet50 take images of 64
    pixels; they are torchvision's without the first max-pool, with 17 and 49 ReLU layers. The model alexnet
    takes images of 32 pixels and has 5 ReLU layers, its first filters are 9x9. The models
    cnn-small and cnn-large take images of 32 pixels; they have no batch norm, and 3 and 6 ReLU layers.

    Args:
        name: One of MODELS.
        classes: Number of logits.
        seed: Seed of the initial weights; the global generator is left as it was.

    Returns:
        The network, from float32 pixels (n, 3, side, side) in [0, 1] to logits (n, classes); it is float32
        whatever the default dtype.

    Raises:
        InputError: For an unknown name or fewer than two classes.
    """
    image_side(name)
    if classes < 2:
        raise InputError(f"a classifier needs at least 2 classes, got {classes}")
    constructor, arguments, _ = MODELS[name]
    # layer constructors know only the global generator
    with torch.random.fork_rng(), single_precision_by_default():
        torch.manual_seed(seed)
        return constructor(classes, **arguments)
