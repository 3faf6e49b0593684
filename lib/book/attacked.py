"""Accuracy under attack of a chapter's networks, from the tables that they have: the second round keeps every
image, all others are counted by class.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from lib.book import rounds
from lib.book.grid import Parameters
from lib.measurements import attack_summary, masking, per_image_summary, transfer
from lib.measurements.autoattack import with_autoattack
from lib.measurements.corruption import with_corrupted
from lib.measurements.jacobian import with_jacobian
from lib.measurements.per_image import by_class
from lib.measurements.strengths import Strengths, strengths_for
from lib.papers.second_statistics import FGSM, FGSM_EPSILON, TRANSFER_EPSILON
from lib.runs.tables import full_summary
from lib.training.training import LABELS


def counted(table: pd.DataFrame) -> pd.DataFrame:
    """A table of right answers by class, from one of single images too."""
    return by_class(table) if "right" in table else table


def strengths(here: Parameters) -> Strengths:
    """The strengths at which a chapter's networks are compared: the data set's, or those that the second
    round's rules name.
    """
    own = strengths_for(here.dataset)
    return replace(own, fgsm=FGSM_EPSILON, transfer=TRANSFER_EPSILON) if here.is_second_round else own


def by_strength(table: pd.DataFrame) -> pd.DataFrame:
    """One row per network, attack and strength with accuracy and images, of a table of attacks of either
    kind.
    """
    read = per_image_summary.by_strength if "right" in table else attack_summary.by_strength
    return read(table)


def transferred(table: pd.DataFrame) -> pd.DataFrame:
    """One row per network, attack and epsilon with accuracy, the mean over sources, and sources, of a table
    of transferred attacks of either kind.
    """
    if table.empty:
        return pd.DataFrame(columns=["attack", "epsilon", "alpha", "seed", "accuracy", "sources"])
    return (per_image_summary if "right" in table else transfer).transferred(table)


def summary(
    here: Parameters, found: pd.DataFrame, attack: pd.DataFrame, sent: pd.DataFrame, steep: pd.DataFrame
) -> pd.DataFrame:
    """One row per network of a chapter, with all that is said of it under attack.

    Args:
        here: The chapter's parameters.
        found: Summary of its networks.
        attack: Its table of attacks.
        sent: Its table of transferred attacks, which may be empty.
        steep: Its table of Jacobians.

    Returns:
        Of other networks than the second round's, every column that is cached. Of these, those of the tables
        and accuracy on corrupted images; fgsm_accuracy is that at `strengths`, and AutoAttack's are NaN.
    """
    if not here.is_second_round:
        return full_summary(found, here.trainings)
    found = per_image_summary.with_image_attack(found, attack)
    found = per_image_summary.with_image_transfer(found.assign(fgsm_accuracy=found[FGSM]), sent)
    found = with_autoattack(with_corrupted(found, counted(here.cached_table("corruption"))), pd.DataFrame())
    sure = steep.groupby(LABELS, sort=False).confidence.mean()
    return with_jacobian(found.merge(sure.reset_index(), on=LABELS, how="left"), steep)


def doubtful(found: pd.DataFrame) -> frozenset[float]:
    """Values of α at which a check fails for all three attacks in balls on some network of a summary; none
    where the networks themselves were not checked.
    """
    flagged = "ball_worst_doubtful"
    return frozenset(found.alpha[found[flagged]]) if flagged in found else frozenset()


@dataclass(frozen=True)
class Checked:
    """The networks on which the attacks themselves were checked.

    Attributes:
        of: Which they are.
        summary: One row each, with accuracies under attack and on corrupted images.
        checks: Result of `masking.checked`.
        autoattack: Their table of AutoAttack; empty where it has not been run.
    """

    of: Parameters
    summary: pd.DataFrame
    checks: pd.DataFrame
    autoattack: pd.DataFrame


def checked(here: Parameters, shown: pd.DataFrame, attack: pd.DataFrame, sent: pd.DataFrame) -> Checked:
    """Check the attacks on a chapter's networks. The tables of single images lack what the checks read, so
    for the second round's networks these are the first round's.

    Args:
        here: The chapter's parameters.
        shown: Result of `summary`.
        attack: Its table of attacks.
        sent: Its table of transferred attacks, which may be empty.
    """
    of = rounds.first_sample() if here.is_second_round else here
    if here.is_second_round:
        attack, sent = of.cached_table("attack"), of.cached_table("transfer")
        shown = rounds.before({"pgd_accuracy", "corrupted_accuracy"})
    autoattack = of.cached_table("autoattack")
    return Checked(of, shown, masking.checked(attack, sent, autoattack), autoattack)
