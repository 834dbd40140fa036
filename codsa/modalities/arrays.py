"""Images and vectors: columns of arrays, compared by their principal components.

Modules that only evaluation needs are imported in functions, so that sampling neither loads them nor depends on them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from codsa.data.schema import Column, Schema
from codsa.io.array_columns import arrays
from codsa.modalities.base import Space


def is_finite(values: pd.Series) -> np.ndarray:
    """Say which arrays hold finite numbers only, ndarray of bool, shape (n,)."""
    return np.asarray(np.isfinite(arrays(values)).reshape(len(values), -1).all(axis=1))


def array_space(schema: Schema, rows: pd.DataFrame, random: np.random.Generator) -> Space | None:
    """Fit principal components to every column of arrays; None where there is no such column."""
    from codsa.encoders.principal import PrincipalSpace

    columns: list[Column] = schema.array_columns
    if not columns:
        return None
    spaces = {column.name: PrincipalSpace.fit(arrays(rows[column.name]), random) for column in columns}
    return lambda other_rows: np.hstack([space.encode(arrays(other_rows[name])) for name, space in spaces.items()])


def array_metrics(synthetic: np.ndarray, test: np.ndarray) -> dict[str, float]:
    """Return the Fréchet distance, precision, recall, density and coverage (see `codsa.diagnostics.arrays`)."""
    from codsa.diagnostics.arrays import coverage, frechet

    return {"frechet": frechet(synthetic, test), **coverage(synthetic, test)}
