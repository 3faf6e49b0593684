"""AugMix: each image mixed with chains of simple operations on itself, as in the CIFAR-10 training of
Hendrycks et al. 2020.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.base.errors import InputError

# None of them is one of the test corruptions. The number of an operation is its place here: tones first, then
# geometry.
TONES = ("autocontrast", "equalize", "posterize", "solarize")
GEOMETRY = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
OPERATIONS = TONES + GEOMETRY
CHUNK = 64  # images resampled at a time: more would not fit into the processor's cache
DEEPEST = 3  # a chain of drawn depth has 1, 2 or 3 operations
WEAKEST, STRONGEST = 0.1, 10.0  # the range of levels; parameters are in tenths of their largest value


class Plan(NamedTuple):
    """All random choices of one call, on the CPU.

    Slicing every field by image gives the plan of some of the images.
    """

    share: Tensor  # (n,) float32 in [0, 1): m, the share of the chains in the result
    weights: Tensor  # (n, width) float32 > 0, rows sum to 1
    depths: Tensor  # (n, width) int64 in 1 .. steps: a chain leaves out the later of its operations
    operations: Tensor  # (n, width, steps) int64 in [0, 9)
    levels: Tensor  # (n, width, steps) float64 in [0.1, severity]
    signs: Tensor  # (n, width, steps) float64, -1 or 1: direction of the geometric operations


def draw(n: int, *, width: int = 3, depth: int = -1, severity: float = 3, generator: torch.Generator) -> Plan:
    """Draw the random choices for n images.

    How many numbers are taken from the generator depends on the arguments alone.

    Args:
        width, depth, severity, generator: As in `augmix`.

    Raises:
        InputError: For a width below 1, a depth that is neither -1 nor positive, a severity outside
            [0.1, 10], or what is no generator.
    """
    if not isinstance(width, Integral) or width < 1:
        raise InputError(f"AugMix needs a width of at least 1 chain, got {width!r}")
    if not isinstance(depth, Integral) or (depth < 1 and depth != -1):
        raise InputError(
            f"AugMix needs a depth of at least 1, or -1 to draw it from 1 .. {DEEPEST}, got {depth!r}"
        )
    if not isinstance(severity, Real) or not WEAKEST <= severity <= STRONGEST:  # NaN compares false
        raise InputError(f"AugMix needs a severity in [{WEAKEST}, {STRONGEST:g}], got {severity!r}")
    if not isinstance(generator, torch.Generator):
        raise InputError(
            f"AugMix draws from a torch.Generator, got {generator!r}; pass torch.Generator().manual_seed(0)"
        )
    steps = DEEPEST if depth == -1 else depth
    size = (n, width, steps)
    share = torch.rand(n, generator=generator, dtype=torch.float32)  # Beta(1, 1)
    exponential = torch.empty(n, width, dtype=torch.float64).exponential_(generator=generator)
    weights = (exponential / exponential.sum(1, keepdim=True)).float()  # Dirichlet(1, ..., 1)
    depths = (
        torch.randint(1, steps + 1, (n, width), generator=generator)
        if depth == -1
        else torch.full((n, width), depth)
    )
    operations = torch.randint(len(OPERATIONS), size, generator=generator)
    levels = WEAKEST + (severity - WEAKEST) * torch.rand(size, generator=generator, dtype=torch.float64)
    signs = 1.0 - 2.0 * torch.randint(2, size, generator=generator).double()
    return Plan(share, weights, depths, operations, levels, signs)


def whole(level: Tensor, largest: float) -> Tensor:
    """The reference's int_parameter, rounded in the same order: (k,) float64 to (k,) float64 without
    fractions.
    """
    return (level * largest / STRONGEST).trunc()


# ---- Tones: one table of 256 entries for each image and channel --------------------------------------------
# Each takes images (k, 3, h, w) uint8 and levels (k,) float64 on one device and returns int64 tables (k, 3 or
# 1, 256).


def autocontrast(images: Tensor, level: Tensor) -> Tensor:
    """Stretch each channel to 0 .. 255; a channel of one value stays as it is. The level is not used."""
    ramp = torch.arange(256, device=images.device)
    # (k, 3, 1)
    low, high = (bound.double()[..., None] for bound in (images.amin((2, 3)), images.amax((2, 3))))
    scale = 255 / (high - low).clamp(min=1)
    # Pillow's order of operations, but a number over a tensor is a product with its reciprocal, whose last
    # bit may differ: a value that should be whole is then cut off one lower
    stretched = (ramp * scale + -low * scale).clamp(0, 255).long()
    return torch.where(high > low, stretched, ramp)


def equalize(images: Tensor, level: Tensor) -> Tensor:
    """Flatten each channel's histogram with Pillow's integer rule; a channel that is nearly all of its
    brightest value stays as it is.

    The level is not used.
    """
    ramp = torch.arange(256, device=images.device)
    values = images.flatten(2).long()  # (k, 3, h * w)
    histogram = torch.zeros(*values.shape[:2], 256, dtype=torch.int64, device=images.device).scatter_add_(
        2, values, torch.ones_like(values)
    )
    brightest = histogram.gather(2, values.amax(2, keepdim=True))
    step = (values.shape[2] - brightest) // 255  # (k, 3, 1)
    below = histogram.cumsum(2) - histogram
    flattened = ((step // 2 + below) // step.clamp(min=1)).clamp(max=255)
    return torch.where(step > 0, flattened, ramp)


def posterize(images: Tensor, level: Tensor) -> Tensor:
    """Keep the 4 (weak) to 0 (level 10) highest bits."""
    bits = 4 - whole(level, 4).long()
    return (torch.arange(256, device=images.device) & (256 - 2 ** (8 - bits))[:, None])[:, None]


def solarize(images: Tensor, level: Tensor) -> Tensor:
    """Invert the values from a threshold on, which is 256 (nothing) to 0 (level 10: everything)."""
    ramp = torch.arange(256, device=images.device)
    threshold = 256 - whole(level, 256)[:, None, None]
    return torch.where(ramp < threshold, ramp, 255 - ramp)


TABLES = dict(zip(TONES, (autocontrast, equalize, posterize, solarize), strict=True))


# ---- Geometry: one affine map for each image ---------------------------------------------------------------


def affine(operations: Tensor, levels: Tensor, signs: Tensor, height: int, width: int) -> Tensor:
    """Maps from a position in the result to one in the source, (x, y, 1) in pixels with centres at halves:
    (k,) each -> (k, 2, 3) float64.
    """
    rotate, shear_x, shear_y, translate_x, translate_y = (
        operations == OPERATIONS.index(name) for name in GEOMETRY
    )
    degrees = signs * whole(levels, 30) * rotate
    # a turn of 360 degrees off, as in Pillow, for the same cosine to the last bit
    angle = -degrees.remainder(360).deg2rad()
    cos, sin = angle.cos(), angle.sin()
    shear = signs * (levels * 0.3 / STRONGEST)
    centre_x, centre_y = width / 2, height / 2
    # without rotation cos = 1 and sin = 0 exactly, and these two are the shift alone
    shift_x = cos * -centre_x + sin * -centre_y + centre_x + signs * whole(levels, width / 3) * translate_x
    shift_y = -sin * -centre_x + cos * -centre_y + centre_y + signs * whole(levels, height / 3) * translate_y
    entries = (cos, sin + shear * shear_x, shift_x, -sin + shear * shear_y, cos, shift_y)
    return torch.stack(entries, 1).view(-1, 2, 3)


def resample(images: Tensor, maps: Tensor) -> Tensor:
    """Bilinear resampling of images (k, 3, h, w) uint8 through affine maps (k, 2, 3) float64, black outside
    the source.

    As in Pillow, a position within the outermost half pixel takes the border's value, and fractions of a grey
    level are cut off, not rounded. The bilinear sum is formed in another order, so a sum within 1e-9 below a
    whole grey level counts as that level.

    Returns:
        (k, 3, h, w) uint8.
    """
    return torch.cat([_resample(*some) for some in zip(images.split(CHUNK), maps.split(CHUNK), strict=True)])


def _resample(images: Tensor, maps: Tensor) -> Tensor:
    """`resample` for images few enough for the cache."""
    height, width = images.shape[2:]
    x = torch.arange(width, dtype=torch.float64, device=images.device) + 0.5  # (w,)
    y = torch.arange(height, dtype=torch.float64, device=images.device)[:, None] + 0.5  # (h, 1)
    a, b, c, d, e, f = maps.flatten(1).T[..., None, None]  # (k, 1, 1) each
    source_x, source_y = (a * x + b * y).add_(c), (d * x + e * y).add_(f)  # (k, h, w)
    inside = (source_x >= 0) & (source_x < width) & (source_y >= 0) & (source_y < height)
    grid = torch.stack([source_x.mul_(2 / width).sub_(1), source_y.mul_(2 / height).sub_(1)], -1)
    # float64, because the cut below would turn float32's 99.99999 into 99
    values = F.grid_sample(images.double(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return values.add_(1e-9).to(torch.uint8).mul_(inside[:, None].to(torch.uint8))


# ---- Chains and their mixture ------------------------------------------------------------------------------


def operate(images: Tensor, operations: Tensor, levels: Tensor, signs: Tensor) -> Tensor:
    """Apply one operation to each image (k, 3, h, w) uint8.

    Args:
        operations, levels, signs: (k,) on the CPU as in `Plan`; operation -1 leaves the image as it is.

    Returns:
        New images of the same shape.
    """
    device = images.device
    # images are grouped on the CPU, where the plan is, so that a GPU never waits
    # untouched, then one tone each
    rows = [(operations == number).nonzero().flatten() for number in range(-1, len(TONES))]
    rows.append((operations >= len(TONES)).nonzero().flatten())
    kept, *tones, moved = (images.index_select(0, group.to(device)) for group in rows)
    done = [kept]
    for group, some, tables in zip(rows[1:-1], tones, TABLES.values(), strict=True):
        table = tables(some, levels[group].to(device)).to(torch.uint8).expand(len(some), 3, 256)
        done.append(table.gather(2, some.flatten(2).long()).view_as(some))
    maps = affine(operations[rows[-1]], levels[rows[-1]], signs[rows[-1]], *images.shape[2:])
    done.append(resample(moved, maps.to(device)))
    # index_copy_ of bytes is ten times slower
    return torch.cat(done).index_select(0, torch.cat(rows).argsort().to(device))


def apply(pixels: Tensor, plan: Plan) -> Tensor:
    """AugMix of images (n, 3, h, w) uint8 under given random choices.

    Returns:
        (n, 3, h, w) float32 in [0, 1].
    """
    device = pixels.device
    n, width, steps = plan.operations.shape  # noqa: RUF059 - the shape as documented
    chains = pixels.repeat(width, 1, 1, 1)  # (width * n, 3, h, w): chain by chain
    operations = plan.operations.where(torch.arange(steps) < plan.depths[..., None], -1)
    for step in range(steps):
        chains = operate(
            chains, *(field[..., step].T.flatten() for field in (operations, plan.levels, plan.signs))
        )
    weights = plan.weights.T.to(device)[..., None, None, None]  # (width, n, 1, 1, 1)
    image = pixels.float()
    mixed = torch.zeros_like(image)
    # The reference mixes normalised images. The normalisation is affine and the weights, as m and 1 - m, sum
    # to 1: mixing first is the same. A sum over chains and no matrix product: that could run in reduced
    # precision under autocast.
    for weight, chain in zip(weights, chains.view(width, *pixels.shape), strict=True):
        mixed.addcmul_(weight, chain.float())
    mixed = image.lerp_(mixed, plan.share.to(device)[:, None, None, None])  # image itself where m = 0
    return mixed.div_(255).clamp_(0, 1)  # the weights' sum may round to just above 1


def augmix(
    pixels: Tensor, *, width: int = 3, depth: int = -1, severity: float = 3, generator: torch.Generator
) -> Tensor:
    """Mix each image with `width` chains of random operations on it: (1 - m) * image + m * sum_i w_i
    chain_i(image).

    Operations act on uint8 images and are chosen uniformly. They equal Pillow's: equalize, posterize,
    solarize and the translations exactly; autocontrast, rotation and shear to within one grey level in under
    1 % of the pixels, where the exact result is a whole level.

    Args:
        pixels: (n, 3, h, w) uint8, left unchanged; the work is done on its device.
        width: Number of chains per image, >= 1; their weights w are Dirichlet(1, ..., 1), and m is
            Beta(1, 1).
        depth: Number of operations in a chain; -1 draws 1, 2 or 3 for each chain.
        severity: Upper end of the levels, which are uniform from 0.1, in [0.1, 10].
        generator: Source of all random numbers, on the CPU, so that CPU and GPU see the same ones.

    Returns:
        (n, 3, h, w) float32 in [0, 1].

    Raises:
        InputError: For pixels of another shape or dtype, or arguments outside their ranges.

    References:
        Hendrycks et al. 2020, arXiv 1912.02781, with the operations and settings of its code for CIFAR-10.
    """
    if not isinstance(pixels, Tensor):
        raise InputError(f"AugMix takes a tensor of uint8 images (n, 3, h, w), got {type(pixels).__name__}")
    if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1] != 3 or 0 in pixels.shape[2:]:
        raise InputError(f"AugMix takes uint8 images (n, 3, h, w), got {pixels.dtype} {tuple(pixels.shape)}")
    return apply(pixels, draw(len(pixels), width=width, depth=depth, severity=severity, generator=generator))
