"""The stand-in: asks a server for a process, passes signals on to it, and ends as it does. Run as a program,
with the folder of the server's socket, the number of the process that started it, code and arguments.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time

PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCONT", "SIGWINCH")
_SECONDS = 60.0  # for the server to listen


def connected(folder: str, owner: int) -> socket.socket:
    """A connection to the server, which may be about to start."""
    connection = socket.socket(socket.AF_UNIX)
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    end = time.monotonic() + _SECONDS
    while True:
        try:
            connection.connect(f"/proc/self/fd/{place}/socket")
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > end or not os.path.isdir(f"/proc/{owner}"):
                raise
            time.sleep(0.01)
        else:
            os.close(place)
            return connection


def main(folder: str, owner: str, code: str, *arguments: str) -> int:
    """Have the code run.

    Returns:
        The exit code of the process, or minus the signal that ended it.
    """
    request = {
        "code": code,
        "arguments": arguments,
        "folder": os.getcwd(),
        "environment": {
            name.decode("latin-1"): value.decode("latin-1") for name, value in os.environb.items()
        },
    }
    content = json.dumps(request).encode()
    try:
        connection = connected(folder, int(owner))
        socket.send_fds(connection, [len(content).to_bytes(8, "big")], [0, 1, 2])
        connection.sendall(content)
        answers = connection.makefile("r")
        child = json.loads(answers.readline())["process"]
    except (OSError, ValueError) as error:
        print(f"the server of processes has gone: {error}", file=sys.stderr)
        return 1

    def pass_on(number: int, frame: object) -> None:
        for send in (os.killpg, os.kill):  # all of its session, as a terminal would
            with contextlib.suppress(ProcessLookupError):
                send(child, number)
                return

    for name in PASSED_ON:
        signal.signal(getattr(signal, name), pass_on)
    try:
        return int(json.loads(answers.readline())["status"])
    except ValueError:  # without the server nobody would know of the process
        pass_on(signal.SIGKILL, None)
        return 1


if __name__ == "__main__":
    _status = main(*sys.argv[1:])
    if _status < 0:  # ended by a signal: so is this
        signal.signal(-_status, signal.SIG_DFL) if -_status not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -_status)
    sys.exit(abs(_status))
