"""The one exception that the user can resolve: the command line prints it as one line and exits with
code 2.
"""

from collections.abc import Iterable

from lib.base.fingerprint import exempt


@exempt
class InputError(ValueError):
    """Bad input, or a missing or damaged file.

    The message states the rule, the offending value and the way out, in one line.
    """


@exempt
def unknown(kind: str, value: object, known: Iterable[object]) -> InputError:
    """Error for a name that is not among the known names."""
    return InputError(f"unknown {kind} {value!r}; known: {', '.join(sorted(map(str, known)))}")
