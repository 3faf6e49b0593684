"""The selectivity term of a group of minibatches: its value, its gradient, its bias, and what a checkpoint
keeps of it; images of fewer pixels for the first epochs.
"""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from lib import models, selectivity
from lib.book.tables import hyperparameters
from lib.training import resizing
from lib.training.engine import Engine
from lib.training.loop import estimate_seconds, train
from lib.training.recipe import RECIPES, ProgressiveRecipe
from lib.training.regulariser import OfGroup, OfMinibatch
from lib.training.step import Session
from lib.training.training import Training

EAGER = Engine("cpu", low_precision=False, compiled=False)
GROUP, BATCH = 4, 20


def recipe(group: int = GROUP, **other) -> ProgressiveRecipe:
    return ProgressiveRecipe(epochs=4, batch=BATCH, learning_rate=0.1, group=group, **other)


def parameters(network) -> torch.Tensor:
    return torch.cat([one.grad.flatten() for one in network.parameters() if one.grad is not None])


def minibatches(digits) -> list[tuple[torch.Tensor, torch.Tensor]]:
    some = digits["train"].first(GROUP * BATCH)
    x = models.to_unit(some.pixels)
    return list(zip(x.split(BATCH), some.labels.split(BATCH), strict=True))


@pytest.mark.parametrize("alpha", [-1.0, 2.0, 0.0])
def test_over_a_group_it_is_the_term_of_all_its_images(alpha, digits):
    """While the network stands still: value and gradient, in evaluation mode, where images are independent."""
    network, batches = models.build("resnet8", 10, seed=1).eval(), minibatches(digits)
    with models.spatial_means(network) as means:
        ours = OfGroup(network, means, 10, alpha, recipe())
        for x, labels in batches[1:]:  # the group fills
            network(x)
            ours(torch.zeros(()), means, labels)
        values, grouped = [], 0.0
        for x, labels in batches:
            network.zero_grad()
            loss, si = ours(F.cross_entropy(network(x), labels), means, labels)
            loss.backward()
            values.append(float(si))
            grouped = grouped + parameters(network) / GROUP
        network.zero_grad()
        x, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        logits = network(x)
        si = selectivity.mean_selectivity(means, labels, 10)
        (F.cross_entropy(logits, labels) - alpha * si).backward()
    assert values == pytest.approx([float(si.detach())] * GROUP, abs=1e-6)
    torch.testing.assert_close(grouped, parameters(network), rtol=1e-4, atol=1e-6)


def test_alpha_0_differentiates_nothing_and_a_tensor_serves_every_alpha(digits):
    network, (x, labels) = models.build("resnet8", 10, seed=1).eval(), minibatches(digits)[0]
    with models.spatial_means(network) as means:
        cross_entropy = F.cross_entropy(network(x), labels)
        assert OfGroup(network, means, 10, 0.0, recipe())(cross_entropy, means, labels)[0] is cross_entropy
        network(x)
        by_number = OfGroup(network, means, 10, -1.5, recipe())
        network(x)
        by_tensor = OfGroup(network, means, 10, torch.tensor(-1.5), recipe())
        network(x)
        one, other = (term(cross_entropy.detach(), means, labels) for term in (by_number, by_tensor))
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("group", [1, GROUP])
def test_the_first_minibatch_is_a_group_of_its_own(group, digits):
    network, (x, labels) = models.build("resnet8", 10, seed=1).eval(), minibatches(digits)[0]
    with models.spatial_means(network) as means:
        term = OfGroup(network, means, 10, 1.0, recipe(group))
        network(x)
        ours = term(torch.zeros(()), means, labels)
        theirs = OfMinibatch(network, means, 10, 1.0, recipe(group))(torch.zeros(()), means, labels)
    torch.testing.assert_close(ours, theirs)
    assert len(term.tensors()["sums"]) == group - 1
    assert OfGroup(network, {}, 10, 1.0, recipe(group))(torch.ones(()), {}, labels)[0] == 1.0  # not recorded


def test_only_the_last_minibatches_count(digits):
    network, batches = models.build("resnet8", 10, seed=1).eval(), minibatches(digits)
    with models.spatial_means(network) as means:
        term = OfGroup(network, means, 10, 1.0, recipe(2))
        for x, labels in batches:
            network(x)
            si = term(torch.zeros(()), means, labels)[1]
        last = [torch.cat(parts) for parts in zip(*batches[-2:], strict=True)]
        network(last[0])
        wanted = selectivity.mean_selectivity(means, last[1], 10)
    torch.testing.assert_close(si, wanted)


def test_few_images_of_many_classes_look_selective_and_a_group_of_them_less():
    """Activations that know nothing of 200 classes: the index of their true means is 0."""
    drawn = torch.Generator().manual_seed(0)
    network = models.build("resnet8", 200)
    with models.spatial_means(network) as means:
        group = OfGroup(network, means, 200, 0.0, recipe(16))
        alone = OfMinibatch(network, means, 200, 0.0, recipe(16))
        found = {}
        for _ in range(16):
            layers = {
                str(place): torch.rand(256, size, generator=drawn) for place, size in enumerate(group.sizes)
            }
            labels = torch.randint(200, (256,), generator=drawn)
            for name, term in (("group", group), ("alone", alone)):
                found[name] = float(term(torch.zeros(()), layers, labels)[1])
    assert found["alone"] > 2 * found["group"] > 0


# ---- a whole training --------------------------------------------------------------------------------------


@pytest.fixture
def progressive(digits, monkeypatch):
    """220 training images, of 16 and then of 32 pixels, with selectivity over three minibatches."""
    some = {"train": digits["train"][slice(0, 220)], "test": digits["test"][slice(0, 100)]}
    monkeypatch.setattr("lib.data.load", lambda name, split: some[split])
    own = ProgressiveRecipe(4, 64, 0.1, weight_decay=5e-4, sides=((0, 16), (2, 32)), group=3)
    monkeypatch.setitem(RECIPES, "fast", RECIPES["fast"] | {"resnet8": own})
    return Training("digits", "resnet8", 1.0, recipe="fast")


def equal(left, right) -> None:
    for (name, mine), other in zip(left.state_dict().items(), right.state_dict().values(), strict=True):
        assert torch.equal(mine, other), name


@pytest.mark.parametrize("last", [1, 2, 3])
def test_an_interrupted_training_ends_in_the_same_network(last, progressive, tmp_path, monkeypatch):
    monkeypatch.setattr("lib.training.loop.CHECKPOINT_SECONDS", 0.0)
    whole = train(progressive, EAGER, progress=False)

    def stop(row):
        if row["epoch"] == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(progressive, EAGER, progress=False, checkpoint=tmp_path / "point", on_epoch=stop)
    again = train(progressive, EAGER, progress=False, checkpoint=tmp_path / "point")
    equal(whole.network, again.network)
    assert whole.history.equals(again.history)


def test_the_sides_follow_the_recipe_and_the_crops_the_sides(progressive):
    session = Session(progressive, EAGER)
    seen = []
    for epoch in (0, 1, 2, 3, 0):  # back to the first, as for the next network of a sweep
        session.begin_epoch(epoch)
        seen.append((session.pixels.shape[-1], session.how.pad, int(session.drawn[1].max())))
    assert [side for side, _, _ in seen] == [16, 16, 32, 32, 16]
    assert [pad for _, pad, _ in seen] == [1, 1, 2, 2, 1]
    assert [most for _, _, most in seen] == [2, 2, 4, 4, 2]


def test_other_numbers_of_epochs_scale_the_sides():
    usual = RECIPES["fast"]["resnet18"]
    assert isinstance(usual, ProgressiveRecipe)
    half = Training("tiny-imagenet", "resnet18", recipe="fast", epochs=9).settings
    assert half.sides == ((0, 32), (5, 48), (7, 64)) and half.group == usual.group
    assert [usual.side(epoch, 64) for epoch in (0, 9, 10, 14, 15, 17)] == [32, 32, 48, 48, 64, 64]
    assert usual.side(usual.epochs - 1, 64) == 64  # measured at the size it was trained at last
    # one epoch is one at full size
    assert Training("tiny-imagenet", "resnet18", recipe="fast", epochs=1).settings.side(0, 64) == 64


def test_small_images_are_those_of_the_large_ones(digits):
    pixels = digits["train"].pixels[:3]
    assert resizing.resized(pixels, 32) is pixels
    flat = torch.full((2, 3, 64, 64), 200, dtype=torch.uint8)
    assert torch.equal(resizing.resized(flat, 48), torch.full((2, 3, 48, 48), 200, dtype=torch.uint8))
    small = resizing.resized(pixels, 16)
    assert small.dtype == torch.uint8 and small.shape == (3, 3, 16, 16)
    whole = F.interpolate(pixels.double(), (16, 16), mode="bilinear", antialias=True)
    assert (small.double() - whole).abs().max() <= 0.5 + 1e-3
    means = small.double().mean((1, 2, 3)), pixels.double().mean((1, 2, 3))
    assert (means[0] - means[1]).abs().max() < 1.5


def test_an_estimate_counts_smaller_images_for_less(progressive, monkeypatch):
    monkeypatch.setattr("lib.training.loop._wait", lambda engine: None)
    ticks = iter(range(100))
    monkeypatch.setattr("lib.training.loop.time.monotonic", lambda: float(next(ticks)))
    # two steps of 16 pixels in a second; two epochs of them, and two at four times the price
    assert estimate_seconds(progressive, EAGER) == 0.5 * 3 * (2 + 2 * 4)


def test_a_captured_step_is_captured_once_a_side_and_leaves_nothing_behind(progressive, captures):
    captured = train(progressive, replace(EAGER, captured=True), progress=False)
    again = train(progressive, replace(EAGER, captured=True), progress=False)
    equal(captured.network, again.network)
    eager = train(progressive, EAGER, progress=False)
    for mine, other in zip(
        captured.network.state_dict().values(), eager.network.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=2e-3, atol=2e-3)
    assert len(captures) == 4  # two sides, twice


def test_a_compiled_term_gives_the_same(digits):
    network, batches = models.build("resnet8", 10, seed=1).eval(), minibatches(digits)
    found = []
    for backend in (None, "aot_eager"):
        twin = copy.deepcopy(network)
        with models.spatial_means(twin) as means:
            term = OfGroup(twin, means, 10, 1.0, recipe())

            def loss(x, labels, twin=twin, means=means, term=term):
                return term(F.cross_entropy(twin(x), labels), means, labels)

            step = torch.compile(loss, backend=backend, dynamic=False) if backend else loss
            losses = []
            for x, labels in batches:
                total, si = step(x, labels)
                total.backward()
                losses += [float(total.detach()), float(si)]
        found.append((losses, parameters(twin)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=1e-5)


def test_the_table_of_hyperparameters_says_sides_and_group():
    rows = hyperparameters(Training("tiny-imagenet", "resnet18", recipe="fast")).set_index("")
    assert (
        rows.here["size of images"] == "32 px from epoch 1 on, 48 px from epoch 11 on, 64 px from epoch 16 on"
    )
    assert rows.here["selectivity term"] == "over 16 minibatches"
    usual = hyperparameters(Training(recipe="fast")).set_index("").here
    assert "size of images" not in usual and "selectivity term" not in usual
    certified = hyperparameters(Training("digits", "cnn-small", recipe="certified")).set_index("").here
    assert certified["optimiser"].startswith("Adam") and certified["checkpoint"] == "last epoch"
