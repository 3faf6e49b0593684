"""Format numbers, times and names as the book writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Numbers as people write them. Python's own functions also take 1_0, nan, digits of other scripts, and
# numbers of any length.
WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
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


def duration(seconds: float) -> str:
    """Format a time for reading: 40 seconds, 13 minutes, 2.5 hours.

    Example:
        >>> duration(780)
        '13 minutes'
    """
    return (
        f"{seconds:.0f} seconds"
        if seconds < 90
        else f"{seconds / 60:.0f} minutes"
        if seconds < 5400
        else f"{seconds / 3600:.1f} hours"
    )


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
