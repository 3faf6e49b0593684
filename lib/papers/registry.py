"""All claims of all papers. The ledger is the main paper's; a companion's chapters show its own."""

from __future__ import annotations

import pandas as pd

from lib.base.errors import unknown
from lib.papers import classwise, purification, purification_images, singleprop
from lib.papers.claim import Claim
from lib.papers.ledger import CAUTIONS, OURS
from lib.papers.selectivity import CLAIMS, SURVIVES


def claim(identifier: str) -> Claim:
    """A claim by its id, of any paper.

    Raises:
        InputError: For an id that no claim has.
    """
    companions = (purification, purification_images, classwise, singleprop)
    every = (*CLAIMS, OURS, *(one for paper in companions for one in paper.CLAIMS))
    by_id = {one.id: one for one in reversed(every)}  # of two with one id, the first
    if identifier not in by_id:
        raise unknown("claim", identifier, by_id)
    return by_id[identifier]


def written() -> pd.DataFrame:
    """One row per claim, our own question last: id, statistic, when its rule was written and what was known
    then; for claims without a statistic, what is missing.
    """
    every = {one.id: one for one in (*CLAIMS, *SURVIVES)}.values()
    return pd.DataFrame([
        {"id": one.id, "statistic": one.rule or "none", "rule written": one.written or f"not: {one.lacks}"}
        for one in every
    ])


def cautions() -> pd.DataFrame:
    """One row per claim and round with a caution: id, round, and what a verdict on the claim does not say."""
    second = [{"": name, "round": "second", "to be read with care": said} for name, said in CAUTIONS.items()]
    first = [
        {"": one.id, "round": "first", "to be read with care": one.caution} for one in CLAIMS if one.caution
    ]
    return pd.DataFrame(second + first)
