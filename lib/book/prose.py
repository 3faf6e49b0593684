"""Numbers and phrases that the chapters put into their sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from lib.base.text import machines as text_machines
from lib.base.text import number as text_number


def glue(name: str, words: str) -> None:
    """Keep words under a name for the text of the chapter, in the output of the cell that calls it; it shows
    nothing.
    """
    import myst_nb

    myst_nb.glue(name, words, display=False)


def number(value: float, form: str = ".3f") -> str:
    """Format a number for prose, with a true minus sign; NaN stands for networks that a chapter was not asked
    to show.
    """
    return "(not shown here)" if pd.isna(value) else text_number(value, form)


def numbers_at(places: Mapping[str, float], *tables: tuple[pd.DataFrame, str]) -> Iterator[tuple[str, str]]:
    """What a chapter glues about some values of α.

    Args:
        places: {name: α}; each α is glued as `name`.
        tables: Pairs of a table with one row per α and a format; a column is glued as `name-column`, and as
            NaN where the table has no row for an α.

    Yields:
        Pairs (name, words), one per α, and one per α and column of each table.
    """
    for name, alpha in places.items():
        yield name, number(alpha, "g")
        for rows, form in tables:
            yield from (
                (f"{name}-{column}", number(rows[column].get(alpha, float("nan")), form)) for column in rows
            )


def machines(summary: pd.DataFrame) -> str:
    """The machines on which the networks of a `runs.summary` table were trained, in words."""
    return text_machines(summary.device.dropna())


def between(counts: pd.Series) -> str:
    """Whole numbers in words: "2", or "2 to 3" where they differ."""
    least, most = int(counts.min()), int(counts.max())
    return f"{least}" if least == most else f"{least} to {most}"


def rising(values: pd.Series) -> str:
    """Whether values rise from each to the next, in words."""
    if len(values) < 2:
        return "with nothing to compare it with"
    return "rising at every step" if (values.diff().iloc[1:] > 0).all() else "not rising at every step"


def change_by_layer(units: pd.DataFrame, variant: str) -> str:
    """How the selectivity of a variant's live units differs from the plain network's, layer by layer, in
    words; means over seeds.

    Args:
        units: `selectivity` table of networks of one alpha.
    """
    means = (
        units[~units.dead]
        .groupby(["variant", "depth"])
        .selectivity.mean()
        .unstack("variant")
        .reindex(columns=["plain", variant])
    )
    change = (means[variant] - means.plain).dropna()
    if change.empty or variant == "plain":
        return "no other network is shown here"
    most = change.abs().idxmax()
    return (
        f"lower in {(change < 0).sum()} of {len(change)} layers; the largest difference is "
        f"{number(change[most], '+.3f')}, in layer {most}"
    )


def verdicts(ledger: pd.DataFrame) -> str:
    """What a ledger says: a point of a list for each verdict that occurs, and one below it for each claim.

    Args:
        ledger: Result of `first_round.table`.
    """
    order = ("reproduced", "not reproduced", "inconclusive", "not tested")
    lines = []
    for verdict in (one for one in order if one in set(ledger.verdict)):
        rows = ledger[ledger.verdict == verdict]
        lines.append(f"- *{verdict}*:")
        lines += [f"  - {row.claim} ({row.id})" for row in rows.itertuples()]
    return "\n".join(lines)


def came_out(ledger: pd.DataFrame) -> str:
    """How claims came out, in words.

    Args:
        ledger: The claims, with the column verdict.
    """
    given = ledger.verdict.value_counts()
    yes, no = (int(given.get(name, 0)) for name in ("reproduced", "not reproduced"))
    return (
        f"of {len(ledger)} claims {yes or 'none'} {'is' if yes == 1 else 'are'} reproduced and "
        f"{no or 'none'} {'is' if no < 2 else 'are'} not; the others are open"
    )


def of_digits(ledger: pd.DataFrame, chapter: str) -> str:
    """What the small networks of the digits say, in a chapter that is about others.

    Args:
        ledger: Their claims, with the column verdict.
        chapter: Name of the chapter, as it is rerun.
    """
    command = f"make rerun CHAPTER={chapter} DATASET=digits"
    return f"On small networks of the digits, {came_out(ledger)}. Their figures: `{command}`."


def of_whose_images(dataset: str, sweep: str) -> str:
    """Under the findings of a companion paper's chapter: whether they are about the paper's images.

    Args:
        dataset: That of the chapter's networks.
        sweep: Name of the sweep that makes them on CIFAR-10.
    """
    if dataset == "digits":
        return (
            "**A first look, on the digits.** These are small networks of digits of 8 by 8 pixels, and the "
            "verdicts here are about them alone. The paper's are of CIFAR-10, which take hours to train: "
            f"`python -m lib sweep sweeps/{sweep}.yml` makes them."
        )
    return "The networks are of CIFAR-10, as the paper's." if dataset == "cifar10" else f"On {dataset}."
