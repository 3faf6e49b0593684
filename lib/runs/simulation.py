"""Everything that determines one simulation: its kind, its settings and its seed. The hash of all of it names
the run.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lib.base.errors import InputError, unknown
from lib.runs.kinds import SIMULATIONS, Setting

GROUP = "simulations"  # the folder of all of them in the store


@dataclass(frozen=True)
class Simulation:
    """Everything that determines one simulation; its hash names the run.

    Raises:
        InputError: For an unknown kind or setting, or a value of another type than the default's, outside its
            range, or that does not fit the others.
    """

    kind: str
    seed: int = 0
    # the settings in the order of their names; what is not given is the kind's default
    settings: tuple[tuple[str, Setting], ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in SIMULATIONS:
            raise unknown("simulation", self.kind, SIMULATIONS)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**53:
            raise InputError(f"seed must be a whole number >= 0, got {self.seed!r}")
        defaults, given = SIMULATIONS[self.kind].settings, dict(self.settings)
        for name in given:
            if name not in defaults:
                raise unknown(f"setting of {self.kind}", name, defaults)
        found = {name: _like(default, given.get(name, default), name) for name, default in defaults.items()}
        kind = SIMULATIONS[self.kind]
        for name, (least, most) in kind.ranges.items():
            if not least <= found[name] <= most:  # type: ignore[operator]  # numbers, as their defaults are
                raise InputError(f"{name} must lie in {least:g} to {most:g}, got {found[name]}")
        if said := kind.fits(found):
            raise InputError(said)
        object.__setattr__(self, "settings", tuple(sorted(found.items())))

    def canonical(self) -> dict[str, object]:
        """Canonical form that is hashed: the kind, the seed, and all settings."""
        return {"simulation": self.kind, "seed": self.seed, "settings": dict(self.settings)}

    @property
    def key(self) -> str:
        """8 hex digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(json.dumps(self.canonical(), sort_keys=True).encode()).hexdigest()[:8]

    @property
    def name(self) -> str:
        """Folder of the run below the store: the kind, the settings of its own, the seed and the key."""
        words = re.sub(r"[^A-Za-z0-9.=_-]", "_", self.words.replace(", ", "-"))[:80]
        return f"{GROUP}/{self.kind}-{words + '-' if words else ''}seed{self.seed}-{self.key}"

    @property
    def words(self) -> str:
        """The settings that differ from the defaults, such as "d=64, tau=0.2"."""
        defaults = SIMULATIONS[self.kind].settings
        return ", ".join(f"{name}={value}" for name, value in self.settings if value != defaults[name])


def _like(default: Setting, value: object, name: str) -> Setting:
    """A value as a setting of the default's type; a whole number may stand for any number."""
    if isinstance(default, float) and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            if math.isfinite(number := float(value)):
                return number + 0.0  # -0.0 and 0.0 are one setting
        except OverflowError:
            pass
    elif type(value) is type(default) and (type(value) is not int or abs(value) < 2**53):
        return value
    raise InputError(f"{name} must be a value like {default!r}, got {value!r}")


def described(facts: Mapping[str, Any]) -> Simulation | None:
    """The simulation of a canonical form that was read from JSON; None if the library has none such."""
    try:
        one = Simulation(facts["simulation"], facts["seed"], tuple(facts["settings"].items()))
    except (InputError, LookupError, TypeError, AttributeError):
        return None
    return one if json.loads(json.dumps(one.canonical())) == facts else None
