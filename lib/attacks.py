"""White-box attacks: changes of the pixels, small in the L-infinity norm, that raise a network's loss."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


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
