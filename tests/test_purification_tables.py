"""Tables of purification in image networks: what they hold for networks whose change is known, which other networks they
need, and a sweep that makes those."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lib import data, models, runs, sweeps
from lib.base import paths
from lib.base.errors import InputError
from lib.base.seeds import derived_seed
from lib.measurements import MEASUREMENTS
from lib.measurements import purification as tables
from lib.training.training import Training

PARENT = Training("digits", "resnet8", recipe="fast")
CHILD = Training("digits", "resnet8", recipe="tune", start=PARENT)
ADVERSARIAL = replace(CHILD, variant="pgd-3-linf-8")


def built(seed: int):
    return models.build("resnet8", 10, seed=seed).eval()


@pytest.fixture(scope="module")
def images():
    return data.load("digits", "test").first(40)


def made(name, network, images, sources, **settings):
    one = MEASUREMENTS[name]
    found = one.function(network, images, sources=sources, **one.settings | settings)
    assert list(found) == list(one.table)
    for column, about in one.table.items():
        values = found[column].dropna()
        assert about.least is None or values.between(about.least, about.most).all(), column
    return found


def test_which_networks_a_table_needs():
    assert tables.reference(CHILD) == tables.reference(ADVERSARIAL) == PARENT == tables.reference(PARENT)
    assert tables.reference(replace(PARENT, variant="pgd-4", epochs=8)) == replace(PARENT, epochs=8)
    for one in (
        CHILD,
        PARENT,
        ADVERSARIAL,
        replace(CHILD, alpha=1.0),
        replace(PARENT, variant="pgd-4", epochs=8),
    ):
        assert tables.purified(one, "pgd-3-linf-8") == ADVERSARIAL
    of = tables.purified_and_reference(CHILD, {"variant": "l2-pgd-3-0.5"})
    assert of == [PARENT, replace(ADVERSARIAL, variant="l2-pgd-3-0.5")]


def test_angles_of_filters(images):
    first = models.build("resnet8", 10, seed=derived_seed(0, "weights"))
    found = made("weight_angles", first.eval(), images, {PARENT: built(3)})
    np.testing.assert_allclose(found.angle_start, 1, atol=1e-6)  # its own first weights
    assert len(found) == 8 * 3 + 16 * 2 + 32 * 2 and set(found.inputs) == {27, 72, 144, 288}
    wide = found[found.inputs == 288]
    assert wide.angle_reference.mean() == pytest.approx(0.047, abs=0.02)  # chance
    assert wide.angle_others.mean() == pytest.approx(0.047, abs=0.01)
    other = made("weight_angles", built(3), images, {CHILD: built(3)})
    np.testing.assert_allclose(other.angle_reference, 1, atol=1e-6)
    assert other.angle_start.mean() < 0.2
    with pytest.raises(InputError, match="different architectures"):
        made("weight_angles", models.build("resnet20", 10), images, {PARENT: built(0)})


def test_accuracy_by_rank(images):
    before, after = built(1), built(2)
    found = made("low_rank", after, images, {PARENT: before}, limit=20, ranks=[0, 2, 900], steps=2)
    assert list(found["rank"]) == [0, 2, 32] and (found.images == 20).all()
    assert found.energy.is_monotonic_increasing and found.energy.iloc[-1] == pytest.approx(1)
    assert (found.attacked <= found.clean + 3).all()
    same = made("low_rank", before, images, {PARENT: before}, limit=20, ranks=[0], steps=1)
    assert same.energy.iloc[-1:].isna().all() and same.clean.nunique() == 1


def test_perturbations_beside_noise(images):
    torch.manual_seed(0)
    found = made(
        "perturbation",
        built(1),
        images,
        {PARENT: built(0), ADVERSARIAL: built(2)},
        limit=12,
        coded=2,
        steps=3,
    )
    assert list(found.dictionary) == ["purified", "cosines", "patches"] and (found.atoms == 8).all()
    assert (found.length > 0.1).all() and (found.length <= 0.5 + 1e-6).all()
    assert (found.components_95 <= 12).all() and found.high_noise.iloc[0] == pytest.approx(0.8, abs=0.05)
    assert (found.nonzero_noise > found.nonzero).any()
    assert (
        made("perturbation", built(1), images, {PARENT: built(0)}, limit=12, coded=2, steps=3)
        .atoms.eq(8)
        .all()
    )


def test_alignment_of_changes(images):
    before, adversarial, between = built(0), built(1), built(0)
    with torch.no_grad():
        for own, goal in zip(between.parameters(), adversarial.parameters(), strict=True):
            own += 0.3 * (goal - own)
    sources = {PARENT: before, ADVERSARIAL: adversarial}
    found = made("alignment", between, images, sources)
    np.testing.assert_allclose(found[["cosine", "first_direction"]], 1, atol=1e-4)
    other = made("alignment", built(2), images, {PARENT: before, ADVERSARIAL: built(1)})
    assert (other.cosine - 0.5).abs().mean() < 0.1  # the parent is in both changes
    assert made("alignment", before, images, sources)[["cosine", "first_direction"]].isna().all(axis=None)


@pytest.mark.parametrize(
    "name", ["purification", "purification-scratch", "purification-alpha", "digits-purification"]
)
def test_the_sweeps_name_networks_and_their_parents(name):
    found = sweeps.read(paths.ROOT / "sweeps" / f"{name}.yml")
    assert {one.name for one in found.measurements} <= set(MEASUREMENTS)
    children = [one for one in found.trainings if one.start]
    assert len(children) == (0 if name == "purification-scratch" else len(found.trainings))
    for one in children:
        assert one.start == Training(one.dataset, one.model, 0.0, one.seed, "fast")
        # what its tables need is of the same file, or of the one beside it
        assert one.alpha or tables.purified(one, "pgd-3-linf-8") in found.trainings


def test_a_grid_of_children():
    grid = runs.grid(dataset="digits", model="resnet8", alphas=[0, 1], seeds=[4], recipe="tune", start="fast")
    assert [one.start for one in grid] == [Training("digits", "resnet8", 0.0, 4, "fast")] * 2
    with pytest.raises(InputError, match="unknown recipe 'slow'"):
        runs.grid(dataset="digits", model="resnet8", alphas=[0], seeds=[4], recipe="tune", start="slow")
