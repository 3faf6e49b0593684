"""What names in a piece of Python mean: bound in a scope around it, imported, or of the module; for the
fingerprint of code, to which an address says nothing.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Definition:
    """A function, class or constant at the top level of a module of lib."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Lib:
    """A module of lib, as the value of an expression."""

    module: str


@dataclass(frozen=True)
class Outside:
    """Something imported from outside lib, by its full name; where it was imported, and as what, is of no
    matter.
    """

    name: str


Meant = Definition | Lib | Outside | None


def imports_of(body: Iterable[ast.AST], package: str) -> dict[str, Meant]:
    """What the imports among these statements bind, those in functions and classes left out."""
    found: dict[str, Meant] = {}
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                full = alias.name if alias.asname else alias.name.split(".")[0]
                found[alias.asname or full] = Lib(full) if full.split(".")[0] == "lib" else Outside(full)
        elif isinstance(node, ast.ImportFrom):
            start = (
                ".".join(package.split(".")[: len(package.split(".")) + 1 - node.level]) if node.level else ""
            )
            module = ".".join(filter(None, (start, node.module)))
            for alias in node.names:
                inside = module.split(".")[0] == "lib"
                found[alias.asname or alias.name] = (
                    Definition(module, alias.name) if inside else Outside(f"{module}.{alias.name}")
                )
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
            found |= imports_of(ast.iter_child_nodes(node), package)
    return found


class Scope:
    """A function, class or lambda around a piece of syntax: its table of names, and what is imported in
    it.
    """

    outside: ast.expr | None = None

    def __init__(self, node: ast.AST, table: symtable.SymbolTable, package: str) -> None:
        body = getattr(node, "body", None)
        self._table, self._imports = table, imports_of(body, package) if isinstance(body, list) else {}
        self.is_class = isinstance(node, ast.ClassDef)

    def binds(self, name: str) -> bool | None:
        """Whether a name is its own; None where it says nothing of the name."""
        try:
            symbol = self._table.lookup(name)
        except KeyError:  # not of this scope, as in annotations, which are not evaluated
            return None
        if symbol.is_local() or symbol.is_parameter():
            return True
        return False if symbol.is_global() and not symbol.is_free() else None

    def imported(self, name: str) -> Meant:
        """What of an import a name of its own stands for."""
        return self._imports.get(name)


class Comprehension:
    """A comprehension around a piece of syntax.

    The symbol tables of Python 3.12 have none, so its names are read off its targets.

    Attributes:
        outside: The first thing it goes through, which is evaluated before the comprehension begins.
    """

    is_class = False

    def __init__(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        self.outside = node.generators[0].iter
        self._names = {
            part.id
            for one in node.generators
            for part in ast.walk(one.target)
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
        }

    def binds(self, name: str) -> bool | None:
        """Whether a name is its own; None where it says nothing of the name."""
        return True if name in self._names else None

    def imported(self, name: str) -> Meant:
        """Nothing: a comprehension imports nothing."""
        return None


class Scopes:
    """The scopes of one module's source, by the syntax that opens them."""

    def __init__(self, source: str, file: str, package: str) -> None:
        self._package = package
        self._tables: dict[tuple[str, int], list[symtable.SymbolTable]] = {}
        self._known: dict[ast.AST, Scope | Comprehension] = {}
        waiting = [symtable.symtable(source, file, "exec")]
        while waiting:
            table = waiting.pop(0)
            self._tables.setdefault((table.get_name(), table.get_lineno()), []).append(table)
            waiting = table.get_children() + waiting

    def of(self, node: ast.AST) -> Scope | Comprehension | None:
        """The scope that a node opens; None where it opens none."""
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            return self._known.setdefault(node, Comprehension(node))
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            return None
        if node not in self._known:  # two lambdas in a line come in their order
            tables = self._tables[getattr(node, "name", "lambda"), node.lineno]
            self._known[node] = Scope(node, tables.pop(0) if len(tables) > 1 else tables[0], self._package)
        return self._known[node]


def lookup(name: str, scopes: list[Scope | Comprehension]) -> tuple[bool, Meant]:
    """Whether a name is bound in one of the scopes around it, and to what of an import there."""
    for depth, scope in enumerate(reversed(scopes)):
        if depth and scope.is_class:
            continue  # the names of a class are not seen from inside its methods
        binds = scope.binds(name)
        if binds is not None:
            return binds, scope.imported(name) if binds else None
    return False, None
