"""What is read off weights: angles, how much of a weight is one atom or the dense mixture, and the change
from one network to another.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lib.base.errors import InputError

LIVE = 0.2  # a neuron of less than this share of the largest norm is dead


def _rows(weights: Tensor, name: str) -> Tensor:
    """A matrix in double precision, in which no norm of single precision over- or underflows."""
    found = torch.as_tensor(weights)
    if found.ndim != 2 or not found.shape[1]:
        raise InputError(f"{name} must be rows of numbers, got the shape {tuple(found.shape)}")
    return found.double()


def _pair(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    first, second = _rows(before, "the first weights"), _rows(after, "the second weights")
    if first.shape != second.shape:
        raise InputError(
            f"need two matrices of one shape, got {tuple(first.shape)} and {tuple(second.shape)}: "
            "row i of one is compared with row i of the other"
        )
    return first, second


def angle(a: Tensor, b: Tensor) -> Tensor:
    """Absolute cosine between the rows of two matrices, theta in the paper.

    >>> angle(torch.tensor([[1.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 2.0], [-3.0, -4.0]]))
    tensor([0., 1.], dtype=torch.float64)

    Args:
        a: (n, d) float.
        b: (n, d) float.

    Returns:
        (n,) float64 in [0, 1]; NaN where one of the two rows is zero.

    Raises:
        InputError: For matrices of different shapes.
    """
    first, second = (one / torch.linalg.vector_norm(one, dim=1, keepdim=True) for one in _pair(a, b))
    return (first * second).sum(1).abs().clamp(max=1)


def chance_angle(d: int) -> float:
    """Mean absolute cosine of two random directions in d dimensions, about sqrt(2 / (pi d)).

    >>> chance_angle(1)
    1.0

    Raises:
        InputError: For d below 1.
    """
    if d < 1:
        raise InputError(f"d must be at least 1, got {d}")
    return min(1.0, math.exp(math.lgamma(d / 2) - math.lgamma((d + 1) / 2)) / math.sqrt(math.pi))


def coefficients(weights: Tensor, dictionary: Tensor) -> Tensor:
    """Weights written in the atoms of a dictionary.

    Args:
        weights: (m, d) float.
        dictionary: (d, d) float, orthonormal; its columns are the atoms.

    Returns:
        (m, d) float64, entry ij the part of atom j in row i.

    Raises:
        InputError: If the dictionary is not (d, d).
    """
    rows, atoms = _rows(weights, "weights"), _rows(dictionary, "the dictionary")
    if atoms.shape != (rows.shape[1],) * 2:
        raise InputError(
            f"weights of {rows.shape[1]} numbers need a square dictionary of that size, "
            f"got the shape {tuple(atoms.shape)}"
        )
    return rows @ atoms


def top_atom_energy(weights: Tensor, dictionary: Tensor) -> Tensor:
    """Share of a row's squared length that is its strongest atom: max_j a_ij^2 / ||a_i||^2.

    Args:
        weights: (m, d) float.
        dictionary: (d, d) float, orthonormal; its columns are the atoms.

    Returns:
        (m,) float64 in [1/d, 1]; NaN for a row of zeros.

    Raises:
        InputError: If the dictionary is not (d, d).
    """
    parts = coefficients(weights, dictionary)
    unit = parts / torch.linalg.vector_norm(parts, dim=1, keepdim=True)
    return unit.square().amax(1)


def dense_mixture(weights: Tensor, dictionary: Tensor, target: Tensor) -> Tensor:
    """How far a row, its strongest atom apart, points along the common direction of all labels:
    ``|<a_i without its top entry, w*>| / (sqrt(d - 1) ||a_i||)``.

    Args:
        weights: (m, d) float.
        dictionary: (d, d) float, orthonormal; its columns are the atoms.
        target: (d,) float, the signs w*.

    Returns:
        (m,) float64 in [0, 1] for a target of signs; NaN for a row of zeros, 0 in one dimension, where
        nothing is left beside the strongest atom.

    Raises:
        InputError: If the dictionary is not (d, d) or the target not (d,).
    """
    parts = coefficients(weights, dictionary)
    d, votes = parts.shape[1], torch.as_tensor(target).double()
    if votes.shape != (d,):
        raise InputError(
            f"the target must have a number for each of {d} atoms, got the shape {tuple(votes.shape)}"
        )
    unit = parts / torch.linalg.vector_norm(parts, dim=1, keepdim=True)
    rest = unit.scatter(1, unit.abs().argmax(1, keepdim=True), 0.0)
    return (rest @ votes).abs() / math.sqrt(max(d - 1, 1)) + 0 * unit.sum(1)


def live(weights: Tensor) -> Tensor:
    """Which rows have more than 0.2 of the largest norm.

    Args:
        weights: (m, d) float.

    Returns:
        (m,) bool; False everywhere if all rows are zero.
    """
    norms = torch.linalg.vector_norm(_rows(weights, "weights"), dim=1)
    return norms > LIVE * norms.max()


def relative_change(before: Tensor, after: Tensor) -> float:
    """Summed squared norms of what changed over those of what there was before; NaN if all that was zero.

    Args:
        before: (m, d) float.
        after: (m, d) float.

    Raises:
        InputError: For matrices of different shapes.
    """
    first, second = _pair(before, after)
    return float((second - first).square().sum() / first.square().sum()) if first.any() else math.nan


def change_energy(before: Tensor, after: Tensor) -> Tensor:
    """Share of the change's squared norm in its strongest singular directions.

    Args:
        before: (m, d) float.
        after: (m, d) float.

    Returns:
        (min(m, d),) float64, rising to 1, entry r - 1 the share of the r strongest; NaN if nothing changed.

    Raises:
        InputError: For matrices of different shapes.
    """
    first, second = _pair(before, after)
    energy = torch.linalg.svdvals(second - first).square()
    return (energy.cumsum(0) / energy.sum()).clamp(max=1)


def low_rank(before: Tensor, after: Tensor, rank: int) -> Tensor:
    """The weights before, plus the part of rank `rank` that is nearest to the change.

    Args:
        before: (m, d) float.
        after: (m, d) float.
        rank: >= 0; from min(m, d) on the result is `after` up to rounding.

    Returns:
        (m, d) in the precision of `before`.

    Raises:
        InputError: For matrices of different shapes or a negative rank.
    """
    first, second = _pair(before, after)
    if rank < 0:
        raise InputError(f"a rank is at least 0, got {rank}")
    left, sizes, right = torch.linalg.svd(second - first, full_matrices=False)
    return (first + (left[:, :rank] * sizes[:rank]) @ right[:rank]).to(torch.as_tensor(before).dtype)
