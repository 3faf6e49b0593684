"""White-box attacks FGSM and PGD: changes of the pixels, within a small ball, that raise the network's loss.

Sources: Goodfellow et al. 2015 (FGSM), Madry et al. 2018 (PGD). Attacks take any network that maps pixels in
[0, 1] to logits. Modules are attacked in evaluation mode and left in the mode they were in.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from lib.attacks.gradient import pixel_gradient
from lib.attacks.norms import NORMS, Linf
from lib.base.errors import InputError, unknown
from lib.models.activations import Network, check_images, finite, still
from lib.models.fuse import PRECISIONS, folded


def ascend(
    gradient: Callable[[Tensor], Tensor], pixels: Tensor, *, epsilon: float, step_size: float, steps: int
) -> Tensor:
    """Projected gradient ascent: `steps` steps of `step_size` along the sign of the gradient, from the images
    themselves.

    Args:
        gradient: Function from pixels (n, c, h, w) to the gradient of the loss with respect to them, of the
            same shape; called once per step.
        pixels: (n, c, h, w) float in [0, 1], left unchanged.
        epsilon: Radius: every pixel stays within [pixel - epsilon, pixel + epsilon] and within [0, 1].

    Returns:
        The last iterate, as in Madry et al. 2018 without their random start.
    """
    low, high = (pixels - epsilon).clamp(min=0), (pixels + epsilon).clamp(max=1)
    found = pixels
    for _ in range(steps):
        found = (found + step_size * gradient(found).sign()).clamp(low, high)
    return found.detach()


def fgsm_grid(
    network: Network, pixels: Tensor, labels: Tensor, epsilons: Sequence[float]
) -> Iterator[Tensor]:
    """Adversarial images of FGSM for each epsilon, all from one gradient.

    Arguments and result are as in `fgsm`.
    """
    epsilons = [finite("epsilon", epsilon, least=0) for epsilon in epsilons]
    check_images(pixels, labels)
    pixels = pixels.detach()
    with still(network):
        direction = Linf.direction(pixel_gradient(network, labels)(pixels))
    return (Linf.projection(pixels, epsilon)(pixels + epsilon * direction) for epsilon in epsilons)


def fgsm(network: Network, pixels: Tensor, labels: Tensor, epsilon: float = 8 / 255) -> Tensor:
    """Fast gradient sign method: move every pixel by epsilon along the sign of the cross-entropy gradient,
    then clip to [0, 1].

    Args:
        network: Maps float pixels (n, c, h, w) in [0, 1] to logits (n, classes).
        pixels: (n, c, h, w) float32 or float64 in [0, 1], left unchanged.
        labels: (n,) int64, the correct classes.

    Returns:
        The adversarial images, of the same shape and dtype.

    Raises:
        InputError: For images that are not float or leave [0, 1], labels out of range, a negative epsilon.

    References:
        Goodfellow et al. 2015, arXiv 1412.6572.
    """
    return next(fgsm_grid(network, pixels, labels, [epsilon]))


def pgd_path(
    network: Network,
    pixels: Tensor,
    labels: Tensor,
    *,
    epsilon: float = 8 / 255,
    step_size: float = 2 / 255,
    steps: int = 40,
    norm: str = "linf",
    loss: str = "cross-entropy",
    temperature: float = 1.0,
    random_start: bool = False,
    generator: torch.Generator | None = None,
    start: Tensor | None = None,
    precision: str | None = "float32",
) -> Iterator[Tensor]:
    """Iterates of PGD, before the first step and after each one, so that one attack gives the result of every
    smaller number of steps.

    Args:
        start: Images in the ball from which the attack goes on, rather than from `pixels`; the other
            arguments are as in `pgd`.

    Yields:
        Steps + 1 tensors, one at a time.
    """
    epsilon, step_size = finite("epsilon", epsilon, least=0), finite("step_size", step_size, least=0)
    if isinstance(steps, bool) or not isinstance(steps, numbers.Integral) or steps < 0:
        raise InputError(f"steps must be a whole number >= 0, got {steps!r}")
    if norm not in NORMS:
        raise unknown("norm", norm, NORMS)
    if precision is not None and precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if generator is not None and not random_start:
        raise InputError("a generator serves the random start alone; pass random_start=True with it")
    check_images(pixels, labels)
    ball, pixels = NORMS[norm], pixels.detach()
    inside = ball.projection(pixels, epsilon)
    if start is not None and (start.shape != pixels.shape or start.isnan().any()):
        raise InputError(
            f"start must be images of the shape of pixels, {tuple(pixels.shape)}, without NaN; got "
            f"{tuple(start.shape)}"
        )
    x = pixels.clone() if start is None else inside(start.detach().to(pixels.dtype))
    if random_start:
        x = inside(x + epsilon * ball.drawn(pixels, generator).to(pixels.device))
    with still(network):
        followed = network if precision is None else folded(network, pixels, precision=precision)
        gradient = pixel_gradient(followed, labels, loss=loss, temperature=temperature)
    yield x
    for _ in range(steps):
        with still(followed):  # not across the yield: the caller may use the network between two images
            slope = gradient(x)
        x = inside(x + step_size * ball.direction(slope))
        yield x


def pgd(
    network: Network,
    pixels: Tensor,
    labels: Tensor,
    epsilon: float = 8 / 255,
    step_size: float = 2 / 255,
    steps: int = 40,
    norm: str = "linf",
    loss: str = "cross-entropy",
    temperature: float = 1.0,
    random_start: bool = False,
    generator: torch.Generator | None = None,
    precision: str | None = "float32",
) -> Tensor:
    """Projected gradient descent: steps of fixed length that raise the loss, each projected back into the
    ball and into [0, 1].

    Args:
        network: Maps float pixels (n, c, h, w) in [0, 1] to logits (n, classes).
        pixels: (n, c, h, w) float32 or float64 in [0, 1], left unchanged.
        labels: (n,) int64, the correct classes.
        epsilon: Radius of the ball, in pixels of [0, 1].
        norm: "linf", with steps along the sign of the gradient, or "l2", with steps along the gradient scaled
            to length 1.
        loss: "cross-entropy", "margin", or our form of Temperature-PGD's loss, which is the margin for
            T -> 0. "temperature" measures T in standard deviations of an image's logits, so that no scale of
            the logits changes the attack; "logit-temperature" measures it in logits, so that T = 1 goes where
            the cross-entropy goes, without its underflow.
        temperature: T > 0, used by the last two losses alone.
        random_start: Start from a point uniform in the ball, drawn from `generator` or, without one, from
            torch's global generator.
        precision: Of the gradients: "float32" follows a faster copy of the network (`lib.models.fuse`),
            "bfloat16" such a copy in lower precision, None the network itself, which is followed also where
            no copy agrees with it. Steps, ball and result are of the dtype of `pixels` in any case.

    Returns:
        The images after the last step, of the same shape and dtype.

    Raises:
        InputError: For images that are not float or leave [0, 1], labels out of range, or a setting out of
            range.

    References:
        Madry et al. 2018, arXiv 1706.06083; temperature: Tian et al. 2021, arXiv 2105.14240, in a form that
        is ours.
    """
    how = {
        "epsilon": epsilon,
        "step_size": step_size,
        "steps": steps,
        "norm": norm,
        "loss": loss,
        "temperature": temperature,
    }  # type: dict
    for x in pgd_path(
        network, pixels, labels, **how, random_start=random_start, generator=generator, precision=precision
    ):
        last = x
    return last
