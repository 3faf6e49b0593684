"""What the papers say: claims, published numbers, the statistics that test them, and the verdicts."""

from lib.papers.claim import LEAST_SEEDS, RULE, VERDICTS, Claim
from lib.papers.registry import cautions, claim, written
from lib.papers.selectivity import CLAIMS, SURVIVES

__all__ = ["CLAIMS", "Claim", "LEAST_SEEDS", "RULE", "SURVIVES", "VERDICTS", "cautions", "claim", "written"]
