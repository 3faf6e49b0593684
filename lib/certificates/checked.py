"""Certificates as they are called from outside: their arguments are checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib.base.arguments import checking
from lib.base.errors import InputError
from lib.certificates import verify
from lib.models.taken import check_in_memory, taking


def _check(given: Mapping[str, Any]) -> None:
    """Raise InputError for an argument that no certificate can take."""
    for name, value in given.items():
        if name in ("pixels", "labels"):
            check_in_memory(name, value)
        elif name in ("method", "rule") and not isinstance(value, str):
            raise InputError(f"{name} must be a name, got {type(value).__name__}")
        elif isinstance(value, int) and abs(value) >= 2**64:
            raise InputError(f"{name} must be a finite number, got a whole number of many digits")


checked = checking(_check, lambda given: taking(given["network"], given["pixels"]))
certified = checked(verify.certified)
interval_bounds = checked(verify.interval_bounds)
margins = checked(verify.margins)
singleprop = checked(verify.singleprop)
