"""Temperature-PGD between PGD on the cross-entropy (T = 1) and PGD on the margin (T → 0), all from one start.

The published formula is not known to us. Ours divides the logits by T in the cross-entropy. Only the mix of
wrong classes in its gradient depends on T, so there is a form of the loss with the same direction that never
underflows: the safe one. The plain one is what one would write first; in float32 its gradient is 0 where a
network is confident, and the attack stops there.

Sources: Tian et al. 2021, arXiv 2105.14240 (the idea); Carlini & Wagner 2017, arXiv 1608.04644 (the margin).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.attacks.ascent import pgd_path
from lib.attacks.gradient import logits_of, pixel_gradient
from lib.attacks.norms import Linf
from lib.base.errors import InputError, unknown
from lib.models.activations import Network, check_images, finite, still


def plain(logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of logits / T in the precision of the logits: (n, classes), (n,) int64 -> (n,).

    In float32 its gradient loses the correct class once that leads by more than about 17 T, and is 0
    altogether beyond about 100 T.
    """
    return F.cross_entropy(logits / temperature, labels, reduction="none")


def plain_gradient(
    network: Network, labels: Tensor, *, temperature: float = 1.0
) -> Callable[[Tensor], Tensor]:
    """Make the function from pixels (n, c, h, w) to the gradient of each image's plain loss with respect to
    its own pixels; entries that are not finite become 0.
    """

    def gradient(x: Tensor) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            right = labels.clone() if labels.is_inference() else labels
            x = (x.clone() if x.is_inference() else x.detach()).requires_grad_()
            total = plain(logits_of(network, x, right), right, temperature).sum()
            return torch.autograd.grad(total, x)[0].nan_to_num_(0, 0, 0)

    return gradient


def safe_gradient(
    network: Network, labels: Tensor, *, temperature: float = 1.0
) -> Callable[[Tensor], Tensor]:
    """The same of the safe loss, T log sum exp(z_k / T) over the wrong classes k minus the correct logit."""
    return pixel_gradient(network, labels, loss="logit-temperature", temperature=temperature)


GRADIENTS = {"safe": safe_gradient, "plain": plain_gradient}


def random_start(pixels: Tensor, epsilon: float, generator: torch.Generator | None) -> Tensor:
    """A point uniform in the L-infinity ball around each image, clipped to [0, 1]: where attacks that are to
    be compared all begin.

    Args:
        pixels: (n, c, h, w) float in [0, 1], left unchanged.
        generator: Source of the point; None stands for torch's global one.

    Returns:
        (n, c, h, w), of the dtype and on the device of `pixels`.
    """
    moved = pixels + epsilon * Linf.drawn(pixels, generator).to(pixels.device)
    return Linf.projection(pixels, epsilon)(moved)


def temperature_pgd(
    network: Network,
    pixels: Tensor,
    labels: Tensor,
    temperature: float = 1.0,
    epsilon: float = 8 / 255,
    step_size: float = 2 / 255,
    steps: int = 20,
    form: str = "safe",
    start: Tensor | None = None,
) -> Tensor:
    """Temperature-PGD in the L-infinity ball.

    Args:
        network: Maps float pixels (n, c, h, w) in [0, 1] to logits (n, classes).
        pixels: (n, c, h, w) float32 or float64 in [0, 1], left unchanged.
        labels: (n,) int64, the correct classes.
        temperature: T > 0, in logits. T = 1 is PGD on the cross-entropy, T -> 0 PGD on the margin, and
            T -> infinity follows all wrong classes alike. Logits times s at T are logits at T / s.
        form: "safe", or "plain" for the cross-entropy of logits / T, which underflows.
        start: Images in the ball from which the attack goes on; None for `pixels`.

    Returns:
        The images after the last step, of the same shape and dtype.

    Raises:
        InputError: As `lib.attacks.pgd`, and for an unknown form.

    Example:
        >>> import torch
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
        >>> x, y = torch.rand(2, 3, 2, 2), torch.tensor([0, 2])
        >>> bool(((temperature_pgd(network, x, y, temperature=0.2) - x).abs() <= 8 / 255 + 1e-6).all())
        True
    """
    if form not in GRADIENTS:
        raise unknown("form", form, GRADIENTS)
    if not finite("temperature", temperature, least=0):
        raise InputError("temperature must be above 0, got 0; its limit is margin_pgd")
    how = {"epsilon": epsilon, "step_size": step_size, "steps": steps}  # type: dict
    if form == "safe":
        how |= {"loss": "logit-temperature", "temperature": temperature}
        *_, found = pgd_path(network, pixels, labels, **how, start=start, precision=None)
        return found
    check_images(pixels, labels)
    x = next(pgd_path(network, pixels, labels, **how, start=start, precision=None))
    inside = Linf.projection(pixels.detach(), epsilon)
    with still(network):
        gradient = plain_gradient(network, labels, temperature=temperature)
        for _ in range(steps):
            x = inside(x + step_size * Linf.direction(gradient(x)))
    return x


def margin_pgd(
    network: Network,
    pixels: Tensor,
    labels: Tensor,
    epsilon: float = 8 / 255,
    step_size: float = 2 / 255,
    steps: int = 20,
    start: Tensor | None = None,
) -> Tensor:
    """PGD on the margin, the largest wrong logit minus the correct one: the limit of `temperature_pgd` as
    T -> 0. Arguments, result and errors are those of `temperature_pgd`.
    """
    how = {"epsilon": epsilon, "step_size": step_size, "steps": steps, "loss": "margin"}  # type: dict
    *_, found = pgd_path(network, pixels, labels, **how, start=start, precision=None)
    return found
