"""White-box attacks: changes of the pixels, inside a small ball, that raise a network's loss. FGSM and PGD, in pixels of [0, 1].

Sources: Goodfellow et al. 2015 (FGSM), Madry et al. 2018 (PGD), Carlini & Wagner 2017 (the margin). Attacks take any network that maps pixels to logits;
modules are attacked in evaluation mode, whatever their mode is, and left as they were.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.errors import InputError, unknown
from lib.folded import PRECISIONS, folded

Network = Callable[[Tensor], Tensor]


def ascend(gradient: Callable[[Tensor], Tensor], pixels: Tensor, *, epsilon: float, step_size: float, steps: int) -> Tensor:
    """Projected gradient ascent: `steps` steps of `step_size` along the sign of the gradient, from the images themselves.

    gradient  pixels (n, c, h, w) -> gradient of the loss with respect to them, of the same shape; called once a step
    pixels    (n, c, h, w) float in [0, 1], left unchanged
    epsilon   every pixel stays within [pixel - epsilon, pixel + epsilon] and within [0, 1]
    returns   the last iterate, as in Madry et al. 2018 without their random start
    """
    low, high = (pixels - epsilon).clamp(min=0), (pixels + epsilon).clamp(max=1)
    found = pixels
    for _ in range(steps):
        found = (found + step_size * gradient(found).sign()).clamp(low, high)
    return found.detach()


# ---- Norms: how a ball is stepped through, projected on and drawn from ------------------------------------------------


class Linf:
    """Every pixel by itself."""

    @staticmethod
    def direction(gradient: Tensor) -> Tensor:
        """The step of length 1 that raises a linear function most; 0 where the gradient is 0."""
        return gradient.sign()

    @staticmethod
    def projection(pixels: Tensor, epsilon: float) -> Callable[[Tensor], Tensor]:
        """The nearest point within epsilon of the images and within [0, 1]."""
        low, high = (pixels - epsilon).clamp(min=0), (pixels + epsilon).clamp(max=1)
        return lambda x: x.clamp(low, high)

    @staticmethod
    def drawn(pixels: Tensor, generator: torch.Generator | None) -> Tensor:
        """Uniform in the ball of radius 1, on the generator's device; None: torch's global generator of the CPU."""
        return torch.rand(pixels.shape, dtype=pixels.dtype, generator=generator, device=generator.device if generator else "cpu") * 2 - 1


class L2:
    """Euclidean length of an image's whole change."""

    @staticmethod
    def _length(change: Tensor) -> Tensor:
        """(n, 1, 1, 1); by the largest entry first, since squares of very small or large ones leave float32's range."""
        most = change.abs().amax((1, 2, 3), keepdim=True)
        return most * (change / most.masked_fill(most == 0, 1)).square().sum((1, 2, 3), keepdim=True).sqrt()

    @staticmethod
    def direction(gradient: Tensor) -> Tensor:
        """The gradient at length 1; 0 where it is 0."""
        # by its largest entry first: the length itself of a very small gradient would be rounded to 0
        most = gradient.abs().amax((1, 2, 3), keepdim=True)
        scaled = gradient / most.masked_fill(most == 0, 1)
        length = L2._length(scaled)
        return scaled / length.masked_fill(length == 0, 1)

    @staticmethod
    def projection(pixels: Tensor, epsilon: float) -> Callable[[Tensor], Tensor]:
        """Towards the image until within epsilon of it, then into [0, 1], which brings it no farther away."""

        def inside(x: Tensor) -> Tensor:
            change = x - pixels
            length = L2._length(change)
            return (pixels + torch.where(length > epsilon, change * (epsilon / length.clamp(min=1e-30)), change)).clamp(0, 1)

        return inside

    @staticmethod
    def drawn(pixels: Tensor, generator: torch.Generator | None) -> Tensor:
        """Uniform in the ball of radius 1, on the generator's device."""
        how = {"dtype": pixels.dtype, "generator": generator, "device": generator.device if generator else "cpu"}
        radius = torch.rand(len(pixels), 1, 1, 1, **how) ** (1 / max(pixels.shape[1:].numel(), 1))
        return L2.direction(torch.randn(pixels.shape, **how)) * radius


NORMS = {"linf": Linf, "l2": L2}


# ---- Losses: (n, classes) logits and (n,) labels to (n,) what an attack raises ---------------------------------------


def cross_entropy(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """What networks are trained on, plainly computed: its gradient vanishes in float32 where a network is sure enough of the right class."""
    return F.cross_entropy(logits, labels, reduction="none")


def _others(logits: Tensor, labels: Tensor) -> Tensor:
    """The logits of the wrong classes; minus infinity at the right one."""
    return logits.masked_fill(F.one_hot(labels, logits.shape[1]).bool(), -math.inf)


def margin(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Logit of the strongest wrong class minus that of the right one: above 0 exactly where the image is misclassified."""
    return _others(logits, labels).amax(1) - logits.gather(1, labels[:, None])[:, 0]


def tempered(logits: Tensor, labels: Tensor, temperature: Tensor | float) -> Tensor:
    """T log sum exp(z_k / T) over the wrong classes k, minus the logit of the right one. T is a number, or (n,).

    Our reconstruction of Temperature-PGD's loss: along the gradient of the cross-entropy of z / T, but free of its underflow. T = 1 has the direction of
    the cross-entropy; T -> 0 is the margin; T -> infinity follows all wrong classes alike.
    """
    wrong = _others(logits, labels)
    top = wrong.amax(1)  # subtracted first: divided by a small T, a logit would leave float32's range
    temperature = torch.as_tensor(temperature, dtype=logits.dtype, device=logits.device).clamp(min=torch.finfo(logits.dtype).tiny)
    rest = ((wrong - top[:, None]) / temperature.view(-1, 1)).logsumexp(1)
    return top + temperature * rest - logits.gather(1, labels[:, None])[:, 0]


def relative(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """The same with T in units of the spread of the image's own logits, so that a network whose logits are all multiplied is attacked alike."""
    spread = logits.detach().std(1, correction=0)
    return tempered(logits, labels, temperature * spread.masked_fill(spread == 0, 1))


LOSSES = {"cross-entropy": cross_entropy, "margin": margin, "temperature": relative, "logit-temperature": tempered}


# ---- Arguments -------------------------------------------------------------------------------------------------------


def _number(name: str, value: object, *, least: float) -> float:
    if isinstance(value, Tensor) and value.ndim == 0:
        value = value.item()
    # beyond 1e30, float32 arithmetic has no room
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value) or not least <= value <= 1e30:
        raise InputError(f"{name} must be a finite number >= {least:g}, got {value!r}")
    return float(value)


def check_pixels(pixels: Tensor) -> None:
    """InputError unless these are float images (n, c, h, w) in [0, 1]."""
    if not isinstance(pixels, Tensor) or not pixels.is_floating_point() or pixels.ndim != 4:
        got = f"{pixels.dtype} of shape {tuple(pixels.shape)}" if isinstance(pixels, Tensor) else type(pixels).__name__
        raise InputError(f"attacks take float images (n, c, h, w) in [0, 1], got {got}; uint8 pixels go through lib.models.to_unit first")
    if pixels.numel():
        low, high = pixels.detach().aminmax()
        if not (low >= 0 and high <= 1):  # so is NaN
            raise InputError(f"images must lie in [0, 1], got [{low:g}, {high:g}]; the network normalises, the attack does not")


def _images(pixels: Tensor, labels: Tensor) -> None:
    check_pixels(pixels)
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != pixels.shape[:1]:
        got = f"{labels.dtype} of shape {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise InputError(f"attacks take one int64 label an image, ({len(pixels)},), got {got}")
    if labels.numel() and labels.min() < 0:
        raise InputError(f"labels must be >= 0, got {int(labels.min())}")


def _logits(network: Network, x: Tensor, labels: Tensor) -> Tensor:
    """The network's logits, checked, in float32 at least."""
    logits = network(x)
    if not isinstance(logits, Tensor):
        raise InputError(f"a network must map images to a tensor of logits, got {type(logits).__name__}")
    if logits.ndim != 2 or len(logits) != len(x) or logits.shape[1] < 2:
        raise InputError(f"a network must map {len(x)} images to logits ({len(x)}, classes >= 2), got {tuple(logits.shape)}")
    if labels.numel() and labels.max() >= logits.shape[1]:
        raise InputError(f"labels must be below the network's {logits.shape[1]} classes, got {int(labels.max())}")
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


@contextmanager
def still(network: Network) -> Iterator[Network]:
    """The network in evaluation mode, its parameters asking for no gradients; both as before when it closes. Functions are taken as they are."""
    if not isinstance(network, nn.Module):
        yield network
        return
    modes = {module: module.training for module in network.modules()}
    asking = [parameter for parameter in network.parameters() if parameter.requires_grad]
    try:
        network.eval()
        for parameter in asking:
            parameter.requires_grad_(False)
        yield network
    finally:
        for module, training in modes.items():
            module.training = training
        for parameter in asking:
            parameter.requires_grad_(True)


def pixel_gradient(network: Network, labels: Tensor, *, loss: str = "cross-entropy", temperature: float = 1.0) -> Callable[[Tensor], Tensor]:
    """The function: pixels (n, c, h, w) -> gradient of each image's loss with respect to its own pixels. Entries that are not finite come as 0."""
    if loss not in LOSSES:
        raise unknown("loss", loss, LOSSES)
    if not _number("temperature", temperature, least=0):
        raise InputError("temperature must be above 0, got 0; its limit is the loss 'margin'")

    def gradient(x: Tensor) -> Tensor:
        # also where the caller has switched gradients off
        with torch.inference_mode(False), torch.enable_grad():
            right = labels.clone() if labels.is_inference() else labels
            x = (x.clone() if x.is_inference() else x.detach()).requires_grad_()
            # a sum: in evaluation mode no image's loss depends on the others, and no gradient shrinks with the batch
            total = LOSSES[loss](_logits(network, x, right), right, temperature).sum()
            return torch.autograd.grad(total, x)[0].nan_to_num_(0, 0, 0)

    return gradient


# ---- Attacks ---------------------------------------------------------------------------------------------------------


def fgsm_grid(network: Network, pixels: Tensor, labels: Tensor, epsilons: Sequence[float]) -> Iterator[Tensor]:
    """FGSM's images for each epsilon, all from one gradient; arguments and result as in `fgsm`."""
    epsilons = [_number("epsilon", epsilon, least=0) for epsilon in epsilons]
    _images(pixels, labels)
    pixels = pixels.detach()
    with still(network):
        direction = Linf.direction(pixel_gradient(network, labels)(pixels))
    return (Linf.projection(pixels, epsilon)(pixels + epsilon * direction) for epsilon in epsilons)


def fgsm(network: Network, pixels: Tensor, labels: Tensor, epsilon: float = 8 / 255) -> Tensor:
    """Fast gradient sign method: every pixel moved by epsilon along the sign of the cross-entropy's gradient, and clipped to [0, 1].

    network  float pixels (n, c, h, w) in [0, 1] -> logits (n, classes)
    pixels   (n, c, h, w) float32 or float64 in [0, 1], left unchanged
    labels   (n,) int64, the right classes
    returns  the adversarial images, of the same shape and dtype
    raises   InputError for images that are not float or leave [0, 1], labels out of range, a negative epsilon
    source   Goodfellow et al. 2015, arXiv 1412.6572
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
    """PGD's images before the first step and after each one: steps + 1 tensors, so that one attack answers for every smaller number of steps.

    start  go on from these images, which lie in the ball already, rather than from `pixels`; the rest as in `pgd`
    """
    epsilon, step_size = _number("epsilon", epsilon, least=0), _number("step_size", step_size, least=0)
    if isinstance(steps, bool) or not isinstance(steps, numbers.Integral) or steps < 0:
        raise InputError(f"steps must be a whole number >= 0, got {steps!r}")
    if norm not in NORMS:
        raise unknown("norm", norm, NORMS)
    if precision is not None and precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if generator is not None and not random_start:
        raise InputError("a generator serves the random start alone; pass random_start=True with it")
    _images(pixels, labels)
    ball, pixels = NORMS[norm], pixels.detach()
    inside = ball.projection(pixels, epsilon)
    if start is not None and (start.shape != pixels.shape or start.isnan().any()):
        raise InputError(f"start must be images of the shape of pixels, {tuple(pixels.shape)}, without NaN; got {tuple(start.shape)}")
    x = pixels.clone() if start is None else inside(start.detach())
    if random_start:
        x = inside(x + epsilon * ball.drawn(pixels, generator).to(pixels.device))
    with still(network):
        followed = network if precision is None else folded(network, pixels, precision=precision)
        gradient = pixel_gradient(followed, labels, loss=loss, temperature=temperature)
    yield x
    for _ in range(steps):
        with still(followed):  # not over the yield: who reads the images may use the network meanwhile
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
    """Projected gradient descent: steps of a fixed length that raise the loss, each projected back into the ball and into [0, 1].

    network       float pixels (n, c, h, w) in [0, 1] -> logits (n, classes)
    pixels        (n, c, h, w) float32 or float64 in [0, 1], left unchanged
    labels        (n,) int64, the right classes
    epsilon       radius of the ball, in pixels of [0, 1]
    norm          "linf": steps along the sign; "l2": along the gradient at length 1
    loss          "cross-entropy"; "margin"; or our form of Temperature-PGD's, which for T -> 0 is the margin: "temperature" counts T in spreads
                  (standard deviations) of an image's logits, so that no scale of the logits changes the attack; "logit-temperature" in logits, so that
                  T = 1 goes where the cross-entropy goes, without its underflow
    temperature   T > 0, of these two alone
    random_start  from a point uniform in the ball, drawn from `generator`; without one, from torch's global generator
    precision     of the gradients: "float32" follows a faster copy of the network (`lib.folded`), "bfloat16" such a copy in lower precision, None the
                  network itself, which is followed also where no copy agrees with it. Steps, ball and result are of the dtype of `pixels` in any case
    returns       the images after the last step, of the same shape and dtype
    raises        InputError for images that are not float or leave [0, 1], labels out of range, or a setting out of range
    source        Madry et al. 2018, arXiv 1706.06083; temperature: Tian et al. 2021, arXiv 2105.14240, in a form that is ours
    """
    how = {"epsilon": epsilon, "step_size": step_size, "steps": steps, "norm": norm, "loss": loss, "temperature": temperature}
    for x in pgd_path(network, pixels, labels, **how, random_start=random_start, generator=generator, precision=precision):
        last = x
    return last
