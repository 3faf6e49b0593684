"""The second round's statistics: for every claim and part, a function from a summary of networks to one
number a seed, positive if it speaks for the paper.

A function takes the seeds that have all the networks it needs, whatever others lack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.base.errors import InputError
from lib.base.text import number
from lib.papers.rules import rules
from lib.papers.statistics import LEAST_SEEDS, fitted_change

# What the columns of a summary are, one row per network; accuracies and shares from 0 to 1. Beside them it
# has alpha, seed, variant and epochs.
COLUMNS = {
    "mean_selectivity": "mean class selectivity on the clean test set",
    "clean_accuracy": "accuracy on the whole clean test set",
    "dead": "share of units that fire on no test image",
    "corrupted_accuracy": "mean accuracy over the 19 corruptions, each the mean of its severities",
    "relative_accuracy": "the same over clean accuracy, on the same images",
    "corrupted_NAME": "accuracy on one corruption, a column for each of the 19",
    "fgsm_accuracy_0.004": "accuracy under FGSM, ε = 0.004",
    "pgd_accuracy": "accuracy under PGD, 40 steps of 0.0001, in float32",
    "transfer_accuracy": "accuracy on PGD images, radius 4/255, made against α = 0 networks of seeds 0 to 2",
    "ball_margin": "accuracy under PGD on the margin, radius 1/255",
    "ball_temperature": "accuracy under Temperature-PGD, radius 1/255",
    "ball_worst": "accuracy under the strongest of PGD and these two, radius 1/255",
    "log_jacobian": "mean log10 of the input-output Jacobian's norm",
    "cv_samples": "coefficient of variation of input-unit gradients over images, mean over layers",
    "cv_units": "coefficient of variation of input-unit gradients over units, mean over layers",
    "dimension_clean": "components for 95 % of the variance over units, early layers",
    "dimension_corruption": "the same of the change that corruptions make",
    "dimension_attack": "the same of the change that PGD makes",
    "twonn_clean": "TwoNN dimension of the clean activations, early layers",
    "twonn_corruption": "the same of the change that corruptions make, on the same images",
    "twonn_attack": "the same of the change that PGD makes, on the same images",
    "live_selectivity": "mean class selectivity without dead units (where ways of training are compared)",
    "strength": "strength of the attack a network was trained on, 0 for plain training (likewise)",
}
FGSM_EPSILON, TRANSFER_EPSILON = 0.004, 4 / 255  # strengths at which LM-7 and LM-9 are decided
FGSM = f"fgsm_accuracy_{FGSM_EPSILON:.4g}"
CORRUPTIONS = 19  # of CIFAR-10-C
LEAST_STRENGTHS = 2  # of adversarial training: a single one does not show how selectivity follows strength

Function = Callable[[pd.DataFrame], pd.Series]


@dataclass(frozen=True)
class Statistic:
    """The function of a part, and what it reads.

    Attributes:
        function: From a summary to a Series with one number per seed.
        reads: Columns of the summary that it needs beside `mean_selectivity`.
        trend: Column of Page's test beside the verdict, and whether the paper has it rising with α; None
            where no order over α is claimed.
        varied: Whether it compares ways of training and not values of α.
        side: The side whose networks are fitted; "" for a statistic that is no fit.
    """

    function: Function
    reads: tuple[str, ...]
    trend: tuple[str, bool] | None = None
    varied: bool = False
    side: str = ""


def wide(summary: pd.DataFrame, column: str, alphas: Iterable[float]) -> pd.DataFrame:
    """One row per seed and one column per α, of the plain networks; NaN where one is missing.

    Raises:
        InputError: If a network occurs twice, or networks were trained for different numbers of epochs.
    """
    rows = summary[["seed", "alpha", "variant", "epochs", column]]
    rows = rows[(rows.variant == "plain") & rows.alpha.isin([*alphas])]
    _same_length(rows)
    twice = rows[rows.duplicated(["seed", "alpha"])]
    if len(twice):
        one = twice.iloc[0]
        raise InputError(
            f"a summary has one row per network, seed {one.seed:g} with α = {number(one.alpha)} has two"
        )
    return rows.pivot(index="seed", columns="alpha", values=column).reindex(columns=[*alphas])


def _same_length(rows: pd.DataFrame) -> None:
    if rows.epochs.nunique() > 1:
        raise InputError(
            f"a claim compares networks of equal length, these were trained "
            f"{' and '.join(map(str, sorted(set(rows.epochs))))} epochs"
        )


def fitted(summary: pd.DataFrame, column: str, side: str, *, scale: float = 1.0) -> pd.Series:
    """For each seed, the fitted rise of a column from the side's lower selectivity to its higher, times
    `scale`; seeds that lack one of the side's networks are left out.
    """
    alphas = rules().sides[side]
    x, y = wide(summary, "mean_selectivity", alphas), wide(summary, column, alphas)
    return pd.Series(scale * fitted_change(x, y), index=x.index, dtype=float).dropna()


def difference(
    summary: pd.DataFrame, column: str, high: float, low: float, *, scale: float = 100.0
) -> pd.Series:
    """For each seed, a column at the α `high` minus the same at `low`, times `scale`."""
    table = wide(summary, column, (high, low))
    return scale * (table[high] - table[low]).dropna()


def _fit(column: str, side: str, *, rising: bool, scale: float = 1.0) -> Statistic:
    sign = scale if rising else -scale
    return Statistic(
        lambda summary: fitted(summary, column, side, scale=sign), (column,), (column, rising), side=side
    )


def _sides(column: str, *, rising: bool, scale: float = 1.0, before: str = "") -> dict[str, Statistic]:
    """The parts lowering and raising, both the fitted rise or fall of a column."""
    return {
        f"{before}{side}": _fit(column, side, rising=rising, scale=scale) for side in ("lowering", "raising")
    }


# ---- what is no fit of one column --------------------------------------------------------------------------


def smallest_step(summary: pd.DataFrame) -> pd.Series:
    """LM-1: the smallest step of mean selectivity from one α to the next."""
    return wide(summary, "mean_selectivity", rules().alphas).dropna().diff(axis=1).iloc[:, 1:].min(axis=1)


def low_end(summary: pd.DataFrame) -> pd.Series:
    """LM-2: clean accuracy at −1 minus at 0, plus one point."""
    return difference(summary, "clean_accuracy", -1.0, 0.0) + 1


def high_end(summary: pd.DataFrame) -> pd.Series:
    """LM-2: clean accuracy at 0 minus at 1, in points."""
    return difference(summary, "clean_accuracy", 0.0, 1.0)


def corruption_columns(summary: pd.DataFrame) -> list[str]:
    """The columns of single corruptions."""
    return [name for name in summary if name.startswith("corrupted_") and name != "corrupted_accuracy"]


def share_of_corruptions(summary: pd.DataFrame) -> pd.Series:
    """LM-4: the share of the corruptions whose accuracy falls, by the fit of the lowering side, minus 1/2.

    Raises:
        InputError: If there are not 19 corruptions.
    """
    columns = corruption_columns(summary)
    if len(columns) != CORRUPTIONS:
        raise InputError(f"LM-4 counts {CORRUPTIONS} corruptions, the summary has {len(columns)}")
    changes = pd.DataFrame({name: fitted(summary, name, "lowering") for name in columns}).dropna()
    return (changes < 0).mean(axis=1) - 0.5


def augmix_lowers(summary: pd.DataFrame) -> pd.Series:
    """LM-6: mean selectivity of plain training minus that of AugMix, both with α = 0."""
    rows = summary[(summary.alpha == 0) & summary.variant.isin(["plain", "augmix"])]
    _same_length(rows)
    table = rows.pivot(index="seed", columns="variant", values="mean_selectivity").reindex(
        columns=["plain", "augmix"]
    )
    return (table.plain - table.augmix).dropna()


def transferred(summary: pd.DataFrame) -> pd.Series:
    """LM-9: accuracy at 0.4 minus at −2 on images that were made against other networks, in points."""
    return difference(summary, "transfer_accuracy", 0.4, -2.0)


def slope_over_strengths(summary: pd.DataFrame) -> pd.Series:
    """LM-12: least-squares slope of the selectivity of live units over the rank of strength: plain training,
    then adversarial training in the order of its strength, with α = 0.

    The strengths are those that enough seeds for an interval have; seeds that lack one of them are left out.
    """
    rows = summary[(summary.alpha == 0) & summary.strength.notna()]
    _same_length(rows)
    table = rows.pivot(index="seed", columns="strength", values="live_selectivity").sort_index(axis=1)
    most = table.notna().sum()
    table = table.loc[:, most >= min(LEAST_SEEDS, most.max() if len(most) else 0)].dropna()
    if 0.0 not in table or table.shape[1] < 1 + LEAST_STRENGTHS:
        return pd.Series(dtype=float)
    ranks = np.arange(table.shape[1])
    return pd.Series(fitted_change(np.broadcast_to(ranks, table.shape), table) / ranks[-1], index=table.index)


def attack_beyond_corruptions(summary: pd.DataFrame) -> pd.Series:
    """LM-17: dimensions of PGD's change minus those of corruptions' change, mean over five α, in % of
    units.
    """
    alphas = rules().trend_alphas
    more = wide(summary, "dimension_attack", alphas) - wide(summary, "dimension_corruption", alphas)
    return 100 * more.dropna().mean(axis=1)


def _beyond_clean(column: str) -> Statistic:
    def function(summary: pd.DataFrame) -> pd.Series:
        """For each seed, the dimension of the change minus that of the clean activations, at α = 0."""
        return (wide(summary, column, (0.0,)) - wide(summary, "twonn_clean", (0.0,)))[0.0].dropna()

    return Statistic(function, (column, "twonn_clean"))


def dead_gain(summary: pd.DataFrame) -> pd.Series:
    """LM-19: share of dead units at 1 minus at 0, in points."""
    return difference(summary, "dead", 1.0, 0.0)


# {claim: {part: its statistic}}, named as in the rule file; a test compares the two
STATISTICS: dict[str, dict[str, Statistic]] = {
    "LM-1": {"smallest step": Statistic(smallest_step, ("mean_selectivity",), ("mean_selectivity", True))},
    "LM-2": {
        "low end": Statistic(low_end, ("clean_accuracy",), ("clean_accuracy", False)),
        "high end": Statistic(high_end, ("clean_accuracy",), ("clean_accuracy", False)),
    },
    "LM-3": _sides("corrupted_accuracy", rising=False, scale=100),
    "LM-4": {
        "lowering": Statistic(share_of_corruptions, ("corrupted_accuracy",), ("corrupted_accuracy", False))
    },
    "LM-5": {
        "corrupted accuracy, lowering": _fit("corrupted_accuracy", "lowering", rising=False, scale=100),
        "over clean accuracy, lowering": _fit("relative_accuracy", "lowering", rising=False, scale=100),
    },
    "LM-6": {"AugMix": Statistic(augmix_lowers, ("mean_selectivity",), varied=True)},
    "LM-7": _sides(FGSM, rising=True, scale=100),
    "LM-8": _sides("pgd_accuracy", rising=True, scale=100),
    "LM-9": {"transfer": Statistic(transferred, ("transfer_accuracy",), ("transfer_accuracy", True))},
    "LM-10": _sides("log_jacobian", rising=False),
    "LM-11": {},
    "LM-12": {"strength": Statistic(slope_over_strengths, ("live_selectivity",), varied=True)},
    "LM-13": _sides("cv_samples", rising=True),
    "LM-14": _sides("cv_units", rising=True),
    "LM-15": _sides("dimension_clean", rising=False, scale=100),
    "LM-16": {
        **_sides("dimension_corruption", rising=False, scale=100, before="corruptions, "),
        **_sides("dimension_attack", rising=False, scale=100, before="PGD, "),
    },
    "LM-17": {
        "PGD beyond corruptions": Statistic(
            attack_beyond_corruptions, ("dimension_attack", "dimension_corruption")
        )
    },
    "LM-18": {
        **_sides("twonn_clean", rising=False, before="clean, "),
        "corruptions beyond clean": _beyond_clean("twonn_corruption"),
        "PGD beyond clean": _beyond_clean("twonn_attack"),
    },
    "LM-19": {"dead units": Statistic(dead_gain, ("dead",), ("dead", True))},
    "LM-X2": {
        **_sides("ball_margin", rising=True, scale=100, before="margin PGD, "),
        **_sides("ball_temperature", rising=True, scale=100, before="Temperature-PGD, "),
        **_sides("ball_worst", rising=True, scale=100, before="strongest of three, "),
    },
}
