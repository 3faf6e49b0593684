"""The logit bias: tuned on one half, judged on the other, under an attack that knows it."""

import pytest
import torch

from lib import models
from lib.base.errors import InputError
from lib.measurements import logit_bias as bias
from lib.runs import validity
from lib.runs.run import as_parquet
from lib.training.training import Training

HOW = {"limit": 60, "epsilon": 4 / 255, "steps": 2, "seed": 0}


def lowest(answers, labels):
    right = (answers.argmax(1) == labels).double()
    return min(float(right[labels == one].mean()) for one in labels.unique())


def test_tuning_raises_the_worst_class():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(600) % 3
    answers = torch.randn(600, 3, generator=generator)
    answers[torch.arange(600), labels] += 1
    answers[:, 2] -= 1.5  # nobody says 2
    found = bias.tuned(answers, labels, torch.zeros(3))
    assert lowest(answers, labels) < 0.3 and lowest(answers + found, labels) > 0.5
    assert float(found.mean()) == pytest.approx(0, abs=1e-6) and found.argmax() == 2


def test_a_class_without_images_is_not_raised():
    labels = torch.arange(40) % 2
    answers = torch.randn(40, 3, generator=torch.Generator().manual_seed(1))
    found = bias.tuned(answers, labels, torch.zeros(3))
    assert found[2] == found.min()


def test_every_image_is_judged_once_and_never_tuned_on(trained, digits):
    some = digits["test"]
    table = bias.logit_bias(trained, some, **HOW)
    assert list(table) == list(bias.LOGIT_BIAS_TABLE) and set(table.attack) == {"clean", "margin"}
    for _, own in table.groupby(["tuned", "attack"]):
        assert own["images"].sum() == 60 and (own.correct <= own["images"]).all()
    with torch.no_grad():
        right = trained(models.to_unit(some.first(60).pixels)).argmax(1) == some.first(60).labels
    clean = table[(table.attack == "clean") & ~table.tuned]
    assert clean.correct.sum() == int(right.sum()) and (clean.bias == 0).all()
    changed = table[table.tuned].groupby("half").bias.std()
    assert (changed > 0).all() and len(changed) == 2
    validity.table("logit_bias", as_parquet(table), Training("digits", "resnet8", 0.0, 0, "fast"))


def test_a_bias_needs_two_halves(trained, digits):
    with pytest.raises(InputError, match="judged on the other, got 1"):
        bias.logit_bias(trained, digits["test"], **HOW | {"limit": 1})
