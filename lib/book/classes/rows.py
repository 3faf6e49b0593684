"""From images to classes: the rows that claims on class-wise robustness are decided on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from lib.base.errors import InputError
from lib.book.classes.networks import LEFT_OUT
from lib.book.classes.words import way
from lib.measurements import logits, per_image
from lib.measurements.attack import CLEAN
from lib.papers import classwise
from lib.papers.classwise_rules import IN_BALL, WEIGHTED, WHOLE
from lib.papers.confusions import confusion, homing, most_confused
from lib.papers.ranks import rank_matrix
from lib.papers.same_mean import at_mean
from lib.training.training import LABELS, Training, labels


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


def matched(attacked: pd.DataFrame, mean: Mapping[int, float]) -> pd.DataFrame:
    """Rows of plain networks at the radius at which their mean over classes is a given one.

    Args:
        attacked: Table `pgd_radii` of these networks, or another of one attack at several radii.
        mean: {seed: percent}.

    Raises:
        InputError: For a table with several attacks at one radius, whose mean would be of neither.
    """
    if attacked.empty:
        return pd.DataFrame()
    twice = attacked.duplicated([*LABELS, "epsilon", "class"])
    if twice.any():
        raise InputError(
            f"networks are matched under one attack, and the table has several at the radius "
            f"{attacked.epsilon[twice].iloc[0]:g}"
        )
    parts = []
    for key, own in attacked.groupby(LABELS, sort=False):
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
    """Rows MASKED, RETRAINED and ANOTHER of `lib.papers.classwise` from a `logits` table, of the pair of
    classes that each network confuses most under PGD, or of the class that another network was trained
    without.
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
        alike = [_row(table, twin, logits.PGD) for twin in trainings if _but_for_the_seed(training, twin)]
        counts = [_withstanding(one, other, source, confused) for other in alike if other is not None]
        if counts:
            shares[classwise.ANOTHER] = sum(n for n, _ in counts), sum(n for _, n in counts)
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


def _but_for_the_seed(one: Training, other: Training) -> bool:
    return other.seed != one.seed and replace(other, seed=one.seed) == one


def _withstanding(whole: dict, less: dict, source: int, confused: int) -> tuple[int, int]:
    """Of the images of a class that a network takes for another one under PGD, how many another network,
    trained without that one or from another seed, has right under PGD. Images of a class stand in one order
    in both tables.
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


CHANGES = ("class weights", "logit bias")


def changed(rows: pd.DataFrame) -> pd.DataFrame:
    """What changes for the worst class do, of networks that are trained to be robust with all classes.

    Args:
        rows: As the claims read them.

    Returns:
        One row per network with or without a change, with the columns change (of CHANGES), training, seed,
        fixed (whether with the change), mean and worst, both in percent. Class weights are those of another
        network of the same seed, under Temperature-PGD; the bias is of the same network, under margin PGD.
    """
    found = []
    if len(rows):
        strong = rows[(rows.attack == logits.SAFE) & np.isclose(rows.inverse_temperature, logits.STRONG)]
        for fixed, ways in ((False, IN_BALL), (True, WEIGHTED)):
            some = strong[strong.variant.str.fullmatch(ways)]
            usual = "" if some.empty else some.variant.iloc[0].removeprefix("weighted-").removeprefix("pgd-")
            found.append(
                some.assign(change=CHANGES[0], fixed=fixed, training=way(f"pgd-{usual}") if usual else "")
            )
        for fixed, attack in ((False, classwise.UNTUNED), (True, classwise.TUNED)):
            some = rows[rows.attack == attack]
            found.append(some.assign(change=CHANGES[1], fixed=fixed, training=some.variant.map(way)))
    there = [one for one in found if len(one)]
    keys = ["change", "training", "seed", "fixed"]
    if not there:
        return pd.DataFrame(columns=[*keys, "mean", "worst"])
    groups = pd.concat(there, ignore_index=True).groupby(keys, sort=False).accuracy
    return groups.agg(mean="mean", worst="min").reset_index()


def trained_vectors(rows: pd.DataFrame) -> pd.DataFrame:
    """Class accuracies of networks that are trained to be robust, with all classes, from rows of `by_class`:
    one row per "way of training, attack" and seed, one column per class.
    """
    names = {CLEAN: "clean", logits.PGD: "PGD", logits.MARGIN: "margin PGD", logits.SAFE: "Temperature-PGD"}
    some = rows[rows.variant.str.fullmatch(WHOLE) & rows.attack.isin([*names])]
    some = some[(some.attack != logits.SAFE) | np.isclose(some.inverse_temperature, logits.STRONG)]
    some = some.assign(network=some.variant + ", " + some.attack.map(names))
    return some.pivot_table(index=["network", "seed"], columns="class", values="accuracy", sort=False)


def mean_ranks(vectors: pd.DataFrame) -> pd.DataFrame:
    """Rank correlations over classes of every pair of networks of a seed, mean over the seeds that have one;
    NaN where none has.

    Args:
        vectors: Index network and seed, one column per class.
    """
    order = list(dict.fromkeys(vectors.index.get_level_values("network")))
    by_seed = [rank_matrix(own.droplevel("seed")) for _, own in vectors.groupby(level="seed")]
    if not by_seed:
        return pd.DataFrame()
    return pd.concat(by_seed).groupby(level="network", sort=False).mean().reindex(index=order, columns=order)


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
