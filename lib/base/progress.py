"""A line for work that takes long and has no bar of its own: what is done, since when, and until when."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from lib.base.text import duration

EVERY_SECONDS = 1.0  # between two writings of the line
LOGGED_SECONDS = 30.0  # between two lines where there is no terminal, such as in the log of a job
_log = logging.getLogger(__name__)
_open: list[str] = []  # what is being done, the outermost first


def _columns(out: TextIO) -> int:
    """Columns of a terminal; many, where it does not say."""
    with suppress(OSError, ValueError):
        return os.get_terminal_size(out.fileno()).columns or 1000
    return 1000


@contextmanager
def working(what: str, expected: float = 0.0, *, log: bool = True) -> Iterator[Callable[[str], None]]:
    """While open, a terminal shows what is done and since when, renewed every second; elsewhere it is logged
    when it begins, and again every half minute.

    Of several that are open at once, the innermost is shown.

    Args:
        what: What is done: "building the pages".
        expected: Seconds that it may take; 0 where nobody knows.
        log: Whether it is logged at once where there is no terminal; not where bad input may yet be found,
            which is one line.

    Yields:
        A function by which the work says how far it is, such as "epoch 3 of 16".
    """
    far = ""

    def tell(text: str) -> None:
        nonlocal far
        far = f", {text}"

    out = sys.stdout
    live = out.isatty()
    start, done = time.monotonic(), threading.Event()
    of = f" of about {duration(expected)}" if expected >= 1 else ""

    def since() -> str:
        return f"{far} … {duration(time.monotonic() - start)}{of}"

    def show() -> None:
        with suppress(OSError, ValueError):  # the terminal has gone
            # a line that is wider than the terminal cannot be taken back
            ending = since()
            most = max(_columns(out) - len(ending) - 1, 1)
            out.write(f"\r\x1b[K{what[:most]}{ending}")
            out.flush()

    def renew() -> None:
        while not done.wait(EVERY_SECONDS if live else LOGGED_SECONDS):
            if _open[-1:] == [what]:
                if live:
                    show()
                else:
                    _log.info("%s%s", what, since())

    _open.append(what)
    if live:
        show()
    elif log:
        _log.info("%s%s", what, f" (about {duration(expected)})" if expected >= 1 else "")
    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield tell
    finally:
        done.set()
        thread.join()
        _open.remove(what)
        if live:
            show()
            with suppress(OSError, ValueError):
                out.write("\n")
                out.flush()
