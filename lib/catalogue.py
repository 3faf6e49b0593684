"""All cached runs at a glance: what each is, where and when it was made, and whether it can still be trusted."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd

from lib import measurements, models, paths, runs, store
from lib.errors import InputError
from lib.recipes import Training


def _status(folder: Path) -> dict[str, object]:
    """One row of the catalogue; damage is a value in it, not an error."""
    row: dict[str, object] = {"status": "damaged", "run": str(folder.relative_to(paths.runs())), "note": ""}
    try:
        run = store.Folder(folder)
        run.verify()
        facts = runs.config(run)
    except InputError as error:
        return row | {"note": str(error)}
    named, result, made = facts["training"], facts["result"], facts["provenance"]
    row |= {name: named[name] for name in ("dataset", "model", "alpha", "seed", "recipe")}
    row |= {"variant": named.get("variant", {"name": "plain"})["name"]}
    row |= {"epochs": named["settings"]["epochs"], "clean_accuracy": result["clean_accuracy"], "status": result["status"]}
    row |= {name: made[name] for name in ("engine", "device", "commit", "torch", "seconds", "date")}
    row |= {"weights": runs.WEIGHTS in run, "tables": ", ".join(sorted(entry["measurement"] for entry in run.files.values() if "measurement" in entry))}
    units = measurements.file_name("selectivity", {})
    if units in run:
        row["mean_selectivity"] = float(runs.network_selectivity(pd.read_parquet(io.BytesIO(run.read(units))).assign(run=0), ["run"]).iloc[0])
    if named["model"] not in models.MODELS:
        return row | {"status": "stale", "note": f"the library has no model {named['model']!r} any more"}
    training = _training(named)
    stale = ["training"] if training and made["code"] != runs.training_digest(training) else []
    for entry in run.files.values():
        name = entry.get("measurement")
        if name and (name not in measurements.MEASUREMENTS or entry["code"] != runs.table_digest(name, named["model"])):
            stale.append(name)
    if training is None:
        stale.append("recipe")
    elif folder != paths.runs() / training.name:
        return row | {"status": "damaged", "note": f"damaged: {folder} holds the run {training.name}; give it its name back"}
    if stale:
        row |= {"status": "stale", "note": f"changed since it was made: code of {', '.join(sorted(stale))}"}
    return row


def _training(named: dict[str, object]) -> Training | None:
    """The Training a config.json describes, or None when today's recipes no longer describe it."""
    fields = {name: named[name] for name in ("dataset", "model", "alpha", "seed", "recipe")}
    try:
        for epochs in (None, named["settings"]["epochs"]):
            training = Training(**fields, epochs=epochs, variant=named.get("variant", {"name": "plain"})["name"])
            if json.dumps(training.canonical(), sort_keys=True) == json.dumps(named, sort_keys=True):
                return training
    except InputError:
        pass
    return None


COLUMNS = [
    "dataset", "model", "alpha", "seed", "recipe", "variant", "epochs", "clean_accuracy", "mean_selectivity", "device", "commit", "date", "status",
    "engine", "torch", "seconds", "tables", "weights", "run", "note",
]  # fmt: skip


def catalogue() -> pd.DataFrame:
    """One row a cached run, damaged and stale ones included, with the columns of `COLUMNS`; files are verified, nothing is made.

    status  ok, diverged (kept as a result), stale (library code or recipe changed since; the note says what), damaged (the note names the file)
    """
    folders = {file.parent for name in (store.MANIFEST, runs.CONFIG) for file in paths.runs().glob(f"*/*/{name}")}
    rows = pd.DataFrame([_status(folder) for folder in folders], columns=COLUMNS)
    return rows.sort_values(["dataset", "model", "recipe", "variant", "alpha", "seed", "run"], ignore_index=True)


def refuse_damaged(rows: pd.DataFrame) -> None:
    """Raise InputError when the catalogue holds a damaged run, naming the file and how many more there are."""
    notes = rows[rows.status == "damaged"].note.tolist()
    if notes:
        raise InputError(notes[0] + (f" (and {len(notes) - 1} more damaged runs)" if len(notes) > 1 else ""))


def cached() -> list[Training]:
    """The training of every cached run that today's recipes describe; raises InputError at a damaged one."""
    folders = sorted(file.parent for file in paths.runs().glob(f"*/*/{store.MANIFEST}"))
    found = [_training(runs.config(store.Folder(folder))["training"]) for folder in folders]
    return sorted((training for training in found if training), key=lambda t: (t.dataset, t.model, t.recipe, t.variant, t.alpha, t.seed))
