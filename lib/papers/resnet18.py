"""What is published of ResNet18 on Tiny ImageNet, the network of the paper's main text, in numbers."""

import pandas as pd

# Leavitt & Morcos 2020, companion paper, ResNet18 on Tiny ImageNet, clean test set, 20 seeds per alpha.
# Digitised from the author's figure: reading error about 0.005 in selectivity, 0.1 points in accuracy (lowest
# and highest seed). Values that overlap in the figure are left out.
RESNET18_TINY_IMAGENET = pd.DataFrame(
    [
        (-2.0, 0.154, 52.5, 53.8),
        (-1.0, 0.222, 53.1, 54.1),
        (-0.7, 0.249, 52.5, 54.2),
        (0.0, 0.348, 50.9, 52.4),
        (0.1, 0.394, 50.2, 51.4),
        (0.2, 0.461, 49.9, 51.0),
        (0.3, 0.529, 48.9, 50.4),
        (0.4, 0.582, 48.9, 50.1),
        (0.7, 0.703, 48.8, 50.0),
        (1.0, 0.777, 48.5, 50.5),
        (2.0, 0.879, 46.2, 47.8),
    ],
    columns=["alpha", "selectivity", "lowest_accuracy", "highest_accuracy"],
)

# Leavitt & Morcos 2020, FGSM, ResNet18 on Tiny ImageNet: accuracy in percent (established). At ε = 0, α = 2
# and −2 are the middle of what is read from a figure.
FGSM = pd.DataFrame(
    [
        (epsilon, alpha, accuracy)
        for epsilon, row in {
            0.0: (47.1, 51.57, 53.1),
            0.002: (28.9, 27.2, 22.9),
            0.004: (17.0, 13.6, 8.8),
            0.006: (10.1, 7.0, 3.4),
        }.items()
        for alpha, accuracy in zip((2.0, 0.0, -2.0), row, strict=True)
    ],
    columns=["epsilon", "alpha", "accuracy"],
)

# Leavitt & Morcos 2020: mean accuracy in percent over the 15 corruptions of Tiny ImageNet-C and their
# severities (recalled, and not vouched for).
CORRUPTED = pd.DataFrame([(-2.0, 17.3), (0.0, 13.8)], columns=["alpha", "accuracy"])
