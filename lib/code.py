"""A fingerprint of the code that a result depends on, so that a change to it names the results it makes stale."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

# What these decide is recorded otherwise: data by its fingerprint, recipes in the key of the run; the others decide no number.
APART = frozenset({"lib.data", "lib.recipes", "lib.store", "lib.errors", "lib.paths"})
_NOTHING = frozenset({"ctx", "kind", "type_comment"})  # fields of a syntax tree that follow from the others or decide nothing


def _idle(node: object) -> bool:
    """Whether a statement does nothing: a docstring, `...` or `pass`."""
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _empty(node: object) -> bool:
    """Whether a part of an f-string is no text: Python 3.12 puts such a one after a width in braces."""
    return isinstance(node, ast.Constant) and node.value == ""


def _said(value: object) -> str:
    """What a piece of syntax says, without comments, docstrings and layout, strings to the letter.

    Not `ast.dump`, nor source text or tokens, which differ between versions of Python: empty fields, f-strings, which characters are printable.
    """
    if isinstance(value, ast.Constant):
        return f"Constant({value.value!a})"
    if isinstance(value, ast.JoinedStr):
        return f"JoinedStr({' '.join(_said(part) for part in value.values if not _empty(part))})"
    if isinstance(value, ast.AST):
        fields = [(name, getattr(value, name, None)) for name in value._fields if name not in _NOTHING]
        return f"{type(value).__name__}({' '.join(f'{name}={_said(field)}' for name, field in fields if field is not None and field != [])})"
    if isinstance(value, list):
        return f"[{' '.join(_said(part) for part in value if not _idle(part))}]"
    return ascii(value)


def _roots(target: ast.expr) -> set[str]:
    """The names that an assignment binds or changes: of TABLE["c"] and of a.b, TABLE and a."""
    if isinstance(target, ast.Name):
        return {target.id}
    if isinstance(target, ast.Tuple | ast.List):
        return set().union(*map(_roots, target.elts))
    return _roots(target.value) if isinstance(target, ast.Attribute | ast.Subscript | ast.Starred) else set()


def _decided(node: ast.stmt) -> set[str]:
    """The names of a module whose value a statement at its top level may decide."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return set()
    if isinstance(node, ast.Assign):
        return set().union(*map(_roots, node.targets))
    if isinstance(node, ast.AnnAssign | ast.AugAssign):
        return _roots(node.target)
    parts = list(ast.walk(node))  # TABLE.update(...), a loop, a condition: perhaps every name in it
    functions = {part.name for part in parts if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    return functions | {part.id for part in parts if isinstance(part, ast.Name)}


class _Module:
    """The top level of one module of lib, by the names it decides, and what its imports of lib are called there."""

    def __init__(self, name: str) -> None:
        file = Path(inspect.getsourcefile(importlib.import_module(name)))
        tree = ast.parse(file.read_text(encoding="utf-8"))
        self.name = name
        self.statements: dict[str, list[ast.stmt]] = {}
        self.modules: dict[str, str] = {}  # alias -> module
        self.objects: dict[str, tuple[str, str]] = {}  # alias -> (module, name)
        self._parts: dict[str, tuple[str, set[tuple[str, str]]]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lib":
                for alias in node.names:
                    known, full = alias.asname or alias.name, f"{node.module}.{alias.name}"
                    if _is_module(full):
                        self.modules[known] = full
                    else:
                        self.objects[known] = (node.module, alias.name)
        for node in tree.body:
            for decided in _decided(node):
                self.statements.setdefault(decided, []).append(node)

    def part(self, name: str) -> tuple[str, set[tuple[str, str]]]:
        """What all statements that decide a name say, and (module, name) of everything in lib that they mention."""
        if name not in self._parts:
            nodes = self.statements[name]
            self._parts[name] = "\n".join(map(_said, nodes)), set().union(*map(self._uses, nodes))
        return self._parts[name]

    def _uses(self, node: ast.stmt) -> set[tuple[str, str]]:
        found = set()
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                found.add(self.objects.get(part.id, (self.name, part.id)))
            elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id in self.modules:
                found.add((self.modules[part.value.id], part.attr))
        return found


@lru_cache
def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # what is before the last dot is no package
        return False


_module = lru_cache(_Module)


def reached(entries: Iterable[Callable], *, skip: Iterable[str] = ()) -> dict[str, str]:
    """{"module.name": what it says} of every function, class and constant of lib that the entries reach, themselves included.

    skip    names ("lib.models.MODELS") not to follow: tables of which only one entry matters
    """
    waiting, skipped = [(entry.__module__, entry.__qualname__) for entry in entries], set(skip)
    found: dict[str, str] = {}
    while waiting:
        where, name = waiting.pop()
        if f"{where}.{name}" in found or f"{where}.{name}" in skipped or where in APART:
            continue
        module = _module(where)
        if name in module.statements:
            found[f"{where}.{name}"], uses = module.part(name)
            waiting += uses
        elif name in module.objects:
            waiting.append(module.objects[name])  # defined elsewhere, and imported from here
    return found


def digest(entries: Iterable[Callable], *facts: object, skip: Iterable[str] = ()) -> str:
    """12 hex digits that change when code reached from the entries, or one of the facts, changes; comments and docstrings do not count."""
    return hashlib.sha256(ascii([sorted(reached(entries, skip=skip).items()), facts]).encode()).hexdigest()[:12]
