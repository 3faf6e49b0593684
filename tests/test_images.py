"""The images that results are about: told in every new table, and never mixed with others."""

import json
import shutil
import sys

import pytest

from conftest import EPOCHS
from lib import data, measurements, runs
from lib.__main__ import main
from lib.base.errors import InputError
from lib.runs import archive, catalogue, images, store
from lib.runs.tables import at_hand, cached, full_summary
from lib.runs.validity import CONFIG

KNOWN = data.FINGERPRINTS["digits"]
OTHER = "0123456789abcdef"
UNITS = measurements.file_name("selectivity", {})


def retold(run: store.Folder, name: str, content: bytes | None = None, **facts: object) -> None:
    """A file of a run sealed anew with other facts in the manifest; None leaves one out."""
    kept = {fact: value for fact, value in run.files[name].items() if fact not in ("sha256", "bytes")} | facts
    run.add(
        name, content or run.read(name), **{fact: value for fact, value in kept.items() if value is not None}
    )


def trained_on(run: store.Folder, fingerprint: str) -> None:
    """A run as if its network had been trained on other images."""
    facts = json.loads(run.read(CONFIG))
    facts["result"]["data"] = fingerprint
    retold(run, CONFIG, json.dumps(facts).encode())


@pytest.fixture
def pair(own_store, trainings, monkeypatch) -> list[store.Folder]:
    """The two runs of a store of the test's own; nothing may be trained or measured."""

    def fail(*args, **kwargs):
        raise AssertionError("trained or measured")

    monkeypatch.setattr("lib.runs.run.train_run", fail)
    monkeypatch.setattr("lib.runs.tables._measure", fail)
    return [store.Folder(own_store / training.name) for training in trainings]


def test_a_new_table_tells_its_images(pair):
    assert [run.files[UNITS][images.FACT] for run in pair] == [KNOWN["test"]] * 2


def test_a_table_that_does_not_tell_is_about_those_beside_its_training_images(pair, trainings):
    retold(pair[0], UNITS, images=None)
    facts = runs.config(pair[0])
    found = images.of_table("a", facts, UNITS, pair[0].files[UNITS])
    assert found.fingerprint == KNOWN["test"] and images.FACT not in pair[0].files[UNITS]
    assert len(runs.summary(trainings)) == 2
    # of images that this library does not know, nothing tells which test images lie beside them
    facts["result"]["data"] = OTHER
    assert images.of_table("a", facts, UNITS, pair[0].files[UNITS]).fingerprint == ""


READERS = {
    "table": lambda trainings: runs.table("selectivity", trainings),
    "summary": runs.summary,
    "missing": runs.missing,
    "history": runs.history,
    "cached": lambda trainings: cached("selectivity", trainings),
    "at hand": at_hand,
}


@pytest.mark.parametrize("reader", READERS)
def test_networks_of_two_training_sets_are_not_mixed(reader, pair, trainings):
    trained_on(pair[0], OTHER)
    with pytest.raises(InputError, match=r"not the same images of digits \(train split") as caught:
        READERS[reader](trainings)
    message = str(caught.value)
    assert "\n" not in message and "move the runs of one of them out of" in message
    assert all(training.name in message for training in trainings)
    assert OTHER in message and KNOWN["train"] in message
    # each by itself can be read
    assert [len(READERS[reader]([training])) for training in trainings] == [
        len(READERS[reader]([training])) for training in reversed(trainings)
    ]


@pytest.mark.parametrize("reader", ["table", "summary", "cached", "at hand"])
def test_tables_of_two_test_sets_are_not_mixed(reader, pair, trainings):
    retold(pair[1], UNITS, images=OTHER)
    with pytest.raises(
        InputError, match=rf"\(test split\), by their fingerprints: {UNITS} of run .* on {OTHER}"
    ):
        READERS[reader](trainings)
    runs.history(trainings)  # which are about the training images


def test_tables_of_two_test_sets_are_not_mixed_in_a_summary_of_all(pair, trainings):
    summary = runs.summary(trainings)
    file = measurements.file_name("corruption", {})
    retold(pair[0], UNITS)
    entry = {fact: value for fact, value in pair[0].files[UNITS].items() if fact not in ("sha256", "bytes")}
    pair[0].add(file, b"", **entry | {"measurement": "corruption", "images": OTHER})
    with pytest.raises(InputError, match=f"{file} of run .* was measured on {OTHER}"):
        full_summary(summary, trainings)


def test_what_is_missing_would_be_of_other_images(pair, trainings):
    """Before the training, which may take hours: the network that is there was made with other data."""
    trained_on(pair[0], OTHER)
    shutil.rmtree(pair[1].path)
    for ask in ("table", "summary", "history"):
        with pytest.raises(
            InputError, match=f"on {OTHER}, what is missing would be made on {KNOWN['train']}"
        ):
            READERS[ask](trainings)


def gone(*args):
    raise InputError("not found")


def test_data_that_are_missing_say_nothing(pair, monkeypatch):
    monkeypatch.setattr("lib.data.load", gone)
    results = images.of_run("a", runs.config(pair[0]))
    images.check(results, to_make=[images.Part("digits", split) for split in data.SPLITS])


def test_different_data_sets_may_stand_beside_each_other():
    parts = [
        images.Part("digits", "train"),
        images.Part("cifar10", "train"),
        images.Part("digits", "train", ("3",)),
    ]
    results = [images.Basis("a was trained", part, str(part)) for part in parts]
    images.check([*results, images.Basis("b was trained", parts[0], "")])
    with pytest.raises(InputError, match=r"digits \(train split without 3\)"):
        images.check([*results, images.Basis("b was trained", parts[2], OTHER)])


def test_many_runs_are_counted_and_the_fewest_come_first():
    results = [
        images.Basis(f"run {i} was trained", images.Part("digits", "train"), "a" if i else OTHER)
        for i in range(5)
    ]
    with pytest.raises(
        InputError, match=rf": run 0 was trained on {OTHER}, run 1 was trained on a \(and 3 mo"
    ):
        images.check(results)


def test_tables_of_other_images_do_not_come_in_by_an_archive(pair, trainings, tmp_path, monkeypatch):
    retold(pair[1], UNITS, images=OTHER)
    packed = archive.pack(trainings[1:], tmp_path / "runs.tar").archives[0]
    for root in (tmp_path / "empty", pair[0].path.parents[1]):
        monkeypatch.setenv("RUNS_DIR", str(root))
        with pytest.raises(InputError, match="whose accuracy and tables are not all about the same images"):
            archive.unpack(packed)
    for odd in (3, "x" * 16, "abc", None, ["a"]):
        retold(pair[1], UNITS, images="" if odd is None else odd)
        monkeypatch.setenv("RUNS_DIR", str(pair[0].path.parents[1]))
        packed = archive.pack(trainings[1:], tmp_path / "odd.tar").archives[0]
        monkeypatch.setenv("RUNS_DIR", str(tmp_path / "empty"))
        with pytest.raises(InputError, match="whose manifest is not that of a run"):
            archive.unpack(packed)


@pytest.fixture
def said(monkeypatch, capsys):
    """What `python -m lib data` says of the digits."""

    def run() -> list[str]:
        monkeypatch.setattr(sys, "argv", ["lib", "data", "digits"])
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code
        return capsys.readouterr().out.splitlines()

    return run


def test_the_command_tells_whether_these_are_the_images_of_the_cached_runs(pair, said):
    assert said()[1:] == [
        "digits: 2 cached networks trained on these images, in this order",
        "digits: 4 cached accuracies and tables measured on these images, in this order",
    ]
    trained_on(pair[1], OTHER)
    retold(pair[1], UNITS, images=None)
    lines = said()
    assert lines[0].startswith("digits: 1,297 train (fingerprint")
    assert lines[1].startswith(
        f"digits: 1 cached networks trained on OTHER images, or in another order: {OTHER}"
    )
    assert lines[3:] == [
        "digits: 2 cached accuracies and tables measured on images that they do not tell",
        "digits: 2 cached accuracies and tables measured on these images, in this order",
    ]
    (pair[0].path / CONFIG).write_text("{}", encoding="utf-8")  # a damaged run stops no look at the data
    assert len(said()) == 3


def test_what_is_not_here_is_told_by_fingerprint(pair, monkeypatch):
    monkeypatch.setattr("lib.data.load", gone)
    found = catalogue.bases()
    assert images.told(found, "digits")[0] == (
        f"2 cached networks trained on the images {KNOWN['train']}, which any copy of this data set gives"
    )
    assert images.told(found, "cifar10") == []


def test_a_repetition_on_other_images_is_none(pair, trainings, monkeypatch):
    from lib.runs import groups, recheck

    trained_on(pair[1], OTHER)
    member = groups.Member(trainings[1], pair[1], runs.HISTORY)
    assert member.basis.fingerprint == OTHER and member.basis.part.split == "train"
    made = runs.config(pair[1])["provenance"]
    about = {"model": "resnet8", "variant": "plain", "recipe": "fast"}
    facts = about | {name: made[name] for name in ("engine", "device", "torch")}
    group = groups.Group("training", "2:old", "2:new", tuple(facts.items()))
    assert recheck._hindrance(group, [member]).startswith("made on other images than those here: run digits-")
    assert recheck._hindrance(group, [groups.Member(trainings[0], pair[0], runs.HISTORY)]) == ""


@pytest.mark.parametrize("there", [1, 2])
def test_a_sweep_that_would_mix_is_refused_before_it_begins(there, pair, tmp_path, monkeypatch, capsys):
    trained_on(pair[0], OTHER)
    if there == 1:
        shutil.rmtree(pair[1].path)
    sweep = tmp_path / "two.yml"
    sweep.write_text(
        f"dataset: digits\nmodels: [resnet8]\nrecipe: fast\nepochs: {EPOCHS}\nalphas: [0, 1]\nseeds: [0]\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(sys, "argv", ["lib", "sweep", str(sweep)])
    with pytest.raises(SystemExit) as stop:
        main()
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.startswith("error: not the same images") and err.count("\n") == 1


def test_no_cached_run_mixes():
    """Those that this project ships."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUNS_DIR", raising=False)
        images.check(catalogue.bases())
