"""What the chapter on purification in image networks shows."""

from lib.book.purified.gathered import Gathered, elsewhere, gathered, ledger, named, told_elsewhere
from lib.book.purified.networks import (
    ASKED,
    HIGH,
    PURIFIED,
    RADIUS,
    WAYS,
    names,
    networks,
    random_tenths,
    wanted,
)

__all__ = [
    "ASKED",
    "HIGH",
    "PURIFIED",
    "RADIUS",
    "WAYS",
    "Gathered",
    "elsewhere",
    "gathered",
    "ledger",
    "named",
    "names",
    "networks",
    "random_tenths",
    "told_elsewhere",
    "wanted",
]
