"""Residual networks whose input is pixels in [0, 1] and whose ReLUs have names."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The code base that the paper's ResNet20 comes from normalises CIFAR-10 with ImageNet's statistics; so do we,
# everywhere.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Normalize(nn.Module):
    """Normalise pixels in [0, 1] to zero mean and unit variance per channel.

    It is part of the network, so that attacks and corruptions work in [0, 1].
    """

    def __init__(self) -> None:
        super().__init__()
        # constants of the code, not of a trained network, hence not in its state
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        return (pixels - self.mean) / self.std  # type: ignore[operator]  # buffers, which are tensors


class CifarBlock(nn.Module):
    """Two 3x3 convolutions and an option-A shortcut: strided subsampling, new channels filled with zeros."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.stride, self.extra = stride, width - inputs

    def shortcut(self, x: Tensor) -> Tensor:
        if self.stride == 1 and not self.extra:
            return x
        before = self.extra // 2
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.extra - before))

    def forward(self, x: Tensor) -> Tensor:
        h = self.relu1(self.bn1(self.conv1(x)))
        h = self.bn2(self.conv2(h))
        return self.relu2(h + self.shortcut(x))


class CifarResNet(nn.Module):
    """He et al.'s ResNet for 32-pixel images: 3x3 stem, three stages of basic blocks, 6 * blocks + 2
    layers.
    """

    def __init__(self, classes: int, *, blocks: int, widths: tuple[int, int, int]) -> None:
        super().__init__()
        self.normalize = Normalize()
        self.conv1 = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        inputs = widths[0]
        for stage, width in enumerate(widths, start=1):
            layer = []
            for block in range(blocks):
                layer.append(CifarBlock(inputs, width, stride=2 if block == 0 and stage > 1 else 1))
                inputs = width
            self.add_module(f"layer{stage}", nn.Sequential(*layer))
        self.linear = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, pixels: Tensor) -> Tensor:
        h = self.relu(self.bn1(self.conv1(self.normalize(pixels))))
        # stages are set by name
        h = self.layer3(self.layer2(self.layer1(h)))  # type: ignore[operator]
        return self.linear(h.mean((2, 3)))


class BasicBlock(nn.Module):
    """torchvision's basic block with a separate ReLU module after each normalisation; in torchvision one
    in-place module is used twice.
    """

    expansion = 1  # outputs for each unit of its width

    def __init__(self, inputs: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        h = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(h + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """torchvision's bottleneck block with three ReLU modules; see `BasicBlock`."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu3 = nn.ReLU()
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        h = self.relu2(self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x))))))
        h = self.bn3(self.conv3(h))
        return self.relu3(h + (x if self.downsample is None else self.downsample(x)))


class TinyImageNetResNet(nn.Module):
    """torchvision's ResNet without the first max-pool, which would leave a 64-pixel image too small.

    Its parameters have torchvision's names and are drawn in torchvision's order, so that a seed gives the
    same initial weights. It is written out because importing torchvision's takes as long as importing torch
    twice, in every process that has anything to do with a network.
    """

    def __init__(self, classes: int, *, block: type[Any], layers: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.normalize = Normalize()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        inputs = 64
        for stage, (count, width) in enumerate(zip(layers, (64, 128, 256, 512), strict=True), start=1):
            stride, outputs, blocks = 1 if stage == 1 else 2, width * block.expansion, []
            for number in range(count):
                strided = stride if number == 0 else 1
                downsample = None
                if strided > 1 or inputs != outputs:
                    convolution = nn.Conv2d(inputs, outputs, 1, strided, bias=False)
                    downsample = nn.Sequential(convolution, nn.BatchNorm2d(outputs))
                blocks.append(block(inputs, width, strided, downsample))
                inputs = outputs
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, pixels: Tensor) -> Tensor:
        h = self.relu(self.bn1(self.conv1(self.normalize(pixels))))
        # stages are set by name
        h = self.layer4(self.layer3(self.layer2(self.layer1(h))))  # type: ignore[operator]
        return self.fc(F.adaptive_avg_pool2d(h, 1).flatten(1))
