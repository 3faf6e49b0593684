"""The images that results are about. Numbers of two sets of images, or of two orders of one set, are not put
side by side: "the first 1,000 test images" are then others, and so are the images that a training leaves out
for validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from lib import data
from lib.base import paths
from lib.base.errors import InputError

FACT = "images"  # what a manifest says of a table: fingerprint of the test split that it was measured on


class Part(NamedTuple):
    """A part of a data set.

    Attributes:
        dataset: Name of the data set.
        split: "train" or "test".
        without: Names of the classes that are left out.
    """

    dataset: str
    split: str
    without: tuple[str, ...] = ()

    def __str__(self) -> str:
        left_out = f" without {', '.join(self.without)}" if self.without else ""
        return f"{self.dataset} ({self.split} split{left_out})"


class Basis(NamedTuple):
    """The images that a result is about.

    Attributes:
        what: The result, in words that begin a sentence: "run digits-resnet8/... was trained".
        part: Where they are from.
        fingerprint: Of all images of that part; "" where nothing tells.
    """

    what: str
    part: Part
    fingerprint: str


def of_run(name: str, facts: Mapping[str, Mapping[str, Any]]) -> list[Basis]:
    """The images that a run was trained on, and those of its accuracy.

    Args:
        name: What the run is called.
        facts: Its config.json.
    """
    train, test = (_part(facts, split) for split in data.SPLITS)
    trained = facts["result"]["data"]
    return [
        Basis(f"run {name} was trained", train, trained),
        Basis(f"run {name} was tested", test, _beside(train, trained)),
    ]


def of_table(name: str, facts: Mapping[str, Mapping[str, Any]], file: str, entry: Mapping[str, Any]) -> Basis:
    """The images that a table was measured on.

    The first tables do not say. They are taken to be about the test split that belongs to the training split
    that their network was trained on, where that one is known: both were read from one copy.

    Args:
        name: What its run is called.
        facts: The run's config.json.
        file: The table's file.
        entry: What the run's manifest says of it.
    """
    known = entry.get(FACT) or _beside(_part(facts, "train"), facts["result"]["data"])
    return Basis(f"{file} of run {name} was measured", _part(facts, "test"), str(known))


def _part(facts: Mapping[str, Mapping[str, Any]], split: str) -> Part:
    named = facts["training"]
    return Part(named["dataset"], split, tuple(map(str, named.get("without") or ())))


def _beside(train: Part, trained: str) -> str:
    """The fingerprint of the test split in the copy whose training split has this one; "" if unknown."""
    known = data.FINGERPRINTS.get(train.dataset, {})
    return known["test"] if known and not train.without and known["train"] == trained else ""


def here(part: Part) -> str:
    """The fingerprint of a part of the data on this machine.

    Raises:
        InputError: They are missing or damaged.
    """
    return data.load(part.dataset, part.split).without(part.without).fingerprint


def check(results: Iterable[Basis], *, to_make: Iterable[Part] = ()) -> None:
    """Check that results are about the same images.

    Args:
        results: The results that are to stand beside each other.
        to_make: What those are about that are still to be made, from the data on this machine. Data that are
            missing say nothing: whoever needs them says so.

    Raises:
        InputError: Two of them are not, with what to do.
    """
    seen: dict[Part, dict[str, list[str]]] = {}
    for one in results:
        if one.fingerprint:
            seen.setdefault(one.part, {}).setdefault(one.fingerprint, []).append(one.what)
    for part in to_make:
        if part in seen:
            with suppress(InputError):
                seen[part].setdefault(here(part), []).append("what is missing would be made")
    for part, places in seen.items():
        if len(places) > 1:
            raise _mixed(part, places)


def _mixed(part: Part, places: Mapping[str, list[str]]) -> InputError:
    """The error for results on images of two fingerprints; the fewer ones come first."""
    said = []
    for fingerprint, results in sorted(places.items(), key=lambda item: len(item[1])):
        others = len(set(results)) - 1
        more = f" (and {others} more {'was' if others == 1 else 'were'})" if others else ""
        said.append(f"{results[0]} on {fingerprint}{more}")
    return InputError(
        f"not the same images of {part}, by their fingerprints: {', '.join(said)}; results on two sets of "
        f"images, or on one in two orders, are not mixed: move the runs of one of them out of {paths.runs()} "
        f"and make them again, or set RUNS_DIR to another folder for them (python -m lib data {part.dataset} "
        f"tells which images are on this machine)"
    )


def told(results: Iterable[Basis], dataset: str) -> list[str]:
    """What cached results on a data set are about, in lines for people, compared with the data that are here.

    Args:
        results: Cached results, on any data set.
        dataset: Name of the data set.
    """
    found: dict[Part, dict[str, list[str]]] = {}
    for one in results:
        if one.part.dataset == dataset:
            found.setdefault(one.part, {}).setdefault(one.fingerprint, []).append(one.what)
    lines = []
    for part, by in sorted(found.items(), key=lambda item: (item[0].without, item[0].split != "train")):
        kind = "networks trained" if part.split == "train" else "accuracies and tables measured"
        left_out = f" without {', '.join(part.without)}" if part.without else ""
        for fingerprint, about in sorted(by.items()):
            lines.append(f"{len(about)} cached {kind}{left_out} on {_which(part, fingerprint, about)}")
    return lines


def _which(part: Part, fingerprint: str, about: list[str]) -> str:
    """The images of a fingerprint, by how they compare with the ones that are here."""
    if not fingerprint:
        return "images that they do not tell"
    try:
        ours = here(part)
    except InputError:
        known = data.FINGERPRINTS.get(part.dataset, {}).get(part.split)
        same = ", which any copy of this data set gives" if known == fingerprint and not part.without else ""
        return f"the images {fingerprint}{same}"
    if fingerprint == ours:
        return "these images, in this order"
    return f"OTHER images, or in another order: {fingerprint}, not {ours}; {about[0]} on them"
