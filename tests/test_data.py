"""Data sets: the real digits, generated miniatures of every layout, the cache of decoded pixels, messages."""

import errno
import hashlib
import io
import json
import os
import pickle
import random
import re
import shutil
import struct
import time
import tracemalloc
import warnings
import zlib
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from lib import data, runs
from lib.base import paths
from lib.base.errors import InputError
from lib.data import cifar10, datasets
from lib.data.cifar10 import (
    CIFAR10_CLASSES,
    CIFAR10_CONTENT,
    CIFAR10_PER_CLASS,
    _cifar10_places,
    sorted_places,
)
from lib.data.datasets import _SOURCES, _load
from lib.data.digits import digits_images
from lib.data.images import Source, row_digests
from lib.data.tiny_imagenet import TINY_IMAGENET_CLASSES, TINY_IMAGENET_CONTENT, TINY_IMAGENET_PER_CLASS
from lib.runs import store
from lib.training.training import Training


@pytest.fixture
def data_dir(tmp_path, monkeypatch) -> Path:
    """An empty DATA_DIR and an empty cache."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def nothing_in_memory():
    _load.cache_clear()
    yield
    _load.cache_clear()


def noise(n: int, side: int, seed: int = 0) -> torch.Tensor:
    """(n, 3, side, side) uint8: no two alike."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, side, side), dtype=torch.uint8, generator=generator)


def encoded(
    pixels: torch.Tensor | np.ndarray, kind: str = "PNG", mode: str | None = None, **options
) -> bytes:
    """A picture (3, h, w) as a file of a kind, converted to a mode first."""
    buffer = io.BytesIO()
    picture = Image.fromarray(np.asarray(pixels).transpose(1, 2, 0))
    (picture.convert(mode) if mode else picture).save(buffer, kind, **options)
    return buffer.getvalue()


def write_parquet(
    file: Path, image: str, raw: list, labels: list | pa.Array, names: list | None = None
) -> None:
    """The Hugging Face layout; `raw` are encoded pictures or None."""
    file.parent.mkdir(parents=True, exist_ok=True)
    labels = labels if isinstance(labels, pa.Array) else pa.array(labels, pa.int64())
    bytes_and_path = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table({
        image: pa.array([{"bytes": b, "path": None} for b in raw], bytes_and_path),
        "label": labels,
    })
    if names:
        described = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(described)})
    pq.write_table(table, file)


def equal(one: data.Images, other: data.Images) -> bool:
    same = torch.equal(one.pixels, other.pixels) and torch.equal(one.labels, other.labels)
    return same and one.classes == other.classes and one.fingerprint == other.fingerprint


def refusal(name: str, split: str = "test") -> str:
    """What `load` says of a bad data set: one line with the way out, soon, and nothing is kept."""
    _load.cache_clear()
    begun = time.monotonic()
    with pytest.raises(InputError) as caught:
        data.load(name, split)
    message = str(caught.value)
    assert time.monotonic() - begun < 10
    assert "\n" not in message and "<_io" not in message and len(message) < 1000
    assert data.DATASETS[name][2] in message
    assert not list(paths.cache().rglob("*.*"))
    return message


# ---- digits ------------------------------------------------------------------------------------------------


def test_digits_shapes_and_counts(digits):
    assert data.SIZES.keys() == data.FINGERPRINTS.keys()
    for split, n in data.SIZES["digits"].items():
        images = digits[split]
        assert len(images) == n and images.pixels.shape == (n, 3, 32, 32) and images.labels.shape == (n,)
        assert images.pixels.dtype == torch.uint8 and images.labels.dtype == torch.int64
        assert images.classes == tuple("0123456789")
        assert images.pixels.is_contiguous()
        assert images.pixels.min() == 0 and images.pixels.max() == 255
        assert torch.equal(images.pixels[:, 0], images.pixels[:, 2])  # grey


def test_digits_are_scikit_learns_each_once(digits):
    from sklearn.datasets import load_digits

    original = load_digits()
    # four pixels in the middle of each 4x4 block blur little into the neighbours: nearest is the original
    blocks = [
        images.pixels[:, 0].double().unfold(1, 4, 4).unfold(2, 4, 4)[..., 1:3, 1:3].mean((3, 4))
        for images in digits.values()
    ]
    labels = torch.cat([images.labels for images in digits.values()])
    nearest = torch.cdist(
        torch.cat(blocks).flatten(1), torch.from_numpy(original.images).flatten(1) * 255 / 16
    ).argmin(1)
    assert len(nearest.unique()) == len(nearest) == 1797  # so train and test have no picture in common
    assert torch.equal(torch.from_numpy(original.target)[nearest], labels)
    assert digits["test"].labels.bincount().min() >= 48  # every class in its share


def test_digits_are_the_same_every_time(digits):
    for split, images in digits.items():
        again = digits_images.__wrapped__(split)
        assert torch.equal(again.pixels, images.pixels) and again.fingerprint == images.fingerprint
    assert digits["train"].fingerprint != digits["test"].fingerprint


def test_digits_need_no_data_dir(monkeypatch, digits):
    monkeypatch.setenv("DATA_DIR", "/nowhere/at/all")
    assert data.load("digits", "test").fingerprint == digits["test"].fingerprint


# ---- Images ------------------------------------------------------------------------------------------------


def small(n: int = 6) -> data.Images:
    pixels = torch.randint(
        0, 256, (n, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return data.Images(pixels, torch.arange(n) % 2, ("a", "b"))


def test_indexing_takes_pixels_and_labels_together():
    images = small()
    some = images[torch.tensor([4, 1])]
    assert len(some) == 2 and some.classes == images.classes
    assert torch.equal(some.pixels, images.pixels[[4, 1]]) and some.labels.tolist() == [0, 1]
    assert torch.equal(images[slice(2, 4)].pixels, images.pixels[2:4])
    assert torch.equal(images.to("cpu").pixels, images.pixels)


def changed(images: data.Images, what: str) -> data.Images:
    pixels, labels, classes = images.pixels.clone(), images.labels.clone(), images.classes
    if what == "pixel":
        pixels[3, 1, 2, 0] ^= 1
    elif what == "label":
        labels[3] = 1 - labels[3]
    elif what == "order":
        pixels, labels = pixels.flip(0), labels.flip(0)
    elif what == "shape":
        pixels = pixels.view(-1, 3, 2, 8)
    elif what == "class name":
        classes = ("a", "c")
    elif what == "labels swapped between images":
        labels[[0, 1]] = labels[[1, 0]]
    return data.Images(pixels, labels, classes)


@pytest.mark.parametrize(
    "what", ["pixel", "label", "order", "shape", "class name", "labels swapped between images"]
)
def test_fingerprint_changes_with(what):
    images = small()
    assert images.fingerprint == small().fingerprint
    assert changed(images, what).fingerprint != images.fingerprint


@pytest.mark.parametrize(
    ("what", "same"),
    [("order", True), ("pixel", False), ("label", False), ("labels swapped between images", False)],
)
def test_content_ignores_the_order_of_rows_and_nothing_else(what, same):
    images = small()
    assert (data.content(changed(images, what)) == data.content(images)) is same


# ---- CIFAR-10: miniatures accepted as the real one ---------------------------------------------------------

SHARDS = ("test-00000-of-00002.parquet", "test-00001-of-00002.parquet")


@pytest.fixture
def cifar(tmp_path, monkeypatch) -> dict[str, data.Images]:
    """Both splits of a CIFAR-10 of two images a class, in the order that every copy must get.

    Two images are repeated, one with its label and one with another.
    """
    return miniature(tmp_path, monkeypatch, per_class=2)


def miniature(tmp_path: Path, monkeypatch, *, per_class: int) -> dict[str, data.Images]:
    """Both splits of a CIFAR-10 of few images, which the library takes for the published one."""
    splits, n = {}, 10 * per_class
    for seed, split in enumerate(data.SPLITS):
        pixels = noise(n, 32, seed)
        labels = torch.randperm(n, generator=torch.Generator().manual_seed(seed)) % 10
        pixels[labels == 3] = pixels[labels == 3][0].clone()
        pixels[labels == 5] = pixels[labels == 6]
        splits[split] = data.Images(pixels, labels, CIFAR10_CLASSES)
        monkeypatch.setitem(CIFAR10_CONTENT, split, data.content(splits[split]))
        monkeypatch.setitem(CIFAR10_PER_CLASS, split, per_class)
    file = tmp_path / "order.npz"
    np.savez(file, **{split: sorted_places(images) for split, images in splits.items()})
    monkeypatch.setattr("lib.data.cifar10.CIFAR10_ORDER", file)
    monkeypatch.setattr(
        "lib.data.cifar10.CIFAR10_ORDER_SHA256", hashlib.sha256(file.read_bytes()).hexdigest()
    )
    return splits


def write_shards(
    root: Path, images: data.Images, split: str = "test", shards: int = 2, **encoding
) -> list[Path]:
    """CIFAR-10 in the Hugging Face layout."""
    files = [root / "cifar10" / f"{split}-{i:05d}-of-{shards:05d}.parquet" for i in range(shards)]
    for file, rows in zip(files, torch.arange(len(images)).chunk(shards), strict=True):
        raw = [encoded(picture, **encoding) for picture in images.pixels[rows]]
        write_parquet(file, "img", raw, images.labels[rows].tolist())
    return files


class Python2Pickler(pickle._Pickler):
    """Pickles as Python 2 did, with which the batches were published: byte strings, an old name of numpy."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def string(self, value: str | bytes) -> None:
        raw = value.encode("latin1") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + struct.pack("<i", len(raw)) + raw)

    dispatch[str] = dispatch[bytes] = string

    def save_global(self, obj, name=None) -> None:
        self.write(
            pickle.GLOBAL + f"{obj.__module__}\n{obj.__name__}\n".replace("._core.", ".core.").encode()
        )

    dispatch[type] = dispatch[type(len)] = dispatch[type(lambda: 0)] = save_global


def python2_pickle(value: object) -> bytes:
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(value)
    return buffer.getvalue()


def write_batches(
    root: Path, images: data.Images, monkeypatch, split: str = "test", parts: int = 2
) -> list[Path]:
    """CIFAR-10 in torchvision's layout, its MD5 known to torchvision."""
    from torchvision.datasets import CIFAR10

    folder = root / CIFAR10.base_folder
    folder.mkdir(exist_ok=True, parents=True)
    names = ["test_batch"] if split == "test" else [f"data_batch_{i + 1}" for i in range(parts)]
    listed = []
    for name, rows in zip(names, torch.arange(len(images)).chunk(len(names)), strict=True):
        batch = {
            "batch_label": name,
            "labels": images.labels[rows].tolist(),
            "data": images.pixels[rows].numpy().reshape(len(rows), -1),
            "filenames": ["a.png"] * len(rows),
        }
        (folder / name).write_bytes(python2_pickle(batch))
        listed.append([name, hashlib.md5((folder / name).read_bytes()).hexdigest()])
    monkeypatch.setattr(CIFAR10, f"{split}_list", listed)
    return [folder / name for name in names]


def shuffled(images: data.Images, seed: int) -> data.Images:
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))]


ORDERS = {
    "as it is": lambda images: images,
    "reversed": lambda images: data.Images(images.pixels.flip(0), images.labels.flip(0), images.classes),
    "shuffled": lambda images: shuffled(images, 1),
    "shuffled again": lambda images: shuffled(images, 2),
    "by label": lambda images: images[images.labels.argsort()],
}


@pytest.mark.parametrize("layout", ["one shard", "three shards", "WebP", "torchvision"])
@pytest.mark.parametrize("order", ORDERS)
def test_every_copy_of_cifar10_gives_the_same_rows(order, layout, cifar, data_dir, monkeypatch):
    for split, images in cifar.items():
        copy = ORDERS[order](images)
        if layout == "torchvision":
            write_batches(data_dir, copy, monkeypatch, split)
        elif layout == "WebP":
            write_shards(data_dir, copy, split, kind="WEBP", lossless=True)
        else:
            write_shards(data_dir, copy, split, 1 if layout == "one shard" else 3)
        found = data.load("cifar10", split)
        assert equal(found, images) and found.labels.dtype == torch.int64 and found.pixels.is_contiguous()
        assert data.fingerprint("cifar10", split) == images.fingerprint
        _load.cache_clear()
        assert equal(data.load("cifar10", split), images)  # from the cache


def test_other_names_of_shards(cifar, data_dir):
    for file in write_shards(data_dir, cifar["test"]):
        file.rename(file.with_name(file.stem + "-1a2b3c4d5e6f7a8b.parquet"))  # as older writers named them
    assert equal(data.load("cifar10", "test"), cifar["test"])


def test_labels_counted_in_another_order_of_the_classes(cifar, data_dir):
    names = [*reversed(CIFAR10_CLASSES)]
    images = cifar["test"]
    raw = [encoded(picture) for picture in images.pixels]
    file = data_dir / "cifar10" / "test-00000-of-00001.parquet"
    write_parquet(file, "img", raw, (9 - images.labels).tolist(), names)
    assert equal(data.load("cifar10", "test"), images)


def test_classes_named_otherwise_are_counted_as_usual(cifar, data_dir):
    images = cifar["test"]
    raw = [encoded(picture) for picture in images.pixels]
    file = data_dir / "cifar10" / "test-00000-of-00001.parquet"
    names = ["plane", "car", *CIFAR10_CLASSES[2:]]
    write_parquet(file, "img", raw, images.labels.tolist(), names)
    assert equal(data.load("cifar10", "test"), images)


def test_labels_counted_otherwise_without_a_word_are_refused(cifar, data_dir):
    images = cifar["test"]
    raw = [encoded(picture) for picture in images.pixels]
    file = data_dir / "cifar10" / "test-00000-of-00001.parquet"
    write_parquet(file, "img", raw, (9 - images.labels).tolist())
    assert "with other pixels or labels" in refusal("cifar10")


def test_parquet_is_preferred(cifar, data_dir, monkeypatch):
    (batch,) = write_batches(data_dir, cifar["test"], monkeypatch)
    batch.write_bytes(b"not a batch")
    write_shards(data_dir, cifar["test"])
    assert equal(data.load("cifar10", "test"), cifar["test"])


@pytest.mark.parametrize(
    "damage",
    [lambda raw: raw[:-1], lambda raw: b"", lambda raw: raw[:500] + bytes([raw[500] ^ 1]) + raw[501:], None],
)
def test_a_damaged_order_is_one_clear_error(damage, cifar, data_dir):
    write_shards(data_dir, cifar["test"])
    if damage:
        cifar10.CIFAR10_ORDER.write_bytes(damage(cifar10.CIFAR10_ORDER.read_bytes()))
    else:
        cifar10.CIFAR10_ORDER.unlink()
    with pytest.raises(InputError, match=r"damaged: .*order.npz .*git checkout.*install"):
        data.load("cifar10", "test")


def test_the_shipped_order_is_a_permutation_of_each_split():
    for split, n in data.SIZES["cifar10"].items():
        places = _cifar10_places(split)
        assert len(places) == n == 10 * CIFAR10_PER_CLASS[split]
        assert np.array_equal(np.sort(places), np.arange(n))


def real_data_dir() -> Path | None:
    """Where the real CIFAR-10 lies on this machine, if it does."""
    for place in (os.environ.get("DATA_DIR"), paths.ROOT / "data", paths.ROOT.parent / "shared" / "data"):
        if place and sorted(Path(place, "cifar10").glob("test-*.parquet")):
            return Path(place)
    return None


REAL = real_data_dir()  # before any test sets DATA_DIR


@pytest.mark.slow
@pytest.mark.skipif(
    REAL is None, reason="the real CIFAR-10 is not here: neither under DATA_DIR, data/ nor ../shared/data"
)
def test_the_real_cifar10_in_two_orders(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(REAL))
    monkeypatch.setenv("LIB_CACHE", str(tmp_path / "cache"))
    images = {split: data.load("cifar10", split) for split in data.SPLITS}
    for split, one in images.items():
        assert one.fingerprint == data.FINGERPRINTS["cifar10"][split]
        assert one.labels.bincount().tolist() == [CIFAR10_PER_CLASS[split]] * 10
        write_batches(tmp_path, shuffled(one, 0), monkeypatch, split, parts=5)
    # published in many places
    means = images["train"].pixels.float().mean((0, 2, 3)) / 255
    torch.testing.assert_close(means, torch.tensor([0.4914, 0.4822, 0.4465]), rtol=0, atol=1e-4)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    for split, one in images.items():
        assert equal(data.load("cifar10", split), one)


def repeated(folder: Path) -> dict:
    """Names of equal files: training images that stand twice, and validation images among the training images."""
    names: dict[bytes, dict[str, list[str]]] = {}
    for split in ("train", "valid"):
        for file in sorted(folder.glob(f"{split}-*.parquet")):
            for chunk in pq.read_table(file, columns=["image"]).column(0).chunks:
                for encoded, name in zip(chunk.field("bytes"), chunk.field("path").to_pylist(), strict=True):
                    found = names.setdefault(
                        hashlib.sha256(encoded.as_buffer()).digest(), {"train": [], "valid": []}
                    )
                    found[split].append(name)
    train = [sorted(one["train"]) for one in names.values() if len(one["train"]) > 1]
    valid = [[name, sorted(one["train"])] for one in names.values() if one["train"] for name in one["valid"]]
    return {"train": sorted(train), "valid": sorted(valid)}


TINY = (
    Path(os.environ.get("DATA_DIR", paths.ROOT / "data")) / "tiny-imagenet"
)  # before any test sets DATA_DIR
REPEATS = json.loads(Path(__file__).with_name("tiny_imagenet_repeats.json").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.skipif(
    not list(TINY.glob("valid-*.parquet")), reason="the real Tiny ImageNet is not under DATA_DIR"
)
def test_repeated_images_of_the_real_tiny_imagenet():
    assert repeated(TINY) == REPEATS


# SHA-256 of the decoded arrays (n, 64, 64, 3) in the order of the files, published with the packed data
TINY_IN_FILE_ORDER = {
    "train": "22b5007e11ad8498a40a141eb402c479e004de296943dafc91473c16bf480ffd",
    "test": "a2f9c6699a9773f83c39bd78c645e924159b1cd92de850116de53af26f78fb4c",
}


@pytest.mark.slow
@pytest.mark.skipif(
    not list(TINY.glob("valid-*.parquet")), reason="the real Tiny ImageNet is not under DATA_DIR"
)
@pytest.mark.parametrize(("split", "name"), [("train", "train"), ("test", "valid")])
def test_the_real_tiny_imagenet_is_the_published_one(split, name):
    """Decoded here with Pillow alone: the published digest in the files' order, and `load`'s rows in its own."""
    images, rows, in_order = data.load("tiny-imagenet", split), [], hashlib.sha256()
    for file in sorted(TINY.glob(f"{name}-*.parquet")):
        for batch in pq.ParquetFile(file).iter_batches(1000):
            for picture, label in zip(batch["image"].field("bytes"), batch["label"].to_pylist(), strict=True):
                pixels = np.asarray(Image.open(io.BytesIO(picture.as_py())).convert("RGB"))
                in_order.update(pixels.tobytes())
                row = np.ascontiguousarray(pixels.transpose(2, 0, 1)).tobytes() + label.to_bytes(2)
                rows.append(hashlib.sha256(row).digest())
    assert in_order.hexdigest() == TINY_IN_FILE_ORDER[split]
    assert row_digests(images) == sorted(rows)
    assert images.fingerprint == data.FINGERPRINTS["tiny-imagenet"][split]
    assert images.labels.bincount().tolist() == [TINY_IMAGENET_PER_CLASS[split]] * 200
    grey = (images.pixels == images.pixels[:, :1]).flatten(1).all(1)
    assert (
        int(grey.sum()) >= {"train": 1821, "test": 168}[split]
    )  # of one channel; some of three are grey, too


def test_repeated_images_are_named_in_the_reference():
    text = (paths.ROOT / "reference" / "library.md").read_text(encoding="utf-8")
    lines = [f"| {a} | {b} |" for a, b in REPEATS["train"]] + [
        f"| {a} | {', '.join(b)} |" for a, b in REPEATS["valid"]
    ]
    assert [line for line in lines if line not in text] == []
    assert (
        f"{len(REPEATS['train'])} training images" in text
        and f"{len(REPEATS['valid'])} validation images" in text
    )


@pytest.mark.parametrize("name", data.FINGERPRINTS)
def test_the_cached_runs_were_trained_on_these_images(name):
    files = list((paths.ROOT / "runs").glob(f"{name}-*/*/config.json"))
    configs = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    left_out = {tuple(one["training"].get("without", ())): one["result"]["data"] for one in configs}
    whole = {one["result"]["data"] for one in configs if "without" not in one["training"]}
    assert whole <= {data.FINGERPRINTS[name]["train"]}
    assert whole or name not in ("cifar10", "digits")
    if name == "digits":  # which are always there
        for classes, known in left_out.items():
            assert data.load(name, "train").without(classes).fingerprint == known


def test_the_known_fingerprints_are_those_of_the_digits(digits):
    assert {split: images.fingerprint for split, images in digits.items()} == data.FINGERPRINTS["digits"]


@pytest.mark.slow
def test_every_order_of_cifar10_gives_the_same_network_and_tables(data_dir, tmp_path, monkeypatch):
    """Torchvision's layout and order, and the Hugging Face's: trained and measured, bit for bit."""
    monkeypatch.setenv("LIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RUNS_FROZEN", raising=False)
    training = Training("cifar10", "resnet8", 1.0, 0, "fast", 1)
    asked = {"selectivity": {}, "corruption": {"limit": 30}, "attack": {"limit": 10}}
    splits, made = miniature(tmp_path, monkeypatch, per_class=10), []
    for layout in ("torchvision", "parquet"):
        _load.cache_clear()
        shutil.rmtree(data_dir)
        data_dir.mkdir()
        for split, images in splits.items():
            if layout == "torchvision":
                write_batches(data_dir, shuffled(images, 1), monkeypatch, split)
            else:
                write_shards(data_dir, shuffled(images, 2), split, 3)
        monkeypatch.setenv("RUNS_DIR", str(tmp_path / layout))
        for name, settings in asked.items():
            runs.table(name, [training], progress=False, **settings)
        run = store.Folder(tmp_path / layout / training.name)
        tables = {name: entry for name, entry in run.files.items() if "measurement" in entry}
        assert {entry["images"] for entry in tables.values()} == {splits["test"].fingerprint}
        result = runs.config(run)["result"]
        assert result["data"] == splits["train"].fingerprint
        del result["seconds"]
        made.append((result, {name: run.read(name) for name in [runs.WEIGHTS, runs.HISTORY, *tables]}))
    assert made[0] == made[1] and len(made[0][1]) == 5


# ---- Tiny ImageNet: miniatures -----------------------------------------------------------------------------

WNIDS = ("n01443537", "n01629819", "n02124075")


class Tiny:
    """A Tiny ImageNet of 3 classes, with 4 training and 2 validation pictures each, JPEGs as published."""

    def __init__(self, root: Path) -> None:
        self.root, self.tree = root, root / "tiny-imagenet-200"
        smooth = torch.nn.functional.interpolate(noise(18, 8).float(), size=(64, 64), mode="bilinear").byte()
        raw = [
            encoded(picture, "JPEG", "L" if i == 4 else None) for i, picture in enumerate(smooth)
        ]  # some are grey
        self.raw = {"train": raw[:12], "test": raw[12:]}
        self.labels = {"train": [i // 4 for i in range(12)], "test": [0, 1, 2, 0, 1, 2]}

    def images(self, split: str) -> data.Images:
        """In the order of the published files."""
        decoded = [np.asarray(Image.open(io.BytesIO(raw)).convert("RGB")) for raw in self.raw[split]]
        pixels = torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2).contiguous()
        return data.Images(pixels, torch.tensor(self.labels[split]), WNIDS)

    def write_tree(self, tree: Path | None = None) -> Path:
        """The official folder tree."""
        tree = tree or self.tree
        (tree / "val" / "images").mkdir(parents=True)
        (tree / "wnids.txt").write_text(
            "\n".join(reversed(WNIDS)) + "\n"
        )  # the real file is not in order either
        for i, (raw, label) in enumerate(zip(self.raw["train"], self.labels["train"], strict=True)):
            file = tree / "train" / WNIDS[label] / "images" / f"{WNIDS[label]}_{i % 4}.JPEG"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(raw)
        rows = []
        for i, (raw, label) in enumerate(zip(self.raw["test"], self.labels["test"], strict=True)):
            (tree / "val" / "images" / f"val_{i}.JPEG").write_bytes(raw)
            rows.append(f"val_{i}.JPEG\t{WNIDS[label]}\t0\t0\t63\t63\n")
        (tree / "val" / "val_annotations.txt").write_text("".join(rows))
        return tree

    def write_parquet(
        self, names: list | None = None, seed: int = 0, shards: int = 1, raw: dict | None = None
    ) -> None:
        """The Hugging Face layout, its rows shuffled, its labels counted in the order of `names`."""
        for split, name in (("train", "train"), ("test", "valid")):
            order = np.random.default_rng(seed).permutation(len(self.labels[split]))
            for shard, rows in enumerate(np.array_split(order, shards)):
                labels = [WNIDS[self.labels[split][i]] for i in rows]
                file = self.root / "tiny-imagenet" / f"{name}-{shard:05d}-of-{shards:05d}.parquet"
                pictures = [(raw or self.raw)[split][i] for i in rows]
                write_parquet(
                    file, "image", pictures, [(names or WNIDS).index(label) for label in labels], names
                )


@pytest.fixture
def tiny(data_dir, monkeypatch) -> Tiny:
    made = Tiny(data_dir)
    monkeypatch.setattr("lib.data.tiny_imagenet.TINY_IMAGENET_CLASSES", WNIDS)
    monkeypatch.setitem(data.DATASETS, "tiny-imagenet", (64, 3, data.DATASETS["tiny-imagenet"][2]))
    for split, per_class in (("train", 4), ("test", 2)):
        monkeypatch.setitem(TINY_IMAGENET_PER_CLASS, split, per_class)
        monkeypatch.setitem(TINY_IMAGENET_CONTENT, split, data.content(made.images(split)))
    return made


def loaded(name: str) -> list[data.Images]:
    _load.cache_clear()
    return [data.load(name, split) for split in data.SPLITS]


def test_every_copy_of_tiny_imagenet_gives_the_same_rows(tiny):
    tree = tiny.write_tree()
    first = loaded("tiny-imagenet")
    for split, images in zip(data.SPLITS, first, strict=True):
        assert (
            images.classes == WNIDS
            and images.pixels.dtype == torch.uint8
            and images.labels.dtype == torch.int64
        )
        digests = row_digests(images)
        assert digests == sorted(digests) == sorted(row_digests(tiny.images(split)))
    tree.rename(tree.parent / "moved")
    tiny.write_tree(tiny.root / "tiny-imagenet" / "tiny-imagenet-200")
    assert all(map(equal, first, loaded("tiny-imagenet")))
    lossless = {split: [encoded(picture) for picture in tiny.images(split).pixels] for split in data.SPLITS}
    for options in (
        {"names": list(WNIDS)},
        {"names": [WNIDS[1], WNIDS[2], WNIDS[0]], "seed": 1},
        {"seed": 2, "shards": 3},  # without a description the labels count as usual
        {"names": list(WNIDS), "raw": lossless},
    ):
        for file in (tiny.root / "tiny-imagenet").glob("*.parquet"):
            file.unlink()
        tiny.write_parquet(**options)
        assert all(map(equal, first, loaded("tiny-imagenet")))


def test_train_and_valid_may_count_their_classes_in_different_order(tiny):
    tiny.write_parquet(list(WNIDS))
    first = loaded("tiny-imagenet")
    train = (tiny.root / "tiny-imagenet" / "train-00000-of-00001.parquet").read_bytes()
    tiny.write_parquet(list(reversed(WNIDS)))
    (tiny.root / "tiny-imagenet" / "train-00000-of-00001.parquet").write_bytes(train)
    assert all(map(equal, first, loaded("tiny-imagenet")))


def test_the_published_classes_of_tiny_imagenet():
    classes = TINY_IMAGENET_CLASSES
    assert len(set(classes)) == len(classes) == 200 == data.DATASETS["tiny-imagenet"][1]
    assert list(classes) == sorted(classes) and all(len(name) == 9 for name in classes)


def test_grey_pictures_become_rgb(tiny):
    tiny.write_tree()
    pixels = data.load("tiny-imagenet", "train").pixels
    assert (
        sum(torch.equal(picture[0], picture[1]) and torch.equal(picture[1], picture[2]) for picture in pixels)
        == 1
    )


def test_annotations_may_end_in_blank_lines_and_have_blanks_for_tabs(tiny):
    file = tiny.write_tree() / "val" / "val_annotations.txt"
    expected = data.load("tiny-imagenet", "test")
    rows = file.read_text().splitlines()
    for text in (
        "\n".join(rows) + "\n\n \n",
        "\n".join(rows),
        "\r\n".join(rows),
        "\n".join(rows).replace("\t", "  "),
    ):
        file.write_text(text, newline="")
        _load.cache_clear()
        assert equal(data.load("tiny-imagenet", "test"), expected)


# ---- what is refused, in both layouts ----------------------------------------------------------------------


@pytest.fixture(params=["cifar10", "tiny-imagenet"])
def copy(request, data_dir, cifar, tiny):
    """A data set in the Hugging Face layout: a function that writes it anew with changes, and its parts."""
    if request.param == "cifar10":
        files = write_shards(data_dir, cifar["test"])
        raw, labels, image = (
            [encoded(picture) for picture in cifar["test"].pixels],
            cifar["test"].labels.tolist(),
            "img",
        )
    else:
        tiny.write_parquet(list(WNIDS), shards=2)
        files = sorted((data_dir / "tiny-imagenet").glob("valid-*.parquet"))
        raw, labels, image = tiny.raw["test"], tiny.labels["test"], "image"

    def rewrite(changed_raw=None, changed_labels=None, names=None) -> Path:
        """One file that holds everything, with changes."""
        for file in files:
            file.unlink(missing_ok=True)
        file = files[0].with_name(files[0].name.replace("of-00002", "of-00001"))
        write_parquet(
            file,
            image,
            raw if changed_raw is None else changed_raw,
            labels if changed_labels is None else changed_labels,
            names,
        )
        return file

    rewrite.name, rewrite.files, rewrite.image = request.param, files, image
    rewrite.raw, rewrite.labels = raw, labels
    rewrite.side, rewrite.classes = data.DATASETS[request.param][:2]
    return rewrite


def labels_of(copy, second: object, kind: pa.DataType | None = None) -> pa.Array:
    """The labels of a copy, the second one replaced."""
    return pa.array([copy.labels[0], second, *copy.labels[2:]], kind)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda copy: labels_of(copy, -1), r"row 1: label -1 is not one of 0 to"),
        (lambda copy: labels_of(copy, None), r"row 1: its label is null"),
        (lambda copy: labels_of(copy, 250), r"row 1: label 250 is not one of 0 to"),
        (lambda copy: labels_of(copy, 70_000), r"row 1: label 70000 is not one of"),
        (lambda copy: labels_of(copy, 2**40), r"row 1: label 1099511627776 is not one of"),
        (lambda copy: labels_of(copy, -(2**63)), r"row 1: label -9223372036854775808 is not one of"),
        (
            lambda copy: labels_of(copy, 2**64 - 1, pa.uint64()),
            r"row 1: label 18446744073709551615 is not one of",
        ),
        (lambda copy: labels_of(copy, -1, pa.int8()), r"row 1: label -1 is not one of"),
        (
            lambda copy: pa.array([float(y) for y in copy.labels]),
            r"column 'label' holds double, not integers",
        ),
        (lambda copy: pa.array([3.7] * len(copy.labels)), r"column 'label' holds double, not integers"),
        (lambda copy: pa.array([float("nan")] * len(copy.labels)), r"holds double, not integers"),
        (lambda copy: pa.array([True] * len(copy.labels)), r"column 'label' holds bool, not integers"),
        (lambda copy: pa.array([str(y) for y in copy.labels]), r"column 'label' holds string, not integers"),
        (
            lambda copy: pa.array([str(y) for y in copy.labels]).dictionary_encode(),
            r"column 'label' holds .*, not integers",
        ),
        (lambda copy: pa.array([[y] for y in copy.labels]), r"column 'label' holds list.*, not integers"),
        (lambda copy: pa.nulls(len(copy.labels)), r"column 'label' holds null, not integers"),
        (lambda copy: pa.nulls(len(copy.labels), pa.int64()), r"row 0: its label is null"),
        (lambda copy: pa.array([0] * len(copy.labels)), r"images, of 1 classes, not"),
        (lambda copy: pa.array([y if y else 1 for y in copy.labels]), r"classes, not"),
        (lambda copy: labels_of(copy, copy.labels[0]), r"[13] of class \w+, not 2"),
        (
            lambda copy: pa.array([copy.labels[1], copy.labels[0], *copy.labels[2:]]),
            r"with other pixels or labels",
        ),
    ],
)
def test_labels_that_are_refused(make, message, copy):
    copy(changed_labels=make(copy))
    assert_match(message, refusal(copy.name))


def assert_match(pattern: str, text: str) -> None:
    assert re.search(pattern, text), text


def png(
    side: int,
    *,
    width: int | None = None,
    bits: int = 8,
    colour: int = 2,
    extra: bytes = b"",
    pixels: bytes | None = None,
) -> bytes:
    """A PNG written by hand, for what Pillow does not write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    width = width or side
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    if pixels is None:
        pixels = zlib.compress((b"\0" + bytes(width * channels * bits // 8)) * side)
    header = struct.pack(">IIBBBBB", width, side, bits, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def chunk_of_text(size: int) -> bytes:
    body = b"a\0\0" + zlib.compress(bytes(size))
    return struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))


def picture_of(copy, kind: str = "PNG", mode: str | None = None, side: int | None = None, **options) -> bytes:
    return encoded(noise(1, side or copy.side, 9)[0] // 4, kind, mode, **options)


PICTURES = {
    "text": (lambda copy: b"not a picture", "is not a PNG, JPEG or WebP picture, or is damaged"),
    "nothing": (lambda copy: b"", "is not a PNG, JPEG or WebP picture"),
    "null": (lambda copy: None, r"has no picture \(null\)"),
    "cut PNG": (lambda copy: picture_of(copy)[:-400], "or is damaged"),
    "cut JPEG": (lambda copy: picture_of(copy, "JPEG")[:700], "or is damaged"),
    "cut WebP": (lambda copy: picture_of(copy, "WEBP")[:-40], "or is damaged"),
    "header alone": (lambda copy: picture_of(copy)[:33], "or is damaged"),
    "flipped CRC": (
        lambda copy: picture_of(copy)[:40] + b"\xff\xfe" + picture_of(copy)[42:],
        "or is damaged",
    ),
    "half the side": (lambda copy: picture_of(copy, side=copy.side // 2), r"is (16×16|32×32) pixels, not"),
    "one pixel": (lambda copy: picture_of(copy, side=1), "is 1×1 pixels, not"),
    "not square": (lambda copy: png(copy.side, width=copy.side + 1), "pixels, not"),
    "bomb": (
        lambda copy: png(30_000, pixels=zlib.compress(b"", 9)),
        "has hundreds of millions of pixels, not",
    ),
    "small bomb": (lambda copy: png(10_000, pixels=b""), "is 10000×10000 pixels, not"),
    "largest PNG": (lambda copy: png(2**31 - 1, pixels=b""), "has hundreds of millions of pixels, not"),
    "text bomb": (lambda copy: png(copy.side, extra=chunk_of_text(2**22)), "or is damaged"),
    "bytes bomb": (lambda copy: picture_of(copy) + bytes(10**6), r"has 1,0\d\d,\d+ bytes, too many"),
    "GIF": (lambda copy: picture_of(copy, "GIF"), "is not a PNG, JPEG or WebP picture"),
    "BMP": (lambda copy: picture_of(copy, "BMP" if copy.side == 32 else "PPM"), "is not a PNG, JPEG or WebP"),
    "TIFF": (lambda copy: picture_of(copy, "TIFF"), "is not a PNG, JPEG or WebP picture"),
    "PostScript": (
        lambda copy: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n",
        "is not a PNG, JPEG or WebP picture",
    ),
    "animated PNG": (lambda copy: frames(copy, "PNG"), r"is animated \(2 frames\)"),
    "animated WebP": (lambda copy: frames(copy, "WEBP"), r"is animated \(2 frames\)"),
    "palette": (lambda copy: picture_of(copy, mode="P"), "is of mode P; only RGB and grey"),
    "RGBA": (lambda copy: picture_of(copy, mode="RGBA"), "is of mode RGBA"),
    "RGBA WebP": (lambda copy: see_through(copy, "WEBP"), "is of mode RGBA"),
    "grey and alpha": (lambda copy: picture_of(copy, mode="LA"), "is of mode LA"),
    "one bit": (lambda copy: picture_of(copy, mode="1"), "is of mode 1"),
    "CMYK": (lambda copy: picture_of(copy, "JPEG", "CMYK"), "is of mode CMYK"),
    "16-bit grey": (lambda copy: png(copy.side, bits=16, colour=0), r"is of mode I;16|has 16 bits a channel"),
    "16-bit RGB": (lambda copy: png(copy.side, bits=16), "has 16 bits a channel"),
    "transparent colour": (lambda copy: picture_of(copy, transparency=(0, 0, 0)), "has transparent pixels"),
    "another picture": (lambda copy: picture_of(copy), "with other pixels or labels"),
}


def frames(copy, kind: str) -> bytes:
    some = [Image.new("RGB", (copy.side, copy.side), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    some[0].save(buffer, kind, save_all=True, append_images=some[1:])
    return buffer.getvalue()


def see_through(copy, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", (copy.side, copy.side), (1, 2, 3, 4)).save(buffer, kind, lossless=True)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_that_are_refused(kind, copy):
    make, message = PICTURES[kind]
    file = copy(changed_raw=[copy.raw[0], make(copy), *copy.raw[2:]])
    found = refusal(copy.name)
    assert_match(message, found)
    assert f"{file}, row 1: " in found or message == "with other pixels or labels"


@pytest.mark.parametrize("side", [2_000, 16_000])
def test_a_bomb_takes_no_memory(side, copy):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bomb = png(side, pixels=zlib.compress(bytes(side * (3 * side + 1))) if side < 3_000 else b"")
    copy(changed_raw=[copy.raw[0], bomb, *copy.raw[2:]])
    tracemalloc.start()
    try:
        refusal(copy.name)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()


def test_pictures_of_two_sizes_are_told_by_file_and_row(copy):
    other = encoded(noise(1, copy.side * 2)[0][:, : copy.side])
    file = copy(changed_raw=[*copy.raw[:-1], other])
    assert f"{file}, row {len(copy.raw) - 1}: its picture is {copy.side * 2}×{copy.side} pixels" in refusal(
        copy.name
    )


def huggingface(value: bytes):
    def change(file: Path) -> None:
        pq.write_table(pq.read_table(file).replace_schema_metadata({b"huggingface": value}), file)

    return change


def described(names: object) -> bytes:
    return json.dumps({"info": {"features": {"label": {"names": names}}}}).encode()


def replaced_by_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def replaced_by_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def replaced_by_link(target: str):
    def change(file: Path) -> None:
        file.unlink()
        file.symlink_to(target)

    return change


def columns(**changed):
    def change(file: Path) -> None:
        table = pq.read_table(file)
        parts = {name: table[name] for name in table.column_names} | changed
        pq.write_table(pa.table({name: part for name, part in parts.items() if part is not None}), file)

    return change


def other_pictures(make):
    """The column of pictures replaced by what `make` makes of a list of encoded ones."""

    def change(file: Path) -> None:
        table = pq.read_table(file)
        image = table.column_names[0]
        raw = [row["bytes"] for row in table[image].to_pylist()]
        pq.write_table(pa.table({image: make(raw), "label": table["label"]}), file)

    return change


NOT_STRUCTS = r"not structs with a field 'bytes' of encoded pictures"
NOT_DESCRIBED = r"the description in its schema \(metadata 'huggingface'\) is not"
FILES = {
    "cut": (lambda file: file.write_bytes(file.read_bytes()[:-20]), "cannot be read as parquet"),
    "half": (
        lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
        "cannot be read as parquet",
    ),
    "emptied": (lambda file: file.write_bytes(b""), "cannot be read as parquet"),
    "text": (lambda file: file.write_text("text"), "cannot be read as parquet"),
    "a page of HTML": (lambda file: file.write_text("<html>" * 100), "cannot be read as parquet"),
    "a pointer of Git LFS": (
        lambda file: file.write_text("version https://git-lfs"),
        "cannot be read as parquet",
    ),
    "zeros": (lambda file: file.write_bytes(bytes(file.stat().st_size)), "cannot be read as parquet"),
    "a folder": (replaced_by_folder, "is a folder, not a file"),
    "a pipe": (replaced_by_pipe, "is a pipe or a device, not a file"),
    "a device": (replaced_by_link("/dev/zero"), "is a pipe or a device, not a file"),
    "a dead link": (replaced_by_link("nowhere"), "cannot be read: No such file"),
    "a circle of links": (lambda file: replaced_by_link(file.name)(file), "cannot be read: Too many levels"),
    "removed": (Path.unlink, "lacks .*: 1 of 2 shards are there"),
    "other column": (
        lambda file: pq.write_table(pq.read_table(file).rename_columns(["picture", "label"]), file),
        "has no column 'ima?ge?'",
    ),
    "no labels": (columns(label=None), "has no column 'label'"),
    "two columns of labels": (lambda file: twice(file), "has no column 'label', or two"),
    "no rows": (lambda file: pq.write_table(pq.read_table(file)[:0], file), "does not hold .* images, "),
    "fewer rows": (lambda file: pq.write_table(pq.read_table(file)[:-1], file), "does not hold .* images, "),
    "more rows": (
        lambda file: pq.write_table(pa.concat_tables([pq.read_table(file)] * 2), file),
        "does not hold .* images, not",
    ),
    "numbers": (other_pictures(lambda raw: pa.array(range(len(raw)))), NOT_STRUCTS),
    "bare bytes": (other_pictures(lambda raw: pa.array(raw)), NOT_STRUCTS),
    "text for bytes": (
        other_pictures(lambda raw: pa.array([{"bytes": "a", "path": "b"}] * len(raw))),
        NOT_STRUCTS,
    ),
    "no field of bytes": (other_pictures(lambda raw: pa.array([{"path": "b"}] * len(raw))), NOT_STRUCTS),
    "null structs": (
        other_pictures(lambda raw: pa.array([None] * len(raw), pa.struct({"bytes": pa.binary()}))),
        r"row 0: it has no picture",
    ),
    "not JSON": (huggingface(b"{"), NOT_DESCRIBED),
    "not UTF-8": (huggingface(b"\xff"), NOT_DESCRIBED),
    "deep JSON": (huggingface(b"[" * 100_000), NOT_DESCRIBED),
    "a list": (huggingface(b"[]"), NOT_DESCRIBED),
    "null": (huggingface(b"null"), NOT_DESCRIBED),
    "a number of 5,000 digits": (huggingface(b'{"info": ' + b"1" * 5000 + b"}"), NOT_DESCRIBED),
    "features in a list": (huggingface(b'{"info": {"features": []}}'), NOT_DESCRIBED),
    "names in a word": (huggingface(described("abc")), NOT_DESCRIBED),
    "one name": (huggingface(described(3)), NOT_DESCRIBED),
    "names that are numbers": (huggingface(described(list(range(10)))), NOT_DESCRIBED),
    "names that are lists": (huggingface(described([[]] * 10)), NOT_DESCRIBED),
    "names in an object": (huggingface(described({"0": "a"})), NOT_DESCRIBED),
    "equal names": (huggingface(described(["a"] * 10)), "its schema names 1 different classes, not"),
    "four names": (huggingface(described(list("abcd"))), "its schema names 4 different classes, not"),
    "no names": (huggingface(described([])), "its schema names 0 different classes, not"),
    "300 names": (
        huggingface(described([f"class {i}" for i in range(300)])),
        "its schema names 300 different classes",
    ),
}


def twice(file: Path) -> None:
    table = pq.read_table(file)
    pq.write_table(
        pa.Table.from_arrays([*table.columns, table["label"]], [*table.column_names, "label"]), file
    )


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("damage", FILES)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_files_that_are_refused(damage, number, copy):
    change, message = FILES[damage]
    change(copy.files[number])
    found = refusal(copy.name)
    assert_match(message, found)
    assert str(copy.files[number].parent) in found


def as_name(file: Path, name: str) -> None:
    (file.parent / name).write_bytes(file.read_bytes())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: files[0].unlink(), r"lacks \w+-00000-of-00002.parquet: 1 of 2 shards"),
        (lambda files: files[1].unlink(), r"lacks \w+-00001-of-00002.parquet: 1 of 2 shards"),
        (lambda files: as_name(files[0], files[0].name.replace("of-00002", "of-00001")), "two revisions"),
        (lambda files: as_name(files[0], files[0].name.replace("of-00002", "of-00003")), "two revisions"),
        (
            lambda files: as_name(files[0], files[0].name.replace(".parquet", "-1a2b3c4d5e6f7a8b.parquet")),
            "two revisions",
        ),
        (
            lambda files: as_name(files[1], files[1].name.replace(".parquet", "-1a2b3c4d5e6f7a8b.parquet")),
            "two revisions",
        ),
        (lambda files: as_name(files[0], files[0].name.split("-")[0] + "-old.parquet"), "two revisions"),
        (
            lambda files: as_name(files[0], files[0].name.split("-")[0] + "-00000-of-00002 (1).parquet"),
            "two revisions",
        ),
        (
            lambda files: as_name(files[0], files[0].name.replace("-00000-", "-00002-")),
            "is no shard: they count from 0 to 1",
        ),
        (
            lambda files: files[1].rename(files[1].with_name(files[1].name.replace("-00001-", "-00007-"))),
            "is no shard",
        ),
    ],
)
def test_shards_that_are_not_one_revision(change, message, copy):
    change(copy.files)
    assert_match(message, refusal(copy.name))


def test_a_folder_that_cannot_be_listed(copy):
    folder = copy.files[0].parent
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(folder.name)
    assert f"{folder} cannot be read: Too many levels" in refusal(copy.name)


def test_a_part_of_the_classes_is_refused(cifar, data_dir):
    images = cifar["test"]
    write_shards(data_dir, images[images.labels < 4])
    assert "does not hold CIFAR-10's test split (8 images, of 4 classes, not 10)" in refusal("cifar10")
    write_shards(data_dir, images[:12])
    assert "does not hold CIFAR-10's test split (12 images, " in refusal("cifar10")


@pytest.mark.slow
def test_a_parquet_bomb(copy, monkeypatch):
    """A hundred megabytes that compress to a few kilobytes are not unpacked."""
    for file in copy.files:
        table = pq.read_table(file)
        column = pa.array([{"bytes": bytes(10**7), "path": None}] * len(table))
        pq.write_table(
            pa.table({copy.image: column, "label": table["label"]}),
            file,
            compression="zstd",
            use_dictionary=False,
        )
    assert_match(r"the pictures unpack to [\d,]+ bytes, more than they can need", refusal(copy.name))


def test_many_rows_are_refused_before_they_are_read(copy):
    file, n = copy(), 10**7
    rows = pa.array([{"bytes": b"", "path": None}]).take(pa.array(np.zeros(n, np.int32)))
    pq.write_table(pa.table({copy.image: rows, "label": pa.array(np.zeros(n, np.int8))}), file)
    assert "(10,000,000 images, not " in refusal(copy.name)


# ---- bits that flip ----------------------------------------------------------------------------------------


def flipped(raw: bytes, seed: int) -> bytes:
    chance = random.Random(seed)
    place = chance.randrange(len(raw))
    return raw[:place] + bytes([raw[place] ^ (1 << chance.randrange(8))]) + raw[place + 1 :]


def hold_flips(name: str, files: list[Path], count: int) -> None:
    """Every flip of a bit in the files of a data set is one clear error, or leaves the images as they are."""
    expected = loaded(name)[1]
    refused = 0
    for seed in range(count):
        file = files[seed % len(files)]
        whole = file.read_bytes()
        file.write_bytes(flipped(whole, seed))
        for kept in (paths.cache() / "data").glob("*"):
            kept.unlink()
        _load.cache_clear()
        try:
            assert equal(data.load(name, "test"), expected)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and "<_io" not in str(error)
        file.write_bytes(whole)
    assert refused > count / 4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_flipped_bits_in_parquet(cifar, tiny, data_dir):
    write_shards(data_dir, cifar["train"], "train")
    hold_flips("cifar10", write_shards(data_dir, cifar["test"]), 120)
    tiny.write_parquet(list(WNIDS))
    hold_flips("tiny-imagenet", [data_dir / "tiny-imagenet" / "valid-00000-of-00001.parquet"], 120)


def test_flipped_bits_in_batches_and_trees(cifar, tiny, data_dir, monkeypatch):
    write_batches(data_dir, cifar["train"], monkeypatch, "train")
    hold_flips("cifar10", write_batches(data_dir, cifar["test"], monkeypatch), 60)
    tree = tiny.write_tree()
    hold_flips("tiny-imagenet", [tree / "wnids.txt", *sorted((tree / "val").rglob("*.*"))], 120)


# ---- torchvision's batches ---------------------------------------------------------------------------------


def test_damaged_batches(cifar, data_dir, monkeypatch):
    first, second = write_batches(data_dir, cifar["train"], monkeypatch, "train")
    write_batches(data_dir, cifar["test"], monkeypatch)
    second.write_bytes(b"not a batch")
    assert "cifar-10-batches-py is damaged: data_batch_2 does not match its MD5" in refusal(
        "cifar10", "train"
    )
    second.unlink()
    assert "data_batch_2 cannot be read: No such file" in refusal("cifar10", "train")
    second.mkdir()
    assert "data_batch_2 is a folder, not a file" in refusal("cifar10", "train")
    second.rmdir()
    os.mkfifo(second)
    assert "data_batch_2 is a pipe or a device, not a file" in refusal("cifar10", "train")
    with first.open("r+b") as file:
        file.truncate(2**40)  # takes no room, but reading it would
    assert "data_batch_1 has 1,099,511,627,776 bytes, more than it can need" in refusal("cifar10", "train")


class Planted:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


def known(file: Path, content: bytes, monkeypatch) -> None:
    """Write a batch whose MD5 torchvision knows."""
    from torchvision.datasets import CIFAR10

    file.write_bytes(content)
    monkeypatch.setattr(CIFAR10, "test_list", [[file.name, hashlib.md5(content).hexdigest()]])


def test_a_planted_batch_runs_nothing(cifar, data_dir, tmp_path, monkeypatch):
    (batch,) = write_batches(data_dir, cifar["test"], monkeypatch)
    content = pickle.dumps(Planted(tmp_path / "planted"))
    batch.write_bytes(content)
    assert "does not match its MD5" in refusal("cifar10")
    known(batch, content, monkeypatch)  # as if somebody had found another file of the same MD5
    assert "test_batch is no batch of images (UnpicklingError)" in refusal("cifar10")
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize(
    "batch",
    [
        [],
        {},
        {"data": np.zeros((20, 3072), np.uint8)},
        {"data": np.zeros((20, 3072), np.float32), "labels": [0] * 20},
        {"data": np.zeros((20, 3071), np.uint8), "labels": [0] * 20},
        {"data": np.zeros((19, 3072), np.uint8), "labels": [0] * 20},
        {"data": np.zeros((20, 3072), np.uint8), "labels": [0.5] * 20},
        {"data": np.zeros((20, 3072), np.uint8), "labels": ["a"] * 20},
        {"data": np.zeros((20, 3072), np.uint8), "labels": [2**70] * 20},
        {"data": np.zeros((20, 3072), np.uint8), "labels": [None] * 20},
        {"data": np.zeros((20, 3072), np.uint8), "labels": 3},
    ],
)
def test_batches_of_something_else(batch, cifar, data_dir, monkeypatch):
    (file,) = write_batches(data_dir, cifar["test"], monkeypatch)
    known(file, pickle.dumps(batch, protocol=4), monkeypatch)
    assert "test_batch is no batch of images" in refusal("cifar10")


@pytest.mark.parametrize("label", [-1, 10, 70_000])
def test_batches_with_labels_out_of_range(label, cifar, data_dir, monkeypatch):
    (file,) = write_batches(data_dir, cifar["test"], monkeypatch)
    batch = {"data": np.zeros((20, 3072), np.uint8), "labels": [label] * 20}
    known(file, pickle.dumps(batch, protocol=4), monkeypatch)
    assert f"label {label} is not one of 0 to 9" in refusal("cifar10")


# ---- the official tree of Tiny ImageNet --------------------------------------------------------------------


def annotations(change):
    def damage(tree: Path) -> None:
        file = tree / "val" / "val_annotations.txt"
        file.write_bytes(change(file.read_bytes()))

    return damage


def wnids(text: str | bytes):
    return lambda tree: (tree / "wnids.txt").write_bytes(text if isinstance(text, bytes) else text.encode())


def to_picture(change, name: str = "val/images/val_3.JPEG"):
    return lambda tree: change(tree / name)


def swapped_classes(tree: Path) -> None:
    one, two = (tree / "train" / wnid for wnid in WNIDS[:2])
    one.rename(tree / "kept")
    two.rename(one)
    (tree / "kept").rename(two)
    for folder in (one, two):
        for i, file in enumerate(sorted((folder / "images").iterdir())):
            file.rename(file.with_name(f"{folder.name}_{i}.JPEG"))


TREES = {
    "no pictures": (
        lambda tree: [file.unlink() for file in tree.glob("train/*/images/*")],
        "train",
        r"\(0 images, of 0 classes, not 3\)",
    ),
    "a class without pictures": (
        lambda tree: [file.unlink() for file in tree.glob(f"train/{WNIDS[1]}/images/*")],
        "train",
        r"of 2 classes, not 3",
    ),
    "a picture too few": (
        lambda tree: next(tree.glob("train/*/images/*")).unlink(),
        "train",
        r"11 images, not 12",
    ),
    "a picture too many": (
        lambda tree: (tree / "train" / WNIDS[0] / "images" / "x.JPEG").write_bytes(b""),
        "train",
        "13 images, not 12",
    ),
    "classes swapped": (swapped_classes, "train", "with other pixels or labels"),
    "missing picture": (to_picture(Path.unlink), "test", r"val_3.JPEG cannot be read: No such file"),
    "broken picture": (
        to_picture(lambda file: file.write_bytes(b"\xff\xd8 cut")),
        "test",
        "val_3.JPEG is not a PNG, JPEG or WebP",
    ),
    "picture of text": (
        to_picture(lambda file: file.write_text("text")),
        "test",
        "val_3.JPEG is not a PNG, JPEG or WebP",
    ),
    "large file": (
        to_picture(lambda file: file.write_bytes(bytes(10**6))),
        "test",
        r"val_3.JPEG has 1,000,000 bytes, more than",
    ),
    "small picture": (
        to_picture(lambda file: file.write_bytes(encoded(noise(1, 32)[0]))),
        "test",
        "val_3.JPEG is 32×32 pixels",
    ),
    "picture that is a folder": (
        to_picture(replaced_by_folder),
        "test",
        "val_3.JPEG is a folder, not a file",
    ),
    "picture that is a pipe": (to_picture(replaced_by_pipe), "test", "val_3.JPEG is a pipe or a device"),
    "annotations that are a pipe": (
        to_picture(replaced_by_pipe, "val/val_annotations.txt"),
        "test",
        "val_annotations.txt is a pipe",
    ),
    "annotations that are a folder": (
        to_picture(replaced_by_folder, "val/val_annotations.txt"),
        "test",
        "val_annotations.txt is a folder",
    ),
    "annotations linked to nowhere": (
        to_picture(replaced_by_link("nowhere"), "val/val_annotations.txt"),
        "test",
        "cannot be read: No such file",
    ),
    "classes that are a pipe": (to_picture(replaced_by_pipe, "wnids.txt"), "train", "wnids.txt is a pipe"),
    "latin-1": (
        annotations(lambda raw: raw.replace(b"val_3", b"val_\xe9")),
        "test",
        r"val_annotations.txt, line 4, holds the byte 0xe9, which is not UTF-8",
    ),
    "empty annotations": (annotations(lambda raw: b""), "test", r"\(0 images, "),
    "a line too few": (annotations(lambda raw: raw[raw.index(b"\n") + 1 :]), "test", r"5 images, not 6"),
    "one word in a line": (
        annotations(lambda raw: raw + b"val_9.JPEG\n"),
        "test",
        "line 7, has no class beside 'val_9.JPEG'",
    ),
    "a line twice": (annotations(lambda raw: raw * 2), "test", "line 7, names val_0.JPEG again"),
    "unknown class": (
        annotations(lambda raw: raw.replace(WNIDS[2].encode(), b"n99999999")),
        "test",
        "line 3: 'n99999999' is not a class",
    ),
    "a way out of the folder": (
        annotations(lambda raw: raw.replace(b"val_1", b"../val_1")),
        "test",
        r"line 2: '../val_1.JPEG' is no name of a picture",
    ),
    "an absolute name": (
        annotations(lambda raw: raw.replace(b"val_1", b"/dev/zero")),
        "test",
        "is no name of a picture",
    ),
    "a NUL": (annotations(lambda raw: raw.replace(b"val_1", b"val\0")), "test", "is no name of a picture"),
    "a label swapped": (
        annotations(
            lambda raw: raw.replace(b"val_0", b"val_1", 1).replace(b"val_1.JPEG\tn016", b"val_0.JPEG\tn016")
        ),
        "test",
        "with other pixels",
    ),
    "large annotations": (
        annotations(lambda raw: b"a" * (2**24 + 1)),
        "test",
        "bytes, more than it can need",
    ),
    "no classes": (wnids(""), "train", "does not name Tiny ImageNet's 3 classes: 'n01443537' is missing"),
    "two classes": (wnids("\n".join(WNIDS[1:])), "train", "'n01443537' is missing"),
    "a fourth class": (wnids("\n".join([*WNIDS, "n99999999"])), "train", "'n99999999' is not one of them"),
    "latin-1 classes": (wnids(b"n0\xe9"), "train", "wnids.txt, line 1, holds the byte 0xe9"),
}


@pytest.mark.parametrize("damage", TREES)
def test_trees_that_are_refused(damage, tiny):
    change, split, message = TREES[damage]
    change(tiny.write_tree())
    found = refusal("tiny-imagenet", split)
    assert "tiny-imagenet-200" in found
    assert_match(message, found)


def cut_off(file: Path) -> None:
    """What is left of a file whose writing was interrupted."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


# how far unpacking has come: what has been written by then, of three shards a split, and what is said of train
# and of test
HALF_UNPACKED = {
    "nothing": ((), "train-*.parquet", "valid-*.parquet"),
    "one shard of train": (("train-00000",), "lacks train-00001-of-00003.parquet: 1 of 3", "valid-*.parquet"),
    "all but the last": (
        ("train-00000", "train-00001"),
        "lacks train-00002-of-00003.parquet: 2 of 3",
        "valid-*.parquet",
    ),
    "train, not valid": (("train-00000", "train-00001", "train-00002"), None, "valid-*.parquet"),
    "a shard of valid": (
        ("train-00000", "train-00001", "train-00002", "valid-00000"),
        None,
        "lacks valid-00001-of-00003.parquet: 1 of 3",
    ),
}


@pytest.mark.parametrize("state", HALF_UNPACKED)
def test_a_half_unpacked_folder(state, tiny):
    written, of_train, of_test = HALF_UNPACKED[state]
    tiny.write_parquet(shards=3)
    for file in (tiny.root / "tiny-imagenet").glob("*.parquet"):
        if not file.name.startswith(written or "none"):
            file.unlink()
    assert of_test in refusal("tiny-imagenet", "test")
    if of_train:
        assert of_train in refusal("tiny-imagenet", "train")
    else:
        assert len(data.load("tiny-imagenet", "train")) == 12


def test_a_shard_that_was_cut_off_is_named(tiny):
    tiny.write_parquet(shards=3)
    cut_off(tiny.root / "tiny-imagenet" / "train-00002-of-00003.parquet")
    found = refusal("tiny-imagenet", "train")
    assert "train-00002-of-00003.parquet cannot be read as parquet" in found


@pytest.mark.parametrize("left", [1, 2])
def test_a_tree_that_was_unpacked_in_part(left, tiny):
    """An archive is unpacked in its order: of the last class, or of two, there is nothing yet."""
    tree = tiny.write_tree()
    for wnid in WNIDS[left:]:
        shutil.rmtree(tree / "train" / wnid)
    assert (
        f"{tree} does not hold" in (found := refusal("tiny-imagenet", "train"))
        and f"of {left} classes" in found
    )


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0, 2, 1, 0, 1, 2], None, "with other pixels or labels"),
        ([1, 2, 3, 1, 2, 3], None, "label 3 is not one of 0 to 2"),
        ([0, 1, 1, 0, 1, 1], None, "of 2 classes, not 3"),
        ([0, 1, 2, 0, 1, 2], [*WNIDS, "n99999999"], "its schema names 4 different classes, not 3"),
        ([0, 1, 2, 0, 1, 2], [WNIDS[1], WNIDS[0], WNIDS[2]], "with other pixels or labels"),
    ],
    ids=["two swapped", "counted from 1", "a class too few", "a class too many", "described otherwise"],
)
def test_wrong_labels_of_tiny_imagenet(labels, names, message, tiny):
    file = tiny.root / "tiny-imagenet" / "valid-00000-of-00001.parquet"
    write_parquet(file, "image", tiny.raw["test"], labels, names)
    assert message in refusal("tiny-imagenet", "test")


# ---- missing sets and bad names ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "split", "parts"),
    [
        (
            "cifar10",
            "train",
            ["cifar10/train-*.parquet", "cifar-10-batches-py", "python -m lib data cifar10 --download"],
        ),
        ("cifar10", "test", ["cifar10/test-*.parquet"]),
        (
            "tiny-imagenet",
            "train",
            ["tiny-imagenet/train-*.parquet", "tiny-imagenet-200", "tiny-imagenet-200.zip"],
        ),
        ("tiny-imagenet", "test", ["tiny-imagenet/valid-*.parquet"]),
    ],
)
def test_a_missing_set_says_what_was_looked_for_where_and_how_to_get_it(name, split, parts, data_dir):
    with pytest.raises(InputError) as caught:
        data.load(name, split)
    message = str(caught.value)
    assert (
        f"data set '{name}' ({split}) not found" in message
        and str(data_dir) in message
        and "\n" not in message
    )
    for part in parts:
        assert part in message


def test_data_dir_pointing_nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "gone"))
    with pytest.raises(InputError, match="DATA_DIR=.*gone is not a folder.*; set it to the folder"):
        data.load("cifar10", "test")
    (tmp_path / "gone").write_text("a file")
    with pytest.raises(InputError, match="is not a folder"):
        data.load("cifar10", "test")


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("cifar-10", "train", "unknown data set 'cifar-10'; known: cifar10, digits, tiny-imagenet"),
        ("digits", "val", "unknown split 'val'; known: test, train"),
        ("cifar10", "validation", "unknown split 'validation'"),
    ],
)
def test_unknown_names(name, split, message):
    with pytest.raises(InputError, match=message):
        data.load(name, split)


# ---- the cache of decoded pixels ---------------------------------------------------------------------------


def cache_file() -> Path:
    (file,) = (paths.cache() / "data").iterdir()
    return file


def forbid_decoding(monkeypatch) -> None:
    def decode(*arguments):
        raise AssertionError("decoded although cached")

    for module in ("parquet", "tiny_imagenet"):
        monkeypatch.setattr(f"lib.data.{module}.decode", decode)


@pytest.fixture
def kept(cifar, data_dir) -> data.Images:
    """The test split of CIFAR-10, which now lies in the cache."""
    write_shards(data_dir, cifar["test"])
    images = data.load("cifar10", "test")
    _load.cache_clear()
    return images


def test_the_second_load_reads_the_cache(kept, monkeypatch):
    assert cache_file().suffix == ".npz"  # and nothing else lies there
    forbid_decoding(monkeypatch)
    second = data.load("cifar10", "test")
    assert second is not kept and equal(second, kept)
    assert second.pixels.dtype == torch.uint8 and second.labels.dtype == torch.int64
    assert data.load("cifar10", "test") is second  # within a process: from memory


@pytest.mark.parametrize("change", ["annotations", "picture"])
def test_changed_files_are_read_again(change, tiny):
    tree = tiny.write_tree()
    data.load("tiny-imagenet", "test")
    if change == "annotations":
        file = tree / "val" / "val_annotations.txt"
        file.write_text(file.read_text().replace("val_1", "val_9"))
    else:
        (tree / "val" / "images" / "val_1.JPEG").unlink()
    _load.cache_clear()
    with pytest.raises(InputError, match=r"val_[19].JPEG cannot be read"):
        data.load("tiny-imagenet", "test")


def pack(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def other_compression(content: bytes) -> bytes:
    """One bit of the compression method in the archive's directory."""
    place = content.index(b"PK\x01\x02") + 10
    return content[:place] + bytes([content[place] ^ 2]) + content[place + 1 :]


DAMAGES = {
    "flipped bit in the pixels": lambda raw: (
        raw[: len(raw) // 2] + bytes([raw[len(raw) // 2] ^ 1]) + raw[len(raw) // 2 + 1 :]
    ),
    "flipped bit in the directory": other_compression,
    "cut": lambda raw: raw[: len(raw) // 2],
    "a byte too few": lambda raw: raw[:-1],
    "a byte too many": lambda raw: raw + b"\0",
    "a byte before": lambda raw: b"\0" + raw,
    "twice": lambda raw: raw * 2,
    "replaced": lambda raw: b"text",
    "emptied": lambda raw: b"",
    "of an earlier version": lambda raw: raw[64:],
    "its checksum alone": lambda raw: raw[:64],
    "upper case checksum": lambda raw: raw[:64].upper() + raw[64:],
    "zeros": lambda raw: bytes(len(raw)),
    "blocks swapped": lambda raw: raw[:4096] + raw[8192:12288] + raw[4096:8192] + raw[12288:],
    "a pickle": lambda raw: pickle.dumps([1, 2]),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_damaged_cache_file_is_made_again(damage, kept, monkeypatch):
    file = cache_file()
    whole = file.read_bytes()
    file.write_bytes(DAMAGES[damage](whole))
    assert equal(data.load("cifar10", "test"), kept)
    _load.cache_clear()
    forbid_decoding(monkeypatch)
    assert equal(data.load("cifar10", "test"), kept)  # the file is whole again
    assert cache_file().read_bytes() == whole


def test_no_damage_of_a_cache_file_passes(kept, monkeypatch):
    file = cache_file()
    whole = file.read_bytes()
    chance = random.Random(0)

    def again(*arguments):
        raise InputError("read again")

    for module in ("cifar10", "tiny_imagenet"):
        monkeypatch.setattr(f"lib.data.{module}.read_parquet", again)
    for seed in range(800):
        raw = flipped(whole, seed) if seed % 4 else whole[: chance.randrange(len(whole))]
        file.write_bytes(raw)
        _load.cache_clear()
        with pytest.raises(InputError, match="read again"):
            data.load("cifar10", "test")


def test_the_cache_of_another_split_is_noticed(cifar, kept, data_dir):
    first = cache_file()
    write_shards(data_dir, cifar["train"], "train")
    data.load("cifar10", "train")
    (second,) = set((paths.cache() / "data").iterdir()) - {first}
    first.write_bytes(second.read_bytes())
    _load.cache_clear()
    assert equal(data.load("cifar10", "test"), kept)


@pytest.mark.parametrize(
    "change",
    [
        {"pixels": np.zeros((20, 3, 32, 32), np.float32)},
        {"pixels": np.zeros((20, 3, 16, 16), np.uint8)},
        {"pixels": np.zeros((20, 32, 32, 3), np.uint8)},
        {"pixels": np.zeros((19, 3, 32, 32), np.uint8)},
        {"labels": np.zeros(20, np.int32)},
        {"labels": np.zeros((20, 1), np.int64)},
        {"labels": np.full(20, 10)},
        {"labels": np.full(20, -1)},
        {"classes": np.array(["a", "b"])},
        {"classes": np.arange(10)},
        {"more": np.arange(10)},
        {"pixels": np.zeros((0, 3, 32, 32), np.uint8), "labels": np.zeros(0, np.int64)},
    ],
)
def test_a_cache_file_of_another_form_is_made_again(change, kept):
    """As a later or earlier version of the library might have left it, checksum and all."""
    from lib.base.files import kept as files_kept

    file = cache_file()
    file.unlink()
    arrays = {"pixels": kept.pixels.numpy(), "labels": kept.labels.numpy(), "classes": np.array(kept.classes)}
    files_kept(file, lambda: arrays | change, what="something else")
    assert equal(data.load("cifar10", "test"), kept)
    _load.cache_clear()
    assert equal(data.load("cifar10", "test"), kept)


@pytest.mark.parametrize(
    "replace",
    [
        replaced_by_pipe,
        replaced_by_link("/dev/zero"),
        replaced_by_link("nowhere"),
        lambda file: replaced_by_link(file.name)(file),
    ],
)
def test_something_else_in_the_place_of_the_cache_file(replace, kept):
    file = cache_file()
    replace(file)
    assert equal(data.load("cifar10", "test"), kept)
    assert file.is_file() and not file.is_symlink()  # made again


@pytest.mark.parametrize("full", [True, False])
def test_a_folder_in_the_place_of_the_cache_file(full, kept):
    file = cache_file()
    replaced_by_folder(file)
    if full:
        (file / "more").mkdir()
    with pytest.warns(
        UserWarning, match=f"the decoded cifar10 could not be kept as {file}.*: made anew each time"
    ):
        assert equal(data.load("cifar10", "test"), kept)
    assert cache_file() == file


def test_a_cache_file_that_cannot_be_read(kept, monkeypatch):
    file = cache_file()
    if os.getuid():
        file.chmod(0)
    else:  # for whom no file is closed
        opened = Path.open

        def refuse(self, mode="r", *arguments, **keywords):
            if self == file and "r" in mode:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
            return opened(self, mode, *arguments, **keywords)

        monkeypatch.setattr(Path, "open", refuse)
    assert equal(data.load("cifar10", "test"), kept)


def test_a_file_in_the_place_of_the_cache_folder(cifar, data_dir):
    paths.cache().write_text("")
    write_shards(data_dir, cifar["test"])
    with pytest.warns(UserWarning, match="the decoded cifar10 could not be kept"):
        assert equal(data.load("cifar10", "test"), cifar["test"])


def test_a_full_disk_under_the_cache(cifar, data_dir, monkeypatch):
    write_shards(data_dir, cifar["test"])

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(datasets.np, "savez", full)
    with pytest.warns(UserWarning, match="the decoded cifar10 could not be kept as .*No space left"):
        assert equal(data.load("cifar10", "test"), cifar["test"])
    assert not list((paths.cache() / "data").iterdir())


def test_a_data_set_of_ones_own_has_its_form_checked(data_dir, monkeypatch):
    """One that is added as reference/adding.md says."""
    made = data.Images(noise(4, 32), torch.tensor([0, 1, 0, 1]), ("circle", "square"))
    monkeypatch.setitem(data.DATASETS, "shapes", (32, 2, "ask its makers"))
    monkeypatch.setitem(_SOURCES, "shapes", lambda root, split: [Source(root, [root], lambda: made)])
    assert equal(data.load("shapes", "test"), made)
    _load.cache_clear()
    (paths.cache() / "data").joinpath(cache_file().name).unlink()
    for bad in (
        made[:0],
        data.Images(made.pixels[:, :1], made.labels, made.classes),
        data.Images(made.pixels, made.labels + 1, made.classes),
    ):
        monkeypatch.setitem(
            _SOURCES, "shapes", lambda root, split, bad=bad: [Source(root, [root], lambda: bad)]
        )
        assert "does not hold shapes (test): " in refusal("shapes")


# ---- download ----------------------------------------------------------------------------------------------


def test_download_goes_to_data_dir(data_dir, monkeypatch):
    import torchvision.datasets

    class Fake:
        base_folder = "cifar-10-batches-py"

        def __init__(self, root, download):
            assert download
            (Path(root) / self.base_folder).mkdir()

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Fake)
    assert data.download_cifar10() == data_dir.resolve() / "cifar-10-batches-py"


@pytest.mark.parametrize("error", [OSError("no route to host"), RuntimeError("File not found or corrupted.")])
def test_a_failed_download_is_one_clear_error(error, data_dir, monkeypatch):
    import torchvision.datasets

    def fail(root, download):
        raise error

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", fail)
    with pytest.raises(InputError, match=f"CIFAR-10 could not be downloaded into .*: {error}"):
        data.download_cifar10()
