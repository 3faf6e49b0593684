"""Facts of a run from elsewhere that cannot be true, alone or together; each is one line."""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from lib.base import paths
from lib.base.files import Unfit
from lib.runs import consistency, fields, provenance, validity
from lib.training.training import Training

TRAINING = Training("digits", "resnet8", 0.0, 0, "fast")


@pytest.fixture(scope="module")
def whole():
    """A training, its config.json and its history, as the repository has them."""
    folder = paths.ROOT / "runs" / TRAINING.name
    facts = json.loads((folder / validity.CONFIG).read_bytes())
    return TRAINING, facts, validity.history((folder / validity.HISTORY).read_bytes(), facts)


def changed(whole, part: str, **values: object):
    """The same with some fields of a part of its config.json changed."""
    training, facts, history = whole
    facts = copy.deepcopy(facts)
    facts[part] |= values
    return facts, training, history


TOMORROW = f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%d}"
ODD = {
    "best_epoch": [0, 1, 17],
    "epochs_run": [0],
    "clean_n": [0, 499, 10_000],
    "train_n": [0, 1297, 45_000],
    "clean_accuracy": [0.12345, 0.0, 1e-300],
    "validation_accuracy": [None, 0.0, 1.0],
    "status": ["diverged"],
    "data": ["", "5F7F903E74E14B18", "5f7f903e74e14b1", "5f7f903e74e14b18\n"],
    "seconds": [1e12, 0.0, -0.1],
}
MADE = {
    "date": ["", "2026-13-01", "2026-02-30", "2026-2-3", "20260203", "2026-W05-1", "26-02-03", "2026-02-03T10:00", "9999-12-31", TOMORROW, "today", "٢٠٢٦-٠٢-٠٣"],
    "commit": ["+", "abc", "e502b8baa6++", "e502b8baaG", "E502B8BAA6", "a" * 41, "e502b8baa6 ", "main"],
    "code": ["", "2:", "1a68656c2a9", "2:1A68656C2A90", "22:1a68656c2a90", "2:1a68656c2a90\n"],
    "torch": ["", "two", ".1", "2"],
    "python": ["", "3", "snake"],
    "version": ["", "latest"],
    "device": ["", "  "],
    "engine": ["", "cpu", "tpu float32"],
    "seconds": [-1.0, 1e12, 12345.0],
    "parent": ["0" * 64],
}  # fmt: skip
CASES = [
    (part, name, value)
    for part, table in (("result", ODD), ("provenance", MADE))
    for name in table
    for value in table[name]
]


def test_facts_as_this_library_writes_them_are_taken(whole):
    training, facts, history = whole
    consistency.check(facts, training, history)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    for part in ({"date": today}, {"commit": ""}, {"commit": "a" * 40 + "+"}, {"code": "2:" + "a" * 12}):
        consistency.check(*changed(whole, "provenance", **part))


@pytest.mark.parametrize(("part", "name", "value"), CASES)
def test_a_fact_that_cannot_be_is_one_line(whole, part, name, value):
    with pytest.raises(Unfit) as caught:
        consistency.check(*changed(whole, part, **{name: value}))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("part", ["result", "provenance"])
@pytest.mark.parametrize("name", ["more", "", "seconds ", "Code", "\n"])
def test_a_field_that_there_is_not_is_one_line(whole, part, name):
    with pytest.raises(Unfit, match="is not what this library writes"):
        consistency.check(*changed(whole, part, **{name: 1}))
    facts, *_ = changed(whole, part, **{name: 1})
    with pytest.raises(Unfit, match=f"is not what this library writes: {part}") as caught:
        validity.config(json.dumps(facts).encode())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", fields.TRAINED | fields.RESULT)
def test_a_field_is_left_out_only_where_it_may_be(whole, name):
    training, facts, history = whole
    part = "result" if name in fields.RESULT else "provenance"
    left = copy.deepcopy(facts)
    left[part].pop(name, None)
    if name in ("version", "python", "parent"):  # the first archives have none
        return consistency.check(left, training, history)
    with pytest.raises(Unfit, match=f"has no {name}"):
        consistency.check(left, training, history)


def test_all_that_is_written_is_a_field_of_the_format():
    """What the cached runs have, and what this code writes now."""
    for file in (paths.ROOT / "runs").glob("*/*/config.json"):
        facts = json.loads(file.read_bytes())
        of = fields.SIMULATED if "simulation" in facts else fields.TRAINED
        fields.check_fields("provenance", facts["provenance"], of, forms=True)
        if "result" in facts:
            fields.check_fields("result", facts["result"], fields.RESULT, forms=True)
    assert provenance.provenance("cpu", 1.0).keys() == fields.MADE.keys()


def test_the_history_says_which_epoch_is_kept(whole):
    """The first of the best ones; the last by Adam; none where no epoch was finished; and then the status."""
    training, facts, history = whole

    def told(accuracies: list[float], network: Training = training, **result: object) -> str:
        rows = pd.DataFrame({"validation_accuracy": accuracies})
        given = copy.deepcopy(facts)
        given["result"] |= {"epochs_run": len(accuracies)} | result
        try:
            consistency._check_best(given["result"], network, rows)
        except Unfit as error:
            return str(error)
        return ""

    nan, adam = np.nan, Training("digits", "cnn-small", 0.0, 0, "certified", variant="ibp-2")
    assert not told([0.5, 0.9, 0.9], best_epoch=2, validation_accuracy=0.9)
    assert "history says 2" in told([0.5, 0.9, 0.9], best_epoch=3, validation_accuracy=0.9)
    assert not told([0.5, 0.9, 0.7], adam, best_epoch=3, validation_accuracy=0.7)
    assert "history says 3" in told([0.5, 0.9, 0.7], adam, best_epoch=2, validation_accuracy=0.9)
    assert not told([0.5, nan], best_epoch=1, validation_accuracy=0.5, status="diverged")
    assert "say diverged" in told([0.5, nan], best_epoch=1, validation_accuracy=0.5, status="ok")
    assert not told([nan], best_epoch=0, validation_accuracy=None, status="diverged", clean_accuracy=0.1)
    assert "history says 0" in told([nan], best_epoch=1, validation_accuracy=None, status="diverged")
    assert "without an accuracy" in told([nan, 0.5], best_epoch=2, validation_accuracy=0.5)
    assert "say diverged" in told([0.5], best_epoch=1, validation_accuracy=0.5, clean_accuracy=0.1)


def test_a_parent_is_named_where_there_is_one(whole):
    training, facts, history = whole
    child = replace(training, start=training)
    with pytest.raises(Unfit, match="no parent"):
        consistency.check(facts, child, history)
    consistency.check(*(changed(whole, "provenance", parent="0" * 64)[0], child, history))
