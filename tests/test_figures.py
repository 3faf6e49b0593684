"""Figures: the same bytes from the same data, the same colour for the same alpha."""

import io
from itertools import pairwise

import pandas as pd
import pytest
from matplotlib.colors import rgb_to_hsv
from PIL import Image

from lib.book.figures import canvas, colours, curves, style
from lib.book.figures.average import (
    accuracy_by_corruption,
    agreement,
    change_by_corruption,
    corrupted_and_alpha,
    corrupted_and_clean,
    corrupted_examples,
)
from lib.book.figures.inside import change_and_change
from lib.book.figures.main_text import main_text_corrupted, main_text_selectivity
from lib.book.figures.selectivity import (
    accuracy_and_selectivity,
    dead_units,
    example_units,
    scale_of_selectivity,
    selectivity_and_alpha,
    selectivity_and_steps,
    selectivity_by_layer,
)
from lib.book.figures.worst import (
    accuracy_by_strength,
    average_and_worst,
    jacobian_and_alpha,
    survival,
    transferred_and_alpha,
)
from lib.papers.resnet18 import CORRUPTED, FGSM, RESNET18_TINY_IMAGENET
from lib.training.variants import variant as way_of_training

ALPHAS = [-2.0, -0.4, 0.0, 0.4, 2.0]
SUMMARY = pd.DataFrame([
    {
        "alpha": a,
        "seed": s,
        "strength": 0.0,
        "mean_selectivity": 0.3 + a / 10 + s / 100,
        "live_selectivity": 0.3 + a / 9,
        "clean_accuracy": 0.8,
        "dead": max(a, 0) / 10,
    }
    for a in ALPHAS
    for s in range(3)
])
UNITS = pd.DataFrame([
    {"alpha": a, "seed": 0, "depth": d, "unit": u, "selectivity": 0.1 * d, "dead": u == 1}
    for a in ALPHAS
    for d in (1, 2)
    for u in (0, 1)
])
EXAMPLES = [
    pd.DataFrame({"title": "a unit", "class": list("abc"), "mean": means})
    for means in ([1.0, 2.0, 3.0], [0.0, 0.0, 1.0])
]
VARIANTS = ["plain", "augmix", "pgd-1", "pgd-2", "pgd-4"]
VARIED = pd.concat(
    [
        SUMMARY[SUMMARY.alpha.isin([0.0, 0.4])].assign(variant=name, strength=way_of_training(name).strength)
        for name in VARIANTS
    ],
    ignore_index=True,
)


def png(level: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (level, 0, 0)).save(file, "PNG")
    return file.getvalue()


PICTURES = pd.DataFrame([
    {
        "corruption": f"kind {i}",
        "label": "cat",
        "predicted": "cat" if i % 2 else "dog",
        "confidence": 0.5,
        "png": png(i),
    }
    for i in range(7)
])
MEASURED = SUMMARY.assign(
    subset_accuracy=0.8,
    corrupted_accuracy=0.5 - SUMMARY.alpha / 10 + SUMMARY.seed / 100,
    relative_accuracy=0.6,
)
CELLS = pd.DataFrame([
    {"alpha": a, "corruption": c, "severity": s, "accuracy": 0.9 - s / 10 - a / 20}
    for a in ALPHAS
    for c in ("clean", "fog", "snow")
    for s in range(6)
])
STRENGTHS = pd.DataFrame([
    {
        "alpha": a,
        "seed": s,
        "epsilon": e,
        "steps": 10 * k,
        "step_size": 0.1,
        "accuracy": 0.8 - k / 5 + a / 40 + s / 100,
    }
    for a in ALPHAS
    for s in range(3)
    for k, e in enumerate((0.0, 0.1, 0.2))
])
ATTACKED = MEASURED.assign(attacked_clean=0.8, autoattack_clean=0.9, autoattack_accuracy=0.1)
ATTACKED = ATTACKED.assign(
    one=0.3 + SUMMARY.alpha / 20, two=0.2, jacobian=10.0 + SUMMARY.alpha, relative_jacobian=3.0
)
DOUBTFUL = {"one": ATTACKED.alpha > 0, "two": ATTACKED.alpha < -9, "autoattack_accuracy": ATTACKED.alpha < -9}
DRAWINGS = {
    "accuracy_by_strength": lambda n: accuracy_by_strength(STRENGTHS, STRENGTHS),
    "accuracy_by_strength, published": lambda n: accuracy_by_strength(
        STRENGTHS, STRENGTHS, FGSM, doubtful=(frozenset([0.4]), frozenset())
    ),
    "accuracy_by_strength, published and ours": lambda n: accuracy_by_strength(
        STRENGTHS, STRENGTHS, FGSM, alike=STRENGTHS.assign(epsilon=STRENGTHS.epsilon / 50)
    ),
    "main_text_selectivity": lambda n: main_text_selectivity(
        SUMMARY, RESNET18_TINY_IMAGENET, title="ResNet18 on Tiny ImageNet: no network of ours yet"
    ),
    "main_text_corrupted": lambda n: main_text_corrupted(
        MEASURED, CORRUPTED, title="ResNet18 on Tiny ImageNet: no network of ours yet"
    ),
    "jacobian_and_alpha": lambda n: jacobian_and_alpha(ATTACKED),
    "transferred_and_alpha": lambda n: transferred_and_alpha(STRENGTHS),
    "survival": lambda n: survival(
        ATTACKED, {"one": "PGD", "two": "another", "autoattack_accuracy": "AutoAttack"}, DOUBTFUL
    ),
    "average_and_worst": lambda n: average_and_worst(ATTACKED, "one", frozenset([0.4])),
    "accuracy_by_corruption": lambda n: accuracy_by_corruption(CELLS),
    "corrupted_and_alpha": lambda n: corrupted_and_alpha(MEASURED),
    "corrupted_and_clean": lambda n: corrupted_and_clean(MEASURED),
    "change_by_corruption": lambda n: change_by_corruption(
        CELLS.pivot_table(index="corruption", columns="alpha", values="accuracy") * 100 - 50
    ),
    "corrupted_examples": lambda n: corrupted_examples(PICTURES),
    "agreement": lambda n: agreement(
        CELLS.assign(reference_accuracy=0.5, kind=["random", "deterministic"] * (len(CELLS) // 2))
    ),
    "scale_of_selectivity": lambda n: scale_of_selectivity(n),
    "selectivity_and_alpha": lambda n: selectivity_and_alpha(n),
    "accuracy_and_selectivity": lambda n: accuracy_and_selectivity(n),
    "dead_units": lambda n: dead_units(n),
    "selectivity_by_layer": lambda n: selectivity_by_layer(UNITS),
    "selectivity_by_layer, variants": lambda n: selectivity_by_layer(
        pd.concat([UNITS.assign(variant=v) for v in VARIANTS]), by="variant"
    ),
    "selectivity_by_layer, one variant": lambda n: selectivity_by_layer(
        UNITS[UNITS.alpha == 0].assign(variant="plain"), by="variant"
    ),
    "selectivity_and_steps": lambda n: selectivity_and_steps(n.assign(variant="plain")),
    "selectivity_and_steps, variants": lambda n: selectivity_and_steps(VARIED),
    "example_units": lambda n: example_units(EXAMPLES),
}


def svg(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    return buffer.getvalue()


def test_every_example_is_drawn():
    drawn = svg(corrupted_examples(PICTURES))
    assert drawn.count(b"<image") == len(PICTURES)


@pytest.mark.parametrize("name", DRAWINGS)
def test_same_data_same_bytes_and_data_untouched(name):
    style.setup()
    before = SUMMARY.copy()
    assert svg(DRAWINGS[name](SUMMARY)) == svg(DRAWINGS[name](SUMMARY))
    pd.testing.assert_frame_equal(SUMMARY, before)


@pytest.mark.parametrize("name", DRAWINGS)
def test_one_network_is_enough(name):
    style.setup()
    assert svg(DRAWINGS[name](SUMMARY.head(1)))  # a warning would fail this


def overlaps(figure) -> list[str]:
    """Tick labels of horizontal axes that lie on another one."""
    figure.draw_without_rendering()
    found = []
    for axes in figure.axes:
        labels = [one for one in axes.get_xticklabels() if one.get_text() and one.get_visible()]
        if not any(one.get_rotation() for one in labels):
            rows = {}
            for one in labels:
                rows.setdefault(one.get_text().count("\n"), []).append(one.get_window_extent())
            for boxes in rows.values():
                boxes.sort(key=lambda box: box.x0)
                found += [f"{a} {b}" for a, b in pairwise(boxes) if a.x1 > b.x0]
    return found


@pytest.mark.parametrize("name", DRAWINGS)
def test_on_a_phone_a_figure_is_drawn_again_as_narrow_as_it_is_with_labels_that_lie_on_no_other(name):
    style.setup()
    wide = DRAWINGS[name](SUMMARY)
    small = canvas.narrow(wide)
    assert small.get_figwidth() == canvas.NARROW < wide.get_figwidth() <= canvas.WIDEST
    titles = [sorted(axes.get_title() for axes in one.axes if axes.get_title()) for one in (wide, small)]
    assert titles[0] == titles[1]
    assert not canvas.is_narrow()
    for figure in (wide, small):
        canvas.untangle(figure)
        assert overlaps(figure) == []
        for axes in figure.axes:
            shares = "%" in axes.get_ylabel() + axes.get_xlabel()
            assert not shares or (axes.get_ylim()[0] >= 0 or "points" in axes.get_ylabel())


def test_labels_of_alphas_that_lie_close_go_into_a_second_row():
    style.setup()
    near = pd.concat([
        SUMMARY,
        SUMMARY[SUMMARY.alpha == 0].assign(alpha=0.05),
        SUMMARY.head(3).assign(alpha=-1.9),
    ])
    figure = dead_units(near)
    assert overlaps(figure)
    canvas.untangle(figure)
    assert overlaps(figure) == []
    texts = [one.get_text() for one in figure.axes[0].get_xticklabels()]
    assert [text.strip() for text in texts] == ["−2", "−1.9", "−0.4", "0", "0.05", "0.4", "2"]
    assert [text for text in texts if text.startswith("\n")] == ["\n−1.9", "\n0.05"]


def test_the_lowest_alpha_0_and_the_highest_stand_out_and_their_labels_lie_on_no_other():
    assert curves.emphasised(ALPHAS) == {-2.0, 0.0, 2.0} and curves.emphasised([0.5, 1.0]) == {0.5, 1.0}
    style.setup()
    same = STRENGTHS.assign(accuracy=0.5)
    figure = accuracy_by_strength(same, same)
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = sorted((one.get_window_extent() for one in axes.texts), key=lambda box: box.y0)
        assert [one.get_text() for one in axes.texts] == ["α = −2", "α = 0", "α = 2"]
        assert all(a.y1 <= b.y0 + 1 for a, b in pairwise(boxes))
        assert [line.get_alpha() for line in axes.lines] == [None, 0.45, None, 0.45, None]


def test_among_many_points_the_lowest_alpha_0_and_the_highest_stand_out():
    rows = pd.DataFrame([
        {"alpha": a, "seed": 0, "depth": d, "early": d < 3, "change": change, "cells": d / 10}
        for a in ALPHAS
        for d in range(1, 5)
        for change in ("corruption", "attack")
    ])
    figure = change_and_change(rows, "cells", label="% of units", scale=100)
    drawn = {alpha: [] for alpha in ALPHAS}
    for line in figure.axes[0].lines:
        for alpha in ALPHAS:
            if line.get_marker() == "o" and line.get_color() == style.alpha_colour(alpha):
                drawn[alpha].append((line.get_alpha(), line.get_markersize(), len(line.get_xdata())))
    assert drawn == {
        a: [(1.0, 6.0, 2)] * 2 if a in (-2.0, 0.0, 2.0) else [(0.45, 3.0, 2)] * 2 for a in ALPHAS
    }
    key = figure.legends[0]
    assert [text.get_text() for text in key.get_texts()] == ["−2", "−0.4", "0", "0.4", "2"]
    assert [mark.get_alpha() for mark in key.legend_handles] == [1.0, 0.45, 1.0, 0.45, 1.0]


def test_small_changes_have_a_colour_beside_large_ones():
    style.setup()
    changes = pd.DataFrame({-2.0: [1.0], 0.0: [0.0], 2.0: [-40.0]}, index=["fog"])
    small, none, large = change_by_corruption(changes).axes[0].collections[0].get_facecolors()
    assert none.min() > 0.95 and large.min() < 0.3 and none.max() - small.min() > 0.2


def test_a_new_alpha_does_not_move_the_colours():
    assert (
        colours.alpha_palette(pd.Series([-1.0, 0.5]))[0.5]
        == colours.alpha_palette(pd.Series([0.5, 0.7, 2.0]))[0.5]
    )


def test_palette_diverges_from_a_dark_middle():
    values = {alpha: rgb_to_hsv(colours.alpha_colour(alpha)[:3])[2] for alpha in ALPHAS}
    assert values[0.0] < min(values[-0.4], values[0.4]) < min(values[-2.0], values[2.0])
    blue, orange = colours.alpha_colour(-2.0), colours.alpha_colour(2.0)
    assert blue[2] > blue[0] and orange[0] > orange[2]
    assert colours.alpha_colour(-100.0) == blue


def test_alpha_is_written_in_the_figure():
    style.setup()
    assert "<!-- −0.4 -->" in svg(dead_units(SUMMARY)).decode()


def lightness(colour):
    """Relative luminance, by which colours are told apart without hues."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in colour]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_ways_of_training_have_colours_of_their_own():
    assert colours.variant_colour("plain") == colours.alpha_colour(0.0)[:3]
    ramp = [
        lightness(colours.variant_colour(variant))
        for variant in ("pgd-1", "pgd-2", "pgd-4", "pgd-10", "pgd-40", "plain")
    ]
    assert ramp == sorted(ramp, reverse=True) and min(a - b for a, b in pairwise(ramp)) > 0.005
    green = colours.variant_colour("augmix")
    assert green[1] > max(green[0], green[2]) and lightness(green) > 5 * lightness(
        colours.variant_colour("plain")
    )


def test_strengths_and_trainings_are_written_in_the_figures():
    style.setup()
    text = svg(selectivity_and_steps(VARIED)).decode()
    assert all(
        f"<!-- {words} -->" in text for words in ("0", "1", "2", "4", "α = 0.4", "dead units left out")
    )
    text = svg(DRAWINGS["selectivity_by_layer, variants"](None)).decode()
    assert all(
        f"<!-- {words} -->" in text for words in ("plain", "AugMix", "PGD, 1 step", "PGD, 4 steps", "α = −2")
    )
