"""What readers see in place of the names of ways of training and of attacks."""

from __future__ import annotations

from lib.measurements import logits
from lib.measurements.attack import CLEAN
from lib.papers import classwise
from lib.training.variants import variant

ATTACKS = {
    CLEAN: "clean",
    logits.FGSM: "FGSM",
    logits.PGD: "PGD",
    logits.MARGIN: "margin PGD",
    logits.SAFE: "Temperature-PGD",
    logits.PLAIN: "Temperature-PGD, plain form",
    classwise.MATCHED: "PGD at the radius of the same mean",
    classwise.UNTUNED: "margin PGD, no bias",
    classwise.TUNED: "margin PGD, with a bias",
}


def way(name: str) -> str:
    """A way of training in words, from the column `variant`, which also says what was left out.

    Example:
        >>> way("pgd-3-linf-8"), way("pgd-3-linf-8-without-dog")
        ('PGD, 3 steps, L∞ 8/255', 'PGD, 3 steps, L∞ 8/255, without dog')
    """
    whole, _, without = name.partition("-without-")
    return variant(whole).label + (f", without {without}" if without else "")
