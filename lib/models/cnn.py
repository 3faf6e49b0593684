"""Plain convolutional networks without batch norm, of the papers on certified training."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lib.models.resnet import Normalize


class Cnn(nn.Module):
    """Convolutions, each with a ReLU, then linear layers with a ReLU between them.

    Weights are drawn from a normal distribution with variance 1 over the number of inputs of a unit, biases
    are 0, as published. An image of side s becomes one of side ceil(s / stride); where the zeros that this
    takes cannot be shared out evenly, the last row and column get one more, as in the published networks.

    The ReLUs behind linear layers see (n, units, 1, 1), so that every ReLU layer has a space to be averaged
    over.
    """

    def __init__(
        self, classes: int, *, convolutions: tuple[tuple[int, int, int], ...], hidden: int, side: int
    ) -> None:
        """Build the network.

        Args:
            convolutions: Filters, side of the kernel and stride of each convolution.
            hidden: Units of the linear layer before the last one.
            side: Side of the images in pixels.
        """
        super().__init__()
        self.normalize = Normalize()
        self.pads = []  # zeros (left, right, top, bottom) before each convolution, where they are uneven
        inputs = 3
        for number, (filters, kernel, stride) in enumerate(convolutions, 1):
            outputs = -(-side // stride)
            zeros = max(0, (outputs - 1) * stride + kernel - side)
            even = zeros % 2 == 0
            self.pads.append(() if even else (zeros // 2, zeros // 2 + 1) * 2)
            padding = zeros // 2 if even else 0
            self.add_module(f"conv{number}", nn.Conv2d(inputs, filters, kernel, stride, padding))
            self.add_module(f"relu{number}", nn.ReLU())
            inputs, side = filters, outputs
        self.linear1 = nn.Linear(inputs * side**2, hidden)
        self.relu_linear1 = nn.ReLU()
        self.linear = nn.Linear(hidden, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # each of them has one

    def forward(self, pixels: Tensor) -> Tensor:
        h = self.normalize(pixels)
        for number, zeros in enumerate(self.pads, 1):
            h = F.pad(h, zeros) if zeros else h
            h = getattr(self, f"relu{number}")(getattr(self, f"conv{number}")(h))
        h = self.relu_linear1(self.linear1(h.flatten(1))[:, :, None, None])
        return self.linear(h.flatten(1))
