"""Processes that are forked from a server behave as `python -c` does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib.base.forkserver import AVAILABLE, ForkServer
from lib.book import kernels, notebooks

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="processes are forked on Linux alone")


@pytest.fixture(scope="module")
def server():
    with ForkServer(["decimal", "no.such.module"], patience=0.5) as there:
        yield there


def run(command, **how):
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, **how)


def gone(process: int) -> bool:
    """Whether a process has ended within some seconds, by whoever is to collect it."""
    for _ in range(500):
        try:
            state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


ALIKE = {
    "arguments, folder, environment and input": (
        "import json, os, sys; print(json.dumps([sys.argv, os.getcwd(), dict(sorted(os.environ.items())), "
        "sys.path[:2], __name__, input(), sys.stdin.readline()]))"
    ),
    "nothing": "",
    "what `main` is": "import __main__; x = 3; print(__main__.x, sorted(vars(__main__))[-1])",
    "an exit code": "raise SystemExit(7)",
    "an exit in words": "import sys; print('told'); sys.exit('that is why')",
    "killed": "import os; print('lost?', flush=True); os.kill(os.getpid(), 9)",
    "ended": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "out at once": "import os; os._exit(5)",
    "code for the end": "import atexit; atexit.register(print, 'at the end')",
    "a thread goes on": "import threading, time; threading.Thread(target=lambda: (time.sleep(.2), print('late'))).start()",
    "a child": "import subprocess; print(subprocess.run(['sh', '-c', 'echo from $0; exit 4', 'sh']).returncode)",
}


@pytest.mark.parametrize("case", ALIKE)
def test_it_is_as_if_python_ran_the_code(server, tmp_path, case):
    code = ALIKE[case]
    environment = {
        "PATH": os.environ["PATH"],
        "ODD": "ü \udcff\n=",
        "PYTHONPATH": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }
    how = {"cwd": tmp_path, "env": environment, "input": "one\ntwo é\n"}
    forked = run(server.command(code, "a", "b c", "é"), **how)
    usual = run([sys.executable, "-c", code, "a", "b c", "é"], **how)
    assert (forked.returncode, forked.stdout, forked.stderr) == (usual.returncode, usual.stdout, usual.stderr)


def test_an_error_ends_it_with_its_traceback(server):
    done = run(server.command("def f():\n    return 1 / 0\nf()"))
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("Traceback") and done.stderr.endswith(
        "ZeroDivisionError: division by zero\n"
    )


def test_modules_are_there_and_processes_keep_apart(server):
    seen = "import sys; print('decimal' in sys.modules, 'fractions' in sys.modules, hasattr(sys, 'mark'))"
    assert run(server.command(seen)).stdout == "True False False\n"
    assert run(server.command("import sys, fractions; sys.mark = 1")).returncode == 0
    assert run(server.command(seen)).stdout == "True False False\n"


def test_many_at_once(server):
    code = "import sys, time; time.sleep(0.1); print(sys.argv[1]); sys.exit(int(sys.argv[1]))"
    started = [
        subprocess.Popen(server.command(code, str(n)), stdout=subprocess.PIPE, encoding="utf-8")
        for n in range(20)
    ]
    found = [(one.communicate(timeout=60)[0], one.returncode) for one in started]
    assert found == [(f"{n}\n", n) for n in range(20)]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_signals_reach_it(server, name):
    code = (
        "import signal, time\n"
        f"def told(number, frame): print(signal.Signals(number).name); raise SystemExit(9)\n"
        f"signal.signal(signal.{name}, told)\nprint('ready', flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen(server.command(code), stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(getattr(signal, name))
        assert process.communicate(timeout=60)[0] == f"{name}\n" and process.returncode == 9


@pytest.mark.slow
def test_a_signal_that_comes_at_once_is_not_lost(server):
    """Neither while the stand-in does not know yet whom it is for, nor as it begins to wait."""
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGUSR1, lambda *_: os._exit(9))\nprint('ready', flush=True)\ntime.sleep(20)"
    )
    for _ in range(5):
        started = [
            subprocess.Popen(server.command(code), stdout=subprocess.PIPE, encoding="utf-8")
            for _ in range(10)
        ]
        for process in started:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGUSR1)
        assert [(one.communicate(timeout=60)[0], one.returncode) for one in started] == [("", 9)] * 10


FAMILY = (
    "import os, subprocess, time\n"
    "child = subprocess.Popen(['sleep', '60'])\nprint(os.getpid(), child.pid, flush=True)\ntime.sleep(60)"
)


@pytest.mark.parametrize("end", ["stand-in", "server", "all"])
def test_nothing_is_left_running(end):
    with (
        ForkServer([]) as server,
        subprocess.Popen(server.command(FAMILY), stdout=subprocess.PIPE, encoding="utf-8") as process,
    ):
        numbers = [int(one) for one in process.stdout.readline().split()]
        assert len(numbers) == 2
        if end == "stand-in":
            process.kill()
        elif end == "server":
            server._process.kill()
        else:
            server.__exit__(None, None, None)
        process.wait(60)
        assert all(map(gone, numbers))


def test_a_server_that_was_killed_is_started_again():
    with ForkServer([]) as server:
        assert run(server.command("print(1)")).stdout == "1\n"
        server._process.kill()
        server._process.wait()
        assert run(server.command("print(2)")).stdout == "2\n"


def test_a_server_that_is_killed_meanwhile_is_not_waited_for():
    with ForkServer([]) as server:
        assert run(server.command("print(1)")).stdout == "1\n"
        command, start = server.command("print(2)"), time.monotonic()
        server._process.kill()
        server._process.wait()
        done = run(command)
        assert done.returncode == 1 and done.stderr.startswith("the server of processes has gone: ")
        assert done.stderr.count("\n") == 1 and time.monotonic() - start < 10


def test_without_a_server_it_is_one_line():
    with ForkServer([]) as server:
        command = server.command("print(1)")
        run(command)
    done = run(command)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("the server of processes has gone: ") and done.stderr.count("\n") == 1


ASKED = {
    "nothing": lambda connection: None,
    "less than a length": lambda connection: connection.sendall(b"abc"),
    "a length alone": lambda connection: connection.sendall((2**40).to_bytes(8, "big")),
    "no request": lambda connection: connection.sendall((2).to_bytes(8, "big") + b"{]"),
    "no streams": lambda connection: connection.sendall((2).to_bytes(8, "big") + b"{}"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ASKED)
def test_one_that_asks_for_no_process_keeps_nobody_waiting(server, kind):
    """A stand-in that was stopped, or killed, in the middle of its question."""
    command = server.command("print('here')")
    assert run(command).stdout == "here\n"
    process = server._process.pid
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(Path(server._folder.name) / "socket"))
        ASKED[kind](connection)
        start = time.monotonic()
        done = run(command)
        assert done.stdout == "here\n" and done.returncode == 0 and time.monotonic() - start < 10
    assert server._process.pid == process and server._process.poll() is None


def test_a_folder_with_a_long_name_will_do(tmp_path, monkeypatch):
    long = tmp_path / ("a" * 120) / ("b" * 120)
    long.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with ForkServer([]) as server:
        assert str(long) in server.command("")[-3] or any(str(long) in part for part in server.command(""))
        assert run(server.command("print(1)")).stdout == "1\n"


def test_nobody_else_may_ask(server):
    """Who reaches the socket runs code as this user."""
    folder = Path(server._folder.name)
    assert folder.stat().st_mode & 0o077 == 0


# ---- kernels -----------------------------------------------------------------------------------------------


def test_chapters_imports_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr("lib.base.paths.ROOT", tmp_path)
    monkeypatch.setattr("lib.base.paths.CHAPTERS", tmp_path / "chapters")
    (tmp_path / "chapters").mkdir()
    source = "# %% [markdown]\n# import not.this\n\n# %%\nimport decimal, json.tool as j\nfrom lib import runs, data\n"
    (tmp_path / "chapters" / "index.py").write_text(f"{source}\n# %%\nfrom . import x\nfrom math import pi\n")
    found = ["decimal", "json.tool", "lib", "lib.runs", "lib.data", "math", "math.pi"]
    assert notebooks.imports(["index"]) == found
    (tmp_path / "chapters" / "index.py").write_text("# %%\nimport decimal\n\n# %%\nimport (\n")
    assert notebooks.imports(["index"]) == ["decimal"]


@pytest.mark.slow
def test_a_kernel_of_several_chapters_is_forked_and_as_any_other(tmp_path, monkeypatch):
    """What a chapter sees of its interpreter is the same, imported before or not."""
    monkeypatch.setattr("lib.base.paths.ROOT", tmp_path)
    monkeypatch.setattr("lib.base.paths.CHAPTERS", tmp_path / "chapters")
    monkeypatch.setattr("lib.base.paths.BUILD", tmp_path / "_build")
    (tmp_path / "chapters").mkdir()
    seen = (
        "import json, os, sys\nimport matplotlib\nprint(json.dumps([sys.argv[0], os.path.basename(os.getcwd()), "
        "sys.path, sorted(set(os.environ) - {'JPY_PARENT_PID'}), sys.flags.utf8_mode, sys.flags.hash_randomization, "
        "matplotlib.rcParams['font.size'], matplotlib.get_backend(), hash('a')]))"
    )
    for name in ("one", "two"):
        (tmp_path / "chapters" / f"{name}.py").write_text(f"# %% [markdown]\n# # A\n\n# %%\n{seen}\n")
    command = ForkServer.command
    asked = []
    monkeypatch.setattr(ForkServer, "command", lambda self, *of: asked.append(of) or command(self, *of))

    def said(names):
        return [
            output.text
            for notebook in notebooks.execute_all(names, frozen=False).values()
            for cell in notebook.cells
            for output in cell.get("outputs", [])
        ]

    alone = said(["one"])
    assert not asked
    both = said(["one", "two"])
    assert [code for (code,) in asked] == [kernels._LAUNCH]
    assert both == alone * 2 and len(alone) == 1
