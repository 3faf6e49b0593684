"""Accuracy under attack by strength, and the columns it adds to a summary of networks."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lib.measurements.attack import CLEAN, IN_BALLS
from lib.measurements.strengths import strengths_for
from lib.training.recipe import LABELS

BALL_COLUMNS = {name: name.replace("-", "_") for name in IN_BALLS}  # of a summary

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
    rows, at = by_strength(table), strengths_for(table.dataset.iloc[0])
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
