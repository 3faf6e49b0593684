"""The radius up to which each image is certified, held against certificates at single radii."""

import numpy as np
import pytest
import torch
from torch import nn

from lib import data, measurements
from lib.base.errors import InputError
from lib.certificates import certified
from lib.data.images import Images
from lib.measurements.certified_radius import FIRST, LAST, certified_radius, marks
from lib.models.activations import to_unit


@pytest.fixture(scope="module")
def images() -> Images:
    return data.load("digits", "test").first(60)


@pytest.fixture(scope="module")
def network(images) -> nn.Module:
    """A small network, trained for a moment with weights kept small, so that something is certified."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(192, 20), nn.ReLU(), nn.Linear(20, 10))
    train = data.load("digits", "train").first(500)
    x = to_unit(train.pixels)
    optimizer = torch.optim.Adam(net.parameters(), 0.01, weight_decay=1e-3)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), train.labels).backward()
        optimizer.step()
    return net.eval()


@pytest.mark.parametrize("parts", [1, 3, 256])
def test_it_is_certified_there_and_not_one_part_further(network, images, parts):
    found = certified_radius(network, images, limit=0, parts=parts)
    x, every = to_unit(images.pixels), marks(parts)
    assert len(found) == 60 and found.correct.sum() > 30
    assert 0.2 < (found.radius > 0).mean() < 1 and found.radius.nunique() > (3 if parts == 1 else 10)
    for place, radius in enumerate(found.radius):
        one, label = x[place : place + 1], images.labels[place : place + 1]
        assert radius in every
        further = every[every.index(radius) + 1]
        assert not certified(network, one, label, further)
        assert radius == 0 or certified(network, one, label, radius)
    np.testing.assert_array_equal(found.correct, (network(x).argmax(1) == images.labels).numpy())


def test_one_number_answers_for_all_radii(network, images):
    """Never more than is certified, and what is certified one part further is never lost."""
    radius = certified_radius(network, images, limit=0, parts=256).radius
    x = to_unit(images.pixels)
    for epsilon in np.random.default_rng(0).uniform(0, 8 / 255, 20):
        proven = certified(network, x, images.labels, float(epsilon)).numpy()
        further = certified(network, x, images.labels, float(epsilon) + max(epsilon, FIRST) / 256).numpy()
        said = (radius >= epsilon).to_numpy()
        assert not (said & ~proven).any() and not (further & ~said).any()


def test_marks_are_doubled_and_end_with_the_pixels():
    for parts in (1, 4):
        found = marks(parts)
        assert found[0] == 0 and found[parts] == FIRST and found[2 * parts] == 2 * FIRST
        assert found == sorted(set(found)) and LAST / 2 < found[-1] <= LAST
        assert np.allclose(np.diff(found[: parts + 1]), FIRST / parts)


def test_the_first_images_alone_have_the_same_radii(network, images):
    every = certified_radius(network, images, limit=0, parts=8)
    some = certified_radius(network, images, limit=7, parts=8)
    assert len(some) == 7 and some.equals(every[:7])


def test_a_network_that_cannot_be_fooled_has_all_radii_and_one_that_guesses_none(images):
    constant = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    nn.init.zeros_(constant[1].weight)
    with torch.no_grad():
        constant[1].bias.copy_(torch.arange(10.0))
    found = certified_radius(constant.eval(), images, limit=0, parts=2)
    nine = images.labels.numpy() == 9
    assert (found.radius[nine] == marks(2)[-1]).all() and (found.radius[~nine] == 0).all()
    assert (found.correct == nine).all()
    nn.init.zeros_(constant[1].bias)  # all classes alike: nothing is proved
    assert (certified_radius(constant, images, limit=0, parts=2).radius == 0).all()


def test_what_has_no_bounds_and_settings_that_are_none(images):
    with pytest.raises(InputError, match="no bounds"):
        certified_radius(
            nn.Sequential(nn.Flatten(), nn.Linear(3072, 10), nn.GELU()).eval(), images, limit=0, parts=1
        )
    with pytest.raises(InputError, match="parts of certified_radius must be a whole number >= 1, got 0"):
        measurements.settled("certified_radius", {"parts": 0})
