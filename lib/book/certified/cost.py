"""What a step of certified training costs: counted, timed where that is published, and in memory."""

from __future__ import annotations

import json
import weakref
from collections import Counter
from collections.abc import Collection

import pandas as pd
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from lib import models
from lib.base import paths
from lib.certificates.losses import mixed
from lib.certificates.relaxation import RULES, half_width, lines
from lib.papers.singleprop import FASTLIN, IBP
from lib.papers.singleprop import PGD as ADVERSARIAL
from lib.training.objective.worst import Worst
from lib.training.variants import Robust, robust_name, variant

# cases of the benchmark: a step of IBP over one of SingleProp, which SP-2 is about, and one of PGD
BENCH = ("certified-small", "certified-large")
BESIDE = {
    "certified-small": ("cnn-small", "IBP"),
    "certified-large": ("cnn-large", "IBP"),
    "certified-pgd-small": ("cnn-small", "PGD, 7 steps"),
    "certified-pgd-large": ("cnn-large", "PGD, 7 steps"),
}
# the same steps in code that is written layer by layer, small network
PLAIN = ("certified-plain-singleprop", "certified-plain-ibp")
TIMED = "benchmarks/results.json"
# steps that are counted, and the names of their ways of training
WAYS = {"plain": "", "singleprop": FASTLIN, "ibp": IBP, "pgd": ADVERSARIAL}


def _published(file: str, names: Collection[str]) -> list[dict[str, object]]:
    place = paths.ROOT / file
    rows = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else []
    return [one for one in rows if one["name"] in names and one["ratio"] is not None]


def steps(file: str = TIMED) -> list[dict[str, object]]:
    """Rows of the published benchmark on steps of IBP and of SingleProp; none if it was not run."""
    return _published(file, BENCH)


def beside(file: str = TIMED) -> pd.DataFrame:
    """SingleProp's step beside those of IBP and of PGD, for reading: one row per network and other step, with
    the times, their ratio and its range, the memory of both, and where they were timed; empty if they were
    not.
    """
    return pd.DataFrame([
        {
            **dict(zip(("network", "beside"), BESIDE[str(one["name"])], strict=True)),
            "SingleProp, ms": f"{one['ours']:.3g}",
            "the other, ms": f"{one['peer']:.3g}",
            "ratio": f"{one['ratio']:.2f} ({one['low']:.2f} to {one['high']:.2f})",
            "MiB at most": " and ".join(
                f"{one[side]:.0f}" for side in ("ours_mib", "peer_mib") if side in one
            ),
            "timed on": f"{one['machine']}, {one['date']}",
        }
        for one in sorted(_published(file, BESIDE), key=lambda one: list(BESIDE).index(str(one["name"])))
    ])


def in_plain_code(file: str = TIMED) -> str:
    """The same comparison where every layer is written for itself, in a sentence; "" if it was not timed."""
    found = {str(one["name"]): one for one in _published(file, PLAIN)}
    if set(found) != set(PLAIN):
        return ""
    cheap, other = (float(str(found[name]["peer"])) for name in PLAIN)
    ratio = other / cheap
    ours = [float(str(one["ratio"])) for one in steps(file) if one["name"] == BENCH[0]]
    whose = ""
    if ours and 2 * (ratio - 1) < ours[0] - 1:
        whose = ": most of our ratio is how this library computes SingleProp's step"
    return (
        f"In code that is written layer by layer, which the benchmark holds beside ours, a step of IBP takes "
        f"{ratio:.2f} times as long as one of SingleProp (cnn-small, medians){whose}."
    )


class _Counted(TorchFunctionMode):
    """Counts convolutions and linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += function in (F.conv2d, F.linear)
        return function(*args, **(kwargs or {}))


def _loss(network: torch.nn.Module, how: str) -> Worst:
    settings = variant(robust_name(how, 2 / 255)).settings
    assert isinstance(settings, Robust)
    return Worst(network, {}, settings)


def passes(model: str = "cnn-small") -> dict[str, int]:
    """Linear passes that the loss of a step takes, forward, by method: calls of layers with weights over
    their number.

    With PGD each is followed by one back.
    """
    network, x = models.build(model, 10), torch.full((2, 3, 32, 32), 0.5)
    layers = sum(isinstance(one, torch.nn.Conv2d | torch.nn.Linear) for one in network.modules())
    found = {}
    for name, how in WAYS.items():
        with _Counted() as counted:
            if not how:
                network(x)
            else:
                loss = _loss(network, how)
                counted.count = 0  # of what reading the network took
                loss.logits(x, torch.zeros(2, dtype=torch.int64))
        found[name] = round(counted.count / layers)
    return found


def difference(pairs: int = 100_000) -> float:
    """Largest difference between SingleProp's rules and half the distance of the two lines, and between its
    rule zero and half the interval behind the ReLU, on random (z, v).
    """
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(pairs, generator=generator, dtype=torch.float64)
    v = torch.rand(pairs, generator=generator, dtype=torch.float64) * 2
    worst = 0.0
    for rule in RULES:
        below, above, offset = lines(z - v, z + v, rule)
        half = (above * (z + v) + offset - below * (z - v)) / 2
        worst = max(worst, float((half_width(z, v, rule) - half).abs().max()))
    interval = ((z + v).relu() - (z - v).relu()) / 2
    return max(worst, float((half_width(z, v, "zero") - interval).abs().max()))


class _Held:
    """A tensor that autograd saves, as long as it does."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor


class _Saved:
    """Bytes of the storages that autograd holds, each once: now, and at most."""

    def __init__(self) -> None:
        self.times: Counter[int] = Counter()  # tensors held, by the address of their storage
        self.now = self.most = 0

    def hold(self, tensor: torch.Tensor) -> _Held:
        held, storage = _Held(tensor), tensor.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        self.now += 0 if self.times[place] else size
        self.times[place] += 1
        self.most = max(self.most, self.now)
        weakref.finalize(held, self._release, place, size)
        return held

    def _release(self, place: int, size: int) -> None:
        self.times[place] -= 1
        self.now -= 0 if self.times[place] else size


def _kept(model: str, images: int) -> dict[str, int]:
    """The most bytes that autograd holds in a step, by method."""
    network = models.build(model, 10)
    x, y = torch.full((images, 3, 32, 32), 0.5), torch.zeros(images, dtype=torch.int64)
    found = {}
    for name, how in WAYS.items():
        saved, loss = _Saved(), _loss(network, how) if how else None
        with torch.autograd.graph.saved_tensors_hooks(saved.hold, lambda held: held.tensor):
            value = F.cross_entropy(network(x), y) if loss is None else mixed(*loss.logits(x, y)[:2], y, 0.5)
        found[name] = saved.most
        del value
    return found


def kept(model: str) -> dict[str, float]:
    """Memory that the loss of a step keeps for its gradient, by method, in MiB an image: what autograd saves
    for one image more, so that weights, and their absolute values, do not count.
    """
    few, more = (_kept(model, images) for images in (2, 4))
    return {name: (more[name] - few[name]) / 2 / 2**20 for name in few}
