"""The store of reruns: it reads what is published, and nothing that is done in it reaches that."""

import json
import os
import shutil
from dataclasses import replace

import pytest

from lib import runs
from lib.base import paths
from lib.base.errors import InputError
from lib.runs import beside, catalogue, equivalence, store


@pytest.fixture
def both(own_store, tmp_path, monkeypatch):
    """A published store of two runs, and one beside it, which is RUNS_DIR."""
    sealed = {"same": [], "seal": equivalence._seal([])}
    (own_store / equivalence.NAME).write_text(json.dumps(sealed), encoding="utf-8")
    own = beside.fill(own_store, tmp_path / "reruns")
    monkeypatch.setenv("RUNS_DIR", str(own))
    return own_store, own


def state(folder):
    """What `git status` would see: every file's content and time."""
    return {
        file: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.rglob("*") if file.is_file()
    }


def hidden(files):
    return {name for name in files if not any(part.startswith(".") for part in name.parts)}


def test_all_that_is_published_is_read(both, trainings):
    published, own = both
    assert {f.relative_to(own) for f in hidden(state(own))} == {
        f.relative_to(published) for f in hidden(state(published))
    }
    assert runs.missing(trainings) == [] and (catalogue.catalogue().status == "ok").all()
    assert all(os.path.samefile(file, own / file.relative_to(published)) for file in hidden(state(published)))


@pytest.mark.slow
def test_what_is_made_reaches_nothing_that_is_published(both, trainings):
    published, own = both
    before = state(published)
    runs.table("class_means", trainings, progress=False)  # a table beside published networks
    runs.table("selectivity", [replace(trainings[0], alpha=0.7)], progress=False)  # and a network
    assert state(published) == before
    assert len(catalogue.catalogue()) == 3
    again = state(own)
    beside.fill(published, own)
    assert {name: again[name] for name in hidden(again)} == {
        name: facts for name, facts in state(own).items() if name in hidden(again)
    }
    assert set(catalogue.catalogue().tables) == {"class_means, selectivity", "selectivity"}
    assert (catalogue.catalogue().status == "ok").all()


def test_what_is_published_later_is_read_too(both, trainings, monkeypatch):
    published, own = both
    runs.table("class_means", trainings[:1], progress=False)
    with monkeypatch.context() as patch:
        patch.setenv("RUNS_DIR", str(published))
        runs.table("jacobian", trainings, progress=False, limit=10)
        (published / trainings[1].name / runs.WEIGHTS).unlink()
    beside.fill(published, own)
    tables = catalogue.catalogue().set_index("alpha").tables
    assert tables[0.0] == "class_means, jacobian, selectivity" and tables[1.0] == "jacobian, selectivity"
    assert (own / trainings[1].name / runs.WEIGHTS).exists()  # no harm in it
    assert (catalogue.catalogue().status == "ok").all()


def test_a_network_that_was_published_anew_takes_the_place_of_the_old(both, trainings):
    published, own = both
    runs.table("class_means", trainings[:1], progress=False)
    place = published / trainings[0].name
    files = {name: store.Folder(place).read(name) for name in store.Folder(place).files}
    shutil.rmtree(place)
    store.create(place, files | {runs.HISTORY: files[runs.HISTORY] + b" "}, optional=(runs.WEIGHTS,))
    beside.fill(published, own)
    mine = store.Folder(own / trainings[0].name)
    assert mine.files == store.Folder(place).files and mine.read(runs.HISTORY).endswith(b" ")


def test_a_file_that_was_restored_is_linked_again(both, trainings):
    published, own = both
    file = published / trainings[0].name / runs.CONFIG
    content = file.read_bytes()
    file.write_bytes(b"broken")  # in place, so that both have it
    with pytest.raises(InputError, match="damaged"):
        runs.missing(trainings)
    file.unlink()
    file.write_bytes(content)  # as git checkout does
    beside.fill(published, own)
    assert runs.missing(trainings) == []


def test_where_nothing_can_be_linked_it_is_copied(own_store, tmp_path, monkeypatch, trainings):
    def refused(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(beside.os, "link", refused)
    own = beside.fill(own_store, tmp_path / "reruns")
    made = state(own)
    monkeypatch.setattr(beside.shutil, "copy2", lambda *_: pytest.fail("copied again"))
    beside.fill(own_store, own)
    assert {name: made[name] for name in hidden(made)}.items() <= state(own).items()
    monkeypatch.setenv("RUNS_DIR", str(own))
    assert runs.missing(trainings) == []


def test_a_damaged_manifest_is_named_where_it_is_published(own_store, tmp_path, trainings):
    (own_store / trainings[0].name / store.MANIFEST).write_text("{}")
    with pytest.raises(InputError, match=f"damaged: {own_store}"):
        beside.fill(own_store, tmp_path / "reruns")


def test_a_store_that_cannot_be_written_is_one_line(own_store, tmp_path):
    (tmp_path / "reruns").touch()
    with pytest.raises(InputError, match="cannot keep reruns in .*reruns"):
        beside.fill(own_store, tmp_path / "reruns")


def test_only_without_a_store_of_ones_own_is_there_another(own_store, tmp_path, monkeypatch):
    with beside.kept_apart() as kept:
        assert kept == own_store == paths.runs()
    monkeypatch.delenv("RUNS_DIR")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "_toc.yml").touch()
    with beside.kept_apart() as kept:
        assert kept == tmp_path / "reruns" == paths.runs() and os.environ["RUNS_DIR"] == str(kept)
        assert len(catalogue.catalogue()) == 2
    assert paths.runs() == own_store and "RUNS_DIR" not in os.environ
    with pytest.raises(KeyError), beside.kept_apart():
        raise KeyError
    assert "RUNS_DIR" not in os.environ
