"""What tables of single images add to a summary of networks."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lib.measurements.attack import CLEAN, FGSM_EPSILONS
from lib.measurements.attack_summary import BALL_COLUMNS, at_epsilon
from lib.measurements.corruption import with_corrupted
from lib.measurements.per_image import CURVE, STEPS, accuracy, by_class, first, unpacked
from lib.measurements.strengths import strengths_for
from lib.training.training import LABELS


def by_strength(table: pd.DataFrame) -> pd.DataFrame:
    """Accuracies of an `image_attack` table: its rows with the column accuracy, in place of those of single
    images but for their number.

    FGSM is of more images than PGD. So there is one row of the clean images for each number of images, which
    is what an attack of so many is compared with.
    """
    clean = table[table.attack == CLEAN]
    counts = sorted(set(table.images))
    rows = pd.concat([*(first(clean, count) for count in counts), table[table.attack != CLEAN]])
    rows = rows.assign(accuracy=accuracy(rows)).reset_index(drop=True)
    return rows.drop(columns=["right", "labels", "classes"])


def transferred(table: pd.DataFrame) -> pd.DataFrame:
    """Average an `image_transfer` table over sources: one row per network, attack and epsilon, with
    `accuracy` and `sources`, their number.
    """
    rows = table.assign(accuracy=accuracy(table))
    groups = rows.groupby([*LABELS, "attack", "epsilon"], sort=False).accuracy
    return groups.mean().to_frame().assign(sources=groups.size()).reset_index()


def attacked(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of an `image_attack` table, one a network, that each column of a summary is made of."""
    radius = strengths_for(table.dataset.iloc[0]).ball
    parts = {
        f"fgsm_accuracy_{epsilon:.4g}": at_epsilon(table[table.attack == "fgsm"], epsilon)
        for epsilon in FGSM_EPSILONS
    }
    parts["pgd_accuracy"] = table[(table.attack == CURVE) & (table.steps == max(STEPS))]
    return parts | {
        column: at_epsilon(table[table.attack == name], radius) for name, column in BALL_COLUMNS.items()
    }


def with_image_attack(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add accuracies of an `image_attack` table to a summary of networks; NaN for those not in the table.

    Returns:
        The summary with these columns added.

        - `fgsm_accuracy_EPSILON`: Accuracy under FGSM at each strength, such as fgsm_accuracy_0.004.
        - `pgd_accuracy`: Accuracy under PGD of the paper's kind, all its steps.
        - `ball_cross_entropy, ball_margin, ball_temperature`: Accuracies under PGD in the ball of the data
          set's reference radius, for each loss.
        - `ball_worst`: The lowest of these three.
        - `attacked_clean`: Accuracy on the images of PGD, unattacked.
        - `relative_worst`: ball_worst divided by attacked_clean.
    """
    rows = by_strength(table)
    parts = attacked(rows)
    clean = rows[(rows.attack == CLEAN) & rows.images.isin(parts["pgd_accuracy"].images)]
    parts["attacked_clean"] = clean
    facts = pd.DataFrame({name: part.set_index(LABELS).accuracy for name, part in parts.items()})
    facts["ball_worst"] = facts[[*BALL_COLUMNS.values()]].min(axis=1)
    facts["relative_worst"] = facts.ball_worst / facts.attacked_clean.where(facts.attacked_clean > 0)
    return summary.merge(facts.reset_index(), on=LABELS, how="left")


def with_image_corruption(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add to a summary of networks what `with_corrupted` adds, from an `image_corruption` table."""
    return with_corrupted(summary, by_class(table))


def with_image_transfer(summary: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add `transfer_accuracy` to a summary of networks: accuracy on PGD images made against others, mean over
    the sources that an `image_transfer` table has.
    """
    rows = transferred(table[table.attack == "ball-cross-entropy"])
    means = rows.rename(columns={"accuracy": "transfer_accuracy"})[[*LABELS, "transfer_accuracy"]]
    return summary.merge(means, on=LABELS, how="left")


def shares(table: pd.DataFrame) -> dict[tuple[int, float], np.ndarray]:
    """For each image, in which share of a network's rows it is right: the mean over them, image by image.

    Args:
        table: Rows over the same images, such as all corruptions at all severities.

    Returns:
        ``{(seed, alpha): (n,) float32 in [0, 1]}``.
    """
    return {
        (seed, alpha): np.stack([unpacked(one) for one in own.to_dict("records")]).mean(0, dtype=np.float32)
        for (seed, alpha), own in table.groupby(["seed", "alpha"], sort=False)
    }
