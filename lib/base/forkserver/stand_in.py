"""The stand-in: asks a server for a process, passes signals on to it, and ends as it does. Run as a program,
with the folder of the server's socket, the number of the process that started it, code and arguments.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
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
        except FileNotFoundError:  # where nobody listens at a socket that is there, the server was killed
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
    # A signal that comes in between waits until it is known whom it is for, and ends a wait that has begun.
    woken, wake = socket.socketpair()
    woken.setblocking(False)
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    numbers = [getattr(signal, name) for name in PASSED_ON]
    held = bytearray()
    try:
        connection = connected(folder, int(owner))
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        socket.send_fds(connection, [len(content).to_bytes(8, "big")], [0, 1, 2])
        connection.sendall(content)
        child = answer(connection, held, woken)["process"]
    except (OSError, ValueError) as error:
        print(f"the server of processes has gone: {error}", file=sys.stderr)
        return 1

    def pass_on(number: int, frame: object) -> None:
        for send in (os.killpg, os.kill):  # all of its session, as a terminal would
            with contextlib.suppress(ProcessLookupError):
                send(child, number)
                return

    for number in numbers:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    try:
        return answer(connection, held, woken)["status"]
    except (OSError, ValueError):  # without the server nobody would know of the process
        pass_on(signal.SIGKILL, None)
        return 1


def answer(connection: socket.socket, held: bytearray, woken: socket.socket) -> dict[str, int]:
    """The next line that the server says. Signals are heard meanwhile.

    Args:
        connection: To the server.
        held: What was read of it and not used yet.
        woken: Where a signal leaves a byte: one that comes just before a wait begins would not end it.

    Raises:
        ValueError: The server says nothing more.
    """
    while b"\n" not in held:
        for one in select.select([connection, woken], [], [])[0]:
            more = one.recv(4096)
            if one is connection:
                held += more
                if not more:
                    raise ValueError("it has ended")
    line, _, rest = held.partition(b"\n")
    held[:] = rest
    return json.loads(line)


if __name__ == "__main__":
    _status = main(*sys.argv[1:])
    if _status < 0:  # ended by a signal: so is this
        signal.signal(-_status, signal.SIG_DFL) if -_status not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -_status)
    sys.exit(abs(_status))
