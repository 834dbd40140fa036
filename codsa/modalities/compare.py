"""How near one region's synthetic rows are to real ones: distances, and what each modality has to say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from codsa.diagnostics.distances import nearest_ratio, two_sample_auc, wasserstein
from codsa.modalities.base import Comparison, Modality

SAMPLE = 500
"""Rows of each side that a distance is computed from."""


def compare(comparison: Comparison, modalities: Sequence[Modality], random: np.random.Generator) -> dict[str, float]:
    """Compare one region's synthetic rows with its test rows and its training rows.

    Distances are in the space of the first modality that has one, fitted on all three sets together, so that none
    sets the scale.

    Parameters
    ----------
    comparison : Comparison
    modalities : sequence of Modality
        Those of the data (see `codsa.modalities.modalities_of`).
    random : numpy.random.Generator

    Returns
    -------
    dict
        wasserstein: synthetic to test; wasserstein_floor: training to test, what real rows of
        that number show; two_sample_auc: synthetic against test; nearest_ratio; rows; and what the modality adds.
    """
    synthetic, test, training = comparison.synthetic, comparison.test, comparison.training
    rows = pd.concat([synthetic, test, training], ignore_index=True)
    leading, encode = next((m, space) for m in modalities if (space := m.space(rows, random)) is not None)
    size = min(SAMPLE, len(synthetic), len(test), len(training))
    s, t, g = (_take(encode(side), size, random) for side in (synthetic, test, training))
    return {
        "wasserstein": wasserstein(s, t),
        "wasserstein_floor": wasserstein(g, t),
        "two_sample_auc": two_sample_auc(s, t, int(random.integers(2**31))),
        "nearest_ratio": nearest_ratio(s, t, encode(training)),
        "rows": len(synthetic),
        **leading.figures_of_points(s, t),
    }


def _take(x: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    return x[random.permutation(len(x))[:size]]
