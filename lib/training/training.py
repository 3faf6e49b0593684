"""Everything that determines one trained network: data set, model, alpha, seed and recipe.

The hash of all of it names the run.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import asdict, dataclass
from typing import Any

from lib import data, models
from lib.base.errors import InputError, unknown
from lib.base.fingerprint import exempt
from lib.training.datasets import AUGMENTATIONS, Augmentation
from lib.training.recipe import RECIPES, AdamRecipe, Recipe
from lib.training.variants import AdversarialL2, Robust, Settings, variant

MOST_SEED = 10**18 - 1  # it stands in a folder's name, which has at most 255 bytes
MOST_EPOCHS = 10**6  # more would not end in a lifetime
NAMED_CLASSES = 3  # classes left out that a run's name says; of more, their number


@exempt
@dataclass(frozen=True)
class Training:
    """Everything that determines one trained network; its hash names the run.

    Raises:
        InputError: For a value out of range, an unknown name, or a model that does not fit the data set.

    Example:
        >>> Training(alpha=-1).name.rsplit("-", 1)[0]
        'cifar10-resnet20/alpha-1.0-seed0-paper'
    """

    dataset: str = "cifar10"
    model: str = "resnet20"
    # selectivity scale: loss = cross-entropy - alpha * selectivity; negative lowers selectivity
    alpha: float = 0.0
    seed: int = 0  # source of the seeds for weights, validation split, order and augmentation
    recipe: str = "paper"
    epochs: int | None = None  # number of epochs in place of the recipe's own; the schedule is scaled to it
    variant: str = "plain"  # a name of lib.training.variants: plain, augmix, pgd-4, ibp-2 ...
    start: Training | None = None  # its parent, from whose network it starts in place of fresh weights
    # classes whose images are left out of training, validation and test; their logits stay
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("dataset", "model", "recipe"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} must be a name, got {getattr(self, name)!r}")
        side, wanted = data.image_side(self.dataset), models.image_side(self.model)
        if side != wanted:
            fitting = [name for name in models.MODELS if models.image_side(name) == side]
            raise InputError(
                f"model {self.model!r} takes {wanted}-pixel images, {self.dataset!r} has {side}; "
                f"fitting models: {', '.join(fitting)}"
            )
        if self.recipe not in RECIPES:
            raise unknown("recipe", self.recipe, RECIPES)
        if self.model not in RECIPES[self.recipe]:
            having = [name for name, table in RECIPES.items() if self.model in table]
            raise InputError(
                f"recipe {self.recipe!r} is not written for {self.model!r}; it has: "
                f"{', '.join(having) or 'none'}"
            )
        way = variant(self.variant, self.recipe)
        _check_radius(self.variant, way.settings)
        if isinstance(way.settings, Robust) and not isinstance(self.settings, AdamRecipe):
            raise InputError(
                f"variant {self.variant!r} belongs to the recipe 'certified', whose optimiser and "
                f"schedules it needs, got recipe {self.recipe!r}; its models: "
                f"{', '.join(RECIPES['certified'])}"
            )
        # NaN is refused here too
        if (
            isinstance(self.alpha, bool)
            or not isinstance(self.alpha, int | float)
            or not abs(self.alpha) <= sys.float_info.max
        ):
            raise InputError(f"alpha must be a finite number, got {self.alpha!r}")
        _check_whole("seed", self.seed, 0, MOST_SEED)
        if self.epochs is not None:
            _check_whole("epochs", self.epochs, 1, MOST_EPOCHS)
        if self.start is not None:
            _check_parent(self.start, self)
        object.__setattr__(self, "without", _left_out(self.without, self.dataset))
        if self.epochs == RECIPES[self.recipe][self.model].epochs:
            object.__setattr__(self, "epochs", None)  # spelled out or not, one run
        object.__setattr__(self, "alpha", float(self.alpha) + 0.0)  # 2 and 2.0, -0.0 and 0.0 are one setting

    @property
    def settings(self) -> Recipe:
        """The recipe with its numbers, `epochs` applied."""
        recipe = RECIPES[self.recipe][self.model]
        if self.epochs is None:
            return recipe
        return recipe.of_length(self.epochs)

    @property
    def variant_settings(self) -> Settings:
        return variant(self.variant, self.recipe).settings

    @property
    def augmentation(self) -> Augmentation:
        return AUGMENTATIONS[self.dataset]

    def canonical(self) -> dict[str, object]:
        """Canonical form that is hashed: the fields, and the recipe's numbers in addition to its name."""
        facts: dict[str, object] = {
            "dataset": self.dataset,
            "model": self.model,
            "alpha": self.alpha,
            "seed": self.seed,
            "recipe": self.recipe,
            "settings": asdict(self.settings),
            "augmentation": asdict(self.augmentation),
        }
        # what is not in use is not named: such a training is hashed as it was before there was such a thing
        if self.variant_settings is not None:
            facts["variant"] = {"name": self.variant, **asdict(self.variant_settings)}
        if self.start is not None:
            facts["start"] = self.start.canonical()
        if self.without:
            facts["without"] = list(self.without)
        return facts

    @property
    def key(self) -> str:
        """8 hex digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(json.dumps(self.canonical(), sort_keys=True).encode()).hexdigest()[:8]

    @property
    def name(self) -> str:
        """Folder of the run below the store, readable, and identified by the key at its end alone."""
        recipe = self.recipe if self.epochs is None else f"{self.recipe}{self.epochs}"
        way = "" if self.way == "plain" else f"-{self.way}"
        return f"{self.dataset}-{self.model}/alpha{self.alpha}-seed{self.seed}-{recipe}{way}-{self.key}"

    @property
    def way(self) -> str:
        """The way of training in a word: the variant, the key of the parent, and the classes left out."""
        parts = [self.variant, *([f"from-{self.start.key}"] if self.start else [])]
        if self.without:
            names = [re.sub(r"\W+", "_", name) for name in self.without]
            few = len(names) <= NAMED_CLASSES  # a folder's name has at most 255 bytes
            parts += ["without", *(names if few else [f"{len(names)}-classes"])]
        return "-".join(parts)


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    """Refuse what is no whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name} must be a whole number >= {least}, got {value!r}")
    if value > most:
        raise InputError(f"{name} must be a whole number of at most {most:,}, got {value!r}")


def _check_radius(name: str, settings: Settings) -> None:
    epsilon = getattr(settings, "epsilon", 0.0)
    if epsilon > 1 and not isinstance(settings, AdversarialL2):
        raise InputError(
            f"variant {name!r} has the radius {255 * epsilon:g}/255, and pixels lie in [0, 1]: at most 255"
        )


def _check_parent(parent: object, child: Training) -> None:
    """Refuse a parent whose network is no start for this training."""
    if not isinstance(parent, Training):
        raise InputError(f"start must be a Training, the parent, or None, got {parent!r}")
    ours, theirs = (child.dataset, child.model), (parent.dataset, parent.model)
    if ours != theirs:
        raise InputError(
            f"a {child.model} on {child.dataset} cannot start from a {parent.model} on {parent.dataset}: "
            f"a parent has the same data set and model"
        )


def _left_out(names: object, dataset: str) -> tuple[str, ...]:
    """Names of classes that are left out, each once, in order.

    Whether the data set has them is found out where it is loaded.
    """
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) and name for name in names):
        raise InputError(f"without must be names of classes, such as ('cat',), got {names!r}")
    found, number = tuple(sorted(set(names))), data.DATASETS[dataset][1]
    if len(found) > number - 2:
        raise InputError(f"without leaves out {len(found)} of {number} classes, and two at least must stay")
    return found


# columns of every table that say which network a row is about; "variant" is a training's `way`
LABELS = ["dataset", "model", "alpha", "seed", "recipe", "variant", "epochs"]


def labels(training: Training) -> dict[str, object]:
    """{column: value} of a training for the columns LABELS."""
    facts = {name: getattr(training, name) for name in LABELS}
    return facts | {"variant": training.way, "epochs": training.settings.epochs}


def described(facts: Any) -> Training | None:
    """The training of a canonical form that was read from JSON; None if today's recipes have no such
    training, whatever the value is.
    """
    try:
        named = {name: facts[name] for name in ("dataset", "model", "alpha", "seed", "recipe")}
        named["start"] = described(facts["start"]) if "start" in facts else None
        named["without"] = tuple(facts.get("without", ()))
        for epochs in (None, facts["settings"]["epochs"]):
            training = Training(
                **named, epochs=epochs, variant=facts.get("variant", {"name": "plain"})["name"]
            )
            if json.loads(json.dumps(training.canonical())) == facts:
                return training
    except (InputError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        pass
    return None
