"""Does the length of the training, or its minibatch and weight decay, matter to what α does? Shown beside the
second round, as its rules ask; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from lib import runs
from lib.base.text import number
from lib.book.tables.estimates import estimate
from lib.measurements.strengths import strengths_for
from lib.papers.rules import rules
from lib.runs.tables import at_hand, full_summary
from lib.training.training import Training

SEEDS = (0, 1, 2)  # of the first round
# what is shown: its heading, the summary's column, a factor, and how a number is written
EFFECTS = {
    "selectivity": ("mean_selectivity", 1.0, "+.3f"),
    "clean, points": ("clean_accuracy", 100.0, "+.1f"),
    "corrupted, points": ("corrupted_accuracy", 100.0, "+.1f"),
    f"FGSM (ε = {strengths_for(rules().dataset).fgsm:g}), points": ("fgsm_accuracy", 100.0, "+.1f"),
}


def recipes() -> dict[str, list[Training]]:
    """The networks of each recipe that is compared: {what the recipe is: trainings}."""
    asked = rules()
    ways: dict[str, tuple[str, int | None, list[float], tuple[int, ...]]] = {
        "the second round's own": (asked.recipe, None, [-2, 0, 0.4], SEEDS),
        "half the epochs": (asked.recipe, 8, [-2, 0, 0.4], SEEDS),
        "another minibatch": ("check", None, [-2, 0], SEEDS[:1]),
    }
    return {
        name: runs.grid(
            dataset=asked.dataset,
            model=asked.model,
            alphas=alphas,
            seeds=seeds,
            recipe=recipe,
            epochs=epochs,
        )
        for name, (recipe, epochs, alphas, seeds) in ways.items()
    }


def described(training: Training) -> str:
    """The numbers in which the recipes differ, such as "16 epochs of 128, weight decay 0.0005"."""
    how = training.settings
    return f"{how.epochs} epochs of {how.batch},\nweight decay {how.weight_decay:g}"


def _changes() -> Iterator[tuple[str, list[Training], float, pd.DataFrame]]:
    """For each recipe and α: the recipe's name and trainings, α, and what α changes against α = 0, one row
    per seed and one column per effect.
    """
    for name, trainings in recipes().items():
        summary = full_summary(at_hand(trainings), trainings)
        of_zero = summary[summary.alpha == 0].set_index("seed")
        for alpha in sorted({training.alpha for training in trainings} - {0.0}):
            moved = summary[summary.alpha == alpha].set_index("seed")
            columns = [column for column, _, _ in EFFECTS.values()]
            yield name, trainings, alpha, moved[columns] - of_zero[columns]


def effects() -> pd.DataFrame:
    """One row per recipe and α: what α changes against α = 0, paired by seed, from what is cached.

    Returns:
        A table for reading, with the recipe and its numbers, α, the number of seeds that have both networks,
        and each of EFFECTS as a mean over seeds, with a 95 % t interval where there are three.
    """
    rows = []
    for name, trainings, alpha, change in _changes():
        row = {"recipe": f"{name}:\n{described(trainings[0])}", "α": number(alpha)}
        row["seeds"] = str(int(change.mean_selectivity.notna().sum()))
        for heading, (column, scale, form) in EFFECTS.items():
            row[heading] = estimate(scale * change[column], form).replace(" (", "\n(")
        rows.append(row)
    return pd.DataFrame(rows)


def sentence() -> str:
    """How many effects of each other recipe have the sign that they have with the second round's own, over
    the seeds that both have; of what is cached.
    """
    usual, *_ = recipes()
    own: dict[float, pd.DataFrame] = {}
    alike: dict[str, list[bool]] = {}
    for name, _, alpha, change in _changes():
        there = change.dropna()
        if name == usual:
            own[alpha] = there
            continue
        seeds = [seed for seed in there.index if seed in own[alpha].index]
        if seeds:
            mine, theirs = own[alpha].loc[seeds].mean(), there.loc[seeds].mean()
            alike.setdefault(name, []).extend((mine * theirs > 0).tolist())
    said = [
        f"With {name}, {sum(signs)} of {len(signs)} effects keep their sign." for name, signs in alike.items()
    ]
    return " ".join(said) or "None of the others is cached yet."
