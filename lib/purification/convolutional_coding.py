"""How many shifted filters an image, or a perturbation, is made of: sparse coding by FISTA under a dictionary
of filters, and the dictionaries that belong to no network.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.base.errors import InputError

_POWERS = 50  # steps of the power iteration; its error only makes steps a little shorter
_SAFETY = 1.02  # how much longer than found the largest eigenvalue is taken to be
_HALVINGS = 18  # of the interval in which the penalty is looked for
_LIVING = 1e-6  # share of the largest coefficient below which a coefficient is zero


def dct_dictionary(side: int, channels: int = 3) -> Tensor:
    """The cosines of a square patch, each in one channel: an orthonormal basis that no network has made.

    Returns:
        (channels · side², channels, side, side) float32, low frequencies first within a channel.

    Raises:
        InputError: For a side or number of channels below 1.
    """
    if side < 1 or channels < 1:
        raise InputError(f"a patch has at least 1 pixel and channel, got side {side}, channels {channels}")
    places = torch.arange(side).double()
    waves = torch.cos(math.pi / side * (places[None] + 0.5) * places[:, None])
    waves = waves / torch.linalg.vector_norm(waves, dim=1, keepdim=True)
    order = sorted(((u, v) for u in range(side) for v in range(side)), key=lambda one: (sum(one), one))
    patches = torch.stack([torch.outer(waves[u], waves[v]) for u, v in order])
    found = torch.zeros(channels, side**2, channels, side, side, dtype=torch.float64)
    for channel in range(channels):
        found[channel, :, channel] = patches
    return found.flatten(0, 1).float()


def patch_dictionary(pixels: Tensor, side: int, atoms: int) -> Tensor:
    """The principal components of all patches of some images, uncentred: a basis of images, not of networks.

    Args:
        pixels: (n, c, h, w) float.
        side: Side of the patches.
        atoms: How many, at most c · side².

    Returns:
        (atoms, c, side, side) float32 of length 1 each, the strongest first.

    Raises:
        InputError: For more atoms than there are dimensions, or patches larger than the images.
    """
    channels = pixels.shape[1]
    if not 1 <= side <= min(pixels.shape[-2:]):
        raise InputError(f"patches of side {side} do not fit images of shape {tuple(pixels.shape[1:])}")
    if not 1 <= atoms <= channels * side**2:
        raise InputError(f"patches of {channels * side**2} numbers have at most so many atoms, got {atoms}")
    patches = F.unfold(pixels.float(), side).transpose(1, 2).flatten(0, 1).double()
    vectors = torch.linalg.eigh(patches.T @ patches)[1].flip(1)[:, :atoms]
    return vectors.T.reshape(atoms, channels, side, side).float()


def colour_share(filters: Tensor) -> Tensor:
    """Share of a filter's squared length that no grey filter explains: 0 where all channels are alike.

    Args:
        filters: (n, channels, side, side) float.

    Returns:
        (n,) float64 in [0, 1]; NaN for a filter of zeros.
    """
    given = filters.double()
    coloured = given - given.mean(1, keepdim=True)
    return coloured.square().sum((1, 2, 3)) / given.square().sum((1, 2, 3))


def strongest_cosine(filters: Tensor) -> Tensor:
    """Share of a filter's squared length in the one wave that holds most of it, over all channels: 1 for a
    filter that is one cosine, about one over the number of pixels for noise.

    Args:
        filters: (n, channels, side, side) float.

    Returns:
        (n,) float64 in [0, 1]; NaN for a filter of zeros.
    """
    given = filters.double()
    waves = dct_dictionary(given.shape[-1], 1)[:, 0].double()
    parts = torch.einsum("nchw,khw->nkc", given, waves).square().sum(2)
    return parts.amax(1) / given.square().sum((1, 2, 3))


def synthesis(codes: Tensor, dictionary: Tensor) -> Tensor:
    """Images that codes stand for: the sum of filters shifted to every place, times their coefficients.

    Args:
        codes: (n, filters, h - side + 1, w - side + 1).
        dictionary: (filters, c, side, side).

    Returns:
        (n, c, h, w).
    """
    return F.conv_transpose2d(codes, dictionary)


def objective(images: Tensor, codes: Tensor, dictionary: Tensor, penalty: float) -> Tensor:
    """(n,) of 1/2 ||x - sum_f w_f * a_f||² + penalty ||a||₁ for each image."""
    residual = (images - synthesis(codes, dictionary)).flatten(1)
    return residual.square().sum(1) / 2 + penalty * codes.flatten(1).abs().sum(1)


def _steepest(dictionary: Tensor, shape: tuple[int, ...]) -> float:
    """The largest eigenvalue of D'D, which bounds a step of gradient descent."""
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(1, dictionary.shape[1], *shape, generator=draws, dtype=torch.float64)
    filters, size = dictionary.double().cpu(), 0.0
    for _ in range(_POWERS):
        if not x.any():  # filters of zeros answer nothing
            break
        x = synthesis(F.conv2d(x / torch.linalg.vector_norm(x), filters), filters)
        size = float(torch.linalg.vector_norm(x))
    return max(size * _SAFETY, 1e-12)


def sparse_codes(
    images: Tensor,
    dictionary: Tensor,
    *,
    penalty: float | Tensor,
    steps: int = 200,
    start: Tensor | None = None,
) -> Tensor:
    """Codes that minimise `objective`, by FISTA (Beck and Teboulle 2009).

    Args:
        images: (n, c, h, w) float.
        dictionary: (filters, c, side, side) float of the same dtype, filters of length 1.
        penalty: >= 0; or (n,), one for each image.
        steps: How many.
        start: Codes to start from; zeros if there are none.

    Returns:
        (n, filters, h - side + 1, w - side + 1), exact zeros included.

    Raises:
        InputError: For filters of other channels or another dtype than the images or larger than they are,
            images that are not finite, or a negative penalty.
    """
    channels, side = dictionary.shape[1], dictionary.shape[-1]
    if images.shape[1] != channels or min(images.shape[-2:]) < side:
        raise InputError(
            f"filters of shape {tuple(dictionary.shape[1:])} do not fit images of shape "
            f"{tuple(images.shape[1:])}"
        )
    if images.dtype != dictionary.dtype:
        raise InputError(f"filters of {dictionary.dtype} do not fit images of {images.dtype}; convert one")
    if not images.isfinite().all():
        raise InputError("images to be coded must be finite numbers, and have NaN or infinite ones")
    weight = torch.as_tensor(penalty, dtype=images.dtype).expand(len(images))[:, None, None, None]
    if not (weight >= 0).all():
        raise InputError(f"a penalty is at least 0, got {float(weight.min())}")
    length = 1 / _steepest(dictionary, tuple(images.shape[-2:]))
    codes = torch.zeros_like(F.conv2d(images, dictionary)) if start is None else start
    ahead, pace = codes, 1.0
    for _ in range(steps):
        slope = F.conv2d(synthesis(ahead, dictionary) - images, dictionary)
        found = ahead - length * slope
        found = found.sign() * (found.abs() - weight * length).clamp(min=0)
        following = (1 + math.sqrt(1 + 4 * pace**2)) / 2
        ahead = found + (pace - 1) / following * (found - codes)
        codes, pace = found, following
    return codes


def sparsity(
    images: Tensor, dictionary: Tensor, *, residual: float = 0.2, steps: int = 100
) -> tuple[Tensor, Tensor]:
    """How many coefficients each image needs under a dictionary, so that a given share of its squared length
    stays unexplained. The penalty that leaves so much is found for each image by halving.

    Args:
        images: (n, c, h, w) float. The scale of an image does not matter.
        dictionary: (filters, c, side, side) float, each filter of length 1.
        residual: Share of the squared length, between 0 and 1.
        steps: Steps of FISTA at each penalty, from the codes of the last one.

    Returns:
        (n,) number of coefficients that are not zero, float, NaN for an image of zeros; and (n,) the share
        that is left unexplained, which is above `residual` where the dictionary cannot do better.

    Raises:
        InputError: For a residual outside of 0 to 1, or filters that do not fit.
    """
    if not 0 < residual < 1:
        raise InputError(f"residual must lie between 0 and 1, got {residual}")
    if not images.isfinite().all():
        raise InputError("images to be coded must be finite numbers, and have NaN or infinite ones")
    sizes = torch.linalg.vector_norm(images.flatten(1), dim=1)
    unit = images / sizes.clamp(min=1e-30)[:, None, None, None]
    most = F.conv2d(unit, dictionary).flatten(1).abs().amax(1)  # from this penalty on all codes are zero
    low, high, codes = torch.zeros_like(most), most, None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        codes = sparse_codes(unit, dictionary, penalty=middle, steps=steps, start=codes)
        left = (unit - synthesis(codes, dictionary)).flatten(1).square().sum(1)
        fits = left <= residual
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    codes = sparse_codes(unit, dictionary, penalty=low, steps=3 * steps, start=codes)
    left = (unit - synthesis(codes, dictionary)).flatten(1).square().sum(1)
    flat = codes.flatten(1).abs()
    alive = (flat > _LIVING * flat.amax(1, keepdim=True)).sum(1).double()
    nothing = sizes == 0
    return alive.masked_fill(nothing, math.nan), left.double().masked_fill(nothing, math.nan)


def high_frequency_share(perturbations: Tensor, *, cutoff: float = 0.25) -> Tensor:
    """Share of the squared length that lies above a spatial frequency.

    Args:
        perturbations: (n, c, h, w) float.
        cutoff: Cycles a pixel, of the length of the frequency's vector; 0.5 is the highest along one side.

    Returns:
        (n,) float64 in [0, 1]; NaN where a perturbation is zero. White noise has `white_share`.
    """
    power = torch.fft.fft2(perturbations.double()).abs().square().sum(1)
    return (power * _above(power.shape[-2:], cutoff)).sum((1, 2)) / power.sum((1, 2))


def white_share(shape: tuple[int, int], *, cutoff: float = 0.25) -> float:
    """The share of white noise, the null of `high_frequency_share`: that of all frequencies above."""
    return float(_above(shape, cutoff).double().mean())


def _above(shape: tuple[int, ...], cutoff: float) -> Tensor:
    up, across = (torch.fft.fftfreq(size, dtype=torch.float64) for size in shape)
    return (up[:, None].square() + across.square()).sqrt() > cutoff
