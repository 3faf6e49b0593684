"""The C library's memory: freed memory is kept for the next step, rather than given back and fetched anew."""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache

# The parameters of glibc's mallopt, from malloc.h; for each the environment variable and the tunable by which
# a user sets it, and the values to try. Older versions of glibc refuse more than 32 MiB for the threshold of
# blocks of their own, and without that one the others would do harm: they switch off its adjustment, at 128
# KiB.
_MMAP_THRESHOLD = (-3, "MALLOC_MMAP_THRESHOLD_", "glibc.malloc.mmap_threshold", (2**30, 2**25))
_TRIM_THRESHOLD = (-1, "MALLOC_TRIM_THRESHOLD_", "glibc.malloc.trim_threshold", (2**31 - 1,))
_TOP_PAD = (-2, "MALLOC_TOP_PAD_", "glibc.malloc.top_pad", (2**28,))


@lru_cache(maxsize=1)
def keep_memory() -> None:
    """Let this process keep what it frees, where its C library is glibc.

    A step of training frees some hundred MB and soon asks for as much. glibc sometimes falls into giving them
    back to the system each time: a step of ResNet20 was seen to take up to 1.4 times as long, with six times
    as many page faults. Results do not depend on it, to the bit. To be called before the first large tensors;
    further calls do nothing. What the user has set by ``MALLOC_``... or GLIBC_TUNABLES stays, and other C
    libraries are left alone.
    """
    try:
        libc = ctypes.CDLL(None)
        # glibc alone has it; what others call mallopt takes other numbers
        libc.gnu_get_libc_version  # noqa: B018
        mallopt = libc.mallopt
    except (OSError, AttributeError, TypeError):  # TypeError: Windows has no library without a name
        return
    tunables = {one.partition("=")[0] for one in os.environ.get("GLIBC_TUNABLES", "").split(":")}
    for parameter, variable, tunable, values in (_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD):
        if variable in os.environ or tunable in tunables:
            continue
        if not any(mallopt(parameter, value) for value in values) and parameter == _MMAP_THRESHOLD[0]:
            return
