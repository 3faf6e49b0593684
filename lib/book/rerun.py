"""Rerun a chapter with another alpha or data set: missing networks are trained, and the page shows them
beside the cached ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lib import runs
from lib.base import paths, progress
from lib.base.text import number
from lib.book import chapter as book_chapter
from lib.book import making, needs, notebooks, reruns, single
from lib.book import parameters as chapter_parameters
from lib.book.markdown import markdown_code, plain_markdown
from lib.book.sources import anchor
from lib.runs import beside, catalogue, store
from lib.training import variants
from lib.training.training import Training


def rerun(
    chapter: str,
    *,
    dataset: str = "",
    model: str = "",
    alphas: Sequence[float] = (),
    seeds: Sequence[int] = (),
    recipe: str = "",
    sets: Mapping[str, Any] = MappingProxyType({}),
    say: Callable[[str], None] = print,
) -> Path:
    """Make what is missing, execute the chapter and build its page, which opens with what was made now and
    what was cached.

    What is made lands in a store beside the published one (`lib.runs.beside`), or in RUNS_DIR where that is
    set.

    Args:
        dataset: In place of the chapter's own; "" for this.
        model: The same.
        alphas: Values to add to those of the chapter; the published chapter stays as it is.
        seeds: Seeds to show; by default every seed that is cached for all alphas of the chapter, or the
            chapter's own.
        recipe: As `dataset`.
        sets: Values of any parameters, in place of the chapter's own.
        say: Function that is called with what will happen, how long it takes, and what is read from the
            cache.

    Returns:
        The page.

    Raises:
        InputError: For bad values, parameters that the chapter does not take, missing data or a full disk;
            finished runs are kept.
    """
    name = notebooks.find(chapter)
    known = chapter_parameters.declared(name)
    asked = {"dataset": dataset, "model": model, "alphas": alphas, "seeds": seeds, "recipe": recipe}
    given = {parameter: value for parameter, value in asked.items() if value}
    chapter_parameters.check(name, given, sets)
    own = {parameter: one.default for parameter, one in known.items()} | dict(sets)
    with beside.kept_apart() as kept:
        if "alphas" in known:
            page = _of_networks(name, own, given, sets, say)
        else:
            page = _page(name, own | given, own, say)
        say(f"networks and tables are kept in {kept}; to work with them: RUNS_DIR={kept} python -m lib runs")
    return page


def _of_networks(
    name: str,
    own: Mapping[str, Any],
    asked: Mapping[str, Any],
    sets: Mapping[str, Any],
    say: Callable[[str], None],
) -> Path:
    """The page of a chapter about a grid of networks, those that are missing made first.

    Args:
        own: The chapter's parameters, with what was set in the place of its defaults.
        asked: Parameters in the place of these, but for alphas, which are added.
        sets: What was set.
    """
    known = {"__annotations__": dict.fromkeys(own)}
    alphas = sorted(float(alpha) for alpha in own["alphas"])
    given = {**own, **asked, "alphas": alphas}
    here = book_chapter.parameters(given | known)
    # a chapter that shows other networks than its grid has the seeds that it says
    shown = here.trainings if name not in needs.OWN else []
    chosen = {} if {"seeds", "pgd_seeds"} & sets.keys() else _seeds(asked.get("seeds", ()), own, shown)
    given |= {"alphas": sorted({*alphas, *map(float, asked.get("alphas", ()))})} | chosen
    here = book_chapter.parameters(given | known)
    its_own = needs.own(name, here, given)
    grid = needs.networks(name, here, its_own)
    with progress.working("comparing with the cached runs, and this machine with theirs", log=False):
        planned = needs.plan(name, grid, its_own, here)
    before = {training: tables(training) for training in grid}
    say(
        f"{name}: {len(grid)} networks ({here.model} on {here.dataset}, {here.recipe} recipe), "
        f"{sum(there is not None for there in before.values())} cached, "
        f"{sum(there is None for there in before.values())} to train"
    )
    if planned.missing:
        runs.check_images(grid, to_make=True)
    for line in planned.lines():
        say(line)
    missing = set(planned.missing)

    def made(training: Training, run: store.Folder) -> None:
        if training in missing:
            say(f"new: {run.path.name}, clean accuracy {runs.config(run)['result']['clean_accuracy']:.1%}")

    making.make([*planned.missing, *planned.again], planned.training, made)
    for place, (training, table) in enumerate(planned.tables, 1):
        what = f"measuring {place} of {len(planned.tables)}: {table} on {training.name}"
        with progress.working(what, planned.measuring.get(table.name, 0.0)):
            runs.table(table.name, [training], progress=False, **dict(table.settings))
    told = given | {"model": here.model}
    if "epochs" in told:
        told["epochs"] = here.epochs or here.trainings[0].settings.epochs
    return _page(name, given, told, say, lambda more: marked(before, more))


def _page(
    name: str,
    given: Mapping[str, Any],
    shown: Mapping[str, Any],
    say: Callable[[str], None],
    networks: Callable[[Sequence[float]], str] = lambda more: "",
) -> Path:
    """Execute a chapter with parameters, build its page, and note it in the list of reruns.

    Args:
        given: The parameters that the chapter gets.
        shown: The same in their final form, for people.
        networks: Function that lists, once the chapter has run, its networks as Markdown; it gets the alphas
            that the chapter does not have itself.
    """
    defaults = {one.name: one.default for one in chapter_parameters.declared(name).values()}
    changed = {key: value for key, value in given.items() if value != defaults.get(key) and value != "usual"}
    more = sorted({*map(float, given.get("alphas", ()))} - {*map(float, defaults.get("alphas", ()))})
    facts: dict[str, Any] = {
        "chapter": name,
        "alphas": more,
        "shown": dict(shown),
        "changed": sorted(changed),
    }
    folder = reruns.folder(facts)
    file = notebooks.published(name).relative_to(paths.ROOT).with_suffix(".html")

    def head() -> str:
        return box([_others(folder, file), parameters(shown, defaults), networks(more)])

    page = single.build(folder, name, given, head=head)
    say(f"all reruns: {reruns.note(folder, page, facts)}")
    return page


def _others(folder: Path, file: Path) -> str:
    """Links from a rerun's page to the list of all reruns, and to the published page where it is built."""
    here = (folder / "html" / file).parent
    to_all = Path(os.path.relpath(reruns.root() / "index.html", here)).as_posix()
    words = [f'<a href="{to_all}">all reruns</a>']
    if (published := paths.BUILD / "html" / file).is_file():
        words.append(f'<a href="{Path(os.path.relpath(published, here)).as_posix()}">the published page</a>')
    return f"See also: {', '.join(words)}."


def box(parts: Sequence[str]) -> str:
    """The box at the top of a rerun's page, as Markdown.

    Args:
        parts: Its paragraphs; empty ones are left out.
    """
    text = "\n\n".join(filter(None, parts))
    return f"`````{{admonition}} This page is a rerun\n:class: tip\n{text}\n`````"


def parameters(shown: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """The parameters of a rerun as a line of Markdown, for the head of its page; what differs from the
    chapter's own is in bold.
    """
    if not shown:
        return "The chapter has no parameters."

    def one(value: object, own: bool) -> str:
        said = number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
        said = markdown_code(said) if isinstance(value, str) else said
        return f"**{said}**" if own else said

    words = []
    for name, value in shown.items():
        usual = defaults.get(name)
        if isinstance(value, list | tuple):
            items = usual if isinstance(usual, list | tuple) else ()
            words.append(f"{name} {', '.join(one(item, item not in items) for item in value)}")
        else:
            words.append(f"{name} {one(value, value != usual and usual not in ('usual', 0))}")
    return f"Parameters: {'; '.join(words)}."


def _alpha(alpha: float, more: Sequence[float]) -> str:
    return f"**{number(alpha)}**" if alpha in more else number(alpha)


def tables(training: Training) -> frozenset[str] | None:
    """Names of the tables of a cached network; None if the network is not cached."""
    folder = paths.runs() / training.name
    if not folder.exists():
        return None
    return frozenset(
        entry["measurement"] for entry in store.Folder(folder).files.values() if "measurement" in entry
    )


def marked(before: Mapping[Training, frozenset[str] | None], more: Sequence[float] = ()) -> str:
    """Networks of a rerun as Markdown, each marked "made now" or "cached", with the tables that were measured
    now; new ones first. Links below figures lead to their rows.

    Args:
        before: {training: result of `tables` before the rerun}.
        more: The values of α beside the chapter's own, which are in bold.
    """
    new: list[str] = []
    old: list[str] = []
    for training, there in before.items():
        measured = sorted((tables(training) or frozenset()) - (there or frozenset()))
        row = (
            f'| <span id="{anchor(training.key)}">`{Path(training.name).name}`</span> '
            f"| {_alpha(training.alpha, more)} | {training.seed} "
            f"| {'made now' if there is None else 'cached'} "
        )
        (new if there is None or measured else old).append(
            f"{row}| {', '.join(map(plain_markdown, measured)) or 'cached'} |"
        )
    trained = sum(there is None for there in before.values())
    counts = (
        f"Of its {len(before)} networks, {trained} {'was' if trained == 1 else 'were'} made now "
        f"and {len(before) - trained} came from the cache."
    )
    top = ["| run | α | seed | network | measured now |", "|---|---|---|---|---|"]
    lines = [counts, "", *([*top, *new, ""] if new else ["Nothing was made or measured.", ""])]
    if old:
        summary = f"What came from the cache as it was: {len(old)} of {len(before)}"
        lines += [f"````{{dropdown}} {summary}", *top, *old, "````"]
    return "\n".join(lines)


def _seeds(
    chosen: Sequence[int], defaults: Mapping[str, Any], trainings: Sequence[Training]
) -> dict[str, list[int]]:
    """Seeds of a chapter, and `pgd_seeds` if it has them: those chosen, or those cached for its own
    trainings if there are any, or its own.
    """
    grids = {
        "seeds": [one for one in trainings if not variants.variant(one.variant).strength > 0],
        "pgd_seeds": trainings,
    }
    return {
        name: sorted(set(chosen)) or (_cached_seeds(grid) if grid else []) or defaults[name]
        for name, grid in grids.items()
        if name in defaults
    }


def _cached_seeds(trainings: Sequence[Training]) -> list[int]:
    """Seeds for which all of these trainings are cached, whatever seed they have themselves."""
    cached = set(catalogue.trainings())
    return sorted(
        seed
        for seed in {training.seed for training in cached}
        if all(replace(training, seed=seed) in cached for training in trainings)
    )
