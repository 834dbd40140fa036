"""Distances of one region's synthetic rows from real ones, and the metrics of their modality."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from codsa.diagnostics.distances import nearest_ratio, two_sample_auc, wasserstein
from codsa.modalities.base import Comparison, Modality

SAMPLE_ROWS = 500
"""At most this many synthetic, test and training rows are used to compute distances."""


def compare(comparison: Comparison, modalities: Sequence[Modality], random: np.random.Generator) -> dict[str, float]:
    """Compare one region's synthetic rows with its test rows and its training rows.

    Distances are in the space of the first modality that has one. It is fitted on all three sets together, so that no
    set alone determines the scale.

    Parameters
    ----------
    comparison : Comparison
    modalities : sequence of Modality
        The modalities of the data (see `codsa.modalities.modalities_of`).
    random : numpy.random.Generator

    Returns
    -------
    dict
        wasserstein: distance of synthetic from test rows; wasserstein_floor: distance of as many training rows from
        test rows; two_sample_auc: synthetic against test rows; nearest_ratio; rows; and the modality's own metrics.
    """
    synthetic, test, training = comparison.synthetic, comparison.test, comparison.training
    rows = pd.concat([synthetic, test, training], ignore_index=True)
    leading, encode = next((m, space) for m in modalities if (space := m.space(rows, random)) is not None)
    size = min(SAMPLE_ROWS, len(synthetic), len(test), len(training))
    x_synthetic, x_test, x_training = (_sample(encode(part), size, random) for part in (synthetic, test, training))
    return {
        "wasserstein": wasserstein(x_synthetic, x_test),
        "wasserstein_floor": wasserstein(x_training, x_test),
        "two_sample_auc": two_sample_auc(x_synthetic, x_test, int(random.integers(2**31))),
        "nearest_ratio": nearest_ratio(x_synthetic, x_test, encode(training)),
        "rows": len(synthetic),
        **leading.sample_metrics(x_synthetic, x_test),
    }


def _sample(x: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Draw rows without replacement."""
    return x[random.permutation(len(x))[:size]]
