"""Figures: the same bytes from the same data, the same colour for the same alpha."""

import io

import pandas as pd
import pytest
from matplotlib.colors import rgb_to_hsv

from lib import figures

ALPHAS = [-2.0, -0.4, 0.0, 0.4, 2.0]
SUMMARY = pd.DataFrame(
    [
        {"alpha": a, "seed": s, "mean_selectivity": 0.3 + a / 10 + s / 100, "live_selectivity": 0.3 + a / 9, "clean_accuracy": 0.8, "dead": max(a, 0) / 10}
        for a in ALPHAS
        for s in range(3)
    ]
)
UNITS = pd.DataFrame(
    [
        {"alpha": a, "seed": 0, "depth": d, "unit": u, "selectivity": 0.1 * d, "dead": u == 1}
        for a in ALPHAS
        for d in (1, 2)
        for u in (0, 1)
    ]
)
EXAMPLES = [pd.DataFrame({"title": "a unit", "class": list("abc"), "mean": means}) for means in ([1.0, 2.0, 3.0], [0.0, 0.0, 1.0])]
DRAWINGS = {
    "scale_of_selectivity": lambda n: figures.scale_of_selectivity(n),
    "selectivity_and_alpha": lambda n: figures.selectivity_and_alpha(n),
    "accuracy_and_selectivity": lambda n: figures.accuracy_and_selectivity(n),
    "dead_units": lambda n: figures.dead_units(n),
    "selectivity_by_layer": lambda n: figures.selectivity_by_layer(UNITS),
    "example_units": lambda n: figures.example_units(EXAMPLES),
}


def svg(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    return buffer.getvalue()


@pytest.mark.parametrize("name", DRAWINGS)
def test_same_data_same_bytes_and_data_untouched(name):
    figures.setup()
    before = SUMMARY.copy()
    assert svg(DRAWINGS[name](SUMMARY)) == svg(DRAWINGS[name](SUMMARY))
    pd.testing.assert_frame_equal(SUMMARY, before)


@pytest.mark.parametrize("name", DRAWINGS)
def test_one_network_is_enough(name):
    figures.setup()
    assert svg(DRAWINGS[name](SUMMARY.head(1)))  # a warning would fail this


def test_a_new_alpha_does_not_move_the_colours():
    assert figures.alpha_palette(pd.Series([-1.0, 0.5]))[0.5] == figures.alpha_palette(pd.Series([0.5, 0.7, 2.0]))[0.5]


def test_palette_diverges_from_a_dark_middle():
    values = {alpha: rgb_to_hsv(figures.alpha_colour(alpha)[:3])[2] for alpha in ALPHAS}
    assert values[0.0] < min(values[-0.4], values[0.4]) < min(values[-2.0], values[2.0])
    blue, orange = figures.alpha_colour(-2.0), figures.alpha_colour(2.0)
    assert blue[2] > blue[0] and orange[0] > orange[2]
    assert figures.alpha_colour(-100.0) == blue


def test_alpha_is_written_in_the_figure():
    figures.setup()
    assert "<!-- −0.4 -->" in svg(figures.dead_units(SUMMARY)).decode()
