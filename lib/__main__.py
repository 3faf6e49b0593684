"""The command line: train networks, list and measure the cached ones, rerun chapters and build the book.

What a command does stands in its module of `lib.commands`. Bad input is one line on stderr and exit code 2.
"""

from __future__ import annotations

import io
import logging
import sys

from lib.base import environment

try:
    import typer
except ModuleNotFoundError as error:  # python3 -m lib, before make or outside .venv
    sys.exit(environment.refused(error))

from lib.base import interrupt
from lib.base.errors import InputError
from lib.base.text import printable, shortened
from lib.commands import book, chapters, data, rerun, runs, sweep, table, train
from lib.commands.given import Command

KEPT = (
    "what was finished is kept, with the last checkpoint of a network at work; the same command "
    "goes on from there"
)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
runs_app = typer.Typer(add_completion=False)
app.add_typer(runs_app, name="runs")


@app.callback()
def _commands() -> None:
    """Train networks, list and measure the cached ones, rerun chapters and build the book; COMMAND --help
    says more.
    """


# in the order in which the help lists them
app.command(cls=Command)(train.train)
app.command(cls=Command)(sweep.sweep)
app.command(cls=Command)(table.table)
app.command(cls=Command)(data.data)
app.command(cls=Command)(chapters.chapters)
app.command(cls=Command)(chapters.numbers)
app.command("book", cls=Command)(book.build)
app.command(cls=Command)(book.pdf)
app.command(cls=Command)(rerun.rerun)

runs_app.callback(invoke_without_command=True)(runs.runs)
runs_app.command("import", cls=Command)(runs.import_)
runs_app.command(cls=Command)(runs.recheck)
runs_app.command(cls=Command)(runs.beside)


def main() -> None:
    """Run the command line; every InputError is one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # all text is UTF-8, whatever the locale; a terminal shows what it can
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("papermill").setLevel(logging.WARNING)  # it announces every notebook it looks at
    with interrupt.heard():
        code, message = _called()
        if code == 2:
            print(f"error: {shortened(printable(message))}", file=sys.stderr)
        elif code == 130:
            code = interrupt.exit_code()
            print(f"{interrupt.reason()}; {KEPT}", file=sys.stderr)
    sys.exit(code)


def _called() -> tuple[int | None, str]:
    """Run what the command line asks for: the exit code, and the message that goes with code 2."""
    code, message = 0, ""
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        code, message = 2, str(error)
    except (typer.Abort, KeyboardInterrupt):  # Ctrl-C in older versions of typer; newer ones return 130
        code = 130
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "lib":
            raise
        code, message = 2, environment.incomplete(error)
    except Exception as error:
        # the parser's own errors, whose class differs between versions of typer
        if not hasattr(error, "format_message"):
            raise
        code, message = 2, error.format_message()
    return code, message


if __name__ == "__main__":
    main()
