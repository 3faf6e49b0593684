"""Filters that several corruptions share: borders, Gaussian and motion blur, zoom.

Images are on any device and, unless said otherwise, (h, w, c, n).

Nothing is rounded where the reference does not round: it cuts off fractions of a grey level, so a difference
in the last bit shows as a whole level. Everything is float64 unless the reference is float32, sums are
explicit and in the order of the reference, and no convolution or matrix product has reduced precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lib.corruptions.layouts import channel_by_channel
from lib.corruptions.quantized import MARGIN, settled, to_levels, to_unit

# ---- Borders -----------------------------------------------------------------------------------------------


def edge(index: Tensor, n: int) -> Tensor:
    """Border `aaa|abcd|ddd`: positions outside 0 .. n - 1 read the outermost pixel."""
    return index.clamp(0, n - 1)


def half_mirror(index: Tensor, n: int) -> Tensor:
    """Border `cba|abcd|dcb`: mirrors lie half a pixel outside.

    It serves positions up to n outside, since a remainder of integers is slow.
    """
    index = torch.maximum(index, -1 - index)
    return torch.minimum(index, 2 * n - 1 - index)


def whole_mirror(index: Tensor, n: int) -> Tensor:
    """Border `dcb|abcd|cba`: mirrors lie on the outermost pixels.

    It serves positions up to 2 n - 2 outside.
    """
    index = index.abs()
    return torch.minimum(index, 2 * n - 2 - index).abs_()


def padded(x: Tensor, by: int, border: Callable[[Tensor, int], Tensor] = edge) -> Tensor:
    """Pad images (h, w, ...) by the border's rule.

    Returns:
        (h + 2 by, w + 2 by, ...)
    """
    for dim in (0, 1):
        n = x.shape[dim]
        x = x.index_select(dim, border(torch.arange(-by, n + by, device=x.device), n))
    return x


# ---- Gaussian blur -----------------------------------------------------------------------------------------


def gaussian_weights(sigma: float, truncate: float = 4.0) -> list[float]:
    """Right half of a Gaussian kernel, centre first; [1.0] where the radius is 0, which changes nothing."""
    radius = int(truncate * sigma + 0.5)
    if not radius:
        return [1.0]
    # numpy's sum has an order of its own; in flat areas the last bit of these decides between a level and the
    # one below
    weights = np.exp(-0.5 / (sigma * sigma) * np.arange(-radius, radius + 1) ** 2)
    return (weights / weights.sum())[radius:].tolist()


def _weighted(taps: Sequence[Tensor] | Tensor, weights: list[float]) -> Tensor:
    """Weighted sum of an odd number of float64 tensors under a symmetric kernel: centre tap first, then pairs
    from outer to inner.

    This is the order of the reference, and gives the same last bit.
    """
    radius = len(weights) - 1
    out = taps[radius] * weights[0]
    pair = torch.empty_like(out)
    for i in range(radius, 0, -1):
        # mul_ and add_, not add_ with alpha, which does not round the product
        out.add_(torch.add(taps[radius - i], taps[radius + i], out=pair).mul_(weights[i]))
    return out


def gaussian(
    x: Tensor, sigma: float, *, truncate: float = 4.0, border: Callable[[Tensor, int], Tensor] = edge
) -> Tensor:
    """Separable Gaussian blur of (h, w, ...), columns first; float32 images are summed in float64 and rounded
    after each axis.
    """
    weights = gaussian_weights(sigma, truncate)
    radius = len(weights) - 1
    if radius == 0:
        return x.clone()
    for dim in (0, 1):
        n = x.shape[dim]
        wide = x.double().index_select(dim, border(torch.arange(-radius, n + radius, device=x.device), n))
        x = _weighted([wide.narrow(dim, i, n) for i in range(2 * radius + 1)], weights).to(x.dtype)
    return x


def blurred(levels: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of uint8 levels (h, w, c, n).

    On a CPU it is computed in float32 by OpenCV, one channel of all images at a time, wherever that gives the
    same level for certain.
    """
    weights = gaussian_weights(sigma)
    if len(weights) == 1:
        return levels
    if levels.device.type != "cpu":
        return to_levels(gaussian(to_unit(levels), sigma))
    import cv2  # half a second to import

    kernel = np.array(weights[:0:-1] + weights)
    sums = partial(
        cv2.sepFilter2D, ddepth=cv2.CV_32F, kernelX=kernel, kernelY=kernel, borderType=cv2.BORDER_REPLICATE
    )
    values = channel_by_channel(sums, levels, torch.float32)
    # along each axis no more than taps + 2 roundings, of at most 2^-17 each
    return settled(values, lambda places: _blurred_at(places, levels, weights), margin=len(kernel) / 2**15)


def _blurred_at(places: Tensor, levels: Tensor, weights: list[float]) -> Tensor:
    """Exact levels at some places of the flattened result, which has the shape (h, w, c, n) of `levels`."""
    height, width = levels.shape[:2]
    planes = levels[0, 0].numel()
    reach = torch.arange(1 - len(weights), len(weights), dtype=torch.int32, device=levels.device)[:, None]
    places = places.int()
    point, plane = places // planes, places % planes
    row, column = edge(point // width + reach, height), edge(point % width + reach, width)  # (taps, places)
    address = (row * (width * planes) + plane)[:, None] + column * planes  # (taps down, taps across, places)
    read = to_unit(levels.view(-1).index_select(0, address.flatten())).view(address.shape)
    return to_levels(_weighted(_weighted(read, weights), weights))


# ---- Motion blur -------------------------------------------------------------------------------------------


def motion(levels: Tensor, degrees: Tensor, *, radius: float, sigma: float) -> Tensor:
    """ImageMagick's motion blur of levels (n, c, h, w) uint8, with one angle per image.

    It is one-sided, so it also shifts. The sum goes through ImageMagick's 16-bit quantum before it is cut to
    a level; sums are float32, and float64 where they come near to the next level.
    """
    taps = 2 * math.ceil(radius) + 1
    weights = torch.tensor(
        [math.exp(-(i * i) / (2.0 * sigma * sigma)) for i in range(taps)], dtype=torch.float64
    )
    weights /= weights.sum()
    # images sorted by angle: those that read a tap at the same offset lie side by side, and are added in one
    # go
    angle, order = degrees.cpu().deg2rad().sort()
    order = order.to(levels.device)
    some = levels.index_select(0, order)
    reads = torch.arange(taps)[:, None]
    # down and right, of (taps, n)
    offsets = torch.stack([(reads * part - 0.5).ceil().long() for part in (angle.sin(), angle.cos())])
    # 257 v + 0.5, cut to a whole number, divided by 257 and cut again is v + 1 / 514, cut
    value = _motion_sums(some, offsets, weights).add_(1 / 514)
    return settled(value, lambda places: _motion_at(places, some, offsets, weights)).index_select(
        0, order.argsort()
    )


def _motion_sums(levels: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """Weighted sums (n, c, h, w) float32 of neighbouring images with similar offsets."""
    (n, c, height, width), on_cpu = levels.shape, levels.device.type == "cpu"
    # the contribution of the last ones is lost in rounding
    used = int((weights.flip(0).cumsum(0).flip(0) > MARGIN / 1000 / 255).sum())
    offsets = offsets[:, :used]
    (first_row, first_column), (last_row, last_column) = (
        offsets.amin((1, 2)).tolist(),
        offsets.amax((1, 2)).tolist(),
    )
    # the first offset is 0
    wide = functional.pad(
        levels.float(), (-first_column, last_column, -first_row, last_row), mode="replicate"
    )
    # a shift of the picture is one of its flattened rows, long and without gaps; what lies between the rows
    # of the result is not used
    line = wide.shape[3]
    span = (height - 1) * line + width
    value = torch.zeros(n, c, height * line, dtype=torch.float32, device=levels.device)
    read, total = wide.view(n * c, -1), value.view(n * c, -1)
    if on_cpu:
        import cv2  # half a second to import

        # hundreds of short steps: slices and sums take half as long as torch's
        read, total = read.numpy(), total.numpy()  # type: ignore[assignment]
    begins = ((offsets[0] - first_row) * line + offsets[1] - first_column).tolist()
    for begin, weight in zip(begins, weights.tolist(), strict=False):
        starts = [0, *(i for i in range(1, n) if begin[i] != begin[i - 1]), n]
        for start, end in pairwise(starts):
            shifted, some = (
                read[start * c : end * c, begin[start] : begin[start] + span],
                total[start * c : end * c, :span],
            )
            if on_cpu:
                cv2.scaleAdd(shifted, weight, some, some)  # type: ignore[call-overload]
            else:
                some.add_(shifted, alpha=weight)
    return value.view(n, c, height, line)[..., :width].contiguous()


def _motion_at(places: Tensor, levels: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """Exact levels at some places of the flattened result."""
    c, height, width = levels.shape[1:]
    column, row, plane = places % width, places // width % height, places // (width * height)
    down, right = offsets.to(levels.device).index_select(2, plane // c)
    read = levels.view(-1)[
        (plane * height + edge(row + down, height)) * width + edge(column + right, width)
    ].double()
    value = torch.zeros(len(places), dtype=torch.float64, device=levels.device)
    for tap, weight in zip(read, weights.tolist(), strict=True):
        value.add_(tap, alpha=weight)
    return value.mul_(257).add_(0.5).floor_().div_(257).int().to(torch.uint8)


# ---- Zoom --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def zoom_taps(factor: float, n: int) -> tuple[Tensor, Tensor]:
    """Positions that are read along an axis of n pixels for its middle, enlarged `factor` times by linear
    interpolation between aligned corners and cut to n.

    Returns:
        The first of two neighbouring pixels (n,) int64, and the weight of the second (n,) float64.
    """
    block = math.ceil(n / factor)
    first = (n - block) // 2
    large = round(block * factor)
    cut = (large - n) // 2
    position = (torch.arange(cut, cut + n, dtype=torch.float64) * (block - 1)) / (large - 1)
    low = position.floor().clamp(max=block - 2).long()
    return first + low, position - low


@lru_cache(maxsize=256)
def zoom_matrix(factor: float, n: int) -> Tensor:
    """The interpolation of `zoom_taps` as a matrix (n, n) float64."""
    first, part = zoom_taps(factor, n)
    matrix = torch.zeros(n, n, dtype=torch.float64)
    rows = torch.arange(n)
    matrix[rows, first] = 1 - part
    matrix[rows, first + 1] += part
    return matrix


def zoomed(x: Tensor, factor: float) -> Tensor:
    """Middle of images (..., n, n) float64, enlarged `factor` times."""
    if factor == 1:
        return x
    matrix = zoom_matrix(factor, x.shape[-1]).to(x.device)
    return matrix @ x @ matrix.T
