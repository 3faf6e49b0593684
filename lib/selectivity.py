"""Class selectivity: how much a unit prefers one class, and the regulariser that moves it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.base.errors import InputError

EPSILON = 1e-6  # keeps the index of a unit that never fires at 0


def class_means(activations: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Mean activation of each unit for each class, by one matrix product.

    Args:
        activations: (n, u) float.
        labels: (n,) int64 in [0, classes).

    Returns:
        (classes, u) means in the dtype of the activations, 0 for an absent class, and (classes,) bool, which
        classes are present.
    """
    members = F.one_hot(labels, classes).to(activations.dtype)  # (n, classes)
    counts = members.sum(0)  # (classes,)
    # No shape depends on the data, so this can be compiled and captured whole.
    means = (members / counts.clamp(min=1)).T @ activations
    return means, counts > 0


def selectivity_index(means: Tensor, present: Tensor, *, epsilon: float = EPSILON) -> Tensor:
    """Class selectivity index (max - rest) / (max + rest + epsilon) of each unit, from class-conditional
    means.

    Args:
        means: (classes, u) >= 0.
        present: (classes,) bool; absent classes are left out.

    Returns:
        (u,) in [0, 1); the gradient flows through the largest mean and the others.

    References:
        Leavitt & Morcos 2020, arXiv 2010.07693, class selectivity index.
    """
    means = means * present[:, None]
    best = means.masked_fill(~present[:, None], 0).amax(0)  # means are >= 0, so an absent class never wins
    rest = (means.sum(0) - best) / (present.sum() - 1).clamp(min=1)
    # sum - max rounds: without the clamp a unit that fires alike for all classes could come out at -1e-8
    return ((best - rest) / (best + rest + epsilon)).clamp(min=0)


def class_selectivity(activations: Tensor, labels: Tensor, *, epsilon: float = EPSILON) -> Tensor:
    """Class selectivity index of each unit: its best class against the mean of the others.

    Args:
        activations: (n, u) float >= 0: after the ReLU, averaged over space.
        labels: (n,) int64.

    Returns:
        (u,) in [0, 1]; 0 for a unit that never fires.

    Raises:
        InputError: For other types and shapes, for negative or non-finite activations, and for fewer than two
            classes.

    References:
        Leavitt & Morcos 2020, arXiv 2010.07693, class selectivity index.

    Example:
        >>> class_selectivity(torch.tensor([[1., 1., 0.], [0., 1., 0.]]), torch.tensor([0, 1]))
        tensor([1.0000, 0.0000, 0.0000])
    """
    for name, value in (("activations", activations), ("labels", labels)):
        if not isinstance(value, Tensor) or value.is_meta or value.layout != torch.strided:
            told = f"a tensor of {value.device}" if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"{name} must be a tensor in memory, got {told}")
    if labels.is_floating_point() or labels.is_complex():
        raise InputError(f"labels must be whole numbers, got {labels.dtype}")
    if activations.ndim != 2 or labels.shape != activations.shape[:1]:
        raise InputError(
            f"activations must be (n, units) and labels (n,), got {tuple(activations.shape)} and "
            f"{tuple(labels.shape)}"
        )
    found, rows = labels.unique(return_inverse=True)
    if len(found) < 2:
        raise InputError(f"selectivity compares classes: need at least 2, labels hold {found.tolist()}")
    if found[0] < 0:
        raise InputError(f"labels must be >= 0, got {int(found[0])}")
    if not activations.is_floating_point():
        raise InputError(f"activations must be floating point, got {activations.dtype}")
    low, high = (float(activations.min()), float(activations.max())) if activations.numel() else (0.0, 0.0)
    if not 0 <= low <= high < float("inf"):  # NaN compares false
        raise InputError(f"activations must be finite and >= 0, got values from {low:.3f} to {high:.3f}")
    means, present = class_means(activations, rows, len(found))
    return selectivity_index(means, present, epsilon=epsilon)


def dead(means: Tensor) -> Tensor:
    """Units that never fire, by class means (classes, u).

    Their index of 0 does not mean that they respond to all classes alike.

    Returns:
        (u,) bool.
    """
    return (means == 0).all(0)


def mean_selectivity(
    layers: Mapping[str, Tensor], labels: Tensor, classes: int, *, epsilon: float = EPSILON
) -> Tensor:
    """Mean selectivity, the term of the regulariser: averaged over the units of a layer, then over layers, so
    that wide layers do not dominate.

    Args:
        layers: {name: (n, units)}, spatially averaged ReLU outputs of one minibatch, from
            `models.spatial_means`.
        labels: (n,) int64; classes missing from the minibatch are left out, and a minibatch of one class
            counts as 0.

    Returns:
        () tensor in [0, 1) with gradient; the loss is cross_entropy - alpha * this.
    """
    sizes = [act.shape[1] for act in layers.values()]
    # all layers in one product
    means, present = class_means(torch.cat(list(layers.values()), 1), labels, classes)
    index = selectivity_index(means, present, epsilon=epsilon) * (present.sum() > 1)
    return torch.stack([layer.mean() for layer in index.split(sizes)]).mean()
