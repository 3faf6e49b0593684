"""Alphas that a reader adds: found, and told from the chapter's own in figures."""

from itertools import combinations

import nbformat
import numpy as np
import pytest
from matplotlib.colors import to_hex

from lib.book import grid, names, notebooks, own
from lib.book.figures import canvas, colours, curves, keys

BOOK = [-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0]


@pytest.fixture(autouse=True)
def nothing_asked():
    own.ask([])
    yield
    own.ask([])


@pytest.mark.parametrize("name", [name for name in names.sources() if "alphas" in notebooks.declared(name)])
def test_what_is_added_to_a_chapter_is_found(name):
    cells = [cell.source for cell in notebooks.read(name).cells if cell.cell_type == "code"]
    default = next(filter(None, map(own._default, cells)))
    assert own.added(cells, default) == [] and own.added(cells, [*default, 0.7, 0.1]) == [0.1, 0.7]


@pytest.mark.parametrize(
    "cell", ["", "%time\nalphas: list = [1]", "alphas: list[float] = other()", "alphas = [1.0]"]
)
def test_without_a_default_none_is_an_own_one(cell):
    assert own.added([cell], [0.7]) == []


def test_one_has_a_colour_that_no_other_has():
    others = [colours.alpha_colour(alpha) for alpha in (*BOOK, 0.7, 0.1)]
    others += [(*colours.variant_colour(name), 1) for name in grid.VARIANTS]
    own.ask([0.7])
    mine = colours.alpha_colour(0.7)
    assert own.is_own(0.7) and not own.is_own(0.4) and own.colour(0.4) is None
    assert min(np.abs(np.subtract(mine, other)).max() for other in others) > 0.15
    assert [colours.alpha_colour(alpha) for alpha in BOOK] == others[: len(BOOK)]


def test_several_are_told_apart():
    own.ask([0.1, 0.2, 0.7])
    shades = [colours.alpha_colour(alpha) for alpha in (0.1, 0.2, 0.7)]
    assert all(np.abs(np.subtract(one, other)).max() > 0.15 for one, other in combinations(shades, 2))


def test_their_curves_stand_out():
    own.ask([0.7])
    assert curves.emphasised([*BOOK, 0.7]) == {min(BOOK), 0.0, 0.7, max(BOOK)}


def test_their_labels_are_bold():
    own.ask([0.7])
    figure, (axes,) = canvas.canvas()
    curves.alpha_axis(axes, [*BOOK, 0.7])
    keys.alpha_key(figure, [*BOOK, 0.7])
    for labels in (axes.get_xticklabels(), figure.legends[0].get_texts()):
        assert [label.get_text() for label in labels if label.get_fontweight() == "bold"] == ["0.7"]
        assert to_hex(labels[BOOK.index(1.0)].get_color()) == to_hex(own.colour(0.7))


@pytest.mark.slow
def test_a_chapter_with_an_alpha_more_draws_it_in_its_own_colour(store_dir, trainings, monkeypatch):
    """From the injected parameters to the figure, as papermill runs a chapter."""
    alphas = sorted({one.alpha for one in trainings})
    source = nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_code_cell('alphas: list[float] = [0.0]\ndataset: str = "digits"\nmodel: str = "usual"\n'
                                  'seeds: list[int] = [0]\nrecipe: str = "fast"', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("from lib.book import chapter, own\nhere = chapter.parameters(globals())"),
        nbformat.v4.new_code_cell("print([a for a in here.alphas if own.is_own(a)])"),
    ])  # fmt: skip
    source.metadata["kernelspec"] = notebooks.KERNEL
    monkeypatch.setattr(notebooks, "read", lambda name: source)
    executed = notebooks.execute("approach", {"alphas": alphas}, frozen=True)
    assert executed.cells[-1].outputs[0].text == f"{[one for one in alphas if one]}\n"
