"""Where the pages of reruns lie, one beside the other, and the page that lists them."""

from __future__ import annotations

import hashlib
import html
import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lib.base import paths
from lib.base.errors import InputError
from lib.base.files import parsed, read_file, write_atomically
from lib.base.text import number

FACTS = "rerun.json"  # in the folder of a rerun: what it shows
MOST_BYTES = 2**20  # of such a file
_LONGEST = 80  # characters of a folder's name before its digest


def root() -> Path:
    """The folder of all reruns' pages."""
    return paths.BUILD / "rerun"


def folder(facts: dict[str, Any]) -> Path:
    """The folder of one rerun: the same for the same chapter and parameters, another one for others.

    Args:
        facts: `chapter`; `shown`, its parameters and their values; `changed`, the names of those that are not
            the chapter's own; `alphas`, the values beside the chapter's own.
    """
    parts = [facts["chapter"]]
    for name in facts["changed"]:
        value = facts["alphas"] if name == "alphas" and facts["alphas"] else facts["shown"][name]
        words = "_".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        parts.append(f"{name}-{words}")
    name = "-".join(re.sub(r"[^\w.+-]", "_", part) for part in parts)
    every = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    short = hashlib.sha256(every.encode()).hexdigest()[:8]
    return root() / f"{name[:_LONGEST]}-{short}"


def note(place: Path, page: Path, facts: dict[str, Any]) -> Path:
    """Write down what a rerun shows, and the list of all.

    Args:
        place: Its folder.
        page: Its page.
        facts: As for `folder`.

    Returns:
        The page that lists all reruns, the latest first.
    """
    made = facts | {"page": str(page.relative_to(root())), "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M}"}
    sealed = {"rerun": made, "seal": _seal(made)}
    write_atomically(place / FACTS, json.dumps(sealed, indent=1).encode() + b"\n")
    index = root() / "index.html"
    write_atomically(index, _listed().encode())
    return index


def _seal(made: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()


def _rows() -> list[dict[str, Any]]:
    """What all reruns show, the latest first; one whose page has gone is left out."""
    found = []
    for file in root().glob(f"*/{FACTS}"):
        # deleted meanwhile, damaged, or not ours
        with suppress(OSError, ValueError, KeyError, TypeError, InputError):
            sealed = parsed(read_file(file, most=MOST_BYTES))
            one = sealed["rerun"]
            if sealed["seal"] == _seal(one) and (root() / one["page"]).is_file():
                found.append(one)
    return sorted(found, key=lambda one: (str(one["date"]), str(one["page"])), reverse=True)


def _listed() -> str:
    """The page that lists all reruns."""
    rows = []
    for one in _rows():
        link = f'<a href="{html.escape(one["page"], quote=True)}">{html.escape(one["chapter"])}</a>'
        own = "; ".join(f"{name} {said(one['shown'][name])}" for name in one["changed"] if name != "alphas")
        cells = (said(one["alphas"]) or "none", own or "the chapter's own", f"{one['date']} UTC")
        rows.append(f"<tr><td>{link}</td>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>")
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("chapter", "own α", "other parameters", "built")
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Reruns</title>
<style>
body {{ font-family: system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
div {{ overflow-x: auto }}
th, td {{ text-align: left; padding: 0.3rem 1.2rem 0.3rem 0; vertical-align: top }}
</style>
</head>
<body>
<main>
<h1>Reruns</h1>
<p>Chapters that were rerun here, the latest first. The networks are kept in the store of reruns.</p>
<div tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>
{chr(10).join(rows)}
</tbody></table></div>
</main>
</body>
</html>
"""


def said(value: object) -> str:
    """A value of a parameter, or several, as the book writes them."""
    if isinstance(value, list | tuple):
        return ", ".join(map(said, value))
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return number(value) if plain else str(value)  # type: ignore[arg-type]
