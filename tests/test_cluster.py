"""Sweeps as processes of this machine, and on a real Slurm where one is installed.

Whatever ends a job, every run comes out the same.
"""

import json
import os
import pickle
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import slurm as own_slurm
from warm import LIBRARY

from conftest import EPOCHS
from lib import measurements, sweeps
from lib.base import paths
from lib.base.errors import InputError
from lib.base.files import write_atomically
from lib.base.forkserver import ForkServer
from lib.runs import catalogue, store
from lib.runs.validity import HISTORY, WEIGHTS
from lib.sweeps import processes, slurm
from lib.sweeps.planning import Outcome, Plan
from lib.training.training import Training

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="jobs are found in /proc, which only Linux has"
)
needs_slurm = pytest.mark.skipif(bool(own_slurm.lacking()), reason=own_slurm.lacking())

# What a job runs: `python -m lib` that keeps a checkpoint after every epoch, and waits there while the store
# holds a file `hold`.
JOB = """
import time
from lib.__main__ import main
from lib.base import paths
from lib.training import checkpoint, loop
loop.CHECKPOINT_SECONDS, write = 0, checkpoint.write_checkpoint
def held(*args):
    write(*args)
    while (paths.runs() / "hold").exists():
        time.sleep(0.02)
checkpoint.write_checkpoint = held
main()
"""
# What a caller runs: `python -m lib` whose jobs run that, and which looks at them often.
CALLER = """
import json, os
from lib.__main__ import main
from lib.sweeps import processes, slurm
job = json.loads(os.environ["TEST_JOB"])
processes.command = lambda file: [*job, str(file)]
processes.POLL_SECONDS, slurm.POLL_SECONDS, slurm.GRACE_SECONDS = 0.1, 0.2, 0.5
main()
"""
COMMAND = processes.command


@pytest.fixture(scope="module")
def forks():
    """A server of processes that have imported the library: starting is not the point of any test here, but
    for one.
    """
    path = os.pathsep.join(filter(None, [str(paths.ROOT), os.environ.get("PYTHONPATH", "")]))
    imported = (*LIBRARY, "lib.__main__", "lib.runs.catalogue", "lib.sweeps", "lib.sweeps.slurm")
    with ForkServer(imported, env=os.environ | {"PYTHONPATH": path}) as there:
        yield there


@pytest.fixture
def root(tmp_path, monkeypatch, forks) -> Path:
    """An empty store on a path with spaces and a percent sign; jobs are looked at often."""
    root, job = tmp_path / "a store" / "of 100%A runs", forks.command(JOB, "sweep")
    root.mkdir(parents=True)
    for name, value in {
        "RUNS_DIR": root,
        "LIB_CACHE": tmp_path / "the cache",
        # this library, also where the environment was made for another copy
        "PYTHONPATH": paths.ROOT,
        "TEST_JOB": json.dumps(job),
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr("lib.sweeps.processes.command", lambda file: [*job, str(file)])
    for name in [name for name in os.environ if name.startswith(("SLURM_", "SBATCH_", "RUNS_FROZEN"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("lib.sweeps.processes.POLL_SECONDS", 0.1)
    monkeypatch.setattr("lib.sweeps.slurm.POLL_SECONDS", 0.2)
    monkeypatch.setattr("lib.sweeps.slurm.GRACE_SECONDS", 0.5)
    yield root
    until(lambda: not workers(root))


@pytest.fixture
def hold(root) -> Path:
    """The file that keeps jobs waiting after their first epoch; removed at the end, come what may."""
    file = root / "hold"
    file.touch()
    yield file
    file.unlink(missing_ok=True)


@pytest.fixture
def plan(root, tmp_path):
    """A function (alphas) -> plan of a small sweep, as its file says."""

    def read(alphas: str = "[0, 1]", shard: tuple[int, int] = (1, 1)) -> Plan:
        file = tmp_path / "small.yml"
        keys = f"dataset: digits\nmodels: [resnet8]\nrecipe: fast\nepochs: {EPOCHS}\nalphas: {alphas}\n"
        text = keys + "seeds: [0]\n"
        file.write_text(text, encoding="utf-8")
        return sweeps.plan(sweeps.read(file), shard=shard)

    return read


def same(trainings: list[Training], root: Path, made: Path) -> None:
    """Every network is there once, to the bit as one process made it, and nothing is left over."""
    for training in trainings:
        here, there = (store.Folder(place / training.name).files for place in (root, made))
        assert all(
            here[name]["sha256"] == there[name]["sha256"]
            for name in (WEIGHTS, HISTORY, measurements.file_name("selectivity", {}))
        )
    rows = catalogue.catalogue()
    assert sorted(rows.run) == sorted(training.name for training in trainings) and set(rows.status) == {"ok"}
    assert not [*root.glob(".partial/*"), *root.rglob("*.tmp")]


def until(condition, seconds: float = 600) -> object:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def checkpoints(root: Path, count: int = 1):
    """A condition: so many trainings have written one."""
    return lambda: len(found := list(root.glob(".partial/*/checkpoint-*"))) >= count and found


def logs(root: Path) -> str:
    return "".join(file.read_text(encoding="utf-8") for file in root.glob(".cluster/*/*.log"))


def workers(root: Path) -> dict[int, str]:
    """The jobs at work for this store: {process: its number in Slurm's array, or ""}."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
            if b"sweep" in words and any(word.startswith(os.fsencode(root / ".cluster")) for word in words):
                environment = dict(
                    pair.split("=", 1) for pair in (place / "environ").read_text().split("\0") if "=" in pair
                )
                found[int(place.name)] = environment.get("SLURM_ARRAY_TASK_ID", "")
        except OSError:  # it has ended
            continue
    return found


@contextmanager
def meanwhile(action):
    """Do something from beside while a sweep waits; should it fail, nothing is held any longer."""

    def guarded() -> None:
        try:
            action()
        except BaseException:
            (paths.runs() / "hold").unlink(missing_ok=True)
            raise

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    yield
    thread.join()


@contextmanager
def calling(forks: ForkServer, engine: str, log: Path):
    """`python -m lib sweep` as a process of its own, as people call it."""
    command = forks.command(CALLER, "sweep", str(log.parent / "small.yml"), "--engine", engine)
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, cwd=paths.ROOT, stdout=out, stderr=out, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait(60)


# ---- what needs no job -------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [0, -1, 1.5, True, "two"])
def test_jobs_are_counted_in_whole_numbers(jobs, root, plan):
    with pytest.raises(InputError, match=f"^jobs must be a whole number >= 1, got {re.escape(repr(jobs))}$"):
        processes.run(plan(), jobs=jobs)
    assert not list(root.glob(".cluster"))


def test_without_slurm_one_line_says_what_is_missing(root, plan, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        InputError,
        match=r"engine slurm needs sbatch, squeue, scontrol on the PATH; .* or choose engine local",
    ):
        slurm.run(plan())
    assert not list(root.glob(".cluster"))


@pytest.mark.parametrize("engine", [processes.run, slurm.run])
def test_a_full_store_needs_no_engine(engine, store_dir, trainings, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    asked = sweeps.Sweep("small", Path("small.yml"), tuple(trainings))
    assert engine(sweeps.plan(asked), say=lambda line: None) == Outcome((), tuple(trainings), ())


@pytest.mark.parametrize("engine", [processes.run, slurm.run])
def test_frozen_starts_nothing(engine, root, plan, monkeypatch):
    monkeypatch.setenv("RUNS_FROZEN", "1")
    with pytest.raises(InputError, match="RUNS_FROZEN=1 and run digits-resnet8/.* not cached"):
        engine(plan())
    assert not list(root.glob(".cluster"))


def test_the_name_is_that_of_the_networks_and_the_store(root, plan, monkeypatch):
    name = processes.name(plan())
    assert re.fullmatch(r"small-[0-9a-f]{10}", name) and processes.name(plan()) == name
    assert (
        len({
            name,
            processes.name(plan("[0]")),
            processes.name(plan(shard=(1, 2))),
            processes.name(plan(), 3),
        })
        == 4
    )
    monkeypatch.setenv("RUNS_DIR", str(root / "another"))
    assert processes.name(plan()) != name


def test_a_table_counts_once_the_manifest_names_it(own_store, trainings):
    """A table's file is written before the manifest names it: at the moment between it is not finished."""
    asked = Plan(sweeps.Sweep("small", Path("small.yml"), tuple(trainings)), (1, 1), tuple(trainings), ())
    assert all(processes.complete(asked, training) for training in trainings)
    manifest = own_store / trainings[0].name / store.MANIFEST
    files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
    without = {name: facts for name, facts in files.items() if not name.startswith("selectivity")}
    write_atomically(manifest, store._manifest(without))
    assert (own_store / trainings[0].name / measurements.file_name("selectivity", {})).exists()
    assert [processes.complete(asked, training) for training in trainings] == [False, True]
    manifest.write_text("{", encoding="utf-8")
    assert not processes.complete(asked, trainings[0])


LOGS = {
    "bad input": ("small: 2 networks\nerror: damaged: x is missing; restore "
        "it\n", "damaged: x is missing; restore it"),
    "traceback": ("small\nTraceback (most recent call last):\n  File x\nRuntimeError: CUDA is gone\n",
                  "RuntimeError: CUDA is gone"),
    "Slurm": ("small\nslurmstepd: error: *** JOB 7 CANCELLED DUE TO TIME LIMIT ***\n",
              "slurmstepd: error: *** JOB 7 CANCELLED DUE TO TIME LIMIT ***"),
    "a signal": ("small\nstopped by SIGTERM\nsmall: 0 made, 0 were there, 1 left\n", "stopped by SIGTERM"),
    "nothing": ("Ctrl-C is safe\n", "it ended without a word: killed, or out of memory"),
}  # fmt: skip


@pytest.mark.parametrize("case", LOGS)
def test_why_a_job_failed_is_in_its_log(case, tmp_path):
    text, reason = LOGS[case]
    (tmp_path / "1.log").write_text(text, encoding="utf-8")
    assert processes.failure(tmp_path / "1.log") == f"{reason}; its log: {tmp_path / '1.log'}"
    assert (
        processes.failure(tmp_path / "2.log")
        == f"it ended without a word: killed, or out of memory; its log: {tmp_path}"
    )


INSIDE = {
    "SLURM_JOB_ID": "7", "SLURM_MEM_PER_NODE": "4000", "SLURM_MEM_PER_CPU": "2000", "SLURM_ARRAY_TASK_ID": "3",
    "SLURM_CPUS_PER_TASK": "8", "SLURM_NTASKS": "4", "SLURM_TRES_PER_TASK": "cpu:8",
    "SBATCH_MEM_BIND": "local", "SBATCH_CPU_BIND_TYPE": "mask", "SBATCH_WAIT": "1",
}  # fmt: skip


def test_what_is_about_the_job_around_is_not_handed_on(monkeypatch):
    kept = {
        "SLURM_CONF": "/etc/slurm.conf",
        "SLURM_CLUSTERS": "west",
        "SBATCH_MEM_PER_CPU": "3000",
        "SBATCH_PARTITION": "long",
    }
    for name, value in (INSIDE | kept).items():
        monkeypatch.setenv(name, value)
    there = slurm.outside()
    assert {
        name: value for name, value in there.items() if name.startswith(("SLURM", "SBATCH"))
    } == kept and there["PATH"] == os.environ["PATH"]
    monkeypatch.delenv("SLURM_JOB_ID")
    assert slurm.outside()["SBATCH_MEM_BIND"] == "local"  # outside of a job it is the user's own wish


# ---- processes of this machine -----------------------------------------------------------------------------


@pytest.mark.slow
@needs_proc
def test_a_killed_process_and_the_same_command(root, plan, hold, made, trainings):
    lines = []
    with meanwhile(
        lambda: (
            until(checkpoints(root)) and os.kill(until(lambda: workers(root)).popitem()[0], signal.SIGKILL)
        )
    ):
        outcome = processes.run(plan(), jobs=1, say=lines.append)
    assert outcome == Outcome((), (), tuple(trainings), failed=True)
    assert lines[0].startswith("small: 2 networks (resnet8 on digits, fast recipe): 0 cached, 2 to train")
    (failed,) = [line for line in lines if " failed" in line]
    log = re.fullmatch(
        r"process \d+ failed by SIGKILL: it ended without a word: killed, or out of memory; its log: (.*)",
        failed,
    )[1]
    assert "2 to train" in Path(log).read_text(encoding="utf-8")
    assert lines[-1].startswith("go on with: python -m lib sweep ") and lines[-1].endswith(
        "small.yml --engine local"
    )

    hold.unlink()
    assert processes.run(plan(), jobs=1, say=lines.append) == Outcome(tuple(trainings), (), ())
    same(trainings, root, made)
    assert (root / ".cluster" / ".gitignore").read_text() == "*\n"


@pytest.mark.slow
@needs_proc
def test_what_a_killed_process_leaves_another_makes(root, plan, hold, made, trainings):
    def killing():
        until(checkpoints(root, 2))
        os.kill(min(workers(root)), signal.SIGKILL)
        hold.unlink()

    lines = []
    with meanwhile(killing):
        assert processes.run(plan(), jobs=2, say=lines.append) == Outcome(tuple(trainings), (), ())
    assert len([line for line in lines if " failed by SIGKILL" in line]) == 1  # said, and yet nothing is left
    same(trainings, root, made)


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_processes_too_and_the_same_command_goes_on(
    number, code, root, plan, hold, made, trainings, tmp_path, forks
):
    plan()
    with calling(forks, "local", tmp_path / "log") as process:
        until(checkpoints(root))
        process.send_signal(number)
        assert process.wait(60) == code
    assert not workers(root)
    said = (tmp_path / "log").read_text(encoding="utf-8")
    reason = "interrupted" if number == signal.SIGINT else f"stopped by {number.name}"
    assert (
        f"\n{reason}: the processes are told to keep their checkpoints and end\n" in said
        and "Traceback" not in said + logs(root)
    )
    assert (
        said.rstrip().endswith(f"go on with: python -m lib sweep {tmp_path / 'small.yml'} --engine local")
        and " failed" not in said
    )
    assert "\nstopped by SIGTERM\n" in logs(root) and checkpoints(root)()
    hold.unlink()
    if number == signal.SIGTERM:
        assert processes.run(plan(), jobs=1, say=lambda line: None).left == ()
        same(trainings, root, made)


@pytest.mark.slow
@needs_proc
def test_processes_that_are_deaf_are_killed(root, plan, hold, monkeypatch):
    monkeypatch.setattr("lib.sweeps.processes.STOP_SECONDS", 0.2)
    asked, begun = plan(), time.monotonic()
    with meanwhile(
        lambda: (
            until(checkpoints(root))
            and [os.kill(pid, signal.SIGSTOP) for pid in workers(root)]
            and os.kill(os.getpid(), signal.SIGINT)
        )
    ):
        outcome = processes.run(asked, jobs=1, say=lambda line: None)
    assert outcome.interrupted and not outcome.failed and not workers(root) and time.monotonic() - begun < 120


@pytest.mark.slow
@needs_proc
def test_two_sweeps_at_once_make_nothing_twice(root, plan, made, trainings, tmp_path, forks):
    plan()
    with calling(forks, "local", tmp_path / "one") as one, calling(forks, "local", tmp_path / "two") as two:
        assert (one.wait(300), two.wait(300)) == (0, 0)
    assert len(re.findall(r": trained resnet8", logs(root))) == 2
    same(trainings, root, made)


@pytest.mark.slow
def test_a_job_that_finds_bad_input_is_named_with_its_line_and_log(root, plan, trainings):
    asked = plan("[0]")
    file = root / trainings[0].name / store.MANIFEST  # damaged after the sweep was planned
    write_atomically(file, b"{")
    lines = []
    assert processes.run(asked, jobs=1, say=lines.append) == Outcome((), (), (trainings[0],), failed=True)
    (failed,) = [line for line in lines if " failed" in line]
    assert re.fullmatch(
        rf"process \d+ failed: damaged: {file} is not a manifest; restore it .*; its log: .*-1\.log", failed
    )


@pytest.mark.slow
def test_jobs_read_no_pickle_and_no_other_library_that_somebody_has_planted(
    root, plan, trainings, monkeypatch, tmp_path
):
    class Planted:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "planted",))

    monkeypatch.setattr(processes, "command", COMMAND)
    asked = plan("[0]")
    place = root / ".cluster" / processes.name(asked)
    place.mkdir(parents=True)
    for number in range(1, 100):
        (place / f"{number}_0_result.pkl").write_bytes(pickle.dumps(("success", Planted())))
        (place / f"{number}_submitted.pkl").write_bytes(pickle.dumps(Planted()))
    other = tmp_path / "elsewhere" / "lib"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise SystemExit('another lib')", encoding="utf-8")
    monkeypatch.chdir(other.parent)
    monkeypatch.setenv("PYTHONPATH", f"{other.parent}{os.pathsep}{os.environ['PYTHONPATH']}")
    assert processes.run(asked, jobs=1, say=lambda line: None).made == (trainings[0],)
    assert not (tmp_path / "planted").exists()
    # of published data sets alone, torchvision's CIFAR-10 is a pickle: its checksum is looked at first
    files = set((paths.ROOT / "lib").rglob("*.py")) - {paths.ROOT / "lib" / "data" / "cifar10.py"}
    library = "".join(file.read_text(encoding="utf-8") for file in files)
    assert not re.search(
        r"\b(import pickle|cloudpickle|joblib\.load|read_pickle|allow_pickle=True)\b", library
    )


# ---- Slurm -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster_of_one(tmp_path_factory):
    with own_slurm.running(tmp_path_factory.mktemp("slurm"), array=3) as started:
        yield started


@pytest.fixture
def on_slurm(cluster_of_one, root, monkeypatch) -> own_slurm.Slurm:
    """A Slurm that takes at most three jobs in an array, with nothing in its queue."""
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, cluster_of_one.environment[name])
    until(lambda: not cluster_of_one.ask("squeue", "--noheader"))
    return cluster_of_one


@pytest.mark.slow
@needs_slurm
def test_slurm_preempts_forgets_and_loses_jobs(on_slurm, root, plan, hold, made, trainings, monkeypatch):
    monkeypatch.setenv("SBATCH_EXPORT", "NONE")  # as sites do that hand on nothing of what is set here

    def disturbing():
        until(checkpoints(root, 2))
        by_task = {task: process for process, task in workers(root).items()}
        array = on_slurm.ask("squeue", "--noheader", "--format=%F").split()[0]
        on_slurm.ask(
            "scancel", f"{array}_0", "--batch", "--signal=USR1"
        )  # as it is told that it is out of time
        # it is queued again, two minutes from then unless it is told otherwise
        until(lambda: on_slurm.ask("squeue", "--noheader", "--states=PENDING", "--format=%F"))
        on_slurm.ask("scontrol", "update", f"JobId={array}_0", "StartTime=now")
        assert "\nstopped by SIGTERM\n" in logs(root)
        os.kill(by_task["1"], signal.SIGKILL)
        until(lambda: by_task["1"] not in workers(root))
        on_slurm.stop("slurmctld")
        time.sleep(1)
        on_slurm.daemon("slurmctld", "-f", str(on_slurm.conf))
        hold.unlink()

    lines = []
    with meanwhile(disturbing):
        outcome = slurm.run(plan(), say=lines.append)
    assert outcome == Outcome((trainings[0],), (), (trainings[1],), failed=True), lines + [logs(root)]
    (failed,) = [line for line in lines if " failed" in line]
    log = re.fullmatch(r"job \d+_1 failed: .*; its log: (.*/\.cluster/small-[0-9a-f]+/\d+_1\.log)", failed)[1]
    assert "2 to train" not in Path(log).read_text(encoding="utf-8")  # each job has its own part alone
    assert slurm.run(plan(), say=lines.append) == Outcome((trainings[1],), (trainings[0],), ())
    same(trainings, root, made)


@pytest.mark.slow
@needs_slurm
def test_slurm_goes_on_without_the_caller_who_may_come_back(
    on_slurm, root, plan, hold, made, trainings, tmp_path, forks
):
    plan()
    with calling(forks, "slurm", tmp_path / "first") as first:
        until(checkpoints(root, 2))
        first.send_signal(signal.SIGTERM)
        assert first.wait(60) == 143
    said, at_work = (tmp_path / "first").read_text(encoding="utf-8"), workers(root)
    assert (
        len(at_work) == 2
        and "\nstopped by SIGTERM: the jobs go on, and the same command waits for them again\n" in said
    )
    with calling(forks, "slurm", tmp_path / "second") as second:
        until(
            lambda: (
                "\n2 jobs of an earlier call are at work on it\n"
                in (tmp_path / "second").read_text(encoding="utf-8")
            )
        )
        second.kill()
    assert workers(root) == at_work
    hold.unlink()
    lines = []
    assert slurm.run(plan(), say=lines.append).left == () and not any(
        "in one array" in line for line in lines
    )
    same(trainings, root, made)


@pytest.mark.slow
@needs_slurm
def test_slurm_cancels_jobs_with_the_command_that_is_told(on_slurm, root, plan, hold, tmp_path):
    def told() -> str:
        return next(
            (line.split("cancel them with: ")[1] for line in lines if "cancel them with: " in line), ""
        )

    lines, asked = [], plan("[0, 1, 2, 3, 4]")
    with meanwhile(lambda: on_slurm.ask(*shlex.split(until(told)))):
        outcome = slurm.run(asked, say=lines.append)
    assert outcome.left == asked.trainings and outcome.failed
    assert any(line.startswith("3 jobs in one array, each with at most 2 networks") for line in lines)
    assert len([line for line in lines if re.match(r"job \d+_[0-2] failed: .*; its log: ", line)]) == 3
    assert lines[-1].endswith("--engine slurm")


@pytest.mark.slow
@needs_slurm
def test_slurm_makes_the_part_that_is_asked_for_and_only_what_is_missing(
    on_slurm, root, plan, made, trainings
):
    shutil.copytree(made / trainings[0].name, root / trainings[0].name)
    lines, asked = [], plan("[-1, 0, 1, 2, 3]", shard=(2, 2))  # that is 0 and 2
    outcome = slurm.run(asked, say=lines.append)
    two = Training("digits", "resnet8", 2, 0, "fast", EPOCHS)
    assert outcome == Outcome((two,), (trainings[0],), ())
    assert any(line.startswith("1 jobs in one array, each with at most 1 networks") for line in lines)
    assert len(list(root.glob(".cluster/*/*_1.log"))) == 1 and not list(root.glob(".cluster/*/*_0.log"))


@pytest.mark.slow
@needs_slurm
def test_slurm_takes_jobs_from_within_an_array_job_with_its_own_memory(
    on_slurm, root, plan, trainings, tmp_path, forks
):
    """The whole command line inside a job: what Slurm set there must not reach the jobs it hands in."""
    plan("[0]")
    call = shlex.join(forks.command(CALLER, "sweep", str(tmp_path / "small.yml"), "--engine", "slurm"))
    there = shlex.quote(str(paths.ROOT))
    script = f"#!/bin/bash\nexport SBATCH_MEM_PER_CPU=100 SLURM_MEM_PER_GPU=7\ncd {there}\n{call}\n"
    around = [
        "sbatch",
        "--mem=200",
        "--array=2",
        "--cpus-per-task=1",
        f"--output={tmp_path}/around.log",
        f"--error={tmp_path}/around.log",
    ]
    done = subprocess.run(
        around,
        input=script,
        env=on_slurm.environment | os.environ,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    until(lambda: not on_slurm.ask("squeue", "--noheader"))
    said = (tmp_path / "around.log").read_text(encoding="utf-8")
    assert "1 made, 0 were there, 0 left" in said, (done.stderr, said, logs(root))
    assert "mutually exclusive" not in said + logs(root)
    assert (root / trainings[0].name / store.MANIFEST).exists()


@pytest.mark.slow
@needs_slurm
def test_what_slurm_refuses_is_one_line(on_slurm, root, plan, monkeypatch):
    monkeypatch.setenv("SBATCH_PARTITION", "nowhere")
    with pytest.raises(InputError, match=r"^slurm did not take the jobs: .*Invalid partition") as caught:
        slurm.run(plan(), say=lambda line: None)
    assert "\n" not in str(caught.value) and not list(root.glob(".cluster/*/*"))
