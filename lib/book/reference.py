"""Pages of the reference made from the code: the command line from its help, the files of a run from runs.

The pages about the library itself are Sphinx's, see `reference/library.md`.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from lib import measurements, runs
from lib.base import paths
from lib.base.files import write_atomically
from lib.book.markdown import markdown_code, plain_markdown
from lib.runs import catalogue, kinds, store
from lib.training.training import Training
from lib.training.training import labels as recipe_labels

# Meaning of the fields of a run's config.json and of a manifest's entries, in the order in which they are
# written; the files decide which there are.
CONFIG_FIELDS = {
    "training.dataset": "data set",
    "training.model": "architecture",
    "training.alpha": "selectivity scale α: the loss is cross-entropy − α · mean selectivity",
    "training.seed": "source of the seeds for weights, order, augmentation and validation images",
    "training.recipe": "name of the recipe",
    "training.settings": "what the recipe says for this architecture, epochs included",
    "training.augmentation": "how training images are flipped and cropped",
    "training.variant": "another way of training and its settings; none for plain training",
    "training.without": "names of the classes whose images were left out; not there for none",
    "training.start": "the training from whose network it went on, as `training` there; none from chance",
    "result.status": "ok, or diverged: loss or weights stopped being finite, or accuracy ended at chance",
    "result.clean_accuracy": "share of the clean test set that is classified correctly",
    "result.clean_n": "images in the test set",
    "result.validation_accuracy": "share of the validation images classified correctly, at the best epoch",
    "result.best_epoch": "the epoch whose weights were kept, counted from 1",
    "result.epochs_run": "epochs that were run; fewer than asked for when training diverged",
    "result.train_n": "images trained on, without those for validation",
    "result.seconds": "of training, all sessions of an interrupted one together",
    "result.data": "fingerprint of the training split, its order included",
    "provenance.version": "of this library",
    "provenance.commit": "of this repository; with + where lib/ differed from it",
    "provenance.torch": "version",
    "provenance.python": "version",
    "provenance.device": "processor and its threads, or GPU",
    "provenance.seconds": "as in the result",
    "provenance.date": "UTC",
    "provenance.engine": "device, precision and compilation of the arithmetic",
    "provenance.parent": "SHA-256 of the weights that it went on from; none from chance",
    "provenance.code": "digest of the code that decides the network; another one today makes the run stale",
}
SIMULATION_FIELDS = {
    "simulation.simulation": "which kind",
    "simulation.seed": "source of all its random numbers",
    "simulation.settings": "all settings of the kind, by name",
}
ENTRY_FIELDS = {
    "bytes": "size of the file",
    "sha256": "of its content, checked on every reading",
    "optional": "true for weights, which may be left out of a repository",
    "measurement": "of a table: which one",
    "settings": "of a table: the measurement's settings; their hash is in the file's name",
    "code": "of a table: digest of the code that decides it",
    "images": "of a table: fingerprint of the test split that it was measured on, its order included; the "
    "first tables do not say, and are about the test split beside `result.data`",
    "provenance": "of a table: when, where and how long it was measured; the fields of config.json without "
    "engine and code",
}
INTRODUCTION = """# The files of a run

A trained network is a folder `runs/DATASET-MODEL/NAME-KEY/`. The key at its end is the hash of the field
`training` of its `config.json`; the rest of the name is for people. `$RUNS_DIR` puts the store elsewhere. A
folder is written whole, under another name first, and each file is checked against `manifest.json` on every
reading: a file that the manifest does not name does not count.

| file | holds |
| --- | --- |
| `config.json` | what was asked for, what came out, and how it was made |
| `history.parquet` | the epochs of the training |
| `weights.safetensors` | weights of the best epoch, matrices in float16, vectors in float32; may be absent |
| `MEASUREMENT-HASH.parquet` | a table for each measurement and its settings |
| `manifest.json` | size and SHA-256 of each of the others, and for tables where they come from |

A simulation, a run without images and without a network, is a folder `runs/simulations/KIND-NAME-KEY/` with
`config.json`, `manifest.json` and its tables as `TABLE.parquet`.

`runs/same-code.json` keeps the evidence that changed code gives equal results. Folders whose names begin with
a dot are locks and unfinished runs.
"""
HISTORY_SUMMARY = "One row per epoch of training"
COMMAND_LINE = "reference/command-line.md"  # committed; made by `python -m lib chapters`


# ---- the command line --------------------------------------------------------------------------------------


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _rows(columns: tuple[str, ...], rows: Iterable[Iterable[object]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n"


def _said(text: str | None) -> str:
    """Help as Markdown: a line for each paragraph, options as code, whose two hyphens would become a dash."""
    lines = "\n\n".join(
        " ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", (text or "").strip())
    )
    return re.sub(r"--[a-z][\w=.-]*", lambda option: f"`{option[0]}`", lines)


def _commands(group: Any, before: str) -> Iterator[tuple[str, Any]]:
    """Every command by the words that call it; their classes differ between versions of typer."""
    for name, command in group.commands.items():
        yield f"{before} {name}", command
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before} {name}")


def _parameters(command: Any) -> Iterator[tuple[str, str, str]]:
    for one in command.params:
        argument = one.param_type_name == "argument"
        default = one.default() if callable(one.default) else one.default
        shown = ", ".join(map(str, default)) if isinstance(default, list | tuple) else default
        given = "" if shown in (None, "", False) else f"`{shown}`"
        if one.required:
            given = "required"
        yield f"`{one.name.upper().rstrip('_') if argument else ', '.join(one.opts)}`", given, _said(one.help)


def command_line(top: Any) -> str:
    """The page of the command line, from the help that every command prints.

    Args:
        top: The command line as typer has it, a group of commands; it is given, since it stands above
            this module.

    Returns:
        The page's text in MyST Markdown.
    """
    parts = ["# The command line\n", f"{_said(top.help)}\n"]
    parts += [
        "Made from the help that the commands print. Bad input is one line on stderr and exit code 2.\n"
    ]
    for words, command in _commands(top, "python -m lib"):
        rows = list(_parameters(command))
        table = _rows(("", "by default", ""), rows) if rows else ""
        parts.append(f"## `{words}`\n\n{_said(command.help)}\n\n{table}")
    makefile = (paths.ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^\t@echo '(.+?) {2,}(.+)'$", makefile, re.MULTILINE)
    parts.append("## make\n\nThe same for a fresh machine: each of these makes the environment first.\n\n")
    parts.append(_rows(("", ""), [(f"`{words}`", text) for words, text in targets]))
    return "\n".join(parts)


def write(top: Any) -> list[Path]:
    """Write the page of the command line if it differs from the one that is there.

    Args:
        top: The command line as typer has it, a group of commands.

    Returns:
        The files that were written.
    """
    file, text = paths.ROOT / COMMAND_LINE, command_line(top)
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return []
    write_atomically(file, text.encode())
    return [file]


# ---- files of a run ----------------------------------------------------------------------------------------


def fields(facts: dict[str, dict[str, object]]) -> dict[str, object]:
    """{"part.field": value} of a config.json."""
    return {f"{part}.{name}": value for part, values in facts.items() for name, value in values.items()}


def _columns(file: str, folders: list[store.Folder]) -> str:
    """Columns and types of a table, of the first run that has one."""
    run = next((run for run in folders if file in run), None)
    if run is None:
        return "*No run has this table yet.*\n"
    table = pd.read_parquet(io.BytesIO(run.read(file)))
    kinds = {
        name: str(kind).replace("object", "text").replace("str", "text")
        for name, kind in table.dtypes.items()
    }
    return (
        f"{len(table):,} rows in {markdown_code(run.path.name)}: "
        + ", ".join(f"{markdown_code(name)} {plain_markdown(kind)}" for name, kind in kinds.items())
        + "\n"
    )


def run_files() -> str:
    """The page about the files of a run, from the measurements' docstrings and from cached runs."""
    folders = [store.Folder(folder) for folder in catalogue.folders()]
    example = fields(runs.config(folders[0])) if folders else {}
    shown = {name: markdown_code(json.dumps(value, ensure_ascii=False)) for name, value in example.items()}
    config = _rows(
        ("field", "meaning", f"in {markdown_code(folders[0].path.name)}" if folders else ""),
        [(f"`{name}`", text, shown.get(name, "")) for name, text in CONFIG_FIELDS.items()],
    )
    parts = [INTRODUCTION, "## config.json\n", config, "## manifest.json\n"]
    parts += ["`files` has an entry for each file, `seal` is the SHA-256 of these entries. An entry has:\n"]
    parts += [_rows(("field", "meaning"), [(f"`{name}`", text) for name, text in ENTRY_FIELDS.items()])]
    labels = ", ".join(f"`{name}`" for name in recipe_labels(Training("digits", "resnet8")))
    parts += ["## Tables\n"]
    parts += [f"`lib.runs.table` and `python -m lib table` put the columns {labels} before a table's own.\n"]
    parts += [f"### {runs.HISTORY}\n\n{HISTORY_SUMMARY}. {_columns(runs.HISTORY, folders)}"]
    for name, one in measurements.MEASUREMENTS.items():
        file = measurements.file_name(name, {})
        given = ", ".join(f"{setting} = {value!r}" for setting, value in one.settings.items())
        about = f"File `{file}`: {one.summary}." + (f" Settings: `{given}`." if given else "")
        made_by = f"{one.function.__module__}.{one.function.__qualname__}"
        described = (
            f"```{{eval-rst}}\n.. autofunction:: {made_by}\n   :no-index:\n```\n"  # indexed with its module
        )
        parts += [f"### {name}\n", f"{about}\n", described, _columns(file, folders)]
    parts += ["## Simulations\n", _rows(("field", "meaning"), _simulation_fields())]
    parts += [_simulation(name, one) for name, one in kinds.SIMULATIONS.items()]
    return "\n".join(parts)


def _simulation_fields() -> Iterator[tuple[str, str]]:
    yield from ((f"`{name}`", text) for name, text in SIMULATION_FIELDS.items())
    yield "`provenance`", "as of a trained network, without an engine"


def _simulation(name: str, one: kinds.Kind) -> str:
    """What a kind of simulation is, its settings with their defaults, and the columns of its tables."""
    settings = ", ".join(f"{setting} = {value!r}" for setting, value in one.settings.items())
    # where the reference describes it: on its package's page, if that names it
    module, made = one.function.__module__, one.function.__qualname__
    package = module.rpartition(".")[0]
    at_face = getattr(sys.modules[package], made, None) is one.function
    made_by = f"{package if at_face else module}.{made}"
    tables = [
        (f"`{table}`", ", ".join(f"`{column}`" for column in columns))
        for table, columns in one.tables.items()
    ]
    return (
        f"`{name}`, by {{py:func}}`{made_by}`: {one.summary}. Settings: `{settings}`.\n\n"
        f"{_rows(('table', 'columns'), tables)}"
    )


def pages() -> dict[str, str]:
    """Make the pages that depend on what is cached.

    Returns:
        ``{path in the book: MyST text}``.
    """
    return {"reference/run-files.md": run_files()}
