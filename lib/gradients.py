"""Gradients of what a network computes with respect to the pixels it is given."""

from __future__ import annotations

import torch
from torch import Tensor

from lib.attacks import Network, check_pixels, still
from lib.folded import folded


def jacobian_norms(network: Network, pixels: Tensor) -> Tensor:
    """Frobenius norm of the Jacobian of the logits with respect to the pixels, image by image: how far an image's logits can be moved.

    network  float pixels (n, c, h, w) in [0, 1] -> logits (n, classes)
    pixels   (n, c, h, w) float in [0, 1]
    returns  (n,) float64, in logits for a change of the pixels of length 1
    raises   InputError for images that are not float or leave [0, 1]
    """
    check_pixels(pixels)
    with still(network):
        function = folded(network, pixels)
        # also where the caller has switched gradients off
        with torch.inference_mode(False), torch.enable_grad():
            x = pixels.detach().clone().requires_grad_()
            # in evaluation mode no image's logits depend on the others: the gradient of a sum over images holds every image's own
            sums = function(x).sum(0)
            squares = [torch.autograd.grad(one, x, retain_graph=True)[0].double().square().sum((1, 2, 3)) for one in sums]
    return torch.stack(squares).sum(0).sqrt()
