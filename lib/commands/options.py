"""Options that several commands take, and their words as the library has them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, TypeVar

import typer

from lib.base import names
from lib.base.errors import InputError
from lib.base.text import MOST, in_words, parsed

Dataset = Annotated[str, typer.Option(help="digits, cifar10 or tiny-imagenet")]
Model = Annotated[
    str,
    typer.Option(
        help=f"{', '.join(names.models()[:-1])} or {names.models()[-1]}; by default the data set's usual one"
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
        help="paper; fast: for machines without a GPU; check: fast with another minibatch and weight decay; "
        "tune: to go on from a network; certified: by Adam, "
        "for cnn-small and cnn-large"
    ),
]
# defaults of options that may be given several times, which typer wants as lists
ZERO = ["0"]
NOTHING: list[str] = []
N = TypeVar("N", int, float)  # the type of a number
Csv = Annotated[bool, typer.Option("--csv", help="comma-separated values on stdout")]


def number(text: str, kind: type[N], name: str) -> N:
    """The number that an option gives.

    Args:
        text: As it was typed.
        kind: int or float.
        name: Of the option, for the error.

    Raises:
        InputError: If it is no such number, or a whole one too large to be told from others.
    """
    try:
        return parsed(text, kind)
    except (ValueError, OverflowError) as error:
        whole = "whole " if kind is int else ""
        small = f" below {MOST}" if isinstance(error, OverflowError) else ""
        raise InputError(f"{name} must be a {whole}number{small}, got {in_words(text)}") from None


def numbers(given: Sequence[str], kind: type[N], name: str) -> list[N]:
    """The numbers of an option, each of whose texts may be a list: "0.1, 0.2". The book's minus sign counts
    as one.

    Args:
        given: As they were typed.
        kind: int or float.
        name: Of the option, for the error.

    Raises:
        InputError: If one is no number, not finite, or a whole number below 0; or if a decimal comma leaves
            open whether it is one number or two.
    """
    found = []
    for text in given:
        if kind is float and re.fullmatch(r"[-+−]?\d+,\d+", text.strip()):
            point, two = text.strip().replace(",", "."), text.strip().replace(",", " ")
            raise InputError(f"{name} {text!r} may be one number or two; write {point}, or '{two}'")
        bare = text.strip().replace("−", "-")
        if bare.startswith("[") and bare.endswith("]"):
            bare = bare[1:-1]
        nothing = re.search(r"[,;]\s*[,;]|^\s*[,;]", bare)  # a number may be lacking there
        items = [text] if nothing else re.split(r"[ \t,;]+", bare.strip(" \t,;")) if bare else [text]
        found += [number(item, kind, name) for item in items]
    for value in found:
        # as Training has it, which takes long to import
        if kind is float and not math.isfinite(value):
            raise InputError(f"{name} must be a finite number, got {value!r}")
        if kind is int and value < 0:
            raise InputError(f"{name} must be a whole number >= 0, got {value}")
    return found


def named(dataset: str, model: str, recipe: str) -> tuple[str, str, str]:
    """Data set, model ("" for the usual one) and recipe as the library writes them, checked before anything
    heavy is imported.

    Raises:
        InputError: If one of them is unknown; names the known ones.
    """
    return (
        names.chosen("data set", dataset, names.datasets()),
        names.chosen("model", model, names.models()) if model else "",
        names.chosen("recipe", recipe, names.recipes()),
    )
