"""What the chapter on purification in image networks shows."""

from lib.book.purified.gathered import Gathered, elsewhere, gathered, ledger, named, told_elsewhere
from lib.book.purified.networks import (
    ALWAYS,
    ASKED,
    HIGH,
    PURIFIED,
    RADIUS,
    WAYS,
    check_networks,
    names,
    networks,
    random_tenths,
    wanted,
)

__all__ = [
    "ALWAYS",
    "ASKED",
    "HIGH",
    "PURIFIED",
    "RADIUS",
    "WAYS",
    "Gathered",
    "check_networks",
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
