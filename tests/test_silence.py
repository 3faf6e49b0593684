"""No stage of any chapter's rerun keeps a terminal waiting for a word.

Training and measuring have bars, and executing a chapter and building its page are processes of their own, below a
line that is renewed each second: tests/test_rerun.py follows one rerun through all of that. Here they are left out,
so that what goes on before, between and after them is heard for every chapter: loading, comparing with the cached
runs, timing a few steps for an estimate, listing, writing.
"""

import os
import pty
import re
import subprocess
import sys
import termios
import time

import pytest

from lib.base import paths
from lib.book import names
from lib.runs import beside

QUIET_SECONDS = 5.0
MARK = re.compile(r"rerun of (\S+)\r?\n")

# Reruns of all chapters, one after the other, as the command makes them.
RERUNS = """
import sys
from pathlib import Path
from lib.base import paths, progress
paths.BUILD = Path(sys.argv[1])
with progress.working("loading the library", log=False):
    import nbformat
    from lib.base.errors import InputError
    from lib.book import names, notebooks, rerun, single

def executed(name, given):
    return nbformat.read(notebooks.published(name), as_version=4)

def built(draft, target, *, strict):
    (draft / "made" / "_static").mkdir(parents=True)
    (draft / "made" / "_images").mkdir()
    return draft / "made"

rerun.making.make = rerun.runs.table = lambda *given, **settings: None
notebooks.execute = executed
single.builder.jupyter_book = built
for name in names.sources():
    print(f"rerun of {name}")
    try:
        print(f"the page: {rerun.rerun(name, say=print)}")
    except InputError as error:  # a chapter with networks to train, where their images are not at hand
        if "not found: looked for" not in str(error):
            raise
        print(f"{name} needs data")
"""


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """{chapter: its longest silence in seconds and what was last said before it}; of what comes before the
    first, for "". A chapter that cannot be rerun without data is left out.
    """
    root = tmp_path_factory.mktemp("silence")
    kept = {name: value for name, value in os.environ.items() if name != "RUNS_FROZEN"}
    kept["RUNS_DIR"] = str(beside.fill(paths.ROOT / "runs", root / "runs"))
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 110))
    process = subprocess.Popen(
        [sys.executable, "-c", RERUNS, str(root / "_build")],
        cwd=paths.ROOT,
        env=kept,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    gaps: dict[str, tuple[float, str]] = {}
    shown, chapter, last = b"", "", time.monotonic()
    while True:
        try:
            read = os.read(ours, 2**16)
        except OSError:  # how Linux says that the other side is closed
            break
        if not read:
            break
        now = time.monotonic()
        before = shown[-200:].decode(errors="replace")
        gaps[chapter] = max(gaps.get(chapter, (0.0, "")), (now - last, before))
        shown, last = shown + read, now
        chapter = ([chapter, *MARK.findall(shown[-4000:].decode(errors="replace"))])[-1]
    os.close(ours)
    said = shown.decode(errors="replace")
    assert process.wait() == 0, said
    return {name: gap for name, gap in gaps.items() if f"{name} needs data" not in said}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", *names.sources()])
def test_a_rerun_is_never_silent(heard, name):
    if name not in heard:
        pytest.skip("its networks are not cached, and their images are not under DATA_DIR")
    longest, before = heard[name]
    print(f"{longest:.1f} s, after {before!r}")
    assert longest < QUIET_SECONDS, before
