"""How sure we are that the paper trained its networks with these settings."""

# for each setting: established (read in the authors' words, or in the code base they name), recalled, or our
# choice
CERTAINTY = {
    "optimiser": "recalled; established default of the ResNet20 code base",
    "epochs": "recalled",
    "minibatch": "recalled; the ResNet20 code base has 128",
    "learning rate": "recalled; milestones 100 and 150 established in the ResNet20 code base",
    "validation": "recalled: 10 % of the training images, drawn by the seed; stratified by class is "
    "our choice",
    "checkpoint": "recalled",
    "augmentation": "choice; for CIFAR-10 that of the ResNet20 code base, established there",
    "normalisation": "choice; established in the ResNet20 code base, ImageNet's statistics even for CIFAR-10",
    "network": "recalled: the ResNet20 code base, whose option-A shortcuts and Kaiming-normal weights "
    "are established there",
    "units": "recalled: every ReLU layer, averaged over space; that logits are left out is established",
    "index": "established; the value of ε is recalled",
    "last incomplete minibatch": "choice: left out",
    "size of images": "choice: fewer pixels in the first epochs cost less time, and all that is "
    "measured is measured at full size",
    "selectivity term": "choice: a minibatch this small has one image of a class or none, and its term would "
    "be biased upwards",
    "weights": "choice: matrices rounded to float16 before anything is measured, so that the stored "
    "network is the measured one",
}

FAST = "choice: the fast recipe is ours, in place of the paper's, for machines without a GPU"
