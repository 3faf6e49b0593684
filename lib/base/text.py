"""Format numbers, times and names as the book writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

_Number = TypeVar("_Number", int, float)
MOST = 2**53  # whole numbers from here on are no numbers of their own in float64 and JSON

# Numbers as people write them. Python's own functions also take 1_0, nan, digits of other scripts, and
# numbers of any length.
WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
DIGITS = re.compile(r"[-+]?(0|[1-9][0-9]*)")  # the same, of any length
DECIMAL = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,4})?")


def number(value: float, form: str = "g") -> str:
    """Format a number with a true minus sign in place of Python's hyphen, and without one if it rounds to 0.

    Example:
        >>> number(-0.4)
        '−0.4'
        >>> number(-1.25, "+.1f")
        '−1.2'
    """
    said = f"{value:{form}}"
    if said.startswith("-") and not any(digit in said for digit in "123456789inf"):
        said = f"{0:{form}}"
    return said.replace("-", "−")


def printable(text: str) -> str:
    """Escape what cannot be printed in one line, as names of files and words of other libraries may hold.

    Example:
        >>> printable("a\\nb")
        'a\\\\nb'
    """
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def shortened(text: str, *, most: int = 300) -> str:
    """Cut words that are longer than any that people write, and keep how they begin and end.

    Example:
        >>> shortened("got 123456789", most=8)
        'got 12...89'
    """
    return re.sub(
        rf"\S{{{most + 1},}}", lambda word: f"{word[0][: most // 4]}...{word[0][-most // 4 :]}", text
    )


def parsed(text: str, kind: type[_Number]) -> _Number:
    """The number that a text says, as people write numbers.

    Python's own reading takes 1_0 for 10, and digits of other scripts.

    Raises:
        ValueError: It says none.
        OverflowError: It says a whole number of `MOST` or above, which a float64 would round.
    """
    said = text.strip()
    if not (DIGITS if kind is int else DECIMAL).fullmatch(said):
        raise ValueError(text)
    if kind is int and (not WHOLE.fullmatch(said) or abs(int(said)) >= MOST):
        raise OverflowError(text)
    return kind(said)


def in_words(value: object) -> str:
    """A value in Python's words, for a message: of what is long, its beginning.

    Example:
        >>> in_words("1_0")
        "'1_0'"
        >>> in_words(10**400)
        '1000000000000000000000000000000000000000... (401 characters)'
    """
    try:
        said = repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number too long to be written"
    return said if len(said) <= 80 else f"{said[:40]}... ({len(said)} characters)"


def duration(seconds: float) -> str:
    """Format a time for reading: 40 seconds, 13 minutes, 2.5 hours.

    Example:
        >>> duration(780)
        '13 minutes'
    """
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def machine(described: str) -> str:
    """A machine's description in the provenance of a result, in grammar.

    Example:
        >>> machine("AMD EPYC, 1 threads")
        'AMD EPYC, 1 thread'
    """
    return described.replace(", 1 threads", ", 1 thread")


def machines(devices: Iterable[str]) -> str:
    """Machines on which results were made, from the descriptions in their provenance: each machine once, with
    the numbers of threads that were used.

    Example:
        >>> machines(["AMD EPYC, 2 threads", "NVIDIA H200", "AMD EPYC, 1 threads"])
        'AMD EPYC (1 and 2 threads), NVIDIA H200'
    """
    threads: dict[str, set[int]] = {}
    for device in devices:
        name, _, count = device.rpartition(", ")
        found = re.fullmatch(r"(\d+) threads", count)
        threads.setdefault(name if found else device, set()).update([int(found[1])] if found else [])

    def said(counts: set[int]) -> str:
        *first, last = map(str, sorted(counts))
        return f" ({', '.join(first)}{' and ' if first else ''}{last} thread{'' if counts == {1} else 's'})"

    return ", ".join(name + (said(threads[name]) if threads[name] else "") for name in sorted(threads))
