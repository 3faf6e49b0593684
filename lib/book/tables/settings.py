"""Settings of a recipe and of ways of training, and how sure we are that the paper used the same."""

from __future__ import annotations

import pandas as pd

from lib import selectivity
from lib.models.resnet import MEAN, STD
from lib.papers.settings import CERTAINTY, FAST
from lib.training.recipe import RECIPES, ProgressiveRecipe
from lib.training.training import Training
from lib.training.variants import PGD_STEP, Adversarial, AdversarialL2, AugMix, Trades, Weighted

OPTIMISER_NAMES = {"sgd": "SGD", "adam": "Adam"}
KEPT = {"best": "epoch of the best validation accuracy", "last": "last epoch"}


def hyperparameters(training: Training) -> pd.DataFrame:
    """One row per hyper-parameter: its value here, and how sure we are that the paper used the same."""
    recipe, augmentation = training.settings, training.augmentation
    steps = (
        f"×0.1 after epochs {', '.join(map(str, recipe.milestones))}"
        if recipe.milestones
        else f"one cycle: linear up over {recipe.warm:.0%} of the steps, linear down to 0"
    )
    values = {
        "optimiser": f"{OPTIMISER_NAMES[recipe.optimiser]}, momentum {recipe.momentum:g}, "
        f"weight decay {recipe.weight_decay:g}",
        "epochs": f"{recipe.epochs}",
        "minibatch": f"{recipe.batch}",
        "learning rate": f"{recipe.learning_rate:g}, {steps}",
        "validation": f"{recipe.validation:.0%} of each class of the training set",
        "checkpoint": KEPT[recipe.keeps],
        "augmentation": ("horizontal flip, " if augmentation.flip else "")
        + f"random crop after padding with {augmentation.pad} black pixels",
        "normalisation": f"mean {MEAN}, deviation {STD}, inside the network",
        "network": training.model,
        "units": "every ReLU output, averaged over space",
        "index": f"ε = {selectivity.EPSILON:g}",
        "last incomplete minibatch": "left out",
        "weights": "float16 matrices, float32 vectors",
    }
    if isinstance(recipe, ProgressiveRecipe):
        sides = [f"{side} px from epoch {first + 1} on" for first, side in recipe.sides]
        values |= {
            "size of images": ", ".join(sides),
            "selectivity term": f"over {recipe.group} minibatches",
        }
    ours = {"optimiser", "epochs", "minibatch", "learning rate"} if training.recipe != "paper" else set()
    rows = [(name, value, FAST if name in ours else CERTAINTY[name]) for name, value in values.items()]
    return pd.DataFrame(rows, columns=["", "here", "as in the paper?"])


def _pixels(value: float) -> str:
    return f"{255 * value:.0f}/255" if round(255 * value, 9).is_integer() else f"{value:g}"


def _ball(attack: Adversarial) -> str:
    if isinstance(attack, AdversarialL2):
        return f"{attack.epsilon:g}, L2"
    return f"{_pixels(attack.epsilon)}, L∞"


def variant_settings(trainings: list[Training]) -> pd.DataFrame:
    """One row per setting that these trainings have beyond the recipe, with how sure we are that the paper
    used the same.
    """
    recipe, own = trainings[0].settings, RECIPES[trainings[0].recipe][trainings[0].model].epochs
    rows = [
        (
            "epochs",
            f"{recipe.epochs}",
            "as the recipe"
            if recipe.epochs == own
            else f"choice: in place of the recipe's {own}, whose schedule is scaled",
        )
    ]
    rows += [
        (
            "checkpoint",
            "epoch of the best validation accuracy on unperturbed images",
            "recalled; that the images are unperturbed is our choice",
        )
    ]
    found = {training.variant_settings: None for training in trainings}
    attacks = sorted(
        (one for one in found if isinstance(one, Adversarial)),
        key=lambda one: (isinstance(one, AdversarialL2), one.epsilon, one.steps),
    )
    for mix in (one for one in found if isinstance(one, AugMix)):
        depth = "1 to 3" if mix.depth == -1 else f"{mix.depth}"
        rows += [
            (
                "AugMix: mixture",
                f"{mix.width} chains of {depth} operations",
                "recalled, weakly; established default of AugMix's own code",
            ),
            (
                "AugMix: severity",
                f"{mix.severity:g}",
                "recalled, weakly; AugMix's own code has 3, established there",
            ),
            (
                "AugMix: consistency",
                "Jensen-Shannon divergence of three predictions",
                "recalled, weakly; on in AugMix's own code, established there",
            ),
            ("AugMix: its weight", f"{mix.jsd:g}", "choice, as recalled of AugMix's own code"),
            ("AugMix: applied to", "images already flipped and cropped, as the recipe has it", "choice"),
        ]
    if attacks:
        sizes = list(dict.fromkeys(_pixels(one.step_size) for one in attacks))
        balls = list(dict.fromkeys(_ball(one) for one in attacks))
        most = max(one.steps * one.step_size for one in attacks)
        short = len(balls) == 1 and most < attacks[0].epsilon
        reach = f", of which at most {_pixels(most)} is reached" if short else ""
        rows += [
            (
                "PGD: steps",
                ", ".join(f"{one.steps}" for one in attacks),
                "choice; that strength is the number of steps is recalled",
            ),
            (
                "PGD: step size",
                ", ".join(sizes),
                "recalled"
                if {one.step_size for one in attacks} == {PGD_STEP["paper"]}
                else "choice; 0.0001 is recalled",
            ),
            (
                "PGD: budget",
                "; ".join(balls) + reach,
                "recalled" if balls == [_ball(Adversarial(1, 1.0))] else "choice; 16/255, L∞ is recalled",
            ),
            ("PGD: pixels", "in [0, 1], and clipped to it", "choice"),
            ("PGD: start", "the image itself, no random start", "choice"),
            ("PGD: network while attacking", "evaluation mode: running statistics in batch norm", "choice"),
            ("PGD: trained on", "adversarial images alone, made anew at every minibatch", "choice"),
        ]
    for one in (one for one in found if isinstance(one, Trades | Weighted)):
        name = "TRADES" if isinstance(one, Trades) else "class weights"
        rows += [
            (
                f"{name}: attack",
                f"{one.steps} steps of {_pixels(one.step_size)} in {_pixels(one.epsilon)}, L∞",
                "choice",
            ),
            (f"{name}: β", f"{one.beta:g}", "recalled of its own code")
            if isinstance(one, Trades)
            else (f"{name}: of a class", f"1 + {one.weight:g} × its error in the epoch so far", "choice"),
        ]
    return pd.DataFrame(rows, columns=["", "here", "as in the paper?"])
