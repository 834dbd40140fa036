"""The user's table and its way into the schema's types and back: names, dtypes and missing values stay."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from codsa.api.errors import InputError
from codsa.data.schema import Schema, cast_columns
from codsa.estimators.base import feature_matrix
from codsa.settings.columns import ColumnConfig

NUMBER, BOOLEAN, DATE, LABEL, EMPTY = "number", "boolean", "date", "label", "empty"


@dataclass(frozen=True)
class ColumnForm:
    """One column of the user's table.

    Attributes
    ----------
    name : str
        In the schema.
    kind : {'number', 'boolean', 'date', 'label', 'empty'}
    dtype : dtype
        The user's.
    values : dict of str to object
        Label → the first of the user's values that is written so.
    missing : object
        How the column writes a missing value.
    """

    name: str
    kind: str
    dtype: Any
    values: dict[str, Any] = field(default_factory=dict)
    missing: Any = np.nan

    @classmethod
    def of(cls, name: str, values: pd.Series) -> ColumnForm:
        """Describe a column."""
        missing = next(iter(values[values.isna()]), np.nan) if values.dtype == object else np.nan
        inner = _dense(values)
        kind = _kind(name, inner)
        labels: dict[str, Any] = {}
        for value in inner.dropna().unique() if kind == LABEL else ():
            labels.setdefault(_label(value), value)
        return cls(name, kind, values.dtype, labels, missing)

    @property
    def config(self) -> ColumnConfig:
        """What is declared of the column where a schema is inferred."""
        types: Mapping[str, Any] = {BOOLEAN: "boolean", DATE: "datetime", LABEL: "categorical"}
        return ColumnConfig(type=types.get(self.kind), role="ignored" if self.kind == EMPTY else "feature")

    def typed(self, values: pd.Series) -> pd.Series:
        """Return a column of such a table as a reader would give it: numbers, truth values, dates, or texts."""
        inner = _dense(values)
        if self.kind == LABEL:
            labels = [None if absent else _label(v) for v, absent in zip(inner, inner.isna(), strict=True)]
            return pd.Series(labels, index=values.index, dtype=object).astype("str")
        if self.kind == DATE:
            return pd.to_datetime(inner, utc=True).dt.tz_localize(None)
        return inner

    def restored(self, values: pd.Series) -> pd.Series:
        """Return values of the schema's type in the user's dtype."""
        if self.kind == LABEL:
            objects = [self.missing if absent else self.values[str(v)] for v, absent in _pairs(values)]
            return pd.Series(objects, dtype=object).astype(self.dtype)
        if self.kind == DATE:
            zone = getattr(self.dtype, "tz", None)
            times = values.dt.tz_localize("UTC") if zone is not None else values
            return times.astype(object if self.dtype == object else self.dtype)
        if self.dtype == object:
            return pd.Series([self.missing if absent else _python(v) for v, absent in _pairs(values)], dtype=object)
        if isinstance(self.dtype, np.dtype) and self.dtype.kind == "f":
            return pd.Series(values.astype("Float64").to_numpy(dtype=float, na_value=np.nan)).astype(self.dtype)
        if isinstance(self.dtype, pd.SparseDtype):
            return pd.Series(values.astype("Float64").to_numpy(dtype=float, na_value=np.nan)).astype(self.dtype)
        return values.astype(self.dtype)

    def absent(self, count: int) -> pd.Series:
        """Return `count` missing values in the user's dtype."""
        values = pd.Series([self.missing] * count, dtype=object)
        return values if self.dtype == object else values.astype(self.dtype)


def _pairs(values: pd.Series) -> Any:
    return zip(values, values.isna(), strict=True)


def _dense(values: pd.Series) -> pd.Series:
    """Return a column without sparsity or categories; objects that are all numbers as numbers."""
    if isinstance(values.dtype, pd.SparseDtype):
        return values.sparse.to_dense()  # type: ignore[attr-defined]
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.astype(object)
    return values.infer_objects() if values.dtype == object else values


def _kind(name: str, values: pd.Series) -> str:
    dtype, present = values.dtype, values.dropna()
    if not len(present):
        return EMPTY
    if pd.api.types.is_bool_dtype(dtype) or all(isinstance(v, bool | np.bool_) for v in present):
        return BOOLEAN
    if pd.api.types.is_complex_dtype(dtype):
        raise InputError(f"column '{name}': Complex data not supported; give the real and the imaginary part")
    if pd.api.types.is_numeric_dtype(dtype):
        if pd.api.types.is_float_dtype(dtype) and np.isinf(present.to_numpy(dtype=float)).any():
            raise InputError(f"Input X contains infinity: column '{name}'; leave the value out or mark it missing")
        return NUMBER
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return DATE
    if pd.api.types.is_timedelta64_dtype(dtype):
        raise InputError(f"column '{name}': holds durations; give them as numbers, in days say")
    nested = next((v for v in present if isinstance(v, list | tuple | set | dict | np.ndarray)), None)
    if nested is not None:
        raise _NestedError(
            f"column '{name}': argument must be a string or a real number, not '{type(nested).__name__}'; "
            "give one value per cell"
        )
    return LABEL


class _NestedError(InputError, TypeError):
    """What scikit-learn raises for a cell that holds a dict or the like."""


def _label(value: Any) -> str:
    return unicodedata.normalize("NFC", str(value))


def _python(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


@dataclass(frozen=True)
class TableForm:
    """A table of the user's: a DataFrame, or an array whose columns are named x0, x1, ….

    Attributes
    ----------
    columns : list of ColumnForm
    index : Index, optional
        The DataFrame's own names; None for an array.
    dtype : dtype, optional
        Of an array.
    """

    columns: list[ColumnForm]
    index: pd.Index | None = None
    dtype: Any = None

    @classmethod
    def of(cls, x: pd.DataFrame | np.ndarray) -> TableForm:
        """Describe a table."""
        frame = as_frame(x)
        names = [_label(name) for name in frame.columns]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise InputError(f"column '{twice}' is there twice; rename one")
        columns = [ColumnForm.of(name, frame.iloc[:, k]) for k, name in enumerate(names)]
        if isinstance(x, pd.DataFrame):
            return cls(columns, x.columns)
        return cls(columns, None, x.dtype)

    @property
    def names(self) -> list[str]:
        """The columns' names in the schema, in order."""
        return [column.name for column in self.columns]

    def typed(self, x: pd.DataFrame | np.ndarray) -> pd.DataFrame:
        """Return a table of this form as a reader would give it, with a range as index."""
        frame = as_frame(x).reset_index(drop=True)
        return pd.DataFrame({c.name: c.typed(frame.iloc[:, k]) for k, c in enumerate(self.columns)})

    def features(self, x: pd.DataFrame | np.ndarray, schema: Schema) -> np.ndarray:
        """Return X as `feature_matrix` has it, ndarray of float64, shape (n, d).

        A whole-numbered column takes any number here: the rows were not seen when its type was settled.
        """
        columns = [schema.column(name) for name in schema.features]
        loose = [replace(c, type="numeric") if c.type == "integer" else c for c in columns]
        return feature_matrix(cast_columns(self.typed(x), loose), schema)

    def restored(self, rows: pd.DataFrame) -> Any:
        """Return rows of the schema's types as the user's table has them; a column that rows lack is missing."""
        rows = rows.reset_index(drop=True)
        columns = [c.restored(rows[c.name]) if c.name in rows else c.absent(len(rows)) for c in self.columns]
        if self.index is None:
            array = np.empty((len(rows), len(columns)), dtype=self.dtype)
            for k, values in enumerate(columns):
                array[:, k] = values.to_numpy()
            return array
        frame = pd.concat(columns, axis=1) if columns else pd.DataFrame()
        frame.columns = self.index
        return frame


def as_frame(x: pd.DataFrame | np.ndarray) -> pd.DataFrame:
    """Return a table as a DataFrame; an array's columns are named x0, x1, …."""
    return x if isinstance(x, pd.DataFrame) else pd.DataFrame(x, columns=[f"x{k}" for k in range(x.shape[1])])


def stacked(form: TableForm, x: Any, rows: pd.DataFrame) -> Any:
    """Return the user's rows, unchanged, with generated ones below them."""
    if form.index is None:
        return np.vstack([x, form.restored(rows)])
    below = form.restored(rows)
    parts = [pd.concat([x.iloc[:, k], below.iloc[:, k]], ignore_index=True) for k in range(x.shape[1])]
    frame = pd.concat([p.astype(d) for p, d in zip(parts, x.dtypes, strict=True)], axis=1)
    frame.columns = x.columns
    return frame
