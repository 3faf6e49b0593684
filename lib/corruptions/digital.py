"""Digital: contrast, elastic transform, pixelation, JPEG and saturation. Each takes uint8 (n, 3, h, w) and returns new uint8; sources in the package."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torchvision.io import decode_jpeg, encode_jpeg

from lib.corruptions import filters
from lib.corruptions.draws import Draws
from lib.corruptions.filters import half_mirror, to_levels, to_unit, whole_mirror


def contrast(pixels: Tensor, draws: Draws, *, factor: float) -> Tensor:
    """Each channel drawn towards its mean over the image."""
    x = to_unit(pixels)
    # pixel after pixel, as numpy adds over the first two of three dimensions: in flat images the last bit of the mean decides
    mean = (x.flatten(2).cumsum(2)[..., -1:] / (x.shape[2] * x.shape[3]))[..., None]
    return to_levels((x - mean) * factor + mean)


def saturate(pixels: Tensor, draws: Draws, *, factor: float, shift: float) -> Tensor:
    """HSV's saturation scaled and shifted. Grey has hue 0, so a shift tints it red."""
    hue, saturation, value = filters.to_hsv(to_unit(pixels))
    return to_levels(filters.from_hsv(hue, (saturation * factor + shift).clamp_(0, 1), value))


# ---- Elastic transform -----------------------------------------------------------------------------------------------


def _looked_up(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """x (n, side, side, 3) at whole positions (n, side, side): the same shape."""
    n, side = x.shape[:2]
    first = torch.arange(0, n * side * side, side * side, device=x.device).view(n, 1, 1)
    return x.reshape(-1, 3).index_select(0, (rows * side + columns).add_(first).flatten()).view(x.shape)


def warp(x: Tensor, corners: Tensor) -> Tensor:
    """The affine map that moves three points by `corners` (n, 3, 2: right, down; float32): (n, side, side, 3) float32 -> the same.

    OpenCV 4's fixed point, in 32nds of a pixel; OpenCV 5 computes this in floating point.
    """
    side = x.shape[1]
    middle, reach = side // 2, side // 3
    points = torch.tensor([[middle + reach, middle + reach], [middle + reach, middle - reach], [middle - reach, middle - reach]], dtype=torch.float32)
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
        rows = (1024 * (per_row[:, None] * at + shift[:, None])).round()[:, :, None]
        columns = (1024 * per_column[:, None] * at).round()[:, None]
        return (rows + 16 + columns).long() >> 5

    column, row = fixed(i1, b1, i0), fixed(i4, b2, i3)
    left, top = column >> 5, row >> 5
    right_part, low_part = (column & 31).float()[..., None] / 32, (row & 31).float()[..., None] / 32
    left, right, top, below = (whole_mirror(index, side) for index in (left, left + 1, top, top + 1))
    out = _looked_up(x, top, left) * ((1 - low_part) * (1 - right_part))
    out += _looked_up(x, top, right) * ((1 - low_part) * right_part)
    out += _looked_up(x, below, left) * (low_part * (1 - right_part))
    return out.add_(_looked_up(x, below, right) * (low_part * right_part))


def displaced(x: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """x (n, side, side, 3) float32 read at positions that lie `right` and `down` (n, side, side) away, bilinearly, in float64 inside."""
    side = x.shape[1]
    at = torch.arange(side, dtype=torch.float64, device=x.device)
    rows, columns = at[:, None] + down, at + right
    top, left = rows.floor(), columns.floor()
    low_part, right_part = (rows - top)[..., None], (columns - left)[..., None]
    top, left = top.long(), left.long()
    top, below, left, onward = (half_mirror(index, side) for index in (top, top + 1, left, left + 1))
    # float32 values times float64 weights are float64
    upper = (_looked_up(x, top, left) * (1 - right_part)).add_(_looked_up(x, top, onward) * right_part)
    lower = (_looked_up(x, below, left) * (1 - right_part)).add_(_looked_up(x, below, onward) * right_part)
    return upper.mul_(1 - low_part).add_(lower.mul_(low_part)).float()


def elastic_transform(pixels: Tensor, draws: Draws, *, amplitude: float, sigma: float, affine: float) -> Tensor:
    """A random affine map, then a smooth random displacement of every pixel. Lengths are in sides of the image."""
    side = pixels.shape[-1]
    warped = warp(to_unit(pixels.permute(0, 2, 3, 1).contiguous(), torch.float32), draws.uniform(-affine * side, affine * side, 3, 2).float())
    fields = []
    for _ in range(2):  # right, then down
        field = filters.gaussian(draws.uniform(-1, 1, side, side), sigma * side, truncate=3, border=half_mirror)
        fields.append((field * (amplitude * side)).float())
    return to_levels(displaced(warped, *fields)).permute(0, 3, 1, 2).contiguous()


# ---- Pixelation ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def box_weights(before: int, after: int) -> tuple[Tensor, Tensor]:
    """Pillow's box filter along an axis: for each of `after` positions its sources and their weights in 2^-22, both (taps, after); unused taps weigh 0."""
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
    """Pillow's box filter along one dimension: uint8 -> uint8."""
    sources, weights = (table.to(levels.device) for table in box_weights(levels.shape[dim], after))
    if len(sources) == 1:  # each position copies one pixel
        return levels.index_select(dim, sources[0])
    shape = [1] * levels.ndim
    shape[dim] = after
    total = torch.full((), 2**21, dtype=torch.int32, device=levels.device)
    for source, weight in zip(sources, weights, strict=True):
        total = total + levels.index_select(dim, source).int() * weight.view(shape)
    return (total >> 22).clamp_(0, 255).to(torch.uint8)


def pixelate(pixels: Tensor, draws: Draws, *, factor: float) -> Tensor:
    """Made smaller and larger again with Pillow's box filter."""
    side = pixels.shape[-1]
    small = box_resized(box_resized(pixels, int(side * factor), 3), int(side * factor), 2)
    return box_resized(box_resized(small, side, 3), side, 2)


# ---- JPEG ------------------------------------------------------------------------------------------------------------


def jpeg_compression(pixels: Tensor, draws: Draws, *, quality: int) -> Tensor:
    """A JPEG's encoding and decoding, image by image on the CPU; torchvision's libjpeg gives Pillow's pixels."""
    made = [decode_jpeg(encode_jpeg(image, quality=int(quality))) for image in pixels.cpu()]
    return torch.stack(made).to(pixels.device)
