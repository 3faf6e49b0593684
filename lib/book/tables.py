"""Tables of results: one row per group of networks, each measured number as mean over seeds and interval,
formatted to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from lib import selectivity
from lib.base.text import number
from lib.models.resnet import MEAN, STD
from lib.papers.claim import LEAST_SEEDS
from lib.papers.statistics import t_interval
from lib.training import variants
from lib.training.recipe import FAST, PROVENANCE, RECIPES, ProgressiveRecipe, Training
from lib.training.variants import PGD_STEP, Adversarial, AdversarialL2, AugMix, Trades, Weighted


def estimate(values: pd.Series, form: str) -> str:
    """Mean over seeds, and its 95 % t interval in brackets where there are seeds enough for one.

    Example:
        >>> estimate(pd.Series([1.0, 2.0, 3.0]), ".1f")
        '2.0 (−0.5 to 4.5)'
    """
    values = values.dropna()
    if values.empty:
        return "not measured"
    words = number(values.mean(), form)
    if len(values) >= LEAST_SEEDS:
        low, high = t_interval(values)
        words += f" ({number(low, form)} to {number(high, form)})"
    return words


def _means(
    summary: pd.DataFrame,
    by: list[str],
    names: Callable[..., dict[str, str]],
    columns: Mapping[str, tuple[str, float, str]],
) -> pd.DataFrame:
    """One row per group, in the order of the table: its name, n, and each column as mean over seeds and, in a
    line below it, interval.

    Args:
        names: Function from the values of `by` to the first columns.
        columns: {label: (column of the summary, factor, format)}.
    """
    rows = []
    for key, networks in summary.groupby(by, sort=False):
        diverged = (networks.status == "diverged").sum()
        row = names(*key) | {"n": f"{len(networks)}" + (f", {diverged} diverged" if diverged else "")}
        rows.append(
            row
            | {
                label: estimate(factor * networks[column], form).replace(" (", "\n(")
                for label, (column, factor, form) in columns.items()
            }
        )
    return pd.DataFrame(rows)


def _alpha(alpha: float) -> dict[str, str]:
    return {"α": number(alpha)}


def changes(
    rows: pd.DataFrame,
    by: str,
    column: str,
    pairs: Iterable[tuple[float, float]],
    *,
    scale: float = 1.0,
    form: str = "+.1f",
) -> pd.DataFrame:
    """One row per value of `by`, in the order of the table: the change of a column from one α to another,
    paired by seed, as mean and interval.

    Args:
        rows: Table with alpha, seed, `by` and the column; where a network has several numbers for a value of
            `by`, their mean is taken.
        pairs: Pairs of α (from, to); a pair with an α that is not in the table, such as NaN, is skipped.
        scale: Factor by which the numbers are multiplied.
    """
    found = rows.groupby([by, "seed", "alpha"], sort=False)[column].mean().mul(scale).unstack("alpha")
    there = [
        (one, other)
        for one, other in dict.fromkeys(pairs)
        if one in found and other in found and one != other
    ]
    moved = {f"from {number(one)} to {number(other)}": found[other] - found[one] for one, other in there}
    return pd.DataFrame([
        {by: value} | {name: estimate(change.xs(value), form) for name, change in moved.items()}
        for value in rows[by].unique()
    ])


def by_share(changes: pd.DataFrame, alphas: Iterable[float], *, shares: Iterable[int]) -> pd.DataFrame:
    """One row per share of the variance, one column per α: dimensions of the change by an attack minus those
    of the change by corruptions, in percent of units.

    Args:
        changes: Rows of `layers.dimensions`, of the layers that are averaged over.
        alphas: Values of α; those that are not in the table are skipped.
    """
    rows = []
    for share in shares:
        wide = changes.groupby(["alpha", "seed", "change"])[f"per_unit_{share}"].mean().unstack("change")
        gap = 100 * (wide.attack - wide.corruption)
        there = [alpha for alpha in dict.fromkeys(alphas) if alpha in gap.index]
        rows.append(
            {"variance, %": f"{share}"}
            | {f"at {number(alpha)}": estimate(gap[alpha], "+.1f") for alpha in there}
        )
    return pd.DataFrame(rows)


def _by_training(summary: pd.DataFrame, columns: Mapping[str, tuple[str, float, str]]) -> pd.DataFrame:
    rows = _means(
        summary,
        ["variant", "alpha"],
        lambda variant, alpha: {"training": variants.variant(variant).label} | _alpha(alpha),
        columns,
    )
    return rows if summary.alpha.nunique() > 1 else rows.drop(columns="α")


def by_training(summary: pd.DataFrame) -> pd.DataFrame:
    """One row per way of training (and α, if there are several), in the order of the table: n, and each
    measured column as mean and interval.
    """
    columns = {
        "clean accuracy, %": ("clean_accuracy", 100, ".1f"),
        "mean selectivity": ("mean_selectivity", 1, ".3f"),
        "dead units left out": ("live_selectivity", 1, ".3f"),
        "dead units, %": ("dead", 100, ".1f"),
    }
    return _by_training(summary, columns)


def robustness_by_training(summary: pd.DataFrame) -> pd.DataFrame:
    """One row per way of training (and α, if there are several), in the order of the table: n, and accuracy
    on clean, corrupted and attacked images.

    Columns that no network has are left out; the summary is one of `chapters.measured`.
    """
    columns = {
        "clean, %": "clean_accuracy",
        "corrupted, %": "corrupted_accuracy",
        "FGSM, %": "fgsm_accuracy",
        "PGD, %": "pgd_accuracy",
        "strongest PGD in a ball, %": "ball_worst",
        "AutoAttack, %": "autoattack_accuracy",
    }
    measured = {
        label: (column, 100, ".1f") for label, column in columns.items() if summary[column].notna().any()
    }
    return _by_training(summary, measured)


def by_alpha(summary: pd.DataFrame) -> pd.DataFrame:
    """One row per α: n, and accuracy on clean and corrupted images, and the one over the other, as mean and
    interval; see lib/measurements/accuracy.py.
    """
    columns = {
        "clean, %": "subset_accuracy",
        "corrupted, %": "corrupted_accuracy",
        "corrupted / clean, %": "relative_accuracy",
    }
    return _means(
        summary.sort_values("alpha"),
        ["alpha"],
        _alpha,
        {label: (column, 100, ".1f") for label, column in columns.items()},
    )


def attacked_by_alpha(summary: pd.DataFrame) -> pd.DataFrame:
    """One column per α: n, accuracy under each attack at the strength that stands for the data set,
    confidence on the images unattacked, and the Jacobian's norm; see lib/measurements/robustness.py.
    """
    columns = {
        "clean, %": "attacked_clean",
        "FGSM, %": "fgsm_accuracy",
        "PGD, %": "pgd_accuracy",
        "ball: cross-entropy, %": "ball_cross_entropy",
        "ball: margin, %": "ball_margin",
        "ball: temperature, %": "ball_temperature",
        "made for others, %": "transfer_accuracy",
        "AutoAttack, %": "autoattack_accuracy",
    }
    measured = {
        label: (column, 100, ".1f") for label, column in columns.items() if summary[column].notna().any()
    }
    others = {"confidence": ("confidence", 1, ".3f"), "Jacobian": ("jacobian", 1, ".3g")}
    rows = _means(summary.sort_values("alpha"), ["alpha"], _alpha, measured | others)
    return rows.set_index("α").T.rename_axis(columns=None).reset_index(names="at α")


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
        values |= {
            "size of images": ", ".join(
                f"{side} px from epoch {first + 1} on" for first, side in recipe.sides
            ),
            "selectivity term": f"over {recipe.group} minibatches",
        }
    ours = {"optimiser", "epochs", "minibatch", "learning rate"} if training.recipe != "paper" else set()
    rows = [(name, value, FAST if name in ours else PROVENANCE[name]) for name, value in values.items()]
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


def by_part(ledger: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """A ledger of claims for reading: one row per part of a claim, its other cells on its first row alone.

    Args:
        ledger: Rows with the column `ours`, in which parts stand with semicolons between them.
        columns: Those that are kept, in order; `ours` among them.
    """
    rows = ledger.assign(ours=ledger.ours.str.split(r";\s+", regex=True)).explode("ours")
    more = rows.index.duplicated()
    others = [name for name in columns if name != "ours"]
    rows.loc[more, others] = ""
    return rows[list(columns)].reset_index(drop=True)
