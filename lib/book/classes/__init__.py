"""What the chapter on class-wise robustness reads: tables over classes, made of what is cached."""

from lib.book.classes.alphas import LEVEL, class_support, class_vectors, over_alpha, strength_words
from lib.book.classes.found import RADIUS, Found, gathered, on_digits, surviving
from lib.book.classes.networks import (
    FAMILIES,
    LEFT_OUT,
    WAYS,
    control,
    logits_of,
    networks_in,
    ordered,
    robust,
)
from lib.book.classes.rows import (
    biased,
    by_class,
    changed,
    matched,
    mean_ranks,
    one_row,
    returning,
    temperature_curve,
    trained_vectors,
)
from lib.book.classes.words import ATTACKS, way

__all__ = [
    "ATTACKS",
    "FAMILIES",
    "LEFT_OUT",
    "LEVEL",
    "RADIUS",
    "WAYS",
    "Found",
    "biased",
    "by_class",
    "changed",
    "class_support",
    "class_vectors",
    "control",
    "gathered",
    "logits_of",
    "matched",
    "mean_ranks",
    "networks_in",
    "on_digits",
    "one_row",
    "ordered",
    "over_alpha",
    "returning",
    "robust",
    "surviving",
    "strength_words",
    "temperature_curve",
    "trained_vectors",
    "way",
]
