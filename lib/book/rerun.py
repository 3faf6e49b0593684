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
from lib.base import paths
from lib.base.text import duration, number
from lib.book import chapter as book_chapter
from lib.book import notebooks, site
from lib.book.markdown import plain_markdown
from lib.runs import beside, catalogue, store
from lib.training import variants
from lib.training.engine import best_engine
from lib.training.loop import estimate_seconds
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
        pages = _rerun(name, dataset, model, alphas, seeds, recipe, say)
        say(f"networks and tables are kept in {kept}; to work with them: RUNS_DIR={kept} python -m lib runs")
    return pages / notebooks.published(name).relative_to(paths.ROOT).with_suffix(".html")


def _rerun(
    name: str,
    dataset: str,
    model: str,
    alphas: Sequence[float],
    seeds: Sequence[int],
    recipe: str,
    say: Callable[[str], None],
) -> Path:
    """The folder of pages that `rerun` makes, from the store that is set."""
    defaults = {parameter: ast.literal_eval(value) for parameter, value in notebooks.declared(name).items()}
    own = sorted(float(alpha) for alpha in defaults["alphas"])
    given: dict[str, Any] = {"dataset": dataset, "model": model or "usual", "alphas": own, "recipe": recipe}
    known = {"__annotations__": dict.fromkeys(defaults)}
    here = book_chapter.parameters(defaults | given | known)
    given |= {"alphas": sorted({*own, *map(float, alphas)})} | _seeds(seeds, defaults, here.trainings)
    here = book_chapter.parameters(defaults | given | known)
    grid, missing = here.trainings, runs.missing(here.trainings)
    before = {training: tables(training) for training in grid}
    say(
        f"{name}: {len(grid)} networks ({here.model} on {dataset}, {recipe} recipe), "
        f"{len(grid) - len(missing)} cached, {len(missing)} to train"
    )
    if missing:
        runs.check_images(grid, to_make=True)
        engine = best_engine(missing[0])
        # one network per way of training, since their costs differ
        first = {training.variant: training for training in reversed(missing)}
        one = {variant: estimate_seconds(training, engine) for variant, training in first.items()}
        total = sum(one[training.variant] for training in missing)
        say(
            f"training takes about {duration(total)} here ({engine}); it can be interrupted and goes "
            f"on where it was"
        )
    for training in missing:
        run = runs.make(training)
        say(f"new: {run.path.name}, clean accuracy {runs.config(run)['result']['clean_accuracy']:.1%}")
    return site.build(
        paths.BUILD / "rerun" / f"{name}-{dataset}", given, only=name, head=lambda: marked(before)
    )


def tables(training: Training) -> frozenset[str] | None:
    """Names of the tables of a cached network; None if the network is not cached."""
    folder = paths.runs() / training.name
    if not folder.exists():
        return None
    return frozenset(
        entry["measurement"] for entry in store.Folder(folder).files.values() if "measurement" in entry
    )


def marked(before: Mapping[Training, frozenset[str] | None]) -> str:
    """Networks of a rerun as Markdown, each marked "made now" or "cached", with the tables that were measured
    now; new ones first.

    Args:
        before: {training: result of `tables` before the rerun}.
    """
    new: list[str] = []
    old: list[str] = []
    for training, there in before.items():
        measured = sorted((tables(training) or frozenset()) - (there or frozenset()))
        row = (
            f"| `{Path(training.name).name}` | {number(training.alpha)} | {training.seed} | "
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
    lines = ["````{admonition} This page is a rerun", ":class: tip", counts, ""]
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
