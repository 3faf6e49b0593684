"""How networks are trained, in numbers: one recipe per name and model."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lib.base.fingerprint import exempt


@exempt
@dataclass(frozen=True)
class Recipe:
    """How a network is trained: always by SGD, without the last incomplete minibatch of an epoch (our
    choice).
    """

    epochs: int
    batch: int
    learning_rate: float  # the peak learning rate
    # epochs after which the rate falls to a tenth; none means one-cycle: linear up, linear down to 0
    milestones: tuple[float, ...] = ()
    warm: float = 0.25  # one-cycle: share of the steps on the way up
    momentum: float = 0.9
    weight_decay: float = 1e-4
    validation: float = 0.1  # share of each class of the training set held out, drawn by the seed

    @property
    def optimiser(self) -> str:
        """Key of the optimiser in OPTIMISERS."""
        return "sgd"

    @property
    def regulariser(self) -> str:
        """Key of the selectivity term in REGULARISERS."""
        return "minibatch"

    @property
    def keeps(self) -> str:
        """Which network is kept: "best", of the best validation accuracy, or "last", after the last epoch."""
        return "best"

    def side(self, epoch: int, full: int) -> int:
        """Side of the images in an epoch, from 0, of a data set whose images have the side `full`."""
        return full

    def of_length(self, epochs: int) -> Recipe:
        """The same recipe with another number of epochs, its schedule scaled to it."""
        scaled = tuple(mark * epochs / self.epochs for mark in self.milestones)
        return replace(self, epochs=epochs, milestones=scaled)


@exempt
@dataclass(frozen=True)
class AdamRecipe(Recipe):
    """How a network of certified training is trained, whatever its variant: by Adam, in float32, and the
    network after the last epoch is kept, since the best on clean images is the least robust one.
    """

    betas: tuple[float, float] = (0.9, 0.999)

    @property
    def optimiser(self) -> str:
        """Key of the optimiser in OPTIMISERS."""
        return "adam"

    @property
    def keeps(self) -> str:
        """The network after the last epoch."""
        return "last"


@exempt
@dataclass(frozen=True)
class ProgressiveRecipe(Recipe):
    """How a network of many classes is trained where minibatches must be small and time is short: on images
    of few pixels first, with selectivity over several minibatches.
    """

    # pairs of an epoch, from 0, and the side of the images from it on
    sides: tuple[tuple[int, int], ...] = ()
    group: int = 1  # minibatches over which selectivity is computed

    @property
    def regulariser(self) -> str:
        """Key of the selectivity term in REGULARISERS."""
        return "group"

    def of_length(self, epochs: int) -> Recipe:
        """The same recipe with another number of epochs, its schedules scaled to it."""
        sides = tuple((first * epochs // self.epochs, side) for first, side in self.sides)
        return replace(super().of_length(epochs), sides=sides)  # type: ignore[call-arg]  # of this class

    def side(self, epoch: int, full: int) -> int:
        """Side of the images in an epoch, from 0, of a data set whose images have the side `full`."""
        return [full, *(side for first, side in self.sides if first <= epoch)][-1]


# "paper" is the paper's protocol as far as it is known; "fast" and "tune" are ours: for machines
# without a GPU, and for training that goes on from another network.
# chapters/02-approach says which value is certain.
RECIPES: dict[str, dict[str, Recipe]] = {
    "paper": {
        "resnet20": Recipe(epochs=200, batch=256, learning_rate=0.1, milestones=(100, 150)),
        "resnet18": Recipe(epochs=90, batch=4096, learning_rate=0.1, milestones=(35, 50, 65, 80)),
        "resnet50": Recipe(epochs=90, batch=1400, learning_rate=0.1, milestones=(35, 50, 65, 80)),
        "resnet8": Recipe(epochs=200, batch=256, learning_rate=0.1, milestones=(100, 150)),
        "alexnet": Recipe(epochs=200, batch=256, learning_rate=0.1, milestones=(100, 150)),
    },
    "fast": {
        "resnet20": Recipe(epochs=16, batch=128, learning_rate=0.2, weight_decay=5e-4),
        "resnet18": ProgressiveRecipe(
            epochs=18,
            batch=256,
            learning_rate=0.4,
            weight_decay=5e-4,
            sides=((0, 32), (10, 48), (15, 64)),
            group=16,
        ),
        "resnet8": Recipe(epochs=16, batch=64, learning_rate=0.1, weight_decay=5e-4),
        "alexnet": Recipe(epochs=16, batch=128, learning_rate=0.1, weight_decay=5e-4),
    },
    # the second round's check of its own recipe: do effects keep their sign and size?
    "check": {"resnet20": Recipe(epochs=16, batch=256, learning_rate=0.2, weight_decay=1e-4)},
    # for training that goes on from a network: half the length, a tenth of the learning rate
    "tune": {
        "resnet20": Recipe(epochs=8, batch=128, learning_rate=0.02, weight_decay=5e-4),
        "resnet8": Recipe(epochs=8, batch=64, learning_rate=0.01, weight_decay=5e-4),
        "alexnet": Recipe(epochs=8, batch=128, learning_rate=0.01, weight_decay=5e-4),
    },
    # the same at three times the rate, which says how much of a change is the rate's
    "tune-high": {
        "resnet20": Recipe(epochs=8, batch=128, learning_rate=0.06, weight_decay=5e-4),
        "resnet8": Recipe(epochs=8, batch=64, learning_rate=0.03, weight_decay=5e-4),
        "alexnet": Recipe(epochs=8, batch=128, learning_rate=0.03, weight_decay=5e-4),
    },
    # ours, for two CPU cores: 28 epochs of CIFAR-10 are 9,828 steps, in 6 minutes (plain), 14 (SingleProp),
    # 21 (IBP) and 30 to 40 (PGD) of one core; published are 400,000 steps of 50 images
    "certified": {
        "cnn-small": AdamRecipe(28, 128, 1e-3, milestones=(22.4,), momentum=0.0, weight_decay=0.0),
        "cnn-large": AdamRecipe(28, 128, 5e-4, milestones=(22.4,), momentum=0.0, weight_decay=0.0),
    },
}
