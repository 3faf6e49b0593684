"""Attacks: FGSM and PGD in two norms, on several losses."""

from lib.attacks.ascent import ascend, fgsm, fgsm_grid, pgd, pgd_path

__all__ = ["ascend", "fgsm", "fgsm_grid", "pgd", "pgd_path"]
