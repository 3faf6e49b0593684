"""Float32 arithmetic: exact where a GPU would round, and the default where nothing is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exact(*, fastest: bool = False) -> Iterator[None]:
    """Context manager for everything that is measured: float32 without TF32 in the convolutions and matrix
    products of a GPU.

    Args:
        fastest: Whether cuDNN times its algorithms and takes the fastest, which pays off if all batches have
            one shape.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark
    cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark = False, False, fastest
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark = before


@contextmanager
def single_precision_by_default() -> Iterator[None]:
    """Tensors of which nothing is said are float32 while this is open, whatever torch.set_default_dtype was
    told.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
