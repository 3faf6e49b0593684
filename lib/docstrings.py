"""This library's docstrings as markup: a Sphinx extension that autodoc hands every docstring to, which is plain text with lists of arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_ITEM = re.compile(r"([A-Za-z_][\w.]*(?:, [A-Za-z_][\w.]*)*)(?: {2,}| (?=\())(\S.*)")


def _inline(text: str) -> str:
    """Plain text as reStructuredText: `names` as code, nothing else as markup."""
    parts = re.split(r"`([^`]+)`", text)
    return "".join(f"``{part}``" if place % 2 else re.sub(r"([\\*|_`])", r"\\\1", part) for place, part in enumerate(parts))


def _block(lines: list[str]) -> Iterator[str]:
    """One block of a docstring: sentences, then items "name  text" whose continuation lines are indented."""
    if lines[0].startswith(">>>"):
        yield from [*lines, ""]
        return
    fields = any(re.match(r"[\w., ]+? {2,}\S|(returns|raises|source) \S", line) for line in lines)
    found: list[list[str]] = []  # [name or "", text]
    for line in lines:
        item = fields and not line.startswith(" ") and _ITEM.fullmatch(line)
        if item:
            found.append([item[1], item[2]])
        elif found and (line.startswith(" ") or not found[-1][0]):
            found[-1][1] += f" {line.strip()}"
        else:
            found.append(["", line.strip()])
    for name, text in found:
        yield from ([f"``{name}``", f"    {_inline(text)}", ""] if name else [_inline(text), ""])


def markup(docstring: Iterable[str]) -> list[str]:
    """A docstring of this library as lines of reStructuredText: blocks, lists of arguments, examples."""
    blocks = re.split(r"\n\s*\n", "\n".join(docstring).strip("\n"))
    return [line for block in blocks if block.strip() for line in _block(block.splitlines())]


def _process(app: object, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """What autodoc calls; it wants the list changed in place."""
    lines[:] = markup(lines)


def setup(app: object) -> dict[str, bool]:
    """What Sphinx calls: `lib.docstrings` stands among the extensions of _config.yml."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
