"""The server: imports modules, then forks a process for each stand-in that asks. Run as a program; it imports
nothing of this project but what it is told to.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import types
import warnings
from typing import Any

_LONG = 8  # bytes that say how long what is asked for is
_MOST = 2**26  # bytes: code, arguments and an environment, for which the system has room for less


def asked(connection: socket.socket, patience: float) -> tuple[dict[str, Any], list[int]]:
    """What a stand-in asks for, and its three streams.

    Args:
        connection: To the stand-in.
        patience: Seconds; one that was stopped while it asked must not keep the others waiting.

    Raises:
        OSError: It has gone, or does not go on asking.
        ValueError: What it asks for is no request.
    """
    connection.settimeout(patience)
    head, streams, _, _ = socket.recv_fds(connection, _LONG, 3)
    try:
        with connection.makefile("rb") as reader:
            head += reader.read(_LONG - len(head))
            if (size := int.from_bytes(head, "big")) > _MOST or len(streams) < 3:
                raise ValueError("no request")
            content = reader.read(size)
        request = json.loads(content)  # cut where the stand-in has gone
    except (OSError, ValueError):
        for stream in streams:
            os.close(stream)
        raise
    connection.settimeout(None)
    return request, streams


def serve(listener: socket.socket, patience: float) -> dict[str, Any]:
    """Fork processes for those who ask, and tell them the exit codes; in each process, return what is asked
    of it.

    The server itself ends, with its processes, when its standard input does.

    Args:
        listener: Where stand-ins ask.
        patience: As for `asked`.
    """
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    woken.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    usual = signal.signal(signal.SIGCHLD, lambda number, frame: None)
    children: dict[int, socket.socket] = {}
    selector = selectors.DefaultSelector()
    for what in (sys.stdin, listener, woken):
        selector.register(what, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                for child in children:
                    _kill(child)
                os._exit(0)
            elif key.fileobj is listener:
                connection, _ = listener.accept()
                streams: list[int] = []
                try:
                    request, streams = asked(connection, patience)
                    child = os.fork()
                except (OSError, ValueError):  # so too where no process can be made: the stand-in says so
                    for stream in streams:
                        os.close(stream)
                    connection.close()
                    continue
                if not child:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, usual)
                    selector.close()
                    for other in (listener, woken, wake, connection, *children.values()):
                        other.close()
                    _become(request, streams)
                    return request
                for stream in streams:
                    os.close(stream)
                children[child] = connection
                selector.register(connection, selectors.EVENT_READ, child)
                _tell(connection, {"process": child})
            elif key.fileobj is woken:
                with contextlib.suppress(BlockingIOError):
                    woken.recv(4096)
                _reap(children, selector)
            elif key.data in children:  # its stand-in has gone: so does the process
                _kill(key.data)
                selector.unregister(key.fileobj)


def _kill(child: int) -> None:
    for end in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            end(child, signal.SIGKILL)


def _tell(connection: socket.socket, what: dict[str, int]) -> None:
    with contextlib.suppress(OSError):  # it may have gone
        connection.sendall(json.dumps(what).encode() + b"\n")


def _reap(children: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    while children:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not child:
            return
        connection = children.pop(child)
        _tell(connection, {"status": os.waitstatus_to_exitcode(status)})
        with contextlib.suppress(KeyError):
            selector.unregister(connection)
        connection.close()


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Be the process that is asked for: with its streams, folder, environment and arguments, and in a session
    of its own.
    """
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    for name, value in request["environment"].items():
        os.environb[name.encode("latin-1")] = value.encode("latin-1")
    there = set(sys.path)
    own = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = ["", *(one for one in own if one and one not in there)]
    sys.argv = ["-c", *request["arguments"]]
    sys.orig_argv = [sys.executable, "-c", request["code"], *request["arguments"]]


def main(folder: str, patience: float, modules: list[str]) -> dict[str, Any]:
    """Listen in a folder, import modules, and serve."""
    if not sys.flags.safe_path:
        del sys.path[0]  # the folder of this file
    listener = socket.socket(socket.AF_UNIX)
    # by number, since an address holds some hundred letters, and a folder's name may be longer
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    listener.bind(f"/proc/self/fd/{place}/new")
    listener.listen(64)
    os.close(place)
    os.rename(os.path.join(folder, "new"), os.path.join(folder, "socket"))  # a stand-in waits for it
    gc.disable()  # it would look again and again at what stays
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in modules:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is shared by all processes is nobody's garbage
    gc.enable()
    return serve(listener, patience)


if __name__ == "__main__":
    _request = main(sys.argv[1], float(sys.argv[2]), sys.argv[3:])
    # here is a new process, whose errors end it as they would end `python -c`
    _own = sys.modules["__main__"] = types.ModuleType("__main__")
    _own.__dict__["__builtins__"] = __builtins__
    exec(compile(_request["code"], "<string>", "exec"), _own.__dict__)
