"""The parameters that a chapter declares, and values for them as people type them.

It imports nothing heavy, so that a typo is answered at once.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lib.base.errors import InputError
from lib.base.text import in_words, parsed
from lib.book import names

_CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)
# name=value, where a value with blanks is a list in brackets or stands in quotes
_GIVEN = re.compile(r"""([A-Za-z_]\w*)\s*=\s*(\[[^\]]*\]|\([^)]*\)|"[^"]*"|'[^']*'|[^\s"'\[(]\S*)""")
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True)
class Parameter:
    """A parameter as a chapter declares it."""

    name: str
    kind: str  # its annotation: "list[float]"
    default: Any


def declared(chapter: str) -> dict[str, Parameter]:
    """{name: parameter} of a chapter, from its cell that is tagged `parameters`.

    Args:
        chapter: Full name of the chapter.
    """
    text = names.sources()[chapter].read_text(encoding="utf-8")
    cells = list(_CELL.finditer(text))
    ends = [cell.start() for cell in cells[1:]] + [len(text)]
    for cell, end in zip(cells, ends, strict=True):
        if re.search(r'tags=\[[^\]]*"parameters"', cell[1]):
            body = ast.parse(text[cell.end() : end]).body
            found = [node for node in body if isinstance(node, ast.AnnAssign) and node.value is not None]
            return {
                (name := ast.unparse(node.target)): Parameter(
                    name,
                    ast.unparse(node.annotation),
                    ast.literal_eval(node.value),  # type: ignore[arg-type]
                )
                for node in found
            }
    return {}


def read(texts: Iterable[str]) -> dict[str, str]:
    """{name: value, as typed} of texts such as "d=128 tau=0.2 seeds=0,1" and "variants=[plain, pgd-4]".

    Raises:
        InputError: For what has another form, and for a name that is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        rest = _GIVEN.sub("", text).replace(",", " ").split()
        if rest or not text.strip():
            raise InputError(
                f"parameters are given as name=value, several with blanks between them, and lists as "
                f"name=1,2 or name=[1, 2]; got {in_words(text)}"
            )
        for name, value in _GIVEN.findall(text):
            if name in found:
                raise InputError(f"parameter {name!r} is given twice, as {found[name]!r} and {value!r}")
            found[name] = value.rstrip(",")
    return found


def typed(chapter: str, given: Mapping[str, str]) -> dict[str, Any]:
    """Values of the types that a chapter declares.

    Args:
        chapter: Full name of the chapter.
        given: {name: value, as typed}.

    Raises:
        InputError: For a name that the chapter does not declare, and for a value of another type.
    """
    known = declared(chapter)
    for name in given:
        _refuse_unknown(chapter, name, known)
    return {name: _value(known[name], text) for name, text in given.items()}


def check(chapter: str, asked: Mapping[str, Any], sets: Mapping[str, Any]) -> None:
    """Check that a chapter takes what it is given, in one way or the other.

    Args:
        chapter: Full name of the chapter.
        asked: Parameters that have an option of their own; alphas are added to those that are set.
        sets: Parameters that are set.

    Raises:
        InputError: For a parameter that the chapter does not declare, and for one that is given twice.
    """
    known = declared(chapter)
    for name in (*asked, *sets):
        _refuse_unknown(chapter, name, known)
    for name in asked.keys() & sets.keys() - {"alphas"}:
        raise InputError(f"{name} is given twice, as {asked[name]!r} and {sets[name]!r}; leave one out")


def _refuse_unknown(chapter: str, name: str, known: Mapping[str, Parameter]) -> None:
    if name not in known:
        takes = ", ".join(f"{one.name} ({one.kind})" for one in known.values()) or "no parameters"
        raise InputError(f"unknown parameter {name!r}; chapter {chapter!r} takes {takes}")


def _value(parameter: Parameter, text: str) -> Any:
    """A typed value, as the annotation says, or else as the default is."""
    bare = text.strip().removeprefix('"').removesuffix('"').removeprefix("'").removesuffix("'").strip()
    if bare.lower() == "none" and ("None" in parameter.kind or parameter.default is None):
        return None
    many = re.match(r"(list|tuple|Sequence)\[(\w+)", parameter.kind)
    try:
        if not many:
            return _one(_kind(parameter), bare)
        items = [item.strip("'\" ") for item in re.split(r"[\s,;]+", re.sub(r"^[\[(]|[\])]$", "", bare))]
        return [_one(many[2], item) for item in items if item]
    except (ValueError, OverflowError):
        example = " ".join(map(str, parameter.default)) if many else parameter.default
        raise InputError(
            f"parameter {parameter.name!r} must be {parameter.kind}, such as {example!r}, got "
            f"{in_words(text)}"
        ) from None


def _kind(parameter: Parameter) -> str:
    first = re.match(r"\w+", parameter.kind)
    return first[0] if first else type(parameter.default).__name__


def _one(kind: str, text: str) -> Any:
    """One value.

    Raises:
        ValueError: It is of another type.
        OverflowError: It is a number that is too large.
    """
    if kind == "bool":
        if text.lower() not in (*_TRUE, *_FALSE):
            raise ValueError
        return text.lower() in _TRUE
    if kind in ("int", "float"):
        number = parsed(text.replace("−", "-"), int if kind == "int" else float)
        if number != number or abs(number) == float("inf"):
            raise ValueError
        return number
    if not text:
        raise ValueError
    return text
