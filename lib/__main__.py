"""Train networks, list and measure the cached ones, rerun chapters and build the book. Bad input is one line on stderr and exit code 2."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from lib.errors import InputError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

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
    """Train networks, list and measure the cached ones, rerun chapters and build the book; COMMAND --help says more."""


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
    runs.missing(wanted)  # a damaged run is an error before anything is trained
    for training in wanted:
        run = runs.make(training, weights=weights)
        runs.table("selectivity", [training])
        result = runs.config(run)["result"]
        print(f"{run.path}: {result['status']}, clean accuracy {result['clean_accuracy']:.1%}")


@app.command()
def runs(csv: Csv = False) -> None:
    """List the cached runs: what each is, where and when it was made, and whether it is ok, diverged, stale or damaged (then exit code 2)."""
    from lib import catalogue, paths

    rows = catalogue.catalogue()
    if csv:
        print(rows.to_csv(index=False), end="")
    elif rows.empty:
        print(f"no runs in {paths.runs()}; make one with: python -m lib train --dataset digits")
    else:
        print(rows[[*catalogue.COLUMNS[:8], "date", "status"]].to_string(index=False, float_format="{:.3f}".format))
        for row in rows[rows.status == "stale"].itertuples():
            print(f"stale: {row.run}: {row.note}")
    catalogue.refuse_damaged(rows)


@app.command()
def table(
    measurement: Annotated[str, typer.Argument(help="selectivity or class_means")],
    csv: Csv = False,
) -> None:
    """A measurement's tidy table over all cached runs; what was not measured yet is measured now, where the weights are kept."""
    from lib import catalogue, measurements
    from lib import runs as cache

    measurements.settled(measurement, {})
    trainings = catalogue.cached()
    if not trainings:
        raise InputError("no runs are cached; make one with: python -m lib train --dataset digits")
    rows, left = cache.tables_at_hand(measurement, trainings)
    print(rows.to_csv(index=False) if csv else rows.to_string(max_rows=20), end="" if csv else "\n")
    for training in left:
        print(f"left out, not measured and its weights are not kept: {training.name}", file=sys.stderr)


@app.command()
def data(
    name: Annotated[str, typer.Argument(help="digits, cifar10 or tiny-imagenet; all of them if left out")] = "",
    download: Annotated[bool, typer.Option("--download", help="fetch CIFAR-10 into DATA_DIR first")] = False,
) -> None:
    """Say which data sets are at hand, and get CIFAR-10."""
    from lib import data as sets

    if download:
        if name != "cifar10":
            raise InputError(f"only cifar10 can be downloaded, got {name!r}; {sets.DATASETS.get(name, ('', '', 'see python -m lib data'))[2]}")
        print(f"CIFAR-10 is in {sets.download_cifar10()}")
    for one in [name] if name else sets.DATASETS:
        try:
            splits = {split: sets.load(one, split) for split in sets.SPLITS}
        except InputError as error:
            if name:
                raise
            print(f"{one}: {error}")
            continue
        sizes = ", ".join(f"{len(images):,} {split} (fingerprint {images.fingerprint})" for split, images in splits.items())
        images = splits["train"]
        print(f"{one}: {sizes}, {tuple(images.pixels.shape[1:])} uint8, {len(images.classes)} classes")


@app.command()
def chapters() -> None:
    """Execute all chapters with their defaults, from cached runs alone, and write their published notebooks."""
    from lib import chapters as all_chapters

    changed = all_chapters.publish()
    print("\n".join(f"written: {file}" for file in changed) or "nothing changed")


@app.command("book")
def build_book() -> None:
    """Build the book from cached runs, warnings as errors: _build/html/index.html."""
    from lib import book, paths

    print(f"the book: {book.build(paths.BUILD) / 'index.html'}")


@app.command()
def rerun(
    chapter: Annotated[str, typer.Argument(help="its name, with or without the number: approach")],
    dataset: Dataset = "cifar10",
    model: Model = "",
    alpha: Annotated[list[str], typer.Option("--alpha", help="an alpha to add to the chapter's own; may be given several times: --alpha=-0.7")] = (),
    seed: Annotated[list[str], typer.Option("--seed", help="the seeds to show; by default all that are cached for the chapter's alphas")] = (),
    recipe: RecipeName = "fast",
) -> None:
    """Show a chapter with more alphas, or on another data set: trains what is missing, then builds its page beside the cached runs."""
    from lib import rerun as again

    page = again.rerun(
        chapter,
        dataset=dataset,
        model=model,
        alphas=[_number(one, float, "alpha") for one in alpha],
        seeds=[_number(one, int, "seed") for one in seed],
        recipe=recipe,
        say=print,
    )
    print(f"the page: {page}")


def main() -> None:
    """Run the command line; every InputError is one line on stderr and exit code 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("papermill").setLevel(logging.WARNING)  # it announces every notebook it looks at
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
