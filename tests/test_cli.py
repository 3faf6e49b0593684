"""The command line: what it prints, and one line with exit code 2 for everything that is wrong."""

import errno
import io
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import typer

from conftest import EPOCHS
from lib import data, measurements, models, runs
from lib.__main__ import KEPT, app, main
from lib.base import names, paths
from lib.base.errors import InputError
from lib.book import notebooks
from lib.commands.options import numbers
from lib.runs import archive, kinds, simulations, store
from lib.runs.fields import is_number
from lib.sweeps import processes, slurm
from lib.sweeps.planning import Outcome
from lib.training.recipe import RECIPES
from lib.training.training import Training


@pytest.fixture
def call(monkeypatch, capsys):
    """Run `python -m lib ...` in this process: (exit code, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lib", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        out = capsys.readouterr()
        return stop.value.code or 0, out.out, out.err

    return run


@pytest.fixture
def empty(monkeypatch, tmp_path):
    """An empty store in which nothing may be trained."""
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("RUNS_FROZEN", "1")
    return tmp_path


BAD = {
    "unknown data set": (["train", "--dataset", "mnist"], "mnist"),
    "unknown model": (["train", "--dataset", "digits", "--model", "vgg16"], "vgg16"),
    "model that does not fit": (["train", "--dataset", "digits", "--model", "resnet18"], "resnet18"),
    "unknown recipe": (["train", "--dataset", "digits", "--recipe", "quick"], "quick"),
    "alpha not a number": (["train", "--dataset", "digits", "--alpha", "nan"], "nan"),
    "alpha infinite": (["train", "--dataset", "digits", "--alpha=-inf"], "-inf"),
    "alpha text": (["train", "--dataset", "digits", "--alpha", "high"], "high"),
    "alpha with an underscore": (
        ["train", "--dataset", "digits", "--alpha", "1_0"],
        "must be a number, got '1_0'",
    ),
    "alpha in other digits": (
        ["train", "--dataset", "digits", "--alpha", "１"],
        "must be a number, got '１'",
    ),
    "alpha of 400 digits": (
        ["train", "--dataset", "digits", "--alpha", "9" * 400],
        "must be a finite number",
    ),
    "seed with an underscore": (["rerun", "approach", "--seed", "1_0"], "must be a whole number, got '1_0'"),
    "seed of 400 digits": (
        ["train", "--seed", "9" * 400],
        f"must be a whole number below {2**53}, got '999999",
    ),
    "seed of 5,000 digits": (["rerun", "approach", "--seed", "9" * 5000], f"below {2**53}, got '9999"),
    "seed that is no number of its own": (["train", f"--seed={2**53}"], f"below {2**53}, got '{2**53}'"),
    "epochs with an underscore": (["train", "--epochs", "1_6"], "must be a whole number, got '1_6'"),
    "budget with an underscore": (
        ["sweep", "sweeps/digits.yml", "--budget", "1_0"],
        "must be a number, got '1_0'",
    ),
    "alpha of a rerun": (
        ["rerun", "approach", "--dataset=digits", "--alpha", "9" * 400],
        "finite number, got inf",
    ),
    "alpha that may be two": (
        ["rerun", "approach", "--alpha", "0,7"],
        "alpha '0,7' may be one number or two; write 0.7, or '0 7'",
    ),
    "list of alphas with text": (
        ["rerun", "approach", "--alpha", "0.1, high"],
        "must be a number, got 'high'",
    ),
    "list of alphas with nothing in it": (["rerun", "approach", "--alpha", " , "], "got ' , '"),
    "list of alphas without its second": (
        ["train", "--dataset", "digits", "--alpha", "1,,2"],
        "alpha must be a number, got '1,,2'",
    ),
    "list of alphas that is open": (
        ["train", "--dataset", "digits", "--alpha", "[1"],
        "must be a number, got '[1'",
    ),
    "list of seeds that begins with nothing": (
        ["train", "--dataset", "digits", "--seed", ", 1"],
        "seed must be a whole number, got ', 1'",
    ),
    "csv of the list of tables": (["table", "--csv"], "name it: python -m lib table selectivity --csv"),
    "negative seed": (["train", "--dataset", "digits", "--seed=-1"], "-1"),
    "broken seed": (["train", "--dataset", "digits", "--seed", "1.5"], "1.5"),
    "no epochs": (["train", "--dataset", "digits", "--epochs", "0"], "0"),
    "unknown variant": (
        ["train", "--dataset", "digits", "--variant", "pdg-4"],
        "'pdg-4'; known: plain, augmix, pgd-K",
    ),
    "no sweep file": (
        ["sweep", "sweeps/digit.yml"],
        "sweeps/digit.yml: no such sweep file; there are: sweeps/",
    ),
    "no such engine": (
        ["sweep", "sweeps/digits.yml", "--engine", "slrum"],
        "unknown engine 'slrum'; known: here, local, slurm",
    ),
    "budget text": (["sweep", "sweeps/digits.yml", "--budget", "1h"], "budget must be a number, got '1h'"),
    "budget nan": (
        ["sweep", "sweeps/digits.yml", "--budget", "nan"],
        "budget must be a number, got 'nan'",
    ),
    "no budget": (
        ["sweep", "sweeps/digits.yml", "--budget", "0"],
        "budget must be minutes above 0, got 0; leave it out for no limit",
    ),
    "budget for jobs": (
        ["sweep", "sweeps/digits.yml", "--budget", "5", "--engine", "local"],
        "--budget is for --engine here, not for 'local'",
    ),
    "shard beyond the last": (
        ["sweep", "sweeps/digits.yml", "--shard", "3/2"],
        "such as 2/3 for the second of three parts, got '3/2'",
    ),
    "pack of another kind": (
        ["sweep", "sweeps/digits.yml", "--pack", "runs.zip"],
        "an archive's name must end in .tar, got runs.zip",
    ),
    "pack without a name": (
        ["sweep", "sweeps/digits.yml", "--pack", ".tar"],
        "an archive's name must end in .tar, got .tar",
    ),
    "pack where nothing can be": (
        ["sweep", "sweeps/digits.yml", "--pack", "/dev/null/a.tar"],
        "cannot write /dev/null/a.tar: File exists; give another",
    ),
    "frozen sweep": (
        ["sweep", "sweeps/digits.yml"],
        "RUNS_FROZEN=1 and run digits-resnet8/alpha-2.0-seed0-fast-",
    ),
    "no archive": (
        ["runs", "import", "no-such.tar"],
        "cannot read no-such.tar: No such file or directory; give a tar",
    ),
    "nothing to import": (["runs", "import"], "archives"),
    "csv of an import": (
        ["runs", "--csv", "import", "a.tar"],
        "--csv is for the list of runs, not for runs import; leave it out",
    ),
    "unknown command of runs": (["runs", "imprt"], "imprt"),
    "unknown option of runs": (["runs", "--cvs"], "--cvs"),
    "recheck of no epochs": (
        ["runs", "recheck", "--epochs", "0"],
        "epochs must be a whole number >= 1, got 0",
    ),
    "recheck of broken epochs": (
        ["runs", "recheck", "--epochs", "1.5"],
        "epochs must be a whole number, got '1.5'",
    ),
    "unknown chapter": (["rerun", "aproach"], "aproach"),
    "unknown chapter's data set": (["rerun", "approach", "--dataset", "mnist"], "mnist"),
    "rerun with alpha text": (["rerun", "approach", "--alpha", "high"], "high"),
    "rerun with alpha nan": (["rerun", "approach", "--dataset", "digits", "--alpha", "nan"], "nan"),
    "unknown measurement": (["table", "selectivty"], "selectivty"),
    "unknown data set to look for": (["data", "mnist"], "mnist"),
    "download of digits": (["data", "digits", "--download"], "digits"),
    "unknown option": (["train", "--alfa", "1"], "--alfa"),
    "option given twice": (
        ["train", "--dataset", "digits", "--dataset", "cifar10"],
        "--dataset is given 2 times, and takes one value; leave the others out",
    ),
    "nothing for the usual model": (
        ["train", "--dataset", "digits", "--model="],
        "--model is empty; give it a value, or leave it out",
    ),
    "nothing for a data set": (["data", ""], "name is empty; give it a value, or leave it out"),
    "nothing for a commit": (["runs", "recheck", "--against="], "--against is empty"),
    "nothing among archives": (["runs", "import", "a.tar", " "], "archives is empty"),
    "path of a model": (
        ["train", "--dataset", "digits", "--model", "../resnet8"],
        "unknown model '../resnet8'",
    ),
    "path of a measurement": (["table", "selectivity/"], "unknown measurement 'selectivity/'"),
    "pack where the system lets nobody write": (
        ["sweep", "sweeps/digits.yml", "--pack", "/proc/a.tar"],
        "cannot write /proc/a.tar: ",
    ),
    "a file of the system that says nothing now": (["sweep", "/proc/kmsg"], "/proc/kmsg: "),
    "unknown command": (["trian"], "trian"),
}


# what is no number for any option, though Python or a careless pattern might take it for one
NO_NUMBERS = {
    "words": "high", "underscores": "1_0", "letters as digits": "\uff11", "digits of another script": "\u0661",
    "a raised digit": "\u00b2", "hexadecimal": "0x10", "a comma": "1,5", "two points": "1.0.0", "a cut exponent": "1e",
    "an exponent of 5 digits": "1e10000", "a zero byte": "\0", "two lines": "1\n2", "an escape": "\x1b[31m", "a sign": "-",
    "no number": "nan", "infinity": "inf", "a fraction": "1/2",
}  # fmt: skip
WHOLE_NUMBERS = {"400 digits": "9" * 400, "5,000 digits": "9" * 5000, "below zero": "-" + "9" * 400, "a million digits": "1" * 100_000, "a decimal": "1.5", "an exponent": "1e3"}  # fmt: skip
OPTIONS = {
    "alpha": lambda text: ["train", "--dataset", "digits", f"--alpha={text}"],
    "seed": lambda text: ["train", "--dataset", "digits", f"--seed={text}"],
    "epochs": lambda text: ["train", "--dataset", "digits", f"--epochs={text}"],
    "budget": lambda text: ["sweep", "sweeps/digits.yml", f"--budget={text}"],
    "shard": lambda text: ["sweep", "sweeps/digits.yml", f"--shard={text}/2"],
    "parts": lambda text: ["sweep", "sweeps/digits.yml", f"--shard=1/{text}"],
    "steps of PGD": lambda text: ["train", "--dataset", "digits", f"--variant=pgd-{text}"],
    "epochs of recheck": lambda text: ["runs", "recheck", f"--epochs={text}"],
    "alpha of a rerun": lambda text: ["rerun", "approach", "--dataset", "digits", f"--alpha={text}"],
    "seed of a rerun": lambda text: ["rerun", "approach", "--dataset", "digits", f"--seed={text}"],
}
FRACTIONS = ("alpha", "budget", "alpha of a rerun")  # of which 1.5 and 1e3 are values


@pytest.mark.parametrize("option", OPTIONS)
def test_no_option_takes_what_is_no_number(option, call, empty):
    for kind, text in (NO_NUMBERS if option in FRACTIONS else NO_NUMBERS | WHOLE_NUMBERS).items():
        if option.startswith("seed") and kind == "a comma":  # a list of two
            continue
        code, _, err = call(*OPTIONS[option](text))
        assert code == 2 and err.startswith("error: ") and err.count("\n") == 1, (kind, err)
        assert err[:-1].isprintable() and len(err) < 700, (kind, err)
        assert "RUNS_FROZEN" not in err and "not cached" not in err, f"{kind} was taken for a number"
    assert not list(empty.glob("runs/*/*")), "nothing may be left behind"


ANYTHING = {
    "400 digits": "9" * 400, "nothing": "", "blanks": "  ", "a zero byte": "\0", "two lines": "a\nb", "an escape": "\x1b[31m",
    "a path up": "../runs", "a path": "/etc/passwd", "a device": "/dev/zero", "half a character": "\udcff", "a script": "<script>",
}  # fmt: skip
PLACES = {
    "data set": lambda text: ["train", f"--dataset={text}"],
    "model": lambda text: ["train", "--dataset", "digits", f"--model={text}"],
    "recipe": lambda text: ["train", "--dataset", "digits", f"--recipe={text}"],
    "variant": lambda text: ["train", "--dataset", "digits", f"--variant={text}"],
    "measurement": lambda text: ["table", text],
    "data set of a look": lambda text: ["data", text],
    "chapter": lambda text: ["rerun", text],
    "data set of a rerun": lambda text: ["rerun", "approach", f"--dataset={text}"],
    "sweep file": lambda text: ["sweep", text],
    "pack": lambda text: ["sweep", "sweeps/digits.yml", f"--pack={text}"],
    "pack in a tar": lambda text: ["sweep", "sweeps/digits.yml", f"--pack=/dev/null/{text}.tar"],
    "run to start from": lambda text: ["train", "--dataset", "digits", f"--start={text}"],
    "model of a rerun": lambda text: ["rerun", "approach", f"--model={text}"],
    "recipe of a rerun": lambda text: ["rerun", "approach", f"--recipe={text}"],
    "parameter of a rerun": lambda text: ["rerun", "approach", f"--set={text}"],
    "notebook": lambda text: ["numbers", text],
    "engine": lambda text: ["sweep", "sweeps/digits.yml", f"--engine={text}"],
    "archive": lambda text: ["runs", "import", text],
    "command": lambda text: [text or "trian"],
    "command of runs": lambda text: ["runs", text or "imprt"],
    "one argument more": lambda text: ["train", text],
}


@pytest.mark.parametrize("place", PLACES)
def test_no_place_takes_anything(place, call, empty):
    for kind, text in ANYTHING.items():
        start = time.monotonic()
        code, _, err = call(*PLACES[place](text))
        assert code == 2 and err.startswith("error: ") and err.count("\n") == 1, (kind, err)
        assert err[:-1].isprintable() and len(err) < 1000 and time.monotonic() - start < 10, (kind, err)
        assert "RUNS_FROZEN" not in err, f"{kind} was taken"
    assert not list(empty.glob("runs/*/*")), "nothing may be left behind"


SWEEPS = {
    "a pipe": os.mkfifo,
    "a folder": os.mkdir,
    "zeros without end": lambda file: file.symlink_to("/dev/zero"),
    "a link to itself": lambda file: file.symlink_to(file.name),
    "256 gigabytes": lambda file: file.touch() or os.truncate(file, 2**38),
    "nothing": lambda file: file.touch(),
    "bytes": lambda file: file.write_bytes(bytes(range(256))),
    "deep": lambda file: file.write_bytes(b"[" * 100_000),
    "aliases of aliases": lambda file: file.write_text(
        "a: &a [x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{b}: &{b} [{','.join([f'*{a}'] * 8)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        )
    ),
    "a type of a number": lambda file: file.write_text(f"{SWEEP}alphas: [!!float '']\n"),
    "epochs of 400 digits": lambda file: file.write_text(f"{SWEEP}alphas: [0]\nepochs: {'9' * 400}\n"),
    "alphas of 400 digits": lambda file: file.write_text(f"{SWEEP}alphas: [{'9' * 400}]\n"),
}
SWEEP = "dataset: digits\nmodels: [resnet8]\nrecipe: fast\nseeds: [0]\n"


@pytest.mark.parametrize("kind", SWEEPS)
def test_what_is_no_sweep_file_is_one_line(kind, call, empty):
    SWEEPS[kind](empty / "a.yml")
    start = time.monotonic()
    code, _, err = call("sweep", str(empty / "a.yml"))
    assert code == 2 and err.startswith("error: ") and err.count("\n") == 1 and "a.yml" in err, err
    assert err[:-1].isprintable() and len(err) < 1000 and time.monotonic() - start < 10, err
    assert "RUNS_FROZEN" not in err and not list(empty.glob("runs/*/*"))


RECORD = "application/papermill.record/text/plain"
NOTEBOOKS = {
    **{kind: SWEEPS[kind] for kind in ("a pipe", "a folder", "zeros without end", "a link to itself", "256 gigabytes", "nothing", "bytes", "deep")},
    "nothing there": lambda file: None,
    "a socket": lambda file: socket.socket(socket.AF_UNIX).bind(str(file)),
    "a list": lambda file: file.write_text("[]"),
    "a number": lambda file: file.write_text("1"),
    "a number of 10,000 digits": lambda file: file.write_text("1" * 10_000),
    "nothing in braces": lambda file: file.write_text("{}"),
    "format 3": lambda file: file.write_text('{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}'),
    "format 40": lambda file: file.write_text('{"nbformat": 40, "nbformat_minor": 0, "metadata": {}, "cells": []}'),
    "format in words": lambda file: file.write_text('{"nbformat": "4", "cells": []}'),
    "no cells": lambda file: file.write_text('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}'),
    "cells that are none": lambda file: file.write_text('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [1, null]}'),
    "a cell without a source": lambda file: file.write_text(
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code", "id": "a"}]}'
    ),
    "cells that are text": lambda file: file.write_text('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": "x"}'),
    "another notebook": lambda file: file.write_text(
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "raw", "id": "a", "metadata": {}, "source": ["x"]}]}'
    ),
    "outputs that are none": lambda file: _with_outputs(file, [1]),
    "numbers that are none": lambda file: _with_outputs(
        file, [{"output_type": "display_data", "metadata": {"scrapbook": []}, "data": {"text/plain": []}}]
    ),
    "numbers that are lists": lambda file: _with_outputs(
        file,
        [{"output_type": "display_data", "metadata": {"scrapbook": {"name": ["a"]}}, "data": {RECORD: {"a": 1}}}],
    ),
}  # fmt: skip


def _with_outputs(file, outputs):
    """A chapter with such outputs of every cell, in the place of its own."""
    facts = json.loads(notebooks.published("02-approach").read_text(encoding="utf-8"))
    for cell in facts["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = outputs
    file.write_text(json.dumps(facts))


@pytest.mark.parametrize("kind", NOTEBOOKS)
def test_what_is_no_executed_notebook_is_one_line(kind, call, empty, monkeypatch):
    monkeypatch.chdir(empty)  # a socket's path must be short
    NOTEBOOKS[kind](Path("out.ipynb"))
    before, start = sorted(empty.iterdir()), time.monotonic()
    code, _, err = call("numbers", "out.ipynb")
    assert code == 2 and err.startswith("error: ") and err.count("\n") == 1 and "out.ipynb" in err, err
    assert err[:-1].isprintable() and len(err) < 1000 and time.monotonic() - start < 10, err
    assert sorted(empty.iterdir()) == before


def test_cells_that_share_an_id_are_no_warning(call, empty):
    """Each would be a warning of many lines, and in the end all is well."""
    notebook = json.loads((paths.ROOT / "chapters" / "02-approach.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["id"] = "same"
    (empty / "out.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    code, out, err = call("numbers", str(empty / "out.ipynb"))
    assert code == 0 and out.startswith("written: ") and err == ""


PACKS = {
    "a pipe": os.mkfifo,
    "a folder": os.mkdir,
    "a link to a device": lambda file: file.symlink_to("/dev/zero"),
}


STORES = {
    "in a file": ("{empty}/file/runs", "file, in which RUNS_DIR="),
    "in a device": ("/dev/null/runs", "/dev/null, in which RUNS_DIR=/dev/null/runs lies, is not a folder"),
    "a file": ("{empty}/file", "file, is not a folder"),
    "a device": ("/dev/null", "/dev/null, is not a folder"),
    "an address": ("s3://bucket/runs", "RUNS_DIR=s3://bucket/runs is an address, not a folder"),
}
OF_RUNS = {
    "runs": ["runs"],
    "csv": ["runs", "--csv"],
    "table": ["table", "selectivity"],
    "train": ["train", "--dataset", "digits"],
    "sweep": ["sweep", "sweeps/digits.yml"],
    "beside": ["runs", "beside"],
    "rerun": ["rerun", "approach", "--dataset", "digits", "--alpha", "0.7"],
    "recheck": ["runs", "recheck"],
}


@pytest.mark.parametrize("command", OF_RUNS)
def test_a_store_that_can_be_nowhere_is_one_line(command, call, empty, monkeypatch):
    """It is no empty store: what is asked for would be made, or left out, without a word."""
    (empty / "file").touch()
    if command == "recheck":  # which is refused where nothing may be trained
        monkeypatch.delenv("RUNS_FROZEN")
    for kind, (place, said) in STORES.items():
        monkeypatch.setenv("RUNS_DIR", place.format(empty=empty))
        code, out, err = call(*OF_RUNS[command])
        assert code == 2 and out == "" and said in err and err.count("\n") == 1, (kind, out, err)


def test_a_place_may_begin_with_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RUNS_DIR", "~/runs")
    assert paths.runs() == tmp_path / "runs"
    monkeypatch.setenv("DATA_DIR", "~/" + "x" * 5000)
    with pytest.raises(InputError, match="is not a folder"):
        paths.data()


def test_a_very_large_alpha_is_kept_as_any_other():
    """It was trained, and its own configuration refused afterwards."""
    for alpha in (1e300, -1.7e308, 5e-324):
        assert is_number(Training("digits", "resnet8", alpha, 0, "fast").alpha)
    for value in (float("inf"), float("nan"), 10**400, True, "1"):
        assert not is_number(value)


@pytest.mark.parametrize("kind", PACKS)
def test_a_pack_in_the_place_of_no_file_is_one_line(kind, call, empty):
    file = empty / "a.tar"
    PACKS[kind](file)
    code, _, err = call("sweep", "sweeps/digits.yml", "--pack", str(file))
    assert code == 2 and err.startswith(f"error: cannot write {file}: it is a ") and err.count("\n") == 1, err


def test_a_refused_sweep_does_not_make_the_folder_of_its_pack(call, empty):
    code, _, err = call("sweep", "sweeps/digits.yml", "--pack", str(empty / "new" / "a.tar"))
    assert code == 2 and "RUNS_FROZEN=1" in err and not list(empty.iterdir())


@pytest.mark.parametrize("command", ["train", "sweep", "snapshots", "simulation"])
def test_a_refusal_for_missing_data_leaves_nothing(command, call, empty, monkeypatch, tmp_path_factory):
    monkeypatch.delenv("RUNS_FROZEN")
    monkeypatch.setenv("DATA_DIR", str(tmp_path_factory.mktemp("data")))
    network = Training("cifar10", "resnet20", 0.0, 0, "fast")

    def broken(**how: object) -> None:
        raise InputError("missing")

    if command == "train":
        assert call("train", "--dataset", "cifar10")[0] == 2
    elif command == "sweep":
        assert call("sweep", "sweeps/cifar10.yml")[0] == 2
    elif command == "snapshots":
        with pytest.raises(InputError, match="cifar10"):
            runs.snapshots("selectivity", [network], epochs=[0], progress=False)
    else:
        kind = kinds.SIMULATIONS["purification"]
        monkeypatch.setitem(kinds.SIMULATIONS, "purification", replace(kind, function=broken))
        monkeypatch.setattr(simulations, "digest", lambda kind: "2:000000000000")
        with pytest.raises(InputError, match="missing"):
            runs.simulated("purification", "stages", seeds=[0])
    assert not [*empty.rglob("*")]


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case, call, empty):
    arguments, named = BAD[case]
    code, _, err = call(*arguments)
    assert code == 2
    assert err.startswith("error: ") and err.count("\n") == 1
    assert named in err
    assert not list(empty.glob("runs/*/*")), "nothing may be left behind"


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        BAD[case][0]
        for case in (
            "unknown chapter",
            "unknown chapter's data set",
            "rerun with alpha text",
            "unknown model",
        )
    ]
    + [["rerun", "approach", "--recipe", "fsat"], ["table", "selectivty"], ["data", "mnist"]],
    ids=" ".join,
)
def test_a_typo_is_answered_before_anything_heavy_is_imported(arguments):
    script = (
        "import sys; from lib.__main__ import main; sys.argv = ['lib', *sys.argv[1:]]\n"
        "try: main()\n"
        "finally: print(*{'torch', 'pandas', 'numpy', 'IPython', 'jupytext'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and done.stderr.startswith("error: unknown ") or "got 'high'" in done.stderr
    assert done.stdout == "\n"


def test_names_read_from_sources_are_those_of_the_registries():
    assert names.datasets() == list(data.DATASETS)
    assert names.models() == list(models.MODELS)
    assert names.recipes() == list(RECIPES)
    assert names.measurements() == list(measurements.MEASUREMENTS)
    with pytest.raises(LookupError, match="no dictionary NOTHING"):
        names.listed("models/registry.py", "NOTHING")


@pytest.mark.parametrize(
    "typed",
    ["CIFAR-10", "cifar 10", "Cifar10"],
)
def test_names_are_understood_whatever_their_case(typed, call, empty):
    code, _, err = call("train", "--dataset", typed, "--model", "ResNet20", "--recipe", "Fast")
    assert code == 2 and Training("cifar10", "resnet20", 0.0, 0, "fast").name in err


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["0.1, 0.2"], [0.1, 0.2]),
        (["0.1 0.2", "-2"], [0.1, 0.2, -2.0]),
        (["[0.1,0.2]"], [0.1, 0.2]),
        (["−0.4;1"], [-0.4, 1.0]),
        ([" 7 "], [7.0]),
        ([".7,"], [0.7]),
    ],
)
def test_lists_of_numbers_as_people_type_them(given, wanted):
    assert numbers(given, float, "alpha") == wanted


def test_seeds_may_be_a_list(call, empty):
    assert numbers(["0,1", "2"], int, "seed") == [0, 1, 2]
    code, _, err = call("train", "--dataset", "digits", "--seed", "3, 4")
    assert code == 2 and "alpha0.0-seed3-" in err


def test_table_alone_lists_the_measurements(call, empty):
    code, out, _ = call("table")
    assert code == 0
    assert [line.partition(":")[0] for line in out.splitlines()] == list(measurements.MEASUREMENTS)


def test_data_that_are_not_there_name_the_variable(call, empty, monkeypatch):
    (empty / "data").mkdir()
    monkeypatch.setenv("DATA_DIR", str(empty / "data"))
    code, _, err = call("data", "CIFAR-10")
    assert code == 2 and "set DATA_DIR to the folder" in err and "--download" in err


@pytest.mark.slow
def test_outside_the_environment_the_way_in_is_said():
    """-S: as a Python without the packages of .venv."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "lib", "rerun", "approach", "--alpha", "0.7 1"],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "no package 'typer'" in done.stderr
    assert "make env, then .venv/bin/python -m lib rerun approach --alpha '0.7 1'" in done.stderr


def test_a_package_that_is_missing_later_is_one_line_too(call, empty, monkeypatch):
    def lacking(*_):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(names, "measurements", lacking)
    code, _, err = call("table", "selectivity")
    assert code == 2 and err.count("\n") == 1 and "no package 'torch'" in err


def make(*words: str) -> subprocess.CompletedProcess:
    """What make would do, without the environment of a make that runs this test."""
    clean = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        ["make", "-n", "-o", ".venv/synced", *words],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=clean,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (["CHAPTER=approach", "ALPHA=0.1, 0.2"], ["approach", "--alpha=0.1, 0.2"]),
        (["chapter=2", "alpha=0.7", "seed=1"], ["2", "--alpha=0.7", "--seed=1"]),
        (
            ["CHAPTER=it's", "dataset=CIFAR-10", "MODEL=resnet20", "recipe=paper"],
            ["it's", "--dataset=CIFAR-10", "--model=resnet20", "--recipe=paper"],
        ),
        (["CHAPTER=approach", "ALPHA= ", "DATA_DIR=/data", "PYTHON=python3"], ["approach"]),
    ],
)
def test_make_takes_its_words_as_people_type_them(words, arguments):
    done = make("rerun", *words)
    assert shlex.split(done.stdout.splitlines()[-1]) == [".venv/bin/python", "-m", "lib", "rerun", *arguments]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "named"), [(["rerun", "CHAPTER=2", "alhpa=0.7"], "alhpa"), (["book", "ALPHA=0.7"], "ALPHA")]
)
def test_make_ignores_no_word_in_silence(words, named):
    done = make(*words)
    assert done.returncode == 2 and done.stdout == ""
    assert f"error: {named} means nothing here; make rerun takes CHAPTER ALPHA SEED" in done.stderr


@pytest.mark.parametrize(
    ("given", "alpha"),
    [("--alpha -0.7", -0.7), ("--alpha=-1e-3", -0.001), ("--alpha -1e-3", -0.001), ("--alpha 2", 2.0)],
)
def test_negative_alphas_are_the_normal_case(given, alpha, call, empty):
    code, _, err = call("train", "--dataset", "digits", *given.split())
    # frozen: the error names the run it wanted
    assert code == 2 and Training("digits", "resnet8", alpha, 0, "fast").name in err


def test_data_dir_that_is_nowhere(call, empty, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(empty / "nowhere"))
    code, _, err = call("data", "cifar10")
    assert code == 2 and err.count("\n") == 1 and "nowhere" in err
    code, out, _ = call("data")  # a list of all, what is missing included
    assert code == 0 and "digits: 1,297 train" in out and "cifar10: DATA_DIR=" in out


def test_full_disk_is_said_and_leaves_nothing(call, empty, monkeypatch):
    monkeypatch.delenv("RUNS_FROZEN")

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store.os, "fsync", full)
    code, _, err = call("train", "--dataset", "digits", "--epochs", "1")
    assert code == 2 and "disk is full" in err and err.count("\n") == 1
    assert not [file for file in (empty / "runs").rglob("*") if file.is_file() and file.suffix != ".lock"]


@pytest.mark.slow
def test_train_then_runs_then_table(call, empty, monkeypatch):
    monkeypatch.delenv("RUNS_FROZEN")
    code, out, _ = call("train", "--dataset", "digits", "--alpha=-1", "--epochs", "2")
    assert code == 0 and "clean accuracy" in out
    monkeypatch.setattr("lib.runs.run.train_run", lambda *a, **k: pytest.fail("trained again"))
    assert call("train", "--dataset", "digits", "--alpha=-1.0", "--epochs", "2")[0] == 0

    code, out, _ = call("runs", "--csv")
    rows = pd.read_csv(io.StringIO(out))
    wanted = [
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
    ]
    assert list(rows.columns[: len(wanted)]) == wanted
    assert rows.status.tolist() == ["ok"] and rows.alpha.tolist() == [-1.0] and rows.epochs.tolist() == [2]
    assert "digits" in call("runs")[1]

    units = pd.read_csv(io.StringIO(call("table", "selectivity", "--csv")[1]))
    assert len(units) == 120 and units.selectivity.between(0, 1).all()
    # not measured before: measured now
    classes = pd.read_csv(io.StringIO(call("table", "class_means", "--csv")[1]))
    assert len(classes) == 1200

    damaged = next((empty / "runs").rglob("selectivity-*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    code, _, err = call("table", "selectivity")
    assert code == 2 and err.count("\n") == 1 and damaged.name in err
    code, out, err = call("runs", "--csv")
    assert code == 2 and pd.read_csv(io.StringIO(out)).status.tolist() == ["damaged"] and damaged.name in err
    code, _, err = call("train", "--dataset", "digits", "--alpha=-1", "--epochs", "2")
    assert code == 2 and err.count("\n") == 1 and damaged.name in err  # damage is not trained over


def test_no_runs(call, empty):
    assert "no runs" in call("runs")[1]
    assert call("table", "selectivity")[0] == 2


# ---- sweeps ------------------------------------------------------------------------------------------------


@pytest.fixture
def three(tmp_path):
    """A sweep file of three networks, of which the shared store has two."""
    file = tmp_path / "three.yml"
    file.write_text(
        f"dataset: digits\nmodels: [resnet8]\nrecipe: fast\nepochs: {EPOCHS}\nalphas: [0, 1, 2]\nseeds: [0]\n"
    )
    return file


def test_a_budget_that_ends_is_no_failure_and_what_is_finished_can_be_taken_home(
    call, own_store, three, trainings, tmp_path, monkeypatch
):
    target = tmp_path / "home" / "three.tar"
    code, out, err = call("sweep", str(three), "--budget", "0.0001", "--pack", str(target))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("three: 3 networks") and "the budget of 0.0001 minutes is used up" in lines
    assert (
        "three: 0 made, 2 were there, 1 left" in lines
        and f"go on with: python -m lib sweep {three} --budget 0.0001" in lines
    )
    assert lines[-2:] == [
        f"packed 2 of 3 runs into {target}",
        "bring them into another store with: python -m lib runs import three.tar",
    ]

    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "other"))
    code, out, err = call("runs", "import", str(target), str(target))
    assert (code, err) == (0, "")
    added, again = out.splitlines()
    assert (
        added == f"{target}: 2 runs added to {tmp_path / 'other'}, 0 were there, 0 tables and 0 weights "
        f"completed, 0 refused"
    )
    assert (
        again == f"{target}: 0 runs added to {tmp_path / 'other'}, 2 were there, 0 tables and 0 weights "
        f"completed, 0 refused"
    )
    rows = pd.read_csv(io.StringIO(call("runs", "--csv")[1]))
    assert rows.run.tolist() == [training.name for training in trainings] and set(rows.status) == {"ok"}


def test_nothing_finished_is_nothing_packed(call, own_store, three, tmp_path):
    three.write_text(three.read_text().replace("[0, 1, 2]", "[2]"))
    code, out, err = call("sweep", str(three), "--budget", "0.0001", "--pack", str(tmp_path / "a.tar"))
    assert (code, err) == (0, "") and out.splitlines()[
        -1
    ] == f"nothing is finished yet, so {tmp_path / 'a.tar'} was not written"
    assert not (tmp_path / "a.tar").exists()


def interrupt(*args, **how):
    raise KeyboardInterrupt


def test_ctrl_c_in_a_sweep_is_130_after_its_closing_lines(call, own_store, three, monkeypatch):
    monkeypatch.setattr("lib.runs.run.train_run", interrupt)
    code, out, err = call("sweep", str(three), "--shard", "1/1")
    assert (code, err) == (130, "")
    lines = out.splitlines()
    assert lines[-4:] == [
        "interrupted",
        "three: 0 made, 2 were there, 1 left",
        f"results are in {own_store}; list them with: python -m lib runs",
        f"go on with: python -m lib sweep {three}",
    ]


def test_ctrl_c_elsewhere_is_130_and_one_line(call, own_store, monkeypatch):
    monkeypatch.setattr("lib.runs.run.train_run", interrupt)
    code, _, err = call("train", "--dataset", "digits", "--alpha", "3")
    assert code == 130 and err == f"interrupted; {KEPT}\n"


@pytest.mark.parametrize(("engine", "module"), [("local", processes), ("slurm", slurm)])
@pytest.mark.parametrize(("how", "exit_code"), [({}, 0), ({"interrupted": True}, 130), ({"failed": True}, 1)])
def test_engines_get_the_plan_and_what_they_finished_is_packed(
    engine, module, how, exit_code, call, own_store, three, trainings, tmp_path, monkeypatch
):
    asked = []

    def take(plan):
        asked.append((plan.trainings, plan.missing))
        return Outcome((), plan.trainings[:2], plan.trainings[2:], **how)

    monkeypatch.setattr(module, "run", take)
    code, out, err = call(
        "sweep", str(three), "--engine", engine, "--shard", "1/1", "--pack", str(tmp_path / "a.tar")
    )
    assert (code, err) == (exit_code, "")
    missing = Training("digits", "resnet8", 2, 0, "fast", EPOCHS)
    assert (
        asked == [((*trainings, missing), (missing,))]
        and f"packed 2 of 3 runs into {tmp_path / 'a.tar'}" in out
    )


def test_a_pack_over_a_folder_is_refused_before_anything_runs(call, empty, monkeypatch):
    (empty / "a.tar").mkdir()
    code, _, err = call("sweep", "sweeps/digits.yml", "--pack", str(empty / "a.tar"))
    assert (
        code == 2
        and err == f"error: cannot write {empty / 'a.tar'}: it is a folder, not a file; give another name\n"
    )


# ---- importing ---------------------------------------------------------------------------------------------


def test_import_of_a_damaged_archive_is_one_line(call, own_store, trainings, tmp_path):
    packed = archive.pack(trainings, tmp_path / "a.tar").archives[0]
    packed.write_bytes(packed.read_bytes()[:-20_000])
    code, out, err = call("runs", "import", str(packed))
    assert (code, out) == (2, "") and err.startswith(f"error: damaged: {packed} ") and err.count("\n") == 1


def test_import_names_what_it_refused(call, own_store, trainings, tmp_path):
    packed = archive.pack(trainings, tmp_path / "a.tar").archives[0]
    folder = own_store / trainings[0].name
    files = {name: (folder / name).read_bytes() for name in (runs.CONFIG, runs.HISTORY, runs.WEIGHTS)}
    files[runs.WEIGHTS] = files[runs.WEIGHTS][:-1] + bytes([files[runs.WEIGHTS][-1] ^ 1])
    shutil.rmtree(folder)
    store.create(folder, files, optional=(runs.WEIGHTS,))
    code, out, err = call("runs", "import", str(packed))
    refused, last = err.splitlines()
    assert code == 2 and out.endswith(
        "0 runs added to " + f"{own_store}, 1 were there, 0 tables and 0 weights completed, 1 refused\n"
    )
    assert refused.startswith(f"refused: {trainings[0].name}: another network than the one here")
    assert last.startswith("error: 1 things differ from what is here and were left out; ")


@pytest.mark.parametrize(("settled", "exit_code"), [(True, 0), (False, 1)])
def test_recheck_says_whether_anything_stays_stale(settled, exit_code, call, own_store, monkeypatch):
    asked = []

    def again(*, say, epochs):
        asked.append(epochs)
        say("a line")
        return settled

    monkeypatch.setattr("lib.runs.recheck.recheck", again)
    assert call("runs", "recheck", "--epochs", "3") == (exit_code, "a line\n", "")
    assert asked == [3]


def commands(group, *before: str) -> dict[str, object]:
    """Every command and group of commands by the words that call it."""
    found = {}
    for name, command in group.commands.items():
        found[" ".join([*before, name])] = command
        found |= commands(command, *before, name) if hasattr(command, "commands") else {}
    return found


COMMANDS = commands(typer.main.get_command(app))


def test_runs_has_its_own_commands():
    assert {"runs", "runs import", "runs recheck"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_complete(command, call):
    code, out, _ = call(*command.split(), "--help")
    assert code == 0 and "Usage" in out and COMMANDS[command].help
    for parameter in COMMANDS[command].params:
        assert parameter.help, f"{command} {parameter.name} is not explained"


def test_paths_are_absolute_and_count_from_the_project(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # a notebook's kernel runs in another folder
    monkeypatch.setenv("RUNS_DIR", "somewhere")
    assert paths.runs() == paths.ROOT / "somewhere"
