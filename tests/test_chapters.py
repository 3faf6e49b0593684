"""Chapters and the book: in step with their sources, equal byte for byte, and closed to everything that is wrong."""

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest

from lib import book, chapters, paths
from lib.errors import InputError

NAMES = list(chapters.sources())
PUBLISHED = {name: nbformat.read(chapters.published(name), as_version=4) for name in NAMES}
FIGURES = [(name, cell) for name, notebook in PUBLISHED.items() for cell in notebook.cells if "figure" in cell.metadata.get("mystnb", {})]


def test_the_chapters_are_there():
    assert NAMES == ["index", "01-introduction", "02-approach", "03-runs"]
    assert len(FIGURES) >= 6


@pytest.mark.parametrize("name", NAMES)
def test_published_notebook_is_made_from_its_source(name):
    source, notebook = chapters.read(name), PUBLISHED[name]
    wanted = [(cell.id, cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in source.cells]
    found = [(cell.id, cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]
    assert found == wanted, "run: python -m lib chapters"


def test_executed_again_they_are_equal_byte_for_byte():
    for name, notebook in chapters.execute_all(NAMES, frozen=True).items():
        assert chapters.text(notebook) == chapters.published(name).read_text(), f"{name}: run python -m lib chapters"


@pytest.mark.parametrize("name", NAMES)
def test_every_chapter_takes_the_common_parameters_typed_and_commented(name):
    assert {"dataset", "model", "alphas", "seeds", "recipe"} <= set(chapters.declared(name))
    cell = next(cell for cell in chapters.read(name).cells if "parameters" in cell.metadata.get("tags", []))
    assert all(re.match(r"\w+: .+ = .+  # .+", line) for line in cell.source.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_no_stored_error_no_stderr_and_short_cells(name):
    assert book.stored_errors(PUBLISHED[name]) == []
    for cell in PUBLISHED[name].cells:
        assert cell.cell_type != "code" or len(cell.source.splitlines()) <= 30
        assert not [output for output in cell.get("outputs", []) if output.get("name") == "stderr"]


@pytest.mark.parametrize(("name", "cell"), FIGURES, ids=[cell.metadata.mystnb.figure.name for _, cell in FIGURES])
def test_figures_are_described(name, cell):
    alt, figure = cell.metadata.mystnb.image.alt, cell.metadata.mystnb.figure
    assert alt.endswith(".") and len(alt.split()) >= 10 and ".svg" not in alt and "nan" not in alt
    assert re.search(r"seed|networks", figure.caption)
    bundles = [output.data for output in cell.outputs if output.output_type == "display_data"]
    assert any("image/svg+xml" in data and "application/pdf" in data for data in bundles)


@pytest.mark.parametrize("name", NAMES)
def test_no_typed_results_in_prose(name):
    """A number beside %, accuracy or selectivity in a chapter's text must be glued. Definitions and published values live in code."""
    for cell in PUBLISHED[name].cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"\$[^$]*\$|\{glue:text\}`[^`]*`|```.*?```", "", cell.source, flags=re.DOTALL)
            assert not re.search(r"\d+(\.\d+)?\s*(%|percent|points)|(accuracy|selectivity|index) (of|is|at) \d*\.\d+", text)


# ---- parameters ------------------------------------------------------------------------------------------------------

GOOD = {"dataset": "digits", "model": "usual", "alphas": [-1, 0.0], "seeds": [0], "recipe": "fast"}
BAD = {
    "typo": ({"alpah": 1}, "unknown parameter 'alpah'; this chapter takes alphas, dataset, model, recipe, seeds"),
    "text for a list": ({"alphas": "[-1.0, 0.0]"}, "papermill passes lists with -y 'alphas: [...]'"),
    "one number": ({"alphas": 0.5}, "must be a list"),
    "empty": ({"alphas": []}, "must be a list"),
    "yaml's 1e-3": ({"alphas": ["1e-3x"]}, "'1e-3x'"),
    "nan": ({"alphas": [float("nan")]}, "nan"),
    "bool": ({"alphas": [True]}, "True"),
    "half a seed": ({"seeds": [0.5]}, "whole numbers, got 0.5"),
    "negative seed": ({"seeds": [-1]}, "-1"),
    "data set": ({"dataset": "mnist"}, "unknown data set 'mnist'"),
    "data set's type": ({"dataset": 3}, "'dataset' must be a name, got 3"),
    "model": ({"model": "vgg"}, "unknown model 'vgg'"),
    "fit": ({"model": "resnet18"}, "fitting models: resnet8, resnet20"),
    "recipe": ({"recipe": "slow"}, "unknown recipe 'slow'"),
}


def test_parameters_are_cast_and_the_usual_model_is_filled_in():
    here = chapters.parameters(GOOD | {"__annotations__": dict.fromkeys(GOOD, str), "chapters": chapters, "_": 1, "alphas": [0, -1, "-1"]})
    assert (here.model, here.alphas, here.seeds) == ("resnet8", (0.0, -1.0), (0,))
    assert [training.alpha for training in here.trainings] == [-1.0, 0.0]


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters_name_the_value(case):
    given, message = BAD[case]
    with pytest.raises(InputError, match=re.escape(message)):
        chapters.parameters(GOOD | {"__annotations__": dict.fromkeys(GOOD, str)} | given)


def test_execute_refuses_an_unknown_parameter_before_it_starts():
    with pytest.raises(InputError, match="unknown parameter 'alpah'; chapter '02-approach' takes alphas"):
        chapters.execute("approach", {"alpah": 1})
    with pytest.raises(InputError, match="unknown chapter 'aproach'; known: 01-introduction"):
        chapters.execute("aproach")


def test_plain_papermill_fails_on_a_mistyped_parameter(tmp_path):
    papermill = Path(sysconfig.get_path("scripts"), "papermill")
    command = [papermill, chapters.published("index"), tmp_path / "out.ipynb", "-p", "alpah", "1", "--no-progress-bar"]
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode != 0
    assert "unknown parameter 'alpah'" in done.stderr


# ---- the build fails closed ------------------------------------------------------------------------------------------


@pytest.fixture
def little_book(tmp_path, monkeypatch):
    """A book of one page, whose source the test writes."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "CHAPTERS", tmp_path / "chapters")
    monkeypatch.setattr(paths, "BUILD", tmp_path / "_build")
    (tmp_path / "chapters").mkdir()
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    config = {"title": "t", "only_build_toc_files": True, "execute": {"execute_notebooks": "off", "stderr_output": "remove-warn"}}
    (tmp_path / "_config.yml").write_text(json.dumps(config))

    def build(source):
        (tmp_path / "chapters" / "index.py").write_text(f"# %% [markdown]\n# # A page\n\n# %%\n{source}\n")
        return book.build(tmp_path / "_build")

    return build


WRONG = {
    "a cell that raises": ("1 / 0", r"chapters/index.py, cell 1: ZeroDivisionError: division by zero"),
    "a missing glue key": ("x = 1\n\n# %% [markdown]\n# {glue:text}`nokey`", "nokey"),
    "a broken reference": ("x = 1\n\n# %% [markdown]\n# {ref}`nowhere`", "nowhere"),
    "stderr": ("import warnings\n\nwarnings.warn('watch out')", "stderr"),
}


@pytest.mark.parametrize("case", WRONG)
def test_build_fails_with_one_line_and_again(case, little_book):
    source, message = WRONG[case]
    for _ in range(2):  # a second build over the first must not forget
        with pytest.raises(InputError, match=message) as failed:
            little_book(source)
        assert "\n" not in str(failed.value)


def test_a_right_page_builds(little_book):
    html = (little_book("print(6 * 7)") / "index.html").read_text()
    assert "42" in html
