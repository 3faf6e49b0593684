"""Functions of this package as they are called from outside: generators and matrices are checked before
anything is drawn or computed.

The functions themselves are in the fingerprint of every simulation, so what checks them stands here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

from lib.base.errors import InputError
from lib.base.text import in_words
from lib.purification import measures, perturbations, sparse_coding, training

P = ParamSpec("P")
R = TypeVar("R")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, which raises InputError for a generator that is none."""
    signature = inspect.signature(function)

    @wraps(function)
    def with_check(*arguments: P.args, **named: P.kwargs) -> R:
        generator = signature.bind(*arguments, **named).arguments.get("generator")
        if not isinstance(generator, torch.Generator):
            said = type(generator).__name__ if generator is not None else ""
            shown = in_words(generator) if isinstance(generator, bool | int | float | str) else ""
            raise InputError(
                f"generator must be a torch.Generator, got {f'{said} {shown}'.strip() or None}; pass "
                "torch.Generator().manual_seed(0)"
            )
        return function(*arguments, **named)

    return with_check


pgd = checked(perturbations.pgd)
samples = checked(sparse_coding.samples)
train = checked(training.train)
world = checked(sparse_coding.world)


def of_matrices(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, which raises InputError for a matrix that is none, or of complex numbers."""
    signature = inspect.signature(function)

    @wraps(function)
    def with_check(*arguments: P.args, **named: P.kwargs) -> R:
        for name, value in signature.bind(*arguments, **named).arguments.items():
            try:
                real = not torch.as_tensor(value).is_complex()
            except (TypeError, ValueError, RuntimeError):
                real = False
            if not real:
                raise InputError(f"{name} must be rows of real numbers, got {type(value).__name__}")
        return function(*arguments, **named)

    return with_check


angle = of_matrices(measures.angle)
dense_mixture = of_matrices(measures.dense_mixture)
top_atom_energy = of_matrices(measures.top_atom_energy)
