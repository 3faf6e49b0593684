"""Purification in image networks: weights against numpy and by hand, sparse coding against scikit-learn, nulls against
random draws, and pictures that excite what they are made for."""

import copy
import doctest

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso
from torch import nn

from lib import models
from lib.base.errors import InputError
from lib.purification import angle, convolutional_coding, pictures, weights
from lib.purification.convolutional_coding import (
    dct_dictionary,
    high_frequency_share,
    objective,
    patch_dictionary,
    sparse_codes,
    sparsity,
    synthesis,
    white_share,
)
from lib.purification.weights import (
    chance_share,
    convolutions,
    pair_angles,
    paired,
    relative_change,
    renew_statistics,
    with_change_of_rank,
)


def built(seed: int, name: str = "resnet8") -> nn.Module:
    return models.build(name, 10, seed=seed).eval()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---- weights -----------------------------------------------------------------------------------------------


def test_every_convolution_is_a_matrix_of_its_filters():
    network = built(0)
    found = convolutions(network)
    assert len(found) == 7 and found["conv1"].shape == (8, 27)
    assert torch.equal(found["layer2.0.conv1"][3], network.layer2[0].conv1.weight[3].flatten())


def test_networks_of_two_architectures_are_not_compared():
    with pytest.raises(InputError, match="different architectures: convolution '.+' has the shape"):
        paired(built(0), built(0, "resnet20"))
    with pytest.raises(InputError, match="different architectures: "):
        with_change_of_rank(built(0), built(0, "cnn-small"), 1)
    # the same convolutions below another head
    longer = nn.Sequential(built(0), nn.Linear(10, 2))
    with pytest.raises(
        InputError, match="different architectures: '1.bias' has the shape of none in one and"
    ):
        with_change_of_rank(nn.Sequential(built(0)), longer, 1)
    with pytest.raises(InputError, match="a rank is a whole number of at least 0, got 1.5"):
        with_change_of_rank(built(0), built(1), 1.5)


def test_angles_of_pairs_are_those_of_numpy():
    rows = torch.randn(5, 7, generator=generator())
    expected = np.abs(np.corrcoef(np.hstack([rows.numpy(), -rows.numpy()])))  # of mean 0, so a cosine
    np.testing.assert_allclose(pair_angles(rows), expected[np.triu_indices(5, 1)], rtol=1e-5)
    assert pair_angles(torch.zeros(2, 3)).isnan().all() and len(pair_angles(rows[:1])) == 0


@pytest.mark.parametrize("d", [1, 2, 27, 576])
def test_chance_is_that_of_random_directions(d):
    drawn = angle(*torch.randn(2, 10000, d, generator=generator(), dtype=torch.float64))
    for low, high in ((0.0, 0.1), (0.1, 0.2), (0.2, 1.0)):
        assert chance_share(d, low, high) == pytest.approx(
            ((drawn > low) & (drawn <= high)).double().mean().item(), abs=0.015
        )
    with pytest.raises(InputError, match="d must be at least 1, got 0"):
        chance_share(0, 0, 1)
    with pytest.raises(InputError, match="d must be at least 1, got nan"):
        chance_share(float("nan"), 0, 1)
    assert doctest.testmod(weights).failed == 0


def test_a_filters_length_is_no_change():
    rows = torch.randn(6, 9, generator=generator())
    assert relative_change(rows, 3 * rows) == pytest.approx(0, abs=1e-12)
    assert relative_change(rows, -rows) == pytest.approx(4)
    turned = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    assert relative_change(torch.tensor([[2.0, 0.0], [1.0, 0.0]]), turned) == pytest.approx(2)
    assert np.isnan(relative_change(torch.zeros(2, 2), turned))
    with pytest.raises(InputError, match="need two matrices of one shape"):
        relative_change(rows, rows[:2])


def test_a_change_of_low_rank():
    before, after = built(0), built(1)
    x = torch.rand(4, 3, 32, 32, generator=generator())
    whole = with_change_of_rank(before, after, 999)
    torch.testing.assert_close(whole(x), after(x), rtol=1e-3, atol=1e-3)
    assert torch.equal(with_change_of_rank(before, after, 0)(x), before(x))
    kept = copy.deepcopy(before.state_dict())
    two = with_change_of_rank(before, after, 2)
    for name, first, found in paired(before, two):
        change = (found - first).double()
        assert np.linalg.matrix_rank(change, tol=1e-4) == 2
        left, sizes, right = np.linalg.svd(
            (convolutions(after)[name] - first).double().numpy(), full_matrices=False
        )
        np.testing.assert_allclose(change, (left[:, :2] * sizes[:2]) @ right[:2], atol=1e-5)
    assert all(torch.equal(before.state_dict()[name], kept[name]) for name in kept)
    with pytest.raises(InputError, match="a rank is a whole number of at least 0, got -1"):
        with_change_of_rank(before, after, -1)


def test_statistics_are_those_of_the_images():
    network = built(0)
    before = network.conv1(network.normalize(torch.zeros(1, 3, 32, 32)))
    pixels = torch.rand(40, 3, 32, 32, generator=generator())
    momenta = {module.momentum for module in network.modules() if isinstance(module, nn.BatchNorm2d)}
    weights_before = network.conv1.weight.clone()
    assert renew_statistics(network, pixels, batch=20) is network and not network.training
    seen = network.conv1(network.normalize(pixels))
    torch.testing.assert_close(network.bn1.running_mean, seen.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network.bn1.running_var, seen.var((0, 2, 3)), rtol=2e-2, atol=1e-4)
    assert torch.equal(network.conv1.weight, weights_before) and before is not None
    assert {module.momentum for module in network.modules() if isinstance(module, nn.BatchNorm2d)} == momenta
    assert not any(module.training for module in network.modules())
    with pytest.raises(InputError, match="at least 2 images, got 1"):
        renew_statistics(network, pixels[:1])


# ---- sparse coding -----------------------------------------------------------------------------------------


def test_fista_reaches_the_objective_of_scikit_learn():
    draws = generator()
    dictionary = torch.randn(6, 2, 3, 3, generator=draws, dtype=torch.float64)
    dictionary /= dictionary.flatten(1).norm(dim=1)[:, None, None, None]
    image = torch.randn(1, 2, 6, 6, generator=draws, dtype=torch.float64)
    places = 6 * 4 * 4
    matrix = synthesis(torch.eye(places, dtype=torch.float64).view(places, 6, 4, 4), dictionary).flatten(1).T
    for penalty in (0.05, 0.5):
        codes = sparse_codes(image, dictionary, penalty=penalty, steps=600)
        # its penalty is per number of the image
        lasso = Lasso(penalty / matrix.shape[0], fit_intercept=False, tol=1e-10, max_iter=100_000)
        theirs = torch.from_numpy(lasso.fit(matrix.numpy(), image.flatten().numpy()).coef_).view(1, 6, 4, 4)
        ours, others = (float(objective(image, one, dictionary, penalty)) for one in (codes, theirs))
        assert ours == pytest.approx(others, rel=1e-4)
        assert ((codes != 0) ^ (theirs != 0)).sum() <= 2
    assert not sparse_codes(image, dictionary, penalty=100.0, steps=5).any()


def test_what_is_made_of_few_filters_needs_few():
    draws = generator()
    dictionary = torch.randn(8, 3, 5, 5, generator=draws)
    dictionary /= dictionary.flatten(1).norm(dim=1)[:, None, None, None]
    codes = torch.zeros(2, 8, 12, 12)
    codes[0, 2, 3, 4], codes[0, 5, 8, 8] = 2.0, -1.5
    images = torch.stack([synthesis(codes[:1], dictionary)[0], torch.randn(3, 16, 16, generator=draws)])
    few, left = sparsity(images, dictionary, steps=40)
    assert 1 <= few[0] <= 4 and few[1] > 20 * few[0] and (left <= 0.21).all()
    scaled, _ = sparsity(images * torch.tensor([100.0, 1e-3])[:, None, None, None], dictionary, steps=40)
    torch.testing.assert_close(scaled, few, rtol=0.05, atol=1)
    nothing, unexplained = sparsity(torch.zeros(1, 3, 16, 16), dictionary, steps=2)
    assert nothing.isnan().all() and unexplained.isnan().all()


def test_dictionaries_that_belong_to_no_network():
    cosines = dct_dictionary(4)
    assert cosines.shape == (48, 3, 4, 4)
    torch.testing.assert_close(cosines.flatten(1) @ cosines.flatten(1).T, torch.eye(48), rtol=0, atol=1e-5)
    assert torch.equal(cosines[0, 0] > 0, torch.ones(4, 4, dtype=torch.bool)) and not cosines[0, 1:].any()
    pixels = torch.rand(5, 3, 8, 8, generator=generator())
    found = patch_dictionary(pixels, 3, 27)
    patches = np.lib.stride_tricks.sliding_window_view(pixels.numpy(), (3, 3), (2, 3)).transpose(
        0, 2, 3, 1, 4, 5
    )
    right = np.linalg.svd(patches.reshape(-1, 27), full_matrices=False)[2]
    for ours, theirs in zip(found.flatten(1).numpy()[:5], right[:5], strict=True):
        assert abs(ours @ theirs) == pytest.approx(1, abs=1e-4)


def test_how_coloured_and_how_simple_a_filter_is():
    grey = torch.rand(2, 1, 4, 4, generator=generator()).expand(2, 3, 4, 4)
    assert torch.allclose(
        convolutional_coding.colour_share(grey), torch.zeros(2, dtype=torch.float64), atol=1e-12
    )
    red = torch.zeros(1, 3, 4, 4)
    red[:, 0] = 1
    assert convolutional_coding.colour_share(red).item() == pytest.approx(2 / 3)
    waves = dct_dictionary(4)
    assert torch.allclose(convolutional_coding.strongest_cosine(waves), torch.ones(48, dtype=torch.float64))
    both = waves[1] + 0.5 * waves[2]
    assert convolutional_coding.strongest_cosine(both[None]).item() == pytest.approx(0.8)
    channels = waves[1] + waves[17]  # one wave in two channels
    assert convolutional_coding.strongest_cosine(channels[None]).item() == pytest.approx(1)
    noise = convolutional_coding.strongest_cosine(torch.randn(500, 3, 4, 4, generator=generator())).mean()
    assert 1 / 16 < noise < 0.25
    zeros = torch.zeros(1, 3, 4, 4)
    assert (
        convolutional_coding.colour_share(zeros).isnan().all()
        and convolutional_coding.strongest_cosine(zeros).isnan().all()
    )


def test_high_frequencies():
    along = torch.arange(16).float()
    slow, fast = (torch.cos(2 * torch.pi * rate * along).expand(3, 16, 16) for rate in (1 / 16, 7 / 16))
    both = torch.stack([slow, fast, slow + fast, torch.zeros(3, 16, 16)])
    shares = high_frequency_share(both)
    torch.testing.assert_close(
        shares[:3], torch.tensor([0.0, 1.0, 0.5], dtype=torch.float64), rtol=0, atol=1e-6
    )
    assert shares[3].isnan()
    white = high_frequency_share(torch.randn(400, 3, 16, 16, generator=generator())).mean()
    assert float(white) == pytest.approx(white_share((16, 16)), abs=0.01)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: dct_dictionary(0), "at least 1 pixel and channel, got side 0"),
        (
            lambda: patch_dictionary(torch.rand(1, 3, 8, 8), 2, 13),
            "patches of 12 numbers have at most so many atoms, got 13",
        ),
        (
            lambda: sparsity(torch.rand(1, 3, 8, 8), dct_dictionary(2), residual=1.0),
            "between 0 and 1, got 1.0",
        ),
        (
            lambda: sparse_codes(torch.rand(1, 1, 8, 8), dct_dictionary(2), penalty=1.0),
            "do not fit images of shape",
        ),
        (
            lambda: sparse_codes(torch.rand(1, 3, 8, 8), dct_dictionary(2), penalty=-1.0),
            "a penalty is at least 0, got -1",
        ),
        (
            lambda: sparse_codes(torch.rand(1, 3, 8, 8).double(), dct_dictionary(2), penalty=1.0),
            "filters of torch.float32 do not fit images of torch.float64",
        ),
        (lambda: sparsity(torch.rand(1, 3, 8, 8) * torch.nan, dct_dictionary(2)), "must be finite numbers"),
        (lambda: patch_dictionary(torch.rand(1, 3, 7, 9), 8, 3), "patches of side 8 do not fit images"),
    ],
)
def test_what_cannot_be_coded_is_one_line(call, said):
    with pytest.raises(InputError, match=said):
        call()


def test_filters_of_zeros_code_nothing():
    images = torch.rand(1, 3, 5, 7, generator=generator())
    assert not sparse_codes(images, torch.zeros(2, 3, 2, 2), penalty=0.1, steps=3).any()
    needed, left = sparsity(images, torch.zeros(2, 3, 2, 2), steps=2)
    assert needed.item() == 0 and left.item() == pytest.approx(1)


def test_the_step_of_fista_is_short_enough():
    dictionary = dct_dictionary(3)
    operator = synthesis(torch.eye(27 * 36).view(-1, 27, 6, 6), dictionary).flatten(1)
    largest = torch.linalg.eigvalsh(operator @ operator.T)[-1]
    found = convolutional_coding._steepest(dictionary, (8, 8))
    assert largest <= found * 1.001 and found <= 1.1 * largest


# ---- pictures ----------------------------------------------------------------------------------------------


def test_filters_as_pictures():
    found = pictures.first_filters(built(0))
    assert found.shape == (8, 3, 3, 3)
    assert torch.equal(found.amin((1, 2, 3)), torch.zeros(8)) and torch.equal(
        found.amax((1, 2, 3)), torch.ones(8)
    )
    flat = nn.Sequential(nn.Conv2d(3, 1, 2))
    nn.init.constant_(flat[0].weight, 0.7)
    assert (pictures.first_filters(flat) == 0.5).all()
    with pytest.raises(InputError, match="no filters to be seen"):
        pictures.first_filters(nn.Linear(2, 2))


def test_an_image_excites_its_unit():
    network = built(0)
    how = {"side": 32, "rounds": 2, "steps": 15}
    found = pictures.maximised(network, "layer2.0.relu1", [0, 3], generator=generator(), **how)
    assert found.shape == (2, 3, 32, 32) and found.min() >= 0 and found.max() <= 1
    answers = {}
    network.layer2[0].relu1.register_forward_hook(
        lambda module, inputs, output: answers.update(now=output.mean((2, 3)))
    )
    with torch.no_grad():
        network(torch.cat([found, torch.rand(20, 3, 32, 32, generator=generator())]))
    assert (
        answers["now"][0, 0] > answers["now"][2:, 0].max()
        and answers["now"][1, 3] > answers["now"][2:, 3].max()
    )
    again = pictures.maximised(network, "layer2.0.relu1", [0, 3], generator=generator(), **how)
    assert torch.equal(found, again) and all(one.requires_grad for one in network.parameters())
    for layer, units, said in (
        ("relu9", [0], "unknown layer 'relu9'"),
        ("relu", [], "at least one, got"),
        ("relu", [8], "none is 8"),
    ):
        with pytest.raises(InputError, match=said):
            pictures.maximised(network, layer, units, generator=generator(), **how)
