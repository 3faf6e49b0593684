"""Networks of a rerun: small ones side by side, each with one thread, to the same bits as one after the other."""

from dataclasses import replace

import pytest
import torch

from lib import runs
from lib.base.errors import InputError
from lib.book import kernels, making
from lib.training.training import Training

SMALL = [Training("digits", "resnet8", alpha, 0, "fast", 1) for alpha in (0.3, 0.7)]


@pytest.fixture
def cores(monkeypatch):
    monkeypatch.setattr(kernels, "most", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_small_networks_are_trained_side_by_side(cores, monkeypatch):
    assert making.at_once(SMALL) == 2 and making.at_once(SMALL[:1]) == 1 and making.at_once([]) == 1
    assert making.at_once([*SMALL, replace(SMALL[0], alpha=0.9)]) == 2
    large = [Training("cifar10", "resnet20", alpha, 0, "fast") for alpha in (0.3, 0.7)]
    assert making.at_once(large) == 1
    assert making.seconds(SMALL, dict.fromkeys(SMALL, 30.0)) == 30.0
    assert making.seconds(large, dict.fromkeys(large, 30.0)) == 60.0
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert making.at_once(SMALL) == 1


@pytest.mark.slow
def test_side_by_side_is_the_same_as_one_after_the_other(cores, tmp_path, monkeypatch):
    found = {}
    for name, most in (("two", 2), ("one", 1)):
        monkeypatch.setenv("RUNS_DIR", str(tmp_path / name))
        monkeypatch.setattr(kernels, "most", lambda most=most: most)
        done = []
        making.make(
            SMALL,
            dict.fromkeys(SMALL, 1.0),
            lambda training, run, done=done: done.append((training, run.path)),
        )
        assert sorted(one.alpha for one, _ in done) == [0.3, 0.7] and all(path.is_dir() for _, path in done)
        found[name] = [runs.load(one).state_dict() for one in SMALL]
    for one, other in zip(*found.values(), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.slow
def test_what_fails_is_one_error_with_its_words(cores, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_DIR", str(tmp_path))
    monkeypatch.setenv("RUNS_FROZEN", "1")
    with pytest.raises(InputError, match="RUNS_FROZEN=1"):
        making.make(SMALL, dict.fromkeys(SMALL, 1.0), lambda training, run: None)
