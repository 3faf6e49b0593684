"""Sparse-coding data: a few active atoms of a hidden dictionary, and a label that every atom votes for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lib.base.errors import InputError

# Sums that are not tied differ from 0 by more than 1 / (2 d sqrt(k)), and rounding stays below this.
_TIE = 1e-5


@dataclass(frozen=True)
class World:
    """Where data come from: x = M z + noise, y = sign <w*, z>.

    Attributes:
        dictionary: (d, d) float32, orthonormal; its columns are the atoms.
        target: (d,) float32, -1 or 1: how each atom votes.
        k: How many atoms are active in a sample on average, 1 to d.
        noise: Standard deviation of the noise in each coordinate of x, >= 0.
    """

    dictionary: Tensor
    target: Tensor
    k: int
    noise: float = 0.0

    @property
    def d(self) -> int:
        """Number of coordinates, and of atoms."""
        return len(self.target)

    @property
    def weak(self) -> float:
        """Size of a weakly active coordinate, 1 / sqrt(k)."""
        return float(self.k**-0.5)

    @property
    def common(self) -> Tensor:
        """(d,) the direction M w* that all labels share, of length 1."""
        direction = self.dictionary @ self.target
        return direction / torch.linalg.vector_norm(direction)


def world(d: int, k: int, *, generator: torch.Generator, noise: float = 0.0) -> World:
    """A world with a random orthonormal dictionary and a target of random signs.

    Raises:
        InputError: For d below 1, k outside 1 to d, or noise that is negative or no number.
    """
    if d < 1:
        raise InputError(f"d must be at least 1, got {d}")
    if not 1 <= k <= d:
        raise InputError(
            f"k must lie in 1 to d = {d}, got {k}: no more coordinates can be active than there are"
        )
    if not noise >= 0:
        raise InputError(f"noise must be at least 0, got {noise}")
    basis, triangle = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64))
    # with the signs of the triangle's diagonal taken out, every rotation is as likely
    dictionary = (basis * torch.sign(torch.diagonal(triangle))).float()
    target = torch.randint(2, (d,), generator=generator).float() * 2 - 1
    return World(dictionary, target, k, noise)


def labels(codes: Tensor, target: Tensor) -> Tensor:
    """Labels of codes: the sign of <w*, z>.

    Args:
        codes: (n, d) float.
        target: (d,) float.

    Returns:
        (n,) float, -1 or 1, or 0 for a tie.
    """
    votes = codes @ target
    return torch.where(votes.abs() < _TIE, 0.0, votes.sign())


def samples(source: World, n: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Samples with their labels. A sample whose label is tied is drawn again.

    Each coordinate of z is -1 or 1 with probability 1/d, -1/sqrt(k) or 1/sqrt(k) with probability (k-1)/d,
    and 0 otherwise.

    Returns:
        (n, d) samples and (n,) labels, -1 or 1, in the precision of the dictionary.

    Raises:
        InputError: For n below 1.
    """
    if n < 1:
        raise InputError(f"n must be at least 1, got {n}")
    kind = source.dictionary.dtype
    found, votes, missing = [], [], n
    while missing > 0:
        # one uniform number decides both the sign and the size; some more rows than needed, for the ties
        uniform = torch.rand(missing + missing // 8 + 8, source.d, generator=generator, dtype=kind)
        size = uniform.mul_(2).sub_(1).abs()
        codes = size.clone().lt_(source.k / source.d).mul_(source.weak)
        codes.add_(size.lt_(1 / source.d), alpha=1 - source.weak).mul_(uniform.sign_())
        given = labels(codes, source.target)
        untied = given.nonzero()[:missing, 0]
        found.append(codes[untied])
        votes.append(given[untied])
        missing -= len(untied)
    x = torch.cat(found) @ source.dictionary.T
    if source.noise:
        x += source.noise * torch.randn(x.shape, generator=generator, dtype=kind)
    return x, torch.cat(votes)
