"""A fingerprint of the code that a result depends on, so that a change to it names the results it makes stale."""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import tokenize
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

# What these decide is recorded otherwise: data by its fingerprint, recipes in the key of the run; the others decide no number.
APART = frozenset({"lib.data", "lib.recipes", "lib.store", "lib.errors", "lib.paths"})
_BREAKS = {tokenize.NEWLINE: ";", tokenize.INDENT: "{", tokenize.DEDENT: "}"}


class _Module:
    """Top-level definitions of one module of lib, and what its imports of lib are called there."""

    def __init__(self, name: str) -> None:
        file = Path(inspect.getsourcefile(importlib.import_module(name)))
        tree = ast.parse(file.read_text())
        with file.open("rb") as source:
            self.tokens = list(tokenize.tokenize(source.readline))
        self.definitions: dict[str, ast.stmt] = {}
        self.modules: dict[str, str] = {}  # alias -> module
        self.objects: dict[str, tuple[str, str]] = {}  # alias -> (module, name)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lib":
                for alias in node.names:
                    known = alias.asname or alias.name
                    if node.module == "lib":
                        self.modules[known] = f"lib.{alias.name}"
                    else:
                        self.objects[known] = (node.module, alias.name)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.definitions[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    self.definitions |= {name.id: node for name in ast.walk(target) if isinstance(name, ast.Name)}

    def text(self, node: ast.stmt) -> str:
        """The statement without comments, docstrings and white space: the same on every version of Python."""
        first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
        parts: list[str] = []
        at_start = True  # of a statement
        for token in self.tokens:
            if not first <= token.start[0] <= node.end_lineno or token.type in (tokenize.COMMENT, tokenize.NL):
                continue
            if token.type == tokenize.STRING and at_start:
                continue  # a docstring
            at_start = token.type in _BREAKS
            parts.append(_BREAKS.get(token.type) or "".join(token.string.split()))
        return "".join(parts).strip("{;}")  # what closes the statement before is not its own


_module = lru_cache(_Module)


def _uses(module: _Module, own: str, node: ast.stmt) -> set[tuple[str, str]]:
    """(module, name) of everything in lib that a definition mentions."""
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.add(module.objects.get(part.id, (own, part.id)))
        elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id in module.modules:
            found.add((module.modules[part.value.id], part.attr))
    return found


def reached(entries: Iterable[Callable], *, skip: Iterable[str] = ()) -> dict[str, str]:
    """{"module.name": text} of every function, class and constant of lib that the entries reach, themselves included.

    skip    names ("lib.models.MODELS") not to follow: tables of which only one entry matters
    """
    waiting = [(entry.__module__, entry.__qualname__) for entry in entries]
    texts: dict[str, str] = {}
    while waiting:
        where, name = waiting.pop()
        if f"{where}.{name}" in texts or f"{where}.{name}" in set(skip) or where in APART:
            continue
        module = _module(where)
        if node := module.definitions.get(name):
            texts[f"{where}.{name}"] = module.text(node)
            waiting += _uses(module, where, node)
    return texts


def digest(entries: Iterable[Callable], *facts: object, skip: Iterable[str] = ()) -> str:
    """12 hex digits that change when code reached from the entries, or one of the facts, changes; comments do not count."""
    texts = sorted(reached(entries, skip=skip).items())
    return hashlib.sha256(repr([texts, facts]).encode()).hexdigest()[:12]
