"""Images: arrays of pixels, shown beside their nearest training image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from codsa.data.schema import Column
from codsa.modalities.arrays import array_metrics, array_space, is_finite
from codsa.modalities.base import Comparison, Modality, Space


class Images(Modality):
    """Columns of images, compared by principal components."""

    name = "images"

    @staticmethod
    def in_bounds(values: pd.Series, column: Column) -> np.ndarray:
        """Say which images hold finite numbers only, ndarray of bool."""
        return is_finite(values)

    def space(self, rows: pd.DataFrame, random: np.random.Generator) -> Space | None:
        """Fit principal components of the pixels."""
        return array_space(self.schema, rows, random)

    def sample_metrics(self, synthetic: np.ndarray, test: np.ndarray) -> dict[str, float]:
        """Return the Fréchet distance, precision, recall, density and coverage."""
        return array_metrics(synthetic, test)

    def panel(self, comparison: Comparison) -> dict[str, Any]:
        """Return generated images, the training image nearest to each, and real test images."""
        from codsa.diagnostics.arrays import panel

        return panel(comparison.synthetic, comparison.test, comparison.training, self.schema)
