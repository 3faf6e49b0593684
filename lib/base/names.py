"""Names as people type them, and the names a registry knows, read without importing it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path

from lib.base.errors import unknown

_LIB = Path(__file__).resolve().parents[1]
_TYPED = r"[\w .-]+"  # letters and digits, and what people put between them: ../resnet8 is no name


def plain(name: str) -> str:
    """A name without case, and without what is neither letter nor digit: two names that are typed for one
    another are the same then.

    Example:
        >>> plain("CIFAR-10"), plain("cifar10")
        ('cifar10', 'cifar10')
    """
    return "".join(filter(str.isalnum, name.casefold()))


def chosen(kind: str, name: str, known: Iterable[str]) -> str:
    """The known name that is meant.

    Args:
        kind: What is named, for the message: "data set".
        name: As it was typed.
        known: All names there are.

    Raises:
        InputError: It is none of them.
    """
    known = list(known)
    if name in known:
        return name
    for one in known:
        if re.fullmatch(_TYPED, name) and plain(one) == plain(name):
            return one
    raise unknown(kind, name, known)


def listed(file: str, table: str) -> list[str]:
    """The keys of a dictionary that a module of lib writes out, from its source.

    The command line checks names with it: importing a registry loads torch, which takes many seconds on a
    busy machine, and a typo should not have to wait for that.

    Args:
        file: The module's file below lib, such as "models/registry.py".
        table: Name of the dictionary.

    Returns:
        Its keys, in the order of the source.

    Raises:
        LookupError: The file writes out no such dictionary.
    """
    for node in ast.parse((_LIB / file).read_text(encoding="utf-8")).body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        )  # an annotated one has one
        named = [target.id for target in targets if isinstance(target, ast.Name)]
        value = getattr(node, "value", None)
        if table in named and isinstance(value, ast.Dict):
            return [str(ast.literal_eval(key)) for key in value.keys if key is not None]
    raise LookupError(f"{file} writes out no dictionary {table}")


def datasets() -> list[str]:
    """The data sets that `lib.data` knows."""
    return listed("data/datasets.py", "DATASETS")


def models() -> list[str]:
    """The networks that `lib.models` knows."""
    return listed("models/registry.py", "MODELS")


def recipes() -> list[str]:
    """The recipes that `lib.training` knows."""
    return listed("training/recipe.py", "RECIPES")


def measurements() -> list[str]:
    """The measurements that `lib.measurements` knows."""
    return listed("measurements/registry.py", "MEASUREMENTS")
