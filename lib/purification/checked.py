"""Functions of this package as they are called from outside: generators, worlds, samples, matrices and
numbers are checked before anything is drawn or computed.

The functions themselves are in the fingerprint of every simulation, so what checks them stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from lib.base.arguments import by_name, checking, described
from lib.base.errors import InputError
from lib.base.text import MOST
from lib.models.activations import finite
from lib.purification import measures, perturbations, pictures, sparse_coding, training
from lib.purification.sparse_coding import World

_LEAST_VOTE = 1e-3  # of the strongest atom: far below it every label is a tie


def _generator(name: str, value: object) -> None:
    if not isinstance(value, torch.Generator):
        raise InputError(
            f"{name} must be a torch.Generator, got {described(value)}; pass torch.Generator().manual_seed(0)"
        )
    if value.device.type != "cpu":
        raise InputError(
            f"{name} must be on the CPU, where worlds and samples are drawn, got one on {value.device}; pass "
            "torch.Generator().manual_seed(0)"
        )


def _matrix(name: str, value: object) -> None:
    try:
        given = torch.as_tensor(value)
        dense = given.layout == torch.strided and not given.is_meta
        real = dense and not given.is_complex()
    except (TypeError, ValueError, RuntimeError):
        real = False
    if not real:
        raise InputError(f"{name} must be rows of real numbers, got {type(value).__name__}")


def _whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or abs(int(value)) > MOST:
        raise InputError(f"{name} must be a whole number, got {described(value)}")


def _number(name: str, value: object) -> None:
    """A number of any size: the function says which sizes it takes."""
    long = isinstance(value, int) and abs(value) > MOST
    if isinstance(value, bool) or not isinstance(value, Real) or long:
        raise InputError(f"{name} must be a number, got {described(value)}")


def _size(name: str, value: object) -> None:
    finite(name, value, least=0)


def _world(name: str, value: object) -> None:
    """A world in which there are samples: where all labels are ties, one would be drawn for ever."""
    if not isinstance(value, World):
        raise InputError(
            f"{name} must be a World, as purification.world(d, k, ...) makes it, got {described(value)}"
        )
    votes = value.target
    if votes.ndim != 1 or value.dictionary.shape != (len(votes),) * 2:
        raise InputError(
            f"a world has d votes and a dictionary of d by d numbers, got the shapes "
            f"{tuple(votes.shape)} and {tuple(value.dictionary.shape)}"
        )
    if not votes.isfinite().all() or not votes.abs().max() >= _LEAST_VOTE:
        raise InputError("a world in which no atom votes has no labels; its target must be signs, -1 or 1")
    if isinstance(value.k, bool) or not isinstance(value.k, Integral) or not 1 <= value.k <= value.d:
        raise InputError(f"k of a world must be a whole number in 1 to d = {value.d}, got {value.k!r}")
    _size("noise of a world", value.noise)


def _classifier(name: str, value: object) -> None:
    if not hasattr(value, "slopes") or not hasattr(value, "logits") or isinstance(value, type):
        raise InputError(
            f"{name} must be a classifier with logits and slopes, such as purification.Linear, got "
            f"{described(value)}"
        )


_CHECKS: dict[str, Callable[[str, object], None]] = {
    "generator": _generator,
    "source": _world,
    "classifier": _classifier,
    "start": _classifier,
    **dict.fromkeys(("a", "b", "before", "after", "weights", "dictionary", "target"), _matrix),
    **dict.fromkeys(("d", "k", "n", "steps", "rounds", "side", "batch", "rank"), _whole),
    "tau": _number,
    **dict.fromkeys(("noise", "rate", "penalty"), _size),
}


def _kind(one: object) -> tuple[int, torch.dtype] | None:
    """In how many dimensions, and which precision, a classifier or a world is; None if unknown."""
    numbers = one.dictionary if isinstance(one, World) else getattr(one, "weights", None)
    numbers = getattr(one, "dictionary", None) if numbers is None else numbers
    return (numbers.shape[-1], numbers.dtype) if isinstance(numbers, Tensor) and numbers.ndim == 2 else None


def _check_fit(given: Mapping[str, Any]) -> None:
    """Refuse samples, labels, classifiers and worlds that do not go together."""
    if "x" in given:
        x, y = given["x"], given.get("y")
        if not isinstance(x, Tensor) or x.ndim != 2 or not x.is_floating_point():
            got = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else described(x)
            raise InputError(f"x must be samples, (n, d) float, got {got}")
        if not isinstance(y, Tensor) or y.shape != x.shape[:1] or not (y.abs() == 1).all():
            got = f"a tensor of shape {tuple(y.shape)}" if isinstance(y, Tensor) else described(y)
            raise InputError(f"y must be a label of -1 or 1 for each of {len(x)} samples, got {got}")
    kinds = {name: _kind(given[name]) for name in ("source", "classifier", "start") if name in given}
    if "x" in given:
        kinds["x"] = (given["x"].shape[1], given["x"].dtype)
    known = {name: kind for name, kind in kinds.items() if kind}
    if len(set(known.values())) > 1:
        said = ", ".join(f"{name} of {d} dimensions in {dtype}" for name, (d, dtype) in known.items())
        raise InputError(f"need one number of dimensions and one precision, got {said}")


_check_each = by_name(_CHECKS)


def _check(given: Mapping[str, Any]) -> None:
    """Raise InputError for an argument that is not of the kind that its name says."""
    _check_each(given)
    _check_fit(given)


def _check_rows(given: Mapping[str, Any]) -> None:
    """The same, for functions that compare with the largest row, of which there must be one."""
    _check(given)
    if not torch.as_tensor(given["weights"]).numel():
        raise InputError("weights must have a row at least, got none")


def _check_change(given: Mapping[str, Any]) -> None:
    """The same, for functions that take a change apart: numbers that are not finite have no directions."""
    _check(given)
    for name in ("before", "after"):
        numbers = torch.as_tensor(given[name])
        if not numbers.isfinite().all():
            raise InputError(f"{name} must be finite numbers, and has NaN or infinite ones")
        if "rank" in given and not numbers.is_floating_point():
            raise InputError(f"{name} must be float, which the result is rounded to, got {numbers.dtype}")


checked = checking(_check)
fgm = checked(perturbations.fgm)
maximised = checked(pictures.maximised)
pgd = checked(perturbations.pgd)
universal = checked(perturbations.universal)
samples = checked(sparse_coding.samples)
train = checked(training.train)
world = checked(sparse_coding.world)

angle = checked(measures.angle)
chance_angle = checked(measures.chance_angle)
dense_mixture = checked(measures.dense_mixture)
relative_change = checked(measures.relative_change)
top_atom_energy = checked(measures.top_atom_energy)
live = checking(_check_rows)(measures.live)
of_changes = checking(_check_change)
change_energy = of_changes(measures.change_energy)
low_rank = of_changes(measures.low_rank)
