"""Jobs that do a sweep's work, started by submitit: processes of their own on this machine, or one job array of Slurm.

submitit pickles the call, which holds plain values alone, and how it ended; no data, weights or results are ever pickled. Each submission has a
folder in the store's hidden .cluster, with submitit's files, the logs and a note that tells later processes which job has which networks.
Account, partition, memory and the like are Slurm's own variables: SBATCH_ACCOUNT, SBATCH_PARTITION, SBATCH_MEM_PER_CPU, ...
"""

from __future__ import annotations

import atexit
import json
import logging
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from lib import paths, store, sweep
from lib.errors import InputError
from lib.recipes import Training
from lib.sweep import Plan

ENGINES = ("local", "slurm")
TIMES, LEAST_MINUTES = 4, 60  # a job's time: so many times what is expected here, as its node may be slower
TIMEOUTS = 20  # times a job out of time is queued again; below 11 minutes submitit takes preemption for that too (its issues 1633 and 1656)
SIGNAL_SECONDS = 120  # a job is told so long before its end: compiled code hears of it only after a step, and Slurm may be a minute late
ARRAY = 1001  # jobs in an array, where Slurm does not say its limit: the default
OVER = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "REVOKED")  # states that stay
NOTE = "jobs.json"  # in the folder of a submission: which job has which networks

States = dict[str, tuple[str, str]] | None  # of jobs by id: what they do, and a text with their submission's name in it; None: no answer

_children: list = []  # submitit's handles of processes started here, until they have ended

# ---- one job ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """What a job does: the sweep, on its share of the networks. Errors are raised, so that Slurm too calls the job failed."""

    plan: Plan
    gpu: str = ""  # CUDA_VISIBLE_DEVICES of a process on this machine; Slurm sets its own

    def __call__(self) -> None:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        if os.environ.get("SUBMITIT_EXECUTOR") == "local":
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpu
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # submitit has it ignored, and kill would do nothing
        sweep.run(self.plan, live=False)

    def checkpoint(self) -> object:
        """What submitit queues when the job is preempted or out of time: the same again, which goes on from the checkpoint in the store."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@dataclass(frozen=True)
class Job:
    """A job that was submitted, by this process or an earlier one."""

    engine: str
    id: str  # Slurm's, or the process's
    folder: Path  # the submission's
    networks: frozenset[str]  # names of the runs it may make

    def alive(self, states: States) -> bool:
        """Whether it waits or works, as `states_of` has it; where the engine gave no answer, it is taken to."""
        state, mark = states.get(self.id, (OVER[0], "")) if states is not None else ("", self.folder.name)
        return self.folder.name in mark and state not in OVER  # ids are used again, names of folders are not

    def failure(self, states: States) -> str:
        """Why it ended and where its log is, in a line."""
        import submitit

        handle = (submitit.SlurmJob if self.engine == "slurm" else submitit.LocalJob)(self.folder, self.id)
        reason = "ended without a word: killed, cancelled, out of memory or of time"
        if self.engine == "slurm" and self.id in (states or {}):
            reason += f" (Slurm says {states[self.id][0]})"
        if handle.paths.result_pickle.exists():  # submitit's words, the traceback between two rules, submitit's words
            lines = [line for part in re.split(r"-{10,}\n", str(handle.exception() or ""))[1:2] for line in part.splitlines() if line.strip()]
            reason = lines[-1].removeprefix(f"{InputError.__module__}.{InputError.__name__}: ") if lines else "ended too early"
        log = next((file for file in (handle.paths.stderr, handle.paths.stdout) if file.exists() and file.stat().st_size), self.folder)
        return f"job {self.id} failed: {reason}; its log: {log}"


def states_of(engine: str) -> States:
    """What this user's jobs do, those that wait with the reason.

    squeue is asked, not submitit: that asks sacct, which a cluster without accounting does not have.
    """
    states = {}
    if engine == "local":
        _children[:] = [child for child in _children if not child.done()]
        states = {child.job_id: ("RUNNING", str(child.paths.folder)) for child in _children}
        command, pattern = ["ps", "-A", "-ww", "-o", "pid=,args="], r"\s*(?P<id>\d+) (?P<mark>.*)"
    else:
        command = ["squeue", "--noheader", "--array", "--states=all", f"--user={os.getuid()}", "--format=%i|%T|%r|%j"]
        pattern = r"(?P<id>\w+)\|(?P<state>\w+)\|(?P<why>[^|]*)\|(?P<mark>.*)"
    answer = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace") if shutil.which(command[0]) else None
    if not answer or answer.returncode:
        return None if engine == "slurm" else states  # processes of earlier calls are then unknown, and waited for by the store's locks
    for found in filter(None, (re.fullmatch(pattern, line) for line in answer.stdout.splitlines())):
        known = {"state": "RUNNING", "why": "None"} | found.groupdict()
        waits = known["state"] == "PENDING" and known["why"] != "None"
        states[known["id"]] = (f"PENDING ({known['why']})" if waits else known["state"], known["mark"])
    return states


# ---- submitting ------------------------------------------------------------------------------------------------------


def home() -> Path:
    """The hidden folder of all submissions, with submitit's files and the logs."""
    home = paths.runs() / ".cluster"
    if "%" in str(home):
        raise InputError(f"submitit and Slurm take % in a path for a place holder, got {home}; set RUNS_DIR to another place")
    if not (home / ".gitignore").exists():
        store.write_atomically(home / ".gitignore", b"*\n")
    return home


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    if not torch.cuda.is_available():
        return []
    return [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name] or list(map(str, range(torch.cuda.device_count())))


def _array_limit() -> int:
    shown = subprocess.run(["scontrol", "show", "config"], check=False, capture_output=True, text=True).stdout
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", shown, re.MULTILINE)
    return max(1, int(found[1])) if found else ARRAY


def _part(plan: Plan, share: list[Training]) -> Plan:
    """The plan of these networks alone."""
    missing, again = ([t for t in share if t in group] for group in (plan.missing, plan.again))
    tables = [(training, name) for training, name in plan.tables if training in share]
    return replace(plan, trainings=tuple(share), missing=tuple(missing), again=tuple(again), tables=tuple(tables))


@contextmanager
def _apart(environment: dict[str, str]) -> Iterator[None]:
    """Processes that are started inside have this environment, and Ctrl-C in the terminal is not for them."""
    before, main = dict(os.environ), threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        if main:
            signal.signal(signal.SIGINT, handler)


@dataclass(frozen=True)
class Array:
    """How networks are shared among jobs, and what a job gets."""

    engine: str
    shares: list[list[Training]]
    minutes: int | None  # None: no limit
    cpus: int
    gpus: int

    def __str__(self) -> str:
        count, most = len(self.shares), max(map(len, self.shares))
        one, many = ("process here", "processes here, which share the work") if self.engine == "local" else ("job of Slurm", "jobs of Slurm in one array")
        limit = f"{self.minutes} minutes, " if self.minutes else ""
        share = f"up to {most} networks, " if self.engine == "slurm" and most > 1 else ""
        gpus = f" and {self.gpus} GPU{'s' * (self.gpus > 1)}" if self.gpus else ""
        return f"{count} {many if count > 1 else one}; {'each has' if count > 1 else 'it has'} {share}{limit}{self.cpus} CPU{'s' * (self.cpus > 1)}{gpus}"

    def submit(self, plan: Plan, folder: Path) -> list[Job]:
        """Submit all; raises InputError where the engine refuses, and leaves nothing behind."""
        import submitit

        environment = {"RUNS_DIR": paths.runs(), "LIB_CACHE": paths.cache(), "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or self.cpus}
        environment |= {"DATA_DIR": paths.data()} if os.environ.get("DATA_DIR") else {}
        environment |= {"PYTHONPATH": os.pathsep.join(filter(None, [str(paths.ROOT), os.environ.get("PYTHONPATH")]))}
        environment = {name: str(value) for name, value in environment.items()}  # said outright: a site may choose not to hand on what is set here
        devices, parts = _gpus() or [""], [_part(plan, share) for share in self.shares]
        told = min(SIGNAL_SECONDS, 30 * (self.minutes or SIGNAL_SECONDS))
        try:
            folder.mkdir(parents=True)
            if self.engine == "local":
                executor = submitit.LocalExecutor(folder, max_num_timeout=TIMEOUTS)
                executor.update_parameters(timeout_min=self.minutes or 366 * 24 * 60, signal_delay_s=told)
                with _apart(environment):
                    handles = executor.submit_array([Work(part, devices[i % len(devices)]) for i, part in enumerate(parts)])
                _children.extend(handles)
                atexit.register(_children.clear)  # later, Python has taken apart what the handles need to be deleted
            else:
                executor = submitit.SlurmExecutor(folder, max_num_timeout=TIMEOUTS)
                executor.update_parameters(job_name=folder.name, time=self.minutes, cpus_per_task=self.cpus, signal_delay_s=told)
                setup = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
                executor.update_parameters(setup=setup, srun_args=["--export=ALL"])  # where sbatch hands nothing on, srun would not either
                if self.gpus:
                    executor.update_parameters(gpus_per_node=self.gpus)
                handles = executor.submit_array([Work(part) for part in parts])
        except (OSError, RuntimeError) as error:  # submitit's own are RuntimeErrors
            shutil.rmtree(folder, ignore_errors=True)
            lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            raise InputError(f"{self.engine} did not take the jobs: {lines[-1]}") from error
        jobs = [Job(self.engine, handle.job_id, folder, frozenset(t.name for t in share)) for handle, share in zip(handles, self.shares, strict=True)]
        facts = {"engine": self.engine, "measurements": plan.sweep.measurements, "jobs": {job.id: sorted(job.networks) for job in jobs}}
        store.write_atomically(folder / NOTE, json.dumps(facts, indent=1).encode())
        return jobs


def share_out(plan: Plan, wanted: list[Training], engine: str, jobs: int | None, minutes: int | None, cpus: int | None, gpus: int | None) -> Array:
    """Which networks each job gets, and what it asks for: as in `cluster.run`, or by default."""
    if engine == "local":
        devices = len(_gpus())
        count = min(jobs or devices or _cores(), len(wanted))
        # everybody may make everything: the claims of the sweep share it out, and what one leaves undone another takes
        return Array(engine, [wanted] * count, minutes, cpus or max(1, _cores() // count), min(1, devices))
    count = min(jobs or len(wanted), len(wanted), _array_limit())
    shares = [wanted[i::count] for i in range(count)]
    expected = max(sum(plan.whole.get(t, 0.0) for t in share) for share in shares)
    minutes = minutes or max(LEAST_MINUTES, math.ceil(TIMES * expected / 60))
    return Array(engine, shares, minutes, cpus or 2, int(torch.cuda.is_available()) if gpus is None else gpus)


def under_way(plan: Plan, wanted: list[Training], engine: str) -> list[Job]:
    """Jobs of earlier calls that wait or work, and make and measure some of what is wanted."""
    states, names, found = states_of(engine), {training.name for training in wanted}, []
    for file in sorted(home().glob(f"*/{NOTE}")) if states else []:
        with suppress(ValueError, KeyError, OSError):  # removed meanwhile, or by another version
            facts = json.loads(file.read_bytes())
            if facts["engine"] == engine and set(plan.sweep.measurements) <= set(facts["measurements"]):
                jobs = [Job(engine, one, file.parent, frozenset(networks)) for one, networks in facts["jobs"].items()]
                found += [job for job in jobs if job.networks & names and job.alive(states)]
    return found
