"""How many threads of a CPU a training gets: one where the network is small.

Each of its operations takes some microseconds, less than threads need to begin and to wait for one another,
and on a busy machine they wait long. Sums are split among threads, so their number decides the last bits: a
training that is repeated for its weights gets as many as its run has recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch

from lib import data, models
from lib.training.engine import threads_of
from lib.training.training import Training

SMALL = 100_000  # parameters of a network below which one thread is faster than several


@lru_cache
def small(model: str, classes: int) -> bool:
    """Whether a network is so small that one thread is the fastest."""
    return sum(one.numel() for one in models.build(model, classes).parameters()) < SMALL


def into_compiled_code() -> None:
    """Compile for as many threads as torch uses now.

    Compiled code has their number written into it, and torch keeps it on the disk under a name that does not
    tell numbers apart: code for two threads was found again by a process with one. That was several times
    slower beside other work, and its sums are not those of the number that a run records.
    """
    from torch._inductor import config  # a second to import

    config.cpp.threads = torch.get_num_threads()


@contextmanager
def for_training(training: Training, recorded: str = "") -> Iterator[None]:
    """Context manager: as many threads as a training gets.

    Args:
        training: The training.
        recorded: The device of its run, if it is repeated; "" for a new one.
    """
    first = recorded.partition(", then ")[0]  # where it went on elsewhere
    few = small(training.model, data.DATASETS[training.dataset][1])
    with threads_of(first or (", 1 threads" if few else f", {torch.get_num_threads()} threads")):
        yield
