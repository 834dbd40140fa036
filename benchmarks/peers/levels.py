"""Columns of levels as integers, which every library can be told of, and back again."""

from __future__ import annotations

import numpy as np
import pandas as pd

from codsa.data.schema import Column, Schema


def coded(schema: Schema) -> list[Column]:
    """Return the generated columns that are shown to libraries as integers."""
    return [c for c in schema.generated if c.levels is not None]


def as_codes(rows: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return rows with each level as its place among the column's levels, and numbers as NumPy has them."""
    codes = {c.name: pd.Categorical(rows[c.name], categories=c.levels).codes.astype(np.int64) for c in coded(schema)}
    numbers = {c.name: rows[c.name].astype(np.int64) for c in schema.generated if c.type == "integer"}
    return rows.assign(**codes, **numbers)


def as_levels(rows: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return rows with the levels that their integers stand for."""
    found = {c.name: np.array(c.levels, dtype=object)[rows[c.name].astype(int)] for c in coded(schema)}
    return rows.assign(**{name: pd.Series(values, index=rows.index).infer_objects() for name, values in found.items()})


def code_limits(schema: Schema) -> dict[str, list[float]]:
    """Return the least and the largest integer of each such column."""
    return {c.name: [0.0, len(c.levels or []) - 1.0] for c in coded(schema)}
