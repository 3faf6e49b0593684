"""Functions of this package as they are called from outside: generators and matrices are checked before
anything is drawn or computed.

The functions themselves are in the fingerprint of every simulation, so what checks them stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from lib.base.arguments import checking
from lib.base.errors import InputError
from lib.base.text import in_words
from lib.purification import measures, perturbations, sparse_coding, training


def _check_generator(given: Mapping[str, Any]) -> None:
    """Raise InputError for a generator that is none."""
    generator = given.get("generator")
    if not isinstance(generator, torch.Generator):
        said = type(generator).__name__ if generator is not None else ""
        shown = in_words(generator) if isinstance(generator, bool | int | float | str) else ""
        raise InputError(
            f"generator must be a torch.Generator, got {f'{said} {shown}'.strip() or None}; pass "
            "torch.Generator().manual_seed(0)"
        )


def _check_matrices(given: Mapping[str, Any]) -> None:
    """Raise InputError for a matrix that is none, or of complex numbers."""
    for name, value in given.items():
        try:
            real = not torch.as_tensor(value).is_complex()
        except (TypeError, ValueError, RuntimeError):
            real = False
        if not real:
            raise InputError(f"{name} must be rows of real numbers, got {type(value).__name__}")


checked = checking(_check_generator)
pgd = checked(perturbations.pgd)
samples = checked(sparse_coding.samples)
train = checked(training.train)
world = checked(sparse_coding.world)

of_matrices = checking(_check_matrices)
angle = of_matrices(measures.angle)
dense_mixture = of_matrices(measures.dense_mixture)
top_atom_energy = of_matrices(measures.top_atom_energy)
