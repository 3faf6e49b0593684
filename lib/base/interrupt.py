"""Ctrl-C and the signals of a cluster or a lost terminal, as one exception that cannot get lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# What Python does about each signal of its own accord; only there is anything changed. Under nohup, for
# one, SIGHUP is ignored, and stays so.
USUAL: dict[signal.Signals, Callable[[int, FrameType | None], object] | signal.Handlers] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
if hasattr(signal, "SIGHUP"):
    USUAL[signal.SIGHUP] = signal.SIG_DFL

_arrived: list[int] = []  # the signals that came since the outermost `heard` was last opened


class Interrupted(KeyboardInterrupt):
    """A signal asks this process to end. Whatever handles Ctrl-C handles the other signals too."""


def _handle(number: int, frame: FrameType | None) -> None:
    """Raise at the first signal, and at every further Ctrl-C.

    A cluster may send SIGTERM twice, to the job and to each of its processes: the second one must not disturb
    what the first has started.
    """
    _arrived.append(number)
    if len(_arrived) == 1 or number == signal.SIGINT:
        raise Interrupted


def _check() -> None:
    if _arrived:
        raise Interrupted


@contextmanager
def heard() -> Iterator[Callable[[], None]]:
    """While open, Ctrl-C, SIGTERM and SIGHUP raise `Interrupted`, which is a KeyboardInterrupt.

    Python drops an exception that falls into a finaliser or into a callback of a library, so the yielded
    function raises it again where that has happened. Outside the main thread, and for signals that somebody
    else handles or ignores, nothing is changed. It may be opened within itself.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    ours = [number for number, usual in USUAL.items() if signal.getsignal(number) is usual]
    outermost = not any(signal.getsignal(number) is _handle for number in USUAL)
    if outermost:
        _arrived.clear()
    for number in ours:
        signal.signal(number, _handle)
    try:
        yield _check
    finally:
        for number in ours:
            signal.signal(number, USUAL[number])


def exit_code() -> int:
    """The exit code after an interruption: 128 and the signal's number, so 130 for Ctrl-C."""
    return 128 + int((_arrived or [signal.SIGINT])[0])


def reason() -> str:
    """What has ended the work, in words: "interrupted" by Ctrl-C, or "stopped by SIGTERM"."""
    number = (_arrived or [signal.SIGINT])[0]
    return "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"


@contextmanager
def children_end() -> Iterator[None]:
    """While open, an interruption kills the processes that this one has started.

    Threads that wait for a notebook's kernel would otherwise wait to its end, and this process for them.
    """
    try:
        yield
    except KeyboardInterrupt:
        with suppress(ImportError):
            import psutil

            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    child.kill()
        raise
