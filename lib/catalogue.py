"""All cached runs at a glance: what each is, where and when it was made, and whether it can still be trusted."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from lib import measurements, models, origin, paths, recipes, runs, samecode, store
from lib.errors import InputError
from lib.recipes import Training


def _status(folder: Path) -> dict[str, object]:
    """One row of the catalogue; damage is a value in it, not an error."""
    damaged: dict[str, object] = {"status": "damaged", "run": str(folder.relative_to(paths.runs()))}
    try:
        run = store.Folder(folder)
        run.verify()
        row, facts = damaged | _facts(run), runs.config(run)
    except InputError as error:
        return damaged | {"note": str(error)}
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # whole, so another library wrote it, or somebody by hand
        return damaged | {"note": f"damaged: {folder} is not what this library writes ({error!r}); restore it (git checkout) or delete it"}
    if row["model"] not in models.MODELS:
        return row | {"status": "stale", "note": f"the library has no model {row['model']!r} any more"}
    training = recipes.described(facts["training"])
    if training and folder != paths.runs() / training.name:
        return row | {"status": "damaged", "note": f"damaged: {folder} holds the run {training.name}; give it its name back"}
    stale = sorted(_stale(run, training, row["model"]))
    return row | ({"status": "stale", "note": f"changed since it was made: code of {', '.join(stale)}"} if stale else {"note": ""})


def _facts(run: store.Folder) -> dict[str, object]:
    """The columns that are read from a run's files."""
    facts, units = runs.config(run), measurements.file_name("selectivity", {})
    named, result, made = facts["training"], facts["result"], facts["provenance"]
    kinds = {"dataset": str, "model": str, "alpha": float, "seed": int, "recipe": str}  # so that rows can be sorted, whatever they hold
    row = {name: kind(named[name]) for name, kind in kinds.items()}
    row |= {"variant": str(named.get("variant", {"name": "plain"})["name"]), "epochs": named["settings"]["epochs"]}
    row |= {name: result[name] for name in ("clean_accuracy", "status")}
    row |= {name: made[name] for name in ("engine", "device", "commit", "torch", "seconds", "date")}
    row |= {"weights": runs.WEIGHTS in run, "tables": ", ".join(sorted(entry["measurement"] for entry in run.files.values() if "measurement" in entry))}
    if units in run:
        row["mean_selectivity"] = float(runs.network_selectivity(pd.read_parquet(io.BytesIO(run.read(units))).assign(run=0), ["run"]).iloc[0])
    return row


class Result(NamedTuple):
    """What a run holds that code has decided: the training, or a table."""

    kind: str  # "training" or "table"
    name: str  # "training", or the measurement
    file: str
    old: str  # digest of the code that made it
    new: str  # of today's; "" for a measurement that the library has no more
    about: dict[str, str]  # on what `samecode` keeps evidence apart: model, and variant, recipe and engine or measurement, device, torch


def results(run: store.Folder, training: Training | None, model: str) -> Iterator[Result]:
    """The training, where the recipes still describe it, then every table."""
    if training:
        made = runs.config(run)["provenance"]
        about = {"model": model, "variant": training.variant, "recipe": training.recipe} | _of(made, "engine", "device", "torch")
        yield Result("training", "training", runs.HISTORY, made.get("code", ""), origin.training_digest(training), about)
    for file, entry in run.files.items():
        if name := entry.get("measurement"):
            new = origin.table_digest(name, model) if name in measurements.MEASUREMENTS else ""
            about = {"model": model, "measurement": name} | _of(entry.get("provenance", {}), "device", "torch")
            yield Result("table", name, file, entry.get("code", ""), new, about)


def _stale(run: store.Folder, training: Training | None, model: str) -> Iterator[str]:
    """What of a run was made by other code than today's, and is not known to come out the same: recipe, training, and names of tables."""
    if training is None:
        yield "recipe"
    for one in results(run, training, model):
        if not (one.new and samecode.same(one.kind, one.old, one.new, **one.about)):
            yield one.name


def _of(made: dict[str, object], *names: str) -> dict[str, object]:
    return {name: made.get(name, "") for name in names}


COLUMNS = [
    "dataset", "model", "alpha", "seed", "recipe", "variant", "epochs", "clean_accuracy", "mean_selectivity", "device", "commit", "date", "status",
    "engine", "torch", "seconds", "tables", "weights", "run", "note",
]  # fmt: skip
BRIEF = [*COLUMNS[: COLUMNS.index("device")], "date", "status"]  # what fits on a screen


def catalogue() -> pd.DataFrame:
    """One row a cached run, damaged and stale ones included, with the columns of `COLUMNS`; files are verified, nothing is made.

    status  ok, diverged (kept as a result), stale (library code or recipe changed since; the note says what), damaged (the note names the file)
    """
    folders = {file.parent for name in (store.MANIFEST, runs.CONFIG) for file in paths.runs().glob(f"*/[!.]*/{name}")}
    rows = pd.DataFrame([_status(folder) for folder in folders], columns=COLUMNS)
    return rows.sort_values(["dataset", "model", "recipe", "variant", "alpha", "seed", "run"], ignore_index=True)


def refuse_damaged(rows: pd.DataFrame) -> None:
    """Raise InputError when the catalogue holds a damaged run, naming the file and how many more there are."""
    notes = rows[rows.status == "damaged"].note.tolist()
    if notes:
        raise InputError(notes[0] + (f" (and {len(notes) - 1} more damaged runs)" if len(notes) > 1 else ""))


def folders() -> list[Path]:
    """The folders of all whole runs, in order."""
    return sorted(file.parent for file in paths.runs().glob(f"*/[!.]*/{store.MANIFEST}"))


def cached() -> list[Training]:
    """The training of every cached run that today's recipes describe; raises InputError at a damaged one."""
    found = [recipes.described(runs.config(store.Folder(folder)).get("training")) for folder in folders()]
    return sorted((training for training in found if training), key=lambda t: (t.dataset, t.model, t.recipe, t.variant, t.alpha, t.seed))
