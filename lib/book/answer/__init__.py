"""The answer in words: the key points of a chapter, the sentences that open the book, and its conclusion."""

from lib.book.answer.conclusion import CONCLUDED, conclusion, counted, verdicts
from lib.book.answer.key_points import INTERVALS, MOST_PARTS, key_points, marked, unmeasured, whence
from lib.book.answer.opening import opening, spread
from lib.book.answer.trade_off import AVERAGE, WORST, how_sure, lead, sentences, so_far

__all__ = [
    "AVERAGE",
    "CONCLUDED",
    "INTERVALS",
    "MOST_PARTS",
    "WORST",
    "conclusion",
    "counted",
    "how_sure",
    "key_points",
    "lead",
    "marked",
    "opening",
    "sentences",
    "so_far",
    "spread",
    "unmeasured",
    "verdicts",
    "whence",
]
