"""Every operation against Pillow, the random choices against their distributions, the mixture against its
formula.
"""

import math

import pytest
import torch
from PIL import Image, ImageOps
from scipy import stats
from torch.nn import functional as F

from lib.base.errors import InputError
from lib.training import augmix
from lib.training.augmix import GEOMETRY, OPERATIONS, Plan

LEVELS = (0.1, 0.9, 1.5, 2.5, 2.999, 5.0, 7.7, 9.99)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(n: int, height: int, width: int, seed: int) -> torch.Tensor:
    """Pictures like photographs in that neighbours differ by a few grey levels: coarse noise, enlarged, each
    with a range of its own.
    """
    coarse = F.interpolate(
        torch.rand(n, 3, 5, 5, generator=seeded(seed)), (height, width), mode="bicubic"
    ).clamp(0, 1)
    low, span = torch.rand(2, n, 3, 1, 1, generator=seeded(seed + 1))
    return ((low * 0.5 + span * 0.5 * coarse) * 255).to(torch.uint8)


def special(height: int, width: int) -> torch.Tensor:
    """Histograms at the edges of the rules: one value, two values, black, white, a single other pixel, few
    values.
    """
    pictures = torch.full((6, 3, height, width), 100, dtype=torch.uint8)
    pictures[1, :, :, : width // 2] = torch.tensor([7, 101, 255], dtype=torch.uint8)[:, None, None]
    pictures[2], pictures[3] = 0, 255
    pictures[4, :, 3, 4] = 99
    pictures[5] = torch.randint(0, 4, (3, height, width), generator=seeded(5)) * 3 + 20
    return pictures


PICTURES = {
    "noise": torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=seeded(0)),
    "smooth": smooth(6, 32, 32, 1),
    "special": special(32, 32),
    "oblong": smooth(6, 24, 37, 3),
    "large": smooth(2, 64, 64, 4),
}


def pillow(picture: torch.Tensor, name: str, level: float, sign: int) -> torch.Tensor:
    """The reference's operation on one picture (3, h, w) by Pillow, from the paper's code as described
    there.
    """
    image = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
    width, height = image.size

    def moved(*coefficients: float) -> Image.Image:
        return image.transform(
            image.size, Image.Transform.AFFINE, coefficients, resample=Image.Resampling.BILINEAR
        )

    shear = sign * level * 0.3 / 10
    made = {
        "autocontrast": lambda: ImageOps.autocontrast(image),
        "equalize": lambda: ImageOps.equalize(image),
        "posterize": lambda: ImageOps.posterize(image, 4 - int(level * 4 / 10)),
        "solarize": lambda: ImageOps.solarize(image, 256 - int(level * 256 / 10)),
        "rotate": lambda: image.rotate(sign * int(level * 30 / 10), resample=Image.Resampling.BILINEAR),
        "shear_x": lambda: moved(1, shear, 0, 0, 1, 0),
        "shear_y": lambda: moved(1, 0, 0, shear, 1, 0),
        "translate_x": lambda: moved(1, 0, sign * int(level * (width / 3) / 10), 0, 1, 0),
        "translate_y": lambda: moved(1, 0, 0, 0, 1, sign * int(level * (height / 3) / 10)),
    }[name]()
    return (
        torch.frombuffer(bytearray(made.tobytes()), dtype=torch.uint8).view(height, width, 3).permute(2, 0, 1)
    )


def operate(pictures: torch.Tensor, name: str, level: float, sign: int) -> torch.Tensor:
    k = len(pictures)
    settings = (torch.full((k,), value, dtype=torch.float64) for value in (level, sign))
    return augmix.operate(pictures, torch.full((k,), OPERATIONS.index(name)), *settings)


def some_of(plan: Plan, rows: slice) -> Plan:
    return Plan(*(field[rows] for field in plan))


def alone(n: int, name: str, **changes: torch.Tensor) -> Plan:
    """A plan of one chain with one operation at level 5, which takes the whole image's place."""
    shape = (n, 1, 1)
    plan = Plan(
        share=torch.ones(n),
        weights=torch.ones(n, 1),
        depths=torch.ones(n, 1, dtype=torch.int64),
        operations=torch.full(shape, OPERATIONS.index(name)),
        levels=torch.full(shape, 5.0, dtype=torch.float64),
        signs=torch.ones(shape, dtype=torch.float64),
    )
    return plan._replace(**changes)


# ---- Operations --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_are_pillows(name, kind):
    pictures = PICTURES[kind]
    exact = name in ("equalize", "posterize", "solarize") or name.startswith("translate")
    for level in LEVELS:
        for sign in (1, -1) if name in GEOMETRY else (1,):
            ours = operate(pictures, name, level, sign)
            theirs = torch.stack([pillow(picture, name, level, sign) for picture in pictures])
            assert ours.dtype == torch.uint8 and ours.shape == pictures.shape
            off = (ours.int() - theirs.int()).abs()
            # the others: where the exact result is a whole grey level, either may round to just below and
            # lose one
            assert off.max() <= (0 if exact else 1), (level, sign)
            assert off.double().mean() <= 1e-2, (level, sign)


def test_every_angle_is_pillows():
    pictures = PICTURES["noise"][:2]
    for degrees in range(30):
        for sign in (1, -1):
            ours = operate(pictures, "rotate", degrees / 3 + 1e-6, sign)  # one degree is a third of a level
            theirs = torch.stack([
                pillow(picture, "rotate", degrees / 3 + 1e-6, sign) for picture in pictures
            ])
            assert (ours.int() - theirs.int()).abs().double().mean() <= 1e-3, degrees * sign


def test_hand_computed_operations():
    picture = (
        torch
        .tensor([[10, 20, 30], [40, 50, 60], [70, 80, 90]], dtype=torch.uint8)
        .expand(1, 3, 3, 3)
        .contiguous()
    )
    # by 3 / 3 pixels
    assert operate(picture, "translate_x", 10, 1)[0, 0].tolist() == [[20, 30, 0], [50, 60, 0], [80, 90, 0]]
    assert operate(picture, "translate_y", 10, -1)[0, 0].tolist() == [[0, 0, 0], [10, 20, 30], [40, 50, 60]]
    # 2 bits
    assert operate(picture, "posterize", 5, 1)[0, 0].tolist() == [[0, 0, 0], [0, 0, 0], [64, 64, 64]]
    # from 256 - 197
    assert operate(picture, "solarize", 7.7, 1)[0, 0].tolist() == [
        [10, 20, 30],
        [40, 50, 195],
        [185, 175, 165],
    ]
    assert operate(picture, "autocontrast", 1, 1)[0, 0].tolist() == [
        [0, 31, 63],
        [95, 127, 159],
        [191, 223, 255],
    ]


@pytest.mark.parametrize("name", ["posterize", "rotate", "translate_x", "translate_y"])
def test_the_weakest_level_of_whole_parameters(name):
    """Their parameter is cut down to 0: nothing changes but posterize, which keeps 4 bits at its weakest."""
    pictures = PICTURES["noise"]
    expected = pictures & 0b11110000 if name == "posterize" else pictures
    assert torch.equal(operate(pictures, name, 0.1, -1), expected)


def test_operations_leave_their_input_and_mixed_batches_apart():
    pictures = torch.cat([PICTURES["noise"], PICTURES["smooth"]])[:10]
    before = pictures.clone()
    operations = torch.tensor([8, 3, -1, 0, 5, 1, 4, 2, 7, 6])
    levels, signs = (
        torch.linspace(1, 9, 10, dtype=torch.float64),
        torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(5),
    )
    together = augmix.operate(pictures, operations, levels, signs)
    for row, number in enumerate(operations.tolist()):
        one = slice(row, row + 1)
        expected = (
            operate(pictures[one], OPERATIONS[number], levels[row].item(), signs[row].item())
            if number >= 0
            else pictures[one]
        )
        assert torch.equal(together[one], expected), row
    assert torch.equal(pictures, before)


def test_more_images_than_a_chunk():
    pictures = smooth(2 * augmix.CHUNK + 3, 16, 16, 7)
    together = operate(pictures, "rotate", 5, 1)
    assert torch.equal(together[-5:], operate(pictures[-5:], "rotate", 5, 1))


# ---- Random choices ----------------------------------------------------------------------------------------


def chi_square(counts: torch.Tensor) -> float:
    return stats.chisquare(counts.double().numpy()).pvalue


@pytest.fixture(scope="module")
def plan() -> Plan:
    return augmix.draw(4000, severity=3, generator=seeded(20))


def test_operations_are_uniform_and_independent(plan):
    assert chi_square(plan.operations.flatten().bincount(minlength=9)) > 0.01
    for step in range(3):
        assert chi_square(plan.operations[..., step].flatten().bincount(minlength=9)) > 0.001
    pairs = plan.operations[..., 0] * 9 + plan.operations[..., 1]  # neighbours in a chain
    assert chi_square(pairs.flatten().bincount(minlength=81)) > 0.001
    chains = plan.operations[:, 0] * 9 + plan.operations[:, 1]
    assert chi_square(chains.flatten().bincount(minlength=81)) > 0.001


def test_depths_are_uniform(plan):
    assert set(plan.depths.unique().tolist()) == {1, 2, 3}
    assert chi_square(plan.depths.flatten().bincount(minlength=4)[1:]) > 0.01
    fixed = augmix.draw(5, depth=4, generator=seeded(0))
    assert fixed.operations.shape == (5, 3, 4) and (fixed.depths == 4).all()


def test_signs_are_fair_and_levels_uniform(plan):
    assert set(plan.signs.unique().tolist()) == {-1, 1}
    assert chi_square((plan.signs.flatten() > 0).long().bincount(minlength=2)) > 0.01
    assert plan.levels.min() >= 0.1 and plan.levels.max() <= 3
    assert stats.kstest(plan.levels.flatten().numpy(), stats.uniform(0.1, 2.9).cdf).pvalue > 0.01


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_weights_are_dirichlet_and_shares_uniform(width):
    plan = augmix.draw(4000, width=width, generator=seeded(21))
    assert plan.weights.shape == (4000, width) and plan.weights.dtype == plan.share.dtype == torch.float32
    assert torch.allclose(plan.weights.sum(1), torch.ones(4000)) and (plan.weights > 0).all()
    assert stats.kstest(plan.share.numpy(), stats.uniform.cdf).pvalue > 0.01
    if width == 1:
        assert (plan.weights == 1).all()
        return
    spread = math.sqrt((width - 1) / (width**2 * (width + 1)) / 4000)  # standard error of a weight's mean
    for weights in plan.weights.T:
        assert abs(weights.mean().item() - 1 / width) < 4 * spread
        assert stats.kstest(weights.numpy(), stats.beta(1, width - 1).cdf).pvalue > 0.001


def test_severity_bounds_levels():
    assert (augmix.draw(50, severity=0.1, generator=seeded(0)).levels == 0.1).all()
    levels = augmix.draw(500, severity=10, generator=seeded(0)).levels
    assert 9.9 < levels.max() <= 10


# ---- Mixture -----------------------------------------------------------------------------------------------


def test_the_formula_by_plain_loops():
    pictures, plan = PICTURES["smooth"], augmix.draw(6, generator=seeded(30))
    expected = torch.zeros(pictures.shape, dtype=torch.float64)
    for image, picture in enumerate(pictures):
        mixed = torch.zeros(picture.shape, dtype=torch.float64)
        for chain in range(3):
            current = picture
            for step in range(plan.depths[image, chain]):
                at = (image, chain, step)
                current = pillow(
                    current, OPERATIONS[plan.operations[at]], plan.levels[at].item(), int(plan.signs[at])
                )
            mixed += plan.weights[image, chain].double() * current
        share = plan.share[image].double()
        expected[image] = ((1 - share) * picture + share * mixed) / 255
    off = (augmix.apply(pictures, plan).double() - expected).abs()
    # a pixel that differs by one level before a later posterize or solarize can differ by more after it: rare
    # pixels, so the mean
    assert off.mean() < 1e-5 and (off > 1e-6).double().mean() < 1e-3


@pytest.mark.parametrize(
    "width, depth, severity", [(3, -1, 3), (1, -1, 1), (1, 1, 10), (4, 2, 0.1), (2, 5, 10)]
)
@pytest.mark.parametrize("kind", PICTURES)
def test_shape_dtype_range_and_input(kind, width, depth, severity):
    pictures = PICTURES[kind]
    before = pictures.clone()
    out = augmix.augmix(pictures, width=width, depth=depth, severity=severity, generator=seeded(0))
    assert out.shape == pictures.shape and out.dtype == torch.float32
    assert out.min() >= 0 and out.max() <= 1
    assert torch.equal(pictures, before)
    assert severity == 0.1 or not torch.equal(out, pictures / 255)


def test_the_seed_decides_and_the_global_state_stays():
    pictures, state = PICTURES["noise"], torch.get_rng_state()
    first, again, other = (augmix.augmix(pictures, generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)
    generator = seeded(1)
    assert torch.equal(augmix.augmix(pictures, generator=generator), first)
    assert not torch.equal(augmix.augmix(pictures, generator=generator), first)  # a second view


def test_the_default_dtype_does_not_matter():
    pictures = torch.cat([PICTURES["noise"], PICTURES["special"]])
    expected, plan = augmix.augmix(pictures, generator=seeded(1)), augmix.draw(12, generator=seeded(1))
    torch.set_default_dtype(torch.float64)
    try:
        made, other = augmix.augmix(pictures, generator=seeded(1)), augmix.draw(12, generator=seeded(1))
    finally:
        torch.set_default_dtype(torch.float32)
    assert made.dtype == torch.float32 and torch.equal(made, expected)
    assert all(one.dtype == two.dtype and torch.equal(one, two) for one, two in zip(plan, other, strict=True))


def test_the_generator_moves_alike_for_all_pictures():
    generators = [seeded(3), seeded(3)]
    for generator, kind in zip(generators, ("noise", "special"), strict=True):
        augmix.augmix(PICTURES[kind], generator=generator)
    assert torch.equal(*(generator.get_state() for generator in generators))


def test_a_batch_is_its_images_one_at_a_time():
    pictures = torch.cat([PICTURES["noise"], PICTURES["smooth"], PICTURES["special"]])
    plan = augmix.draw(len(pictures), severity=6, generator=seeded(4))
    together = augmix.apply(pictures, plan)
    for row in range(len(pictures)):
        one = slice(row, row + 1)
        assert torch.equal(augmix.apply(pictures[one], some_of(plan, one)), together[one]), row


def test_share_zero_is_the_image_and_share_one_the_chains():
    pictures = PICTURES["noise"]
    plan = augmix.draw(len(pictures), severity=10, generator=seeded(5))
    untouched = augmix.apply(pictures, plan._replace(share=torch.zeros(len(pictures))))
    assert torch.equal(untouched, pictures.float() / 255)
    inverted = augmix.apply(
        pictures, alone(6, "solarize", levels=torch.full((6, 1, 1), 10.0, dtype=torch.float64))
    )
    assert torch.equal(inverted, (255 - pictures).float() / 255)
    half = augmix.apply(
        pictures,
        alone(
            6,
            "solarize",
            levels=torch.full((6, 1, 1), 10.0, dtype=torch.float64),
            share=torch.full((6,), 0.5),
        ),
    )
    assert torch.allclose(half, torch.full_like(half, 0.5))


def test_operations_beyond_the_depth_are_left_out():
    pictures, plan = PICTURES["noise"], augmix.draw(6, generator=seeded(6))
    plan = plan._replace(depths=torch.ones_like(plan.depths))
    shorter = plan._replace(**{
        name: getattr(plan, name)[..., :1] for name in ("operations", "levels", "signs")
    })
    assert torch.equal(augmix.apply(pictures, plan), augmix.apply(pictures, shorter))


def test_the_mean_over_many_draws_keeps_a_flat_image_where_nothing_can_change_it():
    """A black image is fixed by every operation but solarize, and that only at threshold 0: the weights must
    sum to one.
    """
    white = torch.full((64, 3, 8, 8), 255, dtype=torch.uint8)
    out = augmix.apply(
        white,
        augmix.draw(64, generator=seeded(7))._replace(operations=torch.zeros(64, 3, 3, dtype=torch.int64)),
    )
    assert torch.allclose(out, torch.ones_like(out)) and out.max() <= 1


def test_layout_and_an_empty_batch():
    pictures = PICTURES["smooth"]
    strided = pictures.contiguous(memory_format=torch.channels_last)
    assert torch.equal(
        augmix.augmix(strided, generator=seeded(8)), augmix.augmix(pictures, generator=seeded(8))
    )
    assert augmix.augmix(pictures[:0], generator=seeded(8)).shape == (0, 3, 32, 32)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_sees_the_same_draws():
    pictures = torch.cat([PICTURES["noise"], PICTURES["smooth"]])
    there = augmix.augmix(pictures.cuda(), generator=seeded(9))
    assert there.is_cuda
    off = (there.cpu() - augmix.augmix(pictures, generator=seeded(9))).abs()
    assert (off > 1e-6).double().mean() < 1e-3


# ---- Errors ------------------------------------------------------------------------------------------------

WRONG = {
    "float pixels": (
        {"pixels": torch.zeros(2, 3, 4, 4)},
        r"uint8 images \(n, 3, h, w\), got torch.float32 \(2, 3, 4, 4\)",
    ),
    "one image": ({"pixels": torch.zeros(3, 4, 4, dtype=torch.uint8)}, r"got torch.uint8 \(3, 4, 4\)"),
    "grey": ({"pixels": torch.zeros(2, 1, 4, 4, dtype=torch.uint8)}, r"got torch.uint8 \(2, 1, 4, 4\)"),
    "no pixels": ({"pixels": torch.zeros(2, 3, 0, 4, dtype=torch.uint8)}, r"got torch.uint8 \(2, 3, 0, 4\)"),
    "numpy": (
        {"pixels": torch.zeros(2, 3, 4, 4, dtype=torch.uint8).numpy()},
        "a tensor of uint8 images .* got ndarray",
    ),
    "generator 0": ({"generator": 0}, "draws from a torch.Generator, got 0; pass"),
    "no generator": ({"generator": None}, "draws from a torch.Generator, got None; pass"),
    "width 1.5": ({"width": 1.5}, "width of at least 1 chain, got 1.5"),
    "depth '1'": ({"depth": "1"}, "depth .* got '1'"),
    "severity '3'": ({"severity": "3"}, "severity .* got '3'"),
    "width 0": ({"width": 0}, "width of at least 1 chain, got 0"),
    "depth 0": ({"depth": 0}, "depth of at least 1, or -1 to draw it from 1 .. 3, got 0"),
    "depth -2": ({"depth": -2}, "depth .* got -2"),
    "severity 0": ({"severity": 0}, r"severity in \[0.1, 10\], got 0"),
    "severity below 0.1": ({"severity": 0.05}, "severity .* got 0.05"),
    "severity above 10": ({"severity": 10.5}, "severity .* got 10.5"),
    "severity NaN": ({"severity": math.nan}, "severity .* got nan"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input(case):
    wrong, message = WRONG[case]
    generator = seeded(0)
    before = generator.get_state()
    with pytest.raises(InputError, match=message) as caught:
        augmix.augmix(
            **({"pixels": torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "generator": generator} | wrong)
        )
    assert "\n" not in str(caught.value)
    assert torch.equal(generator.get_state(), before)
