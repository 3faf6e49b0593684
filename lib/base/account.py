"""A name and a home for processes of users who have none: containers and clusters run under numbers that no
passwd file lists.

Python's `getpass` and `pathlib`, and with them torch, Jupyter and IPython, end in a traceback there. So does
torch where the folder for its compiled code cannot be made, which it asks for as it is imported.
"""

from __future__ import annotations

import getpass
import os
import re
import tempfile
from pathlib import Path

# What is written below a home that cannot be written to, by the variable that says where it goes instead.
_WRITTEN = {
    "IPYTHONDIR": "ipython",
    "JUPYTER_RUNTIME_DIR": "jupyter",
    "MPLCONFIGDIR": "matplotlib",
    "TRITON_HOME": "triton",
}


def settle() -> None:
    """Set the environment variables by which others find a user's name, and folders that can be written to.

    Only what is missing is set, without a word, and the processes that are started from here inherit it. A
    user with a name and a home of their own is left alone. Of a home that cannot be written to, all that is
    read stays.
    """
    try:
        import pwd
    except ImportError:  # Windows
        return
    number = os.getuid()
    try:
        listed = pwd.getpwuid(number)
    except KeyError:
        listed = None
        # as getpass asks
        if not any(os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")):
            os.environ["LOGNAME"] = os.environ["USER"] = f"uid{number}"
    home = os.environ.get("HOME") or (listed.pw_dir if listed else "")
    if not home:
        os.environ["HOME"] = str(_room(number) or os.sep)
    elif not _writable(home) and (room := _room(number)):
        for variable, name in _WRITTEN.items():
            os.environ.setdefault(variable, str(room / name))
    if not _compiled_code_has_a_place():
        room = _room(number)
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(room / "inductor") if room else os.sep
        if not _compiled_code_has_a_place():
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.sep  # it is there, so torch can be imported


def _compiled_code_has_a_place() -> bool:
    """Whether torch can make the folder it wants for compiled code: the one it is told, or one of its own."""
    try:
        own = "torchinductor_" + re.sub(r'[\\/:*?"<>|]', "_", getpass.getuser())
        folder = os.environ.get("TORCHINDUCTOR_CACHE_DIR", os.path.join(tempfile.gettempdir(), own))
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return False
    return _writable(folder)


def _writable(folder: str) -> bool:
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def _room(number: int) -> Path | None:
    """A folder of this user among the temporary ones, the same for all processes; None where it cannot be
    had.
    """
    try:
        room = Path(tempfile.gettempdir(), f"home-of-uid{number}")
        room.mkdir(mode=0o700, exist_ok=True)
        theirs = room.is_symlink() or room.stat().st_uid != number  # somebody else may have been there first
    except OSError:
        return None
    return None if theirs or not _writable(str(room)) else room
