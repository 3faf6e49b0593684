"""Repeat a cached result with today's code and compare every bit."""

from __future__ import annotations

import hashlib
import io
import json

import pandas as pd
import torch

from lib import data
from lib.models.precision import exact
from lib.runs import validity
from lib.runs.groups import Member
from lib.runs.run import as_files, as_parquet, network_of, parent_weights
from lib.runs.tables import measure
from lib.training.engine import best_engine
from lib.training.loop import accuracy, train


class _Enough(Exception):
    """Raised to end a training that has been repeated far enough."""


def training(member: Member, epochs: int) -> tuple[list[dict[str, object]], str]:
    """Compare a training with itself repeated: each epoch's numbers, and at its end the weights and the
    result.

    Args:
        member: The run.
        epochs: Number of epochs to repeat of a training that is not repeated whole.

    Returns:
        What was found equal, and what differs first, of which one is empty.
    """
    asked, result = member.training, member.config["result"]
    recorded, rows, wanted = _read(member.run.read(validity.HISTORY)), [], member.epochs(epochs)
    of, engine = result["epochs_run"], best_engine(asked)

    def watch(row: dict[str, float]) -> None:
        rows.append(row)
        if len(rows) == wanted < of:
            raise _Enough

    try:
        trained = train(asked, engine, parent=parent_weights(asked), on_epoch=watch, progress=False)
    except _Enough:
        trained = None
    found = [{"what": "history", "epochs": len(rows), "of": of}]
    if differs := difference(
        recorded if trained else recorded.head(wanted), _read(as_parquet(pd.DataFrame(rows)))
    ):
        return [], f"its history, {differs}"
    if trained:
        weights = as_files(trained, asked, "", "")[validity.WEIGHTS]
        if hashlib.sha256(weights).hexdigest() != member.run.files[validity.WEIGHTS]["sha256"]:
            return [], "its weights"
        facts = [json.dumps({**one, "seconds": 0}, sort_keys=True) for one in (result, trained.result)]
        if facts[0] != facts[1]:
            return [], f"its result, {facts[0]} recorded, {facts[1]} today"
        return [*found, *({"what": what, "epochs": of, "of": of} for what in ("weights", "result"))], ""
    if validity.WEIGHTS in member.run:
        with exact(fastest=engine.captured):  # as in `train`
            test = data.load(asked.dataset, "test").without(asked.without)
            clean = accuracy(network_of(asked, member.run).to(engine.device), test)
        if clean != result["clean_accuracy"]:
            return [], f"its accuracy on the test set, {result['clean_accuracy']} recorded, {clean} today"
        found.append({"what": "clean_accuracy"})
    return found, ""


def table(member: Member, measurement: str) -> tuple[list[dict[str, object]], str]:
    """Compare a table with itself made again.

    Args:
        member: The run, and the file of its table.
        measurement: Its name.

    Returns:
        What was found equal, and what differs first, of which one is empty.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    made = measure(
        measurement, member.training, member.run, member.run.files[member.file]["settings"], device
    )
    return [{"what": "table"}], difference(_read(member.run.read(member.file)), _read(as_parquet(made)))


def _read(content: bytes) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(content))


def difference(recorded: pd.DataFrame, today: pd.DataFrame) -> str:
    """First difference between two tables, compared bit for bit; "" if there is none."""
    shapes = [
        f"{len(one)} rows of {', '.join(f'{name} {kind}' for name, kind in one.dtypes.items())}"
        for one in (recorded, today)
    ]
    if shapes[0] != shapes[1]:
        return f"{shapes[0]} recorded, {shapes[1]} today"
    for name in recorded:
        for row, (old, new) in enumerate(
            zip(recorded[name].tolist(), today[name].tolist(), strict=True), start=1
        ):
            if repr(old) != repr(new):  # repr is exact for numbers, tells -0.0 from 0.0, and NaN is NaN
                return f"{name} in row {row}: {old!r} recorded, {new!r} today"
    return ""
