"""Training: augmentation and schedule against plain loops, and the same result however often it is
interrupted.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from torch import nn
from warm import NO_COMPILER

from lib import models, runs, selectivity
from lib.base import paths
from lib.base.errors import InputError
from lib.base.seeds import derived_seed
from lib.data.images import Images
from lib.runs import store
from lib.training import augmentation, parts, seeds
from lib.training import engine as training_engine
from lib.training.checkpoint import read_checkpoint, write_checkpoint
from lib.training.datasets import Augmentation
from lib.training.engine import COMPILE_FROM, Engine, best_engine, compiled_if_possible, trouble_of_compiler
from lib.training.loop import Trained, learning_rate, to_half, train
from lib.training.loop import accuracy as loop_accuracy
from lib.training.recipe import Recipe
from lib.training.training import Training

EAGER = Engine("cpu", low_precision=False, compiled=False)


def tiny(alpha: float = 1.0, seed: int = 0, epochs: int = 2) -> Training:
    return Training("digits", "resnet8", alpha, seed, "fast", epochs)


@pytest.fixture
def few(digits, monkeypatch) -> dict[str, Images]:
    """`data.load` gives 220 training images and 100 test images only: an epoch is 3 steps."""
    some = {"train": digits["train"][slice(0, 220)], "test": digits["test"][slice(0, 100)]}
    monkeypatch.setattr("lib.data.load", lambda name, split: some[split])
    return some


def run(training: Training, **keywords) -> Trained:
    return train(training, EAGER, progress=False, **keywords)


def same(left: nn.Module | dict, right: nn.Module | dict) -> bool:
    """Equal to the bit in every parameter and buffer."""
    left, right = (one.state_dict() if isinstance(one, nn.Module) else one for one in (left, right))
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


# ---- augmentation ------------------------------------------------------------------------------------------


def naive_augment(pixels: torch.Tensor, offsets: torch.Tensor, flips: torch.Tensor, pad: int) -> torch.Tensor:
    """Pad, crop and mirror one image after the other."""
    _, c, h, w = pixels.shape
    out = []
    for image, (top, left), flip in zip(pixels, offsets.tolist(), flips.tolist(), strict=True):
        large = torch.zeros(c, h + 2 * pad, w + 2 * pad, dtype=pixels.dtype)
        large[:, pad : pad + h, pad : pad + w] = image
        crop = large[:, top : top + h, left : left + w]
        out.append(torch.from_numpy(np.ascontiguousarray(crop.numpy()[:, :, ::-1])) if flip else crop)
    return torch.stack(out)


@pytest.mark.parametrize(
    ("shape", "pad", "flip"),
    [((200, 3, 8, 8), 2, True), ((50, 1, 6, 9), 4, True), ((50, 3, 8, 8), 2, False), ((9, 3, 5, 5), 0, True)],
)
def test_augmentation_is_pad_crop_and_flip(shape, pad, flip):
    g = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=g)
    offsets, flips = augmentation.draw(shape[0], Augmentation(flip, pad), g)
    kept = pixels.clone()
    augmented = augmentation.crop_and_flip(pixels, offsets, flips, pad)
    assert augmented.dtype == torch.uint8
    assert torch.equal(augmented, naive_augment(pixels, offsets, flips, pad))
    assert torch.equal(pixels, kept)


def test_the_middle_offset_leaves_the_image():
    pixels = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(
        augmentation.crop_and_flip(pixels, torch.full((5, 2), 4), torch.zeros(5, dtype=torch.bool), 4), pixels
    )


def test_offsets_are_uniform_and_half_the_images_flipped():
    n, pad = 90_000, 4
    offsets, flips = augmentation.draw(n, Augmentation(True, pad), torch.Generator().manual_seed(1))
    assert offsets.shape == (n, 2) and flips.shape == (n,) and flips.dtype == torch.bool
    pairs = offsets @ torch.tensor([9, 1])
    for values, cells in ((offsets[:, 0], 9), (offsets[:, 1], 9), (pairs, 81)):
        counts = values.bincount(minlength=cells)
        assert len(counts) == cells
        # rows and columns each, and independent of each other
        assert scipy.stats.chisquare(counts.numpy()).pvalue > 1e-3
    assert scipy.stats.binomtest(int(flips.sum()), n, 0.5).pvalue > 1e-3
    table = torch.stack([offsets[flips, 0].bincount(), offsets[~flips, 0].bincount()])
    assert scipy.stats.chi2_contingency(table.numpy()).pvalue > 1e-3


def test_nothing_is_flipped_where_flipping_is_off():
    offsets, flips = augmentation.draw(10_000, Augmentation(False, 0), torch.Generator().manual_seed(1))
    assert not flips.any() and not offsets.any()


# ---- schedule ----------------------------------------------------------------------------------------------

STEPWISE = Recipe(epochs=10, batch=1, learning_rate=0.5, milestones=(4, 7))
ONE_CYCLE = Recipe(epochs=2, batch=1, learning_rate=0.8, warm=0.25)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.5), (11, 0.5), (12, 0.05), (20, 0.05), (21, 0.005), (29, 0.005)]
)
def test_stepwise_rate(step, rate):
    assert learning_rate(STEPWISE, step, 3) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.8 * (1 / 16) / 0.25),  # 15 steps in all: done is (step + 1) / 16
        (3, 0.8),  # a quarter: the peak learning rate
        (4, 0.8 * (11 / 16) / 0.75),
        (14, 0.8 * (1 / 16) / 0.75),  # the last step still moves
    ],
)
def test_one_cycle_rate(step, rate):
    recipe = Recipe(epochs=3, batch=1, learning_rate=0.8, warm=0.25)
    assert learning_rate(recipe, step, 5) == pytest.approx(rate)


def test_one_cycle_is_linear_up_and_down_between_zero_and_the_peak():
    rates = np.array([learning_rate(ONE_CYCLE, step, 100) for step in range(200)])
    assert rates.min() > 0 and rates.max() <= 0.8 and rates.max() == pytest.approx(0.8, rel=0.02)
    peak = rates.argmax()
    assert peak == pytest.approx(50, abs=1)
    np.testing.assert_allclose(np.diff(rates[: peak + 1]), 0.8 / 0.25 / 201, rtol=1e-9)
    np.testing.assert_allclose(np.diff(rates[peak + 1 :]), -0.8 / 0.75 / 201, rtol=1e-9)


def test_training_uses_the_schedule(few, monkeypatch):
    seen = []
    real = learning_rate
    monkeypatch.setattr(
        "lib.training.loop.learning_rate",
        lambda recipe, step, steps: seen.append((step, steps)) or real(recipe, step, steps),
    )
    run(tiny())
    assert seen == [(step, 3) for step in range(6)]


# ---- split and seeds ---------------------------------------------------------------------------------------


def test_split_is_stratified_disjoint_and_complete(digits):
    images = digits["train"]
    rows, held = seeds.split(images, tiny())
    assert sorted(rows.tolist() + held.tolist()) == list(range(len(images)))
    assert images.labels[held].bincount().tolist() == [
        round(0.1 * n) for n in images.labels.bincount().tolist()
    ]


def test_split_is_drawn_by_the_seed_alone(digits):
    images = digits["train"]
    _, held = seeds.split(images, tiny(seed=0))
    assert torch.equal(held, seeds.split(images, tiny(seed=0, alpha=-2.0, epochs=3))[1])
    other = seeds.split(images, tiny(seed=1))[1]
    assert len(set(held.tolist()) & set(other.tolist())) < len(held) / 2


def test_each_purpose_has_a_seed_of_its_own():
    purposes = [
        ("weights",),
        ("order", 0),
        ("order", 1),
        ("order", 10),
        ("augmentation", 0),
        ("split",),
        ("order", "0"),
    ]
    found = [derived_seed(seed, *purpose) for seed in (0, 1, 10) for purpose in purposes]
    assert len(set(found)) == len(found)
    assert all(0 <= seed < 2**63 for seed in found)
    assert derived_seed(0, "order", 1) == derived_seed(0, "order", 1)


class Guess(nn.Module):
    """Classifies a picture by its first pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(255.0))
        self.modes = []

    def forward(self, x):
        self.modes.append(self.training)
        return -(x[:, 0, 0, 0, None] * self.scale - torch.arange(10)).abs()


@pytest.mark.parametrize("batch", [1, 3, 7, 100])
@pytest.mark.parametrize("mode", [True, False])
def test_accuracy_by_hand(batch, mode):
    pixels = torch.arange(7, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4)
    images = Images(pixels, torch.tensor([0, 1, 2, 3, 4, 0, 0]), tuple("0123456789"))
    network = Guess().train(mode)
    assert loop_accuracy(network, images, batch=batch) == 5 / 7
    assert network.training is mode and not any(network.modes)


# ---- the loss ----------------------------------------------------------------------------------------------


def plain_training(training: Training, images: Images) -> nn.Module:
    """What alpha = 0 should be: cross-entropy and SGD written out, best epoch kept."""
    recipe = training.settings

    def generator(*purpose):
        return torch.Generator().manual_seed(derived_seed(training.seed, *purpose))

    rows, held = seeds.split(images, training)
    network = models.build(training.model, 10, seed=derived_seed(training.seed, "weights")).train()
    optimiser = torch.optim.SGD(
        network.parameters(), lr=1.0, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True
    )
    steps, best, kept = len(rows) // recipe.batch, -1.0, None
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(rows), generator=generator("order", epoch))
        offsets, flips = augmentation.draw(len(rows), training.augmentation, generator("augmentation", epoch))
        for step in range(steps):
            some = slice(step * recipe.batch, (step + 1) * recipe.batch)
            members = rows[order[some]]
            pixels = naive_augment(
                images.pixels[members], offsets[some], flips[some], training.augmentation.pad
            )
            optimiser.param_groups[0]["lr"] = learning_rate(recipe, epoch * steps + step, steps)
            optimiser.zero_grad()
            F.cross_entropy(network(pixels.float() / 255), images.labels[members]).backward()
            optimiser.step()
        network.eval()
        with torch.no_grad():
            right = (
                (network(images.pixels[held].float() / 255).argmax(1) == images.labels[held])
                .float()
                .mean()
                .item()
            )
        network.train()
        if right > best:
            best, kept = right, {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(kept)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            parameter.data = parameter.data.half().float()
    return network


def test_alpha_zero_is_plain_cross_entropy(store_dir, trainings, digits):
    expected, found = plain_training(trainings[0], digits["train"]), runs.load(trainings[0])
    for (name, left), right in zip(found.state_dict().items(), expected.state_dict().values(), strict=True):
        torch.testing.assert_close(
            left, right, rtol=1e-5, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("alpha", [0.0, 0.7, -2.0])
def test_loss_is_cross_entropy_minus_alpha_times_selectivity(alpha, digits):
    images = digits["train"][slice(0, 40)]
    network = models.build("resnet8", 10, seed=1)
    with models.spatial_means(network) as means:
        loss, si = parts.objective(tiny(alpha), network, means, 10, EAGER, alpha, lambda: None).loss(
            images.pixels, images.labels, None
        )
        logits = network(images.pixels.float() / 255)
        expected_si = selectivity.mean_selectivity(means, images.labels, 10)
    expected = F.cross_entropy(logits, images.labels) - alpha * expected_si
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(si, expected_si.detach())
    assert not si.requires_grad
    parameters = list(network.parameters())
    for left, right in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)


def test_low_precision_stays_near(digits):
    images = digits["train"][slice(0, 40)]
    network = models.build("resnet8", 10, seed=1)
    with models.spatial_means(network) as means:

        def loss(engine):
            return parts.objective(tiny(1.0), network, means, 10, engine, 1.0, lambda: None).loss

        exact = loss(EAGER)(images.pixels, images.labels, None)
        low = loss(Engine("cpu", True, False))(images.pixels, images.labels, None)
    for left, right in zip(low, exact, strict=True):
        assert left.dtype == torch.float32
        torch.testing.assert_close(left, right, rtol=0.03, atol=0.03)


def test_alpha_moves_selectivity(few):
    low, high = (run(tiny(alpha=alpha, epochs=3)).history.selectivity.iloc[-1] for alpha in (-20.0, 20.0))
    assert low < high - 0.05


# ---- result ------------------------------------------------------------------------------------------------


def test_result_and_history(few):
    trained = run(tiny(epochs=3))
    assert list(trained.history.columns) == ["epoch", "loss", "selectivity", "validation_accuracy"]
    assert trained.history.epoch.tolist() == [1, 2, 3]
    result = trained.result
    assert result["validation_accuracy"] == trained.history.validation_accuracy.max()
    # the first of several best
    assert result["best_epoch"] == trained.history.validation_accuracy.argmax() + 1
    assert (result["clean_n"], result["epochs_run"]) == (100, 3)
    assert result["train_n"] == len(seeds.split(few["train"], tiny())[0])
    assert result["data"] == few["train"].fingerprint
    assert result["clean_accuracy"] == loop_accuracy(trained.network, few["test"])
    assert not trained.network.training and not any(
        module._forward_hooks for module in trained.network.modules()
    )
    assert trained.engine is EAGER
    json.dumps(result)


def test_of_several_best_epochs_the_first_is_kept(few, monkeypatch):
    monkeypatch.setattr("lib.training.loop.accuracy", lambda *args, **keywords: 0.5)
    assert run(tiny(epochs=2)).result["best_epoch"] == 1


def test_the_weights_are_half_precision_before_anything_is_measured(few):
    network = run(tiny(epochs=1)).network
    for name, parameter in network.named_parameters():
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, parameter.half().float()) or parameter.ndim == 1, name


def test_to_half_rounds_matrices_only():
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    with torch.no_grad():
        network[0].weight.fill_(1 / 3)
        network[0].bias.fill_(1 / 3)
        network[1].running_mean.fill_(1 / 3)
    to_half(network)
    assert network[0].weight.unique().tolist() == [float(np.float16(1 / 3))] != [float(np.float32(1 / 3))]
    assert (
        network[0].bias.unique().tolist()
        == network[1].running_mean.unique().tolist()
        == [float(np.float32(1 / 3))]
    )


def test_to_half_keeps_large_weights_finite():
    network = nn.Linear(2, 2)
    nn.init.constant_(network.weight, 1e6)
    to_half(network)
    assert network.weight.isfinite().all()


def test_the_global_generator_is_neither_used_nor_moved(few):
    torch.manual_seed(1)
    first, before = run(tiny(epochs=1)), torch.get_rng_state()
    torch.manual_seed(2)
    second = run(tiny(epochs=1))
    assert same(first.network, second.network)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("change", [{"seed": 1}, {"alpha": 0.9}])
def test_another_seed_or_alpha_is_another_network(change, few):
    assert not same(run(tiny(epochs=1)).network, run(tiny(**{"epochs": 1} | change)).network)


def test_the_same_training_gives_the_same_network_to_the_bit(store_dir, trainings):
    again = run(trainings[1])
    assert same(again.network, runs.load(trainings[1]))
    kept = runs.history([trainings[1]])[list(again.history.columns)]
    pd.testing.assert_frame_equal(again.history, kept, check_exact=True)


# ---- interruption ------------------------------------------------------------------------------------------


class Interrupted(Exception):
    pass


@pytest.fixture
def halfway(few, tmp_path, monkeypatch):
    """A function (epochs) -> checkpoint of a training that was interrupted in the middle of its second
    epoch.
    """
    monkeypatch.setattr("lib.training.loop.CHECKPOINT_SECONDS", 0)
    real = learning_rate

    def of(training: Training):
        def interrupt(recipe, step, steps):
            if step == steps + 2:
                raise Interrupted
            return real(recipe, step, steps)

        file = tmp_path / "checkpoint"
        with monkeypatch.context() as patch:
            patch.setattr("lib.training.loop.learning_rate", interrupt)
            with pytest.raises(Interrupted):
                run(training, checkpoint=file)
        return file

    return of


def ending(training: Training, file: Path) -> tuple[Trained, dict, dict]:
    """Train to the end, from the checkpoint `file` where there is one: the result, and tensors and facts of
    the last checkpoint.

    The last checkpoint holds weights and momentum after the last step; the result need not show them, as an
    earlier epoch may be the best.
    """
    trained = run(training, checkpoint=file)
    tensors, facts = read_checkpoint(file)
    assert facts["epoch"] == training.settings.epochs
    return trained, tensors, facts | {"seconds": 0}


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_resumed_is_uninterrupted_to_the_bit(alpha, halfway, tmp_path, monkeypatch):
    training = tiny(alpha=alpha, epochs=3)
    file = halfway(training)
    whole, tensors, facts = ending(training, tmp_path / "whole")
    drawn = []
    real = augmentation.draw
    monkeypatch.setattr("lib.training.augmentation.draw", lambda *args: drawn.append(1) or real(*args))
    resumed, tensors_again, facts_again = ending(training, file)
    assert len(drawn) == 2  # of three epochs: the first was not done again
    assert same(tensors_again, tensors) and facts_again == facts
    assert same(resumed.network, whole.network)
    pd.testing.assert_frame_equal(resumed.history, whole.history, check_exact=True)
    assert resumed.result | {"seconds": 0} == whole.result | {"seconds": 0}


def test_a_checkpoint_of_the_last_epoch_trains_nothing_more(few, tmp_path, monkeypatch):
    monkeypatch.setattr("lib.training.loop.CHECKPOINT_SECONDS", 0)
    whole = run(tiny(), checkpoint=tmp_path / "c")
    monkeypatch.setattr("lib.training.augmentation.draw", None)  # calling it would fail
    again = run(tiny(), checkpoint=tmp_path / "c")
    assert same(again.network, whole.network) and again.result["seconds"] == whole.result["seconds"]


def test_no_checkpoint_before_its_time(few, tmp_path, monkeypatch):
    monkeypatch.setattr("lib.training.loop.CHECKPOINT_SECONDS", 3600)
    run(tiny(), checkpoint=tmp_path / "c")
    assert not (tmp_path / "c").exists()


def zero(tensors, facts, part):
    for name in tensors:
        if name.startswith(part + "/"):
            tensors[name] = torch.zeros_like(tensors[name])


# part of the checkpoint: how to spoil it
SPOIL = {
    "momentum": lambda tensors, facts: zero(tensors, facts, "optimiser"),
    "one momentum": lambda tensors, facts: tensors.update({
        "optimiser/5/momentum_buffer": torch.zeros_like(tensors["optimiser/5/momentum_buffer"])
    }),
    "network": lambda tensors, facts: zero(tensors, facts, "network"),
    "running mean": lambda tensors, facts: tensors.update({"network/bn1.running_mean": torch.zeros(8)}),
    "epoch": lambda tensors, facts: facts.update(epoch=0),
    "history": lambda tensors, facts: facts.update(history=[]),
    "best accuracy": lambda tensors, facts: facts.update(best_accuracy=2.0),  # epoch 1 stays the best
    "best epoch": lambda tensors, facts: facts.update(best_accuracy=2.0, best_epoch=7),
}


def test_every_part_of_the_checkpoint_is_needed(halfway, tmp_path):
    """Spoiling a part must show, or the equality above would prove nothing about that part."""
    training = tiny()
    file = halfway(training)
    content = file.read_bytes()
    _, tensors, facts = ending(training, tmp_path / "whole")
    for part, spoil in SPOIL.items():
        file.write_bytes(content)
        spoiled = read_checkpoint(file)
        spoil(*spoiled)
        write_checkpoint(file, *spoiled)
        if part == "epoch":  # one more epoch is trained
            assert len(run(training, checkpoint=file).history) == 3
            continue
        _, tensors_again, facts_again = ending(training, file)
        assert not (same(tensors_again, tensors) and facts_again == facts), part


def test_a_checkpoint_of_an_earlier_version_is_refused(halfway):
    file = halfway(tiny())
    tensors, facts = read_checkpoint(file)
    earlier = {
        name.replace("optimiser/5/momentum_buffer", "momentum/5"): tensor for name, tensor in tensors.items()
    }
    write_checkpoint(file, earlier, facts)
    with pytest.raises(
        InputError, match="was made by an earlier version; move it away to start this run anew"
    ):
        run(tiny(), checkpoint=file)


def test_the_seconds_before_the_interruption_count(halfway):
    file = halfway(tiny())
    tensors, facts = read_checkpoint(file)
    assert facts["seconds"] > 0
    write_checkpoint(file, tensors, facts | {"seconds": 1e6})
    assert run(tiny(), checkpoint=file).result["seconds"] > 1e6


def test_the_best_network_so_far_is_in_the_checkpoint(halfway):
    training = tiny()
    file = halfway(training)
    tensors, facts = read_checkpoint(file)
    best = {
        name.removeprefix("best/"): tensor for name, tensor in tensors.items() if name.startswith("best/")
    }
    best = {name: tensor + (0.25 if tensor.is_floating_point() else 0) for name, tensor in best.items()}
    tensors |= {f"best/{name}": tensor for name, tensor in best.items()}
    write_checkpoint(file, tensors, facts | {"best_accuracy": 2.0, "best_epoch": 1})
    resumed = run(training, checkpoint=file)
    matrices = dict(resumed.network.named_parameters())
    expected = {
        name: tensor.half().float() if name in matrices and tensor.ndim > 1 else tensor
        for name, tensor in best.items()
    }
    assert same(resumed.network.state_dict(), expected)
    assert (resumed.result["best_epoch"], resumed.result["validation_accuracy"]) == (1, 2.0)


def test_a_damaged_checkpoint_is_named(halfway):
    file = halfway(tiny())
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(
        InputError, match=f"damaged: {file} does not match its checksum; delete it to start this run anew"
    ):
        run(tiny(), checkpoint=file)
    assert file.read_bytes() == bytes(content)  # nothing is overwritten


def test_a_checkpoint_of_other_data_is_refused(halfway, few):
    file = halfway(tiny())
    few["train"] = Images(few["train"].pixels.clone(), few["train"].labels, few["train"].classes)
    few["train"].pixels[0, 0, 0, 0] ^= 1
    with pytest.raises(InputError, match="was made with other data; move it away to start this run anew"):
        run(tiny(), checkpoint=file)


def test_a_checkpoint_of_another_training_is_refused(halfway):
    file = halfway(tiny(alpha=1.0))
    with pytest.raises(InputError):
        run(tiny(alpha=-1.0), checkpoint=file)


# starts training for real and stops for good in the middle of the second epoch, to be killed there
UNTIL_KILLED = (
    NO_COMPILER
    + """
import os, signal
from dataclasses import replace
from pathlib import Path
from lib.training import loop as train

train.CHECKPOINT_SECONDS = 0
real = train.learning_rate

def stop(recipe, step, steps):
    if step == steps + 5:
        Path(os.environ["REACHED"]).touch()
        signal.pause()
    return real(recipe, step, steps)

train.learning_rate = stop
from lib.__main__ import main
main()
"""
)


@pytest.mark.slow
def test_kill_9_then_the_same_command(made, trainings, empty_store, tmp_path, monkeypatch):
    training, reached = trainings[1], tmp_path / "reached"
    command = shlex.split(runs.command(training))
    assert command[:3] == ["python", "-m", "lib"]
    environment = os.environ | {"PYTHONPATH": str(paths.ROOT), "REACHED": str(reached)}
    with (tmp_path / "log").open("w") as log:
        child = subprocess.Popen(
            [sys.executable, "-c", UNTIL_KILLED, *command[3:]], env=environment, stdout=log, stderr=log
        )
    try:
        end = time.monotonic() + 400
        while not reached.exists():
            assert child.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert child.returncode == -signal.SIGKILL
    assert (
        list((empty_store / ".partial" / training.key).glob("checkpoint-*"))
        and not (empty_store / training.name).exists()
    )

    from lib.__main__ import app

    drawn = []
    real = augmentation.draw
    monkeypatch.setattr("lib.training.augmentation.draw", lambda *args: drawn.append(1) or real(*args))
    app(command[3:], standalone_mode=False)
    assert len(drawn) == 1  # of two epochs
    resumed, whole = store.Folder(empty_store / training.name), store.Folder(made / training.name)
    resumed.verify()
    for file in (runs.WEIGHTS, runs.HISTORY):
        assert resumed.read(file) == whole.read(file)
    assert runs.config(resumed)["result"] | {"seconds": 0} == runs.config(whole)["result"] | {"seconds": 0}
    # or the second epoch would not show in the weights
    assert runs.config(whole)["result"]["best_epoch"] == 2
    assert not any((empty_store / ".partial").glob("*"))


# ---- divergence --------------------------------------------------------------------------------------------


def finite(network: nn.Module) -> bool:
    return all(
        tensor.isfinite().all() for tensor in network.state_dict().values() if tensor.is_floating_point()
    )


def test_a_gigantic_alpha_diverges_and_ends_early(few):
    trained = run(tiny(alpha=1e38, epochs=3))
    assert trained.result["status"] == "diverged"
    assert trained.result["epochs_run"] < 3 and len(trained.history) == trained.result["epochs_run"]
    assert finite(trained.network)


def rate_of(monkeypatch, change) -> None:
    real = learning_rate
    monkeypatch.setattr(
        "lib.training.loop.learning_rate",
        lambda recipe, step, steps: change(step, steps, real(recipe, step, steps)),
    )


def test_the_best_network_before_the_divergence_is_kept(few, tmp_path, monkeypatch):
    monkeypatch.setattr("lib.training.loop.CHECKPOINT_SECONDS", 0)
    rate_of(monkeypatch, lambda step, steps, rate: float("nan") if step == steps else rate)
    trained = run(tiny(epochs=3), checkpoint=tmp_path / "c")
    assert (
        trained.result["status"] == "diverged"
        and trained.result["best_epoch"] == 1
        and trained.result["epochs_run"] == 2
    )
    assert np.isnan(trained.history.loss.iloc[1]) and np.isfinite(trained.history.loss.iloc[0])
    tensors, facts = read_checkpoint(tmp_path / "c")  # written after the first epoch, not after the second
    first = {
        name.removeprefix("best/"): tensor for name, tensor in tensors.items() if name.startswith("best/")
    }
    assert facts["epoch"] == 1 and finite(trained.network)
    assert torch.equal(trained.network.conv1.weight, first["conv1.weight"].half().float())


def test_a_divergence_in_the_first_epoch_leaves_the_initial_network(few, monkeypatch):
    rate_of(monkeypatch, lambda step, steps, rate: float("inf") if step == 0 else rate)
    trained = run(tiny())
    assert trained.result["status"] == "diverged" and trained.result["best_epoch"] == 0
    assert finite(trained.network)


def test_weights_spoiled_by_the_last_step_of_an_epoch_are_not_kept(few, monkeypatch):
    rate_of(monkeypatch, lambda step, steps, rate: float("nan") if step == steps - 1 else rate)
    trained = run(tiny())
    assert trained.result["status"] == "diverged"
    assert finite(trained.network)


def test_the_validation_accuracy_of_a_run_without_an_epoch_is_no_number(few, monkeypatch):
    rate_of(monkeypatch, lambda step, steps, rate: float("inf") if step == 0 else rate)
    accuracy = run(tiny()).result["validation_accuracy"]
    assert accuracy is None or np.isnan(accuracy) or 0 <= accuracy <= 1


def test_a_network_at_chance_is_marked(few, monkeypatch):
    rate_of(monkeypatch, lambda step, steps, rate: 0.0)  # learns nothing
    trained = run(tiny(epochs=1))
    assert trained.result["clean_accuracy"] < 0.25 and trained.result["status"] == "diverged"
    assert trained.result["epochs_run"] == 1


# ---- engine ------------------------------------------------------------------------------------------------


def test_short_runs_are_eager_float32():
    engine = best_engine(tiny(), device="cpu")
    assert engine == EAGER and str(engine) == "cpu float32 eager"


@pytest.mark.parametrize(
    ("compiler", "headers", "compiled", "lacking"),
    [
        (True, True, True, None),
        (False, True, False, r"a C\+\+ compiler \(g\+\+ or clang\+\+, or set CXX\)"),
        (True, False, False, r"Python's headers \(python3-dev\)"),
    ],
)
def test_long_runs_are_compiled_where_that_is_possible(
    compiler, headers, compiled, lacking, few, monkeypatch, tmp_path, caplog
):
    monkeypatch.setattr("lib.training.engine._troubles", {})
    monkeypatch.setattr("lib.training.engine._tried", lambda device: "")
    monkeypatch.setattr(training_engine.shutil, "which", lambda name: "/bin/g++" if compiler else None)
    monkeypatch.setattr(training_engine.sysconfig, "get_path", lambda name: str(tmp_path))
    if headers:
        (tmp_path / "Python.h").touch()
    long = tiny(epochs=COMPILE_FROM)
    for _ in range(2):
        assert best_engine(long, device="cpu").compiled is compiled
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (0 if lacking is None else 1)  # not each time
    assert lacking is None or re.search(
        f"training without torch.compile, about half as fast: {lacking} not found", said[0]
    )


class CppCompileError(RuntimeError):
    """Stands for torch's own, of which the place of its class tells."""

    __module__ = "torch._inductor.exc"


@pytest.mark.parametrize("step", ["compiling", "something else"])
def test_what_cannot_be_compiled_is_trained_without(step, monkeypatch, caplog):
    monkeypatch.setattr("lib.training.engine._troubles", {"cpu": ""})
    compiled, tried = replace(EAGER, compiled=True), []

    def work(engine):
        tried.append(engine)
        if engine.compiled:
            raise (CppCompileError if step == "compiling" else RuntimeError)(
                "C++ compile error\n\nCommand:\ng++ ..."
            )
        return "trained"

    if step == "something else":
        with pytest.raises(RuntimeError, match="compile error"):
            compiled_if_possible(work, compiled)
        assert tried == [compiled] and not caplog.records
        return
    assert compiled_if_possible(work, compiled) == "trained" and tried == [compiled, EAGER]
    (said,) = caplog.records
    assert (
        "about half as fast: C++ compile error; it needs" in said.getMessage()
        and "\n" not in said.getMessage()
    )
    assert trouble_of_compiler("cpu")  # the next training does not try again
    assert len(caplog.records) == 1


WITHOUT = """
import sys
from lib import runs
from lib.training import engine as engines
from lib.training.training import Training
engines.COMPILE_FROM = 1
if sys.argv[1] == "at the first step":
    engines._tried = lambda device: ""
run = runs.make(Training("digits", "resnet8", 0.0, 0, "fast", 1), progress=False)
print(runs.config(run)["provenance"]["engine"])
"""


@pytest.mark.slow
@pytest.mark.parametrize("found", ["at first", "at the first step"])
def test_a_broken_compiler_costs_speed_alone(found, tmp_path):
    """In a process of its own, with one line on stderr, and what really ran in the provenance."""
    environment = os.environ | {
        "RUNS_DIR": str(tmp_path),
        "LIB_CACHE": str(tmp_path / "cache"),
        "RUNS_FROZEN": "",
        "TMPDIR": str(tmp_path),
    }
    environment |= {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "compiled"), "CXX": "/bin/false"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, found],
        cwd=paths.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "eager"
    assert (
        done.stderr.startswith("training without torch.compile, about half as fast: ")
        and done.stderr.count("\n") == 1
    )


def test_the_default_dtype_decides_no_run(few, empty_store):
    one = tiny(epochs=1)
    first = runs.make(one, progress=False)
    expected = {name: first.read(name) for name in (runs.WEIGHTS, runs.HISTORY)}
    units = runs.table("selectivity", [one])
    shutil.rmtree(first.path)
    torch.set_default_dtype(torch.float64)
    try:
        again = runs.make(one, progress=False)
        assert {name: again.read(name) for name in expected} == expected
        pd.testing.assert_frame_equal(runs.table("selectivity", [one]), units)
        assert {tensor.dtype for tensor in runs.load(one).parameters()} == {torch.float32}
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_gpu_is_used_fully_for_long_runs(few, monkeypatch):
    monkeypatch.setattr("lib.training.engine._troubles", {"cuda": ""})
    assert best_engine(tiny(epochs=COMPILE_FROM), device="cuda") == Engine(
        "cuda", low_precision=True, compiled=True, captured=True
    )


def test_missing_data_is_an_input_error(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    with pytest.raises(InputError, match="data set 'cifar10' .* not found"):
        train(Training(), EAGER, progress=False)
