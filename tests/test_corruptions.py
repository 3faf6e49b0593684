"""Every corruption against a second implementation, image by image, and against the original script's output;
laws, quirks, randomness and errors.
"""

import hashlib
import importlib.util
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch import Tensor
from torch.nn import functional as F

from benchmarks import image_by_image
from benchmarks.fidelity import LAW
from lib import corruptions
from lib.base import paths
from lib.base.errors import InputError
from lib.corruptions import blur, digital, filters, frost, noise, weather
from lib.corruptions.draws import Draws
from lib.corruptions.quantized import to_levels, to_unit
from lib.corruptions.severities import CIFAR10_C, PARAMETERS, TABLES, TINY_IMAGENET_C, parameters

CPU = torch.device("cpu")
RANDOM = [name for name in corruptions.NAMES if name not in corruptions.DETERMINISTIC]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(n: int, side: int, seed: int = 0) -> Tensor:
    """Pictures like photographs in that neighbours differ by a few grey levels: coarse noise, enlarged."""
    coarse = F.interpolate(
        torch.rand(n, 3, 5, 5, generator=seeded(seed)), (side, side), mode="bicubic"
    ).clamp(0, 1)
    return (coarse * 255).to(torch.uint8)


def patches(channels: int, side: int) -> Tensor:
    """(1, 3, side, side): squares of 8 pixels, each of one level (of one colour with 3 channels).

    In flat areas the last bit shows as a level.
    """
    levels = torch.randint(
        0, 256, (1, channels, side // 8, side // 8), dtype=torch.uint8, generator=seeded(1)
    )
    return levels.repeat_interleave(8, 2).repeat_interleave(8, 3).expand(1, 3, side, side)


def varied(side: int) -> Tensor:
    """(7, 3, side, side): two smooth pictures, noise, flat squares in grey and in colour, all of one grey,
    black and white stripes.
    """
    stripes = (torch.arange(side)[:, None] + torch.arange(side)) // 3 % 2 * 255
    return torch.cat([
        smooth(2, side),
        torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8, generator=seeded(2)),
        patches(1, side),
        patches(3, side),
        torch.full((1, 3, side, side), 100, dtype=torch.uint8),
        stripes.to(torch.uint8).expand(1, 3, side, side),
    ])  # fmt: skip


def levels_apart(ours: Tensor, theirs: Tensor) -> Tensor:
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype == torch.uint8
    return (ours.int() - theirs.int()).abs()


# ---- Against the second implementation ---------------------------------------------------------------------


class Recording(Draws):
    """Keeps what it drew, with what it was asked for."""

    def __init__(self, seed: int, n: int, size: int | None = None) -> None:
        super().__init__(seeded(seed), n, size or n, CPU)
        self.kept = []

    def normal(self, *shape, dtype=torch.float64):
        return self._noted(("normal", *shape), super().normal(*shape, dtype=dtype))

    def uniform(self, low, high, *shape, dtype=torch.float64):
        return self._noted(("uniform", low, high, *shape), super().uniform(low, high, *shape, dtype=dtype))

    def integers(self, low, high, *shape):
        return self._noted(("integers", low, high, *shape), super().integers(low, high, *shape))

    def _noted(self, asked, drawn):
        self.kept.append((asked, drawn.numpy().copy()))
        return drawn


class Replay:
    """What a Recording drew for image `i`, to be asked for in the same order."""

    def __init__(self, recording: Recording, i: int) -> None:
        self.left = [(asked, drawn[i]) for asked, drawn in recording.kept]

    def normal(self, *shape, dtype=np.float64):
        return self._next(("normal", *shape), dtype)

    def uniform(self, low, high, *shape, dtype=np.float64):
        return self._next(("uniform", low, high, *shape), dtype)

    def integers(self, low, high, *shape):
        return self._next(("integers", low, high, *shape), np.int64)

    def _next(self, asked, dtype):
        recorded, drawn = self.left.pop(0)
        assert asked == recorded and drawn.dtype == dtype
        return drawn


# Everything else is equal. These two pass through products of matrices in the library, whose order of
# summation, and with it the last bit, is that of the machine's BLAS; snow also through OpenCV's grey, whose
# last bit depends on whether the machine has fused products. Here 0 pixels differ in either.
ONE_LEVEL = {"snow": 5e-4, "zoom_blur": 1e-4}


@pytest.mark.parametrize("side", TABLES)
@pytest.mark.parametrize("name", corruptions.NAMES)
def test_equals_the_corruption_made_image_by_image(name, side):
    pixels = varied(side)
    for severity in corruptions.SEVERITIES:
        given = parameters(name, severity, side)
        recording = Recording(severity, len(pixels))
        ours = corruptions.FUNCTIONS[name](pixels, recording, **given)
        theirs = []
        for i, image in enumerate(pixels.permute(0, 2, 3, 1).contiguous().numpy()):
            replay = Replay(recording, i)
            theirs.append(image_by_image.corrupt(image, name, given, replay))
            assert not replay.left
        off = levels_apart(ours, torch.from_numpy(np.stack(theirs)).permute(0, 3, 1, 2))
        allowed = ONE_LEVEL.get(name, 0)
        assert off.max() <= (1 if allowed else 0) and (off > 0).double().mean() <= allowed, (
            f"severity {severity}: {(off > 0).double().mean():.3%} of the values differ, by up to "
            f"{off.max()}, in images {off.amax((1, 2, 3)).tolist()}"
        )


def test_the_second_implementation_draws_for_itself():
    """As it is timed: with a generator, and counts that numpy draws."""
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for name in corruptions.NAMES:
        given = parameters(name, 5, 32)
        made = [
            image_by_image.corrupt(image, name, given, image_by_image.Random(np.random.default_rng(seed)))
            for seed in (0, 0, 1)
        ]
        assert made[0].shape == (32, 32, 3) and made[0].dtype == np.uint8
        assert (made[0] == made[1]).all()
        assert (made[0] == made[2]).all() == (name in corruptions.DETERMINISTIC)


# ---- Against the original script ---------------------------------------------------------------------------


def reference_file() -> Path | None:
    """The original script's output on 32 images, if this machine has it."""
    for place in (os.environ.get("DATA_DIR"), paths.ROOT / "data", paths.ROOT.parent / "shared" / "data"):
        if place and Path(place, "cifar10c-reference.npz").is_file():
            return Path(place, "cifar10c-reference.npz")
    return None


REFERENCE = reference_file()  # before any test sets DATA_DIR
needs_reference = pytest.mark.skipif(
    REFERENCE is None,
    reason="the original script's output, cifar10c-reference.npz, is not here: neither under "
    "DATA_DIR, data/ nor ../shared/data",
)


def reference(name: str) -> Tensor:
    with np.load(REFERENCE) as arrays:
        return torch.from_numpy(arrays[name]).movedim(-1, -3).contiguous()


@needs_reference
@pytest.mark.parametrize("name", sorted(corruptions.DETERMINISTIC))
def test_equals_the_original_script(name):
    clean, theirs = reference("clean"), reference(name)
    off = [
        int((levels_apart(corruptions.corrupt(clean, name, severity), theirs[severity - 1]) > 0).sum())
        for severity in corruptions.SEVERITIES
    ]
    assert off == [0, 0, 0, 0, 0]


PASSES = 9


@needs_reference
@pytest.mark.parametrize("name", LAW)
def test_obeys_the_law_of_the_original_script(name):
    clean = reference("clean").repeat(PASSES, 1, 1, 1)
    for severity, (mean, deviation) in zip(corruptions.SEVERITIES, LAW[name], strict=True):
        made = corruptions.corrupt(clean, name, severity, generator=seeded(severity))
        # one number per pass over the 32
        ours = levels_apart(made, clean).double().mean((1, 2, 3)).view(PASSES, -1).mean(1)
        rounding = 0.05 if name == "frost" else 0.005  # of the table: of its mean, and once of its deviation
        assert (ours - mean).abs().max() <= 4 * deviation + 2 * rounding, (severity, ours.tolist())
        # the mean over the passes is far narrower; the table's own is that of 20
        assert abs(ours.mean() - mean) <= 4 * deviation * (1 / PASSES + 1 / 20) ** 0.5 + 2 * rounding, (
            severity,
            ours.mean(),
        )


def test_the_law_covers_what_is_random():
    assert set(LAW) == set(RANDOM)


# ---- Golden pixels -----------------------------------------------------------------------------------------

GOLDEN = Path(__file__).with_name("golden_corruptions.json")


def whole_numbers(n: int, side: int) -> Tensor:
    """Noise, patches with soft edges, and flat images in turn: made from integers alone, so that every
    machine has the same ones.
    """
    made = np.random.Generator(np.random.PCG64(side)).integers(0, 256, (n, 3, side, side))
    coarse = made[1::3, :, ::8, ::8].repeat(8, 2).repeat(8, 3)
    made[1::3] = sum(np.roll(coarse, shift, axis) for axis in (2, 3) for shift in range(4)) // 8
    made[2::3] = made[2::3, :, :1, :1]
    return torch.from_numpy(made.astype(np.uint8))


def fingerprint(pixels: Tensor) -> str:
    """What identifies the pixels of a batch, in 16 hexadecimal digits."""
    return hashlib.sha256(pixels.contiguous().numpy().tobytes()).hexdigest()[:16]


@pytest.mark.skipif(
    platform.machine() != "x86_64",
    reason="the golden pixels were made on x86-64, whose exp and log end in other last bits",
)
@pytest.mark.parametrize("side", TABLES)
@pytest.mark.parametrize("name", corruptions.NAMES)
def test_pixels_of_batches_stay_what_they_were(name, side):
    """Of 110 images, a full block and the beginning of another."""
    pixels = whole_numbers(110, side)
    made = [
        corruptions.corrupt(pixels, name, severity, generator=seeded(severity))
        for severity in corruptions.SEVERITIES
    ]
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))[f"{name} {side}"]
    if name in ONE_LEVEL:  # the machine's BLAS decides a few last bits: the sums of all levels tell
        for images, total in zip(made, golden["sums"], strict=True):
            assert abs(int(images.long().sum()) - total) <= ONE_LEVEL[name] * images.numel()
    else:
        assert [fingerprint(images) for images in made] == golden["hashes"]


# ---- Frost's photographs -----------------------------------------------------------------------------------


@pytest.fixture
def forgotten():
    """Photographs read anew within the test, and forgotten after it."""
    frost.frost.cache_clear()
    yield
    frost.frost.cache_clear()


def hide_package(monkeypatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "imagecorruptions" else found(name, *rest),
    )


def linked(folder: Path) -> Path:
    """A folder that holds links to the five photographs."""
    folder.mkdir()
    for name in frost.PICTURES:
        (folder / name).symlink_to(frost.folder() / name)
    return folder


SIZES = {
    32: [(120, 180), (63, 112), (63, 112), (70, 105), (99, 132)],
    64: [(180, 270), (94, 168), (94, 168), (105, 158), (148, 198)],
}


@pytest.mark.parametrize("side", TABLES)
def test_photographs_are_shrunk_as_opencv_does(side):
    scale = {32: 0.2, 64: 0.3}[side]
    for picture, name, size in zip(frost.frost(side), frost.PICTURES, SIZES[side], strict=True):
        with Image.open(frost.folder() / name) as file:
            original = np.asarray(file.convert("RGB"))
        expected = cv2.resize(original, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
        assert tuple(picture.shape) == (3, *size)
        assert (picture.permute(1, 2, 0).numpy() == expected).all()


def test_a_fifth_of_the_size_is_every_fifth_pixel():
    picture = np.random.default_rng(0).integers(0, 256, (35, 50, 3), dtype=np.uint8)
    assert (frost.shrunk(picture, 0.2) == picture[2::5, 2::5]).all()


def test_photographs_in_the_data_folder_do_without_the_package(monkeypatch, tmp_path, forgotten):
    expected = frost.frost(32)
    linked(tmp_path / "frost")
    hide_package(monkeypatch)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    frost.frost.cache_clear()
    assert frost.folder() == tmp_path / "frost"
    assert all(torch.equal(one, other) for one, other in zip(frost.frost(32), expected, strict=True))


def frost_error() -> str:
    with pytest.raises(InputError) as caught:
        corruptions.corrupt(smooth(1, 32), "frost", 1, generator=seeded(0))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_photographs_is_one_clear_error(monkeypatch, tmp_path, forgotten):
    hide_package(monkeypatch)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    message = frost_error()
    assert str(tmp_path / "frost") in message and "pip install --no-deps imagecorruptions-imaug" in message


def test_another_photograph_is_one_clear_error(monkeypatch, tmp_path, forgotten):
    folder = linked(tmp_path / "frost")
    (folder / "frost3.png").unlink()
    (folder / "frost3.png").write_bytes((folder / "frost1.png").read_bytes())
    monkeypatch.setattr("lib.corruptions.frost.folder", lambda: folder)
    assert f"{folder / 'frost3.png'} is not the original photograph" in frost_error()


def test_a_missing_photograph_is_one_clear_error(monkeypatch, tmp_path, forgotten):
    folder = linked(tmp_path / "frost")
    (folder / "frost5.jpg").unlink()
    monkeypatch.setattr("lib.corruptions.frost.folder", lambda: folder)
    assert f"cannot read {folder / 'frost5.jpg'} (No such file or directory)" in frost_error()


# ---- Randomness --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", corruptions.NAMES)
def test_the_generator_decides_and_nothing_else_is_touched(name):
    pixels = smooth(5, 32)
    before, state, numpys = pixels.clone(), torch.get_rng_state(), np.random.get_state()[1].copy()
    first, again, other = (corruptions.corrupt(pixels, name, 5, generator=seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (name in corruptions.DETERMINISTIC)
    assert torch.equal(pixels, before)
    assert first.shape == pixels.shape and first.dtype == torch.uint8 and not torch.equal(first, pixels)
    assert torch.equal(torch.get_rng_state(), state) and (np.random.get_state()[1] == numpys).all()


@pytest.mark.parametrize("name", corruptions.NAMES)
def test_an_image_does_not_depend_on_those_that_follow(name):
    pixels = smooth(130, 32)
    made = corruptions.corrupt(pixels, name, 3, generator=seeded(0))
    for n in (1, 70, 115):  # within the first block of 100, and within the second
        assert torch.equal(corruptions.corrupt(pixels[:n], name, 3, generator=seeded(0)), made[:n])


@pytest.mark.parametrize("name", RANDOM)
def test_no_two_images_get_the_same_numbers(name):
    pixels = smooth(1, 32).expand(105, -1, -1, -1)
    made = corruptions.corrupt(pixels, name, 5, generator=seeded(0)).flatten(1)
    # angles of motion blur come to whole pixels: on a smooth picture 52 ways here
    assert len(made.unique(dim=0)) >= (40 if name == "motion_blur" else 105)


@pytest.mark.parametrize("name", corruptions.NAMES)
def test_who_needs_a_generator(name):
    if name in corruptions.DETERMINISTIC:
        corruptions.corrupt(smooth(1, 32), name, 1)
    else:
        with pytest.raises(InputError, match=f"{name} draws random numbers: pass a generator"):
            corruptions.corrupt(smooth(1, 32), name, 1)


def test_blocks_are_made_in_any_order_and_company():
    pixels = smooth(230, 32)
    last_first = [corruptions.corrupted_block(pixels, number, "shot_noise", 4) for number in (2, 1, 0)]
    assert [len(block) for block in last_first] == [30, 100, 100]
    in_order = [corruptions.corrupted_block(pixels, number, "shot_noise", 4) for number in (0, 1, 2)]
    assert all(torch.equal(one, other) for one, other in zip(last_first, in_order[::-1], strict=True))
    assert torch.equal(corruptions.corrupted_block(pixels[:205], 2, "shot_noise", 4), in_order[2][:5])


def test_each_block_type_and_severity_has_its_own_seed():
    """Both noises ask for the same normal numbers first: with one seed, the same values would rise."""
    grey = torch.full((200, 3, 32, 32), 128, dtype=torch.uint8)
    which = [
        (0, "gaussian_noise", 5),
        (1, "gaussian_noise", 5),
        (0, "gaussian_noise", 4),
        (0, "speckle_noise", 5),
    ]
    risen = [corruptions.corrupted_block(grey, *each) >= 128 for each in which]
    for other in risen[1:]:
        assert 0.49 < (risen[0] == other).double().mean() < 0.51


# ---- Few images, of any kind, in any layout, under any default ---------------------------------------------

FLAT = {"black": 0, "white": 255, "grey": 100}


def eight(kind: str, side: int) -> Tensor:
    """Eight images of a kind, uint8 (8, 3, side, side)."""
    if kind in FLAT:
        return torch.full((8, 3, side, side), FLAT[kind], dtype=torch.uint8)
    if kind == "random":
        return torch.randint(0, 256, (8, 3, side, side), dtype=torch.uint8, generator=seeded(side))
    return reference("clean")[:8].repeat_interleave(side // 32, 2).repeat_interleave(side // 32, 3)


@pytest.mark.parametrize("kind", [*FLAT, "random", pytest.param("CIFAR-10", marks=needs_reference)])
@pytest.mark.parametrize("side", TABLES)
@pytest.mark.parametrize("name", corruptions.NAMES)
def test_few_images_become_what_they_become_in_a_batch(name, side, kind):
    pixels = eight(kind, side)
    for severity in corruptions.SEVERITIES:
        made = corruptions.corrupt(pixels, name, severity, generator=seeded(severity))
        for n in (0, 1, 2):
            few = corruptions.corrupt(pixels[:n], name, severity, generator=seeded(severity))
            assert few.dtype == torch.uint8 and torch.equal(few, made[:n]), (severity, n)
        for place in () if kind in FLAT else (1, 2, 3, 6):
            alone = corruptions.corrupt(pixels[place : place + 1], name, severity, generator=seeded(severity))
            company = corruptions.corrupt(pixels[place:], name, severity, generator=seeded(severity))
            assert torch.equal(alone[0], company[0]), (severity, place)
            if name in corruptions.DETERMINISTIC:
                assert torch.equal(alone[0], made[place]), (severity, place)


def test_no_images_take_no_numbers():
    generator = seeded(0)
    state = generator.get_state()
    corruptions.corrupt(ONE[:0], "gaussian_noise", 1, generator=generator)
    assert torch.equal(generator.get_state(), state)


LAYOUTS = {
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "channels of one": lambda x: x[:, :1].expand_as(x),
    "images of one": lambda x: x[:1].expand_as(x),
    "rows and columns exchanged": lambda x: x.mT,
    "every other image, row and column": lambda x: (
        x.repeat_interleave(2, 0).repeat_interleave(2, 2).repeat_interleave(2, 3)[1::2, :, ::2, 1::2]
    ),
    "images last": lambda x: x.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", corruptions.NAMES)
def test_few_images_may_lie_in_memory_in_any_way(name, layout):
    for n in (0, 1, 2, 5):
        strided = LAYOUTS[layout](smooth(n, 32))
        before = strided.clone()
        made = corruptions.corrupt(strided, name, 3, generator=seeded(0))
        assert torch.equal(
            made, corruptions.corrupt(strided.contiguous().clone(), name, 3, generator=seeded(0))
        )
        assert torch.equal(strided, before)


@contextmanager
def double_by_default() -> Iterator[None]:
    """Tensors are float64 where nothing is said; what the corruptions keep in caches is made anew, then and
    afterwards.
    """
    modules = (blur, digital, filters, noise, frost)
    caches = [value for module in modules for value in vars(module).values() if hasattr(value, "cache_clear")]
    assert len(caches) >= 6
    [one.cache_clear() for one in caches]
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        [one.cache_clear() for one in caches]


@pytest.mark.parametrize("side", TABLES)
@pytest.mark.parametrize("name", corruptions.NAMES)
def test_the_default_dtype_does_not_matter(name, side):
    pixels = whole_numbers(12, side)

    def made() -> list[Tensor]:
        return [
            corruptions.corrupt(pixels, name, severity, generator=seeded(severity))
            for severity in corruptions.SEVERITIES
        ]

    expected = made()
    with double_by_default():
        doubled = made()
    assert list(map(fingerprint, doubled)) == list(map(fingerprint, expected))


# ---- Errors ------------------------------------------------------------------------------------------------

ONE = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
WRONG = {
    "severity 0": ((ONE, "contrast", 0), "severity is 1, 2, 3, 4 or 5, got 0"),
    "severity 6": ((ONE, "contrast", 6), "severity .* got 6"),
    "severity -1": ((ONE, "contrast", -1), "severity .* got -1"),
    "severity True": ((ONE, "contrast", True), "severity .* got True"),
    "severity 1.5": ((ONE, "contrast", 1.5), "severity .* got 1.5"),
    "severity 1.0": ((ONE, "contrast", 1.0), "severity .* got 1.0"),
    "severity '1'": ((ONE, "contrast", "1"), "severity .* got '1'"),
    "unknown name": ((ONE, "fogg", 1), "unknown corruption 'fogg'; known: .*fog"),
    "float": ((ONE.float(), "contrast", 1), "uint8 images, got torch.float32"),
    "numpy": ((ONE.numpy(), "contrast", 1), "a tensor of uint8 images, got ndarray"),
    "grey": ((ONE[:, :1], "contrast", 1), r"got \(1, 1, 32, 32\)"),
    "oblong": ((torch.zeros(1, 3, 32, 64, dtype=torch.uint8), "contrast", 1), r"got \(1, 3, 32, 64\)"),
    "48 pixels": (
        (torch.zeros(1, 3, 48, 48, dtype=torch.uint8), "contrast", 1),
        r"\(n, 3, 32, 32 or 64, 64\).* got \(1, 3, 48, 48\)",
    ),
    "one image": ((ONE[0], "contrast", 1), r"got \(3, 32, 32\)"),
    "channels last": ((ONE.permute(0, 2, 3, 1), "contrast", 1), r"got \(1, 32, 32, 3\)"),
    "severity of numpy 1.0": ((ONE, "contrast", np.float32(1)), "severity .* got np.float32"),
    "severity 1 + 0j": ((ONE, "contrast", 1 + 0j), "severity .* got"),
    "two severities": ((ONE, "contrast", torch.tensor([1, 2])), "severity .* got tensor"),
    "severities in a list": ((ONE, "contrast", [1]), r"severity .* got \[1\]"),
    "severity None": ((ONE, "contrast", None), "severity .* got None"),
    "name None": ((ONE, None, 1), "unknown corruption None; known: .*fog"),
    "names in a list": ((ONE, ["contrast"], 1), r"unknown corruption \['contrast'\]; known"),
    "images for a name": (("contrast", ONE, 1), r"unknown corruption tensor\(.*\[...\]; known"),
    "sparse": ((ONE.to_sparse(), "contrast", 1), "lie in memory, got a tensor of torch.sparse_coo"),
    "meta": ((ONE.to("meta"), "contrast", 1), "lie in memory, got a tensor of no data"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_named_in_one_line(case):
    given, message = WRONG[case]
    with pytest.raises(InputError, match=message) as caught:
        corruptions.corrupt(*given, generator=seeded(0))
    assert "\n" not in str(caught.value)


GENERATORS = {
    "a seed": (7, r"got 7; pass torch.Generator\(\).manual_seed\(7\)"),
    "seed 0": (0, r"got 0; pass torch.Generator\(\).manual_seed\(0\)"),
    "False": (False, "got False; pass"),
    "a name": ("cpu", "got 'cpu'; pass"),
    "of numpy": (np.random.default_rng(0), "got Generator"),
    "a list of them": ([seeded(0)], r"got \[<torch"),
}


@pytest.mark.parametrize("case", GENERATORS)
@pytest.mark.parametrize("name", ["contrast", "frost"])
def test_another_thing_for_a_generator_is_named_in_one_line(name, case):
    given, message = GENERATORS[case]
    for pixels in (ONE, ONE[:0]):
        with pytest.raises(InputError, match=message) as caught:
            corruptions.corrupt(pixels, name, 1, generator=given)
        assert "\n" not in str(caught.value)


# ---- Tables ------------------------------------------------------------------------------------------------

PUBLISHED = [
    *(
        "gaussian_noise",
        "shot_noise",
        "impulse_noise",
        "defocus_blur",
        "glass_blur",
        "motion_blur",
        "zoom_blur",
        "snow",
        "frost",
        "fog",
    ),
    *(
        "brightness",
        "contrast",
        "elastic_transform",
        "pixelate",
        "jpeg_compression",
        "speckle_noise",
        "gaussian_blur",
        "spatter",
        "saturate",
    ),
]


def test_names_are_the_published_ones_in_order():
    assert list(corruptions.NAMES) == PUBLISHED
    assert [name for group in corruptions.GROUPS.values() for name in group] == PUBLISHED
    assert {group: len(names) for group, names in corruptions.GROUPS.items()} == {
        "noise": 3,
        "blur": 4,
        "weather": 4,
        "digital": 4,
        "extra": 4,
    }
    assert set(corruptions.DETERMINISTIC) < set(PUBLISHED) and len(corruptions.DETERMINISTIC) == 8


@pytest.mark.parametrize("side", TABLES)
def test_tables_are_complete(side):
    table = TABLES[side][1]
    assert list(table) == list(PARAMETERS) == PUBLISHED
    for name, rows in table.items():
        assert [len(row) for row in rows] == [len(PARAMETERS[name])] * 5, name


def test_values_of_the_tables():
    assert parameters("gaussian_noise", 4, 32) == {"sigma": 0.09}
    assert parameters("gaussian_noise", 5, 64) == {"sigma": 0.18}
    assert parameters("shot_noise", 4, 32) == {"rate": 75}
    assert parameters("glass_blur", 4, 32) == {"sigma": 0.25, "delta": 1, "passes": 2}
    assert parameters("glass_blur", 4, 64) == {"sigma": 0.7, "delta": 2, "passes": 1}
    assert parameters("snow", 3, 32) == {
        "loc": 0.15,
        "scale": 0.3,
        "zoom": 1.75,
        "threshold": 0.55,
        "radius": 10,
        "sigma": 4,
        "mix": 0.9,
    }
    assert parameters("frost", 5, 64) == {"image": 0.7, "frost": 0.55}
    assert parameters("elastic_transform", 2, 64) == {"amplitude": 0.05, "sigma": 0.3, "affine": 0.06}
    assert parameters("spatter", 4, 32) == {
        "loc": 0.65,
        "scale": 0.1,
        "sigma": 0.7,
        "threshold": 0.69,
        "mix": 0.6,
        "kind": 1,
    }
    assert CIFAR10_C["jpeg_compression"] == ((80,), (65,), (58,), (50,), (40,))
    assert TINY_IMAGENET_C["saturate"][-1] == (30, 0.2)


def test_zoom_counts_as_many_factors_as_numpys_arange():
    expected = [len(np.arange(1, end, 0.01)) for end in (1.06, 1.11, 1.16, 1.21, 1.26)]
    assert expected == [7, 12, 16, 21, 26]
    for side in TABLES:
        assert [
            parameters("zoom_blur", severity, side)["factors"] for severity in corruptions.SEVERITIES
        ] == expected


# ---- Quirks of the original, kept --------------------------------------------------------------------------


class Fixed:
    """Draws that are all the same number: `share` of the way from low to high, or `integer`, or
    `deviations`.
    """

    def __init__(
        self, n: int = 1, *, integer: tuple[int, ...] | int = 0, share: float = 0.5, deviations: float = 0.0
    ) -> None:
        self.n, self.integer, self.share, self.deviations = n, integer, share, deviations
        self.asked = []

    def normal(self, *shape, dtype=torch.float64):
        return torch.full((self.n, *shape), self.deviations, dtype=dtype)

    def uniform(self, low, high, *shape, dtype=torch.float64):
        return torch.full((self.n, *shape), low + self.share * (high - low), dtype=dtype)

    def integers(self, low, high, *shape):
        self.asked.append((low, high))
        return torch.tensor(self.integer).expand(self.n, *shape)


SHARP = 0.05  # a sigma whose Gaussian has one tap


def test_glass_blur_copies_and_does_not_swap():
    """Every pixel from above and left: a shift by one, rows and columns 0 and 1 as they were."""
    pixels = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8, generator=seeded(0))
    made = blur.glass_blur(pixels, Fixed(integer=(-1, -1)), sigma=SHARP, delta=1, passes=1)
    expected = pixels.clone()
    expected[..., 2:, 2:] = pixels[..., 1:-1, 1:-1]
    assert torch.equal(made, expected)


def test_glass_blur_reads_what_it_has_written():
    """Every pixel from its right neighbour, right to left: the last column runs through the whole row."""
    pixels = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8, generator=seeded(0))
    made = blur.glass_blur(pixels, Fixed(integer=(1, 0)), sigma=SHARP, delta=2, passes=1)
    expected = pixels.clone()
    expected[..., 3:63, 3:63] = pixels[..., 3:63, 63:]
    assert torch.equal(made, expected)


@pytest.mark.parametrize(("side", "delta"), [(32, 1), (64, 2)])
def test_glass_blur_never_writes_the_first_rows_and_columns(side, delta):
    pixels = (
        torch.arange(side * side).view(1, 1, side, side).remainder(251).to(torch.uint8).expand(50, 3, -1, -1)
    )
    made = blur.glass_blur(pixels, Recording(0, 50), sigma=SHARP, delta=delta, passes=2)
    changed = (made != pixels).any(0).any(0)
    assert not changed[: delta + 1].any() and not changed[:, : delta + 1].any()
    assert changed[delta + 1 : side - delta + 1, delta + 1 : side - delta + 1].all()


def test_glass_blur_drifts():
    """Offsets are -1 and 0: on a ramp, half a pixel's step per pass."""
    ramp = torch.arange(0, 256, 8, dtype=torch.uint8).expand(20, 3, 32, 32)
    for image in (ramp, ramp.mT):
        made = blur.glass_blur(image.contiguous(), Recording(0, 20), sigma=SHARP, delta=1, passes=1)
        steps = (made.double() - image.double())[:, 0, 2:, 2:] / 8
        assert abs(steps.mean() + 0.5) < 5 * 0.5 / steps.numel() ** 0.5


def test_motion_blur_is_one_sided():
    dot = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    dot[..., 16, 16] = 255
    # half way between -45 and 45 degrees
    lit = blur.motion_blur(dot, Fixed(share=0.5), radius=6, sigma=2)[0, 0].nonzero()
    assert (lit[:, 0] == 16).all() and lit[:, 1].max() == 16 and lit[:, 1].min() < 14


@pytest.mark.parametrize("side", TABLES)
def test_frost_leaves_out_the_last_row_and_column_and_the_sixth_photograph(side):
    draws = Fixed(integer=4, share=1 - 2**-53)
    made = weather.frost(torch.zeros(1, 3, side, side, dtype=torch.uint8), draws, image=1, frost=1)
    assert draws.asked == [(0, 5)]
    assert torch.equal(made[0], frost.frost(side)[4][:, -side - 1 : -1, -side - 1 : -1])


def test_fog_of_a_black_image_is_black():
    """It divides by the image's own maximum plus its strength."""
    assert not weather.fog(
        torch.zeros(2, 3, 32, 32, dtype=torch.uint8), Recording(0, 2), strength=1.5, decay=1.75
    ).any()


def test_plasmas_amplitude_is_squared():
    """One step on 2 x 2 points: 100 times a uniform number from -100 to 100, the first corner 0."""
    points = Recording(0, 3)
    made = weather.plasma(points, 2, 3.0)
    centre, top, left = (torch.from_numpy(drawn).view(3) * 100 for _, drawn in points.kept)
    top, left = top + centre / 2, left + centre / 2
    raw = torch.stack([torch.zeros(3, dtype=torch.float64), top, left, centre], 1)
    raw -= raw.amin(1, keepdim=True)
    torch.testing.assert_close(made.flatten(1), raw / raw.amax(1, keepdim=True))
    assert all(asked[1:3] == (-100, 100) for asked, _ in points.kept)


def test_no_drops_no_water():
    masks = weather.water_masks(torch.zeros(2, 32, 32, dtype=torch.uint8), 0.5)
    assert masks.dtype == torch.float32 and masks.shape == (2, 32, 32) and not masks.any()


def test_spatter_wraps_what_is_above_one(monkeypatch):
    """0.65 + 0.3 * 2 = 1.25 is level 318, a byte of 62."""
    seen = []
    monkeypatch.setattr(
        "lib.corruptions.weather.water_masks",
        lambda drops, mix: seen.append(drops) or torch.zeros(drops.shape),
    )
    weather.spatter(smooth(1, 32), Fixed(deviations=2), **parameters("spatter", 3, 32))
    assert seen[0].dtype == torch.uint8 and (seen[0] == 62).all()


def test_saturation_tints_grey_red():
    red, green, blue = (
        corruptions
        .corrupt(torch.full((1, 3, 32, 32), 128, dtype=torch.uint8), "saturate", 5)[0]
        .flatten(1)
        .unbind()
    )
    assert (red == 128).all() and torch.equal(green, blue) and (green < 128).all()


@pytest.mark.parametrize("rate", [15, 50, 500])
def test_shot_noise_is_poissons(rate):
    """Mean and variance on flat images, of the levels that the counts become."""
    for level in (1, 20, 128, 250):
        flat = torch.full((40, 3, 32, 32), level, dtype=torch.uint8)
        made = noise.shot_noise(flat, Recording(level, 40), rate=rate).double()
        counts = np.arange(5 * rate + 100)
        chance, levels = (
            stats.poisson.pmf(counts, rate * level / 255),
            np.floor(np.minimum(counts / rate, 1) * 255),
        )
        mean = (chance * levels).sum()
        second, fourth = ((chance * (levels - mean) ** power).sum() for power in (2, 4))
        assert abs(made.mean() - mean) < 5 * (second / made.numel()) ** 0.5
        assert abs(made.var() - second) < 5 * ((fourth - second**2) / made.numel()) ** 0.5


def test_impulse_noise_hits_channels_by_themselves():
    grey = torch.full((40, 3, 32, 32), 128, dtype=torch.uint8)
    made = noise.impulse_noise(grey, Recording(0, 40), amount=0.07)
    shares = [(made == value).double().mean() for value in (0, 255)]
    for share in shares:
        assert abs(share - 0.035) < 5 * (0.035 * 0.965 / made.numel()) ** 0.5
    hit = (made != 128).double()
    both = (hit[:, 0] * hit[:, 1]).mean()
    assert abs(both - 0.07**2) < 5 * (0.07**2 / hit[:, 0].numel()) ** 0.5


def test_levels_are_cut_and_survive():
    every = torch.arange(256, dtype=torch.uint8)
    for dtype in (torch.float32, torch.float64):
        assert torch.equal(to_levels(to_unit(every, dtype)), every)
    assert to_levels(torch.tensor([-1.0, 0.999 / 255, 1.999 / 255, 2.0])).tolist() == [0, 0, 1, 255]


# ---- GPU ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("side", TABLES)
@pytest.mark.parametrize("name", corruptions.NAMES)
def test_a_gpu_makes_the_same_pixels(name, side):
    pixels = torch.cat([varied(side), smooth(30, side)])
    for severity in corruptions.SEVERITIES:
        here = corruptions.corrupt(pixels, name, severity, generator=seeded(0))
        there = corruptions.corrupt(pixels.cuda(), name, severity, generator=seeded(0))
        assert there.is_cuda
        off = levels_apart(there.cpu(), here)
        assert off.max() <= 1 and (off > 0).double().mean() < 1e-3
