"""Blur: defocus, glass, motion, zoom and Gaussian. Each takes uint8 (n, 3, h, w) and returns new uint8; sources and severities in the package."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lib.corruptions import filters
from lib.corruptions.draws import Draws
from lib.corruptions.filters import to_levels, to_unit

REACH = 8  # the reference's grid of offsets is 17 x 17


def disc(radius: float, alias_sigma: float) -> Tensor:
    """The defocus kernel, (2 r + 1, 2 r + 1) float32 cropped to what is not 0: a disc whose edge is smoothed."""
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
    """Each point becomes a disc."""
    kernel = disc(radius, alias_sigma)
    reach, (height, width) = len(kernel) // 2, pixels.shape[-2:]
    wide = filters.padded(to_unit(pixels), reach, filters.whole_mirror)
    out = torch.zeros(pixels.shape, dtype=torch.float64, device=pixels.device)
    for row, weights in enumerate(kernel.tolist()):
        for column, weight in enumerate(weights):
            if weight:
                out.add_(wide[..., row : row + height, column : column + width], alpha=weight)
    return to_levels(out)


def glass_sources(offsets: Tensor, side: int, delta: int) -> Tensor:
    """Where each pixel comes from after one pass: (n, rows, columns, 2) offsets (right, down) in the order of the pass -> (n, side * side).

    The pass goes from the last row and column to the first, and copies: the source of a pixel may already have been replaced when it is read.
    """
    n, span = len(offsets), offsets.shape[1]
    device = offsets.device
    at = torch.arange(side - delta, delta, -1, device=device)  # rows, and columns, in the order of the pass
    position = at[:, None] * side + at  # (span, span)
    source = position + offsets[..., 1] * side + offsets[..., 0]
    pointers = torch.arange(side * side, device=device).repeat(n, 1)
    pointers.scatter_(1, position.flatten().expand(n, -1), source.flatten(1))
    if delta == 1:  # no offset is positive: no source has been replaced before it is read
        return pointers
    # A source is already new if the pass has been there: at a larger row, or in the same row at a larger column, within the loop's range.
    place = torch.arange(side * side, device=device)
    visited = torch.zeros(side * side, dtype=torch.bool, device=device).index_fill_(0, position.flatten(), True)
    renewed = visited[pointers] & (pointers > place)
    final = pointers
    follow = torch.where(renewed, pointers, place)  # where a pixel's value was, at the end of the pass: itself, or on
    for _ in range(2 * math.ceil(math.log2(span)) + 1):
        onward = follow.gather(1, follow)
        if torch.equal(onward, follow):
            break
        follow = onward
    return final.gather(1, follow)


def glass_blur(pixels: Tensor, draws: Draws, *, sigma: float, delta: int, passes: int) -> Tensor:
    """Blur, pixels replaced by near ones, blur.

    The reference means to swap two pixels and copies one, and its offsets are -delta .. delta - 1, so the picture drifts; rows and columns
    0 .. delta stay. Both are kept.
    """
    side = pixels.shape[-1]
    levels = to_levels(filters.gaussian(to_unit(pixels), sigma)).flatten(2)
    span = side - 2 * delta
    for _ in range(passes):
        sources = glass_sources(draws.integers(-delta, delta, span, span, 2), side, delta)
        levels = levels.gather(2, sources[:, None].expand(-1, 3, -1))
    return to_levels(filters.gaussian(to_unit(levels.view(pixels.shape)), sigma))


def motion_blur(pixels: Tensor, draws: Draws, *, radius: float, sigma: float) -> Tensor:
    """A trail in one direction, at an angle of its own for each image."""
    degrees = draws.uniform(-45, 45)
    return filters.motion(pixels.double(), degrees, radius=radius, sigma=sigma).to(torch.uint8)


def zoom_blur(pixels: Tensor, draws: Draws, *, factors: int) -> Tensor:
    """The mean of the image and of its enlargements by 1, 1.01, ...; those that change nothing count too, as in the reference."""
    x = to_unit(pixels, torch.float32)
    side = x.shape[-1]
    # rows first: both products with a matrix are then one large product without a copy
    exact = x.permute(2, 0, 1, 3).double().reshape(side, -1)
    total = torch.zeros(exact.shape, device=x.device)
    for j in range(factors):
        # numpy's arange steps by 1.01 - 1, a little more than 0.01: at 1.25 that decides how a size is rounded
        matrix = filters.zoom_matrix(1 + j * (1.01 - 1), side).to(x.device)
        total.add_(((matrix @ exact).view(-1, side) @ matrix.T).view_as(total).float())
    total = total.view(side, -1, 3, side).permute(1, 2, 0, 3)
    return to_levels((x + total) / (factors + 1))


def gaussian_blur(pixels: Tensor, draws: Draws, *, sigma: float) -> Tensor:
    """Gaussian blur."""
    return to_levels(filters.gaussian(to_unit(pixels), sigma))
