"""The paper's claims as data, and the first round's statistic of each; `lib.papers.first_round` decides by
them, `lib.papers.second_round` by the rules written after it.
"""

from __future__ import annotations

from functools import partial

from lib.papers import first_statistics as first
from lib.papers.claim import Claim
from lib.papers.resnet18 import FGSM, RESNET18_TINY_IMAGENET

WRITTEN_FIRST = "2026-11-21, when of the CIFAR-10 networks only that of α = 0 had been trained"

WRITTEN_CORRUPTED = (
    "2026-11-21, when one network had been measured on corrupted images: digits, α = 0, seed 0"
)

WRITTEN_VARIANTS = "2026-11-21, before the first network trained with AugMix or PGD was finished"

WRITTEN_ATTACKED = (
    "2026-11-21, when five networks had been attacked on some images; revised that "
    "day, when α = −2 and 0 of CIFAR-10, seed 0, had been seen whole"
)

WRITTEN_INSIDE = (
    "2026-11-21, when the code had been tried on a few images of three networks (digits, "
    "α = 0; CIFAR-10, α = 0 and 2), and no table had been made"
)

CLAIMS = (
    Claim(
        "LM-1",
        "α controls mean selectivity monotonically",
        "established",
        "ResNet18 on Tiny ImageNet: mean selectivity 0.154 at α = −2, 0.348 at 0, 0.879 at 2, rising "
        "throughout (digitised)",
        "smallest rise of mean selectivity between neighbouring α",
        "",
        first.smallest_step,
        written=WRITTEN_FIRST,
        shown=("02-approach", "fig-selectivity"),
    ),
    Claim(
        "LM-2",
        "clean accuracy survives low selectivity and suffers from high",
        "established",
        "ResNet20: selectivity can be cut 2.5 times at no loss, near 0 costs about 2 % (companion "
        "paper); suffers far more from high (recalled)",
        "clean accuracy at the lowest α minus that at the highest",
        "points",
        first.low_over_high,
        written=WRITTEN_FIRST,
        shown=("02-approach", "fig-accuracy"),
        caution="reads the two ends alone: a collapse at the high end is enough, whether low "
        "selectivity spares accuracy or not",
    ),
    Claim(
        "LM-3",
        "lower selectivity improves accuracy on corrupted images",
        "recalled",
        "ResNet18 on Tiny ImageNet-C: 13.8 % at α = 0, 17.3 % at α = −2 (recalled); differences of at "
        "most about 3 % (established)",
        "mean accuracy on corrupted images at the lowest α minus that at α = 0",
        "points",
        first.corrupted_gain,
        needs="corrupted_accuracy",
        written=WRITTEN_CORRUPTED,
        shown=("03-average-case", "fig-corrupted"),
    ),
    Claim(
        "LM-4",
        "the gain on corrupted images holds corruption by corruption",
        "recalled",
        "ResNet20: 14 of 19, ResNet18: 15 of 15 (recalled); ResNet50: 14 of 15 (established)",
        "number of corruptions on which the lowest α beats α = 0, minus half of all",
        "",
        first.improved_corruptions,
        needs="corrupted_accuracy",
        written=WRITTEN_CORRUPTED,
        shown=("03-average-case", "fig-by-corruption"),
    ),
    Claim(
        "LM-5",
        "LM-3 is not explained by clean accuracy",
        "recalled",
        "the gain of ResNet20 is larger after normalising",
        "corrupted over clean accuracy at the lowest α minus that at α = 0",
        "points",
        first.relative_gain,
        needs="relative_accuracy",
        written=WRITTEN_CORRUPTED,
        shown=("03-average-case", "fig-corrupted-clean"),
        caution="divides by clean accuracy: where LM-3 does not hold, there is no gain for it to explain",
    ),
    Claim(
        "LM-6",
        "AugMix lowers mean selectivity",
        "established",
        "like α between −0.1 and −0.2",
        "mean selectivity of the plain network minus that of the AugMix network",
        "",
        first.augmix_lowers,
        ("plain", "augmix"),
        written=WRITTEN_VARIANTS,
        shown=("11-other-way-round", "fig-augmix"),
    ),
    Claim(
        "LM-7",
        "higher selectivity resists FGSM better; the clean ordering reverses by ε ≤ 0.002",
        "established",
        "ResNet18 at ε = 0.002: 28.9 % (α = 2), 27.2 % (0), 22.9 % (−2)",
        "accuracy under FGSM at ε = 0.002: its rises, from low α to 0 and from 0 to high α; and the "
        "fall of clean accuracy from low to high α",
        "points",
        first.resists_fgsm,
        needs="fgsm_accuracy",
        written=WRITTEN_ATTACKED,
        shown=("04-worst-case", "fig-strength"),
        caution="a rise under attack may have been there before it; clean accuracy is that of the "
        "whole test set, accuracy under attack of its first images",
    ),
    Claim(
        "LM-8",
        "the same ordering under PGD and in other networks",
        "established for ResNet50, recalled for ResNet20",
        "ResNet20 agrees except at α = 0.7 and 1, whose clean accuracy is poor (recalled)",
        "accuracy under PGD, 40 steps of 0.0001: its rises, from low α to 0 and from 0 to high α",
        "points",
        partial(first.resists, column="pgd_accuracy"),
        needs="pgd_accuracy",
        written=WRITTEN_ATTACKED,
        shown=("04-worst-case", "fig-strength"),
    ),
    Claim(
        "LM-9",
        "the effect is not gradient masking: attacks made on α = 0 networks agree",
        "recalled",
        "networks of high selectivity are still less vulnerable at high intensity (recalled)",
        "accuracy on PGD images of radius 8/255 made against α = 0: its rises, from low α to 0 and "
        "from 0 to high α",
        "points",
        partial(first.resists, column="transfer_accuracy"),
        needs="transfer_accuracy",
        written=WRITTEN_ATTACKED,
        shown=("04-worst-case", "fig-transfer"),
        caution="decided at one large radius, where networks without a defence classify next to "
        "nothing correctly: some tenths of a point are a few images",
    ),
    Claim(
        "LM-10",
        "networks of low selectivity are less stable: the input-output Jacobian norm falls as α rises",
        "established; that it is measured by this norm is recalled",
        "direction only",
        "mean log10 norm: its falls, from the lowest α to 0 and from 0 to the highest",
        "",
        partial(first.falls, column="log_jacobian"),
        needs="log_jacobian",
        written=WRITTEN_ATTACKED,
        shown=("04-worst-case", "fig-jacobian"),
    ),
    Claim(
        "LM-11",
        "accuracy on ImageNet-A does not depend on α",
        "established",
        "flat, ResNet18 and ResNet50",
        lacks="needs networks trained on Tiny ImageNet and the photographs of ImageNet-A, which are not here",
    ),
    Claim(
        "LM-12",
        "PGD training raises mean selectivity in proportion to its strength",
        "established",
        "monotone once dead units are left out; in ResNet20 they reduce the raw effect",
        "smallest rise of mean selectivity over live units between neighbouring strengths, plain "
        "training first",
        "",
        first.smallest_strength_step,
        ("plain", "pgd"),
        written=WRITTEN_VARIANTS,
        shown=("11-other-way-round", "fig-pgd-steps"),
    ),
    Claim(
        "LM-13",
        "the variability of input-unit gradients over samples rises with selectivity",
        "recalled",
        "direction only, both networks (recalled)",
        "mean over layers of the coefficient of variation over images: its rises, from the lowest α "
        "to 0 and from 0 to the highest",
        "",
        partial(first.rises, column="cv_samples"),
        needs="cv_samples",
        written=WRITTEN_INSIDE,
        shown=("05-gradients", "fig-gradients"),
    ),
    Claim(
        "LM-14",
        "the variability of input-unit gradients over units rises with selectivity, less in late layers",
        "recalled; that the curves converge with depth is established",
        "direction only; that late layers differ less is said of ResNet18",
        "mean over layers of the coefficient of variation over units: its rises, from the lowest α to "
        "0 and from 0 to the highest; and the rise between "
        "these two in early layers minus that in late ones",
        "",
        first.varies_more_over_units,
        needs="cv_units",
        written=WRITTEN_INSIDE,
        shown=("05-gradients", "fig-gradients"),
    ),
    Claim(
        "LM-15",
        "the dimensionality of early layers falls as selectivity rises",
        "established; that ResNet20 shows it in all layers is recalled",
        "direction only; ResNet18: layers up to the 9th (recalled)",
        "principal components for 95 % of the variance over units, mean over early layers: its falls, "
        "from the lowest α to 0 and from 0 to the highest",
        "% of units",
        partial(first.falls, column="dimension_clean", scale=100),
        needs="dimension_clean",
        written=WRITTEN_INSIDE,
        shown=("06-dimensionality", "fig-dimensions"),
    ),
    Claim(
        "LM-16",
        "the dimensionality of the change a perturbation makes falls as selectivity rises, "
        "and more than that of LM-15",
        "established",
        "direction only",
        "the same of the changes, for corruptions (mean of all) and for PGD: their falls, from the "
        "lowest α to 0 and from 0 to the highest; and how much more "
        "they fall between these two than that of the clean activations of the same images",
        "% of units",
        first.changes_fall,
        needs="dimension_attack",
        written=WRITTEN_INSIDE,
        shown=("06-dimensionality", "fig-dimensions"),
    ),
    Claim(
        "LM-17",
        "that change has more dimensions for attacks than for corruptions, in early layers",
        "established",
        "direction only",
        "the same for PGD minus for corruptions, at the lowest α, at 0 and at the highest",
        "% of units",
        first.attacks_beyond_corruptions,
        needs="dimension_attack",
        written=WRITTEN_INSIDE,
        shown=("06-dimensionality", "fig-changes-both"),
    ),
    Claim(
        "LM-18",
        "intrinsic dimension (TwoNN) agrees; both kinds of change have more dimensions than "
        "the clean representation",
        "established",
        "direction only",
        "TwoNN, mean over early layers: its fall from the lowest α to the highest, for clean "
        "activations and both changes; and at α = 0, PGD minus corruptions "
        "and each change minus clean",
        "dimensions",
        first.twonn_agrees,
        needs="twonn_attack",
        written=WRITTEN_INSIDE,
        shown=("06-dimensionality", "fig-twonn"),
    ),
    Claim(
        "LM-19",
        "ResNet20 gains dead units as α grows",
        "established",
        "companion paper, direction only; ResNet18 has about none",
        "share of dead units at the highest α minus that at α = 0",
        "points",
        first.dead_gain,
        written=WRITTEN_FIRST,
        shown=("02-approach", "fig-dead"),
    ),
)

# What the paper did not ask, decided by the same rule: does LM-8 survive attacks that do not depend on how
# sure of itself a network is (LM-X2)?
SURVIVES = tuple(
    Claim(
        "LM-X2",
        f"the ordering of LM-8 under {name}",
        "ours",
        "",
        "accuracy under it, at the radius that stands for the data set: its rises, from low α to 0 "
        "and from 0 to high α",
        "points",
        partial(first.resists, column=column),
        needs=column,
        written=WRITTEN_ATTACKED,
        shown=("04-worst-case", "fig-survival"),
    )
    for name, column in {
        "PGD on the cross-entropy": "ball_cross_entropy",
        "PGD on the margin": "ball_margin",
        "Temperature-PGD": "ball_temperature",
        "the strongest of the three": "ball_worst",
        "the strongest of the three, over clean accuracy": "relative_worst",
        "AutoAttack": "autoattack_accuracy",
    }.items()
)

# Published numbers that stand on the axis of a part of the second round: {(claim, part): (number, whose)}.
# Those of ResNet18 on Tiny ImageNet are another network's on other images; its accuracies are the middle of
# lowest and highest.
_BY_ALPHA = RESNET18_TINY_IMAGENET.set_index("alpha")
_MIDDLE = (_BY_ALPHA.lowest_accuracy + _BY_ALPHA.highest_accuracy) / 2
_FGSM = FGSM.set_index(["epsilon", "alpha"]).accuracy
_ELSEWHERE = "ResNet18 on Tiny ImageNet"
PUBLISHED = {
    ("LM-1", "smallest step"): (
        round(float(_BY_ALPHA.selectivity[[-2.0, -1.0, 0.0, 0.2, 0.4, 1.0]].diff().min()), 3),
        f"{_ELSEWHERE} (digitised)",
    ),
    ("LM-2", "low end"): (
        1.0,
        "ResNet20: no loss where selectivity is cut 2.5 times (established), which is 1 here",
    ),
    ("LM-2", "high end"): (round(float(_MIDDLE[0.0] - _MIDDLE[1.0]), 2), f"{_ELSEWHERE} (digitised)"),
    ("LM-3", "lowering"): (3.5, f"{_ELSEWHERE}-C, from −2 to 0 (recalled)"),
    ("LM-4", "lowering"): (round(14 / 19 - 0.5, 3), "ResNet20: 14 of 19 (recalled)"),
    ("LM-7", "lowering"): (
        round(float(_FGSM[0.004, 0.0] - _FGSM[0.004, -2.0]), 1),
        f"{_ELSEWHERE}, ε = 0.004, from −2 to 0 (established)",
    ),
}
