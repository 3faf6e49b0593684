"""What the chapter on class-wise robustness reads: tables over classes, made of what is cached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lib import runs
from lib.base.errors import InputError
from lib.book.chapter import Parameters
from lib.measurements import logits, per_image
from lib.measurements.attack import CLEAN
from lib.measurements.strengths import strengths_for
from lib.papers import classwise
from lib.papers.classwise_statistics import (
    at_mean,
    confusion,
    homing,
    most_confused,
    rank_correlation,
    spread,
)
from lib.runs import store
from lib.runs.run import WEIGHTS, folder
from lib.runs.tables import cached
from lib.training.recipe import LABELS, Training, labels

# ways of training that the claims are about, as sweeps/classwise.yml makes them
WAYS = ("pgd-3-linf-8", "trades-6-3-linf-8", "weighted-3-linf-8")
RADIUS = 8 / 255
# a network without the class that the other is most confused with, by data set (CW-7)
LEFT_OUT = {"cifar10": ("dog",)}
LEVEL = 25.0  # percent: the mean over classes at which networks over α are compared
FAMILIES = {"cifar10": ("airplane", "automobile", "ship", "truck")}  # transport; the others are animals
MADE = 100  # images of the digits for which missing logits are made when a chapter is rerun


def ordered(dataset: str, classes: Sequence[str]) -> list[str]:
    """Classes with those of a family beside each other, where a data set has families."""
    first = [name for name in FAMILIES.get(dataset, ()) if name in classes]
    return first + [name for name in classes if name not in first]


# ---- which networks ----------------------------------------------------------------------------------------


def robust(here: Parameters) -> list[Training]:
    """The networks of the chapter's seeds that are trained to be robust, and those without a class; α = 0,
    half the recipe's epochs where the recipe is the fast one.
    """
    usual = here.with_variants
    found = runs.grid(
        dataset=here.dataset,
        model=here.model,
        alphas=(0.0,),
        seeds=here.seeds,
        recipe=here.recipe,
        epochs=usual.epochs,
        variants=WAYS,
    )
    left = LEFT_OUT.get(here.dataset, ())
    return found + [replace(one, without=left) for one in found if left and one.variant == WAYS[0]]


def control(here: Parameters) -> list[Training]:
    """The plain networks of the same length, which stand beside those that are trained to be robust."""
    return [
        replace(one, variant="plain") for one in robust(here) if one.variant == WAYS[0] and not one.without
    ]


def logits_of(trainings: Sequence[Training], *, make: int = 0, **settings: Any) -> pd.DataFrame:
    """The table `logits` over the trainings of which it is cached.

    Args:
        trainings: Networks; those that are not cached are left out.
        make: Where no table is cached: number of images on which that of the first network whose weights are
            here is made now; 0 for none.
        settings: As in `runs.table`.
    """
    found = [cached("logits", list(trainings), **settings)]
    if make and not runs.frozen():
        missing = set(runs.missing(trainings))
        here = [one for one in trainings if one not in missing and _kept(one)][:1]
        found += [runs.table("logits", here, limit=make, **settings)] if here and found[0].empty else []
    there = [one for one in found if len(one)]
    return pd.concat(there, ignore_index=True) if there else pd.DataFrame()


def networks_in(table: pd.DataFrame, here: Parameters) -> list[Training]:
    """Which of a chapter's networks, and of those that are trained to be robust, a table has rows of."""
    if table.empty:
        return []
    known = set(map(tuple, table[LABELS].drop_duplicates().to_numpy()))
    every = [*here.trainings, *robust(here), *control(here)]
    return [one for one in every if tuple(labels(one).values()) in known]


def _kept(training: Training) -> bool:
    run: store.Folder = folder(training)
    return WEIGHTS in run and (run.path / WEIGHTS).exists()


# ---- from images to classes --------------------------------------------------------------------------------


def by_class(table: pd.DataFrame) -> pd.DataFrame:
    """One row per network, attack and class of a `logits` table, with the columns that
    `lib.papers.classwise` reads.
    """
    if table.empty:
        return pd.DataFrame()
    parts = []
    for one in table.to_dict("records"):
        label, names = logits.labels_of(one), logits.classes_of(one)
        sizes = np.bincount(label, minlength=len(names))
        right = np.bincount(label[per_image.unpacked(one)], minlength=len(names))
        margin = np.bincount(label, weights=logits.margins(one), minlength=len(names))
        norms = logits.norms_of(one)
        with np.errstate(invalid="ignore"):
            parts.append(
                pd.DataFrame(
                    {name: one[name] for name in [*LABELS, "attack", "inverse_temperature"]}
                    | {
                        "class": names,
                        "images": sizes,
                        "accuracy": 100 * right / sizes,
                        "margin": margin / sizes,
                        "norm": norms if len(norms) else np.nan,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _row(table: pd.DataFrame, training: Training, attack: str) -> dict | None:
    """The row of a network's attack in a `logits` table; None where there is none."""
    about = labels(training)
    if table.empty:
        return None
    some = table[(table.attack == attack) & np.logical_and.reduce([table[k] == v for k, v in about.items()])]
    return some.to_dict("records")[0] if len(some) else None


def matched(
    attacked: pd.DataFrame, mean: Mapping[int, float], attack: str = "ball-cross-entropy"
) -> pd.DataFrame:
    """Rows of plain networks at the radius at which their mean over classes is a given one.

    Args:
        attacked: Table `attack` of these networks.
        mean: {seed: percent}.
        attack: Which attack of the table.
    """
    if attacked.empty:
        return pd.DataFrame()
    parts = []
    for key, own in attacked[attacked.attack.isin([CLEAN, attack])].groupby(LABELS, sort=False):
        about = dict(zip(LABELS, key, strict=True))
        level = mean.get(about["seed"])
        rows = own.assign(accuracy=100 * own.correct / own["images"].where(own["images"] > 0))
        grid = rows.pivot_table(index="epsilon", columns="class", values="accuracy", sort=False).sort_index()
        found = at_mean(grid.index.to_numpy(), grid.to_numpy(), level) if level is not None else None
        if found:
            sizes = rows.groupby("class")["images"].first()
            parts.append(
                pd.DataFrame(
                    about
                    | {
                        "attack": classwise.MATCHED,
                        "inverse_temperature": np.nan,
                        "class": list(grid),
                        "images": sizes[list(grid)].to_numpy(),
                        "accuracy": found.accuracies,
                        "margin": np.nan,
                        "norm": np.nan,
                        "radius": found.radius,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def returning(table: pd.DataFrame, trainings: Sequence[Training]) -> pd.DataFrame:
    """Rows MASKED and RETRAINED of `lib.papers.classwise` from a `logits` table, of the pair of classes that
    each network confuses most under PGD, or of the class that another network was trained without.
    """
    parts = []
    for training in trainings:
        one = _row(table, training, logits.PGD)
        if one is None or training.without:
            continue
        names, label = logits.classes_of(one), logits.labels_of(one)
        spots = confusion(label, logits.predicted(one), len(names))
        without = LEFT_OUT.get(training.dataset, ())
        if without and without[0] in names:
            confused = names.index(without[0])
            others = np.nan_to_num(np.where(np.arange(len(names)) == confused, 0, spots[:, confused]))
            source = int(others.argmax())
        else:
            source, confused = most_confused(spots)
        if source < 0:
            continue
        away, back = homing(logits.all_logits(one), label, source, confused)
        shares = {classwise.MASKED: (away, back)}
        child = _row(table, replace(training, without=without), logits.PGD) if without else None
        if child is not None:
            shares[classwise.RETRAINED] = _withstanding(one, child, source, confused)
        for name, (count, returned) in shares.items():
            parts.append(
                labels(training)
                | {
                    "attack": name,
                    "inverse_temperature": np.nan,
                    "class": names[source],
                    "confused": names[confused],
                    "images": count,
                    "accuracy": 100 * returned / count if count else np.nan,
                    "margin": np.nan,
                    "norm": np.nan,
                }
            )
    return pd.DataFrame(parts)


def _withstanding(whole: dict, less: dict, source: int, confused: int) -> tuple[int, int]:
    """Of the images of a class that a network takes for another one under PGD, how many another network,
    trained without that one, has right under PGD. Images of a class stand in one order in both tables.
    """
    own = np.flatnonzero(logits.labels_of(whole) == source)
    other = np.flatnonzero(logits.labels_of(less) == source)
    both = min(len(own), len(other))
    away = logits.predicted(whole)[own[:both]] == confused
    right = per_image.unpacked(less)[other[:both]]
    return int(away.sum()), int((away & right).sum())


def biased(table: pd.DataFrame) -> pd.DataFrame:
    """Rows UNTUNED and TUNED of `lib.papers.classwise` from a `logit_bias` table, both halves together."""
    if table.empty:
        return pd.DataFrame()
    rows = table[table.attack != CLEAN]
    sums = rows.groupby([*LABELS, "tuned", "class"], sort=False)[["images", "correct"]].sum().reset_index()
    names = np.where(sums.tuned, classwise.TUNED, classwise.UNTUNED)
    accuracy = 100 * sums.correct / sums["images"].where(sums["images"] > 0)
    return sums.assign(
        attack=names, inverse_temperature=np.nan, accuracy=accuracy, margin=np.nan, norm=np.nan
    ).drop(columns=["tuned", "correct"])


@dataclass(frozen=True)
class Found:
    """What is cached about networks that are trained to be robust.

    Attributes:
        images: Their table `logits`; empty if none is cached.
        classes: The rows that claims are decided on; empty likewise.
        missing: The commands that make what is not there, of the first seed of each kind.
    """

    images: pd.DataFrame
    classes: pd.DataFrame
    missing: tuple[str, ...]


def gathered(here: Parameters) -> Found:
    """Everything that the claims read, of what is cached."""
    trainings = robust(here)
    table = logits_of(trainings)
    rows = by_class(table)
    parts = [rows]
    if len(rows):
        pgd = rows[(rows.attack == logits.PGD) & rows.variant.str.fullmatch(classwise.IN_BALL)]
        means = pgd[pgd["images"] > 0].groupby("seed").accuracy.mean().to_dict()
        parts += [matched(cached("attack", control(here)), means), returning(table, trainings)]
    parts.append(biased(cached("logit_bias", trainings)))
    there = [one for one in parts if len(one)]
    made = set(map(tuple, table[LABELS].drop_duplicates().to_numpy())) if len(table) else set()
    lacking = [one for one in trainings if tuple(labels(one).values()) not in made]
    missing = list({one.way: one for one in reversed(lacking)}.values())[::-1]
    return Found(
        table,
        pd.concat(there, ignore_index=True) if there else pd.DataFrame(),
        tuple(map(runs.command, missing)),
    )


def standing(here: Parameters) -> pd.DataFrame:
    """Accuracy under all parts of AutoAttack by class, in percent, of the networks of which it is cached at
    the radius of the claims: one row per network and class.
    """
    table = cached("autoattack", robust(here), limit=500, epsilon=RADIUS)
    if table.empty:
        return table
    last = table[table.part == table.part.iloc[-1]]
    return last.assign(accuracy=100 * last.standing / last["images"].where(last["images"] > 0))


# ---- networks over α (ours) --------------------------------------------------------------------------------


def class_vectors(table: pd.DataFrame, wanted: Mapping[str, str], epsilon: float) -> pd.DataFrame:
    """Class accuracies, percent, of an `attack` table at a radius: one row per network and attack, one column
    per class.

    Args:
        wanted: {attack of the table: what to call it}.
    """
    rows = table[
        table.attack.isin([*wanted])
        & ((table.attack == CLEAN) | np.isclose(table.epsilon, epsilon, atol=1e-6))
    ]
    rows = rows.assign(
        accuracy=100 * rows.correct / rows["images"].where(rows["images"] > 0),
        attack=rows.attack.map(wanted),
    )
    return rows.pivot_table(index=["alpha", "seed", "attack"], columns="class", values="accuracy", sort=False)


def over_alpha(here: Parameters, summary: pd.DataFrame, level: float = LEVEL) -> pd.DataFrame:
    """Summary of the networks over α with what is asked of their classes.

    Args:
        here: Parameters of the chapter.
        summary: Their `runs.summary`.
        level: Percent, the mean over classes at which they are compared.

    Returns:
        The summary with the columns radius (at which PGD on the cross-entropy leaves the level, in 255ths),
        class_variance, class_disparity, worst (name) and worst_accuracy there, and the rank correlations over
        classes of accuracy there: with_corrupted (of the same network on corrupted images) and with_support
        (with the class support of its units). NaN for a network that does not reach the level, or where a
        table is not cached.
    """
    rows = matched(cached("attack", here.trainings), dict.fromkeys(here.seeds, level))
    corrupted, units = cached("corruption", here.trainings), cached("selectivity", here.trainings)
    found = []
    for key, own in rows.groupby(LABELS, sort=False) if len(rows) else ():
        about = dict(zip(LABELS, key, strict=True))
        accuracy = own.set_index("class").accuracy
        spots = spread(accuracy.to_numpy())
        found.append(
            about
            | {
                "radius": 255 * own.radius.iloc[0],
                "class_variance": spots.variance,
                "class_disparity": spots.disparity,
                "worst": accuracy.index[spots.worst],
                "worst_accuracy": spots.lowest,
                "with_corrupted": _with(accuracy, _corrupted_classes(_own(corrupted, about))),
                "with_support": _with(accuracy, class_support(_own(units, about), list(accuracy.index))),
            }
        )
    columns = [
        "radius",
        "class_variance",
        "class_disparity",
        "worst_accuracy",
        "with_corrupted",
        "with_support",
    ]
    if not found:
        return summary.assign(**dict.fromkeys(columns, np.nan), worst="")
    return summary.merge(pd.DataFrame(found), on=LABELS, how="left")


def _own(table: pd.DataFrame, about: Mapping[str, object]) -> pd.DataFrame:
    if table.empty:
        return table
    return table[np.logical_and.reduce([table[name] == value for name, value in about.items()])]


def _with(accuracy: pd.Series, other: pd.Series) -> float:
    return rank_correlation(accuracy, other.reindex(accuracy.index)) if len(other) else float("nan")


def _corrupted_classes(table: pd.DataFrame) -> pd.Series:
    """Mean accuracy of every class over corruptions and severities."""
    if table.empty:
        return pd.Series(dtype=float)
    sums = table[table.severity > 0].groupby("class", sort=False)[["images", "correct"]].sum()
    return sums.correct / sums["images"]


def class_support(units: pd.DataFrame, classes: Sequence[str]) -> pd.Series:
    """How much selectivity speaks for every class: the sum of the selectivity of the units that prefer it,
    as a share of the layer's, mean over layers (ours).

    Args:
        units: Table `selectivity` of a network.
        classes: Names of the classes in the order of the data set.
    """
    if units.empty:
        return pd.Series(dtype=float)
    live = units[~units.dead]
    sums = live.pivot_table(index="depth", columns="best_class", values="selectivity", aggfunc="sum").fillna(
        0
    )
    shares = sums.div(sums.sum(axis=1), axis=0).mean()
    return pd.Series([float(shares.get(place, 0.0)) for place in range(len(classes))], index=list(classes))


def strength_words(here: Parameters) -> str:
    """The radius of attacks at which networks over α are shown, in words."""
    return f"{255 * strengths_for(here.dataset).ball:g}/255"


def one_row(table: pd.DataFrame, seed: int, attack: str, inverse: float | None = None) -> dict | None:
    """The row of an attack in a `logits` table of one way of training; None where there is none."""
    if table.empty:
        return None
    rows = table[(table.seed == seed) & (table.attack == attack)]
    rows = rows if inverse is None else rows[np.isclose(rows.inverse_temperature, inverse)]
    if len(rows) > 1:
        raise InputError(f"{attack} is in the table {len(rows)} times; choose one way of training")
    return rows.to_dict("records")[0] if len(rows) else None


def temperature_curve(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Pairs of a form ("safe" or "plain") and its curves: one row per seed, one column per 1/T, mean accuracy
    over classes in percent. The rows are those of `by_class`, of one way of training.
    """
    for form, attack in (("safe", logits.SAFE), ("plain", logits.PLAIN)):
        some = rows[(rows.attack == attack) & (rows["images"] > 0)]
        yield form, some.pivot_table(index="seed", columns="inverse_temperature", values="accuracy")
