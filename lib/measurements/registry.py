"""Measurements of one trained network, each a tidy table with one row per thing measured."""

from __future__ import annotations

from collections.abc import Callable

from lib.corruptions.saving import QUALITY
from lib.measurements import per_image, purification
from lib.measurements.attack import ATTACK_TABLE, ATTACKED, attack, attack_cells
from lib.measurements.attack_summary import with_attacked
from lib.measurements.autoattack import AUTOATTACK_TABLE, autoattack, autoattack_cells, with_autoattack
from lib.measurements.certificate import (
    CERTIFICATE_TABLE,
    EPSILONS,
    HALF_WIDTH_TABLE,
    certificate,
    half_width,
)
from lib.measurements.certified_radius import CERTIFIED_RADIUS_TABLE, certified_radius
from lib.measurements.corruption import (
    CORRUPTION_TABLE,
    EXAMPLES_TABLE,
    corruption,
    corruption_cells,
    corruption_examples,
    example_cells,
    with_corrupted,
)
from lib.measurements.dimensionality import DIMENSIONALITY_TABLE, dimensionality, dimensionality_cells
from lib.measurements.gradient import GRADIENT_TABLE, gradient, with_gradients
from lib.measurements.imagenet_a import IMAGENET_A_TABLE, imagenet_a
from lib.measurements.jacobian import JACOBIAN_TABLE, jacobian, with_jacobian
from lib.measurements.layers import with_dimensions
from lib.measurements.logit_bias import LOGIT_BIAS_TABLE, logit_bias
from lib.measurements.logits import LOGITS_TABLE, logits
from lib.measurements.measurement import UNITS, Measurement
from lib.measurements.pgd_radii import PGD_RADII_TABLE, RADII, pgd_radii
from lib.measurements.saved_corruption import saved_corruption, with_saved
from lib.measurements.selectivity import CLASS_MEANS_TABLE, SELECTIVITY_TABLE, class_means, selectivity
from lib.measurements.strengths import strengths_for
from lib.measurements.transfer import (
    SENT,
    TRANSFER_TABLE,
    sources,
    transfer,
    transfer_cells,
    with_transferred,
)


def _of_tiny_imagenet(**settings: object) -> Callable[[str], dict[str, object]]:
    """Settings of a table of networks of Tiny ImageNet, on which a network takes some ten times as long."""
    return lambda dataset: settings if dataset == "tiny-imagenet" else {}


MEASUREMENTS = {
    "selectivity": Measurement(
        selectivity,
        "class selectivity index of every unit, and which units are dead",
        SELECTIVITY_TABLE,
        about=UNITS,
    ),
    "class_means": Measurement(
        class_means,
        "class-conditional mean activation of every unit",
        CLASS_MEANS_TABLE,
        about=UNITS,
    ),
    "corruption": Measurement(
        corruption,
        "right answers under every corruption and severity, by class; on the first `limit` images",
        CORRUPTION_TABLE,
        {"limit": 2000},
        columns=with_corrupted,
        shown=_of_tiny_imagenet(limit=1000),
        about=("corruption", "severity"),
        cells=corruption_cells,
    ),
    "saved_corruption": Measurement(
        saved_corruption,
        "right answers under every corruption and severity, by class, each picture saved as JPEG of a "
        "`quality`, as in Tiny ImageNet-C; on the first `limit` images",
        CORRUPTION_TABLE,
        {"limit": 2000, "quality": QUALITY},
        columns=with_saved,
        shown=_of_tiny_imagenet(limit=1000),
        about=("corruption", "severity"),
        cells=corruption_cells,
    ),
    "corruption_examples": Measurement(
        corruption_examples,
        "one image under every corruption, and what the network takes it for",
        EXAMPLES_TABLE,
        {"image": 1, "severity": 3},
        about=("corruption",),
        cells=example_cells,
    ),
    "attack": Measurement(
        attack,
        "right answers under FGSM and PGD, white box, by strength and class; on the first `limit` images",
        ATTACK_TABLE,
        {"limit": 1000, "precision": "bfloat16"},
        columns=with_attacked,
        shown=_of_tiny_imagenet(limit=500),
        about=ATTACKED,
        cells=attack_cells,
    ),
    "transfer": Measurement(
        transfer,
        "right answers on images made against α = 0 networks of other seeds",
        TRANSFER_TABLE,
        {"limit": 1000, "precision": "bfloat16", "sources": [0, 1]},
        sources=sources,
        columns=with_transferred,
        about=SENT,
        cells=transfer_cells,
    ),
    "autoattack": Measurement(
        autoattack,
        "images that survive AutoAttack, part by part",
        AUTOATTACK_TABLE,
        {"limit": 200, "epsilon": 1 / 255, "seed": 0},
        columns=with_autoattack,
        shown=lambda dataset: {"epsilon": strengths_for(dataset).ball},
        about=("part", "epsilon"),
        cells=autoattack_cells,
    ),
    "image_attack": Measurement(
        per_image.image_attack,
        "right or wrong for each image under FGSM and PGD, white box, by strength; FGSM on the first `wide` "
        "images, PGD on the first `limit`",
        per_image.ATTACK_TABLE,
        {"wide": 0, "limit": 2000, "precision": "bfloat16"},
        shown=_of_tiny_imagenet(limit=50),  # FGSM on all images; PGD has the table `attack`,
        about=ATTACKED,
        cells=per_image.image_attack_cells,
    ),
    "image_corruption": Measurement(
        per_image.image_corruption,
        "right or wrong for each image under every corruption and severity; on the first `limit` images",
        per_image.CORRUPTION_TABLE,
        {"limit": 2000},
        about=("corruption", "severity"),
        cells=corruption_cells,
    ),
    "image_transfer": Measurement(
        per_image.image_transfer,
        "right or wrong for each image that was made against α = 0 networks of other seeds",
        per_image.TRANSFER_TABLE,
        {"limit": 0, "precision": "bfloat16", "epsilon": 4 / 255, "sources": [0, 1, 2]},
        sources=per_image.sources,
        about=SENT,
        cells=per_image.image_transfer_cells,
    ),
    "logits": Measurement(
        logits,
        "answers to FGSM, PGD, margin PGD and Temperature-PGD, image by image; on the first `limit` images",
        LOGITS_TABLE,
        {"limit": 2000, "epsilon": 8 / 255, "steps": 20, "restarts": 1, "seed": 0},
        about=("attack", "inverse_temperature"),
    ),
    "logit_bias": Measurement(
        logit_bias,
        "right answers by class with a logit bias tuned on other images, under PGD that knows it; on the "
        "first `limit` images",
        LOGIT_BIAS_TABLE,
        {"limit": 2000, "epsilon": 8 / 255, "steps": 20, "seed": 0},
        about=("half", "tuned", "attack"),
    ),
    "pgd_radii": Measurement(
        pgd_radii,
        "right answers by class under PGD as in `logits`, at several radii; on the first `limit` images",
        PGD_RADII_TABLE,
        {"limit": 2000, "epsilons": list(RADII), "steps": 20, "seed": 0},
        about=("epsilon",),
    ),
    "imagenet_a": Measurement(
        imagenet_a,
        "right answers on ImageNet-A's photographs by class, over all logits and among the shared classes",
        IMAGENET_A_TABLE,
        datasets=("tiny-imagenet",),
        about=(),
    ),
    "jacobian": Measurement(
        jacobian,
        "norm of the input-output Jacobian of every image, its margin and confidence",
        JACOBIAN_TABLE,
        {"limit": 1000},
        columns=with_jacobian,
        about=("image",),
    ),
    "gradient": Measurement(
        gradient,
        "mean and deviation over images of every unit's input-unit gradient",
        GRADIENT_TABLE,
        {"limit": 200, "precision": "bfloat16"},
        columns=with_gradients,
        about=UNITS,
    ),
    "dimensionality": Measurement(
        dimensionality,
        "dimensions of every layer's activations, and of the change that corruptions and PGD make in them",
        DIMENSIONALITY_TABLE,
        {"limit": 500, "precision": "bfloat16"},
        columns=with_dimensions,
        about=("change", "corruption", "severity", "layer", "images"),
        cells=dimensionality_cells,
    ),
    "weight_angles": Measurement(
        purification.weight_angles,
        "angles of every filter to its first weights, to those before this training, to those of another "
        "seed, and to the others",
        purification.WEIGHT_ANGLES_TABLE,
        sources=purification.reference_and_independent,
        about=("convolution", "filter"),
    ),
    "low_rank": Measurement(
        purification.low_rank,
        "right answers with the strongest directions of the weights' change alone, clean and under PGD",
        purification.LOW_RANK_TABLE,
        {"limit": 500, "ranks": [0, 1, 2, 4, 8, 16], "epsilon": 8 / 255, "steps": 10},
        sources=purification.references,
        about=("rank",),
        cells=purification.low_rank_cells,
    ),
    "perturbation": Measurement(
        purification.perturbation,
        "sparsity, dimension and frequency of PGD's perturbations of one length, beside noise",
        purification.PERTURBATION_TABLE,
        {"limit": 1000, "coded": 50, "radius": 0.5, "steps": 20, "variant": purification.PURIFIED},
        sources=purification.purified_and_reference,
        about=("dictionary",),
    ),
    "alignment": Measurement(
        purification.alignment,
        "whether the weights have changed as adversarial training changes them",
        purification.ALIGNMENT_TABLE,
        {"variant": purification.PURIFIED},
        sources=purification.purified_and_reference,
        about=("convolution",),
    ),
    "reconstruction": Measurement(
        purification.reconstruction,
        "how few shifted first filters images are rebuilt from, beside filters of no network",
        purification.RECONSTRUCTION_TABLE,
        {"limit": 20, "residual": 0.1, "steps": 40},
        about=("dictionary",),
    ),
    "pictures": Measurement(
        purification.look,
        "first filters, images that excite units most, and PGD's perturbations, as pictures",
        purification.PICTURES_TABLE,
        {
            "units": [0, 1, 2, 3],
            "rounds": 10,
            "steps": 200,
            "limit": 6,
            "radius": 0.5,
            "attack_steps": 20,
        },
        about=("kind", "relu", "place"),
    ),
    "certificate": Measurement(
        certificate,
        "right, right under PGD, or certified, for each image and radius: interval bounds on the first "
        "`limit` images, PGD on the first `attacked`, linear bounds on the first `linear`",
        CERTIFICATE_TABLE,
        # linear bounds of cnn-small take some seconds per image and radius on a CPU core
        {
            "epsilons": list(EPSILONS),
            "limit": 0,
            "attacked": 1000,
            "linear": 0,
            "rule": "fastlin",
            "seed": 0,
        },
        about=("method", "epsilon"),
    ),
    "certified_radius": Measurement(
        certified_radius,
        "radius up to which interval bounds certify each image; on the first `limit` images",
        CERTIFIED_RADIUS_TABLE,
        {"limit": 0, "parts": 256},
        about=(),  # a row is told by its place, that of the image in the split
    ),
    "half_width": Measurement(
        half_width,
        "interval bounds of every unit, and how far SingleProp's half-width is from them",
        HALF_WIDTH_TABLE,
        {"epsilon": 2 / 255, "limit": 500},
        about=UNITS,
    ),
}
