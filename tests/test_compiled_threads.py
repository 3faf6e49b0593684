"""Compiled code has a number of threads written into it: that of another number is not taken from the disk."""

import pytest
import torch

from lib.runs import threads
from lib.training import engine


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, while it compiles
def test_code_for_two_threads_is_not_found_again_by_one(tmp_path, monkeypatch):
    if trouble := engine._lacking("cpu"):
        pytest.skip(trouble)
    from torch._dynamo.utils import counters
    from torch._inductor import config

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(config.cpp, "threads", config.cpp.threads)
    before = torch.get_num_threads()

    def found(number: int) -> int:
        torch._dynamo.reset()
        counters.clear()
        torch.set_num_threads(number)
        threads.into_compiled_code()
        torch.compile(lambda x: (2 * x + 1).sum(), dynamic=False)(torch.ones(1000, 1000))
        return counters["inductor"]["fxgraph_cache_hit"]

    try:
        assert [found(number) for number in (2, 1, 1, 2)] == [0, 0, 1, 1]
    finally:
        torch.set_num_threads(before)
        torch._dynamo.reset()
