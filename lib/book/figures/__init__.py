"""All figures of the chapters, by subject. Nothing is drawn elsewhere."""

from lib.book.figures.average import (
    accuracy_by_corruption,
    agreement,
    change_by_corruption,
    corrupted_and_alpha,
    corrupted_and_clean,
    corrupted_examples,
)
from lib.book.figures.explore import explored, explorer, interactive, show_interactive
from lib.book.figures.forest import forest
from lib.book.figures.headline import headline
from lib.book.figures.inside import by_layer, change_and_change, dimensions_by_layer
from lib.book.figures.ledger import show_ledger
from lib.book.figures.purification import (
    angles,
    by_size,
    change_in_directions,
    features_by_stage,
    robust_and_radius,
    weights_in_atoms,
)
from lib.book.figures.selectivity import (
    accuracy_and_selectivity,
    dead_units,
    example_units,
    scale_of_selectivity,
    selectivity_and_alpha,
    selectivity_and_steps,
    selectivity_by_layer,
)
from lib.book.figures.speed import ratios
from lib.book.figures.style import (
    ALPHA_LABEL,
    SI_LABEL,
    Link,
    against_alpha,
    alpha_axis,
    alpha_colour,
    alpha_legend,
    alpha_palette,
    dashes,
    setup,
    show,
    show_table,
    variant_colour,
    variant_legend,
)
from lib.book.figures.worst import (
    accuracy_by_strength,
    average_and_worst,
    jacobian_and_alpha,
    survival,
    transferred_and_alpha,
)

__all__ = [
    "ALPHA_LABEL",
    "SI_LABEL",
    "Link",
    "accuracy_and_selectivity",
    "accuracy_by_corruption",
    "accuracy_by_strength",
    "against_alpha",
    "agreement",
    "alpha_axis",
    "alpha_colour",
    "alpha_legend",
    "alpha_palette",
    "angles",
    "average_and_worst",
    "by_layer",
    "by_size",
    "change_and_change",
    "change_by_corruption",
    "change_in_directions",
    "corrupted_and_alpha",
    "corrupted_and_clean",
    "corrupted_examples",
    "dashes",
    "dead_units",
    "dimensions_by_layer",
    "example_units",
    "explored",
    "explorer",
    "features_by_stage",
    "forest",
    "headline",
    "interactive",
    "jacobian_and_alpha",
    "ratios",
    "robust_and_radius",
    "scale_of_selectivity",
    "selectivity_and_alpha",
    "selectivity_and_steps",
    "selectivity_by_layer",
    "setup",
    "show",
    "show_interactive",
    "show_ledger",
    "show_table",
    "survival",
    "transferred_and_alpha",
    "variant_colour",
    "variant_legend",
    "weights_in_atoms",
]
