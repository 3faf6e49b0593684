"""Train with the code of an earlier commit and with today's, on one machine, and compare every bit.

`recheck` repeats what is recorded, which only the kind of machine that made it can. This needs no such
machine: both codes run here.
"""

from __future__ import annotations

import json
import os
import reprlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lib.base import paths
from lib.base.errors import InputError
from lib.base.text import shortened
from lib.runs import equivalence, provenance
from lib.runs.groups import Group, found_groups
from lib.runs.run import frozen
from lib.training.engine import threads_of

IMAGES, EPOCHS = 1200, 2  # of a repeated training; the learning rate runs through its whole schedule

# Run in each of the two trees: trains on the first images alone and says what came out.
_PROGRAM = """
import hashlib, json, sys
import torch
asked = json.loads(sys.argv[1])
torch.set_num_threads(asked["threads"])
from lib import data
from lib.runs import provenance
from lib.runs.run import as_files
from lib.training.engine import Engine
try:
    from lib.training.robust import trainer
except ImportError:  # an earlier commit, which had one
    from lib.training.loop import train
    trainer = lambda training: train
from lib.training.training import Training
names = ("dataset", "model", "alpha", "seed", "recipe", "epochs", "variant")
training = Training(*(asked[name] for name in names))
load = data.load
data.load = lambda name, split: load(name, split).first(asked["images"])
trained = trainer(training)(training, Engine(**asked["engine"]), progress=False)
weights = as_files(trained, training, "", "")["weights.safetensors"]
rows = trained.history.to_dict("records")
print(json.dumps({
    "digest": provenance.training_digest(training),
    "weights": hashlib.sha256(weights).hexdigest(),
    "history": [{name: repr(value) for name, value in row.items()} for row in rows],
    "accuracy": repr(trained.result["clean_accuracy"]),
}))
"""


def against(revision: str, *, say: Callable[[str], None] = print, alpha: float = -1.0) -> bool:
    """Train as an earlier commit did and as today's code does, for each group of stale trainings.

    Where histories, weights and accuracy are equal to the bit, the two codes are recorded as the same for
    that model, way of training, recipe, engine and number of threads.

    Args:
        revision: A commit of this repository, any name git knows. Its library must be of nine packages.
        say: Function that is called with each line of the report.
        alpha: Selectivity scale of the trainings, other than 0, so that selectivity is differentiated.

    Returns:
        Whether no training is stale any more.

    Raises:
        InputError: There is no such commit, or its code fails; and under RUNS_FROZEN=1.
    """
    if frozen():
        raise InputError("RUNS_FROZEN=1 and recheck trains; unset it for this command")
    commit = provenance.commit()
    with tempfile.TemporaryDirectory() as folder:
        old = _tree(revision, Path(folder))
        found: dict[str, tuple[dict, dict]] = {}
        for group, members in found_groups()[0].items():
            if group.kind != "training" or group.recorded():
                continue
            if reason := _hindrance(group):
                say(f"not here: {group}: {reason}")
                continue
            asked = _asked(group, members[0].training.dataset, alpha)
            key = json.dumps(asked, sort_keys=True)
            if key not in found:
                how = f"{group['engine']}, {asked['threads']} threads"
                say(f"training {group['variant']} {group['model']}, {how}")
                found[key] = _result(old, asked, revision), _result(paths.ROOT, asked, "today")
            theirs, ours = found[key]
            if ours["digest"] != group.new:
                raise InputError("the library was edited while it was compared; run this command again")
            if difference := _difference(theirs, ours):
                say(f"differs: {group}: {difference}")
                continue
            said = (
                f"training by the code of commit {revision} and by today's on one machine, equal to the bit"
            )
            about = dict(group.facts)
            evidence = [{"what": said, "images": IMAGES, "epochs": EPOCHS, "alpha": alpha}]
            equivalence.settle("training", theirs["digest"], group.new, about, evidence, commit)
            say(
                f"the same: {group} and by today's"
                if group.recorded()
                else f"open: {group}: not linked with it"
            )
    return all(group.recorded() for group in found_groups()[0] if group.kind == "training")


def _tree(revision: str, folder: Path) -> Path:
    """The library as it was at a commit, in a folder."""
    git = ["git", "-C", str(paths.ROOT)]
    # git would take a dash for an option, of which --output writes a file; the system takes no zero byte
    if revision.startswith("-") or not revision.isprintable():
        raise InputError(f"no commit is called {reprlib.repr(revision)}; give a name that git log shows")
    try:
        packed = subprocess.run(
            [*git, "archive", "--format=tar", f"{revision}^{{commit}}", "lib"],
            capture_output=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", b"") or str(error).encode()
        line = reason.decode(errors="replace").strip().splitlines()[-1:]
        raise InputError(
            f"no library at commit {reprlib.repr(revision)} of {paths.ROOT}: {shortened(''.join(line))}"
        ) from None
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed, check=True)
    return folder


def _hindrance(group: Group) -> str:
    """Why this machine cannot train as a group was; "" if it can."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if not group["engine"].startswith(device):
        return f"made with {group['engine']}, this machine has {device}"
    if torch.__version__ != group["torch"]:
        return f"made with torch {group['torch']}, this is {torch.__version__}"
    return ""


def _asked(group: Group, dataset: str, alpha: float) -> dict[str, Any]:
    """What the program is asked to train for a group."""
    device, precision, how, *captured = group["engine"].split()
    with threads_of(group["device"]):
        threads = torch.get_num_threads()
    return {
        "dataset": dataset,
        "model": group["model"],
        "variant": group["variant"],
        "recipe": group["recipe"],
        "alpha": alpha,
        "seed": 0,
        "epochs": EPOCHS,
        "images": IMAGES,
        "threads": threads,
        "engine": {
            "device": device,
            "low_precision": precision == "bfloat16",
            "compiled": how == "compiled",
            "captured": bool(captured),
        },
    }


def _result(tree: Path, asked: dict[str, Any], what: str) -> dict[str, Any]:
    """What the library in a folder gives."""
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"LIB_CACHE": str(paths.cache())}
    if "DATA_DIR" in environment:  # which may be relative to this project
        environment["DATA_DIR"] = str(paths.data())
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps(asked)],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        cwd=tree,
        check=False,
    )
    if done.returncode:
        raise InputError(f"the code of {what} fails: {''.join(done.stderr.strip().splitlines()[-1:])}")
    return json.loads(done.stdout.splitlines()[-1])


def _difference(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    """What differs first; "" if nothing does."""
    for what in ("history", "weights", "accuracy"):
        if theirs[what] != ours[what]:
            return f"its {what}, {theirs[what]} then, {ours[what]} today"
    return ""
