"""Rerun a chapter with another alpha or data set: missing networks are trained, and the page shows them
beside the cached ones.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lib import runs
from lib.base import paths, progress
from lib.base.errors import InputError
from lib.base.text import number
from lib.book import chapter as book_chapter
from lib.book import needs, notebooks, reruns, site
from lib.book.markdown import markdown_code, plain_markdown
from lib.runs import beside, catalogue, store
from lib.training import variants
from lib.training.recipe import Training


def rerun(
    chapter: str,
    *,
    dataset: str = "cifar10",
    model: str = "",
    alphas: Sequence[float] = (),
    seeds: Sequence[int] = (),
    recipe: str = "fast",
    say: Callable[[str], None] = print,
) -> Path:
    """Train what is missing, execute the chapter and build its page, which opens with what was made now and
    what was cached.

    What is made lands in a store beside the published one (`lib.runs.beside`), or in RUNS_DIR where that is
    set.

    Args:
        alphas: Values to add to those of the chapter; the published chapter stays as it is.
        seeds: Seeds to show; by default every seed that is cached for all alphas of the chapter, or the
            chapter's own.
        say: Function that is called with what will happen, how long it takes, and what is read from the
            cache.

    Returns:
        The page.

    Raises:
        InputError: For bad values, missing data or a full disk; finished runs are kept.
    """
    name = notebooks.find(chapter)
    with beside.kept_apart() as kept:
        page = _rerun(name, dataset, model, alphas, seeds, recipe, say)
        say(f"networks and tables are kept in {kept}; to work with them: RUNS_DIR={kept} python -m lib runs")
    return page


def _rerun(
    name: str,
    dataset: str,
    model: str,
    alphas: Sequence[float],
    seeds: Sequence[int],
    recipe: str,
    say: Callable[[str], None],
) -> Path:
    """The page that `rerun` makes, from the store that is set."""
    defaults = {parameter: ast.literal_eval(value) for parameter, value in notebooks.declared(name).items()}
    if "alphas" not in defaults:
        raise InputError(
            f"chapter {name!r} has no α, it takes {', '.join(defaults)}; papermill gives them: "
            f"papermill chapters/{name}.ipynb out.ipynb -y 'seeds: [0]'"
        )
    own = sorted(float(alpha) for alpha in defaults["alphas"])
    given: dict[str, Any] = {"dataset": dataset, "model": model or "usual", "alphas": own, "recipe": recipe}
    known = {"__annotations__": dict.fromkeys(defaults)}
    here = book_chapter.parameters(defaults | given | known)
    given |= {"alphas": sorted({*own, *map(float, alphas)})} | _seeds(seeds, defaults, here.trainings)
    here = book_chapter.parameters(defaults | given | known)
    grid = here.trainings
    comparing = "comparing with the cached runs, and this machine with those that made them"
    with progress.working(comparing, log=False):
        planned = needs.plan(name, grid)
    before = {training: tables(training) for training in grid}
    say(
        f"{name}: {len(grid)} networks ({here.model} on {dataset}, {recipe} recipe), "
        f"{sum(there is not None for there in before.values())} cached, "
        f"{sum(there is None for there in before.values())} to train"
    )
    if planned.missing:
        runs.check_images(grid, to_make=True)
    for line in planned.lines():
        say(line)
    wanted = [*planned.missing, *planned.again]
    for place, training in enumerate(wanted, 1):
        run = _trained(training, f"training {place} of {len(wanted)}", planned.training.get(training, 0.0))
        if place <= len(planned.missing):
            say(f"new: {run.path.name}, clean accuracy {runs.config(run)['result']['clean_accuracy']:.1%}")
    for place, (training, asked) in enumerate(planned.tables, 1):
        what = f"measuring {place} of {len(planned.tables)}: {asked} on {training.name}"
        with progress.working(what, planned.measuring.get(asked.name, 0.0)):
            runs.table(asked.name, [training], progress=False, **dict(asked.settings))
    more = sorted({*map(float, alphas)} - {*own})
    facts: dict[str, Any] = {
        "chapter": name,
        "dataset": here.dataset,
        "model": here.model,
        "recipe": here.recipe,
    }
    facts |= {"alphas": more, "seeds": list(here.seeds)}
    folder = reruns.folder(facts)
    pages = site.build(folder, given, only=name, head=lambda: marked(before, more, parameters(here, more)))
    page = pages / notebooks.published(name).relative_to(paths.ROOT).with_suffix(".html")
    say(f"all reruns: {reruns.note(folder, page, facts)}")
    return page


def _trained(training: Training, what: str, expected: float) -> store.Folder:
    """The run of a training, with its weights; how far it is is shown from its first second on."""
    epochs = training.settings.epochs
    with progress.working(f"{what}: {training.name}", expected) as tell:
        return runs.make(
            training,
            weights=True,
            progress=False,
            on_epoch=lambda row: tell(f"epoch {row['epoch']:.0f} of {epochs}"),
        )


def parameters(here: book_chapter.Parameters, more: Sequence[float]) -> str:
    """The parameters of a rerun as a line of Markdown, for the head of its page.

    Args:
        more: The values of α beside the chapter's own, which are in bold.
    """
    alphas = ", ".join(_alpha(alpha, more) for alpha in here.alphas)
    shown = {"dataset": here.dataset, "model": here.model, "recipe": here.recipe}
    words = [f"{name} {markdown_code(value)}" for name, value in shown.items()]
    words += [f"alphas {alphas}", f"seeds {', '.join(map(str, here.seeds))}"]
    if here.variants:
        words.append(f"variants {', '.join(map(markdown_code, here.variants))}")
    if here.epochs:
        words.append(f"epochs {here.epochs}")
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


def marked(
    before: Mapping[Training, frozenset[str] | None], more: Sequence[float] = (), shown: str = ""
) -> str:
    """Networks of a rerun as Markdown, each marked "made now" or "cached", with the tables that were measured
    now; new ones first.

    Args:
        before: {training: result of `tables` before the rerun}.
        more: The values of α beside the chapter's own, which are in bold.
        shown: The parameters of the rerun, in words.
    """
    new: list[str] = []
    old: list[str] = []
    for training, there in before.items():
        measured = sorted((tables(training) or frozenset()) - (there or frozenset()))
        row = (
            f"| `{Path(training.name).name}` | {_alpha(training.alpha, more)} | {training.seed} | "
            f"{'made now' if there is None else 'cached'} "
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
    lines = [
        "````{admonition} This page is a rerun",
        ":class: tip",
        *([shown, ""] if shown else []),
        counts,
        "",
    ]
    lines += [*top, *new, ""] if new else ["Nothing was made or measured.", ""]
    lines += (
        [
            f"```{{dropdown}} What came from the cache as it was: {len(old)} of {len(before)}",
            *top,
            *old,
            "```",
        ]
        if old
        else []
    )
    return "\n".join([*lines, "````"])


def _seeds(
    chosen: Sequence[int], defaults: Mapping[str, Any], trainings: Sequence[Training]
) -> dict[str, list[int]]:
    """Seeds of a chapter, and `pgd_seeds` if it has them: those chosen, or those cached for its own
    trainings, or its own.
    """
    grids = {
        "seeds": [one for one in trainings if not variants.variant(one.variant).strength > 0],
        "pgd_seeds": trainings,
    }
    return {
        name: sorted(set(chosen)) or _cached_seeds(grid) or defaults[name]
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
