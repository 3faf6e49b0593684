"""Simulations in the store: made where they are missing, kept with their tables like networks, and listed."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from lib.base import fingerprint, malloc, paths
from lib.base.errors import InputError, unknown
from lib.base.files import Unfit, damaged, parsed, there
from lib.base.locks import lock
from lib.measurements.measurement import Column
from lib.models.precision import exact, single_precision_by_default
from lib.runs import named, provenance, store
from lib.runs.columns import checked_frame
from lib.runs.fields import PART, SIMULATED, Field, check_fields, is_count, is_plain, is_text
from lib.runs.kinds import SIMULATIONS, Setting
from lib.runs.run import as_parquet, frozen
from lib.runs.simulation import GROUP, Simulation, described
from lib.runs.validity import CONFIG

NAMED = {
    "simulation": Field(is_text),
    "seed": Field(is_count),
    "settings": Field(lambda value: isinstance(value, dict) and all(map(is_plain, value.values()))),
}


def simulated(kind: str, table: str, *, seeds: Iterable[int], **settings: Setting) -> pd.DataFrame:
    """Tidy table of a simulation over several seeds; what is cached is read, what is missing is made now.

    Args:
        kind: Name of the simulation.
        table: Name of one of its tables.
        seeds: Seeds, one run each.
        settings: Settings in place of the kind's own.

    Returns:
        The table; its columns simulation, seed and those of the settings come first. Runs that other code
        than today's has made are named on stderr, once a process.

    Raises:
        InputError: For an unknown kind, table or setting, for what is missing under RUNS_FROZEN=1, and for
            damaged files.
    """
    wanted = [Simulation(kind, seed, tuple(settings.items())) for seed in dict.fromkeys(seeds)]
    if not wanted:
        raise InputError("need at least one seed, got none")
    if table not in SIMULATIONS[kind].tables:
        raise unknown(f"table of {kind}", table, SIMULATIONS[kind].tables)
    rows = pd.concat([_rows(one, table) for one in wanted], ignore_index=True)
    _warn_of_stale(wanted)
    return rows


def _warn_of_stale(ones: Iterable[Simulation]) -> None:
    """Say on stderr which of these other code than today's has made."""
    from lib.runs import staleness  # which judges by the catalogue, and that lists simulations

    staleness.tell("simulation", stale(ones))


def stale(ones: Iterable[Simulation]) -> list[str]:
    """Names of the cached simulations among these that other code than today's has made."""
    found = {one: run for one in ones if (run := find(one))}
    codes = {kind: digest(kind) for kind in {one.kind for one in found}}
    return [one.name for one, run in found.items() if config(run)["provenance"]["code"] != codes[one.kind]]


def make(one: Simulation) -> store.Folder:
    """Folder of a simulation, which is run now if it is not cached.

    Raises:
        InputError: If it is missing under RUNS_FROZEN=1, is damaged, or cannot be written.
    """
    if run := find(one):
        return run
    if frozen():
        raise InputError(f"RUNS_FROZEN=1 and simulation {one.name} not cached; unset it to make it")
    malloc.keep_memory()
    root = paths.runs()
    with lock(root, one.key):
        if run := find(one):
            return run
        start, code, commit = time.monotonic(), digest(one.kind), provenance.commit()
        with exact(), single_precision_by_default():
            tables = SIMULATIONS[one.kind].function(seed=one.seed, **dict(one.settings))
        columns = SIMULATIONS[one.kind].tables
        given, promised = ({name: list(rows) for name, rows in part.items()} for part in (tables, columns))
        if given != promised:
            raise InputError(f"simulation {one.kind} gives the columns {given}, its line says {promised}")
        made = provenance.provenance("cpu", time.monotonic() - start) | {"commit": commit, "code": code}
        facts = {"simulation": one.canonical(), "provenance": made}
        content = {f"{name}.parquet": as_parquet(rows) for name, rows in tables.items()}
        content[CONFIG] = json.dumps(facts, indent=1).encode() + b"\n"
        return store.create(root / one.name, content)


def find(one: Simulation) -> store.Folder | None:
    """Folder of a simulation, if it is cached.

    Raises:
        InputError: It is damaged, or of another simulation than its name says.
    """
    return named.find(one, lambda run: config(run)["simulation"], "simulation")


def cached(kind: str) -> list[Simulation]:
    """The simulations of a kind that are cached, stale ones among them, in the order of their names.

    Raises:
        InputError: For an unknown kind, or a damaged run.
    """
    if kind not in SIMULATIONS:
        raise unknown("simulation", kind, SIMULATIONS)
    group = paths.runs() / GROUP
    folders = sorted(group.glob(f"{kind}-*")) if there(group) else []
    runs = (store.Folder(folder) for folder in folders if there(folder / store.MANIFEST))
    found = [described(config(run)["simulation"]) for run in runs]
    return [one for one in found if one and one.kind == kind]


def _rows(one: Simulation, table: str) -> pd.DataFrame:
    run, file = make(one), f"{table}.parquet"
    provenance.note(one, file)
    rows = _checked(run, file, SIMULATIONS[one.kind].tables[table])
    for place, (name, value) in enumerate(
        {"simulation": one.kind, "seed": one.seed, **dict(one.settings)}.items()
    ):
        rows.insert(place, name, value)
    return rows


def digest(kind: str) -> str:
    """Digest of the code that decides a kind of simulation."""
    return fingerprint.digest([SIMULATIONS[kind].function])


def config(run: store.Folder) -> dict[str, dict[str, Any]]:
    """The verified config.json of a simulation: "simulation" and "provenance".

    Raises:
        InputError: For any other file.
    """
    try:
        facts = parsed(run.read(CONFIG))
        check_fields("the file", facts, dict.fromkeys(("simulation", "provenance"), PART))
        check_fields("simulation", facts["simulation"], NAMED)
        check_fields("provenance", facts["provenance"], SIMULATED)
    except Unfit as error:
        raise damaged(run.path / CONFIG, str(error)) from None
    return facts


def _check_tables(run: store.Folder, kind: str) -> None:
    """Raise InputError unless a simulation has just the tables of its kind, each with its columns."""
    tables = {f"{name}.parquet": columns for name, columns in SIMULATIONS[kind].tables.items()}
    if odd := sorted(run.files.keys() ^ {CONFIG, *tables}):
        what = (
            f"{'names' if odd[0] in run.files else 'does not name'} {odd[0]}, and the tables of {kind} are "
        )
        raise damaged(run.path / store.MANIFEST, what + ", ".join(sorted(tables)))
    for file, columns in tables.items():
        _checked(run, file, columns)


def _checked(run: store.Folder, file: str, columns: Mapping[str, Column]) -> pd.DataFrame:
    """The rows of a table of a simulation.

    Raises:
        InputError: It is damaged, or has other columns.
    """
    try:
        return checked_frame(run.read(file), columns)
    except Unfit as error:
        raise damaged(run.path / file, str(error)) from None


def row(run: store.Folder) -> dict[str, object]:
    """What the catalogue says of a simulation: columns of `catalogue.COLUMNS`.

    Raises:
        InputError: For a damaged file.
    """
    run.verify()
    facts = config(run)
    about, made = facts["simulation"], facts["provenance"]
    one = described(about)
    tables = sorted(file.removesuffix(".parquet") for file in run.files if file != CONFIG)
    found: dict[str, object] = {
        "dataset": GROUP,
        "model": about["simulation"],
        "alpha": math.nan,
        "seed": about["seed"],
        "recipe": "",
        "variant": one.words if one else "",
        "epochs": 0,
        "clean_accuracy": math.nan,
        "engine": "",
        "weights": False,
        "tables": ", ".join(tables),
        "status": "ok",
        "note": "",
    }
    found |= {name: made[name] for name in ("device", "commit", "torch", "seconds", "date")}
    if one is None:
        return found | {"status": "stale", "note": "the library has no such simulation any more"}
    if run.path != paths.runs() / one.name:
        return found | {
            "status": "damaged",
            "note": f"damaged: {run.path} holds the run {one.name}; give it its name back",
        }
    if made["code"] != digest(one.kind):
        note = "changed since it was made: code of the simulation; delete it to make it again"
        return found | {"status": "stale", "note": note}
    _check_tables(run, one.kind)
    return found
