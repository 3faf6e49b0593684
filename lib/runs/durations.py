"""Durations of cached trainings and measurements by machine, from which the time of another one is
estimated.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pandas as pd
import torch

from lib.base import paths
from lib.base.errors import InputError
from lib.base.text import duration, machine
from lib.runs import catalogue, provenance, simulations, store, threads
from lib.runs.run import CONFIG, config
from lib.training.engine import Engine
from lib.training.training import Training

NETWORK = ["dataset", "model", "recipe", "epochs", "variant"]


def training() -> pd.DataFrame:
    """Durations of trainings, one row per kind of network and machine.

    Returns:
        A table with the columns NETWORK, engine, device, networks (their number), seconds (their median),
        least and most.
    """
    rows = catalogue.catalogue()
    rows = rows[rows.seconds.notna() & (rows.dataset != simulations.GROUP)]
    return _spread(
        rows.assign(seconds=rows.seconds.astype(float)), [*NETWORK, "engine", "device"], "networks"
    )


def measuring() -> pd.DataFrame:
    """Durations of measurements, one row per measurement, network and machine.

    Returns:
        A table with the columns dataset, model, measurement, device, tables (their number), seconds (their
        median), least and most.
    """
    return _measuring(_all_tables())


def _all_tables() -> list[tuple[str, str, str, str, float]]:
    """Rows of `_tables` of all runs that can be read; the list of runs names what is wrong with others."""
    found = []
    for folder in catalogue.folders():
        with suppress(InputError, LookupError, TypeError, ValueError, AttributeError, OSError):
            found += _tables(folder)
    return found


def _tables(folder: Path) -> list[tuple[str, str, str, str, float]]:
    """Dataset, model, measurement, device and seconds of each table of a run."""
    dataset, model = folder.parent.name.rsplit("-", 1)
    entries = [entry for entry in store.Folder(folder).files.values() if "measurement" in entry]
    made = [(entry["measurement"], entry["provenance"]) for entry in entries]
    return [(dataset, model, name, facts["device"], float(facts["seconds"])) for name, facts in made]


def _measuring(rows: list[tuple[str, str, str, str, float]]) -> pd.DataFrame:
    columns = ["dataset", "model", "measurement", "device"]
    return _spread(pd.DataFrame(rows, columns=[*columns, "seconds"]), columns, "tables")


def expected() -> dict[tuple[str, str, str], float]:
    """Expected seconds of tables on this machine, from cached ones.

    Runs that cannot be read say nothing: whoever asks this wants to make others, and is not to be kept from
    it by damage elsewhere.

    Returns:
        ``{(dataset, model, measurement): median}``.
    """
    rows = _measuring(_all_tables())
    rows = rows[rows.device == provenance.device("cuda" if torch.cuda.is_available() else "cpu")]
    return {(one.dataset, one.model, one.measurement): one.seconds for one in rows.itertuples()}


def _spread(rows: pd.DataFrame, by: list[str], counted: str) -> pd.DataFrame:
    return rows.groupby(by, as_index=False).seconds.agg(
        **{counted: "count"}, seconds="median", least="min", most="max"
    )


def said(rows: pd.DataFrame) -> pd.DataFrame:
    """Format such a table for reading: the median in words, and the range if there are several."""
    pairs = [(_words(low), _words(high)) for low, high in zip(rows.least, rows.most, strict=True)]
    ranges = ["" if low == high else f"{low} to {high}" for low, high in pairs]
    return rows.drop(columns=["seconds", "least", "most"]).assign(**{
        "each takes": [_words(one) for one in rows.seconds],
        "range": ranges,
        "device": rows.device.map(machine),
    })


def _words(seconds: float) -> str:
    return duration(seconds) if seconds >= 1.5 else "about a second"


# ---- of one training --------------------------------------------------------------------------------------


def kind(training: Training) -> str:
    """What trainings of the same duration have in common: all but alpha and seed."""
    facts = training.canonical()
    return json.dumps(
        {name: value for name, value in facts.items() if name not in ("alpha", "seed")}, sort_keys=True
    )


def alike(training: Training, engine: Engine) -> list[float]:
    """Seconds that cached networks which differ in alpha and seed alone took on this device with this
    engine.
    """
    with threads.for_training(training):
        here, found = (provenance.device(engine.device), str(engine)), []
    for file in (paths.runs() / training.name).parent.glob(f"[!.]*/{CONFIG}"):
        # damage there is none of this training's, whatever it is
        with suppress(InputError, LookupError, TypeError, ValueError, AttributeError, OSError):
            facts = config(store.Folder(file.parent))
            named, made = facts["training"], facts["provenance"]
            same = json.dumps(
                {name: value for name, value in named.items() if name not in ("alpha", "seed")},
                sort_keys=True,
            ) == kind(training)
            if (
                same
                and (made["device"], made["engine"]) == here
                and facts["result"]["epochs_run"] == training.settings.epochs
            ):
                found.append(float(made["seconds"]))
    return found
