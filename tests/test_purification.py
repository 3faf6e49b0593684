"""The theorem's world: gradients and kernels equal to independent ones, perturbations within their radius, data as
they are said to be, measures by hand, and one seed from settings to tables."""

import doctest
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.base import paths
from lib.base.errors import InputError
from lib.purification import (
    Linear,
    SmoothedKernel,
    Symmetric,
    TargetRule,
    World,
    angle,
    chance_angle,
    change_energy,
    dense_mixture,
    fgm,
    live,
    low_rank,
    maximised,
    measures,
    pgd,
    relative_change,
    samples,
    simulation,
    sparse_coding,
    top_atom_energy,
    train,
    training,
    universal,
    world,
)
from lib.purification.perturbations import withstands
from lib.runs import catalogue
from lib.runs.kinds import SIMULATIONS
from lib.runs.simulation import Simulation
from lib.runs.simulations import simulated

D, M = 6, 9


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small(d: int = D, k: int = 2, noise: float = 0.0) -> World:
    return world(d, k, generator=generator(), noise=noise)


def double(source: World) -> World:
    return replace(source, dictionary=source.dictionary.double(), target=source.target.double())


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def classifiers() -> dict[str, object]:
    """One of each, in double precision; thresholds of both signs, and some that differ from sample to sample."""
    weights = normal(M, D)
    gates = F.normalize(normal(M, D, seed=1))
    source = double(small())
    return {
        "symmetric": Symmetric(weights, normal(M, seed=2).abs()),
        "symmetric, negative thresholds": Symmetric(weights, normal(M, seed=2)),
        "symmetric, noise": Symmetric(weights, normal(20, M, seed=3)),
        "kernel": SmoothedKernel(weights, gates, 0.3, 0.2),
        "linear": Linear(weights[:1]),
        "target rule": TargetRule(source.dictionary, source.target, 0.25),
    }


def plain_logits(one: object, x: Tensor, weights: Tensor) -> Tensor:
    """The classifiers as formulas, with nothing in place, for autograd."""
    if isinstance(one, Symmetric):
        inner = x @ weights.T
        return (F.relu(inner - one.thresholds) - F.relu(-inner - one.thresholds)).sum(1)
    if isinstance(one, SmoothedKernel):
        inner, phi = x @ one.gates.T, torch.special.ndtr
        opened = phi((inner - one.threshold) / one.noise) + phi((-inner - one.threshold) / one.noise)
        return (opened * (x @ weights.T)).sum(1)
    if isinstance(one, TargetRule):
        seen = x @ one.dictionary
        return torch.where(seen.abs() >= one.threshold, seen * one.target, 0).sum(1)
    return (x * weights).sum(1)


# ---- gradients ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", classifiers())
def test_gradients_are_those_of_autograd_and_of_finite_differences(name):
    one = classifiers()[name]
    x, y = normal(20, D, seed=4).requires_grad_(), normal(20, seed=5).sign()
    weights = getattr(one, "weights", torch.zeros(1, D, dtype=torch.float64)).clone().requires_grad_()
    logits = plain_logits(one, x, weights)
    torch.testing.assert_close(one.logits(x.detach()), logits.detach())
    (slopes,) = torch.autograd.grad(logits.sum(), x, retain_graph=True)
    torch.testing.assert_close(one.slopes(x.detach()), slopes)
    step = 1e-6 * normal(20, D, seed=6)
    risen = one.logits(x.detach() + step) - one.logits(x.detach() - step)
    torch.testing.assert_close(risen, 2 * (slopes * step).sum(1), rtol=1e-4, atol=1e-10)
    if name == "target rule":  # nothing to train
        return
    loss = F.softplus(-logits * y).mean()
    (expected,) = torch.autograd.grad(loss, weights)
    margins, gradient = one.gradient(x.detach(), y)
    torch.testing.assert_close(margins, (logits * y).detach())
    torch.testing.assert_close(gradient, expected)
    step = 1e-6 * normal(*weights.shape, seed=7)
    above, below = (
        F.softplus(-replace(one, weights=weights.detach() + sign * step).logits(x.detach()) * y).mean()
        for sign in (1, -1)
    )
    torch.testing.assert_close(above - below, 2 * (gradient * step).sum(), rtol=1e-4, atol=1e-12)


def test_the_kernel_is_that_of_the_network_averaged_over_its_noise():
    """Inner products of autograd's gradients of the network's mean over a fine grid of rho."""
    gates, threshold, noise = F.normalize(normal(M, D)), 0.3, 0.2
    x = normal(7, D, seed=1)
    grid = torch.linspace(-6, 6, 2001, dtype=torch.float64)
    share = torch.exp(-(grid**2) / 2) / torch.exp(-(grid**2) / 2).sum()

    def mean(weights: Tensor) -> Tensor:
        inner = (x @ weights.T)[..., None]
        both = F.relu(inner - threshold + noise * grid) - F.relu(-inner - threshold + noise * grid)
        return (both * share).sum((1, 2))

    jacobian = torch.autograd.functional.jacobian(mean, gates).flatten(1)
    empirical = jacobian @ jacobian.T
    for weights in (
        torch.zeros_like(gates),
        normal(M, D, seed=2),
    ):  # what is trained does not move the kernel
        kernel = SmoothedKernel(weights, gates, threshold, noise).kernel(x, x)
        torch.testing.assert_close(kernel, empirical, rtol=1e-3, atol=1e-3)


# ---- data --------------------------------------------------------------------------------------------------


def test_samples_are_sparse_codes_of_the_dictionary():
    d, k, n = 20, 4, 20_000
    source = small(d, k)
    torch.testing.assert_close(source.dictionary @ source.dictionary.T, torch.eye(d), atol=1e-5, rtol=0)
    assert set(source.target.tolist()) == {-1.0, 1.0}
    x, y = samples(source, n, generator=generator(1))
    codes = x @ source.dictionary
    found = codes.round(decimals=3)
    assert sorted(found.abs().unique().tolist()) == [0.0, 0.5, 1.0]
    assert torch.equal((codes @ source.target).sign(), y) and x.dtype == y.dtype == torch.float32
    # what is dropped for a tie has few active coordinates, so those kept have more than k / d: bounds around both
    assert k / d < float((found != 0).float().mean()) < 1.15 * k / d
    assert 1 / d < float((found.abs() == 1).float().mean()) < 1.25 / d
    assert abs(float(found.sign().mean())) < 0.005
    again = samples(source, n, generator=generator(1))
    assert torch.equal(again[0], x) and torch.equal(again[1], y)


def test_noise_of_the_data_has_its_deviation():
    clean, noisy = (samples(small(noise=size), 5000, generator=generator(2))[0] for size in (0.0, 0.3))
    assert float((noisy - clean).std()) == pytest.approx(0.3, rel=0.02)


def test_a_tie_has_no_label_and_is_no_sample():
    target = torch.tensor([1.0, 1, -1, 1])
    codes = torch.tensor([
        [0.0, 0, 0, 0],
        [1, 0, 1, 0],
        [3**-0.5, 3**-0.5, 3**-0.5, -(3**-0.5)],
        [1, 0, 0, -(3**-0.5)],
    ])
    assert sparse_coding.labels(codes, target).tolist() == [0, 0, 0, 1]
    x, y = samples(small(2, 1), 500, generator=generator())  # three of eight draws are ties here
    assert len(x) == len(y) == 500 and set(y.tolist()) == {-1.0, 1.0}


def test_one_dimension():
    source = small(1, 1)
    x, y = samples(source, 50, generator=generator())
    assert torch.equal((x @ source.dictionary)[:, 0] * source.target, y)
    weights = torch.tensor([[2.0], [-1.0], [0.0]])
    mixture, energy = (
        dense_mixture(weights, source.dictionary, source.target),
        top_atom_energy(weights, source.dictionary),
    )
    assert mixture[:2].tolist() == [0, 0] and energy[:2].tolist() == [1, 1]
    assert mixture[2].isnan() and energy[2].isnan() and chance_angle(1) == 1


# ---- perturbations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("name", classifiers())
def test_perturbations_keep_their_radius_and_lower_margins(name, norm):
    one = classifiers()[name]
    x, y = samples(double(small()), 20, generator=generator())
    for tau in (0.0, 0.2):
        found = {
            "fgm": fgm(one, x, y, tau=tau, norm=norm),
            "pgd": pgd(one, x, y, tau=tau, steps=7, norm=norm, generator=generator()),
            "universal": universal(double(small()), x, y, tau=tau, norm=norm),
        }
        for moved in found.values():
            sizes = torch.linalg.vector_norm(moved - x, 2 if norm == "l2" else math.inf, dim=1)
            assert sizes.max() <= tau * (1 + 1e-9)
        if name.startswith("symmetric"):
            assert tau == 0 or (one.logits(found["pgd"]) * y).mean() < (one.logits(x) * y).mean() - 0.1


@pytest.mark.parametrize(("norm", "dual"), [("l2", 2), ("linf", 1)])
def test_a_linear_classifier_loses_tau_times_the_dual_norm(norm, dual):
    one, (x, y) = Linear(normal(1, D)), samples(double(small()), 20, generator=generator())
    lost = 0.3 * torch.linalg.vector_norm(one.weights, dual)
    worst = one.logits(x) * y - lost
    torch.testing.assert_close(one.logits(fgm(one, x, y, tau=0.3, norm=norm)) * y, worst)
    found = pgd(one, x, y, tau=0.3, steps=40, norm=norm, generator=generator())
    torch.testing.assert_close(one.logits(found) * y, worst, atol=float(0.01 * lost), rtol=0)


def test_the_universal_perturbation_is_against_the_label_along_the_votes():
    source = double(small())
    x, y = samples(source, 20, generator=generator())
    common = source.dictionary @ source.target
    expected = -0.2 * y[:, None] * common / common.norm()
    torch.testing.assert_close(universal(source, x, y, tau=0.2) - x, expected)
    torch.testing.assert_close(
        universal(source, x, y, tau=0.2, norm="linf") - x, -0.2 * y[:, None] * common.sign()
    )


def test_where_no_gate_is_open_there_is_no_way_to_go():
    one = Symmetric(normal(M, D), torch.full((M,), 1e3, dtype=torch.float64))
    x, y = samples(double(small()), 5, generator=generator())
    assert torch.equal(fgm(one, x, y, tau=0.3), x)
    assert not withstands(
        one, x, y, tau=0.3, steps=2, generator=generator()
    ).any()  # its logits are 0: not right


def test_to_withstand_is_to_be_right_on_the_way_too():
    one, (x, y) = classifiers()["symmetric"], samples(double(small()), 200, generator=generator())
    kept = withstands(one, x, y, tau=0.3, steps=5, generator=generator(3))
    delta = pgd(one, x, y, tau=0.3, steps=5, generator=generator(3)) - x
    assert 0 < kept.sum() < (one.logits(x) * y > 0).sum()
    assert ((one.logits(x + delta) * y > 0) | ~kept).all()
    single = partial(withstands, one, tau=0.0, steps=5, generator=generator())
    assert torch.equal(single(x, y), one.logits(x) * y > 0)


# ---- measures ----------------------------------------------------------------------------------------------


def test_doctests():
    assert doctest.testmod(measures).attempted and not doctest.testmod(measures).failed


def test_measures_by_hand():
    dictionary, target = torch.eye(3), torch.tensor([1.0, -1, 1])
    weights = torch.tensor([[3.0, 0, 0], [2, -1, 1], [-2, 1, 1], [1, 1, 0]])
    torch.testing.assert_close(
        top_atom_energy(weights, dictionary), torch.tensor([1, 4 / 6, 4 / 6, 0.5]).double()
    )
    mixture = [0, 2 / math.sqrt(2 * 6), 0, 1 / 2]
    torch.testing.assert_close(dense_mixture(weights, dictionary, target), torch.tensor(mixture).double())
    assert live(torch.tensor([[1.0, 0], [0, 0.19], [0, 0.21], [0, 0]])).tolist() == [True, False, True, False]
    assert relative_change(weights, 2 * weights) == pytest.approx(1)


def test_measures_do_not_depend_on_the_basis_or_the_scale():
    source, weights = double(small()), normal(M, D)
    turned = weights @ source.dictionary.T  # the same neurons, in the coordinates of the samples
    identity = torch.eye(D, dtype=torch.float64)
    for scale in (1.0, 1e-30, 1e30):
        for measure in (top_atom_energy, partial(dense_mixture, target=source.target)):
            given = measure(scale * turned, dictionary=source.dictionary)
            torch.testing.assert_close(given, measure(weights, dictionary=identity), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(
            angle((scale * turned).float(), turned.float()), torch.ones(M).double(), rtol=1e-5, atol=1e-5
        )


def test_the_chance_angle_is_the_mean_over_random_directions():
    for d in (2, 27, 144):
        random = angle(normal(20_000, d), normal(20_000, d, seed=1))
        assert chance_angle(d) == pytest.approx(float(random.mean()), rel=0.02)
    assert chance_angle(144) == pytest.approx(math.sqrt(2 / (math.pi * 144)), rel=0.01)


def test_the_change_is_taken_apart_as_numpy_does():
    before, after = normal(M, D), normal(M, D, seed=1)
    left, sizes, right = np.linalg.svd((after - before).numpy(), full_matrices=False)
    expected = np.cumsum(sizes**2) / np.sum(sizes**2)
    np.testing.assert_allclose(change_energy(before, after).numpy(), expected, atol=1e-12)
    for rank in range(D + 2):
        nearest = before.numpy() + (left[:, :rank] * sizes[:rank]) @ right[:rank]
        np.testing.assert_allclose(low_rank(before, after, rank).numpy(), nearest, atol=1e-12)
    assert torch.equal(low_rank(before, after, 0), before) and change_energy(before, before).isnan().all()
    assert relative_change(0 * before, after) != relative_change(0 * before, after)  # NaN


def test_a_row_of_zeros_has_no_direction():
    weights = torch.zeros(2, D)
    source = small()
    assert angle(weights, weights).isnan().all() and top_atom_energy(weights, source.dictionary).isnan().all()
    assert dense_mixture(weights, source.dictionary, source.target).isnan().all() and not live(weights).any()


# ---- training ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["norm", "growing"])
def test_training_is_that_of_a_plain_loop(name):
    source, steps = double(small(12, 3)), 30
    rule, weights = training.thresholds(name, 0.2), 0.1 * normal(8, 12)
    start = Symmetric(weights, rule(weights, 0.0))
    attack = partial(fgm, tau=0.1)
    usual = {"steps": steps, "rate": 1e-2, "batch": 16, "penalty": 1e-2, "attack": attack}
    trained, history = train(start, source, rule=rule, done=(0.0, 1.0), generator=generator(), **usual)

    plain, drawn = weights.clone().requires_grad_(), generator()
    adam = torch.optim.Adam([plain], lr=1e-2)
    for step in range(steps):
        bias = (
            0.2 * plain.detach().norm(dim=1)
            if name == "norm"
            else torch.full((8,), 0.2 * step / steps).double()
        )
        now = Symmetric(plain, bias)
        x, y = samples(source, 16, generator=drawn)
        x = x.requires_grad_()
        slope = torch.autograd.grad(plain_logits(now, x, plain).sum(), x)[0]
        lengths = slope.norm(dim=1, keepdim=True)
        x = (x - 0.1 * y[:, None] * torch.where(lengths > 1e-12, slope / lengths, 0)).detach()
        loss = F.softplus(-plain_logits(now, x, plain) * y).mean() + 1e-2 * plain.square().sum() / 2
        adam.zero_grad()
        loss.backward()
        adam.step()
    torch.testing.assert_close(trained.weights, plain.detach(), rtol=1e-5, atol=1e-7)
    end = 0.2 * trained.weights.norm(dim=1) if name == "norm" else torch.full((8,), 0.2).double()
    torch.testing.assert_close(trained.thresholds, end)
    assert torch.equal(start.weights, 0.1 * normal(8, 12)) and [row[0] for row in history] == [1, steps]


def test_no_steps_and_noise():
    source, weights = small(), normal(M, D).float()
    start = Symmetric(weights, torch.zeros(M))
    same, history = train(start, source, steps=0, rate=1.0, generator=generator())
    assert torch.equal(same.weights, weights) and not history
    usual = {"steps": 5, "rate": 1e-2, "generator": generator(), "rule": training.growing(0.1)}
    noisy, _ = train(start, source, noise=0.3, **usual)
    assert (
        noisy.thresholds.shape == (M,) and noisy.weights.isfinite().all()
    )  # the noise is no part of what is trained


# ---- one seed ----------------------------------------------------------------------------------------------

TINY = {
    "d": 24,
    "m": 32,
    "k": 3,
    "tau": 0.25,
    "clean_steps": 400,
    "adversarial_steps": 800,
    "kernel_steps": 60,
    "batch": 64,
    "test_samples": 300,
    "test_steps": 10,
}


def test_a_seed_is_kept_and_read(empty_store):
    tables = {
        name: simulated("purification", name, seeds=[0], **TINY)
        for name in SIMULATIONS["purification"].tables
    }
    listed = catalogue.catalogue()
    assert listed.status.tolist() == ["ok"] and listed.variant[0].startswith(
        "adversarial_steps=800, batch=64, "
    )
    folder = paths.runs() / Simulation("purification", 0, tuple(TINY.items())).name
    assert sum(file.stat().st_size for file in folder.iterdir()) < 60_000
    accuracy, stages = tables["accuracy"], tables["stages"].set_index("stage")
    names = [
        "clean",
        "more clean",
        "adversarial",
        "kernel",
        "kernel, adversarial",
        "linear",
        "linear, adversarial",
    ]
    assert list(accuracy.classifier.unique()) == [*names, "target rule", "rank 1", "rank 5", "rank 20"]
    of = accuracy.set_index(["classifier", "perturbation", "radius"]).accuracy
    assert of["target rule", "none", 0.0] == 1 and of["clean", "none", 0.0] > 0.9
    assert of["rank 20", "pgd", 0.25] == pytest.approx(
        of["adversarial", "pgd", 0.25], abs=0.05
    )  # of 24 ranks
    for name in names:
        falls = accuracy[(accuracy.classifier == name) & accuracy.perturbation.isin(["none", "pgd"])].accuracy
        assert falls.is_monotonic_decreasing, name
    # a perturbation that is found by a search is no worse than one that asks no network, or nearly so
    wide = accuracy.pivot_table(
        index=["classifier", "radius"], columns="perturbation", values="accuracy"
    ).dropna(subset="pgd")
    assert (wide.pgd <= wide.universal + 0.02).loc[["clean", "adversarial", "linear"]].all()
    assert of["adversarial", "pgd", 0.25] > of["more clean", "pgd", 0.25] + 0.05
    assert stages.relative_threshold.tolist() == pytest.approx([0.5 * 3**-0.5] * 4)  # a half of 1 / sqrt(k)
    assert stages.mixture["adversarial"] < stages.mixture["more clean"]
    assert stages.angle_clean["clean"] == stages.angle_start["start"] == 1
    assert stages.relative_change["clean"] == 0 < stages.relative_change["more clean"]
    assert tables["change"].groupby("stage").energy.last().tolist() == [1, 1]
    assert (
        set(tables["neurons"].groupby("stage").size()) == {32} and len(tables["coefficients"]) == 2 * 16 * 24
    )


def test_a_seed_decides_everything(empty_store):
    few = TINY | {"clean_steps": 20, "adversarial_steps": 20, "kernel_steps": 5, "test_samples": 50}
    settings = dict(Simulation("purification", 0, tuple(few.items())).settings)
    first, again, other = (simulation.theorem(seed=seed, **settings) for seed in (1, 1, 2))
    for name, table in first.items():
        assert table.equals(again[name]) and not table.equals(other[name]), name
    torch.set_default_dtype(torch.float64)
    try:
        wide = simulation.theorem(seed=1, **settings)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(table.equals(wide[name]) for name, table in first.items())


@pytest.mark.parametrize(
    "settings",
    [
        {"threshold": "growing"},
        {"norm": "linf", "tau": 0.05},
        {"attack": "fgm"},
        {"neuron_noise": 0.02, "data_noise": 0.02},
        {"tau": 1e-6},
        {"d": 1, "m": 1, "k": 1},
        {"clean_steps": 0, "adversarial_steps": 0},
    ],
)
def test_other_settings_have_the_same_tables(empty_store, settings):
    few = (
        TINY | {"clean_steps": 20, "adversarial_steps": 20, "kernel_steps": 5, "test_samples": 50} | settings
    )
    for name in SIMULATIONS["purification"].tables:
        assert len(simulated("purification", name, seeds=[0], **few))


def test_a_network_that_died_has_no_means():
    dead = Symmetric(torch.zeros(M, D), torch.zeros(M))
    stages = simulation._stages(dict.fromkeys(("start", "clean", "adversarial"), dead), small())
    assert stages.live.tolist() == [0, 0, 0] and stages.atoms.tolist() == [0, 0, 0]
    assert (
        stages[["mixture", "top_atom", "angle_start", "angle_pairs", "relative_change"]].isna().all(axis=None)
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"k": 25}, "d must be at least k = 25, the number of atoms that are active in a sample, got 24"),
        ({"k": 0}, "k must lie in 1 to d = 24, got 0"),
        ({"d": 0}, "d must lie in 1 to 4096, got 0"),
        ({"m": 0}, "m must lie in 1 to 65536, got 0"),
        ({"tau": -0.1}, "tau must lie in 1e-06 to 1000, got -0.1"),
        ({"norm": "l1"}, "unknown norm 'l1'; known: l2, linf"),
        ({"attack": "cw"}, "unknown attack 'cw'; known: fgm, pgd"),
        ({"threshold": "none"}, "unknown threshold 'none'; known: growing, norm"),
        ({"cut": -1.0}, "a threshold is at least 0, got -"),
        ({"data_noise": -1.0}, "data_noise must lie in 0 to 1000, got -1.0"),
        ({"neuron_noise": -1.0}, "neuron_noise must lie in 0 to 1000, got -1.0"),
        ({"test_steps": 0}, "test_steps must be at least 1, got 0"),
        ({"adversarial_steps": -1}, "adversarial_steps must be at least 0, got -1"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
    ],
)
def test_settings_outside_their_range_are_one_line_and_leave_nothing(empty_store, settings, said):
    with pytest.raises(InputError) as caught:
        simulated("purification", "stages", seeds=[0], **(TINY | settings))
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not list(paths.runs().rglob("*.parquet"))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: angle(torch.ones(2, 3), torch.ones(3, 3)), "need two matrices of one shape, got (2, 3) and (3, 3)"),
        (lambda: angle(torch.ones(3), torch.ones(3)), "the first weights must be rows of numbers, got the shape (3,)"),
        (lambda: top_atom_energy(torch.ones(2, 3), torch.eye(2)), "weights of 3 numbers need a square dictionary"),
        (lambda: dense_mixture(torch.ones(2, 3), torch.eye(3), torch.ones(2)), "a number for each of 3 atoms, got the shape (2,)"),
        (lambda: chance_angle(0), "d must be at least 1, got 0"),
        (lambda: low_rank(torch.ones(2, 3), torch.ones(2, 3), -1), "a rank is at least 0, got -1"),
        (lambda: samples(small(), 0, generator=generator()), "n must be at least 1, got 0"),
        (lambda: fgm(Linear(torch.ones(1, 2)), torch.ones(1, 2), torch.ones(1), tau=-1), "tau must be a number of at least 0, got -1"),
        (lambda: fgm(Linear(torch.ones(1, 2)), torch.ones(1, 2), torch.ones(1), tau=math.nan), "at least 0, got nan"),
        (lambda: universal(small(), torch.ones(1, D), torch.ones(1), tau=1, norm="l0"), "unknown norm 'l0'"),
        (lambda: pgd(Linear(torch.ones(1, 2)), torch.ones(1, 2), torch.ones(1), tau=1, steps=0, generator=generator()), "at least one step, got 0"),
        (lambda: train(Linear(torch.ones(1, D)), small(), steps=-1, rate=1.0, generator=generator()), "steps must be at least 0, got -1"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(call, said):
    with pytest.raises(InputError) as caught:
        call()
    assert said in str(caught.value) and "\n" not in str(caught.value)


ODD = [None, 0, True, 3.5, "cpu", 10**5000, np.random.default_rng(0), torch.Generator]


@pytest.mark.parametrize("odd", ODD, ids=[str(place) for place in range(len(ODD))])
def test_what_is_no_generator_is_one_line(odd):
    source = small()
    x, y = samples(source, 3, generator=generator())
    one = Linear(torch.ones(1, source.dictionary.shape[0]))
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU()).eval()
    for call in (
        lambda given: world(4, 2, generator=given),
        lambda given: samples(source, 3, generator=given),
        lambda given: pgd(one, x, y, tau=0.1, steps=1, generator=given),
        lambda given: train(one, source, steps=1, rate=0.1, generator=given),
        lambda given: maximised(network, "1", [0], side=4, generator=given, rounds=1, steps=1),
    ):
        with pytest.raises(
            InputError, match="generator must be a torch.Generator, got .*; pass torch.Gen"
        ) as caught:
            call(odd)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
        call(generator())  # the control
