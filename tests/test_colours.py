"""The colours of the figures: one palette for alpha, nothing else in its colours, told apart with any common
colour blindness.
"""

import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab

from lib.base import paths
from lib.book.figures import colours

ALPHAS = (-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0)

# full colour blindness as matrices on linear RGB: Machado, Oliveira and Fernandes, IEEE TVCG 15 (2009),
# severity 1
SIGHT = {
    "usual": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def seen(colours, sight: str) -> np.ndarray:
    """(n, 3) CIELAB of colours as that sight has them."""
    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.array(SIGHT[sight]).T, 0, 1)
    return rgb2lab(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def differences(some, others, sight: str) -> np.ndarray:
    """(n, m) CIEDE2000 between every two colours; about 2 is just noticeable side by side."""
    return deltaE_ciede2000(seen(some, sight)[:, None], seen(others, sight)[None])


PALETTE = [colours.alpha_colour(alpha) for alpha in ALPHAS]


@pytest.mark.parametrize("sight", SIGHT)
def test_neighbouring_alphas_are_told_apart(sight):
    between = np.diag(differences(PALETTE, PALETTE, sight), 1)
    assert between.min() > 5, dict(zip(ALPHAS[1:], between.round(1), strict=True))


@pytest.mark.parametrize("sight", SIGHT)
def test_the_sign_of_alpha_is_told_apart_at_every_strength(sight):
    between = differences(PALETTE[:3], PALETTE[4:], sight)
    assert between.min() > 10, between.round(1)


def test_what_is_no_alpha_has_no_colour_of_an_alpha():
    """To the usual sight. Two kinds of cones cannot keep so many apart: there it is the key that tells, and
    no figure colours alphas and others at once.
    """
    coloured = [colours.alpha_colour(alpha) for alpha in ALPHAS if alpha]
    others = {
        "AugMix": colours.variant_colour("augmix"),
        **{f"PGD, {steps} steps": colours.variant_colour(f"pgd-{steps}") for steps in (1, 2, 4, 10, 40)},
        **{
            name: colours.variant_colour(name)
            for name in ("pgd-3-linf-8", "trades-6-3-linf-8", "weighted-3-linf-8")
        },
        "worst change": colours.CHANGE(0.05),
        "best change": colours.CHANGE(0.95),
        "wrong": colours.WRONG,
    }
    near = {name: differences([colour], coloured, "usual").min().round(1) for name, colour in others.items()}
    assert min(near.values()) > 10, near


def test_worse_and_better_are_told_apart():
    for sight in SIGHT:
        assert differences([colours.CHANGE(0.1)], [colours.CHANGE(0.9)], sight).min() > 20


def test_colours_are_named_in_one_place_so_that_alpha_has_the_same_in_every_figure():
    """A figure takes its colours from `colours`; by itself it names greys and white alone. Those of other subjects
    than α have a palette at their head.
    """
    files = sorted((paths.ROOT / "lib" / "book" / "figures").glob("*.py"))
    assert len(files) > 15
    for file in files:
        if file.stem not in ("colours", "certified", "forest", "ledger", "purification"):
            text = re.sub(r"\b(alpha_palette\(|cmap=(CHANGE|SHADES)\b)", "", file.read_text())
            assert not re.search(
                r"#[0-9a-fA-F]{6}\b|_palette\(|cmap=|\"C\d\"|\"tab:|\"(red|blue|green|orange|purple)\"", text
            ), file.name
