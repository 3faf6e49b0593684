"""Weights of image networks before and after a training: convolutions as matrices, angles with their null,
and networks that have only the strongest directions of a change.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lib.base.errors import InputError
from lib.models.activations import evaluated
from lib.purification import measures


def convolutions(network: nn.Module) -> dict[str, Tensor]:
    """Filters of every convolution as rows, in the order of the network.

    Returns:
        ``{name: (filters, inputs · height · width) float}``, views of the weights without gradient.
    """
    return {
        name: module.weight.detach().flatten(1)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
    }


def paired(before: nn.Module, after: nn.Module) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Each convolution of two networks: its name, and its filters in both.

    Raises:
        InputError: For networks that are not of one architecture.
    """
    first, second = convolutions(before), convolutions(after)
    shapes = [{name: tuple(rows.shape) for name, rows in one.items()} for one in (first, second)]
    if shapes[0] != shapes[1]:
        odd = next(iter(dict(shapes[0].items() ^ shapes[1].items())))
        raise InputError(
            f"the two networks are of different architectures: convolution {odd!r} has the shape "
            f"{shapes[0].get(odd, 'of none')} in one and {shapes[1].get(odd, 'of none')} in the other"
        )
    return ((name, first[name], second[name]) for name in first)


def pair_angles(rows: Tensor) -> Tensor:
    """Absolute cosine between different rows, theta(w_i, w_j).

    Args:
        rows: (n, d) float.

    Returns:
        (n (n - 1) / 2,) float64 in [0, 1], pairs in the order of `torch.triu_indices`; NaN for pairs with a
        row of zeros.
    """
    matrix = torch.as_tensor(rows).double()
    unit = matrix / torch.linalg.vector_norm(matrix, dim=1, keepdim=True)
    first, second = torch.triu_indices(len(unit), len(unit), offset=1)
    return (unit @ unit.T)[first, second].abs().clamp(max=1)


def chance_share(d: int, low: float, high: float) -> float:
    """Share of random directions in d dimensions whose absolute cosine with a given one lies between two
    numbers: what theta is held against.

    >>> round(chance_share(27, 0.2, 1.0), 2)
    0.31

    Raises:
        InputError: For d below 1.
    """
    if not d >= 1:
        raise InputError(f"d must be at least 1, got {d}")
    if d == 1:  # all directions are one
        return float(low < 1 <= high)
    # the square of such a cosine has a beta distribution
    ends = [min(max(end, 0.0), 1.0) ** 2 for end in (low, high)]
    from scipy import stats  # takes over a second, which the start of most commands need not wait for

    below = stats.beta.cdf(ends, 0.5, (d - 1) / 2)
    return float(below[1] - below[0])


def relative_change(before: Tensor, after: Tensor) -> float:
    """Mean over filters of the squared change of a filter scaled to length 1: 2 - 2 cos, in [0, 4].

    Batch norm makes a filter's length meaningless, so that it is taken out. Filters of zeros are left out;
    NaN where none is left.

    Raises:
        InputError: For matrices of different shapes.
    """
    first, second = (F.normalize(torch.as_tensor(rows).double(), dim=1) for rows in (before, after))
    if first.shape != second.shape:
        raise InputError(
            f"need two matrices of one shape, got {tuple(first.shape)} and {tuple(second.shape)}"
        )
    there = (first.any(1) & second.any(1)).nonzero()[:, 0]
    return float((second - first)[there].square().sum(1).mean()) if len(there) else math.nan


def with_change_of_rank(before: nn.Module, after: nn.Module, rank: int) -> nn.Module:
    """A network whose matrices, those of convolutions and of linear layers, are W + the part of rank `rank`
    of W' - W.

    A vector (a bias, batch norm's scale and shift) has no rank: it is that of `after`, or of `before` at rank
    0, where the network is `before`. Batch norm's statistics are those of `after` and want to be made anew:
    `renew_statistics`.

    Args:
        before: W.
        after: W', of the same architecture.
        rank: >= 0.

    Returns:
        A new network in evaluation mode.

    Raises:
        InputError: For networks of different architectures or a negative rank.
    """
    list(paired(before, after))
    shapes = [{name: tuple(one.shape) for name, one in which.named_parameters()} for which in (before, after)]
    if odd := sorted(shapes[0].items() ^ shapes[1].items()):
        raise InputError(
            f"the two networks are of different architectures: {odd[0][0]!r} has the shape "
            f"{shapes[0].get(odd[0][0], 'of none')} in one and {shapes[1].get(odd[0][0], 'of none')} in the "
            "other"
        )
    if isinstance(rank, bool) or not isinstance(rank, int) or rank < 0:
        raise InputError(f"a rank is a whole number of at least 0, got {rank!r}")
    if not rank:
        return copy.deepcopy(before).eval()
    found = copy.deepcopy(after)
    first = dict(before.named_parameters())
    with torch.no_grad():
        for name, weight in found.named_parameters():
            if weight.ndim > 1:
                rows = measures.low_rank(first[name].flatten(1), weight.flatten(1), rank)
                weight.copy_(rows.view_as(weight))
    return found.eval()


@contextmanager
def _statistics_alone(network: nn.Module) -> Iterator[None]:
    """Batch norm in training mode, averaging over all that it sees; all else in evaluation mode."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    kept = [module.momentum for module in norms]
    network.eval()
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # the plain mean over batches
        module.train()
    try:
        yield
    finally:
        for module, momentum in zip(norms, kept, strict=True):
            module.momentum = momentum
        network.eval()


def renew_statistics(network: nn.Module, pixels: Tensor, *, batch: int = 250) -> nn.Module:
    """Make batch norm's statistics anew, in place: the mean over batches of the images given.

    Args:
        network: Any network; one without batch norm is left as it is.
        pixels: (n, 3, h, w) float in [0, 1], n >= 2.
        batch: Images a batch; all have the same size up to one, so that none weighs much more.

    Returns:
        The network, in evaluation mode.

    Raises:
        InputError: For fewer than two images.
    """
    if len(pixels) < 2:
        raise InputError(f"statistics need at least 2 images, got {len(pixels)}")
    device = evaluated(network)
    with _statistics_alone(network), torch.no_grad():
        for some in pixels.tensor_split(max(1, len(pixels) // batch)):
            network(some.to(device))
    return network
