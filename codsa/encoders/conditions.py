"""The condition of a generator of arrays: each row's other columns, encoded as one array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Column, Schema, cast, is_ordered
from codsa.encoders.values import to_float
from codsa.errors import CodsaError, suggest


@dataclass(frozen=True)
class ConditionColumn:
    """A column that a generator is conditioned on.

    Attributes
    ----------
    name : str
    levels : list, optional
        The values of a category; a value's code is its index here. None for a number.
    centre, scale : float
        Mean and standard deviation of a number.
    """

    name: str
    levels: list[Any] | None
    centre: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class Conditions:
    """The columns that a generator is conditioned on, in order.

    Attributes
    ----------
    columns : list of ConditionColumn
    """

    columns: list[ConditionColumn]

    @classmethod
    def fit(cls, rows: pd.DataFrame, schema: Schema) -> Conditions:
        """Fit levels and scales to rows, of every modelled column that is not an array."""
        return cls([_fit_column(rows[column.name], column) for column in schema.modelled if not column.is_array])

    def encode(self, rows: pd.DataFrame) -> np.ndarray:
        """Return codes and numbers of rows, ndarray of float32, shape (n, columns)."""
        condition = np.empty((len(rows), len(self.columns)), dtype=np.float32)
        for j, column in enumerate(self.columns):
            condition[:, j] = _encode_column(rows[column.name], column)
        return condition

    def adapt(self, source: Conditions) -> Conditions:
        """Return these conditions in the codes and scales of a source set; levels that it lacks come after its own."""
        by_name = {column.name: column for column in source.columns}
        return Conditions([_adapt_column(column, by_name.get(column.name)) for column in self.columns])

    def to_list(self) -> list[dict[str, Any]]:
        """Return the columns, for JSON."""
        return [asdict(column) for column in self.columns]


def _fit_column(values: pd.Series, column: Column) -> ConditionColumn:
    if values.isna().any():
        raise CodsaError(
            f"column '{column.name}': a generator cannot be conditioned on missing values; drop or fill them"
        )
    if not is_ordered(column):
        levels = [level.item() if hasattr(level, "item") else level for level in sorted(values.unique())]
        return ConditionColumn(column.name, levels)
    numbers = to_float(values)
    spread = float(numbers.std())
    return ConditionColumn(column.name, None, float(numbers.mean()), spread if spread > 0 else 1.0)


def _encode_column(values: pd.Series, column: ConditionColumn) -> np.ndarray:
    """Return a category's codes, or a number's standardised values, ndarray of shape (n,)."""
    if column.levels is None:
        return (to_float(values) - column.centre) / column.scale
    codes = pd.Index(column.levels, dtype=object).get_indexer(values.astype(object))
    if (codes < 0).any():
        unseen = values.iloc[int(np.flatnonzero(codes < 0)[0])]
        raise CodsaError(f"column '{column.name}': the generator has never seen '{unseen}'; it knows {column.levels}")
    return codes


def _adapt_column(column: ConditionColumn, source: ConditionColumn | None) -> ConditionColumn:
    """Return a column in the codes or scale of the source set's column of that name, if there is one."""
    if source is None:
        return column
    if (source.levels is None) != (column.levels is None):
        raise CodsaError(f"column '{column.name}': a number in one of source set and data, a category in the other")
    if source.levels is None or column.levels is None:
        return source
    new_levels = [level for level in column.levels if level not in source.levels]
    return ConditionColumn(column.name, [*source.levels, *new_levels])


def spread_evenly(
    rows: pd.DataFrame, names: Sequence[str], schema: Schema, seen: pd.DataFrame, random: np.random.Generator
) -> pd.DataFrame:
    """Return a copy of rows in which some columns are drawn uniformly over the values that S_g has.

    Parameters
    ----------
    rows : DataFrame of n rows
    names : sequence of str
        The columns that are drawn: numbers between the least and the greatest value seen, categories from the levels.
    schema : Schema
    seen : DataFrame
        The rows of S_g.
    random : numpy.random.Generator

    Returns
    -------
    DataFrame of n rows
    """
    spread = rows.copy()
    for name in names:
        column = schema.column(name)
        values = seen[name]
        if not is_ordered(column):
            drawn: Any = random.choice(np.array(sorted(values.unique()), dtype=object), len(rows))
        elif column.type == "integer":
            drawn = random.integers(int(values.min()), int(values.max()) + 1, len(rows))
        else:
            drawn = random.uniform(float(values.min()), float(values.max()), len(rows))
        spread[name] = cast(pd.Series(drawn).infer_objects(), column).array
    return spread


def check_names(option: str, names: Sequence[str], schema: Schema) -> None:
    """Raise a `CodsaError` for a name that an option gives and that is not a condition column's."""
    columns = [column.name for column in schema.modelled if not column.is_array]
    for name in names:
        if name not in columns:
            raise CodsaError(f"{option}: no column '{name}' beside the array; {suggest(name, columns)}")
