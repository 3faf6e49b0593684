"""ImageNet-A in a generated miniature: which photographs are read and how small they become, the measurement on
an untrained network, and messages.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from lib import data, models, runs
from lib.__main__ import app
from lib.base.errors import InputError
from lib.data import imagenet_a as loader
from lib.data.images import Images
from lib.data.tiny_imagenet import TINY_IMAGENET_CLASSES
from lib.measurements import MEASUREMENTS
from lib.measurements.imagenet_a import IMAGENET_A_TABLE, imagenet_a, with_imagenet_a
from lib.runs import validity
from lib.runs.run import as_parquet
from lib.training.training import Training

CLASSES = ("n01443537", "n01641577", "n01698640", "n01770393")
HERE = {"n01641577": [(100, 80), (64, 64), (65, 200)], "n01770393": [(40, 30)]}  # widths and heights
OTHER = "n01498041"  # a class of ImageNet-A that Tiny ImageNet has not


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    levels = np.random.default_rng(seed).integers(
        0, 256, (height // 5 + 1, width // 5 + 1, 3), dtype=np.uint8
    )
    return Image.fromarray(levels).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """$DATA_DIR/imagenet-a with photographs of two shared classes and of one that is not."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "runs"))
    made = tmp_path / "imagenet-a"
    for name, sizes in (HERE | {OTHER: [(90, 90)]}).items():
        (made / name).mkdir(parents=True)
        for place, size in enumerate(sizes):
            photograph(*size, place).save(made / name / f"0.00{place}_something _ else_0.9.jpg", quality=95)
    (made / "README.txt").write_text("about the data")
    loader._imagenet_a.cache_clear()
    yield made
    loader._imagenet_a.cache_clear()


class Told(nn.Module):
    """Answers with given logits, batch after batch; untrained, and without a guess of its own."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits, self.seen = nn.Parameter(logits), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += len(x)
        return self.logits[self.seen - len(x) : self.seen]


def blank(classes: tuple[str, ...] = CLASSES, side: int = 64) -> Images:
    return Images(
        torch.zeros(1, 3, side, side, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64), classes
    )


def test_the_shared_classes_are_read_with_the_labels_of_the_data_set(folder):
    found = loader.imagenet_a(CLASSES, 64)
    assert found.pixels.shape == (4, 3, 64, 64) and found.pixels.dtype == torch.uint8
    assert found.labels.tolist() == [1, 1, 1, 3] and found.labels.dtype == torch.int64
    assert found.classes == CLASSES and found.pixels.is_contiguous()


def test_a_photograph_is_made_smaller_by_areas_and_its_middle_is_kept(folder):
    """An exact factor: each pixel is the mean of 3 by 3, and of the longer edge equally much is cut off."""
    levels = np.random.default_rng(1).integers(0, 256, (192, 252, 3), dtype=np.uint8)
    Image.fromarray(levels).save(folder / "n01641577" / "a.png")
    found = loader.imagenet_a(CLASSES, 64)
    means = levels.reshape(64, 3, 84, 3, 3).mean((1, 3))[:, 10:74].transpose(2, 0, 1)
    off = np.abs(found.pixels[3].numpy() - means)
    assert off.max() <= 1 and off.mean() < 0.5  # rounded once in each direction
    unchanged = np.asarray(Image.open(sorted((folder / "n01641577").glob("*.jpg"))[1]).convert("RGB"))
    assert np.array_equal(found.pixels[1].numpy(), unchanged.transpose(2, 0, 1))


def test_grey_photographs_become_rgb(folder):
    file = next((folder / "n01770393").iterdir())
    Image.open(file).convert("L").save(file)
    grey = loader.imagenet_a(CLASSES, 64).pixels[3]
    assert torch.equal(grey[0], grey[1]) and torch.equal(grey[1], grey[2]) and grey.float().std() > 5


def test_photographs_in_inks_become_rgb_and_what_a_system_left_is_no_photograph(folder):
    file = next((folder / "n01770393").iterdir())
    plain = loader.imagenet_a(CLASSES, 64).pixels[3]
    Image.open(file).convert("CMYK").save(file, quality=95)
    (file.parent / f"._{file.name}").write_bytes(bytes(5))
    loader._imagenet_a.cache_clear()
    found = loader.imagenet_a(CLASSES, 64)
    assert len(found) == 4 and (found.pixels[3].int() - plain.int()).abs().float().mean() < 10


def test_accuracy_over_all_logits_and_among_the_shared_classes(folder):
    """Photographs of the classes 1, 1, 1 and 3; 0 and 2 are not shared."""
    network = Told(torch.tensor([
        [0.0, 9, 0, 0],  # right
        [9.0, 5, 0, 1],  # right among the shared ones alone
        [0.0, 1, 0, 9],  # wrong
        [0.0, 0, 9, 1],  # right among the shared ones alone
    ]))  # fmt: skip
    table = imagenet_a(network.eval(), blank())
    assert list(table) == list(IMAGENET_A_TABLE)
    assert table["class"].tolist() == ["n01641577", "n01770393"]
    assert table[["images", "correct", "correct_shared"]].values.tolist() == [[3, 1, 2], [1, 0, 1]]
    assert set(table.photographs) == {loader.imagenet_a(CLASSES, 64).fingerprint}
    labelled = table.assign(
        dataset="tiny-imagenet", model="m", alpha=0.0, seed=0, recipe="fast", variant="plain", epochs=1
    )
    summary = labelled.iloc[:1, -7:]
    both = pd.concat([summary, summary.assign(seed=1)], ignore_index=True)
    made = with_imagenet_a(both, labelled)
    assert (
        made.photograph_accuracy.tolist()[0] == 0.25 and made.photograph_shared_accuracy.tolist()[0] == 0.75
    )
    assert made.photograph_accuracy.isna().tolist() == [False, True]
    assert with_imagenet_a(both, pd.DataFrame()).photograph_accuracy.isna().all()


def test_an_untrained_network_is_measured_and_its_table_is_valid(folder, monkeypatch):
    monkeypatch.setattr(loader, "SHARED", len(HERE))
    with pytest.raises(
        InputError, match="holds 4 photographs of the classes shared .* not 2,957; get it again"
    ):
        loader.imagenet_a(TINY_IMAGENET_CLASSES, 64)
    monkeypatch.setattr(loader, "PHOTOGRAPHS", 4)
    torch.manual_seed(0)
    network = models.build("resnet8", 200).eval()
    table = MEASUREMENTS["imagenet_a"].function(network, blank(TINY_IMAGENET_CLASSES))
    validity.table("imagenet_a", as_parquet(table), Training("tiny-imagenet", "resnet18", recipe="paper"))
    found = loader.imagenet_a(TINY_IMAGENET_CLASSES, 64)
    with torch.no_grad():
        right = network(models.to_unit(found.pixels)).argmax(1) == found.labels
    assert table.images.sum() == 4 and table.correct.sum() == right.sum()
    with pytest.raises(InputError, match="evaluation mode"):
        imagenet_a(network.train(), blank(TINY_IMAGENET_CLASSES))


# ---- what is refused ---------------------------------------------------------------------------------------


def damaged(folder: Path) -> None:
    file = sorted((folder / "n01641577").iterdir())[0]
    file.write_bytes(file.read_bytes()[:500])


def emptied(folder: Path) -> None:
    shutil.rmtree(folder / "n01770393")
    (folder / "n01770393").mkdir()


def only_others(folder: Path) -> None:
    for name in HERE:
        shutil.rmtree(folder / name)


REFUSED = {
    "missing": (shutil.rmtree, CLASSES, "imagenet-a; unpack https://"),
    "no shared class": (only_others, CLASSES, f"such as 'n01443537'; its folders: {OTHER}"),
    "classes by another name": (lambda folder: None, ("airplane", "cat"), "such as 'airplane'"),
    "a part of the classes": (
        lambda folder: None,
        TINY_IMAGENET_CLASSES,
        "holds 2 of the 74 classes shared with Tiny ImageNet; get it again",
    ),
    "a class without photographs": (emptied, CLASSES, "n01770393 holds no photograph; get it again"),
    "a damaged photograph": (
        damaged,
        CLASSES,
        "else_0.9.jpg is not a JPEG, PNG or WebP picture, or is damaged",
    ),
    "no picture at all": (
        lambda folder: (folder / "n01770393" / "b.jpg").write_text("no picture"),
        CLASSES,
        "b.jpg is not a JPEG",
    ),
    "a picture of 16 bits": (
        lambda folder: Image.fromarray(np.full((70, 70), 40_000, np.uint16)).save(
            folder / "n01770393" / "b.png"
        ),
        CLASSES,
        "b.png has 16 bits a channel; only 8 are read; get it again",
    ),
    "a folder in place of one": (
        lambda folder: (folder / "n01770393" / "b.jpg").mkdir(),
        CLASSES,
        "b.jpg is a folder",
    ),
}


@pytest.mark.parametrize("damage", REFUSED)
def test_what_is_refused_in_one_line(damage, folder):
    change, classes, message = REFUSED[damage]
    change(folder)
    with pytest.raises(InputError) as caught:
        loader.imagenet_a(classes, 64)
    told = str(caught.value)
    assert message in told and "\n" not in told and str(folder) in told


def test_it_is_made_of_networks_of_tiny_imagenet_alone(folder):
    """Others are passed over, and that none is there is said."""
    assert MEASUREMENTS["imagenet_a"].datasets == ("tiny-imagenet",)
    table, left = runs.tables_at_hand("imagenet_a", [Training("digits", "resnet8", recipe="fast")])
    assert table.empty and left == []
    assert set(data.DATASETS) > {"tiny-imagenet"}


def test_the_command_says_that_no_network_of_tiny_imagenet_is_here(store_dir):
    with pytest.raises(InputError, match="no cached network is of tiny-imagenet, of whose networks alone"):
        CliRunner().invoke(app, ["table", "imagenet_a"], catch_exceptions=False)
