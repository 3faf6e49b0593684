"""A sweep file: which networks a figure needs, in a few lines of YAML, checked before anything runs."""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar

import yaml

from lib import measurements, paths, runs
from lib.errors import InputError, unknown
from lib.recipes import Training

REQUIRED = ("dataset", "models", "recipe", "alphas", "seeds")
OPTIONAL = ("variants", "epochs", "measurements")
LISTS = ("models", "alphas", "seeds", "variants", "measurements")
NUMBERS = {"alphas": "-1, 0.4 or 1e-3", "seeds": "0 or 12", "epochs": "8"}  # keys whose values are numbers, with examples


@dataclass(frozen=True)
class Sweep:
    """The networks a file asks for, each once, and what is to be measured on every one."""

    name: str  # the file's, without its ending
    file: Path
    trainings: tuple[Training, ...]  # by model and variant in the file's order, then by alpha and seed
    measurements: tuple[str, ...] = ("selectivity",)


class _Loader(yaml.SafeLoader):
    """YAML whose plain words are text and whose numbers are what people write; YAML 1.1 reads no as False, 1e-3 as text, 010 as 8, 1:30 as 90."""

    yaml_implicit_resolvers: ClassVar = {
        None: [  # tried on every plain word
            (f"tag:yaml.org,2002:{tag}", re.compile(form))
            for tag, form in (
                ("null", r"^(~|null|)$"),
                ("int", r"^[-+]?(0|[1-9][0-9]*)$"),
                ("float", r"^([-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan)$"),
            )
        ]
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for place, key in enumerate(keys):  # YAML silently keeps the last one
            if key.value in [before.value for before in keys[:place]]:
                raise yaml.MarkedYAMLError(problem=f"{key.value} stands here a second time; merge the two", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


def read(file: Path | str) -> Sweep:
    """The sweep that a YAML file describes; sweeps/digits.yml shows the form.

    raises  InputError, naming file, key, value and the way out, for a file that cannot be read and for anything in it that cannot be meant
    """
    file = Path(file)
    try:
        return _sweep(file, _parse(file))
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def _parse(file: Path) -> object:
    try:
        return yaml.load(file.read_bytes(), _Loader)
    except FileNotFoundError:
        known = ", ".join(str(found.relative_to(paths.ROOT)) for found in sorted(paths.ROOT.glob("sweeps/*.yml")))
        raise InputError(f"no such sweep file; there are: {known or 'none in sweeps/'}") from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}; give a sweep file such as sweeps/digits.yml") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError((f"line {mark.line + 1}: " if mark else "not YAML: ") + f"{problem}; sweeps/digits.yml shows the form") from None


def _sweep(file: Path, content: object) -> Sweep:
    if not isinstance(content, dict):
        raise InputError(f"must be keys with values, such as dataset: digits, got {reprlib.repr(content)}; sweeps/digits.yml shows the form")
    for key in content:
        if key not in REQUIRED + OPTIONAL:
            raise unknown("key", key, REQUIRED + OPTIONAL)
    lacking = [key for key in REQUIRED if key not in content]
    if lacking:
        raise InputError(f"{', '.join(lacking)} missing; a sweep names {', '.join(REQUIRED)}, and may name {', '.join(OPTIONAL)}")
    for key, value in content.items():
        _check(key, value)
    shared = {key: value for key, value in content.items() if key not in ("models", "measurements")}
    grids = [runs.grid(model=model, **shared) for model in dict.fromkeys(content["models"])]
    tables = tuple(dict.fromkeys(content.get("measurements", ["selectivity"])))
    for name in tables:
        measurements.settled(name, {})
    return Sweep(file.stem, file, tuple(chain(*grids)), tables)


def _check(key: str, value: object) -> None:
    """The form of one key's value; which values there are is for Training to say."""
    shown = reprlib.repr(value)
    if value is None:
        raise InputError(f"{key} has no value; give one" + (f" or leave {key} out" if key in OPTIONAL else ""))
    if key in LISTS and not isinstance(value, list):
        raise InputError(f"{key} must be a list, got {shown}; write {key}: [{value if isinstance(value, str | int | float) else '...'}]")
    if key not in LISTS and isinstance(value, list | dict):
        raise InputError(f"{key} must be one value, got {shown}; a sweep has one {key}, write a file for each")
    if value == []:
        raise InputError(f"{key} is an empty list; give at least one")
    for item in value if key in LISTS else [value]:
        if key in NUMBERS and (isinstance(item, bool) or not isinstance(item, int | float)):
            raise InputError(f"{key} must be numbers written like {NUMBERS[key]}, without quotes, got {reprlib.repr(item)}")
        if key not in NUMBERS and not isinstance(item, str):
            raise InputError(f"{key} must be names, got {reprlib.repr(item)}; a name that looks like something else goes in quotes")
