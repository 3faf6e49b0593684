"""At which strengths of attacks a data set is shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Strengths:
    """Reference strengths of a data set, for figures and claims that need a single number."""

    fgsm: float  # epsilon
    curve: str  # name of the PGD curve
    steps: int  # number of its steps
    ball: float  # radius of AutoAttack and of the PGD attacks that are compared with each other
    transfer: float  # radius of the transferred PGD images


# It is established that the paper's ordering has turned at FGSM's 0.002; PGD's step of 1e-4 is recalled; that
# 40 steps count, and everything else, is our choice.
USUAL = Strengths(fgsm=0.002, curve="pgd", steps=40, ball=1 / 255, transfer=8 / 255)

# margins are larger here, so nothing smaller shows
STRENGTHS = {"digits": Strengths(fgsm=8 / 255, curve="pgd-coarse", steps=5, ball=4 / 255, transfer=16 / 255)}


def strengths_for(dataset: str) -> Strengths:
    """Reference strengths of a data set, larger if its margins are larger."""
    return STRENGTHS.get(dataset, USUAL)
