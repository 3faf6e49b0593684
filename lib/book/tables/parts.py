"""Ledgers of claims for reading."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd


def by_part(ledger: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """A ledger of claims for reading: one row per part of a claim, its other cells on its first row alone.

    Args:
        ledger: Rows with the column `ours`, in which parts stand with semicolons between them.
        columns: Those that are kept, in order; `ours` among them.
    """
    rows = ledger.assign(ours=ledger.ours.str.split(r";\s+", regex=True)).explode("ours")
    more = rows.index.duplicated()
    others = [name for name in columns if name != "ours"]
    rows.loc[more, others] = ""
    return rows[list(columns)].reset_index(drop=True)
