"""Provenance of a figure, as a fold-out below it: the runs that were read, what was read of each, and where
they were made.
"""

from __future__ import annotations

import hashlib
import html
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from lib import runs
from lib.base import paths
from lib.base.errors import InputError
from lib.base.text import number
from lib.runs import simulations, staleness, store
from lib.runs.named import Named
from lib.runs.run import folder as run_folder
from lib.runs.simulation import Simulation
from lib.training import variants
from lib.training.training import Training

# the chapter that lists every run; `lib.book.page_source` turns the link into one to its page
RUNS_PAGE = "19-runs.ipynb"
MARK = '<details class="made-from">'  # begin of the fold-out
# files that are no tables
_KINDS = {runs.CONFIG: "configuration and result", runs.HISTORY: "history", runs.WEIGHTS: "weights"}


def anchor(key: str) -> str:
    """Anchor of a run's row in that chapter."""
    return f"run-{key}"


def chapter_link(name: str) -> str:
    """Relative link to a chapter, such as "05-gradients", from the notebook that is running."""
    file = f"{name}.ipynb"
    return os.path.relpath(paths.CHAPTERS / file) if Path.cwd().is_relative_to(paths.ROOT) else file


def runs_page() -> str:
    """Relative link to the chapter that lists every run."""
    return chapter_link(RUNS_PAGE.removesuffix(".ipynb"))


@dataclass(frozen=True)
class Group:
    """Runs that differ in variant, alpha and seed alone."""

    name: str
    trainings: tuple[Training, ...]
    made: str  # machines and code they were trained with
    read: tuple[str, ...]  # one line per kind of file that was read of them


def _counted(values: Iterable[str]) -> str:
    """The different values, each with how often it occurs where there are several."""
    found = Counter(values)
    return ", ".join(
        f"{value or 'unknown'} ({n})" if len(found) > 1 else value or "unknown"
        for value, n in sorted(found.items())
    )


def _made(facts: list[Mapping[str, Any]]) -> str:
    devices, commits = (_counted(str(one.get(name, "")) for one in facts) for name in ("device", "commit"))
    return f"on {devices}; commit {commits}"


def _line(file: str, entries: list[Mapping[str, Any]]) -> str:
    """What was read under one name: how many, with which settings, and where it was measured."""
    count = "1 run" if len(entries) == 1 else f"{len(entries)} runs"
    if "measurement" not in entries[0]:
        return f"{_KINDS.get(file, file)}: {count}"
    settings = ", ".join(f"{name} = {value}" for name, value in entries[0]["settings"].items())
    return (
        f"table {entries[0]['measurement']}{f' ({settings})' if settings else ''}: {count}, "
        f"measured {_made([one['provenance'] for one in entries])}"
    )


def groups(read: Mapping[Training, tuple[str, ...]]) -> list[Group]:
    """Group the runs of a part of the record by data set, model, recipe and epochs.

    Raises:
        InputError: For a run that has been removed since.
    """
    found = []
    for (dataset, model, recipe, epochs), some in groupby(
        read, key=lambda one: (one.dataset, one.model, one.recipe, one.settings.epochs)
    ):
        folders = {training: run_folder(training) for training in some}
        by_file: dict[str, list[Mapping[str, Any]]] = {}
        for training, folder in folders.items():
            for file in read[training]:
                by_file.setdefault(file, []).append(folder.files.get(file, {}))
        lines = tuple(
            _line(file, by_file[file])
            for file in sorted(by_file, key=lambda file: (file not in _KINDS, file))
        )
        trained = _made([runs.config(folder)["provenance"] for folder in folders.values()])
        found.append(
            Group(f"{model} on {dataset}, {recipe} recipe, {epochs} epochs", tuple(folders), trained, lines)
        )
    return found


def sentence(read: Collection[Named], source: str = "") -> str:
    """Provenance of a figure in a few words."""
    count = "1 run" if len(read) == 1 else f"{len(read)} runs"
    return "from " + " and ".join(([count] if read else []) + ([source] if source else []))


def stale_words(stale: Mapping[str, Collection[str]]) -> str:
    """What `staleness.named` gives in words, for a page."""
    return (
        " and ".join(staleness.described(kind, names) for kind, names in stale.items())
        + " made by other code than today's, which may give other numbers"
    )


def _checked(source: str) -> str:
    """The SHA-256 of a file of the project, shortened."""
    file = paths.ROOT / source
    if not file.is_file():
        raise InputError(f"a figure's source must be a file of the project, got {source!r}")
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def _matrix(group: Group, link: str) -> str:
    """Keys of a group's runs, one row per variant and alpha, one column per seed."""
    seeds, varied = (
        sorted({one.seed for one in group.trainings}),
        any(one.variant != "plain" for one in group.trainings),
    )
    cells = {(one.variant, one.alpha, one.seed): one.key for one in group.trainings}
    head = "".join(f'<th scope="col">seed {seed}</th>' for seed in seeds)
    rows = []
    for variant, alpha in dict.fromkeys(key[:2] for key in cells):
        name = (f"{variants.variant(variant).label}, " if varied else "") + f"α = {number(alpha)}"
        keys = (cells.get((variant, alpha, seed)) for seed in seeds)
        ids = "".join(
            f'<td><a href="{link}#{anchor(key)}">{key}</a></td>' if key else "<td></td>" for key in keys
        )
        rows.append(f'<tr><th scope="row">{html.escape(name)}</th>{ids}</tr>')
    label = html.escape(f"Runs of {group.name}", quote=True)
    body = "".join(rows)
    return (
        f'<table class="table" aria-label="{label}"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _cached(one: Named) -> store.Folder:
    return store.Folder(paths.runs() / one.name)


def _kind(one: Named) -> str:
    return str(one.canonical()["simulation"])


def _simulated(
    simulated: Mapping[Named, tuple[str, ...]], facts: Mapping[Named, Mapping[str, Any]], link: str
) -> str:
    """Simulations as a list: one item for those that differ in the seed alone, with links and tables."""
    items = []
    for (kind, words), some in groupby(simulated, key=lambda one: (_kind(one), getattr(one, "words", ""))):
        alike = list(some)
        ids = ", ".join(
            f'seed {one.canonical()["seed"]} <a href="{link}#{anchor(one.key)}">{one.key}</a>'
            for one in alike
        )
        tables = ", ".join(
            sorted({file.removesuffix(".parquet") for one in alike for file in simulated[one]})
        )
        made = html.escape(_made([facts[one] for one in alike]))
        name = html.escape(f"{kind}{f', {words}' if words else ''}")
        items.append(f"<li>simulation {name}: {ids}; tables {html.escape(tables)}; made {made}</li>")
    return f"<ul>{''.join(items)}</ul>"


def bundle(
    name: str,
    read: Mapping[Training, tuple[str, ...]],
    *,
    simulated: Mapping[Named, tuple[str, ...]] | None = None,
    source: str = "",
    linked: bool = True,
) -> dict[str, str]:
    """Fold-out of a figure by MIME type: HTML for pages and notebooks, one sentence for print.

    Args:
        name: Label of the figure, such as "fig-selectivity".
        read: The part of the record that it is made from, from `provenance.of`.
        simulated: Result of `provenance.simulations_so_far`.
        source: File of the project that the figure's numbers are from, if they are from no run.
        linked: Whether the build gives the cell that draws it the id to link to, as it does for pictures.

    Raises:
        InputError: If there is neither, or if the file does not exist.
    """
    simulated = simulated or {}
    if not read and not simulated and not source:
        raise InputError(
            f"figure {name!r} has read no run; say which tables it is made from, "
            f"show(..., read=here.read(...)), or which file of the project: show(..., source=...)"
        )
    words = f"Made {sentence([*read, *simulated], source)} ({name})"
    link, parts = html.escape(runs_page(), quote=True), []
    if source:
        parts.append(
            f"<p>The file <code>{html.escape(source)}</code> of this project, SHA-256 "
            f"<code>{_checked(source)}</code>….</p>"
        )
    facts = {one: simulations.config(_cached(one))["provenance"] for one in simulated}
    stale = staleness.named(staleness.of(read))
    if old := simulations.stale(one for one in simulated if isinstance(one, Simulation)):
        stale["simulation"] = old
    warning = f"Stale: {stale_words(stale)}. " if stale else ""
    found = groups(read)
    for group in found:
        parts.append(f"<p><strong>{html.escape(group.name)}</strong>, trained {html.escape(group.made)}.</p>")
        parts.append(_matrix(group, link))
        parts.append("<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in group.read) + "</ul>")
    if simulated:
        parts.append(_simulated(simulated, facts, link))
    if read or simulated:
        parts.append(f'<p>Each is listed under <a href="{link}">Cached runs</a>.</p>')
    if linked:
        code = f"#{html.escape(name, quote=True)}-code"
        parts.append(f'<p>The code that draws it: <a href="{code}">the cell above the figure</a>.</p>')
    plain = warning + words + "".join(f"; {group.name}, trained {group.made}" for group in found)
    plain += (f"; simulations, made {_made(list(facts.values()))}" if simulated else "") + "."
    marked = f'<p class="stale">{html.escape(warning.strip())}</p>\n' if warning else ""
    markup = f"{marked}{MARK}<summary>{html.escape(words)}</summary>\n" + "\n".join(parts) + "\n</details>"
    return {"text/html": markup, "text/plain": plain}
