"""Parts of the README that are made by command, like the chapters: the headline figure, the claims so far,
and the badge.
"""

from __future__ import annotations

import ast
import html
import io
import re
import tomllib
from pathlib import Path

import nbformat
import pandas as pd

from lib import measurements, runs
from lib.base import paths
from lib.base.errors import InputError
from lib.base.files import write_atomically
from lib.base.text import number, without_html
from lib.book import chapter, notebooks, prose
from lib.book.figures import style
from lib.book.figures.headline import headline
from lib.measurements.attack import CURVES
from lib.measurements.strengths import strengths_for
from lib.papers.selectivity import CLAIMS
from lib.runs.tables import full_summary

FIGURE = Path("_static", "headline.svg")
BINDER = "https://mybinder.org"


def repository() -> str:
    """The project's public address, from [project.urls] in pyproject.toml; "" while it is not filled in."""
    file = paths.ROOT / "pyproject.toml"
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"] if file.exists() else {}
    return project.get("urls", {}).get("Repository", "").rstrip("/")


# ---- the claims --------------------------------------------------------------------------------------------


def glued(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """The strings that a published notebook glues."""
    found = {}
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        text = output.get("data", {}).get("application/papermill.record/text/plain")
        if text is not None:
            found[output.metadata.scrapbook.name] = ast.literal_eval(text)
    return found


def rows(notebook: nbformat.NotebookNode, column: str) -> list[dict[str, str]]:
    """The rows of the one table of a published notebook that has this column."""
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        table = output.get("data", {}).get("text/html", "")
        names, *lines = [
            [
                html.unescape(re.sub(r"<[^>]+>", "", cell.replace("<br>", " ")))
                for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
            ]
            for row in re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.DOTALL)
        ] or [[]]
        if column in names:
            return [dict(zip(names, line, strict=True)) for line in lines]
    raise InputError(
        f"no table with the column {column!r} in the published notebook; run python -m lib chapters"
    )


def claims() -> str:
    """The claims and their verdicts as Markdown, as the published landing page has them."""
    page = nbformat.read(notebooks.published("index"), as_version=4)
    said, table = glued(page), rows(page, "verdict")
    counts = (
        f"{said['reproduced']} reproduced, {said['not-reproduced']} not reproduced, "
        f"{said['inconclusive']} inconclusive, {said['not-tested']} not tested"
    )
    left = (
        f"Asked together (corrected after Benjamini and Yekutieli), {said['left-reproduced']} "
        f"reproduced and {said['left-not-reproduced']} not are left"
    )
    lines = [
        f"Of {said['claims']} claims, on {said['networks']}: **{counts}**. {left}: with so few seeds, "
        f"little can be. {said['rule']}",
        "",
    ]
    others = " and ".join(one.id for one in CLAIMS if one.compares)
    lines += [f"{others} are about networks trained in other ways, of which {said['others']} are cached.", ""]
    lines += ["| | claim | ours | verdict |", "| --- | --- | --- | --- |"]
    lines += [
        "| " + " | ".join(row[name].replace("|", "\\|") for name in ("id", "claim", "ours", "verdict")) + " |"
        for row in table
    ]
    care = "; ".join(f"{one.id}: {one.caution}" for one in CLAIMS if one.caution)
    return "\n".join([*lines, "", f"To be read with care: {care}."])


# ---- the figure --------------------------------------------------------------------------------------------


def landing_page() -> chapter.Parameters:
    """The parameters of the landing page, by default."""
    defaults = {name: ast.literal_eval(value) for name, value in notebooks.declared("index").items()}
    return chapter.parameters(defaults | {"__annotations__": dict.fromkeys(defaults)})


def summary() -> tuple[pd.DataFrame, str]:
    """The networks of the landing page with all their measurements, and a description in words."""
    here = landing_page()
    return full_summary(runs.summary(here.trainings), here.trainings), here.setting


def figure() -> tuple[bytes, str]:
    """The headline figure as SVG, equal byte for byte when nothing changed; and its description."""
    style.setup()
    networks, setting = summary()
    at = strengths_for(networks.dataset.iloc[0])
    panels = {
        "corrupted_accuracy": ("subset_accuracy", "average case", "accuracy on corrupted images (%)"),
        "pgd_accuracy": ("attacked_clean", "worst case", f"accuracy under PGD, {at.steps} steps (%)"),
    }
    buffer = io.BytesIO()
    headline(networks, panels).savefig(
        buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None}
    )
    said = []
    for column, (_, _, label) in panels.items():
        means, count = 100 * networks.groupby("alpha")[column].mean(), networks[column].notna().sum()
        ends = [alpha for alpha in means.index if alpha in (means.index.min(), 0.0, means.index.max())]
        numbers = ", ".join(f"{means[alpha]:.1f} % at α = {number(alpha)}" for alpha in ends)
        said.append(f"{label.removesuffix(' (%)')} ({count} networks): {numbers}")
    sizes = [f"{measurements.MEASUREMENTS[name].settings['limit']:,}" for name in ("corruption", "attack")]
    step = f"{CURVES[at.curve].step_size:g}"
    seen = (
        f"On the first {sizes[0]} test images, and {sizes[1]} under attack, whose steps are "
        f"{step}; short strokes: the same images unchanged."
    )
    hollow = (
        " Hollow: a check says that PGD may have failed there."
        if networks.pgd_accuracy_doubtful.any()
        else ""
    )
    return (
        buffer.getvalue(),
        f"Against α, {'; '.join(said)}. {seen} A point a network; {setting}, trained on "
        f"{prose.machines(networks)}.{hollow}",
    )


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
    """Make the figure, the README with its blocks, and CITATION.cff with the address.

    Returns:
        ``{file: its content}``.
    """
    drawn, described = figure()
    text = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    for name, block in {
        "binder": binder(),
        "headline": without_html(f"![{described}]({FIGURE})\n\n*{described}*"),
        "claims": without_html(claims()),
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
        paths.ROOT / FIGURE: drawn,
        paths.ROOT / "README.md": text.encode(),
        paths.ROOT / "CITATION.cff": citation.encode(),
    }


def write() -> list[Path]:
    """Write the files that have changed. The landing page must have been published before.

    Returns:
        The files that were written.
    """
    changed = {
        file: content for file, content in made().items() if not file.exists() or file.read_bytes() != content
    }
    for file, content in changed.items():
        write_atomically(file, content)
    return list(changed)
