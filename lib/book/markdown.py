"""Text from elsewhere as Markdown that shows it as it is."""

from __future__ import annotations

import re


def without_html(markdown: str) -> str:
    """Markdown in which nothing is taken for HTML, shown as it was written otherwise.

    Example:
        >>> without_html("1 < 2, <b>")
        '1 < 2, &lt;b>'
    """
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", markdown)


def plain_markdown(value: object) -> str:
    """Text, or a value in Python's words, as Markdown that shows it as it is, in one line.

    Example:
        >>> plain_markdown("[a]<i>")
        '&#91;a&#93;&lt;i>'
    """
    said = " ".join(str(value).split()).replace("&", "&amp;")
    return without_html(re.sub(r"[\\`*_\[\]{}$~|]", lambda found: f"&#{ord(found[0])};", said))


def markdown_code(value: object) -> str:
    """The same as code, between more backticks than the text has in a row.

    Example:
        >>> markdown_code("a"), markdown_code("a`b")
        ('`a`', '`` a`b ``')
    """
    said = " ".join(str(value).split())
    fence = "`" * (1 + max(map(len, re.findall("`+", said)), default=0))
    return f"{fence}{said}{fence}" if len(fence) == 1 else f"{fence} {said} {fence}"
