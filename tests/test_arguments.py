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
        lambda: purification.top_atom_energy(W, wrong),
    ):  # fmt: skip
        refused(call)
    assert torch.equal(purification.angle(W.numpy(), -W), measures.angle(W, -W))


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
