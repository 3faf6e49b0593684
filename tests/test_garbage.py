"""Garbage is collected seldom in programs of seconds, and not at all while modules are imported."""

import subprocess
import sys

from lib.base import garbage


def said(code: str) -> list[str]:
    """What a process prints, which may settle its collector as it likes."""
    return subprocess.run(
        [sys.executable, "-c", f"import gc\nfrom lib.base import garbage\n{code}"],
        capture_output=True, check=True, text=True,
    ).stdout.split()  # fmt: skip


def test_nothing_is_collected_while_it_is_left_alone_and_what_is_there_then_never_is():
    code = """
class Ring: pass
def ring():
    one = Ring(); one.self = one
import weakref
gone = []
with garbage.left_alone():
    print(gc.isenabled())
    kept = Ring(); kept.self = kept
    weakref.finalize(kept, gone.append, 1)
    for _ in range(10_000): ring()
print(gc.isenabled(), gc.get_freeze_count() > 10_000)
del kept
gc.collect()
print(gone)
other = Ring(); other.self = other
weakref.finalize(other, gone.append, 2)
del other
gc.collect()
print(gone)
"""
    assert said(code) == ["False", "True", "True", "[]", "[2]"]


def test_where_it_was_off_it_stays_off():
    assert said("gc.disable()\nwith garbage.left_alone(): pass\nprint(gc.isenabled())") == ["False"]


def test_seldom_is_not_never():
    assert said(f"{garbage.SELDOM}\nprint(gc.isenabled(), gc.get_threshold()[0])") == ["True", "100000"]
