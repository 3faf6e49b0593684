"""What figures say of where they are from: every run that was read, where it was made, and nothing that
changes from one reading to the next.
"""

import ast
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import IPython.display
import nbformat
import pandas as pd
import pytest

from lib import measurements, runs
from lib.base import paths
from lib.base.errors import InputError
from lib.book import chapter, notebooks, page_source, sources
from lib.book.figures import cells, style
from lib.book.figures.selectivity import dead_units
from lib.runs import catalogue, provenance
from lib.runs.run import folder as run_folder
from lib.runs.tables import at_hand

VOID = {"br", "hr", "img"}


class Tags(HTMLParser):
    """Raises where a tag is not closed in its turn."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, instead of displaying it."""
    seen = []
    monkeypatch.setattr(IPython.display, "display", lambda *things, **how: seen.append((things[0], how)))
    return seen


@pytest.fixture
def reading():
    provenance.start()
    yield
    provenance.start()


def test_all_that_is_read_is_recorded_and_nothing_else(store_dir, trainings, reading):
    assert provenance.so_far() == {}
    runs.history(trainings[1:])
    runs.table("selectivity", trainings)
    units = measurements.file_name("selectivity", {})
    assert provenance.so_far() == {trainings[0]: (units,), trainings[1]: (runs.HISTORY, units)}
    runs.summary(trainings[:1])
    runs.load(trainings[0])
    assert provenance.so_far()[trainings[0]] == (runs.CONFIG, units, runs.WEIGHTS)
    catalogue.catalogue()
    at_hand([replace(trainings[0], seed=7)])
    assert list(provenance.so_far()) == trainings


def test_a_chapter_begins_anew(store_dir, trainings, reading):
    runs.history(trainings)
    given = {"dataset": "digits", "model": "usual", "alphas": [0.0], "seeds": [0], "recipe": "fast"}
    chapter.parameters(given | {"__annotations__": dict.fromkeys(given)})
    assert provenance.so_far() == {}


def test_the_fold_out_names_every_run_with_seed_recipe_device_and_commit(store_dir, trainings, reading):
    runs.summary(trainings)
    made = sources.bundle("fig-x", provenance.so_far())
    text = made["text/html"]
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert re.match(r'<details class="made-from"><summary>Made from 2 runs \(fig-x\)</summary>', text)
    facts = runs.config(run_folder(trainings[0]))["provenance"]
    told = [
        "resnet8 on digits, fast recipe, 2 epochs",
        "seed 0",
        "α = 0",
        "α = 1",
        "table selectivity: 2 runs",
    ]
    assert all(words in text for words in [*told, facts["device"], facts["commit"] or "unknown"])
    assert re.findall(r'href="[^"#]*19-runs\.ipynb#run-(\w+)">(\w+)<', text) == [
        (one.key, one.key) for one in trainings
    ]
    assert 'href="#fig-x-code"' in text
    assert made["text/plain"].startswith(
        "Made from 2 runs (fig-x); resnet8 on digits, fast recipe, 2 epochs, trained on "
    )


def test_it_is_the_same_whatever_the_order_of_reading(store_dir, trainings, reading):
    runs.table("selectivity", trainings)
    runs.history(trainings)
    first = sources.bundle("fig-x", provenance.so_far())
    provenance.start()
    runs.history(trainings[::-1])
    runs.table("selectivity", trainings[::-1])
    assert sources.bundle("fig-x", provenance.so_far()) == first


def test_a_missing_seed_leaves_its_cell_empty_and_variants_are_named():
    grid = runs.grid(
        dataset="digits",
        model="resnet8",
        alphas=[0.0],
        seeds=[0, 1],
        recipe="fast",
        epochs=8,
        variants=["plain", "pgd-4"],
    )
    text = sources._matrix(sources.Group("name", tuple(grid[:3]), "", ()), "19-runs.ipynb")
    assert (
        text.count("<td><a ") == 3
        and text.count("<td></td>") == 2
        and "PGD, 4 steps, α = 0" in text
        and "plain, α = 0" in text
    )


def test_forty_runs_are_compact():
    grid = runs.grid(
        dataset="cifar10",
        model="resnet20",
        alphas=[-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0],
        seeds=range(6),
        recipe="fast",
    )
    text = sources._matrix(sources.Group("name", tuple(grid), "", ()), "19-runs.ipynb")
    assert text.count("<tr>") == 8 and len(re.sub("<[^>]*>", " ", text).split()) == 42 + 6 * 2 + 7 * 3


def test_every_figure_is_shown_with_it(store_dir, trainings, reading, shown):
    style.setup()
    summary = runs.summary(trainings)
    read = provenance.of(trainings[1:], ["selectivity"])
    style.show(dead_units(summary), read=read, name="fig-x", alt="An alt text.", caption="A caption.")
    (_, how), (made, raw) = shown
    assert how["metadata"]["figure"]["name"] == "fig-x" and raw == {"raw": True}
    assert made == sources.bundle("fig-x", read) and "Made from 1 run (fig-x)" in made["text/html"]


def test_a_figure_names_its_own_networks_and_tables_and_not_all_that_the_page_has_read(
    own_store, trainings, reading
):
    runs.summary(trainings)
    runs.table("class_means", trainings)
    units, means = (measurements.file_name(name, {}) for name in ("selectivity", "class_means"))
    assert provenance.of(trainings, ["selectivity"]) == dict.fromkeys(trainings, (runs.CONFIG, units))
    assert provenance.of(trainings[1:], ["class_means"]) == {trainings[1]: (means, runs.CONFIG)}
    assert provenance.of([replace(trainings[0], seed=7)], ["selectivity"]) == {}
    with pytest.raises(InputError, match="unknown measurement 'selectivty'"):
        provenance.of(trainings, ["selectivty"])


def test_a_figure_without_runs_needs_a_file(reading, shown):
    with pytest.raises(InputError, match=r"figure 'fig-x' has read no run; say which tables"):
        style.show(None, name="fig-x", alt="", caption="")
    with pytest.raises(InputError, match="must be a file of the project, got 'nothing.json'"):
        sources.bundle("fig-x", {}, source="nothing.json")
    made = sources.bundle("fig-x", {}, source="benchmarks/results.json")
    assert "Made from benchmarks/results.json (fig-x)" in made["text/html"] and "SHA-256" in made["text/html"]
    assert shown == []


def test_chapters_draw_figures_through_show_alone():
    """So each has its fold-out: nothing else of a chapter displays a picture."""
    for name, file in notebooks.sources().items():
        calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
        named = {ast.unparse(call.func) for call in calls}
        assert not {one for one in named if re.search(r"pyplot|savefig|^display|plt\.|\.display$", one)}, name


def test_links_lead_to_the_page_of_runs_from_wherever_the_notebook_lies(monkeypatch, tmp_path):
    for folder, link in (
        (paths.ROOT, "chapters/19-runs.ipynb"),
        (paths.CHAPTERS, "19-runs.ipynb"),
        (tmp_path, "19-runs.ipynb"),
    ):
        monkeypatch.chdir(folder)
        assert sources.runs_page() == link
    assert (paths.CHAPTERS / sources.RUNS_PAGE).is_file()
    links = ['href="19-runs.{}#run-1"', 'href="chapters/19-runs.{}"', 'href="https://a.b/c.ipynb"']
    output = nbformat.v4.new_output("display_data", {"text/html": " ".join(links).format("ipynb", "ipynb")})
    found = page_source.text(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[output])])
    )
    assert json.dumps(" ".join(links).format("html", "html")) in found


def test_on_a_page_the_fold_out_is_no_second_figure(reading):
    outputs = [
        nbformat.v4.new_output("display_data", data)
        for data in ({"text/plain": "picture"}, sources.bundle("fig-x", {}, source="README.md"))
    ]
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(
                "draw()", metadata={"mystnb": {"figure": {"name": "fig-x"}}}, outputs=outputs
            )
        ]
    )
    before = notebooks.text(notebook)
    figure, below = nbformat.reads(page_source.text(notebook), as_version=4).cells
    assert (len(figure.outputs), len(below.outputs)) == (
        1,
        1,
    ) and figure.metadata.mystnb.figure.name == "fig-x"
    assert below.metadata == {"tags": ["remove-input"]} and sources.MARK in below.outputs[0].data["text/html"]
    assert notebooks.text(notebook) == before


def test_the_table_of_runs_has_the_rows_that_links_lead_to(shown):
    cells.show_table(pd.DataFrame({"id": ["1cae5899", "241237a1"], "commit": ["abc", "def"]}), anchors=True)
    text = shown[0][0].data
    assert (
        re.findall(r'<td id="run-(\w+)">(\w+)</td>', text) == [("1cae5899",) * 2, ("241237a1",) * 2]
        and "<td>abc</td>" in text
    )
