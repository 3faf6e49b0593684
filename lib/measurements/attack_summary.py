"""Accuracy under attack by strength, and the columns it adds to a summary of networks."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lib.measurements.attack import CLEAN, IN_BALLS
from lib.measurements.strengths import strengths_for
from lib.training.training import LABELS

BALL_COLUMNS = {name: name.replace("-", "_") for name in IN_BALLS}  # columns of a summary


def at_epsilon(rows: pd.DataFrame, epsilon: float) -> pd.DataFrame:
    """Rows of one epsilon, up to rounding."""
    return rows[np.isclose(rows.epsilon, epsilon, rtol=1e-6, atol=0)]


def by_strength(table: pd.DataFrame) -> pd.DataFrame:
    """Sum an `attack` table over classes: one row per network, attack and strength.

    A NaN confidence, which a diverged network has, stays NaN.

    Returns:
        A table with these columns.

        - `accuracy, unbroken`: Shares of all images.
        - `zero_gradient, certain`: Shares of the images that are correct when clean.
        - `confidence`: Mean over all images.
    """
    keys = [*LABELS, "attack", "epsilon", "step_size", "steps"]
    weighted = table.assign(confidence=table.confidence.where(table.images > 0, 0) * table.images)
    groups = weighted.groupby(keys, sort=False)
    sums = groups[["images", "correct", "unbroken", "zero_gradient", "certain"]].sum()
    sums = sums.assign(
        confidence=groups.confidence.agg(lambda values: values.sum(skipna=False))
    ).reset_index()
    clean = sums[sums.attack == CLEAN].set_index(LABELS).correct.rename("right")
    sums = sums.join(clean, on=LABELS)
    known = sums.right.clip(lower=1)
    return sums.assign(
        accuracy=sums.correct / sums.images,
        unbroken=sums.unbroken / sums.images,
        zero_gradient=sums.zero_gradient / known,
        certain=sums.certain / known,
        confidence=sums.confidence / sums.images,
    ).drop(columns=["correct", "right"])


def curve(rows: pd.DataFrame, attack: str) -> pd.DataFrame:
    """Rows of one attack, with the clean images as strength 0: as many of them as were attacked."""
    own = rows[rows.attack == attack]
    clean = rows[(rows.attack == CLEAN) & rows.images.isin(own.images)]
    return pd.concat([clean.assign(attack=attack), own], ignore_index=True)


def with_attacked(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add the accuracies of an `attack` table to a summary of networks; NaN for networks that are not in the
    table.

    Returns:
        The summary with these columns added.

        - `attacked_clean`: Accuracy on the attacked images when they are clean.
        - `confidence`: Mean of the largest softmax on these clean images.
        - `fgsm_accuracy, pgd_accuracy`: Accuracies at the data set's reference strengths.
        - `ball_cross_entropy, ball_margin, ball_temperature`: Accuracies under PGD with the data set's
          radius, for each loss.
        - `ball_worst`: The lowest of these three.
        - `relative_worst`: ball_worst divided by attacked_clean.
    """
    columns = [
        "attacked_clean",
        "confidence",
        "fgsm_accuracy",
        "pgd_accuracy",
        *BALL_COLUMNS.values(),
        "ball_worst",
        "relative_worst",
    ]
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
