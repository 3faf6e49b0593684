"""Fields of the JSON files of runs: what a value may be, and the check of a whole dictionary."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from lib.base.files import Unfit

TEXT_LENGTH = 500


def is_number(value: object, least: float = -math.inf, most: float = math.inf) -> bool:
    """Whether a value is a finite number in a range, both ends included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e300 and least <= value <= most  # so is neither NaN nor a whole number of 400 digits


def is_count(value: object) -> bool:
    """Whether a value is a whole number from 0 that JSON keeps exactly."""
    return type(value) is int and 0 <= value < 2**53


def is_text(value: object) -> bool:
    """Whether a value is a line of text of a usual length."""
    return isinstance(value, str) and len(value) <= TEXT_LENGTH and (value == "" or value.isprintable())


def is_plain(value: object) -> bool:
    """Whether a value is nothing, a truth value, a number or a line of text."""
    return value is None or isinstance(value, bool) or is_number(value) or is_text(value)


Check = Callable[[object], bool]
MADE: dict[str, Check] = {  # provenance, of trainings and of tables
    "commit": is_text,
    "torch": is_text,
    "device": is_text,
    "seconds": lambda value: is_number(value, 0),
    "date": is_text,
}


def check_fields(what: str, found: object, fields: Mapping[str, Check], others: Check = is_plain) -> None:
    """Raise Unfit unless every field is there and fit, and any others are plain values."""
    odd = "is not what this library writes:"
    if not isinstance(found, dict):
        raise Unfit(f"{odd} {what} is {said_shortly(found)}")
    for name in fields.keys() - found.keys():
        raise Unfit(f"{odd} {what} has no {name}")
    for name, value in found.items():
        if not is_text(name) or not fields.get(name, others)(value):
            raise Unfit(f"{odd} {what}.{said_shortly(name)} is {said_shortly(value)}")


def said_shortly(value: object) -> str:
    """A value for a message, cut where it is long."""
    said = value if isinstance(value, str) and value.isidentifier() else ascii(value)
    return said if len(said) <= 60 else f"{said[:60]}..."
