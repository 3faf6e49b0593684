"""`runs` and its own commands: the list of cached runs, archives, and repeated trainings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lib.base.errors import InputError
from lib.commands.options import Csv, number


def runs(context: typer.Context, csv: Csv = False) -> None:
    """List the cached runs: what each is, where and when it was made, and whether it is ok, diverged, stale
    or damaged (then exit code 2).
    """
    from lib.base import paths
    from lib.runs import catalogue

    if context.invoked_subcommand:
        if csv:
            raise InputError(
                f"--csv is for the list of runs, not for runs {context.invoked_subcommand}; leave it out"
            )
        return
    rows = catalogue.catalogue()
    if csv:
        print(rows.to_csv(index=False), end="")
    elif rows.empty:
        print(f"no runs in {paths.runs()}; make one with: python -m lib train --dataset digits")
    else:
        print(rows[catalogue.BRIEF].to_string(index=False, float_format="{:.3f}".format))
        for row in rows[rows.status == "stale"].itertuples():
            print(f"stale: {row.run}: {row.note}")
    catalogue.refuse_damaged(rows)


def import_(
    archives: Annotated[list[Path], typer.Argument(help="tar files that sweep --pack has written")],
) -> None:
    """Bring packed runs into the store, each verified against its manifest first; what is there already is
    completed, never changed.
    """
    from lib.base import paths
    from lib.runs import archive

    refused = 0
    for one in archives:
        found = archive.unpack(one)
        for line in found.refused:
            print(f"refused: {line}", file=sys.stderr)
        refused += len(found.refused)
        print(
            f"{one}: {len(found.added)} runs added to {paths.runs()}, {len(found.there)} were there, "
            f"{len(found.tables)} tables and {len(found.weights)} weights completed, "
            f"{len(found.refused)} refused"
        )
    if refused:
        raise InputError(
            f"{refused} things differ from what is here and were left out; to have them, set RUNS_DIR "
            f"to another place and import again"
        )


def recheck(
    epochs: Annotated[
        str, typer.Option(help="of each repeated training; one of less than a minute is repeated whole")
    ] = "1",
    against: Annotated[
        str,
        typer.Option(
            help="a commit: run its training code beside today's in place of repeating what is recorded, "
            "which another machine may have made"
        ),
    ] = "",
) -> None:
    """Repeat some trainings with today's code: where every bit of the results is the same, stale runs count
    as current again. Exit code 1 if some stay stale.
    """
    from lib.base import malloc
    from lib.runs import against as earlier
    from lib.runs import recheck as again

    malloc.keep_memory()
    count = number(epochs, int, "epochs")
    if count < 1:
        raise InputError(f"epochs must be a whole number >= 1, got {count}")
    settled = earlier.against(against, say=print) if against else again.recheck(say=print, epochs=count)
    if not settled:
        raise typer.Exit(1)


def beside() -> None:
    """Link the published runs into reruns/, the store in which reruns keep what they make; for work of your
    own beside them: RUNS_DIR=reruns.
    """
    from lib.base import paths
    from lib.runs import beside as both

    published = paths.runs()
    own = both.fill(published, paths.ROOT / both.NAME)
    print(f"{own} has the runs of {published}, and what was made beside them")
