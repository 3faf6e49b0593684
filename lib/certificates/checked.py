"""Certificates as they are called from outside: their arguments are checked before anything is computed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from lib.base.errors import InputError
from lib.certificates import verify
from lib.models.taken import check_in_memory, taking

P = ParamSpec("P")
R = TypeVar("R")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, for which every argument that it cannot take is an InputError."""
    signature = inspect.signature(function)

    @wraps(function)
    def with_checks(*arguments: P.args, **named: P.kwargs) -> R:
        given = signature.bind(*arguments, **named).arguments
        for name, value in given.items():
            if name in ("pixels", "labels"):
                check_in_memory(name, value)
            elif name in ("method", "rule") and not isinstance(value, str):
                raise InputError(f"{name} must be a name, got {type(value).__name__}")
            elif isinstance(value, int) and abs(value) >= 2**64:
                raise InputError(f"{name} must be a finite number, got a whole number of many digits")
        with taking(given["network"], given["pixels"]):
            return function(*arguments, **named)

    return with_checks


certified = checked(verify.certified)
interval_bounds = checked(verify.interval_bounds)
margins = checked(verify.margins)
singleprop = checked(verify.singleprop)
