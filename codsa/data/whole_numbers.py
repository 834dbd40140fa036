"""Whole numbers that a 64-bit float does not hold: read, cast and joined without a change of value.

Beyond ±2^53 a float64 holds not every whole number, and pandas gives whole numbers with gaps as floats.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from codsa.errors import CodsaError

EXACT = 2**53
"""Whole numbers below are float64 numbers, each of them; a float64 of this size may be another one, rounded."""
LOWEST, HIGHEST = -(2**63), 2**63 - 1
"""The bounds of a 64-bit whole number."""
_LITERAL = re.compile(r"\s*[+-]?\d{1,400}\s*")


def is_large(values: pd.Series) -> bool:
    """Say whether a column of numbers has one beyond what float64 holds exactly."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return False
    present = values.dropna()
    if not len(present) or pd.api.types.is_complex_dtype(values):
        return False
    return bool(present.max() >= EXACT or present.min() <= -EXACT)


def are_whole(values: pd.Series) -> bool:
    """Say whether all of some present numbers can be stored as 64-bit whole numbers.

    Floats from ±2^53 on cannot: what they stand for is not known to the last digit.
    """
    if not len(values):
        return False
    if pd.api.types.is_integer_dtype(values):
        return bool(values.max() <= HIGHEST)
    numbers = values.to_numpy(dtype=float)
    return bool(np.all(numbers == np.round(numbers))) and bool(np.abs(numbers).max() < EXACT)


def are_floats(values: pd.Series) -> bool:
    """Say whether all of some present numbers are float64 numbers, so that a cast changes none."""
    if not pd.api.types.is_integer_dtype(values) or not is_large(values):
        return True
    numbers = values.dropna()
    return all(int(float(number)) == int(number) for number in numbers)


def parsed(values: pd.Series) -> pd.Series:
    """Return numbers, or texts that are numbers, as a column of numbers; whole ones stay whole beside gaps.

    Raises
    ------
    ValueError
        For a text that is no number, or one with more digits than float64 holds beside others with decimals.
    """
    if pd.api.types.is_numeric_dtype(values):
        return values
    absent = values.isna().to_numpy(dtype=bool)
    numbers = pd.to_numeric(values[~absent])
    if pd.api.types.is_integer_dtype(numbers) and absent.any():
        return _with_gaps(numbers, absent, values.index)
    if pd.api.types.is_float_dtype(numbers) and is_large(numbers):
        _refuse_rounding(values[~absent])
    return pd.to_numeric(values)


def _with_gaps(numbers: pd.Series, absent: np.ndarray, index: pd.Index) -> pd.Series:
    kind: Any = "UInt64" if numbers.max() > HIGHEST else "Int64"
    places = np.full(len(absent), -1)
    places[~absent] = np.arange(len(numbers))
    return pd.Series(pd.array(numbers.to_numpy(), dtype=kind).take(places, allow_fill=True), index=index)


def _refuse_rounding(values: pd.Series) -> None:
    for text in values.astype(str):
        if _LITERAL.fullmatch(text) and not _is_float(int(text)):
            raise ValueError(f"'{text.strip()}' has more digits than a 64-bit float holds")


def _is_float(number: int) -> bool:
    try:
        return int(float(number)) == number
    except OverflowError:
        return False


def to_whole(numbers: pd.Series) -> pd.Series:
    """Return numbers as Int64, rounded.

    Raises
    ------
    ValueError
        For a number beyond 64 bits.
    """
    if pd.api.types.is_integer_dtype(numbers):
        present = numbers.dropna()
        if len(present) and present.max() > HIGHEST:
            raise ValueError(f"{present.max()} is beyond a 64-bit whole number; declare it numeric or categorical")
        return numbers.astype("Int64")
    floats = numbers.astype("Float64").round()
    raw = floats.to_numpy(dtype=float, na_value=0.0)
    beyond = (raw >= 2.0**63) | (raw < LOWEST)
    if beyond.any():
        raise ValueError(f"{raw[beyond][0]:g} is beyond a 64-bit whole number; declare it numeric")
    return floats.astype("Int64")


def to_floats(numbers: pd.Series) -> pd.Series:
    """Return numbers as float64.

    Raises
    ------
    ValueError
        For a whole number that float64 does not hold.
    """
    if not are_floats(numbers):
        number = next(n for n in numbers.dropna() if not _is_float(int(n)))
        raise ValueError(f"{number} has more digits than a 64-bit float holds; declare it integer or categorical")
    return numbers.astype("float64")


def keep_exact(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose large whole numbers are of a nullable type, so that no later gap turns them into floats."""
    kinds = {"int64": "Int64", "uint64": "UInt64"}
    large = [k for k, kind in enumerate(table.dtypes) if str(kind) in kinds and is_large(table.iloc[:, k])]
    if not large:
        return table
    return table.astype({table.columns[k]: kinds[str(table.dtypes.iloc[k])] for k in large})


def as_float(number: int | None) -> float:
    """Return a whole number as float64, rounded; NaN for none."""
    try:
        return np.nan if number is None else float(number)
    except OverflowError:
        return np.inf


def exact_numbers(cells: Sequence[Any], floats: pd.Series, texts: pd.Series | None = None) -> tuple[pd.Series, str]:
    """Return a column of numbers that its reader gave as floats, from what its cells say.

    Parameters
    ----------
    cells : sequence of int, float, other values or None
        None for a missing cell.
    floats : Series of float64
        As the reader gave them.
    texts : Series of str, optional
        The cells as they are written.

    Returns
    -------
    values : Series
        Int64 where all cells are 64-bit whole numbers; texts where they are longer ones; else the floats.
    note : str
        What a user should know of it.
    """
    present = [cell for cell in cells if cell is not None]
    whole = [cell for cell in present if isinstance(cell, int)]
    lossy = [cell for cell in whole if not _is_float(cell)]
    all_whole = len(whole) == len(present) and bool(whole)
    name = floats.name if texts is None else texts.name
    if all_whole and min(whole) >= LOWEST and max(whole) <= HIGHEST:
        return pd.Series(pd.array(list(cells), dtype="Int64"), index=floats.index), ""
    if all_whole and lossy:
        plain = [None if cell is None else str(cell) for cell in cells]
        kept = pd.Series(plain, index=floats.index, dtype="str") if texts is None else texts
        return kept, f"column '{name}': whole numbers beyond 64 bits, as {_short(lossy[0])}, are kept as texts"
    if not lossy:
        return floats, ""
    note = f"column '{name}': {len(lossy)} whole numbers have more digits than a 64-bit float holds, as "
    return floats, f"{note}{_short(lossy[0])}; they are rounded, because the column has numbers with decimals too"


def _short(number: int) -> str:
    text = str(number)
    return text if len(text) <= 30 else f"{text[:29]}…"


def literal(text: Any) -> int | float | None:
    """Return a cell of a text file as a number, whole where it is written so; None where it is missing."""
    if not isinstance(text, str):
        return None
    return int(text) if _LITERAL.fullmatch(text) else np.nan


def from_lines(lines: Iterable[bytes], names: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of some keys of JSON objects, one a line."""
    records = [json.loads(line) for line in lines if line.strip()]
    return {name: [record.get(name) for record in records] for name in names}


def arrow_frame(table: Any) -> pd.DataFrame:
    """Return a pyarrow Table as pandas does, but large whole numbers beside gaps as what they are."""
    return with_arrow_integers(table.to_pandas(), table)


def with_arrow_integers(frame: pd.DataFrame, table: Any) -> pd.DataFrame:
    """Return a frame with the large whole numbers of a pyarrow Table that pandas gave as floats."""
    import pyarrow as pa

    kinds: dict[Any, Any] = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}
    changes = {}
    for field in table.schema:
        if field.type in kinds and pd.api.types.is_float_dtype(frame[field.name]) and is_large(frame[field.name]):
            exact = table.column(field.name).to_pandas(types_mapper=kinds.get)
            changes[field.name] = exact.set_axis(frame.index)
    return frame.assign(**changes) if changes else frame


def stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put tables below each other; a column that some lack is missing there, and large whole numbers stay whole.

    Raises
    ------
    CodsaError
        For a column that has large whole numbers in one table and numbers with decimals in another.
    """
    tables = [keep_exact(table) for table in tables]
    large = {str(name) for t in tables for name, kind in t.dtypes.items() if kind in ("Int64", "UInt64")}
    large = {name for name in large if any(name in t and is_large(t[name]) for t in tables)}
    return pd.concat([_widened(table, large) for table in tables], ignore_index=True)


def _widened(table: pd.DataFrame, names: set[str]) -> pd.DataFrame:
    changes = {}
    for name in names & set(map(str, table.columns)):
        if pd.api.types.is_float_dtype(table[name]):
            present = table[name].dropna()
            if len(present) and not are_whole(present):
                raise CodsaError(
                    f"column '{name}': whole numbers beyond 2^53 in one table, numbers with decimals in another; "
                    "write it alike in both"
                )
            changes[name] = table[name].astype("Int64")
    return table.assign(**changes) if changes else table
