"""A line for work without a bar: renewed on a terminal, logged once elsewhere."""

import io
import logging
import re
import time
from types import SimpleNamespace

import pytest

from lib.base import progress


class Terminal(io.StringIO):
    """What is written, with the times of the writings."""

    def __init__(self):
        super().__init__()
        self.times = []

    def isatty(self):
        return True

    def write(self, text):
        self.times.append(time.monotonic())
        return super().write(text)


@pytest.fixture
def terminal(monkeypatch):
    shown = Terminal()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stdout=shown))
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.02)
    return shown


def test_a_terminal_shows_since_when_and_until_when(terminal):
    with progress.working("measuring", 40.4):
        time.sleep(0.2)
    shown = terminal.getvalue()
    assert shown.endswith("\n") and shown.count("\n") == 1 and len(terminal.times) > 4
    assert set(re.split(r"\r\x1b\[K|\n", shown)) == {"", "measuring … 0 seconds of about 40 seconds"}


def test_how_far_it_is_is_shown(terminal):
    with progress.working("training", 40.0) as tell:
        tell("epoch 3 of 16")
        time.sleep(0.1)
    assert "training, epoch 3 of 16 … 0 seconds of about 40 seconds" in terminal.getvalue()


def test_the_innermost_is_shown(terminal):
    with progress.working("all"):
        with progress.working("a part"):
            time.sleep(0.1)
            begun = terminal.getvalue().partition("a part")[2]
            assert "a part" in begun and "all" not in begun
        time.sleep(0.1)
    assert "all" in terminal.getvalue().rpartition("a part")[2]


def test_an_error_ends_the_line(terminal):
    with pytest.raises(KeyError), progress.working("failing"):
        raise KeyError
    assert terminal.getvalue().endswith("\n") and not progress._open
    count = len(terminal.times)
    time.sleep(0.1)
    assert len(terminal.times) == count


def test_elsewhere_it_is_logged_again_while_it_lasts(monkeypatch, caplog):
    monkeypatch.setattr(progress, "LOGGED_SECONDS", 0.02)
    caplog.set_level(logging.INFO)
    with progress.working("executing a chapter") as tell:
        tell("cell 2 of 9")
        with progress.working("looking", log=False):
            time.sleep(0.1)
        time.sleep(0.1)
    first, *later = caplog.messages
    assert first == "executing a chapter" and set(later) == {
        "looking … 0 seconds",
        "executing a chapter, cell 2 of 9 … 0 seconds",
    }


def test_elsewhere_it_is_logged_once(capsys, caplog):
    caplog.set_level(logging.INFO)
    with progress.working("measuring", 90.0), progress.working("a part"):
        pass
    with progress.working("looking", log=False):
        pass
    assert caplog.messages == ["measuring (about 2 minutes)", "a part"] and capsys.readouterr().out == ""
