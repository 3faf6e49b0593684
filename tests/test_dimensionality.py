"""Dimensions against scikit-learn, scikit-dimension and planted answers; what must not change them; and input
that has no dimension.
"""

import warnings

import numpy as np
import pytest
import torch

from lib.base.errors import InputError
from lib.dimensionality import Covariance, components, participation_ratio, pca_dimension, twonn

SHARES = (0.9, 0.95, 0.99)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def correlated(n: int, d: int, *, seed: int = 0, decay: float = 0.8) -> torch.Tensor:
    """(n, d) float64 whose principal components hold variances of decay², decay⁴, ..., in random
    directions.
    """
    random = generator(seed)
    turned = torch.linalg.qr(torch.randn(d, d, generator=random, dtype=torch.float64)).Q
    return torch.randn(n, d, generator=random, dtype=torch.float64) * decay ** torch.arange(d) @ turned


def fired(n: int, d: int, *, seed: int = 0) -> torch.Tensor:
    """(n, d) float32 as a layer gives them: not negative, many zeros, of few directions."""
    random = generator(seed)
    return (
        torch.randn(n, 6, generator=random) @ torch.randn(6, d, generator=random)
        + 0.3 * torch.randn(n, d, generator=random)
    ).relu()


def added(activations: torch.Tensor) -> Covariance:
    found = Covariance()
    found.add(activations)
    return found


def spectrum(activations: torch.Tensor) -> torch.Tensor:
    return added(activations).spectrum()


# ---- Principal components ----------------------------------------------------------------------------------

MATRICES = {
    "tall": correlated(500, 12),
    "one unit": correlated(40, 1),
    "square": correlated(30, 30, decay=0.95),
    "wide": correlated(20, 50, decay=0.97),
    "two samples": correlated(2, 5),
    "fired": fired(400, 32),
    "fired, wide": fired(25, 64),
    "far from 0": correlated(300, 10) + 1e4,
    "small": 1e-6 * correlated(300, 10),
    "dead units": torch.cat([fired(300, 8), torch.zeros(300, 8)], dim=1),
    "twins": fired(300, 8).repeat(1, 3),
}


@pytest.mark.parametrize("name", MATRICES)
def test_components_are_those_of_scikit_learn(name):
    from sklearn.decomposition import PCA

    activations = MATRICES[name]
    fitted = PCA(svd_solver="full").fit(activations.double().numpy())
    found = spectrum(activations)
    assert (
        found.shape == (activations.shape[1],)
        and found.dtype == torch.float64
        and (found.diff() <= 0).all()
        and (found >= 0).all()
    )
    rank = len(fitted.explained_variance_)
    largest = fitted.explained_variance_[0]
    assert (
        np.allclose(found[:rank], fitted.explained_variance_, rtol=1e-9, atol=1e-11 * largest)
        and found[rank:].sum() <= 1e-11 * largest
    )
    for share in SHARES:
        if rank == 1:  # where scikit-learn takes one component as it is
            assert pca_dimension(activations, share) == 1
        else:
            assert (
                pca_dimension(activations, share)
                == PCA(share, svd_solver="full").fit(activations.double().numpy()).n_components_
            ), share


def test_the_matrices_differ_in_their_answers():
    assert len({tuple(pca_dimension(some, share) for share in SHARES) for some in MATRICES.values()}) > 6


@pytest.mark.parametrize("sizes", [[1] * 60, [7] * 8 + [4], [59, 1], [0, 30, 0, 30], [60]])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_streaming_in_any_batches_is_one_shot(sizes, offset):
    activations = fired(60, 20) + offset
    found = Covariance()
    for asked, batch in enumerate(activations.split(sizes)):
        found.add(batch)
        if asked == 1:  # in between changes nothing
            found.matrix()
    expected = torch.cov(activations.double().T)
    assert found.count == 60
    torch.testing.assert_close(found.matrix(), expected, rtol=1e-10, atol=1e-12)
    assert [components(found.spectrum(), share) for share in SHARES] == [
        pca_dimension(activations, share) for share in SHARES
    ]


def test_first_samples_that_are_far_from_the_rest_cost_no_digits():
    activations = correlated(400, 8)
    activations[:3] += 1e5
    found = Covariance()
    for batch in activations.split(3):
        found.add(batch)
    torch.testing.assert_close(found.matrix(), torch.cov(activations.T), rtol=1e-9, atol=1e-6)


def test_units_far_from_0_keep_their_digits_beside_others():
    activations = torch.cat([fired(5000, 12).double(), correlated(5000, 4) + 1e6], dim=1)
    torch.testing.assert_close(added(activations).matrix(), torch.cov(activations.T), rtol=1e-9, atol=1e-9)


def test_gradients_of_activations_are_not_kept():
    activations = fired(600, 12).requires_grad_()
    assert not added(activations * 2).spectrum().requires_grad


def unchanged(activations: torch.Tensor) -> dict[str, torch.Tensor]:
    """The same representation, seen otherwise."""
    n, d = activations.shape
    random = generator(5)
    turned = torch.linalg.qr(torch.randn(d, d, generator=random, dtype=torch.float64)).Q
    return {
        "samples permuted": activations[torch.randperm(n, generator=random)],
        "units permuted": activations[:, torch.randperm(d, generator=random)],
        "rotated": (activations.double() @ turned),
        "mirrored": -activations,
        "times 1000": 1000 * activations,
        "times 1e-8": 1e-8 * activations,
        "a large offset in float32": activations.float() + 1e4,
        "a dead unit more": torch.cat([activations, torch.zeros(n, 1, dtype=activations.dtype)], dim=1),
        "a constant unit more": torch.cat(
            [activations, torch.full((n, 1), 7.3, dtype=activations.dtype)], dim=1
        ),
        "every sample twice": activations.repeat(2, 1),
    }


@pytest.mark.parametrize("how", unchanged(torch.zeros(2, 2)))
def test_what_does_not_change_dimensions(how):
    activations = fired(200, 16)
    expected = [pca_dimension(activations, share) for share in SHARES]
    assert expected == sorted(expected) and expected[0] < expected[-1]
    other = unchanged(activations)[how]
    assert [pca_dimension(other, share) for share in SHARES] == expected
    assert participation_ratio(spectrum(other)) == pytest.approx(
        participation_ratio(spectrum(activations)), rel=1e-3
    )
    # distances of samples that an offset has rounded to a thousandth are others
    assert twonn(other) == pytest.approx(twonn(activations), rel=2e-2 if "offset" in how else 1e-6)


def test_an_offset_leaves_no_dimension_behind():
    """What float32 makes of a constant plus 1e4 is a constant: no rounding of the mean may pass for
    variance.
    """
    activations = torch.cat([torch.full((999, 3), 1e4 + 0.1), correlated(999, 2).float()], dim=1)
    assert (spectrum(activations) > 0).sum() == 2
    assert (
        pca_dimension(torch.full((999, 3), 0.1), 1.0)
        == pca_dimension(torch.full((999, 3), 1e4 + 0.1), 1.0)
        == 0
    )


@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_a_subspace_has_its_own_dimension(k, noise):
    random = generator(k)
    inside = (
        torch.randn(1500, k, generator=random, dtype=torch.float64)
        @ torch.linalg.qr(torch.randn(20, k, generator=random, dtype=torch.float64)).Q.T
    )
    activations = inside + noise * 1e-2 * torch.randn(inside.shape, generator=random, dtype=torch.float64)
    assert [pca_dimension(activations, share) for share in (0.95, 0.99)] == [k, k]
    assert pca_dimension(inside, 1.0) == k
    assert participation_ratio(spectrum(activations)) == pytest.approx(k, rel=0.02)
    if k > 1 or not noise:  # along a line, neighbours are nearer than the noise is small
        assert twonn(activations) == pytest.approx(k, rel=0.1)


def test_a_rolled_sheet_fills_three_directions_but_has_two_dimensions():
    from sklearn.datasets import make_swiss_roll

    roll = torch.from_numpy(make_swiss_roll(3000, random_state=0)[0])
    assert pca_dimension(roll) == 3 and participation_ratio(spectrum(roll)) > 2.5
    assert twonn(roll) == pytest.approx(2, rel=0.05)
    embedded = roll @ torch.linalg.qr(torch.randn(40, 3, generator=generator(), dtype=torch.float64)).Q.T
    assert pca_dimension(embedded) == 3 and twonn(embedded) == pytest.approx(twonn(roll), rel=1e-6)


SPECTRA = {
    "all alike": ([2.0] * 20, (18, 19, 20), 20.0),  # nine tenths of 20 are 18: at least the share
    "one": ([3.0, 0.0, 0.0], (1, 1, 1), 1.0),
    "two of which one is small": ([96.0, 4.0], (1, 1, 2), 10000 / (96**2 + 16)),
    "by halves": ([8.0, 4.0, 2.0, 1.0, 1.0], (4, 5, 5), 256 / 86),
    "none": ([0.0, 0.0], (0, 0, 0), 0.0),
    "no units": ([], (0, 0, 0), 0.0),
    "tiny": ([1e-200, 1e-200], (2, 2, 2), 2.0),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_planted_spectra(name):
    values, dimensions, ratio = SPECTRA[name]
    planted = torch.tensor(values, dtype=torch.float64)
    assert tuple(components(planted, share) for share in SHARES) == dimensions
    assert participation_ratio(planted) == pytest.approx(ratio)
    assert components(planted, 1) == sum(value > 0 for value in values)


def test_samples_of_a_planted_spectrum():
    """Exactly the variances that are planted: orthogonal columns of length √(n − 1)."""
    variances = torch.tensor([5.0, 3.0, 1.0, 0.5, 0.25], dtype=torch.float64)
    columns = torch.randn(200, 5, generator=generator(), dtype=torch.float64)
    columns = torch.linalg.qr(columns - columns.mean(0)).Q * (199 * variances).sqrt()
    torch.testing.assert_close(spectrum(columns), variances)
    assert [pca_dimension(columns, share) for share in (0.5, 0.8, 0.92, 0.95, 0.99, 1)] == [1, 2, 3, 4, 5, 5]
    assert participation_ratio(spectrum(columns)) == pytest.approx(9.75**2 / 35.3125)


EQUAL = {
    "dead": torch.zeros(50, 8),
    "constant": torch.full((50, 8), 0.7),
    "two samples": torch.ones(2, 1),
    "no units": torch.zeros(50, 0),
}


@pytest.mark.parametrize("name", EQUAL)
def test_what_does_not_vary_has_no_dimension(name):
    activations = EQUAL[name]
    assert [pca_dimension(activations, share) for share in (*SHARES, 1)] == [0] * 4
    assert participation_ratio(spectrum(activations)) == 0.0


def test_few_and_repeated_samples():
    assert pca_dimension(torch.eye(3)[:2]) == 1  # a line through two points
    assert pca_dimension(fired(10, 64), 1.0) == 9
    activations = correlated(6, 30)
    assert pca_dimension(activations.repeat(50, 1), 1.0) == pca_dimension(activations, 1.0) == 5


def test_a_covariance_takes_no_other_width_and_keeps_its_samples_apart():
    found = Covariance()
    batch = fired(10, 4)
    before = batch.clone()
    found.add(batch)
    with pytest.raises(InputError, match="activations of 4 dimensions so far, then of 5"):
        found.add(fired(10, 5))
    assert torch.equal(batch, before) and found.count == 10
    batch.zero_()  # the covariance holds no view
    torch.testing.assert_close(found.matrix(), torch.cov(before.double().T))


BAD = {
    "integers": (
        torch.ones(4, 4).long(),
        r"must be float \(n, d\), one row a sample, got torch.int64 of shape \(4, 4\)",
    ),
    "with space": (
        torch.rand(4, 4, 2, 2),
        r"must be float \(n, d\), one row a sample, got torch.float32 of shape \(4, 4, 2, 2\)",
    ),
    "one row": (torch.rand(4), r"got torch.float32 of shape \(4,\)"),
    "an array": (np.ones((4, 4)), "got ndarray"),
    "NaN": (torch.full((4, 4), float("nan")), "must be finite, got NaN or infinity"),
    "infinity": (torch.tensor([[1.0, float("inf")], [0.0, 1.0]]), "must be finite, got NaN or infinity"),
}


@pytest.mark.parametrize("function", [pca_dimension, twonn])
@pytest.mark.parametrize("what", BAD)
def test_what_are_no_activations(what, function):
    activations, message = BAD[what]
    with pytest.raises(InputError, match=message):
        function(activations)


@pytest.mark.parametrize("n", [0, 1])
def test_a_covariance_needs_two_samples(n):
    with pytest.raises(InputError, match=f"a covariance needs at least 2 samples, got {n}"):
        pca_dimension(torch.rand(n, 3))


@pytest.mark.parametrize("share", [0, -0.5, 1.01, 95, float("nan"), True, "0.95", None])
def test_a_share_is_in_0_to_1(share):
    with pytest.raises(InputError, match=r"variance is a share in \(0, 1\], got"):
        pca_dimension(fired(10, 4), share)


# ---- TwoNN -------------------------------------------------------------------------------------------------


def sphere(n: int) -> torch.Tensor:
    points = torch.randn(n, 4, generator=generator(3), dtype=torch.float64)
    return points / points.norm(dim=1, keepdim=True)


PLANTED = {
    "a cube": (torch.rand(1500, 3, generator=generator(1), dtype=torch.float64), 3, 0.1),
    "a ball's surface": (sphere(2000), 3, 0.1),
    "a sheet in 30 dimensions": (
        correlated(1000, 2, decay=1.0) @ torch.randn(2, 30, generator=generator(2), dtype=torch.float64),
        2,
        0.1,
    ),
    "a Gaussian of 10 dimensions": (
        torch.randn(2000, 10, generator=generator(4), dtype=torch.float64),
        10,
        0.15,
    ),
    "far from 0": (torch.rand(1000, 4, generator=generator(6), dtype=torch.float64) + 1e6, 4, 0.15),
    "fired": (fired(1200, 32), None, None),
    "more blocks than one": (torch.rand(2003, 5, generator=generator(8), dtype=torch.float64), 5, 0.1),
}


@pytest.fixture(scope="module")
def theirs():
    """scikit-dimension's TwoNN: a function (n, d) -> dimension."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, and those of what it imports
        skdim = pytest.importorskip("skdim", reason="scikit-dimension is not installed")

    def fit(points: torch.Tensor, discarded: float = 0.1) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(skdim.id.TwoNN(discard_fraction=discarded).fit(points.numpy()).dimension_)

    return fit


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize("discarded", [0.1, 0.3])
def test_twonn_is_scikit_dimensions(name, discarded, theirs):
    points, _, _ = PLANTED[name]
    assert len(points.unique(dim=0)) == len(points)
    assert twonn(points, discarded=discarded) == pytest.approx(theirs(points, discarded), rel=0.02)


@pytest.mark.parametrize("name", [name for name, (_, dimension, _) in PLANTED.items() if dimension])
def test_twonn_of_planted_sets(name):
    points, dimension, tolerance = PLANTED[name]
    assert twonn(points) == pytest.approx(dimension, rel=tolerance)


def test_twonn_by_hand():
    """Four points on a line, at 0, 1, 3 and 7: ratios 3, 2, 3/2 and 6/4, of which a quarter is left out.

    F is the share of smaller ratios.
    """
    x, y = np.log([1.5, 1.5, 2.0]), -np.log([1, 3 / 4, 2 / 4])
    assert twonn(torch.tensor([[0.0], [1.0], [3.0], [7.0]]), discarded=0.25) == pytest.approx(
        (x @ y) / (x @ x)
    )


def test_neighbours_are_found_in_blocks_and_far_from_0():
    from lib.dimensionality import _nearest

    points = correlated(257, 6)
    away = (
        torch
        .cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
        .fill_diagonal_(torch.inf)
        .sort(1)
        .values
    )
    for rows in (1, 100, 257, 1000):
        first, second = _nearest(points, rows)
        torch.testing.assert_close(first, away[:, 0])
        torch.testing.assert_close(second, away[:, 1])


def test_duplicates_count_once():
    points = fired(200, 8)
    assert len(points.unique(dim=0)) == 200
    assert twonn(torch.cat([points, points[:70], points[:3]])) == pytest.approx(twonn(points), rel=1e-12)


ALIKE = {
    "dead": torch.zeros(40, 5),
    "constant": torch.full((40, 5), 0.3),
    "single": torch.ones(1, 3),
    "no units": torch.ones(9, 0),
}


@pytest.mark.parametrize("points", ALIKE.values(), ids=ALIKE)
def test_twonn_of_equal_samples_is_0(points):
    assert twonn(points) == 0.0


@pytest.mark.parametrize(
    "points",
    [torch.rand(0, 3), torch.eye(2), torch.eye(2).repeat(30, 1)],
    ids=["none", "two", "two, repeated"],
)
def test_twonn_needs_three_different_samples(points):
    with pytest.raises(InputError, match="TwoNN needs at least 3 different samples, got (0|2)"):
        twonn(points)


GRIDS = {
    "a line": torch.arange(16.0)[:, None],
    "a square": torch.cartesian_prod(torch.arange(8.0), torch.arange(8.0)),
    "corners": torch.cartesian_prod(*[torch.arange(2.0)] * 6),
    "one-hot": torch.eye(12),
}


@pytest.mark.parametrize("name", GRIDS)
def test_twonn_has_no_answer_on_a_grid(name):
    with pytest.raises(InputError, match="each sample's two nearest are equally far, as on a grid"):
        twonn(GRIDS[name])


@pytest.mark.parametrize("discarded", [-0.1, 1, 1.0, True, "0.1", float("nan")])
def test_what_is_discarded_is_a_share(discarded):
    with pytest.raises(InputError, match=r"discarded is a share in \[0, 1\), got"):
        twonn(fired(10, 4), discarded=discarded)
