"""Digital: contrast, elastic transform, pixelation, JPEG and saturation.

Each takes uint8 (n, 3, h, w) and returns new uint8; sources in the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from lib.corruptions import filters
from lib.corruptions.colour import with_hsv
from lib.corruptions.draws import Draws
from lib.corruptions.filters import half_mirror, whole_mirror
from lib.corruptions.layouts import images_first, images_last, in_parts
from lib.corruptions.quantized import to_levels, to_unit


def contrast(pixels: Tensor, draws: Draws, *, factor: float) -> Tensor:
    """Contrast: move each channel towards its mean over the image."""

    def drawn(some: Tensor) -> Tensor:
        x = to_unit(images_last(some))
        # pixel after pixel, as numpy adds over the first two of three dimensions: in flat images the last bit
        # of the mean decides
        pixels = x.flatten(0, 1)
        total = pixels.cumsum(0)[-1] if x.is_cuda else torch.from_numpy(pixels.numpy().sum(0))
        mean = total / len(pixels)
        return images_first(to_levels(x.sub_(mean).mul_(factor).add_(mean)))

    return in_parts(drawn, pixels)


def saturate(pixels: Tensor, draws: Draws, *, factor: float, shift: float) -> Tensor:
    """Saturate: scale and shift the saturation in HSV. Grey has hue 0, so a shift tints it red."""
    return in_parts(
        lambda some: with_hsv(
            some, lambda saturation, value: (saturation.mul_(factor).add_(shift).clamp_(0, 1), value)
        ),
        pixels,
    )


# ---- Elastic transform -------------------------------------------------------------------------------------


def _corners(
    x: Tensor, rows: tuple[Tensor, Tensor], columns: tuple[Tensor, Tensor]
) -> Iterator[list[Tensor]]:
    """Neighbours of whole positions (n, side, side) in x (3, n, side, side), channel by channel.

    The float64 values of one channel fit into a processor's cache, those of all three do not.

    Yields:
        The values at upper left, upper right, lower left and lower right, each of the positions' shape.
    """
    n, side = x.shape[1:3]
    first = torch.arange(0, n * side * side, side * side, dtype=rows[0].dtype, device=x.device).view(n, 1, 1)
    places = [line + column for line in ((row * side).add_(first) for row in rows) for column in columns]
    for channel in x:
        yield [channel.flatten().index_select(0, at.flatten()).view(at.shape) for at in places]


def warp(x: Tensor, corners: Tensor) -> Tensor:
    """Apply the affine map that moves three points to x (3, n, side, side) float32.

    As in OpenCV 4, in fixed point with 32nds of a pixel; OpenCV 5 uses floating point.

    Args:
        corners: (n, 3, 2) float32, by how much the points move right and down.

    Returns:
        Images of the same shape.
    """
    side = x.shape[-1]
    middle, reach = side // 2, side // 3
    points = torch.tensor(
        [
            [middle + reach, middle + reach],
            [middle + reach, middle - reach],
            [middle - reach, middle - reach],
        ],
        dtype=torch.float32,
    )
    moved = (points.to(x.device) + corners).double()
    # the points are the corners of a right angle: the columns of the map are differences of what they become
    across, down = (moved[:, 1] - moved[:, 2]) / (2 * reach), (moved[:, 0] - moved[:, 1]) / (2 * reach)
    offset = moved[:, 2] - (across + down) * (middle - reach)
    m0, m3, m1, m4 = across[:, 0], across[:, 1], down[:, 0], down[:, 1]
    scale = 1 / (m0 * m4 - m1 * m3)
    i0, i1, i3, i4 = m4 * scale, -m1 * scale, -m3 * scale, m0 * scale  # the inverse
    b1, b2 = -i0 * offset[:, 0] - i1 * offset[:, 1], -i3 * offset[:, 0] - i4 * offset[:, 1]
    at = torch.arange(side, dtype=torch.float64, device=x.device)

    def fixed(per_row: Tensor, shift: Tensor, per_column: Tensor) -> Tensor:
        rows = (1024 * (per_row[:, None] * at + shift[:, None])).round().int()[:, :, None]
        columns = (1024 * per_column[:, None] * at).round().int()[:, None]
        return (rows + 16 + columns) >> 5

    column, row = fixed(i1, b1, i0), fixed(i4, b2, i3)
    left, top = column >> 5, row >> 5
    right_part, low_part = (column & 31).float().div_(32), (row & 31).float().div_(32)
    left, right, top, below = (whole_mirror(index, side) for index in (left, left + 1, top, top + 1))
    weights = [down * across for down in (1 - low_part, low_part) for across in (1 - right_part, right_part)]
    made = []
    for read in _corners(x, (top, below), (left, right)):
        out, *others = (value.mul_(weight) for value, weight in zip(read, weights, strict=True))
        for other in others:
            out.add_(other)
        made.append(out)
    return torch.stack(made)


def displaced(x: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Read x (3, n, side, side) float32 at displaced positions, bilinearly, in float64 inside.

    The displacements `right` and `down` are (n, side, side).
    """
    side = x.shape[-1]
    at = torch.arange(side, dtype=torch.float64, device=x.device)
    rows, columns = at[:, None] + down, at + right
    top, left = rows.floor(), columns.floor()
    low_part, right_part = rows.sub_(top), columns.sub_(left)
    top, left = top.int(), left.int()
    top, below, left, onward = (half_mirror(index, side) for index in (top, top + 1, left, left + 1))
    upper_part, left_part, made = 1 - low_part, 1 - right_part, []
    for read in _corners(x, (top, below), (left, onward)):
        upper_left, upper_right, lower_left, lower_right = (value.double() for value in read)
        upper = upper_left.mul_(left_part).add_(upper_right.mul_(right_part)).mul_(upper_part)
        made.append(
            upper.add_(lower_left.mul_(left_part).add_(lower_right.mul_(right_part)).mul_(low_part)).float()
        )
    return torch.stack(made)


def elastic_transform(
    pixels: Tensor, draws: Draws, *, amplitude: float, sigma: float, affine: float
) -> Tensor:
    """Elastic transform: a random affine map, then a smooth random displacement of every pixel.

    Lengths are in sides of the image.
    """
    side = pixels.shape[-1]

    def transformed(some: Tensor, corners: Tensor, *fields: Tensor) -> Tensor:
        x = warp(to_unit(some.transpose(0, 1).contiguous(), torch.float32), corners)
        if amplitude:  # an amplitude of 0 displaces nothing
            smooth = filters.gaussian(
                images_last(torch.stack(fields, 1)), sigma * side, truncate=3, border=half_mirror
            )
            x = displaced(x, *images_first(smooth.mul_(amplitude * side)).float().unbind(1))
        return to_levels(x).transpose(0, 1).contiguous()

    corners = draws.uniform(-affine * side, affine * side, 3, 2).float()
    # right, then down
    return in_parts(transformed, pixels, corners, *(draws.uniform(-1, 1, side, side) for _ in range(2)))


# ---- Pixelation --------------------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def box_weights(before: int, after: int) -> tuple[Tensor, Tensor]:
    """Weights of Pillow's box filter along one axis.

    Returns:
        For each of `after` positions its sources and their weights in units of 2^-22, both (taps, after);
        unused taps have weight 0.
    """
    scale = before / after
    reach = max(scale, 1.0)
    rows: list[dict[int, float]] = []
    for position in range(after):
        centre = (position + 0.5) * scale
        first, end = max(int(centre - reach / 2 + 0.5), 0), min(int(centre + reach / 2 + 0.5), before)
        taps = [i for i in range(first, end) if -0.5 < (i - centre + 0.5) / reach <= 0.5]
        rows.append({i: 1 / len(taps) for i in taps})
    most = max(map(len, rows))
    sources, weights = torch.zeros(2, most, after, dtype=torch.int64)
    for position, row in enumerate(rows):
        for tap, (source, weight) in enumerate(row.items()):
            sources[tap, position], weights[tap, position] = source, int(weight * 2**22 + 0.5)
    return sources, weights.int()


def box_resized(levels: Tensor, after: int, dim: int) -> Tensor:
    """Apply Pillow's box filter along one dimension of uint8 levels."""
    sources, weights = (table.to(levels.device) for table in box_weights(levels.shape[dim], after))
    if len(sources) <= 2:  # each position copies a pixel or is the mean of two, rounded up
        one = levels.index_select(dim, sources[0])
        if len(sources) == 1:
            return one
        other = levels.index_select(dim, sources[1].where(weights[1] > 0, sources[0]))
        return (one | other).sub_((one ^ other).bitwise_right_shift_(1))
    shape = [1] * levels.ndim
    shape[dim] = after
    total = torch.full((), 2**21, dtype=torch.int32, device=levels.device)
    for source, weight in zip(sources, weights, strict=True):
        total = total + levels.index_select(dim, source).int() * weight.view(shape)
    return (total >> 22).clamp_(0, 255).to(torch.uint8)


def pixelate(pixels: Tensor, draws: Draws, *, factor: float) -> Tensor:
    """Pixelate: make the image smaller and larger again with Pillow's box filter."""
    side = pixels.shape[-1]
    small = int(side * factor)
    levels = images_last(pixels)
    for after in (small, side):
        for dim in (1, 0):
            levels = box_resized(levels, after, dim)
    return images_first(levels)


# ---- JPEG --------------------------------------------------------------------------------------------------


def jpeg_compression(pixels: Tensor, draws: Draws, *, quality: int) -> Tensor:
    """JPEG compression: encode and decode each image on the CPU.

    OpenCV's libjpeg gives the same pixels as Pillow, in little more than half the time of torchvision.
    """
    import cv2  # half a second to import

    n, channels, height, width = pixels.shape
    how = [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
    # OpenCV's order is BGR, channels last: quickest made of all images in one tall strip
    strip = cv2.merge(list(pixels.cpu().flip(1).transpose(0, 1).reshape(channels, n * height, width).numpy()))
    made = [
        cv2.imdecode(cv2.imencode(".jpg", image, how)[1], cv2.IMREAD_COLOR)
        for image in strip.reshape(n, height, width, channels)
    ]
    # what was just encoded decodes: none is None
    planes = np.stack(cv2.split(np.concatenate(made))[::-1]).reshape(channels, n, height, width)  # type: ignore[arg-type]
    return torch.from_numpy(planes).transpose(0, 1).contiguous().to(pixels.device)
