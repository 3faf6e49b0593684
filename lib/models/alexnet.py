"""A small network in the manner of AlexNet, whose first filters are large enough to be looked at."""

from __future__ import annotations

from torch import Tensor, nn

from lib.models.resnet import Normalize


class AlexNet(nn.Module):
    """Five convolutions, each with batch norm and ReLU, the first of 9x9; then a linear layer on the mean
    over space.

    The paper on feature purification shows first-layer filters of a network that it calls AlexNet, with five
    convolutions and 64 first filters; all else of it is not known, and our choice.
    """

    def __init__(self, classes: int, *, convolutions: tuple[tuple[int, int, int], ...]) -> None:
        """Build the network.

        Args:
            convolutions: Filters, side of the kernel (odd) and stride of each convolution.
        """
        super().__init__()
        self.normalize = Normalize()
        self.depth, inputs = len(convolutions), 3
        for number, (filters, kernel, stride) in enumerate(convolutions, 1):
            convolution = nn.Conv2d(inputs, filters, kernel, stride, padding=kernel // 2, bias=False)
            nn.init.kaiming_normal_(convolution.weight)
            self.add_module(f"conv{number}", convolution)
            self.add_module(f"bn{number}", nn.BatchNorm2d(filters))
            self.add_module(f"relu{number}", nn.ReLU())
            inputs = filters
        self.linear = nn.Linear(inputs, classes)
        nn.init.kaiming_normal_(self.linear.weight)

    def forward(self, pixels: Tensor) -> Tensor:
        h = self.normalize(pixels)
        for number in range(1, self.depth + 1):
            h = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(h))
            h = getattr(self, f"relu{number}")(h)
        return self.linear(h.mean((2, 3)))
