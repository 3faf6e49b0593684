"""Checkpoints of an unfinished training: what is in one, and how it is read and written."""

from __future__ import annotations

import hashlib
import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from lib.base.files import Unfit, damaged, read_file, write_atomically
from lib.base.fingerprint import exempt
from lib.training.engine import device, threads_of
from lib.training.step import Session

CHECKPOINT_BYTES = 4 * 2**30  # no checkpoint is larger: weights, best weights and momentum of one network


@exempt
def write_checkpoint(file: Path, tensors: dict[str, Tensor], facts: dict[str, object]) -> None:
    """Write tensors and JSON facts into one file that begins with the SHA-256 of the rest."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    body = safetensors.torch.save(plain, {"facts": json.dumps(facts)})
    write_atomically(file, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


@exempt
def read_checkpoint(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_checkpoint` wrote.

    Raises:
        InputError: For a file that differs in any bit.
    """
    try:
        digest, _, body = read_file(file, most=CHECKPOINT_BYTES).partition(b"\n")
    except Unfit as error:
        raise damaged(file, str(error), "delete it to start this run anew") from None
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise damaged(file, "does not match its checksum", "delete it to start this run anew")
    size = int.from_bytes(body[:8], "little")  # a safetensors file: length of its JSON header, header, data
    facts = json.loads(json.loads(body[8 : 8 + size])["__metadata__"]["facts"])
    return safetensors.torch.load(body), facts


class Checkpoint:
    """Everything that a training needs to go on as if nothing had happened; generators are derived anew for
    each epoch.
    """

    FACTS = ("epoch", "seconds", "history", "best_epoch", "best_accuracy", "machines")

    def __init__(self, session: Session) -> None:
        self.session = session
        # identity of a training that may go on from it: the same network on the same data, with the same
        # arithmetic
        self.identity = {
            "training": session.training.key,
            "engine": str(session.engine),
            "data": session.images.fingerprint,
        }
        self.epoch, self.seconds, self.history = 0, 0.0, []  # type: int, float, list[dict[str, float]]
        # machines that trained it, one after the other; the last bits of a network depend on them
        self.machines: list[dict[str, Any]] = []
        self.best_epoch: int = 0
        self.best_accuracy: float | None = None
        self.best = self._copy()

    def _copy(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.session.network.state_dict().items()}

    def threads(self) -> AbstractContextManager[None]:
        """Context manager: as many threads as the machine had that began this training."""
        return threads_of(self.machines[-1]["device"]) if self.machines else nullcontext()

    def begin(self, kind: str) -> None:
        """Note that this machine goes on from here."""
        here = {"device": device(kind), "torch": torch.__version__}
        if not self.machines or self.machines[-1] != here | {"from_epoch": self.machines[-1]["from_epoch"]}:
            self.machines.append({"from_epoch": self.epoch + 1, **here})

    def finish_epoch(self, row: dict[str, float], seconds: float, *, diverged: bool) -> None:
        """Note an epoch's row of the history, and its network if it is the one to keep so far."""
        self.epoch, self.seconds = self.epoch + 1, self.seconds + seconds
        self.history.append(row)
        accuracy = row["validation_accuracy"]
        last = self.session.training.settings.keeps == "last"
        if not diverged and (last or self.best_accuracy is None or accuracy > self.best_accuracy):
            self.best_epoch, self.best_accuracy, self.best = self.epoch, accuracy, self._copy()

    def save(self, file: Path) -> None:
        """Write it, whole or not at all."""
        parts = {
            "network": self.session.network.state_dict(),
            "best": self.best,
            "optimiser": self.session.optimised(),
            "selectivity": self.session.objective.tensors(),
        }
        tensors = {
            f"{part}/{name}": tensor for part, found in parts.items() for name, tensor in found.items()
        }
        write_checkpoint(file, tensors, {name: getattr(self, name) for name in self.FACTS} | self.identity)

    def load(self, file: Path) -> None:
        """Go on from a file.

        Raises:
            InputError: For one that is damaged, of another training, or of an earlier form.
        """
        tensors, facts = read_checkpoint(file)
        for what, ours in self.identity.items():
            if (theirs := facts.pop(what, None)) != ours:
                words = "other data" if what == "data" else f"another {what} ({theirs}, not {ours})"
                raise damaged(file, f"was made with {words}", "move it away to start this run anew")
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimiser": {}, "selectivity": {}}
        for name, tensor in tensors.items():
            part, rest = name.split("/", 1)
            if part not in parts:
                raise damaged(file, "was made by an earlier version", "move it away to start this run anew")
            parts[part][rest] = tensor
        for name, value in facts.items():
            setattr(self, name, value)
        self.session.network.load_state_dict(parts["network"])
        self.best = {name: tensor.to(self.best[name].device) for name, tensor in parts["best"].items()}
        self.session.load_optimised(parts["optimiser"])
        for name, tensor in self.session.objective.tensors().items():
            tensor.copy_(parts["selectivity"][name])
