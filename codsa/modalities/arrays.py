"""What images and vectors have in common: values are arrays, compared by their principal components.

What evaluation alone needs is imported where it is used, so that sampling neither loads it nor depends on it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from codsa.data.schema import Column, Schema
from codsa.io.array_columns import arrays
from codsa.modalities.base import Space


def finite(values: pd.Series) -> np.ndarray:
    """Say which arrays hold finite numbers only, ndarray of bool, shape (n,)."""
    return np.asarray(np.isfinite(arrays(values)).reshape(len(values), -1).all(axis=1))


def array_space(schema: Schema, rows: pd.DataFrame, random: np.random.Generator) -> Space | None:
    """Fit principal components of every column of arrays; None without such a column."""
    from codsa.encoders.principal import PrincipalSpace

    columns: list[Column] = schema.array_columns
    if not columns:
        return None
    spaces = {c.name: PrincipalSpace.fit(arrays(rows[c.name]), random) for c in columns}
    return lambda some: np.hstack([space.encode(arrays(some[name])) for name, space in spaces.items()])


def array_figures(synthetic: np.ndarray, test: np.ndarray) -> dict[str, float]:
    """Return the Fréchet distance, precision, recall, density and coverage (see `codsa.diagnostics.arrays`)."""
    from codsa.diagnostics.arrays import coverage, frechet

    return {"frechet": frechet(synthetic, test), **coverage(synthetic, test)}
