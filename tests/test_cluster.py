"""Sweeps through submitit: as processes of this machine, and on a real Slurm where one is installed. Whatever ends a job, every run comes out the same."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import slurm as own_slurm
from conftest import EPOCHS

from lib import catalogue, cluster, jobs, measurements, paths, runs, store, train
from lib.errors import InputError
from lib.recipes import Training
from lib.runs import HISTORY, WEIGHTS
from lib.sweep import Outcome, Plan, Sweep

TESTS = Path(__file__).parent
NO_SUBMITIT = "" if importlib.util.find_spec("submitit") else "submitit is not installed: .venv/bin/uv sync --frozen --inexact --extra cluster"
needs_submitit = pytest.mark.skipif(bool(NO_SUBMITIT), reason=NO_SUBMITIT)
needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="jobs are found in /proc, which only Linux has")
needs_slurm = pytest.mark.skipif(bool(own_slurm.lacking()), reason=own_slurm.lacking())


class Held(jobs.Work):
    """A job that keeps a checkpoint after every epoch, and waits there while the store holds a file `hold`."""

    def __call__(self) -> None:
        train.CHECKPOINT_SECONDS, write = 0, store.write_checkpoint

        def held(*args: object) -> None:
            write(*args)
            while (paths.runs() / "hold").exists():
                time.sleep(0.02)

        store.write_checkpoint = held
        super().__call__()


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """An empty store on a path with spaces; jobs are `Held`, and are looked at often."""
    root = tmp_path / "a store" / "of runs"
    root.mkdir(parents=True)
    for name, value in {"RUNS_DIR": root, "LIB_CACHE": tmp_path / "the cache", "PYTHONPATH": TESTS}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("RUNS_FROZEN", raising=False)
    monkeypatch.setattr(jobs, "Work", Held)
    monkeypatch.setattr(cluster, "POLL_SECONDS", {"local": 0.1, "slurm": 0.2})
    monkeypatch.setattr(cluster, "GRACE_SECONDS", 0.5)
    yield root
    until(lambda: not workers(root))
    until(lambda: jobs.states_of("local") is not None and not jobs._children)  # all that was started here has ended, and Python knows


@pytest.fixture
def hold(root) -> Path:
    """The file that keeps jobs waiting after their first epoch; removed at the end, come what may."""
    file = root / "hold"
    file.touch()
    yield file
    file.unlink(missing_ok=True)


def plan(trainings: list[Training], name: str = "small", tables: tuple[str, ...] = ("selectivity",)) -> Plan:
    """What of these is missing; no estimate of the time, which would take some."""
    sweep = Sweep(name, Path(f"{name}.yml"), tuple(trainings), tables)
    missing = tuple(runs.missing(trainings))
    files = {table: measurements.file_name(table, {}) for table in tables}
    lacking = [(t, table) for t in trainings if t not in missing for table in tables if not (paths.runs() / t.name / files[table]).exists()]
    return Plan(sweep, (1, 1), tuple(trainings), missing, tables=tuple(lacking))


def same(trainings: list[Training], root: Path, made: Path) -> None:
    """Every network is there once, to the bit as one process made it, and nothing is left over."""
    for training in trainings:
        here, there = (store.Folder(place / training.name).files for place in (root, made))
        assert all(here[name]["sha256"] == there[name]["sha256"] for name in (WEIGHTS, HISTORY, measurements.file_name("selectivity", {})))
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


def workers(root: Path) -> dict[str, int]:
    """The processes that work for this store, by the id of their job; on a node of Slurm just as here."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if b"submitit.core._submit" in (place / "cmdline").read_bytes().split(b"\0") and os.fsencode(root) in (place / "cmdline").read_bytes():
                environment = dict(pair.split("=", 1) for pair in (place / "environ").read_text().split("\0") if "=" in pair)
                array = "_".join(environment.get(f"SLURM_ARRAY_{part}_ID", "") for part in ("JOB", "TASK")).strip("_")
                found[environment.get("SUBMITIT_LOCAL_JOB_ID") or array or environment["SLURM_JOB_ID"]] = int(place.name)
        except (OSError, KeyError):  # it has ended
            continue
    return found


@contextmanager
def meanwhile(action):
    """Do something from beside while a sweep waits; should it fail, nothing is held any longer, so that the sweep ends."""

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


def told(lines: list[str], command: str) -> list[str]:
    """The arguments of the command for cancelling, once it is told."""
    return next((line.split(f"cancel them with: {command} ")[1].split() for line in lines if "cancel them with: " in line), [])


# ---- what needs no job -----------------------------------------------------------------------------------------------


def test_without_submitit_one_line_says_how_to_get_it(root, trainings, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r"engine local needs submitit, which is not installed; get it with: .*uv sync .*--extra cluster") as caught:
        cluster.run(plan(trainings), engine="local")
    assert "\n" not in str(caught.value) and not list(root.iterdir())


@needs_submitit
def test_without_slurm_one_line_says_what_is_missing(root, trainings, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"engine slurm needs sbatch, srun, squeue, scontrol on the PATH; .* or choose engine local"):
        cluster.run(plan(trainings), engine="slurm")
    assert not list(root.iterdir())


BAD = {
    "engine": ({"engine": "ray"}, "unknown engine 'ray'; known: local, slurm"),
    "jobs": ({"engine": "local", "jobs": 0}, "jobs must be a whole number >= 1, got 0"),
    "minutes": ({"engine": "slurm", "minutes": 1.5}, "minutes must be a whole number >= 1, got 1.5"),
    "cpus": ({"engine": "slurm", "cpus": True}, "cpus must be a whole number >= 1, got True"),
    "gpus": ({"engine": "slurm", "gpus": -1}, "gpus must be a whole number >= 0, got -1"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(case, root, trainings):
    arguments, message = BAD[case]
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        cluster.run(plan(trainings), **arguments)


@needs_submitit
def test_a_path_with_a_percent_sign_is_refused(root, trainings, monkeypatch, tmp_path):
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "100%job"))
    with pytest.raises(InputError, match="take % in a path for a place holder, got .*100%job.*; set RUNS_DIR to another place"):
        cluster.run(plan(trainings), engine="local")


def test_a_full_store_needs_no_engine(store_dir, trainings, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert cluster.run(plan(trainings), engine="slurm", say=lambda line: None) == Outcome((), tuple(trainings), ())


def test_frozen_submits_nothing(root, trainings, monkeypatch):
    monkeypatch.setenv("RUNS_FROZEN", "1")
    with pytest.raises(InputError, match="RUNS_FROZEN=1 and run digits-resnet8/.* not cached"):
        cluster.run(plan(trainings), engine="local")
    assert not list(root.iterdir())


def test_networks_are_shared_among_jobs(root, trainings, monkeypatch):
    many = [Training("digits", "resnet8", alpha, 0, "fast", EPOCHS) for alpha in range(5)]
    whole = Plan(Sweep("five", Path("five.yml"), tuple(many)), (1, 1), tuple(many), tuple(many), whole=dict.fromkeys(many, 1000.0))
    monkeypatch.setattr(jobs, "_array_limit", lambda: 3)
    monkeypatch.setattr(jobs, "_cores", lambda: 4)
    monkeypatch.setattr(jobs, "_gpus", list)
    array = jobs.share_out(whole, many, "slurm", None, None, None, 1)
    assert array.shares == [[many[0], many[3]], [many[1], many[4]], [many[2]]] and array.minutes == 134  # 4 times 2,000 seconds
    assert str(array) == "3 jobs of Slurm in one array; each has up to 2 networks, 134 minutes, 2 CPUs and 1 GPU"
    local = jobs.share_out(whole, many, "local", None, None, None, None)
    assert local.shares == [many] * 4 and str(local) == "4 processes here, which share the work; each has 1 CPU"
    assert str(jobs.share_out(whole, many[:1], "slurm", None, None, 8, 0)) == "1 job of Slurm; it has 67 minutes, 8 CPUs"
    assert jobs.share_out(whole, many, "local", 2, None, None, None).cpus == 2


@needs_submitit
def test_waiting_tells_what_the_jobs_do(root, trainings, monkeypatch):
    job = jobs.Job("slurm", "7_0", root / ".cluster" / "small-1", frozenset([trainings[0].name]))
    answers = ["PENDING (Resources)", None, "RUNNING", "RUNNING", "PENDING (BeginTime)", "RUNNING", "OUT_OF_MEMORY"]  # preempted, and then too big
    mine = {"6": ("RUNNING", "small-0"), "7_1": ("RUNNING", "small-1")}  # of other submissions
    states = [answer and mine | {"7_0": (answer, "small-1")} for answer in answers]
    monkeypatch.setattr(jobs, "states_of", lambda engine: states.pop(0) if len(states) > 1 else states[0])
    lines = []
    assert cluster._wait(plan(trainings[:1]), trainings[:1], [job], lines.append, lambda: None) == trainings[:1]
    told = ["1 pending (resources)", "the engine does not answer", "1 running", "1 pending (begintime)", "1 running"]
    assert lines[:-1] == [f"jobs: {line}" for line in told]
    assert lines[-1] == f"job 7_0 failed: ended without a word: killed, cancelled, out of memory or of time (Slurm says OUT_OF_MEMORY); its log: {job.folder}"


# ---- processes of this machine ---------------------------------------------------------------------------------------


@needs_submitit
@needs_proc
def test_a_killed_job_and_the_same_command(root, hold, made, trainings):
    def killing():
        until(checkpoints(root))
        os.kill(until(lambda: workers(root)).popitem()[1], signal.SIGKILL)

    lines = []
    with meanwhile(killing):
        outcome = cluster.run(plan(trainings), engine="local", jobs=1, say=lines.append)
    assert outcome == Outcome((), (), tuple(trainings))
    assert lines[0] == "small: 2 networks, 0 done, 2 to train or measure"
    assert re.fullmatch(r"2 go to 1 process here; it has \d+ CPUs?; logs lie in .*/a store/of runs/\.cluster/small-[-0-9]+", lines[1])
    (failed,) = [line for line in lines if "failed" in line]
    log = re.fullmatch(r"job \d+ failed: ended without a word: killed, .*; its log: (.*)", failed)[1]
    assert "2 to train" in Path(log).read_text()
    assert lines[-1] == "go on with: python -m lib sweep small.yml --engine local"

    def cancelling():
        until(lambda: sum("2 to train" in file.read_text() for file in root.glob(".cluster/*/*_log.out")) == 2)
        os.kill(int(told(lines, "kill")[0]), signal.SIGTERM)

    until(lambda: not workers(root))
    lines.clear()
    with meanwhile(cancelling):
        assert cluster.run(plan(trainings), engine="local", jobs=1, say=lines.append).left == tuple(trainings)

    hold.unlink()
    outcome = cluster.run(plan(trainings), engine="local", jobs=1, say=lines.append)
    assert outcome == Outcome(tuple(trainings), (), ())
    same(trainings, root, made)
    assert (root / ".cluster" / ".gitignore").read_text() == "*\n"


# A process that runs the sweep as the command line does, for tests that interrupt it.
CONTROLLER = """
import sys
sys.path.insert(0, {tests!r})
import test_cluster as t
t.jobs.Work, t.cluster.POLL_SECONDS = t.Held, {{"local": 0.1, "slurm": 0.2}}
networks = [t.Training("digits", "resnet8", alpha, 0, "fast", t.EPOCHS) for alpha in (0.0, 1.0)]
t.cluster.run(t.plan(networks), engine="local", jobs=1, say=lambda line: print(line, flush=True))
"""


@needs_submitit
@needs_proc
def test_ctrl_c_and_kill_9_of_the_caller_leave_the_jobs_at_work(root, hold, made, trainings, tmp_path):
    def caller(log: str) -> subprocess.Popen:
        with (tmp_path / log).open("w") as out:
            command = [sys.executable, "-c", CONTROLLER.format(tests=str(TESTS))]
            return subprocess.Popen(command, cwd=paths.ROOT, stdout=out, stderr=out, start_new_session=True)

    def said(log: str, text: str):
        return lambda: text in (tmp_path / log).read_text()

    first = caller("first")
    until(checkpoints(root))
    until(said("first", "jobs: 1 running"))
    os.killpg(first.pid, signal.SIGINT)  # as a terminal does it
    assert first.wait(60) == 0
    lines, at_work = (tmp_path / "first").read_text().splitlines(), workers(root)
    (process,) = at_work
    assert f"interrupted: the jobs go on; look at the jobs with: ps {process}; cancel them with: kill {process}" in lines
    assert lines[-1] == "wait for them with: python -m lib sweep small.yml --engine local"

    second = caller("second")
    until(said("second", "2 of them are with jobs of an earlier call"))
    until(said("second", "jobs: 1 running"))
    second.kill()
    second.wait(60)
    assert workers(root) == at_work

    hold.unlink()
    lines = []
    assert cluster.run(plan(trainings), engine="local", say=lines.append) == Outcome(tuple(trainings), (), ())
    assert "2 of them are with jobs of an earlier call" in lines and not any("go to" in line for line in lines)
    assert len(list(root.glob(f".cluster/*/{jobs.NOTE}"))) == 1
    until(lambda: not workers(root))
    same(trainings, root, made)


@needs_submitit
@needs_proc
def test_two_sweeps_that_ask_for_the_same_runs(root, hold, made, trainings):
    one, two = plan(trainings), plan(trainings[::-1], "other", ("class_means", "selectivity"))
    for asked in (one, two):
        outcome = cluster.run(asked, engine="local", jobs=1, wait=False, say=lambda line: None)
        assert outcome.made == () and set(outcome.left) == set(trainings)
    assert len(list(root.glob(f".cluster/*/{jobs.NOTE}"))) == 2  # the jobs of the first do not measure what the second asks for
    until(checkpoints(root, 2))
    hold.unlink()
    for asked in (one, two):
        assert set(cluster.run(asked, engine="local", say=lambda line: None).made) == set(trainings)
    until(lambda: not workers(root))
    same(trainings, root, made)
    logs = "".join(file.read_text() for file in root.glob(".cluster/*/*_log.out"))
    assert len(re.findall(r": trained resnet8", logs)) == 2
    assert len(runs.table("class_means", trainings)) > 0


@needs_submitit
@needs_proc
def test_a_job_that_is_told_of_its_end_goes_on_from_its_checkpoint(root, hold, made, trainings):
    def telling():
        until(checkpoints(root))
        os.kill(until(lambda: workers(root)).popitem()[1], signal.SIGUSR2)
        until(lambda: "Requeued job" in "".join(file.read_text() for file in root.glob(".cluster/*/*_log.out")))
        hold.unlink()

    with meanwhile(telling):
        # of a job this short submitit believes that any signal means a time-out
        assert cluster.run(plan(trainings[:1]), engine="local", jobs=1, minutes=5, say=lambda line: None).made == (trainings[0],)
    log = "".join(file.read_text() for file in root.glob(".cluster/*/*_log.out"))
    assert "Job has timed out" in log and f"({jobs.TIMEOUTS - 1} remaining timeouts)" in log
    until(lambda: not workers(root))
    same(trainings[:1], root, made)


@needs_submitit
def test_an_error_of_the_user_is_one_line(root, trainings):
    asked = plan(trainings[:1])
    file = root / trainings[0].name / store.MANIFEST  # damaged after the sweep was planned
    store.write_atomically(file, b"{")
    lines = []
    assert cluster.run(asked, engine="local", jobs=1, say=lines.append) == Outcome((), (), (trainings[0],))
    (failed,) = [line for line in lines if "failed" in line]
    assert re.fullmatch(rf"job \d+ failed: damaged: {file} is not a manifest; restore it .*; its log: .*_0_log\.err", failed)
    assert lines[-1] == "go on with: python -m lib sweep small.yml --engine local"


# ---- Slurm -----------------------------------------------------------------------------------------------------------


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


@needs_submitit
@needs_slurm
def test_slurm_preempts_forgets_and_loses_jobs(on_slurm, root, hold, made, trainings, monkeypatch):
    monkeypatch.setenv("SBATCH_EXPORT", "NONE")  # as sites do that hand on nothing of what is set here

    def disturbing():
        until(checkpoints(root, 2))
        preempted, killed = (file for file in sorted(workers(root)))
        on_slurm.ask("scancel", preempted, "--signal=USR2")
        until(lambda: "Requeued job" in "".join(file.read_text() for file in root.glob(f".cluster/*/{preempted}_0_log.out")))
        os.kill(workers(root)[killed], signal.SIGKILL)
        on_slurm.stop("slurmctld")
        time.sleep(1)
        on_slurm.daemon("slurmctld", "-f", str(on_slurm.conf))
        hold.unlink()

    lines = []
    with meanwhile(disturbing):
        outcome = cluster.run(plan(trainings), engine="slurm", cpus=1, say=lines.append)
    assert outcome == Outcome((trainings[0],), (), (trainings[1],)), lines
    assert "jobs: 2 running" in lines
    (failed,) = [line for line in lines if "failed" in line]
    assert re.fullmatch(r"job \d+_1 failed: ended without a word: .* \(Slurm says FAILED\); its log: .*/of runs/\.cluster/small-.*_1_0_log\.err", failed)
    outcome = cluster.run(plan(trainings), engine="slurm", cpus=1, say=lines.append)
    assert outcome == Outcome((trainings[1],), (trainings[0],), ())
    same(trainings, root, made)


@needs_submitit
@needs_slurm
def test_slurm_cancels_jobs_with_the_command_that_is_told(on_slurm, root, hold):
    many = [Training("digits", "resnet8", alpha, 0, "fast", EPOCHS) for alpha in range(5)]
    lines = []
    with meanwhile(lambda: until(lambda: told(lines, "scancel")) and on_slurm.ask("scancel", *told(lines, "scancel"))):
        assert cluster.run(plan(many), engine="slurm", cpus=2, say=lines.append).left == tuple(many)
    assert "5 go to 3 jobs of Slurm in one array; each has up to 2 networks, 60 minutes, 2 CPUs; logs lie in " in lines[1]
    assert len([line for line in lines if "(Slurm says CANCELLED)" in line]) == 3
    (note,) = root.glob(f".cluster/*/{jobs.NOTE}")
    assert list(json.loads(note.read_text())["jobs"].values()) == [sorted(t.name for t in many[i::3]) for i in range(3)]


@needs_submitit
@needs_slurm
def test_what_slurm_refuses_is_one_line(on_slurm, root, trainings, monkeypatch):
    monkeypatch.setenv("SBATCH_PARTITION", "nowhere")
    with pytest.raises(InputError, match=r"^slurm did not take the jobs: .*Invalid partition") as caught:
        cluster.run(plan(trainings), engine="slurm", say=lambda line: None)
    assert "\n" not in str(caught.value) and not list(root.glob(".cluster/*/*"))
