"""Fingerprint of the code that a result depends on, by which a change of code names the results that it makes
stale.

It has no addresses: every definition of lib that is reached gets a number in the order of first mention, and
a mention of it is written as that number. Modules, aliases and the names of definitions are not in it, so
code that is moved or renamed stays the same code.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from lib.base.scopes import Comprehension, Definition, Lib, Meant, Outside, Scope, Scopes, imports_of, lookup

KIND = "2:"  # how digests of this form begin; those of the first form, which had addresses, have no prefix
# fields of a syntax tree that follow from the others or decide nothing
_NOTHING = frozenset({"ctx", "kind", "type_comment", "type_params"})
_EXEMPT: set[tuple[str, str]] = (
    set()
)  # module and name, so that what stands in for one in a test is exempt too
_T = TypeVar("_T")


def exempt(definition: _T) -> _T:
    """Decorator for a function or class whose effect is recorded otherwise (data by its fingerprint, a recipe
    in the key of the run) or that decides no number (errors, places, files): it is mentioned in fingerprints,
    and not followed.
    """
    _EXEMPT.add((definition.__module__, definition.__qualname__))  # type: ignore[attr-defined]
    return definition


_Text = tuple[str | Definition, ...]  # what syntax says: words, and mentions of definitions of lib


def _joined(words: Iterable[str | Definition]) -> Iterator[str | Definition]:
    """The same text in few pieces: it is gone through for every result that reaches it."""
    piece: list[str] = []
    for word in words:
        if isinstance(word, str):
            piece.append(word)
        else:
            yield from ("".join(piece), word)
            piece.clear()
    yield "".join(piece)


def _idle(node: object) -> bool:
    """Whether a statement does nothing: a docstring, `...` or `pass`; or an import, which its uses name."""
    return isinstance(node, ast.Pass | ast.Import | ast.ImportFrom) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _empty(node: object) -> bool:
    """Whether a part of an f-string is no text: Python 3.12 puts such a one after a width in braces."""
    return isinstance(node, ast.Constant) and node.value == ""


def _roots(target: ast.expr) -> set[str]:
    """The names that an assignment binds or changes: of TABLE["c"] and of a.b, TABLE and a."""
    if isinstance(target, ast.Name):
        return {target.id}
    if isinstance(target, ast.Tuple | ast.List):
        return set().union(*map(_roots, target.elts))
    return _roots(target.value) if isinstance(target, ast.Attribute | ast.Subscript | ast.Starred) else set()


def _decided(node: ast.stmt, imported: Collection[str]) -> set[str]:
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
    functions = {
        part.name for part in parts if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    names = {
        part.id
        for part in parts
        if isinstance(part, ast.Name) and not (part.id in imported and isinstance(part.ctx, ast.Load))
    }
    return functions | names


class _Module:
    """The top level of one module of lib: the statements that decide each of its names, what its imports
    bind, and what a statement says.
    """

    def __init__(self, name: str) -> None:
        file = inspect.getsourcefile(importlib.import_module(name))
        if file is None:
            raise ValueError(f"the module {name} has no source, so its code has no fingerprint")
        source = Path(file).read_text(encoding="utf-8")
        tree = ast.parse(source)
        self.name = name
        self.package = name if Path(file).name == "__init__.py" else name.rpartition(".")[0]
        self.imports = imports_of(tree.body, self.package)
        self.statements: dict[str, list[ast.stmt]] = {}
        for node in tree.body:
            for decided in _decided(node, self.imports):
                self.statements.setdefault(decided, []).append(node)
        self._scopes = Scopes(source, file, self.package)
        self._texts: dict[str, _Text] = {}

    def text(self, name: str) -> _Text:
        """What all statements that decide a name say."""
        if name not in self._texts:
            said: list[str | Definition] = []
            for node in self.statements[name]:
                self._say(said, node, [])
                said.append("\n")
            self._texts[name] = tuple(_joined(said))
        return self._texts[name]

    def _say(self, said: list[str | Definition], value: object, scopes: list[Scope | Comprehension]) -> None:
        """Add the canonical text of a syntax tree: without comments, docstrings and layout, strings kept to
        the letter.

        Neither `ast.dump` nor source text or tokens would do, since they differ between versions of Python in
        empty fields, f-strings and which characters are printable.
        """
        if scopes and value is scopes[-1].outside:
            scopes = scopes[:-1]
        if isinstance(value, ast.Constant):
            said.append(f"Constant({value.value!a})")
        elif isinstance(value, ast.JoinedStr):
            self._say_list(said, "JoinedStr", [part for part in value.values if not _empty(part)], scopes)
        elif isinstance(value, ast.Name | ast.Attribute):
            self._say_mention(said, value, scopes)
        elif isinstance(value, ast.Global):
            self._say_list(said, "Global", [ast.Name(name) for name in value.names], [])
        elif isinstance(value, ast.AnnAssign) and not (scopes and scopes[-1].is_class):
            self._say_classes(said, value.annotation, scopes)
            if value.value:
                self._say(said, ast.Assign([value.target], value.value), scopes)
        elif isinstance(value, ast.AST):
            self._say_node(said, value, scopes)
        elif isinstance(value, list):
            self._say_list(said, "", [part for part in value if not _idle(part)], scopes)
        else:
            said.append(ascii(value))

    def _say_list(
        self, said: list[str | Definition], kind: str, parts: list, scopes: list[Scope | Comprehension]
    ) -> None:
        said.append(f"{kind}[")
        for part in parts:
            self._say(said, part, scopes)
            said.append(" ")
        said.append("]")

    def _say_node(
        self, said: list[str | Definition], node: ast.AST, scopes: list[Scope | Comprehension]
    ) -> None:
        own = self._scopes.of(node)
        inside = [*scopes, own] if own else scopes
        # of a definition these are evaluated outside it, names of arguments apart
        outer = {"decorator_list", "bases", "keywords", "args"}
        said.append(f"{type(node).__name__}(")
        for name in node._fields:
            part = getattr(node, name, None)
            if name in _NOTHING or part is None or part == []:
                continue
            if name == "name" and not scopes and own:
                part = ast.Name(part)  # of a definition at the top level: a mention like any other
            if name in ("annotation", "returns") and not isinstance(node, ast.AnnAssign):
                self._say_classes(said, part, scopes)
                continue
            said.append(f"{name}=")
            self._say(said, part, scopes if own and name in outer else inside)
            said.append(" ")
        said.append(")")

    def _say_classes(
        self, said: list[str | Definition], annotation: ast.expr, scopes: list[Scope | Comprehension]
    ) -> None:
        """Of a type, which decides nothing, the classes of lib alone: what a function is handed is code it
        may call.
        """
        words: list[str | Definition] = []
        self._say(words, annotation, scopes)
        said += (word for word in words if isinstance(word, Definition))

    def _say_mention(
        self,
        said: list[str | Definition],
        node: ast.Name | ast.Attribute,
        scopes: list[Scope | Comprehension],
    ) -> None:
        meant = self._meant(node, scopes)
        if isinstance(meant, Definition):
            said.append(meant)
        elif isinstance(meant, Outside):
            said.append(f"Outside({meant.name})")
        elif isinstance(meant, Lib):
            raise TypeError(
                f"{self.name} line {node.lineno} uses the module {meant.module} as a value, which no "
                f"fingerprint can follow: name what is used"
            )
        elif isinstance(node, ast.Name):
            said.append(f"Name({node.id})")
        else:
            said.append("Attribute(")
            self._say(said, node.value, scopes)
            said.append(f" {node.attr})")

    def _meant(self, node: ast.expr, scopes: list[Scope | Comprehension]) -> Meant:
        """What a name, or a chain of attributes, stands for: something of lib or from outside; None for local
        names, builtins and attributes of values.
        """
        if isinstance(node, ast.Attribute):
            value = self._meant(node.value, scopes)
            if isinstance(value, Outside):
                return Outside(f"{value.name}.{node.attr}")
            return _resolved(value.module, node.attr) if isinstance(value, Lib) else None
        if not isinstance(node, ast.Name):
            return None
        local, bound = lookup(node.id, scopes)
        if local:
            return _followed(bound)
        return _resolved(self.name, node.id)


def _resolved(module: str, name: str) -> Meant:
    """What `name` is in a module of lib, followed to where it is defined."""
    known = _module(module)
    if name in known.statements:
        return Definition(module, name)
    # a package may import its own modules
    if name in known.imports and known.imports[name] != Definition(module, name):
        return _followed(known.imports[name])
    return Lib(f"{module}.{name}") if known.package == module and _is_module(f"{module}.{name}") else None


def _followed(bound: Meant) -> Meant:
    return (_resolved(bound.module, bound.name) or bound) if isinstance(bound, Definition) else bound


@lru_cache
def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the part before the last dot is not a package
        return False


_module = lru_cache(_Module)


def _home(entry: object) -> Definition:
    """Where a function or class of lib is defined."""
    return Definition(entry.__module__, entry.__qualname__)  # type: ignore[attr-defined]


def _numbered(entries: Iterable[object], skip: Iterable[object]) -> dict[Definition, str]:
    """What every definition reached says, in the order of first mention, mentions as numbers; nothing for
    those that are not followed.
    """
    skipped = list(skip)
    numbers: dict[Definition, int] = {}
    for entry in entries:
        numbers.setdefault(_home(entry), len(numbers))
    said: dict[Definition, str] = {}
    waiting = list(numbers)
    for one in waiting:  # which grows under way
        module = _module(one.module)
        value = getattr(sys.modules[one.module], one.name, None)
        if one.name not in module.statements:  # an entry that was imported from elsewhere, or is made by code
            raise ValueError(f"{one} is not defined at the top level of its module, so it has no fingerprint")
        words = (
            ()
            if (one.module, one.name) in _EXEMPT or any(value is other for other in skipped)
            else module.text(one.name)
        )
        for word in words:
            if isinstance(word, Definition) and word not in numbers:
                numbers[word] = len(numbers)
                waiting.append(word)
        said[one] = "".join(word if isinstance(word, str) else f"<{numbers[word]}>" for word in words)
    return said


def reached(entries: Iterable[object], *, skip: Iterable[object] = ()) -> dict[str, str]:
    """{"module.name": what it says} of every function, class and constant of lib that the entries reach,
    themselves included.

    Args:
        skip: Values not to follow, besides those that are exempt: tables of which only one entry matters.
    """
    return {str(one): said for one, said in _numbered(entries, skip).items() if said}


@exempt
def digest(entries: Iterable[object], *facts: object, skip: Iterable[object] = ()) -> str:
    """ "2:" and 12 hex digits that change when code reached from the entries, or one of the facts, changes.

    Comments, docstrings, types of arguments and results do not count, nor where a definition stands and what
    it is called.

    Args:
        facts: Printed as Python prints them; functions and classes of lib among them count as entries.
    """
    entries, skipped = list(entries), list(skip)
    shown = [_fact(fact, entries) for fact in facts]
    # what is asked; `_module` stands for the sources, which a process reads once
    question = (_module, *map(_home, entries), ascii(shown), *map(id, skipped))
    if question not in _ANSWERS:
        content = ascii([list(_numbered(entries, skipped).values()), shown])
        _ANSWERS[question] = KIND + hashlib.sha256(content.encode()).hexdigest()[:12], skipped
    return _ANSWERS[question][0]


# Digests, by what was asked: a catalogue asks the same few for every run. What was not to be followed is
# kept with the answer, since the id of an object that is gone may become another's.
_ANSWERS: dict[tuple[object, ...], tuple[str, list[object]]] = {}


def _fact(value: object, entries: list[object]) -> object:
    """A fact without addresses: a function or class of lib becomes its place among the entries, and one if it
    is not.
    """
    if isinstance(value, dict):
        return {key: _fact(one, entries) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_fact(one, entries) for one in value]
    if callable(value) and getattr(value, "__module__", "").split(".")[0] == "lib":
        if value not in entries:
            entries.append(value)
        return f"<{entries.index(value)}>"
    return value
