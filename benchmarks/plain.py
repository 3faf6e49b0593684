"""The plain script a careful user would write: the independent reference for our training, in speed and in
result.

Per-image transforms in a DataLoader, eager float32, the selectivity term as a loop over layers and classes.
Of `lib` it knows the data, the networks and the recipes, which are what is compared; neither
`lib.training.loop` nor `lib.selectivity` is used here.
"""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms

from lib import data, models
from lib.data.images import Images
from lib.training.training import Training


class Pictures(Dataset):
    """Images as torchvision's CIFAR10 serves them: one PIL picture at a time, through a transform."""

    def __init__(self, images: Images, transform: Callable) -> None:
        self.pixels = images.pixels.permute(0, 2, 3, 1).numpy()  # (n, h, w, c) uint8
        self.labels = images.labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[row])), self.labels[row]


def loaders(training: Training, device: str) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Minibatches (pixels in [0, 1], labels) for training, validation and test."""
    recipe, images = training.settings, data.load(training.dataset, "train")
    as_is = transforms.ToTensor()
    crop = transforms.RandomCrop(images.pixels.shape[-1], padding=training.augmentation.pad)
    flip = [transforms.RandomHorizontalFlip()] if training.augmentation.flip else []
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(training.seed)).tolist()
    held = round(recipe.validation * len(images))
    train_set = Subset(Pictures(images, transforms.Compose([crop, *flip, as_is])), order[held:])
    validation_set = Subset(Pictures(images, as_is), order[:held])
    test_set = Pictures(data.load(training.dataset, "test"), as_is)
    usual = {"pin_memory": device == "cuda"}
    if device == "cuda":  # on a CPU, workers would take the cores from the arithmetic
        usual |= {"num_workers": min(8, os.cpu_count() or 1), "persistent_workers": True}
    return (
        DataLoader(train_set, recipe.batch, shuffle=True, drop_last=True, **usual),
        DataLoader(validation_set, 500, **usual),
        DataLoader(test_set, 500, **usual),
    )


def class_selectivity(activations: Tensor, labels: Tensor) -> Tensor:
    """(max - rest) / (max + rest) of the class means, one class after the other: (n, units) and (n,) of two
    classes or more -> (units,).
    """
    # (classes present, units)
    means = torch.stack([activations[labels == label].mean(0) for label in labels.unique()])
    best = means.max(0).values
    rest = (means.sum(0) - best) / (len(means) - 1)
    return (best - rest) / (best + rest + 1e-6)


def mean_selectivity(layers: Iterable[Tensor], labels: Tensor) -> Tensor:
    """Mean over the units of a layer, then over layers."""
    return torch.stack([class_selectivity(layer, labels).mean() for layer in layers]).mean()


def hook(network: nn.Module) -> dict[str, Tensor]:
    """A dictionary in which every forward pass leaves each ReLU's output, averaged over space."""
    layers: dict[str, Tensor] = {}

    def keep(name: str) -> Callable:
        def forward_hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            layers[name] = output.mean((2, 3))

        return forward_hook

    for name, module in network.named_modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(keep(name))
    return layers


def prepare(
    training: Training, device: str
) -> tuple[nn.Module, dict[str, Tensor], torch.optim.SGD, Callable[[Tensor, Tensor], Tensor]]:
    """The network, its hooked layers, its optimiser, and one training step (pixels, labels) -> loss."""
    recipe = training.settings
    classes = len(data.load(training.dataset, "train").classes)
    network = models.build(training.model, classes, seed=training.seed).to(device).train()
    layers = hook(network)
    optimiser = torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )

    def step(pixels: Tensor, labels: Tensor) -> Tensor:
        pixels, labels = pixels.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        loss = F.cross_entropy(network(pixels), labels)
        if training.alpha:
            loss = loss - training.alpha * mean_selectivity(layers.values(), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.detach()

    return network, layers, optimiser, step


@torch.no_grad()
def evaluate(
    network: nn.Module, layers: dict[str, Tensor], loader: DataLoader, device: str
) -> tuple[float, float]:
    """Accuracy and mean selectivity over a whole split, in evaluation mode."""
    network.eval()
    parts: dict[str, list[Tensor]] = {}
    correct, labels = 0, []
    for pixels, some in loader:
        correct += int((network(pixels.to(device)).argmax(1).cpu() == some).sum())
        labels.append(some)
        for name, layer in layers.items():
            parts.setdefault(name, []).append(layer.cpu())
    network.train()
    labels = torch.cat(labels)
    return correct / len(labels), float(
        mean_selectivity([torch.cat(part) for part in parts.values()], labels)
    )


def train(
    training: Training, *, device: str = "cpu", epochs: int | None = None
) -> tuple[nn.Module, float, float]:
    """Train one network.

    Returns:
        The one of the best validation accuracy, its test accuracy, and its mean selectivity on the test
        images.
    """
    training = training if epochs is None else replace(training, epochs=epochs)
    recipe = training.settings
    torch.manual_seed(training.seed)
    batches, validation, test = loaders(training, device)
    network, layers, optimiser, step = prepare(training, device)
    if recipe.milestones:
        schedule = torch.optim.lr_scheduler.MultiStepLR(
            optimiser, [round(mark * len(batches)) for mark in recipe.milestones]
        )
    else:
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, recipe.learning_rate, recipe.epochs * len(batches), pct_start=recipe.warm, anneal_strategy="linear", cycle_momentum=False, div_factor=1e3
        )  # fmt: skip
    best, best_accuracy = {}, -1.0
    for _ in range(recipe.epochs):
        for pixels, labels in batches:
            step(pixels, labels)
            schedule.step()
        accuracy, _ = evaluate(network, layers, validation, device)
        if accuracy > best_accuracy:
            best, best_accuracy = copy.deepcopy(network.state_dict()), accuracy
    network.load_state_dict(best)
    accuracy, selectivity = evaluate(network, layers, test, device)
    return network.eval(), accuracy, selectivity


def stepper(
    training: Training, *, device: str, batches: Iterable[tuple[Tensor, Tensor]] | None = None
) -> Callable[[], Tensor]:
    """A callable that trains on the next minibatch, at the recipe's learning rate: from the DataLoader, or
    from `batches`, round and round.
    """
    torch.manual_seed(training.seed)
    source = loaders(training, device)[0] if batches is None else batches
    *_, step = prepare(training, device)

    def endless() -> Iterator[tuple[Tensor, Tensor]]:
        for _ in itertools.count():
            yield from source

    stream = endless()
    return lambda: step(*next(stream))
