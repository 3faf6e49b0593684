"""Corrupted accuracy: the corrupted set made once, counts of correct images, and what is computed from them
by hand.
"""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib import corruptions, models, runs
from lib.base import paths
from lib.base.errors import InputError
from lib.corruptions import dataset as corruptions_dataset
from lib.data.images import Images
from lib.measurements.corruption import (
    by_corruption,
    by_severity,
    corruption,
    corruption_examples,
    counted,
    predictions,
    with_corrupted,
)
from lib.runs.tables import full_summary


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "corrupted"


@pytest.fixture
def quick(monkeypatch):
    """Two corruptions at two severities instead of nineteen at five."""
    monkeypatch.setattr("lib.corruptions.NAMES", ("fog", "contrast"))
    monkeypatch.setattr("lib.corruptions.SEVERITIES", (1, 5))


@pytest.fixture(scope="module")
def images(digits) -> Images:
    return digits["test"][slice(0, 130)]


class Brightness(nn.Module):
    """A network that sees how bright an image is: class 9 for the brightest.

    Its only parameter says where it lives.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(9.0))

    def forward(self, pixels):
        level = (pixels.amax((1, 2, 3)) * self.scale).round().long()
        return nn.functional.one_hot(level, 10).float()


def test_cells_are_blocks_of_the_whole_set_and_kept(cache, quick, images, monkeypatch):
    found = {(name, severity): pixels for name, severity, pixels in corruptions_dataset.cells(images)}
    assert list(found) == [("clean", 0), ("fog", 1), ("fog", 5), ("contrast", 1), ("contrast", 5)]
    assert found["clean", 0] is images.pixels
    blocks = [corruptions.corrupted_block(images.pixels, number, "fog", 5) for number in range(2)]
    assert torch.equal(found["fog", 5], torch.cat(blocks))
    assert len(list(cache.rglob("*.npz"))) == 4 and not list(cache.rglob("*.tmp"))

    def again(*args):
        raise AssertionError("made a second time")

    monkeypatch.setattr("lib.corruptions._corrupted", again)
    for name, severity, pixels in corruptions_dataset.cells(images):
        assert torch.equal(pixels, found[name, severity])


def test_a_prefix_of_the_images_gets_the_same_pixels(cache, quick, images):
    for (*cell, whole), (*other, part) in zip(
        corruptions_dataset.cells(images), corruptions_dataset.cells(images[:70]), strict=True
    ):
        assert cell == other and torch.equal(whole[:70], part)


def test_a_damaged_cell_is_made_again(cache, quick, images):
    before = [pixels.clone() for _, _, pixels in corruptions_dataset.cells(images)]
    files = sorted(cache.rglob("*.npz"))
    raw = bytearray(files[0].read_bytes())
    raw[len(raw) // 2] ^= 1
    files[0].write_bytes(raw)
    files[1].write_bytes(b"")
    assert all(
        torch.equal(one, two)
        for one, (_, _, two) in zip(before, corruptions_dataset.cells(images), strict=True)
    )


def test_where_nothing_can_be_kept_it_says_so_and_goes_on(tmp_path, quick, images, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LIB_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="could not be kept"):
        assert len(list(corruptions_dataset.cells(images))) == 5


def test_counts_by_class_against_plain_computation(cache, quick, images):
    network = Brightness().eval()
    table = corruption(network, images, limit=0)
    assert list(table) == ["corruption", "severity", "class", "images", "correct"] and len(table) == 5 * 10
    for name, severity, pixels in corruptions_dataset.cells(images):
        rows = table[(table.corruption == name) & (table.severity == severity)]
        likely = (pixels.amax((1, 2, 3)).float() / 255 * 9).round().long()
        assert rows["class"].tolist() == list(images.classes)
        assert rows.images.tolist() == images.labels.bincount(minlength=10).tolist()
        assert rows.correct.tolist() == [
            int(((likely == label) & (images.labels == label)).sum()) for label in range(10)
        ]
    assert not network.training


def test_predictions_whatever_the_batch(digits):
    network, pixels = models.build("resnet8", 10, seed=2).eval(), digits["test"].pixels[:260]
    expected = torch.cat([network(models.to_unit(pixels[i : i + 1])).argmax(1) for i in range(260)])
    assert (predictions(network, pixels) == expected).float().mean() > 0.99  # rounding may decide a tie


def test_a_limit_takes_the_first_images(cache, quick, images):
    network = Brightness().eval()
    assert corruption(network, images, limit=40).equals(corruption(network, images[:40], limit=0))
    assert corruption(network, images, limit=40).groupby(["corruption", "severity"]).images.sum().eq(40).all()
    assert corruption(network, images, limit=10_000).equals(corruption(network, images, limit=0))
    for limit in (-1, 2.5, True, "all"):
        with pytest.raises(InputError, match=rf"limit .* got {limit!r}"):
            corruption(network, images, limit=limit)
    with pytest.raises(InputError, match="evaluation mode"):
        corruption(network.train(), images, limit=0)


def test_examples_are_pictures_of_one_image(images):
    import io

    from PIL import Image

    network = models.build("resnet8", 10).eval()
    table = corruption_examples(network, images, image=105, severity=4)
    assert table.corruption.tolist() == ["clean", *corruptions.NAMES]
    pictures = [torch.from_numpy(np.array(Image.open(io.BytesIO(png)))).permute(2, 0, 1) for png in table.png]
    assert torch.equal(pictures[0], images.pixels[105])
    assert torch.equal(
        pictures[1 + corruptions.NAMES.index("snow")],
        corruptions.corrupted_block(images.pixels, 1, "snow", 4)[5],
    )
    sure = network(models.to_unit(images.pixels[105:106])).softmax(1).max()
    assert (
        table.confidence[0] == pytest.approx(sure.item(), abs=1e-5)
        and (table.label == images.classes[images.labels[105]]).all()
    )
    for wrong in ({"image": 130, "severity": 3}, {"image": -1, "severity": 3}, {"image": 1, "severity": 0}):
        with pytest.raises(InputError):
            corruption_examples(network, images, **wrong)


NETWORKS = pd.DataFrame({
    "dataset": "digits",
    "model": "resnet8",
    "alpha": [-1.0, 0.0],
    "seed": 0,
    "recipe": "fast",
    "variant": "plain",
    "epochs": 16,
})
SHARES = {"clean": [(0, 0.9)], "fog": [(1, 0.8), (2, 0.6)], "saturate": [(1, 0.5), (2, 0.3)]}


def counts(dataset="digits") -> pd.DataFrame:
    """Two networks, two classes of 10 and 30 images; the first class is always right."""
    rows = [
        {
            **network,
            "dataset": dataset,
            "corruption": name,
            "severity": severity,
            "class": label,
            "images": size,
            "correct": right,
        }
        for network in NETWORKS.to_dict("records")
        for name, severities in SHARES.items()
        for severity, share in severities
        for label, size, right in (
            ("a", 10, 10),
            ("b", 30, round(40 * share * (1 if network["alpha"] else 0.5)) - 10),
        )
    ]
    return pd.DataFrame(rows)


def test_means_by_hand():
    severities = by_severity(counts())
    assert severities.images.eq(40).all() and severities.accuracy[:5].tolist() == [0.9, 0.8, 0.6, 0.5, 0.3]
    types = by_corruption(counts())
    assert types.accuracy.tolist() == pytest.approx([0.9, 0.7, 0.4, 0.45, 0.35, 0.2])
    summary = with_corrupted(NETWORKS.assign(mean_selectivity=0.3), counts())
    first, second = summary.to_dict("records")
    assert (first["subset_accuracy"], first["corrupted_accuracy"], first["corrupted_fog"]) == pytest.approx((
        0.9,
        0.55,
        0.7,
    ))
    assert second["relative_accuracy"] == pytest.approx(0.275 / 0.45) and second["mean_selectivity"] == 0.3


def test_tiny_imagenet_counts_the_main_corruptions_alone():
    assert counted("tiny-imagenet") == corruptions.NAMES[:15] and counted("cifar10") == corruptions.NAMES
    summary = with_corrupted(NETWORKS.assign(dataset="tiny-imagenet"), counts("tiny-imagenet"))
    assert summary.corrupted_accuracy[0] == pytest.approx(0.7) and "corrupted_saturate" not in summary


def test_networks_without_a_table_are_rows_without_numbers():
    some = counts()[counts().alpha == 0]
    summary = with_corrupted(NETWORKS, some)
    assert summary.corrupted_accuracy.isna().tolist() == [True, False] and len(summary) == 2
    assert with_corrupted(NETWORKS, pd.DataFrame()).corrupted_accuracy.isna().all()


def test_chapters_take_what_is_cached_and_measure_nothing(own_store, trainings, quick, monkeypatch):
    summary = runs.summary(trainings)
    assert full_summary(summary, trainings).corrupted_accuracy.isna().all()
    runs.table("corruption", trainings[:1], progress=False)
    monkeypatch.setenv("RUNS_FROZEN", "1")
    found = full_summary(summary, trainings)
    assert found.corrupted_accuracy.isna().tolist() == [False, True] and paths.runs() == own_store
