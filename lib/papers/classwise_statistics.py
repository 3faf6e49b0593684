"""Statistics of robustness class by class, under one name: spread over classes, confusions, tests and
intervals over images, gains of a stronger attack, rank correlations, and the radius of the same mean.

Accuracies of classes are percent. Nothing here knows a network or a claim.
"""

from lib.papers.class_accuracies import (
    Spread,
    class_accuracies,
    class_wise_variance,
    disparity,
    present,
    spread,
)
from lib.papers.confusions import confusion, homing, most_confused
from lib.papers.gains import SCALES, gains, weak_over_strong
from lib.papers.over_images import Paired, mcnemar, over_images
from lib.papers.ranks import LEAST_CLASSES, rank_correlation, rank_matrix
from lib.papers.same_mean import Matched, at_mean

__all__ = [
    "LEAST_CLASSES",
    "SCALES",
    "Matched",
    "Paired",
    "Spread",
    "at_mean",
    "class_accuracies",
    "class_wise_variance",
    "confusion",
    "disparity",
    "gains",
    "homing",
    "mcnemar",
    "most_confused",
    "over_images",
    "present",
    "rank_correlation",
    "rank_matrix",
    "spread",
    "weak_over_strong",
]
