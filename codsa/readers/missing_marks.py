"""Cells that stand for a missing value: those that the user says, and those that are usual."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import pandas as pd

from codsa.data.whole_numbers import is_large
from codsa.io.yamls import parse_decimal

SIGNS = ["", "-", "--", "---", "–", "—", ".", "..", "...", "…"]
WORDS = [
    "n.a.", "n.a", "n. a.", "n/a", "n.d.", "n/d", "unknown", "not known", "not available", "not applicable", "missing",
    "k.a.", "k. a.", "keine angabe", "unbekannt", "inconnu", "non disponible", "desconocido", "sconosciuto", "onbekend",
    "okänd", "ukjent", "ukendt", "nieznany", "#n/a", "#null!", "#div/0!", "#value!", "#ref!", "#name?", "#num!",
]  # fmt: skip
"""Missing in every column, in small or capital letters."""
BESIDE_NUMBERS = [":", "*", "/", "nd", "n.c.", "nc", "s/d", "unk", "ukn", "null", "na", "tbd", "?"]
"""Missing where all other cells of a column are numbers or dates."""
EVERYWHERE = {*SIGNS, *WORDS}
SENTINELS = (-9, -99, -999, -9999, -99999)


def usual(cells: Collection[str], beside_numbers: bool) -> set[str]:
    """Return those of a column's distinct cells that usually stand for a missing value.

    Parameters
    ----------
    cells : collection of str
        Blanks around them taken off.
    beside_numbers : bool
        Whether the column may be one of numbers or dates, where more marks are usual. In other columns a sign is a
        level where others are signs, too (+ and -), and so is a mark beside which one level is left.
    """
    known = EVERYWHERE | set(BESIDE_NUMBERS if beside_numbers else ())
    found = {cell for cell in cells if cell.casefold() in known}
    if beside_numbers:
        return found
    levels = set(cells) - found
    if any(level and set(level) <= set("+-±") for level in levels):
        found -= set(SIGNS) - {""}
    return found if len(set(cells) - found) > 1 else found & {""}


def by_column(marks: Iterable[str], names: Sequence[str]) -> dict[str | None, list[str]]:
    """Return marks by the column that they are for; None: for all.

    Parameters
    ----------
    marks : iterable of str
        MARK, or NAME=MARK for one of the columns.
    names : sequence of str
    """
    found: dict[str | None, list[str]] = {}
    for mark in marks:
        name, equals, own = mark.partition("=")
        found.setdefault(name if equals and name in names else None, []).append(
            own if equals and name in names else mark
        )
    return found


def as_options(found: dict[str, set[str]], standing: dict[str, set[str]]) -> list[str]:
    """Return marks that were found by column as options: MARK where it is missing wherever it stands, else NAME=MARK.

    Parameters
    ----------
    found, standing : dict
        Column → its marks that stand for a missing value; its distinct cells.
    """
    options: list[str] = []
    for name, marks in found.items():
        for mark in sorted(marks):
            everywhere = all(mark in found.get(other, ()) for other, cells in standing.items() if mark in cells)
            options.append((mark or " ") if everywhere else f"{name}={mark}")
    return list(dict.fromkeys(options))


def without(values: pd.Series, marks: Sequence[str]) -> tuple[pd.Series, int]:
    """Return a column in which marks are missing, texts and numbers alike, and how many cells they were."""
    if not marks or pd.api.types.is_bool_dtype(values):
        return values, 0
    stripped = {mark.strip() for mark in marks}
    numbers = [number for number in map(parse_decimal, stripped) if number is not None]
    if pd.api.types.is_numeric_dtype(values):
        gone = values.isin(numbers).to_numpy(dtype=bool)
    elif isinstance(values.dtype, pd.StringDtype):
        gone = values.str.strip().isin(stripped).to_numpy(dtype=bool)
    elif values.dtype == object:
        gone = np.array([_is_mark(value, stripped, numbers) for value in values], dtype=bool)
    else:
        return values, 0
    if not gone.any():
        return values, 0
    if pd.api.types.is_integer_dtype(values) and not isinstance(values.dtype, pd.api.extensions.ExtensionDtype):
        values = values.astype("UInt64" if values.dtype == np.uint64 else "Int64")
    return with_gaps(values.mask(gone)), int(gone.sum())


def with_gaps(values: pd.Series) -> pd.Series:
    """Return small whole numbers beside missing cells as floats, as pandas reads them where a cell is empty."""
    nullable = pd.api.types.is_integer_dtype(values) and pd.api.types.is_extension_array_dtype(values)
    return values.astype("float64") if nullable and values.isna().any() and not is_large(values) else values


def _is_mark(value: object, marks: set[str], numbers: list[float]) -> bool:
    if isinstance(value, str):
        return value.strip() in marks
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value in numbers


def sentinel_note(name: str, values: pd.Series) -> str:
    """Say that a column has -999 or the like below numbers that are all positive; else return an empty text."""
    present = values.dropna()
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values) or len(present) < 2:
        return ""
    least = present.min()
    others = present[present != least]
    if least not in SENTINELS or not len(others) or others.min() < 0:
        return ""
    count = len(present) - len(others)
    return f"column '{name}': {least:g} in {count} rows, no other is negative; if it means missing: --missing {least:g}"
