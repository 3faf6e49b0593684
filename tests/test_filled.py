"""Numbers in the text of executed chapters."""

import subprocess
import sysconfig
from pathlib import Path

import nbformat
import pytest

from lib.base import paths
from lib.base.errors import InputError
from lib.book import filled, notebooks


def notebook(*texts, **values):
    """A notebook of texts, and one code cell that has glued some values."""
    outputs = [
        nbformat.v4.new_output(
            "display_data",
            {"application/papermill.record/text/plain": repr(value)},
            metadata={"scrapbook": {"name": key, "mime_prefix": "application/papermill.record/"}},
        )
        for key, value in values.items()
    ]
    cells = [nbformat.v4.new_markdown_cell(text, id=f"m-{number}") for number, text in enumerate(texts)]
    return nbformat.v4.new_notebook(
        cells=[*cells, nbformat.v4.new_code_cell("pass", outputs=outputs, id="code")]
    )


def test_values_take_the_place_of_their_keys():
    made = filled.filled(
        notebook("accuracy is {glue:text}`a` %, then {glue:text}`b-2`", a="88.4", **{"b-2": "n/a"})
    )
    assert made.cells[0].source == "accuracy is 88.4 %, then n/a"


def test_words_are_no_markdown_and_markdown_is():
    text = "*a_b* <b> [x](y) | $1$ `c`"
    made = filled.filled(notebook("{glue:text}`a`", "{glue:md}`a`", a=text))
    assert made.cells[0].source == r"\*a\_b\* \<b\> \[x\](y) \| \$1\$ \`c\`"
    assert made.cells[1].source == text


def test_signs_have_words():
    made = filled.filled(notebook("It is the step of the paper {glue:md}`recalled`."))
    assert made.cells[0].source.count("<abbr") == 1 and "not vouched for" in made.cells[0].source


@pytest.mark.parametrize("kind", ["text", "md"])
def test_a_key_without_a_value_is_named(kind):
    with pytest.raises(InputError, match="nokey"):
        filled.filled(notebook(f"{{glue:{kind}}}`nokey`"))


def test_a_key_with_two_values_is_named():
    one, other = notebook("", a="1"), notebook("", a="2")
    one.cells.append(other.cells[-1])
    with pytest.raises(InputError, match="'a': '1' and '2'"):
        filled.filled(one)


def test_numbers_of_another_execution_are_written(tmp_path):
    """As after papermill: outputs are new, the text is old."""
    made = nbformat.read(
        notebooks.published("approach" if "approach" in notebooks.sources() else "02-approach"), 4
    )
    changed = next(iter(sorted(filled.glued(made))))
    for cell in made.cells:
        for output in cell.get("outputs", []):
            if output.get("metadata", {}).get("scrapbook", {}).get("name") == changed:
                output.data["application/papermill.record/text/plain"] = repr("a value of another run")
    file = tmp_path / "out.ipynb"
    nbformat.write(made, file)
    assert notebooks.write_numbers(file) == "02-approach"
    text = " ".join(cell.source for cell in nbformat.read(file, 4).cells if cell.cell_type == "markdown")
    assert ("a value of another run" in text) == any(
        f"`{changed}`" in cell.source for cell in notebooks.read("02-approach").cells
    )


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{}", b"[1]", b'{"nbformat": 4, "cells": []}'])
def test_what_is_no_notebook_is_refused_and_left(tmp_path, content):
    file = tmp_path / "out.ipynb"
    file.write_bytes(content)
    with pytest.raises(InputError, match="out.ipynb"):
        notebooks.write_numbers(file)
    assert file.read_bytes() == content


def test_an_unexecuted_chapter_is_refused(tmp_path):
    file = tmp_path / "out.ipynb"
    nbformat.write(notebooks.read("02-approach"), file)
    before = file.read_bytes()
    with pytest.raises(InputError, match="run all its cells first"):
        notebooks.write_numbers(file)
    assert file.read_bytes() == before and paths.ROOT not in file.parents


@pytest.mark.slow
def test_plain_papermill_says_whose_numbers_the_sentences_are_and_they_can_be_renewed(tmp_path):
    out = tmp_path / "out.ipynb"
    given = ["-p", "dataset", "digits", "-y", "alphas: [-2.0, 0.0]", "-y", "seeds: [0]"]
    papermill = Path(sysconfig.get_path("scripts"), "papermill")
    command = [papermill, notebooks.published("02-approach"), out, *given]
    subprocess.run(command, check=True, capture_output=True, cwd=paths.ROOT)
    made = nbformat.read(out, 4)
    said = [
        output.data.get("text/markdown", "")
        for cell in made.cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    assert any("those of the published chapter" in text and "python -m lib numbers" in text for text in said)
    assert "resnet20 on cifar10" in made.cells[4].source + made.cells[5].source  # the published one's
    assert notebooks.write_numbers(out) == "02-approach"
    text = " ".join(cell.source for cell in nbformat.read(out, 4).cells if cell.cell_type == "markdown")
    assert "2 networks (resnet8 on digits" in text and "cifar10" not in text
