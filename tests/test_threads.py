"""One thread for small networks; as many as recorded for a training that is repeated."""

import json
from dataclasses import replace

import pytest
import torch

from lib import runs
from lib.runs import run as run_module
from lib.runs import threads
from lib.training.training import Training

SMALL, LARGE = (
    Training(*names, 0.0, 0, "fast") for names in (("digits", "resnet8"), ("cifar10", "resnet20"))
)


@pytest.fixture(autouse=True)
def three(monkeypatch):
    """Three threads on a machine of four cores, without starting any."""
    now = [3]
    monkeypatch.setattr(torch, "get_num_threads", lambda: now[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda number: now.__setitem__(0, number))
    monkeypatch.setattr("lib.training.engine.os.cpu_count", lambda: 4)
    return now


@pytest.mark.parametrize(
    ("training", "recorded", "count"),
    [
        (SMALL, "", 1),
        (LARGE, "", 3),
        (SMALL, "AMD EPYC, 2 threads", 2),
        (LARGE, "AMD EPYC, 1 threads", 1),
        (SMALL, "AMD EPYC, 2 threads, then from epoch 4 AMD EPYC, 1 threads", 2),
        (SMALL, "AMD EPYC, 64 threads", 3),
        (LARGE, "NVIDIA H200", 3),
    ],
)
def test_as_many_as_it_gets_and_gives_them_back(training, recorded, count, three):
    with threads.for_training(training, recorded):
        assert three == [count]
    assert three == [3]


def test_a_new_run_says_one_and_a_repeated_one_has_what_it_says(
    store_dir, trainings, own_store, monkeypatch, three
):
    seen = []

    def stop(*_, **__):
        seen.append(torch.get_num_threads())
        raise KeyError

    monkeypatch.setattr(run_module, "train", stop)
    with pytest.raises(KeyError):
        runs.make(replace(trainings[0], seed=9))
    run = run_module.folder(trainings[0])
    (run.path / runs.WEIGHTS).unlink()
    monkeypatch.setattr(
        run_module,
        "config",
        lambda _: {
            "training": json.loads(json.dumps(trainings[0].canonical())),
            "provenance": {"device": "A, 2 threads"},
        },
    )
    with pytest.raises(KeyError):
        runs.make(trainings[0], weights=True)
    assert seen == [1, 2]
