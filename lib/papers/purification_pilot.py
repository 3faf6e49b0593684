"""A pilot from before the rules of feature purification were written, and how new simulations compare."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lib.base.text import number
from lib.papers.intervals import one_more

# What the pilot ran with, by d; of another radius or width it says nothing.
SETTINGS = {100: {"m": 200, "tau": 0.15}, 256: {"m": 512, "tau": 0.12}}

# One seed of the pilot, in one thread; the names are those of `summary`.
_TWO_DIGITS = ("top_atom", "angle", "relative", "energy")  # what it recorded to two digits, but for some
PILOT = {
    100: {
        "clean": 0.981,
        "clean_universal": 0.335,
        "clean_pgd": 0.313,
        "adversarial": 0.920,
        "adversarial_universal": 0.774,
        "adversarial_pgd": 0.576,
        "kernel_pgd": 0.296,
        "kernel_adversarial_pgd": 0.496,
        "linear_pgd": 0.304,
        "linear_adversarial_pgd": 0.259,
        "mixture_clean": 0.517,
        "mixture_adversarial": 0.047,
        "top_atom_clean": 0.10,
        "top_atom_control": 0.11,
        "top_atom_adversarial": 0.40,
        "angle_start": 0.16,
        "angle_kept": 0.73,
        "angle_kept_control": 0.996,
        "relative_change": 0.71,
        "energy_1": 0.38,
        "energy_5": 0.45,
        "energy_20": 0.66,
    },
    256: {
        "clean": 0.977,
        "clean_universal": 0.436,
        "clean_pgd": 0.397,
        "adversarial": 0.961,
        "adversarial_universal": 0.917,
        "adversarial_pgd": 0.713,
        "kernel_pgd": 0.187,
        "kernel_adversarial_pgd": 0.563,
        "mixture_clean": 0.526,
        "mixture_adversarial": 0.043,
        "top_atom_clean": 0.40,
        "top_atom_control": 0.45,
        "top_atom_adversarial": 0.84,
        "angle_start": 0.11,
        "angle_kept": 0.74,
        "angle_kept_control": 0.978,
        "relative_change": 0.46,
        "energy_1": 0.53,
        "energy_5": 0.56,
        "energy_20": 0.65,
    },
}


def _half_a_digit(name: str, value: float) -> float:
    """By how much a number of the pilot may be off, which was rounded: half of its last digit."""
    return 0.005 if name.startswith(_TWO_DIGITS) and value == round(value, 2) else 0.0005


def beside_pilot(rows: pd.DataFrame) -> pd.DataFrame:
    """The pilot's numbers beside those of a summary of one setting.

    Returns:
        One row per quantity with the columns d, quantity, pilot, ours (mean), one more seed (95 % prediction
        interval) and inside: whether the pilot, which was rounded, may lie in it, "" for fewer than three
        seeds. No row for a size, width or radius that the pilot has not.
    """
    found, d = [], int(rows.d.iloc[0])
    alike = d in PILOT and all(np.isclose(rows[name].iloc[0], size) for name, size in SETTINGS[d].items())
    for name, pilot in PILOT[d].items() if alike else ():
        values = rows[name].dropna()
        low, high = one_more(values)
        half = _half_a_digit(name, pilot)  # of what a number was before it was rounded
        found.append({
            "d": f"{d}",
            "quantity": name.replace("_", " "),
            "pilot": number(pilot, ".3g"),
            "ours": number(values.mean(), ".3f"),
            "one more seed": f"{number(low, '.3f')} to {number(high, '.3f')}" if low == low else "",
            "inside": {True: "yes", False: "no"}[low - half <= pilot <= high + half] if low == low else "",
        })
    return pd.DataFrame(found, columns=["d", "quantity", "pilot", "ours", "one more seed", "inside"])
