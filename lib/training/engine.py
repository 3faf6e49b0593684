"""Device, precision and compilation of a training.

They are recorded with a run and are not part of its name.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from lib import data
from lib.training.recipe import Training
from lib.training.variants import AugMix

COMPILE_FROM = 200_000  # training images over all epochs from which half a minute of compilation pays off


@dataclass(frozen=True)
class Engine:
    """How the arithmetic of a training is done.

    Batch norm statistics, loss and optimiser are float32 in all engines.
    """

    device: str  # "cpu" or "cuda"
    low_precision: bool  # bfloat16 autocast with channels-last
    compiled: bool  # torch.compile for the network and the loss
    # the whole step, optimiser included, in one CUDA graph that serves every network of a sweep
    captured: bool = False

    def __str__(self) -> str:
        parts = [
            self.device,
            "bfloat16" if self.low_precision else "float32",
            "compiled" if self.compiled else "eager",
        ]
        return " ".join(parts + ["graph"] * self.captured)


def best_engine(training: Training, *, device: str | None = None) -> Engine:
    """The fastest safe engine on this machine: a GPU if there is one, bfloat16 and compilation where the run
    is long enough to pay for them.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if training.settings.epochs * len(data.load(training.dataset, "train")) < COMPILE_FROM:
        return Engine(device, low_precision=False, compiled=False)
    if device == "cuda":
        # AugMix draws its operations on the CPU, image by image, which a graph cannot hold
        return Engine(
            device,
            low_precision=True,
            compiled=True,
            captured=not isinstance(training.variant_settings, AugMix),
        )
    # torch.compile on a CPU needs a C++ compiler and Python's headers
    compiler = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
    headers = Path(sysconfig.get_path("include"), "Python.h").exists()
    if not (compiler and headers):
        lacking = (
            "Python's headers (python3-dev)" if compiler else "a C++ compiler (g++ or clang++, or set CXX)"
        )
        warnings.warn(
            f"training without torch.compile, about half as fast: {lacking} not found", stacklevel=2
        )
    low = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return Engine(device, low_precision=low, compiled=bool(compiler and headers))
