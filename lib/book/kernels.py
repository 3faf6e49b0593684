"""Where chapters run: kernels of this interpreter that nobody's settings reach, as many as the machine
bears.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lib.base import forkserver, garbage

NAME = "python3"  # the kernel that notebooks name
# set where what a kernel draws is for pages alone: then no figure is drawn a second time, for paper
FOR_PAGES = "CHAPTER_IS_FOR_PAGES"
KERNEL_BYTES = 2**30  # of memory that one kernel takes: torch, pandas, matplotlib and the tables of a chapter

# IPython's kernel without the configuration and startup files of the system and of the environment; those of
# the user lie in IPYTHONDIR. The folder it is started in is off the path while its parts are imported, and
# is left while matplotlib is, which looks there first for a matplotlibrc.
_LAUNCH = f"""
import gc, os, sys
{garbage.SELDOM}
sys.path[:1] = []
sys.modules["debugpy"] = None  # nobody debugs here, and a kernel would load all of it
here = os.getcwd()
os.chdir(os.path.dirname(os.environ["MATPLOTLIBRC"]))
import matplotlib
os.chdir(here)
from IPython.core import application
application.SYSTEM_CONFIG_DIRS.clear()
application.ENV_CONFIG_DIRS.clear()
from ipykernel import kernelapp
kernelapp.launch_new_instance(parent_handle=os.getppid())  # it ends with whoever started it
"""
# what kernels import before a chapter's own imports and while it runs
_USUAL_IMPORTS = (
    "matplotlib", "ipykernel.kernelapp", "matplotlib_inline.backend_inline", "pyarrow.parquet", "scipy.stats",
    "matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf", "matplotlib.backends.backend_svg",
)  # fmt: skip
# 2020-10-14, the day of the paper's first version: what files say of the time they were made
EPOCH = "1602633600"
# what Python, matplotlib and Sphinx take from a user's environment, and pages must not
_DROPPED = (
    "PYTHONSTARTUP",
    "PYTHONINSPECT",
    "PYTHONWARNINGS",
    "PYTHONOPTIMIZE",
    "IPY_TEST_SIMPLE_PROMPT",
)


@contextlib.contextmanager
def environment(**values: str | None) -> Iterator[None]:
    """Set environment variables for the processes that are started meanwhile; None takes one away."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def text_is_utf8() -> dict[str, str]:
    """Environment variables by which a Python that is started reads and writes UTF-8, in whatever locale."""
    return {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8"}


@contextlib.contextmanager
def settled(imports: Sequence[str] = ()) -> Iterator[None]:
    """While open, kernels that are started are this interpreter's, and start as for a user without settings.

    IPython's profiles, configuration and startup files, matplotlib's `matplotlibrc`, kernels that are
    installed elsewhere under the same name, SOURCE_DATE_EPOCH and the encoding of the locale do not reach
    them.

    Args:
        imports: Modules that these kernels import. Where processes can be forked, they are imported once, for
            all kernels.
    """
    with (
        tempfile.TemporaryDirectory(prefix="kernels-", ignore_cleanup_errors=True) as folder,
        forkserver.ForkServer([*_USUAL_IMPORTS, *imports], cwd=Path(folder)) as server,
    ):
        (Path(folder) / "ipython").mkdir()
        (Path(folder) / "matplotlibrc").touch()
        own = {
            "JUPYTER_PATH": folder,  # is looked at first
            "IPYTHONDIR": str(Path(folder, "ipython")),
            "MATPLOTLIBRC": str(Path(folder, "matplotlibrc")),
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # as IPython has it
            "SOURCE_DATE_EPOCH": EPOCH,
            "PYTHONHASHSEED": "0",
        }
        with environment(**dict.fromkeys(_DROPPED), **own, **text_is_utf8()):
            start = [sys.executable, "-c", _LAUNCH]
            if imports and forkserver.AVAILABLE:
                start = server.command(_LAUNCH)
            _write_spec(Path(folder, "kernels", NAME), [*start, "-f", "{connection_file}"])
            yield


def _write_spec(folder: Path, command: list[str]) -> None:
    """Tell Jupyter how a kernel is started."""
    folder.mkdir(parents=True)
    facts = {"argv": command, "display_name": "Python 3", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(facts), encoding="utf-8")


# ---- how many ----------------------------------------------------------------------------------------------


def most() -> int:
    """How many kernels run at once: as many as this process may use cores, and has room for in memory.

    What counts is what a container, a scheduler or `taskset` allows, and not what the machine has.
    """
    from joblib import cpu_count  # counts affinity and quotas

    return max(1, min(cpu_count(), memory() // KERNEL_BYTES))


def memory() -> int:
    """Bytes of memory that this process and those it starts can have: free in the machine, and allowed by the
    control groups that it is in.
    """
    import psutil

    return min([
        psutil.virtual_memory().available,
        *_limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")),
    ])


def _limits(groups: Path, root: Path) -> Iterator[int]:
    """The limits of memory of a process's control groups, of either version, and of all groups above them.

    Args:
        groups: The file that lists the groups.
        root: Where they are mounted. Within a container a group may be mounted as the root itself.
    """
    try:
        lines = groups.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        found = re.fullmatch(r"\d+:([^:]*):(/.*)", line)
        if found and not found[1]:
            top, name = root, "memory.max"
        elif found and "memory" in found[1].split(","):
            top, name = root / "memory", "memory.limit_in_bytes"
        else:
            continue
        place = top / found[2].lstrip("/")
        for folder in {top, place, *(above for above in place.parents if above.is_relative_to(top))}:
            with contextlib.suppress(OSError, ValueError):  # "max", and groups that are mounted elsewhere
                yield int((folder / name).read_text(encoding="utf-8"))
