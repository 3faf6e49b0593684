"""`data`: what is on this machine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lib.base import names
from lib.base.errors import InputError


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
