"""Sweeps: bad files are one line, plans count right, and whatever interrupts the making, every run comes out
once and the same.
"""

import io
import json
import os
import re
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from conftest import EPOCHS
from lib import measurements, runs, sweeps
from lib.base import paths
from lib.base.errors import InputError
from lib.base.files import write_atomically
from lib.base.locks import lock
from lib.runs import provenance, store
from lib.runs.run import cached_run, checkpoint_name
from lib.runs.validity import CONFIG, HISTORY, WEIGHTS
from lib.sweeps import work as sweeps_work
from lib.sweeps.work import _accuracy, _Work
from lib.training.checkpoint import write_checkpoint
from lib.training.loop import OutOfTime
from lib.training.training import Training

GOOD = {"dataset": "digits", "models": "[resnet8]", "recipe": "fast", "alphas": "[0, 1]", "seeds": "[0]"}


@pytest.fixture
def write(tmp_path):
    """A function (``**keys``) -> sweep file: GOOD with keys replaced, or left out where None."""

    def file(name: str = "small.yml", **keys: object) -> Path:
        lines = [f"{key}: {value}" for key, value in (GOOD | keys).items() if value is not None]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        return tmp_path / name

    return file


# ---- the file ----------------------------------------------------------------------------------------------


def test_a_file_is_a_grid_each_network_once(write):
    lists = {
        "alphas": "[1, 1.0, -2, 1e-3, -0.0]",
        "seeds": "[1, 0, 1]",
        "measurements": "[class_means, selectivity, class_means]",
    }
    asked = sweeps.read(
        write(
            **lists,
            models="[resnet20, resnet8, resnet20]",
            variants="[plain, pgd-10, pgd-2, plain]",
            epochs=3,
        )
    )
    assert asked.name == "small" and tuple(map(str, asked.measurements)) == ("class_means", "selectivity")
    assert list(asked.trainings) == [
        Training("digits", model, alpha, seed, "fast", 3, variant=variant)
        for model in ("resnet20", "resnet8")
        for variant in ("plain", "pgd-10", "pgd-2")
        for alpha in (-2, 0, 1e-3, 1)
        for seed in (0, 1)
    ]
    assert sweeps.read(write()).measurements == (measurements.Asked("selectivity"),)


def test_measurements_with_settings_of_their_own(write):
    asked = sweeps.read(
        write(
            measurements="[selectivity, jacobian: {limit: 20}, gradient: {limit: 200}, "
            "image_transfer: {sources: [1], epsilon: .5, limit: 3}]"
        )
    )
    assert list(map(str, asked.measurements)) == [
        "selectivity",
        "jacobian (limit 20)",
        "gradient",  # its own setting, spelled out
        "image_transfer (limit 3, epsilon 0.5, sources (1,))",
    ]
    assert asked.measurements[1].file == measurements.file_name("jacobian", {"limit": 20})
    assert asked.measurements[3].file == measurements.file_name(
        "image_transfer", {"sources": [1], "epsilon": 0.5, "limit": 3}
    )


def test_a_sweep_makes_tables_with_settings(write, own_store):
    file = write(epochs=EPOCHS, measurements="[selectivity, jacobian: {limit: 7}]")
    plan = sweeps.plan(sweeps.read(file))
    assert [str(table) for _, table in plan.to_measure].count("jacobian (limit 7)") == len(plan.trainings)
    sweeps.run(plan, say=lambda line: None)
    assert not sweeps.plan(sweeps.read(file)).to_measure
    table = runs.table("jacobian", list(plan.trainings), limit=7)
    assert len(table) == 7 * len(plan.trainings)


def test_what_a_value_is_the_key_decides(write):
    """YAML by itself reads no as False, on as True, 1e-3 as text, and 12 as a number wherever it stands."""
    asked = sweeps.read(
        write(
            name="no.yml",
            alphas="['0.4', 1e-3, +2, .5, 3., -1E+0]",
            seeds='["12", 0]',
            epochs="'7'",
            recipe="'fast'",
        )
    )
    assert sorted({(training.alpha, training.seed, training.epochs) for training in asked.trainings}) == [
        (alpha, seed, 7) for alpha in (-1.0, 1e-3, 0.4, 0.5, 2.0, 3.0) for seed in (0, 12)
    ]
    assert asked.name == "no"


def test_a_grid_has_the_names_of_runs_made_one_by_one(write):
    assert sweeps.read(write(alphas="[0]")).trainings == (Training("digits", "resnet8", 0, 0, "fast"),)
    assert sweeps.read(write(alphas="[0]", epochs=16)).trainings == (
        Training("digits", "resnet8", 0, 0, "fast"),
    )


COUNTS = {
    "digits": 24, "cifar10": 21, "cifar10-paper": 55, "tiny-imagenet-resnet18": 33,
    "tiny-imagenet-resnet18-fast": 10, "tiny-imagenet-resnet18-first": 3,
    "digits-augmix-pgd": 15, "cifar10-augmix-pgd": 15, "cifar10-augmix-pgd-paper": 15,
    "cifar10-second-round": 30, "cifar10-recipe-check": 9, "cifar10-recipe-check-batch": 2, "classwise": 12,
    "classwise-control": 3, "classwise-without": 3, "digits-classwise": 12, "digits-classwise-without": 3,
    "purification": 16, "purification-scratch": 3, "purification-alpha": 2, "digits-purification": 12,
    "purification-rate": 4, "digits-purification-rate": 6,
    "singleprop": 15, "singleprop-8": 4, "singleprop-alpha": 10, "singleprop-adaptive": 6, "digits-singleprop": 15,
}  # fmt: skip


def test_the_sweeps_of_the_project():
    assert {file.stem: len(sweeps.read(file).trainings) for file in paths.ROOT.glob("sweeps/*.yml")} == COUNTS


def test_classes_are_left_out_of_every_network(write):
    asked = sweeps.read(write(alphas="[0, 1]", without='["3", "5"]')).trainings
    assert len(asked) == 2 and {one.without for one in asked} == {("3", "5")}
    assert {one.without for one in sweeps.read(write(alphas="[0, 1]")).trainings} == {()}


def test_a_sweep_of_variants_has_the_plain_networks_beside_them():
    asked = sweeps.read(paths.ROOT / "sweeps" / "cifar10-augmix-pgd.yml").trainings
    assert [t.variant for t in asked[::3]] == ["plain", "augmix", "pgd-1", "pgd-2", "pgd-4"]
    assert {(t.alpha, t.settings.epochs, t.settings.batch) for t in asked} == {(0.0, 8, 128)}


# what is wrong: (keys replaced, parts of the one line)
BAD = {
    "hardly a class left": (
        {"without": "[0, 1, 2, 3, 4, 5, 6, 7, 8]"},
        ["without leaves out 9 of 10 classes"],
    ),
    "no class left out": ({"without": "3"}, ["without must be a list, got '3'; write without: [3]"]),
    "no step": ({"measurements": "[low_rank: {steps: 0}]"}, ["setting steps of low_rank", ">= 1, got 0"]),
    "unknown key": ({"alpha": "[0]"}, ["unknown key 'alpha'", "known: alphas, dataset"]),
    "missing key": ({"seeds": None}, ["seeds missing", "dataset, models, recipe, alphas, seeds"]),
    "two missing keys": ({"seeds": None, "models": None}, ["models, seeds missing"]),
    "no value": ({"epochs": ""}, ["epochs has no value", "or leave epochs out"]),
    "no value where one is needed": ({"seeds": ""}, ["seeds has no value; give one"]),
    "number for a list": ({"alphas": "0.4"}, ["alphas must be a list, got '0.4'; write alphas: [0.4]"]),
    "word for a list": ({"models": "resnet8"}, ["models must be a list, got 'resnet8'; write models: "
        "[resnet8]"]),
    "mapping for a list": ({"seeds": "{first: 0}"}, ["seeds must be a list, got {'first': '0'}"]),
    "list for a word": ({"dataset": "[digits, cifar10]"}, ["dataset must be one value, got ['digits', "
        "'cifar10']", "a file for each"]),
    "list for a number": ({"epochs": "[1, 2]"}, ["epochs must be one value, got ['1', '2']"]),
    "empty list": ({"alphas": "[]"}, ["alphas is an empty list; give at least one"]),
    "empty optional list": ({"measurements": "[]"}, ["measurements is an empty list"]),
    "list in a list": ({"alphas": "[[0, 1]]"}, ["line 4: alphas must be a single value, got ['0', '1']"]),
    "nothing in a list": ({"alphas": "[0, ~]"}, ["alphas must be numbers", "got '~'"]),
    "empty place in a list": ({"alphas": "[0, '']"}, ["alphas must be numbers", "got ''"]),
    "negative seed": ({"seeds": "[0, -1]"}, ["seed must be a whole number >= 0, got -1"]),
    "broken seed": ({"seeds": "[1.5]"}, ["seed must be a whole number >= 0, got 1.5"]),
    "octal seed": ({"seeds": "[0o1]"}, ["seeds must be numbers written like 0 or 12, got '0o1'"]),
    "leading zero": ({"seeds": "[010]"}, ["seeds must be numbers", "got '010'"]),
    "base sixty": ({"seeds": "[1:30]"}, ["seeds must be numbers", "got '1:30'"]),
    "hexadecimal": ({"seeds": "[0x10]"}, ["seeds must be numbers", "got '0x10'"]),
    "underscores": ({"seeds": "[1_000]"}, ["seeds must be numbers", "got '1_000'"]),
    "date": ({"seeds": "[2020-10-14]"}, ["seeds must be numbers", "got '2020-10-14'"]),
    "word for alpha": ({"alphas": "[0, high]"}, ["alphas must be numbers written like -1, 0.4 or "
        "1e-3, got 'high'"]),
    "alpha with an underscore": ({"alphas": "[1_0]"}, ["alphas must be numbers", "got '1_0'"]),
    "alpha with a leading zero": ({"alphas": "[010]"}, ["alphas must be numbers", "got '010'"]),
    "alpha with a comma": ({"alphas": "['0,4']"}, ["alphas must be numbers", "got '0,4'"]),
    "alpha in other digits": ({"alphas": "[\u0661]"}, ["alphas must be numbers", "got '\u0661'"]),
    "alpha nan": ({"alphas": "[.nan]"}, ["alphas must be numbers", "got '.nan'"]),
    "alpha nan as Python writes it": ({"alphas": "[nan]"}, ["alphas must be numbers", "got 'nan'"]),
    "alpha infinite": ({"alphas": "[-.inf]"}, ["alphas must be numbers", "got '-.inf'"]),
    "alpha too large": ({"alphas": "[1e999]"}, ["alpha must be a finite number, got inf"]),
    "alpha yes": ({"alphas": "[yes]"}, ["alphas must be numbers", "got 'yes'"]),
    "alpha true": ({"alphas": "[true]"}, ["alphas must be numbers", "got 'true'"]),
    "a type": ({"alphas": "[!!bool true]"}, ["line 4: the type '!!bool' has no meaning in a sweep "
        "file; leave it out"]),
    "a type of nothing": ({"epochs": "!!float ''"}, ["line 6: the type '!!float' has no meaning in a "
        "sweep file; leave it out"]),
    "a type of one's own": ({"dataset": "!mine digits"}, ["line 1: the type '!mine' has no meaning"]),
    "epochs of nothing": ({"epochs": "''"}, ["epochs must be numbers", "got ''"]),
    "epochs of many digits": ({"epochs": "9" * 400}, ["epochs must be numbers written like 8, got '9999"]),
    "seed of many digits": ({"seeds": f"[{'9' * 400}]"}, ["seeds must be numbers written like 0 or "
        "12, got '9999"]),
    "alpha of many digits": ({"alphas": f"[{'9' * 400}]"}, ["alpha must be a finite number, got inf"]),
    "alpha with many digits of an exponent": ({"alphas": f"[1e{'9' * 400}]"}, ["alphas must be numbers"]),
    "epochs zero": ({"epochs": "0"}, ["epochs must be a whole number >= 1, got 0"]),
    "epochs broken": ({"epochs": "1.5"}, ["epochs must be a whole number >= 1, got 1.5"]),
    "unknown data set": ({"dataset": "mnist"}, ["'mnist'", "digits"]),
    "data set no": ({"dataset": "no"}, ["'no'"]),
    "number for a data set": ({"dataset": "10"}, ["'10'", "digits"]),
    "unknown model": ({"models": "[vgg16]"}, ["'vgg16'", "resnet8"]),
    "model that does not fit": ({"models": "[resnet18]"}, ["model 'resnet18' takes 64-pixel images, "
        "'digits' has 32; fitting models: "]),
    "unknown recipe": ({"recipe": "quick"}, ["unknown recipe 'quick'; known: certified, check, fast, paper, tune"]),
    "recipe not for the model": ({"dataset": "tiny-imagenet", "models": "[resnet50]"}, ["recipe 'fast' is not written for 'resnet50'; it has: paper"]),
    "unknown variant": ({"variants": "[plain, pdg-4]"}, ["'pdg-4'", "plain"]),
    "variant no": ({"variants": "[no]"}, ["'no'", "plain"]),
    "variant without steps": ({"variants": "[pgd-0]"}, ["'pgd-0'"]),
    "unknown measurement": ({"measurements": "[selectivty]"}, ["unknown measurement 'selectivty'; "
        "known: alignment, attack, autoattack, certificate, certified_radius, class_means"]),
    "unknown setting": ({"measurements": "[jacobian: {limits: 3}]"}, ["unknown setting of jacobian 'limits'; "
        "known: limit"]),
    "setting of another kind": ({"measurements": "[jacobian: {limit: many}]"},
        ["limit of jacobian must be like 1000, got 'many'"]),
    "setting with two values": ({"measurements": "[jacobian: {limit: [1, 2]}]"},
        ["limit of jacobian must be like 1000, got ['1', '2']"]),
    "setting below 0": ({"measurements": "[jacobian: {limit: -1}]"},
        ["limit of jacobian must be a number from 0 on, got '-1'"]),
    "setting without end": ({"measurements": "[autoattack: {epsilon: 1e999}]"},
        ["epsilon of autoattack must be a number from 0 on, got '1e999'"]),
    "sources below 0": ({"measurements": "[transfer: {sources: [0, -1]}]"},
        ["sources of transfer must be a number from 0 on, got ['0', '-1']"]),
    "setting of 5,000 digits": ({"measurements": f"[jacobian: {{limit: {'9' * 5000}}}]"},
        ["limit of jacobian must be like 1000, got '9999"]),
    "more networks than anybody makes": ({"alphas": str([n / 1000 for n in range(201)]), "seeds": str(list(range(100)))},
        ["it asks for 20,100 networks, a sweep has at most 20,000: make it several"]),
    "setting that is several": ({"measurements": "[transfer: {sources: 1}]"},
        ["sources of transfer must be like [0, 1], got '1'"]),
    "setting twice": ({"measurements": "[jacobian: {limit: 1, limit: 2}]"}, ["limit stands here a second time"]),
    "no setting": ({"measurements": "[jacobian: {}]"}, ["settings of jacobian are no settings, {}; write it like"]),
    "two names in one": ({"measurements": "[{jacobian: {limit: 1}, gradient: {limit: 2}}]"},
        ["a measurement is one name with settings", "write it like jacobian: {limit: 2000}"]),
    "epoch of a sweep": ({"measurements": "[jacobian: {epoch: 1}]"}, ["unknown setting of jacobian 'epoch'"]),
    "not YAML": ({"seeds": "[0, 1"}, ["line ", "sweeps/digits.yml shows the form"]),
    "Python object": ({"seeds": "!!python/object/apply:os.getpid "
        "[]"}, ["line 5: the type '!!python/obj", "has no meaning in a sweep file"]),
    "huge number": ({"seeds": f"[{'9' * 5000}]"}, ["seeds must be numbers"]),
    "alias of itself": ({"seeds": "&a [*a]"}, ["line 5: seeds must be a single value, got [[...]]"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_values_are_one_line_that_names_the_file(case, write, empty_store):
    keys, parts = BAD[case]
    file = write(**keys)
    with pytest.raises(InputError) as caught:
        sweeps.read(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ") and "\n" not in message and len(message) < 400 + len(str(file))
    for part in parts:
        assert part in message
    assert not list(empty_store.iterdir())


CONTENT = {
    "duplicated key": (
        b"dataset: digits\nalphas: [0]\nalphas: [1]\n",
        "line 3: alphas stands here a second time; merge the two",
    ),
    "duplicated key in two spellings": (
        b"alphas: [0]\n'alphas': [1]\n",
        "line 2: alphas stands here a second time",
    ),
    "empty": (b"", "must be keys with values, such as dataset: digits, got nothing"),
    "a list": (b"- digits\n", "must be keys with values, such as dataset: digits, got ['digits']"),
    "a word": (b"digits\n", "got 'digits'"),
    "two documents": (b"a: 1\n---\na: 2\n", "but found another document"),
    "a tab": (b"dataset: digits\n\talphas: [0]\n", "found character '\\t' that cannot start any token"),
    "binary": (b"\x89PNG\r\n\x1a\n\x00\x00", "not YAML: "),
    "deep": (b"[" * 5_000, "not YAML: maximum recursion depth exceeded"),
    "key that is a list": (b"? [a, b]\n: 1\n", "line 1: a key must be a single value, got ['a', 'b']"),
    "key that is a number": (b"1: [0]\n", "unknown key '1'; known: "),
    "merge key": (b"base: &b {seeds: [0]}\n<<: *b\n", "unknown key 'base'"),
    "laughs": (b"a: &a [x, x, x]\nb: &b [*a, *a, *a]\nseeds: &c [*b, *b, *b]\n", "unknown key 'a'"),
}


@pytest.mark.parametrize("case", CONTENT)
def test_bad_files_are_one_line(case, tmp_path):
    content, part = CONTENT[case]
    file = tmp_path / "bad.yml"
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        sweeps.read(file)
    message = str(caught.value)
    assert (
        message.startswith(f"{file}: ")
        and part in message
        and "\n" not in message
        and len(message) < 400 + len(str(file))
    )


def test_a_file_that_is_not_there_names_those_that_are(tmp_path):
    with pytest.raises(
        InputError,
        match=r"no-such\.yml: no such sweep file; there are: .*sweeps/cifar10\.yml, .*sweeps/digits\.yml",
    ):
        sweeps.read(tmp_path / "no-such.yml")
    with pytest.raises(InputError, match="is a folder, not a file; give a sweep file"):
        sweeps.read(tmp_path)
    os.mkfifo(tmp_path / "pipe.yml")  # reading it would wait for ever
    for file in (tmp_path / "pipe.yml", Path("/dev/zero")):
        with pytest.raises(InputError, match="is a pipe or a device, not a file; give a sweep file"):
            sweeps.read(file)


# ---- the plan ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "shard"), [("1/1", (1, 1)), ("2/3", (2, 3)), (" 3/3 ", (3, 3))])
def test_shards_are_read(text, shard):
    assert sweeps.parse_shard(text) == shard


@pytest.mark.parametrize(
    "text", ["0/3", "4/3", "a/b", "1", "", "1/0", "-1/3", "1/3/5", "1.0/3", "1/" + "9" * 5000]
)
def test_bad_shards_name_the_form(text):
    with pytest.raises(InputError, match="shard must be i/n with i from 1 to n, such as 2/3 .*got "):
        sweeps.parse_shard(text)


def forge(training: Training, source: store.Folder, *, tables: bool = True, **result) -> store.Folder:
    """A run with the files of another one under the name of `training`, with parts of its result replaced;
    provenance goes there too.
    """
    facts = json.loads(source.read(CONFIG))
    facts["training"] = json.loads(json.dumps(training.canonical()))
    for name, value in result.items():
        facts["result" if name in facts["result"] and name != "seconds" else "provenance"][name] = value
    files = {CONFIG: json.dumps(facts).encode(), HISTORY: source.read(HISTORY), WEIGHTS: source.read(WEIGHTS)}
    run = store.create(paths.runs() / training.name, files, optional=(WEIGHTS,))
    name = measurements.file_name("selectivity", {})
    if tables:
        run.add(
            name,
            source.read(name),
            **{fact: value for fact, value in source.files[name].items() if fact not in ("sha256", "bytes")},
        )
    return run


@pytest.fixture
def source(made, trainings) -> store.Folder:
    return store.Folder(made / trainings[1].name)


@pytest.fixture
def steady(monkeypatch):
    """Every timed estimate is 100 seconds."""
    monkeypatch.setattr("lib.sweeps.planning.estimate_seconds", lambda training, engine: 100.0)


def test_a_plan_counts_what_is_missing(own_store, write, trainings, steady):
    asked = sweeps.read(write(alphas="[0, 1, 2]", seeds="[0, 1]", epochs=EPOCHS))
    plan = sweeps.plan(asked)
    assert plan.trainings == asked.trainings and len(plan.missing) == 4
    assert set(plan.trainings) - set(plan.missing) == set(trainings)
    assert (plan.tables, plan.again, plan.begun) == ((), (), {})


@pytest.mark.slow
def test_a_plan_names_missing_tables(own_store, write, trainings, steady):
    (own_store / trainings[0].name / WEIGHTS).unlink()
    file = write(epochs=EPOCHS, measurements="[selectivity, class_means]")
    plan = sweeps.plan(sweeps.read(file))
    wanted = measurements.Asked("class_means")
    assert plan.missing == () and plan.tables == tuple((training, wanted) for training in trainings)
    assert plan.again == (trainings[0],)  # its weights are gone, so it must be trained again to be measured
    done = sweeps.run(plan, say=lambda line: None, live=False)
    assert done.made == (trainings[0],) and done.there == (trainings[1],) and done.left == ()
    assert len(runs.table("class_means", trainings)) == 2400
    assert (own_store / trainings[0].name / WEIGHTS).exists()
    again = sweeps.plan(sweeps.read(file))
    assert again.training == () and again.tables == ()


def test_a_full_store_needs_neither_data_nor_time(own_store, write, monkeypatch):
    monkeypatch.setattr("lib.data.load", None)
    monkeypatch.setattr("lib.sweeps.planning.estimate_seconds", None)
    before = sorted(own_store.rglob("*"))
    plan = sweeps.plan(sweeps.read(write(epochs=EPOCHS)))
    lines = []
    outcome = sweeps.run(plan, say=lines.append, live=False)
    assert (plan.training, plan.seconds, outcome.made, len(outcome.there), outcome.left) == ((), 0, (), 2, ())
    assert lines[0] == "small: 2 networks (resnet8 on digits, fast recipe): 2 cached, 0 to train"
    assert not any("go on with" in line or "Ctrl-C" in line for line in lines)
    assert sorted(own_store.rglob("*")) == before


@pytest.mark.parametrize("n", [1, 2, 3, 5, 9])
def test_shards_partition_the_grid_and_do_not_move(n, own_store, write, trainings, source, steady):
    asked = sweeps.read(write(alphas="[0, 1, 2]", seeds="[0, 1]", epochs=EPOCHS))
    parts = [sweeps.plan(asked, shard=(i, n)).trainings for i in range(1, n + 1)]
    assert sorted(sum(parts, ()), key=asked.trainings.index) == list(asked.trainings)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    forge(asked.trainings[1], source)
    assert [sweeps.plan(asked, shard=(i, n)).trainings for i in range(1, n + 1)] == parts


def test_a_shard_without_networks_has_nothing_to_do(own_store, write):
    lines = []
    outcome = sweeps.run(
        sweeps.plan(sweeps.read(write(epochs=EPOCHS)), shard=(3, 3)), say=lines.append, live=False
    )
    assert outcome == sweeps.Outcome((), (), ()) and lines[0].startswith(
        "small: 0 networks (resnet8 on digits, fast recipe), part 3 of 3 of 2"
    )


def test_the_time_is_that_of_cached_runs_like_these(own_store, write, trainings, source, steady):
    here = {"device": provenance.device("cpu"), "engine": "cpu float32 eager", "epochs_run": 3}
    for seed, seconds in enumerate([10.0, 30.0, 20.0]):
        forge(Training("digits", "resnet8", 1, seed, "fast", 3), source, **here | {"seconds": seconds})
    forge(
        Training("digits", "resnet8", 1, 3, "fast", 3),
        source,
        **here | {"seconds": 999.0, "device": "another machine"},
    )
    forge(
        Training("digits", "resnet8", 1, 4, "fast", 3),
        source,
        **here | {"seconds": 999.0, "engine": "cuda bfloat16 compiled"},
    )
    forge(
        Training("digits", "resnet8", 1, 5, "fast", 3), source, **here | {"seconds": 999.0, "epochs_run": 1}
    )
    plan = sweeps.plan(sweeps.read(write(alphas="[-1, 2]", epochs=3)))
    assert plan.seconds == 40 and "3 cached networks" in plan.source
    # timed: no run of four epochs
    assert sweeps.plan(sweeps.read(write(alphas="[-1, 2]", epochs=4))).seconds == 200
    (own_store / trainings[0].name / CONFIG).write_text("{")  # is no part of either sweep
    assert sweeps.plan(sweeps.read(write(alphas="[-1, 2]", epochs=3))).seconds == 40


def test_an_interrupted_training_counts_by_what_is_left(own_store, write, steady):
    asked = sweeps.read(write(alphas="[2]", epochs=4))
    training = asked.trainings[0]
    digest = provenance.training_digest(training)
    partial = own_store / ".partial" / training.key
    write_checkpoint(partial / "checkpoint-of-other-code", {}, {"epoch": 3})
    assert sweeps.plan(asked).begun == {}
    write_checkpoint(partial / checkpoint_name(digest), {}, {"epoch": 3})
    plan = sweeps.plan(asked)
    assert plan.begun == {training: 3} and plan.seconds == 25
    with (partial / checkpoint_name(digest)).open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match="does not match its checksum; delete it to start this run anew"):
        sweeps.plan(asked)


def test_damage_is_an_error_before_anything_runs(own_store, write, trainings):
    file = own_store / trainings[1].name / HISTORY
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match=f"damaged: {file}"):
        sweeps.plan(sweeps.read(write(epochs=EPOCHS, alphas="[-1, 0, 1]")))


SPOILT = {
    "cut manifest": lambda folder: (folder / store.MANIFEST).write_text('{"files": ', encoding="utf-8"),
    "manifest of another kind": lambda folder: write_atomically(
        folder / store.MANIFEST, store._manifest({"a": {"measurement": "attack"}})
    ),
    "manifest that is a list": lambda folder: write_atomically(
        folder / store.MANIFEST, store._manifest([1, 2])
    ),
    "config that is a list": lambda folder: (folder / CONFIG).write_text("[]", encoding="utf-8"),
    "no config": lambda folder: (folder / CONFIG).unlink(),
    "copy under a name without a model": lambda folder: shutil.copytree(
        folder.parent, folder.parent.parent / "backup"
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_damage_elsewhere_does_not_stop_a_sweep(case, own_store, source, write, forged):
    """A run of CIFAR-10 is no part of a sweep over digits, whatever has become of it."""
    folder = own_store / "cifar10-resnet20" / "alpha0.0-seed0-fast-01234567"
    shutil.copytree(source.path, folder)
    SPOILT[case](folder)
    lines, asked = [], sweeps.read(write(alphas="[2]", epochs=EPOCHS))
    assert sweeps.run(sweeps.plan(asked), say=lines.append, live=False).made == asked.trainings
    assert sweeps.run(sweeps.plan(asked), say=lines.append, live=False).left == ()


def test_missing_data_is_an_error_before_anything_runs(empty_store, write, monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    with pytest.raises(InputError, match="data set 'cifar10' .* not found"):
        sweeps.plan(sweeps.read(write(dataset="cifar10", models="[resnet20]")))
    assert not list(empty_store.iterdir())


# ---- making, with trainings that take no time --------------------------------------------------------------


@pytest.fixture
def forged(own_store, source, steady, monkeypatch):
    """The trainings "made" so far: making is forging, of two epochs; `forged.trouble` holds exceptions for
    some of them.
    """
    made, trouble, real = [], {}, runs.make
    # the shared store's own time is that of this machine
    monkeypatch.setattr("lib.runs.durations.alike", lambda training, engine: [])

    def make(training, *, weights=False, progress=None, on_epoch=None, deadline=None):
        if cached_run(training):
            return real(training)
        for epoch in (1, 2):
            if training in trouble and epoch == 2:
                raise trouble[training]
            on_epoch({"epoch": epoch, "loss": 1.0, "selectivity": 0.1, "validation_accuracy": 0.25 * epoch})
        made.append(training)
        return forge(training, source, status="diverged" if training.alpha == 9 else "ok")

    monkeypatch.setattr("lib.runs.make", make)
    return SimpleNamespace(made=made, trouble=trouble)


def test_the_lines_tell_what_will_happen_and_what_happened(forged, own_store, write):
    asked = sweeps.read(write(alphas="[0, 2]", seeds="[0, 1]", epochs=EPOCHS))
    lines = []
    outcome = sweeps.run(sweeps.plan(asked), say=lines.append, live=False)
    here = provenance.device("cpu")
    assert lines[:4] == [
        "small: 4 networks (resnet8 on digits, fast recipe): 1 cached, 3 to train",
        f"training takes about 5 minutes here ({here}, cpu float32 eager), judged by a few timed "
        f"steps, so roughly",
        "Ctrl-C is safe: what is finished is kept, the network at work keeps its last checkpoint, and "
        "the same command goes on from there",
        f"results go to {own_store}",
    ]
    accuracy = _accuracy(asked.trainings[-1])
    # seed 0 of every alpha comes first
    assert re.fullmatch(
        rf"2 of 4: trained resnet8 alpha 2 seed 0, accuracy {accuracy}, \d+ seconds", lines[4]
    )
    assert lines[5].startswith("3 of 4: trained resnet8 alpha 0 seed 1") and lines[6].startswith(
        "4 of 4: trained resnet8 alpha 2 seed 1"
    )
    assert lines[7:] == [
        "small: 3 made, 1 were there, 0 left",
        f"results are in {own_store}; list them with: python -m lib runs",
    ]
    assert (
        len(outcome.made) == 3
        and outcome.there == (asked.trainings[0],)
        and not outcome.interrupted
        and not outcome.out_of_time
    )
    assert sweeps.plan(asked).training == ()


def test_tables_are_announced_and_kept_within_the_budget(forged, write, monkeypatch):
    monkeypatch.setattr("lib.runs.durations.expected", lambda: {("digits", "resnet8", "selectivity"): 7200.0})
    asked, lines = (
        sweeps.read(write(alphas="[2, 3]", measurements="[selectivity, class_means]", epochs=EPOCHS)),
        [],
    )
    outcome = sweeps.run(sweeps.plan(asked), budget_minutes=90, say=lines.append, live=False)
    assert "measuring takes about 4.0 hours here, as it did before; not counted: class_means" in lines
    # it is trained, and not measured
    assert outcome.out_of_time and outcome.left == asked.trainings and forged.made == [asked.trainings[0]]
    assert sweeps.run(
        sweeps.plan(asked), budget_minutes=130, say=lines.append, live=False
    ).left == () and forged.made == [*asked.trainings]


def test_a_run_that_diverged_is_made_and_said(forged, write):
    lines = []
    outcome = sweeps.run(
        sweeps.plan(sweeps.read(write(alphas="[9]", epochs=EPOCHS))), say=lines.append, live=False
    )
    assert len(outcome.made) == 1 and outcome.diverged == outcome.made
    assert (
        lines[4].startswith("1 of 1: diverged resnet8 alpha 9 seed 0")
        and "diverged: resnet8 alpha 9 seed 0; it is kept" in lines[5]
    )


def test_a_full_disk_stops_and_keeps_what_is_finished(forged, write):
    asked = sweeps.read(write(alphas="[2, 3, 4]", epochs=EPOCHS))
    forged.trouble[asked.trainings[1]] = InputError("cannot write x: the disk is full")
    lines = []
    with pytest.raises(InputError, match="the disk is full"):
        sweeps.run(sweeps.plan(asked), say=lines.append, live=False)
    assert forged.made == [asked.trainings[0]]
    assert (
        lines[-4:-2] == ["stopped", "small: 1 made, 0 were there, 2 left"]
        and lines[-1] == f"go on with: python -m lib sweep {asked.file}"
    )
    forged.trouble.clear()
    assert sweeps.run(sweeps.plan(asked), say=lines.append, live=False).made == asked.trainings[1:]


def test_ctrl_c_stops_and_says_how_to_go_on(forged, write):
    asked = sweeps.read(write(alphas="[2, 3, 4]", epochs=EPOCHS))
    forged.trouble[asked.trainings[2]] = KeyboardInterrupt()
    lines = []
    outcome = sweeps.run(sweeps.plan(asked, shard=(1, 2)), budget_minutes=90, say=lines.append, live=False)
    assert (
        outcome.interrupted
        and outcome.left == (asked.trainings[2],)
        and outcome.made == (asked.trainings[0],)
    )
    assert (
        lines[-4] == "interrupted"
        and lines[-1] == f"go on with: python -m lib sweep {asked.file} --shard 1/2 --budget 90"
    )


def test_a_training_that_runs_out_of_time_ends_the_sweep(forged, write):
    asked = sweeps.read(write(alphas="[2, 3, 4]", epochs=EPOCHS))
    forged.trouble[asked.trainings[1]] = OutOfTime()
    lines = []
    outcome = sweeps.run(sweeps.plan(asked), budget_minutes=60, say=lines.append, live=False)
    assert (
        outcome.out_of_time
        and outcome.left == asked.trainings[1:]
        and lines[-4] == "the budget of 60 minutes is used up"
    )


def test_nothing_is_begun_without_time_for_an_epoch(forged, write):
    asked = sweeps.read(write(alphas="[2, 3, 4]", epochs=EPOCHS))  # 50 seconds per epoch
    outcome = sweeps.run(sweeps.plan(asked), budget_minutes=0.5, say=lambda line: None, live=False)
    assert outcome.out_of_time and outcome.left == asked.trainings and forged.made == []
    # then it is known to be faster
    assert not sweeps.run(
        sweeps.plan(asked), budget_minutes=1.5, say=lambda line: None, live=False
    ).out_of_time


@pytest.mark.parametrize("budget", [0, -1, float("nan"), float("inf")])
def test_a_budget_is_above_zero(budget, forged, write):
    with pytest.raises(InputError, match="budget must be minutes above 0, got .*; leave it out for no limit"):
        sweeps.run(sweeps.plan(sweeps.read(write(epochs=EPOCHS))), budget_minutes=budget, live=False)


def test_what_was_begun_is_finished_first(forged, own_store, write):
    asked = sweeps.read(write(alphas="[2, 3, 4]", epochs=EPOCHS))
    last = asked.trainings[-1]
    write_checkpoint(
        own_store / ".partial" / last.key / checkpoint_name(provenance.training_digest(last)),
        {},
        {"epoch": 1},
    )
    lines = []
    sweeps.run(sweeps.plan(asked), say=lines.append, live=False)
    assert forged.made[0] == last and "3 to train, 1 of them begun" in lines[0]


def test_networks_that_another_process_makes_come_last(forged, own_store, write, monkeypatch):
    asked = sweeps.read(write(alphas="[2, 3, 4]", epochs=EPOCHS))
    monkeypatch.setattr("lib.sweeps.work.POLL_SECONDS", 0)
    other = lock(own_store, asked.trainings[0].key)
    other.__enter__()
    looks = []
    monkeypatch.setattr(
        sweeps_work.time,
        "sleep",
        lambda seconds: looks.append(1) or (len(looks) == 3 and other.__exit__(None, None, None)),
    )
    lines = []
    outcome = sweeps.run(sweeps.plan(asked), say=lines.append, live=False)
    monkeypatch.undo()
    assert outcome.made == (*asked.trainings[1:], asked.trainings[0]) and len(looks) >= 3
    assert lines.count("another process is making the last 1: waiting for it") == 1


def test_leftovers_of_killed_processes_are_cleared(forged, own_store, write, trainings):
    folder, key = own_store / trainings[0].name, trainings[0].key
    drafts = [folder.with_name(f".{folder.name}.123.tmp"), own_store / ".partial" / key]
    for draft in drafts:
        draft.mkdir(parents=True)
        (draft / "config.json").write_text("{")
    (folder / ".selectivity.parquet.123.tmp").write_text("")
    elsewhere = own_store / ".partial" / "0123abcd"
    elsewhere.mkdir()
    with lock(own_store, key):  # somebody may be writing these
        sweeps.run(sweeps.plan(sweeps.read(write(epochs=EPOCHS))), say=lambda line: None, live=False)
        assert all(draft.exists() for draft in drafts)
    sweeps.run(sweeps.plan(sweeps.read(write(epochs=EPOCHS))), say=lambda line: None, live=False)
    assert (
        not any(draft.exists() for draft in drafts)
        and not list(own_store.glob("*/*/*.tmp"))
        and elsewhere.exists()
    )
    store.Folder(folder).verify()


def test_frozen_makes_nothing(empty_store, write, monkeypatch):
    monkeypatch.setenv("RUNS_FROZEN", "1")
    plan = sweeps.plan(sweeps.read(write(epochs=EPOCHS)))
    with pytest.raises(
        InputError, match="RUNS_FROZEN=1 and run digits-resnet8/.* not cached; make it with: "
    ):
        sweeps.run(plan, live=False)
    assert not list(empty_store.iterdir())


def test_the_live_table_shows_every_network(forged, own_store, write, capsys):
    asked = sweeps.read(write(alphas="[0, 2, 9]", seeds="[0, 1]", variants="[plain, pgd-1]", epochs=EPOCHS))
    work = _Work(sweeps.plan(asked), print, True, time.monotonic() + 600)

    def seen() -> str:
        console = Console(width=100, file=io.StringIO())
        console.print(work.picture())
        return console.file.getvalue()

    text = seen()
    assert "seed 0" in text and "seed 1" in text and "resnet8 pgd-1" in text
    assert "cached" in text and text.count("waiting") == 11
    assert "1 of 12 done, about 18 minutes left, 10 minutes of the budget; Ctrl-C is safe" in text
    pictures = []
    work.cells = type(
        "Watched",
        (dict,),
        {
            "__setitem__": lambda self, key, value: (
                dict.__setitem__(self, key, value) or pictures.append(value)
            )
        },
    )(work.cells)
    work.do()
    assert (
        ("epoch", "2/2 50.0%") in pictures
        and "diverged" in seen()
        and "12 of 12 done" in seen()
        and "waiting" not in seen()
    )
    sweeps.run(sweeps.plan(sweeps.read(write(alphas="[5]", epochs=EPOCHS))), say=print, live=True)
    assert "resnet8" in capsys.readouterr().out
