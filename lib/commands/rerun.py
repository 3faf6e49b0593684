"""`rerun`: a chapter with parameters of one's own."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lib.base import garbage, names, progress
from lib.commands.options import NOTHING, Model, numbers


def rerun(
    chapter: Annotated[
        str, typer.Argument(help="its name, its number, or one of its files: approach, 2, 02-approach.ipynb")
    ],
    dataset: Annotated[
        str, typer.Option(help="digits, cifar10 or tiny-imagenet; by default the chapter's own")
    ] = "",
    model: Model = "",
    alpha: Annotated[
        list[str],
        typer.Option(
            "--alpha",
            help='alphas to add to the chapter\'s own: --alpha=-0.7; several: "0.1, 0.2", or given again',
        ),
    ] = NOTHING,
    seed: Annotated[
        list[str],
        typer.Option(
            "--seed", help="the seeds to show; by default all that are cached for the chapter's alphas"
        ),
    ] = NOTHING,
    recipe: Annotated[
        str,
        typer.Option(
            help="paper; fast: shorter, for machines without a GPU; certified: of the chapter on "
            "certificates; by default the chapter's"
        ),
    ] = "",
    sets: Annotated[
        list[str],
        typer.Option(
            "--set", help='any parameters of the chapter, in place of its own: "seeds=0,1 recipe=paper"'
        ),
    ] = NOTHING,
) -> None:
    """Show a chapter with more alphas, other parameters, or on another data set: makes what is missing, then
    builds its page, which shows it beside the cached runs.
    """
    from lib.book import names as chapters
    from lib.book import parameters

    chapter = chapters.find(chapter)
    values = parameters.typed(chapter, parameters.read(sets))
    known = {"dataset": names.datasets(), "model": ["usual", *names.models()], "recipe": names.recipes()}
    values |= {
        name: names.chosen(name, values[name], those) for name, those in known.items() if name in values
    }
    asked: dict[str, Any] = {
        "dataset": names.chosen("data set", dataset, known["dataset"]) if dataset else "",
        "model": names.chosen("model", model, names.models()) if model else "",
        "alphas": numbers(alpha, float, "alpha"),
        "seeds": numbers(seed, int, "seed"),
        "recipe": names.chosen("recipe", recipe, known["recipe"]) if recipe else "",
    }
    parameters.check(chapter, {name: value for name, value in asked.items() if value}, values)

    with progress.working("loading the library", log=False), garbage.left_alone():
        from lib.base import malloc
        from lib.book import rerun as book_rerun

    malloc.keep_memory()
    page = book_rerun.rerun(chapter, **asked, sets=values, say=print)
    print(f"the page: {page}")
