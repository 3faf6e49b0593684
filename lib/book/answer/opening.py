"""What the figure that opens the book shows, in words: its title, lines, alt text and caption."""

from __future__ import annotations

import pandas as pd

from lib.base.text import number
from lib.book.figures.headline import EPSILON, Line
from lib.measurements import MEASUREMENTS
from lib.measurements.attack import CURVES
from lib.measurements.strengths import strengths_for
from lib.papers import first_statistics
from lib.papers.second_statistics import FGSM


def spread(summary: pd.DataFrame) -> str:
    """What the opening figure shows, as its title: how accuracies change between the outermost α that spare
    clean accuracy, means over seeds.
    """
    low, high = first_statistics.spared(summary)
    means = summary.groupby("alpha").mean(numeric_only=True)
    columns = {"under FGSM": FGSM} if _measured(summary, FGSM) else {"under PGD": "pgd_accuracy"}
    changes = {
        words: 100 * (means[column][high] - means[column][low])
        for words, column in (columns | {"on corrupted images": "corrupted_accuracy"}).items()
    }
    told = [
        f"{number(points, '+.1f')} points {words}" for words, points in changes.items() if points == points
    ]
    if not told or low == high:
        return "Accuracy against the selectivity scale α"
    return f"From α = {number(low)} to {number(high)}: {', '.join(told)}"


def _measured(summary: pd.DataFrame, column: str) -> bool:
    return column in summary and bool(summary[column].notna().any())


def opening(summary: pd.DataFrame) -> tuple[tuple[Line, ...], str, str]:
    """What the opening figure shows of networks: its lines, its alt text and its caption without the
    networks.

    Args:
        summary: Summary of a page's networks, or of the second round's, which have FGSM too.
    """
    at = strengths_for(summary.dataset.iloc[0])
    second = _measured(summary, FGSM)
    lines = (
        Line("clean_accuracy", "clean", "_"),
        Line("corrupted_accuracy", "corrupted", "o"),
        *([Line(FGSM, f"FGSM, ε = {EPSILON:g}", "v")] if second else []),
        Line("pgd_accuracy", f"PGD, {at.steps} steps", "^" if second else "v"),
    )
    said = []
    for line in lines:
        means = 100 * summary.groupby("alpha")[line.column].mean().dropna()
        ends = [alpha for alpha in means.index if alpha in (means.index.min(), 0.0, means.index.max())]
        if ends:
            told = ", ".join(f"{means[alpha]:.1f} % at α = {number(alpha)}" for alpha in ends)
            said.append(f"{line.words}: {told}")
    alt = (
        f"Accuracy against α. {'; '.join(said)}. Beside it the paper's numbers, of ResNet18 on Tiny ImageNet."
    )
    names = ("image_corruption", "image_attack") if second else ("corruption", "attack")
    sizes = [f"{MEASUREMENTS[name].settings['limit']:,}" for name in names]
    hollow = summary.get("pgd_accuracy_doubtful")
    wide = "Clean accuracy and that under FGSM are" if second else "Clean accuracy is"
    caption = (
        f"{wide} of all test images; with corruptions of the first {sizes[0]}; under PGD, in steps of "
        f"{CURVES[at.curve].step_size:g}, of the first {sizes[1]}. One point per network, lines: means."
        + (
            " Hollow: a check says that PGD may have failed there."
            if hollow is not None and hollow.any()
            else ""
        )
        + " Right: what is known of the paper's, another network on other images; its corrupted accuracy is "
        "recalled and not vouched for."
    )
    return lines, alt, caption
