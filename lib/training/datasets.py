"""What training has to know of a data set: how its images are augmented, and its usual network."""

from __future__ import annotations

from dataclasses import dataclass

from lib import data
from lib.base.fingerprint import exempt


@exempt
@dataclass(frozen=True)
class Augmentation:
    """Random horizontal flip, and random crop out of the image padded with `pad` black pixels on each
    side.
    """

    flip: bool
    pad: int


AUGMENTATIONS = {
    "digits": Augmentation(flip=False, pad=2),  # a mirrored digit is another sign
    "cifar10": Augmentation(flip=True, pad=4),
    "tiny-imagenet": Augmentation(flip=True, pad=8),
}

# the network with which the book shows a data set
USUAL_MODELS = {"digits": "resnet8", "cifar10": "resnet20", "tiny-imagenet": "resnet18"}


def usual_model(dataset: str) -> str:
    """Name of the network with which the book shows a data set.

    Raises:
        InputError: For an unknown data set.
    """
    data.image_side(dataset)
    return USUAL_MODELS[dataset]
