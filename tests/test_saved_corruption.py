"""Corrupted pictures saved as JPEG, as the published Tiny ImageNet-C was: held against Pillow's own files."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from lib import data, measurements
from lib.base.errors import InputError
from lib.corruptions import dataset
from lib.corruptions.saving import QUALITY, saved
from lib.data.images import Images
from lib.measurements.corruption import by_corruption, counted, predictions
from lib.measurements.saved_corruption import saved_corruption, with_saved
from lib.training.training import Training, labels


def pictures(side: int, n: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(side)
    coarse = torch.randint(0, 256, (n, 3, 8, 8), generator=generator).float()
    return torch.nn.functional.interpolate(coarse, side, mode="bilinear").to(torch.uint8)


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("quality", [QUALITY, 1, 100])
def test_they_are_what_pillow_writes_and_reads(side, quality):
    pixels = pictures(side)
    found = saved(pixels, quality)
    for picture, own in zip(pixels, found, strict=True):
        file = io.BytesIO()
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
        np.testing.assert_array_equal(own.permute(1, 2, 0).numpy(), np.asarray(Image.open(file)))
    assert found.dtype == torch.uint8 and found.shape == pixels.shape
    assert saved(pixels[:0]).shape == (0, 3, side, side)


@pytest.mark.parametrize("quality", [0, 101, -1, 85.0, True, None, "85"])
def test_another_quality_is_refused(quality):
    with pytest.raises(InputError, match="quality of a JPEG file is a whole number from 1 to 100, got"):
        saved(pictures(32), quality)


def test_other_images_are_refused():
    with pytest.raises(InputError, match="uint8"):
        saved(pictures(32).float())


@pytest.mark.parametrize(
    ("quality", "said"), [(0, "must be a whole number >= 1, got 0"), (101, "must be at most 100, got 101")]
)
def test_so_it_is_as_a_setting_before_anything_is_made(quality, said):
    with pytest.raises(InputError, match=said):
        measurements.settled("saved_corruption", {"quality": quality})


@pytest.fixture(scope="module")
def few() -> Images:
    return data.load("digits", "test").first(30)


class Means(nn.Module):
    """A network whose answer hangs on fine levels: the mean of a corner, in tenths."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1000.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.one_hot((x[:, :, :9, :9].mean((1, 2, 3)) * self.scale).long() % 10, 10).float()


def test_each_cell_is_of_the_saved_pictures_and_the_clean_images_are_as_they_are(few):
    network = Means().eval()
    found = saved_corruption(network, few, limit=20, quality=QUALITY)
    some, changed = few.first(20), 0
    for name, severity, pixels in dataset.cells(some):
        seen = pixels if name == "clean" else saved(pixels)
        right = some.labels[predictions(network, seen) == some.labels].bincount(minlength=10)
        rows = found[(found.corruption == name) & (found.severity == severity)]
        assert rows["class"].tolist() == list(some.classes) and rows.correct.tolist() == right.tolist()
        assert rows["images"].tolist() == some.labels.bincount(minlength=10).tolist()
        plain = some.labels[predictions(network, pixels) == some.labels].bincount(minlength=10)
        changed += int((plain != right).any())
    assert changed > 20  # saving is seen
    usual = measurements.corruption.corruption(network, few, limit=20)
    assert list(found) == list(usual)
    keys = ["corruption", "severity", "class", "images"]
    pd.testing.assert_frame_equal(found[keys], usual[keys], check_dtype=False)


def test_what_a_summary_gets_of_it():
    one = Training("digits", "resnet8")
    rows = pd.DataFrame([
        labels(one) | {"corruption": name, "severity": 1, "class": "0", "images": 10, "correct": correct}
        for name, correct in [("clean", 10), *((name, 5) for name in counted("digits"))]
    ])
    summary = pd.DataFrame([labels(one), labels(Training("digits", "resnet8", seed=1))])
    found = with_saved(summary, rows)
    assert found.saved_accuracy[0] == by_corruption(rows)[1:].accuracy.mean() == 0.5
    assert found.saved_accuracy.isna().tolist() == [False, True]
    assert with_saved(summary, pd.DataFrame()).saved_accuracy.isna().all()
