"""Trainings that start from another's network or leave classes out, and tables along a training."""

import json

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from lib import measurements, models, runs
from lib.__main__ import app
from lib.base import paths
from lib.base.errors import InputError
from lib.base.seeds import derived_seed
from lib.data.images import Images
from lib.runs import catalogue, images, store
from lib.runs import run as runs_run
from lib.runs.validity import CONFIG, WEIGHTS
from lib.training import augmentation, seeds
from lib.training.datasets import Augmentation
from lib.training.engine import Engine
from lib.training.engine import device as described_device
from lib.training.loop import OutOfTime, to_half, train
from lib.training.training import Training, described

EAGER = Engine("cpu", low_precision=False, compiled=False)
PARENT = Training("digits", "resnet8", 0.0, 0, "fast", 1)
CHILD = Training("digits", "resnet8", 1.0, 0, "fast", 1, start=PARENT)


@pytest.fixture
def few(digits, monkeypatch, tmp_path) -> dict[str, Images]:
    """`data.load` gives 220 training images and 100 test images only; the store is empty."""
    some = {"train": digits["train"][slice(0, 220)], "test": digits["test"][slice(0, 100)]}
    monkeypatch.setattr("lib.data.load", lambda name, split: some[split])
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "runs"))
    return some


# ---- names -------------------------------------------------------------------------------------------------


def test_what_is_not_in_use_is_in_no_name():
    plain = Training("digits", "resnet8", 0.5, 3, "fast")
    assert not {"start", "without"} & plain.canonical().keys() and plain.way == "plain"
    assert Training("digits", "resnet8", 0.5, 3, "fast", without=()) == plain
    # as it was when there were no parents: the run of that name is in the repository
    assert (paths.ROOT / "runs" / Training("digits", "resnet8", 0.0, 0, "fast").name).is_dir()


def test_parent_and_missing_classes_make_another_run_of_a_readable_name():
    both = Training("digits", "resnet8", 1.0, 0, "fast", 1, start=PARENT, without=["7", "1", "7"])
    keys = {one.key for one in (PARENT, CHILD, both, Training("digits", "resnet8", 1.0, 0, "fast", 1))}
    assert len(keys) == 4 and both.without == ("1", "7")
    assert f"fast1-plain-from-{PARENT.key}-without-1-7-{both.key}" in both.name
    grandchild = Training("digits", "resnet8", 1.0, 0, "fast", 1, "pgd-2", start=both)
    for one in (CHILD, both, grandchild):
        assert described(json.loads(json.dumps(one.canonical()))) == one
    assert grandchild.way == f"pgd-2-from-{both.key}"


def test_many_classes_left_out_fit_a_file_name():
    names = [f"n{number:08d}" for number in range(198)]
    many = Training("tiny-imagenet", "resnet18", 0.0, 0, "paper", without=names)
    assert "without-198-classes" in many.name and len(many.name.split("/")[1]) < 100


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"start": "alpha0"}, "start must be a Training"),
        ({"start": Training("cifar10", "resnet20")}, "a parent has the same data set and model"),
        ({"without": "cat"}, "without must be names of classes"),
        ({"without": (3,)}, "without must be names of classes"),
        ({"without": ("",)}, "without must be names of classes"),
        ({"without": tuple("012345678")}, "two at least must stay"),
    ],
)
def test_no_such_training(fields, said):
    with pytest.raises(InputError, match=said) as caught:
        Training("digits", "resnet8", 0.0, 0, "fast", **fields)
    assert "\n" not in str(caught.value)


def test_facts_of_a_parent_that_is_none_describe_no_training():
    facts = json.loads(json.dumps(CHILD.canonical()))
    for odd in (None, 3, [], {}, facts["start"] | {"alpha": "x"}, "plain"):
        assert described(facts | {"start": odd}) is None
    for odd in (None, 3, ["1", "1"], [[]], {"cat": 1}, "1"):
        assert described(facts | {"without": odd}) is None


# ---- classes left out --------------------------------------------------------------------------------------


def test_images_of_classes_left_out_are_nowhere(few):
    training = Training("digits", "resnet8", 0.0, 0, "fast", 1, without=("3",))
    kept = few["train"].without(["3"])
    assert len(kept) == int((few["train"].labels != 3).sum()) and kept.classes == few["train"].classes
    for rows in seeds.split(kept, training):
        assert 3 not in kept.labels[rows]
    trained = train(training, EAGER, progress=False)
    assert trained.result["clean_n"] == int((few["test"].labels != 3).sum())
    assert trained.result["data"] == kept.fingerprint != few["train"].fingerprint
    units = runs.table("selectivity", [training], progress=False)
    assert units.variant.unique().tolist() == ["plain-without-3"] and len(units)
    rows = runs.table("corruption", [training], progress=False, limit=20)
    assert rows[rows["class"] == "3"].images.sum() == 0 and rows.images.sum() > 0


def test_a_class_there_is_not(few):
    with pytest.raises(InputError, match="unknown class 'cta'; known: 0, 1"):
        runs.make(Training("digits", "resnet8", 0.0, 0, "fast", 1, without=("cta",)))
    assert not list(paths.runs().glob("digits-resnet8/*"))


# ---- parents -----------------------------------------------------------------------------------------------


def test_a_child_starts_from_the_stored_network_of_its_parent(few):
    begun = runs.table("selectivity", [PARENT], progress=False)
    at_start = runs.snapshots("selectivity", [CHILD], epochs=[0], progress=False)
    assert at_start.selectivity.tolist() == begun.selectivity.tolist()  # the parent itself
    facts = runs.config(store.Folder(paths.runs() / CHILD.name))
    parent = store.Folder(paths.runs() / PARENT.name)
    assert facts["provenance"]["parent"] == parent.files[WEIGHTS]["sha256"]
    rows = catalogue.catalogue()
    assert set(rows.status) <= {"ok", "diverged"} and f"plain-from-{PARENT.key}" in set(rows.variant)
    assert set(catalogue.trainings()) == {PARENT, CHILD}


def test_a_parent_that_is_not_cached(few, monkeypatch):
    monkeypatch.setenv("RUNS_FROZEN", "1")
    with pytest.raises(InputError, match=f"not cached; make it with: .* --start {PARENT.name}"):
        runs.make(CHILD)


def test_a_parent_is_given_exactly_where_one_is_wanted(few):
    weights = models.build("resnet8", 10, seed=3).state_dict()
    with pytest.raises(InputError, match="starts from no other network, and a network was given"):
        train(PARENT, EAGER, parent=weights, progress=False)
    with pytest.raises(InputError, match=f"starts from {PARENT.name}, and no network was given"):
        train(CHILD, EAGER, progress=False)


def test_the_command_line_takes_parents_and_classes(few):
    runs.make(PARENT)
    call = ["train", "--dataset", "digits", "--epochs", "1", "--without", "7", "--start"]
    done = CliRunner().invoke(app, [*call, PARENT.key], catch_exceptions=False)
    child = Training("digits", "resnet8", 0.0, 0, "fast", 1, start=PARENT, without=("7",))
    assert done.exit_code == 0 and not runs.missing([child])
    assert runs.command(child).endswith(f" --start {PARENT.name} --without 7")
    with pytest.raises(InputError, match="no run 'alpha9' in .*; python -m lib runs --csv lists"):
        CliRunner().invoke(app, [*call, "alpha9"], catch_exceptions=False)


# ---- tables along a training -------------------------------------------------------------------------------

LONG = Training("digits", "resnet8", 1.0, 0, "fast", 3)


def test_tables_along_a_training(few):
    rows = runs.snapshots("selectivity", [LONG], epochs=[3, 0, 1], progress=False)
    assert rows.epoch.unique().tolist() == [0, 1, 3] and list(rows).index("epoch") == 7
    fresh = models.build("resnet8", 10, seed=derived_seed(LONG.seed, "weights")).eval()
    to_half(fresh)
    drawn = measurements.MEASUREMENTS["selectivity"].function(fresh, few["test"])
    assert rows[rows.epoch == 0].selectivity.tolist() == drawn.selectivity.tolist()
    best = runs.config(runs.make(LONG))["result"]["best_epoch"]
    if best == 3:
        last = runs.table("selectivity", [LONG], progress=False)
        assert rows[rows.epoch == 3].selectivity.tolist() == last.selectivity.tolist()
    # three short epochs may end at chance
    assert set(catalogue.catalogue().status) <= {"ok", "diverged"}


def test_a_network_trained_again_for_its_tables_must_be_the_recorded_one(few, monkeypatch):
    before = runs.make(LONG)
    runs.snapshots("selectivity", [LONG], epochs=[1], progress=False)
    again = store.Folder(before.path)
    (made,) = [entry for entry in again.files.values() if "measurement" in entry]
    assert made[images.FACT] == few["test"].fingerprint and made["settings"]["epoch"] == 1
    assert again.files[WEIGHTS] == before.files[WEIGHTS] and len(again.files) == len(before.files) + 1
    real = runs_run.as_files
    monkeypatch.setattr(
        runs_run, "as_files", lambda *args: (files := real(*args)) | {WEIGHTS: files[WEIGHTS] + b"x"}
    )
    with pytest.raises(InputError, match="made again here, it differs from the recorded one"):
        runs.snapshots("selectivity", [LONG], epochs=[2], progress=False)
    assert store.Folder(before.path).files.keys() == again.files.keys()


def test_tables_along_an_interrupted_training_are_those_of_a_whole_one(few, monkeypatch, tmp_path):
    whole = runs.snapshots("selectivity", [LONG], epochs=[0, 1, 2], progress=False)
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "other"))
    monkeypatch.setattr("lib.training.loop.CHECKPOINT_SECONDS", 0.0)
    real, calls = train, []

    def stopped(*args, on_snapshot, **keywords):
        def once(epoch, network):
            calls.append(epoch)
            on_snapshot(epoch, network)
            if calls == [0, 1, 2]:
                raise OutOfTime

        return real(*args, on_snapshot=once, **keywords)

    monkeypatch.setattr(runs_run, "train", stopped)
    with pytest.raises(OutOfTime):
        runs.snapshots("selectivity", [LONG], epochs=[0, 1, 2], progress=False)
    parts = runs.snapshots("selectivity", [LONG], epochs=[0, 1, 2], progress=False)
    assert calls == [0, 1, 2, 2]  # it went on from the first epoch's end
    pd.testing.assert_frame_equal(parts, whole)


@pytest.mark.parametrize("epoch", [-1, 4, True, 1.0, "1", None])
def test_an_epoch_that_a_training_has_not(few, epoch):
    with pytest.raises(InputError, match=r"whole numbers from 0 to 3 here, got"):
        runs.snapshots("selectivity", [LONG], epochs=[epoch], progress=False)


def test_frozen_tables_along_a_training(few, monkeypatch):
    monkeypatch.setenv("RUNS_FROZEN", "1")
    with pytest.raises(InputError, match="RUNS_FROZEN=1 and snapshots of selectivity along run"):
        runs.snapshots("selectivity", [LONG], epochs=[1], progress=False)


# ---- machines ----------------------------------------------------------------------------------------------


def test_a_training_goes_on_with_as_many_threads_as_it_began_with(few, monkeypatch, tmp_path):
    monkeypatch.setattr("lib.training.loop.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    before, file, counts = torch.get_num_threads(), tmp_path / "checkpoint", []
    try:
        torch.set_num_threads(2)
        with pytest.raises(OutOfTime):
            train(LONG, EAGER, checkpoint=file, progress=False, on_epoch=_stop_after(1))
        torch.set_num_threads(1)
        trained = train(
            LONG,
            EAGER,
            checkpoint=file,
            progress=False,
            on_epoch=lambda row: counts.append(torch.get_num_threads()),
        )
        assert counts == [2] and torch.get_num_threads() == 1
        assert [one["from_epoch"] for one in trained.machines] == [1]
        torch.set_num_threads(2)
        whole = train(LONG, EAGER, progress=False)
        assert all(
            torch.equal(one, other)
            for one, other in zip(
                trained.network.state_dict().values(), whole.network.state_dict().values(), strict=True
            )
        )
    finally:
        torch.set_num_threads(before)


def _stop_after(epoch):
    def stop(row):
        if row["epoch"] > epoch:
            raise OutOfTime

    return stop


def test_a_training_that_went_on_elsewhere_says_so(few, monkeypatch, tmp_path):
    monkeypatch.setattr("lib.training.loop.CHECKPOINT_SECONDS", 0.0)
    file = tmp_path / "checkpoint"
    with pytest.raises(OutOfTime):
        train(LONG, EAGER, checkpoint=file, progress=False, on_epoch=_stop_after(1))
    monkeypatch.setattr("lib.training.checkpoint.device", lambda kind: "Another 9000, 1 threads")
    trained = train(LONG, EAGER, checkpoint=file, progress=False)
    made = json.loads(runs_run.as_files(trained, LONG, "", "")[CONFIG])["provenance"]
    assert made["device"] == f"{described_device('cpu')}, then from epoch 3 Another 9000, 1 threads"
    assert made["torch"] == torch.__version__


# ---- another default dtype ---------------------------------------------------------------------------------


def test_networks_and_crops_do_not_depend_on_the_default_dtype():
    def made():
        network = models.build("resnet8", 10, seed=1)
        drawn = augmentation.draw(500, Augmentation(True, 4), torch.Generator().manual_seed(1))
        return [*network.state_dict().values(), *drawn]

    single = made()
    torch.set_default_dtype(torch.float64)
    try:
        double = made()
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(
        one.dtype == other.dtype and torch.equal(one, other)
        for one, other in zip(single, double, strict=True)
    )
