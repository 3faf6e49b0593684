"""Where the pages of reruns lie, one beside the other, and the page that lists them."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lib.base import paths
from lib.base.files import write_atomically
from lib.base.text import number

FACTS = "rerun.json"  # in the folder of a rerun: what it shows
_LONGEST = 100  # characters of a folder's name


def root() -> Path:
    """The folder of all reruns' pages."""
    return paths.BUILD / "rerun"


def folder(facts: dict[str, Any]) -> Path:
    """The folder of one rerun: the same for the same chapter and parameters, another one for others.

    Args:
        facts: `chapter`, `dataset`, `model`, `recipe`, `alphas` (those beside the chapter's own) and `seeds`.
    """
    parts = [facts["chapter"], facts["dataset"], facts["model"], facts["recipe"]]
    parts += [f"{name}{'_'.join(map(str, facts[f'{name}s']))}" for name in ("alpha", "seed")]
    name = "-".join(part for part in parts if part not in ("alpha", "seed"))
    if len(name) > _LONGEST:
        name = f"{name[:_LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return root() / name


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
    write_atomically(place / FACTS, json.dumps(made, indent=1).encode() + b"\n")
    index = root() / "index.html"
    write_atomically(index, _listed().encode())
    return index


def _rows() -> list[dict[str, Any]]:
    """What all reruns show, the latest first; one whose page has gone is left out."""
    found = []
    for file in root().glob(f"*/{FACTS}"):
        with suppress(OSError, ValueError, KeyError, TypeError):  # deleted meanwhile, or not ours
            one = json.loads(file.read_text(encoding="utf-8"))
            if (root() / one["page"]).is_file():
                found.append(one)
    return sorted(found, key=lambda one: (str(one["date"]), str(one["page"])), reverse=True)


def _listed() -> str:
    """The page that lists all reruns."""
    rows = []
    for one in _rows():
        link = f'<a href="{html.escape(one["page"], quote=True)}">{html.escape(one["chapter"])}</a>'
        cells = [
            html.escape(str(cell))
            for cell in (
                said(one["alphas"]) or "none",
                one["dataset"],
                one["model"],
                one["recipe"],
                said(one["seeds"]),
                f"{one['date']} UTC",
            )
        ]
        rows.append(f"<tr><td>{link}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("chapter", "own α", "data set", "network", "recipe", "seeds", "built")
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
th, td {{ text-align: left; padding: 0.3rem 1.2rem 0.3rem 0; white-space: nowrap }}
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


def said(numbers: Sequence[float]) -> str:
    """Numbers as the book writes them."""
    return ", ".join(map(number, numbers))
