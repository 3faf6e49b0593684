"""Runs without images: named by their settings, made once, checked when read, listed beside the networks."""

import io
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib.base import paths
from lib.base.errors import InputError
from lib.book import page_source
from lib.measurements.measurement import COUNT, FLOAT, SHARE
from lib.runs import archive, catalogue, durations, kinds, provenance, simulations, staleness, store, tars
from lib.runs.kinds import Kind
from lib.runs.named import Named
from lib.runs.run import as_parquet
from lib.runs.simulation import Simulation, described
from lib.runs.simulations import simulated
from lib.runs.validity import CONFIG
from lib.training.training import Training

calls: list[int] = []  # seeds in the order of their runs


def walk(*, seed: int, steps: int, drift: float, sign: str) -> dict[str, pd.DataFrame]:
    """A random walk and its end."""
    calls.append(seed)
    moves = np.random.default_rng(seed).normal(drift, 1, steps) * (-1 if sign == "minus" else 1)
    path = pd.DataFrame({"step": range(1, steps + 1), "place": moves.cumsum()})
    return {"path": path, "end": pd.DataFrame({"above": [float((path.place > 0).mean())]})}


TABLES = {"path": {"step": COUNT, "place": FLOAT}, "end": {"above": SHARE}}


@pytest.fixture(autouse=True)
def toy(monkeypatch, empty_store):
    kind = Kind(walk, "a random walk", TABLES, {"steps": 5, "drift": 0.0, "sign": "plus"})
    monkeypatch.setitem(kinds.SIMULATIONS, "walk", kind)
    calls.clear()
    return kind


def test_both_kinds_of_run_are_named_alike():
    for one in (Simulation("walk"), Training("digits", "resnet8", recipe="fast")):
        assert isinstance(one, Named)
        group, folder = one.name.split("/")
        assert folder.endswith(f"-{one.key}") and len(one.key) == 8
        assert set(json.loads(json.dumps(one.canonical()))) == set(one.canonical())


def test_a_simulation_is_named_by_all_that_decides_it():
    usual = Simulation("walk")
    assert usual == Simulation("walk", 0, (("drift", -0.0), ("steps", 5))) and usual.words == ""
    assert usual == Simulation("walk", settings=(("drift", 0),))
    others = [
        Simulation("walk", 1),
        Simulation("walk", 0, (("steps", 6),)),
        Simulation("walk", 0, (("drift", 0.5),)),
        Simulation("walk", 0, (("sign", "minus"), ("steps", 6))),
    ]
    assert len({one.key for one in [usual, *others]}) == 5
    assert others[3].words == "sign=minus, steps=6"
    assert others[3].name == f"simulations/walk-sign=minus-steps=6-seed0-{others[3].key}"
    for one in others:
        assert described(json.loads(json.dumps(one.canonical()))) == one


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Simulation("wlak"), "unknown simulation 'wlak'; known: "),
        (
            lambda: Simulation("walk", 0, (("step", 3),)),
            "unknown setting of walk 'step'; known: drift, sign, steps",
        ),
        (lambda: Simulation("walk", 0, (("steps", 3.0),)), "steps must be a value like 5, got 3.0"),
        (lambda: Simulation("walk", 0, (("steps", True),)), "steps must be a value like 5, got True"),
        (lambda: Simulation("walk", 0, (("steps", 10**400),)), "steps must be a value like 5, got 1000"),
        (lambda: Simulation("walk", 0, (("drift", "1"),)), "drift must be a value like 0.0, got '1'"),
        (lambda: Simulation("walk", 0, (("drift", math.nan),)), "drift must be a value like 0.0, got nan"),
        (lambda: Simulation("walk", 0, (("drift", 10**400),)), "drift must be a value like 0.0, got 1000"),
        (lambda: Simulation("walk", -1), "seed must be a whole number >= 0, got -1"),
        (lambda: Simulation("walk", True), "seed must be a whole number >= 0, got True"),
        (lambda: simulated("walk", "paths", seeds=[0]), "unknown table of walk 'paths'; known: end, path"),
        (lambda: simulated("walk", "path", seeds=[]), "need at least one seed"),
    ],
)
def test_what_there_is_not_is_one_line(call, said):
    with pytest.raises(InputError) as caught:
        call()
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not calls and not list(paths.runs().rglob("*.json"))


def test_each_seed_is_made_once():
    table = simulated("walk", "path", seeds=[3, 1, 3], steps=4)
    assert calls == [3, 1] and list(table) == [
        "simulation",
        "seed",
        "drift",
        "sign",
        "steps",
        "step",
        "place",
    ]
    assert table.seed.tolist() == [3] * 4 + [1] * 4 and set(table.steps) == {4}
    assert table.place[:4].tolist() == walk(seed=3, steps=4, drift=0.0, sign="plus")["path"].place.tolist()
    calls.clear()
    pd.testing.assert_frame_equal(simulated("walk", "path", seeds=[3, 1], steps=4), table)
    assert simulated("walk", "end", seeds=[1], steps=4).above.between(0, 1).all() and not calls


def test_frozen(monkeypatch):
    monkeypatch.setenv("RUNS_FROZEN", "1")
    with pytest.raises(InputError, match="RUNS_FROZEN=1 and simulation simulations/walk-seed0-.* not cached"):
        simulated("walk", "path", seeds=[0])


def test_it_is_listed_beside_the_networks_and_hinders_none_of_them(made, trainings, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "both")
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "both"))
    simulated("walk", "path", seeds=[0], drift=1.0)
    rows = catalogue.catalogue()
    ours = rows[rows.dataset == "simulations"].iloc[0]
    assert (ours.model, ours.variant, ours.status, ours.tables) == ("walk", "drift=1.0", "ok", "end, path")
    assert len(rows) == 1 + len(trainings) and set(rows.status) <= {"ok", "diverged"}
    assert set(catalogue.trainings()) == set(trainings) and len(catalogue.folders()) == len(trainings)
    assert len(durations.training()) == len(set(rows.epochs)) - 1


def test_other_code_makes_it_stale(monkeypatch):
    simulated("walk", "path", seeds=[0])
    assert catalogue.catalogue().status.tolist() == ["ok"]
    monkeypatch.setattr(simulations, "digest", lambda kind: "2:000000000000")
    rows = catalogue.catalogue()
    assert rows.status.tolist() == ["stale"] and "delete it to make it again" in rows.note[0]
    monkeypatch.delitem(kinds.SIMULATIONS, "walk")
    assert catalogue.catalogue().note.tolist() == ["the library has no such simulation any more"]


def test_a_stale_one_is_said_once_and_marked_in_a_chapter(monkeypatch, caplog):
    monkeypatch.setattr(staleness, "_told", set())
    provenance.start()
    simulated("walk", "path", seeds=[0, 1])
    assert not caplog.messages and staleness.so_far() == {}
    monkeypatch.setattr(simulations, "digest", lambda kind: "2:000000000000")
    simulated("walk", "path", seeds=[2, 1])  # of which the first is made now
    old = [Simulation("walk", seed).name for seed in (0, 1)]
    (said,) = caplog.messages
    assert said.startswith(f"{staleness.WORD}1 simulation was made by other code than today's")
    assert old[1] in said and "\n" not in said and "folder is deleted" in said and "recheck" not in said
    assert staleness.so_far() == {"simulation": old}  # for the head of the page
    assert "whose folder is deleted is made again" in page_source.stale_head(staleness.so_far())
    simulated("walk", "end", seeds=[0])
    assert len(caplog.messages) == 1


def test_a_function_that_gives_other_columns_is_found_before_anything_is_kept(monkeypatch, toy):
    odd = Kind(walk, "odd", {"path": {"step": COUNT}}, toy.settings)
    monkeypatch.setitem(kinds.SIMULATIONS, "odd", odd)
    with pytest.raises(InputError, match="simulation odd gives the columns"):
        simulated("odd", "path", seeds=[0])
    assert not list(paths.runs().rglob("*.json"))


@pytest.mark.parametrize("name", ["steps", "seed", "simulation"])
def test_a_column_with_the_name_of_a_setting_is_refused_at_once(toy, name):
    with pytest.raises(ValueError, match=f"column {name} of table path has the name of a setting"):
        Kind(walk, "a random walk", {"path": {"step": COUNT, name: FLOAT}}, toy.settings)


def test_damage_is_named():
    one = Simulation("walk")
    run = simulations.make(one)
    for file in ("path.parquet", CONFIG, store.MANIFEST):
        before = (run.path / file).read_bytes()
        (run.path / file).write_bytes(before[:-3] + bytes([before[-3] ^ 1]) + before[-2:])
        with pytest.raises(InputError, match=f"damaged: {run.path / file}"):
            simulated("walk", "path", seeds=[0])
        assert catalogue.catalogue().status.tolist() == ["damaged"]
        (run.path / file).write_bytes(before)
    run.path.rename(run.path.parent / "walk-seed1-00000000")
    assert catalogue.catalogue().note.str.contains("give it its name back").all()


FACTS = {
    "another part": lambda facts: facts | {"result": {}},
    "a field more": lambda facts: facts | {"simulation": facts["simulation"] | {"more": 1}},
    "provenance with a field more": lambda facts: facts | {"provenance": facts["provenance"] | {"more": 1}},
    "provenance of a network": lambda facts: facts | {"provenance": facts["provenance"] | {"engine": "cpu"}},
    "no code": lambda facts: facts | {"provenance": facts["provenance"] | {"code": None}},
    "a setting that is a list": lambda facts: facts | {"simulation": facts["simulation"] | {"settings": {"steps": [5]}}},
    "no provenance": lambda facts: {"simulation": facts["simulation"]},
}  # fmt: skip


@pytest.mark.parametrize("what", FACTS)
def test_a_configuration_that_this_library_does_not_write(what):
    _refused(CONFIG, lambda content: json.dumps(FACTS[what](json.loads(content))).encode())


OTHERS = {
    "another column": lambda rows: rows.rename(columns={"place": "plaice"}),
    "words": lambda rows: rows.assign(place="here"),
    "no rows": lambda rows: rows[:0],
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_table_that_is_not_that_of_its_kind(what):
    _refused("path.parquet", lambda content: as_parquet(OTHERS[what](pd.read_parquet(io.BytesIO(content)))))


def test_tables_that_its_kind_has_not():
    for change in (
        lambda files: files | {"more.parquet": files["path.parquet"]},
        lambda files: {name: content for name, content in files.items() if name != "end.parquet"},
    ):
        path, files = _folder()
        shutil.rmtree(path)
        store.create(path, change(files))
        assert catalogue.catalogue().status.tolist() == ["damaged"]
        shutil.rmtree(path)


def _folder() -> tuple[Path, dict[str, bytes]]:
    """The folder of a simulation, and the content of its files."""
    run = simulations.make(Simulation("walk"))
    return run.path, {name: run.read(name) for name in run.files}


def _refused(file: str, change: Callable[[bytes], bytes]) -> None:
    """A file is changed by somebody who seals it again: one line for who reads it and in the list of runs."""
    path, files = _folder()
    shutil.rmtree(path)
    store.create(path, files | {file: change(files[file])})
    with pytest.raises(InputError, match=f"damaged: {path / file} ") as caught:
        simulated("walk", "path", seeds=[0])
    assert "\n" not in str(caught.value)
    rows = catalogue.catalogue()
    assert rows.status.tolist() == ["damaged"] and rows.note[0] == str(caught.value)


def test_facts_that_describe_no_simulation():
    facts = Simulation("walk").canonical()
    for odd in ({}, facts | {"seed": "0"}, facts | {"settings": None}, facts | {"simulation": "other"}):
        assert described(odd) is None
    assert described(facts | {"settings": {"steps": 5}}) is None  # not spelled out


def test_a_simulation_is_not_packed(tmp_path):
    one = Simulation("walk")
    simulations.make(one)
    with pytest.raises(InputError, match=f"trained networks alone, got {one.name}; copy its folder"):
        archive.pack([one], tmp_path / "some.tar")
    assert not list(tmp_path.glob("*.tar"))


def test_an_archive_of_simulations_is_refused_in_one_line(tmp_path):
    run = simulations.make(Simulation("walk"))
    file = tmp_path / "some.tar"
    name = Simulation("walk").name
    file.write_bytes(tars.write({f"{name}/{one.name}": one.read_bytes() for one in run.path.iterdir()}))
    with pytest.raises(InputError, match="some.tar holds the simulation simulations/walk-") as caught:
        archive.unpack(file)
    assert "copy its folder into" in str(caught.value)
    assert "\n" not in str(caught.value)
