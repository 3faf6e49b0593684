"""Repeat results of old code with today's code: if every bit is the same, the cached runs count as current
again.

The evidence is written to a file.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from lib.base.errors import InputError
from lib.runs import equivalence, images, provenance, repeat
from lib.runs.groups import Group, Member, found_groups, to_repeat
from lib.runs.run import frozen
from lib.training.engine import best_engine, threads_of


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
    plan: dict[Group, list[Member]] = {}
    for group, members in open_groups.items():
        chosen = to_repeat(group, members)
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


def _whole(group: Group, chosen: list[Member], epochs: int) -> bool:
    """Whether all of a group's evidence is a repetition to the end."""
    return group.kind == "table" or all(
        member.epochs(epochs) == member.config["result"]["epochs_run"] for member in chosen
    )


def _count(members: list[Member]) -> str:
    names = {member.training.name for member in members}
    return f"{len(names)} runs stay" if len(names) > 1 else f"{names.pop()} stays"


def _hindrance(group: Group, chosen: list[Member]) -> str:
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


def _announce(plan: dict[Group, list[Member]], epochs: int, say: Callable[[str], None]) -> None:
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


def _compare(
    group: Group, chosen: list[Member], epochs: int, say: Callable[[str], None]
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
            if group.kind == "table":
                found, difference = repeat.table(member, group["measurement"])
            else:
                found, difference = repeat.training(member, epochs)
            if difference:
                return [], f"{member.training.name}: {difference}"
            evidence += [{"run": member.training.name} | one for one in found]
    return evidence, ""
