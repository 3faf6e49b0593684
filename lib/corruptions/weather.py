"""Weather: snow, frost, fog, brightness and spatter.

Each takes uint8 (n, 3, h, w) and returns new uint8; sources and severities in the package.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lib.corruptions import filters
from lib.corruptions import frost as corruptions_frost
from lib.corruptions.colour import with_hsv
from lib.corruptions.draws import Draws
from lib.corruptions.layouts import images_first, images_last, in_parts, transposed
from lib.corruptions.quantized import cleared_below, cut, to_levels, to_unit


def snow(
    pixels: Tensor,
    draws: Draws,
    *,
    loc: float,
    scale: float,
    zoom: float,
    threshold: float,
    radius: float,
    sigma: float,
    mix: float,
) -> Tensor:
    """Snow: flakes, drawn out by the wind, over a whitened image; the same layer is added a second time,
    turned by 180 degrees.
    """
    side = pixels.shape[-1]
    flakes = cleared_below(filters.zoomed(draws.normal(1, side, side) * scale + loc, zoom), threshold)
    degrees = draws.uniform(-135, -45)
    layer = filters.motion(to_levels(flakes), degrees, radius=radius, sigma=sigma)

    def snowed(some: Tensor, layer: Tensor) -> Tensor:
        x, layer = to_unit(some, torch.float32), to_unit(layer)
        red, green, blue = x.split(1, 1)
        grey = (green * 0.587).add_(red, alpha=0.299).add_(blue, alpha=0.114)
        white = torch.maximum(x, grey.mul_(1.5).add_(0.5)).mul_(1 - mix)
        return to_levels(x.mul_(mix).add_(white).double().add_(layer).add_(layer.flip(2, 3)))

    return in_parts(snowed, pixels, layer)


def frost(pixels: Tensor, draws: Draws, *, image: float, frost: float) -> Tensor:
    """Frost: a piece of a photograph of frost added to the image.

    The last of the reference's six photographs is never used, here as there.
    """
    side = pixels.shape[-1]
    pictures = [picture.numpy() for picture in corruptions_frost.frost(side)]
    which = draws.integers(0, len(pictures))
    # a row and a column of a picture whose size follows from the first draw: a fraction of what there is
    down, right = draws.uniform(0, 1), draws.uniform(0, 1)
    # cut out by numpy on the CPU, image by image: torch would look up every point by itself
    pieces = np.empty(pixels.shape, dtype=np.uint8)
    for piece, number, low, across in zip(pieces, which.tolist(), down.tolist(), right.tolist(), strict=True):
        picture = pictures[number]
        # the last possible row and column are left out, as in the reference
        row, column = int(low * (picture.shape[1] - side)), int(across * (picture.shape[2] - side))
        piece[:] = picture[:, row : row + side, column : column + side]

    def covered(some: Tensor, piece: Tensor) -> Tensor:
        return cut(some.double().mul_(image).add_(piece.double().mul_(frost)).clamp_(0, 255))

    return in_parts(covered, pixels, torch.from_numpy(pieces).to(pixels.device))


def plasma(draws: Draws, side: int, decay: float) -> Tensor:
    """Diamond-square clouds on a torus, (n, side, side) float64 in [0, 1]; `side` is a power of two.

    The amplitude of a step is the square of the number that shrinks by `decay`, since the reference
    multiplies by it twice.
    """
    height = None  # (side, side, n): neighbouring images, not every other point of one, lie side by side
    step, wibble = side, 100.0
    while step >= 2:
        half, cells = step // 2, side // step

        def wibbled(total: Tensor | None, cells: int = cells, wibble: float = wibble) -> Tensor:
            drawn = (
                transposed(draws.uniform(-wibble, wibble, cells, cells).flatten(1))
                .view(cells, cells, -1)
                .mul_(wibble)
            )
            return drawn if total is None else drawn.add_(total.div_(4))

        if height is None:
            centre = wibbled(None)
            height = torch.zeros(side, side, centre.shape[-1], dtype=torch.float64, device=centre.device)
            height[half::step, half::step] = centre
        else:
            corners = height[::step, ::step]
            pairs = corners + corners.roll(-1, 0)
            height[half::step, half::step] = wibbled(pairs + pairs.roll(-1, 1))
        corners, centres = height[::step, ::step], height[half::step, half::step]
        top = wibbled((centres + centres.roll(1, 0)).add_(corners + corners.roll(-1, 1)))
        left = wibbled((centres + centres.roll(1, 1)).add_(corners + corners.roll(-1, 0)))
        height[::step, half::step], height[half::step, ::step] = top, left
        step, wibble = half, wibble / decay
    # the loop has set it
    height.sub_(height.amin((0, 1)))  # type: ignore[union-attr]
    return images_first(height.div_(height.amax((0, 1)))[:, :, None])[:, 0]  # type: ignore[union-attr]


def fog(pixels: Tensor, draws: Draws, *, strength: float, decay: float) -> Tensor:
    """Fog: clouds are added, and the image is darkened so that no value exceeds its own brightest one."""

    def fogged(some: Tensor, clouds: Tensor) -> Tensor:
        most = to_unit(some.amax((1, 2, 3), keepdim=True))
        return to_levels(to_unit(some).add_(clouds[:, None] * strength).mul_(most).div_(most + strength))

    return in_parts(fogged, pixels, plasma(draws, pixels.shape[-1], decay))


def brightness(pixels: Tensor, draws: Draws, *, shift: float) -> Tensor:
    """Brightness: raise the value in HSV."""
    return in_parts(
        lambda some: with_hsv(some, lambda saturation, value: (saturation, value.add_(shift).clamp_(0, 1))),
        pixels,
    )


# ---- Spatter -----------------------------------------------------------------------------------------------

WATER, MUD = (175, 238, 238), (63, 42, 20)  # RGB; 175, 238, 238 is meant to be pale turquoise


def water_masks(drops: Tensor, mix: float) -> Tensor:
    """Amount of water on each pixel, from drops (n, h, w) uint8.

    Computed by OpenCV on the CPU. Operations that treat every point alike take the images as the channels of
    one picture.

    Returns:
        (n, h, w) float32 in [0, mix]; 0 on images where no drop fell.
    """
    import cv2  # half a second to import, so only where it is used

    n, height, width = drops.shape

    def last(x: np.ndarray) -> np.ndarray:
        return cv2.transpose(x.reshape(n, -1)).reshape(height, width, n)

    def first(x: np.ndarray) -> np.ndarray:
        return cv2.transpose(x.reshape(-1, n)).reshape(n, height, width)

    levels = last(drops.numpy())
    # edges of all images in one tall picture: between them a row without a slope
    slopes = np.zeros((2, n, height + 1, width), dtype=np.int16)
    for slope, direction in zip(slopes, ((1, 0), (0, 1)), strict=True):
        slope[:, :height] = first(cv2.Sobel(levels, cv2.CV_16S, *direction, borderType=cv2.BORDER_REPLICATE))
    # two slopes, which the number of dimensions does not show
    edges = cv2.Canny(*slopes.reshape(2, -1, width), 50, 150).reshape(n, -1, width)[:, :height]  # type: ignore[call-overload]
    distance = last(np.stack([cv2.distanceTransform(one, cv2.DIST_L2, 5) for one in 255 - edges]))
    distance = first(cv2.blur(np.minimum(distance, 20), (3, 3)).astype(np.uint8))
    distance = last(np.stack([cv2.equalizeHist(one) for one in distance]))
    distance = cv2.filter2D(distance, cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
    masks = levels * cv2.blur(distance, (3, 3)).reshape(levels.shape).astype(np.float32)
    most = masks.max((0, 1))
    return torch.from_numpy(first(masks / np.where(most, most, 1) * np.float32(mix)))


def _blurred(fields: Tensor, sigma: float) -> Tensor:
    return images_first(filters.gaussian(images_last(fields[:, None]), sigma))[:, 0]


def spatter(
    pixels: Tensor,
    draws: Draws,
    *,
    loc: float,
    scale: float,
    sigma: float,
    threshold: float,
    mix: float,
    kind: int,
) -> Tensor:
    """Spatter: drops of water (kind 0) or mud (kind 1). For mud, `mix` is the width of a Gaussian."""
    side = pixels.shape[-1]
    liquid = _blurred(draws.normal(side, side) * scale + loc, sigma)
    x = to_unit(pixels, torch.float32)
    colour = (
        (torch.tensor(MUD if kind else WATER, dtype=torch.float64) / 255)
        .float()
        .view(3, 1, 1)
        .to(pixels.device)
    )
    if kind:
        mask = cleared_below(_blurred((liquid > threshold).float(), mix), 0.8)[:, None]
        return to_levels(x * (1 - mask) + mask * colour)
    # Values above 1 wrap around, as in the reference: a cast of an integer, since that of a float outside the
    # range is undefined
    drops = cleared_below(liquid, threshold).mul_(255).int().bitwise_and_(255).to(torch.uint8).cpu()
    mask = in_parts(lambda some: water_masks(some, mix), drops).to(pixels.device)[:, None]
    return to_levels(x + mask * colour)
