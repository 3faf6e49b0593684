"""Data sets: the real digits, generated miniatures of every layout, the cache of decoded pixels, and every message."""

import errno
import hashlib
import io
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from lib import data, paths
from lib.errors import InputError


@pytest.fixture
def data_dir(tmp_path, monkeypatch) -> Path:
    """An empty DATA_DIR and an empty cache."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def nothing_in_memory():
    data._load.cache_clear()
    yield
    data._load.cache_clear()


def pictures(n: int, side: int, seed: int = 0) -> np.ndarray:
    """(n, side, side, 3) uint8, each of one colour: lossy formats keep them to within a level or two."""
    colours = np.random.default_rng(seed).integers(0, 256, (n, 1, 1, 3))
    return np.broadcast_to(colours, (n, side, side, 3)).astype(np.uint8)


def encoded(picture: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind)
    return buffer.getvalue()


def write_parquet(file: Path, image: str, raw: list[bytes], labels: list[int], names: list[str] | None = None) -> None:
    """The Hugging Face layout."""
    file.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({image: [{"bytes": b, "path": None} for b in raw], "label": pa.array(labels, pa.int64())})
    if names:
        described = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(described)})
    pq.write_table(table, file)


# ---- digits ----------------------------------------------------------------------------------------------------------


def test_digits_shapes_and_counts(digits):
    for split, n in (("train", 1297), ("test", 500)):
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
    # four pixels in the middle of each 4x4 block blur little into the neighbours: the nearest original is the picture itself
    blocks = [images.pixels[:, 0].double().unfold(1, 4, 4).unfold(2, 4, 4)[..., 1:3, 1:3].mean((3, 4)) for images in digits.values()]
    labels = torch.cat([images.labels for images in digits.values()])
    nearest = torch.cdist(torch.cat(blocks).flatten(1), torch.from_numpy(original.images).flatten(1) * 255 / 16).argmin(1)
    assert len(nearest.unique()) == len(nearest) == 1797  # so train and test have no picture in common
    assert torch.equal(torch.from_numpy(original.target)[nearest], labels)
    assert digits["test"].labels.bincount().min() >= 48  # every class in its share


def test_digits_are_the_same_every_time(digits):
    for split, images in digits.items():
        again = data.load("digits", split)
        assert torch.equal(again.pixels, images.pixels) and again.fingerprint == images.fingerprint
    assert digits["train"].fingerprint != digits["test"].fingerprint


def test_digits_need_no_data_dir(monkeypatch, digits):
    monkeypatch.setenv("DATA_DIR", "/nowhere/at/all")
    assert data.load("digits", "test").fingerprint == digits["test"].fingerprint


# ---- Images ----------------------------------------------------------------------------------------------------------


def small(n: int = 6) -> data.Images:
    pixels = torch.randint(0, 256, (n, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
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


@pytest.mark.parametrize("what", ["pixel", "label", "order", "shape", "class name", "labels swapped between images"])
def test_fingerprint_changes_with(what):
    images = small()
    assert images.fingerprint == small().fingerprint
    assert changed(images, what).fingerprint != images.fingerprint


@pytest.mark.parametrize(("what", "same"), [("order", True), ("pixel", False), ("label", False), ("labels swapped between images", False)])
def test_content_ignores_the_order_of_rows_and_nothing_else(what, same):
    images = small()
    assert (data.content(changed(images, what)) == data.content(images)) is same


# ---- CIFAR-10 --------------------------------------------------------------------------------------------------------


def cifar_miniature(root: Path, monkeypatch, n: int = 12) -> tuple[torch.Tensor, list[int]]:
    """A test split in two parquet files, accepted as the real one; returns its pixels (n, 3, 32, 32) and labels."""
    some, labels = pictures(n, 32), [i % 10 for i in range(n)]
    raw = [encoded(picture) for picture in some]
    write_parquet(root / "cifar10" / "test-00001-of-00002.parquet", "img", raw[5:], labels[5:])
    write_parquet(root / "cifar10" / "test-00000-of-00002.parquet", "img", raw[:5], labels[:5])
    pixels = torch.from_numpy(some).permute(0, 3, 1, 2).contiguous()
    monkeypatch.setitem(data.CIFAR10_CONTENT, "test", data.content(data.Images(pixels, torch.tensor(labels), ())))
    return pixels, labels


def test_cifar10_from_parquet(data_dir, monkeypatch):
    pixels, labels = cifar_miniature(data_dir, monkeypatch)
    images = data.load("cifar10", "test")
    assert torch.equal(images.pixels, pixels) and images.labels.tolist() == labels
    assert images.classes == data.CIFAR10_CLASSES and images.labels.dtype == torch.int64


def test_cifar10_from_torchvisions_layout(data_dir, monkeypatch):
    from torchvision.datasets import CIFAR10

    folder = data_dir / CIFAR10.base_folder
    folder.mkdir()
    some = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
    lists = {"train_list": [], "test_list": []}
    for which, file in (("train_list", "data_batch_1"), ("test_list", "test_batch")):
        (folder / file).write_bytes(pickle.dumps({"data": some.reshape(4, -1), "labels": [3, 8, 8, 0]}))
        lists[which].append([file, hashlib.md5((folder / file).read_bytes()).hexdigest()])
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(data.CIFAR10_CLASSES)}))
    meta = {"filename": "batches.meta", "key": "label_names", "md5": hashlib.md5((folder / "batches.meta").read_bytes()).hexdigest()}
    for name, value in (lists | {"meta": meta}).items():
        monkeypatch.setattr(CIFAR10, name, value)
    expected = data.Images(torch.from_numpy(some), torch.tensor([3, 8, 8, 0]), ())
    for split in data.SPLITS:
        monkeypatch.setitem(data.CIFAR10_CONTENT, split, data.content(expected))
        images = data.load("cifar10", split)
        assert torch.equal(images.pixels, expected.pixels) and torch.equal(images.labels, expected.labels)


def test_cifar10_with_damaged_torchvision_batches(data_dir):
    folder = data_dir / "cifar-10-batches-py"
    folder.mkdir()
    for name in ("batches.meta", "test_batch", *(f"data_batch_{i}" for i in range(1, 6))):
        (folder / name).write_bytes(b"not a batch")
    with pytest.raises(InputError, match=r"cifar-10-batches-py is damaged: .*delete it and run python -m lib data cifar10 --download"):
        data.load("cifar10", "test")


def test_cifar10_with_other_content_is_refused(data_dir, monkeypatch):
    real = data.CIFAR10_CONTENT["test"]
    cifar_miniature(data_dir, monkeypatch)
    monkeypatch.setitem(data.CIFAR10_CONTENT, "test", real)
    for _ in range(2):  # and is not kept in the cache
        with pytest.raises(InputError, match=r"does not hold CIFAR-10's test split \(12 images, .*\); get it again: python -m lib data"):
            data.load("cifar10", "test")


def test_parquet_is_preferred(data_dir, monkeypatch):
    pixels, _ = cifar_miniature(data_dir, monkeypatch)
    (data_dir / "cifar-10-batches-py").mkdir()
    (data_dir / "cifar-10-batches-py" / "test_batch").write_bytes(b"not a batch")
    assert torch.equal(data.load("cifar10", "test").pixels, pixels)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def other_column(file: Path) -> None:
    write_parquet(file, "picture", [encoded(pictures(1, 32)[0])], [0])


def no_rows(file: Path) -> None:
    write_parquet(file, "img", [], [])


def not_a_picture(file: Path) -> None:
    write_parquet(file, "img", [b"not a picture"], [0])


def two_sizes(file: Path) -> None:
    write_parquet(file, "img", [encoded(pictures(1, side)[0]) for side in (32, 16)], [0, 1])


def no_bytes(file: Path) -> None:
    pq.write_table(pa.table({"img": [b"1", b"2"], "label": [0, 1]}), file)


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        other_column,
        no_rows,
        not_a_picture,
        two_sizes,
        no_bytes,
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_damaged_parquet_is_one_clear_error(damage, data_dir, monkeypatch):
    cifar_miniature(data_dir, monkeypatch)
    (data_dir / "cifar10" / "test-00001-of-00002.parquet").unlink()
    damage(data_dir / "cifar10" / "test-00000-of-00002.parquet")
    with pytest.raises(InputError, match="cifar10") as caught:
        data.load("cifar10", "test")
    assert "\n" not in str(caught.value)


def real_data_dir() -> Path | None:
    """Where the real CIFAR-10 lies on this machine, if it does."""
    for place in (os.environ.get("DATA_DIR"), paths.ROOT / "data", paths.ROOT.parent / "shared" / "data"):
        if place and sorted(Path(place, "cifar10").glob("test-*.parquet")):
            return Path(place)
    return None


REAL = real_data_dir()  # before any test sets DATA_DIR


@pytest.mark.skipif(REAL is None, reason="the real CIFAR-10 is not here: neither under DATA_DIR, data/ nor ../shared/data")
def test_the_real_cifar10_test_split(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(REAL))
    monkeypatch.setenv("LIB_CACHE", str(tmp_path))
    images = data.load("cifar10", "test")
    assert images.pixels.shape == (10_000, 3, 32, 32)
    assert images.labels.bincount().tolist() == [1000] * 10
    # the split's channel means, as published in many places to three digits for the training set and near to it here
    means = images.pixels.float().mean((0, 2, 3)) / 255
    torch.testing.assert_close(means, torch.tensor([0.494, 0.485, 0.450]), rtol=0, atol=2e-3)


# ---- Tiny ImageNet ---------------------------------------------------------------------------------------------------

WNIDS = ("n01443537", "n01629819", "n02124075")


def tiny_tree(tree: Path) -> tuple[np.ndarray, np.ndarray]:
    """The official folder tree with 3 classes: 4 training and 2 validation pictures each; returns one colour a picture, (n, 3)."""
    train, val = pictures(12, 64, seed=1), pictures(6, 64, seed=2)
    tree.mkdir(parents=True)
    (tree / "wnids.txt").write_text("\n".join(reversed(WNIDS)) + "\n")  # the real file is not in order either
    for i, picture in enumerate(train):
        wnid = WNIDS[i // 4]
        (tree / "train" / wnid / "images").mkdir(parents=True, exist_ok=True)
        (tree / "train" / wnid / "images" / f"{wnid}_{i % 4}.JPEG").write_bytes(encoded(picture, "JPEG"))
    (tree / "val" / "images").mkdir(parents=True)
    rows = []
    for i, picture in enumerate(val):
        (tree / "val" / "images" / f"val_{i}.JPEG").write_bytes(encoded(picture, "JPEG"))
        rows.append(f"val_{i}.JPEG\t{WNIDS[i % 3]}\t0\t0\t63\t63")
    (tree / "val" / "val_annotations.txt").write_text("\n".join(rows) + "\n")
    return train[:, 0, 0], val[:, 0, 0]


def assert_colours(images: data.Images, colours: np.ndarray, within: int) -> None:
    assert images.pixels.shape == (len(colours), 3, 64, 64) and images.pixels.dtype == torch.uint8
    distance = images.pixels.int() - torch.from_numpy(colours.astype(np.int32))[:, :, None, None]
    assert distance.abs().max() <= within


@pytest.mark.parametrize("place", ["tiny-imagenet-200", "tiny-imagenet/tiny-imagenet-200"])
def test_tiny_imagenet_tree(place, data_dir):
    train, val = tiny_tree(data_dir / place)
    images = data.load("tiny-imagenet", "train")
    assert images.classes == WNIDS and images.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert_colours(images, train, within=4)
    images = data.load("tiny-imagenet", "test")  # the published validation set
    assert images.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert_colours(images, val, within=4)


@pytest.mark.parametrize("described", [True, False])
def test_tiny_imagenet_parquet(described, data_dir):
    some, labels = pictures(5, 64), [2, 0, 1, 2, 2]
    for name in ("train", "valid"):
        file = data_dir / "tiny-imagenet" / f"{name}-00000-of-00001.parquet"
        write_parquet(file, "image", [encoded(p) for p in some], labels, list(WNIDS) if described else None)
    for split in data.SPLITS:
        images = data.load("tiny-imagenet", split)
        assert_colours(images, some[:, 0, 0], within=0)
        assert images.labels.tolist() == labels
        assert images.classes == (WNIDS if described else ("class 0", "class 1", "class 2"))


def test_grey_pictures_become_rgb(data_dir):
    tiny_tree(data_dir / "tiny-imagenet-200")  # about 1 in 50 of the real JPEGs is grey
    grey = np.full((64, 64), 77, np.uint8)
    (data_dir / "tiny-imagenet-200" / "val" / "images" / "val_0.JPEG").write_bytes(encoded(grey, "JPEG"))
    assert data.load("tiny-imagenet", "test").pixels[0].unique().tolist() == [77]


def no_train(tree: Path) -> None:
    for file in tree.glob("train/*/images/*"):
        file.unlink()


def missing_picture(tree: Path) -> None:
    (tree / "val" / "images" / "val_3.JPEG").unlink()


def missing_class(tree: Path) -> None:
    for file in tree.glob(f"train/{WNIDS[1]}/images/*"):
        file.unlink()


def unknown_wnid(tree: Path) -> None:
    file = tree / "val" / "val_annotations.txt"
    file.write_text(file.read_text().replace(WNIDS[2], "n99999999"))


def broken_picture(tree: Path) -> None:
    (tree / "val" / "images" / "val_3.JPEG").write_bytes(b"\xff\xd8 cut")


@pytest.mark.parametrize(
    ("damage", "split"),
    [
        (no_train, "train"),
        (missing_picture, "test"),
        (unknown_wnid, "test"),
        (broken_picture, "test"),
        (missing_class, "train"),
    ],
)
def test_incomplete_tree_is_one_clear_error(damage, split, data_dir):
    tiny_tree(data_dir / "tiny-imagenet-200")
    damage(data_dir / "tiny-imagenet-200")
    with pytest.raises(InputError, match="tiny-imagenet-200"):
        data.load("tiny-imagenet", split)


# ---- missing sets and bad names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "split", "parts"),
    [
        ("cifar10", "train", ["cifar10/train-*.parquet", "cifar-10-batches-py", "python -m lib data cifar10 --download"]),
        ("cifar10", "test", ["cifar10/test-*.parquet"]),
        ("tiny-imagenet", "train", ["tiny-imagenet/train-*.parquet", "tiny-imagenet-200", "tiny-imagenet-200.zip"]),
        ("tiny-imagenet", "test", ["tiny-imagenet/valid-*.parquet"]),
    ],
)
def test_a_missing_set_says_what_was_looked_for_where_and_how_to_get_it(name, split, parts, data_dir):
    with pytest.raises(InputError) as caught:
        data.load(name, split)
    message = str(caught.value)
    assert f"data set '{name}' ({split}) not found" in message and str(data_dir) in message and "\n" not in message
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


# ---- the cache of decoded pixels -------------------------------------------------------------------------------------


def cache_file() -> Path:
    (file,) = (paths.cache() / "data").iterdir()
    return file


def forbid_decoding(monkeypatch) -> None:
    def decode(raw):
        raise AssertionError("decoded although cached")

    monkeypatch.setattr(data, "_decode", decode)


def test_the_second_load_reads_the_cache(data_dir, monkeypatch):
    cifar_miniature(data_dir, monkeypatch)
    first = data.load("cifar10", "test")
    assert cache_file().suffix == ".npz"  # and nothing else lies there
    forbid_decoding(monkeypatch)
    assert data.load("cifar10", "test") is first  # within a process: from memory
    data._load.cache_clear()
    second = data.load("cifar10", "test")
    assert second is not first and second.fingerprint == first.fingerprint and second.classes == first.classes
    assert second.pixels.dtype == torch.uint8 and second.labels.dtype == torch.int64


def test_a_changed_data_file_is_decoded_again(data_dir):
    tiny_tree(data_dir / "tiny-imagenet-200")
    before = data.load("tiny-imagenet", "test").labels.tolist()
    annotations = data_dir / "tiny-imagenet-200" / "val" / "val_annotations.txt"
    annotations.write_text("\n".join(reversed(annotations.read_text().splitlines())))
    data._load.cache_clear()
    assert data.load("tiny-imagenet", "test").labels.tolist() == before[::-1]


def flipped(content: bytes) -> bytes:
    middle = content.index(b"pixels.npy") + len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def other_compression(content: bytes) -> bytes:
    """One bit of the compression method in the archive's directory."""
    place = content.index(b"PK\x01\x02") + 10
    return content[:place] + bytes([content[place] ^ 2]) + content[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(flipped, id="flipped bit"),
        pytest.param(lambda content: content[: len(content) // 2], id="cut"),
        pytest.param(lambda content: b"text", id="replaced"),
        pytest.param(
            lambda content: b"",
            id="emptied",
        ),
        pytest.param(
            other_compression,
            id="flipped bit in the directory",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_damaged_cache_file_is_made_again(damage, data_dir, monkeypatch):
    cifar_miniature(data_dir, monkeypatch)
    first = data.load("cifar10", "test")
    file = cache_file()
    file.write_bytes(damage(file.read_bytes()))
    data._load.cache_clear()
    assert data.load("cifar10", "test").fingerprint == first.fingerprint
    data._load.cache_clear()
    forbid_decoding(monkeypatch)
    assert data.load("cifar10", "test").fingerprint == first.fingerprint  # the file is whole again


@pytest.mark.filterwarnings("ignore:the decoded cifar10 could not be kept")
def test_a_full_disk_under_the_cache(data_dir, monkeypatch):
    pixels, _ = cifar_miniature(data_dir, monkeypatch)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(data.np, "savez", full)
    try:
        assert torch.equal(data.load("cifar10", "test").pixels, pixels)
    except InputError as error:
        assert "full" in str(error)
    assert not list((paths.cache() / "data").iterdir())


# ---- download --------------------------------------------------------------------------------------------------------


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
