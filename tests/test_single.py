"""A rerun's page, built by itself: where its links lead, and what is left out of its build."""

from pathlib import Path

import nbformat
import pytest
import yaml

from lib.base import paths
from lib.book import single

FILE = Path("chapters/02-approach.ipynb")


@pytest.fixture
def links(tmp_path):
    """Links of a page whose book has two other pages, and which lists one run."""
    book = tmp_path / "html"
    for name in ("chapters/19-runs.html", "chapters/05-gradients.html", "index.html"):
        (book / name).parent.mkdir(parents=True, exist_ok=True)
        (book / name).touch()
    place = tmp_path / "rerun" / "one" / "html" / "chapters"
    return single.Links(FILE, place, book, frozenset({"run-abc"}))


TO = "../../../../html/chapters"
LED = {
    "{doc}`19-runs`": f'<a href="{TO}/19-runs.html">Cached runs</a>',
    "{doc}`all runs <19-runs>`": f'<a href="{TO}/19-runs.html">all runs</a>',
    "{doc}`../index`": '<a href="../../../../html/index.html">',
    "{doc}`04-worst-case`": "Worst-case robustness",  # not built
    "{doc}`references`": "{doc}`references`",  # a page of this build
    "{term}`networks <run>`": "networks",
    "{cite}`leavitt2020linking`": "{cite}`leavitt2020linking`",
    '<a href="19-runs.ipynb#run-abc">abc</a>': '<a href="#run-abc">abc</a>',
    '<a href="19-runs.ipynb#run-other">other</a>': f'<a href="{TO}/19-runs.html#run-other">other</a>',
    '<a class="x" href="05-gradients.ipynb#fig-a">a</a>': f'<a href="{TO}/05-gradients.html#fig-a">a</a>',
    '<a href="02-approach.ipynb#fig-b">b</a>': '<a href="#fig-b">b</a>',
    '<a href="04-worst-case.ipynb#fig-c"><b>c</b></a>': "<b>c</b>",
    '<a href="#fig-d">d</a>': '<a href="#fig-d">d</a>',
    '<a href="https://arxiv.org/a.html">e</a>': '<a href="https://arxiv.org/a.html">e</a>',
    '<a href="../../../index.html">all</a>': '<a href="../../../index.html">all</a>',  # out of the book
    "[here](05-gradients.ipynb#fig-a)": f'<a href="{TO}/05-gradients.html#fig-a">here</a>',
    "[there](04-worst-case.md)": "there",
    "[paper](https://arxiv.org/abs/1)": "[paper](https://arxiv.org/abs/1)",
}


@pytest.mark.parametrize("text", LED)
def test_links_lead_to_pages_that_are_there(text, links):
    assert links.outward(f"see {text}, too").startswith(f"see {LED[text]}")


def test_links_in_text_and_in_outputs_are_led_out(links):
    output = nbformat.v4.new_output("display_data", {"text/html": ['<a href="05-gradients', '.ipynb">a</a>']})
    code = nbformat.v4.new_code_cell("x = '{doc}`19-runs`'", outputs=[output])
    links.lead_out(code)
    assert output.data["text/html"] == f'<a href="{TO}/05-gradients.html">a</a>' and "{doc}" in code.source
    text = nbformat.v4.new_markdown_cell("{doc}`19-runs`")
    links.lead_out(text)
    assert TO in text.source


def test_runs_that_the_page_lists_are_found():
    cells = [
        nbformat.v4.new_markdown_cell('| <span id="run-0a1">`x`</span> |'),
        nbformat.v4.new_code_cell('id="run-9"'),
    ]
    assert single.listed(nbformat.v4.new_notebook(cells=cells)) == {"run-0a1"}


def test_settings_are_the_books_without_the_reference():
    text = (paths.ROOT / "_config.yml").read_text(encoding="utf-8")
    whole, found = yaml.safe_load(text), yaml.safe_load(single.settings(text))
    assert found["sphinx"]["extra_extensions"] == ["sphinx-mathjax-offline"]
    left = whole["sphinx"]["config"].keys() - found["sphinx"]["config"].keys()
    assert "templates_path" in left and all(name.startswith(("auto", "napoleon", "templ")) for name in left)
    assert {**found, "sphinx": 0} == {**whole, "sphinx": 0}
    assert yaml.safe_load(single.settings("title: t")) == {"title": "t", "sphinx": {"config": {}}}
