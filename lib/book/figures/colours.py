"""Colours of the figures: one for each α and each way of training, the same on every page."""

from __future__ import annotations

import math

import pandas as pd
import seaborn as sns
from matplotlib.colors import to_rgb

from lib.book import own
from lib.training import variants

# blue for alpha < 0, nearly black for 0, orange for alpha > 0: told apart with any of the common colour
# blindnesses, and in grey by lightness
_PALETTE = sns.diverging_palette(250, 30, s=95, l=62, center="dark", as_cmap=True)
_FULL = 2.0  # |alpha| from which the colour is full; beyond it the paper calls the networks degenerate
# colours of ways of training: plain as dark as alpha = 0, AugMix green, PGD from light pink to dark purple by
# its steps; none of the latter is a colour of an alpha
_AUGMIX, _PGD = "#12a07a", sns.color_palette("RdPu", as_cmap=True)
_TRADES, _WEIGHTED = "#6b8e23", "#7a3fb0"
# further colours that are not an alpha's: for what a figure points at, and for changes of accuracy from worse
# to better
POINTED, PALE, WRONG = "0.25", "0.75", "#b3341f"
CHANGE = sns.color_palette("PRGn", as_cmap=True)
SHADES = sns.color_palette("Greys", as_cmap=True)  # for shares and correlations
# steps of PGD at the middle of its colour ramp: 1, 2 and 4 steps can be told apart, and so can 10, 20 and 40
_HALF_STEPS = 3


def alpha_colour(alpha: float) -> tuple[float, float, float, float]:
    """Colour of an alpha, the same on every page; logarithmic in ``|alpha|`` like the paper's grid. An alpha
    that a reader has added has one that no other has.
    """
    if added := own.colour(alpha):
        return added
    strength = min(math.log1p(abs(alpha) / 0.1) / math.log1p(_FULL / 0.1), 1.0)
    return _PALETTE(0.5 + math.copysign(0.5 * strength, alpha) if alpha else 0.5)


def alpha_palette(alphas: pd.Series) -> dict[float, tuple]:
    """Colours for seaborn's `palette`, in ascending order of alpha."""
    return {alpha: alpha_colour(alpha) for alpha in sorted(set(alphas))}


def variant_colour(variant: str) -> tuple[float, float, float]:
    """Colour of a way of training, the same on every page; the more steps PGD has, the darker it is."""
    if variant == "augmix":
        return to_rgb(_AUGMIX)
    settings = variants.variant(variant).settings
    if isinstance(settings, variants.Trades | variants.Weighted):
        return to_rgb(_TRADES if isinstance(settings, variants.Trades) else _WEIGHTED)
    if not isinstance(settings, variants.Adversarial):
        return alpha_colour(0.0)[:3]
    steps = settings.steps
    return _PGD(0.2 + 0.8 * steps / (steps + _HALF_STEPS))[:3]
