"""Python processes that need not import what takes seconds: each is forked from a server that has it.

A process is asked for by a *stand-in*, a small program that any other can start as it would start
``python -c``: jupyter_client a kernel, a test a command. The process has the stand-in's environment, folder,
streams and exit code, gets its signals, and dies with it. The standard library's own fork server starts
functions of a program that knows of it, not commands.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_HERE = Path(__file__).parent
# on macOS a process that has loaded its system libraries must not be forked
AVAILABLE = sys.platform == "linux"


class ForkServer:
    """A server of processes, from `with` until its end, which ends them too. It is started by the first
    command that is asked for.
    """

    def __init__(
        self,
        modules: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        patience: float = 5.0,
    ) -> None:
        """Say what processes find imported.

        Args:
            modules: Their names. One that cannot be imported is left to the process that wants it.
            env: The environment in which they are imported; this process's if None. Flags of the interpreter
                that come from it (PYTHONHASHSEED, PYTHONUTF8) are those of all processes.
            cwd: The folder in which they are imported; this process's if None.
            patience: Seconds that one who asks for a process, and does not go on asking, may keep the others
                waiting.
        """
        self._modules, self._env, self._cwd, self._patience = tuple(modules), env, cwd, patience
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        """Make the folder of its socket, which nobody else may enter."""
        self._folder = tempfile.TemporaryDirectory(prefix="fork-", ignore_cleanup_errors=True)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the server, and with it its processes."""
        self._end()
        if self._folder is not None:
            self._folder.cleanup()

    def _end(self) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()  # which the server takes for the end
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def command(self, code: str, *arguments: str) -> list[str]:
        """The command that runs code as ``python -c code *arguments`` would, in a process of this server.

        The server is started where it is not running: at first, and where somebody has killed it.
        """
        assert self._folder is not None, "a ForkServer is used in `with`"
        folder = Path(self._folder.name)
        if self._process is None or self._process.poll() is not None:
            self._end()
            (folder / "socket").unlink(missing_ok=True)
            self._process = subprocess.Popen(
                [sys.executable, str(_HERE / "server.py"), str(folder), str(self._patience), *self._modules],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,  # Ctrl-C is for the stand-ins
            )
        stand_in = [sys.executable, "-I", "-S", str(_HERE / "stand_in.py"), str(folder)]
        return [*stand_in, str(os.getpid()), code, *arguments]
