"""Catalogue of all cached runs: what each is, where and when it was made, and whether it can still be
trusted.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lib import measurements, models
from lib.base import paths
from lib.base.errors import InputError
from lib.base.files import Unfit, there, unreadable
from lib.base.files import damaged as files_damaged
from lib.base.text import printable
from lib.runs import columns, equivalence, images, provenance, simulations, store, validity
from lib.runs.run import config
from lib.runs.simulation import GROUP
from lib.runs.tables import network_selectivity
from lib.training.training import Training, described


def _status(folder: Path) -> dict[str, object]:
    """One row of the catalogue; damage is a value in it, not an error."""
    damaged: dict[str, object] = {"status": "damaged", "run": str(folder.relative_to(paths.runs()))}
    try:
        run = store.Folder(folder)
        if folder.parent.name == GROUP:
            return damaged | simulations.row(run)
        run.verify()
        row, facts = damaged | _facts(run), config(run)
    except InputError as error:
        return damaged | {"note": str(error)}
    # its checksum is right, so another library wrote it, or somebody by hand
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return damaged | {
            "note": f"damaged: {folder} is not what this library writes ({error!r}); restore it (git "
            f"checkout) or delete it"
        }
    if not _at_home(folder, facts):
        return row | {"status": "damaged", "note": _misplaced(folder, facts)}
    if row["model"] not in models.MODELS:
        return row | {"status": "stale", "note": f"the library has no model {row['model']!r} any more"}
    training = described(facts["training"])
    stale = sorted(_stale(run, training, row["model"]))
    return row | (
        {"status": "stale", "note": f"changed since it was made: code of {', '.join(stale)}"}
        if stale
        else {"note": ""}
    )


def _at_home(folder: Path, facts: dict[str, dict[str, Any]]) -> bool:
    """Whether a run lies where its name says; of one that today's recipes do not describe, only the group is
    known.
    """
    named = facts["training"]
    if training := described(named):
        return folder == paths.runs() / training.name
    in_group = folder.parent == paths.runs() / f"{named['dataset']}-{named['model']}"
    return in_group and bool(_RUN_NAME.fullmatch(folder.name))


def _misplaced(folder: Path, facts: dict[str, dict[str, Any]]) -> str:
    training = described(facts["training"])
    name = training.name if training else "of another name"
    if training and there(paths.runs() / name):
        way_out = f"move the copy out of {paths.runs()}"
        return f"damaged: {folder} is a copy of the run {name}, which is in its place too; {way_out}"
    return f"damaged: {folder} holds the run {name}; give it its name back"


def _facts(run: store.Folder) -> dict[str, object]:
    """Columns of the catalogue that are read from a run's files."""
    facts, units = config(run), measurements.file_name("selectivity", {})
    known = [
        file for file, entry in run.files.items() if entry.get("measurement") in measurements.MEASUREMENTS
    ]
    frames = {file: _frame(run, file) for file in known if file == units or not _readable(run, file)}
    named, result, made = facts["training"], facts["result"], facts["provenance"]
    # so that rows can be sorted, whatever they hold
    kinds = {"dataset": str, "model": str, "alpha": float, "seed": int, "recipe": str}
    row = {name: kind(named[name]) for name, kind in kinds.items()}
    training = described(named)
    row |= {
        "variant": training.way if training else str(named.get("variant", {"name": "plain"})["name"]),
        "epochs": named["settings"]["epochs"],
    }
    row |= {name: result[name] for name in ("clean_accuracy", "status")}
    row |= {name: made[name] for name in ("engine", "device", "commit", "torch", "seconds", "date")}
    tables = sorted(str(entry["measurement"]) for entry in run.files.values() if "measurement" in entry)
    row |= {"weights": validity.WEIGHTS in run, "tables": ", ".join(tables)}
    if units in run:
        row["mean_selectivity"] = float(network_selectivity(frames[units].assign(run=0), ["run"]).iloc[0])
    return row


_READABLE: set[str] = set()  # checksums of contents that this process has read as tables


def _readable(run: store.Folder, file: str) -> bool:
    return run.files[file]["sha256"] in _READABLE


def _frame(run: store.Folder, file: str) -> pd.DataFrame:
    try:
        rows = columns.frame(run.read(file))
    except Unfit as error:
        raise files_damaged(run.path / file, str(error)) from None
    _READABLE.add(run.files[file]["sha256"])
    return rows


class Result(NamedTuple):
    """A result in a run that depends on code: the training, or a table."""

    kind: str  # "training" or "table"
    name: str  # "training", or the measurement
    file: str
    old: str  # digest of the code that made it
    new: str  # digest of today's code; "" for a measurement that the library no longer has
    # what `samecode` keeps evidence apart by: model, and variant, recipe and engine or measurement, device,
    # torch
    about: dict[str, str]


def results(run: store.Folder, training: Training | None, model: str) -> Iterator[Result]:
    """Results of a run: the training, if today's recipes still describe it, then every table."""
    if training:
        made = config(run)["provenance"]
        about = {"model": model, "variant": training.variant, "recipe": training.recipe} | _of(
            made, "engine", "device", "torch"
        )
        yield Result(
            "training",
            "training",
            validity.HISTORY,
            made.get("code", ""),
            provenance.training_digest(training),
            about,
        )
    for file, entry in run.files.items():
        if name := entry.get("measurement"):
            new = provenance.table_digest(name, model) if name in measurements.MEASUREMENTS else ""
            about = {"model": model, "measurement": name} | _of(
                entry.get("provenance", {}), "device", "torch"
            )
            yield Result("table", name, file, entry.get("code", ""), new, about)


def _stale(run: store.Folder, training: Training | None, model: str) -> Iterator[str]:
    """Parts of a run that were made by other code than today's and are not known to come out the same:
    recipe, training, and names of tables.
    """
    if training is None:
        yield "recipe"
    for one in results(run, training, model):
        if not current(one):
            yield one.name


def current(result: Result) -> bool:
    """Whether today's code has made a result, or is known to give the same."""
    return bool(result.new) and equivalence.same(result.kind, result.old, result.new, **result.about)


def _of(made: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: made.get(name, "") for name in names}


COLUMNS = [
    "dataset",
    "model",
    "alpha",
    "seed",
    "recipe",
    "variant",
    "epochs",
    "clean_accuracy",
    "mean_selectivity",
    "device",
    "commit",
    "date",
    "status",
    "engine",
    "torch",
    "seconds",
    "tables",
    "weights",
    "run",
    "note",
]
BRIEF = [*COLUMNS[: COLUMNS.index("device")], "date", "status"]  # columns that fit on a screen


def _visible(folder: Path) -> list[Path]:
    """What is in a folder and not hidden, in order.

    Raises:
        InputError: Where that cannot be read.
    """
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if not name.startswith(".")]
    except OSError as error:
        raise unreadable(folder, error) from error


def _is_run(path: Path) -> bool:
    """Whether this is meant to be a run: by its name, by what it holds, or because nobody can tell."""
    try:
        holds = any(there(path / file) for file in (store.MANIFEST, validity.CONFIG))
        return holds or bool(_RUN_NAME.fullmatch(path.name))
    except InputError:
        return True


_RUN_NAME = re.compile(r".+-[0-9a-f]{8}")


def _listed() -> tuple[list[Path], dict[Path, InputError]]:
    """The folders of all runs, whole or not, and what cannot be looked into, each with its error."""
    root = paths.runs()
    found: list[Path] = []
    closed: dict[Path, InputError] = {}
    if not there(root):
        return [], {}
    for group in _visible(root):
        try:
            if stat.S_ISDIR(os.stat(group).st_mode):
                found += [group] if there(group / store.MANIFEST) else filter(_is_run, _visible(group))
        except InputError as error:
            closed[group] = error
        except OSError as error:
            closed[group] = unreadable(group, error)
    return found, closed


def catalogue() -> pd.DataFrame:
    """List the cached runs, damaged and stale ones included. Files are verified, nothing is made.

    Returns:
        One row per run with the columns of `COLUMNS`. The status is ok, diverged (kept as a result), stale
        (library code or recipe has changed since; the note says which) or damaged (the note names the file).
    """
    found, closed = _listed()
    known = [_status(folder) for folder in found]
    for folder, error in closed.items():
        known.append({"status": "damaged", "run": folder.name, "note": str(error)})
    for row in known:  # names of folders may hold anything
        row |= {name: printable(str(row[name])) for name in ("run", "note")}
    rows = pd.DataFrame(known, columns=COLUMNS)
    return rows.sort_values(
        ["dataset", "model", "recipe", "variant", "alpha", "seed", "run"], ignore_index=True
    )


def refuse_damaged(rows: pd.DataFrame) -> None:
    """Stop if the catalogue holds a damaged run.

    Raises:
        InputError: That names the file and says how many more there are.
    """
    notes = rows[rows.status == "damaged"].note.tolist()
    if notes:
        raise InputError(notes[0] + (f" (and {len(notes) - 1} more damaged runs)" if len(notes) > 1 else ""))


def folders() -> list[Path]:
    """The folders of all trained networks in their places, in order, and of damaged ones: whoever reads those
    meets the damage. Those of simulations are not among them.
    """

    def in_place(folder: Path) -> bool:
        if folder.parent.name == GROUP:
            return False
        try:
            return _at_home(folder, config(store.Folder(folder)))
        except InputError:
            return bool(_RUN_NAME.fullmatch(folder.name))

    return sorted(filter(in_place, _listed()[0]))


def trainings() -> list[Training]:
    """The training of every cached run that today's recipes describe.

    Raises:
        InputError: For a damaged run.
    """
    for error in _listed()[1].values():
        raise error
    found = [described(config(store.Folder(folder))["training"]) for folder in folders()]
    return sorted(
        (training for training in found if training),
        key=lambda t: (t.dataset, t.model, t.recipe, t.way, t.alpha, t.seed),
    )


def named(name: str) -> Training:
    """The training of a cached run.

    Args:
        name: Its name as `python -m lib runs` lists it, or the last part of it, or its key.

    Raises:
        InputError: There is none of that name, or the run is damaged.
    """
    for training in trainings():
        if name.strip("/") in (training.name, training.name.split("/")[1], training.key):
            return training
    raise InputError(f"no run {name!r} in {paths.runs()}; python -m lib runs --csv lists those there are")


def bases() -> list[images.Basis]:
    """The images that the cached runs and their tables are about; runs that cannot be read are left out."""
    found: list[images.Basis] = []
    for folder in folders():
        with suppress(InputError):
            run = store.Folder(folder)
            name, facts = str(folder.relative_to(paths.runs())), config(run)
            found += images.of_run(name, facts)
            tables = {file: entry for file, entry in run.files.items() if "measurement" in entry}
            found += [images.of_table(name, facts, *table) for table in tables.items()]
    return found
