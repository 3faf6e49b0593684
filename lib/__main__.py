"""The command line: python -m lib COMMAND. Bad input is one line on stderr and exit code 2."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from lib.errors import InputError

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Dataset = Annotated[str, typer.Option(help="digits, cifar10 or tiny-imagenet")]
Model = Annotated[str, typer.Option(help="resnet8, resnet20, resnet18 or resnet50; by default the data set's usual one")]
Alphas = Annotated[list[str], typer.Option("--alpha", help="selectivity scale, negative lowers selectivity; may be given several times: --alpha=-0.7")]
Seeds = Annotated[list[str], typer.Option("--seed", help="may be given several times")]
RecipeName = Annotated[str, typer.Option(help="paper, or fast: shorter, for machines without a GPU")]
Csv = Annotated[bool, typer.Option("--csv", help="comma-separated values on stdout")]


def _number(text: str, kind: type, name: str) -> float | int:
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"{name} must be a {'whole ' if kind is int else ''}number, got {text!r}") from None


@app.callback()
def _commands() -> None:
    """Train, measure and rerun; python -m lib COMMAND --help says more."""


@app.command()
def train(
    dataset: Dataset = "cifar10",
    model: Model = "",
    alpha: Alphas = ("0",),
    seed: Seeds = ("0",),
    recipe: RecipeName = "fast",
    epochs: Annotated[str, typer.Option(help="in place of the recipe's own number; the schedule is scaled to it")] = "",
    weights: Annotated[bool, typer.Option("--weights", help="train again where only the weights are missing")] = False,
) -> None:
    """Train networks, each alpha with each seed, into the store; what is there already is left alone, an interrupted one goes on."""
    from lib import recipes, runs

    count = _number(epochs, int, "epochs") if epochs else None
    model = model or recipes.usual_model(dataset)
    wanted = [
        recipes.Training(dataset, model, _number(a, float, "alpha"), _number(s, int, "seed"), recipe, count) for a in alpha for s in seed
    ]
    for training in wanted:
        run = runs.make(training, weights=weights)
        runs.table("selectivity", [training])
        result = runs.config(run)["result"]
        print(f"{run.path}: {result['status']}, clean accuracy {result['clean_accuracy']:.1%}")


def main() -> None:
    """Run the command line; every InputError is one line on stderr and exit code 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        sys.exit(app(standalone_mode=False))
    except InputError as error:
        message = str(error)
    except typer.Abort:
        message = "interrupted; what was finished is kept, the same command goes on from there"
    except Exception as error:
        if not hasattr(error, "format_message"):  # the parser's own errors, whose class differs between versions of typer
            raise
        message = error.format_message()
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
