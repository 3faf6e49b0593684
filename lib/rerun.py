"""A chapter once more, with another alpha or another data set: what is missing is trained, the page shows it beside the cached runs."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from pathlib import Path

from lib import book, catalogue, chapters, paths, recipes, runs, sweep, train


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
    """Train what is missing, execute the chapter and build its page; returns the page.

    alphas  are added to those of the chapter; the published chapter stays as it is
    seeds   by default every seed that is cached for all the chapter's own alphas, or the chapter's own
    say     is told what will happen, how long it takes, and what is read from the cache
    raises  InputError for bad values, missing data or a full disk; finished runs are kept
    """
    name = chapters.find(chapter)
    defaults = {parameter: ast.literal_eval(value) for parameter, value in chapters.declared(name).items()}
    model = model or recipes.usual_model(dataset)
    own = sorted(float(alpha) for alpha in defaults["alphas"])
    chosen = list(seeds) or _cached_seeds(dataset, model, own, recipe) or defaults["seeds"]
    grid = runs.grid(dataset=dataset, model=model, alphas=[*own, *alphas], seeds=chosen, recipe=recipe)
    missing = runs.missing(grid)
    say(f"{name}: {len(grid)} networks ({model} on {dataset}, {recipe} recipe), {len(grid) - len(missing)} cached, {len(missing)} to train")
    if missing:
        engine = train.best_engine(missing[0])
        one = train.estimate_seconds(missing[0], engine)
        say(f"training takes about {sweep.duration(len(missing) * one)} here ({engine}); it can be interrupted and goes on where it was")
    for training in missing:
        run = runs.make(training)
        say(f"new: {run.path.name}, clean accuracy {runs.config(run)['result']['clean_accuracy']:.1%}")
    given = {"dataset": dataset, "model": model, "alphas": sorted({*own, *map(float, alphas)}), "seeds": sorted(set(chosen)), "recipe": recipe}
    pages = book.build(paths.BUILD / "rerun" / f"{name}-{dataset}", given, only=name)
    return pages / chapters.published(name).relative_to(paths.ROOT).with_suffix(".html")


def _cached_seeds(dataset: str, model: str, alphas: list[float], recipe: str) -> list[int]:
    """Seeds of which every one of these alphas is cached, trained on the images as they are."""
    having: dict[int, set[float]] = {}
    for training in catalogue.cached():
        if (training.dataset, training.model, training.recipe, training.epochs, training.variant) == (dataset, model, recipe, None, "plain"):
            having.setdefault(training.seed, set()).add(training.alpha)
    return sorted(seed for seed, found in having.items() if found >= set(alphas))
