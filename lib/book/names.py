"""Which chapters there are, where their files lie, and which one is meant.

It imports nothing heavy, so that a typo is answered at once.
"""

from __future__ import annotations

import re
from pathlib import Path

from lib.base import paths
from lib.base.errors import unknown
from lib.base.names import plain


def sources() -> dict[str, Path]:
    """{name: percent script} of every chapter: "02-approach" and so on, the landing page "index" first."""
    found = {file.stem: file for file in sorted(paths.CHAPTERS.glob("*.py"))}
    return {"index": found.pop("index")} | found if "index" in found else found


def find(name: str) -> str:
    """Full name of a chapter: "02-approach".

    Args:
        name: What people call it: "approach", "Approach", "2", "02", or a path or the address of one of its
            files, such as chapters/02-approach.ipynb.

    Raises:
        InputError: For an unknown chapter.
    """
    folder, _, file = name.strip().partition("#")[0].rstrip("/").rpartition("/")
    asked = re.sub(r"\.(ipynb|py|html)$", "", file, flags=re.IGNORECASE)
    if folder and asked == file and not folder.endswith("chapters"):  # another file, such as ../runs
        raise unknown("chapter", name, sources())
    for full in sources():
        number, short = re.fullmatch(r"(?:(\d+)-)?(.+)", full).groups()  # type: ignore[union-attr]
        by_number = number and asked.isdigit() and asked.lstrip("0") == number.lstrip("0")
        if by_number or plain(asked) in (plain(full), plain(short)):
            return full
    raise unknown("chapter", name, sources())


def published(name: str) -> Path:
    """Path of a chapter's committed notebook.

    The landing page is at the root, where the book's index has to be.
    """
    return (paths.ROOT if name == "index" else paths.CHAPTERS) / f"{name}.ipynb"
