"""Kernels of chapters: of this interpreter, out of reach of anybody's settings, as many as the machine bears;
and what is said when one dies or the disk is full.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import pytest

from lib.base import paths
from lib.base.errors import InputError
from lib.book import builder, chapter, figures, kernels, notebooks, site

SETTINGS = """
import json, os, sys
import matplotlib
from IPython import get_ipython
config = get_ipython().config
print(json.dumps({
    "python": sys.executable, "planted": sorted(name for name in globals() if name.startswith("planted")),
    "flags": [sys.flags.utf8_mode, sys.flags.optimize, sys.flags.hash_randomization],
    "encoding": open(os.devnull).encoding, "backend": os.environ.get("MPLBACKEND", ""),
    "size": matplotlib.rcParams["font.size"], "configured": config.get("InteractiveShell", {}).get("xmode", ""),
}))
""".strip()


@pytest.fixture
def little(tmp_path, monkeypatch):
    """A function (source): executes a project's only chapter, of this source, in the way of a rerun."""
    monkeypatch.setattr("lib.base.paths.ROOT", tmp_path)
    monkeypatch.setattr("lib.base.paths.CHAPTERS", tmp_path / "chapters")
    monkeypatch.setattr("lib.base.paths.BUILD", tmp_path / "_build")
    (tmp_path / "chapters").mkdir()

    def execute(source: str, **how: bool):
        file = tmp_path / "chapters" / "index.py"
        file.write_text(f"# %% [markdown]\n# # A page\n\n# %%\n{source}\n", encoding="utf-8")
        return notebooks.execute("index", **how)

    return execute


def printed(notebook) -> str:
    return "".join(output.text for cell in notebook.cells for output in cell.get("outputs", []))


@pytest.mark.slow
def test_nobodys_settings_reach_a_chapter(little, tmp_path, monkeypatch):
    """Startup files, a profile's configuration, another kernel of the same name, and a hostile environment."""
    ipython, foreign = tmp_path / "ipython", tmp_path / "foreign" / "kernels" / "python3"
    (ipython / "profile_default" / "startup").mkdir(parents=True)
    (ipython / "profile_default" / "startup" / "00.py").write_text("planted_startup = 1", encoding="utf-8")
    (ipython / "profile_default" / "ipython_kernel_config.py").write_text(
        "c.InteractiveShell.xmode = 'Minimal'\nc.InteractiveShellApp.exec_lines = ['planted_line = 1']",
        encoding="utf-8",
    )
    (tmp_path / "startup.py").write_text("planted_python = 1", encoding="utf-8")
    foreign.mkdir(parents=True)
    (tmp_path / "matplotlibrc").write_text("font.size: 31\nno.such.key: 1", encoding="utf-8")
    argv = ["false", "{connection_file}"]
    (foreign / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "x", "language": "python"}), encoding="utf-8"
    )
    hostile = {
        "IPYTHONDIR": str(ipython), "JUPYTER_PATH": str(tmp_path / "foreign"), "MPLBACKEND": "TkAgg",
        "PYTHONSTARTUP": str(tmp_path / "startup.py"), "PYTHONOPTIMIZE": "2", "PYTHONIOENCODING": "latin-1",
        "PYTHONUTF8": "0", "LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0",
    }  # fmt: skip
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    found = json.loads(printed(little(SETTINGS)))
    assert found == {
        "python": sys.executable, "planted": [], "flags": [1, 0, 0], "encoding": "utf-8", "configured": "",
        "backend": "module://matplotlib_inline.backend_inline", "size": 10.0,
    }  # fmt: skip
    assert {name: os.environ[name] for name in hostile} == hostile  # as before


def test_settings_of_the_system_are_left_out_by_the_kernel_itself():
    """They lie outside every folder that a variable names, so IPython is told to look nowhere."""
    from IPython.core import application, shellapp

    assert all(f"{name}_CONFIG_DIRS.clear()" in kernels._LAUNCH for name in ("SYSTEM", "ENV"))
    # startup files are looked for in the same lists
    assert shellapp.SYSTEM_CONFIG_DIRS is application.SYSTEM_CONFIG_DIRS
    assert shellapp.ENV_CONFIG_DIRS is application.ENV_CONFIG_DIRS


def test_figures_for_pages_alone_are_drawn_once(monkeypatch):
    """A rerun builds a page and nothing else; notebooks that are published have each figure for paper, too."""
    asked = []
    monkeypatch.setattr(
        "matplotlib_inline.backend_inline.set_matplotlib_formats", lambda *kinds: asked.append(kinds)
    )
    with matplotlib.rc_context():
        monkeypatch.setenv(kernels.FOR_PAGES, "")
        figures.setup()
        monkeypatch.setenv(kernels.FOR_PAGES, "1")
        figures.setup()
    assert asked == [("svg", "pdf"), ("svg",)]


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [True, False])
def test_published_notebooks_are_for_paper_whatever_the_environment(little, monkeypatch, frozen):
    monkeypatch.setenv(kernels.FOR_PAGES, "1")
    source = (
        f"import gc, os, sys\nprint(repr(os.environ[{kernels.FOR_PAGES!r}]), 'debugpy' in sys.modules and "
    )
    source += "sys.modules['debugpy'], gc.get_threshold()[0])"
    assert printed(little(source, frozen=frozen)) == f"{'' if frozen else '1'!r} None 100000\n"


def test_what_startup_files_define_is_no_parameter(monkeypatch):
    """With papermill or Jupyter, by hand, they run; a parameter that was injected over their name is unknown."""
    given = {"dataset": "digits", "model": "usual", "alphas": [0.0], "seeds": [0], "recipe": "fast"}
    shell = type("Shell", (), {"user_ns_hidden": {"Path": Path, "np": os}})()
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: shell)
    namespace = given | {"__annotations__": dict.fromkeys(given), "Path": Path}
    assert chapter.parameters(namespace).alphas == (0.0,)
    with pytest.raises(InputError, match="unknown parameter 'Path'"):
        chapter.parameters(namespace | {"Path": 3})


def test_figures_start_from_matplotlibs_own_defaults(monkeypatch):
    """Every key, whatever a matplotlibrc has set it to; and the day that files name is ours."""
    with matplotlib.rc_context():
        figures.setup()
        usual = dict(matplotlib.rcParams)
        changed = {
            name: value
            for name, value in _other_values().items()
            if name not in ("backend", "interactive") and not name.startswith(("keymap", "webagg"))
        }
        assert len(changed) > 100
        matplotlib.rcParams.update(changed)
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
        figures.setup()
        assert dict(matplotlib.rcParams) == usual and os.environ["SOURCE_DATE_EPOCH"] == kernels.EPOCH


def _other_values() -> dict[str, object]:
    """Another value than matplotlib's own for every key that takes a truth, a number or a colour."""
    usual, found = matplotlib.rcParamsDefault, {}
    for name, value in usual.items():
        for other in (not value, value * 2 + 1) if isinstance(value, bool | int | float) else ("#123456",):
            try:
                checked = matplotlib.rcParams.validate[name](other)
            except (ValueError, TypeError):
                continue
            if checked != value:
                found[name] = other
                break
    return found


# ---- how many ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cores", "gigabytes", "most"), [(8, 100, 8), (64, 4, 4), (8, 0.5, 1), (1, 100, 1)])
def test_as_many_as_cores_and_memory_bear(monkeypatch, cores, gigabytes, most):
    monkeypatch.setattr("joblib.cpu_count", lambda: cores)
    monkeypatch.setattr(kernels, "memory", lambda: int(gigabytes * kernels.KERNEL_BYTES))
    assert kernels.most() == most


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(kernels, "memory", lambda: 2**50)
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert kernels.most() == 1
    finally:
        os.sched_setaffinity(0, allowed)


LIMITS = {
    "version 2, of the group above": ("0::/a/b\n", {"a/memory.max": "3000", "a/b/memory.max": "max"}, {3000}),
    "version 2, mounted as the root": ("0::/docker/x\n", {"memory.max": "4000"}, {4000}),
    "version 1": ("4:cpu,cpuacct:/a\n7:memory:/a\n", {"memory/a/memory.limit_in_bytes": "5000"}, {5000}),
    "version 1, mounted as the root": (
        "7:memory:/docker/x\n",
        {"memory/memory.limit_in_bytes": "6000"},
        {6000},
    ),
    "none": ("0::/\n", {}, set()),
    "nonsense": ("what\n0::/a\n", {"a/memory.max": "?"}, set()),
}


@pytest.mark.parametrize("case", LIMITS)
def test_memory_is_what_control_groups_allow(tmp_path, case):
    groups, files, limits = LIMITS[case]
    (tmp_path / "cgroup").write_text(groups, encoding="utf-8")
    for name, content in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(content, encoding="utf-8")
    assert set(kernels._limits(tmp_path / "cgroup", tmp_path / "root")) == limits
    assert list(kernels._limits(tmp_path / "nowhere", tmp_path / "root")) == []


def test_no_limit_is_below_what_there_is():
    assert 0 < kernels.memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_chapters_run_in_so_many_kernels(monkeypatch, tmp_path):
    monkeypatch.setattr("lib.base.paths.BUILD", tmp_path)
    asked = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, workers):
            asked.append(workers)
            super().__init__(workers)

    monkeypatch.setattr(kernels, "most", lambda: 3)
    monkeypatch.setattr(notebooks, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(notebooks, "_run", lambda name, given, seconds: notebooks.read(name))
    notebooks.execute_all(["approach"], frozen=True)
    assert asked == [3]


# ---- what goes wrong ---------------------------------------------------------------------------------------


DEATHS = {
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "ended": "import os; os._exit(1)",
}


@pytest.mark.slow
@pytest.mark.parametrize("death", DEATHS)
def test_a_kernel_that_dies_is_one_line(little, death, capfd):
    with pytest.raises(InputError, match="chapters/index.py: its kernel has died; .*memory") as failed:
        little(DEATHS[death])
    assert "\n" not in str(failed.value) and failed.value.__suppress_context__
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_a_kernel_that_cannot_start_is_one_line(little, monkeypatch):
    monkeypatch.setattr(kernels, "_LAUNCH", "raise SystemExit(3)")
    with pytest.raises(InputError, match="its kernel has died") as failed:
        little("1")
    assert "\n" not in str(failed.value)


@pytest.mark.slow
def test_a_cell_without_end_is_one_line(little, monkeypatch):
    monkeypatch.setattr(notebooks, "CELL_SECONDS", 2)
    little("1")
    with pytest.raises(InputError, match="chapters/index.py: a cell took longer than 2 seconds") as failed:
        file = paths.CHAPTERS / "index.py"
        file.write_text("# %%\nimport time\ntime.sleep(60)\n", encoding="utf-8")
        notebooks.execute("index", frozen=True)
    assert "\n" not in str(failed.value)


FULL = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES]


@pytest.mark.parametrize("number", FULL, ids=lambda number: errno.errorcode[number])
@pytest.mark.parametrize("place", ["write_text", "mkdir", "rename"])
def test_a_full_disk_is_one_line_and_the_old_book_stays(tmp_path, monkeypatch, number, place):
    """At whatever call of a build it shows."""
    target, old = tmp_path / "_build", tmp_path / "_build" / "html" / "index.html"
    old.parent.mkdir(parents=True)
    old.write_text("the old book", encoding="utf-8")
    (target / "book").mkdir()

    def pages(source, target, *, strict):
        (source / "_build" / "html" / "_static").mkdir(parents=True)
        return source / "_build" / "html"

    monkeypatch.setattr(site.notebooks, "execute_all", lambda *given, **how: {})
    monkeypatch.setattr(builder, "jupyter_book", pages)
    usual = getattr(Path, place)

    def full(path, *given, **named):
        if "draft" in path.parts:
            raise OSError(number, os.strerror(number), str(path))
        return usual(path, *given, **named)

    monkeypatch.setattr(Path, place, full)
    with pytest.raises(InputError) as failed:
        site.build(target)
    said = str(failed.value)
    assert said.startswith("cannot build the book (") and "\n" not in said
    assert said.endswith("the disk is full, free some room" if number in FULL[:2] else os.strerror(number))
    assert old.read_text(encoding="utf-8") == "the old book"
    assert not (target / "draft").exists()


def test_a_log_that_cannot_be_written_is_one_line(monkeypatch, tmp_path, capfd):
    (tmp_path / "no folder").touch()
    monkeypatch.setattr("lib.base.paths.BUILD", tmp_path / "no folder")
    with pytest.raises(InputError, match="cannot run chapters .*no folder"):
        notebooks.execute_all(["approach"], frozen=True)
    sys.stderr.write("stderr is as it was\n")
    assert capfd.readouterr().err == "stderr is as it was\n"
