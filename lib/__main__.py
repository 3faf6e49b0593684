"""Train networks, list and measure the cached ones, rerun chapters and build the book.

Bad input is one line on stderr and exit code 2.
"""

from __future__ import annotations

import io
import logging
import math
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from lib.base import environment

try:
    import typer
except ModuleNotFoundError as error:  # python3 -m lib, before make or outside .venv
    sys.exit(environment.refused(error))

from lib.base import interrupt, names, progress
from lib.base.errors import InputError, unknown
from lib.base.text import MOST, in_words, parsed, printable, shortened

KEPT = (
    "what was finished is kept, with the last checkpoint of a network at work; the same command "
    "goes on from there"
)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
runs_app = typer.Typer(add_completion=False)
app.add_typer(runs_app, name="runs")

Dataset = Annotated[str, typer.Option(help="digits, cifar10 or tiny-imagenet")]
Model = Annotated[
    str,
    typer.Option(
        help="resnet8, resnet20, resnet18, resnet50 or alexnet; by default the data set's usual one"
    ),
]
Alphas = Annotated[
    list[str],
    typer.Option(
        "--alpha",
        help='selectivity scale, negative lowers selectivity: --alpha=-0.7; several: "0.1, 0.2"',
    ),
]
Seeds = Annotated[list[str], typer.Option("--seed", help='several: "0, 1", or given again')]
RecipeName = Annotated[
    str,
    typer.Option(
        help="paper; fast: for machines without a GPU; tune: to go on from a network; certified: by Adam, "
        "for cnn-small and cnn-large"
    ),
]
# defaults of options that may be given several times, which typer wants as lists
ZERO = ["0"]
NOTHING: list[str] = []
Number = TypeVar("Number", int, float)
Csv = Annotated[bool, typer.Option("--csv", help="comma-separated values on stdout")]


def _number(text: str, kind: type[Number], name: str) -> Number:
    try:
        return parsed(text, kind)
    except (ValueError, OverflowError) as error:
        whole = "whole " if kind is int else ""
        small = f" below {MOST}" if isinstance(error, OverflowError) else ""
        raise InputError(f"{name} must be a {whole}number{small}, got {in_words(text)}") from None


def _numbers(given: Sequence[str], kind: type[Number], name: str) -> list[Number]:
    """The numbers of an option, each of whose texts may be a list: "0.1, 0.2". The book's minus sign counts
    as one.
    """
    found = []
    for text in given:
        if kind is float and re.fullmatch(r"[-+−]?\d+,\d+", text.strip()):
            point, two = text.strip().replace(",", "."), text.strip().replace(",", " ")
            raise InputError(f"{name} {text!r} may be one number or two; write {point}, or '{two}'")
        bare = text.strip().removeprefix("[").removesuffix("]").replace("−", "-")
        items = [item for item in re.split(r"[ \t,;]+", bare) if item] or [text]
        found += [_number(item, kind, name) for item in items]
    for number in found:
        # as Training has it, which takes long to import
        if kind is float and not math.isfinite(number):
            raise InputError(f"{name} must be a finite number, got {number!r}")
        if kind is int and number < 0:
            raise InputError(f"{name} must be a whole number >= 0, got {number}")
    return found


def _named(dataset: str, model: str, recipe: str) -> tuple[str, str, str]:
    """Data set, model ("" for the usual one) and recipe as the library writes them, checked before anything
    heavy is imported.
    """
    return (
        names.chosen("data set", dataset, names.datasets()),
        names.chosen("model", model, names.models()) if model else "",
        names.chosen("recipe", recipe, names.recipes()),
    )


@app.callback()
def _commands() -> None:
    """Train networks, list and measure the cached ones, rerun chapters and build the book; COMMAND --help
    says more.
    """


@app.command()
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
            "ball of E/255: ibp-E, singleprop-zero-E, singleprop-fastlin-E, adversarial-E"
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
    dataset, model, recipe = _named(dataset, model, recipe)
    alphas, seeds = _numbers(alpha, float, "alpha"), _numbers(seed, int, "seed")
    count = _number(epochs, int, "epochs") if epochs else None

    from lib import runs as runs_
    from lib.base import malloc
    from lib.runs import catalogue
    from lib.training.recipe import Training, usual_model

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


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(help="such as sweeps/digits.yml")],
    shard: Annotated[
        str, typer.Option(help="i/n: the i-th of n equal parts, to be made on different machines")
    ] = "1/1",
    budget: Annotated[
        str,
        typer.Option(
            help="minutes: begin no epoch and no table that would end later; what is begun goes on next time"
        ),
    ] = "",
    pack: Annotated[
        str,
        typer.Option(
            help="name.tar: afterwards put the finished runs of this sweep there, for runs import elsewhere"
        ),
    ] = "",
    engine: Annotated[
        str,
        typer.Option(
            help="here: in this process; local: as processes of their own; slurm: as jobs of a cluster"
        ),
    ] = "here",
) -> None:
    """Make the networks of a sweep file that are not cached, and measure them; says first what is missing and
    how long it will take.

    Exit code 1 if jobs have failed and something is left.
    """
    from lib import sweeps
    from lib.base import malloc
    from lib.runs import archive
    from lib.sweeps import processes, slurm

    malloc.keep_memory()
    engines: dict[str, Callable[..., sweeps.Outcome]] = {
        "here": sweeps.run,
        "local": processes.run,
        "slurm": slurm.run,
    }
    if engine not in engines:
        raise unknown("engine", engine, engines)
    minutes = _number(budget, float, "budget") if budget else None
    sweeps.check_budget(minutes)
    if minutes is not None and engine != "here":
        raise InputError(
            f"--budget is for --engine here, not for {engine!r}, whose jobs have no such end; leave "
            f"one of the two out"
        )
    asked, part = sweeps.read(file), sweeps.parse_shard(shard)
    target = archive.checked(Path(pack)) if pack else None
    plan = sweeps.plan(asked, shard=part)
    outcome = sweeps.run(plan, budget_minutes=minutes) if engine == "here" else engines[engine](plan)
    if target and len(outcome.left) < len(plan.trainings):
        packed = archive.pack(plan.trainings, target)
        print(
            f"packed {len(plan.trainings) - len(packed.left)} of {len(plan.trainings)} runs into "
            f"{', '.join(map(str, packed.archives))}"
        )
        print(
            "bring them into another store with: python -m lib runs import "
            + " ".join(part.name for part in packed.archives)
        )
    elif target:
        print(f"nothing is finished yet, so {target} was not written")
    if outcome.interrupted:
        sys.exit(interrupt.exit_code())  # the sweep has said how to go on
    if outcome.failed:
        sys.exit(1)  # each failed job has been named with its log


@runs_app.callback(invoke_without_command=True)
def runs(context: typer.Context, csv: Csv = False) -> None:
    """List the cached runs: what each is, where and when it was made, and whether it is ok, diverged, stale
    or damaged (then exit code 2).
    """
    from lib.base import paths
    from lib.runs import catalogue

    if context.invoked_subcommand:
        if csv:
            raise InputError(
                f"--csv is for the list of runs, not for runs {context.invoked_subcommand}; leave it out"
            )
        return
    rows = catalogue.catalogue()
    if csv:
        print(rows.to_csv(index=False), end="")
    elif rows.empty:
        print(f"no runs in {paths.runs()}; make one with: python -m lib train --dataset digits")
    else:
        print(rows[catalogue.BRIEF].to_string(index=False, float_format="{:.3f}".format))
        for row in rows[rows.status == "stale"].itertuples():
            print(f"stale: {row.run}: {row.note}")
    catalogue.refuse_damaged(rows)


@runs_app.command("import")
def import_(
    archives: Annotated[list[Path], typer.Argument(help="tar files that sweep --pack has written")],
) -> None:
    """Bring packed runs into the store, each verified against its manifest first; what is there already is
    completed, never changed.
    """
    from lib.base import paths
    from lib.runs import archive

    refused = 0
    for one in archives:
        found = archive.unpack(one)
        for line in found.refused:
            print(f"refused: {line}", file=sys.stderr)
        refused += len(found.refused)
        print(
            f"{one}: {len(found.added)} runs added to {paths.runs()}, {len(found.there)} were there, "
            f"{len(found.tables)} tables and {len(found.weights)} weights completed, "
            f"{len(found.refused)} refused"
        )
    if refused:
        raise InputError(
            f"{refused} things differ from what is here and were left out; to have them, set RUNS_DIR "
            f"to another place and import again"
        )


@runs_app.command()
def recheck(
    epochs: Annotated[
        str, typer.Option(help="of each repeated training; one of less than a minute is repeated whole")
    ] = "1",
    against: Annotated[
        str,
        typer.Option(
            help="a commit: run its training code beside today's in place of repeating what is recorded, "
            "which another machine may have made"
        ),
    ] = "",
) -> None:
    """Repeat some trainings with today's code: where every bit of the results is the same, stale runs count
    as current again. Exit code 1 if some stay stale.
    """
    from lib.base import malloc
    from lib.runs import against as earlier
    from lib.runs import recheck as again

    malloc.keep_memory()
    count = _number(epochs, int, "epochs")
    if count < 1:
        raise InputError(f"epochs must be a whole number >= 1, got {count}")
    settled = earlier.against(against, say=print) if against else again.recheck(say=print, epochs=count)
    if not settled:
        raise typer.Exit(1)


@runs_app.command("beside")
def beside_() -> None:
    """Link the published runs into reruns/, the store in which reruns keep what they make; for work of your
    own beside them: RUNS_DIR=reruns.
    """
    from lib.base import paths
    from lib.runs import beside

    published = paths.runs()
    own = beside.fill(published, paths.ROOT / beside.NAME)
    print(f"{own} has the runs of {published}, and what was made beside them")


@app.command()
def table(
    measurement: Annotated[
        str | None,
        typer.Argument(help="such as selectivity, attack or dimensionality; all are listed if left out"),
    ] = None,
    csv: Csv = False,
) -> None:
    """A measurement's tidy table over all cached runs; what was not measured yet is measured now, where the
    weights are kept.
    """
    if measurement is not None:
        measurement = names.chosen("measurement", measurement, names.measurements())
    elif csv:
        raise InputError(
            "--csv is for one measurement's table; name it: python -m lib table selectivity --csv"
        )

    from lib import measurements
    from lib import runs as runs_
    from lib.base import malloc
    from lib.runs import catalogue

    if measurement is None:
        for name, one in measurements.MEASUREMENTS.items():
            print(f"{name}: {one.summary}")
        return
    malloc.keep_memory()
    trainings = catalogue.trainings()
    if not trainings:
        raise InputError("no runs are cached; make one with: python -m lib train --dataset digits")
    rows, left = runs_.tables_at_hand(measurement, trainings)
    print(rows.to_csv(index=False) if csv else rows.to_string(max_rows=20), end="" if csv else "\n")
    for training in left:
        print(f"left out, not measured and its weights are not kept: {training.name}", file=sys.stderr)


@app.command()
def data(
    name: Annotated[
        str, typer.Argument(help="digits, cifar10 or tiny-imagenet; all of them if left out")
    ] = "",
    download: Annotated[bool, typer.Option("--download", help="fetch CIFAR-10 into DATA_DIR first")] = False,
) -> None:
    """Say which data sets are on this machine, and whether the cached runs are about these very images;
    download CIFAR-10.
    """
    name = names.chosen("data set", name, names.datasets()) if name else ""

    from lib import data as data_
    from lib.runs import catalogue, images

    if download:
        if name != "cifar10":
            raise InputError(
                f"only cifar10 can be downloaded, got {name!r}; "
                f"{data_.DATASETS.get(name, ('', '', 'see python -m lib data'))[2]}"
            )
        print(f"CIFAR-10 is in {data_.download_cifar10()}")
    try:
        cached = catalogue.bases()
    except InputError as error:  # which is no matter of the data
        cached = []
        print(f"not compared with cached runs: {error}", file=sys.stderr)
    for one in [name] if name else data_.DATASETS:
        try:
            splits = {split: data_.load(one, split) for split in data_.SPLITS}
        except InputError as error:
            if name:
                raise
            print(f"{one}: {error}")
            splits = {}
        if splits:
            sizes = ", ".join(
                f"{len(found):,} {split} (fingerprint {found.fingerprint})" for split, found in splits.items()
            )
            train = splits["train"]
            print(f"{one}: {sizes}, {tuple(train.pixels.shape[1:])} uint8, {len(train.classes)} classes")
        for line in images.told(cached, one):
            print(f"{one}: {line}")


@app.command()
def chapters() -> None:
    """Execute all chapters with their defaults, from cached runs alone; write their published notebooks, what
    the README shows of them, and the reference's page of commands.
    """
    with progress.working("loading the library", log=False):
        from lib.book import notebooks, readme, reference

    with progress.working("executing all chapters"):
        changed = notebooks.publish()
    changed += readme.write() + reference.write(app)
    print("\n".join(f"written: {file}" for file in changed) or "nothing changed")


@app.command()
def numbers(
    notebook: Annotated[Path, typer.Argument(help="a chapter that papermill or Jupyter executed")],
) -> None:
    """Write the numbers of an executed chapter into the sentences of its notebook: papermill and Jupyter
    renew figures and tables alone.
    """
    from lib.book import notebooks

    print(f"written: {notebook}, chapter {notebooks.write_numbers(notebook)}")


@app.command("book")
def build_book() -> None:
    """Build the book from cached runs, warnings as errors: _build/html/index.html."""
    with progress.working("loading the library", log=False):
        from lib.base import paths
        from lib.book import site

    print(f"the book: {site.build(paths.BUILD) / 'index.html'}")


@app.command()
def pdf() -> None:
    """Print the whole book through a browser: _build/book.pdf; builds it first where it is older than its
    sources.
    """
    from lib.book import pdf as book_pdf

    print(f"the book: {book_pdf.make()}")


@app.command()
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
        typer.Option(help="paper, or fast: shorter, for machines without a GPU; by default the chapter's"),
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
        "alphas": _numbers(alpha, float, "alpha"),
        "seeds": _numbers(seed, int, "seed"),
        "recipe": names.chosen("recipe", recipe, known["recipe"]) if recipe else "",
    }
    parameters.check(chapter, {name: value for name, value in asked.items() if value}, values)

    with progress.working("loading the library", log=False):
        from lib.base import malloc
        from lib.book import rerun as book_rerun

    malloc.keep_memory()
    page = book_rerun.rerun(chapter, **asked, sets=values, say=print)
    print(f"the page: {page}")


def main() -> None:
    """Run the command line; every InputError is one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # all text is UTF-8, whatever the locale; a terminal shows what it can
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("papermill").setLevel(logging.WARNING)  # it announces every notebook it looks at
    with interrupt.heard():
        code, message = _called()
        if code == 2:
            print(f"error: {shortened(printable(message))}", file=sys.stderr)
        elif code == 130:
            code = interrupt.exit_code()
            print(f"{interrupt.reason()}; {KEPT}", file=sys.stderr)
    sys.exit(code)


def _called() -> tuple[int | None, str]:
    """Run what the command line asks for: the exit code, and the message that goes with code 2."""
    code, message = 0, ""
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        code, message = 2, str(error)
    except (typer.Abort, KeyboardInterrupt):  # Ctrl-C in older versions of typer; newer ones return 130
        code = 130
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "lib":
            raise
        code, message = 2, environment.incomplete(error)
    except Exception as error:
        # the parser's own errors, whose class differs between versions of typer
        if not hasattr(error, "format_message"):
            raise
        code, message = 2, error.format_message()
    return code, message


if __name__ == "__main__":
    main()
