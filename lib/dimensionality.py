"""Dimensionality of activations: number of principal components, participation ratio, and intrinsic dimension
by TwoNN.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lib.base.errors import InputError

LEAST_POINTS = 3  # samples that TwoNN needs, after duplicates are dropped
DISCARDED = 0.1  # share of the largest distance ratios that TwoNN leaves out: Facco et al. 2017
EQUALLY_FAR = 1e-9  # logarithm of a ratio of distances: smaller ones are rounding
# share of the largest eigenvalue: smaller ones are rounding errors of directions without variance
ROUNDING = 1e-12


class Covariance:
    """Streaming covariance of activations, in float64 and in one pass; no activation is kept.

    Example:
        >>> found = Covariance()
        >>> for batch in torch.eye(4).split(2):
        ...     found.add(batch)
        >>> found.matrix().trace()
        tensor(1., dtype=torch.float64)
    """

    def __init__(self) -> None:
        self.count = 0
        # all three are set by the first samples
        self._origin = self._sum = self._products = None  # type: Tensor  # type: ignore[assignment]

    def add(self, activations: Tensor) -> None:
        """Add samples (n, d) float, with the same d as before."""
        _check(activations)
        activations = activations.detach()
        if not len(activations):
            return
        if self._origin is None:
            # any point near the mean will do: what is far from 0 would lose its digits in the products
            self._origin = activations.double().mean(0)
            self._sum = torch.zeros_like(self._origin)
            self._products = self._origin.new_zeros(activations.shape[1], activations.shape[1])
        if activations.shape[1] != len(self._origin):
            raise InputError(
                f"activations of {len(self._origin)} dimensions so far, then of {activations.shape[1]}"
            )
        centred = activations.double() - self._origin
        self.count += len(centred)
        self._sum += centred.sum(0)
        self._products.addmm_(centred.T, centred)

    def matrix(self) -> Tensor:
        """The covariance (d, d) float64, with n - 1 in the denominator.

        Raises:
            InputError: For fewer than two samples.
        """
        if self.count < 2:
            raise InputError(f"a covariance needs at least 2 samples, got {self.count}")
        return (self._products - torch.outer(self._sum, self._sum) / self.count) / (self.count - 1)

    def spectrum(self) -> Tensor:
        """Variance along each principal component.

        Returns:
            (d,) float64 on the CPU, descending; rounding errors of directions without variance are set to 0.
        """
        # GPUs are slower at this, and have given wrong results
        values = torch.linalg.eigvalsh(self.matrix().cpu()).flip(0)
        scale = (
            max(float(values[0]), float(self._origin.abs().max()) ** 2 * torch.finfo(torch.float64).eps)
            if len(values)
            else 0.0
        )
        return values.where(values > ROUNDING * scale, 0.0)


def _check(activations: Tensor) -> None:
    if not isinstance(activations, Tensor) or activations.ndim != 2 or not activations.is_floating_point():
        got = (
            f"{activations.dtype} of shape {tuple(activations.shape)}"
            if isinstance(activations, Tensor)
            else type(activations).__name__
        )
        raise InputError(f"activations must be float (n, d), one row a sample, got {got}")
    # a sum of what is finite may be infinite; it is the quicker question
    if not math.isfinite(activations.detach().sum()) and not activations.isfinite().all():
        raise InputError("activations must be finite, got NaN or infinity")


def components(spectrum: Tensor, variance: float = 0.95) -> int:
    """Smallest number of principal components that hold at least this share of the variance; 0 where there is
    no variance.

    Args:
        spectrum: (d,) variances, descending, as from `Covariance.spectrum`.
        variance: Share in (0, 1].
    """
    if isinstance(variance, bool) or not isinstance(variance, int | float) or not 0 < variance <= 1:
        raise InputError(f"variance is a share in (0, 1], got {variance!r}")
    total = spectrum.sum()
    if total <= 0:
        return 0
    if variance == 1:
        return int((spectrum > 0).sum())
    return min(int((spectrum.cumsum(0) / total < variance).sum()) + 1, len(spectrum))


def participation_ratio(spectrum: Tensor) -> float:
    """Participation ratio (sum of variances)² / (sum of their squares): d for d equal variances, 1 for a
    single one, and 0 without variance.
    """
    largest = spectrum.max() if len(spectrum) else torch.tensor(0.0)
    if largest <= 0:
        return 0.0
    shares = spectrum / largest  # squares of very small variances would vanish
    return float(shares.sum() ** 2 / shares.square().sum())


def pca_dimension(activations: Tensor, variance: float = 0.95) -> int:
    """Number of principal components that hold at least this share of the variance of the activations.

    Args:
        activations: (n, d) float, one row per sample; n may be smaller than d.
        variance: Share in (0, 1]; 0.95 is the paper's.

    Returns:
        int in [0, min(n - 1, d)]; 0 where all samples are equal.

    Raises:
        InputError: For other shapes, fewer than two samples, values that are not finite, or a share out of
            range.

    References:
        Leavitt & Morcos 2020, section on dimensionality.

    Example:
        >>> pca_dimension(torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]))
        1
    """
    found = Covariance()
    found.add(activations)
    return components(found.spectrum(), variance)


# ---- TwoNN -------------------------------------------------------------------------------------------------


def _nearest(points: Tensor, rows: int = 1000) -> tuple[Tensor, Tensor]:
    """Distances of each point (n, d) to its nearest and second nearest other point, two tensors (n,)
    float64.
    """
    lengths = points.square().sum(1)
    found = []
    for start in range(0, len(points), rows):
        some = points[start : start + rows]
        # |y|² - 2 x y orders the neighbours of x as |x - y| does
        near = torch.addmm(lengths[None, :], some, points.T, alpha=-2)
        own = torch.arange(len(some), device=points.device)
        near[own, own + start] = torch.inf
        found.append(near.topk(2, largest=False).indices)
    neighbours = torch.cat(found)
    # the distances themselves from differences, which keep the digits that the products lose
    distances = (points[neighbours] - points[:, None]).norm(dim=2).sort(1).values
    return distances[:, 0], distances[:, 1]


def twonn(activations: Tensor, *, discarded: float = DISCARDED) -> float:
    """Intrinsic dimension by TwoNN, from the ratio of each point's distances to its second and first nearest
    neighbour.

    The distribution F of the ratios is a power law whose exponent is the dimension, which is the slope,
    through the origin, of -log(1 - F) against the logarithm of the ratio.

    Args:
        activations: (n, d) float, one row per sample; duplicates count once.
        discarded: Share of the largest ratios that is left out of the fit, in [0, 1).

    Returns:
        float > 0; 0.0 where all samples are equal.

    Raises:
        InputError: For other shapes, values that are not finite, fewer than three different samples, or
            samples on a grid, whose neighbours are all equally far.

    References:
        Facco et al. 2017, Scientific Reports 7. That duplicates count once is our choice, and so is that F of
        the smallest ratio is 0 rather than 1/n, which makes the estimate 3.3/n smaller, as a share.
    """
    _check(activations)
    if isinstance(discarded, bool) or not isinstance(discarded, int | float) or not 0 <= discarded < 1:
        raise InputError(f"discarded is a share in [0, 1), got {discarded!r}")
    if not len(activations):
        raise InputError(f"TwoNN needs at least {LEAST_POINTS} different samples, got 0")
    # without units, all are equal
    points = activations.unique(dim=0).double() if activations.shape[1] else activations[:1].double()
    if len(points) == 1:
        return 0.0
    if len(points) < LEAST_POINTS:
        raise InputError(f"TwoNN needs at least {LEAST_POINTS} different samples, got {len(points)}")
    points = points - points.mean(0)
    largest = points.abs().max()
    first, second = _nearest(points / largest)
    ratios = (second / first).log().sort().values
    kept = ratios[: max(int(len(ratios) * (1 - discarded)), 1)]
    below = torch.arange(len(kept), dtype=torch.float64, device=kept.device) / len(ratios)
    slope = -(1 - below).log()
    if not (kept > EQUALLY_FAR).any():
        raise InputError(
            "TwoNN needs neighbours at different distances; here each sample's two nearest are "
            "equally far, as on a grid"
        )
    return float(kept @ slope / (kept @ kept))
