"""Reference pages that cannot fall behind: made from docstrings, from the command line's own help, and from the files of cached runs."""

from __future__ import annotations

import inspect
import io
import json
import re
from collections.abc import Iterable, Iterator

import pandas as pd

from lib import catalogue, measurements, paths, recipes, runs, store
from lib.docstrings import markup

# page: (title, what it is about, modules in reading order); every module of lib is on one of them
AREAS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "api-data": (
        "Data and models", "What networks are given, what they are, and what decides how they are trained.",
        ("data", "models", "recipes", "augmentation", "augmix", "seeds"),
    ),
    "api-training": (
        "Training and selectivity", "The class selectivity index, the loss with it, and the loop that minimises the loss.",
        ("selectivity", "objective", "train", "session", "engines", "folded"),
    ),
    "api-corruptions": (
        "Corruptions", "The nineteen corruptions in batches, and accuracy under them.",
        ("corruptions", "corruptions.noise", "corruptions.blur", "corruptions.weather", "corruptions.digital", "corruptions.severities",
         "corruptions.draws", "corruptions.quantized", "corruptions.layouts", "corruptions.filters", "corruptions.colour", "corruptions.textures",
         "corrupted", "accuracy"),
    ),
    "api-attacks": (
        "Attacks", "FGSM and PGD, the tables they fill, and the checks of whether an attack failed for another reason than robustness.",
        ("attacks", "balls", "losses", "whitebox", "attacked", "transferred", "autoattack", "robustness", "diagnosis"),
    ),
    "api-gradients": (
        "Gradients and dimensionality", "How units answer to pixels, and in how many dimensions layers vary.",
        ("gradients", "dimensionality", "represented", "layers"),
    ),
    "api-runs": (
        "Runs and store", "Trained networks by name, what was measured on them, and the sweeps that make them.",
        ("runs", "origin", "readlog", "measurements", "store", "catalogue", "code", "samecode", "recheck", "archive", "sweep", "sweepfile", "sweepplan",
         "sweeptext", "sweepjobs", "cluster", "interrupt", "paths", "errors"),
    ),
    "api-claims": (
        "Claims, figures and the book", "Statistics, verdicts, figures, chapters, pages, and the command line.",
        ("claims", "effects", "verdicts", "estimates", "published", "words", "figures", "figures.style", "figures.headline", "figures.selectivity",
         "figures.average", "figures.worst", "figures.inside", "figures.explore", "figures.speed", "provenance", "chapters", "notebooks", "book", "pages",
         "anchors", "browser", "pdf", "rerun", "times", "readme", "reference", "docstrings", "__main__"),
    ),
}  # fmt: skip

# What the fields of a run's config.json and of a manifest's entries mean, in the order they are written; the files decide which there are.
CONFIG_FIELDS = {
    "training.dataset": "data set",
    "training.model": "architecture",
    "training.alpha": "selectivity scale α: the loss is cross-entropy − α · mean selectivity",
    "training.seed": "source of the seeds for weights, order, augmentation and which images are for validation",
    "training.recipe": "name of the recipe",
    "training.settings": "what the recipe says for this architecture, epochs included",
    "training.augmentation": "how training images are flipped and cropped",
    "training.variant": "another way of training and its settings; absent for plain training",
    "result.status": "ok, or diverged: loss or weights stopped being finite, or accuracy ended at chance",
    "result.clean_accuracy": "share of the test set, unperturbed, that is recognised",
    "result.clean_n": "images in the test set",
    "result.validation_accuracy": "share of the validation images that is recognised, at the best epoch",
    "result.best_epoch": "the epoch whose weights were kept, counted from 1",
    "result.epochs_run": "epochs that were run; fewer than asked for when training diverged",
    "result.train_n": "images trained on, without those for validation",
    "result.seconds": "of training, all sessions of an interrupted one together",
    "result.data": "fingerprint of the training split",
    "provenance.version": "of this library",
    "provenance.commit": "of this repository; with + where lib/ differed from it",
    "provenance.torch": "version",
    "provenance.python": "version",
    "provenance.device": "processor and its threads, or GPU",
    "provenance.seconds": "as in the result",
    "provenance.date": "UTC",
    "provenance.engine": "device, precision and compilation of the arithmetic",
    "provenance.code": "digest of the code that decides the network; another one today makes the run stale",
}
ENTRY_FIELDS = {
    "bytes": "size of the file",
    "sha256": "of its content, checked on every reading",
    "optional": "true for weights, which may be left out of a repository",
    "measurement": "of a table: which one",
    "settings": "of a table: the measurement's settings; their hash is in the file's name",
    "code": "of a table: digest of the code that decides it",
    "provenance": "of a table: when, where and how long it was measured, with the fields of config.json but engine and code",
}
INTRODUCTION = """# The files of a run

A trained network is a folder `runs/DATASET-MODEL/NAME-KEY/`. The key at its end is the hash of the field `training` of its `config.json`; what stands before
it is there to be read. `$RUNS_DIR` puts the store elsewhere. A folder is written whole, under another name first, and each file is checked against
`manifest.json` on every reading: a file that the manifest does not name does not count.

| file | holds |
| --- | --- |
| `config.json` | what was asked for, what came out, and how it was made |
| `history.parquet` | the epochs of the training |
| `weights.safetensors` | the weights of the best epoch: matrices in float16, vectors in float32; the only file that may be absent |
| `MEASUREMENT-HASH.parquet` | a table for each measurement and its settings |
| `manifest.json` | size and SHA-256 of each of the others, and for tables where they come from |

`runs/same-code.json` keeps the evidence that changed code gives equal results, see `lib.samecode`. Folders with a dot are locks and unfinished runs.
"""
HISTORY_SUMMARY = "one row an epoch of training"


def _api(title: str, about: str, modules: tuple[str, ...]) -> str:
    names = [f"lib.{name}" for name in modules]
    options = "   :members:\n   :ignore-module-all:\n   :member-order: bysource"
    sections = [f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n{options}\n```\n" for name in names]
    summary = "```{eval-rst}\n.. autosummary::\n\n" + "".join(f"   {name}\n" for name in names) + "```\n"
    return "\n".join([f"# {title}\n", f"{about} Made from the docstrings of the library.\n", summary, *sections])


# ---- the command line ------------------------------------------------------------------------------------------------


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _rows(columns: tuple[str, ...], rows: Iterable[Iterable[object]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n"


def _said(text: str) -> str:
    """Help as Markdown: options as code, whose two hyphens would become a dash."""
    return re.sub(r"--[a-z][\w=.-]*", lambda option: f"`{option[0]}`", text)


def _commands(group: object, before: str) -> Iterator[tuple[str, object]]:
    for name, command in group.commands.items():
        yield f"{before} {name}", command
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before} {name}")


def _parameters(command: object) -> Iterator[tuple[str, str, str]]:
    for one in command.params:
        argument = one.param_type_name == "argument"
        default = one.default() if callable(one.default) else one.default
        shown = ", ".join(map(str, default)) if isinstance(default, list | tuple) else default
        given = "required" if one.required else "" if shown in (None, "", False) else f"`{shown}`"
        yield f"`{one.name.upper().rstrip('_') if argument else ', '.join(one.opts)}`", given, _said(one.help)


def command_line() -> str:
    """The page of the command line, from the help that every command prints."""
    import typer

    from lib.__main__ import app  # the one look upwards: this page is about the floor above

    top = typer.main.get_command(app)
    parts = ["# The command line\n", f"{_said(top.help)}\n", "Made from the help that the commands print. Bad input is one line on stderr and exit code 2.\n"]
    for words, command in _commands(top, "python -m lib"):
        rows = list(_parameters(command))
        table = _rows(("", "by default", ""), rows) if rows else ""
        parts.append(f"## `{words}`\n\n{_said(command.help)}\n\n{table}")
    targets = re.findall(r"^\t@echo '(.+?) {2,}(.+)'$", (paths.ROOT / "Makefile").read_text(), re.MULTILINE)
    parts.append("## make\n\nThe same for a fresh machine: each of these makes the environment first.\n\n")
    parts.append(_rows(("", ""), [(f"`{words}`", text) for words, text in targets]))
    return "\n".join(parts)


# ---- files of a run --------------------------------------------------------------------------------------------------


def fields(facts: dict[str, dict[str, object]]) -> dict[str, object]:
    """{"part.field": value} of a config.json."""
    return {f"{part}.{name}": value for part, values in facts.items() for name, value in values.items()}


def _columns(file: str, folders: list[store.Folder]) -> str:
    """Columns and types of a table, of the first run that has one."""
    run = next((run for run in folders if file in run), None)
    if run is None:
        return "*No run has this table yet.*\n"
    table = pd.read_parquet(io.BytesIO(run.read(file)))
    kinds = {name: str(kind).replace("object", "text").replace("str", "text") for name, kind in table.dtypes.items()}
    return f"{len(table):,} rows in `{run.path.name}`: " + ", ".join(f"`{name}` {kind}" for name, kind in kinds.items()) + "\n"


def run_files() -> str:
    """The page about the files of a run, from docstrings and cached runs."""
    folders = [store.Folder(folder) for folder in catalogue.folders()]
    example = fields(runs.config(folders[0])) if folders else {}
    config = _rows(
        ("field", "meaning", f"in `{folders[0].path.name}`" if folders else ""),
        [(f"`{name}`", text, f"`{json.dumps(example[name], ensure_ascii=False)}`" if name in example else "") for name, text in CONFIG_FIELDS.items()],
    )
    parts = [INTRODUCTION, "## config.json\n", config, "## manifest.json\n"]
    parts += ["`files` has an entry for each file, `seal` is the SHA-256 of these entries. An entry has:\n"]
    parts += [_rows(("field", "meaning"), [(f"`{name}`", text) for name, text in ENTRY_FIELDS.items()]), "## Tables\n"]
    labels = ", ".join(f"`{name}`" for name in recipes.labels(recipes.Training("digits", "resnet8")))
    parts += [f"`lib.runs.table` and `python -m lib table` put the columns {labels} before a table's own.\n"]
    parts += [f"### {runs.HISTORY}\n\n{HISTORY_SUMMARY}. {_columns(runs.HISTORY, folders)}"]
    for name, one in measurements.MEASUREMENTS.items():
        given = ", ".join(f"{setting} = {value!r}" for setting, value in one.settings.items())
        said = "\n".join(markup(inspect.getdoc(one.function).splitlines()))
        parts += [f"### {name}\n", f"File `{measurements.file_name(name, {})}`: {one.summary}." + (f" Settings: `{given}`." if given else "") + "\n"]
        parts += [f"```{{eval-rst}}\n{said}\n```\n", _columns(measurements.file_name(name, {}), folders)]
    return "\n".join(parts)


def pages() -> dict[str, str]:
    """{path in the book: MyST text} of every page that is made from the code and the runs."""
    made = {f"reference/{page}.md": _api(*area) for page, area in AREAS.items()}
    return made | {"reference/command-line.md": command_line(), "reference/run-files.md": run_files()}
