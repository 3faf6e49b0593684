"""A sweep done by jobs: what all kinds of them share, and the plainest kind, processes of this machine.

A job is nothing but `python -m lib sweep` on the same file. Runs are idempotent and the store's locks share
them out, so a job may be killed, started twice, or joined by a sweep in another process. What a job has done
is read from the store, and why it failed from its log: nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import torch
from joblib import cpu_count  # counts what a container allows, and not only what the machine has

from lib import runs
from lib.base import interrupt, paths
from lib.base.errors import InputError
from lib.base.files import write_atomically
from lib.runs import store
from lib.sweeps.file import content_of
from lib.sweeps.planning import Outcome, Plan
from lib.sweeps.report import closing, label, opening
from lib.sweeps.work import run as work_run
from lib.training.training import Training

POLL_SECONDS = 1.0  # between two looks at the processes and the store
STOP_SECONDS = 20.0  # for processes to end after they are told to; a cluster kills this one after about 30

# ---- what all kinds of jobs share --------------------------------------------------------------------------


def name(plan: Plan, *more: object) -> str:
    """A name for the jobs of a plan: the same for the same part of the same sweep in the same store."""
    keys = [training.key for training in plan.sweep.trainings]
    facts = [str(paths.runs()), keys, plan.shard, [*map(str, plan.sweep.measurements)], *more]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:10]
    return f"{re.sub(r'[^A-Za-z0-9._-]', '_', plan.sweep.name)[:60]}-{digest}"


def told(line: str) -> None:
    """Print a line at once: what a sweep says is often read in a file, while it goes on."""
    print(line, flush=True)


def place(name: str) -> Path:
    """Where the jobs of that name have their logs, and the copy of the sweep file that they read."""
    return paths.runs() / ".cluster" / name


def folder(plan: Plan, name: str) -> Path:
    """Make that place. Jobs read a copy of the file, which may be edited while they wait for days to start.

    Raises:
        InputError: The sweep file cannot be read, or the folder cannot be written.
    """
    try:
        content = content_of(plan.sweep.file)
    except FileNotFoundError as error:
        raise InputError(f"{plan.sweep.file}: cannot be read: {error.strerror}") from None
    except InputError as error:
        raise InputError(f"{plan.sweep.file}: {error}") from None
    write_atomically(place(name).parent / ".gitignore", b"*\n")
    write_atomically(place(name) / plan.sweep.file.name, content)
    return place(name)


def command(file: Path) -> list[str]:
    """The command line of a job; -P has it import this library wherever it starts."""
    return [sys.executable, "-P", "-m", "lib", "sweep", str(file)]


def environment() -> dict[str, str]:
    """What a job's environment must hold: a cluster may hand on nothing of what is set here."""
    given = {"RUNS_DIR": str(paths.runs()), "LIB_CACHE": str(paths.cache())}
    given |= {"DATA_DIR": str(paths.data())} if os.environ.get("DATA_DIR") else {}
    given |= {name: os.environ[name] for name in ("OMP_NUM_THREADS",) if os.environ.get(name)}
    first = [str(paths.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return given | {"PYTHONPATH": os.pathsep.join(first)}


def complete(plan: Plan, training: Training) -> bool:
    """Whether a network and all its tables are in the store.

    A table counts once the manifest names it, which is a moment after its file is written.
    """
    try:
        run = store.Folder(paths.runs() / training.name)
    except InputError:  # not there yet, or damaged, which its job reports
        return False
    return all(table.file in run for table in plan.sweep.measurements)


def follow(
    plan: Plan,
    working: Callable[[], bool],
    *,
    say: Callable[[str], None],
    check: Callable[[], None],
    seconds: float,
) -> None:
    """Tell each network once it is finished, until all are or no job is at work.

    Args:
        plan: Whose networks.
        working: Whether any job still waits or works.
        say: Is told each network.
        check: Raises KeyboardInterrupt where an earlier one was lost.
        seconds: Between two looks.
    """
    left = list(plan.wanted)
    while True:
        check()
        more = working()  # asked before the store, so that what the last job finished is still seen
        for training in [one for one in left if complete(plan, one)]:
            left.remove(training)
            done, count = len(plan.trainings) - len(left), len(plan.trainings)
            say(f"{done} of {count}: {label(training)}, {_found(training)}")
        if not left or not more:
            return
        time.sleep(seconds)


def _found(training: Training) -> str:
    try:
        result = runs.config(store.Folder(paths.runs() / training.name))["result"]
        return f"{result['status']}, accuracy {result['clean_accuracy']:.1%}"
    except InputError as error:  # the list of runs and the next plan say so too
        return str(error)


def outcome(plan: Plan, *, interrupted: bool) -> Outcome:
    """What became of a plan, as the store says."""
    wanted, trained = set(plan.wanted), set(plan.training)
    unfinished = {one for one in plan.trainings if one in wanted and not complete(plan, one)}
    left = tuple(one for one in plan.trainings if one in unfinished)
    made = tuple(one for one in plan.trainings if one in trained - unfinished)
    there = tuple(one for one in plan.trainings if one not in trained | unfinished)
    diverged = tuple(one for one in made if _found(one).startswith("diverged"))
    return Outcome(made, there, left, diverged, interrupted, failed=bool(left) and not interrupted)


def failure(log: Path) -> str:
    """Why a job failed, as the last line of its log that speaks of an error says, and where the log is."""
    lines = []
    with suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    telling = re.compile(r"\berror: |\w(Error|Exception)\b|^stopped by SIG")
    said = [line.strip().removeprefix("error: ") for line in lines if telling.search(line)]
    reason = said[-1][:300] if said else "it ended without a word: killed, or out of memory"
    return f"{reason}; its log: {log if log.exists() else log.parent}"


# ---- processes of this machine -----------------------------------------------------------------------------


def run(plan: Plan, *, jobs: int | None = None, say: Callable[[str], None] = told) -> Outcome:
    """Have processes train and measure what a plan lacks.

    Each may make every network: what one leaves undone another takes. They end with this one: by Ctrl-C,
    SIGTERM or SIGHUP, after which each has kept its last checkpoint.

    Args:
        plan: What is missing.
        jobs: At most so many processes; by default one for each GPU, or for each core.
        say: Is told what will happen, each finished network, and each process that fails with its log.

    Returns:
        What became of the plan; `failed` if something is left though nothing has interrupted it.

    Raises:
        InputError: The number of jobs is bad, nothing can be written, or RUNS_FROZEN=1 is set.
    """
    if jobs is not None and (isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1):
        raise InputError(f"jobs must be a whole number >= 1, got {jobs!r}")
    if runs.frozen() or not plan.wanted:
        # makes nothing: reports that everything is there, or raises
        return work_run(plan, say=say, live=False)
    gpus, cores = _gpus(), cpu_count()
    count = min(jobs or len(gpus) or cores, len(plan.wanted))
    cpus = max(1, cores // count)
    here, stamp = folder(plan, name(plan)), f"{datetime.now():%Y%m%d-%H%M%S-%f}"
    for line in opening(plan, None):
        say(line)
    share = "es here, which share the work; each has" if count > 1 else " here; it has"
    say(f"{count} process{share} {cpus} CPU{'s' * (cpus > 1)}; logs lie in {here}")
    logs: dict[subprocess.Popen, Path] = {}
    over: set[subprocess.Popen] = set()

    def working() -> bool:
        for process in logs.keys() - over:
            if process.poll() is not None:
                over.add(process)
                if code := process.returncode:
                    killed = f" by {signal.Signals(-code).name}" if code < 0 else ""
                    say(f"process {process.pid} failed{killed}: {failure(logs[process])}")
        return len(over) < len(logs)

    interrupted, why = False, ""
    with interrupt.heard() as check:
        try:
            for number in range(count):
                log = here / f"{stamp}-{number + 1}.log"
                devices = {"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {}
                logs[_start(plan, log, {"OMP_NUM_THREADS": str(cpus)} | environment() | devices)] = log
            follow(plan, working, say=say, check=check, seconds=POLL_SECONDS)
            while working():  # all networks are there, and the processes about to end
                check()
                time.sleep(POLL_SECONDS / 10)
        except KeyboardInterrupt:
            interrupted = True
            why = f"{interrupt.reason()}: the processes are told to keep their checkpoints and end"
        finally:
            _stop(list(logs))
    result = outcome(plan, interrupted=interrupted)
    for line in closing(plan, result, why, None, engine="local"):
        say(line)
    return result


def _gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    if not torch.cuda.is_available():
        return []
    chosen = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    return chosen or list(map(str, range(torch.cuda.device_count())))


def _start(plan: Plan, log: Path, given: dict[str, str]) -> subprocess.Popen:
    """Start a process at work on the plan's part of the sweep.

    It has a session of its own, so that Ctrl-C in the terminal reaches it through this process alone.
    """
    shard = f"{plan.shard[0]}/{plan.shard[1]}"
    try:
        with log.open("wb") as out:
            return subprocess.Popen(
                [*command(log.with_name(plan.sweep.file.name)), "--shard", shard],
                cwd=paths.ROOT, env=os.environ | given, stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        raise InputError(f"cannot start a process with its log in {log}: {error.strerror}") from error


def _stop(processes: list[subprocess.Popen]) -> None:
    """End what still works, as SIGTERM ends a sweep.

    By force after a while, or at another Ctrl-C: the store is safe against that.
    """
    end = time.monotonic() + STOP_SECONDS
    try:
        for process in processes:
            process.terminate()  # nothing happens to one that has ended
        for process in processes:
            process.wait(max(0.0, end - time.monotonic()))
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
