"""The format of the JSON files of runs: which fields there are, what their values may be, and the check of a
whole dictionary.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from lib.base.files import Unfit

TEXT_LENGTH = 500


def is_number(value: object, least: float = -math.inf, most: float = math.inf) -> bool:
    """Whether a value is a finite number in a range, both ends included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # so is neither NaN nor a whole number of 400 digits
    return abs(value) <= sys.float_info.max and least <= value <= most


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
MOST_SECONDS = 1e9  # 30 years


def spelled(pattern: str) -> Check:
    """The check that a value is a text of this form."""
    return lambda value: is_text(value) and re.fullmatch(pattern, str(value), re.ASCII) is not None


def is_date(value: object) -> bool:
    """Whether a value is a day as YYYY-MM-DD that has begun somewhere: clocks of two machines may differ by a
    day.
    """
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return False
    return day is not None and str(day) == value and day <= datetime.now(UTC).date() + timedelta(days=1)


class Field(NamedTuple):
    """A field of a dictionary in a JSON file.

    Attributes:
        kind: What its value is in every run that is read.
        form: What it is beyond that in a run from elsewhere; of one that is here, checksums tell that this
            library wrote it.
        needed: Whether it is always there.
    """

    kind: Check
    form: Check = lambda value: True
    needed: bool = True


# ---- the fields of a run's files ---------------------------------------------------------------------------
# All that there are: any other is no field of this format.

PART = Field(lambda value: isinstance(value, dict))  # a part of a file
_AT_LEAST_ONE = Field(is_count, lambda value: value != 0)
_SECONDS = Field(lambda value: is_number(value, 0), lambda value: is_number(value, 0, MOST_SECONDS))
_VERSION = Field(is_text, spelled(r"\d+\.\d[\w.+-]*"), needed=False)  # the first versions wrote none
# a digest of the fingerprint's first form has no prefix
CODE = Field(is_text, spelled(r"(?:\d:)?[0-9a-f]{12}"))
IMAGES = Field(is_text, spelled("[0-9a-f]{16}"))

# "provenance" of a table; others have some fields more
MADE: dict[str, Field] = {
    "version": _VERSION,
    "commit": Field(is_text, spelled(r"(?:[0-9a-f]{7,40}\+?)?")),
    "torch": Field(is_text, spelled(r"\d+\.\d[^<>]*")),  # of a training that went on elsewhere, several
    "python": _VERSION,
    "device": Field(is_text, spelled(r"\w[^<>]*")),  # of a maker; no page, no path
    "seconds": _SECONDS,
    "date": Field(is_text, is_date),
}
SIMULATED: dict[str, Field] = MADE | {"code": CODE}
TRAINED: dict[str, Field] = MADE | {
    "engine": Field(is_text, spelled(r"(?:cpu|cuda) [^<>]*")),
    "code": CODE._replace(needed=False),
    # checksum of the weights of the network that it was trained on from
    "parent": Field(is_text, spelled("[0-9a-f]{64}"), needed=False),
}
RESULT: dict[str, Field] = {
    "status": Field(lambda value: value in ("ok", "diverged")),
    "clean_accuracy": Field(lambda value: is_number(value, 0, 1)),
    "clean_n": _AT_LEAST_ONE,
    "validation_accuracy": Field(lambda value: value is None or is_number(value, 0, 1)),
    "best_epoch": Field(is_count),
    "epochs_run": _AT_LEAST_ONE,
    "train_n": _AT_LEAST_ONE,
    "seconds": _SECONDS,
    "data": IMAGES,
}


def check_fields(
    what: str,
    found: object,
    fields: Mapping[str, Field],
    *,
    others: Check = lambda value: False,
    forms: bool = False,
) -> None:
    """Raise Unfit unless every field that must be there is, and each is fit.

    Args:
        what: What the dictionary is called, for the message.
        found: The dictionary.
        fields: Its fields.
        others: What a field beside these may be; by default there is none.
        forms: Whether values have the forms that are asked of a run from elsewhere.
    """
    odd = "is not what this library writes:"
    if not isinstance(found, dict):
        raise Unfit(f"{odd} {what} is {said_shortly(found)}")
    for name in sorted(name for name, field in fields.items() if field.needed and name not in found):
        raise Unfit(f"{odd} {what} has no {name}")
    for name, value in found.items():
        field = fields.get(name, Field(others))
        if not (is_text(name) and field.kind(value) and (not forms or field.form(value))):
            raise Unfit(f"{odd} {what}.{said_shortly(name)} is {said_shortly(value)}")


def said_shortly(value: object) -> str:
    """A value for a message, cut where it is long."""
    said = value if isinstance(value, str) and value.isidentifier() else ascii(value)
    return said if len(said) <= 60 else f"{said[:60]}..."
