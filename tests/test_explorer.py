"""The page with a slider over α: its numbers are those of the tables, its bytes the same each time, and in a
browser everything moves.
"""

import json
import re
import shutil

import nbformat
import numpy as np
import pandas as pd
import pytest

from lib import runs
from lib.base import paths
from lib.book import notebooks
from lib.book import site as book_site
from lib.book.figures import colours, style
from lib.book.figures.explore import SCRIPTS, explored, explorer, interactive
from lib.measurements.layers import CHANGES, MEASURES, with_dimensions
from lib.runs.tables import cached, full_summary

ALPHAS, DEPTHS, SEEDS = (-1.0, 0.0, 2.0), (1, 2, 3), (0, 1)
LABELS = {"dataset": "digits", "model": "resnet8", "recipe": "fast", "variant": "plain", "epochs": 16}
NETWORKS = [{**LABELS, "alpha": alpha, "seed": seed} for alpha in ALPHAS for seed in SEEDS]
SUMMARY = pd.DataFrame(NETWORKS).assign(
    clean_accuracy=lambda rows: 0.9 - rows.seed / 10,
    corrupted_accuracy=lambda rows: 0.7 - rows.alpha / 10,
    mean_selectivity=lambda rows: 0.3 + rows.alpha / 10,
    ball_worst=[0.1, 0.3, 0.2, np.nan, np.nan, np.nan],
)
UNITS = pd.DataFrame([
    one | {"depth": d, "selectivity": 0.1 * d + one["alpha"] / 100 + u / 50}
    for one in NETWORKS
    for d in DEPTHS
    for u in (0, 1)
])
DIMENSIONALITY = pd.DataFrame([
    one
    | {"change": change, "layer": f"layer {d}", "depth": d, "units": 10, "images": 50}
    | dict.fromkeys(MEASURES, float(d + place))
    for one in NETWORKS
    if one["alpha"] != 2
    for d in DEPTHS
    for place, change in enumerate(CHANGES)
])
NOTHING = pd.DataFrame()


def in_page(markup: str) -> dict:
    return json.loads(
        re.search(
            r'<script type="application/json" id="alpha-explorer-data">(.*?)</script>', markup, re.DOTALL
        )[1]
    )


def measures(shown: dict) -> dict[str, dict]:
    return {one["name"]: one for one in shown["measures"]}


# ---- numbers -----------------------------------------------------------------------------------------------


def test_numbers_in_the_page_are_those_of_the_tables():
    shown = in_page(interactive(explored(with_dimensions(SUMMARY, DIMENSIONALITY), UNITS, DIMENSIONALITY)))
    found = measures(shown)
    assert shown["alphas"] == list(ALPHAS) and shown["depths"] == list(DEPTHS)
    assert found["clean"]["means"] == pytest.approx([85.0] * 3) and found["clean"]["networks"] == [2, 2, 2]
    assert found["corrupted"]["means"] == pytest.approx([80.0, 70.0, 50.0])
    assert found["attacked"]["means"] == [pytest.approx(20.0), pytest.approx(20.0), None] and found[
        "attacked"
    ]["networks"] == [2, 1, 0]
    assert found["attacked"]["values"] == pytest.approx([10.0, 30.0, 20.0]) and found["attacked"]["at"] == [
        -1,
        -1,
        0,
    ]
    assert not any(found["attacked"]["hollow"] + found["attacked"]["doubtful"])
    one = SUMMARY.assign(ball_worst_doubtful=SUMMARY.index.isin([1, 5]))  # the last of these was not attacked
    doubts = measures(explored(with_dimensions(one, DIMENSIONALITY), UNITS, DIMENSIONALITY))["attacked"]
    assert doubts["doubtful"] == [False, True, False] and doubts["hollow"] == [True, False, False]
    assert shown["selectivity"] == [
        pytest.approx([0.1 * d + alpha / 100 + 0.01 for d in DEPTHS]) for alpha in ALPHAS
    ]
    for place, change in enumerate(CHANGES):
        line = pytest.approx([(d + place) / 10 for d in DEPTHS])
        assert shown["dimensionality"][change] == [line, line, [None] * 3]
    # of three layers the first is early
    assert found["dimension"]["means"] == [pytest.approx(0.1), pytest.approx(0.1), None]


def test_colours_are_those_of_the_book():
    shown = explored(with_dimensions(SUMMARY, NOTHING), UNITS, NOTHING)
    assert [tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5)) for colour in shown["colours"]] == [
        tuple(round(255 * part) for part in colours.alpha_colour(alpha)[:3]) for alpha in ALPHAS
    ]


def test_numbers_of_real_tables(store_dir, trainings):
    summary, units = full_summary(runs.summary(trainings), trainings), runs.table("selectivity", trainings)
    shown = in_page(interactive(explored(summary, units, cached("dimensionality", trainings))))
    assert measures(shown)["clean"]["means"] == pytest.approx(list(100 * summary.clean_accuracy), rel=1e-5)
    assert np.mean(shown["selectivity"], axis=1) == pytest.approx(summary.mean_selectivity, rel=1e-4)
    assert shown["dimensionality"] == {} and measures(shown)["corrupted"]["networks"] == [0, 0]


@pytest.mark.parametrize("table", [DIMENSIONALITY, NOTHING], ids=["measured", "not measured"])
def test_same_tables_same_bytes(table):
    first, second = (interactive(explored(with_dimensions(SUMMARY, table), UNITS, table)) for _ in range(2))
    assert first == second and len(first) < 20_000
    ids = re.findall(r' id="([^"]+)"', first)
    assert len(ids) == len(set(ids)) and all(one.startswith("alpha-explorer") for one in ids)
    assert ("has not been measured yet" in first) == table.empty
    style.setup()
    explorer(explored(with_dimensions(SUMMARY, table), UNITS, table))
    explorer(explored(with_dimensions(SUMMARY[:1], table[:9]), UNITS[:6], table[:9]))


def test_text_cannot_end_the_script():
    shown = explored(with_dimensions(SUMMARY, NOTHING), UNITS, NOTHING) | {"setting": "</script><b>"}
    assert in_page(interactive(shown))["setting"] == "</script><b>"


def test_published_page_holds_no_plotly_and_no_address():
    file = notebooks.published("10-explorer")
    notebook = nbformat.read(file, as_version=4)
    markup = next(
        text
        for cell in notebook.cells
        for out in cell.get("outputs", [])
        if "alpha-explorer" in (text := out.get("data", {}).get("text/html", ""))
    )
    assert file.stat().st_size < 1_000_000 and "http" not in markup
    assert re.findall(r'src="([^"]+)"', markup) == [f"../_static/{name}" for name in SCRIPTS]


# ---- in a browser ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A page that holds the slider and nothing else, with its scripts where the book lays them:
    {"measured", "not measured": file}.
    """
    root = tmp_path_factory.mktemp("site")
    (root / "_static").mkdir()
    (root / "chapters").mkdir()
    book_site.scripts(root / "_static")
    shutil.copy(paths.ROOT / "_static" / "book.css", root / "_static")
    head = (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width"><link rel="icon" href="data:,">'
    )
    head += '<title>t</title><link rel="stylesheet" href="../_static/book.css"><body>'
    pages = {}
    for name, table in (("measured", DIMENSIONALITY), ("not measured", NOTHING)):
        pages[name] = root / "chapters" / f"{name.replace(' ', '-')}.html"
        pages[name].write_text(
            head + interactive(explored(with_dimensions(SUMMARY, table), UNITS, table)) + "</body></html>"
        )
    return pages


@pytest.fixture
def opened(chromium, site):
    """A function that opens one of these pages; afterwards, nothing may have been asked of anywhere else, and
    nothing thrown.
    """
    outside, thrown, contexts = [], [], []

    def visit(name: str, **how: object):
        context = chromium.new_context(**how)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(("file:", "data:", "blob:")) else outside.append(request.url)
            ),
        )
        page.on("requestfailed", lambda request: outside.append(request.url))
        page.on("pageerror", lambda error: thrown.append(str(error)))
        page.goto(site[name].as_uri())
        return page

    yield visit
    for context in contexts:
        context.close()
    assert outside == [] and thrown == []


PANELS = ("accuracy", "selectivity", "dimensionality")


def state(page) -> dict[str, str]:
    """What is drawn and said now, part by part."""
    panels = {name: page.locator(f"#alpha-explorer-{name}") for name in PANELS}
    drawn = {name: panel.locator(".main-svg").first.inner_html() for name, panel in panels.items()}
    labels = {f"{name}, in words": panel.get_attribute("aria-label") for name, panel in panels.items()}
    return (
        drawn
        | labels
        | {name: page.locator(f"#alpha-explorer-{name}").inner_text() for name in ("now", "said", "values")}
    )


def test_the_slider_moves_every_panel_by_keyboard_and_by_buttons(opened):
    page = opened("measured")
    slider = page.get_by_label("selectivity scale α")
    page.wait_for_selector("#alpha-explorer-dimensionality .main-svg")
    first = state(page)
    assert slider.get_attribute("aria-valuetext") == "α = 0" and set(PANELS) <= set(first)
    slider.focus()
    page.keyboard.press("ArrowLeft")
    moved = state(page)
    assert slider.get_attribute("aria-valuetext") == "α = −1" and not [
        name for name in first if first[name] == moved[name]
    ]
    page.get_by_role("button", name="higher α").click()
    assert state(page)["values"] == first["values"]
    for _ in range(3):  # beyond the end
        page.get_by_role("button", name="higher α").press("Enter")
    last = state(page)
    assert (
        last["now"] == "α = 2"
        and "not measured" in last["values"]
        and "accuracy on corrupted images 50.0" in last["said"]
    )
    assert page.get_by_role("button", name="higher α").get_attribute("aria-disabled") == "true"


def test_what_is_drawn_are_the_numbers_of_the_page(opened):
    page = opened("measured")
    page.wait_for_selector("#alpha-explorer-dimensionality .main-svg")
    shown = explored(with_dimensions(SUMMARY, DIMENSIONALITY), UNITS, DIMENSIONALITY)
    drawn = page.evaluate(
        "document.getElementById('alpha-explorer-accuracy').data.filter(one => one.x[0] !== "
        "null).map(one => one.y)"
    )
    assert drawn == [one["means"] for one in shown["measures"][:3]]
    lines = page.evaluate(
        "document.getElementById('alpha-explorer-selectivity').data.map(one => [one.y, one.line.color])"
    )
    assert sorted(lines) == sorted(map(list, zip(shown["selectivity"], shown["colours"], strict=True)))


def test_what_is_not_measured_is_said_and_leaves_no_panel(opened):
    page = opened("not measured")
    page.wait_for_selector("#alpha-explorer-selectivity .main-svg")
    assert not page.locator("#alpha-explorer-dimensionality").is_visible()
    assert page.get_by_text("has not been measured yet").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it_without_scrolling_sideways(opened, scheme):
    page = opened("measured", viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page.wait_for_selector("#alpha-explorer-dimensionality .main-svg")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    boxes = [
        page.locator(f"#alpha-explorer-{name}").bounding_box()
        for name in (*PANELS, "alpha", "lower", "higher")
    ]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 360 for box in boxes)
    assert all(box["height"] >= 44 for box in boxes[3:])


def test_without_scripts_the_figure_below_is_named_and_nothing_else_is_shown(opened):
    page = opened("measured", java_script_enabled=False)
    said = page.locator("noscript p")
    assert said.is_visible() and "The figure below holds the same numbers" in said.text_content()
    assert not page.locator("#alpha-explorer").is_visible()
