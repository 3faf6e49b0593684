"""The command line: what it prints, and one line with exit code 2 for everything that is wrong."""

import errno
import io
import os
import sys

import pandas as pd
import pytest
import typer

from lib import __main__ as cli
from lib import paths, runs, store
from lib.recipes import Training


@pytest.fixture
def call(monkeypatch, capsys):
    """Run `python -m lib ...` in this process: (exit code, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lib", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
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
    "negative seed": (["train", "--dataset", "digits", "--seed=-1"], "-1"),
    "broken seed": (["train", "--dataset", "digits", "--seed", "1.5"], "1.5"),
    "no epochs": (["train", "--dataset", "digits", "--epochs", "0"], "0"),
    "unknown chapter": (["rerun", "aproach"], "aproach"),
    "unknown chapter's data set": (["rerun", "approach", "--dataset", "mnist"], "mnist"),
    "rerun with alpha text": (["rerun", "approach", "--alpha", "high"], "high"),
    "rerun with alpha nan": (["rerun", "approach", "--dataset", "digits", "--alpha", "nan"], "nan"),
    "unknown measurement": (["table", "selectivty"], "selectivty"),
    "unknown data set to look for": (["data", "mnist"], "mnist"),
    "download of digits": (["data", "digits", "--download"], "digits"),
    "unknown option": (["train", "--alfa", "1"], "--alfa"),
    "unknown command": (["trian"], "trian"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case, call, empty):
    arguments, named = BAD[case]
    code, _, err = call(*arguments)
    assert code == 2
    assert err.startswith("error: ") and err.count("\n") == 1
    assert named in err
    assert not list(empty.glob("runs/*/*")), "nothing may be left behind"


@pytest.mark.parametrize(("given", "alpha"), [("--alpha -0.7", -0.7), ("--alpha=-1e-3", -0.001), ("--alpha -1e-3", -0.001), ("--alpha 2", 2.0)])
def test_negative_alphas_are_the_normal_case(given, alpha, call, empty):
    code, _, err = call("train", "--dataset", "digits", *given.split())
    assert code == 2 and Training("digits", "resnet8", alpha, 0, "fast").name in err  # frozen: the error names the run it wanted


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


def test_train_then_runs_then_table(call, empty, monkeypatch):
    monkeypatch.delenv("RUNS_FROZEN")
    code, out, _ = call("train", "--dataset", "digits", "--alpha=-1", "--epochs", "2")
    assert code == 0 and "clean accuracy" in out
    monkeypatch.setattr(runs, "_train", lambda *a, **k: pytest.fail("trained again"))
    assert call("train", "--dataset", "digits", "--alpha=-1.0", "--epochs", "2")[0] == 0

    code, out, _ = call("runs", "--csv")
    rows = pd.read_csv(io.StringIO(out))
    wanted = ["dataset", "model", "alpha", "seed", "recipe", "epochs", "clean_accuracy", "mean_selectivity", "device", "commit", "date", "status"]
    assert list(rows.columns[: len(wanted)]) == wanted
    assert rows.status.tolist() == ["ok"] and rows.alpha.tolist() == [-1.0] and rows.epochs.tolist() == [2]
    assert "digits" in call("runs")[1]

    units = pd.read_csv(io.StringIO(call("table", "selectivity", "--csv")[1]))
    assert len(units) == 120 and units.selectivity.between(0, 1).all()
    classes = pd.read_csv(io.StringIO(call("table", "class_means", "--csv")[1]))  # not measured before: measured now
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


COMMANDS = typer.main.get_command(cli.app).commands


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_complete(command, call):
    code, out, _ = call(command, "--help")
    assert code == 0 and "Usage" in out and COMMANDS[command].help
    for parameter in COMMANDS[command].params:
        assert parameter.help, f"{command} {parameter.name} is not explained"


def test_paths_are_absolute_and_count_from_the_project(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # a notebook's kernel runs in another folder
    monkeypatch.setenv("RUNS_DIR", "somewhere")
    assert paths.runs() == paths.ROOT / "somewhere"
