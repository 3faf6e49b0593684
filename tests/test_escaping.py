"""What is read from files of runs is shown as text on every page, whatever it is and wherever it stands."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from matplotlib.figure import Figure

from lib import runs
from lib.base import paths
from lib.book import figures, markdown, notebooks, page_source, reference, rerun, sources
from lib.runs import provenance, store
from lib.training.training import Training

EVIL = "<script>alert(1)</script><img src=x onerror='alert(1)'>"
BREAKS = [
    "|",
    "`",
    "``",
    "\n\n",
    '"',
    "'>",
    "](javascript:alert(1))",
    "{raw}`html`",
    "```",
    "-->",
    "$",
    "*",
    "\\",
]


class Tags(HTMLParser):
    """The names of all elements of a page, and their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.add(tag)
        self.attributes |= {name for name, _ in attributes}


def harmless(page: str) -> bool:
    tags = Tags(page)
    return not {"script", "img", "iframe", "svg"} & tags.found and "onerror" not in tags.attributes


def test_the_check_finds_what_is_harmful():
    assert not harmless(f"<p>{EVIL}</p>") and not harmless("<b onerror=1>") and harmless("<p>&lt;script></p>")


class Odd:
    def __repr__(self) -> str:
        return EVIL


class OddText(str):
    __slots__ = ()


CELLS = {
    "text": EVIL,
    "a subclass of text": OddText(EVIL),
    "list": [EVIL],
    "list in a list": [[EVIL], 1],
    "dict": {"commit": EVIL, EVIL: 1},
    "tuple": (EVIL, 1),
    "set": {EVIL},
    "bytes": EVIL.encode(),
    "array": np.array([EVIL]),
    "array of objects": np.array([[EVIL], 1], dtype=object),
    "text of numpy": np.str_(EVIL),
    "bytes of numpy": np.bytes_(EVIL),
    "series": pd.Series([EVIL]),
    "exception": ValueError(EVIL),
    "any object": Odd(),
    "a link's text": figures.Link(EVIL, "06.ipynb"),
    "a link's target": figures.Link("x", f'06.ipynb"{EVIL}'),
}


@pytest.fixture
def displayed(monkeypatch) -> list:
    """What is displayed, as HTML."""
    found = []

    def display(*things, **named):
        found.extend(getattr(thing, "data", thing) for thing in things)

    monkeypatch.setattr("IPython.display.display", display)
    return found


@pytest.mark.parametrize("cell", CELLS)
def test_no_cell_of_a_table_is_html(displayed, cell):
    rows = pd.DataFrame({"a": pd.Series([CELLS[cell], 1.5], dtype=object), EVIL: [None, float("nan")]})
    figures.show_table(rows)
    figures.show_table(rows, anchors=True)
    assert len(displayed) == 2 and all(map(harmless, displayed))
    assert all("alert" in page and "<td>1.5</td>" in page for page in displayed)


def test_no_index_of_a_table_is_html(displayed):
    rows = pd.DataFrame({"a": [1]}, index=pd.Index([EVIL], name=EVIL))
    figures.show_table(rows.rename_axis(columns=EVIL))
    figures.show_table(
        pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([(EVIL, "b")])).set_axis(
            [str((EVIL, "b"))], axis=1
        )
    )
    figures.show_table(rows.astype({"a": "category"}).assign(b=pd.Categorical([EVIL])))
    assert all(map(harmless, displayed))


def test_cells_look_as_before(displayed):
    """Numbers, what is missing, and lines of text."""
    rows = pd.DataFrame({
        "a": ["x\ny", None],
        "b": [1, 2],
        "c": [0.5, float("nan")],
        "d": [True, False],
        "e": [pd.NA, "three"],
    })
    figures.show_table(rows)
    assert re.findall("<td>(.*?)</td>", displayed[0]) == [
        "x<br>y",
        "1",
        "0.5",
        "True",
        "",
        "",
        "2",
        "",
        "False",
        "three",
    ]


# ---- Markdown ----------------------------------------------------------------------------------------------


def rendered(markdown: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)


@pytest.mark.parametrize("before", ["", *BREAKS])
@pytest.mark.parametrize("write", [markdown.plain_markdown, markdown.markdown_code, markdown.without_html])
def test_no_markdown_is_html(write, before):
    said = write(f"{before}{EVIL}{before}{EVIL}")
    assert harmless(rendered(f"words {said} words"))
    if write is not markdown.without_html:
        assert "\n" not in said


def test_markdown_says_the_same():
    for value in ["a_b*c", "α < 1", "`x`", "a & b", "[x](y)", "5 % of $2"]:
        (shown,) = re.findall("<p>(.*)</p>", rendered(markdown.plain_markdown(value)))
        assert shown.replace("&lt;", "<").replace("&amp;", "&").replace("&gt;", ">") == value


def test_a_caption_is_no_html(displayed, monkeypatch):
    monkeypatch.setattr(sources, "bundle", lambda *given, **named: {})
    kept = {}
    monkeypatch.setattr(
        "IPython.display.display", lambda *things, **named: kept.update(named.get("metadata", {}))
    )
    figures.show(Figure(), name="fig-x", alt="words", caption=f"on {EVIL}, α < 1 and $a<b$")
    assert harmless(rendered(kept["figure"]["caption"])) and "α < 1" in kept["figure"]["caption"]


def test_the_head_of_a_page_is_no_html(own_store, trainings, monkeypatch):
    monkeypatch.setattr(rerun, "tables", lambda training: frozenset({EVIL, f"|`{EVIL}"}))
    assert harmless(rendered(rerun.marked(dict.fromkeys(trainings))))
    assert harmless(rendered(page_source.stale_head({EVIL: [f"`{EVIL}"]})))


# ---- from the files to the pages ---------------------------------------------------------------------------


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """A store of digits whose files, with right checksums, say what no machine is called."""
    shutil.copytree(paths.ROOT / "runs" / "digits-resnet8", tmp_path / "runs" / "digits-resnet8")
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "runs"))
    for folder in (tmp_path / "runs" / "digits-resnet8").iterdir():
        manifest = json.loads((folder / store.MANIFEST).read_text(encoding="utf-8"))
        config = json.loads((folder / runs.CONFIG).read_text(encoding="utf-8"))
        for name in ("device", "commit", "engine", "torch", "date", "python"):
            config["provenance"][name] = f"`|{EVIL}"
        config["result"]["data"] = EVIL
        content = json.dumps(config).encode()
        (folder / runs.CONFIG).write_bytes(content)
        files = manifest["files"]
        files[runs.CONFIG] |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for entry in files.values():
            if "measurement" in entry:
                entry["provenance"] |= {"commit": [EVIL], "device": {EVIL: EVIL}, "torch": EVIL}
                entry["settings"] |= {EVIL: EVIL}
        manifest["seal"] = store._seal(files)
        (folder / store.MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return tmp_path / "runs"


def test_what_a_figure_was_made_from_is_no_html(planted):
    provenance.start()
    runs.summary([Training("digits", "resnet8", 0.0, 0, "fast")])
    made = sources.bundle(f'fig"{EVIL}', provenance.so_far())
    assert harmless(made["text/html"]) and "alert" in made["text/html"]


def test_the_reference_of_files_is_no_html(planted):
    page = reference.run_files()
    assert "alert" in page and harmless(rendered(page))


@pytest.mark.slow
def test_no_output_of_a_chapter_is_html(planted):
    given = {"dataset": "digits", "alphas": [-1.0, 0.0, 1.0], "seeds": [0]}
    executed = notebooks.execute_all(["02-approach", "19-runs"], given, frozen=True)
    seen = ""
    for notebook in executed.values():
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                page = output.get("data", {}).get("text/html", "")
                assert harmless(page), page[:300]
                seen += page
            caption = cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", "")
            assert harmless(rendered(caption))
    assert seen.count("&lt;script&gt;") > 10
