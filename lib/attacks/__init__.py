"""Attacks: FGSM and PGD in two norms, on several losses."""

from lib.attacks.checked import (
    ascend,
    fgsm,
    fgsm_grid,
    margin_pgd,
    pgd,
    pgd_path,
    random_start,
    temperature_pgd,
)

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
