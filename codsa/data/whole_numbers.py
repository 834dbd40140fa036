"""Integers that a float64 cannot represent: read, cast and concatenated without a change of value.

A float64 does not represent every integer beyond ±2^53, and pandas reads integers with missing values as floats.
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
"""A float64 represents every integer below this bound; a float64 at or above it may be a rounded integer."""
LOWEST, HIGHEST = -(2**63), 2**63 - 1
"""The bounds of an int64."""
_LITERAL = re.compile(r"\s*[+-]?\d{1,400}\s*")


def is_large(values: pd.Series) -> bool:
    """Say whether a column of numbers has a value at or beyond ±2^53."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return False
    present = values.dropna()
    if not len(present) or pd.api.types.is_complex_dtype(values):
        return False
    return bool(present.max() >= EXACT or present.min() <= -EXACT)


def are_whole(values: pd.Series) -> bool:
    """Say whether numbers, none of them missing, can be stored as int64.

    Floats at or beyond ±2^53 cannot: their last digits may be lost.
    """
    if not len(values):
        return False
    if pd.api.types.is_integer_dtype(values):
        return bool(values.max() <= HIGHEST)
    numbers = values.to_numpy(dtype=float)
    return bool(np.all(numbers == np.round(numbers))) and bool(np.abs(numbers).max() < EXACT)


def are_floats(values: pd.Series) -> bool:
    """Say whether a cast to float64 changes no number."""
    if not pd.api.types.is_integer_dtype(values) or not is_large(values):
        return True
    numbers = values.dropna()
    return all(int(float(number)) == int(number) for number in numbers)


def parsed(values: pd.Series) -> pd.Series:
    """Return numbers, or texts that are numbers, as a column of numbers; integers stay integers beside missing values.

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
    dtype: Any = "UInt64" if numbers.max() > HIGHEST else "Int64"
    positions = np.full(len(absent), -1)
    positions[~absent] = np.arange(len(numbers))
    return pd.Series(pd.array(numbers.to_numpy(), dtype=dtype).take(positions, allow_fill=True), index=index)


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
    as_floats = floats.to_numpy(dtype=float, na_value=0.0)
    beyond = (as_floats >= 2.0**63) | (as_floats < LOWEST)
    if beyond.any():
        raise ValueError(f"{as_floats[beyond][0]:g} is beyond a 64-bit whole number; declare it numeric")
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
    """Return a table with large integers in a nullable type, so that no later missing value turns them into floats."""
    nullable = {"int64": "Int64", "uint64": "UInt64"}
    large = [k for k, dtype in enumerate(table.dtypes) if str(dtype) in nullable and is_large(table.iloc[:, k])]
    if not large:
        return table
    return table.astype({table.columns[k]: nullable[str(table.dtypes.iloc[k])] for k in large})


def as_float(number: int | None) -> float:
    """Return an integer as float64, rounded; NaN for None."""
    try:
        return np.nan if number is None else float(number)
    except OverflowError:
        return np.inf


def exact_numbers(cells: Sequence[Any], floats: pd.Series, texts: pd.Series | None = None) -> tuple[pd.Series, str]:
    """Return a column of numbers that its reader gave as floats, with the digits of its cells.

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
        A note for the user where digits are lost or numbers are kept as texts; else empty.
    """
    present = [cell for cell in cells if cell is not None]
    integers = [cell for cell in present if isinstance(cell, int)]
    rounded = [cell for cell in integers if not _is_float(cell)]
    all_integers = len(integers) == len(present) and bool(integers)
    name = floats.name if texts is None else texts.name
    if all_integers and min(integers) >= LOWEST and max(integers) <= HIGHEST:
        return pd.Series(pd.array(list(cells), dtype="Int64"), index=floats.index), ""
    if all_integers and rounded:
        written = [None if cell is None else str(cell) for cell in cells]
        as_texts = pd.Series(written, index=floats.index, dtype="str") if texts is None else texts
        return as_texts, f"column '{name}': whole numbers beyond 64 bits, as {_short(rounded[0])}, are kept as texts"
    if not rounded:
        return floats, ""
    note = f"column '{name}': {len(rounded)} whole numbers have more digits than a 64-bit float holds, as "
    return floats, f"{note}{_short(rounded[0])}; they are rounded, because the column has numbers with decimals too"


def _short(number: int) -> str:
    text = str(number)
    return text if len(text) <= 30 else f"{text[:29]}…"


def literal(text: Any) -> int | float | None:
    """Return a cell of a text file as an int, NaN for any other text, and None where it is missing."""
    if not isinstance(text, str):
        return None
    return int(text) if _LITERAL.fullmatch(text) else np.nan


def from_lines(lines: Iterable[bytes], names: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of some keys of JSON objects, one a line."""
    records = [json.loads(line) for line in lines if line.strip()]
    return {name: [record.get(name) for record in records] for name in names}


def arrow_frame(table: Any) -> pd.DataFrame:
    """Return a pyarrow Table as pandas does, but keep large integers beside missing values exact."""
    return with_arrow_integers(table.to_pandas(), table)


def with_arrow_integers(frame: pd.DataFrame, table: Any) -> pd.DataFrame:
    """Return a frame in which the large integers of a pyarrow Table replace the floats that pandas made of them."""
    import pyarrow as pa

    nullable: dict[Any, Any] = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}
    changes = {}
    for field in table.schema:
        if field.type in nullable and pd.api.types.is_float_dtype(frame[field.name]) and is_large(frame[field.name]):
            exact = table.column(field.name).to_pandas(types_mapper=nullable.get)
            changes[field.name] = exact.set_axis(frame.index)
    return frame.assign(**changes) if changes else frame


def stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Concatenate the rows of tables; a column is missing where its table lacks it, and large integers stay exact.

    Raises
    ------
    CodsaError
        For a column that has large whole numbers in one table and numbers with decimals in another.
    """
    tables = [keep_exact(table) for table in tables]
    large = {str(name) for t in tables for name, dtype in t.dtypes.items() if dtype in ("Int64", "UInt64")}
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
