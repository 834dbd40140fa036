"""Tables: numbers, levels, truth values and dates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Column
from codsa.modalities.base import Modality, Space


class Tables(Modality):
    """Columns of single values, compared in normal scores and signs (see `TabularEncoder`)."""

    name = "tables"

    @staticmethod
    def in_bounds(values: pd.Series, column: Column) -> np.ndarray:
        """Say which values are missing, or of a column's levels or within its bounds, ndarray of bool, shape (n,)."""
        if column.levels is None and column.minimum is None:  # no value was seen
            return values.isna().to_numpy(dtype=bool)
        if column.minimum is not None and values.dtype == np.float64:
            numbers = values.to_numpy()
            return ~((numbers < column.minimum) | (numbers > column.maximum))
        inside = (
            values.isin(column.levels)
            if column.levels is not None
            else values.between(*_bounds(column.minimum, column.maximum, values))
        )
        return (inside.fillna(False).astype(bool) | values.isna()).to_numpy(dtype=bool)

    def space(self, rows: pd.DataFrame, random: np.random.Generator) -> Space:
        """Fit an encoder of all columns that vary, except texts."""
        from codsa.encoders.tabular import TabularEncoder

        columns = [column for column in self.schema.modelled if column.type != "text"]
        varying = [column for column in columns if rows[column.name].nunique(dropna=False) > 1]
        return TabularEncoder.fit(rows, varying).encode


def _bounds(low: Any, high: Any, values: pd.Series) -> tuple[Any, Any]:
    """Return bounds in the type of the values."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.Timestamp(low), pd.Timestamp(high)
    return low, high
