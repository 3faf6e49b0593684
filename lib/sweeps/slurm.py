"""A sweep through Slurm: one job array, each of whose jobs makes one part of the networks that are missing.

There is no queue here and no state: an array is found again by its name, and what it has made lies in the
store, which all nodes must see. What a job asks for stands in its script as a default, so Slurm's own
variables go before it: SBATCH_TIMELIMIT, SBATCH_GPUS, SBATCH_PARTITION, SBATCH_ACCOUNT, SBATCH_MEM_PER_CPU
and so on.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable

from lib import runs
from lib.base import interrupt, paths
from lib.base.errors import InputError
from lib.sweeps import processes
from lib.sweeps.planning import Outcome, Plan
from lib.sweeps.report import closing, opening
from lib.sweeps.work import run as work_run

POLL_SECONDS = 10.0  # between two looks at the queue and the store
GRACE_SECONDS = 15.0  # on a network file system, what a job wrote may become visible that much later
# time limit of a job as a multiple of what is expected here, since its node may be slower
TIMES, LEAST_MINUTES = 4, 60
ARRAY = 1001  # jobs in an array, where Slurm does not say its limit: the default

# A job that runs out of time, or is about to be preempted, is told so two minutes before, as compiled code
# hears of it only after a step. It then keeps its checkpoint and is queued again, at most as often as a
# sweep that is much slower than expected may need.
SCRIPT = """#!/bin/bash
#SBATCH --time={minutes} --nodes=1 --cpus-per-task=2
#SBATCH --requeue --open-mode=append --signal=B:USR1@120
export {environment}
export OMP_NUM_THREADS="${{OMP_NUM_THREADS:-$SLURM_CPUS_PER_TASK}}"
again() {{
    kill -TERM "$job"
    wait "$job"
    if [ "${{SLURM_RESTART_COUNT:-0}}" -lt 20 ]; then
        scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
    fi
    exit 143
}}
trap again USR1
cd {root} || exit
{command} --shard "$(({i} + {n} * SLURM_ARRAY_TASK_ID))/{whole}" &
job=$!
wait "$job"
"""


def run(plan: Plan, *, say: Callable[[str], None] = processes.told) -> Outcome:
    """Have Slurm train and measure what a plan lacks, and wait for it.

    Jobs of an earlier call that still go on are waited for, not doubled.

    Args:
        plan: What is missing.
        say: Is told what will happen, each finished network, and each failed job with its log.

    Returns:
        What became of the plan. What is left goes on in the jobs if this process was interrupted, and has
        failed otherwise.

    Raises:
        InputError: There is no Slurm, or it does not take the jobs, or RUNS_FROZEN=1 is set.
    """
    if runs.frozen() or not plan.wanted:
        # makes nothing: reports that everything is there, or raises
        return work_run(plan, say=say, live=False)
    if absent := [name for name in ("sbatch", "squeue", "scontrol") if not shutil.which(name)]:
        raise InputError(
            f"engine slurm needs {', '.join(absent)} on the PATH; "
            "call it where Slurm takes jobs, or choose engine local"
        )
    parts, wanted = min(len(plan.trainings), _array_limit()), set(plan.wanted)
    shares = [[one for one in plan.trainings[task::parts] if one in wanted] for task in range(parts)]
    name = processes.name(plan, parts)
    jobs = {task: array for task, array in (_queue(name) or {}).items() if shares[task]}
    for line in opening(plan, None):
        say(line)
    if jobs:
        say(f"{len(jobs)} jobs of an earlier call are at work on it")
    if fresh := [task for task, share in enumerate(shares) if share and task not in jobs]:
        jobs |= dict.fromkeys(fresh, _submit(plan, name, fresh, parts))
        most = max(len(shares[task]) for task in fresh)
        say(f"{len(fresh)} jobs in one array, each with at most {most} networks")
        say(f"logs lie in {processes.place(name)}")
    say(f"look at them with: squeue --name={name}; cancel them with: scancel --name={name}")
    ended: float | None = None  # when no job was in the queue any more

    def working() -> bool:
        nonlocal ended
        queue, now = _queue(name), time.monotonic()
        # where Slurm does not answer, the jobs are taken to go on
        if queue is None or any(task in queue for task in jobs):
            ended = None
            return True
        ended = ended or now
        return now - ended < GRACE_SECONDS

    why = ""
    try:
        with interrupt.heard() as check:
            processes.follow(plan, working, say=say, check=check, seconds=POLL_SECONDS)
    except KeyboardInterrupt:
        why = f"{interrupt.reason()}: the jobs go on, and the same command waits for them again"
    for task in [] if why else jobs:
        if any(not processes.complete(plan, training) for training in shares[task]):
            log = processes.place(name) / f"{jobs[task]}_{task}.log"
            say(f"job {jobs[task]}_{task} failed: {processes.failure(log)}")
    outcome = processes.outcome(plan, interrupted=bool(why))
    for line in closing(plan, outcome, why, None, engine="slurm"):
        say(line)
    return outcome


def outside() -> dict[str, str]:
    """This process's environment as it would be outside of any job.

    Within one, Slurm's variables are about that job. They would be handed on to the new ones, where its
    memory contradicts theirs ("mutually exclusive") and its binding to cores and memory means another node.
    """
    # how to reach Slurm and what it prints, which is not about a job
    kept = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT", "SLURM_TIME_FORMAT")
    binding = ("SBATCH_MEM_BIND", "SBATCH_CPU_BIND") if "SLURM_JOB_ID" in os.environ else ()
    dropped = ("SLURM_", "SBATCH_WAIT", *binding)  # SBATCH_WAIT would have sbatch itself wait
    return {name: value for name, value in os.environ.items() if name in kept or not name.startswith(dropped)}


def _asked(*command: str, script: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=script,
        env=outside(),
        check=False,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )


def _array_limit() -> int:
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _asked("scontrol", "show", "config").stdout, re.MULTILINE)
    return max(1, int(found[1])) if found else ARRAY


def _queue(name: str) -> dict[int, str] | None:
    """This user's jobs of that name that wait or work: {number in the array: id of the array}.

    None when Slurm does not answer.
    """
    answer = _asked(
        "squeue", "--noheader", "--array", f"--user={os.getuid()}", f"--name={name}", "--format=%K %F"
    )
    pairs = [line.split() for line in answer.stdout.splitlines()]
    return None if answer.returncode else {int(task): array for task, array in pairs if task.isdigit()}


def _submit(plan: Plan, name: str, tasks: list[int], parts: int) -> str:
    """The id of a new array.

    Raises:
        InputError: And leaves nothing behind, where Slurm refuses it.
    """
    tables = sum(plan.table_seconds(*one) for one in plan.to_measure) / len(plan.wanted)
    expected = max(plan.whole.values(), default=0.0) + tables
    earlier, (i, n) = processes.place(name).exists(), plan.shard
    folder = processes.folder(plan, name)
    script = SCRIPT.format(
        minutes=max(LEAST_MINUTES, math.ceil(TIMES * expected * math.ceil(len(plan.trainings) / parts) / 60)),
        environment=" ".join(f"{key}={shlex.quote(value)}" for key, value in processes.environment().items()),
        root=shlex.quote(str(paths.ROOT)),
        command=shlex.join(processes.command(folder / plan.sweep.file.name)),
        # of the whole sweep's networks this part has the i-th and every n-th after it, and of those each
        # job has every `parts`-th
        i=i, n=n, whole=n * parts,
    )  # fmt: skip
    log = str(folder).replace("%", "%%") + "/%A_%a.log"
    array = ",".join(map(str, tasks))
    told = [f"--job-name={name}", f"--array={array}", f"--output={log}", f"--error={log}"]
    done = _asked("sbatch", "--parsable", *told, script=script)
    if done.returncode:
        if not earlier:
            shutil.rmtree(folder, ignore_errors=True)
        reason = (done.stderr.strip().splitlines() or [f"sbatch ended with {done.returncode}"])[-1]
        raise InputError(
            f"slurm did not take the jobs: {reason}; hand in a part with --shard 1/2, "
            "or ask for something else with SBATCH_PARTITION and the like"
        )
    return done.stdout.strip().split(";")[0]
