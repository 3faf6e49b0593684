"""Make the missing networks of a sweep in this process."""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress

from rich.console import Group
from rich.live import Live

from lib import runs
from lib.base import interrupt, paths
from lib.base.errors import InputError
from lib.base.locks import Timeout, lock
from lib.base.text import duration
from lib.measurements import Asked
from lib.runs import store
from lib.sweeps.planning import Outcome, Plan, check_budget, kind
from lib.sweeps.report import closing, label, opening, picture
from lib.training.loop import OutOfTime
from lib.training.training import Training

POLL_SECONDS = 0.5  # seconds between two looks at the networks that other processes are making


def _say(line: str) -> None:
    print(line, flush=True)  # a log is read while the sweep goes on


def run(
    plan: Plan,
    *,
    budget_minutes: float | None = None,
    say: Callable[[str], None] = _say,
    live: bool | None = None,
) -> Outcome:
    """Train and measure what is missing of a plan, one network at a time.

    Processes that run the same sweep share the work.

    Args:
        budget_minutes: Time after which no epoch and no table may end, as far as it is known how long they
            take; the current network then keeps a checkpoint.
        say: Function that is called with what will happen and what happened; without a live table also with
            each finished network.
        live: Whether to show a table that follows the work; None shows it on a terminal only.

    Raises:
        InputError: For what is missing under RUNS_FROZEN=1, damaged, or cannot be written; what is finished
            is kept.
    """
    check_budget(budget_minutes)
    if runs.frozen():  # each of these raises InputError
        for training in plan.missing:
            runs.make(training)
        for training, table in plan.tables:
            runs.table(table.name, [training], **dict(table.settings))
    deadline = None if budget_minutes is None else time.monotonic() + 60 * budget_minutes
    work = _Work(plan, say, sys.stdout.isatty() if live is None else live, deadline)
    for line in opening(plan, budget_minutes):
        say(line)
    interrupted = out_of_time = False
    trouble: InputError | None = None
    try:
        with interrupt.heard() as work.check, work.shown():
            out_of_time = not work.do()
    except KeyboardInterrupt:
        interrupted = True
    except OutOfTime:
        out_of_time = True
    except InputError as error:
        trouble = error
    _clear(plan.trainings)
    ours = {*work.made, *work.queue}
    there = tuple(training for training in plan.trainings if training not in ours)
    outcome = Outcome(
        tuple(work.made),
        there,
        tuple(sorted(work.queue, key=plan.trainings.index)),
        tuple(work.diverged),
        interrupted,
        out_of_time,
    )
    why = "stopped" if trouble else ""
    if interrupted:
        why = interrupt.reason()
    elif out_of_time:
        why = f"the budget of {budget_minutes:g} minutes is used up"
    for line in closing(plan, outcome, why, budget_minutes):
        say(line)
    if trouble:
        raise trouble
    return outcome


@contextmanager
def _claim(training: Training) -> Iterator[bool]:
    """Context manager: True while this process is the only sweep that works on a network; False, without
    waiting, if another process is making it.

    A lock of the sweeps' own is kept throughout. If only the run's lock were looked at, two sweeps would see
    it free and one would wait for the other.
    """
    root = paths.runs()
    with ExitStack() as held:
        try:
            held.enter_context(lock(root, f"{training.key}-sweep", wait=False))
            with lock(root, training.key, wait=False):
                pass
        except Timeout:
            yield False
            return
        yield True


def _clear(trainings: tuple[Training, ...]) -> None:
    """Remove what a killed process has left of cached runs: drafts, and the checkpoint of a finished run."""
    root = paths.runs()
    if runs.frozen():
        return
    for training in trainings:
        folder, partial = root / training.name, root / ".partial" / training.key
        litter = [*folder.parent.glob(f".{folder.name}.*.tmp"), *folder.glob(".*.tmp")] + (
            [partial] if partial.exists() else []
        )
        if litter and folder.exists():
            with suppress(Timeout, InputError), ExitStack() as held:
                for part in ("", "-manifest"):  # no other process writes a file of the run now
                    held.enter_context(lock(root, training.key + part, wait=False))
                for path in litter:
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


class _Work:
    """State of a sweep: the networks that are left, what became of the others, and how both are shown."""

    def __init__(self, plan: Plan, say: Callable[[str], None], live: bool, deadline: float | None) -> None:
        self.plan, self.say, self.live, self.deadline = plan, say, live, deadline
        self.queue = list(plan.wanted)
        self.lacking = frozenset(plan.to_measure)
        self.begun = dict(plan.begun)
        self.made: list[Training] = []
        self.diverged: list[Training] = []
        self.took: dict[str, list[float]] = {}  # kind of training: seconds per epoch of those made here
        # raises KeyboardInterrupt where an earlier one was lost
        self.check: Callable[[], None] = lambda: None
        self.cells = {
            t: ("waiting", "") if t in self.queue else ("cached", _accuracy(t)) for t in plan.trainings
        }

    def do(self) -> bool:
        """Make all that is left.

        Returns:
            False if there is no time for the next network.
        """
        told = False
        while self.queue:
            for training in self.queue:
                if self.deadline and time.monotonic() + self.epoch_seconds(training) > self.deadline:
                    return False
                with _claim(training) as free:
                    if free:
                        self.make(training)
                        self.queue.remove(training)
                        self.check()
                        break
                self.cells[training] = ("elsewhere", "")
            else:
                if not (told or self.live):
                    self.say(f"another process is making the last {len(self.queue)}: waiting for it")
                told = True
                time.sleep(POLL_SECONDS)
                self.check()
        return True

    def make(self, training: Training) -> None:
        missing, times = bool(runs.missing([training])), [time.monotonic()]

        def on_epoch(row: dict[str, float]) -> None:
            times.append(time.monotonic())
            self.begun[training] = int(row["epoch"])
            self.took.setdefault(kind(training), []).append(times[-1] - times[-2])
            self.cells[training] = (
                "epoch",
                f"{row['epoch']}/{training.settings.epochs} {row['validation_accuracy']:.1%}",
            )
            self.check()

        self.cells[training] = ("epoch", f"{self.begun.get(training, 0)}/{training.settings.epochs}")
        again = training in self.plan.again
        made = runs.make(training, weights=again, on_epoch=on_epoch, deadline=self.deadline, progress=False)
        for table in self.plan.sweep.measurements:
            self.measure(training, table)
        diverged = runs.config(made)["result"]["status"] == "diverged"
        trained = missing or again
        if trained:
            self.made.append(training)
            self.diverged += [training] if diverged else []
        cell, what = ("done", "trained") if trained else ("cached", "measured")
        if diverged:
            cell = what = "diverged"
        self.cells[training] = (cell, _accuracy(training))
        if not self.live:
            count, took = (
                len(self.plan.trainings) - len(self.queue) + 1,
                duration(time.monotonic() - times[0]),
            )
            self.say(
                f"{count} of {len(self.plan.trainings)}: {what} {label(training)}, accuracy "
                f"{_accuracy(training)}, {took}"
            )

    def measure(self, training: Training, table: Asked) -> None:
        late = (
            self.deadline is not None
            and time.monotonic() + self.plan.table_seconds(training, table) > self.deadline
        )
        if late and (training, table) in self.lacking:
            raise OutOfTime
        runs.table(table.name, [training], progress=False, **dict(table.settings))

    def epoch_seconds(self, training: Training) -> float:
        """Expected time of one epoch: as measured here, or as the plan says; 0 for what needs no training."""
        if training not in self.plan.whole:
            return 0.0
        took = self.took.get(kind(training))
        return statistics.median(took) if took else self.plan.whole[training] / training.settings.epochs

    @contextmanager
    def shown(self) -> Iterator[None]:
        with (
            Live(get_renderable=self.picture, refresh_per_second=2)
            if self.live and self.queue
            else nullcontext()
        ):
            yield

    def picture(self) -> Group:
        """Table of all networks, and a line on time."""
        queue = list(self.queue)
        ours = [training for training in queue if self.cells[training][0] != "elsewhere"]
        seconds = sum(
            self.epoch_seconds(training) * (training.settings.epochs - self.begun.get(training, 0))
            for training in ours
        )
        below = f"{len(self.cells) - len(queue)} of {len(self.cells)} done, about {duration(seconds)} left"
        if self.deadline:
            below += f", {duration(max(0.0, self.deadline - time.monotonic()))} of the budget"
        return picture(self.plan.sweep.name, self.cells, below + "; Ctrl-C is safe")


def _accuracy(training: Training) -> str:
    return f"{runs.config(store.Folder(paths.runs() / training.name))['result']['clean_accuracy']:.1%}"
