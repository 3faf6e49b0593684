"""What chapters call first: their parameters, checked."""

from __future__ import annotations

import os
import types
from collections.abc import Mapping
from typing import Any

from lib import runs
from lib.base.errors import InputError
from lib.base.text import MOST, in_words, parsed
from lib.book import filled
from lib.book.grid import Parameters, own_epochs
from lib.book.own import added, ask
from lib.book.simulated import Simulated
from lib.runs import provenance, simulations
from lib.training.datasets import usual_model


def _variants(names: object) -> tuple[str, ...]:
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"parameter 'variants' must be a list such as ['plain', 'pgd-4'], got {names!r}; with "
            f"papermill: -y 'variants: [plain, pgd-4]'"
        )
    if "plain" not in names:
        raise InputError(
            f"parameter 'variants' must hold 'plain', which the others are compared with, got {names!r}"
        )
    return tuple(dict.fromkeys(names))


def _items(name: str, value: object, kind: type) -> tuple:
    """Items of a list parameter as numbers.

    Text in place of a list comes from papermill's -p, which cannot pass lists.
    """
    if not isinstance(value, list | tuple) or not value:
        raise InputError(
            f"parameter {name!r} must be a list such as [-1.0, 0.0], got {value!r}; papermill passes "
            f"lists with -y '{name}: [...]', not with -p"
        )
    items = []
    for item in value:
        try:
            if isinstance(item, bool):
                raise ValueError
            number = parsed(item, kind) if isinstance(item, str) else kind(item)
            if number != float(item):
                raise ValueError
            if kind is int and number >= MOST:
                raise OverflowError
        except (TypeError, ValueError, OverflowError) as error:
            small = f" below {MOST}" if isinstance(error, OverflowError) and kind is int else ""
            raise InputError(
                f"parameter {name!r} must hold {'whole ' if kind is int else ''}numbers{small}, "
                f"got {in_words(item)}"
            ) from None
        items.append(number)
    return tuple(dict.fromkeys(items))


def _startup() -> Mapping[str, object]:
    """What IPython's startup files, which a user may have, have put into the namespace of a notebook."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return shell.user_ns_hidden if shell else {}


_INJECTED = "# Parameters"  # papermill's first line of a cell with parameters


def _warn_of_text(namespace: Mapping[str, Any]) -> None:
    """Where papermill by hand has put parameters in, say that it cannot change the numbers in the sentences
    of a published notebook.
    """
    injected = any(cell.startswith(_INJECTED) for cell in namespace.get("In", ()))
    if os.environ.get(filled.BY_US) or not injected:
        return
    from IPython.display import Markdown, display

    display(
        Markdown(
            "**Figures and tables below are of the parameters given; the numbers in the sentences are still "
            "those of the published chapter.** `python -m lib numbers NOTEBOOK` writes them anew, "
            "`make rerun` does so by itself."
        )
    )


def _known(namespace: Mapping[str, Any]) -> Mapping[str, object]:
    """The annotated names of a chapter's parameters cell, if the namespace has no other parameters.

    Raises:
        InputError: For an unknown parameter.
    """
    known: Mapping[str, object] = namespace.get("__annotations__", {})
    own = {"In", "Out", "exit", "quit", "open", "get_ipython"}  # IPython's
    started = _startup()
    for name, value in namespace.items():
        if (
            not name.startswith("_")
            and name not in own
            and not (name in started and value is started[name])
            and name not in known
            and not isinstance(value, types.ModuleType)
        ):
            raise InputError(f"unknown parameter {name!r}; this chapter takes {', '.join(sorted(known))}")
    return known


def simulation(namespace: Mapping[str, Any], kind: str, **own: simulations.Setting) -> Simulated:
    """Check the parameters of a chapter about a simulation; called as `parameters` is. Every parameter beside
    `seeds` is a setting of the simulation.

    Args:
        own: Settings in place of parameters, whose values stand for something else, such as 0 for a usual
            number.

    Raises:
        InputError: For an unknown parameter, or a value of another type than the setting's.
    """
    settings = {name: namespace[name] for name in _known(namespace) if name != "seeds"} | own
    seeds = _items("seeds", namespace["seeds"], int)
    for seed in seeds:
        runs.Simulation(kind, seed, tuple(settings.items()))  # raises for what does not fit
    _warn_of_text(namespace)
    provenance.start()
    return Simulated(kind, seeds, settings)


def parameters(namespace: Mapping[str, Any]) -> Parameters:
    """Check a chapter's parameters; called with globals() in the cell after the tagged one.

    From then on, the runs that the chapter reads are recorded, and figures show the alphas that the chapter
    was given beyond its default in colours of their own.

    Papermill only warns about an unknown parameter. Here it is an error: every name in the namespace beyond
    the annotated names of the parameters cell was injected.

    Raises:
        InputError: For an unknown parameter, a wrong type, a value out of range, or a model that does not fit
            the data set.
    """
    known = _known(namespace)
    dataset, model = namespace["dataset"], namespace["model"]
    if not isinstance(dataset, str):
        raise InputError(f"parameter 'dataset' must be a name, got {dataset!r}")
    model = usual_model(dataset) if model == "usual" else model
    given = Parameters(
        dataset=dataset,
        model=model,
        alphas=_items("alphas", namespace["alphas"], float),
        seeds=_items("seeds", namespace["seeds"], int),
        recipe=namespace["recipe"],
        epochs=own_epochs(dataset, model, namespace["recipe"], namespace["epochs"])
        if "epochs" in known
        else None,
        variants=_variants(namespace["variants"]) if "variants" in known else (),
        pgd_seeds=_items("pgd_seeds", namespace["pgd_seeds"], int) if "pgd_seeds" in known else None,
    )
    if given.pgd_seeds and (alone := [seed for seed in given.pgd_seeds if seed not in given.seeds]):
        raise InputError(
            f"parameter 'pgd_seeds' must hold some of 'seeds', whose plain networks PGD training is "
            f"compared with, got {alone[0]}; give both"
        )
    _ = given.trainings  # raises for what does not fit together
    _warn_of_text(namespace)
    ask(added(namespace.get("In", ()), given.alphas))
    provenance.start()
    return given
