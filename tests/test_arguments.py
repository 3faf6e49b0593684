"""Arguments of another kind than the names that people script against take: one line from each."""

import numpy as np
import pytest
import torch

from lib import certificates, data, models, purification, runs
from lib.base.errors import InputError
from lib.certificates import verify
from lib.papers import statistics
from lib.purification import measures
from lib.training.training import Training

X, Y = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1])
NETWORK = models.build("cnn-small", 10).eval()
W = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
D = torch.randn(5, 5, generator=torch.Generator().manual_seed(2))
CERTIFICATES = {
    "interval_bounds": lambda network=NETWORK, pixels=X, epsilon=0.1: certificates.interval_bounds(
        network, pixels, epsilon
    ),
    "singleprop": lambda network=NETWORK, pixels=X, epsilon=0.1: certificates.singleprop(
        network, pixels, epsilon
    ),
    "certified": lambda network=NETWORK, pixels=X, epsilon=0.1: certificates.certified(
        network, pixels, Y, epsilon
    ),
}
IMAGES = [
    X[:, :2], X[:, :, :8, :8], X[:, :, :0, :0], X.to("meta"), X.to_sparse(), X[0], X * 2, X.half(), X.numpy(), None,
]  # fmt: skip


def refused(call) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("name", CERTIFICATES)
def test_what_certificates_cannot_take(name):
    assert CERTIFICATES[name]() is not None
    for pixels in IMAGES:
        refused(lambda pixels=pixels: CERTIFICATES[name](pixels=pixels))
    for network in (None, "net", [NETWORK], torch.nn.Linear, lambda x: x, torch.nn.Linear(3, 10)):
        refused(lambda network=network: CERTIFICATES[name](network=network))
    for epsilon in (-1, float("nan"), "1", None, True, [0.1], 10**400, torch.tensor([0.1, 0.2])):
        refused(lambda epsilon=epsilon: CERTIFICATES[name](epsilon=epsilon))


def test_names_of_methods_and_labels():
    for method in (["interval"], None, 1, "exact"):
        refused(lambda method=method: certificates.certified(NETWORK, X, Y, 0.1, method=method))
        refused(lambda method=method: certificates.singleprop(NETWORK, X, 0.1, rule=method))
    for labels in (Y.to("meta"), Y.float(), Y[:1], Y + 10, [0, 1], None):
        refused(lambda labels=labels: certificates.certified(NETWORK, X, labels, 0.1))


def test_the_checks_change_no_bound():
    for one, other in zip(
        certificates.interval_bounds(NETWORK, X, 0.01), verify.interval_bounds(NETWORK, X, 0.01), strict=True
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("wrong", [None, "x", ["a"], W.to(torch.complex64), [[1], [1, 2]], W[0, 0]])
def test_what_is_no_matrix(wrong):
    """The imaginary part of complex numbers was dropped."""
    for call in (
        lambda: purification.angle(wrong, W), lambda: purification.angle(W, wrong),
        lambda: purification.dense_mixture(wrong, D, D[0]), lambda: purification.dense_mixture(W, wrong, D[0]),
        lambda: purification.dense_mixture(W, D, wrong), lambda: purification.top_atom_energy(wrong, D),
        lambda: purification.top_atom_energy(W, wrong), lambda: purification.live(wrong),
        lambda: purification.low_rank(wrong, W, 1), lambda: purification.low_rank(W, wrong, 1),
        lambda: purification.change_energy(wrong, W), lambda: purification.relative_change(W, wrong),
    ):  # fmt: skip
        refused(call)
    assert torch.equal(purification.angle(W.numpy(), -W), measures.angle(W, -W))


def test_what_has_no_directions_or_no_rows():
    gone = W * float("nan")
    for call in (
        lambda: purification.low_rank(gone, W, 1), lambda: purification.change_energy(W, gone),
        lambda: purification.low_rank(W.long(), W, 1), lambda: purification.live(W[:0]),
        lambda: purification.angle(W.to("meta"), W), lambda: purification.angle(W, W.to_sparse()),
    ):  # fmt: skip
        refused(call)
    for rank in ("1", 1.5, True, None, -1):
        refused(lambda rank=rank: purification.low_rank(W, W, rank))
    for d in ("1", 1.5, True, None, 0, float("nan"), 10**400):
        refused(lambda d=d: purification.chance_angle(d))


def drawn():
    return torch.Generator().manual_seed(0)


WORLD = purification.world(5, 2, generator=drawn())
SAMPLES, VOTES = purification.samples(WORLD, 4, generator=drawn())
LINEAR = purification.Linear(W[:1])


@pytest.mark.parametrize("name", ["fgm", "pgd", "universal"])
def test_what_cannot_be_perturbed(name):
    how = {"tau": 0.1} | ({"steps": 2} if name == "pgd" else {})
    first = WORLD if name == "universal" else LINEAR

    def call(one=first, x=SAMPLES, y=VOTES, **changed):
        own = {"generator": drawn()} if name == "pgd" else {}
        return getattr(purification, name)(one, x, y, **how | changed, **own)

    assert call().shape == (4, 5) and torch.equal(call(x=SAMPLES.T.contiguous().T), call())
    for one in (
        None,
        "net",
        5,
        purification.Linear,
        torch.nn.Linear(5, 1),
        LINEAR if name == "universal" else WORLD,
    ):
        refused(lambda one=one: call(one))
    for x in (None, [[1.0]], SAMPLES[:, :3], SAMPLES.double(), SAMPLES.half(), SAMPLES.long(), SAMPLES[0]):
        refused(lambda x=x: call(x=x))
    for y in (None, VOTES[:2], (VOTES > 0).float(), VOTES * float("nan")):
        refused(lambda y=y: call(y=y))
    for tau in ("1", None, True, -1, float("nan"), float("inf"), 10**400):
        refused(lambda tau=tau: call(tau=tau))
    for norm in (None, ["l2"], "l1"):
        refused(lambda norm=norm: call(norm=norm))
    for steps in (0, 1.5, "2", True, None) if name == "pgd" else ():
        refused(lambda steps=steps: call(steps=steps))


class Elsewhere(torch.Generator):
    device = torch.device("cuda")


def test_worlds_are_drawn_on_the_cpu():
    refused(lambda: purification.world(4, 2, generator=Elsewhere()))
    refused(lambda: purification.samples(WORLD, 2, generator=Elsewhere()))


def test_what_is_no_world_or_has_no_labels():
    """A world in which every label is a tie was sampled for ever."""
    for d, k in (
        (2.5, 1),
        (True, 1),
        ("5", 1),
        (None, 1),
        (4, 1.5),
        (4, "2"),
        (4, float("nan")),
        (3, 5),
        (0, 1),
    ):
        refused(lambda d=d, k=k: purification.world(d, k, generator=drawn()))
    for noise in ("x", float("inf"), float("nan"), -1, True):
        refused(lambda noise=noise: purification.world(4, 2, generator=drawn(), noise=noise))
    basis, votes = WORLD.dictionary, WORLD.target
    for wrong in (
        None, LINEAR, purification.World(basis, votes * 0, 2), purification.World(basis, votes * float("nan"), 2),
        purification.World(basis, votes, 0), purification.World(basis, votes, 6), purification.World(basis[:3], votes, 2),
        purification.World(basis, votes * 1e-9, 2), purification.World(basis, votes, 2, float("nan")),
    ):  # fmt: skip
        refused(lambda wrong=wrong: purification.samples(wrong, 2, generator=drawn()))
        refused(lambda wrong=wrong: purification.train(LINEAR, wrong, steps=1, rate=0.1, generator=drawn()))
    for n in (0, 1.5, "2", True, float("nan")):
        refused(lambda n=n: purification.samples(WORLD, n, generator=drawn()))
    for changed in (
        {"steps": 1.5}, {"steps": None}, {"rate": float("nan")}, {"rate": -1}, {"penalty": -1}, {"noise": float("nan")},
        {"batch": 0}, {"batch": 2.5},
    ):  # fmt: skip
        how = {"steps": 1, "rate": 0.1} | changed
        refused(lambda how=how: purification.train(LINEAR, WORLD, generator=drawn(), **how))
    for other in (
        purification.Linear(W[:1, :3]),
        purification.Linear(W[:1].double()),
        purification.Linear(W[:1].half()),
    ):
        refused(lambda other=other: purification.train(other, WORLD, steps=1, rate=0.1, generator=drawn()))


@pytest.mark.parametrize(
    "wrong", ["x", ["a", "b"], {"a": 1}, [[1, 2], [3]], [1j, 2], None, 5, np.array(["1"])]
)
def test_what_is_no_number_per_class_or_seed(wrong):
    refused(lambda: statistics.class_wise_variance(wrong))
    refused(lambda: statistics.disparity(wrong))
    refused(lambda: statistics.verdict(wrong, 1.0))


@pytest.mark.parametrize("delta", ["1", [1], True, 0, -1, float("nan"), 1j])
def test_what_is_no_size_of_an_effect(delta):
    refused(lambda: statistics.verdict([1.0, 2.0, 3.0], delta))


def test_what_is_no_training(own_store):
    one = Training("digits", "resnet8", 0.0, 0, "fast")
    for wrong in (None, "x", 5, [one], one.name):
        refused(lambda wrong=wrong: runs.load(wrong))
    for wrong in (None, "x", 5, one, [one.name], [None], [[one]]):
        for ask in (lambda them: runs.table("selectivity", them), runs.summary, runs.history):
            refused(lambda wrong=wrong, ask=ask: ask(wrong))


def test_what_is_no_name_of_a_data_set():
    for wrong in (None, 5, ["digits"], {}, b"digits"):
        refused(lambda wrong=wrong: data.load(wrong, "test"))
