"""Numbers, times and names as the book writes them."""

from __future__ import annotations


def number(value: float, form: str = "g") -> str:
    """A number with a minus sign where Python puts a hyphen.

    >>> number(-0.4)
    '−0.4'
    >>> number(-1.25, "+.1f")
    '−1.2'
    """
    return f"{value:{form}}".replace("-", "−")


def duration(seconds: float) -> str:
    """A time for people: 40 seconds, 13 minutes, 2.5 hours.

    >>> duration(780)
    '13 minutes'
    """
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def variant_name(variant: str) -> str:
    """A way of training as figures and tables call it: plain, AugMix, or PGD, 4 steps."""
    if variant.startswith("pgd-"):
        return f"PGD, {variant[4:]} step{'' if variant == 'pgd-1' else 's'}"
    return {"augmix": "AugMix"}.get(variant, variant)
