"""What a command line gives: each option of one value once, and nothing empty, which would silently mean what
is meant where it is left out.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from typer.core import TyperCommand

from lib.base.errors import InputError


class Command(TyperCommand):
    """A command that refuses an empty word, and an option of one value that is given again."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Check the words of a command line, then read them as any command does.

        Raises:
            InputError: One is empty or blank, or an option of one value is given twice.
        """
        values, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for parameter, times in Counter(order).items():
            name = max(parameter.opts, key=len)
            given = values.get(parameter.name or "")
            words = given if isinstance(given, list | tuple) else [given]
            if any(isinstance(word, str) and not word.strip() for word in words):
                raise InputError(f"{name} is empty; give it a value, or leave it out")
            once = not (parameter.multiple or getattr(parameter, "is_flag", True))  # arguments are no flags
            if times > 1 and once:
                raise InputError(f"{name} is given {times} times, and takes one value; leave the others out")
        return super().parse_args(ctx, args)
