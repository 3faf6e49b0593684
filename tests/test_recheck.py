"""Recheck: what today's code repeats to the bit is stale no more, what it does not stays stale, and the
record of it cannot be edited.
"""

import functools
import hashlib
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from lib import runs, selectivity
from lib.base.errors import InputError
from lib.runs import catalogue, equivalence, groups, recheck, repeat, store
from lib.runs import provenance as runs_provenance
from lib.runs.run import as_parquet, network_of
from lib.runs.validity import CONFIG, HISTORY, WEIGHTS
from lib.training.loop import Trained, learning_rate, train
from lib.training.training import Training

# edits that change the digest and no number; which of the two kinds of results they reach
TRAIN = ("training/loop", "0.1**passed", "0.1 ** (passed + 0)")
TABLES = ("selectivity", "(means == 0)", "(means + 0 == 0)")


@pytest.fixture(autouse=True)
def a_long_training_takes_ten_minutes(monkeypatch):
    """On a busy machine the shared store's two epochs can take more than a minute."""
    monkeypatch.setattr("lib.runs.groups.WHOLE_SECONDS", 599.0)


@pytest.fixture
def again(own_store):
    """A function: recheck with what it says as a list of lines.

    Returns:
        (settled, lines).
    """

    def call(**how) -> tuple[bool, list[str]]:
        lines: list[str] = []
        return recheck.recheck(say=lines.append, **how), lines

    return call


@pytest.fixture
def nothing_is_trained(monkeypatch):
    monkeypatch.setattr("lib.runs.repeat.training", lambda *args: pytest.fail("trained"))


@pytest.fixture
def replayed(made, monkeypatch):
    """Training that takes no time: hands out what `made` holds.

    Yields a list of (training, threads) and of how to change what is handed out.
    """
    log = SimpleNamespace(trained=[], history=lambda table: table, network=lambda network: None, result={})

    @functools.wraps(train)  # by its name the fingerprint of the code finds the source
    def train_again(training, engine, *, on_epoch, progress, parent=None):
        log.trained.append((training, torch.get_num_threads()))
        run = store.Folder(made / training.name)
        network = network_of(training, run)
        log.network(network)
        history = log.history(pd.read_parquet(run.path / HISTORY))
        for row in history.to_dict("records"):
            on_epoch(row)
        return Trained(network, history, runs.config(run)["result"] | {"seconds": 0.1} | log.result, engine)

    monkeypatch.setattr("lib.runs.repeat.train", train_again)
    return log


def records(root: Path) -> list[dict]:
    return json.loads((root / equivalence.NAME).read_text())["same"]


def remake(
    root: Path, training: Training, *, history=None, weights: bool = True, result=(), **provenance
) -> store.Folder:
    """The same run as if it had been made otherwise: its files with other facts, sealed anew."""
    run = store.Folder(root / training.name)
    files = {name: run.read(name) for name in (CONFIG, HISTORY, WEIGHTS)}
    entries = {name: (entry, run.read(name)) for name, entry in run.files.items() if "measurement" in entry}
    facts = json.loads(files[CONFIG])
    facts["provenance"] |= provenance
    facts["result"] |= dict(result)
    files[CONFIG] = json.dumps(facts).encode()
    if history is not None:
        files[HISTORY] = as_parquet(history)
    shutil.rmtree(run.path)
    run = store.create(root / training.name, files, optional=(WEIGHTS,))
    for name, (entry, content) in entries.items():
        run.add(
            name, content, **{fact: value for fact, value in entry.items() if fact not in ("sha256", "bytes")}
        )
    if not weights:
        (run.path / WEIGHTS).unlink()
    return run


def history_of(root: Path, training: Training) -> pd.DataFrame:
    return pd.read_parquet(root / training.name / HISTORY)


def test_nothing_stale_is_nothing_to_do(again, own_store, nothing_is_trained):
    assert again() == (True, ["nothing to repeat here"])
    assert not (own_store / equivalence.NAME).exists()


@pytest.mark.slow
def test_equal_code_is_recorded(again, own_store, trainings, edit, monkeypatch):
    olds = {runs_provenance.training_digest(training) for training in trainings}
    edit(*TRAIN)
    new = runs_provenance.training_digest(trainings[0])
    assert set(catalogue.catalogue().status) == {"stale"}
    settled, lines = again()
    assert settled and set(catalogue.catalogue().status) == {"ok"}
    assert lines[0].startswith("repeating 2 trainings (4 epochs) and 0 tables: about")
    assert lines[-1].startswith(f"the same: plain training (fast) of resnet8 by code {olds.copy().pop()}")
    (record,) = records(own_store)
    config = runs.config(store.Folder(own_store / trainings[0].name))["provenance"]
    assert {record["old"]} == olds and record["new"] == new and record["kind"] == "training"
    assert (record["model"], record["variant"], record["recipe"]) == ("resnet8", "plain", "fast")
    assert all(record[name] == config[name] for name in ("engine", "device", "torch"))
    assert {"commit", "date"} <= set(record)
    whats = ("history", "weights", "result")
    assert record["evidence"] == [
        {"run": t.name, "what": what, "epochs": 2, "of": 2} for t in trainings for what in whats
    ]
    assert equivalence.same("training", record["old"], new)
    assert equivalence.same("training", record["old"], new, device=record["device"], engine=record["engine"])
    assert not equivalence.same("training", record["old"], new, device="another")
    assert not equivalence.same("table", record["old"], new)
    assert equivalence.same("training", new, record["old"])  # equal to the bit: in both directions
    # and the second time there is nothing left to do
    monkeypatch.setattr("lib.runs.repeat.training", lambda *args: pytest.fail("trained"))
    before = (own_store / equivalence.NAME).read_bytes()
    assert again() == (True, ["nothing to repeat here"])
    assert (own_store / equivalence.NAME).read_bytes() == before


def test_code_that_changes_the_result_stays_stale(again, own_store, trainings, edit, monkeypatch):
    for training in trainings:  # stopped after one epoch
        remake(own_store, training, result={"seconds": 600.0})
    edit(*TRAIN)
    real = learning_rate
    monkeypatch.setattr("lib.training.loop.learning_rate", lambda *args: real(*args) * 1.001)
    settled, lines = again()
    assert not settled
    assert lines[-1].startswith("differs: plain training (fast) of resnet8 by code ") and lines[-1].endswith(
        "2 runs stay stale"
    )
    assert f": {trainings[0].name}: its history, loss in row 1: " in lines[-1]
    assert not (own_store / equivalence.NAME).exists()


# what comes out otherwise, and what is said to differ
CHANGES = {
    "last bit": (
        {"history": lambda table: table.assign(selectivity=table.selectivity * (1 + 2**-52))},
        "its history, selectivity in row 1: ",
    ),
    "diverged": ({"history": lambda table: table.head(1)}, "its history, 2 rows of "),
    "a column": ({"history": lambda table: table.assign(more=0)}, "its history, 2 rows of "),
    "weights": ({"network": lambda network: list(network.parameters())[-1].data.add_(1e-6)}, "its weights"),
    "result": ({"result": {"best_epoch": 7}}, "its result, "),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_differs_is_found(change, again, own_store, trainings, edit, replayed):
    edit(*TRAIN)
    how, said = CHANGES[change]
    vars(replayed).update(how)
    settled, lines = again()
    assert (
        not settled
        and f": {trainings[0].name}: {said}" in lines[-1]
        and lines[-1].endswith("2 runs stay stale")
    )
    assert not (own_store / equivalence.NAME).exists()


@pytest.mark.slow
def test_a_change_that_only_alpha_shows_is_found(again, own_store, trainings, edit, monkeypatch):
    for training in trainings:  # stopped after one epoch
        remake(own_store, training, result={"seconds": 600.0})
    edit(*TRAIN)
    real = selectivity.mean_selectivity
    # the value is the same, the gradient is not
    monkeypatch.setattr(
        "lib.selectivity.mean_selectivity",
        lambda *args: (si := real(*args)).detach() + 0.5 * (si - si.detach()),
    )
    settled, lines = again()
    assert not settled and f"{trainings[1].name}: its history, " in lines[-1]
    assert not (own_store / equivalence.NAME).exists()


def test_a_long_training_is_repeated_in_part(again, own_store, trainings, edit, replayed):
    """After as many epochs as asked for it is stopped: what the rest would be is not looked at."""
    for training in trainings:
        recorded = history_of(own_store, training)
        recorded.loc[1, "loss"] += 1
        remake(own_store, training, history=recorded, result={"seconds": 600.0})
    edit(*TRAIN)
    settled, lines = again()
    assert settled and lines[0] == "repeating 2 trainings (2 epochs) and 0 tables: about 10 minutes"
    (record,) = records(own_store)
    one = [{"what": "history", "epochs": 1, "of": 2}, {"what": "clean_accuracy"}]
    assert record["evidence"] == [{"run": training.name} | found for training in trainings for found in one]
    os.remove(own_store / equivalence.NAME)
    settled, lines = again(epochs=2)
    assert not settled and "its history, loss in row 2: " in lines[-1]


def test_a_part_proves_nothing_where_a_whole_training_differs(again, own_store, trainings, edit, replayed):
    """What changed in later epochs alone does not show in the first."""
    # by other code than the other: a group of its own
    remake(own_store, trainings[0], result={"seconds": 600.0}, code="0" * 12)
    recorded = history_of(own_store, trainings[1])
    remake(own_store, trainings[1], history=recorded.assign(loss=recorded.loss + [0, 1]))
    edit(*TRAIN)
    settled, lines = again()
    assert not settled and not (own_store / equivalence.NAME).exists()
    assert "its history, loss in row 2: " in lines[-2]
    assert (
        lines[-1].startswith("left open: ")
        and "one repeated whole differs, so a part proves nothing" in lines[-1]
    )
    remake(own_store, trainings[1], history=recorded)
    assert again()[0] and len(records(own_store)) == 2


def test_in_part_the_accuracy_is_measured_on_the_kept_weights(again, own_store, trainings, edit, replayed):
    remake(own_store, trainings[0], result={"seconds": 600.0, "clean_accuracy": 0.5})
    edit(*TRAIN)
    settled, lines = again()
    assert not settled and "its accuracy on the test set, 0.5 recorded" in lines[-1]
    remake(own_store, trainings[0], weights=False)
    assert again()[0]
    assert [one["what"] for one in records(own_store)[0]["evidence"]] == [
        "history",
        "history",
        "weights",
        "result",
    ]


ELSEWHERE = {
    "device": ({"device": "Another CPU, 1 threads"}, "made on Another CPU, 1 threads, this is "),
    "threads": ({"device": "AMD, 1000 threads"}, "made on AMD, 1000 threads, this is "),
    "GPU": (
        {"device": "NVIDIA H200", "engine": "cuda bfloat16 compiled graph"},
        "made on NVIDIA H200, this is ",
    ),
    "torch": ({"torch": "2.0.0"}, "made with torch 2.0.0, this is "),
    "engine": (
        {"engine": "cpu bfloat16 compiled"},
        "made with cpu bfloat16 compiled, here it would be cpu float32 eager",
    ),
}


@pytest.mark.parametrize("where", ELSEWHERE)
def test_what_was_made_elsewhere_is_left_alone(where, again, own_store, trainings, edit, nothing_is_trained):
    facts, said = ELSEWHERE[where]
    for training in trainings:
        remake(own_store, training, **facts)
    edit(*TRAIN)
    settled, lines = again()
    assert not settled
    (line,) = [line for line in lines if line.startswith("not here: ")]
    assert said in line and line.endswith("2 runs stay stale")
    assert lines[-1] == "nothing to repeat here" and not (own_store / equivalence.NAME).exists()


def test_evidence_speaks_for_its_own_device_alone(again, own_store, trainings, edit, replayed):
    remake(own_store, trainings[1], device="Another CPU, 1 threads")
    edit(*TRAIN)
    settled, lines = again()
    assert not settled and any(line.startswith("the same: ") for line in lines)
    (record,) = records(own_store)
    assert {one["run"] for one in record["evidence"]} == {trainings[0].name}
    assert catalogue.catalogue().set_index("alpha").status.to_dict() == {0.0: "ok", 1.0: "stale"}
    assert not equivalence.same("training", record["old"], record["new"], device="Another CPU, 1 threads")


def test_missing_data_is_said(again, own_store, trainings, edit, nothing_is_trained, monkeypatch):
    def missing(*args):
        raise InputError("digits not found; get them")

    edit(*TRAIN)
    monkeypatch.setattr(repeat.data, "load", missing)
    settled, lines = again()
    assert not settled and "digits not found; get them; 2 runs stay stale" in lines[0]


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_as_many_threads_as_were_recorded(again, own_store, trainings, edit, replayed):
    here = runs_provenance.device("cpu")
    for training in trainings:
        remake(own_store, training, device=here.replace(", 1 threads", ", 2 threads"))
    edit(*TRAIN)
    assert again()[0]
    assert replayed.trained == [(training, 2) for training in trainings]
    assert torch.get_num_threads() == 1


def test_which_are_repeated(own_store, trainings, edit):
    """The one at alpha 0 and the farthest from it, lowest seed first; a diverged one only if there is no
    other.
    """
    source = own_store / trainings[1].name
    facts = json.loads((source / CONFIG).read_text())
    files = {name: (source / name).read_bytes() for name in (HISTORY, WEIGHTS)}
    grid = [(-2.0, 1, "ok"), (-2.0, 0, "ok"), (0.4, 0, "ok"), (0.0, 3, "ok"), (5.0, 0, "diverged")]
    for alpha, seed, status in grid:
        training = Training("digits", "resnet8", alpha, seed, "fast", 2)
        config = facts | {"training": training.canonical(), "result": facts["result"] | {"status": status}}
        store.create(
            own_store / training.name, files | {CONFIG: json.dumps(config).encode()}, optional=(WEIGHTS,)
        )
    edit(*TRAIN)
    (group,), (members,) = zip(*groups.found_groups()[0].items(), strict=True)
    chosen = [(member.training.alpha, member.training.seed) for member in groups.to_repeat(group, members)]
    assert chosen == [(0.0, 0), (-2.0, 0)]
    few = [member for member in members if member.training.alpha in (5.0,)]
    assert groups.to_repeat(group, few) == few
    signs = [member for member in members if abs(member.training.alpha) in (0.4, 1.0)]
    assert [member.training.alpha for member in groups.to_repeat(group, signs)] == [0.4, 1.0]


# ---- tables ------------------------------------------------------------------------------------------------


def test_equal_tables_are_recorded(again, own_store, trainings, edit, nothing_is_trained):
    old = runs_provenance.table_digest("selectivity", "resnet8")
    edit(*TABLES)
    settled, lines = again()
    assert settled and lines[0].startswith("repeating 0 trainings (0 epochs) and 1 tables: about")
    (record,) = records(own_store)
    assert (record["kind"], record["old"], record["new"]) == (
        "table",
        old,
        runs_provenance.table_digest("selectivity", "resnet8"),
    )
    assert (record["measurement"], record["model"]) == ("selectivity", "resnet8") and "variant" not in record
    assert record["evidence"] == [{"run": trainings[1].name, "what": "table"}]
    assert equivalence.same("table", old, record["new"]) and not equivalence.same(
        "training", old, record["new"]
    )


def test_a_record_that_links_old_digests_is_kept(own_store):
    """The evidence that a and b are equal serves b and c, once these are found equal."""
    about = {"model": "resnet8", "commit": "", "date": "", "evidence": []}
    for old, new in (("a", "b"), ("x", "y")):
        equivalence.add({"kind": "table", "old": old, "new": new, **about})
    equivalence.keep({("table", "a", "c")})
    assert [(one["old"], one["new"]) for one in records(own_store)] == [("a", "b")]
    equivalence.add({"kind": "table", "old": "b", "new": "c", **about})
    assert equivalence.same("table", "a", "c") and not equivalence.same("table", "x", "c")


def test_a_changed_table_stays_stale(again, own_store, trainings, edit, monkeypatch):
    edit(*TABLES)
    real = selectivity.selectivity_index
    monkeypatch.setattr(selectivity, "selectivity_index", lambda *args: real(*args) * (1 + 1e-7))
    settled, lines = again()
    assert not settled and lines[-1].startswith("differs: table selectivity of resnet8 by code ")
    assert ": selectivity in row " in lines[-1] and lines[-1].endswith("2 runs stay stale")
    assert not (own_store / equivalence.NAME).exists()


def test_a_table_without_weights_is_not_repeated(again, own_store, trainings, edit):
    edit(*TABLES)
    for training in trainings:
        (own_store / training.name / WEIGHTS).unlink()
    settled, lines = again()
    assert not settled and "the weights are not kept here; 2 runs stay stale" in lines[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"a": [0.0]}, {"a": [-0.0]}, "a in row 1: 0.0 recorded, -0.0 today"),
        (
            {"a": [1.0, 2.0]},
            {"a": [1.0, 2.0000000000000004]},
            "a in row 2: 2.0 recorded, 2.0000000000000004 today",
        ),
        ({"a": [1]}, {"a": [1.0]}, "1 rows of a int64 recorded, 1 rows of a float64 today"),
        ({"a": [1]}, {"b": [1]}, "1 rows of a int64 recorded, 1 rows of b int64 today"),
        ({"a": [1]}, {"a": [1, 1]}, "1 rows of a int64 recorded, 2 rows of a int64 today"),
        ({"a": ["x"]}, {"a": ["y"]}, "a in row 1: 'x' recorded, 'y' today"),
        ({"a": [float("nan"), 1.5]}, {"a": [float("nan"), 1.5]}, ""),
    ],
)
def test_tables_are_compared_to_the_bit(old, new, said):
    assert repeat.difference(pd.DataFrame(old), pd.DataFrame(new)) == said


# ---- the file ----------------------------------------------------------------------------------------------

RECORD = {"kind": "training", "old": "a" * 12, "new": "b" * 12, "device": "here"}


def test_no_file_says_no(own_store):
    assert not equivalence.same("training", "a" * 12, "b" * 12)
    assert equivalence.same("training", "a" * 12, "a" * 12)


DAMAGE = {
    "edited": (lambda text: text.replace("a" * 12, "c" * 12), "was changed by hand"),
    "added to": (
        lambda text: text.replace('"same": [', '"same": [{"kind": "table"}, '),
        "was changed by hand",
    ),
    "cut": (lambda text: text[: len(text) // 2], "is not JSON"),
    "empty": (lambda text: "", "is not JSON"),
    "without a seal": (
        lambda text: json.dumps({"same": json.loads(text)["same"]}),
        "is not a list of records",
    ),
    "something else": (lambda text: "[]", "is not a list of records"),
    "not text": (lambda text: b"\xff\xfe\x00", "is not JSON"),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_is_an_error_that_names_it(how, again, own_store):
    equivalence.add(RECORD)
    assert equivalence.same("training", "a" * 12, "b" * 12)
    file, (damage, said) = own_store / equivalence.NAME, DAMAGE[how]
    content = damage(file.read_text())
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    for call in (
        lambda: equivalence.same("training", "a" * 12, "b" * 12),
        again,
        lambda: equivalence.add(RECORD),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert str(caught.value).startswith(f"damaged: {file} {said}; ") and "recheck" in str(caught.value)
    # nothing is written over it
    assert file.read_bytes() == (content if isinstance(content, bytes) else content.encode())


def test_the_seal_is_a_checksum_of_the_records(own_store):
    equivalence.add(RECORD)
    content = json.loads((own_store / equivalence.NAME).read_text())
    assert content["same"] == [RECORD]
    assert content["seal"] == hashlib.sha256(json.dumps([RECORD], sort_keys=True).encode()).hexdigest()


def test_records_that_nothing_asks_for_are_dropped(again, own_store, edit, nothing_is_trained):
    equivalence.add(RECORD)
    assert again() == (True, ["nothing to repeat here"])
    assert records(own_store) == [] and not equivalence.same("training", "a" * 12, "b" * 12)


def test_a_later_edit_needs_evidence_of_its_own(again, own_store, trainings, edit, replayed):
    edit(*TRAIN)
    assert again()[0]
    (first,) = records(own_store)
    edit("training/loop", "passed + 0", "0 + passed")
    assert again()[0]
    (second,) = (one for one in records(own_store) if one != first)
    assert first["old"] == second["old"] and first["new"] != second["new"] == runs_provenance.training_digest(
        trainings[0]
    )


def test_the_catalogue_stays_as_it_is_with_the_file_in_the_store(own_store):
    before = catalogue.catalogue()
    equivalence.add(RECORD)
    pd.testing.assert_frame_equal(catalogue.catalogue(), before)


def test_frozen_is_refused(again, monkeypatch, nothing_is_trained):
    monkeypatch.setenv("RUNS_FROZEN", "1")
    with pytest.raises(InputError, match="RUNS_FROZEN=1 and recheck trains"):
        again()


def test_a_run_of_another_recipe_stays_stale(again, own_store, trainings):
    run = remake(own_store, trainings[0])
    facts = json.loads(run.read(CONFIG))
    facts["training"]["settings"]["momentum"] = 0.5
    files = {CONFIG: json.dumps(facts).encode(), HISTORY: run.read(HISTORY), WEIGHTS: run.read(WEIGHTS)}
    shutil.rmtree(run.path)
    store.create(run.path, files, optional=(WEIGHTS,))
    settled, lines = again()
    assert not settled and "no longer described by the recipes: 1 runs; they stay stale" in lines
