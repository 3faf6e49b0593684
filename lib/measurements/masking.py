"""Checks for gradient masking, in the spirit of AutoAttack's own: for which networks may the failure of an
attack not mean robustness?
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from lib.base.text import number
from lib.measurements.attack import CLEAN, CURVES, IN_BALLS
from lib.measurements.attack_summary import BALL_COLUMNS, at_epsilon, by_strength
from lib.measurements.attack_summary import curve as attack_summary_curve
from lib.measurements.autoattack import standing_by_part
from lib.measurements.strengths import strengths_for
from lib.measurements.transfer import by_source
from lib.training.training import LABELS

# attacks along the gradient of the plain cross-entropy
CROSS_ENTROPY = ("fgsm", *CURVES, "ball-cross-entropy")


@dataclass(frozen=True)
class Check:
    """One way in which an attack can fail, and the value above which a network is flagged."""

    name: str
    question: str
    limit: float


WRITTEN = (
    "2026-11-21, when of all networks these had been attacked: digits, α = −2, 0 and 2, seed 0, on "
    "200 images; and CIFAR-10, α = 0 and 1, seed 0, on 100. "
    "The checks “loss”, “black box” and “AutoAttack” were sharpened in review that day, when α = −2 "
    "and 0, seed 0, had been seen whole"
)
ZERO = Check(
    "zero gradient",
    "share of correctly classified images for which the attack's loss has no gradient at the image "
    "itself, in float32",
    0.01,
)
CERTAIN = Check(
    "float32 underflow",
    "share of correctly classified images whose softmax is exactly 1: the right class no longer pulls on "
    "the gradient",
    0.01,
)
CONFIDENT = Check(
    "confidence",
    "mean of the largest softmax; the closer to 1, the smaller the gradient of the cross-entropy",
    0.99,
)
RISING = Check(
    "rises with strength",
    "most that accuracy rises from one strength to a larger one, to a value above chance; not of "
        "balls, which count what a smaller one broke", 0.005,
)  # fmt: skip
LOSS = Check(
    "loss",
    "accuracy under PGD on this loss minus the lowest on another one, in balls of the same radius",
    0.02,
)
BLACK_BOX = Check(
    "black box",
    "accuracy minus that on images made against another network with the same radius; all losses "
    "against the cross-entropy's images",
    0.002,
)
AUTO = Check(
    "AutoAttack",
    "share of correctly classified images that survive the strongest PGD minus the share that survive "
    "AutoAttack, of fewer images",
    0.1,
)
SQUARE = Check("Square", "share of images that fall to AutoAttack's black-box part alone", 0.002)
CHECKS = (ZERO, CERTAIN, CONFIDENT, RISING, LOSS, BLACK_BOX, AUTO, SQUARE)
ABOVE_CHANCE = 0.05  # accuracies around chance, where attacks overshoot, mean nothing


def _row(labels: tuple, attack: str, check: Check, value: float) -> dict[str, object]:
    """NaN, which a diverged network has, triggers every check, since nothing is known of the network."""
    return dict(zip(LABELS, labels, strict=True)) | {
        "attack": attack,
        "check": check.name,
        "value": float(value),
        "tripped": not value <= check.limit,
    }


def _rise(accuracy: pd.Series, chance: float) -> float:
    """The largest rise from one strength to a later one, of accuracies in order of strength, that ends above
    chance.
    """
    rise = (accuracy - accuracy.cummin()).where(accuracy > chance + ABOVE_CHANCE, 0.0)
    return float(rise.max())


def checked(
    attack: pd.DataFrame, transfer: pd.DataFrame | None = None, autoattack: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Apply every check.

    Args:
        attack: The `attack` table of the networks.
        transfer, autoattack: Tables of the same networks, for the checks that compare with black-box attacks;
            left out where they are not measured.

    Returns:
        One row per network, attack and check, with its value and whether that is above the check's limit.
    """
    rows, classes = by_strength(attack), attack["class"].nunique()
    found = []
    for labels, own in rows.groupby(LABELS, sort=False):
        for name in own.attack[own.attack != CLEAN].unique():
            some = attack_summary_curve(own, name).sort_values(["epsilon", "steps"])
            found.append(_row(labels, name, ZERO, some.zero_gradient.max(skipna=False)))
            if name in CROSS_ENTROPY:
                found += [
                    _row(labels, name, CERTAIN, some.certain.max(skipna=False)),
                    _row(labels, name, CONFIDENT, some.confidence.max(skipna=False)),
                ]
            # these count an image that is misclassified in a smaller ball as misclassified
            if not name.startswith("ball-"):
                found.append(
                    _row(labels, name, RISING, _rise(some.accuracy.reset_index(drop=True), 1 / classes))
                )
        found += _losses(labels, own)
    found += _black_box(rows, transfer) if transfer is not None and len(transfer) else []
    found += _auto(rows, autoattack) if autoattack is not None and len(autoattack) else []
    return pd.DataFrame(found)


def _losses(labels: tuple, own: pd.DataFrame) -> list[dict[str, object]]:
    balls = own[own.attack.str.startswith("ball-")].pivot(
        index="epsilon", columns="attack", values="accuracy"
    )
    if balls.shape[1] < 2:
        return []
    gaps = {name: (balls[name] - balls.drop(columns=name).min(axis=1)).max() for name in balls}
    # a fault of the cross-entropy in balls is a fault of it elsewhere
    also = [name for name in CROSS_ENTROPY if name in set(own.attack) and name not in gaps]
    return [_row(labels, name, LOSS, gap) for name, gap in gaps.items()] + [
        _row(labels, name, LOSS, gaps["ball-cross-entropy"]) for name in also
    ]


def _black_box(rows: pd.DataFrame, transfer: pd.DataFrame) -> list[dict[str, object]]:
    """White-box accuracy minus transfer accuracy from the strongest source, at equal radius; above 0, masking
    is suspected.

    Images crafted with PGD on the cross-entropy are compared with PGD on every loss.
    """
    theirs = (
        by_source(transfer).groupby([*LABELS, "attack", "epsilon"], sort=False).accuracy.min().reset_index()
    )
    kind = rows.attack.where(~rows.attack.str.startswith("ball-"), "ball-cross-entropy")
    both = rows.assign(kind=kind).merge(
        theirs.rename(columns={"attack": "kind"}), on=[*LABELS, "kind", "epsilon"], suffixes=("", "_theirs")
    )
    worst = (
        (both.accuracy - both.accuracy_theirs)
        .groupby([*(both[name] for name in LABELS), both.attack], sort=False)
        .max()
    )
    return [_row(key[:-1], key[-1], BLACK_BOX, value) for key, value in worst.items()]


def _auto(rows: pd.DataFrame, autoattack: pd.DataFrame) -> list[dict[str, object]]:
    wide = standing_by_part(autoattack).pivot(index=LABELS, columns="part", values="standing")
    found = [
        _row(key, "autoattack", SQUARE, value) for key, value in (wide["fab-t"] - wide["square"]).items()
    ]
    own = (
        at_epsilon(rows[rows.attack.str.startswith("ball-")], autoattack.epsilon.iloc[0])
        .groupby(LABELS, sort=False)
        .accuracy.min()
    )
    clean = rows[rows.attack == CLEAN].set_index(LABELS).accuracy
    gap = (own / clean - wide["square"] / wide[CLEAN]).dropna()
    return found + [_row(key, name, AUTO, value) for key, value in gap.items() for name in BALL_COLUMNS]


def doubtful(checks: pd.DataFrame, summary: pd.DataFrame, attack: str) -> pd.Series:
    """For each network of the summary, in its order, whether a check was triggered on this attack."""
    tripped = (
        checks[checks.tripped & (checks.attack == attack)][LABELS].drop_duplicates().assign(tripped=True)
    )
    return summary[LABELS].merge(tripped, on=LABELS, how="left").tripped.eq(True).set_axis(summary.index)


def with_doubt(
    summary: pd.DataFrame, attack: pd.DataFrame, transfer: pd.DataFrame, autoattack: pd.DataFrame
) -> pd.DataFrame:
    """Add to a summary for which networks accuracy under attack is doubtful.

    Returns:
        The summary with the columns pgd_accuracy_doubtful and ball_worst_doubtful, where the latter needs all
        three attacks to be doubtful.
    """
    if attack.empty:
        return summary.assign(pgd_accuracy_doubtful=False, ball_worst_doubtful=False)
    checks, curve = checked(attack, transfer, autoattack), strengths_for(attack.dataset.iloc[0]).curve
    balls = [doubtful(checks, summary, name) for name in IN_BALLS]
    return summary.assign(
        pgd_accuracy_doubtful=doubtful(checks, summary, curve),
        ball_worst_doubtful=pd.concat(balls, axis=1).all(axis=1),
    )


def doubtful_alphas(checks: pd.DataFrame, *attacks: str) -> frozenset[float]:
    """Values of α for which a check was triggered on one of these attacks, for any seed."""
    return frozenset(checks[checks.tripped & checks.attack.isin(attacks)].alpha)


def by_alpha(checks: pd.DataFrame) -> pd.DataFrame:
    """One row per α and check that was triggered there: on which attacks, for how many networks and which
    seeds.
    """
    tripped = checks[checks.tripped]
    groups = tripped.groupby(["alpha", "check"])
    rows = groups.agg(
        attacks=("attack", lambda names: ", ".join(dict.fromkeys(names))),
        networks=("seed", "nunique"),
        seeds=("seed", lambda seeds: ", ".join(map(str, sorted(set(seeds))))),
    ).reset_index()
    return rows.assign(alpha=rows.alpha.map(number)).rename(columns={"alpha": "α"})


def overview(checks: pd.DataFrame) -> pd.DataFrame:
    """One row per check: its question and limit, the largest value with the α and attack where it occurs, and
    how many networks trigger it.
    """
    rows = []
    for check in CHECKS:
        own = checks[checks.check == check.name]
        row = {"check": check.name, "what": check.question, "flagged above": f"{check.limit:g}"}
        if own.empty:
            rows.append(row | {"largest": "not measured", "where": "", "networks flagged": ""})
            continue
        top = own.sort_values("value", ascending=False, na_position="first", kind="stable").iloc[0]
        flagged = own[own.tripped][LABELS].drop_duplicates()
        rows.append(
            row
            | {
                "largest": number(top.value, ".4f"),
                "where": "" if top.value <= 0 else f"α = {number(top.alpha)}, seed {top.seed}, {top.attack}",
                "networks flagged": f"{len(flagged)} of {len(own[LABELS].drop_duplicates())}",
            }
        )
    return pd.DataFrame(rows)
