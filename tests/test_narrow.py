"""Figures that are drawn twice: which drawing goes where, and what a page says of it; code behind links."""

import nbformat
import pytest

from lib.book import mending, narrow, notebooks, page_source

SVG = '<svg width="270pt" height="200pt">{}</svg>'
FIGURE = (
    '<figure class="align-default" id="{name}">\n<img alt="words" style="--drawn: 700px" '
    'src="../_images/0a.svg" />\n<figcaption></figcaption></figure>'
)


def executed(name="fig-x", drawing=SVG):
    output = nbformat.v4.new_output("display_data", {"text/plain": "picture"}, metadata={"narrow": drawing})
    metadata = {"mystnb": {"figure": {"name": name}}}
    return nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("words"),
            nbformat.v4.new_code_cell("draw()", metadata=metadata, outputs=[output]),
            nbformat.v4.new_code_cell("1"),
        ]
    )


def test_a_page_shows_the_drawing_that_fits_and_knows_how_wide_it_was_drawn():
    found = narrow.drawings(executed())
    assert found == {"fig-x": SVG}
    page = narrow.chosen(FIGURE.format(name="fig-x") + FIGURE.format(name="fig-y"), found)
    assert page.count("<picture>") == page.count("</picture>") == 1
    assert (
        '<picture><source media="(max-width: 600px)" srcset="../_images/fig-x-narrow.svg" /><img alt="words" '
        'style="--drawn-narrow: 360px; --drawn: 700px" src="../_images/0a.svg" /></picture>' in page
    )
    assert page.endswith(FIGURE.format(name="fig-y"))


@pytest.mark.parametrize(("name", "place"), [("index", ""), ("02-approach", "chapters")])
def test_drawings_are_laid_beside_the_built_pages(tmp_path, name, place):
    (tmp_path / "_images").mkdir()
    page = tmp_path / place / f"{name}.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text(FIGURE.format(name="fig-x"), encoding="utf-8")
    narrow.lay({name: executed(), "18-rerun": executed("fig-z")}, tmp_path)  # the latter has no page here
    assert (tmp_path / "_images" / "fig-x-narrow.svg").read_text(encoding="utf-8") == SVG
    assert "fig-x-narrow.svg" in page.read_text(encoding="utf-8")
    assert mending.drawn_width(SVG) == 360 and narrow.drawn_width("<svg>") == 0


def cells(*given):
    return [nbformat.v4.new_code_cell(source, metadata={"tags": tags} | more) for source, tags, more in given]


def test_parameters_and_the_code_after_them_are_behind_one_link_and_all_other_code_behind_its_own():
    opening = cells(
        ("a = 1", ["parameters"], {}),
        ("a = 2", ["injected-parameters", "hide-input"], {}),
        ("use(a)", [], {}),
    )
    rest = cells(
        ("hidden()", ["remove-input"], {}), ("show()", [], {}), ("more()", ["hide-input"], {"fold": "More"})
    )
    for cell in rest[1:]:
        cell.outputs = [nbformat.v4.new_output("display_data", {"text/plain": "seen"})]
    text = page_source.text(nbformat.v4.new_notebook(cells=[*opening, *rest]))
    found = nbformat.reads(text, as_version=4).cells
    assert [cell.source for cell in found] == ["a = 1\n\na = 2\n\nuse(a)", "hidden()", "show()", "more()"]
    assert ["hide-input" in cell.metadata.tags for cell in found] == [True, False, True, False]
    assert "hide-cell" in found[3].metadata.tags
    prompts = [cell.metadata.get("mystnb", {}).get("code_prompt_show") for cell in found]
    assert prompts == ["Parameters and code", None, None, "More"]
    assert opening[0].source == "a = 1" and opening[0].metadata.tags == ["parameters"]  # untouched


def test_the_width_from_which_a_page_is_narrow_is_the_same_in_the_style_sheet():
    from lib.base import paths

    sheet = (paths.ROOT / "_static" / "book.css").read_text(encoding="utf-8")
    assert f"@media (max-width: {narrow.MOST}px) {{\n  .bd-article figure picture img" in sheet
    assert notebooks.NARROW == "narrow"
