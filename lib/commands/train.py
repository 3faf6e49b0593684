"""`train`: networks into the store."""

from __future__ import annotations

from typing import Annotated

import typer

from lib.commands.options import ZERO, Alphas, Dataset, Model, RecipeName, Seeds, named, number, numbers


def train(
    dataset: Dataset = "cifar10",
    model: Model = "",
    alpha: Alphas = ZERO,
    seed: Seeds = ZERO,
    recipe: RecipeName = "fast",
    epochs: Annotated[
        str, typer.Option(help="in place of the recipe's own number; the schedule is scaled to it")
    ] = "",
    variant: Annotated[
        str,
        typer.Option(
            help="plain, augmix, or adversarial in K steps: pgd-K, pgd-K-linf-8, l2-pgd-K-0.5, "
            "trades-6-K-linf-8 (β = 6), weighted-K-linf-8 (class weights); in the recipe certified, in a "
            "ball of E/255: ibp-E, singleprop-zero-E, singleprop-fastlin-E, adversarial-E, each also with "
            "-ada"
        ),
    ] = "plain",
    start: Annotated[
        str,
        typer.Option(help="a cached run, by its name or its key, from whose network to start"),
    ] = "",
    without: Annotated[
        list[str] | None, typer.Option(help="a class whose images are left out; may be given again")
    ] = None,
    weights: Annotated[
        bool, typer.Option("--weights", help="train again where only the weights are missing")
    ] = False,
) -> None:
    """Train networks, each alpha with each seed, into the store; what is there already is left alone, an
    interrupted one goes on.
    """
    dataset, model, recipe = named(dataset, model, recipe)
    alphas, seeds = numbers(alpha, float, "alpha"), numbers(seed, int, "seed")
    count = number(epochs, int, "epochs") if epochs else None

    from lib import runs as runs_
    from lib.base import malloc
    from lib.runs import catalogue
    from lib.training.datasets import usual_model
    from lib.training.training import Training

    malloc.keep_memory()
    parent, left_out = catalogue.named(start) if start else None, tuple(without or ())
    model = model or usual_model(dataset)
    wanted = [
        Training(dataset, model, a, s, recipe, count, variant, parent, left_out)
        for a in alphas
        for s in seeds
    ]
    runs_.missing(wanted)  # a damaged run is an error before anything is trained
    for training in wanted:
        run = runs_.make(training, weights=weights)
        runs_.table("selectivity", [training])
        result = runs_.config(run)["result"]
        print(f"{run.path}: {result['status']}, clean accuracy {result['clean_accuracy']:.1%}")
