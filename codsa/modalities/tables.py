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
        """Say which values are missing or keep a column's levels and bounds, ndarray of bool."""
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
        """Fit an encoder of all columns that vary, texts aside."""
        from codsa.encoders.tabular import TabularEncoder

        varied = [c for c in self.schema.modelled if c.type != "text" and rows[c.name].nunique(dropna=False) > 1]
        return TabularEncoder.fit(rows, varied).encode


def _bounds(low: Any, high: Any, values: pd.Series) -> tuple[Any, Any]:
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.Timestamp(low), pd.Timestamp(high)
    return low, high
