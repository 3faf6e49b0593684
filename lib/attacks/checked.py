"""The attacks as they are called from outside: their arguments are checked before anything is computed.

The functions themselves are in the fingerprint of every table that they made, so what checks them stands
here, and measurements and trainings, whose arguments are their own, call them unchecked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lib.attacks import ascent, temperature
from lib.base.arguments import by_name, checking, described
from lib.base.errors import InputError
from lib.models.activations import check_pixels, finite
from lib.models.taken import check_in_memory, taking

NAMES = ("norm", "loss", "form", "precision")
MOST_STEPS = 1_000_000


def _callable(name: str, value: object) -> None:
    if not callable(value) or isinstance(value, type):
        raise InputError(f"{name} must be a function or a module, got {described(value)}")


def _generator(name: str, value: object) -> None:
    if value is not None and not isinstance(value, torch.Generator):
        seed = value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else 0
        raise InputError(
            f"{name} must be a torch.Generator or None, got {described(value)}; pass "
            f"torch.Generator().manual_seed({seed})"
        )


def _tensor(name: str, value: object) -> None:
    if value is not None and not (isinstance(value, Tensor) and value.is_floating_point()):
        got = value.dtype if isinstance(value, Tensor) else described(value)
        raise InputError(f"{name} must be a tensor of float images or None, got {got}")


def _name(name: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise InputError(f"{name} must be a name, got {described(value)}")


def _epsilons(name: str, value: object) -> None:
    several = isinstance(value, Sequence) or getattr(value, "ndim", 0) == 1  # arrays and tensors, too
    if isinstance(value, str) or not several:
        raise InputError(f"{name} must be several numbers, such as [0.01, 0.02], got {described(value)}")


def _number(name: str, value: object) -> None:
    if isinstance(value, int) and abs(value) >= 2**64:
        raise InputError(f"{name} must be a finite number >= 0, got {described(value)}")
    finite(name, value, least=0)


def _truth(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise InputError(f"{name} must be True or False, got {described(value)}")


def _steps(name: str, value: object) -> None:
    if isinstance(value, int) and value > MOST_STEPS:
        raise InputError(f"{name} must be at most {MOST_STEPS:,}, got a number above it")


def _pixels(name: str, value: object) -> None:
    check_in_memory(name, value)
    check_pixels(value)  # type: ignore[arg-type]  # which is what it finds out


_CHECKS: dict[str, Callable[[str, object], None]] = {
    "network": _callable,
    "gradient": _callable,
    "pixels": _pixels,
    "generator": _generator,
    "start": _tensor,
    **dict.fromkeys(NAMES, _name),
    "epsilon": _number,
    "step_size": _number,
    "temperature": _number,
    "epsilons": _epsilons,
    "steps": _steps,
    "random_start": _truth,
}


_check_each = by_name(_CHECKS)


def _check(given: Mapping[str, Any]) -> None:
    """Raise InputError for an argument of another type than it takes, or images that do not lie in memory or
    lie on two devices.
    """
    _check_each(given)
    tensors = {name: value for name, value in given.items() if isinstance(value, Tensor)}
    found = {str(tensor.device): name for name, tensor in tensors.items() if tensor.ndim}
    if len(found) > 1:
        where = ", ".join(f"{name} on {device}" for device, name in found.items())
        raise InputError(f"images and labels must be on one device, got {where}; move them with .to()")


checked = checking(_check, lambda given: taking(given.get("network"), given.get("pixels")))
ascend = checked(ascent.ascend)
fgsm = checked(ascent.fgsm)
fgsm_grid = checked(ascent.fgsm_grid)
pgd = checked(ascent.pgd)
pgd_path = checked(ascent.pgd_path)
margin_pgd = checked(temperature.margin_pgd)
random_start = checked(temperature.random_start)
temperature_pgd = checked(temperature.temperature_pgd)
