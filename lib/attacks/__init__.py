"""Attacks: FGSM and PGD in two norms, on several losses."""

from lib.attacks.ascent import ascend, fgsm, fgsm_grid, pgd, pgd_path
from lib.attacks.temperature import margin_pgd, random_start, temperature_pgd

__all__ = [
    "ascend",
    "fgsm",
    "fgsm_grid",
    "margin_pgd",
    "pgd",
    "pgd_path",
    "random_start",
    "temperature_pgd",
]
