"""The book from where nobody has tried it: one build under every odd condition at once, compared with what is
published.

Two copies of the project are made, one whose environment was made elsewhere and moved since, and one that
still has the environment of this project. In the first the whole book is built, in the other a chapter is
published, with the README and the reference. All of it by a user whom no passwd file lists, whose home cannot
be written to and is full of settings (startup files, a matplotlibrc, another kernel named python3), in a
latin-1 locale, with temporary files on a file system that runs no programs.

    .venv/bin/python tests/anywhere.py

What needs root (the user, the file system) is left out for others, in a word. Exit code 1 if a page differs.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
NOBODY = 12345  # a number that no passwd file lists
SECONDS = 1200  # of any one command, before it counts as hanging

STARTUP = """import numpy as np, os
from pathlib import Path
import matplotlib, pandas
matplotlib.rcParams['figure.facecolor'] = 'red'
pandas.set_option('display.precision', 1)
print('a startup file was run')
"""
MATPLOTLIBRC = """font.size: 31
axes.facecolor: yellow
lines.linewidth: 9
svg.fonttype: none
savefig.dpi: 17
axes.formatter.use_locale: True
legend.fontsize: 3
xtick.direction: in
no.such.key: 1
"""


class Report:
    """What was found, said as it is found."""

    def __init__(self) -> None:
        self.wrong = 0
        self.start = time.monotonic()

    def say(self, words: str) -> None:
        print(f"[{time.monotonic() - self.start:4.0f} s] {words}", flush=True)

    def check(self, right: bool, words: str) -> None:
        self.wrong += not right
        if not right:
            self.say(f"WRONG: {words}")


# ---- the places --------------------------------------------------------------------------------------------


def copy_of_project(folder: Path) -> None:
    """Copy what git tracks, as it is now, and nothing else."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def moved_environment(folder: Path) -> Path:
    """An environment as `mv` leaves one behind: its scripts name another interpreter, its link another project.

    Returns:
        Its interpreter.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    gone = "/nowhere/project"
    (site / "packages.pth").write_text(f"{sysconfig.get_path('purelib')}\n{gone}\n", encoding="utf-8")
    for script in Path(sysconfig.get_path("scripts")).iterdir():
        target = folder / "bin" / script.name
        if target.exists() or not script.is_file() or script.read_bytes()[:2] != b"#!":
            continue
        lines = script.read_text(encoding="utf-8").splitlines(keepends=True)
        target.write_text(f"#!{gone}/.venv/bin/python\n{''.join(lines[1:])}", encoding="utf-8")
        target.chmod(0o755)
    return folder / "bin" / "python"


def settings(folder: Path) -> dict[str, str]:
    """A home full of settings: the environment variables that lead to it."""
    ipython, jupyter = folder / ".ipython", folder / ".local" / "share" / "jupyter"
    profile = ipython / "profile_default"
    files = {
        profile / "startup" / "00-mine.py": STARTUP,
        profile / "ipython_kernel_config.py": "c.InteractiveShellApp.exec_lines = ['Path = 3']\n",
        folder / "startup.py": STARTUP,
        folder / "matplotlibrc": MATPLOTLIBRC,
        folder / ".config" / "matplotlib" / "matplotlibrc": MATPLOTLIBRC,
        jupyter / "kernels" / "python3" / "kernel.json": json.dumps({
            "argv": ["/bin/false", "{connection_file}"],
            "display_name": "Mine",
            "language": "python",
        }),
    }
    for file, content in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    return {
        "HOME": str(folder), "IPYTHONDIR": str(ipython), "JUPYTER_PATH": str(jupyter),
        "MATPLOTLIBRC": str(folder / "matplotlibrc"), "PYTHONSTARTUP": str(folder / "startup.py"),
        "MPLBACKEND": "svg", "SOURCE_DATE_EPOCH": "1", "PYTHONOPTIMIZE": "1",
    }  # fmt: skip


def latin1(folder: Path, report: Report) -> dict[str, str]:
    """A latin-1 locale, made for the purpose where it can be; else POSIX's, which is ASCII."""
    folder.mkdir()
    name = "en_US.ISO-8859-1"
    usual = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    if shutil.which("localedef"):
        command = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(folder / name)]
        subprocess.run(command, capture_output=True, check=False)
        if (folder / name).is_dir():
            return usual | {"LC_ALL": name, "LOCPATH": str(folder)}
    report.say("no latin-1 locale can be made here: the POSIX locale stands for it")
    return usual | {"LC_ALL": "POSIX"}


@contextlib.contextmanager
def no_programs(folder: Path, report: Report) -> Iterator[None]:
    """A folder of a file system that runs no programs, where one can be mounted."""
    folder.mkdir()
    folder.chmod(0o1777)
    command = ["mount", "-t", "tmpfs", "-o", "noexec,nosuid,mode=1777,size=512m", "tmpfs", str(folder)]
    try:
        mounted = (
            os.getuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
        )
    except FileNotFoundError:
        mounted = False
    if not mounted:
        report.say("no file system can be mounted here: temporary files lie in an ordinary folder")
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def as_nobody(report: Report) -> list[str]:
    """How a command is run by a user without a passwd entry; as who we are where that cannot be."""
    if os.getuid() != 0 or not shutil.which("setpriv"):
        report.say("not root, or no setpriv: the commands are run by this user, who may have a passwd entry")
        return []
    plain = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    # an interpreter in root's home can be reached by a user who may search every folder
    search = [*plain, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    for how in (plain, search):
        child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import numpy'], check=True)"
        tried = [*how, sys.executable, "-c", child]
        if subprocess.run(tried, capture_output=True, check=False, cwd=ROOT).returncode == 0:
            return how
    report.say("the interpreter is out of reach of other users: the commands are run by this one")
    return []


def give_away(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


# ---- what is compared --------------------------------------------------------------------------------------


def differing(project: Path, report: Report) -> None:
    """Compare what a book was built from with the published notebooks, and its pages with those of `make book`."""
    from lib.book import notebooks, page_source, site

    for name in notebooks.sources():
        file = notebooks.published(name).relative_to(ROOT)
        executed = project / "_build" / "book" / file
        wanted = page_source.text(nbformat.read(ROOT / file, as_version=4))
        same = executed.is_file() and executed.read_bytes() == wanted.encode()
        report.check(same, f"outputs of {file} differ from the published ones")
    pages = sorted((project / "_build" / "html").rglob("*.html"))
    report.check(len(pages) > len(notebooks.sources()), f"only {len(pages)} pages were built")
    usual = ROOT / "_build"
    if not site.fresh(usual):
        report.say("no fresh book in _build: the pages are not compared with it (make book)")
        return
    for page in pages:
        name = page.relative_to(project / "_build" / "html")
        other = usual / "html" / name
        same = other.is_file() and other.read_bytes() == page.read_bytes()
        report.check(same, f"the page {name} differs from that of make book")


CHAPTER = "18-rerun"
PUBLISH = f"""
from typer.main import get_command

from lib.__main__ import app
from lib.base import paths
from lib.book import notebooks, readme, reference
import lib
print(lib.__file__)
print([str(file) for file in notebooks.publish(["{CHAPTER}"]) + readme.write() + reference.write(get_command(app))])
"""


def main() -> int:
    report = Report()
    with contextlib.ExitStack() as stack:
        work = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="anywhere-", ignore_cleanup_errors=True))
        )
        work.chmod(0o755)
        stack.enter_context(no_programs(work / "tmp", report))
        moved, copied, home = work / "moved here", work / "copied", work / "home"
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "OMP_NUM_THREADS", "BOOK_REPOSITORY")
        }
        environment = kept | settings(home) | latin1(work / "locale", report) | {"TMPDIR": str(work / "tmp")}
        for folder in (moved, copied):
            copy_of_project(folder)
            shutil.copy(home / "matplotlibrc", folder)  # matplotlib looks here first
            shutil.copy(home / "matplotlibrc", folder / "chapters")
        python = moved_environment(moved / ".venv")
        (copied / ".venv").symlink_to(sys.prefix)
        how = as_nobody(report)
        if how:
            give_away(moved)
            give_away(copied)
        for path in [home, *home.rglob("*")]:  # root's, where the commands are nobody's
            path.chmod(0o555 if path.is_dir() else 0o444)

        def run(words: str, python: Path, folder: Path, *arguments: str) -> str:
            report.say(words)
            done = subprocess.run(
                [*how, str(python), *arguments],
                cwd=folder, env=environment, capture_output=True, encoding="utf-8", errors="replace",
                stdin=subprocess.DEVNULL, timeout=SECONDS, check=False,
            )  # fmt: skip
            report.check(
                done.returncode == 0,
                f"exit code {done.returncode}: {done.stdout[-500:]} {done.stderr[-3000:]}",
            )
            report.check("Traceback" not in done.stderr, f"a traceback: {done.stderr[-3000:]}")
            return done.stdout

        said = run("the book, in a moved clone", python, moved, "-m", "lib", "book")
        report.check(str(moved / "_build" / "html" / "index.html") in said, f"says {said!r}")
        differing(moved, report)
        python = copied / ".venv" / "bin" / "python"
        said = run("chapter, README and reference, in a copied clone", python, copied, "-c", PUBLISH)
        report.check(
            said.splitlines() == [str(copied / "lib" / "__init__.py"), "[]"], f"were written anew: {said!r}"
        )
        for name in ("runs", ".cache"):  # the first project's own
            owned = [path for path in (ROOT / name).rglob("*") if how and path.lstat().st_uid == NOBODY]
            report.check(not owned, f"a copy has written into {ROOT / name}")
    report.say(f"{report.wrong} things are wrong" if report.wrong else "every page is as published")
    return int(bool(report.wrong))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
