"""Device, precision and compilation of a training.

They are recorded with a run and are not part of its name.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import shutil
import sysconfig
import textwrap
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch

from lib import data
from lib.training.recipe import AdamRecipe
from lib.training.training import Training
from lib.training.variants import variant

_Result = TypeVar("_Result")

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
    if isinstance(training.settings, AdamRecipe):
        return Engine(device, low_precision=False, compiled=False)  # bounds add up too much for bfloat16
    if training.settings.epochs * len(data.load(training.dataset, "train")) < COMPILE_FROM:
        return Engine(device, low_precision=False, compiled=False)
    trouble = trouble_of_compiler(device)
    if device == "cuda":
        # AugMix draws its operations on the CPU, image by image, which a graph cannot hold
        captured = not variant(training.variant, training.recipe).draws
        return Engine(device, low_precision=True, compiled=not trouble, captured=captured)
    low = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return Engine(device, low_precision=low, compiled=not trouble)


# run while code is made, not later
_COMPILING = ("compile_fx.py", "codecache.py", "cpp_builder.py", "async_compile.py")


def _lacking(device: str) -> str:
    """What torch.compile needs on a CPU, a C++ compiler and Python's headers, where it is not there; else
    "".
    """
    if device == "cuda":
        return ""
    if not (shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")):
        return "a C++ compiler (g++ or clang++, or set CXX) not found"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python's headers (python3-dev) not found"
    return ""


def trouble_of_compiler(device: str) -> str:
    """Why torch.compile fails here, in a line, or "" where it works: found out and said once in a process.

    A compiler that is found may still be broken, and the temporary folder full or without permission to
    execute: so a small function is compiled.
    """
    if device not in _troubles:
        _note(device, _lacking(device) or _tried(device))
    return _troubles[device]


_troubles: dict[str, str] = {}  # by device


def _note(device: str, trouble: str) -> None:
    _troubles[device] = trouble
    if trouble:
        logging.getLogger(__name__).warning(
            f"training without torch.compile, about half as fast: {trouble}; it needs a C++ compiler "
            f"that works "
            "(CXX) and a temporary folder (TMPDIR) with room, whose files may be executed"
        )


def _tried(device: str) -> str:
    # of a missing CUDA runtime, on a CPU
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    try:
        torch.compile(lambda x: 2 * x + 1)(torch.ones(8, dtype=torch.float32, device=device))
    except Exception as error:  # noqa: BLE001 - whatever it is, training can do without
        return _cause(error)
    return ""


def _cause(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return textwrap.shorten(lines[0] if lines else type(error).__name__, 200)


def compiled_if_possible(work: Callable[[Engine], _Result], engine: Engine) -> _Result:
    """work(engine); where torch.compile fails in it, once more without, which is said in one line.

    The trainings that this process begins later do without from the start. A small function may compile where
    the step of a training does not: the disk is full only then, or kept code is found for the one and not for
    the other.

    Args:
        work: Trains with the engine it is given, and has done nothing yet where compilation fails.
        engine: What to try first.

    Returns:
        What `work` returns.
    """
    try:
        return work(engine)
    except Exception as error:
        if not (engine.compiled and _of_compilation(error)):
            raise
        _note(engine.device, _cause(error))
    return work(replace(engine, compiled=False))


def _of_compilation(error: BaseException | None) -> bool:
    """Whether an exception comes from making compiled code, not from running it."""
    while error is not None:
        frames = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
        kind = type(error).__module__
        if kind.startswith(("torch._dynamo", "torch._inductor")) or any(
            file.name in _COMPILING and file.parent.name == "_inductor" for file in frames
        ):
            return True
        error = error.__cause__
    return False


def device(kind: str) -> str:
    """Description of "cuda" or "cpu" on this machine: name of the GPU, or of the processor with the number of
    threads that torch uses.
    """
    if kind == "cuda":
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    name = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return f"{name}, {torch.get_num_threads()} threads"


@contextmanager
def threads_of(described: str) -> Iterator[None]:
    """Context manager: use as many threads as a description by `device` says, if there are as many cores.

    Sums are split among threads, so their number decides the last bits.
    """
    said, before = re.fullmatch(r".*, (\d+) threads", described), torch.get_num_threads()
    if said and 1 <= int(said[1]) <= (os.cpu_count() or 1):
        torch.set_num_threads(int(said[1]))
    try:
        yield
    finally:
        torch.set_num_threads(before)
