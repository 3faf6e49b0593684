"""Tables of purification in image networks: what they hold for networks whose change is known, which other networks they
need, and a sweep that makes those."""

import io
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from lib import data, models, runs, sweeps
from lib.base import paths
from lib.base.errors import InputError
from lib.base.seeds import derived_seed
from lib.book import figures, purified
from lib.book.grid import Parameters
from lib.measurements import MEASUREMENTS
from lib.measurements import purification as tables
from lib.papers import purification_images
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
    others = {} if sources is None else {"sources": sources}
    found = one.function(network, images, **others, **one.settings | settings)
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
    other, stranger = replace(PARENT, seed=1), built(4)
    found = made("weight_angles", first.eval(), images, {PARENT: built(3), other: stranger})
    np.testing.assert_allclose(found.angle_start, 1, atol=1e-6)  # its own first weights
    assert len(found) == 8 * 3 + 16 * 2 + 32 * 2 and set(found.inputs) == {27, 72, 144, 288}
    wide = found[found.inputs == 288]
    assert wide.angle_reference.mean() == pytest.approx(0.047, abs=0.02)  # chance
    assert wide.angle_others.mean() == pytest.approx(0.047, abs=0.01)
    # with filters that have nothing in common, the same place is chance; the nearest of 32 is not
    assert wide.angle_independent.mean() == pytest.approx(0.047, abs=0.02)
    assert (found.nearest_independent >= found.angle_independent - 1e-6).all()
    assert 0.08 < wide.nearest_independent.mean() < 0.2
    same = made("weight_angles", built(3), images, {CHILD: built(3), other: built(3)})
    for column in ("angle_reference", "angle_independent", "nearest_independent"):
        np.testing.assert_allclose(same[column], 1, atol=1e-6)
    assert same.angle_start.mean() < 0.2
    with pytest.raises(InputError, match="different architectures"):
        made("weight_angles", models.build("resnet20", 10), images, {PARENT: built(0), other: stranger})


def test_the_network_of_another_seed_has_nothing_in_common():
    for one in (PARENT, CHILD, ADVERSARIAL, replace(PARENT, variant="pgd-4", epochs=8, alpha=1.0)):
        assert tables.independent(one) == replace(PARENT, seed=1)
        assert tables.reference_and_independent(one, {}) == [tables.reference(one), replace(PARENT, seed=1)]
    for seed in (1, 2, 7):
        assert tables.independent(replace(PARENT, seed=seed)) == PARENT
    of_another = replace(PARENT, seed=5)
    assert tables.independent(replace(CHILD, seed=9, start=of_another)) == PARENT


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


def test_images_from_few_filters(images):
    found = made("reconstruction", built(1), images, None, limit=3, steps=5).set_index("dictionary")
    assert list(found.index) == ["own", "cosines", "patches"] and (found.images == 3).all()
    # eight cosines, the lowest, and eight components of patches hold most of a digit; random filters do not
    assert (found.unexplained[["cosines", "patches"]] <= 0.11).all()
    assert (found.nonzero > 0).all() and found.nonzero["patches"] < found.nonzero["own"]
    dead = built(1)
    torch.nn.init.zeros_(next(dead.parameters()))
    gone = made("reconstruction", dead, images, None, limit=2, steps=2).set_index("dictionary")
    assert np.isnan(gone.nonzero["own"]) and gone.unexplained["own"] == 1 and gone.atoms["own"] == 0


def test_pictures_of_what_a_network_looks_for(images):
    how = {"units": [0, 3], "rounds": 1, "steps": 2, "limit": 2, "attack_steps": 2}
    found = made("pictures", built(1), images, None, **how)
    assert found.groupby("kind").size().to_dict() == {"filter": 8, "unit": 4, "image": 2, "perturbation": 2}
    assert set(found.relu[found.kind == "unit"]) <= set(models.relu_layers(built(1)))
    assert found[["colour", "strongest"]].notna().all(axis=1).tolist() == (found.kind == "filter").tolist()
    pixels = [np.asarray(Image.open(io.BytesIO(png))) for png in found.png]
    assert all(one.dtype == np.uint8 and one.shape[2] == 3 for one in pixels)
    seen = pixels[list(found.kind).index("image")]
    assert (seen == images.pixels[0].permute(1, 2, 0).numpy()).all()
    noise = pixels[list(found.kind).index("perturbation")].astype(float) - 127.5
    assert 0 < np.linalg.norm(noise) / 255 <= 5 * 0.5 + 0.2
    assert found.equals(made("pictures", built(1), images, None, **how))  # no draw of its own
    for drawn in (figures.filters_of, figures.pictures_of):
        some = found[found.kind == ("filter" if drawn is figures.filters_of else "unit")]
        rows = [some.assign(network=name, row=name, title="a") for name in ("parent", "adversarial")]
        assert len(drawn(pd.concat(rows)).axes) == (2 if drawn is figures.filters_of else 8)


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


@dataclass(frozen=True)
class Here:
    dataset: str = "digits"
    model: str = "resnet8"
    alphas: tuple[float, ...] = (0.4,)
    seeds: tuple[int, ...] = (0, 1)
    recipe: str = "fast"


def test_the_networks_of_the_chapter():
    """α = 0 took the control's place, and two values of α were one network of the first."""
    usual = purified.networks(Here())
    assert len(usual) == 18 and set(usual.values()) == set(purified.names(Here()))
    few = purified.networks(Here(), ["l2"])
    assert list(few.values()) == ["parent", "control", "adversarial", "l2", "selective"] * 2
    assert few.items() <= usual.items()
    with pytest.raises(InputError, match="unknown network 'control'; known: adversarial_high, control_high"):
        purified.networks(Here(), ["l2", "control"])
    assert usual[PARENT] == "parent" and usual[CHILD] == "control" and usual[ADVERSARIAL] == "adversarial"
    more = Here(alphas=(-1.0, 0.0, 0.4, 1.0))
    found = purified.networks(more)
    assert found[CHILD] == "control" and found[replace(CHILD, alpha=0.4)] == "selective"
    assert found[replace(CHILD, alpha=1.0)] == "alpha 1" and set(found.values()) == set(purified.names(more))
    assert purified.names(more)["alpha -1"] == "α = −1"


def test_filters_are_counted_as_the_paper_counts_them():
    rows = [
        {"network": name, "seed": 0, "place": 1, "convolution": "c", "angle_start": start, "angle_reference": kept, "angle_others": 0.1}
        for name in ("parent", "adversarial")
        for start, kept in ((0.05, 0.75), (0.1, 0.85), (0.15, 0.95), (0.3, 1.0))
    ]  # fmt: skip
    other = pd.DataFrame(rows[:4]).assign(seed=1, angle_start=0.9)  # a parent that nothing goes on from
    found = purification_images.by_tenths(pd.concat([pd.DataFrame(rows), other])).iloc[0]
    assert list(found.index)[1:] == list(purification_images.ALEXNET)
    assert found[["near", "next", "pairs"]].tolist() == [50, 25, 100]
    assert found[["kept .6-.7", "kept .7-.8", "kept .8-.9", "kept .9-1"]].tolist() == [0, 25, 25, 50]
    none = purification_images.by_tenths(other)
    assert none.empty and set(none.dtypes[2:].map(str)) == {"float64"}


@pytest.mark.parametrize(
    "name",
    [
        "purification",
        "purification-scratch",
        "purification-alpha",
        "purification-rate",
        "digits-purification",
        "digits-purification-rate",
    ],
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


def test_random_directions_are_counted_in_the_bins_of_the_papers_figure():
    """The null beside every θ of that table: of two numbers, and of so many that all are near 0."""
    angles = pd.DataFrame({"place": [2, 1, 1], "convolution": ["b", "a", "a"], "inputs": [10_000, 2, 2]})
    found = purified.random_tenths(angles)
    assert list(found) == ["network", *purification_images.ALEXNET] and list(found.layer) == ["a", "b"]
    few, many = found.iloc[0], found.iloc[1]
    # of two numbers θ is the cosine of a uniform angle
    assert few.near == pytest.approx(100 * (1 - np.arccos(0.1) / (np.pi / 2)))
    assert few["kept .9-1"] == pytest.approx(100 * np.arccos(0.9) / (np.pi / 2))
    assert many.near == pytest.approx(100) and many.filter(like="kept").abs().max() < 1e-6
    assert found.pairs.isna().all()


def test_another_length_of_perturbations_is_another_table():
    here = Parameters("digits", "resnet8", (0.4,), (0, 1), "fast")
    usual, other = purified.wanted(here), purified.wanted(here, 0.25)
    assert purified.wanted(here, purified.RADIUS) == usual and all(not asked.settings for asked in usual)
    assert {asked.name for asked in other if asked.settings} == {"perturbation", "pictures"}
    assert [asked.name for asked in other] == [asked.name for asked in usual]
    assert list(other.values()) == list(usual.values())  # of the same networks
    for radius in (0, -1.0, float("nan"), float("inf"), True, "0.5", None):
        with pytest.raises(InputError, match="'radius' must be an L2 length above 0"):
            purified.wanted(here, radius)


def test_what_the_digits_say_beside_other_images(monkeypatch):
    """The chapter's own verdicts when it is about the digits, and nothing is made for them."""
    monkeypatch.setenv("RUNS_FROZEN", "1")
    here = Parameters("digits", "resnet8", (0.4,), (0, 1, 2), "fast")
    own = purified.ledger(purified.gathered(here))
    assert (
        purified.ledger(purified.elsewhere("cifar10")).equals(own)
        and own.verdict.isin(["reproduced", "not reproduced"]).sum() >= 5
    )
    # without the weaker ball and the networks of an α, their claims alone are open
    fewer = purified.ledger(purified.gathered(replace(here, alphas=()), asked=[]))
    changed = own.id[own.verdict != fewer.verdict]
    assert set(changed) == {"FP-15", "FP-X3", "FP-X4"}
    said = purified.told_elsewhere(purified.elsewhere("cifar10"), own)
    assert said.startswith(
        "27 networks of the digits are cached, those on perturbed images of 3 seeds: of 12"
    )
    other = purified.elsewhere("digits")  # of CIFAR-10, whatever is there
    assert purified.named(other) == "CIFAR-10"
    open_ = purified.ledger(other).assign(verdict="inconclusive")
    assert purified.told_elsewhere(other, open_).endswith("their numbers are shown, and decide nothing.")
