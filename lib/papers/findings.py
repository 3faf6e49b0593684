"""What was found, in sentences: for each part of a claim, the words for a rise, a fall, no effect and none of
these, and the numbers of the round that decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lib.base.text import number
from lib.papers import first_round, second_round
from lib.papers.ledger import Entry, Row
from lib.papers.statistics import LEAST_SEEDS


@dataclass(frozen=True)
class Words:
    """How a part of a claim is told. `{size}` stands for the size of the change with its interval.

    Attributes:
        up: Where its number is above 0, which speaks for the paper.
        down: Where it is below 0.
        neither: Where its interval holds 0; the size then has a sign.
        unit: Unit of the size, with a blank or sign before it.
        turned: Whether that sign is the opposite of the number's, since the quantity falls where the number
            is above 0.
        small: Where the verdict is that there is no effect, with `{delta}` for the size below which an effect
            counts as none; "" for parts that have no such size.
        cause, quantity: What is changed and what that changes, where two causes of one quantity may be told
            in one sentence.
        level: (offset, factor), where readers are told a level in place of the number: offset + factor ·
            number.
        log10: Whether the number is a difference of logarithms, which is told as a change in percent.
    """

    up: str
    down: str
    neither: str
    unit: str = ""
    turned: bool = False
    small: str = ""
    cause: str = ""
    quantity: str = ""
    level: tuple[float, float] | None = None
    log10: bool = False


def _effect(cause: str, what: str, *, rises: bool, unit: str = " points") -> Words:
    """Words on a cause that changes a quantity.

    Args:
        rises: Whether a number above 0 says that the quantity rises.
    """
    up, down = ("raises", "lowers") if rises else ("lowers", "raises")
    return Words(
        f"{cause} {up} {what} by {{size}}",
        f"{cause} {down} {what} by {{size}}",
        f"{cause} does not clearly change {what}: {{size}}",
        unit,
        not rises,
        f"{cause} changes {what} by less than {{delta}}: {{size}}",
        cause,
        what,
    )


def _both(what: str, *, falls: bool, unit: str = " points", before: str = "") -> dict[str, Words]:
    """Words on both sides of a claim that says how a quantity changes as selectivity rises.

    Args:
        falls: Whether a number above 0 says that it falls as selectivity rises.
        before: Start of the parts' names.
    """
    return {
        f"{before}lowering": _effect("lowering selectivity", what, rises=falls, unit=unit),
        f"{before}raising": _effect("raising selectivity", what, rises=not falls, unit=unit),
    }


_UNITS, _TWONN = " % of the units", " dimensions"
_CLEAN = "the number of dimensions of early layers"
_CHANGED = "the number of dimensions of the change that {} make"
WORDS: dict[str, dict[str, Words]] = {
    "LM-1": {
        "smallest step": Words(
            "selectivity rises with α at every step, by {size} at least",
            "selectivity does not rise with α at every step: the smallest is {size}",
            "whether selectivity rises with α at every step is not clear: the smallest is {size}",
        )
    },
    "LM-2": {
        "low end": Words(
            "α = −1 costs less than a point of clean accuracy: {size}",
            "α = −1 costs more than a point of clean accuracy: {size}",
            "whether α = −1 costs more than a point of clean accuracy is not clear: it costs {size}",
            " points",
            level=(1.0, -1.0),
        ),
        "high end": Words(
            "α = 1 costs {size} of clean accuracy",
            "α = 1 gains {size} of clean accuracy",
            "whether α = 1 costs clean accuracy is not clear: the cost is {size}",
            " points",
        ),
    },
    "LM-3": _both("accuracy on corrupted images", falls=True),
    "LM-4": {
        "lowering": Words(
            "accuracy rises on most corruptions when selectivity is lowered: on {size} of them",
            "accuracy falls on most corruptions when selectivity is lowered: it rises on {size} of them",
            "whether accuracy rises on most corruptions when selectivity is lowered is not clear: it does on "
            "{size} of them",
            " %",
            small="accuracy rises on about half of the corruptions when selectivity is lowered, to less than "
            "{delta}: on {size} of them",
            level=(50.0, 100.0),
        )
    },
    "LM-5": {
        "over clean accuracy, lowering": _effect(
            "lowering selectivity", "corrupted over clean accuracy", rises=True
        )
    },
    "LM-6": {
        "AugMix": _effect("training on AugMix", "mean selectivity", rises=False, unit=""),
    },
    "LM-7": _both("accuracy under FGSM", falls=False),
    "LM-8": _both("accuracy under PGD", falls=False),
    "LM-9": {
        "transfer": Words(
            "networks of high selectivity withstand images made against others better, by {size}",
            "networks of high selectivity withstand images made against others worse, by {size}",
            "whether networks of high selectivity withstand images made against others better is not clear: "
            "{size}",
            " points",
            small="networks of high and of low selectivity withstand images made against others alike, to "
            "less than {delta}: {size}",
        )
    },
    "LM-10": {
        side: replace(words, log10=True)
        for side, words in _both("the Jacobian's norm", falls=True, unit=" %").items()
    },
    "LM-12": {
        "strength": _effect(
            "each stronger step of adversarial training", "mean selectivity", rises=True, unit=""
        )
    },
    "LM-13": _both("the variation of a unit's gradient over images", falls=False, unit=""),
    "LM-14": _both("the variation of gradients over units", falls=False, unit=""),
    "LM-15": _both(_CLEAN, falls=True, unit=_UNITS),
    "LM-16": {
        **_both(_CHANGED.format("corruptions"), falls=True, unit=_UNITS, before="corruptions, "),
        **_both(_CHANGED.format("attacks"), falls=True, unit=_UNITS, before="PGD, "),
    },
    "LM-17": {
        "PGD beyond corruptions": Words(
            "an attack's change has more dimensions than that of corruptions, by {size}",
            "an attack's change has fewer dimensions than that of corruptions, by {size}",
            "whether an attack's change has more dimensions than that of corruptions is not clear: {size}",
            _UNITS,
            small="an attack's change and that of corruptions have as many dimensions, to less than {delta}: "
            "{size}",
        )
    },
    "LM-18": {
        **_both("the intrinsic dimension (TwoNN) of early layers", falls=True, unit=_TWONN, before="clean, "),
        **{
            f"{name} beyond clean": Words(
                f"by TwoNN the change that {makes} has more dimensions than the activations, by {{size}}",
                f"by TwoNN the change that {makes} has fewer dimensions than the activations, by {{size}}",
                f"whether, by TwoNN, the change that {makes} has more dimensions than the activations is not "
                "clear: {size}",
                _TWONN,
                small=f"by TwoNN the change that {makes} has as many dimensions as the activations, to less "
                "than {delta}: {size}",
            )
            for name, makes in (("corruptions", "corruptions make"), ("PGD", "PGD makes"))
        },
    },
    "LM-19": {
        "dead units": Words(
            "α = 1 adds {size} of dead units",
            "α = 1 takes away {size} of dead units",
            "whether α = 1 adds dead units is not clear: {size}",
            " points",
            small="α = 1 changes dead units by less than {delta}: {size}",
        )
    },
    "LM-X2": _both(
        "accuracy under the strongest of three attacks", falls=False, before="strongest of three, "
    ),
}


@dataclass(frozen=True)
class Finding:
    """What is said on a part.

    Attributes:
        sentence: Words without a capital or a full stop.
        round: "second" or "first": the round whose numbers these are.
        clear: Whether the interval leaves out 0, or is so close to it that there is no effect.
        words, size: What the sentence is made of.
        speaks: 1 for the claim, -1 against it, 0 where that is open.
    """

    sentence: str
    round: str
    clear: bool
    words: Words
    size: str
    speaks: int


def _size(words: Words, middle: float, low: float, high: float, *, signed: bool) -> str:
    """Size of a change with its interval in words: without a sign where the verb says the direction."""
    if words.level:
        offset, factor = words.level
        low, middle, high = sorted(offset + factor * one for one in (low, middle, high))
        return f"{number(middle, '.2g')}{words.unit} ({number(low, '.2g')} to {number(high, '.2g')})"
    if (signed and words.turned) or (not signed and middle < 0):
        middle, low, high = -middle, -high, -low
    if words.log10:
        low, middle, high = (100 * (10**one - 1) for one in (low, middle, high))
    form = "+.2g" if signed else ".2g"
    return f"{number(middle, form)}{words.unit} ({number(low, form)} to {number(high, form)})"


def _told(words: Words, delta: float) -> float:
    """The size below which an effect counts as none, in the unit that readers are told."""
    if words.log10:
        return 100 * (10**delta - 1)
    return delta * abs(words.level[1]) if words.level else delta


def finding(row: Row, claim: str) -> Finding | None:
    """What a row of the ledger says: by the second round where that has an interval, else by the first where
    it measured the same. None where neither has an interval.

    Args:
        claim: Id of the row's claim.
    """
    words = WORDS.get(claim, {}).get(row.part.rule.name)
    if words is None:
        return None
    numbers: second_round.Part | first_round.Part = row.part
    which = "second"
    if row.part.seeds < LEAST_SEEDS and row.first is not None:
        numbers, which = row.first, "first"
    if math.isnan(numbers.low):
        return None
    clear, form = True, words.neither
    is_small = which == "second" and row.part.verdict == "no effect"
    if is_small:
        form = words.small
    elif numbers.low > 0:
        form = words.up
    elif numbers.high < 0:
        form = words.down
    else:
        clear = False
    size = _size(words, numbers.estimate, numbers.low, numbers.high, signed=is_small or not clear)
    delta = f"{number(_told(words, row.part.rule.delta or 0.0), '.3g')}{words.unit}"
    speaks = 0 if not clear else 1 if form == words.up else -1
    return Finding(form.format(size=size, delta=delta), which, clear, words, size, speaks)


def findings(entry: Entry) -> list[Finding]:
    """What the parts of a claim say, in their order, without those that say nothing."""
    return [one for row in entry.rows if (one := finding(row, entry.claim.id))]


def decides(entry: Entry) -> tuple[str, str]:
    """The round whose verdict on a claim the book gives first, "second" or "first", and the verdict."""
    if entry.verdict.seeds >= LEAST_SEEDS or not entry.first:
        return "second", entry.verdict.verdict
    return "first", entry.first_verdict


def _alike(one: Finding, other: Finding) -> bool:
    """Whether neither of two causes clearly changes the same quantity."""
    same = bool(one.words.quantity) and one.words.quantity == other.words.quantity
    return same and not (one.clear or other.clear) and one.round == other.round


def _neither(one: Finding, other: Finding) -> str:
    """Two findings that are alike, in one sentence: "neither lowering nor raising selectivity …"."""
    first, *rest = one.words.cause.split(" ")
    second, *same = other.words.cause.split(" ")
    assert rest == same, "causes of one quantity differ in their first word alone"
    causes = f"neither {first} nor {second} {' '.join(rest)}"
    return f"{causes} clearly changes {one.words.quantity}: {one.size} and {other.size}"


def capital(sentence: str) -> str:
    """A sentence with a capital at its start, where that is a Latin letter: α stays what it is.

    Example:
        >>> capital("α = 1 adds"), capital("selectivity rises")
        ('α = 1 adds', 'Selectivity rises')
    """
    return sentence[:1].upper() + sentence[1:] if sentence[:1].isascii() else sentence


def sentences(entry: Entry, *, unclear: bool = True) -> str:
    """The findings of a claim as sentences; "" where there are none.

    Args:
        unclear: Whether those that are not clear are told, too.
    """
    said: list[str] = []
    left, before = [one for one in findings(entry) if one.clear or unclear], ""
    while left:
        one = left.pop(0)
        if left and _alike(one, left[0]):
            said.append(_neither(one, left.pop(0)))
            continue
        quantity = one.words.quantity
        # the second of two sentences on one quantity does not name it again
        same = bool(quantity) and quantity == before
        said.append(one.sentence.replace(quantity, "it", 1) if same else one.sentence)
        before = quantity
    return " ".join(f"{capital(one)}." for one in said)
