"""Parts of the README that are made by command, like the chapters: the headline figure, the claims so far,
and the badge.
"""

from __future__ import annotations

import ast
import html
import io
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import pandas as pd

from lib import runs
from lib.base import paths
from lib.base.errors import InputError
from lib.base.files import write_atomically
from lib.book import answer, chapter, notebooks, rounds
from lib.book.figures import style
from lib.book.figures.forest import forest
from lib.book.figures.headline import headline
from lib.book.markdown import without_html
from lib.papers import first_round, ledger
from lib.papers.claim import RULE
from lib.papers.ledger import Entry
from lib.papers.rules import rules
from lib.papers.selectivity import CLAIMS
from lib.runs.tables import at_hand, full_summary

FIGURE = {"wide": Path("_static", "headline.svg"), "narrow": Path("_static", "headline-narrow.svg")}
BINDER = "https://mybinder.org"


def repository() -> str:
    """The project's public address, from [project.urls] in pyproject.toml; "" while it is not filled in."""
    file = paths.ROOT / "pyproject.toml"
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"] if file.exists() else {}
    return project.get("urls", {}).get("Repository", "").rstrip("/")


# ---- the claims --------------------------------------------------------------------------------------------

LEDGER = {"wide": Path("_static", "ledger.svg"), "narrow": Path("_static", "ledger-narrow.svg")}
# text stays text in these pictures; Verdana is as wide as the letters it was laid out for
_DRAWN, _SHOWN = b"font-family: 'DejaVu Sans'", b"font-family: 'DejaVu Sans', Verdana, sans-serif"


def picture(files: Mapping[str, Path], alt: str) -> str:
    """HTML of a picture that has another form on narrow screens."""
    return "\n".join([
        "<picture>",
        f'<source media="(max-width: 600px)" srcset="{files["narrow"]}">',
        f'<img src="{files["wide"]}" alt="{html.escape(alt)}">',
        "</picture>",
    ])


def ledger_of(here: chapter.Parameters, networks: pd.DataFrame) -> list[Entry]:
    """The ledger of the landing page, given its networks over α."""
    return rounds.entries(here, networks, at_hand(here.with_variants.trainings))


def pictures(entries: list[Entry]) -> dict[Path, bytes]:
    """The ledger as pictures for wide and narrow screens, equal byte for byte when nothing changed."""
    style.setup()
    made = {}
    for name, file in LEDGER.items():
        buffer = io.BytesIO()
        with matplotlib.rc_context({"svg.fonttype": "none"}):
            forest(entries, narrow=name == "narrow").savefig(
                buffer, format="svg", metadata={"Date": None, "Creator": None}
            )
        made[paths.ROOT / file] = buffer.getvalue().replace(_DRAWN, _SHOWN)
    return made


def claims(entries: list[Entry], setting: str) -> str:
    """The ledger as Markdown: picture, findings in words, and the first round below a fold.

    Args:
        entries: Result of `rounds.entries`.
        setting: The first round's networks in words.
    """
    said = ledger.in_words(entries)
    found = html.escape(answer.counted(entries), quote=False)  # in a paragraph, where an apostrophe may stand
    care = "; ".join(f"{one.id}: {one.caution}" for one in CLAIMS if one.caution)
    first = [
        (one.claim.id, one.claim.statement, first_round.describe(one), one.verdict)
        for entry in entries
        for one in entry.first
        if entry.claim.id != ledger.OURS.id
    ]
    table = [
        "| " + " | ".join(without_html(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
        for row in first
    ]
    return "\n".join([
        picture(LEDGER, f"One row per claim and part, with mean and 95 % interval over seeds. {said}"),
        "",
        f"{found}",
        "",
        f"The second round's [rules](lib/papers/rules-second-round.md) were written on {rules().written}, "
        f"before any of its networks; {rounds.seeds_at_hand()} are here. Each claim folds out in "
        "*Discussion*.",
        "",
        f"<details><summary>The first round, {html.escape(setting)}, by its own rule</summary>",
        "",
        RULE,
        "",
        "| | claim | ours | verdict |",
        "| --- | --- | --- | --- |",
        *table,
        "",
        f"To be read with care: {care}.",
        "",
        "</details>",
    ])


# ---- the figure --------------------------------------------------------------------------------------------


def landing_page() -> chapter.Parameters:
    """The parameters of the landing page, by default."""
    defaults = {name: ast.literal_eval(value) for name, value in notebooks.declared("index").items()}
    return chapter.parameters(defaults | {"__annotations__": dict.fromkeys(defaults)})


def summary() -> tuple[pd.DataFrame, str]:
    """The networks of the landing page with all their measurements, and a description in words."""
    here = landing_page()
    return full_summary(runs.summary(here.trainings), here.trainings), here.setting


def figure(networks: pd.DataFrame) -> tuple[dict[Path, bytes], str]:
    """The opening figure as SVG for wide and narrow screens, equal byte for byte when nothing changed; and
    the Markdown that shows it.

    Args:
        networks: Networks of the landing page with all their measurements.
    """
    style.setup()
    drawn, of = rounds.opening(landing_page(), networks)
    lines, alt, caption = answer.opening(drawn)
    made = {}
    for name, file in FIGURE.items():
        buffer = io.BytesIO()
        headline(drawn, lines, title=answer.spread(drawn), narrow=name == "narrow").savefig(
            buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None}
        )
        made[paths.ROOT / file] = buffer.getvalue()
    shown = picture(FIGURE, alt)
    said = without_html(f"*{caption} {rounds.told_opening(of, drawn)}*")
    return made, f"{shown}\n\n{said}"


# ---- the files ---------------------------------------------------------------------------------------------


def binder() -> str:
    """The Binder badge, once the project's address is known."""
    owner_and_name = repository().removeprefix("https://github.com/")
    return (
        f"[![Binder]({BINDER}/badge_logo.svg)]({BINDER}/v2/gh/{owner_and_name}/main)"
        if owner_and_name
        else ""
    )


def _between(text: str, name: str, made: str) -> str:
    found, times = re.subn(
        rf"(<!-- made: {name} -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}{made}\n{match[2]}",
        text,
        flags=re.DOTALL,
    )
    if times != 1:
        raise InputError(
            f"README.md must hold <!-- made: {name} --> and <!-- end --> once, found them {times} times"
        )
    return found


def made() -> dict[Path, bytes]:
    """Make the figures, the README with its blocks, and CITATION.cff with the address.

    Returns:
        ``{file: its content}``.
    """
    networks, setting = summary()
    entries = ledger_of(landing_page(), networks)
    drawn, shown = figure(networks)
    text = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    for name, block in {
        "binder": binder(),
        "answer": f"{answer.sentences(entries)}\n\n{shown}",
        "claims": claims(entries, setting),
    }.items():
        text = _between(text, name, block)
    citation = re.sub(
        r"^repository-code: .*\n",
        "",
        (paths.ROOT / "CITATION.cff").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    if repository():
        citation = citation.replace("license: ", f"repository-code: {repository()}\nlicense: ", 1)
    return {
        **drawn,
        **pictures(entries),
        paths.ROOT / "README.md": text.encode(),
        paths.ROOT / "CITATION.cff": citation.encode(),
    }


def write() -> list[Path]:
    """Write the files that have changed.

    Returns:
        The files that were written.
    """
    changed = {
        file: content for file, content in made().items() if not file.exists() or file.read_bytes() != content
    }
    for file, content in changed.items():
        write_atomically(file, content)
    return list(changed)
