"""A table that is asked for: a measurement with settings, whether they make sense, and the table's file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from lib.base.errors import InputError, unknown
from lib.base.text import MOST, in_words
from lib.measurements.registry import MEASUREMENTS

# A setting that every measurement may have: the number of epochs after which it was made, in a table along a
# training. A table of the trained network has none.
EPOCH = "epoch"


# settings that count what is done or what there is of it, and the quality of a JPEG file, which ends at 100
AT_LEAST_ONE = ("steps", "attack_steps", "restarts", "rounds", "quality", "parts")
AT_MOST = {"quality": 100}


def settled(name: str, settings: dict[str, object]) -> dict[str, object]:
    """All settings of a measurement, with defaults filled in.

    Raises:
        InputError: For an unknown name or setting, or a value of another kind than the default's.
    """
    if name not in MEASUREMENTS:
        raise unknown("measurement", name, MEASUREMENTS)
    known = MEASUREMENTS[name].settings
    for setting in settings:
        if setting not in known and setting != EPOCH:
            raise unknown(f"setting of {name}", setting, known)
        default, value = known.get(setting, 0), settings[setting]
        if not _alike(value, default):
            got = in_words(value)
            raise InputError(f"setting {setting} of {name} must be a value like {default!r}, got {got}")
        least = int(setting in AT_LEAST_ONE)
        if type(value) is int and value < least:
            raise InputError(f"setting {setting} of {name} must be a whole number >= {least}, got {value}")
        if setting in AT_MOST and value > AT_MOST[setting]:  # type: ignore[operator]  # a number, as the default
            raise InputError(f"setting {setting} of {name} must be at most {AT_MOST[setting]}, got {value}")
    return known | settings


def _alike(value: object, default: object) -> bool:
    """Whether a value is of the kind of a default: a whole number, any number, a text, or a list of such."""
    if isinstance(default, list):
        return isinstance(value, list | tuple) and all(_alike(one, default[0]) for one in value)
    if isinstance(default, float):
        # neither NaN nor a whole number of 400 digits
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return type(value) is type(default) and (not isinstance(value, int) or abs(value) < MOST)


@dataclass(frozen=True)
class Asked:
    """A table that is wanted of a network: a measurement, and the settings that are not its own defaults."""

    name: str
    settings: tuple[tuple[str, Any], ...] = ()

    @property
    def file(self) -> str:
        """Its file name in a run folder."""
        return file_name(self.name, dict(self.settings))

    def __str__(self) -> str:
        words = [f"{setting} {value}" for setting, value in self.settings]
        return self.name + (f" ({', '.join(words)})" if words else "")


def file_name(name: str, settings: dict[str, object]) -> str:
    """File name of a table in a run folder: the measurement, and a hash of its settings."""
    digest = hashlib.sha256(json.dumps(settled(name, settings), sort_keys=True).encode()).hexdigest()[:6]
    return f"{name}-{digest}.parquet"
