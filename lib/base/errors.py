"""The one exception that is the user's to mend: the command line prints it as one line and exits with code 2."""

from lib.base.fingerprint import exempt


@exempt
class InputError(ValueError):
    """Bad input or a missing or damaged file: says the rule, the offending value and the way out, in one line."""


@exempt
def unknown(kind: str, value: object, known: object) -> InputError:
    """The error for a name that is not in a list; `known` is any iterable of names."""
    return InputError(f"unknown {kind} {value!r}; known: {', '.join(sorted(map(str, known)))}")
