"""What a server imports once that forks a process for every sweep of tests/test_sweep_killed.py: start-up,
which writes nothing, would cost each of them far more than its networks do.
"""

import os
import shutil
import signal
from pathlib import Path

import torch._dynamo  # noqa: F401  # which the first optimiser of a process imports

from lib import data, sweeps
from lib.base import interrupt
from lib.training import loop

for _split in data.SPLITS:
    data.load("digits", _split)


def child(file: Path, root: Path, log: Path, kill_at: int = 0) -> None:
    """A process that runs a sweep; exit code 130 or 143 when interrupted.

    With kill_at it ends as by kill -9 before its n-th step on files.
    """
    os.environ |= {"RUNS_DIR": str(root), "LIB_CACHE": str(root.parent / "cache")}
    os.environ.pop("RUNS_FROZEN", None)
    loop.CHECKPOINT_SECONDS = 0
    steps = []

    def deadly(real):
        def step(*args, **kwargs):
            steps.append(real.__name__)
            if len(steps) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return step

    if kill_at:
        os.replace, os.rename, shutil.rmtree = deadly(os.replace), deadly(os.rename), deadly(shutil.rmtree)
    with log.open("a", encoding="utf-8", buffering=1) as out:
        outcome = sweeps.run(
            sweeps.plan(sweeps.read(file)), say=lambda line: print(line, file=out), live=False
        )
    os._exit(interrupt.exit_code() if outcome.interrupted else 0)
