"""At which strengths of attacks a data set is shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Strengths:
    """The strengths that stand for a data set where one number has to."""

    fgsm: float  # epsilon
    curve: str  # which PGD curve
    steps: int  # of it
    ball: float  # radius of the PGD attacks that are compared with each other, and of AutoAttack
    transfer: float  # radius of the PGD images made against other networks

# FGSM's 0.002 is established as where the paper's ordering has turned, PGD's step of 1e-4 is recalled; that 40 of them count, and all else, is ours.
USUAL = Strengths(fgsm=0.002, curve="pgd", steps=40, ball=1 / 255, transfer=8 / 255)

STRENGTHS = {"digits": Strengths(fgsm=8 / 255, curve="pgd-coarse", steps=5, ball=4 / 255, transfer=16 / 255)}  # larger margins: nothing else shows

def strengths_for(dataset: str) -> Strengths:
    """Those of a data set; larger ones where its margins are larger."""
    return STRENGTHS.get(dataset, USUAL)
