"""Chapters are checked as they are published: their kernels are this interpreter's, out of reach of anybody's
settings, find their imports made, and make no networks.
"""

from __future__ import annotations

import contextlib
import os

import pytest

_open = contextlib.ExitStack()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Prepare kernels in each process that is to run chapters."""
    config = session.config
    spread = getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput")
    if not getattr(config.option, "nbval", False) or spread:
        return
    os.environ.setdefault(
        "OMP_NUM_THREADS", "1"
    )  # networks are not trained here, and kernels run side by side
    from lib.book import kernels, notebooks

    _open.enter_context(kernels.settled(notebooks.imports(list(notebooks.sources()))))
    _open.enter_context(kernels.environment(RUNS_FROZEN="1"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End the kernels' server."""
    _open.close()
