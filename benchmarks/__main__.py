"""python -m benchmarks: run the benchmarks.

Exit code 1 when the outputs of a case disagree with its peer's, 2 for bad input, which is one line.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import attack, certified, corruption, harness, purification, represented, training
from lib.base import malloc, paths
from lib.base.errors import InputError, unknown

MODULES = (training, corruption, attack, represented, purification, certified)  # each has a table CASES
RESULTS = paths.ROOT / "benchmarks" / "results.json"  # committed; a page of the book shows it

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def cases() -> dict[str, harness.Case]:
    """All cases by name, in the order of their tables."""
    return {case.name: case for module in MODULES for case in module.CASES}


@app.command()
def bench(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="all of them if left out; --list shows them")
    ] = (),
    repeats: Annotated[
        int, typer.Option(help="pairs of measurements; by default each case's own number")
    ] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda; both if left out and there is a GPU")] = "",
    json: Annotated[Path, typer.Option(help="where the rows go")] = paths.BUILD / "bench.json",
    publish: Annotated[
        bool, typer.Option("--publish", help="also into benchmarks/results.json, which the book shows")
    ] = False,
    show: Annotated[bool, typer.Option("--list", help="only name the cases")] = False,
) -> int:
    """Speed against what people would use instead: ratios, measured in turn in one run, and only where the
    outputs agree.
    """
    known = cases()
    for name in names:
        if name not in known:
            raise unknown("benchmark", name, known)
    chosen = [known[name] for name in dict.fromkeys(names)] or list(known.values())
    if repeats < 0:
        raise InputError(f"repeats must be at least 1, got {repeats}")
    if device and device not in harness.devices():
        raise unknown("device", device, harness.devices())
    if show:
        for case in chosen:
            targets = ", ".join(f"{target} ({where})" for where, target in case.targets.items())
            print(f"{case.name:<16} {targets:<28} against {case.peer_name}")
        return 0
    malloc.keep_memory()  # both sides profit, and no timing depends on the mode that malloc happens to be in
    published = harness.read_rows(RESULTS) if publish else []
    rows: list[dict[str, object]] = []
    for where in [device] if device else harness.devices():
        for case in chosen:
            print(f"{case.name} on {where} ...", file=sys.stderr, flush=True)
            rows.append(harness.run(case, where, repeats=repeats or None))
            harness.write(json, rows)  # after each case: an interrupted run keeps what it has
    print(harness.table(rows))
    if publish:
        harness.write(RESULTS, harness.merged(published, rows))
    return int(harness.failed(rows))


def main() -> None:
    """Run the command line; every InputError is one line on stderr and exit code 2."""
    try:
        sys.exit(app(standalone_mode=False))
    except InputError as error:
        message = str(error)
    except typer.Abort:
        message = "interrupted; what was finished is in the file of results"
    except Exception as error:
        # the parser's own errors, whose class differs between versions of typer
        if not hasattr(error, "format_message"):
            raise
        message = error.format_message()
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
