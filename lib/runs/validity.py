"""What the files of a run must hold: asked of runs that are read or listed, and of all from elsewhere.

A checksum says that a file is what somebody wrote, not that this library wrote it. Each function raises
`store.Unfit` with words that follow the file's name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import safetensors
import safetensors.torch
import torch

from lib import corruptions, data, measurements, models
from lib.base.errors import InputError
from lib.base.files import Unfit, parsed
from lib.corruptions import dataset as corruptions_dataset
from lib.measurements.measurement import FLOAT, PLACE, SHARE
from lib.models.precision import single_precision_by_default
from lib.runs import cells, consistency, store
from lib.runs import images as basis
from lib.runs.columns import TABLE_BYTES, checked_frame, first_line, frame
from lib.runs.fields import (
    CODE,
    IMAGES,
    PART,
    RESULT,
    TRAINED,
    Field,
    check_fields,
    is_count,
    is_number,
    is_plain,
    is_text,
    said_shortly,
)
from lib.runs.rows import check as check_rows
from lib.training.training import Training
from lib.training.training import described as recipe_described

CONFIG, HISTORY, WEIGHTS = "config.json", "history.parquet", "weights.safetensors"
# what a manifest says of a table beside its settings and its provenance
ENTRY = {"measurement": Field(is_text), "code": CODE, basis.FACT: IMAGES._replace(needed=False)}
REQUIRED = {CONFIG, HISTORY, WEIGHTS}  # files that every manifest lists; the weights themselves may be absent
MOST_BYTES = {CONFIG: 2**20, WEIGHTS: 2**29, store.MANIFEST: store.MANIFEST_BYTES}

# ---- config.json -------------------------------------------------------------------------------------------

NAMED: dict[str, Field] = {
    "dataset": Field(is_text),
    "model": Field(is_text),
    "recipe": Field(is_text),
    "alpha": Field(is_number),
    "seed": Field(lambda value: type(value) is int and value >= 0),
    "settings": Field(lambda value: isinstance(value, dict) and is_count(value.get("epochs"))),
}


def config(content: bytes) -> dict[str, dict[str, Any]]:
    """The facts of a config.json: "training", "result" and "provenance", each with the fields in use."""
    facts = parsed(content)
    check_fields("the file", facts, dict.fromkeys(("training", "result", "provenance"), PART))
    # of an earlier recipe, fields that this library has no more; `described` holds it against today's
    check_fields(
        "training",
        facts["training"],
        NAMED,
        others=lambda value: is_plain(value) or isinstance(value, dict | list),
    )
    variant = facts["training"].get("variant", {"name": "plain"})
    if not isinstance(variant, dict) or not is_text(variant.get("name")):
        raise Unfit(f"is not what this library writes: training.variant is {said_shortly(variant)}")
    check_fields("result", facts["result"], RESULT)
    check_fields("provenance", facts["provenance"], TRAINED)
    return facts


def described(facts: Mapping[str, Mapping[str, Any]]) -> Training | None:
    """The training of a config.json, spelled as this library spells it; None when its recipes have none."""
    named = facts["training"]
    training = recipe_described(named)
    # 16 and 16.0, 1 and True are equal, and not the same
    same = training and json.dumps(named, sort_keys=True) == json.dumps(training.canonical(), sort_keys=True)
    return training if same else None


# ---- tables ------------------------------------------------------------------------------------------------

EPOCHS = {"epoch": PLACE, "loss": FLOAT, "selectivity": SHARE, "validation_accuracy": SHARE}


def history(content: bytes, facts: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The history of a training, checked against its configuration: one row per epoch."""
    rows, ran = checked_frame(content, EPOCHS), facts["result"]["epochs_run"]
    if rows.epoch.tolist() != list(range(1, ran + 1)):
        raise Unfit(f"has {len(rows)} rows, not one for each of {ran} epochs")
    return rows


def table(
    measurement: str,
    content: bytes,
    training: Training,
    settings: Mapping[str, Any] | None = None,
    known: bool = False,
) -> None:
    """Check a table that was measured on a network: its columns, that its units are the network's, and that
    its rows are those that the measurement makes.

    Args:
        measurement: What made it.
        content: The table.
        training: Of the network.
        settings: Those of the measurement, where they are not its own.
        known: Whether it is about the images of the data set as published.

    Raises:
        Unfit: It is no such table.
    """
    if measurement not in measurements.MEASUREMENTS:
        frame(content)
        return
    columns = measurements.MEASUREMENTS[measurement].table
    rows = checked_frame(content, columns)
    if {"images", "correct"} <= columns.keys() and (rows.correct > rows.images).any():
        raise Unfit("counts more right answers than images")
    if "class" in columns and rows["class"].nunique() > data.DATASETS[training.dataset][1]:
        raise Unfit(f"has more classes than {training.dataset}")
    if "corruption" in columns and not set(rows.corruption.dropna()) <= {
        corruptions_dataset.CLEAN,
        *corruptions.NAMES,
    }:
        raise Unfit("has corruptions that this library has not")
    if "right" in columns:
        cells.check_bits(rows, data.DATASETS[training.dataset][1])
    if "logits" in columns:
        cells.check_logits(rows, data.DATASETS[training.dataset][1])
    for picture in rows.png if "png" in columns else ():
        cells.check_picture(picture)
    if "layer" in columns:
        cells.check_units(rows, columns, training)
    check_rows(measurement, rows, training, measurements.settled(measurement, dict(settings or {})), known)


# ---- weights -----------------------------------------------------------------------------------------------


def weights(content: bytes, training: Training) -> None:
    """Check that weights fit the network that a training describes: names, shapes, dtypes, finite numbers."""
    with torch.device("meta"), single_precision_by_default():
        network = models.build(training.model, data.DATASETS[training.dataset][1])
    halved = {name for name, parameter in network.named_parameters() if parameter.ndim > 1}
    wanted = {
        name: (tuple(tensor.shape), torch.float16 if name in halved else tensor.dtype)
        for name, tensor in network.state_dict().items()
    }
    try:
        state = safetensors.torch.load(content)
    except (
        safetensors.SafetensorError,
        ValueError,
        TypeError,
        KeyError,
        RuntimeError,
        OverflowError,
        MemoryError,
    ) as error:
        raise Unfit(f"cannot be loaded ({first_line(error)})") from None
    found = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in state.items()}
    if odd := sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)):
        raise Unfit(
            f"is not a network {training.model}: {said_shortly(odd[0])} is {found.get(odd[0], 'absent')}"
        )
    for name, tensor in state.items():
        if not tensor.isfinite().all() or (
            name.endswith(("running_var", "num_batches_tracked")) and (tensor < 0).any()
        ):
            raise Unfit(f"holds no proper numbers in {name}")


# ---- a whole run -------------------------------------------------------------------------------------------


def run(name: str, contents: Mapping[str, bytes]) -> Training:
    """Check a whole run that comes from elsewhere.

    Args:
        name: What it is called, <group>/<run>.
        contents: The content of each file; the weights may be absent.

    Returns:
        Its training.

    Raises:
        Unfit: Anything about it is not as this library would have written it; the words follow "holds".
    """
    for file, content in contents.items():
        if len(content) > MOST_BYTES.get(file, TABLE_BYTES):
            raise Unfit(f"{name}/{file} with {len(content)} bytes: no file of a run is that large")
    if store.MANIFEST not in contents:
        raise Unfit(f"a damaged run: {name}/{store.MANIFEST} is missing")
    files = _fit(f"{name}/{store.MANIFEST}", store.sealed, contents[store.MANIFEST])
    if unexpected := contents.keys() - {*files, store.MANIFEST}:
        raise Unfit(f"{name}/{min(unexpected)}, which its manifest does not name")
    if (
        any(file in REQUIRED for file, entry in files.items() if "measurement" in entry)
        or not files.keys() >= REQUIRED
    ):
        raise Unfit(f"{name}, whose manifest is not that of a run")
    for file, entry in files.items():
        _check_entry(name, file, entry)
        if file in contents:
            _fit(f"{name}/{file}", store.check, entry, contents[file])
        elif file != WEIGHTS:
            raise Unfit(f"a damaged run: {name}/{file} is missing")
    facts = _fit(f"{name}/{CONFIG}", config, contents[CONFIG])
    training = described(facts)
    if training is None:
        raise Unfit(f"{name}, and this library has no training such as its {CONFIG} describes")
    if training.name != name:
        raise Unfit(f"{name}, whose {CONFIG} describes {training.name[:200]}")
    result, epochs = facts["result"], training.settings.epochs
    ran = result["epochs_run"] == epochs or (
        result["status"] == "diverged" and 1 <= result["epochs_run"] < epochs
    )
    if not ran or result["best_epoch"] > result["epochs_run"]:
        raise Unfit(
            f"{name}, whose {CONFIG} tells of {result['epochs_run']} epochs where {epochs} were to be trained"
        )
    epochs_told = _fit(f"{name}/{HISTORY}", history, contents[HISTORY], facts)
    _fit(f"{name}/{CONFIG}", consistency.check, facts, training, epochs_told)
    for file, entry in files.items():
        if "measurement" in entry:
            _fit(f"{name}/{file}", _table_of, entry, contents[file], training, facts)
    about = basis.of_run(name, facts)
    about += [basis.of_table(name, facts, *one) for one in files.items() if "measurement" in one[1]]
    if len({one.fingerprint for one in about if one.part.split == "test"} - {""}) > 1:
        raise Unfit(f"{name}, whose accuracy and tables are not all about the same images")
    if WEIGHTS in contents:
        _fit(f"{name}/{WEIGHTS}", weights, contents[WEIGHTS], training)
    return training


def _table_of(
    entry: Mapping[str, Any],
    content: bytes,
    training: Training,
    facts: Mapping[str, Mapping[str, Any]],
) -> None:
    """Check a table of a run, of which the manifest has an entry."""
    published = data.FINGERPRINTS.get(training.dataset, {})
    about = entry.get(basis.FACT, published.get("test"))
    known = facts["result"]["data"] == published.get("train") and about == published.get("test")
    table(entry["measurement"], content, training, entry["settings"], known)


def _fit(place: str, check: Callable, *arguments: object) -> Any:
    """What a check returns; its complaint follows the name of the file."""
    try:
        return check(*arguments)
    except Unfit as error:
        raise Unfit(f"a damaged run: {place} {error}") from None


def _check_entry(run: str, file: str, entry: Mapping[str, Any]) -> None:
    """Raise Unfit unless a manifest says of a file what this library says of such a one."""
    facts = {fact: value for fact, value in entry.items() if fact not in ("sha256", "bytes")}
    wrong = Unfit(f"{run}, whose manifest is not that of a run: of {file} it says {said_shortly(facts)}")
    if file in REQUIRED:
        if (
            facts != ({"optional": True} if file == WEIGHTS else {})
            or facts.get("optional", True) is not True
        ):
            raise wrong
        return
    if facts.pop("optional", None) is not None or not is_text(facts.get("measurement")):
        raise wrong
    settings, made = facts.pop("settings", None), facts.pop("provenance", None)
    if not isinstance(settings, dict):
        raise wrong
    try:
        if file != measurements.file_name(facts["measurement"], settings):
            raise wrong
        check_fields("its entry", facts, ENTRY, forms=True)
        consistency.check_made(made)
    except Unfit:
        raise wrong from None
    except (InputError, TypeError, ValueError) as error:
        raise Unfit(f"{run}/{file}, which this library does not know: {said_shortly(str(error))}") from None
