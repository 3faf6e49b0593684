"""Sweep files: the networks that a figure needs, in a few lines of YAML, checked before anything runs.

YAML itself guesses what a plain word is: it reads no as False, 1e-3 as text, 010 as 8 and 1:30 as 90. Here
the key decides. Every value is taken as the text that stands in the file, and only a key whose values are
numbers has them read as numbers.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lib import measurements as measurements_
from lib import runs
from lib.base import paths
from lib.base.errors import InputError, unknown
from lib.base.files import Unfit, read_file
from lib.base.text import DECIMAL, WHOLE
from lib.measurements import Asked
from lib.training.training import Training

REQUIRED = ("dataset", "models", "recipe", "alphas", "seeds")
OPTIONAL = ("variants", "epochs", "start", "without", "measurements")
LISTS = ("models", "alphas", "seeds", "variants", "without", "measurements")
SINGLE = ("without", "measurements")  # lists that are of every network, and name no further ones
# keys whose values are numbers, with examples
NUMBERS = {"alphas": "-1, 0.4 or 1e-3", "seeds": "0 or 12", "epochs": "8"}
MOST_BYTES = 2**20  # of a sweep file
MOST_NETWORKS = 20_000  # the paper's study has 460 of a kind; naming so many takes seconds
FORM = "sweeps/digits.yml shows the form"


@dataclass(frozen=True)
class Sweep:
    """The networks a file asks for, each once, and what is to be measured on every one."""

    name: str  # the file's, without its ending
    file: Path
    # sorted by model and variant in the order of the file, then by alpha and seed
    trainings: tuple[Training, ...]
    measurements: tuple[Asked, ...] = (Asked("selectivity"),)


def read(file: Path | str) -> Sweep:
    """Read the sweep that a YAML file describes; sweeps/digits.yml is an example.

    Args:
        file: Its path.

    Returns:
        The sweep, whose name is the file's.

    Raises:
        InputError: The file cannot be read, or something in it cannot be meant. The line names file, key,
            value and the way out.
    """
    file = Path(file)
    try:
        return _sweep(file, _content(file))
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


# A value as it stands in the file: a text, several, or for a measurement a name with settings
Value = str | list[str] | list[str | dict[str, Any]]


def content_of(file: Path) -> bytes:
    """The bytes of a sweep file.

    Raises:
        FileNotFoundError: There is none.
        InputError: It is no ordinary file, is too large for one, or cannot be read.
    """
    try:
        return read_file(file, most=MOST_BYTES)
    except Unfit as error:
        raise InputError(f"{error}; give a sweep file such as sweeps/digits.yml") from None


def _content(file: Path) -> dict[str, Value]:
    """The texts that stand in the file, by key."""
    try:
        # BaseLoader is YAML's own failsafe schema, in which all values are text. Its nodes, unlike a
        # dictionary, know their lines, and keys that stand twice
        root = yaml.compose(content_of(file), yaml.BaseLoader)
    except FileNotFoundError:
        known = ", ".join(
            str(found.relative_to(paths.ROOT)) for found in sorted(paths.ROOT.glob("sweeps/*.yml"))
        )
        raise InputError(f"no such sweep file; there are: {known or 'none in sweeps/'}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(
            (f"line {mark.line + 1}: " if mark else "not YAML: ") + f"{problem}; {FORM}"
        ) from None
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"must be keys with values, such as dataset: digits, got {_shown(root)}; {FORM}")
    content: dict[str, Value] = {}
    for key, value in root.value:
        name, line = _text(key, "a key"), key.start_mark.line + 1
        if name not in REQUIRED + OPTIONAL:
            raise unknown("key", name, REQUIRED + OPTIONAL)
        if name in content:
            raise InputError(f"line {line}: {name} stands here a second time; merge the two")
        content[name] = _values(name, value)
    return content


def _values(key: str, node: yaml.Node) -> Value:
    """The text or texts of one key."""
    if isinstance(node, yaml.ScalarNode):
        text = _text(node, key)
        if node.style is None and text in ("", "~", "null"):
            raise InputError(
                f"{key} has no value; give one" + (f" or leave {key} out" if key in OPTIONAL else "")
            )
        if key in LISTS:
            raise InputError(f"{key} must be a list, got {reprlib.repr(text)}; write {key}: [{text}]")
        return text
    if key not in LISTS:
        raise InputError(
            f"{key} must be one value, got {_shown(node)}; a sweep has one {key}, write a file for each"
        )
    if not isinstance(node, yaml.SequenceNode):
        raise InputError(f"{key} must be a list, got {_shown(node)}; write {key}: [...]")
    _untagged(node)
    if not node.value:
        raise InputError(f"{key} is an empty list; give at least one")
    if key == "measurements":
        return [_measurement(one) for one in node.value]
    return [_text(one, key) for one in node.value]


def _measurement(node: yaml.Node) -> str | dict[str, Any]:
    """A measurement: its name, or its name with settings, such as jacobian: {limit: 2000}."""
    if not isinstance(node, yaml.MappingNode):
        return _text(node, "measurements")
    form = "write it like jacobian: {limit: 2000}"
    if len(node.value) != 1:
        raise InputError(f"a measurement is one name with settings, got {_shown(node)}; {form}")
    ((name, settings),) = node.value
    if not isinstance(settings, yaml.MappingNode) or not settings.value:
        raise InputError(
            f"settings of {_text(name, 'a measurement')} are no settings, {_shown(settings)}; {form}"
        )
    _untagged(settings)
    given = {}
    for key, value in settings.value:
        setting = _text(key, "a setting")
        if setting in given:
            raise InputError(f"line {key.start_mark.line + 1}: {setting} stands here a second time")
        many = isinstance(value, yaml.SequenceNode)
        given[setting] = [_text(one, setting) for one in value.value] if many else _text(value, setting)
    return {_text(name, "a measurement"): given}


def _text(node: yaml.Node, what: str) -> str:
    """The text of a plain or quoted value."""
    if not isinstance(node, yaml.ScalarNode):
        raise InputError(
            f"line {node.start_mark.line + 1}: {what} must be a single value, got {_shown(node)}; {FORM}"
        )
    _untagged(node)
    return node.value


def _untagged(node: yaml.Node) -> None:
    """Refuse what says of itself which type it has, such as !!float: the key says that here."""
    loader = yaml.BaseLoader
    plain = loader.DEFAULT_SCALAR_TAG, loader.DEFAULT_SEQUENCE_TAG, loader.DEFAULT_MAPPING_TAG
    if node.tag not in plain:
        tag = reprlib.repr(node.tag.replace("tag:yaml.org,2002:", "!!"))
        raise InputError(
            f"line {node.start_mark.line + 1}: the type {tag} has no meaning in a sweep file; "
            "leave it out and write the value alone"
        )


def _shown(node: yaml.Node | None, depth: int = 2) -> str:
    """A piece of the file in a few words."""
    if node is None:
        return "nothing"
    if isinstance(node, yaml.ScalarNode):
        return reprlib.repr(node.value)
    if not depth:
        return "..."
    mapping = isinstance(node, yaml.MappingNode)
    parts = [
        ": ".join(_shown(part, depth - 1) for part in one) if mapping else _shown(one, depth - 1)
        for one in node.value[:3]
    ]
    inside = ", ".join(parts + ["..."] * (len(node.value) > 3))
    return f"{{{inside}}}" if mapping else f"[{inside}]"


def _sweep(file: Path, content: dict[str, Value]) -> Sweep:
    lacking = [key for key in REQUIRED if key not in content]
    if lacking:
        raise InputError(
            f"{', '.join(lacking)} missing; "
            f"a sweep names {', '.join(REQUIRED)}, and may name {', '.join(OPTIONAL)}"
        )
    given: dict[str, Any] = {
        key: _numbers(key, value) if key in NUMBERS else value  # type: ignore[arg-type]  # texts, as LISTS says
        for key, value in content.items()
    }
    shared = {key: value for key, value in given.items() if key not in ("models", *SINGLE)}
    asked = math.prod(len(value) for key, value in given.items() if key in LISTS and key not in SINGLE)
    if asked > MOST_NETWORKS:
        raise InputError(
            f"it asks for {asked:,} networks, a sweep has at most {MOST_NETWORKS:,}: make it several"
        )
    grids = [runs.grid(model=model, **shared) for model in dict.fromkeys(given["models"])]
    tables = dict.fromkeys(map(_asked, given.get("measurements", ["selectivity"])))
    left_out = tuple(given.get("without", ()))
    trainings = tuple(replace(one, without=left_out) if left_out else one for one in chain(*grids))
    return Sweep(file.stem, file, trainings, tuple(tables))


def _asked(one: str | dict[str, dict[str, Any]]) -> Asked:
    """A table that a file asks for; settings that are the measurement's own are left out."""
    name, given = (one, {}) if isinstance(one, str) else next(iter(one.items()))
    measurements_.settled(name, {})
    found = {setting: _setting(name, setting, text) for setting, text in given.items()}
    measurements_.settled(name, found)  # refuses what is out of range
    own = measurements_.MEASUREMENTS[name].settings
    return Asked(name, tuple((key, found[key]) for key in own if key in found and found[key] != own[key]))


def _setting(name: str, setting: str, text: str | list[str]) -> Any:
    """The value of a setting, of the kind of its default."""
    known = measurements_.MEASUREMENTS[name].settings
    if setting not in known:
        raise unknown(f"setting of {name}", setting, known)
    default = known[setting]
    several, kind = isinstance(default, list), _kind(default)
    texts = text if isinstance(text, list) else [text]
    fits = isinstance(text, list) == several and all(kind.pattern.fullmatch(one) for one in texts)
    if not fits:
        raise InputError(f"{setting} of {name} must be like {default!r}, got {reprlib.repr(text)}")
    values = tuple(kind.read(one) for one in texts)
    if any(not isinstance(one, str) and not 0 <= one < math.inf for one in values):
        raise InputError(f"{setting} of {name} must be a number from 0 on, got {reprlib.repr(text)}")
    return values if several else values[0]


class _Kind(NamedTuple):
    """How values of a kind are written and read."""

    pattern: re.Pattern[str]
    read: Callable[[str], Any]


def _kind(default: object) -> _Kind:
    """The kind of a default, or of its elements."""
    one = default[0] if isinstance(default, list) else default
    if isinstance(one, int):
        return _Kind(WHOLE, int)
    return _Kind(DECIMAL, float) if isinstance(one, float) else _Kind(re.compile(r".+"), str)


def _numbers(key: str, value: str | list[str]) -> Any:
    """The number or numbers of a key; which of them there can be is for Training to say."""
    return [_number(key, one) for one in value] if isinstance(value, list) else _number(key, value)


def _number(key: str, text: str) -> int | float:
    if WHOLE.fullmatch(text):
        return int(text)
    if DECIMAL.fullmatch(text) and (key == "alphas" or len(text) < 20):
        return float(text)
    raise InputError(f"{key} must be numbers written like {NUMBERS[key]}, got {reprlib.repr(text)}")
