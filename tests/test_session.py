"""The steps of a training, and the captured one rehearsed on the CPU: `capture` then returns the step itself,
all else is what a GPU runs.
"""

from dataclasses import replace

import pytest
import torch

from lib import models
from lib.base.seeds import derived_seed
from lib.training import augmentation, seeds
from lib.training.engine import Engine
from lib.training.loop import train
from lib.training.step import Session, _reusable
from lib.training.training import Training

EAGER = Engine("cpu", low_precision=False, compiled=False)
CAPTURED = replace(EAGER, captured=True)


def tiny(alpha: float = 1.0, seed: int = 0, epochs: int = 2, variant: str = "plain") -> Training:
    return Training("digits", "resnet8", alpha, seed, "fast", epochs, variant)


@pytest.fixture
def few(digits, monkeypatch):
    """`data.load` gives 220 training images and 100 test images only: an epoch is 3 steps."""
    some = {"train": digits["train"][slice(0, 220)], "test": digits["test"][slice(0, 100)]}
    monkeypatch.setattr("lib.data.load", lambda name, split: some[split])
    return some


def run(training, engine=EAGER, **keywords):
    return train(training, engine, progress=False, **keywords)


def close(left, right) -> None:
    """Equal but for the last bits: alpha and rate are float32 tensors in a captured step, and float64 numbers
    otherwise.
    """
    for (name, mine), other in zip(left.state_dict().items(), right.state_dict().values(), strict=True):
        torch.testing.assert_close(
            mine, other, rtol=2e-3, atol=2e-3, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("variant", ["plain", "pgd-2"])
@pytest.mark.parametrize("alpha", [0.0, 1.0, -2.0])
def test_the_captured_step_trains_the_same_network(alpha, variant, few, captures):
    training = tiny(alpha, variant=variant)
    captured, eager = run(training, CAPTURED), run(training)
    close(captured.network, eager.network)
    torch.testing.assert_close(
        torch.tensor(captured.history.to_numpy()),
        torch.tensor(eager.history.to_numpy()),
        rtol=1e-3,
        atol=0.03,
    )  # an image of 20 may fall the other way
    assert len(captures) == 1


def test_one_capture_serves_every_alpha_and_seed_and_leaves_nothing_behind(few, captures):
    order = [tiny(1.0), tiny(-2.0, seed=1), tiny(0.0), tiny(1.0)]
    made = [run(training, CAPTURED) for training in order]
    assert len(captures) == 1
    for left, right in zip(
        made[0].network.state_dict().values(), made[3].network.state_dict().values(), strict=True
    ):
        assert torch.equal(left, right)  # the first was captured into, the last came after two others
    assert not torch.equal(made[0].network.conv1.weight, made[2].network.conv1.weight)
    _reusable.cache_clear()
    alone = run(order[1], CAPTURED)
    assert torch.equal(alone.network.conv1.weight, made[1].network.conv1.weight)


def test_another_model_recipe_or_variant_is_captured_anew(few, captures):
    for training in (tiny(), tiny(epochs=3), tiny(variant="pgd-1")):
        run(training, CAPTURED)
    assert len(captures) == 3


def test_a_captured_training_goes_on_from_its_checkpoint(few, captures, tmp_path, monkeypatch):
    monkeypatch.setattr("lib.training.loop.CHECKPOINT_SECONDS", 0)
    whole = run(tiny(epochs=3), CAPTURED)

    class Stop(Exception):
        pass

    def stop(row):
        if row["epoch"] == 2:
            raise Stop

    with pytest.raises(Stop):
        run(tiny(epochs=3), CAPTURED, checkpoint=tmp_path / "c", on_epoch=stop)
    for between in (lambda: None, lambda: run(tiny(-1.0, epochs=3), CAPTURED), _reusable.cache_clear):
        between()  # the session holds the interrupted network, another one, or is a new one
        resumed = run(tiny(epochs=3), CAPTURED, checkpoint=(tmp_path / "c"))
        for left, right in zip(
            whole.network.state_dict().values(), resumed.network.state_dict().values(), strict=True
        ):
            assert torch.equal(left, right)


def test_a_step_is_crop_flip_loss_and_sgd(few):
    """One step, written out."""
    training = tiny(0.0)
    ours = Session(training, EAGER)
    ours.begin_epoch(0)
    ours.step(1, 0.3)
    images, batch = few["train"], ours.batch
    network = models.build("resnet8", 10, seed=derived_seed(0, "weights")).train()
    order = ours.rows[torch.randperm(len(ours.rows), generator=seeds.generator(training, "order", 0))][
        batch : 2 * batch
    ]
    offsets, flips = augmentation.draw(
        len(ours.rows), training.augmentation, seeds.generator(training, "augmentation", 0)
    )
    some = slice(batch, 2 * batch)
    pixels = augmentation.crop_and_flip(
        images.pixels[order], offsets[some], flips[some], training.augmentation.pad
    )
    loss = torch.nn.functional.cross_entropy(network(pixels.float() / 255), images.labels[order])
    loss.backward()
    torch.testing.assert_close(ours.losses, torch.tensor([0.0, loss.item(), 0.0]))
    decay = training.settings.weight_decay
    for parameter, theirs in zip(ours.network.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(
            parameter, theirs - 0.3 * (theirs.grad + decay * theirs), rtol=1e-4, atol=1e-6
        )


def test_order_and_augmentation_differ_between_epochs(few):
    ours = Session(tiny(), EAGER)
    epochs = []
    for epoch in (0, 1, 0):
        ours.begin_epoch(epoch)
        epochs.append(ours.drawn)
    assert all(torch.equal(left, right) for left, right in zip(epochs[0], epochs[2], strict=True))
    assert not any(torch.equal(left, right) for left, right in zip(epochs[0][:2], epochs[1][:2], strict=True))
    assert sorted(epochs[0][0].tolist()) == sorted(epochs[1][0].tolist()) == sorted(ours.rows.tolist())


def test_without_selectivity_the_step_of_alpha_zero_is_the_same(few):
    networks = []
    for watched in (True, False):
        ours = Session(tiny(0.0), EAGER, watched=watched)
        ours.begin_epoch(0)
        ours.step(0, 0.1)
        networks.append(ours.network.state_dict())
        assert bool(ours.sis[0] > 0) is watched
    assert all(
        torch.equal(left, right)
        for left, right in zip(networks[0].values(), networks[1].values(), strict=True)
    )
