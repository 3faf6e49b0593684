"""Pictures of what a network looks for: the filters of its first convolution, and an image that excites one
unit most.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.base.errors import InputError, unknown
from lib.models.activations import evaluated, relu_layers, still

# Choices of trzhang0116/feature-contamination (established there), in images of [0, 1].
RATE, TOWARDS_GREY, GREY, LATER = 0.05, 0.01, 0.5, 1.3


def first_filters(network: nn.Module) -> Tensor:
    """Filters of the first convolution as pictures, each stretched to [0, 1] on its own.

    Returns:
        (filters, 3, side, side) float32; grey where a filter is constant.

    Raises:
        InputError: For a network whose first convolution does not see three colours.
    """
    found = [module.weight for module in network.modules() if isinstance(module, nn.Conv2d)]
    if not found or found[0].shape[1] != 3:
        raise InputError("a network without a convolution of three colours has no filters to be seen")
    return _stretched(found[0].detach().float().cpu())


def _stretched(pictures: Tensor) -> Tensor:
    low, high = pictures.amin((1, 2, 3), keepdim=True), pictures.amax((1, 2, 3), keepdim=True)
    spread = high - low
    return torch.where(spread > 0, (pictures - low) / spread.clamp(min=1e-30), GREY)


def maximised(
    network: nn.Module,
    layer: str,
    units: list[int],
    *,
    side: int,
    generator: torch.Generator,
    rounds: int = 10,
    steps: int = 200,
) -> Tensor:
    """Images that excite units of a layer most: Adam from grey with a little noise, raising the mean of a
    unit over space while staying near grey; between rounds a blur, and stretched to [0, 1].

    Args:
        layer: Name of a ReLU, as `models.relu_layers` has it.
        units: Which of its units, one image each.
        side: Side of the images in pixels.
        generator: Draws the first noise, on the CPU; the same one gives two networks the same start.
        rounds, steps: Rounds, and steps of the first one; later ones have 1.3 times as many.

    Returns:
        (units, 3, side, side) float32 in [0, 1], on the CPU.

    Raises:
        InputError: For a layer or unit that there is not, or what is no generator.
    """
    layers = relu_layers(network)
    if layer not in layers:
        raise unknown("layer", layer, layers)
    device, chosen = evaluated(network), torch.tensor(units)
    if not units or chosen.min() < 0:
        raise InputError(f"units must be numbers from 0 on, at least one, got {units}")
    noise = torch.randn(len(units), 3, side, side, generator=generator)
    images = (GREY + 0.01 * noise).to(device)
    kept: dict[str, Tensor] = {}
    hook = layers[layer].register_forward_hook(lambda module, inputs, output: kept.update(now=output))
    try:
        with still(network), torch.inference_mode(False), torch.enable_grad():
            for number in range(rounds):
                images = images.detach().requires_grad_()
                adam = torch.optim.Adam([images], lr=RATE)
                for _ in range(round(steps * (LATER if number else 1))):
                    network(images)
                    if chosen.max() >= kept["now"].shape[1]:
                        raise InputError(
                            f"layer {layer!r} has {kept['now'].shape[1]} units, none is {int(chosen.max())}"
                        )
                    answers = kept["now"][range(len(units)), units].mean((1, 2))
                    far = torch.linalg.vector_norm((images - GREY).flatten(1), dim=1)
                    adam.zero_grad()
                    (TOWARDS_GREY * far - answers).sum().backward()
                    adam.step()
                images = images.detach().clamp(0, 1)
                if number < rounds - 1:
                    # 5x5 box blur; the border repeats its pixels
                    blurred = F.avg_pool2d(F.pad(images, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
                    images = _stretched(blurred)
    finally:
        hook.remove()
    return images.float().cpu()
