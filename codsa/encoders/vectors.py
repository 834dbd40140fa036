"""The block of a vector in an encoded row: centred, of unit variance, on the unit sphere where all are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Column
from codsa.io import array_columns

LENGTH_TOLERANCE = 2e-2
"""Vectors whose lengths all differ from 1 by less than this lie on the unit sphere (bf16 is that coarse)."""


@dataclass
class VectorBlock:
    """A vector as its coordinates, with one scale for all of them, which keeps angles.

    Attributes
    ----------
    column : Column
    centre : ndarray of shape (d,)
    scale : float
        The root of the coordinates' mean variance.
    unit : bool
        Whether the fitted vectors have length 1; decoded ones are then normalised to it.
    """

    column: Column
    centre: np.ndarray
    scale: float
    unit: bool

    regional = False

    @classmethod
    def fit(cls, column: Column, values: pd.Series) -> VectorBlock:
        """Compute centre and scale."""
        x = array_columns.arrays(values)
        centre = x.mean(axis=0, dtype=np.float64)
        scale = float(np.sqrt(x.var(axis=0, dtype=np.float64).mean()))
        unit = bool(np.all(np.abs(np.linalg.norm(x, axis=1) - 1) < LENGTH_TOLERANCE))
        return cls(column, centre, scale or 1.0, unit)

    @property
    def width(self) -> int:
        """The number of array columns."""
        return len(self.centre)

    def encode(self, values: pd.Series, region: np.ndarray | None = None) -> np.ndarray:
        """Return coordinates, ndarray of float64, shape (n, d)."""
        return (array_columns.arrays(values) - self.centre) / self.scale

    def decode(self, array: np.ndarray, region: np.ndarray | None = None) -> pd.Series:
        """Return vectors, Series of n rows, from coordinates as `encode` returns them or a model draws them."""
        x = array * self.scale + self.centre
        if self.unit:
            x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
        return array_columns.column("vector", x.astype(np.float32))

    def adapt(self, values: pd.Series, column: Column, region: np.ndarray | None, count: int) -> VectorBlock:
        """Return the block for the rows of another set, in the same coordinates (see `OrderedBlock.adapt`)."""
        return replace(self, column=column)

    def to_dict(self) -> dict[str, Any]:
        """Return the fitted values other than arrays, for JSON."""
        return {"scale": self.scale, "unit": self.unit}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the centre."""
        return {"centre": self.centre}

    @classmethod
    def restore(cls, column: Column, record: Mapping[str, Any], arrays: Mapping[str, Any]) -> VectorBlock:
        """Read what `to_dict` and `arrays` returned."""
        return cls(column, np.asarray(arrays["centre"]), record["scale"], record["unit"])
