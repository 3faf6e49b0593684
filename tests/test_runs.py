"""What chapters ask for: cached tables, verified networks, and a catalogue that names what is damaged,
diverged or stale.
"""

import errno
import io
import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from conftest import EPOCHS
from lib import measurements, runs
from lib.base.errors import InputError
from lib.measurements.selectivity import selectivity
from lib.runs import catalogue, durations, equivalence, provenance, store
from lib.runs.run import train_run
from lib.runs.validity import CONFIG, HISTORY, WEIGHTS
from lib.training import augmentation
from lib.training.loop import accuracy
from lib.training.recipe import RECIPES
from lib.training.training import Training

NAMED = ["dataset", "model", "alpha", "seed", "recipe", "variant", "epochs"]
UNITS = measurements.file_name("selectivity", {})


def fail(*args, **kwargs):
    raise AssertionError("trained or measured although cached")


@pytest.fixture
def nothing_is_made(monkeypatch):
    """Training or measuring fails the test."""
    monkeypatch.setattr("lib.runs.run.train_run", fail)
    monkeypatch.setattr("lib.runs.tables._measure", fail)


def forge(
    root: Path, training: Training, source: store.Folder, *, tables: bool = True, **result
) -> store.Folder:
    """A run with the files of another one, under the name and configuration of `training`, with parts of its
    result replaced.
    """
    facts = json.loads(source.read(CONFIG))
    facts["training"] = training.canonical()
    facts["result"] |= result
    files = {CONFIG: json.dumps(facts).encode(), HISTORY: source.read(HISTORY), WEIGHTS: source.read(WEIGHTS)}
    run = store.create(root / training.name, files, optional=(WEIGHTS,))
    for name, entry in source.files.items():
        if tables and "measurement" in entry:
            run.add(
                name,
                source.read(name),
                **{fact: value for fact, value in entry.items() if fact not in ("sha256", "bytes")},
            )
    return run


@pytest.fixture
def source(made, trainings) -> store.Folder:
    return store.Folder(made / trainings[1].name)


def status_of(training: Training) -> pd.Series:
    rows = catalogue.catalogue().set_index("run")
    return rows.loc[training.name]


# ---- tables ------------------------------------------------------------------------------------------------


def test_table_has_named_rows(store_dir, trainings, nothing_is_made):
    table = runs.table("selectivity", trainings)
    assert list(table.columns) == [*NAMED, "layer", "depth", "unit", "selectivity", "dead", "best_class"]
    assert len(table) == 2 * 120 and table.index.is_unique
    for training in trainings:
        rows = table[table.alpha == training.alpha]
        assert len(rows) == 120
        assert rows[NAMED].drop_duplicates().values.tolist() == [
            ["digits", "resnet8", training.alpha, 0, "fast", "plain", EPOCHS]
        ]


def test_table_is_what_the_stored_network_gives(store_dir, trainings, digits, nothing_is_made):
    measured = selectivity(runs.load(trainings[1]), digits["test"])
    kept = runs.table("selectivity", [trainings[1]])
    pd.testing.assert_frame_equal(kept.drop(columns=NAMED), measured, check_dtype=False, rtol=1e-5, atol=1e-6)


def test_alpha_is_in_the_networks(store_dir, trainings):
    """A sanity check on the real thing: the run with alpha 1 is more selective."""
    means = runs.network_selectivity(runs.table("selectivity", trainings), ["alpha"])
    assert means[1.0] > means[0.0]


def test_a_missing_table_is_measured_once_without_training(own_store, trainings, monkeypatch):
    monkeypatch.setattr("lib.runs.run.train_run", fail)
    first = runs.table("class_means", trainings[:1])
    assert list(first.columns) == [*NAMED, "layer", "depth", "unit", "class", "mean"] and len(first) == 1200
    monkeypatch.setattr("lib.runs.tables._measure", fail)
    pd.testing.assert_frame_equal(runs.table("class_means", trainings[:1]), first)
    entry = store.Folder(own_store / trainings[0].name).files[measurements.file_name("class_means", {})]
    assert (
        entry["measurement"] == "class_means"
        and entry["settings"] == {}
        and re.fullmatch("2:[0-9a-f]{12}", entry["code"])
    )
    assert {"commit", "torch", "device", "date", "seconds"} <= set(entry["provenance"])


def test_a_missing_run_is_trained_once(empty_store, monkeypatch):
    training = Training("digits", "resnet8", -0.5, 3, "fast", 1)
    assert runs.missing([training]) == [training]
    trained = []
    real = train_run
    monkeypatch.setattr(
        "lib.runs.run.train_run", lambda *args, **how: trained.append(args) or real(*args, **how)
    )
    runs.table("selectivity", [training], progress=False)
    assert len(trained) == 1 and runs.missing([training]) == []
    monkeypatch.setattr("lib.runs.run.train_run", fail)
    monkeypatch.setattr("lib.runs.tables._measure", fail)
    runs.table("selectivity", [training], progress=False)
    runs.history([training])
    runs.load(training)
    facts = runs.config(runs.make(training))
    assert facts["training"] == json.loads(json.dumps(training.canonical()))
    assert {"version", "commit", "torch", "python", "device", "seconds", "date", "engine", "code"} <= set(
        facts["provenance"]
    )
    assert [path.name for path in empty_store.glob("[!.]*/*")] == [Path(training.name).name]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda trainings: runs.table("robustness", trainings),
            "unknown measurement 'robustness'; known: alignment, attack, autoattack, certificate",
        ),
        (
            lambda trainings: runs.table("selectivity", trainings, split="train"),
            "unknown setting of selectivity 'split'",
        ),
    ],
)
def test_unknown_measurement_or_setting(call, message, store_dir, trainings, nothing_is_made):
    with pytest.raises(InputError, match=message):
        call(trainings)


@pytest.mark.parametrize(
    "ask", [lambda: runs.table("selectivity", []), lambda: runs.history([])], ids=["table", "history"]
)
def test_no_trainings_at_all_is_a_clear_error(ask, store_dir):
    try:
        ask()
    except InputError as error:
        assert "training" in str(error)


def test_rows_of_runs_that_differ_in_epochs_can_be_told_apart(own_store, trainings, source, nothing_is_made):
    longer = replace(trainings[1], epochs=3)
    forge(own_store, longer, source)
    table = runs.table("selectivity", [trainings[1], longer])
    assert not table.duplicated().any()


def test_tables_at_hand_trains_nothing_again(own_store, trainings, monkeypatch):
    monkeypatch.setattr("lib.runs.run.train_run", fail)
    (own_store / trainings[0].name / WEIGHTS).unlink()
    table, left = runs.tables_at_hand("class_means", trainings)
    assert left == [trainings[0]] and table.alpha.unique().tolist() == [1.0]
    table, left = runs.tables_at_hand("selectivity", trainings)
    assert left == [] and table.alpha.unique().tolist() == [0.0, 1.0]  # was measured before


def test_measuring_is_exact_and_leaves_the_settings_as_they_were(own_store, trainings, monkeypatch):
    """TF32 in a GPU's convolutions has 10 bits: no measurement may use it, whatever the caller has set."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    seen = []

    def measure(network, images):
        seen.append((cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark))
        return pd.DataFrame({"unit": [0]})

    monkeypatch.setitem(
        measurements.MEASUREMENTS,
        "class_means",
        replace(measurements.MEASUREMENTS["class_means"], function=measure),
    )
    monkeypatch.setattr("lib.runs.provenance.table_digest", lambda name, model: "0" * 12)
    before = cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark
    try:
        cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark = True, True, True
        runs.table("class_means", trainings[:1])
        assert seen == [(False, False, False)]
        assert (cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark) == (True, True, True)
    finally:
        cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark = before


def test_variants_are_told_apart_in_every_table(own_store, trainings, source, nothing_is_made):
    mixed = replace(trainings[1], variant="augmix")
    forge(own_store, mixed, source)
    pair = [trainings[1], mixed]
    for table in (runs.table("selectivity", pair), runs.history(pair), runs.summary(pair)):
        assert table.variant.unique().tolist() == ["plain", "augmix"] and list(table.columns[:7]) == NAMED


# ---- frozen ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "frozen"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_frozen(value, frozen, monkeypatch):
    monkeypatch.setenv("RUNS_FROZEN", value)
    assert runs.frozen() is frozen
    monkeypatch.delenv("RUNS_FROZEN")
    assert runs.frozen() is False


def everything_below(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize(
    "ask",
    [
        lambda t: runs.make(t),
        lambda t: runs.table("selectivity", [t]),
        lambda t: runs.history([t]),
        lambda t: runs.summary([t]),
    ],
    ids=["make", "table", "history", "summary"],
)
def test_a_missing_run_when_frozen_names_the_command(ask, empty_store, monkeypatch, nothing_is_made):
    monkeypatch.setenv("RUNS_FROZEN", "1")
    training = Training("digits", "resnet8", -0.7, 2, "fast", 3)
    with pytest.raises(InputError) as caught:
        ask(training)
    expected = (
        "python -m lib train --dataset digits --model resnet8 --alpha=-0.7 --seed 2 --recipe fast --epochs 3"
    )
    assert str(caught.value) == f"RUNS_FROZEN=1 and run {training.name} not cached; make it with: {expected}"
    assert everything_below(empty_store) == []


def test_a_missing_table_when_frozen_names_the_command(own_store, trainings, monkeypatch, nothing_is_made):
    monkeypatch.setenv("RUNS_FROZEN", "1")
    before = everything_below(own_store)
    assert len(runs.table("selectivity", trainings)) == 240
    message = (
        f"table class_means of run {trainings[0].name} not cached; make it with: python -m lib "
        f"table class_means"
    )
    with pytest.raises(InputError, match=message):
        runs.table("class_means", trainings)
    (own_store / trainings[0].name / WEIGHTS).unlink()
    with pytest.raises(
        InputError, match="its weights are not kept; make it with: python -m lib train .* --weights"
    ):
        runs.make(trainings[0], weights=True)
    assert len(everything_below(own_store)) == len(before) - 1


def test_the_command_names_the_same_training():
    for training in (
        Training(alpha=-1),
        Training("digits", "resnet8", 0.25, 7, "fast", 3),
        Training(recipe="fast", variant="pgd-4"),
    ):
        words = shlex.split(runs.command(training).replace("=", " "))
        options = dict(zip(words[4::2], words[5::2], strict=True))
        again = Training(
            options["--dataset"], options["--model"], float(options["--alpha"]), int(options["--seed"]), options["--recipe"],
            int(options["--epochs"]) if "--epochs" in options else None, options.get("--variant", "plain"),
        )  # fmt: skip
        assert again == training


# ---- loading -----------------------------------------------------------------------------------------------


def test_load_gives_the_network_that_was_measured(store_dir, trainings, digits, nothing_is_made):
    for training in trainings:
        network = runs.load(training)
        assert not network.training and {parameter.dtype for parameter in network.parameters()} == {
            torch.float32
        }
        result = runs.config(runs.make(training))["result"]
        assert accuracy(network, digits["test"]) == result["clean_accuracy"] > 0.15
    assert not torch.equal(runs.load(trainings[0]).conv1.weight, runs.load(trainings[1]).conv1.weight)


def test_load_of_a_run_that_is_not_cached(empty_store, nothing_is_made):
    training = Training("digits", "resnet8", recipe="fast")
    with pytest.raises(
        InputError,
        match=f"run {training.name} is not cached; make it with: python -m lib train --dataset digits",
    ):
        runs.load(training)


def test_load_without_the_weights_of_this_seed(own_store, trainings, nothing_is_made):
    (own_store / trainings[0].name / WEIGHTS).unlink()
    message = (
        f"the weights of {trainings[0].name} are not kept here; make them with: python -m lib "
        f"train .* --weights$"
    )
    with pytest.raises(InputError, match=message):
        runs.load(trainings[0])
    assert status_of(trainings[0]).status == "ok" and not status_of(trainings[0]).weights
    assert status_of(trainings[1]).weights


def test_truncated_weights(own_store, trainings, monkeypatch):
    monkeypatch.setattr("lib.runs.run.train_run", fail)
    file = own_store / trainings[1].name / WEIGHTS
    content = file.read_bytes()[:-100]
    file.write_bytes(content)
    for ask in (lambda: runs.load(trainings[1]), lambda: runs.table("class_means", trainings)):
        with pytest.raises(
            InputError, match=f"damaged: .*{WEIGHTS} has {len(content)} bytes, not {len(content) + 100}"
        ):
            ask()
    assert file.read_bytes() == content  # nothing is silently made again over it
    assert status_of(trainings[1]).status == "damaged"
    assert len(runs.table("selectivity", trainings)) == 240  # what was measured before is whole


def test_missing_weights_are_trained_again_to_the_same_bits(own_store, trainings):
    file = own_store / trainings[1].name / WEIGHTS
    content = file.read_bytes()
    file.unlink()
    runs.make(trainings[1], weights=True, progress=False)
    assert file.read_bytes() == content
    store.Folder(file.parent).verify()


def test_weights_that_come_out_differently_are_not_mixed_in(own_store, trainings, monkeypatch):
    file = own_store / trainings[1].name / WEIGHTS
    content = bytearray(file.read_bytes())
    file.unlink()
    content[-1] ^= 1
    monkeypatch.setattr("lib.runs.run.train_run", lambda *args, **how: {WEIGHTS: bytes(content)})
    with pytest.raises(InputError, match=f"{WEIGHTS}: made again here, it differs from the recorded one"):
        runs.make(trainings[1], weights=True)
    assert not file.exists()


# ---- making ------------------------------------------------------------------------------------------------


def test_a_full_disk_while_a_run_is_kept(empty_store, monkeypatch):
    training = Training("digits", "resnet8", recipe="fast")

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(
        "lib.runs.run.train_run", lambda *args, **how: {CONFIG: b"{}", HISTORY: b"", WEIGHTS: b""}
    )
    with monkeypatch.context() as patch:
        patch.setattr(store.os, "fsync", full)
        with pytest.raises(
            InputError, match="the disk is full; nothing was changed, free some room or set RUNS_DIR"
        ):
            runs.make(training)
    assert [file for file in everything_below(empty_store) if file.is_file() and file.suffix != ".lock"] == []
    assert CONFIG in runs.make(training)  # and the lock is free


@pytest.mark.parametrize("name", [CONFIG, HISTORY, UNITS, "manifest.json"])
def test_every_damaged_file_is_reported_and_never_made_again(name, own_store, trainings, nothing_is_made):
    file = own_store / trainings[1].name / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    readers = {
        CONFIG: runs.summary,
        HISTORY: runs.history,
        UNITS: lambda t: runs.table("selectivity", t),
        "manifest.json": runs.missing,
    }
    with pytest.raises(InputError, match=f"damaged: .*{name}"):
        readers[name](trainings)
    rows = catalogue.catalogue().set_index("run").status
    assert rows[trainings[1].name] == "damaged" and rows[trainings[0].name] == "ok"
    assert name in status_of(trainings[1]).note
    assert file.read_bytes() == bytes(content)


def test_a_renamed_folder_is_not_taken_for_another_run(own_store, trainings, nothing_is_made):
    other = replace(trainings[1], alpha=-1.0)
    (own_store / trainings[1].name).rename(own_store / other.name)
    with pytest.raises(InputError, match="damaged"):
        runs.summary([other])


def test_a_checkpoint_made_by_other_code_is_not_gone_on_from(empty_store, digits, monkeypatch):
    monkeypatch.setattr("lib.data.load", lambda name, split: digits[split][slice(0, 200)])
    monkeypatch.setattr("lib.training.loop.CHECKPOINT_SECONDS", 0)
    training = Training("digits", "resnet8", recipe="fast", epochs=2)
    real, drawn = augmentation.draw, []

    def stop(*args):
        drawn.append(1)
        if len(drawn) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr("lib.training.augmentation.draw", stop)
    with pytest.raises(KeyboardInterrupt):
        runs.make(training, progress=False)
    monkeypatch.setattr("lib.runs.provenance.training_digest", lambda training: "other")
    try:
        runs.make(training, progress=False)
    except InputError:
        return
    assert len(drawn) == 2 + 2  # both epochs anew


# ---- grid, history, summary --------------------------------------------------------------------------------


def test_grid_is_every_alpha_and_seed_once():
    trainings = runs.grid(
        dataset="digits", model="resnet8", alphas=[1, -1.0, 0, 1.0, -0.0], seeds=[1, 0, 1], recipe="fast"
    )
    assert [(training.alpha, training.seed) for training in trainings] == [
        (-1, 0),
        (-1, 1),
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]
    assert {(one.dataset, one.model, one.recipe, one.epochs) for one in trainings} == {
        ("digits", "resnet8", "fast", None)
    }


def test_grid_has_variants_in_the_order_given():
    variants = ["pgd-10", "plain", "pgd-2", "plain"]
    trainings = runs.grid(
        dataset="digits", model="resnet8", alphas=[1, 0], seeds=[1, 0], recipe="fast", variants=variants
    )
    expected = [
        (variant, alpha, seed)
        for variant in ("pgd-10", "plain", "pgd-2")
        for alpha in (0, 1)
        for seed in (0, 1)
    ]
    assert [(training.variant, training.alpha, training.seed) for training in trainings] == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variants": []}, "need at least one variant, one alpha and one seed"),
        ({"variants": ["plain", "pgd"]}, "unknown variant 'pgd'"),
        ({"alphas": []}, "need at least one variant, one alpha and one seed"),
        ({"seeds": []}, "need at least one variant, one alpha and one seed"),
        ({"alphas": [float("nan")]}, "alpha must be a finite number, got nan"),
        ({"alphas": ["1"]}, "alpha must be a finite number, got '1'"),
        ({"seeds": [-1]}, "seed must be a whole number >= 0, got -1"),
        ({"model": "resnet18"}, "takes 64-pixel images"),
        pytest.param(
            {"alphas": [0.0, "one"]}, "alpha must be a finite number, got 'one'",
        ),
    ],
)  # fmt: skip
def test_grid_errors(change, message):
    with pytest.raises(InputError, match=message):
        runs.grid(
            **{"dataset": "digits", "model": "resnet8", "alphas": [0.0], "seeds": [0], "recipe": "fast"}
            | change
        )


def test_history_has_a_row_an_epoch(store_dir, trainings, nothing_is_made):
    history = runs.history(trainings)
    assert list(history.columns) == [*NAMED, "epoch", "loss", "selectivity", "validation_accuracy"]
    assert history.epoch.tolist() == [1, 2, 1, 2] and history.alpha.tolist() == [0.0, 0.0, 1.0, 1.0]
    for training, rows in zip(trainings, (history[:2], history[2:]), strict=True):
        assert rows.loss.iloc[1] < rows.loss.iloc[0]
        assert (
            rows.validation_accuracy.max()
            == runs.config(runs.make(training))["result"]["validation_accuracy"]
        )


def test_network_selectivity_is_the_mean_of_layer_means():
    units = pd.DataFrame({
        "alpha": [0.0] * 4 + [1.0] * 2,
        "depth": [1, 2, 2, 2, 1, 2],
        "selectivity": [1.0, 0.0, 0.1, 0.2, 0.3, 0.5],
    })
    means = runs.network_selectivity(units, ["alpha"])
    assert means.to_dict() == pytest.approx({0.0: (1.0 + 0.1) / 2, 1.0: 0.4})


def test_summary_of_cached_runs(store_dir, trainings, nothing_is_made):
    rows = runs.summary(trainings)
    assert list(rows.columns) == [
        *NAMED,
        "strength",
        "clean_accuracy",
        "mean_selectivity",
        "live_selectivity",
        "dead",
        "status",
        "device",
        "key",
    ]
    assert rows.key.tolist() == [training.key for training in trainings] and rows.alpha.tolist() == [0.0, 1.0]
    units = runs.table("selectivity", trainings)
    for row in rows.itertuples():
        mine = units[units.alpha == row.alpha]
        layers = [mine[mine.depth == depth].selectivity for depth in range(1, 8)]
        assert row.mean_selectivity == pytest.approx(sum(layer.sum() / len(layer) for layer in layers) / 7)
        assert row.dead == mine.dead.sum() / 120 and row.status == "ok"


def test_summary_counts_dead_units_apart(store_dir, trainings, monkeypatch):
    units = pd.DataFrame({
        "alpha": 0.0,
        "depth": [1, 1, 2, 2],
        "selectivity": [0.8, 0.0, 0.4, 0.2],
        "dead": [False, True, False, False],
    })
    monkeypatch.setattr("lib.runs.tables._one_table", lambda *given: units)
    row = runs.summary(trainings[:1]).iloc[0]
    assert row.mean_selectivity == pytest.approx((0.4 + 0.3) / 2)
    assert row.live_selectivity == pytest.approx((0.8 + 0.3) / 2)
    assert row.dead == 0.25


# ---- the catalogue -----------------------------------------------------------------------------------------


def test_catalogue_of_whole_runs(store_dir, trainings, nothing_is_made):
    rows = catalogue.catalogue()
    assert list(rows.columns) == catalogue.COLUMNS and len(rows) == 2
    assert (
        rows.status.tolist() == ["ok", "ok"] and rows.alpha.tolist() == [0.0, 1.0] and (rows.note == "").all()
    )
    assert rows.tables.tolist() == ["selectivity"] * 2 and rows.weights.all()
    summary = runs.summary(trainings)
    for name in ("clean_accuracy", "mean_selectivity"):
        assert rows[name].tolist() == pytest.approx(summary[name].tolist())
    assert (rows.epochs == 2).all() and rows.run.tolist() == [training.name for training in trainings]
    assert set(rows.torch) == {torch.__version__} and rows.engine.tolist() == ["cpu float32 eager"] * 2
    assert rows.date.str.fullmatch(r"\d{4}-\d\d-\d\d").all()


def test_catalogue_of_an_empty_store(empty_store):
    assert catalogue.catalogue().empty and list(catalogue.catalogue().columns) == catalogue.COLUMNS
    assert catalogue.trainings() == []


def test_a_diverged_run_is_kept_and_marked(own_store, trainings, source, nothing_is_made):
    diverged = replace(trainings[1], alpha=50.0)
    forge(own_store, diverged, source, status="diverged", clean_accuracy=0.1)
    row = status_of(diverged)
    assert row.status == "diverged" and row.clean_accuracy == 0.1 and row.note == ""
    assert runs.summary([diverged]).status.tolist() == ["diverged"]
    assert diverged in catalogue.trainings()


def test_a_run_without_manifest_is_in_the_catalogue(own_store, trainings):
    (own_store / trainings[0].name / "manifest.json").unlink()
    row = status_of(trainings[0])
    assert row.status == "damaged" and "manifest.json is missing" in row.note


def test_a_renamed_run_is_damaged_in_the_catalogue_too(own_store, trainings):
    other = replace(trainings[1], alpha=-1.0)
    (own_store / trainings[1].name).rename(own_store / other.name)
    assert status_of(other).status == "damaged"


def test_a_run_not_measured_yet_has_no_selectivity(own_store, trainings, source):
    bare = replace(trainings[1], seed=5)
    forge(own_store, bare, source, tables=False)
    row = status_of(bare)
    assert row.status == "ok" and row.tables == "" and pd.isna(row.mean_selectivity)


def test_variants_are_in_the_catalogue(own_store, trainings, source, monkeypatch):
    others = [replace(training, variant=variant) for training in trainings for variant in ("pgd-2", "augmix")]
    for training in others:
        forge(own_store, training, source)
    rows = catalogue.catalogue()
    assert list(zip(rows.variant, rows.alpha, strict=True)) == [
        (name, alpha) for name in ("augmix", "pgd-2", "plain") for alpha in (0.0, 1.0)
    ]
    assert {(t.variant, t.alpha, t.seed) for t in catalogue.trainings()} == {
        (t.variant, t.alpha, t.seed) for t in [*trainings, *others]
    }


def test_drafts_of_killed_processes_are_no_runs(own_store, trainings):
    folder = own_store / trainings[0].name
    shutil.copytree(folder, folder.with_name(f".{folder.name}.123.tmp"))
    assert catalogue.catalogue().status.tolist() == ["ok", "ok"]
    assert catalogue.trainings() == trainings


# what the sealed config.json of a run may hold that this library does not write:
# {section: replaced, or None: left out}
ODD = {
    "no result": {"result": None},
    "no provenance": {"provenance": None},
    "no training": {"training": None},
    "result without status": {"result": {"clean_accuracy": 0.5}},
    "training that is a list": {"training": ["digits"]},
    "alpha that is a word": {
        "training": {
            "dataset": "digits",
            "model": "resnet8",
            "alpha": "high",
            "seed": 0,
            "recipe": "fast",
            "settings": {"epochs": 1},
        }
    },
}


@pytest.mark.parametrize("case", ODD)
def test_a_run_that_another_library_wrote_does_not_stop_the_catalogue(case, own_store, trainings, source):
    facts = json.loads(source.read(CONFIG))
    facts = {name: value for name, value in (facts | ODD[case]).items() if value is not None}
    store.create(own_store / "digits-resnet8" / "odd", {CONFIG: json.dumps(facts).encode()})
    row = catalogue.catalogue().set_index("run").loc["digits-resnet8/odd"]
    assert row.status == "damaged" and "is not what this library writes" in row.note and "\n" not in row.note
    assert catalogue.trainings()[:2] == trainings


def damage(root: Path, trainings: list[Training], kind: str) -> str:
    """Do something to a store of two runs.

    Returns:
        What the list of runs must say of it.
    """
    folder = root / trainings[0].name
    if kind == "empty folder":
        (folder.parent / "alpha9.0-seed0-fast-0123abcd").mkdir()
        return "0123abcd/manifest.json is missing"
    if kind == "file for a run":
        (folder.parent / "alpha9.0-seed0-fast-0123abcd").touch()
        return "cannot read .*0123abcd/manifest.json: Not a directory"
    if kind == "link to nowhere":
        (folder.parent / "alpha9.0-seed0-fast-0123abcd").symlink_to("nowhere")
        return "0123abcd/manifest.json is missing"
    if kind == "folder for a file":
        (folder / CONFIG).unlink()
        (folder / CONFIG).mkdir()
        return f"{CONFIG} is a folder, not a file"
    if kind == "pipe for a file":
        (folder / UNITS).unlink()
        os.mkfifo(folder / UNITS)
        return f"{UNITS} is a pipe or a device"
    if kind == "pipe for the manifest":
        (folder / "manifest.json").unlink()
        os.mkfifo(folder / "manifest.json")
        return "manifest.json is a pipe or a device"
    if kind == "copied group":
        shutil.copytree(folder.parent, root / "backup")
        return (
            f"backup/.* is a copy of the run {trainings[0].name}, which is in its place too; move "
            f"the copy out of"
        )
    if kind == "copied run":
        shutil.copytree(folder, folder.with_name("backup"))
        return f"backup is a copy of the run {trainings[0].name}"
    if kind == "run above its group":
        shutil.copytree(folder, root / folder.name)
        return f"is a copy of the run {trainings[0].name}"
    run = store.Folder(folder)
    facts = json.loads(run.read(CONFIG))
    if kind == "no result":
        run.add(CONFIG, json.dumps({name: facts[name] for name in ("training", "provenance")}).encode())
        return f"{CONFIG} is not what this library writes: the file has no result"
    if kind == "commit in a list":
        facts["provenance"]["commit"] = ["<script>alert(1)</script>"]
        run.add(CONFIG, json.dumps(facts).encode())
        return f"{CONFIG} is not what this library writes: provenance.commit is "
    if kind == "garbage for a table":
        run.add(
            UNITS,
            b"garbage",
            **{fact: run.files[UNITS][fact] for fact in ("measurement", "settings", "code", "provenance")},
        )
        return f"{UNITS} cannot be read as a table"
    if kind == "alpha in a table":
        buffer = io.BytesIO()
        pd.read_parquet(folder / UNITS).assign(alpha=1.0).to_parquet(buffer)
        run.add(
            UNITS,
            buffer.getvalue(),
            **{fact: run.files[UNITS][fact] for fact in ("measurement", "settings", "code", "provenance")},
        )
        return f"{UNITS} has a column alpha"
    raise AssertionError(kind)


DAMAGED = [
    "empty folder", "file for a run", "link to nowhere", "folder for a file", "pipe for a file", "pipe for the manifest", "copied group",
    "copied run", "run above its group", "no result", "commit in a list", "garbage for a table", "alpha in a table",
]  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGED)
def test_the_list_of_runs_names_what_it_cannot_use(kind, own_store, trainings):
    said = damage(own_store, trainings, kind)
    rows = catalogue.catalogue()
    bad = rows[rows.status == "damaged"]
    assert len(bad) == (2 if kind == "copied group" else 1) and bad.note.str.contains(said).any(), (
        bad.note.tolist()
    )
    assert not bad.note.str.contains("\n").any()
    with pytest.raises(InputError, match=said):
        catalogue.refuse_damaged(rows)
    assert status_of(trainings[1]).status == "ok"


@pytest.mark.parametrize("kind", DAMAGED)
def test_what_is_damaged_is_one_line_or_no_hindrance(kind, own_store, trainings, nothing_is_made):
    """Whatever reads runs: chapters, tables of all runs, plans of sweeps, and how long things took."""
    damage(own_store, trainings, kind)
    for ask in (
        lambda: runs.summary(trainings), lambda: runs.history(trainings), lambda: runs.missing(trainings), catalogue.trainings,
        lambda: runs.load(trainings[0]), lambda: [store.Folder(folder) for folder in catalogue.folders()],
    ):  # fmt: skip
        try:
            ask()
        except InputError as error:
            assert "\n" not in str(error) and ("damaged: " in str(error) or "cannot read" in str(error))
    assert len(durations.measuring()) == 1 and len(durations.training()) == 1
    if kind in ("copied group", "copied run", "run above its group"):
        assert catalogue.trainings() == trainings and len(runs.summary(trainings)) == 2


@pytest.mark.parametrize("place", ["the store", "a group", "a run"])
def test_a_folder_that_may_not_be_read_is_named(place, own_store, trainings, monkeypatch):
    """As a run is that another user keeps to himself; root may read everything, so the system's answer is
    made up.
    """
    shut = {
        "the store": own_store,
        "a group": own_store / "digits-resnet8",
        "a run": own_store / trainings[0].name,
    }[place]
    listdir, stat = os.listdir, os.stat

    def refusing(real, inside):
        def call(path=".", *args, **kwargs):
            where = Path(path) if not isinstance(path, int) else Path("/")
            if shut in (where.parents if inside else [where]):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return real(path, *args, **kwargs)

        return call

    monkeypatch.setattr(os, "listdir", refusing(listdir, False))
    monkeypatch.setattr(os, "stat", refusing(stat, True))
    if place == "the store":
        with pytest.raises(
            InputError, match=f"cannot read {own_store}.*: Permission denied; mend its permissions"
        ):
            catalogue.catalogue()
        return
    rows = catalogue.catalogue()
    assert rows[rows.status == "damaged"].note.str.contains(
        f"cannot read {shut}.*: Permission denied"
    ).tolist() == [True]
    with pytest.raises(InputError, match="Permission denied"):
        runs.missing(trainings)


def test_a_store_that_is_a_file_is_named(tmp_path, monkeypatch, trainings):
    (tmp_path / "runs").write_text("")
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "runs"))
    for ask in (
        catalogue.catalogue,
        catalogue.trainings,
        catalogue.folders,
        lambda: runs.make(trainings[0], progress=False),
    ):
        with pytest.raises(InputError, match=f"{tmp_path / 'runs'}.*set RUNS_DIR"):
            ask()


def test_a_changed_recipe_makes_stale(own_store, trainings, monkeypatch):
    recipe = RECIPES["fast"]["resnet8"]
    monkeypatch.setitem(RECIPES["fast"], "resnet8", replace(recipe, weight_decay=1e-3))
    rows = catalogue.catalogue()
    assert rows.status.tolist() == ["stale", "stale"] and rows.note.str.contains("recipe").all()
    assert catalogue.trainings() == []


def test_a_table_of_a_measurement_that_is_gone_is_stale(own_store, trainings):
    run = store.Folder(own_store / trainings[0].name)
    run.add("roughness-000000.parquet", b"", measurement="roughness", settings={}, code="0", provenance={})
    row = status_of(trainings[0])
    assert row.status == "stale" and "roughness" in row.note and "training" not in row.note
    assert status_of(trainings[1]).status == "ok"


def test_a_run_of_a_model_that_is_gone_does_not_stop_the_catalogue(store_dir, monkeypatch):
    from lib import models

    # keeps the order of the table
    monkeypatch.setattr(
        "lib.models.MODELS",
        {name: made for name, made in models.MODELS.items() if name != "resnet8"},
    )
    assert catalogue.catalogue().status.tolist() == ["stale", "stale"]


def test_an_edited_constant_names_what_is_stale(store_dir, edit):
    assert set(catalogue.catalogue().status) == {"ok"}
    edit("selectivity", "EPSILON = 1e-6", "EPSILON = 1e-5")
    rows = catalogue.catalogue()
    assert rows.status.tolist() == ["stale", "stale"]
    assert (rows.note == "changed since it was made: code of selectivity, training").all()


def test_an_edited_table_is_stale_without_its_training(store_dir, edit):
    edit("measurements/selectivity", '"best_class": means', '"favourite": means')
    assert (catalogue.catalogue().note == "changed since it was made: code of selectivity").all()


def test_code_that_is_known_to_give_the_same_is_not_stale(own_store, trainings, edit):
    run = store.Folder(own_store / trainings[0].name)
    made = runs.config(run)["provenance"]
    old = {"training": made["code"], "table": run.files[UNITS]["code"]}
    edit("selectivity", "EPSILON = 1e-6", "EPSILON = 1e-5")
    assert (catalogue.catalogue().note == "changed since it was made: code of selectivity, training").all()
    where = {"device": made["device"], "torch": made["torch"]}
    training = {
        "kind": "training",
        "old": old["training"],
        "new": provenance.training_digest(trainings[0]),
        "model": "resnet8",
        "variant": "plain",
    } | where
    training |= {"recipe": "fast", "engine": made["engine"]}
    table = {
        "kind": "table",
        "old": old["table"],
        "new": provenance.table_digest("selectivity", "resnet8"),
        "model": "resnet8",
    }
    table |= {"measurement": "selectivity"} | where

    def note(*records: dict) -> list[str]:
        equivalence.keep(set())
        for record in records:
            equivalence.add(record)
        return catalogue.catalogue().note.unique().tolist()

    stale = "changed since it was made: code of "
    assert (
        note(training) == [stale + "selectivity"]
        and note(table) == [stale + "training"]
        and note(training, table) == [""]
    )
    for other in (
        {"engine": "cuda bfloat16 compiled "
            "graph"}, {"device": "another machine"}, {"torch": "0.0"}, {"model": "resnet20"},
        {"variant": "augmix"}, {"recipe": "paper"}, {"new": "0" * 12}, {"kind": "table"},
    ):  # fmt: skip
        assert note(training | other, table) == [stale + "training"], other
    for other in ({"measurement": "class_means"}, {"device": "another machine"}, {"old": "0" * 12}):
        assert note(training, table | other) == [stale + "selectivity"], other


def test_an_edited_objective_is_stale_for_its_own_variant_alone(own_store, trainings, source, edit):
    variants = {name: replace(trainings[1], variant=name) for name in ("plain", "augmix", "pgd-2", "pgd-4")}
    for name in ("augmix", "pgd-2", "pgd-4"):
        run = forge(own_store, variants[name], source)
        facts = runs.config(run)
        facts["provenance"]["code"] = provenance.training_digest(variants[name])
        shutil.rmtree(run.path)
        store.create(
            run.path,
            {
                CONFIG: json.dumps(facts).encode(),
                HISTORY: source.read(HISTORY),
                WEIGHTS: source.read(WEIGHTS),
            },
            optional=(WEIGHTS,),
        )
    # one code, two settings
    assert provenance.training_digest(variants["pgd-2"]) == provenance.training_digest(variants["pgd-4"])
    assert set(catalogue.catalogue().status) == {"ok"}
    edit(
        "training/objective/views",
        "settings.jsd * consistency(logits)",
        "settings.jsd * 2 * consistency(logits)",
    )
    rows = catalogue.catalogue()
    assert rows[rows.status == "stale"].variant.tolist() == ["augmix"]
    edit("attacks/ascent", "found.detach()", "found.detach() + 0")
    rows = catalogue.catalogue()
    assert sorted(rows[rows.status == "stale"].variant) == ["augmix", "pgd-2", "pgd-4"]


def test_cached_lists_trainings_and_stops_at_damage(own_store, trainings):
    assert catalogue.trainings() == trainings
    (own_store / trainings[0].name / CONFIG).write_text("{}")
    with pytest.raises(InputError, match=f"damaged: .*{CONFIG}"):
        catalogue.trainings()


# ---- provenance --------------------------------------------------------------------------------------------


def test_commit_outside_a_checkout_is_empty(tmp_path, monkeypatch):
    monkeypatch.setattr("lib.base.paths.ROOT", tmp_path)
    assert provenance.commit() == ""
    monkeypatch.setenv("PATH", "")  # no git at all
    assert provenance.commit() == ""


def repository(folder: Path) -> Path:
    """A repository with one commit, of lib/a.py."""
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "a.py").write_text("A = 1\n")
    for words in (["init"], ["add", "."], ["commit", "-m", folder.name]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    return folder


def test_commit_inside_the_repository_of_another_project_is_empty(tmp_path, monkeypatch):
    """An archive of this project unpacked there, as a plain folder or as one that its repository tracks."""
    unpacked = repository(tmp_path / "theirs") / "vendor" / "ours"
    unpacked.mkdir(parents=True)
    monkeypatch.setattr("lib.base.paths.ROOT", unpacked)
    assert provenance.commit() == ""
    repository(unpacked)  # now it is one of its own
    assert len(provenance.commit()) == 10


@pytest.mark.parametrize("inside", [True, False])
def test_commit_is_of_this_project_whatever_the_environment_says(inside, tmp_path, monkeypatch):
    """As in a hook of git, which sets these, or where a user has set them for a repository of his own."""
    theirs, ours = repository(tmp_path / "theirs"), tmp_path / "ours"
    ours.mkdir()
    monkeypatch.setattr("lib.base.paths.ROOT", repository(ours / "clone") if inside else ours)
    expected = provenance.commit()
    assert len(expected) == (10 if inside else 0)
    monkeypatch.setenv("GIT_DIR", str(theirs / ".git"))
    for variable in ("GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        for value in (theirs, ours, tmp_path / "nowhere"):
            monkeypatch.setenv(variable, str(value))
            assert provenance.commit() == expected


def test_commit_of_a_linked_clone_and_a_link_to_it(tmp_path, monkeypatch):
    """What `git worktree add` makes, whose .git is a file, and a project reached by a link."""
    clone = repository(tmp_path / "clone")
    subprocess.run(
        ["git", "-C", str(clone), "worktree", "add", str(tmp_path / "second")],
        check=True,
        capture_output=True,
    )
    (tmp_path / "link").symlink_to(clone)
    monkeypatch.setattr("lib.base.paths.ROOT", clone)
    first = provenance.commit()
    for place in ("second", "link"):
        monkeypatch.setattr("lib.base.paths.ROOT", tmp_path / place)
        assert provenance.commit() == first and len(first) == 10


def test_commit_of_a_repository_without_one(tmp_path, monkeypatch):
    subprocess.run(["git", "-C", str(tmp_path), "init"], check=True, capture_output=True)
    monkeypatch.setattr("lib.base.paths.ROOT", tmp_path)
    assert provenance.commit() == ""


def test_commit_says_whether_the_library_was_changed(tmp_path, monkeypatch):
    repository(tmp_path / "clone")
    tmp_path /= "clone"
    monkeypatch.setattr("lib.base.paths.ROOT", tmp_path)
    clean = provenance.commit()
    assert len(clean) == 10 and int(clean, 16) >= 0
    (tmp_path / "notes.md").write_text("not of the library")
    assert provenance.commit() == clean
    (tmp_path / "lib" / "a.py").write_text("A = 2\n")
    assert provenance.commit() == clean + "+"


def test_a_class_that_there_is_not_leaves_nothing_in_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "own"))
    with pytest.raises(InputError, match="unknown class 'cat'"):
        runs.make(Training("digits", "resnet8", recipe="fast", without=("cat",)))
    assert not list(tmp_path.iterdir())
