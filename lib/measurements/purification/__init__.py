"""Feature purification in image networks: what a training has changed in weights, what perturbations are
made of, and what networks look for.
"""

from lib.measurements.purification.dictionaries import (
    PERTURBATION_TABLE,
    RECONSTRUCTION_TABLE,
    perturbation,
    reconstruction,
)
from lib.measurements.purification.looks import (
    BRIGHTER,
    EXCITES,
    FILTER,
    PERTURBED,
    PICTURES_TABLE,
    SEEN,
    look,
)
from lib.measurements.purification.networks import (
    PURIFIED,
    independent,
    purified,
    purified_and_reference,
    reference,
    reference_and_independent,
    references,
)
from lib.measurements.purification.weight_changes import (
    ALIGNMENT_TABLE,
    LOW_RANK_TABLE,
    WEIGHT_ANGLES_TABLE,
    alignment,
    low_rank,
    low_rank_cells,
    weight_angles,
)

__all__ = [
    "ALIGNMENT_TABLE",
    "BRIGHTER",
    "EXCITES",
    "FILTER",
    "LOW_RANK_TABLE",
    "PERTURBATION_TABLE",
    "PERTURBED",
    "PICTURES_TABLE",
    "PURIFIED",
    "RECONSTRUCTION_TABLE",
    "SEEN",
    "WEIGHT_ANGLES_TABLE",
    "alignment",
    "independent",
    "look",
    "low_rank",
    "low_rank_cells",
    "perturbation",
    "purified",
    "purified_and_reference",
    "reconstruction",
    "reference",
    "reference_and_independent",
    "references",
    "weight_angles",
]
