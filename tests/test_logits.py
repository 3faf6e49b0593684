"""The table `logits`: answers to comparable attacks, from which everything about classes is made anew."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib import attacks, models
from lib.base.errors import InputError
from lib.base.files import Unfit
from lib.data.images import Images
from lib.measurements import logits as kept
from lib.measurements import per_image
from lib.measurements.registry import MEASUREMENTS
from lib.runs import validity
from lib.runs.run import as_parquet
from lib.training.training import Training

pytestmark = pytest.mark.slow  # all but two attack a network eighteen times

TRAINING = Training("digits", "resnet8", 0.0, 0, "fast")
HOW = {"limit": 45, "epsilon": 4 / 255, "steps": 4, "restarts": 1, "seed": 0}


@pytest.fixture(scope="module")
def table(trained, digits) -> pd.DataFrame:
    return kept.logits(trained, digits["test"], **HOW)


def row(table: pd.DataFrame, attack: str, inverse: float | None = None) -> dict:
    some = table[table.attack == attack]
    (one,) = some[some.inverse_temperature.eq(inverse) if inverse else some.index == some.index[0]].to_dict(
        "records"
    )
    return one


def test_every_attack_is_there_from_one_start(table, trained, digits):
    assert list(table) == list(kept.LOGITS_TABLE) == list(MEASUREMENTS["logits"].table)
    assert table.attack.value_counts().to_dict() == {
        "clean": 1, "fgsm": 1, "pgd": 1, "margin": 1, "t-pgd": 8, "t-pgd-plain": 8,
    }  # fmt: skip
    attacked = table[~table.attack.isin(["clean", "fgsm"])]
    assert set(zip(attacked.steps, attacked.step_size, attacked.restarts, strict=True)) == {(4, 1 / 255, 1)}
    some = digits["test"].first(45)
    x, labels = models.to_unit(some.pixels), some.labels
    start = attacks.random_start(x, 4 / 255, torch.Generator().manual_seed(0))
    found = attacks.margin_pgd(trained, x, labels, 4 / 255, 1 / 255, 4, start=start)
    with torch.no_grad():
        answers = {"clean": trained(x), "margin": trained(found)}
    for name, wanted in answers.items():
        np.testing.assert_allclose(kept.all_logits(row(table, name)), wanted.numpy(), rtol=1e-2, atol=2e-2)


def test_temperature_one_is_pgd_and_small_temperatures_tend_to_the_margin(table):
    pgd, one = row(table, "pgd"), row(table, "t-pgd", 1.0)
    np.testing.assert_allclose(kept.margins(pgd), kept.margins(one), rtol=0.02, atol=0.02)
    cosines = table[table.attack == "t-pgd"].cosine
    assert cosines.is_monotonic_increasing and cosines.iloc[-1] > 0.99
    assert row(table, "margin")["cosine"] == pytest.approx(1) and np.isnan(row(table, "clean")["cosine"])
    assert (table[table.attack == "t-pgd"].zero_gradient == 0).all()
    stopped = table[table.attack == "t-pgd-plain"].zero_gradient
    assert stopped.iloc[-1] > 30 and stopped.is_monotonic_increasing


def test_margins_predictions_and_bits_agree(table, digits):
    labels = digits["test"].first(45).labels.numpy()
    for one in table.to_dict("records"):
        right, margin, answer = per_image.unpacked(one), kept.margins(one), kept.predicted(one)
        assert ((answer == labels) == right).all() and kept.labels_of(one).tolist() == labels.tolist()
        # float16 may make a tie of logits; margins that are kept by themselves keep their sign
        assert ((margin < 0) == right).mean() > 0.95 if len(one["logits"]) else ((margin < 0) == right).all()
    assert per_image.by_class(table).images.sum() == 45 * len(table)
    norms = kept.norms_of(row(table, "clean"))
    assert norms.shape == (10,) and (norms > 0).all()


def test_what_is_not_kept_is_said(table):
    with pytest.raises(InputError, match="logits of t-pgd at 1/T = 2 are not kept"):
        kept.all_logits(row(table, "t-pgd", 2.0))


def test_restarts_count_equally_and_never_weaken(table, trained, digits):
    few = digits["test"].first(45)
    twice = kept.logits(trained, few, **HOW | {"restarts": 2})
    for attack, inverse in (("pgd", None), ("margin", None), ("t-pgd", 5.0), ("t-pgd-plain", 20.0)):
        once, more = row(table, attack, inverse), row(twice, attack, inverse)
        assert (kept.margins(more) >= kept.margins(once) - 0.02).all() and more["restarts"] == 2
    with pytest.raises(InputError, match="restarts must be a whole number >= 1, got 0"):
        kept.logits(trained, few, **HOW | {"restarts": 0})


def test_a_small_margin_keeps_its_sign():
    small = torch.tensor([1e-12, -1e-12, 0.0, 1e9, -3.0])
    assert np.sign(kept._signed(small)).tolist() == [1, -1, 0, 1, -1]
    assert np.isfinite(kept._signed(small)).all()


def test_a_network_at_chance_and_a_class_without_images(digits):
    network = models.build("resnet8", 10, seed=5).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(float("nan"))
    some = digits["test"].without(("3", "7")).first(20)
    table = kept.logits(network, some, **HOW | {"steps": 1})
    assert np.isnan(kept.margins(row(table, "pgd"))).all() and np.isnan(table.cosine).all()
    assert not set(kept.labels_of(row(table, "clean"))) & {3, 7}
    validity.table("logits", as_parquet(table), TRAINING)


def test_two_classes():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).eval()
    pixels = torch.randint(256, (6, 3, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    some = Images(pixels, torch.arange(6) % 2, ("a", "b"))
    table = kept.logits(network, some, **HOW)
    margin = kept.margins(row(table, "margin"))
    for inverse in kept.INVERSE_TEMPERATURES:  # with one wrong class all temperatures are the margin
        np.testing.assert_allclose(kept.margins(row(table, "t-pgd", inverse)), margin, atol=1e-2)


# ---- in a store --------------------------------------------------------------------------------------------


def test_a_table_is_checked(table):
    validity.table("logits", as_parquet(table), TRAINING)
    short, seven = table.attack == "t-pgd", table.attack == "pgd"
    for column, rows, change, said in [
        ("logits", seven, lambda one: one[:-2], "logits of each of its images"),
        ("margin", short, lambda one: b"", "logits of each of its images"),
        ("rival", short, lambda one: b"\x0a" + one[1:], "other classes than the 10"),
        ("norms", short, lambda one: one[:-1], "a norm for each of 10 classes"),
        ("zero_gradient", short, lambda one: 46, "more images without a gradient than images"),
        ("right", short, lambda one: one[:-1], "one bit and one label"),
    ]:
        odd = table.copy()
        odd.loc[rows, column] = odd.loc[rows, column].map(change)
        with pytest.raises(Unfit, match=said):
            validity.table("logits", as_parquet(odd), TRAINING)


def test_a_table_of_2000_images_takes_less_than_three_tenths_of_a_megabyte():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (2000,), generator=generator)
    some = Images(torch.zeros(2000, 1, 1, 1, dtype=torch.uint8), labels, tuple("abcdefghij"))
    answers = {one: [(4 * torch.randn(2000, 10, generator=generator), 1.0, 1, 0)] for one in kept._attacks()}
    how = {"epsilon": 0.1, "step_size": 0.1, "steps": 20}
    size = len(as_parquet(pd.DataFrame(kept._rows(answers, some, how, 1, b""))))
    assert size < 300_000  # of random answers, which pack worst
