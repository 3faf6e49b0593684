"""Exact float32 arithmetic where a GPU would round."""

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
