"""Ctrl-C is heard even where Python drops its exception."""

import os
import signal
import threading

import pytest

from lib import interrupt


class Finaliser:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):  # the handler runs, and raises, between two of these
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_falls_into_a_finaliser_is_raised_later():
    with interrupt.heard() as check:
        check()
        one = Finaliser()
        del one  # Python prints "Exception ignored" and goes on
        with pytest.raises(KeyboardInterrupt):
            check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_is_raised_at_once_where_it_can_be():
    with pytest.raises(KeyboardInterrupt), interrupt.heard():
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass
        raise AssertionError("not interrupted")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_anothers_handler_and_other_threads_are_left_alone():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *args: seen.append(args))
    try:
        mine = signal.getsignal(signal.SIGINT)
        with interrupt.heard() as check:
            assert signal.getsignal(signal.SIGINT) is mine
            os.kill(os.getpid(), signal.SIGINT)
            check()
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(seen) == 1

    def elsewhere() -> None:
        with interrupt.heard() as check:
            seen.append(signal.getsignal(signal.SIGINT))
            check()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen[1] is signal.default_int_handler
