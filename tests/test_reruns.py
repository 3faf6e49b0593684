"""Pages of reruns lie side by side, and one page lists them."""

import pytest

from lib.book import reruns


def facts(**other):
    """What a rerun of a chapter shows; names of parameters that differ from the chapter's own come last."""
    shown = {"dataset": "digits", "alphas": [0.0, 0.7], "seeds": [0, 1]} | other
    alphas = shown["alphas"]
    return {"chapter": "02-approach", "alphas": alphas[1:], "shown": shown, "changed": sorted(shown)}


@pytest.fixture
def build(tmp_path, monkeypatch):
    """A function (facts): has a rerun's page, and gives the list of all."""
    monkeypatch.setattr("lib.base.paths.BUILD", tmp_path)

    def make(**other):
        place = reruns.folder(facts(**other))
        page = place / "html" / "page.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.touch()
        return reruns.note(place, page, facts(**other)).read_text(encoding="utf-8")

    return make


def test_other_parameters_other_folder(build):
    others = [
        {},
        {"alphas": [0.0, 0.7, 0.8]},
        {"alphas": [0.0, 0.70000001]},
        {"alphas": [0.0]},
        {"seeds": [0]},
        {"dataset": "cifar10"},
        {"d": 128},
        {"d": "../.."},
        {"seeds": list(range(80))},
        {"seeds": list(range(81))},
    ]
    places = {reruns.folder(facts(**other)) for other in others}
    assert len(places) == len(others) and all(len(place.name) < 100 for place in places)
    assert {place.parent for place in places} == {reruns.root()}
    name = reruns.folder(facts()).name
    assert name.startswith("02-approach-alphas-0.7-dataset-digits-seeds-0_1-") and len(name) == 56


def test_all_are_listed_the_latest_first(build, tmp_path):
    build()
    page = build(alphas=[0.0, -0.4, 0.8])
    links = page.split("<tr><td><a href=")[1:]
    assert len(links) == 2 and "<td>−0.4, 0.8</td>" in page and "<td>0.7</td>" in page
    assert "<td>dataset digits; seeds 0, 1</td>" in page
    assert build(alphas=[0.0, -0.4, 0.8]).count("<a href=") == 2  # the same again is no other
    first = links[0].split('"')[1]
    assert (tmp_path / "rerun" / first).is_file()  # the links lead there
    (tmp_path / "rerun" / first).unlink()
    (tmp_path / "rerun" / "broken").mkdir()
    (tmp_path / "rerun" / "broken" / reruns.FACTS).write_text("[")
    assert build(seeds=[5]).count("<a href=") == 2  # what has gone is not listed


def test_what_is_read_from_files_is_text_on_the_page(build):
    page = build(model="<script>", alphas=[0.0])
    assert "<script>" not in page and "&lt;script&gt;" in page and "<td>none</td>" in page
