"""Blur: defocus, glass, motion, zoom and Gaussian.

Each takes uint8 (n, 3, h, w) and returns new uint8; sources and severities in the package.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lib.corruptions import filters
from lib.corruptions.draws import Draws
from lib.corruptions.layouts import (
    channel_by_channel,
    images_first,
    images_last,
    in_parts,
    transposed,
    true_places,
)
from lib.corruptions.quantized import settled, to_levels, to_unit

if TYPE_CHECKING:
    from scipy.sparse import csr_array

REACH = 8  # the reference's grid of offsets is 17 x 17


@lru_cache(maxsize=32)
def disc(radius: float, alias_sigma: float) -> Tensor:
    """Defocus kernel, a disc with a smoothed edge: (2 r + 1, 2 r + 1) float32, cropped to its non-zero
    part.
    """
    offsets = torch.arange(-REACH, REACH + 1)
    inside = offsets[:, None] ** 2 + offsets**2 <= radius**2
    kernel = inside.float() / inside.sum().float()
    tap = math.exp(-1 / (2 * alias_sigma**2))
    side, centre = tap / (1 + 2 * tap), 1 / (1 + 2 * tap)
    for dim in (1, 0):
        kernel = kernel * centre + (kernel.roll(1, dim) + kernel.roll(-1, dim)) * side
    used = int(kernel.any(0).nonzero().max()) - REACH
    return kernel[REACH - used : REACH + used + 1, REACH - used : REACH + used + 1]


def defocus_blur(pixels: Tensor, draws: Draws, *, radius: float, alias_sigma: float) -> Tensor:
    """Defocus blur: each point becomes a disc."""
    kernel = disc(radius, alias_sigma)
    correlated = _correlated_on_gpu if pixels.is_cuda else _correlated
    return in_parts(lambda some: images_first(correlated(images_last(some), kernel)), pixels)


def _correlated(levels: Tensor, kernel: Tensor) -> Tensor:
    """Correlate levels (h, w, c, n) with a kernel of odd sides, by OpenCV as in the reference."""
    import cv2  # half a second to import

    def one_channel(some: np.ndarray) -> np.ndarray:
        return to_levels(
            torch.from_numpy(cv2.filter2D(to_unit(torch.from_numpy(some)).numpy(), -1, kernel.numpy()))
        ).numpy()

    return channel_by_channel(one_channel, levels, torch.uint8)


def _correlated_on_gpu(levels: Tensor, kernel: Tensor) -> Tensor:
    reach, (height, width) = len(kernel) // 2, levels.shape[:2]
    x = to_unit(levels)
    wide, out = filters.padded(x, reach, filters.whole_mirror), torch.zeros_like(x)
    for row, weights in enumerate(kernel.tolist()):
        for column, weight in enumerate(weights):
            if weight:
                out.add_(wide[row : row + height, column : column + width], alpha=weight)
    return to_levels(out)


def glass_sources(offsets: Tensor, side: int, delta: int) -> Tensor:
    """Source of each pixel after one pass of glass blur.

    The pass goes from the last row and column to the first, and copies: the source of a pixel may already
    have been replaced when it is read.

    Args:
        offsets: (n, rows, columns, 2), right and down, in the order of the pass.

    Returns:
        (n, side * side) places in the flattened image.
    """
    n, span = len(offsets), offsets.shape[1]
    device = offsets.device
    at = torch.arange(side - delta, delta, -1, device=device)  # rows, and columns, in the order of the pass
    position = at[:, None] * side + at  # (span, span)
    source = position + offsets[..., 1] * side + offsets[..., 0]
    pointers = torch.arange(side * side, device=device).repeat(n, 1)
    pointers.scatter_(1, position.flatten().expand(n, -1), source.flatten(1))
    # A source is already new if the pass has been there: at a larger row, or in the same row at a larger
    # column, within the loop's range.
    place = torch.arange(side * side, device=device)
    visited = torch.zeros(side * side, dtype=torch.bool, device=device).index_fill_(
        0, position.flatten(), True
    )
    renewed = visited[pointers] & (pointers > place)
    final = pointers
    # place of a pixel's value at the end of the pass: the pixel itself, or further on
    follow = torch.where(renewed, pointers, place)
    for _ in range(2 * math.ceil(math.log2(span)) + 1):
        onward = follow.gather(1, follow)
        if torch.equal(onward, follow):
            break
        follow = onward
    return final.gather(1, follow)


def from_above_and_left(levels: Tensor, offsets: Tensor) -> Tensor:
    """Apply one pass of glass blur where no offset is positive.

    Each pixel is one of four that have not been replaced yet, so it can be chosen by bits, without an index.

    Args:
        levels: (h, w, c, n).
        offsets: (rows, columns, 2, n) of 0 and -1, in the order of the pass.
    """
    left, up = offsets.flip(0, 1)[:, :, :, None].unbind(2)  # all bits set, or none

    def chosen(here: Tensor, there: Tensor, which: Tensor) -> Tensor:
        return (here ^ there).bitwise_and_(which).bitwise_xor_(here)

    here, above = (chosen(rows[:, 1:], rows[:, :-1], left) for rows in (levels[2:, 1:], levels[1:-1, 1:]))
    out = levels.clone()
    out[2:, 2:] = chosen(here, above, up)
    return out


def glass_blur(pixels: Tensor, draws: Draws, *, sigma: float, delta: int, passes: int) -> Tensor:
    """Glass blur: blur, replace pixels by near ones, and blur again.

    The reference means to swap two pixels and copies one, and its offsets are -delta .. delta - 1, so the
    picture drifts; rows and columns 0 .. delta stay. Both are kept.
    """
    side = pixels.shape[-1]
    span = side - 2 * delta
    offsets = [draws.integers(-delta, delta, span, span, 2) for _ in range(passes)]

    def moved(some: Tensor, *offsets: Tensor) -> Tensor:
        levels = filters.blurred(images_last(some), sigma)
        for each in offsets:
            if delta == 1:
                levels = from_above_and_left(
                    levels, transposed(each.to(torch.uint8).flatten(1)).view(span, span, 2, -1)
                )
            else:
                sources = glass_sources(each, side, delta)
                levels = images_last(
                    images_first(levels)
                    .flatten(2)
                    .gather(2, sources[:, None].expand(-1, 3, -1))
                    .view(some.shape)
                )
        return images_first(filters.blurred(levels, sigma))

    return in_parts(moved, pixels, *offsets)


def motion_blur(pixels: Tensor, draws: Draws, *, radius: float, sigma: float) -> Tensor:
    """Motion blur: a trail in one direction, at a random angle for each image."""
    degrees = draws.uniform(-45, 45)
    return filters.motion(pixels, degrees, radius=radius, sigma=sigma)


def zoom_factors(count: int) -> list[float]:
    """Zoom factors 1, 1.01, ... as numpy's arange gives them: it steps by 1.01 - 1, a little more than 0.01,
    which decides how a size is rounded at 1.25.
    """
    return [1 + j * (1.01 - 1) for j in range(count)]


def zoom_blur(pixels: Tensor, draws: Draws, *, factors: int) -> Tensor:
    """Zoom blur: mean of the image and of its enlargements by 1, 1.01, ...; those that change nothing count
    too, as in the reference.
    """
    return (
        _zoomed_at_once(pixels, factors)
        if pixels.device.type == "cpu"
        else _zoomed_one_by_one(pixels, factors)
    )


def _zoomed_one_by_one(pixels: Tensor, factors: int) -> Tensor:
    x = to_unit(pixels, torch.float32)
    side = x.shape[-1]
    # rows first: both products with a matrix are then one large product without a copy
    exact = x.permute(2, 0, 1, 3).double().reshape(side, -1)
    total = torch.zeros(exact.shape, dtype=torch.float32, device=x.device)
    for factor in zoom_factors(factors):
        matrix = filters.zoom_matrix(factor, side).to(x.device)
        total.add_(((matrix @ exact).view(-1, side) @ matrix.T).view_as(total).float())
    total = total.view(side, -1, 3, side).permute(1, 2, 0, 3)
    return to_levels((x + total) / (factors + 1))


@lru_cache(maxsize=16)
def zoom_mean(factors: int, side: int) -> tuple[csr_array, Tensor]:
    """Mean of the image and its enlargements as one sparse float32 matrix, and the result for a white image,
    (side * side,) uint8.
    """
    from scipy import sparse

    matrices = [
        sparse.csr_array(filters.zoom_matrix(factor, side).numpy()) for factor in zoom_factors(factors)
    ]
    total = sum(
        (sparse.kron(matrix, matrix, format="csr") for matrix in matrices),
        start=sparse.eye_array(side * side, format="csr"),
    )
    white = _zoomed_one_by_one(torch.full((1, 3, side, side), 255, dtype=torch.uint8), factors)
    return (total / (factors + 1)).astype(np.float32), white[0, 0].flatten()


def _zoomed_at_once(pixels: Tensor, factors: int) -> Tensor:
    """Zoom blur with the same pixels: the mean by one matrix, and exactly where it comes near to the next
    level.

    The matrix multiplies the distance to white. It is exactly 0 where all is white, the one level that fills
    wide areas of photographs and where the last bit decides; near black, nothing lies between a level and the
    one below.
    """
    side = pixels.shape[-1]
    mean, white = zoom_mean(factors, side)
    levels = images_last(pixels)
    missing = torch.from_numpy(mean @ (255 - levels).float().view(side * side, -1).numpy())

    def exact(places: Tensor) -> Tensor:
        out, coloured = white[places // missing.shape[1]], true_places(missing.view(-1)[places])
        out[coloured] = _zoomed_at(places[coloured], levels, factors)
        return out

    return images_first(settled(255 - missing, exact).view(levels.shape))


def _zoomed_at(places: Tensor, levels: Tensor, factors: int) -> Tensor:
    """Exact levels at some places of the flattened result, which has the shape (h, w, c, n) of `levels`."""
    side, planes = len(levels), levels[0, 0].numel()
    first, part = (
        torch.stack(some)
        for some in zip(*(filters.zoom_taps(factor, side) for factor in zoom_factors(factors)), strict=True)
    )
    places, first = places.int(), first.int()
    plane, row, column = places % planes, places // planes // side, places // planes % side
    # (factors, places)
    top, left, low, right = (
        table.index_select(1, index) for table in (first, part) for index in (row, column)
    )
    x = to_unit(levels.view(-1), torch.float32)
    corner = ((top * side + left) * planes + plane).view(-1)

    def read(offset: int) -> Tensor:
        upper, lower = (
            x.index_select(0, corner + at).view(low.shape).double() for at in (offset, offset + side * planes)
        )
        return upper * (1 - low) + lower * low

    zoomed = (read(0) * (1 - right) + read(planes) * right).float()
    total = torch.zeros(len(places), dtype=torch.float32)
    for one in zoomed:
        total += one
    return to_levels((x.index_select(0, places) + total) / (factors + 1))


def gaussian_blur(pixels: Tensor, draws: Draws, *, sigma: float) -> Tensor:
    """Gaussian blur."""
    return in_parts(lambda some: images_first(filters.blurred(images_last(some), sigma)), pixels)
