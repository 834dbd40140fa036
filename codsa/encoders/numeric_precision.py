"""Ordered values as float64 numbers without loss, and back: units, decimals, bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Column, cast
from codsa.data.whole_numbers import EXACT
from codsa.encoders.values import MAX_INT64_FLOAT, to_float
from codsa.errors import CodsaError

UNITS_NS = [86_400_000_000_000, 3_600_000_000_000, 60_000_000_000, 1_000_000_000, 1_000_000, 1_000, 1]
"""Day, hour, minute, second, millisecond, microsecond and nanosecond, in nanoseconds."""
MAX_DECIMALS = 6
"""Decimals are detected, and restored by rounding, up to this number."""
MIN_DISTINCT = 5
"""At least this many distinct numbers are needed to tell how many decimals a column has."""
MAX_STORED = 10_000
"""At most this many distinct whole numbers are stored."""
LARGE = 1e300
"""Columns with larger numbers are divided by a unit, so that differences stay finite."""


@dataclass(frozen=True)
class NumericPrecision:
    """The resolution of an ordered column's values.

    Whole numbers and dates are counted in `unit` from `origin`, in integer arithmetic, so that long identifiers and
    nanoseconds are restored exactly. A `resolution` of 0.01 says that all numbers had at most two decimals; restored
    numbers are rounded to as many.

    Attributes
    ----------
    column : Column
        Its bounds limit restored values.
    origin, unit : int
        In nanoseconds for dates. For other numbers the unit is 1, or a power of two by which huge ones are divided.
    decimals : int
        -1 for numbers of any precision.
    stored : tuple of int
        The distinct whole numbers of the fitted rows, increasing, where float64 cannot represent each of them; else
        empty. A number that equals one of them up to rounding is restored as this one.
    """

    column: Column
    origin: int = 0
    unit: int = 1
    decimals: int = -1
    stored: tuple[int, ...] = ()

    @classmethod
    def fit(cls, column: Column, values: pd.Series) -> NumericPrecision:
        """Determine unit and decimals from a column's present values."""
        if column.type == "numeric":
            present = np.unique(_finite(values, column))
            present = present[~np.isnan(present)]
            unit = 1024 if np.abs(present).max(initial=0.0) > LARGE else 1
            return cls(column, 0, unit, _decimals(present))
        integers, absent = _to_int64(values)
        distinct = np.unique(integers[~absent])
        unit = next(u for u in (UNITS_NS if column.type == "datetime" else [1]) if not (distinct % u).any())
        spread = int(distinct[-1]) - int(distinct[0]) if len(distinct) else 0
        fits_int64 = len(distinct) and spread < 2**62
        fits_float64 = spread // unit <= EXACT
        stored = () if fits_float64 or len(distinct) > MAX_STORED else tuple(distinct.tolist())
        return cls(column, int(distinct[0]) if fits_int64 else 0, unit, stored=stored)

    @property
    def resolution(self) -> float:
        """The least difference between two distinct numbers, 0 for any."""
        return (0.0 if self.decimals < 0 else 10.0**-self.decimals) if self.column.type == "numeric" else 1.0

    def to_numbers(self, values: pd.Series) -> np.ndarray:
        """Return values as ndarray of float64, shape (n,), missing as NaN.

        Raises
        ------
        CodsaError
            For an infinite value.
        """
        if self.column.type == "numeric":
            return _finite(values, self.column) / self.unit
        integers, absent = _to_int64(values)
        return np.where(absent, np.nan, (integers - self.origin) / self.unit)

    def to_values(self, numbers: np.ndarray) -> pd.Series:
        """Return numbers as values in the column's type: rounded, in bounds, NaN as missing."""
        absent = np.isnan(numbers)
        if self.column.minimum is None or absent.all():
            return cast(pd.Series(np.full(len(numbers), None, dtype=object)), self.column)
        if self.column.type == "numeric":
            rounded = np.round(numbers, self.decimals) if self.decimals >= 0 else numbers * self.unit
            return pd.Series(np.clip(rounded, self.column.minimum, self.column.maximum))
        low, high = self._bounds()
        edges = (low - self.origin) / self.unit, (high - self.origin) / self.unit
        counted = np.rint(np.clip(np.where(absent, edges[0], numbers), *edges))
        counted = np.clip(counted, -MAX_INT64_FLOAT, MAX_INT64_FLOAT).astype(np.int64)
        integers = self._as_stored(numbers, np.clip(counted * self.unit + self.origin, low, high))
        if self.column.type == "datetime":
            return pd.Series(pd.to_datetime(integers, unit="ns")).where(~absent).astype("datetime64[ns]")
        return pd.Series(pd.array(integers, dtype="Int64")).where(~absent)

    def _as_stored(self, numbers: np.ndarray, integers: np.ndarray) -> np.ndarray:
        """Return integers, each replaced by the stored one that its number equals up to rounding."""
        if not self.stored:
            return integers
        stored = np.array(self.stored, dtype=np.int64)
        floats = (stored - self.origin) / self.unit
        nearest = np.searchsorted((floats[1:] + floats[:-1]) / 2, numbers)
        rounding = 8 * np.spacing(np.abs(floats).max())
        return np.where(np.abs(floats[nearest] - numbers) <= rounding, stored[nearest], integers)

    def _bounds(self) -> tuple[int, int]:
        edges = self.column.minimum, self.column.maximum
        if self.column.type == "datetime":
            edges = tuple(pd.Timestamp(edge).as_unit("ns").value for edge in edges)  # type: ignore[assignment]
        return int(edges[0]), int(edges[1])

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes, without the column, for JSON."""
        stored = {"stored": list(self.stored)} if self.stored else {}
        return {"origin": self.origin, "unit": self.unit, "decimals": self.decimals, **stored}

    @classmethod
    def from_dict(cls, column: Column, record: Mapping[str, Any]) -> NumericPrecision:
        """Read what `to_dict` returned."""
        return cls(column, record["origin"], record["unit"], record["decimals"], tuple(record.get("stored", ())))


def _finite(values: pd.Series, column: Column) -> np.ndarray:
    numbers = to_float(values)
    if np.isinf(numbers).any():
        row = int(np.flatnonzero(np.isinf(numbers))[0])
        raise CodsaError(f"column '{column.name}': row {row} holds {numbers[row]}; write it as a number or as missing")
    return numbers


def _to_int64(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return whole numbers or nanoseconds as int64, missing as 0, and which are missing."""
    absent = values.isna().to_numpy(dtype=bool)
    if pd.api.types.is_datetime64_any_dtype(values):
        return np.where(absent, 0, values.astype("datetime64[ns]").astype("int64").to_numpy()), absent
    return values.astype("Int64").fillna(0).to_numpy(dtype=np.int64), absent


def _decimals(present: np.ndarray) -> int:
    """Return how many decimals distinct numbers have, -1 for many or too few numbers."""
    largest = np.abs(present).max(initial=0.0)
    for decimals in range(MAX_DECIMALS + 1):
        if len(present) < MIN_DISTINCT or largest * 10.0**decimals >= 2**50:
            break
        if np.array_equal(np.round(present, decimals), present):
            return decimals
    return -1
