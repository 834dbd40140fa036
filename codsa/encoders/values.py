"""Values of one column as numbers or codes, and back."""

from __future__ import annotations

import numpy as np
import pandas as pd

from codsa.data.schema import Column, cast

MAX_INT64_FLOAT = 2.0**63 - 1024
"""The greatest float64 that is a 64-bit integer."""


def to_float(values: pd.Series) -> np.ndarray:
    """Return ordered values (numbers, dates as nanoseconds) as ndarray of float64, shape (n,), missing as NaN."""
    if pd.api.types.is_datetime64_any_dtype(values):
        numbers = values.astype("datetime64[ns]").astype("int64").to_numpy(dtype=float)
        return np.where(values.isna(), np.nan, numbers)
    return values.astype("Float64").to_numpy(dtype=float, na_value=np.nan)


def from_float(numbers: np.ndarray, column: Column) -> pd.Series:
    """Return float64 numbers as values of an ordered column: rounded, in bounds, NaN as missing."""
    absent = np.isnan(numbers)
    if column.minimum is None:  # no value was seen
        return cast(pd.Series(np.full(len(numbers), None, dtype=object)), column)
    if column.type == "datetime":
        low, high = (pd.Timestamp(edge).as_unit("ns").value for edge in (column.minimum, column.maximum))
        rounded = np.where(absent, low, np.clip(numbers, float(low), float(high))).round()
        nanoseconds = np.clip(_to_int64(rounded), low, high)  # as floats the bounds would be rounded
        return pd.Series(pd.to_datetime(nanoseconds, unit="ns")).where(~absent).astype("datetime64[ns]")
    if column.type == "integer":
        integers = np.clip(_to_int64(np.where(absent, 0, np.round(numbers))), column.minimum, column.maximum)
        return pd.Series(pd.array(integers, dtype="Int64")).where(~absent)
    return cast(pd.Series(np.clip(numbers, column.minimum, column.maximum)), column)


def _to_int64(rounded: np.ndarray) -> np.ndarray:
    """Return rounded floats as int64, those beyond its range as its greatest or least float."""
    return np.clip(rounded, -MAX_INT64_FLOAT, MAX_INT64_FLOAT).astype("int64")


def level_codes(values: pd.Series, column: Column) -> np.ndarray:
    """Return the index of each value among the column's levels; missing has the index after the last.

    Returns
    -------
    ndarray of int64, shape (n,)
        -1 for a value that is not a level.
    """
    levels = list(column.levels or [])
    codes = pd.Index(levels, dtype=object).get_indexer(values.astype(object).where(values.notna(), None))
    return np.where(values.isna().to_numpy(), len(levels), codes).astype(np.int64)


def from_codes(codes: np.ndarray, column: Column) -> pd.Series:
    """Return codes (as `level_codes` returns them) as values of a categorical or boolean column."""
    levels = np.array([*(column.levels or []), None], dtype=object)
    values = pd.Series(levels[codes], dtype=object)
    if column.levels and all(type(level) is int for level in column.levels):
        return values.astype("Int64")  # beside a missing value, inference would make it float
    return cast(values.infer_objects(), column)
