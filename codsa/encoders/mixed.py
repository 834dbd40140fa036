"""Rows as numbers and codes, for the neighbour-based resamplers (SMOTE and its variants)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from codsa.data.schema import Column, is_ordered
from codsa.data.whole_numbers import EXACT
from codsa.encoders.numeric_precision import NumericPrecision
from codsa.encoders.values import from_codes, from_float, level_codes, to_float


def _exceeds_float64(column: Column) -> bool:
    """Say whether a column holds whole numbers that float64 does not represent exactly."""
    bounds = (column.minimum or 0, column.maximum or 0)
    return column.type == "integer" and max(abs(bound) for bound in bounds) > EXACT


def _numbers(values: pd.Series, column: Column, precisions: dict[str, NumericPrecision]) -> np.ndarray:
    """Return an ordered column's values as float64, missing as NaN."""
    precision = precisions.get(column.name)
    return to_float(values) if precision is None else precision.to_numbers(values)


@dataclass
class MixedTable:
    """Rows as standardised numbers and category codes, and back.

    A missing number is encoded as the median, with a code of 1 in a column of its own, so that missing numbers are
    generated too; a missing category is a level.

    Attributes
    ----------
    columns : list of Column
    centre, scale, fill : ndarray of shape (number of ordered columns,)
        Mean, standard deviation and median.
    gaps : list of str
        The ordered columns with missing values.
    precisions : dict of str to NumericPrecision
        Of the columns of whole numbers that float64 does not represent exactly.
    """

    columns: list[Column]
    centre: np.ndarray
    scale: np.ndarray
    fill: np.ndarray
    gaps: list[str]
    precisions: dict[str, NumericPrecision] = field(default_factory=dict)

    @classmethod
    def fit(cls, rows: pd.DataFrame, columns: list[Column]) -> MixedTable:
        """Compute means, standard deviations and medians of rows."""
        large = [column for column in columns if _exceeds_float64(column)]
        precisions = {column.name: NumericPrecision.fit(column, rows[column.name]) for column in large}
        ordered_columns = [column for column in columns if is_ordered(column)]
        ordered = [_numbers(rows[column.name], column, precisions) for column in ordered_columns]
        numbers = np.stack(ordered or [np.empty(len(rows))])
        gaps = [column.name for column in ordered_columns if rows[column.name].isna().any()]
        present = ~np.isnan(numbers).all(axis=1)
        numbers = np.where(present[:, None], numbers, 0.0)
        scale = np.nanstd(numbers, axis=1)
        return cls(
            columns,
            np.nanmean(numbers, axis=1),
            np.where(scale > 0, scale, 1.0),
            np.nanmedian(numbers, axis=1),
            gaps,
            precisions,
        )

    def encode(self, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers and the codes of rows.

        Returns
        -------
        numbers : ndarray of float64, shape (n, a)
        codes : ndarray of int64, shape (n, b)
        """
        ordered = [column for column in self.columns if is_ordered(column)]
        numbers = np.empty((len(rows), len(ordered)))
        for j, column in enumerate(ordered):
            unscaled = _numbers(rows[column.name], column, self.precisions)
            filled = np.where(np.isnan(unscaled), self.fill[j], unscaled)
            numbers[:, j] = (filled - self.centre[j]) / self.scale[j]
        codes = [level_codes(rows[column.name], column) for column in self.columns if not is_ordered(column)]
        codes += [rows[name].isna().to_numpy().astype(np.int64) for name in self.gaps]
        return numbers, np.stack(codes, axis=1) if codes else np.empty((len(rows), 0), dtype=np.int64)

    def decode(self, numbers: np.ndarray, codes: np.ndarray) -> pd.DataFrame:
        """Return rows in the schema's types from numbers and codes as `encode` returns them, or mixtures of such."""
        categories = [column.name for column in self.columns if not is_ordered(column)]
        code_index = {name: j for j, name in enumerate(categories)}
        gap_index = {name: len(categories) + j for j, name in enumerate(self.gaps)}
        series: dict[str, pd.Series] = {}
        j = 0
        for column in self.columns:
            if not is_ordered(column):
                series[column.name] = from_codes(codes[:, code_index[column.name]], column)
                continue
            unscaled = numbers[:, j] * self.scale[j] + self.centre[j]
            j += 1
            if column.name in gap_index:
                unscaled = np.where(codes[:, gap_index[column.name]] == 1, np.nan, unscaled)
            precision = self.precisions.get(column.name)
            values = from_float(unscaled, column) if precision is None else precision.to_values(unscaled)
            series[column.name] = values
        return pd.DataFrame(series)
