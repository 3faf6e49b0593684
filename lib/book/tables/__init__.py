"""Tables for reading, by what their rows are: settings, groups of networks, changes, parts of claims."""

from lib.book.tables.estimates import by_share, changes, estimate
from lib.book.tables.groups import attacked_by_alpha, by_alpha, by_training, gains, robustness_by_training
from lib.book.tables.parts import by_part
from lib.book.tables.settings import hyperparameters, variant_settings

__all__ = [
    "attacked_by_alpha",
    "by_alpha",
    "by_part",
    "by_share",
    "by_training",
    "changes",
    "estimate",
    "gains",
    "hyperparameters",
    "robustness_by_training",
    "variant_settings",
]
