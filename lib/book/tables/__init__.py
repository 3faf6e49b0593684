"""Tables for reading, by what their rows are: settings, groups of networks, changes, parts of claims."""

from lib.book.tables.estimates import as_percent, by_counting, changes, estimate, is_clear, moved, of_scale
from lib.book.tables.groups import attacked_by_alpha, by_alpha, by_training, gains, robustness_by_training
from lib.book.tables.parts import by_part
from lib.book.tables.settings import hyperparameters, variant_settings

__all__ = [
    "as_percent",
    "attacked_by_alpha",
    "by_alpha",
    "by_part",
    "by_counting",
    "by_training",
    "changes",
    "estimate",
    "gains",
    "hyperparameters",
    "is_clear",
    "moved",
    "of_scale",
    "robustness_by_training",
    "variant_settings",
]
