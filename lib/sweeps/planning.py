"""Plan of a sweep: what is cached and what is not, how long the rest takes here, and what became of it."""

from __future__ import annotations

import math
import re
import statistics
from contextlib import suppress
from dataclasses import dataclass, field, replace

from lib import runs
from lib.base import paths
from lib.base.errors import InputError
from lib.measurements import Asked
from lib.runs import durations, provenance, store, threads
from lib.runs.durations import kind
from lib.runs.run import checkpoint_name
from lib.sweeps.file import Sweep
from lib.training.checkpoint import read_checkpoint
from lib.training.engine import best_engine
from lib.training.loop import estimate_seconds
from lib.training.training import Training


@dataclass(frozen=True)
class Plan:
    """What is cached and what is missing of a sweep, or of one shard of it."""

    sweep: Sweep
    shard: tuple[int, int]
    trainings: tuple[Training, ...]  # the shard's own
    missing: tuple[Training, ...]  # trainings that are not cached
    # cached trainings to run again, because a table is missing and the weights are not kept here
    again: tuple[Training, ...] = ()
    tables: tuple[tuple[Training, Asked], ...] = ()  # missing measurements of cached networks
    begun: dict[Training, int] = field(default_factory=dict)  # epochs done, of those that were interrupted
    # expected seconds of each training, from its first epoch
    whole: dict[Training, float] = field(default_factory=dict)
    # expected seconds of a table: (dataset, model, measurement); as far as known
    each: dict[tuple[str, str, str], float] = field(default_factory=dict)
    source: str = ""  # source of the expectation
    where: str = ""  # device and engine

    @property
    def training(self) -> tuple[Training, ...]:
        """All trainings that must be run."""
        return self.missing + self.again

    @property
    def seconds(self) -> float:
        """Expected time for the training that is left, on this machine."""
        return sum(
            self.whole.get(t, 0.0) * (1 - self.begun.get(t, 0) / t.settings.epochs) for t in self.training
        )

    @property
    def wanted(self) -> tuple[Training, ...]:
        """All networks that must be trained or measured: first those that were begun, then seed by seed, so
        that an unfinished sweep has whole curves over alpha.
        """
        lacking = {*self.training, *(training for training, _ in self.tables)}
        return tuple(
            sorted(
                (one for one in self.trainings if one in lacking),
                key=lambda one: (one not in self.begun, one.seed),
            )
        )

    def table_seconds(self, training: Training, table: Asked) -> float:
        """Expected time of one table in seconds, whatever its settings; 0 if no cached table tells."""
        return self.each.get((training.dataset, training.model, table.name), 0.0)

    @property
    def to_measure(self) -> tuple[tuple[Training, Asked], ...]:
        """All tables that are missing, those of networks that are not trained yet included."""
        return self.tables + tuple(
            (training, table) for training in self.missing for table in self.sweep.measurements
        )

    @property
    def measuring_seconds(self) -> float:
        """Expected time for the tables, as far as it is known."""
        return sum(self.table_seconds(*one) for one in self.to_measure)

    @property
    def command(self) -> str:
        """Command line of this part of the sweep."""
        return f"python -m lib sweep {self.sweep.file}" + (
            "" if self.shard == (1, 1) else f" --shard {self.shard[0]}/{self.shard[1]}"
        )


@dataclass(frozen=True)
class Outcome:
    """What became of a plan."""

    made: tuple[Training, ...]  # trained by this process
    there: tuple[Training, ...]  # cached before, or made by another process meanwhile
    left: tuple[Training, ...]  # not trained, or not measured
    diverged: tuple[Training, ...] = ()  # those of `made` that diverged
    interrupted: bool = False  # whether Ctrl-C has ended it, SIGTERM or SIGHUP
    out_of_time: bool = False  # the budget was used up
    failed: bool = False  # what is left was to be made, and jobs have failed


def parse_shard(text: str) -> tuple[int, int]:
    """Read a shard: "2/3", the second of three parts, is (2, 3).

    Raises:
        InputError: For anything else.
    """
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
    shard = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= shard[0] <= shard[1]:
        raise InputError(
            f"shard must be i/n with i from 1 to n, such as 2/3 for the second of three parts, got {text!r}"
        )
    return shard


def check_budget(minutes: float | None) -> None:
    """Check a budget; None means no limit.

    Raises:
        InputError: For what is not a time.
    """
    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"budget must be minutes above 0, got {minutes:g}; leave it out for no limit")


def plan(sweep: Sweep, *, shard: tuple[int, int] = (1, 1)) -> Plan:
    """Compare a sweep with the store. Every file of cached runs is verified, nothing is made.

    Args:
        shard: (i, n) for every n-th network of the whole sorted grid from the i-th on, whatever is cached.

    Raises:
        InputError: For a damaged run or checkpoint, for data that are needed and missing, and where what is
            cached is not about the images that the rest would be made of.
    """
    i, n = parse_shard("/".join(map(str, shard)))
    part = sweep.trainings[i - 1 :: n]
    missing = tuple(runs.missing(part))
    tables, again, absent = [], [], set(missing)
    for training in (one for one in part if one not in absent):
        run = store.Folder(paths.runs() / training.name)
        lacking = [table for table in sweep.measurements if table.file not in run]
        tables += [(training, table) for table in lacking]
        if lacking and runs.WEIGHTS not in run:
            again.append(training)
    begun = {training: done for training in (*missing, *again) if (done := _epochs_begun(training))}
    found = Plan(sweep, (i, n), part, missing, tuple(again), tuple(tables), begun)
    if found.wanted and not runs.frozen():
        runs.check_images(part, to_make=True)
    if found.to_measure and not runs.frozen():
        found = replace(found, each=durations.expected())
    return found if runs.frozen() or not found.training else _with_durations(found)


def _with_durations(plan: Plan) -> Plan:
    """Add the expected time of each training to a plan: the median of cached ones that differ in alpha and
    seed alone, else from a few timed steps.
    """
    examples = {kind(training): training for training in plan.training}
    engines = {kind: best_engine(training) for kind, training in examples.items()}
    known = {kind: durations.alike(training, engines[kind]) for kind, training in examples.items()}
    seconds: dict[str, float] = {}
    devices = []
    for of, training in examples.items():
        with threads.for_training(training):
            devices.append(provenance.device(engines[of].device))
            took = known[of]
            seconds[of] = statistics.median(took) if took else estimate_seconds(training, engines[of])
    source = (
        f"the time that {sum(map(len, known.values()))} cached networks took"
        if all(known.values())
        else "a few timed steps, so roughly"
    )
    where = ", ".join(dict.fromkeys([*devices, *map(str, engines.values())]))
    return replace(
        plan,
        whole={training: seconds[kind(training)] for training in plan.training},
        source=source,
        where=where,
    )


def _epochs_begun(training: Training) -> int:
    """Epochs in the checkpoint of an interrupted training that today's code would go on from.

    Raises:
        InputError: If it is damaged.
    """
    with suppress(FileNotFoundError):  # none, or finished by another process since
        file = (
            paths.runs() / ".partial" / training.key / checkpoint_name(provenance.training_digest(training))
        )
        return int(read_checkpoint(file)[1]["epoch"])
    return 0
