"""The networks of the paper's main text, ResNet18 on Tiny ImageNet, as far as they are cached.

Chapters show them beside ResNet20, whatever α and seeds there are. Nothing is made, and no claim is decided.
"""

from __future__ import annotations

from collections import Counter

import pandas as pd

from lib import measurements, runs
from lib.base import paths
from lib.base.text import number
from lib.measurements import per_image_summary
from lib.measurements.attack_summary import by_strength, curve
from lib.measurements.saved_corruption import with_saved
from lib.runs import store
from lib.runs.run import config
from lib.runs.tables import at_hand, cached
from lib.training.training import LABELS, Training, described

DATASET, MODEL = "tiny-imagenet", "resnet18"
NAME = "ResNet18 on Tiny ImageNet"
NONE_YET = "no network of ours yet"


def trainings() -> list[Training]:
    """The cached plain networks of one recipe, that of which most are cached, by α and seed.

    Raises:
        InputError: For a damaged run.
    """
    folders = sorted((paths.runs() / f"{DATASET}-{MODEL}").glob(f"*/{runs.CONFIG}"))
    named = [described(config(store.Folder(file.parent))["training"]) for file in folders]
    whole = [
        one
        for one in named
        if one and one.variant == "plain" and one.epochs is None and not one.without and one.start is None
    ]
    recipes = Counter(one.recipe for one in whole)
    most = max(recipes, key=lambda name: (recipes[name], name), default="")
    return sorted((one for one in whole if one.recipe == most), key=lambda one: (one.alpha, one.seed))


def summary(networks: list[Training]) -> pd.DataFrame:
    """`runs.summary` of those of the networks that are measured; without rows if there are none."""
    if not networks:
        return pd.DataFrame(columns=["alpha", "seed", "clean_accuracy", "mean_selectivity"])
    found = at_hand(networks)
    return found[found.mean_selectivity.notna()].reset_index(drop=True)


def table(measurement: str, networks: list[Training]) -> pd.DataFrame:
    """Tidy table of a measurement over those of the networks for which it is cached; empty if for none."""
    return cached(measurement, networks, **measurements.MEASUREMENTS[measurement].shown(DATASET))


def fgsm(networks: list[Training]) -> pd.DataFrame:
    """Accuracy under FGSM, clean images as strength 0: of all test images where that is cached image by
    image, else of those of the table `attack`.

    Returns:
        One row per network and strength with the labels of trainings, epsilon, accuracy and images; empty if
        none is cached.
    """
    ways = {"image_attack": per_image_summary.by_strength, "attack": by_strength}
    for name, read in ways.items():
        found = table(name, networks)
        if len(found):
            rows = curve(read(found), "fgsm")
            return rows.assign(epsilon=rows.epsilon.fillna(0))[[*LABELS, "epsilon", "accuracy", "images"]]
    return pd.DataFrame(columns=[*LABELS, "epsilon", "accuracy", "images"])


def sentence(found: pd.DataFrame) -> str:
    """Which networks of ours are shown, as a sentence.

    Args:
        found: As of `told`.
    """
    return "We have trained no such network yet." if found.empty else f"Here: {told(found)}."


def saved(corrupted: pd.DataFrame, networks: list[Training]) -> str:
    """What saving the corrupted pictures as JPEG changes, as those of the published set were, in a sentence.

    Args:
        corrupted: Rows of a summary with the column `corrupted_accuracy`.
        networks: The networks that they are of.
    """
    both = with_saved(corrupted, table("saved_corruption", networks))
    apart = 100 * (both.saved_accuracy - both.corrupted_accuracy).dropna()
    start = "The pictures of the published set were saved as JPEG of quality 85, ours were not"
    if apart.empty:
        return f"{start}; what that changes is not measured yet (table `saved_corruption`)."
    return f"{start}: saved so, accuracy on ours changes by {number(apart.mean(), '+.1f')} points."


def told(found: pd.DataFrame) -> str:
    """Which networks of ours a panel shows, in words.

    Args:
        found: A summary, or a table with rows of each of them, with the labels of trainings.
    """
    if found.empty:
        return NONE_YET
    networks = found[["recipe", "alpha", "seed"]].drop_duplicates()
    seeds = networks.groupby("alpha").size()
    fewest, most = seeds.min(), seeds.max()
    each = f"{fewest} to {most} seeds" if fewest < most else f"{most} seed{'' if most == 1 else 's'}"
    count = f"{len(networks)} network{'' if len(networks) == 1 else 's'}"
    alphas = ", ".join(number(alpha) for alpha in seeds.index)
    return f"{count} of ours, {networks.recipe.iloc[0]} recipe, α = {alphas}, {each} for each"


def alt(found: pd.DataFrame, column: str, form: str, scale: float = 1.0, unit: str = "") -> str:
    """The networks of ours of a panel against alpha, in a sentence for an alt text: means over seeds.

    Args:
        found: A summary.
        column: What the panel shows.
        form: How a number is written.
        scale: What the column is multiplied by.
        unit: What follows the first number.
    """
    means = scale * found.groupby("alpha")[column].mean() if len(found) else pd.Series(dtype=float)
    said = ", ".join(f"{number(value, form)}{unit} at α = {number(alpha)}" for alpha, value in means.items())
    return f"Ours: {said}." if said else "There is no network of ours yet."
