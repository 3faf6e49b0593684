"""From counts of right answers under attack to the accuracies that figures and claims are about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.attacked import CLEAN, IN_BALLS
from lib.recipes import LABELS


@dataclass(frozen=True)
class Strengths:
    """The strengths that stand for a data set where one number has to."""

    fgsm: float  # epsilon
    curve: str  # which PGD curve
    steps: int  # of it
    ball: float  # radius of the PGD attacks that are compared with each other, and of AutoAttack
    transfer: float  # radius of the PGD images made against other networks


# FGSM's 0.002 is established as where the paper's ordering has turned, PGD's step of 1e-4 is recalled; that 40 of them count, and all else, is ours.
USUAL = Strengths(fgsm=0.002, curve="pgd", steps=40, ball=1 / 255, transfer=8 / 255)
STRENGTHS = {"digits": Strengths(fgsm=8 / 255, curve="pgd-coarse", steps=5, ball=4 / 255, transfer=16 / 255)}  # larger margins: nothing else shows


BALL_COLUMNS = {name: name.replace("-", "_") for name in IN_BALLS}  # of a summary


def strengths(dataset: str) -> Strengths:
    """Those of a data set; larger ones where its margins are larger."""
    return STRENGTHS.get(dataset, USUAL)


def at_epsilon(rows: pd.DataFrame, epsilon: float) -> pd.DataFrame:
    """The rows of one epsilon, up to rounding."""
    return rows[np.isclose(rows.epsilon, epsilon, rtol=1e-6, atol=0)]


def by_strength(table: pd.DataFrame) -> pd.DataFrame:
    """An `attack` table summed over classes: a row a network, attack and strength. A NaN confidence, of a network that diverged, stays NaN.

    accuracy, unbroken     shares of all images
    zero_gradient, certain  shares of the images that are recognised when clean
    confidence             mean over all images
    """
    keys = [*LABELS, "attack", "epsilon", "step_size", "steps"]
    weighted = table.assign(confidence=table.confidence.where(table.images > 0, 0) * table.images)
    groups = weighted.groupby(keys, sort=False)
    sums = groups[["images", "correct", "unbroken", "zero_gradient", "certain"]].sum()
    sums = sums.assign(confidence=groups.confidence.agg(lambda values: values.sum(skipna=False))).reset_index()
    clean = sums[sums.attack == CLEAN].set_index(LABELS).correct.rename("recognised")
    sums = sums.join(clean, on=LABELS)
    known = sums.recognised.clip(lower=1)
    return sums.assign(
        accuracy=sums.correct / sums.images,
        unbroken=sums.unbroken / sums.images,
        zero_gradient=sums.zero_gradient / known,
        certain=sums.certain / known,
        confidence=sums.confidence / sums.images,
    ).drop(columns=["correct", "recognised"])


def curve(rows: pd.DataFrame, attack: str) -> pd.DataFrame:
    """The rows of one attack, with the clean images as its strength 0."""
    clean = rows[rows.attack == CLEAN]
    own = rows[rows.attack == attack]
    return pd.concat([clean.assign(attack=attack), own], ignore_index=True)


def with_attacked(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """A summary of networks with what an `attack` table says of them: NaN for those that are not in it.

    attacked_clean     accuracy on the images that are attacked, before
    confidence         mean of the largest softmax on these images, before
    fgsm_accuracy, pgd_accuracy                         at the strengths that stand for the data set
    ball_cross_entropy, ball_margin, ball_temperature   under PGD of the data set's radius on each loss
    ball_worst         the lowest of these three
    relative_worst     ball_worst over attacked_clean
    """
    columns = ["attacked_clean", "confidence", "fgsm_accuracy", "pgd_accuracy", *BALL_COLUMNS.values(), "ball_worst", "relative_worst"]
    if table.empty:
        return summary.assign(**dict.fromkeys(columns, float("nan")))
    rows, at = by_strength(table), strengths(table.dataset.iloc[0])
    parts = {
        "attacked_clean": rows[rows.attack == CLEAN],
        "fgsm_accuracy": at_epsilon(rows[rows.attack == "fgsm"], at.fgsm),
        "pgd_accuracy": rows[(rows.attack == at.curve) & (rows.steps == at.steps)],
        **{column: at_epsilon(rows[rows.attack == name], at.ball) for name, column in BALL_COLUMNS.items()},
    }
    facts = pd.DataFrame({name: part.set_index(LABELS).accuracy for name, part in parts.items()})
    facts["confidence"] = parts["attacked_clean"].set_index(LABELS).confidence
    facts["ball_worst"] = facts[[*BALL_COLUMNS.values()]].min(axis=1)
    facts["relative_worst"] = facts.ball_worst / facts.attacked_clean.where(facts.attacked_clean > 0)
    return summary.merge(facts.reset_index(), on=LABELS, how="left")


def by_source(table: pd.DataFrame) -> pd.DataFrame:
    """A `transfer` table summed over classes: a row a network, attack, epsilon and source_seed, with `accuracy`."""
    sums = table.groupby([*LABELS, "attack", "epsilon", "source_seed"], sort=False)[["images", "correct"]].sum()
    return (sums.correct / sums.images).rename("accuracy").reset_index()


def transferred(table: pd.DataFrame) -> pd.DataFrame:
    """The same averaged over sources: a row a network, attack and epsilon, with `accuracy` and `sources`, their number."""
    groups = by_source(table).groupby([*LABELS, "attack", "epsilon"], sort=False).accuracy
    return groups.mean().to_frame().assign(sources=groups.size()).reset_index()


def with_transferred(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """A summary with `transfer_accuracy`: on the PGD images, made against α = 0, of the radius that stands for the data set."""
    if table.empty:
        return summary.assign(transfer_accuracy=float("nan"))
    rows = transferred(table)
    rows = at_epsilon(rows[rows.attack == "ball-cross-entropy"], strengths(table.dataset.iloc[0]).transfer)
    return summary.merge(rows.rename(columns={"accuracy": "transfer_accuracy"})[[*LABELS, "transfer_accuracy"]], on=LABELS, how="left")


def with_jacobian(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """A summary with means over images.

    jacobian, relative_jacobian  of the Jacobian's norm, and of that over the spread of the image's logits
    log_jacobian                 of its log10, over images whose norm is above 0
    unmoved                      share of images whose norm is 0
    """
    columns = ["jacobian", "relative_jacobian", "log_jacobian", "unmoved"]
    if table.empty:
        return summary.assign(**dict.fromkeys(columns, float("nan")))
    each = table.assign(
        jacobian=table.norm,
        relative_jacobian=table.norm / table.spread.where(table.spread > 0),
        log_jacobian=np.log10(table.norm.where(table.norm > 0)),
        unmoved=table.norm.eq(0).astype(float).where(table.norm.notna()),
    )
    means = each.groupby(LABELS, sort=False)[columns].mean()
    return summary.merge(means.reset_index(), on=LABELS, how="left")


def with_autoattack(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """A summary with what AutoAttack of the data set's radius leaves standing: autoattack_accuracy, and autoattack_clean, on the same images unattacked."""
    own = at_epsilon(table, strengths(table.dataset.iloc[0]).ball) if len(table) else table
    if own.empty:
        return summary.assign(autoattack_accuracy=float("nan"), autoattack_clean=float("nan"))
    parts = standing_by_part(own).groupby(LABELS, sort=False).standing
    facts = pd.DataFrame({"autoattack_accuracy": parts.last(), "autoattack_clean": parts.first()})
    return summary.merge(facts.reset_index(), on=LABELS, how="left")


def standing_by_part(table: pd.DataFrame) -> pd.DataFrame:
    """An `autoattack` table summed over classes: a row a network and part, in the order they ran, with `standing` as a share of all images."""
    sums = table.groupby([*LABELS, "part"], sort=False)[["images", "standing"]].sum()
    return (sums.standing / sums["images"]).rename("standing").reset_index()
