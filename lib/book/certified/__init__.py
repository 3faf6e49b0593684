"""What the chapter on certified training shows."""

from lib.book.certified.accuracies import (
    accuracies,
    by_radius,
    covered,
    extra,
    inside,
    jointly,
    shown,
    summary,
    together,
)
from lib.book.certified.cost import difference, kept, passes, steps
from lib.book.certified.networks import (
    LINEAR,
    along,
    found,
    grid,
    labels,
    missing,
    order,
    radius,
    settings,
    wanted,
    watched,
)

__all__ = [
    "LINEAR",
    "accuracies",
    "along",
    "by_radius",
    "covered",
    "difference",
    "extra",
    "found",
    "grid",
    "inside",
    "jointly",
    "kept",
    "labels",
    "missing",
    "order",
    "passes",
    "radius",
    "settings",
    "shown",
    "steps",
    "summary",
    "together",
    "wanted",
    "watched",
]
