"""Text that can be read: few numbers in a paragraph.

What counts as a number is what a reader takes for a quantity: anything in digits, but for the names and marks in
`NAMES`. An estimate with its interval in brackets counts once, and so does a share such as "18 of 30". Headings,
code, formulas, tables and what is folded away are no prose, nor are captions, which say of how many networks a
figure is.
"""

import dataclasses
import re

import nbformat
import pytest

from lib.base import paths
from lib.book import notebooks, parameters, rounds

MOST = 3
PAGES = [
    *(notebooks.published(name).relative_to(paths.ROOT).as_posix() for name in notebooks.sources()),
    *("README.md", "CONTRIBUTING.md"),
    *(page.relative_to(paths.ROOT).as_posix() for page in sorted((paths.ROOT / "reference").glob("*.md"))),
]

NUMBER = r"(?<![\w./-])[−+-]?\d+(?:[.,/]\d+)*(?:e[−-]?\d+)?(?![.,/]?\w)"
_UNITS = r"(?!\s*(?:%|points|percent|seeds|networks|images))"
# what is taken out before numbers are counted, in this order: (why, pattern, what stands in its place)
NAMES = (
    ("a tag", r"<[^>]+>", " "),
    ("a formula", r"\$[^$]*\$", " "),
    ("code, or a reference", r"\{[\w:]+\}`[^`]*`|`[^`]*`", " "),
    ("where a link leads", r"\]\([^)]*\)", "]"),
    ("a date or a year", r"\b(?:19|20)\d\d(?:-\d\d-\d\d)?[ab]?\b", " "),
    ("a version", r"\b\d+\.\d+\.\d+\S*|\bPython (?:≥ )?3\.\d+(?: to 3\.\d+)?", " "),
    ("a figure or a section", r"\b(?:[Ff]igures?|[Ff]igs?\.|[Ss]ections?|[Tt]ables?) \d+[a-z]?", " "),
    ("a layer or a seed, by its number", r"\b(?:layers?|seeds?) \d+(?:(?:, | to | and )\d+)*", " "),
    ("the threads of a machine", r"(?:\(|, )\d+(?:(?:, | and )\d+)* threads?\)?", " "),
    ("a radius in grey levels", r"\b\d+(?:\.\d+)?/255", " "),
    ("the kind of an interval", r"\b95 % (?=(?:t )?intervals?|prediction)", " "),
    ("the range of pixels", r"\[0, 1\]", " "),
    (
        "the value of a setting, which names networks or attacks",
        rf"[αετθdTK]\s*[=<>≈]\s*{NUMBER}{_UNITS}(?:(?:,\s*|,?\s+(?:and|to|or)\s+){NUMBER}{_UNITS})*",
        " ",
    ),
    ("an interval, which belongs to its estimate", rf"\({NUMBER}(?: %)? to {NUMBER}(?: %)?\)", " "),
    ("a share, as one number", rf"({NUMBER}) of (?:the |its |their )?{NUMBER}", r"\1"),
    ("zero as the place where a sign changes", r"\b(above|below|near|out|inside|from) 0(?!\.?\d)", r"\1"),
)


def paragraphs(text):
    """Paragraphs and items of lists in Markdown, without headings, code, formulas, tables and folds."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"<details.*?</details>|<picture>.*?</picture>|\$\$.*?\$\$", "", text, flags=re.DOTALL)
    text = re.sub(
        r"^(`{3,})\{(?:admonition|note|warning)\}.*\n(?::.*\n)*((?:.*\n)*?)\1$",
        r"\2",
        text,
        flags=re.MULTILINE,
    )
    text = re.sub(r"^(`{3,}).*\n(?:.*\n)*?\1$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^(?:#+ .*|\|.*|\(.*\)=)$", "\n", text, flags=re.MULTILINE)
    text = re.sub(r"^(?=\s*(?:[-*]|\d+\.) )", "\n", text, flags=re.MULTILINE)
    found = [" ".join(one.split()) for one in re.split(r"\n\s*\n", text) if one.strip()]
    return [
        one for one in found if not re.fullmatch(r"\*[^*].*[^*]\*", one)
    ]  # a note in italics is a caption


def numbers(paragraph):
    """The numbers in a paragraph as a reader would count them."""
    for _, pattern, replacement in NAMES:
        paragraph = re.sub(pattern, replacement, paragraph, flags=re.DOTALL)
    return re.findall(NUMBER, re.sub(r"^\d+\. ", "", paragraph))


def prose(page):
    """All paragraphs of a page."""
    file = paths.ROOT / page
    if file.suffix == ".md":
        return paragraphs(file.read_text(encoding="utf-8"))
    cells = nbformat.read(file, as_version=4).cells
    return [one for cell in cells if cell.cell_type == "markdown" for one in paragraphs(cell.source)]


@pytest.mark.parametrize("page", PAGES)
def test_no_paragraph_holds_more_than_three_numbers(page):
    crowded = [(found, one) for one in prose(page) if len(found := numbers(one)) > MOST]
    assert crowded == [], "the finding first; further numbers go to a table or below a fold"


COUNTED = {
    "by 4.8 points (2.5 to 7), and 18 of 30 networks": ["4.8", "18"],
    "from α = −2 to 0.4 it rises by 3.2 points": ["3.2"],
    "α = −2, −1, −0.4, 0: 21 networks": ["21"],
    "LM-10 on CIFAR-10 with ResNet20, PGD-40 of ε = 8/255": [],
    "layer 12 and seeds 3 to 7, not 12 layers and 3 seeds": ["12", "3"],
    "{cite}`leavitt2020linking`, 2020, section 4, figure 2b, `a[3]` and $x^2$": [],
    "at α = 2, 38.7 % and 1,000 images; 95 % intervals": ["38.7", "1,000"],
    "lies above 0, but 0 are left, and 0.5": ["0", "0.5"],
    "on AMD EPYC (1 and 2 threads), [see](https://a.org/3), 2026-11-29": [],
}


@pytest.mark.parametrize("text", COUNTED)
def test_numbers_are_counted_as_a_reader_does(text):
    assert numbers(text) == COUNTED[text]


def test_paragraphs_are_prose():
    page = """# Title 1

First, 1.
second line.
- an item 2
- another

```bash
make 3
```

```{admonition} Words
:class: warning
Inside, 4.
```

| a | 5 |
|---|---|

*A note: 6.*

<details><summary>7</summary>

8

</details>

Last. *Not a note.*
"""
    assert paragraphs(page) == [
        "First, 1. second line.",
        "- an item 2",
        "- another",
        "Inside, 4.",
        "Last. *Not a note.*",
    ]


# ---- whose networks ----------------------------------------------------------------------------------------

ROUNDS = ["02-approach", "03-average-case", "04-worst-case", "05-gradients", "06-dimensionality"]


@pytest.mark.parametrize("name", ROUNDS)
def test_figures_and_key_points_say_of_which_round_they_are(name):
    notebook = nbformat.read(notebooks.published(name), as_version=4)
    figures = {
        cell.metadata.mystnb.figure.name: cell.metadata.mystnb.figure.caption
        for cell in notebook.cells
        if "figure" in cell.metadata.get("mystnb", {})
    }
    own = {place: said for place, said in figures.items() if "main-text" not in place}
    seeds = parameters.declared(name)["seeds"].default
    whose = f"econd round, seeds {seeds[0]} to {seeds[-1]}."
    assert own and all(said.startswith(f"S{whose} ") for said in own.values()), own
    head = notebook.cells[0].source
    assert "second round's (seeds 3 to 7" in head
    assert f"The figures below show the networks of the s{whose}" in head


def test_networks_of_a_page_are_named_by_their_round():
    usual = rounds.sample()
    told = {
        seeds: rounds.whose(dataclasses.replace(usual, seeds=seeds))
        for seeds in ((0, 1, 2), (3, 4, 5), (0,), (0, 3))
    }
    assert told == {
        (0, 1, 2): "First round, seeds 0 to 2",
        (3, 4, 5): "Second round, seeds 3 to 5",
        (0,): "First round, seed 0",
        (0, 3): "Both rounds, seeds 0, 3",
    }
    assert rounds.whose(dataclasses.replace(usual, dataset="digits", model="resnet8")).startswith("Seeds 3")
