"""`table`: a measurement over all cached runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lib.base import names
from lib.base.errors import InputError
from lib.commands.options import Csv


def table(
    measurement: Annotated[
        str | None,
        typer.Argument(help="such as selectivity, attack or dimensionality; all are listed if left out"),
    ] = None,
    csv: Csv = False,
) -> None:
    """A measurement's tidy table over all cached runs; what was not measured yet is measured now, where the
    weights are kept.
    """
    if measurement is not None:
        measurement = names.chosen("measurement", measurement, names.measurements())
    elif csv:
        raise InputError(
            "--csv is for one measurement's table; name it: python -m lib table selectivity --csv"
        )

    from lib import measurements
    from lib import runs as runs_
    from lib.base import malloc
    from lib.runs import catalogue

    if measurement is None:
        for name, one in measurements.MEASUREMENTS.items():
            print(f"{name}: {one.summary}")
        return
    malloc.keep_memory()
    trainings = catalogue.trainings()
    if not trainings:
        raise InputError("no runs are cached; make one with: python -m lib train --dataset digits")
    about = measurements.MEASUREMENTS[measurement].datasets
    if about and not any(one.dataset in about for one in trainings):
        raise InputError(
            f"no cached network is of {' or '.join(about)}, of whose networks alone {measurement} is made; "
            f"make one with: python -m lib train --dataset {about[0]}"
        )
    rows, left = runs_.tables_at_hand(measurement, trainings)
    print(rows.to_csv(index=False) if csv else rows.to_string(max_rows=20), end="" if csv else "\n")
    for training in left:
        print(f"left out, not measured and its weights are not kept: {training.name}", file=sys.stderr)
