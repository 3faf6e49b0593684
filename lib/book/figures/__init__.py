"""All figures of the chapters, by subject. Nothing is drawn elsewhere."""

from lib.book.figures.average import (
    accuracy_by_corruption,
    agreement,
    change_by_corruption,
    corrupted_and_alpha,
    corrupted_and_clean,
    corrupted_examples,
)
from lib.book.figures.cells import Link, show_table
from lib.book.figures.certified import (
    METHOD_NAMES,
    accuracy_by_radius,
    four_accuracies,
    half_widths,
    one_unit,
)
from lib.book.figures.classes import (
    class_bars,
    class_gains,
    class_ranks,
    classes_and_alpha,
    confusions,
    temperature_curves,
    worst_and_mean,
)
from lib.book.figures.colours import alpha_colour, alpha_palette, variant_colour
from lib.book.figures.curves import ALPHA_LABEL, SI_LABEL, against_alpha, alpha_axis, emphasised
from lib.book.figures.explore import explored, explorer, interactive, show_interactive
from lib.book.figures.forest import forest
from lib.book.figures.headline import headline
from lib.book.figures.inside import by_layer, change_and_change, dimensions_by_layer
from lib.book.figures.keys import alpha_key, dashes, variant_key
from lib.book.figures.ledger import show_ledger
from lib.book.figures.main_text import main_text_corrupted, main_text_selectivity
from lib.book.figures.purification import (
    angles,
    by_size,
    change_in_directions,
    features_by_stage,
    robust_and_radius,
    weights_in_atoms,
)
from lib.book.figures.purified import IMAGES, filters_of, image_angles, image_ranks, pictures_of
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
from lib.book.figures.style import setup, show
from lib.book.figures.worst import (
    accuracy_by_strength,
    average_and_worst,
    jacobian_and_alpha,
    survival,
    transferred_and_alpha,
)

__all__ = [
    "ALPHA_LABEL",
    "IMAGES",
    "METHOD_NAMES",
    "Link",
    "SI_LABEL",
    "accuracy_and_selectivity",
    "accuracy_by_corruption",
    "accuracy_by_radius",
    "accuracy_by_strength",
    "against_alpha",
    "agreement",
    "alpha_axis",
    "alpha_colour",
    "alpha_key",
    "alpha_palette",
    "angles",
    "average_and_worst",
    "by_layer",
    "by_size",
    "change_and_change",
    "change_by_corruption",
    "change_in_directions",
    "class_bars",
    "class_gains",
    "class_ranks",
    "classes_and_alpha",
    "confusions",
    "corrupted_and_alpha",
    "corrupted_and_clean",
    "corrupted_examples",
    "dashes",
    "dead_units",
    "dimensions_by_layer",
    "emphasised",
    "example_units",
    "explored",
    "explorer",
    "features_by_stage",
    "filters_of",
    "forest",
    "four_accuracies",
    "half_widths",
    "headline",
    "image_angles",
    "image_ranks",
    "interactive",
    "jacobian_and_alpha",
    "main_text_corrupted",
    "main_text_selectivity",
    "one_unit",
    "pictures_of",
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
    "temperature_curves",
    "transferred_and_alpha",
    "variant_colour",
    "variant_key",
    "weights_in_atoms",
    "worst_and_mean",
]
