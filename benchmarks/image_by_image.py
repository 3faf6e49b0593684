"""The nineteen corruptions one image at a time, as the script behind CIFAR-10-C makes them: what
`lib.corruptions` is timed against and must equal.

Written from the definitions with numpy, scipy, scikit-image, OpenCV and Pillow. Of `lib` it uses the place of
the frost photographs and nothing else.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import DTypeLike
from PIL import Image
from scipy import ndimage, stats
from skimage.color import hsv2rgb, rgb2hsv
from skimage.filters import gaussian

from lib.corruptions import frost as corruptions_frost


class ImageDraws(Protocol):
    """The random numbers of one image.

    An object that also has `poisson(mean)` is asked for shot noise's counts directly.
    """

    def normal(self, *shape: int, dtype: DTypeLike = np.float64) -> np.ndarray: ...

    def uniform(self, low: float, high: float, *shape: int, dtype: DTypeLike = np.float64) -> np.ndarray: ...

    def integers(self, low: int, high: int, *shape: int) -> np.ndarray: ...


class Random:
    """New random numbers for one image after the other, from a numpy generator."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator

    def normal(self, *shape: int, dtype: DTypeLike = np.float64) -> np.ndarray:
        return self.generator.standard_normal(shape, dtype=dtype)

    def uniform(self, low: float, high: float, *shape: int, dtype: DTypeLike = np.float64) -> np.ndarray:
        return self.generator.random(shape, dtype=dtype) * (high - low) + low

    def integers(self, low: int, high: int, *shape: int) -> np.ndarray:
        return self.generator.integers(low, high, shape)

    def poisson(self, mean: np.ndarray) -> np.ndarray:
        return self.generator.poisson(mean)


def corrupt(image: np.ndarray, name: str, parameters: dict[str, float], draws: ImageDraws) -> np.ndarray:
    """One image, uint8 (h, w, 3), under a corruption: a new image of the same shape.

    Args:
        parameters: Of `lib.corruptions.severities.parameters(name, severity, side)`.
    """
    return FUNCTIONS[name](image, draws, **parameters)


# ---- Shared pieces -----------------------------------------------------------------------------------------


def to_levels(y: np.ndarray) -> np.ndarray:
    """[0, 1] to uint8, truncated towards zero."""
    return (np.clip(y, 0, 1) * 255).astype(np.uint8)


def to_unit(image: np.ndarray) -> np.ndarray:
    return image / 255.0


def to_single(image: np.ndarray) -> np.ndarray:
    return np.array(image, dtype=np.float32) / np.float32(255)


def per_pixel(drawn: np.ndarray) -> np.ndarray:
    """Drawn channels first, used channels last."""
    return drawn.transpose(1, 2, 0)


def motion(levels: np.ndarray, degrees: float, radius: float, sigma: float) -> np.ndarray:
    """ImageMagick's motion blur of (h, w) or (h, w, 3) levels: one shifted image per tap."""
    height, width = levels.shape[:2]
    taps = 2 * math.ceil(radius) + 1
    weights = np.exp(-(np.arange(taps) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    wide = np.pad(
        levels.astype(float), [(taps, taps), (taps, taps)] + [(0, 0)] * (levels.ndim - 2), mode="edge"
    )
    angle = math.radians(degrees)
    total = np.zeros(levels.shape)
    for i, weight in enumerate(weights):
        row, column = taps + math.ceil(i * math.sin(angle) - 0.5), taps + math.ceil(i * math.cos(angle) - 0.5)
        total += weight * wide[row : row + height, column : column + width]
    return np.floor(np.floor(257 * total + 0.5) / 257).astype(np.uint8)


def zoomed(x: np.ndarray, factor: float) -> np.ndarray:
    """The middle of (n, n) or (n, n, 3), enlarged."""
    n = len(x)
    block = math.ceil(n / factor)
    first = (n - block) // 2
    middle = x[first : first + block, first : first + block]
    large = ndimage.zoom(middle, (factor, factor, 1)[: x.ndim], order=1)
    cut = (len(large) - n) // 2
    return large[cut : cut + n, cut : cut + n]


# ---- Noise -------------------------------------------------------------------------------------------------


def gaussian_noise(image: np.ndarray, draws: ImageDraws, *, sigma: float) -> np.ndarray:
    noise = per_pixel(draws.normal(3, *image.shape[:2], dtype=np.float32)).astype(float)
    return to_levels(to_unit(image) + sigma * noise)


def shot_noise(image: np.ndarray, draws: ImageDraws, *, rate: float) -> np.ndarray:
    mean = to_unit(image) * rate
    counts = (
        draws.poisson(mean)
        if hasattr(draws, "poisson")
        else stats.poisson.ppf(per_pixel(draws.uniform(0, 1, 3, *image.shape[:2])), mean)
    )
    return to_levels(counts / rate)


def impulse_noise(image: np.ndarray, draws: ImageDraws, *, amount: float) -> np.ndarray:
    hit = per_pixel(draws.uniform(0, 1, 3, *image.shape[:2], dtype=np.float32)) <= amount
    salt = per_pixel(draws.uniform(0, 1, 3, *image.shape[:2], dtype=np.float32)) <= 0.5
    y = to_unit(image)
    y[hit & salt] = 1
    y[hit & ~salt] = 0
    return to_levels(y)


def speckle_noise(image: np.ndarray, draws: ImageDraws, *, sigma: float) -> np.ndarray:
    noise = per_pixel(draws.normal(3, *image.shape[:2], dtype=np.float32)).astype(float)
    x = to_unit(image)
    return to_levels(x + x * sigma * noise)


# ---- Blur --------------------------------------------------------------------------------------------------


def defocus_blur(image: np.ndarray, draws: ImageDraws, *, radius: float, alias_sigma: float) -> np.ndarray:
    right, down = np.meshgrid(np.arange(-8, 9), np.arange(-8, 9))
    kernel = (right**2 + down**2 <= radius**2).astype(np.float32)
    kernel = cv2.GaussianBlur(kernel / kernel.sum(), (3, 3), sigmaX=alias_sigma)
    x = to_unit(image)
    return to_levels(np.stack([cv2.filter2D(x[..., channel], -1, kernel) for channel in range(3)], -1))


def glass_blur(image: np.ndarray, draws: ImageDraws, *, sigma: float, delta: int, passes: int) -> np.ndarray:
    n = len(image)
    span = n - 2 * delta
    levels = (255 * gaussian(to_unit(image), sigma, channel_axis=-1)).astype(np.uint8)
    for _ in range(passes):
        offsets = draws.integers(-delta, delta, span, span, 2)
        for i, row in enumerate(range(n - delta, delta, -1)):
            for j, column in enumerate(range(n - delta, delta, -1)):
                right, down = offsets[i, j]
                levels[row, column] = levels[row + down, column + right]
    return to_levels(gaussian(to_unit(levels), sigma, channel_axis=-1))


def motion_blur(image: np.ndarray, draws: ImageDraws, *, radius: float, sigma: float) -> np.ndarray:
    return motion(image, float(draws.uniform(-45, 45)), radius, sigma)


def zoom_blur(image: np.ndarray, draws: ImageDraws, *, factors: int) -> np.ndarray:
    x = to_single(image)
    total = np.zeros_like(x)
    # number of factors in the ranges of the script
    for factor in np.arange(1, 1 + 0.01 * (factors - 0.5), 0.01):
        total += zoomed(x, factor)
    return to_levels((x + total) / (factors + 1))


def gaussian_blur(image: np.ndarray, draws: ImageDraws, *, sigma: float) -> np.ndarray:
    return to_levels(gaussian(to_unit(image), sigma, channel_axis=-1))


# ---- Weather -----------------------------------------------------------------------------------------------


def snow(
    image: np.ndarray,
    draws: ImageDraws,
    *,
    loc: float,
    scale: float,
    zoom: float,
    threshold: float,
    radius: float,
    sigma: float,
    mix: float,
) -> np.ndarray:
    n = len(image)
    flakes = zoomed(loc + scale * draws.normal(1, n, n)[0], zoom)
    flakes[flakes < threshold] = 0
    layer = motion(to_levels(flakes), float(draws.uniform(-135, -45)), radius, sigma)[..., None] / 255.0
    x = to_single(image)
    grey = cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None]
    x = mix * x + (1 - mix) * np.maximum(x, grey * 1.5 + 0.5)
    return to_levels(x + layer + np.rot90(layer, 2))


FROST_SCALES = {32: 0.2, 64: 0.3}


def frosted(pixels: np.ndarray, draws: ImageDraws, *, image: float, frost: float) -> np.ndarray:
    n = len(pixels)
    file = (
        corruptions_frost.folder()
        / ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")[int(draws.integers(0, 5))]
    )
    picture = cv2.resize(cv2.imread(str(file)), None, fx=FROST_SCALES[n], fy=FROST_SCALES[n])
    row = int(draws.uniform(0, 1) * (picture.shape[0] - n))
    column = int(draws.uniform(0, 1) * (picture.shape[1] - n))
    piece = picture[row : row + n, column : column + n, ::-1]  # OpenCV's order is BGR
    return np.clip(image * pixels + frost * piece, 0, 255).astype(np.uint8)


def plasma(draws: ImageDraws, n: int, decay: float) -> np.ndarray:
    """Diamond-square clouds on a torus, (n, n) in [0, 1]."""
    heights = np.zeros((n, n))
    step, width = n, 100.0
    while step >= 2:
        half = step // 2

        def with_error(sum_of_four: np.ndarray, width: float = width) -> np.ndarray:
            return sum_of_four / 4 + width * draws.uniform(-width, width, *sum_of_four.shape)

        corners = heights[::step, ::step]
        two = corners + np.roll(corners, -1, 0)
        centres = with_error(two + np.roll(two, -1, 1))
        heights[half::step, half::step] = centres
        heights[::step, half::step] = with_error(
            (centres + np.roll(centres, 1, 0)) + (corners + np.roll(corners, -1, 1))
        )
        heights[half::step, ::step] = with_error(
            (centres + np.roll(centres, 1, 1)) + (corners + np.roll(corners, -1, 0))
        )
        step, width = half, width / decay
    heights -= heights.min()
    return heights / heights.max()


def fog(image: np.ndarray, draws: ImageDraws, *, strength: float, decay: float) -> np.ndarray:
    x = to_unit(image)
    most = x.max()
    return to_levels((x + strength * plasma(draws, len(image), decay)[..., None]) * most / (most + strength))


def brightness(image: np.ndarray, draws: ImageDraws, *, shift: float) -> np.ndarray:
    hsv = rgb2hsv(to_unit(image))
    hsv[..., 2] = np.clip(hsv[..., 2] + shift, 0, 1)
    return to_levels(hsv2rgb(hsv))


# ---- Digital -----------------------------------------------------------------------------------------------


def contrast(image: np.ndarray, draws: ImageDraws, *, factor: float) -> np.ndarray:
    x = to_unit(image)
    mean = x.mean((0, 1), keepdims=True)
    return to_levels((x - mean) * factor + mean)


def warp(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(n, n, 3) float32 under an affine map (2, 3) float64, in OpenCV 4's fixed point: 32nds of a pixel.

    OpenCV 5's own warpAffine is exact.
    """
    n = len(x)
    (a, b, c), (d, e, f) = matrix
    scale = 1 / (a * e - b * d)
    a, b, d, e = e * scale, -b * scale, -d * scale, a * scale  # the inverse
    c, f = -a * c - b * f, -d * c - e * f
    at = np.arange(n)
    columns = (np.rint(1024 * (b * at + c))[:, None] + 16 + np.rint(1024 * a * at)).astype(int) >> 5
    rows = (np.rint(1024 * (e * at + f))[:, None] + 16 + np.rint(1024 * d * at)).astype(int) >> 5

    def mirrored(index: np.ndarray) -> np.ndarray:
        index = np.abs(index) % (2 * n - 2)
        return np.minimum(index, 2 * n - 2 - index)

    left, right = mirrored(columns >> 5), mirrored((columns >> 5) + 1)
    top, below = mirrored(rows >> 5), mirrored((rows >> 5) + 1)
    across, down = ((part & 31)[..., None].astype(np.float32) / 32 for part in (columns, rows))
    return (
        x[top, left] * ((1 - down) * (1 - across))
        + x[top, right] * ((1 - down) * across)
        + x[below, left] * (down * (1 - across))
        + x[below, right] * (down * across)
    )


def elastic_transform(
    image: np.ndarray, draws: ImageDraws, *, amplitude: float, sigma: float, affine: float
) -> np.ndarray:
    n = len(image)
    middle, reach = n // 2, n // 3
    corners = np.array(
        [
            [middle + reach, middle + reach],
            [middle + reach, middle - reach],
            [middle - reach, middle - reach],
        ],
        dtype=np.float32,
    )
    moved = corners + draws.uniform(-affine * n, affine * n, 3, 2).astype(np.float32)
    x = warp(to_single(image), cv2.getAffineTransform(corners, moved))
    right, down = (
        (
            gaussian(draws.uniform(-1, 1, n, n), sigma * n, mode="reflect", truncate=3) * (amplitude * n)
        ).astype(np.float32)[..., None]
        for _ in range(2)
    )
    rows, columns, channels = np.meshgrid(np.arange(n), np.arange(n), np.arange(3), indexing="ij")
    return to_levels(
        ndimage.map_coordinates(x, [rows + down, columns + right, channels], order=1, mode="reflect")
    )


def pixelate(image: np.ndarray, draws: ImageDraws, *, factor: float) -> np.ndarray:
    n = len(image)
    small = Image.fromarray(image).resize((int(n * factor), int(n * factor)), Image.Resampling.BOX)
    return np.asarray(small.resize((n, n), Image.Resampling.BOX))


def jpeg_compression(image: np.ndarray, draws: ImageDraws, *, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def saturate(image: np.ndarray, draws: ImageDraws, *, factor: float, shift: float) -> np.ndarray:
    hsv = rgb2hsv(to_unit(image))
    hsv[..., 1] = np.clip(hsv[..., 1] * factor + shift, 0, 1)
    return to_levels(hsv2rgb(hsv))


# ---- Spatter -----------------------------------------------------------------------------------------------


def spatter(
    image: np.ndarray,
    draws: ImageDraws,
    *,
    loc: float,
    scale: float,
    sigma: float,
    threshold: float,
    mix: float,
    kind: int,
) -> np.ndarray:
    x = to_single(image)
    liquid = gaussian(loc + scale * draws.normal(*image.shape[:2]), sigma)
    liquid[liquid < threshold] = 0
    if kind == 0:
        mask = water(((255 * liquid).astype(np.int64) % 256).astype(np.uint8), mix)[..., None]
        return to_levels(x + mask * (np.array([175, 238, 238]) / 255).astype(np.float32))
    mask = gaussian((liquid > threshold).astype(np.float32), mix)[..., None]
    mask[mask < 0.8] = 0
    return to_levels(x * (1 - mask) + mask * (np.array([63, 42, 20]) / 255).astype(np.float32))


def water(drops: np.ndarray, mix: float) -> np.ndarray:
    """How much water lies on each pixel, (h, w) float32 in [0, mix], for drops (h, w) uint8."""
    distance = cv2.distanceTransform(255 - cv2.Canny(drops, 50, 150), cv2.DIST_L2, 5)
    _, distance = cv2.threshold(distance, 20, 20, cv2.THRESH_TRUNC)
    distance = cv2.equalizeHist(cv2.blur(distance, (3, 3)).astype(np.uint8))
    distance = cv2.filter2D(distance, cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
    mask = drops * cv2.blur(distance, (3, 3)).astype(np.float32)
    if mask.any():
        mask /= mask.max()
    return mask * mix


FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "defocus_blur": defocus_blur,
    "glass_blur": glass_blur,
    "motion_blur": motion_blur,
    "zoom_blur": zoom_blur,
    "snow": snow,
    "frost": frosted,
    "fog": fog,
    "brightness": brightness,
    "contrast": contrast,
    "elastic_transform": elastic_transform,
    "pixelate": pixelate,
    "jpeg_compression": jpeg_compression,
    "speckle_noise": speckle_noise,
    "gaussian_blur": gaussian_blur,
    "spatter": spatter,
    "saturate": saturate,
}
