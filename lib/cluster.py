"""Hand what a sweep lacks to jobs, as processes on this machine or on a cluster with Slurm, and wait for them.

There is no queue and no retry here: each job is the sweep itself on its share of the networks. Runs are idempotent, and the store's locks
keep two jobs from making one, so a job may be killed, started twice or joined by a sweep in another process. The store must be one that all
nodes see, on a file system whose locks work across nodes.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from datetime import datetime

from lib import interrupt, measurements, paths, runs, store, sweep
from lib import jobs as engines
from lib.errors import InputError, unknown
from lib.jobs import ENGINES, Job
from lib.recipes import Training
from lib.sweep import Outcome, Plan
from lib.sweeptext import label

__all__ = ["ENGINES", "run"]

POLL_SECONDS = {"local": 1.0, "slurm": 10.0}  # between two looks at the jobs
GRACE_SECONDS = 15.0  # on a network file system, what a job wrote may be seen that much later


def run(
    plan: Plan,
    *,
    engine: str,
    jobs: int | None = None,
    minutes: int | None = None,
    cpus: int | None = None,
    gpus: int | None = None,
    wait: bool = True,
    say: Callable[[str], None] = print,
) -> Outcome:
    """Have jobs train and measure what a plan lacks, and wait for them; jobs of an earlier call that still go on are waited for, not doubled.

    engine   "local": processes on this machine; "slurm": one job array, from a machine that has sbatch
    jobs     at most this many; else local one a GPU or core, Slurm one a network, or as many as an array may have
    minutes  of a job; else local no limit, Slurm four times what its networks are expected to take, an hour at least. A job that is out of time or
             preempted is queued again and goes on from its checkpoint
    cpus     of a job; else local an equal share of the cores, Slurm two
    gpus     of a job of Slurm; else one if torch has one here
    wait     False: return as soon as all is submitted
    say      is told what will happen, each finished network, and each failed job with its log
    returns  `made` by the jobs; `left` is what failed, or goes on after Ctrl-C (then `interrupted`) or without `wait`
    raises   InputError for a bad argument, without submitit or Slurm, for what is missing under RUNS_FROZEN=1, and when nothing can be submitted
    """
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    for name, value, least in (("jobs", jobs, 1), ("minutes", minutes, 1), ("cpus", cpus, 1), ("gpus", gpus, 0)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise InputError(f"{name} must be a whole number >= {least}, got {value!r}")
    wanted = list(plan.wanted)
    if runs.frozen() or not wanted:
        return sweep.run(plan, say=say, live=False)  # makes nothing: says that all is there, or raises
    _check(engine)
    earlier, home = engines.under_way(plan, wanted, engine), engines.home()
    fresh = [t for t in wanted if not any(t.name in job.networks for job in earlier)]
    say(f"{plan.sweep.name}: {len(plan.trainings)} networks, {len(plan.trainings) - len(wanted)} done, {len(wanted)} to train or measure")
    if earlier:
        say(f"{len(wanted) - len(fresh)} of them are with jobs of an earlier call")
    going, left, interrupted = earlier, wanted, False
    if fresh:
        array = engines.share_out(plan, fresh, engine, jobs, minutes, cpus, gpus)
        name = f"{re.sub(r'[^A-Za-z0-9._-]', '_', plan.sweep.name)}-{datetime.now():%Y%m%d-%H%M%S-%f}"
        say(f"{len(fresh)} go to {array}; logs lie in {home / name}")
        going = earlier + array.submit(plan, home / name)
    advice = _advice(engine, going)
    try:
        say(advice)
        if wait:
            say("Ctrl-C is safe: the jobs go on, and the same command waits for them again")
            with interrupt.heard() as check:
                left, going = _wait(plan, wanted, going, say, check), []
    except KeyboardInterrupt:
        say(f"interrupted: the jobs go on; {advice}")
        interrupted, left = True, [t for t in wanted if not _complete(plan, t)]
    outcome = _outcome(plan, left, interrupted)
    for training in outcome.diverged:
        say(f"diverged: {label(training)}; it is kept, and marked in the list of runs")
    say(f"{plan.sweep.name}: {len(outcome.made)} made, {len(outcome.there)} were there, {len(outcome.left)} {'with the jobs' if going else 'left'}")
    say(f"results {'go to' if going else 'are in'} {paths.runs()}; list them with: python -m lib runs")
    if outcome.left:
        say(f"{'wait for them' if going else 'go on'} with: {plan.command} --engine {engine}")
    return outcome


def _check(engine: str) -> None:
    try:
        import submitit  # noqa: F401
    except ImportError:
        install = ".venv/bin/uv sync --frozen --inexact --extra cluster, or pip install 'submitit>=1.5'"
        raise InputError(f"engine {engine} needs submitit, which is not installed; get it with: {install}") from None
    if engine == "slurm" and (absent := [name for name in ("sbatch", "srun", "squeue", "scontrol") if not shutil.which(name)]):
        raise InputError(f"engine slurm needs {', '.join(absent)} on the PATH; call it where Slurm takes jobs, or choose engine local")


def _advice(engine: str, jobs: list[Job]) -> str:
    ids = list(dict.fromkeys(job.id.split("_")[0] for job in jobs))  # arrays as a whole
    look, cancel = (f"squeue --jobs={','.join(ids)}", "scancel") if engine == "slurm" else (f"ps {' '.join(ids)}", "kill")
    return f"look at the jobs with: {look}; cancel them with: {cancel} {' '.join(ids)}"


def _complete(plan: Plan, training: Training) -> bool:
    files = [store.MANIFEST, *(measurements.file_name(name, {}) for name in plan.sweep.measurements)]
    return all((paths.runs() / training.name / file).exists() for file in files)


def _wait(plan: Plan, wanted: list[Training], jobs: list[Job], say: Callable[[str], None], check: Callable[[], None]) -> list[Training]:
    """Look at jobs and store until all is there or no job is left; returns what is not there."""
    left, going, gone, told = list(wanted), list(jobs), {}, ""
    while True:
        check()
        states = engines.states_of(jobs[0].engine)
        for training in [t for t in left if _complete(plan, t)]:
            left.remove(training)
            result = _result(training)
            say(f"{len(plan.trainings) - len(left)} of {len(plan.trainings)}: {label(training)}, {result['status']}, accuracy {result['clean_accuracy']:.1%}")
        for job in list(going):
            lacking, now = any(t.name in job.networks for t in left), time.monotonic()
            if job.alive(states):
                gone.pop(job, None)
            elif not lacking or now - gone.setdefault(job, now) >= GRACE_SECONDS:
                going.remove(job)
                if lacking:
                    say(job.failure(states))
        if not left or not going:
            return left
        counts = "the engine does not answer"
        if states is not None:
            now = [states[job.id][0] for job in going if job.alive(states)]
            counts = ", ".join(f"{now.count(state)} {state.lower()}" for state in sorted(set(now))) or told
        if counts != told:
            say(f"jobs: {counts}")
            told = counts
        time.sleep(POLL_SECONDS[jobs[0].engine])


def _result(training: Training) -> dict[str, object]:
    return runs.config(store.Folder(paths.runs() / training.name))["result"]


def _outcome(plan: Plan, left: list[Training], interrupted: bool) -> Outcome:
    made = tuple(t for t in plan.trainings if t in plan.training and t not in left)
    there = tuple(t for t in plan.trainings if t not in made and t not in left)
    diverged = tuple(t for t in made if _result(t)["status"] == "diverged")
    return Outcome(made, there, tuple(t for t in plan.trainings if t in left), diverged, interrupted)
