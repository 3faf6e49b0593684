"""Ctrl-C, SIGTERM and SIGHUP are heard even where Python drops their exception."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from lib.__main__ import KEPT
from lib.base import interrupt, paths

HEARD = {
    signal.SIGINT: (130, "interrupted"),
    signal.SIGTERM: (143, "stopped by SIGTERM"),
    signal.SIGHUP: (129, "stopped by SIGHUP"),
}


@pytest.fixture(autouse=True)
def usual():
    """The handlers that Python has of its own accord, before and after."""
    before = {number: signal.signal(number, handler) for number, handler in interrupt.USUAL.items()}
    yield
    assert {number: signal.getsignal(number) for number in HEARD} == interrupt.USUAL
    for number, handler in before.items():
        signal.signal(number, handler)


class Finaliser:
    def __init__(self, number):
        self.number = number

    def __del__(self):
        os.kill(os.getpid(), self.number)
        for _ in range(1000):  # the handler runs, and raises, between two of these
            pass


@pytest.mark.parametrize("number", HEARD)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_falls_into_a_finaliser_is_raised_later(number):
    with interrupt.heard() as check:
        check()
        one = Finaliser(number)
        del one  # Python prints "Exception ignored" and goes on
        with pytest.raises(KeyboardInterrupt):
            check()
    assert (interrupt.exit_code(), interrupt.reason()) == HEARD[number]


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    for _ in range(1000):
        pass


@pytest.mark.parametrize("number", HEARD)
def test_it_is_raised_at_once_where_it_can_be(number):
    with pytest.raises(KeyboardInterrupt), interrupt.heard():
        send(number)
        raise AssertionError("not interrupted")
    assert (interrupt.exit_code(), interrupt.reason()) == HEARD[number]


@pytest.mark.parametrize("number", HEARD)
def test_within_itself_it_is_the_same(number):
    with interrupt.heard() as outer:
        with pytest.raises(KeyboardInterrupt), interrupt.heard():
            send(number)
        assert (
            interrupt.exit_code() == HEARD[number][0]
        )  # not forgotten, as the program is still to end with it
        with pytest.raises(KeyboardInterrupt):
            outer()
    with interrupt.heard() as check:  # a new one knows nothing of it
        check()


def test_a_second_one_does_not_disturb_what_the_first_has_started_but_ctrl_c_does():
    with interrupt.heard():
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGTERM)
        send(signal.SIGTERM)
        send(signal.SIGHUP)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
    assert interrupt.exit_code() == 143


def test_what_is_ignored_stays_so():
    """As SIGHUP is under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interrupt.heard() as check:
        send(signal.SIGHUP)
        check()
    assert signal.signal(signal.SIGHUP, signal.SIG_DFL) is signal.SIG_IGN


def test_children_do_not_outlive_an_interruption():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        with pytest.raises(KeyboardInterrupt), interrupt.heard(), interrupt.children_end():
            send(signal.SIGTERM)
        assert child.wait(60) == -signal.SIGKILL
    finally:
        child.kill()


# `train` and `rerun` as people call them, with work in place of theirs that takes for ever
CALLED = """
import sys, time
from lib import __main__ as cli
from lib.book import making, needs
from lib.runs import run
making.at_once = lambda trainings: 1  # in this process, where training is replaced
needs.estimate_seconds = lambda training, engine: 1.0  # steps that are timed
def endless(*args, **how):
    print("at work", flush=True)
    while True:
        time.sleep(0.01)
run.train_run = endless
sys.argv = ["lib", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", ["train --dataset digits", "rerun approach --dataset digits"])
def test_what_a_cluster_sends_ends_a_command_in_one_line(command, number, empty_store):
    call = [sys.executable, "-c", CALLED, *command.split()]
    with subprocess.Popen(
        call, cwd=paths.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        try:
            for line in process.stdout:
                if line == "at work\n":
                    break
            process.send_signal(number)
            _, err = process.communicate(timeout=120)
        finally:
            process.kill()
    code, reason = HEARD[number]
    assert (
        process.returncode == code
        and err.splitlines()[-1:] == [f"{reason}; {KEPT}"]
        and "Traceback" not in err
    )


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
