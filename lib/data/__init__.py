"""Data sets as uint8 tensors in memory: digits (always there), CIFAR-10 and Tiny ImageNet (looked for under
DATA_DIR).
"""

from lib.data.cifar10 import download_cifar10
from lib.data.datasets import DATASETS, FINGERPRINTS, SIZES, SPLITS, fingerprint, image_side, load
from lib.data.images import Images, content

__all__ = [
    "DATASETS",
    "FINGERPRINTS",
    "Images",
    "SIZES",
    "SPLITS",
    "content",
    "download_cifar10",
    "fingerprint",
    "image_side",
    "load",
]
