"""Groups of results that other code than today's has made and that share one piece of evidence, and which of
a group are repeated for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from lib.base import paths
from lib.measurements.asked import EPOCH
from lib.runs import catalogue, equivalence, images, store, validity
from lib.runs.run import config as run_config
from lib.training.training import Training

WHOLE_SECONDS = 60.0  # a training that took fewer seconds is repeated to its end


@dataclass(frozen=True)
class Group:
    """Results that share one piece of evidence: made by the same code for the same kind of network, in the
    same way, on the same device.
    """

    kind: str  # "training" or "table"
    old: str  # digest of the code that made them
    new: str  # digest of today's code
    # a record's own: model, and variant, recipe and engine or measurement, device, torch
    facts: tuple[tuple[str, str], ...]

    def __getitem__(self, fact: str) -> str:
        return dict(self.facts)[fact]

    def __str__(self) -> str:
        of = (
            f"table {self['measurement']}"
            if self.kind == "table"
            else f"{self['variant']} training ({self['recipe']})"
        )
        return f"{of} of {self['model']} by code {self.old}"

    def recorded(self) -> bool:
        return equivalence.same(self.kind, self.old, self.new, **dict(self.facts))


@dataclass(frozen=True)
class Member:
    """A run of a group."""

    training: Training
    run: store.Folder
    file: str  # the result in question: history, or a table

    @property
    def config(self) -> dict[str, dict]:
        return run_config(self.run)

    @property
    def basis(self) -> images.Basis:
        """The images that the result is about."""
        if self.file == validity.HISTORY:
            return images.of_run(self.training.name, self.config)[0]
        return images.of_table(self.training.name, self.config, self.file, self.run.files[self.file])

    def epochs(self, wanted: int) -> int:
        """Number of epochs to repeat."""
        result = self.config["result"]
        return (
            result["epochs_run"] if result["seconds"] < WHOLE_SECONDS else min(wanted, result["epochs_run"])
        )


def found_groups() -> tuple[dict[Group, list[Member]], list[str]]:
    """All results in the store that other code than today's has made, and lines about those that cannot be
    repeated.
    """
    found: dict[Group, list[Member]] = {}
    trainings = catalogue.trainings()
    others = len(catalogue.folders()) - len(trainings)
    lost = [f"no longer described by the recipes: {others} runs; they stay stale"] if others else []
    for training in trainings:
        run = store.Folder(paths.runs() / training.name)
        for one in catalogue.results(run, training, training.model):
            if not one.new:
                lost.append(
                    f"the library has no measurement {one.name!r} any more: that table of "
                    f"{training.name} stays stale"
                )
            elif one.old != one.new:
                found.setdefault(Group(one.kind, one.old, one.new, tuple(one.about.items())), []).append(
                    Member(training, run, one.file)
                )
    return found, lost


def to_repeat(group: Group, members: list[Member]) -> list[Member]:
    """Choose what to repeat: the trainings nearest to alpha = 0 and farthest from it; one table whose weights
    are here, or none.
    """
    by_alpha = sorted(
        members, key=lambda member: (abs(member.training.alpha), member.training.alpha, -member.training.seed)
    )
    if group.kind == "table":
        # one made along a training needs the network of that epoch, which is not kept
        return [
            member
            for member in by_alpha
            if validity.WEIGHTS in member.run and EPOCH not in member.run.files[member.file]["settings"]
        ][-1:]
    # a diverged one shows few epochs
    sound = [member for member in by_alpha if member.config["result"]["status"] == "ok"] or by_alpha
    nearest = [member for member in sound if member.training.alpha == sound[0].training.alpha]
    return [nearest[-1], *([sound[-1]] if sound[-1].training.alpha != sound[0].training.alpha else [])]
