"""Random numbers of a corruption.

All of them come through one small object, so that a test can pass its own.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Draws:
    """Random numbers for a block of images, drawn on the generator's device and moved to the images'.

    Numbers are always drawn for `size` images and kept for the first `n`: what an image gets does not depend
    on how many follow it.
    """

    def __init__(self, generator: torch.Generator, n: int, size: int, device: torch.device) -> None:
        self.generator, self.n, self.size, self.device = generator, n, size, device

    def _kept(self, drawn: Tensor) -> Tensor:
        return drawn[: self.n].to(self.device)

    def normal(self, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """Standard normal numbers, ``(n, *shape)``."""
        return self._kept(
            torch.randn(
                self.size, *shape, dtype=dtype, generator=self.generator, device=self.generator.device
            )
        )

    def uniform(self, low: float, high: float, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """Numbers uniform on [low, high), ``(n, *shape)``."""
        drawn = torch.rand(
            self.size, *shape, dtype=dtype, generator=self.generator, device=self.generator.device
        )
        return self._kept(drawn if (low, high) == (0, 1) else drawn.mul_(high - low).add_(low))

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """Integers uniform on low .. high - 1, ``(n, *shape)`` int64."""
        return self._kept(
            torch.randint(
                low, high, (self.size, *shape), generator=self.generator, device=self.generator.device
            )
        )
