"""The reference pages: complete, in step with the code by construction, and with examples that work."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import typer
import yaml

from lib import chapters, measurements, notebooks, paths, reference, runs
from lib.__main__ import app
from lib.docstrings import markup

REFERENCE = paths.ROOT / "reference"
MODULES = [".".join(file.relative_to(paths.ROOT / "lib").with_suffix("").parts).removesuffix(".__init__") for file in (paths.ROOT / "lib").rglob("*.py")]
EXAMPLES = re.findall(r"```\{code-block\} python\n:caption: (.+?)\n(.*?)```", (REFERENCE / "adding.md").read_text(), re.DOTALL)


def contents() -> list[str]:
    """Every page that the book's contents name."""
    toc = yaml.safe_load((paths.ROOT / "_toc.yml").read_text())
    return [toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"])]


def test_every_module_is_on_one_page():
    listed = [module for _, _, modules in reference.AREAS.values() for module in modules]
    assert sorted(listed) == sorted(module for module in MODULES if module != "__init__")


def test_every_page_is_in_the_contents_once():
    pages = {name.removesuffix(".md") for name in reference.pages()} | {f"reference/{file.stem}" for file in REFERENCE.glob("*.md")}
    assert pages == {page for page in contents() if page.startswith("reference/")}
    assert len(set(contents())) == len(contents())


# ---- docstrings ------------------------------------------------------------------------------------------------------

DOCSTRING = """Length of *each* `unit`, a_b_.

More on it,
in two lines.
pixels (n, c) float
low, high  the bounds; of
           `both` a | b
raises     InputError for none

>>> f(2)
4
"""


def test_a_docstring_becomes_sentences_items_and_examples():
    assert markup(DOCSTRING.splitlines()) == [
        r"Length of \*each\* ``unit``, a\_b\_.", "",
        "More on it, in two lines.", "",
        "``pixels``", "    (n, c) float", "",
        "``low, high``", r"    the bounds; of ``both`` a \| b", "",
        "``raises``", "    InputError for none", "",
        ">>> f(2)", "4", "",
    ]  # fmt: skip
    assert markup(["Nothing (n, c) but", "a sentence (of two lines)."]) == ["Nothing (n, c) but a sentence (of two lines).", ""]
    assert markup(["A loss.", "", "labels (n,) int64", "returns (n,) float"])[2:] == ["``labels``", "    (n,) int64", "", "``returns``", "    (n,) float", ""]


# ---- the command line ------------------------------------------------------------------------------------------------


def test_the_command_line_is_all_there():
    page, top = reference.command_line(), typer.main.get_command(app)
    found = list(reference._commands(top, "python -m lib"))
    assert len(found) >= 10 and re.findall(r"^## `(python .+)`$", page, re.MULTILINE) == [words for words, _ in found]
    for words, command in found:
        section = page.split(f"## `{words}`\n")[1].split("\n## ")[0]
        assert reference._said(command.help) in section
        for one in command.params:
            assert reference._cell(reference._said(one.help)) in section
            assert one.param_type_name == "argument" or all(f"`{option}" in section or f", {option}" in section for option in one.opts)
    assert "several times: `--alpha=-0.7` |" in page and "COMMAND `--help` says" in page
    assert "| `--recipe` | `fast` |" in page and "| `FILE` | required |" in page and "| `make book` |" in page


# ---- files of a run --------------------------------------------------------------------------------------------------


def test_fields_are_those_of_the_cached_runs():
    found, entries = set(), set()
    for file in (paths.ROOT / "runs").glob(f"*/*/{runs.CONFIG}"):
        found |= set(reference.fields(json.loads(file.read_text())))
        entries |= {name for entry in json.loads(file.with_name("manifest.json").read_text())["files"].values() for name in entry}
    assert found == set(reference.CONFIG_FIELDS) and entries == set(reference.ENTRY_FIELDS)


def test_tables_are_described_with_their_columns():
    page = reference.run_files()
    assert re.findall(r"^### (.+)$", page, re.MULTILINE) == [runs.HISTORY, *measurements.MEASUREMENTS]
    assert re.search(r"`layer` text, .*`selectivity` float32, `dead` bool, ", page.split("### selectivity\n")[1].split("###")[0])
    assert all(f"`{name}`" in page for name in reference.CONFIG_FIELDS)


def test_an_empty_store_has_a_page_too(empty_store):
    page = reference.run_files()
    assert page.count("*No run has this table yet.*") == 1 + len(measurements.MEASUREMENTS)


# ---- how to add something --------------------------------------------------------------------------------------------


def added(heading: str) -> dict[str, str]:
    """{file, or "try it": code} of the examples under a heading of the page."""
    section = re.split(r"^## ", (REFERENCE / "adding.md").read_text(), flags=re.MULTILINE)
    text = next(part for part in section if part.startswith(heading))
    return {caption: code for caption, code in EXAMPLES if code in text}


@pytest.mark.parametrize("heading", ["A chapter", "An attack", "A corruption", "A data set"])
def test_two_files_are_named_and_are_there(heading):
    text = (REFERENCE / "adding.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    named = re.findall(r"^\| `(.+?)` \|", text, re.MULTILINE)
    assert len(named) == 2 and all((paths.ROOT / name).is_file() or "NN" in name for name in named)
    assert [caption for caption in added(heading) if "/" in caption and "99" not in caption] in (named, [])


@pytest.mark.parametrize("heading", ["An attack", "A corruption", "A data set"])
def test_the_examples_work(heading, tmp_path):
    shutil.copytree(paths.ROOT / "lib", tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    examples = added(heading)
    trial = examples.pop("try it")
    for file, code in examples.items():
        with (tmp_path / file).open("a") as out:
            out.write(f"\n\n{code}")
    (tmp_path / "data" / "shapes").mkdir(parents=True)
    for split in ("train", "test"):
        np.savez(tmp_path / "data" / "shapes" / f"{split}.npz", pixels=np.zeros((4, 3, 32, 32), "uint8"), labels=np.arange(4) % 2)
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "DATA_DIR": str(tmp_path / "data"), "LIB_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-W", "error", "-c", trial], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_example_of_a_chapter_runs(tmp_path, monkeypatch):
    ((file, source),) = added("A chapter").items()
    (tmp_path / "chapters").mkdir()
    (tmp_path / file).write_text(source)
    monkeypatch.setattr(notebooks, "sources", lambda: {"99-best": tmp_path / file})
    notebook = notebooks.execute("best", {"dataset": "digits", "alphas": [0.0, 2.0], "seeds": [0]}, frozen=True)
    assert any(output.get("metadata", {}).get("scrapbook", {}).get("name") == "best" for cell in notebook.cells for output in cell.get("outputs", []))
    with pytest.raises(chapters.InputError, match="unknown parameter 'alpah'"):
        notebooks.execute("best", {"alpah": 1})
