"""What the chapter on purification in image networks shows."""

from lib.book.purified.gathered import Gathered, gathered, ledger, on_digits
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
    "gathered",
    "ledger",
    "names",
    "networks",
    "on_digits",
    "random_tenths",
    "wanted",
]
