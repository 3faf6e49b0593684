"""Sweeps that are made for real: whatever interrupts the making, every run comes out once and the same."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_sweep import GOOD

from conftest import EPOCHS
from lib import measurements, sweeps
from lib.base import paths
from lib.runs import catalogue, store
from lib.runs.validity import HISTORY, WEIGHTS
from lib.sweeps import work as sweeps_work
from lib.training import loop
from lib.training.loop import learning_rate
from lib.training.training import Training


@pytest.fixture
def file(tmp_path) -> Path:
    """A sweep of the two networks of the shared store."""
    lines = [f"{key}: {value}" for key, value in (GOOD | {"epochs": EPOCHS}).items()]
    (tmp_path / "small.yml").write_text("\n".join(lines) + "\n")
    return tmp_path / "small.yml"


def hashes(training: Training, root: Path) -> dict[str, str]:
    files = store.Folder(root / training.name).files
    return {
        name: files[name]["sha256"] for name in (WEIGHTS, HISTORY, measurements.file_name("selectivity", {}))
    }


def leftovers(root: Path) -> list[Path]:
    return [*(root / ".partial").glob("*"), *root.rglob("*.tmp")]


@pytest.mark.slow
def test_a_budget_is_kept_and_the_rest_made_to_the_same_bits(empty_store, made, trainings, file, monkeypatch):
    now = [0.0]
    for module in (sweeps_work, loop):  # a clock on which every step takes one second
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=None))
    real = learning_rate

    def tick(*args):
        now[0] += 1
        return real(*args)

    monkeypatch.setattr("lib.training.loop.learning_rate", tick)
    asked = sweeps.read(file)
    lines = []
    # an epoch has 20 steps
    outcome = sweeps.run(sweeps.plan(asked), budget_minutes=0.5, say=lines.append, live=False)
    assert outcome.out_of_time and outcome.left == asked.trainings and now[0] < 30
    plan = sweeps.plan(asked)
    assert plan.begun == {trainings[0]: 1}
    now[0] = 0
    outcome = sweeps.run(plan, say=lines.append, live=False)
    assert outcome.made == tuple(trainings) and now[0] < 70  # three epochs, not four
    for training in trainings:
        assert hashes(training, empty_store) == hashes(training, made)
    assert leftovers(empty_store) == []


@pytest.fixture(scope="module")
def start():
    """A function (file, root, log, ``**more``) -> process: starts `child` of tests/sweep_child.py."""
    from sweep_child import child  # it takes seconds, which tests that start none do without

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (paths.ROOT, paths.ROOT / "tests"))))
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([child.__module__])
        first = context.Process(
            target=time.sleep, args=(0,)
        )  # by which the server is there, and is not timed
        first.start()
        first.join()

        def process(*args, **kwargs):
            made = context.Process(target=child, args=args, kwargs=kwargs)
            made.start()
            return made

        yield process


def ended(process, *codes: int) -> int:
    process.join(300)
    assert process.exitcode in codes, process.exitcode
    code = process.exitcode
    process.close()
    return code


def until(condition, process) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert process.is_alive() and time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "stopped by SIGTERM")],
)
def test_a_signal_to_a_process_and_the_same_command(
    number, code, said, start, empty_store, made, trainings, file, tmp_path
):
    log = tmp_path / "log"
    process = start(file, empty_store, log)
    until(lambda: list(empty_store.glob(f".partial/{trainings[0].key}/checkpoint-*")), process)
    os.kill(process.pid, number)
    ended(process, code)
    lines = log.read_text().splitlines()
    assert said in lines and lines[-1] == f"go on with: python -m lib sweep {file}"
    assert (
        not list(empty_store.rglob("*.tmp"))
        and len(list((empty_store / ".partial").glob("*/checkpoint-*"))) == 1
    )
    ended(start(file, empty_store, log), 0)
    for training in trainings:
        assert hashes(training, empty_store) == hashes(training, made)
    assert leftovers(empty_store) == []


def whole(root: Path, asked: sweeps.Sweep, expected: dict[Training, dict[str, str]]) -> None:
    """Every network is there once and as expected, and nothing besides."""
    rows = catalogue.catalogue()
    assert sorted(rows.run) == sorted(training.name for training in asked.trainings) and set(rows.status) == {
        "ok"
    }
    assert {training: hashes(training, root) for training in asked.trainings} == expected
    assert leftovers(root) == []


@pytest.fixture(scope="module")
def reference(start, tmp_path_factory):
    """An uninterrupted sweep of three networks: its file, the hashes of what it made, and the seconds it
    took.
    """
    folder = tmp_path_factory.mktemp("reference")
    file = folder / "three.yml"
    file.write_text(
        "\n".join(
            f"{key}: {value}" for key, value in (GOOD | {"alphas": "[-1, 0, 1]", "epochs": EPOCHS}).items()
        )
    )
    begin = time.monotonic()
    ended(start(file, folder / "runs", folder / "log"), 0)
    asked = sweeps.read(file)
    return (
        file,
        {training: hashes(training, folder / "runs") for training in asked.trainings},
        time.monotonic() - begin,
    )


@pytest.mark.slow
def test_kill_9_ten_times_at_random_moments(start, reference, empty_store, tmp_path):
    file, expected, seconds = reference
    draw = random.Random(2010)
    killed = 0
    for _ in range(10):
        process = start(file, empty_store, tmp_path / "log")
        # what is made stays made: ten of these reach the end, about
        process.join(draw.uniform(0, seconds / 3))
        killed += process.is_alive()
        process.kill()
        ended(process, -signal.SIGKILL, 0)
    assert killed >= 2  # fewer reach it in the middle where the machine has become faster since the reference
    ended(start(file, empty_store, tmp_path / "log"), 0)
    whole(empty_store, sweeps.read(file), expected)


@pytest.mark.slow
def test_kill_9_at_every_step_on_files(start, reference, empty_store, tmp_path):
    file, expected, _ = reference
    step, code = 1, None
    while code != 0:
        code = ended(start(file, empty_store, tmp_path / "log", kill_at=step), -signal.SIGKILL, 0)
        step += 1
    assert step > 10
    whole(empty_store, sweeps.read(file), expected)


@pytest.mark.slow
def test_two_sweeps_at_once_share_the_work(start, reference, empty_store, tmp_path):
    file, expected, _ = reference
    logs = [tmp_path / "one", tmp_path / "two"]
    for process in [start(file, empty_store, log) for log in logs]:
        ended(process, 0)
    trained = [
        [
            line.split(": trained ")[1].split(",")[0]
            for line in log.read_text().splitlines()
            if ": trained " in line
        ]
        for log in logs
    ]
    assert all(trained) and sorted(trained[0] + trained[1]) == [
        f"resnet8 alpha {alpha} seed 0" for alpha in (-1, 0, 1)
    ]
    whole(empty_store, sweeps.read(file), expected)
