"""`chapters` and `numbers`: notebooks with what was found in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lib.base import progress


def chapters(context: typer.Context) -> None:
    """Execute all chapters with their defaults, from cached runs alone; write their published notebooks, what
    the README shows of them, and the reference's page of commands.
    """
    with progress.working("loading the library", log=False):
        from lib.book import notebooks, readme, reference

    with progress.working("executing all chapters"):
        changed = notebooks.publish()
    changed += readme.write() + reference.write(context.find_root().command)
    print("\n".join(f"written: {file}" for file in changed) or "nothing changed")


def numbers(
    notebook: Annotated[Path, typer.Argument(help="a chapter that papermill or Jupyter executed")],
) -> None:
    """Write the numbers of an executed chapter into the sentences of its notebook: papermill and Jupyter
    renew figures and tables alone.
    """
    from lib.book import notebooks

    print(f"written: {notebook}, chapter {notebooks.write_numbers(notebook)}")
