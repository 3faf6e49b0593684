"""Repeat results of old code with today's code: if every bit is the same, the cached runs count as current
again.

The evidence is written to a file.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch

from lib import data
from lib.base import paths
from lib.base.errors import InputError
from lib.measurements.registry import EPOCH
from lib.models.precision import exact
from lib.runs import catalogue, equivalence, images, provenance, store, validity
from lib.runs.run import _network, _parquet, as_files, frozen, parent_weights
from lib.runs.run import config as run_config
from lib.runs.tables import measure
from lib.training.engine import best_engine, threads_of
from lib.training.loop import accuracy, train
from lib.training.recipe import Training

WHOLE_SECONDS = 60.0  # a training that took fewer seconds is repeated to its end


@dataclass(frozen=True)
class Group:
    """Results that share one piece of evidence: made by the same code for the same kind of network, in the
    same way, on the same device.
    """

    kind: str  # "training" or "table"
    old: str  # digest of the code that made them
    new: str  # digest of today's code
    # a record's own: model, and variant, recipe and engine or measurement, device, torch
    facts: tuple[tuple[str, str], ...]

    def __getitem__(self, fact: str) -> str:
        return dict(self.facts)[fact]

    def __str__(self) -> str:
        of = (
            f"table {self['measurement']}"
            if self.kind == "table"
            else f"{self['variant']} training ({self['recipe']})"
        )
        return f"{of} of {self['model']} by code {self.old}"

    def recorded(self) -> bool:
        return equivalence.same(self.kind, self.old, self.new, **dict(self.facts))


@dataclass(frozen=True)
class _Member:
    """A run of a group."""

    training: Training
    run: store.Folder
    file: str  # the result in question: history, or a table

    @property
    def config(self) -> dict[str, dict]:
        return run_config(self.run)

    @property
    def basis(self) -> images.Basis:
        """The images that the result is about."""
        if self.file == validity.HISTORY:
            return images.of_run(self.training.name, self.config)[0]
        return images.of_table(self.training.name, self.config, self.file, self.run.files[self.file])

    def epochs(self, wanted: int) -> int:
        """Number of epochs to repeat."""
        result = self.config["result"]
        return (
            result["epochs_run"] if result["seconds"] < WHOLE_SECONDS else min(wanted, result["epochs_run"])
        )


class _Enough(Exception):
    """Raised to end a training that has been repeated far enough."""


def recheck(*, say: Callable[[str], None] = print, epochs: int = 1) -> bool:
    """Repeat two trainings and one table of each group of stale ones, as far as they can be compared on this
    machine.

    Args:
        say: Function that is called with each line of the report.
        epochs: Number of epochs to repeat of each training; one that took less than a minute is repeated
            whole. In a part of a training, the rounding of the weights is not repeated, accuracy on the test
            set is measured on the stored weights, if any, and a change in later epochs alone goes unnoticed;
            so a part counts only if no training that was repeated whole differs. On a GPU, whose sums have no
            fixed order, a training may differ from itself, and then its group stays stale.

    Returns:
        Whether nothing is stale any more.

    Raises:
        InputError: For a damaged run or a damaged file of records, and under RUNS_FROZEN=1.
    """
    if frozen():
        raise InputError("RUNS_FROZEN=1 and recheck trains; unset it for this command")
    commit = provenance.commit()
    groups, lost = found_groups()
    equivalence.keep({(group.kind, group.old, group.new) for group in groups})
    open_groups = {group: members for group, members in groups.items() if not group.recorded()}
    plan: dict[Group, list[_Member]] = {}
    for group, members in open_groups.items():
        chosen = _chosen(group, members)
        if reason := _hindrance(group, chosen):
            say(f"not here: {group}: {reason}; {_count(members)} stale")
        else:
            plan[group] = chosen
    _announce(plan, epochs, say)
    settled, doubt = 0, False
    for group, chosen in sorted(plan.items(), key=lambda item: not _whole(item[0], item[1], epochs)):
        if group.recorded():  # by way of one that was settled before it
            say(f"the same: {group} and by today's, as those of {group.new} that were repeated show")
            settled += 1
            continue
        if doubt and not _whole(group, chosen, epochs):
            say(
                f"left open: {group}: one repeated whole differs, so a part proves nothing; "
                f"{_count(open_groups[group])} stale"
            )
            continue
        evidence, difference = _compare(group, chosen, epochs, say)
        if difference:
            doubt |= group.kind == "training" and _whole(group, chosen, epochs)
            say(f"differs: {group}: {difference}; {_count(open_groups[group])} stale")
            continue
        equivalence.settle(group.kind, group.old, group.new, dict(group.facts), evidence, commit)
        say(f"the same: {group} and by today's, {group.new}")
        settled += 1
    for line in lost:
        say(line)
    return settled == len(open_groups) and not lost


def _whole(group: Group, chosen: list[_Member], epochs: int) -> bool:
    """Whether all of a group's evidence is a repetition to the end."""
    return group.kind == "table" or all(
        member.epochs(epochs) == member.config["result"]["epochs_run"] for member in chosen
    )


def _count(members: list[_Member]) -> str:
    names = {member.training.name for member in members}
    return f"{len(names)} runs stay" if len(names) > 1 else f"{names.pop()} stays"


def found_groups() -> tuple[dict[Group, list[_Member]], list[str]]:
    """All results in the store that other code than today's has made, and lines about those that cannot be
    repeated.
    """
    found: dict[Group, list[_Member]] = {}
    trainings = catalogue.trainings()
    others = len(catalogue.folders()) - len(trainings)
    lost = [f"no longer described by the recipes: {others} runs; they stay stale"] if others else []
    for training in trainings:
        run = store.Folder(paths.runs() / training.name)
        for one in catalogue.results(run, training, training.model):
            if not one.new:
                lost.append(
                    f"the library has no measurement {one.name!r} any more: that table of "
                    f"{training.name} stays stale"
                )
            elif one.old != one.new:
                found.setdefault(Group(one.kind, one.old, one.new, tuple(one.about.items())), []).append(
                    _Member(training, run, one.file)
                )
    return found, lost


def _chosen(group: Group, members: list[_Member]) -> list[_Member]:
    """Choose what to repeat: the trainings nearest to alpha = 0 and farthest from it; one table whose weights
    are here, or none.
    """
    by_alpha = sorted(
        members, key=lambda member: (abs(member.training.alpha), member.training.alpha, -member.training.seed)
    )
    if group.kind == "table":
        # one made along a training needs the network of that epoch, which is not kept
        return [
            member
            for member in by_alpha
            if validity.WEIGHTS in member.run and EPOCH not in member.run.files[member.file]["settings"]
        ][-1:]
    # a diverged one shows few epochs
    sound = [member for member in by_alpha if member.config["result"]["status"] == "ok"] or by_alpha
    nearest = [member for member in sound if member.training.alpha == sound[0].training.alpha]
    return [nearest[-1], *([sound[-1]] if sound[-1].training.alpha != sound[0].training.alpha else [])]


# ---- where and how long ------------------------------------------------------------------------------------


def _hindrance(group: Group, chosen: list[_Member]) -> str:
    """Reason why results of today's code cannot be compared bit for bit with this group's on this machine; ""
    if they can.
    """
    with threads_of(group["device"]):
        here = provenance.device("cuda" if torch.cuda.is_available() else "cpu")
    if here != group["device"]:
        return f"made on {group['device']}, this is {here}"
    if torch.__version__ != group["torch"]:
        return f"made with torch {group['torch']}, this is {torch.__version__}"
    if not chosen:
        return "the weights are not kept here"
    try:
        for member in chosen:
            if (basis := member.basis).fingerprint not in ("", images.here(basis.part)):
                return f"made on other images than those here: {basis.what} on {basis.fingerprint}"
            if group.kind == "training" and (engine := str(best_engine(member.training))) != group["engine"]:
                return f"made with {group['engine']}, here it would be {engine}"
    except InputError as error:
        return str(error)
    return ""


def _announce(plan: dict[Group, list[_Member]], epochs: int, say: Callable[[str], None]) -> None:
    if not plan:
        say("nothing to repeat here")
        return
    trainings = [member for group, members in plan.items() if group.kind == "training" for member in members]
    tables = [member for group, members in plan.items() if group.kind == "table" for member in members]
    seconds = sum(member.run.files[member.file]["provenance"]["seconds"] for member in tables)
    for member in trainings:
        result = member.config["result"]
        seconds += result["seconds"] * member.epochs(epochs) / max(result["epochs_run"], 1)
    about = f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
    say(
        f"repeating {len(trainings)} trainings ({sum(member.epochs(epochs) for member in trainings)} "
        f"epochs) and {len(tables)} tables: about {about}"
    )


# ---- repeating and comparing -------------------------------------------------------------------------------


def _compare(
    group: Group, chosen: list[_Member], epochs: int, say: Callable[[str], None]
) -> tuple[list[dict[str, object]], str]:
    """Repeat the chosen results and compare them.

    Returns:
        What was found equal, and what differs first, of which one is empty.
    """
    evidence: list[dict[str, object]] = []
    with threads_of(group["device"]):
        for member in chosen:
            say(
                f"repeating {member.training.name}"
                + (f", table {group['measurement']}" if group.kind == "table" else "")
            )
            found, difference = (
                _measured(member, group["measurement"]) if group.kind == "table" else _trained(member, epochs)
            )
            if difference:
                return [], f"{member.training.name}: {difference}"
            evidence += [{"run": member.training.name} | one for one in found]
    return evidence, ""


def _trained(member: _Member, epochs: int) -> tuple[list[dict[str, object]], str]:
    """Compare a training with itself repeated: each epoch's numbers, and at its end the weights and the
    result.
    """
    training, result = member.training, member.config["result"]
    recorded, rows, wanted = _table(member.run.read(validity.HISTORY)), [], member.epochs(epochs)
    of, engine = result["epochs_run"], best_engine(training)

    def watch(row: dict[str, float]) -> None:
        rows.append(row)
        if len(rows) == wanted < of:
            raise _Enough

    try:
        trained = train(training, engine, parent=parent_weights(training), on_epoch=watch, progress=False)
    except _Enough:
        trained = None
    found = [{"what": "history", "epochs": len(rows), "of": of}]
    if difference := _difference(
        recorded if trained else recorded.head(wanted), _table(_parquet(pd.DataFrame(rows)))
    ):
        return [], f"its history, {difference}"
    if trained:
        weights = as_files(trained, training, "", "")[validity.WEIGHTS]
        if hashlib.sha256(weights).hexdigest() != member.run.files[validity.WEIGHTS]["sha256"]:
            return [], "its weights"
        facts = [json.dumps({**one, "seconds": 0}, sort_keys=True) for one in (result, trained.result)]
        if facts[0] != facts[1]:
            return [], f"its result, {facts[0]} recorded, {facts[1]} today"
        return [*found, *({"what": what, "epochs": of, "of": of} for what in ("weights", "result"))], ""
    if validity.WEIGHTS in member.run:
        with exact(fastest=engine.captured):  # as in `train`
            test = data.load(training.dataset, "test").without(training.without)
            clean = accuracy(_network(training, member.run).to(engine.device), test)
        if clean != result["clean_accuracy"]:
            return [], f"its accuracy on the test set, {result['clean_accuracy']} recorded, {clean} today"
        found.append({"what": "clean_accuracy"})
    return found, ""


def _measured(member: _Member, measurement: str) -> tuple[list[dict[str, object]], str]:
    """Compare a table with itself made again."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    made = measure(
        measurement, member.training, member.run, member.run.files[member.file]["settings"], device
    )
    return [{"what": "table"}], _difference(_table(member.run.read(member.file)), _table(_parquet(made)))


def _table(content: bytes) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(content))


def _difference(recorded: pd.DataFrame, today: pd.DataFrame) -> str:
    """First difference between two tables, compared bit for bit; "" if there is none."""
    shapes = [
        f"{len(table)} rows of {', '.join(f'{name} {kind}' for name, kind in table.dtypes.items())}"
        for table in (recorded, today)
    ]
    if shapes[0] != shapes[1]:
        return f"{shapes[0]} recorded, {shapes[1]} today"
    for name in recorded:
        for row, (old, new) in enumerate(
            zip(recorded[name].tolist(), today[name].tolist(), strict=True), start=1
        ):
            if repr(old) != repr(new):  # repr is exact for numbers, tells -0.0 from 0.0, and NaN is NaN
                return f"{name} in row {row}: {old!r} recorded, {new!r} today"
    return ""
