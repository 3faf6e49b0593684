"""Ways of training besides the plain one: their settings and names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lib.base.errors import InputError
from lib.base.fingerprint import exempt


@exempt
@dataclass(frozen=True)
class AugMix:
    """Training on AugMix: cross-entropy on the image plus `jsd` times the Jensen-Shannon divergence between it and two mixtures of it.

    source  Hendrycks et al. 2020, arXiv 1912.02781; that the paper used severity 2 is recalled, the original has 3
    """

    width: int = 3  # chains of operations in a mixture
    depth: int = -1  # operations in a chain; -1 is one to three, drawn
    severity: float = 2.0
    jsd: float = 12.0

@exempt
@dataclass(frozen=True)
class Adversarial:
    """Training on PGD's images alone (Madry et al. 2018): `steps` signed steps from the image itself, inside the L-infinity ball of `epsilon`."""

    steps: int
    step_size: float  # in pixels of [0, 1]
    epsilon: float = 16 / 255

# The paper's attack, 1e-4 a step (recalled), needs tens of steps to matter; the fast recipe takes as few as possible (our choice).
PGD_STEP = {"paper": 1e-4, "fast": 1 / 255}

def variant_settings(name: str, recipe: str) -> AugMix | Adversarial | None:
    """What a variant of a recipe does besides; None for "plain". Raises InputError for an unknown one."""
    if name == "plain":
        return None
    if name == "augmix":
        return AugMix()
    if isinstance(name, str) and (found := re.fullmatch(r"pgd-([1-9][0-9]{0,3})", name)):
        return Adversarial(int(found[1]), PGD_STEP[recipe])
    raise InputError(f"unknown variant {name!r}; known: plain, augmix, or pgd-K for adversarial training with K steps, such as pgd-4")

def variant_name(variant: str) -> str:
    """A way of training as figures and tables call it: plain, AugMix, or PGD, 4 steps."""
    if variant.startswith("pgd-"):
        return f"PGD, {variant[4:]} step{'' if variant == 'pgd-1' else 's'}"
    return {"augmix": "AugMix"}.get(variant, variant)
