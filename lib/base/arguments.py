"""Arguments of public functions, checked before the functions themselves run.

What the library computes is in the fingerprint of the tables that it made, and measurements call it with
arguments of their own. People call it with theirs: their doors are these functions, with checks before them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from lib.base.text import in_words

P = ParamSpec("P")
R = TypeVar("R")


def described(value: object) -> str:
    """A wrong argument in a few words: its type, and a short value."""
    if value is None:
        return "None"
    shown = in_words(value) if isinstance(value, bool | int | float | str) else ""
    return f"{type(value).__name__} {shown}".strip()


def by_name(checks: Mapping[str, Callable[[str, object], None]]) -> Callable[[Mapping[str, Any]], None]:
    """A check for `checking`: of each argument, the one for its name, if there is one.

    Args:
        checks: {name: function of a name and a value, which raises InputError for a value that it refuses}.
    """

    def check(given: Mapping[str, Any]) -> None:
        for name, value in given.items():
            if name in checks:
                checks[name](name, value)

    return check


def checking(
    check: Callable[[Mapping[str, Any]], None],
    around: Callable[[Mapping[str, Any]], AbstractContextManager[object]] = lambda given: nullcontext(),
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator of functions whose arguments are checked at each call.

    Args:
        check: Called with the arguments that were given, {name in the function: value}; it raises InputError
            for one that the function cannot take.
        around: Called with the same; the function runs within the context manager that it returns.
    """

    def decorator(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @wraps(function)
        def with_checks(*arguments: P.args, **named: P.kwargs) -> R:
            given = signature.bind(*arguments, **named).arguments
            check(given)
            with around(given):
                return function(*arguments, **named)

        return with_checks

    return decorator
