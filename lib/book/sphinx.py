"""A Sphinx extension that tells the template of the reference what autosummary does not know of packages."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from types import ModuleType

from docutils import nodes
from sphinx.application import Sphinx

PACKAGE = "lib"


def contents(package: str) -> dict[str, list]:
    """List what is directly inside a package, as its page in the reference shows it, without private names.

    Args:
        package: Its full name, such as "lib.attacks.ascent".

    Returns:
        Plain values, so that Sphinx can keep them.

        - `packages`: Names of packages, each of which has a page of its own.
        - `modules`: A dictionary for each module, which has a section on the page. `name` is the module's;
          `elsewhere` are those of its names that the face of the package documents already. `shadowed` says
          whether the package gives the module's own name to something else, such as a function: a name can be
          indexed only once, and then it is the face's. Such a module's other definitions are in `members`, as
          pairs of a kind and a name.
    """
    face = importlib.import_module(package)
    faced = {name: getattr(face, name) for name in getattr(face, "__all__", ())}
    packages, modules = [], []
    for found in pkgutil.iter_modules(face.__path__):
        if found.name.startswith("_"):
            continue
        if found.ispkg:
            packages.append(found.name)
            continue
        module = importlib.import_module(f"{package}.{found.name}")
        elsewhere = [name for name, value in faced.items() if _defines(module, name, value)]
        modules.append({
            "name": module.__name__,
            "elsewhere": elsewhere,
            "shadowed": not isinstance(getattr(face, found.name, module), ModuleType),
            "members": [(kind, name) for kind, name in _members(module) if name not in elsewhere],
        })
    return {"packages": packages, "modules": modules}


def _members(module: ModuleType) -> list[tuple[str, str]]:
    """(kind, name) of the public functions and classes that a module defines, in the order of its source."""
    found = []
    for name, value in vars(module).items():
        if not name.startswith("_") and _defines(module, name, value):
            found.append((_kind(value), name))
    return found


def _kind(value: object) -> str:
    """What Sphinx calls a function or class."""
    if not inspect.isclass(value):
        return "function"
    return "exception" if issubclass(value, BaseException) else "class"


def _defines(module: ModuleType, name: str, value: object) -> bool:
    """Whether a value is a function or class that the module defines under this name.

    Constants do not count: Sphinx finds their description only in the module that defines them, so they are
    shown there.
    """
    return (inspect.isclass(value) or inspect.isroutine(value)) and (value.__module__, value.__name__) == (
        module.__name__,
        name,
    )


def _tell(app: Sphinx) -> None:
    """Hand the contents of every package to autosummary's templates."""
    inner = pkgutil.walk_packages(importlib.import_module(PACKAGE).__path__, f"{PACKAGE}.")
    names = [PACKAGE, *(found.name for found in inner if found.ispkg)]
    app.config.autosummary_context["contents"] = {name: contents(name) for name in names}


# what an option of the command line says of itself, in an annotation: an object with its address in memory
_OPTION = re.compile(r"[~\w.]*\bAnnotated\[(.+?), <[\w.]+ object at 0x[0-9a-f]+>\]")


def plainly_typed(
    app: Sphinx,
    what: str,
    name: str,
    value: object,
    options: object,
    signature: str | None,
    result: str | None,
) -> tuple[str | None, str | None]:
    """The signature of a command with plain types; with addresses, no page would be the same twice."""
    return signature and _OPTION.sub(r"\1", signature), result


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension; Sphinx calls this for every name among the extensions of _config.yml."""
    app.connect("doctree-read", name_code)
    app.connect("autodoc-process-signature", plainly_typed)
    app.connect("builder-inited", _tell, priority=100)  # autosummary writes its pages at this event, with 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def name_code(app: Sphinx, doctree: nodes.document) -> None:
    """Give the input of a cell that shows the figure "fig-x" the id "fig-x-code"; browsers unfold it when a
    link leads there.
    """
    for cell in doctree.findall(
        lambda node: isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"
    ):
        drawn = [name for figure in cell.findall(nodes.figure) for name in figure["ids"]]
        code = next(
            cell.findall(
                lambda node: isinstance(node, nodes.Element) and node.get("nb_element") == "cell_code_source"
            ),
            None,
        )
        if drawn and code is not None:
            code["ids"].extend(f"{name}-code" for name in drawn)
