"""Exact float32 arithmetic where a GPU would round."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exact(*, fastest: bool = False) -> Iterator[None]:
    """Float32 means float32: no TF32 in a GPU's convolutions and matrix products while this is open. For everything that is measured.

    fastest  let cuDNN time its algorithms and take the fastest: worth it where all batches have one shape
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark
    cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark = False, False, fastest
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark = before
