"""`sweep`: the networks and tables of a sweep file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from lib.base import interrupt
from lib.base.errors import InputError, unknown
from lib.commands.options import number


def sweep(
    file: Annotated[Path, typer.Argument(help="such as sweeps/digits.yml")],
    shard: Annotated[
        str, typer.Option(help="i/n: the i-th of n equal parts, to be made on different machines")
    ] = "1/1",
    budget: Annotated[
        str,
        typer.Option(
            help="minutes: begin no epoch and no table that would end later; what is begun goes on next time"
        ),
    ] = "",
    pack: Annotated[
        str,
        typer.Option(
            help="name.tar: afterwards put the finished runs of this sweep there, for runs import elsewhere"
        ),
    ] = "",
    engine: Annotated[
        str,
        typer.Option(
            help="here: in this process; local: as processes of their own; slurm: as jobs of a cluster"
        ),
    ] = "here",
) -> None:
    """Make the networks of a sweep file that are not cached, and measure them; says first what is missing and
    how long it will take.

    Exit code 1 if jobs have failed and something is left.
    """
    from lib import sweeps
    from lib.base import malloc
    from lib.runs import archive
    from lib.sweeps import processes, slurm

    malloc.keep_memory()
    engines: dict[str, Callable[..., sweeps.Outcome]] = {
        "here": sweeps.run,
        "local": processes.run,
        "slurm": slurm.run,
    }
    if engine not in engines:
        raise unknown("engine", engine, engines)
    minutes = number(budget, float, "budget") if budget else None
    sweeps.check_budget(minutes)
    if minutes is not None and engine != "here":
        raise InputError(
            f"--budget is for --engine here, not for {engine!r}, whose jobs have no such end; leave "
            f"one of the two out"
        )
    asked, part = sweeps.read(file), sweeps.parse_shard(shard)
    target = archive.checked(Path(pack)) if pack else None
    plan = sweeps.plan(asked, shard=part)
    outcome = sweeps.run(plan, budget_minutes=minutes) if engine == "here" else engines[engine](plan)
    if target and len(outcome.left) < len(plan.trainings):
        packed = archive.pack(plan.trainings, target)
        print(
            f"packed {len(plan.trainings) - len(packed.left)} of {len(plan.trainings)} runs into "
            f"{', '.join(map(str, packed.archives))}"
        )
        print(
            "bring them into another store with: python -m lib runs import "
            + " ".join(part.name for part in packed.archives)
        )
    elif target:
        print(f"nothing is finished yet, so {target} was not written")
    if outcome.interrupted:
        sys.exit(interrupt.exit_code())  # the sweep has said how to go on
    if outcome.failed:
        sys.exit(1)  # each failed job has been named with its log
