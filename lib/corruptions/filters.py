"""What several corruptions share: levels, borders, Gaussian and motion blur, zoom, HSV. Images are (n, c, h, w) on any device.

Nothing rounds where the reference does not: it cuts fractions of a grey level off, so a difference in the last bit shows as a whole level. Everything is
float64 unless the reference is float32, sums are explicit and in its order, and there is no convolution or matrix product of reduced precision.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


def to_unit(pixels: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
    """uint8 levels to [0, 1]."""
    # a GPU would turn the division by a plain number into a product with its reciprocal, and some levels would come back one lower
    return pixels.to(dtype).div_(torch.tensor(255, dtype=dtype, device=pixels.device))


def to_levels(values: Tensor) -> Tensor:
    """Values, clipped to [0, 1], as uint8 levels: truncated towards zero, as the reference's cast does. Overwrites its argument."""
    return values.clamp_(0, 1).mul_(255).to(torch.uint8)


# ---- Borders ---------------------------------------------------------------------------------------------------------


def edge(index: Tensor, n: int) -> Tensor:
    """aaa|abcd|ddd: positions outside 0 .. n - 1 read the outermost pixel."""
    return index.clamp(0, n - 1)


def half_mirror(index: Tensor, n: int) -> Tensor:
    """cba|abcd|dcb: mirrors lie half a pixel outside. For positions up to 3 n outside: in twos, since a remainder of integers is slow."""
    for _ in range(2):
        index = torch.maximum(index, -1 - index)
        index = torch.minimum(index, 2 * n - 1 - index)
    return index


def whole_mirror(index: Tensor, n: int) -> Tensor:
    """dcb|abcd|cba: mirrors lie on the outermost pixels. For positions up to 3 n - 3 outside."""
    for _ in range(2):
        index = index.abs()
        index = torch.minimum(index, 2 * n - 2 - index)
    return index


def padded(x: Tensor, by: int, border=edge) -> Tensor:
    """(..., h, w) -> (..., h + 2 by, w + 2 by), filled by the border's rule."""
    for dim in (-2, -1):
        n = x.shape[dim]
        x = x.index_select(dim, border(torch.arange(-by, n + by, device=x.device), n))
    return x


# ---- Gaussian blur ---------------------------------------------------------------------------------------------------


def gaussian_weights(sigma: float, truncate: float = 4.0) -> list[float]:
    """The right half of the kernel, centre first; [1.0] where the radius is 0, which changes nothing."""
    radius = int(truncate * sigma + 0.5)
    if not radius:
        return [1.0]
    # numpy's sum has an order of its own; in flat areas the last bit of these decides between a level and the one below
    weights = np.exp(-0.5 / (sigma * sigma) * np.arange(-radius, radius + 1) ** 2)
    return (weights / weights.sum())[radius:].tolist()


def gaussian(x: Tensor, sigma: float, *, truncate: float = 4.0, border=edge) -> Tensor:
    """Separable Gaussian blur: (..., h, w) -> the same, columns first; float32 images are summed in float64 and rounded after each axis."""
    weights = gaussian_weights(sigma, truncate)
    radius = len(weights) - 1
    if radius == 0:
        return x.clone()
    for dim in (-2, -1):
        n = x.shape[dim]
        wide = x.double().index_select(dim, border(torch.arange(-radius, n + radius, device=x.device), n))
        # centre tap, then outer to inner pairs: the reference's order, and with it its last bit
        out = wide.narrow(dim, radius, n) * weights[0]
        for i in range(radius, 0, -1):
            # mul_ and add_, not add_ with alpha, which does not round the product
            out.add_((wide.narrow(dim, radius - i, n) + wide.narrow(dim, radius + i, n)).mul_(weights[i]))
        x = out.to(x.dtype)
    return x


# ---- Motion blur -----------------------------------------------------------------------------------------------------


MOTION_CHUNK = 50  # images: with their borders, more would leave a processor's cache


def motion(levels: Tensor, degrees: Tensor, *, radius: float, sigma: float) -> Tensor:
    """ImageMagick's motion blur, one angle an image: (n, c, h, w) float64 of whole levels, (n,) -> the same.

    One-sided, so it also shifts; the sum goes through ImageMagick's 16-bit quantum before it is cut to a level.
    """
    height, width = levels.shape[-2:]
    taps = 2 * math.ceil(radius) + 1
    weights = [math.exp(-(i * i) / (2.0 * sigma * sigma)) for i in range(taps)]
    total = sum(weights)
    # images sorted by angle: those that read a tap at the same offset lie side by side, and are added in one go
    angle, order = degrees.cpu().deg2rad().sort()
    out = []
    for some, angles in zip(levels.index_select(0, order.to(levels.device)).split(MOTION_CHUNK), angle.split(MOTION_CHUNK), strict=True):
        reads = torch.arange(taps)[:, None]
        down, right = ((reads * part - 0.5).ceil().long() for part in (angles.sin(), angles.cos()))  # (taps, k)
        (first_row, last_row), (first_column, last_column) = ((int(offset.min()), int(offset.max())) for offset in (down, right))
        rows = edge(torch.arange(first_row, height + last_row, device=levels.device), height)
        columns = edge(torch.arange(first_column, width + last_column, device=levels.device), width)
        wide = some.index_select(2, rows).index_select(3, columns)
        value = torch.zeros_like(some)
        for i, weight in enumerate(weights):
            changes = ((down[i].diff() != 0) | (right[i].diff() != 0)).nonzero().flatten() + 1
            starts = [0, *changes.tolist()]
            for start, end in zip(starts, [*starts[1:], len(angles)], strict=True):
                top, left = int(down[i, start]) - first_row, int(right[i, start]) - first_column
                value[start:end].add_(wide[start:end, :, top : top + height, left : left + width], alpha=weight / total)
        out.append(value.mul_(257).add_(0.5).floor_().div_(257).floor_())
    return torch.cat(out).index_select(0, order.argsort().to(levels.device))


# ---- Zoom ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def zoom_matrix(factor: float, n: int) -> Tensor:
    """(n, n) float64: the middle of an axis of n pixels, enlarged `factor` times by linear interpolation between aligned corners, cut to n."""
    block = math.ceil(n / factor)
    first = (n - block) // 2
    large = round(block * factor)
    cut = (large - n) // 2
    position = (torch.arange(cut, cut + n, dtype=torch.float64) * (block - 1)) / (large - 1)
    low = position.floor().clamp(max=block - 2).long()
    part = position - low
    matrix = torch.zeros(n, n, dtype=torch.float64)
    rows = torch.arange(n)
    matrix[rows, first + low] = 1 - part
    matrix[rows, first + low + 1] += part
    return matrix


def zoomed(x: Tensor, factor: float) -> Tensor:
    """(..., n, n) float64 -> the same: its middle, enlarged `factor` times."""
    matrix = zoom_matrix(factor, x.shape[-1]).to(x.device)
    return matrix @ x @ matrix.T


# ---- Colour ----------------------------------------------------------------------------------------------------------


def to_hsv(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation and value, each (n, h, w) in [0, 1], of (n, 3, h, w) RGB in [0, 1]; hue is 0 where there is no colour."""
    red, green, blue = x.unbind(1)
    value = x.amax(1)
    spread = value - x.amin(1)
    grey = spread == 0
    safe = spread.masked_fill(grey, 1)
    # on ties the last of the three counts
    hue = torch.where(blue == value, 4 + (red - green) / safe, torch.where(green == value, 2 + (blue - red) / safe, (green - blue) / safe))
    hue = (hue / 6).remainder_(1).masked_fill_(grey, 0)
    saturation = (spread / value.masked_fill(value == 0, 1)).masked_fill_(grey, 0)
    return hue, saturation, value


def from_hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """The inverse: three of (n, h, w) -> (n, 3, h, w) RGB."""
    sixth = (hue * 6).floor()
    f = hue * 6 - sixth
    p, q, t = value * (1 - saturation), value * (1 - f * saturation), value * (1 - (1 - f) * saturation)
    sector = sixth.remainder(6).long()[None]
    choices = torch.stack([value, q, p, t])
    # which of value, q, p, t is red, green and blue in each of the six sectors
    table = torch.tensor([[0, 1, 2, 2, 3, 0], [3, 0, 0, 1, 2, 2], [2, 2, 3, 0, 0, 1]], device=hue.device)
    return torch.stack([choices.gather(0, channel[sector])[0] for channel in table], 1)
