"""The measurements of certificates: what is proven, attacked and estimated, image by image and unit by unit."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lib import data, measurements, models
from lib.base.errors import InputError
from lib.certificates import interval_bounds, singleprop
from lib.measurements import per_image
from lib.measurements.certificate import CERTIFICATE_TABLE, HALF_WIDTH_TABLE, certificate, half_width, shares
from lib.models.activations import spatial_means
from lib.runs import validity
from lib.runs.columns import checked_frame
from lib.runs.run import as_parquet
from lib.training.training import Training, labels

HOW = {"limit": 40, "attacked": 24, "linear": 0, "rule": "fastlin", "seed": 0}
RADII = [1 / 255, 4 / 255, 16 / 255]


class Small(nn.Module):
    """Two layers on a corner of the image, for which linear bounds take no time."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.relu, self.two = nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.Linear(64, 10)

    def forward(self, x):
        return self.two(self.relu(self.one(x)).flatten(1))


@pytest.fixture(scope="module")
def images():
    return data.load("digits", "test")


@pytest.fixture(scope="module")
def small():
    """A network that has learnt the digits a little, without a thought of bounds."""
    train = data.load("digits", "train")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Small()
    optimiser, x = torch.optim.Adam(network.parameters(), 1e-2), models.to_unit(train.pixels)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(x), train.labels).backward()
        optimiser.step()
    return network.eval()


def bits(table: pd.DataFrame) -> dict[tuple[str, int], np.ndarray]:
    return {
        (one["method"], round(255 * one["epsilon"])): per_image.unpacked(one)
        for one in table.to_dict("records")
    }


@pytest.fixture(scope="module")
def table(small, images):
    return certificate(small, images, epsilons=RADII, **HOW | {"linear": 24})


def test_columns(table):
    assert list(table) == list(CERTIFICATE_TABLE)
    assert set(table.method) == {
        "clean", "interval", "pgd", "covered-zero", "covered-fastlin", "fastlin", "larger"
    }  # fmt: skip
    assert table[table.method == "interval"].images.tolist() == [40, 40, 40]
    assert table[table.method == "pgd"].images.tolist() == [24, 24, 24]
    checked_frame(as_parquet(table), CERTIFICATE_TABLE)


def test_what_is_certified_survives_and_what_survives_is_right(table):
    found = bits(table)
    clean = found["clean", 0]
    assert clean.mean() > 0.7
    for radius in (1, 4, 16):
        attacked = found["pgd", radius]
        assert (attacked <= clean[:24]).all() and (found["interval", radius][:24] <= attacked).all()
        assert (found["fastlin", radius] <= attacked).all() and (found["larger", radius] <= attacked).all()
        assert (found["fastlin", radius] | found["interval", radius][:24] <= found["larger", radius]).all()
    for method in ("pgd", "interval"):
        assert (found[method, 4] <= found[method, 1]).all() and (found[method, 16] <= found[method, 4]).all()
    # something is proven, something broken, and the two are not the same
    assert found["interval", 1].any() and not found["pgd", 16].all()


def test_linear_bounds_are_those_of_images_that_no_attack_breaks(small, images, table):
    """An image that PGD breaks is not bounded, which changes nothing: it has no proof."""
    from lib.certificates import certified

    some = images.first(24)
    proven = certified(small, models.to_unit(some.pixels), some.labels, 4 / 255, "fastlin")
    assert np.array_equal(bits(table)["fastlin", 4], proven.numpy())


def test_more_starts_break_no_fewer(small, images, table, monkeypatch):
    monkeypatch.setattr("lib.measurements.certificate.RESTARTS", 1)
    one = bits(certificate(small, images, epsilons=RADII, **HOW))
    assert all((bits(table)["pgd", radius] <= one["pgd", radius]).all() for radius in (1, 4, 16))
    assert ("fastlin", 1) not in one  # not asked for


@pytest.mark.slow
def test_the_same_twice(small, images, table):
    again = certificate(small, images, epsilons=RADII[::-1], **HOW | {"linear": 24})
    pd.testing.assert_frame_equal(table, again)


def test_at_radius_0(small, images):
    """All that is right is proven, up to rounding; and no attack changes anything."""
    found = bits(certificate(small, images, epsilons=[0.0], **HOW))
    assert np.array_equal(found["interval", 0], found["clean", 0])
    assert np.array_equal(found["pgd", 0], found["clean", 0][:24])
    assert found["covered-zero", 0].all()


def test_what_is_covered(small, images):
    some = images.first(24)
    x = models.to_unit(some.pixels)
    lower, upper = interval_bounds(small, x, 16 / 255)
    found = bits(certificate(small, images, epsilons=[16 / 255], **HOW))
    for rule in ("zero", "fastlin"):
        value, width = singleprop(small, x, 16 / 255, rule)
        covered = ((value - width <= lower + 1e-3) & (value + width >= upper - 1e-3)).all(1)
        assert np.array_equal(found[f"covered-{rule}", 16], covered.numpy())
    assert found["covered-zero", 16].sum() < 24


@pytest.mark.parametrize("name", ["cnn-small", "resnet8"])
def test_half_widths_of_the_book_s_networks(name, images):
    network = models.build(name, 10).eval()
    # away from 0 and 1, where a ball is cut and SingleProp's is not
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(20, 236, (3, 3, 32, 32), dtype=torch.uint8, generator=generator)
    some = data.Images(pixels, images.labels[:3], images.classes)
    table = half_width(network, some, epsilon=2 / 255, limit=3)
    assert list(table) == list(HALF_WIDTH_TABLE)
    with spatial_means(network) as means:
        network(torch.zeros(1, 3, 32, 32))
    assert list(dict.fromkeys(table.layer)) == list(means)
    training = Training("digits", name, recipe="certified" if name == "cnn-small" else "fast")
    validity.table("half_width", as_parquet(table), training)
    assert (table.radius >= 0).all() and (table.centre_error <= table.radius * (1 + 1e-5) + 1e-6).all()
    first = table[table.depth == 1]
    # behind the first ReLU both rules fall short at unstable units and are the interval at all others
    assert ((1 - first.covered_zero) <= first.unstable + 1e-9).all() and first.unstable.mean() > 0
    assert first.covered_zero.mean() < 1 and (first.zero <= first.fastlin + 1e-7).all()


def test_half_width_by_hand():
    """z = 0.5, v = 1 at the one unit: by interval bounds [0, 1.5], by SingleProp 0.75 and 15/16 around 0.5."""
    network = nn.Sequential(nn.Conv2d(3, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(1, 2)).eval()
    with torch.no_grad():
        network[0].weight[:] = torch.tensor([10.0, 0, 0]).view(1, 3, 1, 1)
        network[0].bias[:] = 0.5 - 10 * 128 / 255
    pixels = torch.full((1, 3, 1, 1), 128, dtype=torch.uint8)
    one = data.Images(pixels, torch.tensor([0]), ("a", "b"))
    row = half_width(network, one, epsilon=0.1, limit=0).iloc[0]
    wanted = {"radius": 0.75, "zero": 0.75, "fastlin": 1.5 * 2.5 / 4, "centre_error": 0.25, "unstable": 1.0}
    assert row[list(wanted)].to_dict() == pytest.approx(wanted, abs=1e-5)
    assert row.covered_zero == row.covered_fastlin == 0


def test_a_relu_that_is_used_twice_is_two_layers(images):
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 4, 8, 8), nn.Conv2d(4, 6, 2)
            self.relu, self.linear = nn.ReLU(), nn.Linear(6, 10)

        def forward(self, x):
            return self.linear(self.relu(self.two(self.relu(self.one(x)))).mean((2, 3)))

    found = half_width(Twice().eval(), images, epsilon=0.01, limit=3)
    assert found.layer.unique().tolist() == ["relu"] and found.depth.tolist() == [1] * 4 + [2] * 6
    assert found.unit.tolist() == [*range(4), *range(6)]
    assert found[["unstable", "covered_zero", "covered_fastlin"]].le(1).all(axis=None)


def test_accuracies(table):
    training = Training("digits", "cnn-small", recipe="certified")
    found = shares(table.assign(**labels(training)))
    assert found.accuracy.between(0, 1).all() and len(found) == len(table)
    clean = found[found.method == "clean"].accuracy.item()
    assert clean == bits(table)["clean", 0].mean()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"epsilons": [-0.1]}, "epsilons must be a finite number >= 0, got -0.1"),
        ({"epsilons": []}, "epsilons is empty; give one radius at least"),
        ({"epsilons": [math.nan]}, "got nan"),
        ({"rule": "ibp"}, "unknown rule 'ibp'"),
        ({"linear": 30}, "linear bounds are asked of 30 images and PGD of 24; give linear <= attacked"),
    ],
)
def test_bad_settings(small, images, how, message):
    with pytest.raises(InputError, match=message):
        certificate(small, images, **{"epsilons": RADII} | HOW | how)


def test_a_network_that_diverged_is_no_certificate(small, images):
    for value in (math.nan, math.inf):
        broken = Small().eval()
        nn.init.constant_(broken.two.weight, value)
        for ask in (
            lambda network: certificate(network, images, epsilons=RADII, **HOW),
            lambda network: half_width(network, images, epsilon=0.1, limit=2),
        ):
            with pytest.raises(InputError, match="'two.weight' of the network is not finite"):
                ask(broken)


def test_registered():
    for name, table in (("certificate", CERTIFICATE_TABLE), ("half_width", HALF_WIDTH_TABLE)):
        assert measurements.MEASUREMENTS[name].table is table
    assert measurements.file_name("certificate", {}) != measurements.file_name("certificate", {"linear": 9})
