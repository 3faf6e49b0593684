"""Users without a name or a home: every process of the project finds what it needs, and nothing is taken from
those who have both.
"""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from lib.base import account, paths

NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """A user without an entry, a name or a home; temporary folders lie in tmp_path."""

    def unlisted(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unlisted)
    monkeypatch.setattr(account.tempfile, "gettempdir", lambda: str(tmp_path))
    for name in (*NAMES, "HOME", "TORCHINDUCTOR_CACHE_DIR", *account._WRITTEN):
        monkeypatch.setenv(name, "")  # so that what is set in the test is undone
        monkeypatch.delenv(name)
    return tmp_path / f"home-of-uid{os.getuid()}"


def test_a_name_and_a_home_are_made_for_who_has_none(nobody, capfd):
    account.settle()
    assert os.environ["LOGNAME"] == os.environ["USER"] == f"uid{os.getuid()}"
    assert Path.home() == nobody and nobody.is_dir() and nobody.stat().st_mode & 0o777 == 0o700
    assert not set(account._WRITTEN) & set(os.environ)
    before = dict(os.environ)
    account.settle()
    assert dict(os.environ) == before and capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_set_stays_the_only_one(nobody, monkeypatch, name):
    monkeypatch.setenv(name, "ada")
    account.settle()
    assert [os.environ.get(one) for one in NAMES] == ["ada" if one == name else None for one in NAMES]


def test_a_home_that_can_be_written_to_is_left_alone(nobody, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    account.settle()
    assert os.environ["HOME"] == str(tmp_path) and not nobody.exists()
    assert not set(account._WRITTEN) & set(os.environ)


def test_who_has_both_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(
        pwd, "getpwuid", lambda number: pwd.struct_passwd(("ada", "x", number, 0, "", str(tmp_path), ""))
    )
    for name in ("HOME", "TORCHINDUCTOR_CACHE_DIR", *NAMES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(account.tempfile, "gettempdir", lambda: str(tmp_path))
    before = dict(os.environ)
    account.settle()
    assert dict(os.environ) == before


@pytest.mark.parametrize("home", ["missing", "a file"])
def test_what_is_written_below_a_home_goes_elsewhere_where_that_cannot_be(
    nobody, monkeypatch, tmp_path, home
):
    place = tmp_path / "place"
    if home == "a file":
        place.write_text("", encoding="utf-8")
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("MPLCONFIGDIR", "/mine")
    account.settle()
    assert os.environ["HOME"] == str(place)
    assert os.environ["MPLCONFIGDIR"] == "/mine"
    assert {os.path.dirname(os.environ[name]) for name in account._WRITTEN if name != "MPLCONFIGDIR"} == {
        str(nobody)
    }


def foreign(room: Path) -> None:
    room.parent.joinpath("other").mkdir()
    room.symlink_to(room.parent / "other")


def no_folder(room: Path) -> None:
    room.write_text("", encoding="utf-8")


@pytest.mark.parametrize("taken", [foreign, no_folder])
def test_a_room_that_somebody_else_has_taken_is_not_used(nobody, taken):
    taken(nobody)
    account.settle()
    assert os.environ["HOME"] == "/"


def test_nothing_stops_where_no_temporary_folder_can_be_had(nobody, monkeypatch):
    def full():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(account.tempfile, "gettempdir", full)
    account.settle()
    assert os.environ["HOME"] == os.environ["TORCHINDUCTOR_CACHE_DIR"] == "/"


@pytest.mark.parametrize("given", ["/proc/no-folder", "", None])
def test_compiled_code_gets_a_place_where_torch_finds_none(nobody, monkeypatch, tmp_path, given):
    if given is None:  # torch's own folder is somebody else's
        tmp_path.joinpath(f"torchinductor_uid{os.getuid()}").write_text("", encoding="utf-8")
    else:
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", given)
    account.settle()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(nobody / "inductor")


def test_a_place_for_compiled_code_that_is_given_stays(nobody, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "mine"))
    account.settle()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "mine")


# ---- In processes ------------------------------------------------------------------------------------------

ASKING = """
import os, pwd
def unlisted(number):
    raise KeyError(f"getpwuid(): uid not found: {number}")
pwd.getpwuid = unlisted  # what a user without an entry sees
from lib import runs, sweeps; from lib.book import figures, notebooks; from lib.runs import provenance, recheck
import getpass
import IPython.paths, jupyter_core.paths, matplotlib, torch._inductor.runtime.cache_dir_utils as inductor
print(getpass.getuser(), inductor.default_cache_dir(), jupyter_core.paths.jupyter_runtime_dir(),
      IPython.paths.get_ipython_dir(), matplotlib.get_configdir(), sep="\\n")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "home", [{}, {"HOME": "/proc/no-home", "TORCHINDUCTOR_CACHE_DIR": "/proc/no-folder"}]
)
def test_all_of_the_library_is_imported_without_a_name(tmp_path, home):
    hidden = (*NAMES, "HOME", "TORCHINDUCTOR_CACHE_DIR", *account._WRITTEN)
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {"TMPDIR": str(tmp_path)} | home
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ASKING],
        cwd=paths.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    name, *places = done.stdout.splitlines()
    assert name == f"uid{os.getuid()}" and len(places) == 4
    assert all(place.startswith(f"{tmp_path}/") for place in places)
