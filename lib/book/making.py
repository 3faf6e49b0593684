"""Make the networks of a rerun: small ones as many at once as there are cores, since one thread each is the
fastest for them.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from functools import partial
from multiprocessing.queues import Queue
from queue import Empty

import torch

from lib import data, runs
from lib.base import interrupt, malloc, paths, progress
from lib.book import kernels
from lib.runs import store, threads
from lib.training.training import Training

_queue: Queue | None = None  # in a process that trains: where it says how far it is


def at_once(trainings: Sequence[Training]) -> int:
    """How many of these networks are trained at once."""
    small = all(threads.small(one.model, data.DATASETS[one.dataset][1]) for one in trainings)
    if len(trainings) < 2 or not small or torch.cuda.is_available():
        return 1
    return min(len(trainings), kernels.most())


def make(
    trainings: Sequence[Training],
    expected: Mapping[Training, float],
    each: Callable[[Training, store.Folder], None],
) -> None:
    """Train networks, with their weights; a terminal shows how far they are from their first second on.

    Args:
        trainings: What is trained; one that is cached and has its weights is left as it is.
        expected: Seconds that each may take.
        each: Called with each that is finished, and its run.

    Raises:
        InputError: One cannot be trained or kept; those finished are kept.
    """
    workers = at_once(trainings)
    if workers > 1:
        _side_by_side(trainings, workers, sum(expected.get(one, 0.0) for one in trainings) / workers, each)
        return
    for place, training in enumerate(trainings, 1):
        what, epochs = f"training {place} of {len(trainings)}: {training.name}", training.settings.epochs
        with progress.working(what, expected.get(training, 0.0)) as tell:
            run = runs.make(
                training,
                weights=True,
                progress=False,
                on_epoch=partial(_tell, tell, epochs),
            )
        each(training, run)


def _tell(tell: Callable[[str], None], epochs: int, row: Mapping[str, float]) -> None:
    tell(f"epoch {row['epoch']:.0f} of {epochs}")


def _side_by_side(
    trainings: Sequence[Training],
    workers: int,
    seconds: float,
    each: Callable[[Training, store.Folder], None],
) -> None:
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    far = dict.fromkeys((training.name for training in trainings), 0)
    total = sum(training.settings.epochs for training in trainings)
    what = f"training {len(trainings)} networks, {workers} at once"
    with (
        progress.working(what, seconds) as tell,
        ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(told,)) as pool,
        interrupt.children_end(),  # before the pool waits for them
    ):
        left = {pool.submit(_made, training): training for training in trainings}
        try:
            while left:
                done, _ = wait(left, timeout=progress.EVERY_SECONDS, return_when=FIRST_COMPLETED)
                try:
                    while True:
                        name, epoch = told.get_nowait()
                        far[name] = epoch
                except Empty:
                    pass
                tell(f"epoch {sum(far.values())} of {total}")
                for future in done:
                    future.result()
                    training = left.pop(future)
                    each(training, store.Folder(paths.runs() / training.name))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin(told: Queue) -> None:
    """Set up a process that trains: who started it hears Ctrl-C for it, and ends it."""
    global _queue
    _queue = told
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    malloc.keep_memory()


def _made(training: Training) -> None:
    def tell(row: Mapping[str, float]) -> None:
        if _queue:
            _queue.put((training.name, int(row["epoch"])))

    runs.make(training, weights=True, progress=False, on_epoch=tell)


def seconds(trainings: Sequence[Training], expected: Mapping[Training, float]) -> float:
    """How long making them takes.

    Args:
        expected: Seconds of each.
    """
    return sum(expected[one] for one in trainings) / at_once(trainings)
