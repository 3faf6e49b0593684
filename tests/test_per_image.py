"""Right or wrong for every image: the same as the tables of class counts say, kept as one bit."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib import measurements, models, runs
from lib.base.errors import InputError
from lib.base.files import Unfit
from lib.data.images import Images
from lib.measurements import attack, corruption, per_image, per_image_summary
from lib.measurements.transfer import transfer
from lib.runs import validity
from lib.runs.run import as_parquet
from lib.training.training import Training, labels

TRAINING = Training("digits", "resnet8", 0.0, 0, "fast")
IMAGES, LIMIT = 36, 19  # no multiple of 8


@pytest.fixture(scope="module")
def network(trained) -> nn.Module:
    return trained


@pytest.fixture(scope="module")
def images(digits) -> Images:
    return digits["test"].first(IMAGES)


@pytest.fixture(scope="module")
def attacked(network, images) -> pd.DataFrame:
    return per_image.image_attack(network, images, wide=0, limit=LIMIT, precision="float32")


def counts(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    return table[[*keys, "class", "images", "correct"]].sort_values([*keys, "class"], ignore_index=True)


def test_class_counts_are_those_of_the_attack_table(network, images, attacked):
    classes = per_image.by_class(attacked)
    keys = ["attack", "epsilon", "step_size", "steps"]
    for wide, limit in ((True, 0), (False, LIMIT)):
        whole = attack.attack(network, images, limit=limit, precision="float32")
        mine = classes[classes.attack.isin(["clean", "fgsm"]) == wide]
        known = mine[keys].drop_duplicates()
        theirs = whole.merge(known, on=keys)
        assert len(known) == (1 + len(attack.FGSM_EPSILONS) if wide else 6 + 3 * 4)
        pd.testing.assert_frame_equal(counts(mine, keys), counts(theirs, keys))


def test_every_bit_is_the_answer_to_its_image(network, images, attacked):
    with torch.no_grad():
        right = network(models.to_unit(images.pixels)).argmax(1) == images.labels
    (clean,) = attacked[attacked.attack == "clean"].to_dict("records")
    assert per_image.unpacked(clean).tolist() == right.tolist() and clean["images"] == IMAGES
    assert np.frombuffer(clean["labels"], np.uint8).tolist() == images.labels.tolist()
    table = attacked[attacked.attack == "clean"]
    assert per_image.accuracy(table).tolist() == [float(right.float().mean())] or np.isclose(
        per_image.accuracy(table).iloc[0], right.double().mean()
    )


def test_a_larger_ball_breaks_what_a_smaller_one_broke(attacked):
    for name in attack.IN_BALLS:
        bits = [per_image.unpacked(one) for one in attacked[attacked.attack == name].to_dict("records")]
        assert len(bits) == 4 and all(
            (larger <= smaller).all() for smaller, larger in zip(bits, bits[1:], strict=False)
        )


def test_class_counts_are_those_of_the_corruption_table(network, images):
    ours = per_image.by_class(per_image.image_corruption(network, images, limit=LIMIT))
    theirs = corruption.corruption(network, images, limit=LIMIT)
    keys = ["corruption", "severity"]
    pd.testing.assert_frame_equal(counts(ours, keys), counts(theirs, keys), check_dtype=False)


def test_class_counts_are_those_of_the_transfer_table(network, images, tmp_path, monkeypatch):
    monkeypatch.setenv("LIB_CACHE", str(tmp_path))
    source = Training("digits", "resnet8", 0.0, 1, "fast")
    given = {
        "limit": LIMIT,
        "precision": "float32",
        "sources": {source: models.build("resnet8", 10, seed=5).eval()},
    }
    ours = per_image.by_class(per_image.image_transfer(network, images, epsilon=4 / 255, **given))
    theirs = transfer(network, images, **given)
    keys = ["source_seed", "attack", "epsilon"]
    theirs = theirs[np.isclose(theirs.epsilon, 4 / 255)]
    pd.testing.assert_frame_equal(counts(ours, keys), counts(theirs, keys), check_dtype=False)
    with pytest.raises(InputError, match="needs a network of another seed"):
        per_image.image_transfer(network, images, epsilon=4 / 255, **given | {"sources": {}})


def test_sources_are_plain_and_of_other_seeds():
    parent = Training("cifar10", "resnet20", 0.0, 1, "fast")
    child = Training("cifar10", "resnet20", -2.0, 1, "fast", 8, "pgd-2", parent)
    found = per_image.sources(child, {"sources": [0, 1, 2]})
    assert found == [Training("cifar10", "resnet20", 0.0, seed, "fast") for seed in (0, 2)]


def test_bits_by_network():
    def row(seed, right):
        some = Images(torch.zeros(3, 1, 1, 1, dtype=torch.uint8), torch.tensor([0, 1, 1]), ("a", "b"))
        return labels(Training("digits", "resnet8", 0.0, seed, "fast")) | per_image.row(
            torch.tensor(right), some
        )

    table = pd.DataFrame([row(0, [True, False, True]), row(1, [False, False, True])])
    found = per_image_summary.shares(table)
    assert {key: bits.tolist() for key, bits in found.items()} == {(0, 0.0): [1, 0, 1], (1, 0.0): [0, 0, 1]}
    both = per_image_summary.shares(table.assign(seed=5))
    assert [key for key in both] == [(5, 0.0)] and both[5, 0.0].tolist() == [0.5, 0, 1]
    classes = per_image.by_class(table)
    assert classes[classes.seed == 0].correct.tolist() == [1, 1] and classes.images.tolist() == [1, 2, 1, 2]


def test_no_image_and_a_class_without_images():
    none = Images(torch.zeros(0, 1, 1, 1, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64), ("a", "b"))
    table = pd.DataFrame([per_image.row(torch.zeros(0, dtype=torch.bool), none, attack="x")])
    assert per_image.accuracy(table).isna().all() and per_image.by_class(table).correct.tolist() == [0, 0]


def test_more_classes_than_a_byte_tells_apart():
    many = Images(
        torch.zeros(1, 1, 1, 1, dtype=torch.uint8), torch.tensor([256]), tuple(map(str, range(257)))
    )
    with pytest.raises(InputError, match="there are 257 classes"):
        per_image.row(torch.tensor([True]), many)


def test_a_diverged_network_is_right_nowhere(images):
    network = models.build("resnet8", 10, seed=5).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(float("nan"))
    table = per_image.image_corruption(network, images, limit=10)
    first = images.labels[:10] == 0  # the largest of logits that are NaN is the first
    assert all(per_image.unpacked(one).tolist() == first.tolist() for one in table.to_dict("records"))


# ---- in a store --------------------------------------------------------------------------------------------


def stored(table: pd.DataFrame) -> bytes:
    return as_parquet(table)


def test_a_table_of_bits_is_small_and_checked(network, digits):
    table = per_image.image_corruption(network, digits["test"], limit=300)
    content = stored(table)
    assert len(content) < 96 * 300 / 8 + 6000  # labels and names once
    validity.table("image_corruption", content, TRAINING)
    for column, change, said in [
        ("right", lambda one: one[:-1], "one bit and one label"),
        ("right", lambda one: one[:-1] + b"\xff", "more bits than images"),
        ("labels", lambda one: one + b"\x00", "one bit and one label"),
        ("labels", lambda one: b"\x0a" + one[1:], "other classes than the 10"),
        ("classes", lambda one: one + b"\nten", "other classes than the 10"),
    ]:
        odd = table.assign(**{column: table[column].map(change)})
        with pytest.raises(Unfit, match=said):
            validity.table("image_corruption", stored(odd), TRAINING)


def test_a_store_keeps_them_like_any_table(own_store, trainings):
    table = runs.table("image_attack", trainings, limit=10, wide=20, precision="float32", progress=False)
    assert list(table)[: len(labels(trainings[0]))] == list(labels(trainings[0]))
    again = runs.table("image_attack", trainings, limit=10, wide=20, precision="float32")
    pd.testing.assert_frame_equal(table, again)
    assert set(measurements.MEASUREMENTS) >= {"image_attack", "image_corruption", "image_transfer"}


# ---- columns of a summary ----------------------------------------------------------------------------------


def test_columns_of_a_summary(own_store, trainings):
    summary = runs.summary(trainings)
    size = {"limit": 40, "progress": False}
    attacked = runs.table("image_attack", trainings, wide=50, precision="float32", **size)
    found = per_image_summary.with_image_attack(summary, attacked)
    assert len(found) == 2 and {"fgsm_accuracy_0.004", "fgsm_accuracy_0.0005", "pgd_accuracy"} <= set(found)
    one = attacked[(attacked.alpha == 1.0) & (attacked.attack == "pgd") & (attacked.steps == 40)]
    assert found[found.alpha == 1.0].pgd_accuracy.tolist() == per_image.accuracy(one).tolist()
    assert (
        found.ball_worst == found[["ball_cross_entropy", "ball_margin", "ball_temperature"]].min(axis=1)
    ).all()
    corrupted = runs.table("image_corruption", trainings, **size)
    ours = per_image_summary.with_image_corruption(summary, corrupted)
    theirs = corruption.with_corrupted(summary, runs.table("corruption", trainings, **size))
    pd.testing.assert_frame_equal(ours, theirs)
    share = per_image_summary.shares(corrupted[corrupted.corruption != "clean"])
    assert np.isclose(share[0, 1.0].mean(), ours[ours.alpha == 1.0].corrupted_accuracy.iloc[0])
    assert share[0, 0.0].shape == (40,) and share[0, 0.0].dtype == np.float32


def test_transferred_accuracy_is_the_mean_over_sources():
    some = Images(torch.zeros(4, 1, 1, 1, dtype=torch.uint8), torch.tensor([0, 1, 1, 0]), ("a", "b"))
    rows = [
        labels(TRAINING)
        | per_image.row(torch.tensor(right), some, source_seed=seed, attack=attack, epsilon=0.1)
        for seed, attack, right in [
            (1, "ball-cross-entropy", [True, False, False, False]),
            (2, "ball-cross-entropy", [True, True, True, False]),
            (1, "fgsm", [True, True, True, True]),
        ]
    ]
    summary = pd.DataFrame([labels(TRAINING), labels(Training("digits", "resnet8", 1.0, 0, "fast"))])
    found = per_image_summary.with_image_transfer(summary, pd.DataFrame(rows))
    assert found.transfer_accuracy[0] == 0.5 and np.isnan(found.transfer_accuracy[1])
