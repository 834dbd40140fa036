"""Ordered values as numbers that hold them exactly, and back: units, decimals, bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Column, cast
from codsa.data.whole_numbers import EXACT
from codsa.encoders.values import LONGEST, to_float
from codsa.errors import CodsaError

UNITS = [86_400_000_000_000, 3_600_000_000_000, 60_000_000_000, 1_000_000_000, 1_000_000, 1_000, 1]
"""Day, hour, minute, second, milli-, micro- and nanosecond, in nanoseconds."""
DECIMALS = 6
"""Numbers with at most so many decimals come back with as many."""
EVIDENCE = 5
"""So many distinct numbers are needed before their decimals mean something."""
KNOWN = 10_000
"""At most this many whole numbers are remembered one by one."""
LARGE = 1e300
"""Numbers beyond are shrunk, so that their differences stay finite."""


@dataclass(frozen=True)
class NumericPrecision:
    """How fine the values of an ordered column are.

    Whole numbers and dates are counted in `unit` from `origin`, in whole arithmetic, so that long
    identifiers and nanoseconds come back as they were. A `tick` of 0.01 says that all numbers had
    at most two decimals; what comes back has no more.

    Attributes
    ----------
    column : Column
        Whose bounds hold.
    origin, unit : int
        Nanoseconds for dates; a power of two by which huge numbers are divided.
    decimals : int
        -1 for numbers of any precision.
    known : tuple of int
        The whole numbers seen, in order, where float64 does not hold each of them: a number that is one of them up
        to rounding comes back as this one.
    """

    column: Column
    origin: int = 0
    unit: int = 1
    decimals: int = -1
    known: tuple[int, ...] = ()

    @classmethod
    def fit(cls, column: Column, values: pd.Series) -> NumericPrecision:
        """Learn units and decimals from a column's present values."""
        if column.type == "numeric":
            present = np.unique(_finite(values, column))
            present = present[~np.isnan(present)]
            unit = 1024 if np.abs(present).max(initial=0.0) > LARGE else 1
            return cls(column, 0, unit, _decimals(present))
        whole, absent = _whole(values)
        whole = np.unique(whole[~absent])
        unit = next(u for u in (UNITS if column.type == "datetime" else [1]) if not (whole % u).any())
        narrow = len(whole) and int(whole[-1]) - int(whole[0]) < 2**62  # else differences would not fit into 64 bits
        wide = len(whole) and (int(whole[-1]) - int(whole[0])) // unit > EXACT
        known = tuple(whole.tolist()) if wide and len(whole) <= KNOWN else ()
        return cls(column, int(whole[0]) if narrow else 0, unit, known=known)

    @property
    def tick(self) -> float:
        """The least step between two numbers, 0 for any."""
        return (0.0 if self.decimals < 0 else 10.0**-self.decimals) if self.column.type == "numeric" else 1.0

    def numbers(self, values: pd.Series) -> np.ndarray:
        """Return values as float64, missing as NaN.

        Raises
        ------
        CodsaError
            For an infinite value.
        """
        if self.column.type == "numeric":
            return _finite(values, self.column) / self.unit
        whole, absent = _whole(values)
        return np.where(absent, np.nan, (whole - self.origin) / self.unit)

    def values(self, numbers: np.ndarray) -> pd.Series:
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
        counted = np.clip(counted, -LONGEST, LONGEST).astype(np.int64)
        whole = self._as_known(numbers, np.clip(counted * self.unit + self.origin, low, high))
        if self.column.type == "datetime":
            return pd.Series(pd.to_datetime(whole, unit="ns")).where(~absent).astype("datetime64[ns]")
        return pd.Series(pd.array(whole, dtype="Int64")).where(~absent)

    def _as_known(self, numbers: np.ndarray, whole: np.ndarray) -> np.ndarray:
        if not self.known:
            return whole
        known = np.array(self.known, dtype=np.int64)
        floats = (known - self.origin) / self.unit
        place = np.searchsorted((floats[1:] + floats[:-1]) / 2, numbers)
        rounding = 8 * np.spacing(np.abs(floats).max())
        return np.where(np.abs(floats[place] - numbers) <= rounding, known[place], whole)

    def _bounds(self) -> tuple[int, int]:
        edges = self.column.minimum, self.column.maximum
        if self.column.type == "datetime":
            edges = tuple(pd.Timestamp(edge).as_unit("ns").value for edge in edges)  # type: ignore[assignment]
        return int(edges[0]), int(edges[1])

    def facts(self) -> dict[str, Any]:
        """Return what was learned, for JSON."""
        known = {"known": list(self.known)} if self.known else {}
        return {"origin": self.origin, "unit": self.unit, "decimals": self.decimals, **known}

    @classmethod
    def from_facts(cls, column: Column, facts: Mapping[str, Any]) -> NumericPrecision:
        """Read what `facts` gave."""
        return cls(column, facts["origin"], facts["unit"], facts["decimals"], tuple(facts.get("known", ())))


def _finite(values: pd.Series, column: Column) -> np.ndarray:
    raw = to_float(values)
    if np.isinf(raw).any():
        row = int(np.flatnonzero(np.isinf(raw))[0])
        raise CodsaError(f"column '{column.name}': row {row} holds {raw[row]}; write it as a number or as missing")
    return raw


def _whole(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return whole numbers or nanoseconds as int64, missing as 0, and which are missing."""
    absent = values.isna().to_numpy(dtype=bool)
    if pd.api.types.is_datetime64_any_dtype(values):
        return np.where(absent, 0, values.astype("datetime64[ns]").astype("int64").to_numpy()), absent
    return values.astype("Int64").fillna(0).to_numpy(dtype=np.int64), absent


def _decimals(present: np.ndarray) -> int:
    """Return how many decimals distinct numbers have, -1 for many or too few numbers."""
    largest = np.abs(present).max(initial=0.0)
    for k in range(DECIMALS + 1):
        if len(present) < EVIDENCE or largest * 10.0**k >= 2**50:
            break
        if np.array_equal(np.round(present, k), present):
            return k
    return -1
