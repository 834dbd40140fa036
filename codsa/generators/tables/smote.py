"""SMOTE: interpolation between a row and a near one of its region (Chawla 2002)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from codsa.generators.tables.resampler import Resampler
from codsa.io.seeds import integer
from codsa.settings.types import PositiveInt


class Smote(Resampler):
    """imbalanced-learn's SMOTE; SMOTE-NC where there are categories, SMOTEN where only those.

    Parameters
    ----------
    k_neighbors : int
        Among how many nearest rows of the region the partner is drawn; fewer in a small region.
    """

    min_rows = 2

    def __init__(self, *, k_neighbors: PositiveInt = 5) -> None:
        self.k_neighbors = k_neighbors

    def sample(self, region: int, count: int, stream: np.random.SeedSequence) -> pd.DataFrame:
        """Draw rows of one region (see `Generator.sample`).

        imbalanced-learn grows a class to a given size; a bystander class of one row lets it see
        the region as a class of its own.
        """
        members = self.working_members(region, stream)
        x = np.hstack([self.numbers, self.codes])
        x = np.vstack([x[members], x[:1]])
        label = np.r_[np.ones(len(members), dtype=int), 0]
        sampler = self._sampler(len(members), {1: len(members) + count}, integer(stream))
        generated = sampler.fit_resample(x, label)[0][len(x) :]
        split = self.numbers.shape[1]
        return self.rebuild(generated[:, :split].astype(float), generated[:, split:].round().astype(np.int64), region)

    def _sampler(self, size: int, target: dict[int, int], seed: int) -> Any:
        from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC

        settings: dict[str, Any] = {
            "k_neighbors": min(self.k_neighbors, size - 1),
            "sampling_strategy": target,
            "random_state": seed,
        }
        ordered, coded = self.numbers.shape[1], self.codes.shape[1]
        if coded == 0:
            return SMOTE(**settings)
        if ordered == 0:
            return SMOTEN(**settings)
        return SMOTENC(categorical_features=list(range(ordered, ordered + coded)), **settings)
