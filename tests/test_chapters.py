"""Chapters and the book: in step with their sources, equal byte for byte, and closed to everything that is
wrong.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
from warm import BOOK, server
from warm import run as run_warm

from lib import runs
from lib.base import paths
from lib.base.errors import InputError
from lib.book import (
    builder,
    chapter,
    filled,
    grid,
    notebooks,
    page_source,
    prose,
    single,
    site,
    sources,
    tables,
)
from lib.runs.tables import at_hand

NAMES = list(notebooks.sources())
PUBLISHED = {
    name: nbformat.read(notebooks.published(name), as_version=4)
    for name in NAMES
    if notebooks.published(name).exists()
}
FIGURES = [
    (name, cell)
    for name, notebook in PUBLISHED.items()
    for cell in notebook.cells
    if "figure" in cell.metadata.get("mystnb", {})
]


def test_the_chapters_are_there():
    assert NAMES[0] == "index" and {"01-introduction", "02-approach", "19-runs", "11-other-way-round"} <= set(
        NAMES
    )
    assert len(FIGURES) >= 6


@pytest.mark.parametrize("name", NAMES)
def test_every_chapter_is_published_and_in_the_contents(name):
    assert name in PUBLISHED, "run: python -m lib chapters"
    assert name in (paths.ROOT / "_toc.yml").read_text()


def test_files_are_numbered_in_the_order_of_the_contents():
    listed = re.findall(r"file: chapters/((\d+)-[\w-]+)", (paths.ROOT / "_toc.yml").read_text())
    assert [name for name, _ in listed] == NAMES[1:]
    assert [int(number) for _, number in listed] == list(range(1, len(listed) + 1))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_notebook_is_made_from_its_source(name):
    """And its text holds the numbers that its own cells have glued."""
    source, notebook = notebooks.read(name), PUBLISHED[name]
    values = filled.glued(notebook)
    wanted = [
        (
            cell.id,
            cell.cell_type,
            filled.text(cell.source, values) if cell.cell_type == "markdown" else cell.source,
            cell.metadata.get("tags", []),
        )
        for cell in source.cells
    ]
    found = [(cell.id, cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]
    assert found == wanted, "run: python -m lib chapters"


def test_executed_again_they_are_equal_byte_for_byte(built):
    """Building the book executes every chapter, and what it was built from is kept beside it."""
    for name, notebook in PUBLISHED.items():
        file, advice = notebooks.published(name), f"{name}: run python -m lib chapters"
        assert file.read_text(encoding="utf-8") == notebooks.text(notebook), advice
        executed = built / "book" / file.relative_to(paths.ROOT)
        assert executed.read_text(encoding="utf-8") == page_source.text(notebook), advice


@pytest.mark.parametrize("name", NAMES)
def test_every_chapter_takes_the_common_parameters_typed_and_commented(name):
    of_networks, of_a_simulation = {"dataset", "model", "alphas", "seeds", "recipe"}, {"seeds"}
    wanted = (
        of_a_simulation if "chapter.simulation(" in notebooks.sources()[name].read_text() else of_networks
    )
    assert wanted <= set(notebooks.declared(name))
    cell = next(cell for cell in notebooks.read(name).cells if "parameters" in cell.metadata.get("tags", []))
    one_a_line = re.sub(r"\[\n\s+|,\n\s*(?=\])|(?<=,)\n\s+", "", cell.source)  # a list may take several
    assert all(re.match(r"\w+: .+ = .+  # .+", line) for line in one_a_line.splitlines())


@pytest.mark.parametrize("name", PUBLISHED)
def test_no_stored_error_no_stderr_and_short_cells(name):
    assert page_source.stored_errors(PUBLISHED[name]) == []
    for cell in PUBLISHED[name].cells:
        assert cell.cell_type != "code" or len(cell.source.splitlines()) <= 30
        assert not [output for output in cell.get("outputs", []) if output.get("name") == "stderr"]


@pytest.mark.parametrize("name", NAMES)
def test_code_fits_its_column(name):
    """A line of more than 88 characters would be cut off on the page."""
    code = [cell.source for cell in notebooks.read(name).cells if cell.cell_type == "code"]
    assert code and [line for line in "\n".join(code).splitlines() if len(line) > 88] == []


def test_one_link_for_code_that_shows_nothing_by_itself():
    """Cells that only compute or glue are behind the link of the cell beside them."""

    def code(source, *outputs, tags=("hide-input",), **metadata):
        made = nbformat.v4.new_code_cell(source, outputs=list(outputs))
        made.metadata = nbformat.from_dict({"tags": list(tags)} | metadata)
        return made

    glued = nbformat.v4.new_output("display_data", {filled.RECORDS + "text/plain": "'1'"})
    seen = nbformat.v4.new_output("display_data", {"text/html": "<svg/>"})
    figure = {"mystnb": {"figure": {"name": "fig-a"}}}
    text, more = (nbformat.v4.new_markdown_cell(words) for words in ("words", "more words"))
    cells = [
        code("a = 1"), code("b = 2", seen, **figure), code("c = 3", glued), code("d = 4", seen),
        text, code("e = 5", glued), code("f = 6", seen, fold="More"),
        more, code("g = 7", seen, tags=["remove-input"]), code("h = 8", glued),
    ]  # fmt: skip
    ids = [cell.id for cell in cells]
    found = json.loads(page_source.text(nbformat.v4.new_notebook(cells=cells)))["cells"]
    sources = ["".join(cell["source"]) for cell in found]
    joined = ["a = 1\n\nb = 2\n\nc = 3", "d = 4", "words", "e = 5\n\nf = 6", "more words", "g = 7", "h = 8"]
    assert sources == joined
    assert found[0]["metadata"]["mystnb"] == figure["mystnb"] and found[0]["id"] == ids[1]
    assert len(found[0]["outputs"]) == 2
    assert found[3]["metadata"]["tags"] == ["hide-cell"]
    assert found[3]["metadata"]["mystnb"]["code_prompt_show"] == "More"
    assert found[6]["metadata"]["tags"] == ["remove-input"]  # nothing to look for below a link
    assert cells[-1].metadata.tags == ["hide-input"]


@pytest.mark.parametrize(
    ("name", "cell"), FIGURES, ids=[cell.metadata.mystnb.figure.name for _, cell in FIGURES]
)
def test_figures_are_described(name, cell):
    alt, figure = cell.metadata.mystnb.image.alt, cell.metadata.mystnb.figure
    assert alt.endswith(".") and len(alt.split()) >= 10 and ".svg" not in alt and "nan" not in alt
    assert re.search(r"seed|networks|pairs", figure.caption)
    bundles = [output.data for output in cell.outputs if output.output_type == "display_data"]
    assert any("image/svg+xml" in data and "application/pdf" in data for data in bundles)
    made = [data["text/html"] for data in bundles if sources.MARK in data.get("text/html", "")]
    assert len(made) == 1 and f"({figure.name})</summary>" in made[0], "run: python -m lib chapters"


def test_every_run_that_a_figure_names_is_in_the_list_of_runs():
    listed = set(re.findall(r'id=\\"run-(\w+)\\"', notebooks.published("19-runs").read_text()))
    for name, notebook in PUBLISHED.items():
        assert set(re.findall(r"19-runs\.ipynb#run-(\w+)", notebooks.text(notebook))) <= listed, name


# ---- no number is typed ------------------------------------------------------------------------------------

# Numbers in text that no run can change, by chapter: definitions, settings of the paper, and what is said of
# other work. 0 and 1 need no entry: they bound pixels and the index, and α = 0 is plain cross-entropy. An
# entry that its chapter does not use any more is an error too.
DEFINED = {
    "02-approach": {"20 seeds": "of the published curve", "(95 %, t)": "the kind of interval", "95 % t": "the kind of interval"},
    "03-average-case": {
        "severity 3": "which images are shown", "(95 %, t)": "the kind of interval", "95 % t": "the kind of interval",
    },
    "04-worst-case": {"95 % t": "the kind of interval"},
    "05-gradients": {"95 % t": "the kind of interval"},
    "06-dimensionality": {
        "95 % t": "the kind of interval", "95 %": "the share of variance that defines the measure",
        "With 90 % and 99 %": "the other shares", "first 9/17": "the definition of early",
        "ResNet18's 17 layers": "another network's", "up to the 9th": "what the paper is recalled to say",
    },
    "07-discussion": {
        "95 %": "the kind of interval", "20 seeds": "the paper's",
    },
    "11-other-way-round": {"(95 %, t)": "the kind of interval"},
    "12-corruptions": {
        "first 32 test images": "the reference kept in the "
            "tests", "mean over 20 of its seeds": "the reference kept in the tests",
        "severity 3": "a quirk of the original", "OpenCV 4": "a version", "OpenCV 5": "a version",
    },
    "13-digits": {"steps of 1/255": "of the curve on digits"},
    "20-speed": {"A ratio of 2": "explains a ratio", "(target: 8)": "a target", "23 α, 20 seeds and 200 epochs": "the paper's study, as assumed"},
    "18-rerun": {"α = 0.7": "of the command below it"},
    "10-explorer": {"95 %": "the share of variance that defines the measure"},
    "17-certified": {

        "radius 8/255": "the code's",
        "radius 2/255": "our choice",
        "below three points": "what a thousand images can tell",
    },
    "16-class-by-class": {"intervals 95 %, t": "the kind of interval", "95 % intervals over seeds": "the kind of interval", "below half a percent": "where cells stay empty"},
    "14-purification-theorem": {
        "A seed of d = 100 not": "a size", "one of d = 64": "a size", "one of d = 256": "a size",
        "bounds of 0.2 and 0.8": "the paper's", "the paper's 0.2 for": "the paper's", "at most 0.2": "the paper's", "at least 0.8": "the paper's",
        "Nor is 0.8": "the paper's", "0.7 to 0.8": "the paper's", "with 20 of them": "a rank that defines the table", "the 20 strongest directions": "a rank that defines the table",
        "differ from d = 100, 200 neurons, τ = 0.15": "the defaults", "95 %": "the width of intervals",
    },
    "15-purification-images": {
        "the paper's 0.2 and 0.8": "the paper's", "0.7 to 0.8, below the 0.8": "the paper's", "one and a half points": "how well a figure was read off",
        "from the 17th layer": "a place in the paper's network", "55 to 85 %": "the paper's", ".8 to .9": "the paper's",
        "20 to 45 %": "the paper's", ".9 to 1": "the paper's", "over .4 to 1": "the paper's",
        "from 4.05 % of coefficients down to 0.44 %": "the paper's",
        "PGD of 10 steps at 8/255": "defines the measurement", "95 %": "a share of variance, and the width of intervals",
    },
}  # fmt: skip
NUMBER = re.compile(r"(?<![\w./-])[−+-]?\d+(?:[.,/]\d+)*(?:e-?\d+)?(?!\w)")
_COUNT = """two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand half
third quarter once twice thrice double"""
_COMPARED = (
    r"percent|per cent|%|points?\b|times (?:as|more|less|higher|lower)|as "
    r"(?:high|low|many|much|large|small|robust|accurate)"
)
WORDED = re.compile(rf"\b(?:{'|'.join(_COUNT.split())})\b[\w -]{{0,12}}?(?:{_COMPARED})")
NOT_PROSE = re.compile(
    r"```.*?```|\$\$.*?\$\$|\$[^$]*\$|\{[\w:]+\}`[^`]*`|`[^`]*`|\]\([^)]*\)|\bfigures? \d+[a-z]?(?: "
    r"and \d+[a-z]?)?",
    re.DOTALL,
)


def typed(text: str, defined: dict[str, str]) -> list[str]:
    """The numbers in a text, in digits or in words of comparison, that are neither glued nor defined."""
    text = NOT_PROSE.sub(" ", text)
    for phrase in defined:
        text = re.sub(re.escape(phrase).replace("\\ ", r"\s+"), " ", text)
    return [number for number in NUMBER.findall(text) if number not in ("0", "1")] + [
        " ".join(words.split()) for words in WORDED.findall(text)
    ]


def words(node: ast.expr) -> str:
    """The text of a string in code, with X where a value is put in."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(words(part) for part in parts)
        case ast.BinOp(left=left, right=right):
            return words(left) + words(right)
    return "X"


def texts(name: str) -> dict[str, str]:
    """All that a chapter says: {where: text} of its prose, and of what its code hands to figures and to
    glue.
    """
    found = {}
    for cell in notebooks.read(name).cells:
        if cell.cell_type == "markdown":
            found[cell.id] = cell.source
            continue
        for call in (node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) == "glue" and len(call.args) > 1:
                found[f"{cell.id}, glue {words(call.args[0])}"] = words(call.args[1])
            for keyword in call.keywords:
                if ast.unparse(call.func) == "figures.show" and keyword.arg in ("alt", "caption"):
                    found[f"{cell.id}, {keyword.arg}"] = words(keyword.value)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_no_number_in_text_is_typed(name):
    """Numbers in prose are glued, those in captions, alt texts and glued text put in by code; what stands
    there in digits is defined above, with a reason.
    """
    defined = DEFINED.get(name, {})
    found = {place: numbers for place, text in texts(name).items() if (numbers := typed(text, defined))}
    assert found == {}, "glue it, or say in DEFINED why no run can change it"
    everything = " ".join(" ".join(texts(name).values()).split())
    assert [phrase for phrase in defined if phrase not in everything] == [], "not used any more"


RESULTS = [
    "accuracy is 88.5 %", "it falls to 0.35", "by 12 points", "of 14 networks", "α = −0.4 wins", "about 3e-4", "rises 1.5-fold from 2", "1,000 images", "5/21",
    "by two points", "twice as robust", "half a percent", "three times as many", "ninety percent",
]  # fmt: skip
WORDS = [
    "LM-1 and ResNet18 on CIFAR-10", "α = 0, pixels in [0, 1]", "{glue:text}`x` % of {glue:text}`y-2` "
        "units", "$10^{-6}$ and $$x = 3$$", "`a[2]`",
    "its figure 2b", "[text](https://arxiv.org/abs/1912.02781)", "two kinds of robustness", "one of the two", "{cite}`madry2018towards`", "figures 2a and 2b",
]  # fmt: skip


def test_typed_results_are_found_and_words_are_not():
    assert [text for text in RESULTS if not typed(text, {})] == []
    assert [(text, typed(text, {})) for text in WORDS if typed(text, {})] == []
    assert typed("steps\nof 1/255, and 2/255", {"steps of 1/255": "defined"}) == ["2/255"]
    assert words(ast.parse('f"a {x:.2f} 3" + "b"', mode="eval").body) == "a X 3b"


# ---- parameters --------------------------------------------------------------------------------------------

GOOD = {"dataset": "digits", "model": "usual", "alphas": [-1, 0.0], "seeds": [0], "recipe": "fast"}
BAD = {
    "typo": (
        {"alpah": 1},
        "unknown parameter 'alpah'; this chapter takes alphas, dataset, model, recipe, seeds",
    ),
    "text for a list": ({"alphas": "[-1.0, 0.0]"}, "papermill passes lists with -y 'alphas: [...]'"),
    "one number": ({"alphas": 0.5}, "must be a list"),
    "empty": ({"alphas": []}, "must be a list"),
    "yaml's 1e-3": ({"alphas": ["1e-3x"]}, "'1e-3x'"),
    "nan": ({"alphas": [float("nan")]}, "nan"),
    "bool": ({"alphas": [True]}, "True"),
    "half a seed": ({"seeds": [0.5]}, "whole numbers, got 0.5"),
    "a number of 400 digits": ({"seeds": [10**400]}, f"whole numbers below {2**53}, got 1000000"),
    "one of 5,000": ({"seeds": [10**5000]}, f"whole numbers below {2**53}, got a number too long"),
    "alpha of 400 digits": ({"alphas": [10**400]}, "must hold numbers, got 1000000"),
    "another script's digits": ({"alphas": ["１"]}, "must hold numbers, got"),
    "an underscore": ({"alphas": ["1_0"]}, "must hold numbers, got '1_0'"),
    "negative seed": ({"seeds": [-1]}, "-1"),
    "data set": ({"dataset": "mnist"}, "unknown data set 'mnist'"),
    "data set's type": ({"dataset": 3}, "'dataset' must be a name, got 3"),
    "model": ({"model": "vgg"}, "unknown model 'vgg'"),
    "fit": ({"model": "resnet18"}, "fitting models: resnet8, resnet20"),
    "recipe": ({"recipe": "slow"}, "unknown recipe 'slow'"),
}


def test_parameters_are_cast_and_the_usual_model_is_filled_in():
    here = chapter.parameters(
        GOOD
        | {"__annotations__": dict.fromkeys(GOOD, str), "chapters": chapter, "_": 1, "alphas": [0, -1, "-1"]}
    )
    assert (here.model, here.alphas, here.seeds) == ("resnet8", (0.0, -1.0), (0,))
    assert [training.alpha for training in here.trainings] == [-1.0, 0.0]


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters_name_the_value(case):
    given, message = BAD[case]
    with pytest.raises(InputError, match=re.escape(message)):
        chapter.parameters(GOOD | {"__annotations__": dict.fromkeys(GOOD, str)} | given)


VARIED = GOOD | {"alphas": [0.0], "epochs": 0, "variants": list(grid.VARIANTS)}
BAD_VARIED = {
    "a typo": ({"variants": ["plain", "augmx"]}, "unknown variant 'augmx'; known: plain, augmix, pgd-K"),
    "no number": ({"variants": ["plain", "pgd"]}, "unknown variant 'pgd'"),
    "text for a list": ({"variants": "[plain, augmix]"}, "with papermill: -y 'variants: [plain, pgd-4]'"),
    "numbers": ({"variants": ["plain", 4]}, "must be a list such as ['plain', 'pgd-4'], got ['plain', 4]"),
    "nothing to compare with": (
        {"variants": ["augmix"]},
        "must hold 'plain', which the others are compared with, got ['augmix']",
    ),
    "negative": (
        {"epochs": -1},
        "'epochs' must be a whole number, or 0 for the chapter's own choice, got -1",
    ),
    "half": ({"epochs": 0.5}, "got 0.5"),
    "bool": ({"epochs": True}, "got True"),
    "text": ({"epochs": "8"}, "got '8'"),
    "typo": (
        {"variant": "plain"},
        "unknown parameter 'variant'; this chapter takes alphas, dataset, epochs, model, recipe, "
        "seeds, variants",
    ),
}


def varied(given=None):
    return chapter.parameters(VARIED | {"__annotations__": dict.fromkeys(VARIED, str)} | (given or {}))


@pytest.mark.parametrize("case", BAD_VARIED)
def test_bad_variants_and_epochs_name_the_value(case):
    given, message = BAD_VARIED[case]
    with pytest.raises(InputError, match=re.escape(message)):
        varied(given)


def test_variants_and_epochs_are_in_the_trainings():
    here = varied({"seeds": [1, 0], "variants": ["plain", "pgd-4", "pgd-1", "pgd-4"]})
    assert [(one.variant, one.seed, one.epochs) for one in here.trainings] == [
        ("plain", 0, 8), ("plain", 1, 8), ("pgd-4", 0, 8), ("pgd-4", 1, 8), ("pgd-1", 0, 8), ("pgd-1", 1, 8)
    ]  # fmt: skip
    assert (
        here.setting
        == "resnet8 on digits, fast recipe with 8 instead of 16 epochs, α = 0, 2 seeds for each way "
        "of training"
    )


def test_pgd_training_may_have_fewer_seeds():
    here = varied({
        "seeds": [0, 1],
        "pgd_seeds": [1],
        "variants": ["plain", "pgd-1", "augmix"],
        "__annotations__": dict.fromkeys([*VARIED, "pgd_seeds"]),
    })
    assert [(one.variant, one.seed) for one in here.trainings] == [
        ("plain", 0),
        ("plain", 1),
        ("pgd-1", 1),
        ("augmix", 0),
        ("augmix", 1),
    ]
    assert here.setting.endswith("2 seeds for each way of training, 1 seed of PGD training")


@pytest.mark.parametrize(
    ("seeds", "says"),
    [
        (
            [0, 2],
            "parameter 'pgd_seeds' must hold some of 'seeds', whose plain networks PGD training is "
            "compared with, got 2; give both",
        ),
        ([], "parameter 'pgd_seeds' must be a list such as"),
        ("0", "got '0'"),
        ([0.5], "whole numbers, got 0.5"),
    ],
)
def test_bad_seeds_of_pgd_training_name_the_value(seeds, says):
    with pytest.raises(InputError, match=re.escape(says)):
        varied({"pgd_seeds": seeds, "__annotations__": dict.fromkeys([*VARIED, "pgd_seeds"])})


def test_epochs_are_halved_in_the_fast_recipe_alone_and_the_recipes_own_number_is_no_other_run():
    assert [varied({"epochs": epochs}).epochs for epochs in (0, 5, 16)] == [8, 5, None]
    assert varied({"recipe": "paper"}).epochs is None
    assert varied({"recipe": "paper", "epochs": 8}).epochs == 8
    assert (
        varied({"epochs": 16}).setting
        == "resnet8 on digits, fast recipe, α = 0, 1 seed for each way of training"
    )
    assert "for each way of training and α" in varied({"alphas": [0.0, -1.0]}).setting


def test_chapters_without_variants_are_as_before_and_lead_to_those_of_the_chapter_that_has_them():
    here = chapter.parameters(GOOD | {"__annotations__": dict.fromkeys(GOOD, str)})
    assert {(one.variant, one.epochs) for one in here.trainings} == {("plain", None)}
    assert here.setting == "resnet8 on digits, fast recipe, 1 seed for each α"
    assert here.with_variants == varied()
    assert notebooks.declared("11-other-way-round")["variants"] == str(list(grid.VARIANTS)).replace("'", '"')


def test_execute_refuses_an_unknown_parameter_before_it_starts():
    with pytest.raises(InputError, match="unknown parameter 'alpah'; chapter '02-approach' takes alphas"):
        notebooks.execute("approach", {"alpah": 1})
    with pytest.raises(InputError, match="unknown chapter 'aproach'; known: 01-introduction"):
        notebooks.execute("aproach")


@pytest.mark.slow
def test_plain_papermill_fails_on_a_mistyped_parameter(tmp_path):
    papermill = Path(sysconfig.get_path("scripts"), "papermill")
    command = [
        papermill,
        notebooks.published("index"),
        tmp_path / "out.ipynb",
        "-p",
        "alpah",
        "1",
        "--no-progress-bar",
    ]
    done = subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode != 0
    assert "unknown parameter 'alpah'" in done.stderr


# ---- words and tables --------------------------------------------------------------------------------------


def test_at_hand_reads_what_is_cached_and_makes_nothing(own_store, trainings, monkeypatch):
    monkeypatch.setenv("RUNS_FROZEN", "1")
    wanted = runs.grid(
        dataset="digits",
        model="resnet8",
        alphas=[0.0],
        seeds=[0],
        recipe="fast",
        epochs=trainings[0].epochs,
        variants=["plain", "augmix"],
    )
    before = sorted(own_store.rglob("*"))
    rows = at_hand(wanted)
    assert list(rows.variant) == ["plain", "augmix"] and list(rows.mean_selectivity.isna()) == [False, True]
    assert rows.iloc[0].to_dict() == runs.summary(wanted[:1]).iloc[0].to_dict()
    monkeypatch.setenv("RUNS_DIR", str(own_store / "nowhere"))
    rows = at_hand(wanted)
    assert len(rows) == 2 and rows[
        ["mean_selectivity", "live_selectivity", "clean_accuracy", "dead"]
    ].isna().all(axis=None)
    assert sorted(own_store.rglob("*")) == before


def test_a_network_that_is_not_measured_yet_is_not_at_hand(own_store, trainings, monkeypatch):
    monkeypatch.setenv("RUNS_FROZEN", "1")
    monkeypatch.setattr("lib.measurements.file_name", lambda name, settings: "of-other-settings.parquet")
    assert at_hand(trainings[:1]).mean_selectivity.isna().all()


def test_damage_is_said_even_where_a_network_may_be_missing(own_store, trainings):
    next(own_store.glob(f"{trainings[0].name}/history.parquet")).write_bytes(b"")
    with pytest.raises(InputError, match="damaged: .*history.parquet"):
        at_hand(trainings)


def test_numbers_in_prose():
    assert prose.number(-0.0123, "+.3f") == "−0.012" and prose.number(12.34, ".1f") == "12.3"
    assert prose.number(float("nan")) == "(not shown here)"
    words = [
        prose.rising(pd.Series(values))
        for values in ([1.0], [1.0, 2.0, 3.0], [1.0, 1.0, 2.0], [1.0, 3.0, 2.0])
    ]
    assert words == [
        "with nothing to compare it with",
        "rising at every step",
        "not rising at every step",
        "not rising at every step",
    ]


def test_change_by_layer_is_that_of_live_units():
    layers = [
        ("plain", 1, 0.2, False),
        ("plain", 2, 0.5, False),
        ("augmix", 1, 0.3, False),
        ("augmix", 2, 0.1, False),
        ("augmix", 2, 0.0, True),
    ]
    units = pd.DataFrame(layers, columns=["variant", "depth", "selectivity", "dead"])
    assert (
        prose.change_by_layer(units, "augmix")
        == "lower in 1 of 2 layers; the largest difference is −0.400, in layer 2"
    )
    assert (
        prose.change_by_layer(units, "pgd-4")
        == prose.change_by_layer(units, "plain")
        == "no other network is shown here"
    )


def test_gains_are_paired_by_seed():
    # the plain network of seed 1 is better than that of seed 0, and PGD has seed 0 alone
    rows = [
        ("plain", 0, 0.5),
        ("plain", 1, 0.9),
        ("pgd-1", 0, 0.6),
        ("augmix", 0, 0.52),
        ("augmix", 1, 0.88),
        ("pgd-2", 0, float("nan")),
    ]
    table = pd.DataFrame(rows, columns=["variant", "seed", "accuracy"])
    gained = tables.gains(table, {"points": "accuracy"})
    assert gained.to_dict("split")["data"] == [["PGD, 1 step", "+10.0"], ["AugMix", "+0.0"]]
    assert tables.gains(table[table.variant == "plain"], {"points": "accuracy"}).empty
    assert tables.gains(table.assign(accuracy=float("nan")), {"points": "accuracy"}).empty


def test_settings_of_the_variants_say_what_is_ours():
    table = tables.variant_settings(varied().trainings).set_index("")
    assert (
        table.here["PGD: steps"] == "1, 2, 4"
        and table.here["PGD: step size"] == "1/255"
        and table.here["AugMix: severity"] == "2"
    )
    assert table.here["PGD: budget"] == "16/255, L∞, of which at most 4/255 is reached"
    assert (
        table.here["epochs"] == "8" and "in place of the recipe's 16" in table["as in the paper?"]["epochs"]
    )
    assert table["as in the paper?"].str.contains("choice|recalled|as the recipe").all()
    paper = tables.variant_settings(
        varied({"recipe": "paper", "variants": ["plain", "pgd-700"]}).trainings
    ).set_index("")
    assert (
        tuple(paper.loc["PGD: step size"]) == ("0.0001", "recalled")
        and paper.here["PGD: budget"] == "16/255, L∞"
    )
    balls = tables.variant_settings(
        varied({"variants": ["plain", "l2-pgd-3-0.5", "pgd-3-linf-8"]}).trainings
    ).set_index("")
    assert (
        balls.here["PGD: budget"] == "8/255, L∞; 0.5, L2"
        and balls.here["PGD: step size"] == "0.0261438, 0.416667"
    )
    assert "AugMix: severity" not in paper.index and paper["as in the paper?"]["epochs"] == "as the recipe"


# ---- the build fails closed --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def jupyter_books(tmp_path_factory):
    """A server of processes that have imported jupyter-book."""
    with server(tmp_path_factory.mktemp("jupyter-book"), BOOK) as there:
        yield there


@pytest.fixture
def little_book(tmp_path, monkeypatch, jupyter_books):
    """A book of one page, whose source the test writes."""

    def run(command, *, env, **how):
        assert command[:3] == [sys.executable, "-P", "-c"] and Path(command[4]).name == "jupyter-book"
        assert how.pop("encoding") == "utf-8" and how.pop("stdin") == subprocess.DEVNULL
        assert how == {"capture_output": True, "errors": "replace", "check": False}
        return run_warm(jupyter_books, *command[3:], env=env, cwd=Path.cwd())

    monkeypatch.setattr(builder, "subprocess", SimpleNamespace(run=run, DEVNULL=subprocess.DEVNULL))
    monkeypatch.setattr("lib.base.paths.ROOT", tmp_path)
    monkeypatch.setattr("lib.base.paths.CHAPTERS", tmp_path / "chapters")
    monkeypatch.setattr("lib.base.paths.BUILD", tmp_path / "_build")
    (tmp_path / "chapters").mkdir()
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    config = {
        "title": "t",
        "only_build_toc_files": True,
        "execute": {"execute_notebooks": "off", "stderr_output": "remove-warn"},
    }
    (tmp_path / "_config.yml").write_text(json.dumps(config))

    def build(source, **how):
        (tmp_path / "chapters" / "index.py").write_text(f"# %% [markdown]\n# # A page\n\n# %%\n{source}\n")
        if "only" in how:
            return single.build(tmp_path / "_build", how["only"], {}).parent
        return site.build(tmp_path / "_build")

    return build


WRONG = {
    "a cell that raises": ("1 / 0", r"chapters/index.py, cell 1: ZeroDivisionError: division by zero"),
    "a missing glue key": ("x = 1\n\n# %% [markdown]\n# {glue:text}`nokey`", "nokey"),
    "a broken reference": ("x = 1\n\n# %% [markdown]\n# {ref}`nowhere`", "nowhere"),
    "stderr": ("import warnings\n\nwarnings.warn('watch out')", "stderr"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", WRONG)
def test_build_fails_with_one_line_and_again(case, little_book):
    source, message = WRONG[case]
    for _ in range(2):  # a second build over the first must not forget
        with pytest.raises(InputError, match=message) as failed:
            little_book(source)
        assert "\n" not in str(failed.value)


HARMLESS = {
    "of a library": "import warnings\n\nwarnings.warn('watch out')",
    "printed": "import sys\n\nprint('watch out', file=sys.stderr)",
    "of Sphinx": "x = 1\n\n# %% [markdown]\n# {ref}`watch-out`",
}


@pytest.mark.slow
@pytest.mark.parametrize("case", HARMLESS)
def test_a_warning_does_not_fail_a_rerun(case, little_book, caplog):
    """What stops a build of the book is told, and the page is there."""
    html = (little_book(f"print(6 * 7)\n{HARMLESS[case]}", only="index") / "index.html").read_text(
        encoding="utf-8"
    )
    assert "42" in html and "cell_output" in html
    (said,) = [message for message in caplog.messages if "watch" in message]
    assert "\n" not in said and (said.startswith("warning in chapter index: ") or "build.log" in said)


def test_builds_into_one_folder_come_one_after_the_other(tmp_path, monkeypatch):
    """Such as two reruns of one chapter at once: each gets a whole page, the last one's stays."""
    inside, met = [], []

    def executed(name, given):
        inside.append(given["n"])
        met.append(len(inside))
        time.sleep(0.2)
        return nbformat.v4.new_notebook()

    def pages(source, target, *, strict):
        (source / "pages").mkdir()
        (source / "pages" / "index.html").write_text(str(inside.pop()), encoding="utf-8")
        return source / "pages"

    monkeypatch.setattr(notebooks, "execute", executed)
    monkeypatch.setattr(builder, "jupyter_book", pages)
    with ThreadPoolExecutor(4) as pool:
        built = list(pool.map(lambda n: single.build(tmp_path / "same", "02-approach", {"n": n}), range(4)))
    assert met == [1, 1, 1, 1] and set(built) == {
        tmp_path / "same" / "html" / "chapters" / "02-approach.html"
    }
    assert (tmp_path / "same" / "html" / "index.html").read_text(encoding="utf-8") in "0123"
    assert sorted(one.name for one in (tmp_path / "same").iterdir()) == [".locks", "book", "html"]


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["POSIX", "latin-1"])
def test_a_page_is_built_and_published_in_any_locale(tmp_path, locale):
    """All that is said, in whatever letters, is written as UTF-8; and a page is published whole."""
    project, text = tmp_path / "project", "α − é 日本"
    shutil.copytree(paths.ROOT / "lib", project / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    (project / "chapters").mkdir()
    (project / "_toc.yml").write_text("format: jb-book\nroot: index\n", encoding="utf-8")
    settings = {"title": text, "only_build_toc_files": True, "execute": {"execute_notebooks": "off"}}
    (project / "_config.yml").write_text(json.dumps(settings, ensure_ascii=False), encoding="utf-8")
    source = f"# %% [markdown]\n# # {text} prose\n\n# %%\nprint('{text} printed')\n"
    (project / "chapters" / "index.py").write_text(source, encoding="utf-8")
    published = project / "index.ipynb"
    published.write_text(f"{text} old", encoding="utf-8")
    code = "from lib.book import notebooks, site\nfrom lib.base import paths\n"
    code += "print(notebooks.publish()); print(notebooks.publish()); print(site.build(paths.BUILD))"
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    environment = usual | {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(project)}
    environment |= {"RUNS_DIR": str(tmp_path / "runs")} | posix_or_latin1(locale, tmp_path)
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code],
        cwd=project, env=environment, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, again, _ = done.stdout.splitlines()
    assert str(published) in first and again == "[]"
    notebook = nbformat.reads(published.read_bytes().decode("utf-8"), as_version=4)
    assert notebook.cells[0].source == f"# {text} prose"
    assert notebook.cells[1].outputs[0].text == f"{text} printed\n"
    page = (project / "_build" / "html" / "index.html").read_bytes().decode("utf-8")
    assert f"{text} prose" in page and f"{text} printed" in page and f"<title>{text} prose" in page


def posix_or_latin1(locale: str, folder: Path) -> dict[str, str]:
    """Environment variables for a locale that is not UTF-8."""
    if locale == "POSIX":
        return {"LC_ALL": "POSIX"}
    name = "en_US.ISO-8859-1"
    if not shutil.which("localedef"):
        pytest.skip("no latin-1 locale can be made here: localedef is missing")
    subprocess.run(
        ["localedef", "-i", "en_US", "-f", "ISO-8859-1", folder / name], capture_output=True, check=False
    )
    if not (folder / name).is_dir():
        pytest.skip("no latin-1 locale can be made here")
    return {"LC_ALL": name, "LOCPATH": str(folder)}


@pytest.mark.slow
def test_a_right_page_builds(little_book):
    html = (little_book("print(6 * 7)") / "index.html").read_text()
    assert "42" in html


def test_numbers_at_some_alphas():
    rows = pd.DataFrame({"a": [1.0, -2.0], "b": [0.25, float("nan")]}, index=[-1.0, 0.0])
    found = dict(
        prose.numbers_at(
            {"low": -1.0, "middle": 0.0, "spared": float("nan")},
            (rows, ".1f"),
            (rows[["a"]].rename(columns={"a": "more"}), "+.0f"),
        )
    )
    assert found == {
        "low": "−1", "low-a": "1.0", "low-b": "0.2", "low-more": "+1",
        "middle": "0", "middle-a": "−2.0", "middle-b": "(not shown here)", "middle-more": "−2",
        "spared": "(not shown here)", "spared-a": "(not shown here)", "spared-b": "(not shown here)", "spared-more": "(not shown here)",
    }  # fmt: skip
