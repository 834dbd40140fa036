"""Dates in the orders in which countries write them; pandas reads them, by one format for a column."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from codsa.errors import CodsaError, shortened

DATES = [
    "%d.%m.%Y", "%d.%m.%y", "%d. %m. %Y", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%Y", "%m-%d-%Y",
    "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d/%b/%Y", "%d %B %Y",
    "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%d%b%Y", "%Y-%m", "%m/%Y", "%m.%Y",
]  # fmt: skip
TIMES = ["", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", ", %H:%M:%S"]
LONGEST, TRIED = 40, 200
"""Longest cell that may be a date; cells that are tried before all. ISO dates are read without a format."""


def find(cells: Sequence[str]) -> list[str]:
    """Return the formats in which all of a column's cells are dates, the day first before the month first.

    Parameters
    ----------
    cells : sequence of str
        The distinct cells, blanks around them taken off.
    """
    if (
        not cells
        or max(map(len, cells)) > LONGEST
        or not all(cell[-1:].isalnum() or cell.endswith("日") for cell in cells)
    ):
        return []
    separators = set("./-: ,年") & set(cells[0])
    if not separators and not any(c.isalpha() for c in cells[0]):
        return []
    first = pd.Series(list(cells[:TRIED]), dtype="str")
    found = [date + time for time in TIMES for date in DATES if _suits(first[:1], date + time)]
    whole = pd.Series(list(cells), dtype="str")
    return [written for written in found if _suits(first, written) and _suits(whole, written)]


def _suits(cells: pd.Series, written: str) -> bool:
    return bool(pd.to_datetime(cells, format=written, errors="coerce").notna().all())


def dates(cells: pd.Series, written: str, name: str) -> pd.Series:
    """Return the dates of a column's cells, Series of datetime64; missing ones stay missing.

    Raises
    ------
    CodsaError
        For a format that is none, or a cell that is not written in it.
    """
    try:
        found = pd.to_datetime(cells.str.strip(), format=written, errors="coerce")
    except (ValueError, TypeError) as error:
        raise CodsaError(f"table: dates: column '{name}' = {shortened(repr(written))}: no format ({error})") from None
    wrong = (found.isna() & cells.notna()).to_numpy(dtype=bool)
    if wrong.any():
        row = int(wrong.argmax())
        raise CodsaError(
            f"column '{name}': {int(wrong.sum())} cells are no dates as '{written}'; the first is row {row}, "
            f"{shortened(repr(cells.iloc[row]))}: mend them, or say which are missing with --missing"
        )
    return found


def settled(formats: Sequence[str], cells: Sequence[str], day_first: bool) -> str:
    """Return the format of a column that several suit: the one in which every day is the first, else by `day_first`."""
    if len(formats) == 1:
        return formats[0]
    whole = pd.Series(list(cells), dtype="str")
    constant = [f for f in formats if (pd.to_datetime(whole, format=f).dt.day == 1).all()]
    if len(constant) == 1 and len(cells) > 2:
        return constant[0]
    return next((f for f in formats if f.startswith("%m") != day_first), formats[0])
